"""Test vectors of concat."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np

from vectors.case import BadCase, Case, Operands, bad_operands, make_case
from wingbeat.reference.concat import Concat


def small_operators() -> Iterable[Concat]:
    """Yield operators for the tests of changed parameters."""
    yield Concat(2, (3, 1))
    yield Concat(1, (3, 1, 4))


def cases(seed: int) -> Iterable[Case]:
    """Yield two and three inputs, one row and several, with and without whole words."""
    rng = np.random.default_rng(seed)
    for n_rows in (1, 2, 7):
        for counts in ((1, 1), (4, 8), (16, 35), (3, 1, 5), (16, 32, 4), (1, 1, 1), (100, 64, 1)):
            inputs = [rng.integers(-128, 128, n_rows * n).astype(np.int8) for n in counts]
            yield make_case(f"{n_rows} rows of {counts}", Concat(n_rows, counts), *inputs)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for i, (params, operands, n_inputs) in enumerate(_bad_calls()):
        yield BadCase(f"bad {i}", Concat.KERNEL, params, operands, n_inputs)


def _bad_calls() -> Iterable[tuple[bytes, Operands, int]]:
    for counts in ((3, 1, 0), (3, 1, 2)):
        good = struct.pack("<4H", 2, *counts)
        sizes = [2 * n for n in counts if n]
        operands = (*(("b", size) for size in sizes), ("b", sum(sizes)))
        for wrong in (b"", good[:4], good + bytes(4)):
            yield wrong, operands, len(sizes)
        for others, n_inputs in bad_operands(operands, len(sizes)):
            yield good, others, n_inputs
    for rows, *some in ((0, 3, 1), (2, 0, 1), (2, 1, 0)):
        sizes = [rows * n for n in some]
        operands = (*(("b", size) for size in sizes), ("b", sum(sizes)))
        yield struct.pack("<4H", rows, *some, 0), operands, 2
    size = 65535 * 65535 & 0xFFFFFFFF
    operands = (("b", size), ("b", size), ("b", 2 * size & 0xFFFFFFFF))
    yield struct.pack("<4H", 65535, 65535, 65535, 0), operands, 2
