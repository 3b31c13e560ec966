"""Test vectors of the detector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from vectors.case import BadCase, Case, Memory, bad_calls, make_stream_cases
from wingbeat.reference import DTYPES
from wingbeat.reference.detector import Detector


def cases(seed: int) -> Iterable[Case]:
    """Yield streams of scores, and states that only a hostile program can hold."""
    rng = np.random.default_rng(seed)
    for number in range(45):
        typecode = "hbH"[number % 3]
        limits = np.iinfo(DTYPES[typecode])
        least, most = int(limits.min), int(limits.max)
        zero = int(rng.integers(least, most + 1)) if number % 2 else 0
        off, on = (int(value) * 256 for value in rng.integers(least, most, 2) - zero)
        n = (1, 32, 33, 255)[number] if number < 4 else int(rng.integers(1, 9))
        none = int(rng.integers(n + 1)) if number % 4 else None
        ignored = tuple(each for each in range(n) if rng.random() < 0.2)
        smoothing, hold_off = int(rng.integers(16)) if number % 5 else 0, number % 7
        operator = Detector(n, on, off, smoothing, hold_off, typecode, zero, none, ignored)
        rows = list(rng.integers(least, most + 1, (25, n)).astype(DTYPES[typecode]))
        rows += [np.full(n, value, DTYPES[typecode]) for value in (least, most)]
        yield from make_stream_cases(f"stream {number}", operator, rows)
    extremes = [-(2**31), 2**31 - 1, -1, 0, 1, 3, 4]
    for number in range(40):
        operator = Detector(3, 50 * 256, -50 * 256, int(rng.integers(16)), 5)
        before = rng.choice(extremes, 5).astype(np.int32)
        after = before.copy()
        x = rng.choice([-32768, 0, 32767], 3).astype(np.int16)
        (out,), _ = operator.advance([after], x[np.newaxis])
        kept = (Memory(2, before, after),)
        yield Case(f"state {number}", operator, (x,), (out[0],), operator.encode(), kept)


def sound_operators() -> Iterator[Detector]:
    """Yield what the bad cases are made from."""
    yield Detector(4, 100, 50, 3, 7, ignored=(1, 3))
    yield Detector(4, 100, 50, 3, 7, "b", -128, 2)
    yield Detector(32, 100, 50, 3, 7, "H", 65535, 0, (31,))


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    common: list[tuple[int, str, Sequence[int]]] = [
        *[(0, "<B", (0, 3, 5, 255)), (1, "<B", (16, 255)), (2, "<B", (0, *b"BiIfc"))],
        *[(3, "<B", (33, 255)), (12, "<i", (-32769, 65536, -(2**31))), (18, "<H", (1, 0x8000))],
    ]
    for operator in sound_operators():
        beyond = [(20, "<I", (16, 1 << 31))] if operator.n_scores == 4 else []
        yield from bad_calls(operator, [*common, *beyond])
