"""Every kernel against its reference, bit for bit, and against parameters that are wrong."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import pytest

from device.harness import NOT_DUE, OK, Kernels, kernel_names
from vectors import Case, all_cases, bad_cases, operands_of, small_operators
from vectors.forest import sound_operators
from vectors.signals import small_signal_operators
from wingbeat.errors import FormatError
from wingbeat.reference import Operator, WindowStats, decode_operator
from wingbeat.reference.window_stats import STATISTICS

_LARGE = 1 << 20
_OTHER_SIZES = (0, 1, 2, 3, 4, 8, 127, 128, 254, 255, 256, 0x7FFF, 0x8000, 0xFFFF)


@pytest.mark.parametrize("seed", [1, 2])
def test_kernels_equal_the_reference(kernels: Kernels, seed: int) -> None:
    todo = list(all_cases(seed))
    assert {case.operator.KERNEL for case in todo} == set(kernel_names())
    for case in todo:
        inputs = [array.tobytes() for array in case.inputs]
        operands = operands_of(case.operator)
        memory = {each.position: each.before.tobytes() for each in case.memory}
        kernels.run(case.operator.KERNEL, case.params, operands, *inputs, memory=memory)
    for case, result in zip(todo, kernels.results(), strict=True):
        assert result.status == OK, case.name
        assert result.ran == (OK if case.due else NOT_DUE), case.name
        for each in case.memory:
            assert result.operands[each.position] == each.after.tobytes(), case.name
        expected = [array.tobytes() for array in (*case.inputs, *case.outputs)]
        assert list(result.operands[: len(expected)]) == expected, (
            f"{case.operator.KERNEL}: {case.name}"
        )
    _references_read_their_own_parameters(todo)


def test_kernels_in_place_equal_the_reference(kernels: Kernels) -> None:
    todo = [(case, pair) for case in all_cases(3) for pair in case.operator.in_place]
    for case, pair in todo:
        inputs = [array.tobytes() for array in case.inputs]
        operands = operands_of(case.operator)
        memory = {each.position: each.before.tobytes() for each in case.memory}
        kernels.run(
            case.operator.KERNEL, case.params, operands, *inputs, in_place=pair, memory=memory
        )
    for (case, _), result in zip(todo, kernels.results(), strict=True):
        assert result.status == OK, case.name
        first = len(case.inputs)
        found = result.operands[first : first + len(case.outputs)]
        assert list(found) == [array.tobytes() for array in case.outputs], case.name


def _references_read_their_own_parameters(cases: list[Case]) -> None:
    for kernel, params in {(case.operator.KERNEL, case.params): None for case in cases}:
        opcode = next(case.operator.OPCODE for case in cases if kernel == case.operator.KERNEL)
        assert decode_operator(opcode, params).encode() == params, kernel


def test_checks_refuse_bad_cases(kernels: Kernels) -> None:
    todo = list(bad_cases())
    assert {case.kernel for case in todo} == set(kernel_names())
    for case in todo:
        kernels.check(case.kernel, case.params, case.operands, case.n_inputs)
    for case, result in zip(todo, kernels.results(), strict=True):
        assert result.status < OK, case


def test_checks_accept_what_the_bad_cases_are_made_from(kernels: Kernels) -> None:
    for operator in (*sound_operators(), *small_signal_operators()):
        kernels.check(
            operator.KERNEL, operator.encode(), operands_of(operator), len(operator.inputs)
        )
    assert {result.status for result in kernels.results()} == {OK}


def test_check_accepts_the_largest_window(kernels: Kernels) -> None:
    operator = WindowStats(32767, 255, STATISTICS)
    kernels.check(operator.KERNEL, operator.encode(), operands_of(operator))
    assert [result.status for result in kernels.results()] == [OK]


def _mutations(rng: np.random.Generator, params: bytes) -> Iterator[bytes]:
    """Yield every byte changed in a few ways, then random changes of several bytes at once."""
    for at in range(len(params)):
        for mask in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            changed = bytearray(params)
            changed[at] ^= mask
            yield bytes(changed)
    for at in range(0, len(params), 2):
        (before,) = struct.unpack_from("<H", params, at)
        for value in {*_OTHER_SIZES, before + 1, before - 1}:
            yield params[:at] + struct.pack("<H", value & 0xFFFF) + params[at + 2 :]
    for _ in range(300):
        changed = bytearray(params)
        for at in rng.integers(0, len(params), rng.integers(2, 6)):
            changed[at] = rng.choice([*b"bBhHif", 0, 1, 128, 255, int(rng.integers(256))])
        yield bytes(changed)


def _operator_after(operator: Operator, params: bytes) -> tuple[Operator, str]:
    """Return the operator that the parameters make, or why the reference refuses them."""
    try:
        return decode_operator(operator.OPCODE, params), ""
    except FormatError as error:
        return operator, str(error)


def _inputs(rng: np.random.Generator, operator: Operator) -> list[bytes]:
    return [rng.bytes(size) for _, size in operands_of(operator)[: len(operator.inputs)]]


def test_mutated_parameters_are_refused_or_safe(kernels: Kernels) -> None:
    """Where the check accepts, the run must stay in its buffers: the sanitizers watch."""
    rng = np.random.default_rng(5)
    for operator in small_operators():
        for params in _mutations(rng, operator.encode()):
            after, _ = _operator_after(operator, params)
            if sum(size for _, size in operands_of(after)) < _LARGE:
                kernels.run(operator.KERNEL, params, operands_of(after), *_inputs(rng, after))
            # The operands of before: what a check must not take on trust.
            kernels.run(operator.KERNEL, params, operands_of(operator), *_inputs(rng, operator))
    accepted = [result.status == OK for result in kernels.results()]
    assert 1000 < sum(accepted) < len(accepted) - 1000


def test_checks_agree_with_the_references(kernels: Kernels) -> None:
    """A kernel accepts what its reference reads, and no more.

    But the reference also refuses a wrong jump that no node takes, and weights whose sums a kernel
    would not hold.
    """
    rng = np.random.default_rng(6)
    expected = []
    for operator in small_operators():
        for params in _mutations(rng, operator.encode()):
            after, error = _operator_after(operator, params)
            if "bad jump" not in error and "exceed" not in error:
                kernels.check(operator.KERNEL, params, operands_of(after), len(after.inputs))
                expected.append((operator, params, error))
    for (operator, params, error), result in zip(expected, kernels.results(), strict=True):
        assert (result.status == OK) == (not error), (operator, params.hex(), error)
