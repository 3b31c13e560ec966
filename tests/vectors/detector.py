"""Test vectors of the detector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from vectors.case import BadCase, Case, Memory, bad_calls, make_stream_cases
from wingbeat.reference.detector import Detector


def cases(seed: int) -> Iterable[Case]:
    """Yield streams of scores, and states that only a hostile program can hold."""
    rng = np.random.default_rng(seed)
    for number in range(30):
        on, off = (int(value) for value in rng.integers(-20000, 20000, 2))
        n, smoothing, hold_off = int(rng.integers(1, 9)), int(rng.integers(16)), number % 7
        operator = Detector(n, on, off, smoothing if number % 2 else 0, hold_off)
        rows = list(rng.integers(-32768, 32768, (25, n)).astype(np.int16))
        yield from make_stream_cases(f"stream {number}", operator, rows)
    extremes = [-(2**31), 2**31 - 1, -1, 0, 1, 3, 4]
    for number in range(40):
        operator = Detector(3, 50, -50, int(rng.integers(16)), 5)
        before = rng.choice(extremes, 5).astype(np.int32)
        after = before.copy()
        x = rng.choice([-32768, 0, 32767], 3).astype(np.int16)
        (out,), _ = operator.advance([after], x[np.newaxis])
        kept = (Memory(2, before, after),)
        yield Case(f"state {number}", operator, (x,), (out[0],), operator.encode(), kept)


def sound_operators() -> Iterator[Detector]:
    """Yield what the bad cases are made from."""
    yield Detector(4, 100, 50, 3, 7)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for operator in sound_operators():
        yield from bad_calls(operator, [(0, "<B", (0, 3, 5, 255)), (1, "<B", (16, 255))])
