"""The window statistics operator: reference, parameters, and the kernel built for the host."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vectors.window_stats import bad_params, cases
from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.window_stats import STATISTICS, WindowStats

KERNELS = Path(__file__).parents[2] / "device" / "kernels"
CHECK, RUN = 0, 1
OK = 0
MAX_OPERANDS = 4

# Reads calls from stdin until it ends, and writes a status and the operands' bytes for each.
# Every buffer is allocated at its exact size, for the address sanitizer to guard.
HARNESS = r"""
#include <stdio.h>
#include <stdlib.h>
#include "kernel.h"

static void take(void *to, uint32_t size) {
    if (fread(to, 1, size, stdin) != size) {
        exit(3);
    }
}

static uint8_t *take_buffer(uint32_t size) {
    uint8_t *buffer = malloc(size);
    take(buffer, size);
    return buffer;
}

int main(void) {
    wb_call_t call;
    uint32_t phase;
    while (fread(&phase, 4, 1, stdin) == 1) {
        call.phase = phase;
        take(&call.params_size, 4);
        take(&call.n_inputs, 4);
        take(&call.n_operands, 4);
        uint8_t *params = take_buffer(call.params_size);
        call.params = params;
        for (uint32_t i = 0; i < WB_MAX_OPERANDS; ++i) {
            take(&call.operand[i].typecode, 4);
            take(&call.operand[i].size, 4);
            call.operand[i].data = NULL;
            if (phase == WB_RUN) {
                call.operand[i].data = take_buffer(call.operand[i].size);
            }
        }
        int32_t status = wb_kernel(&call);
        fwrite(&status, 4, 1, stdout);
        for (uint32_t i = 0; i < WB_MAX_OPERANDS && phase == WB_RUN; ++i) {
            fwrite(call.operand[i].data, 1, call.operand[i].size, stdout);
            free(call.operand[i].data);
        }
        free(params);
    }
    return 0;
}
"""


@dataclass(frozen=True)
class Result:
    status: int
    operands: list[bytes]


class Kernel:
    """The kernel as a program on this machine, with address and undefined behaviour checks."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._calls: list[tuple[int, list[int]]] = []
        self._sent = bytearray()

    def check(
        self, params: bytes, sizes: Sequence[int], *, n_inputs: int = 1, typecodes: str = "hh"
    ) -> None:
        data = [b""] * len(sizes)
        self._add((CHECK, len(params), n_inputs, len(sizes)), params, sizes, data, typecodes)

    def run(self, params: bytes, operands: Sequence[bytes]) -> None:
        sizes = [len(operand) for operand in operands]
        self._add((RUN, len(params), 1, len(operands)), params, sizes, operands, "hh")

    def _add(
        self,
        numbers: tuple[int, int, int, int],
        params: bytes,
        sizes: Sequence[int],
        data: Sequence[bytes],
        typecodes: str,
    ) -> None:
        unused = MAX_OPERANDS - len(sizes)
        padded = [*sizes] + [0] * unused
        self._sent += struct.pack("<4I", *numbers) + params
        for size, content, typecode in zip(
            padded, [*data] + [b""] * unused, typecodes.ljust(MAX_OPERANDS, "h"), strict=True
        ):
            self._sent += struct.pack("<II", ord(typecode), size) + content
        self._calls.append((numbers[0], padded))

    def results(self) -> list[Result]:
        """Make all calls in one process."""
        done = subprocess.run(
            [self._program], input=bytes(self._sent), capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        results, at = [], 0
        for phase, sizes in self._calls:
            (status,) = struct.unpack_from("<i", done.stdout, at)
            at += 4
            operands = []
            for size in sizes if phase == RUN else []:
                operands.append(done.stdout[at : at + size])
                at += size
            results.append(Result(status, operands))
        assert at == len(done.stdout)
        return results


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Kernel]:
    folder = tmp_path_factory.mktemp("window_stats")
    (folder / "harness.c").write_text(HARNESS)
    program = folder / "harness"
    options = "-std=c99 -O2 -g -Wall -Wextra -Wconversion -Werror -fsanitize=address,undefined"
    command: list[str | Path] = ["gcc", *options.split(), "-fno-sanitize-recover=all"]
    command += ["-I", KERNELS, folder / "harness.c", KERNELS / "window_stats.c", "-o", program]
    subprocess.run(command, check=True)
    return lambda: Kernel(program)


