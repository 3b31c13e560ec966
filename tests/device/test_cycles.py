"""The armv6m kernels on a bare emulated Cortex-M0+: same bits as the reference, within budget."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)

from wingbeat.assemble import assemble
from wingbeat.blobs import Kernel, blobs_of
from wingbeat.convert import convert
from wingbeat.errors import BuildError, TargetError
from wingbeat.mpy import Mpy
from wingbeat.program import Program
from wingbeat.reference import DTYPES, Cast, ForestWalk, Operator, Probability, Shift, WindowStats
from wingbeat.reference.window_stats import STATISTICS

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "ports")]

from bench.workloads import digits  # noqa: E402
from rp2040.bare import ARCH, BareCore, Result, run_program  # noqa: E402
from rp2040.firmware import install_emulator  # noqa: E402

CYCLES_PER_NODE = 20
PROGRAM_BYTES = 5 * 1024
TEXT_BYTES = 3 * 1024

MOVS_R0_0, BX_LR = 0x2000, 0x4770
RETURN = (MOVS_R0_0, BX_LR)
RETURN_CYCLES = 3


@pytest.fixture(scope="module")
def core() -> Iterator[BareCore]:
    with BareCore() as running:
        yield running


# ---- The harness


def run_code(core: BareCore, *halfwords: int) -> Result:
    """Run instructions as a kernel with 8 bytes of parameters, one input and one output of 8."""
    code = struct.pack(f"<{len(halfwords)}H", *halfwords)
    x = np.arange(8, dtype=np.uint8)[np.newaxis]
    operands = [("B", 8)]
    return core.run_kernel(Kernel(code, 0), bytes(8), [x], operands, operands)


# r0 is the call record. All sequences leave r4 to r11 and the stack as they were.
TIMINGS = {
    "nothing": ((), 0),
    "nop": ((0xBF00,), 1),
    "adds": ((0x3001,), 1),
    "muls r0": ((0x4340,), 1),
    "ldr r1, [r0]": ((0x6801,), 2),
    "ldrb r1, [r0]": ((0x7801,), 2),
    "ldrh r1, [r0]": ((0x8801,), 2),
    "ldm r0!, {r1, r2}": ((0xC806,), 3),
    "sub sp; str r0, [sp]; add sp": ((0xB082, 0x9000, 0xB002), 4),
    "push {r4, r5}; pop {r4, r5}": ((0xB430, 0xBC30), 6),
    "b": ((0xE7FF,), 2),
    "movs r1, #0; beq, taken": ((0x2100, 0xD0FF), 3),
    "movs r1, #0; bne, not taken": ((0x2100, 0xD1FF), 2),
    "eight nops": ((0xBF00,) * 8, 8),
}


@pytest.mark.parametrize("name", TIMINGS)
def test_known_instructions_take_known_cycles(core: BareCore, name: str) -> None:
    halfwords, cycles = TIMINGS[name]
    result = run_code(core, *halfwords, *RETURN)
    assert result.cycles.tolist() == [cycles + RETURN_CYCLES]
    assert result.instructions.tolist() == [len(halfwords) + len(RETURN)]


def test_a_call_takes_three_cycles_and_lr_costs_nothing(core: BareCore) -> None:
    # push {lr}; bl over the next; movs r0, #0; pop {pc}; the callee: bx lr
    result = run_code(core, 0xB500, 0xF000, 0xF802, MOVS_R0_0, 0xBD00, BX_LR)
    assert result.cycles.tolist() == [1 + 3 + 2 + 1 + 3]


def test_loops_take_as_long_as_they_should(core: BareCore) -> None:
    # movs r1, #100; subs r1, #1; bne back to it
    result = run_code(core, 0x2164, 0x3901, 0xD1FD, *RETURN)
    assert result.cycles.tolist() == [1 + 100 * 3 - 1 + RETURN_CYCLES]
    assert result.instructions.tolist() == [1 + 100 * 2 + len(RETURN)]


# Behind a test of the phase, since the first call is a check: ldr r1, [r0]; cmp r1, #0; beq out.
IN_RUN_ONLY = (0x6801, 0x2900, 0xD003)

FAULTS = {
    "unaligned read of 4 bytes": (0x3001, 0x6801, 0xBF00, 0xBF00),
    "unaligned read of 2 bytes": (0x3001, 0x8801, 0xBF00, 0xBF00),
    "write of 4 bytes at 0x20000040": (0x6881, 0x6009, 0xBF00, 0xBF00),  # params
    "write of 1 bytes": (0x6941, 0x7001, 0xBF00, 0xBF00),  # the call record
    "read of 4 bytes at 0x0": (0x2100, 0x6809, 0xBF00, 0xBF00),
    "is not implemented yet": (0xB100, 0xBF00, 0xBF00, 0xBF00),  # cbz: not on a Cortex-M0+
    "bkpt or udf 1": (0xBE01, 0xBF00, 0xBF00, 0xBF00),
    "another r4": (0x2400, 0xBF00, 0xBF00, 0xBF00),
    "another stack pointer": (0xB082, 0xBF00, 0xBF00, 0xBF00),
    "not Thumb code": (0x2108, 0x4708, 0xBF00, 0xBF00),
}


@pytest.mark.parametrize("message", FAULTS)
def test_faults_stop_the_run_and_name_the_place(core: BareCore, message: str) -> None:
    with pytest.raises(TargetError, match=message) as caught:
        run_code(core, *IN_RUN_ONLY, *FAULTS[message], *RETURN)
    assert "pc 0x200000" in str(caught.value)
    assert "in the kernel)" in str(caught.value)


def test_execution_must_stay_in_the_kernel(core: BareCore) -> None:
    with pytest.raises(TargetError, match="jump to 0x20000012, outside of the kernel"):
        run_code(core, 0xBF00)


def test_a_kernel_that_refuses_is_an_error(core: BareCore) -> None:
    with pytest.raises(TargetError, match="check answered 7"):
        run_code(core, 0x2007, BX_LR)
    with pytest.raises(TargetError, match="kernel answered -1"):
        run_code(core, 0x6800, 0x4240, BX_LR)


def test_it_goes_on_after_a_fault(core: BareCore) -> None:
    with pytest.raises(TargetError):
        run_code(core, 0xBE00)
    assert run_code(core, *RETURN).cycles.tolist() == [RETURN_CYCLES]


def test_too_much_for_the_memory(core: BareCore) -> None:
    with pytest.raises(TargetError, match="do not fit"):
        core.run_kernel(Kernel(bytes(4), 0), bytes(300_000), [], [], [])


def test_missing_npm_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(BuildError, match=r"npm is missing.*make setup"):
        install_emulator()


# ---- Same bits


def check_operator(core: BareCore, operator: Operator, x: NDArray[Any]) -> None:
    """Compare a kernel with its reference, on inputs that are aligned to their items only."""
    ((typecode, _),) = operator.inputs
    expected = operator.apply(x)
    for offset in (0, DTYPES[typecode].itemsize):
        result = core.run(operator, x, offset=offset)
        for wanted, found in zip(expected, result.outputs, strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(("n", "c"), [(1, 1), (2, 3), (127, 1), (128, 6), (1000, 2)])
def test_window_stats(core: BareCore, n: int, c: int) -> None:
    rng = np.random.default_rng(n)
    width = np.exp(rng.uniform(0, np.log(40000), (10, 1, c)))
    x = rng.uniform(-32768, 32767, (10, 1, c)) + rng.normal(0, 1, (10, n, c)) * width
    x[0] = 32767
    x[1] = -32768
    x[2, ::2], x[2, 1::2] = 32767, -32768
    rows = np.clip(x, -32768, 32767).astype(np.int16).reshape(10, n * c)
    check_operator(core, WindowStats(n, c, STATISTICS), rows)
    check_operator(core, WindowStats(n, c, STATISTICS[::-1]), rows)


@pytest.mark.parametrize("n", [1, 2, 10, 300])
@pytest.mark.parametrize("fraction_bits", [0, 1, 16, 30])
def test_probability(core: BareCore, n: int, fraction_bits: int) -> None:
    rng = np.random.default_rng(n)
    scores = rng.normal(0, 4, (20, n)) * 2.0**fraction_bits
    x = np.clip(scores, -(2.0**31), 2.0**31 - 1).astype(np.int32)
    x[0], x[1] = -(2**31), 2**31 - 1
    check_operator(core, Probability(n, fraction_bits), x)


@pytest.mark.parametrize("typecode", ["i", "H"])
@pytest.mark.parametrize("shift", [0, 1, 15, 30])
def test_shift(core: BareCore, typecode: str, shift: int) -> None:
    rng = np.random.default_rng(shift)
    x = rng.integers(-(2**31), 2**31, (20, 7)) >> rng.integers(0, 32, (20, 7))
    x[0], x[1] = -(2**31), 2**31 - 1
    check_operator(core, Shift(7, shift, typecode), x.astype(np.int32))


@pytest.mark.parametrize("typecode", ["b", "B"])
def test_cast(core: BareCore, typecode: str) -> None:
    values = np.arange(256).astype(np.uint8).view(DTYPES[typecode])
    for n in (1, 2, 3, 4, 5, 256):
        check_operator(core, Cast(n, typecode), values.reshape(-1)[: 256 // n * n].reshape(-1, n))


RANGES = {"uint8": (0, 255), "int8": (-128, 127), "int16": (-32768, 32767), "float32": (-9, 9)}


def random_rows(rng: np.random.Generator, dtype: str) -> NDArray[Any]:
    low, high = RANGES[dtype]
    if dtype == "float32":
        return rng.uniform(low, high, (300, 20)).astype(np.float32)
    return rng.integers(low, high, (300, 20), endpoint=True).astype(dtype)


def forest_programs(dtype: str, x: NDArray[Any], rng: np.random.Generator) -> Iterator[Program]:
    """Every kind of leaves, blocks that jump, and thresholds of either sign."""
    for n_classes, depth in ((2, None), (9, 4), (16, None), (40, None), (100, 6)):
        y = rng.integers(0, n_classes, len(x))
        estimator = RandomForestClassifier(6, max_depth=depth, random_state=1)
        yield convert(estimator.fit(x, y), dtype=dtype)
    yield convert(
        RandomForestRegressor(6, random_state=1).fit(x, rng.normal(size=300)), dtype=dtype
    )
    for n_classes in (2, 4):
        y = rng.integers(0, n_classes, len(x))
        boosting = HistGradientBoostingClassifier(max_iter=4, random_state=1)
        yield convert(boosting.fit(x, y), dtype=dtype)


@pytest.mark.parametrize("dtype", RANGES)
def test_forests(core: BareCore, dtype: str) -> None:
    rng = np.random.default_rng(1)
    x = random_rows(rng, dtype)
    for training in (x, np.abs(x.astype(np.float64)).clip(0, RANGES[dtype][1]).astype(dtype)):
        rows = np.concatenate([x, training])
        for program in forest_programs(dtype, training, rng):
            run_program(core, program, rows)
            operator = program.calls[0].operator
            check_operator(core, operator, rows[:20])


def test_floats_of_every_kind(core: BareCore) -> None:
    rng = np.random.default_rng(2)
    x = random_rows(rng, "float32")
    thresholds = x.ravel()[:100]
    special = np.array([0.0, -0.0, np.inf, -np.inf, 1e-45, -1e-45, np.nan, -np.nan], np.float32)
    around = [np.nextafter(thresholds, np.float32(end)) for end in (-np.inf, np.inf)]
    values = np.concatenate([special, thresholds, *around])
    rows = rng.choice(values, (200, 20))
    for program in forest_programs("float32", x, rng):
        run_program(core, program, rows)


# ---- Budgets (issue 2)


def forest_of(program: Program) -> ForestWalk:
    (call,) = program.calls
    assert isinstance(call.operator, ForestWalk)
    return call.operator


def test_the_digits_forest_is_the_one_of_the_peers() -> None:
    model = digits()
    trees = [tree.tree_ for tree in model.estimator.estimators_]
    assert sum(int((tree.feature >= 0).sum()) for tree in trees) == 994
    assert round(float(model.estimator.score(model.test_x, model.test_y)), 3) == 0.957


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_cycles_per_visited_node(core: BareCore, dtype: str) -> None:
    workload = digits().workload(dtype)
    (step,) = run_program(core, workload.program, workload.x)
    assert step.visits is not None
    assert len(step.cycles) == 540
    cycles_per_node = float(step.cycles.mean()) / step.visits
    assert cycles_per_node <= CYCLES_PER_NODE


def test_the_digits_program_is_small() -> None:
    assert len(digits().program("uint8").encode()) <= PROGRAM_BYTES


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_code_is_small(dtype: str) -> None:
    kernel = blobs_of(ARCH).kernel(forest_of(digits().program(dtype)).KERNEL)
    core_size = len(Mpy.decode(blobs_of(ARCH).core()).text)
    kernel_size = len(kernel.code)
    assert core_size + kernel_size <= TEXT_BYTES


def test_a_module_holds_the_code_that_is_measured() -> None:
    program = digits().program("uint8")
    kernel = blobs_of(ARCH).kernel(forest_of(program).KERNEL)
    assert kernel.code in Mpy.decode(assemble(program, ARCH).data).text
