"""Test vectors of votes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from vectors.case import BadCase, Case, Memory, bad_calls, make_stream_cases
from wingbeat.reference import DTYPES
from wingbeat.reference.vote import Vote


def cases(seed: int) -> Iterable[Case]:
    """Yield streams of scores, and states that only a hostile program can hold."""
    rng = np.random.default_rng(seed)
    for number in range(30):
        typecode = "hbH"[number % 3]
        limits = np.iinfo(DTYPES[typecode])
        n = (1, 254)[number] if number < 2 else int(rng.integers(1, 6))
        votes = (1, 255)[number] if number < 2 else int(rng.integers(1, 12))
        least = int(rng.integers(limits.min, limits.max)) if number % 2 else int(limits.min)
        none = int(rng.integers(n + 1)) if number % 4 else None
        operator = Vote(n, votes, typecode, least, none)
        rows = list(rng.integers(limits.min, limits.max + 1, (25, n)).astype(DTYPES[typecode]))
        rows += [np.full(n, value, DTYPES[typecode]) for value in (limits.min, limits.max)]
        yield from make_stream_cases(f"stream {number}", operator, rows)
    for number in range(40):
        operator = Vote(3, 9, least=0)
        before = rng.choice([0, 1, 2, 3, 4, 5, 254, 255], 9).astype(np.uint8)
        after = before.copy()
        x = rng.choice([-32768, -1, 0, 32767], 3).astype(np.int16)
        (out,), _ = operator.advance([after], x[np.newaxis])
        kept = (Memory(2, before, after),)
        yield Case(f"state {number}", operator, (x,), (out[0],), operator.encode(), kept)


def sound_operators() -> Iterator[Vote]:
    """Yield what the bad cases are made from."""
    yield Vote(4, 9)
    yield Vote(4, 9, "b", 5, 2)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for operator in sound_operators():
        changes = [(0, "<B", (0, 3, 5, 255)), (1, "<B", (0, 8, 10)), (2, "<B", (0, *b"BiIfc"))]
        yield from bad_calls(operator, [*changes, (3, "<B", (5, 255))])
