"""FIR filters, means, scales and magnitudes against NumPy and scipy in float64."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.affine import Affine, affine, scale, standardize
from wingbeat.reference.fir import (
    Edges,
    Fir,
    decimate,
    delta,
    differentiate,
    fir,
    low_pass_taps,
)
from wingbeat.reference.magnitude import Magnitude, exact_root
from wingbeat.reference.peak_normalize import PeakNormalize
from wingbeat.reference.remove_mean import RemoveMean


def noise(*shape: int) -> NDArray[np.int16]:
    x = np.random.default_rng(shape[0]).normal(0, 6000, shape)
    return np.clip(np.rint(x), -32768, 32767).astype(np.int16)


def kept(operator: Fir, x: NDArray[np.int16], rows: int) -> NDArray[np.int16]:
    """Return the results of x [samples, channels], in some runs."""
    memory = [np.zeros(n, np.int16) for _, n in operator.scratch]
    (out,), due = operator.advance(memory, x.reshape(rows, -1))
    assert due.all()
    return np.asarray(out.reshape(-1, operator.n_channels))


@pytest.mark.parametrize(("n_taps", "most"), [(1, 1), (2, 1), (31, 2), (200, 8)])
def test_fir_is_that_of_scipy(n_taps: int, most: float) -> None:
    """Within a half of rounding, and a little of each rounded tap: 0.1 % of noise of 6000."""
    taps = signal.firwin(n_taps, 0.3) if n_taps > 1 else np.array([0.7])
    x = noise(600, 2)
    expected = signal.lfilter(taps, 1, x, axis=0)
    assert np.abs(kept(fir(taps, 600, 2), x, 1) - expected).max() < most
    assert np.abs(kept(fir(taps, 10, 2), x, 60) - expected).max() < most
    (inside,) = fir(taps, 600, 2, edges=Edges.INSIDE).apply(x.reshape(1, -1))
    valid = expected[n_taps - 1 :]
    assert np.abs(inside.reshape(-1, 2) - valid).max() < most
    # From a state of 0, each row for itself.
    (alone,) = fir(taps, 100, 2).apply(x.reshape(6, -1))
    np.testing.assert_array_equal(alone[0], kept(fir(taps, 100, 2), x[:100], 1).ravel())


def test_taps_use_the_bits_there_are() -> None:
    assert fir([0.25, 0.25], 9).shift == 16
    assert fir([1.0, -1.0], 9).shift == 14
    assert fir(np.full(1000, 1.0), 2000, edges=Edges.INSIDE).shift == 6


@pytest.mark.parametrize("factor", [2, 5])
def test_decimate_is_that_of_scipy(factor: int) -> None:
    taps = low_pass_taps(1 / factor, 20 * factor + 1)
    np.testing.assert_allclose(taps, signal.firwin(20 * factor + 1, 1 / factor), atol=1e-12)
    x = noise(1000, 3)
    expected = signal.lfilter(taps, 1, x, axis=0)[::factor]
    found = kept(decimate(20, factor, 3), x, 50)
    # The phase is that of the newest sample of each step.
    late = signal.lfilter(taps, 1, x, axis=0)
    assert found.shape == expected.shape
    assert min(np.abs(found - late[phase::factor]).max() for phase in range(factor)) < 1.5


def test_difference_goes_on_from_run_to_run() -> None:
    x = noise(40, 2) // 2
    found = kept(differentiate(8, 2), x, 5)
    np.testing.assert_array_equal(found, np.diff(x, axis=0, prepend=0))


def test_delta_is_the_regression() -> None:
    """HTK's formula, with the first and the last frame repeated."""
    x = noise(20, 13)
    (found,) = delta(20, 13).apply(x.reshape(1, -1))
    wide = np.pad(x.astype(float), ((2, 2), (0, 0)), mode="edge")
    expected = sum(k * (wide[2 + k : 22 + k] - wide[2 - k : 22 - k]) for k in (1, 2)) / 10
    assert np.abs(found.reshape(20, 13) - expected).max() < 0.8
    ramp = np.repeat(np.arange(0, 2000, 100, dtype=np.int16), 2)
    (slope,) = delta(20, 2).apply(ramp[np.newaxis])
    assert set(slope.reshape(20, 2)[2:-2].ravel().tolist()) == {100}


def test_mean_is_removed() -> None:
    x = noise(300, 3) + np.array([5000, -20, 0], np.int16)
    (found,) = RemoveMean(300, 3).apply(x.reshape(1, -1))
    assert np.abs(found.reshape(300, 3) - (x - x.mean(axis=0))).max() <= 0.5
    loud = np.array([[32767, -32768, -32768, -32768]], np.int16)
    (limited,) = RemoveMean(4).apply(loud)
    assert limited.tolist() == [[32767, -16384, -16384, -16384]]


