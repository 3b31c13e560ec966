"""Percentiles against NumPy's in float64, on draws and on real recordings."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from motion import motion
from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.percentiles import Percentiles, percentiles

PERCENTS = (0, 5, 12.5, 25, 50, 61.8, 75, 95, 100)


def assert_near(windows: NDArray[np.int16], limit: float) -> None:
    """Windows [rows, samples, channels]: within so many steps of NumPy's."""
    rows, n, channels = windows.shape
    (found,) = percentiles(n, PERCENTS, channels).apply(windows.reshape(rows, -1))
    exact = np.percentile(windows.astype(np.float64), PERCENTS, axis=1)
    error = np.abs(found.reshape(rows, channels, -1) - exact.transpose(1, 2, 0))
    assert error.max() <= limit


@pytest.mark.parametrize("n", [1, 2, 3, 50, 128, 2048])
def test_any_samples(n: int) -> None:
    rng = np.random.default_rng(n)
    assert_near(rng.integers(-32768, 32768, (40, n, 3)).astype(np.int16), 1.0)
    assert_near(rng.normal(0, 100, (40, n, 3)).astype(np.int16), 0.51)


def test_real_recordings() -> None:
    windows, _ = motion(128, 64)
    assert_near(windows, 0.6)


def test_known_ones() -> None:
    x = np.array([[5, 1, 4, 2, 3]], np.int16)
    (found,) = percentiles(5, (0, 25, 50, 60, 100)).apply(x)
    assert found.tolist() == [[1, 2, 3, 3, 5]]
    (found,) = percentiles(2, (50, 25), 2).apply(np.array([[-32768, 0, 32767, 10]], np.int16))
    assert found.tolist() == [[0, -16384, 5, 3]]


def test_what_users_get_wrong_is_named() -> None:
    for wrong, text in (
        ((0, (50,)), "1 to 32767 samples, not 0"),
        ((10, (101,)), "percentiles are 0 to 100, not 101"),
        ((10, ()), "1 to 255 percentiles, not 0"),
        ((10, (50,), 256), "1 to 255 channels, not 256"),
    ):
        with pytest.raises(UsageError, match=text):
            percentiles(*wrong)
    with pytest.raises(UsageError, match="0 to 65536 of 1/65536, not 65537"):
        Percentiles(2, 1, (65537,))
    good = percentiles(5, (50, 75)).encode()
    for damaged in (b"", good[:-4], good + bytes(4), good[:3] + b"\3" + good[4:]):
        with pytest.raises(FormatError, match="percentiles: bad parameters"):
            Percentiles.decode(damaged)
