"""Autocorrelation peaks against float64, on tones, draws and real recordings."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from motion import RATE, motion
from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.autocorrelation import ONE, Autocorrelation


def exact(windows: NDArray[np.int16], first: int, last: int) -> NDArray[np.float64]:
    """Autocorrelation [rows, lags, channels] of windows [rows, samples, channels]."""
    d = windows - windows.mean(axis=1, keepdims=True)
    n = d.shape[1]
    sums = [(d[:, : n - lag] * d[:, lag:]).sum(axis=1) for lag in range(first, last + 1)]
    power = (d * d).sum(axis=1)
    return np.asarray(np.stack(sums, axis=1) / np.where(power > 0, power, 1)[:, np.newaxis])


def largest_error(windows: NDArray[np.int16], first: int, last: int) -> float:
    """Of the value; the lag has to be one with nearly the greatest autocorrelation."""
    rows, n, channels = windows.shape
    (found,) = Autocorrelation(n, first, last, channels).apply(windows.reshape(rows, -1))
    value, lag = found.reshape(rows, channels, 2).transpose(2, 0, 1)
    r = exact(windows, first, last)
    error = float(np.abs(value / ONE - r.max(axis=1)).max())
    at_lag = np.take_along_axis(r, (lag - first)[:, np.newaxis], axis=1)[:, 0]
    assert (r.max(axis=1) - at_lag).max() <= 2 * error + 1 / ONE
    return error


@pytest.mark.parametrize(("n", "limit"), [(32, 2e-4), (128, 3e-4), (500, 1e-3), (2048, 2e-3)])
def test_error_on_draws(n: int, limit: float) -> None:
    rng = np.random.default_rng(n)
    for spread in (3, 400, 9000):
        windows = np.rint(rng.normal(0, spread, (60, n, 2))).astype(np.int16)
        windows[:30] += np.int16(3000)
        assert largest_error(windows, 1, n // 2) < limit


def test_error_on_real_recordings() -> None:
    windows, _ = motion(256, 64)
    assert largest_error(windows, RATE // 4, 2 * RATE) < 5e-4


def test_exercises_repeat_and_have_a_period() -> None:
    """Jumping jacks have a rhythm: most windows repeat within 0.4 to 2 seconds."""
    windows, names = motion(512, 128)
    jumps = windows[names == "jumpingjack"]
    (found,) = Autocorrelation(512, 40, 200, 3).apply(jumps.reshape(len(jumps), -1))
    best = found.reshape(-1, 3, 2)[:, :, 0].max(axis=1) / ONE
    assert np.median(best) > 0.5


def test_a_tone_has_its_period() -> None:
    time = np.arange(400)
    for period in (11, 25, 60):
        x = np.rint(5000 * np.sin(2 * np.pi * time / period) - 700).astype(np.int16)
        (found,) = Autocorrelation(400, 6, 90).apply(x[np.newaxis])
        assert found[0, 1] == pytest.approx(period, abs=1)
        assert found[0, 0] / ONE == pytest.approx(1 - period / 400, abs=0.02)


def test_nothing_moves() -> None:
    (found,) = Autocorrelation(9, 3, 5, 2).apply(np.full((1, 18), -32768, np.int16))
    assert found.tolist() == [[0, 3, 0, 3]]


def test_what_turns_over_is_negative() -> None:
    x = np.tile([100, -100], 8).astype(np.int16)
    (found,) = Autocorrelation(16, 1, 1).apply(x[np.newaxis])
    assert found.tolist() == [[-ONE * 15 // 16, 1]]


def test_what_users_get_wrong_is_named() -> None:
    for wrong, text in (
        ((1, 1, 1), "2 to 32767 samples, not 1"),
        ((9, 0, 3), "lags 0 to 3: expected 1 to 8"),
        ((9, 4, 3), "lags 4 to 3: expected 1 to 8"),
        ((9, 4, 9), "lags 4 to 9: expected 1 to 8"),
        ((9, 4, 5, 0), "1 to 255 channels, not 0"),
    ):
        with pytest.raises(UsageError, match=text):
            Autocorrelation(*wrong)
    good = Autocorrelation(9, 3, 5).encode()
    for damaged in (b"", good[:-4], good + bytes(4), good[:3] + b"\1" + good[4:]):
        with pytest.raises(FormatError, match="autocorrelation: bad parameters"):
            Autocorrelation.decode(damaged)
