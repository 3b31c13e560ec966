"""Test vectors of the downscale operator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from vectors.case import BadCase, Case, bad_calls, make_cases
from wingbeat.reference.downscale import MAX_CHANNELS, MAX_FACTOR, RGB, Downscale, Pixels

_RGB565 = (Pixels.RGB565, Pixels.RGB565_SWAPPED)


def cases(seed: int) -> Iterable[Case]:
    """Yield every kind of pixels with all sizes of blocks, the largest, and random ones."""
    rng = np.random.default_rng(seed)
    for factor in range(1, MAX_FACTOR + 1):
        size = 2 * factor + 3, 2 * factor + 5
        for number, channels in enumerate(_channels()):
            operator = Downscale(size, (1, 1 + number % 4), (2, 2), (factor, factor), *channels)
            yield from make_cases(f"{factor} {number}", operator, list(_rows(rng, operator)))
    for channels in _channels():
        operator = Downscale((1, 1), (0, 0), (1, 1), (1, 1), *channels)
        yield from make_cases(f"one pixel {channels}", operator, list(_rows(rng, operator)))
    wide = Downscale((2, 2047), (1, 0), (1, 2047))
    yield from make_cases("wide", wide, list(_rows(rng, wide)))
    yield from make_cases("crop", _CROP, list(_rows(rng, _CROP)))
    for number in range(60):
        operator = _any(rng)
        yield from make_cases(f"random {number}", operator, list(_rows(rng, operator)))


_CROP = Downscale((40, 48), (4, 8), (32, 32), channels=3, out_channels=3)


def _channels() -> Iterator[tuple[Pixels, int, int, int, bool]]:
    """Pixels, channels, first, out_channels, grey."""
    for pixels in _RGB565:
        yield pixels, RGB, 0, 1, True
        yield pixels, RGB, 0, RGB, False
    yield Pixels.BYTES, RGB, 0, 1, True
    yield Pixels.BYTES, 1, 0, 1, False
    yield Pixels.BYTES, 2, 1, 1, False
    yield Pixels.BYTES, 4, 1, 2, False
    yield Pixels.BYTES, MAX_CHANNELS, 0, MAX_CHANNELS, False


def _any(rng: np.random.Generator) -> Downscale:
    high, wide = (int(each) for each in rng.integers(1, 12, 2))
    rows, columns = (int(each) for each in rng.integers(1, 20, 2))
    top, left, below, right = (int(each) for each in rng.integers(0, 6, 4))
    size = top + rows * high + below, left + columns * wide + right
    kinds = list(_channels())
    kind = kinds[int(rng.integers(len(kinds)))]
    return Downscale(size, (top, left), (rows, columns), (high, wide), *kind)


def _rows(rng: np.random.Generator, operator: Downscale) -> Iterator[NDArray[np.generic]]:
    ((code, n),) = operator.inputs
    dtype = np.uint8 if code == "B" else np.uint16
    top = int(np.iinfo(dtype).max)
    yield np.full(n, top, dtype)
    yield rng.choice([0, top], n).astype(dtype)
    yield rng.integers(0, top, n, endpoint=True).astype(dtype)


def sound_operators() -> Iterator[Downscale]:
    """Yield what the bad cases are made from."""
    yield Downscale((9, 10), (1, 1), (2, 3), (3, 2), Pixels.RGB565_SWAPPED, RGB, 0, 1, True)
    yield Downscale((9, 10), (0, 2), (2, 2), (3, 3), Pixels.RGB565, RGB, 0, RGB)
    yield Downscale((9, 10), (1, 1), (2, 3), (4, 3), Pixels.BYTES, RGB, 0, 1, True)
    yield Downscale((9, 10), (1, 1), (2, 3), (4, 3), Pixels.BYTES, 4, 1, 2)
    yield Downscale((9, 10), (1, 1), (8, 9))
    yield Downscale((9, 20), (1, 1), (2, 1), (4, 17))


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for operator in sound_operators():
        changes: list[tuple[int, str, tuple[int, ...]]] = [
            (0, "<H", (0, 1, 2048, 65535)),
            (2, "<H", (0, 1, 2048, 65535)),
            *((at, "<H", (40, 65535)) for at in (4, 6)),
            *((at, "<H", (0, 40, 65535)) for at in (8, 10)),
            *((at, "<B", (0, 33, 128, 255)) for at in (12, 13)),
            (14, "<B", (3, 255)),
            (15, "<B", (0, 5, 255)),
            (16, "<B", (4, 255)),
            (17, "<B", (0, 5, 128, 130, 131, 255)),
            (18, "<B", (1, 255)),
            (19, "<B", (1, 255)),
        ]
        yield from bad_calls(operator, changes)
