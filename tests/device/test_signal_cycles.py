"""The signal operators on a bare emulated Cortex-M0+: same bits as the reference, within budget."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rp2040.bare import BareCore, Result
from scipy import signal

from wingbeat.reference import DTYPES, Operator
from wingbeat.reference.affine import affine
from wingbeat.reference.autocorrelation import Autocorrelation
from wingbeat.reference.band_energies import band_energies, log_band_energies, mel_bands
from wingbeat.reference.biquads import biquads
from wingbeat.reference.detector import Detector
from wingbeat.reference.fir import Edges, delta, fir
from wingbeat.reference.log2 import Log2
from wingbeat.reference.magnitude import Magnitude
from wingbeat.reference.matrix import dct_weights, matrix
from wingbeat.reference.moments import Moments
from wingbeat.reference.nearest import nearest
from wingbeat.reference.peak_normalize import PeakNormalize
from wingbeat.reference.percentiles import percentiles
from wingbeat.reference.power_spectrum import power_spectrum
from wingbeat.reference.remove_mean import RemoveMean
from wingbeat.reference.top_k import TopK
from wingbeat.reference.vote import Vote

SPECTRUM_CYCLES = 100_000  # of 512 points
BIQUAD_CYCLES = 30  # a sample and section
LOG_MEL_CYCLES = 180_000  # of 512 points and 40 bands


@pytest.fixture(scope="module")
def core() -> Iterator[BareCore]:
    with BareCore() as running:
        yield running


def check_operator(core: BareCore, operator: Operator, *inputs: NDArray[Any]) -> Result:
    """Compare a kernel with its reference; the first input is aligned to its items only."""
    expected = operator.apply(*inputs)
    for offset in (DTYPES[operator.inputs[0][0]].itemsize, 0):
        result = core.run(operator, *inputs, offset=offset)
        for wanted, found in zip(expected, result.outputs, strict=True):
            np.testing.assert_array_equal(found, wanted)
    return result


def loud_noise(n_rows: int, n: int) -> NDArray[np.int16]:
    rng = np.random.default_rng(n)
    x = rng.normal(0, 5000, (n_rows, n))
    x[0] = -32768
    return np.clip(x, -32768, 32767).astype(np.int16)


@pytest.mark.parametrize(("n", "channels"), [(64, 2), (128, 1), (256, 3), (512, 1), (2048, 1)])
def test_power_spectrum(core: BareCore, n: int, channels: int) -> None:
    check_operator(core, power_spectrum(n, channels), loud_noise(3, n * channels))


def test_cycles_of_a_power_spectrum(core: BareCore) -> None:
    result = core.run(power_spectrum(512), loud_noise(3, 512))
    assert result.cycles.max() <= SPECTRUM_CYCLES


def test_band_energies(core: BareCore) -> None:
    power, exponent = power_spectrum(256, 2).apply(loud_noise(3, 512))
    weights = mel_bands(8000, 256, 20)
    check_operator(core, log_band_energies(weights, 2), power, exponent)
    check_operator(core, band_energies(weights, 2, gain=-9), power, exponent)


def test_logarithm(core: BareCore) -> None:
    x = np.random.default_rng(1).integers(-10, 2**31, (3, 50)).astype(np.int32)
    check_operator(core, Log2(50, -512), x)


def test_matrix(core: BareCore) -> None:
    check_operator(core, matrix(dct_weights(40, 13), n_rows=2), loud_noise(3, 80))


def test_cycles_of_log_mel(core: BareCore) -> None:
    x = loud_noise(3, 512)
    spectrum = core.run(power_spectrum(512), x)
    bands = core.run(log_band_energies(mel_bands(16000, 512, 40)), *spectrum.outputs)
    assert (spectrum.cycles + bands.cycles).max() <= LOG_MEL_CYCLES


@pytest.mark.parametrize("channels", [1, 3])
def test_biquads(core: BareCore, channels: int) -> None:
    sos = signal.ellip(6, 0.5, 60, 0.3, output="sos")
    check_operator(core, biquads(sos, 50, channels, keep=False), loud_noise(3, 50 * channels))


def test_cycles_of_biquads(core: BareCore) -> None:
    sos = signal.butter(4, 0.2, output="sos")
    result = core.run(biquads(sos, 256, keep=False), loud_noise(3, 256))
    assert result.cycles[1:].max() / 256 / len(sos) <= BIQUAD_CYCLES


def test_fir(core: BareCore) -> None:
    taps = signal.firwin(9, 0.3)
    check_operator(core, fir(taps, 40, 3, edges=Edges.INSIDE, step=2), loud_noise(3, 120))
    check_operator(core, delta(9, 4), loud_noise(3, 36))


def test_samples(core: BareCore) -> None:
    check_operator(core, RemoveMean(40, 3), loud_noise(3, 120))
    check_operator(core, Magnitude(40), loud_noise(3, 120))
    check_operator(core, PeakNormalize(120, 4608), loud_noise(3, 120))
    for typecode in "hbB":
        operator = affine([0.01, -0.3], [9, -7], n_rows=20, typecode=typecode)
        check_operator(core, operator, loud_noise(3, 40))


def test_cycles_of_filters(core: BareCore) -> None:
    """What they take today, with some room."""
    long = core.run(fir(signal.firwin(101, 0.3), 228, edges=Edges.INSIDE), loud_noise(1, 228))
    assert long.cycles.max() / 128 / 101 < 10
    assert core.run(matrix(dct_weights(40, 13)), loud_noise(1, 40)).cycles.max() < 6000


def test_moments(core: BareCore) -> None:
    check_operator(core, Moments(40, 3), loud_noise(3, 120))
    check_operator(core, Moments(40, 3), loud_noise(3, 120) // 5000)


def test_detector(core: BareCore) -> None:
    for typecode, most in (("b", 127), ("h", 32767), ("H", 65535)):
        x = np.random.default_rng(2).integers(0, most, (1, 12)).astype(DTYPES[typecode])
        check_operator(core, Detector(12, 128 * most, 64 * most, 2, 3, typecode), x)


def test_decisions(core: BareCore) -> None:
    scores = loud_noise(2, 12)[1:]
    check_operator(core, Vote(12, 9), scores)
    check_operator(core, TopK(12, 3), scores)


def test_percentiles(core: BareCore) -> None:
    check_operator(core, percentiles(40, (0, 30, 50, 100), 3), loud_noise(3, 120))
    # The time depends on sizes only.
    cycles = core.run(percentiles(128, (25, 50, 75)), loud_noise(3, 128)).cycles
    assert cycles.min() == cycles.max() <= 16500


def test_autocorrelation(core: BareCore) -> None:
    check_operator(core, Autocorrelation(60, 4, 30, 3), loud_noise(3, 180))
    check_operator(core, Autocorrelation(60, 4, 30, 3), loud_noise(3, 180) // 5000)
    # 55 lags of 128 samples: 5,005 products.
    assert core.run(Autocorrelation(128, 10, 64), loud_noise(3, 128)).cycles.max() <= 36500


def test_nearest(core: BareCore) -> None:
    x = loud_noise(4, 24)
    x[2] = 32767
    check_operator(core, nearest(loud_noise(5, 24)), x)
    check_operator(core, nearest(np.full((1, 24), -32768), shift=2), x)
    # Of the loop; the rest is set up once for each centre.
    long, short = (core.run(nearest(np.zeros((4, n))), loud_noise(1, n)) for n in (400, 200))
    assert (long.cycles - short.cycles).max() <= 13 * 4 * 200
