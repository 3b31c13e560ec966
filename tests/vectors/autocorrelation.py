"""Test vectors of autocorrelation peaks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from vectors.case import BadCase, Case, bad_calls, make_cases
from wingbeat.reference.autocorrelation import Autocorrelation


def cases(seed: int) -> Iterable[Case]:
    """Yield windows of any size, with and without a period, as loud and as soft as can be."""
    rng = np.random.default_rng(seed)
    for n, first, last, channels in (
        *((2, 1, 1, 1), (2, 1, 1, 3), (3, 1, 2, 1), (5, 4, 4, 2), (64, 5, 40, 3)),
        *((127, 1, 126, 1), (129, 20, 64, 2), (500, 100, 120, 1), (2047, 2040, 2046, 1)),
        (32767, 9, 10, 1),
    ):
        size = n * channels
        time = np.repeat(np.arange(n), channels)
        rows = [rng.integers(-32768, 32768, size), rng.normal(0, 900, size)]
        rows += [np.full(size, value) for value in (-32768, 0, 32767)]
        rows += [rng.choice([-32768, 32767], size), np.where(time % 2, 32767, -32768)]
        rows += [32766 + (time == n - 1), -32768 + (time == 0), rng.integers(30000, 30002, size)]
        rows += [np.where(time == 0, 32767, -32768), 20000 * np.sin(time / 3), 5 * time - n]
        windows = [row.astype(np.int16) for row in rows[: 4 if n == 32767 else None]]
        operator = Autocorrelation(n, first, last, channels)
        yield from make_cases(f"{n} x {channels}, {first} to {last}", operator, windows)


def sound_operators() -> Iterator[Autocorrelation]:
    """Yield what the bad cases are made from."""
    yield Autocorrelation(9, 2, 5, 2)
    yield Autocorrelation(2, 1, 1)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for operator in sound_operators():
        n = operator.n_samples
        changes = [(0, "<H", (0, 1, n + 1, 32768)), (2, "<B", (0, 9)), (3, "<B", (1,))]
        lags = [(4, "<H", (0, operator.last + 1, 65535)), (6, "<H", (0, n, n + 1, 65535))]
        yield from bad_calls(operator, [*changes, *lags])
