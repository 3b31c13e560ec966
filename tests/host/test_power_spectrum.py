"""The power spectrum: what it is of, and how exact."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.power_spectrum import (
    WINDOWS,
    PowerSpectrum,
    power_spectrum,
    window_function,
)

LENGTHS = (64, 128, 256, 512, 1024, 2048)

NOISE_FLOOR = 10 ** (-74 / 20)
"""Root mean square error of a bin's magnitude, at most, as a share of the largest bin."""


def magnitudes(operator: PowerSpectrum, x: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return magnitudes [rows, n_channels, n_bins] of windows [rows, n, n_channels]."""
    power, exponent = operator.apply(x.reshape(len(x), -1))
    shaped = power.view(np.uint32).reshape(len(x), operator.n_channels, operator.n_bins)
    return np.asarray(np.sqrt(shaped * 2.0 ** exponent[:, :, np.newaxis]))


def by_definition(x: NDArray[np.int16], window: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.abs(np.fft.rfft(x * window[:, np.newaxis], axis=1)).swapaxes(1, 2)


def signals(rng: np.random.Generator, n: int) -> NDArray[np.int16]:
    """Return noise and mixed tones from the softest to the loudest, two channels of them."""
    time = np.arange(n)[:, np.newaxis]
    rows = []
    for amplitude in (3, 20, 300, 5000, 32767):
        rows.append(rng.normal(0, amplitude / 3, (n, 2)))
        frequency, phase = rng.uniform(0, np.pi, (2, 2))
        rows.append(amplitude * np.sin(frequency * time + phase))
        rows.append(rows[-1] / 2 + rows[-2] / 100)
    return np.clip(np.rint(rows), -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("name", WINDOWS)
def test_error_against_float64(n: int, name: str) -> None:
    x = signals(np.random.default_rng(n), n)
    expected = by_definition(x, window_function(name, n, n))
    error = magnitudes(power_spectrum(n, 2, name), x) - expected
    share = np.sqrt((error**2).mean(axis=2)) / expected.max(axis=2)
    assert share.max() < NOISE_FLOOR


@pytest.mark.parametrize("n", LENGTHS)
def test_loudest_signals_do_not_overflow(n: int) -> None:
    rng = np.random.default_rng(1)
    time = np.arange(n)
    rows = [
        np.full(n, -32768),
        *(np.where(time // k % 2, 32767, -32768) for k in (1, 2, 3, n // 4)),
    ]
    rows += [rng.choice([-32768, 32767], n) for _ in range(50)]
    # In phase with one bin, for every bin of the shortest transform.
    rows += [np.where(np.cos(2 * np.pi * k * time / n) >= 0, 32767, -32768) for k in range(33)]
    x = np.array(rows, np.int16)[:, :, np.newaxis]
    expected = by_definition(x, np.ones(n))
    error = magnitudes(power_spectrum(n, 1, "rectangular"), x) - expected
    assert (np.sqrt((error**2).mean(axis=2)) / expected.max(axis=2)).max() < NOISE_FLOOR


def test_channels_are_transformed_apart() -> None:
    x = signals(np.random.default_rng(2), 128)
    both = magnitudes(power_spectrum(128, 2), x)
    for channel in (0, 1):
        alone = magnitudes(
            power_spectrum(128), np.ascontiguousarray(x[:, :, channel : channel + 1])
        )
        np.testing.assert_array_equal(both[:, channel], alone[:, 0])


def test_silence_has_no_power() -> None:
    power, _ = power_spectrum(64).apply(np.zeros((1, 64), np.int16))
    assert not power.any()


@pytest.mark.parametrize("name", ["hann", "hamming", "blackman"])
def test_window_functions_are_those_of_scipy(name: str) -> None:
    np.testing.assert_allclose(window_function(name, 64, 64), signal.get_window(name, 64))
    shorter = window_function(name, 400, 512)
    assert not shorter[:56].any()
    assert not shorter[457:].any()
    np.testing.assert_allclose(shorter[57:456], signal.get_window(name, 400)[1:])
    np.testing.assert_allclose(shorter[1:], shorter[:0:-1])


def test_any_even_window_is_taken() -> None:
    values = signal.get_window(("kaiser", 6.0), 64)
    operator = power_spectrum(64, window=values)
    np.testing.assert_array_equal(operator.window, np.rint(values[:33] * 2**14).clip(max=16383))
    assert np.array_equal(power_spectrum(64, window=list(values)).window, operator.window)


def test_what_users_get_wrong_is_named() -> None:
    for n in (0, 32, 100, 4096):
        with pytest.raises(UsageError, match="64 to 2048 samples, a power of two"):
            power_spectrum(n)
    with pytest.raises(UsageError, match="1 to 255 channels"):
        power_spectrum(64, 0)
    with pytest.raises(UsageError, match="choose from rectangular, hann"):
        power_spectrum(64, window="hanning")
    for length in (1, 63, 66):
        with pytest.raises(UsageError, match="both must be even"):
            power_spectrum(64, length=length)
    with pytest.raises(UsageError, match=r"w\[i\] = w\[64 - i\]"):
        power_spectrum(64, window=np.arange(64) / 64)
    with pytest.raises(UsageError, match=r"w\[i\] = w\[64 - i\]"):
        power_spectrum(64, window=np.ones(65))
    with pytest.raises(UsageError, match="divide it by its largest"):
        power_spectrum(64, window=np.full(64, 1.5))
    with pytest.raises(UsageError, match=r"expected int16 of shape \[rows, 64\]"):
        power_spectrum(64).apply(np.zeros((1, 64), np.int32))
    good = power_spectrum(64)
    with pytest.raises(UsageError, match=r"window: expected int16 \[33\]"):
        PowerSpectrum(64, 1, good.window[1:], good.twiddles)
    with pytest.raises(UsageError, match=r"twiddles: expected int16 \[46, 2\]"):
        PowerSpectrum(64, 1, good.window, good.twiddles.astype(np.int32))


def test_parameters_survive_and_damage_is_refused() -> None:
    good = power_spectrum(128, 3, "hamming")
    params = good.encode()
    again = PowerSpectrum.decode(params)
    assert again.encode() == params
    assert (again.n, again.n_channels) == (128, 3)
    assert len(power_spectrum(512).encode()) == 2040
    for damaged in (b"", params[:-4], params + bytes(4), b"\0\1" + params[2:]):
        with pytest.raises(FormatError, match="power spectrum: "):
            PowerSpectrum.decode(damaged)
