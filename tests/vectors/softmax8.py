"""Test vectors of the int8 softmax."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np

from vectors.case import BadCase, Case, Operands, bad_operands, make_case
from wingbeat.reference.activations import Quantization
from wingbeat.reference.fixed_point import ONE
from wingbeat.reference.softmax8 import MAX_DEPTH, MAX_ROWS, MAX_TABLE, Softmax8, softmax

_SCALES = (2.0**-10, 0.01, 0.1, 0.14469251, 1 / 3, 1.0, 20.0)


def small_operators() -> Iterable[Softmax8]:
    """Yield operators for the tests of changed parameters."""
    yield Softmax8(2, 3, np.array([ONE, 1 << 29, 5], np.int32))
    yield Softmax8(1, 1, np.array([ONE], np.int32))


def cases(seed: int) -> Iterable[Case]:
    """Yield all scales, sums from 1 to the largest, and every table length."""
    rng = np.random.default_rng(seed)
    for scale in _SCALES:
        for depth in (1, 2, 3, 4, 10, 256):
            operator = softmax(3, depth, Quantization(scale, 0))
            x = rng.integers(-128, 128, 3 * depth).astype(np.int8)
            yield make_case(f"scale {scale}, depth {depth}", operator, x)
            near = (x // 32).astype(np.int8)
            yield make_case(f"scale {scale}, depth {depth}, near", operator, near)
    for depth in (128, 511, 512, 513, 1024, MAX_DEPTH):
        for value in (-128, 127):
            x = np.full(depth, value, np.int8)
            yield make_case(f"{depth} of {value}", softmax(1, depth, Quantization(0.1, 0)), x)
    x = rng.integers(-128, 128, 5 * 300).astype(np.int8)
    yield make_case("many rows", softmax(300, 5, Quantization(0.05, 0)), x)
    for i in range(50):
        table = rng.integers(0, ONE, int(rng.integers(1, MAX_TABLE + 1)), endpoint=True)
        table[0] = ONE
        table >>= rng.integers(0, 31, len(table)) * (np.arange(len(table)) > 0)
        depth = int(rng.integers(1, 40))
        x = rng.integers(-128, 128, depth).astype(np.int8)
        yield make_case(f"any table {i}", Softmax8(1, depth, table.astype(np.int32)), x)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for i, (params, operands, n_inputs) in enumerate(_bad_calls()):
        yield BadCase(f"bad {i}", Softmax8.KERNEL, params, operands, n_inputs)


def _bad_calls() -> Iterable[tuple[bytes, Operands, int]]:
    good = _params(2, 3, [ONE, 5])
    operands = (("b", 6), ("b", 6))
    for wrong in (b"", good[:4], good[:-4], good + bytes(4), _params(2, 3, [])):
        yield wrong, operands, 1
    for rows, depth in ((0, 3), (2, 0), (1, MAX_DEPTH + 1), (MAX_ROWS, 65535)):
        size = rows * depth
        yield _params(rows, depth, [ONE, 5]), (("b", size), ("b", size)), 1
    for table in ([ONE - 1, 5], [0, 5], [-1, 5], [ONE, -1], [ONE] * (MAX_TABLE + 1)):
        yield _params(2, 3, table), operands, 1
    for others, n_inputs in bad_operands(operands):
        yield good, others, n_inputs


def _params(rows: int, depth: int, table: list[int]) -> bytes:
    return struct.pack(f"<HHHxx{len(table)}i", rows, depth, len(table), *table)
