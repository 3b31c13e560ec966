"""Test vectors of the logarithm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from vectors.case import BadCase, Case, bad_calls, make_case
from wingbeat.reference.log2 import Log2


def cases(seed: int) -> Iterable[Case]:
    """Yield values around every power of two, and random ones."""
    rng = np.random.default_rng(seed)
    powers = 1 << np.arange(31, dtype=np.int64)
    edges = np.concatenate([powers, powers - 1, powers + 1, -powers, [-(2**31), 2**31 - 1]])
    x = edges.astype(np.int32)
    for floor in (-32768, -1, 0, 512, 32767):
        yield make_case(f"edges, floor {floor}", Log2(len(x), floor), x)
    for n in (1, 2, 3, 65535):
        values = np.exp(rng.uniform(0, 21, n)).astype(np.int32)
        yield make_case(f"{n} random", Log2(n, int(rng.integers(0, 5000))), values)


def sound_operators() -> Iterator[Log2]:
    """Yield what the bad cases are made from."""
    yield Log2(5, 100)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for operator in sound_operators():
        yield from bad_calls(operator, [(0, "<H", (0, 4, 6, 65535))])
