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
    yield Concat(2, (3, 3))
    yield Concat(2, (2, 3), "h")
    yield Concat(3, (1, 2, 1), "i")


def cases(seed: int) -> Iterable[Case]:
    """Yield two and three inputs, one row and several, with and without whole words."""
    rng = np.random.default_rng(seed)
    for n_rows in (1, 2, 7):
        for counts in ((1, 1), (4, 8), (16, 35), (3, 1, 5), (16, 32, 4), (1, 1, 1), (100, 64, 1)):
            inputs = [rng.integers(-128, 128, n_rows * n).astype(np.int8) for n in counts]
            yield make_case(f"{n_rows} rows of {counts}", Concat(n_rows, counts), *inputs)
            for code, dtype in (("h", np.int16), ("i", np.int32)):
                limits = np.iinfo(dtype)
                wide = [
                    rng.integers(limits.min, limits.max, n_rows * n, dtype, endpoint=True)
                    for n in counts
                ]
                name = f"{n_rows} rows of {counts}, {dtype.__name__}"
                yield make_case(name, Concat(n_rows, counts, code), *wide)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for i, (params, operands, n_inputs) in enumerate(_bad_calls()):
        yield BadCase(f"bad {i}", Concat.KERNEL, params, operands, n_inputs)


def _bad_calls() -> Iterable[tuple[bytes, Operands, int]]:
    for counts, code in (((3, 1, 0), "b"), ((3, 1, 2), "b"), ((3, 1, 2), "h"), ((1, 2, 0), "i")):
        good = _params(2, *counts, code)
        sizes = [2 * n * {"b": 1, "h": 2, "i": 4}[code] for n in counts if n]
        operands = (*((code, size) for size in sizes), (code, sum(sizes)))
        for wrong in (b"", good[:8], good + bytes(4), good[:8] + b"f\0\0\0", good[:11] + b"\1"):
            yield wrong, operands, len(sizes)
        for others, n_inputs in bad_operands(operands, len(sizes)):
            yield good, others, n_inputs
    for rows, first, second in ((0, 3, 1), (2, 0, 1), (2, 1, 0)):
        sizes = [rows * first, rows * second]
        operands = (*(("b", size) for size in sizes), ("b", sum(sizes)))
        yield _params(rows, first, second, 0), operands, 2
    size = 65535 * 65535 & 0xFFFFFFFF
    operands = (("b", size), ("b", size), ("b", 2 * size & 0xFFFFFFFF))
    yield _params(65535, 65535, 65535, 0), operands, 2


def _params(n_rows: int, first: int, second: int, third: int, code: str = "b") -> bytes:
    return struct.pack("<4Hc3x", n_rows, first, second, third, code.encode())
