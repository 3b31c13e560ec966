"""Test vectors of percentiles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from vectors.case import BadCase, Case, bad_calls, make_cases
from wingbeat.reference.percentiles import ONE, Percentiles, percentiles

_PERCENTS = (0, 10, 25, 50, 75, 90, 99.5, 100)


def cases(seed: int) -> Iterable[Case]:
    """Yield windows of any size with equal samples, extremes, and in order."""
    rng = np.random.default_rng(seed)
    for n, channels in ((1, 1), (1, 3), (2, 1), (3, 2), (9, 6), (128, 3), (255, 1), (257, 2)):
        size = n * channels
        rows = [rng.integers(-32768, 32768, size), rng.integers(-3, 3, size)]
        rows += [np.full(size, value) for value in (-32768, -1, 0, 32767)]
        rows += [rng.choice([-32768, 32767], size), np.arange(size) - size // 2]
        rows += [np.sort(rows[0]), np.sort(rows[0])[::-1]]
        windows = [row.astype(np.int16) for row in rows]
        yield from make_cases(f"{n} x {channels}", percentiles(n, _PERCENTS, channels), windows)
        places = tuple(int(each) for each in rng.integers(0, (n - 1) * ONE + 1, 5))
        yield from make_cases(f"{n} x {channels}, any", Percentiles(n, channels, places), windows)
    large = rng.integers(-32768, 32768, 2048).astype(np.int16)
    yield from make_cases("2048", percentiles(2048, (50,)), [large])
    many = tuple(range(0, 254 * ONE, ONE))
    yield from make_cases("254 places", Percentiles(255, 1, many), [large[:255]])


def sound_operators() -> Iterator[Percentiles]:
    """Yield what the bad cases are made from."""
    yield percentiles(5, (25, 50, 100), 2)
    yield percentiles(1, (50,))


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for operator in sound_operators():
        n, count = operator.n_samples, len(operator.places)
        changes = [(0, "<H", (0, n + 1, 32768, 65535)), (2, "<B", (0, 9))]
        beyond = [(n - 1) * ONE + 1, n * ONE, (1 << 32) - 1]
        places = [(4 + 4 * i, "<I", beyond) for i in range(count)]
        yield from bad_calls(operator, [*changes, (3, "<B", (0, count + 1, 255)), *places])
