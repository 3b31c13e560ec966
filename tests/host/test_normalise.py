"""Normalise against the same in float64."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from wingbeat.errors import UsageError
from wingbeat.reference.normalise import Measure, Normalise


def pictures(n: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(n)
    middles, widths = rng.uniform(20, 230, 300), np.exp(rng.uniform(0.5, 4.5, 300))
    x = rng.normal(middles[:, None], widths[:, None], (300, n))
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("n", [64, 768, 65535])
@pytest.mark.parametrize(("typecode", "gain"), [("b", 32), ("h", 127)])
def test_deviations_are_those_of_float64(n: int, typecode: str, gain: int) -> None:
    x = pictures(n)
    (y,) = Normalise(n, gain, 256, typecode=typecode).apply(x)
    spread = np.maximum(x.std(axis=1, keepdims=True), 1)
    exact = gain * (x - x.mean(axis=1, keepdims=True)) / spread
    limits = np.iinfo(y.dtype)
    # Half a step of rounding; the mean is off by 1/256, the deviation by that and what a variance
    # loses by 1/n.
    deviation_off = 1 / 256 + 1 / (2 * n * spread)
    allowed = 0.5 + 1.1 * (np.abs(exact) * deviation_off + gain / 256) / spread
    assert np.all(np.abs(y - np.clip(exact, limits.min, limits.max)) <= allowed)


@pytest.mark.parametrize("n", [2, 100, 768])
def test_ranges_are_stretched_to_all_of_uint8(n: int) -> None:
    x = pictures(n)
    (y,) = Normalise(n, 255, 511, Measure.RANGE, 0, "B").apply(x)
    least, largest = x.min(axis=1, keepdims=True), x.max(axis=1, keepdims=True)
    exact = 255.0 * (x.astype(float) - least) / np.maximum(largest.astype(float) - least, 511 / 256)
    assert np.abs(y - exact).max() <= 0.51
    stretched = (largest - least)[:, 0] > 1
    assert set(y[stretched].min(axis=1)) == {0}
    assert set(y[stretched].max(axis=1)) == {255}


def test_light_does_not_matter() -> None:
    x = pictures(400)[:, :400] // 4 + 20
    (dark,), (bright,) = (Normalise(400, 32, 256).apply(each) for each in (x, x * 2 + 30))
    wide = x.std(axis=1) > 4
    assert np.abs(dark[wide].astype(int) - bright[wide]).max() <= 1


def test_an_even_picture_stays_even() -> None:
    (y,) = Normalise(9, 32, 1024, zero=4).apply(np.full((1, 9), 77, np.uint8))
    assert set(y.ravel()) == {4}


def test_a_least_deviation_too_small_is_refused() -> None:
    with pytest.raises(UsageError, match="expected above 2 "):
        Normalise(9, 256, 500)
