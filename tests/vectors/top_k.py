"""Test vectors of the largest scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from vectors.case import BadCase, Case, bad_calls, make_cases
from wingbeat.reference import DTYPES
from wingbeat.reference.top_k import TopK


def cases(seed: int) -> Iterable[Case]:
    """Yield scores with and without equal ones, of every dtype, also in order."""
    rng = np.random.default_rng(seed)
    sizes = [(1, 1), (2, 1), (5, 5), (10, 3), (300, 255), (255, 10), (1000, 5)]
    for number, (n, k) in enumerate(sizes * 3):
        typecode = "hbH"[number // len(sizes)]
        dtype, limits = DTYPES[typecode], np.iinfo(DTYPES[typecode])
        rows = [rng.integers(limits.min, limits.max + 1, n), rng.integers(0, 4, n)]
        rows += [np.full(n, value) for value in (limits.min, 0, limits.max)]
        rows += [np.sort(rows[0]), np.sort(rows[0])[::-1]]
        operator = TopK(n, k, typecode)
        yield from make_cases(f"{typecode} {n}, {k}", operator, [row.astype(dtype) for row in rows])


def sound_operators() -> Iterator[TopK]:
    """Yield what the bad cases are made from."""
    yield TopK(6, 2)
    yield TopK(6, 6, "b")
    yield TopK(1, 1, "H")


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for operator in sound_operators():
        changes = [
            (0, "<H", (0, 5, 7, 65535)),
            (2, "<B", (0, 3, 7, 255)),
            (3, "<B", (0, *b"BiIfc")),
        ]
        yield from bad_calls(operator, changes)
