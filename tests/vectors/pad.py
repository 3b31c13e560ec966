"""Test vectors of pad."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np

from vectors.case import BadCase, Case, Operands, bad_operands, make_case
from wingbeat.reference.pad import Pad, pad

_PADDINGS = (
    ((0, 0), (0, 0), (0, 0)),
    ((1, 2), (0, 0), (0, 0)),
    ((0, 0), (2, 1), (0, 0)),
    ((0, 0), (0, 0), (1, 3)),
    ((1, 1), (1, 1), (0, 0)),
    ((1, 2), (3, 4), (5, 6)),
)


def small_operators() -> Iterable[Pad]:
    """Yield operators for the tests of changed parameters."""
    yield Pad((2, 1, 3), (1, 0, 2), (0, 1, 1), -5)


def cases(seed: int) -> Iterable[Case]:
    """Yield paddings of every dimension, of shapes with and without whole words."""
    rng = np.random.default_rng(seed)
    for shape in ((1, 1, 1), (2, 3, 4), (5, 2, 16), (3, 4, 19)):
        x = rng.integers(-128, 128, int(np.prod(shape))).astype(np.int8)
        for paddings in _PADDINGS:
            for value in (-128, 5):
                name = f"{shape} {paddings} {value}"
                yield make_case(name, pad(shape, paddings, value), x)
    x = rng.integers(-128, 128, 3).astype(np.int8)
    yield make_case("large", Pad((1, 1, 3), (10, 20, 0), (0, 5, 300), 1), x)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for i, (params, operands, n_inputs) in enumerate(_bad_calls()):
        yield BadCase(f"bad {i}", Pad.KERNEL, params, operands, n_inputs)


def _params(counts: tuple[int, ...], before: tuple[int, ...], after: tuple[int, ...]) -> bytes:
    return struct.pack("<9Hbx", *counts, *before, *after, 7)


def _bad_calls() -> Iterable[tuple[bytes, Operands, int]]:
    none, one = (0, 0, 0), (1, 1, 1)
    good, operands = _params((2, 3, 4), one, (0, 0, 2)), (("b", 24), ("b", 3 * 4 * 7))
    for wrong in (b"", good[:4], good[:-4], good + bytes(4)):
        yield wrong, operands, 1
    for counts in ((0, 3, 4), (2, 0, 4), (2, 3, 0)):
        yield _params(counts, none, none), (("b", 0), ("b", 0)), 1
        whole = (counts[0] + 2) * (counts[1] + 2) * (counts[2] + 2)
        yield _params(counts, one, one), (("b", 0), ("b", whole)), 1
    for axis in range(3):
        for before, after in ((65535, 0), (65534, 1), (1, 65535), (65535, 65535)):
            amounts = [tuple(n if i == axis else 0 for i in range(3)) for n in (before, after)]
            size = before + after + 1
            yield _params(one, amounts[0], amounts[1]), (("b", 1), ("b", size)), 1
    size = 4097 * 4097
    yield _params(one, (4096, 4096, 0), none), (("b", 1), ("b", size)), 1
    size = 60001 * 60001 & 0xFFFFFFFF
    yield _params(one, (60000, 60000, 0), none), (("b", 1), ("b", size)), 1
    for others, n_inputs in bad_operands(operands):
        yield good, others, n_inputs