def by_definition(x: NDArray[np.int16], statistics: Sequence[str]) -> list[int]:
    """Compute one window in Python integers, straight from the definitions."""
    n = x.shape[0]
    out: list[int] = []
    for values in x.T.tolist():
        total = sum(values)
        squares = sum(v * v for v in values)
        mean = (2 * total + n) // (2 * n)
        above = [v > mean for v in values]
        known = {
            "mean": mean,
            "std": isqrt((n * squares - total * total) // n**2),
            "min": min(values),
            "max": max(values),
            "rms": min(isqrt((2 * squares + n) // (2 * n)), 32767),
            "mean_crossings": sum(a != b for a, b in zip(above[1:], above[:-1], strict=True)),
            "peak_to_peak": min(max(values) - min(values), 32767),
        }
        out += [known[name] for name in statistics]
    return out


samples = st.one_of(st.integers(-32768, 32767), st.sampled_from([-32768, -32767, -1, 0, 1, 32767]))
any_statistics = st.lists(st.sampled_from(STATISTICS), min_size=1, max_size=12).map(tuple)


@st.composite
def windows(draw: st.DrawFn) -> NDArray[np.int16]:
    n, c = draw(st.integers(1, 40)), draw(st.integers(1, 4))
    values = draw(st.lists(samples, min_size=n * c, max_size=n * c))
    return np.array(values, np.int16).reshape(n, c)


@given(windows(), any_statistics)
def test_reference_follows_the_definitions(
    x: NDArray[np.int16], statistics: tuple[str, ...]
) -> None:
    out = WindowStats(x.shape[0], x.shape[1], statistics).run(x)
    assert out.dtype == np.int16
    assert out.tolist() == by_definition(x, statistics)


@pytest.mark.parametrize("seed", [1, 2])
def test_vectors_follow_the_definitions(seed: int) -> None:
    names = set()
    for case in cases(seed):
        operator = WindowStats.decode(case.params)
        assert case.expected.tolist() == by_definition(case.input, operator.statistics), case.name
        names.add(case.name)
    assert len(names) == sum(1 for _ in cases(seed))


def test_reference_runs_many_windows_at_once() -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(-32768, 32768, (4, 5, 20, 3)).astype(np.int16)
    operator = WindowStats(20, 3, STATISTICS)
    out = operator.run(x)
    assert out.shape == (4, 5, 21)
    for i in np.ndindex(4, 5):
        assert np.array_equal(out[i], operator.run(x[i]))
    assert operator.run(x[:0]).shape == (0, 5, 21)


def test_reference_applies_to_flat_rows() -> None:
    rng = np.random.default_rng(5)
    x = rng.integers(-32768, 32768, (6, 20, 3)).astype(np.int16)
    operator = WindowStats(20, 3, ("std", "rms"))
    assert operator.inputs == (("h", 60),)
    assert operator.outputs == (("h", 6),)
    assert operator.scratch == ()
    (out,) = operator.apply(x.reshape(6, 60))
    assert np.array_equal(out, operator.run(x))
    with pytest.raises(UsageError, match=r"rows of 60 samples, got shape \[6, 20, 3\]"):
        operator.apply(x)
    with pytest.raises(UsageError, match="expected 1 input, got 2"):
        operator.apply(x, x)


def test_reference_refuses_another_shape_or_dtype() -> None:
    operator = WindowStats(4, 2, ("mean",))
    with pytest.raises(UsageError, match=r"\[\.\.\., 4, 2\].*\[2, 4\]"):
        operator.run(np.zeros((2, 4), np.int16))
    with pytest.raises(UsageError, match="float32"):
        operator.run(np.zeros((4, 2), np.float32))


@given(st.integers(1, 32767), st.integers(1, 255), any_statistics)
def test_parameters_survive_a_round_trip(n: int, c: int, statistics: tuple[str, ...]) -> None:
    operator = WindowStats(n, c, statistics)
    params = operator.encode()
    assert len(params) % 4 == 0
    assert WindowStats.decode(params) == operator
    assert operator.operand_sizes() == (2 * n * c, 2 * c * len(statistics))


def test_parameters_are_laid_out_as_specified() -> None:
    operator = WindowStats(0x1234, 6, ("peak_to_peak", "mean", "std", "rms", "min"))
    assert operator.encode() == bytes.fromhex("34 12 06 05 06 00 01 04 02 00 00 00")


@pytest.mark.parametrize(
    ("n", "c", "statistics", "message"),
    [
        (0, 1, ("mean",), "1 to 32767 samples, not 0"),
        (32768, 1, ("mean",), "not 32768"),
        (1, 0, ("mean",), "1 to 255 channels, not 0"),
        (1, 256, ("mean",), "not 256"),
        (1, 1, (), "1 to 255 statistics, not 0"),
        (1, 1, ("mean",) * 256, "not 256"),
        (1, 1, ("median",), "'median': choose from mean, std"),
    ],
)
def test_impossible_operators_are_refused(
    n: int, c: int, statistics: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        WindowStats(n, c, statistics)


@given(st.binary(max_size=24))
def test_decode_accepts_or_raises_format_error(params: bytes) -> None:
    try:
        operator = WindowStats.decode(params)
    except FormatError:
        return
    assert operator.encode() == params


def test_decode_refuses_bad_parameters() -> None:
    refused = 0
    for params, sizes in bad_params():
        try:
            operator = WindowStats.decode(params)
        except FormatError:
            refused += 1
        else:
            assert operator.operand_sizes() != sizes
    assert refused > 20


def test_outputs_are_named_channel_by_channel() -> None:
    operator = WindowStats(10, 2, ("std", "min"))
    assert operator.output_names(["ax", "ay"]) == ["ax_std", "ax_min", "ay_std", "ay_min"]
    with pytest.raises(UsageError, match="expected 2 channel names, got 1"):
        operator.output_names(["ax"])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kernel_equals_the_reference(build: Callable[[], Kernel], seed: int) -> None:
    kernel = build()
    todo = list(cases(seed))
    for case in todo:
        sizes = WindowStats.decode(case.params).operand_sizes()
        kernel.check(case.params, sizes)
        kernel.run(case.params, [case.input.tobytes(), b"\xa5" * sizes[1]])
    results = kernel.results()
    for case, checked, run in zip(todo, results[::2], results[1::2], strict=True):
        assert (checked.status, run.status) == (OK, OK), case.name
        assert run.operands[0] == case.input.tobytes(), case.name
        assert np.frombuffer(run.operands[1], np.int16).tolist() == case.expected.tolist(), (
            case.name
        )


def test_kernel_check_accepts_the_largest_window(build: Callable[[], Kernel]) -> None:
    kernel = build()
    operator = WindowStats(32767, 255, STATISTICS)
    kernel.check(operator.encode(), operator.operand_sizes())
    assert [r.status for r in kernel.results()] == [OK]


def test_kernel_check_refuses_bad_parameters(build: Callable[[], Kernel]) -> None:
    kernel = build()
    todo = list(bad_params())
    for params, sizes in todo:
        kernel.check(params, sizes)
    for (params, sizes), result in zip(todo, kernel.results(), strict=True):
        assert result.status < OK, (params.hex(), sizes)


def test_kernel_check_refuses_other_dtypes_and_roles(build: Callable[[], Kernel]) -> None:
    kernel = build()
    operator = WindowStats(4, 2, ("mean",))
    params, sizes = operator.encode(), operator.operand_sizes()
    kernel.check(params, sizes)
    for typecodes in ("Hh", "hH", "bh", "hb", "if", "\0h", "h\0"):
        kernel.check(params, sizes, typecodes=typecodes)
    for n_inputs in (0, 2, 3):
        kernel.check(params, sizes, n_inputs=n_inputs)
    first, *others = [result.status for result in kernel.results()]
    assert first == OK
    assert max(others) < OK


def test_kernel_check_agrees_with_decode_on_random_bytes(build: Callable[[], Kernel]) -> None:
    kernel = build()
    rng = np.random.default_rng(4)
    expected = []
    for _ in range(3000):
        count = int(rng.integers(0, 6))
        n, c = int(rng.integers(0, 4)), int(rng.integers(0, 3))
        ids = rng.integers(0, 8, count).tolist()
        length = int(rng.integers(0, 9))
        params = struct.pack("<HBB", n, c, count) + bytes(ids) + bytes(length)
        params = params[: len(params) // 4 * 4]
        sizes = (2 * n * c, 2 * c * count)
        kernel.check(params, sizes)
        try:
            expected.append(WindowStats.decode(params).operand_sizes() == sizes)
        except FormatError:
            expected.append(False)
    assert [r.status == OK for r in kernel.results()] == expected
    assert 100 < sum(expected) < 2900
