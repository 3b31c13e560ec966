"""Test vectors of the moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from vectors.case import BadCase, Case, bad_calls, make_cases
from wingbeat.reference.moments import MOMENTS, Moments

_LOW, _HIGH = -32768, 32767


def cases(seed: int) -> Iterable[Case]:
    """Yield the edges and random windows of every shape of distribution."""
    rng = np.random.default_rng(seed)
    for n, channels in ((1, 1), (2, 1), (3, 5), (100, 2), (128, 6), (32767, 1), (2, 255)):
        operator = Moments(n, channels)
        yield from make_cases(f"{n} x {channels}", operator, list(_rows(rng, n, channels)))
    for names in (("kurtosis",), ("zero_crossings", "skewness", "zero_crossings"), MOMENTS * 50):
        operator = Moments(20, 2, names)
        yield from make_cases(f"{len(names)} of them", operator, list(_rows(rng, 20, 2)))


def _rows(rng: np.random.Generator, n: int, channels: int) -> Iterator[NDArray[np.int16]]:
    shape = n * channels
    for value in (_LOW, -1, 0, 1, _HIGH):
        yield np.full(shape, value, np.int16)
    yield rng.choice([_LOW, _HIGH], shape).astype(np.int16)
    yield np.resize([-1, 0, 1, 0], shape).astype(np.int16)
    for value in (_LOW, -1, 1, _HIGH):
        spike = np.zeros(shape, np.int16)
        spike[rng.integers(shape)] = value
        yield spike
    for width in np.exp(rng.uniform(0, np.log(20000), 5)):
        middle = rng.normal(0, 9000)
        for noise in (
            rng.normal(size=shape),
            rng.exponential(size=shape),
            rng.standard_t(3, shape),
        ):
            yield np.clip(middle + noise * width, _LOW, _HIGH).astype(np.int16)


def sound_operators() -> Iterator[Moments]:
    """Yield what the bad cases are made from."""
    yield Moments(7, 2)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for operator in sound_operators():
        changes = [
            (0, "<H", (0, 6, 32768, 65535)),
            (2, "<B", (0, 3)),
            (3, "<B", (0, 2, 4)),
            *((at, "<B", (3, 255)) for at in (4, 5, 6)),
            (7, "<B", (1, 255)),
        ]
        yield from bad_calls(operator, changes)
