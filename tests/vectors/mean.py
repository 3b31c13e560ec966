"""Test vectors of the mean."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np

from vectors.case import BadCase, Case, Operands, bad_operands, make_cases, operands_of
from wingbeat.reference.mean import Mean, mean

LOW, HIGH = -128, 127

#: Shape of the input, and axes.
USUAL: Sequence[tuple[tuple[int, ...], tuple[int, ...]]] = (
    ((1, 5, 5, 8), (1, 2)),
    ((1, 25, 5, 7), (2, 1)),
    ((1, 4, 6, 3), (1,)),
    ((1, 4, 6, 3), (2,)),
    ((1, 4, 6, 3), (3,)),
    ((1, 4, 6, 3), (-1, -2)),
    ((1, 4, 6, 3), (1, 3)),
    ((1, 4, 6, 3), (1, 2, 3)),
    ((1, 4, 6, 3), (0,)),
    ((1, 1, 1, 9), (1, 2)),
    ((30, 5), (0, 1)),
    ((1, 40, 8), (1,)),
    ((1, 300, 2), (-2,)),
    ((7,), (0,)),
)


def some_mean(rng: np.random.Generator, shape: Sequence[int], axes: Sequence[int]) -> Mean:
    """With any scales and zero points."""
    scales = np.exp(rng.uniform(-3, 0, 2)).astype(np.float32)
    zero_points = rng.integers(LOW, HIGH + 1, 2).tolist()
    if rng.integers(3) == 0:
        scales[1], zero_points[1] = scales[0], zero_points[0]
    return mean(
        shape,
        axes,
        input_scale=float(scales[0]),
        input_zero_point=zero_points[0],
        output_scale=float(scales[1]),
        output_zero_point=zero_points[1],
    )


def small_operators() -> Iterable[Mean]:
    """Yield operators for the tests of changed parameters."""
    yield Mean((2, 3, 2, 2, 3), -5, 7, 1 << 30, -3)


def cases(seed: int) -> Iterable[Case]:
    """Yield usual axes, all five sizes, ends of factors, and ties."""
    rng = np.random.default_rng(seed)
    for i, (shape, axes) in enumerate(USUAL):
        for _ in range(4):
            yield from _cases(rng, f"{i}: {shape} over {axes}", some_mean(rng, shape, axes))
    for i in range(20):
        outer, first, middle, second, inner = rng.integers(1, 7, 5).tolist()
        factor = int(rng.integers(1 << 29, 1 << 31)), int(rng.integers(-12, 3))
        shape = outer, first, middle, second, inner
        operator = Mean(shape, int(rng.integers(LOW, HIGH)), int(rng.integers(-900, 900)), *factor)
        yield from _cases(rng, f"any shape {i}", operator)
    for mantissa in (0, 1, 1 << 29, 1 << 30, (1 << 31) - 1):
        for exponent in (-31, -30, -8, -1, 0, 1, 8, 22):
            for bias in (-200, 0, 1 << 20):
                operator = Mean((1, 1, 1, 4, 5), 3, bias, mantissa, exponent)
                yield from _cases(rng, f"{mantissa} 2^{exponent}, bias {bias}", operator)
    yield from _cases(rng, "many", Mean((1, 1, 1, 65535, 64), 3, 1 << 20, 1 << 30, -15))
    for power in range(1, 9):
        operator = Mean((1, 1, 1, 1, 256), 0, 1 << (power - 1), 1 << 30, 1 - power)
        rows = [np.arange(LOW, HIGH + 1).astype(np.int8)]
        yield from make_cases(f"ties of 2^-{power}", operator, rows)


def _cases(rng: np.random.Generator, name: str, operator: Mean) -> Iterable[Case]:
    size = operator.inputs[0][1]
    rows = [rng.integers(LOW, HIGH, size, np.int8, endpoint=True), np.full(size, LOW, np.int8)]
    yield from make_cases(f"{name}, {operator}", operator, rows)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for i, (params, operands, n_inputs) in enumerate(_bad_calls()):
        yield BadCase(f"bad {i}", Mean.KERNEL, params, operands, n_inputs)


def _bad_calls() -> Iterable[tuple[bytes, Operands, int]]:
    (operator,) = small_operators()
    good, operands = operator.encode(), operands_of(operator)
    for wrong in (b"", good[:-4], good + bytes(4)):
        yield wrong, operands, 1
    for at in range(0, 10, 2):
        for size in (0, 9, 65535):
            yield _changed(good, at, struct.pack("<H", size)), operands, 1
    for shape in ((65535,) * 5, (256, 256, 256, 256, 1), (2, 2, 1, 1, 0), (0, 65535, 65535, 1, 1)):
        yield _changed(good, 0, struct.pack("<5H", *shape)), operands, 1
        yield _changed(good, 0, struct.pack("<5H", *shape)), (("b", 0), ("b", 0)), 1
    yield _changed(good, 16, struct.pack("<i", -1)), operands, 1
    for exponent in (-32, 31, 1 << 20, -(1 << 31)):
        yield _changed(good, 20, struct.pack("<i", exponent)), operands, 1
    for others, n_inputs in bad_operands(operands):
        yield good, others, n_inputs


def _changed(params: bytes, at: int, data: bytes) -> bytes:
    return params[:at] + data + params[at + len(data) :]
