"""Test vectors of gather: transposes, slices, splits and repeats."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import permutations

import numpy as np

from vectors.case import BadCase, Case, Operands, bad_operands, make_case, operands_of
from wingbeat.reference.gather import (
    MAX_ELEMENTS,
    Dimension,
    Gather,
    resize_nearest,
    split,
    strided_slice,
    transpose,
)

_ALL = slice(None)


def small_operators() -> Iterable[Gather]:
    """Yield operators for the tests of changed parameters."""
    table = np.array([3, 0, 1], np.uint16)
    one = Dimension(1, 0)
    yield Gather(20, 5, 2, (one, Dimension(3, 0, table), Dimension(2, 6), Dimension(2, -5)))
    yield Gather(9, 8, 1, (one, one, one, Dimension(9, -1)))
    yield Gather(9, 0, 1, (one, one, Dimension(2, 5), Dimension(3, 0, table)))


def _operators() -> Iterator[tuple[str, Gather]]:
    shape = (2, 3, 4, 5)
    for order in permutations(range(4)):
        yield f"transpose {order}", transpose(shape, order)
    all_slices: list[list[slice | int]] = [
        [_ALL, _ALL, _ALL, _ALL],
        [slice(None, None, -1)] * 4,
        [slice(1, 2), slice(0, 3, 2), slice(3, 0, -2), slice(1, None, 3)],
        [0, -1, _ALL, slice(4, None, -1)],
        [1, 2, 3, 4],
    ]
    for slices in all_slices:
        yield f"slice {slices}", strided_slice(shape, slices)
    for axis in range(4):
        for part, operator in enumerate(split(shape, axis, [1, shape[axis] - 1])):
            yield f"split {axis}, part {part}", operator
    for size in ((1, 1), (2, 3), (4, 6), (5, 7), (3, 2)):
        for corners in (False, True):
            for centers in (False, True):
                operator = resize_nearest(
                    (3, 2, 4), size, align_corners=corners, half_pixel_centers=centers
                )
                yield f"resize {size} {corners} {centers}", operator
    yield "words", transpose((3, 5, 36), (1, 0, 2))
    yield "large", transpose((90, 101), (1, 0))
    yield "more than 65535 in a run", strided_slice((70001,), [slice(1, None)])


def cases(seed: int) -> Iterable[Case]:
    """Yield all orders of dimensions, slices, splits and resizes."""
    rng = np.random.default_rng(seed)
    for name, operator in (*_operators(), *(("small", each) for each in small_operators())):
        x = rng.integers(-128, 128, operator.n_inputs).astype(np.int8)
        yield make_case(name, operator, x)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for i, (params, operands, n_inputs) in enumerate(_bad_calls()):
        yield BadCase(f"bad {i}", Gather.KERNEL, params, operands, n_inputs)


def _params(n: int, start: int, run: int, *dimensions: tuple[int, int, int]) -> bytes:
    filled = [(1, 0, 0)] * (4 - len(dimensions)) + list(dimensions)
    return struct.pack("<3I", n, start, run) + b"".join(struct.pack("<HHi", *d) for d in filled)


def _bad_calls() -> Iterable[tuple[bytes, Operands, int]]:
    for operator in small_operators():
        good, operands = operator.encode(), operands_of(operator)
        for wrong in (b"", good[:4], good[: len(good) // 2]):
            yield wrong, operands, 1
        for others, n_inputs in bad_operands(operands):
            yield good, others, n_inputs
    # Sound: of 11, from 1, runs of 2, three of them 4 apart.
    for n, start, run, dimensions in (
        (10, 1, 2, [(3, 0, 4)]),
        (11, 2, 2, [(3, 0, 4)]),
        (11, 1, 3, [(3, 0, 4)]),
        (11, 1, 2, [(3, 0, 5)]),
        (11, 7, 2, [(3, 0, -4)]),
        (11, 1, 0, [(3, 0, 4)]),
        (11, 1, 2, [(0, 0, 4)]),
        (11, 1, 2, [(3, 0, 65536)]),
        (11, 1, 2, [(3, 0, -65536)]),
        (11, 1, 2, [(3, 22, 0)]),
        (11, 1, 2, [(3, 22, 0), (1, 0, 0)]),
        (11, 1, 2, [(3, 65535, 0), (1, 0, 0)]),
        (11, 1, 2, [(0, 20, 0), (1, 0, 0)]),
        (11, 1, 2, [(65535, 0, 65535)]),
        (11, 1, 2, [(65535, 0, 0), (65535, 0, 0), (65535, 0, 0)]),
        (11, 0xFFFFFFFF, 2, [(1, 0, 0)]),
        (11, 1, 0xFFFFFFFF, [(1, 0, 0)]),
        (MAX_ELEMENTS + 1, 0, 1, [(1, 0, 0)]),
    ):
        total = run
        for count, _, _ in dimensions:
            total *= count
        operands = (("b", n), ("b", total & 0xFFFFFFFF))
        yield _params(n, start, run, *dimensions), operands, 1
