"""Skewness, kurtosis and crossings against scipy in float64."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.moments import MOMENTS, ONE, Moments
from wingbeat.reference.number import Number

SHAPES = ("normal", "exponential", "heavy")


def draws(shape: str, n: int, width: float) -> NDArray[np.int16]:
    rng = np.random.default_rng(n)
    drawn = {
        "normal": rng.normal(size=(60, n)),
        "exponential": rng.exponential(size=(60, n)),
        "heavy": rng.standard_t(5, (60, n)),
    }
    return np.clip(np.rint(500 + width * drawn[shape]), -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [10, 128, 1000])
@pytest.mark.parametrize("width", [2, 100, 3000])
def test_error_against_scipy(shape: str, n: int, width: float) -> None:
    x = draws(shape, n, width)
    (found,) = Moments(n, 1, ("skewness", "kurtosis")).apply(x)
    skewness, kurtosis = found.T / ONE
    wanted = stats.kurtosis(x.astype(float), axis=1, fisher=False)
    # 12 bits for the largest sample: the others have fewer, the further out it lies.
    assert (np.abs(kurtosis - wanted) / wanted).max() < 0.03
    error = skewness - stats.skew(x.astype(float), axis=1)
    assert np.abs(error).max() < 0.05


def test_crossings_are_counted() -> None:
    x = np.array([[5, 0, -3, 2, 2, 0, 1, -1]], np.int16)
    (found,) = Moments(8, 1, ("zero_crossings",)).apply(x)
    assert found.tolist() == [[5]]
    tone = np.round(1000 * np.sin(2 * np.pi * 9.5 * np.arange(1000) / 1000 + 0.1))
    (found,) = Moments(1000, 1, ("zero_crossings",)).apply(tone.astype(np.int16)[np.newaxis])
    assert found.tolist() == [[19]]


def test_statistics_stand_in_the_order_asked_for() -> None:
    x = draws("exponential", 40, 100)
    (all_of_them,) = Moments(20, 2).apply(x)
    (some,) = Moments(20, 2, ("zero_crossings", "skewness")).apply(x)
    shaped = all_of_them.reshape(60, 2, 3)
    np.testing.assert_array_equal(some.reshape(60, 2, 2), shaped[:, :, [2, 0]])
    (one,) = Moments(20, 1).apply(np.ascontiguousarray(x.reshape(60, 20, 2)[:, :, 1]))
    np.testing.assert_array_equal(one, shaped[:, 1])


def test_nothing_moves() -> None:
    (found,) = Moments(9, 1).apply(np.full((1, 9), -5, np.int16))
    assert found.tolist() == [[0, 0, 0]]


def test_numbers_have_16_bits() -> None:
    rng = np.random.default_rng(1)
    a, b = np.exp(rng.uniform(0, 22.18, (2, 1000))).astype(np.int64)
    for found, exact in (
        (Number.of(a), a * 1.0),
        (Number.of(a) * Number.of(b), a * 1.0 * b),
        (Number.of(a) / Number.of(b), a / b),
    ):
        value = found.m * 2.0**found.e
        assert np.all(value <= exact * (1 + 2**-14))
        assert np.all(value >= exact * (1 - 2**-13))
    assert Number.of(np.array([7]), -1).floor(100).tolist() == [3]
    assert Number.of(np.array([7]), 40).floor(100).tolist() == [100]
    assert Number.of(np.array([7, 0]), -40).floor(100).tolist() == [0, 0]


def test_what_users_get_wrong_is_named() -> None:
    with pytest.raises(UsageError, match="1 to 32767 samples, not 0"):
        Moments(0, 1)
    with pytest.raises(UsageError, match="choose from skewness, kurtosis, zero_crossings"):
        Moments(5, 1, ("variance",))
    with pytest.raises(UsageError, match="1 to 255 statistics, not 0"):
        Moments(5, 1, ())
    good = Moments(5, 1, MOMENTS).encode()
    for damaged in (
        b"",
        good[:-4],
        good + bytes(4),
        good[:-1] + b"\1",
        good[:4] + b"\3" + good[5:],
    ):
        with pytest.raises(FormatError, match="moments: bad parameters"):
            Moments.decode(damaged)