def test_scale_saturates() -> None:
    x = np.array([[-32768, -100, 0, 3, 32767]], np.int16)
    (out,) = scale(2.5, 5).apply(x)
    assert out.tolist() == [[-32768, -250, 0, 8, 32767]]
    (out,) = scale(1 / 256, 5).apply(x)
    assert out.tolist() == [[-128, 0, 0, 0, 128]]


@pytest.mark.parametrize("typecode", ["h", "b", "B"])
def test_affine_is_within_half_a_step(typecode: str) -> None:
    rng = np.random.default_rng(2)
    factors, offsets = rng.normal(0, 0.002, 6), rng.normal(20, 40, 6)
    x = noise(50, 6)
    operator = affine(factors, offsets, n_rows=50, typecode=typecode)
    (found,) = operator.apply(x.reshape(1, -1))
    limits = np.iinfo(found.dtype)
    expected = np.clip(x * factors + offsets, limits.min, limits.max)
    assert np.abs(found.reshape(50, 6) - expected).max() < 0.51


def test_standardize_columns() -> None:
    x = noise(400, 3) // np.array([1, 30, 2], np.int16) + np.array([100, 50, -9], np.int16)
    x[:, 2] = 7
    operator = standardize(x.mean(axis=0), x.std(axis=0), n_rows=400)
    (found,) = operator.apply(x.reshape(1, -1).astype(np.int16))
    result = found.reshape(400, 3) / 1024
    np.testing.assert_allclose(result[:, :2].mean(axis=0), 0, atol=0.002)
    np.testing.assert_allclose(result[:, :2].std(axis=0), 1, atol=0.002)
    assert not result[:, 2].any()


def test_magnitude_is_the_norm_rounded_down() -> None:
    x = noise(500, 3)
    (found,) = Magnitude(500).apply(x.reshape(1, -1))
    norm = np.linalg.norm(x.astype(float), axis=1)
    np.testing.assert_array_equal(found[0], np.minimum(np.floor(norm), 32767))
    (most,) = Magnitude(1).apply(np.full((1, 3), -32768, np.int16))
    assert most.tolist() == [[32767]]


def test_exact_root() -> None:
    roots = np.array([0, 1, 2, 3, 1000, 46341, 2**24], np.int64)
    np.testing.assert_array_equal(exact_root(roots**2), roots)
    np.testing.assert_array_equal(exact_root(roots**2 + 2 * roots), roots)


def test_what_users_get_wrong_is_named() -> None:
    with pytest.raises(UsageError, match=r"expected taps \[n_taps\]"):
        fir([[1.0]], 9)
    with pytest.raises(UsageError, match="a multiple of 3"):
        fir([1.0], 10, step=3)
    with pytest.raises(UsageError, match="the taps are too large"):
        fir([70000.0], 10)
    with pytest.raises(UsageError, match="they do not fit"):
        fir([1.0, 1.0], 10, edges=Edges.REPEAT)
    with pytest.raises(UsageError, match="a factor is 2 or more"):
        decimate(10, 1)
    with pytest.raises(UsageError, match="0 outputs"):
        fir(np.ones(11), 10, edges=Edges.INSIDE)
    with pytest.raises(UsageError, match="as many factors as offsets"):
        affine([1.0], [1.0, 2.0])
    with pytest.raises(UsageError, match="factors are at most 32767"):
        affine([1e6], [0.0])
    with pytest.raises(UsageError, match="no output of 'i'"):
        affine([1.0], [0.0], typecode="i")
    with pytest.raises(UsageError, match="1 to 3 axes, not 4"):
        Magnitude(10, 4)
    with pytest.raises(UsageError, match="1 to 32767 samples"):
        RemoveMean(40000)
    for damaged in (Fir, Affine, Magnitude, RemoveMean):
        with pytest.raises(FormatError, match="bad parameters"):
            damaged.decode(bytes(4))


def test_peak_normalize_takes_away_how_loud_a_window_is() -> None:
    x = np.array([[-200, 100, -350]], np.int16)
    operator = PeakNormalize(3, 400)
    (y,) = operator.apply(x)
    assert y.tolist() == [[100, 400, 0]]
    (louder,) = operator.apply(x + np.int16(5000))
    assert np.array_equal(louder, y)
    (silence,) = PeakNormalize(3, 400, least=300).apply(x)
    assert silence.tolist() == [[0, 200, 0]]
    for wrong in ((0, 400), (3, 0), (3, 32768), (3, 400, 32768)):
        with pytest.raises(UsageError, match="peak_normalize: "):
            PeakNormalize(*wrong)
