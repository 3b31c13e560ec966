"""Test vectors of distances to centres."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from vectors.case import BadCase, Case, bad_calls, make_cases
from wingbeat.reference.nearest import Nearest, nearest


def cases(seed: int) -> Iterable[Case]:
    """Yield vectors near and far, equal distances, and the largest ones."""
    rng = np.random.default_rng(seed)
    for dimensions, count, shift in (
        *((1, 1, 0), (1, 255, 0), (3, 2, 1), (8, 5, 0), (13, 8, 3), (60, 16, 0)),
        *((400, 3, 8), (4096, 1, 4), (4096, 1, 8)),
    ):
        centres = rng.integers(-32768, 32768, (count, dimensions))
        centres[-1] = centres[0]
        rows = [rng.integers(-32768, 32768, dimensions), centres[0], centres[count // 2] + 1]
        rows += [np.full(dimensions, value) for value in (-32768, 0, 32767)]
        operator = nearest(centres, shift=shift)
        clipped = [np.clip(row, -32768, 32767).astype(np.int16) for row in rows]
        yield from make_cases(f"{count} of {dimensions}, {shift}", operator, clipped)
    for value in (-32768, 32767):
        centres = np.full((2, 40), value)
        rows = [np.full(40, other, np.int16) for other in (-32768, 0, 32767)]
        # Sums that saturate, and sums next to what 32 bits hold.
        for shift in (0, 2, 3, 8):
            yield from make_cases(f"{value}, {shift}", nearest(centres, shift=shift), rows)
        yield from make_cases(f"{value} alone", nearest(centres[:1, :1]), [row[:1] for row in rows])


def sound_operators() -> Iterator[Nearest]:
    """Yield what the bad cases are made from."""
    rng = np.random.default_rng(4)
    yield nearest(rng.integers(-999, 999, (3, 5)), shift=2)
    yield nearest(rng.integers(-999, 999, (1, 4)))


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for operator in sound_operators():
        count, dimensions = operator.centres.shape
        changes = [(0, "<H", (0, dimensions + 2, 4097, 65535)), (2, "<B", (0, count + 2, 255))]
        yield from bad_calls(operator, [*changes, (3, "<B", (9, 255))])
        if count * dimensions % 2:
            yield from bad_calls(operator, [(4 + 2 * count * dimensions, "<H", (1, 0x8000))])
