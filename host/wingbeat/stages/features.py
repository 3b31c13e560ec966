"""Stages that make numbers of a window: statistics and spectra of each channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import UsageError
from wingbeat.program import ProgramBuilder
from wingbeat.reference.autocorrelation import Autocorrelation
from wingbeat.reference.band_energies import band_energies, log_band_energies, mel_bands
from wingbeat.reference.concat import Concat
from wingbeat.reference.log2 import LOG_BITS, Log2
from wingbeat.reference.matrix import dct_weights, matrix
from wingbeat.reference.moments import MOMENTS, Moments
from wingbeat.reference.peak_normalize import PeakNormalize
from wingbeat.reference.percentiles import percentiles
from wingbeat.reference.power_spectrum import power_spectrum
from wingbeat.reference.window_stats import STATISTICS, WindowStats

from .base import Shape, Stage, expect_window, of_channels


@dataclass(frozen=True)
class StatisticsStage(Stage):
    """Statistics of each channel over a window.

    Parameters
    ----------
    names : sequence of str
        Of mean, std, min, max, rms, mean_crossings, peak_to_peak; skewness, kurtosis,
        zero_crossings. By default the first seven.
    """

    names: Sequence[str] = STATISTICS

    KIND: ClassVar[str] = "statistics"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append one operator, or two and put their results beside each other."""
        expect_window(before, 2)
        unknown = [name for name in self.names if name not in STATISTICS + MOMENTS]
        if unknown or not self.names:
            raise UsageError(
                f"names = {list(self.names)}: expected some of {', '.join(STATISTICS + MOMENTS)}"
            )
        simple = tuple(name for name in self.names if name in STATISTICS)
        moments = tuple(name for name in self.names if name in MOMENTS)
        after = before.frame(of_channels((*simple, *moments), before.names))
        parts = []
        if simple:
            parts.append(to.add(WindowStats(before.length, before.width, simple), tensor))
        if moments:
            parts.append(to.add(Moments(before.length, before.width, moments), tensor))
        if len(parts) == 1:
            return parts[0], after
        both = Concat(before.width, (len(simple), len(moments)), "h")
        return to.add(both, *parts), after


@dataclass(frozen=True)
class PercentilesStage(Stage):
    """Percentiles of each channel over a window, as NumPy has them by default.

    Parameters
    ----------
    of : sequence of float
        0 (the least) to 100 (the greatest); 50 is the median.
    """

    of: Sequence[float] = (25.0, 50.0, 75.0)

    KIND: ClassVar[str] = "percentiles"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append the operator."""
        expect_window(before, 2)
        names = of_channels([f"percentile {each:g}" for each in self.of], before.names)
        operator = percentiles(before.length, self.of, before.width)
        return to.add(operator, tensor), before.frame(names)


@dataclass(frozen=True)
class AutocorrelationStage(Stage):
    """How strongly each channel of a window repeats itself, and after how many samples.

    Parameters
    ----------
    f_min, f_max : float, optional
        Repetitions a second that are looked for; 2 to 16 in a window by default.
    """

    f_min: float | None = None
    f_max: float | None = None

    KIND: ClassVar[str] = "autocorrelation"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append the operator: the greatest autocorrelation in steps of 2^-15, and its lag."""
        expect_window(before, 3)
        windows = before.rate / before.length
        low = 2 * windows if self.f_min is None else self.f_min
        high = 16 * windows if self.f_max is None else self.f_max
        least = before.rate / (before.length - 1)
        if self.f_max is None:
            high = min(max(high, low), before.rate)
        if not 0 < least <= low <= high <= before.rate:
            raise UsageError(
                f"f_min = {low:g}, f_max = {high:g}: expected {least:.4g} Hz, which is once a"
                f" window, or more, up to {before.rate:g} Hz, the lower one first"
            )
        first, last = (max(1, round(before.rate / each)) for each in (high, low))
        names = of_channels(("autocorrelation", "lag"), before.names)
        operator = Autocorrelation(before.length, first, last, before.width)
        return to.add(operator, tensor), before.frame(names)


@dataclass(frozen=True)
class SpectrumStage(Stage):
    """What all stages on the power spectrum of a window have in common.

    Parameters
    ----------
    f_min, f_max : float, optional
        Hz; up to half of the samples a second.
    window : str
        Window function: hann, hamming, blackman or rectangular.
    n_fft : int, optional
        Samples of the transform: the window's length, a power of two from 64 to 2048.
    floor : float
        The least logarithm to the base 2.
    """

    f_min: float = 0.0
    f_max: float | None = None
    window: str = "hann"
    n_fft: int | None = None
    floor: float = 0.0

    def spectrum(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, int]:
        """Append the transform: tensors of the power and of its exponents."""
        n = self.n_fft
        if n is not None and n != before.length:
            raise UsageError(f"n_fft is {n}, the window has {before.length} samples: make them one")
        return _spectrum(to, tensor, before, self.window)

    def limits(self, before: Shape) -> tuple[float, float]:
        """The lowest and the highest frequency, Hz."""
        top = before.rate / 2 if self.f_max is None else self.f_max
        if not 0 <= self.f_min < top <= before.rate / 2:
            raise UsageError(
                f"f_min = {self.f_min:g}, f_max = {top:g}: expected 0 or more, and up to"
                f" {before.rate / 2:g} Hz, half of the samples a second"
            )
        return self.f_min, top


@dataclass(frozen=True)
class PowerSpectrumStage(SpectrumStage):
    """Logarithm to the base 2 of the power at each frequency of a window, in steps of 1/512.

    Parameters
    ----------
    f_min, f_max, window, n_fft, floor
        See `SpectrumStage`.
    """

    KIND: ClassVar[str] = "power_spectrum"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append the transform and the logarithms."""
        power, exponents = self.spectrum(to, tensor, before)
        low, high = self.limits(before)
        hertz = np.arange(before.length // 2 + 1) * before.rate / before.length
        chosen = np.flatnonzero((hertz >= low) & (hertz <= high))
        if not len(chosen):
            raise UsageError(f"no frequency of the transform lies between {low:g} and {high:g} Hz")
        weights = np.zeros((len(chosen), len(hertz)))
        weights[np.arange(len(chosen)), chosen] = 1.0
        operator = log_band_energies(weights, before.width, floor=self.floor)
        names = of_channels([f"{hertz[bin]:.4g} Hz" for bin in chosen], before.names)
        return to.add(operator, power, exponents), before.frame(names)


@dataclass(frozen=True)
class BandEnergiesStage(Stage):
    """Energies of a window between frequencies.

    Parameters
    ----------
    edges : sequence of float
        Hz, rising: n + 1 edges make n bands. A frequency at an edge is of the upper band.
    log : bool
        Give logarithms to the base 2, int16 in steps of 1/512; else int32, for a stage log2.
    gain : int
        Without log: energies times 2^gain.
    window : str
        Window function: hann, hamming, blackman or rectangular.
    floor : float
        With log: the least one.
    """

    edges: Sequence[float]
    log: bool = True
    gain: int = 0
    window: str = "hann"
    floor: float = 0.0

    KIND: ClassVar[str] = "band_energies"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append the transform and the sums."""
        power, exponents = _spectrum(to, tensor, before, self.window)
        weights = self._weights(before)
        names = [
            f"{low:g} to {high:g} Hz"
            for low, high in zip(self.edges[:-1], self.edges[1:], strict=True)
        ]
        if self.log:
            operator = log_band_energies(weights, before.width, floor=self.floor)
        else:
            operator = band_energies(weights, before.width, gain=self.gain)
        after = before.frame(of_channels(names, before.names), "h" if self.log else "i")
        return to.add(operator, power, exponents), after

    def _weights(self, before: Shape) -> NDArray[np.float64]:
        edges, top = np.asarray(self.edges, np.float64), before.rate / 2
        rising = len(edges) > 1 and bool((np.diff(edges) > 0).all())
        if not rising or edges[0] < 0 or edges[-1] > top:
            raise UsageError(
                f"edges = {list(self.edges)}: expected two or more frequencies from 0 to {top:g}"
                " Hz, rising"
            )
        hertz = np.arange(before.length // 2 + 1) * before.rate / before.length
        last = np.append(edges[1:-1], np.inf if edges[-1] == top else edges[-1])
        inside = (hertz >= edges[:-1, np.newaxis]) & (hertz < last[:, np.newaxis])
        empty = np.flatnonzero(~inside.any(axis=1))
        if len(empty):
            low, high = edges[empty[0]], edges[empty[0] + 1]
            raise UsageError(
                f"no frequency of the transform lies between {low:g} and {high:g} Hz: they are"
                f" {before.rate / before.length:.4g} Hz apart; take wider bands or longer windows"
            )
        return inside.astype(np.float64)


@dataclass(frozen=True)
class LogMelStage(SpectrumStage):
    """Logarithms of the energies in mel bands of a window.

    Parameters
    ----------
    bands : int
    f_min, f_max, window, n_fft, floor
        See `SpectrumStage`.
    """

    bands: int = 40

    KIND: ClassVar[str] = "log_mel"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append the transform and the bands."""
        power, exponents = self.spectrum(to, tensor, before)
        low, high = self.limits(before)
        if not 1 <= self.bands <= before.length // 2:
            raise UsageError(
                f"bands = {self.bands}: expected 1 to {before.length // 2}, half of the window"
            )
        mel = mel_bands(before.rate, before.length, self.bands, low, high)
        operator = log_band_energies(mel, before.width, floor=self.floor)
        names = of_channels([f"band {i}" for i in range(self.bands)], before.names)
        return to.add(operator, power, exponents), before.frame(names)


@dataclass(frozen=True)
class MfccStage(LogMelStage):
    """Mel-frequency cepstral coefficients of a window.

    Parameters
    ----------
    coefficients : int
        The first ones of the cosine transform of the logarithms.
    """

    coefficients: int = 13

    KIND: ClassVar[str] = "mfcc"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append the mel bands and the cosine transform."""
        if not 1 <= self.coefficients <= self.bands:
            raise UsageError(
                f"coefficients = {self.coefficients}: expected 1 to {self.bands}, as many as bands"
            )
        logs, between = super().add(to, tensor, before)
        weights = dct_weights(self.bands, self.coefficients)
        names = of_channels([f"coefficient {i}" for i in range(self.coefficients)], before.names)
        transform = matrix(weights, n_rows=before.width)
        return to.add(transform, logs), replace(between, dims=(1, len(names)), names=tuple(names))


@dataclass(frozen=True)
class Log2Stage(Stage):
    """Logarithms to the base 2 of energies, in steps of 1/512.

    Parameters
    ----------
    floor : float
        The least one; also that of 0.
    """

    floor: float = 0.0

    KIND: ClassVar[str] = "log2"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append the operator."""
        if before.typecode != "i":
            raise UsageError(
                "expected int32, as band_energies with log = false gives, got int16: leave it out"
            )
        operator = Log2(before.n_elements, round(self.floor * (1 << LOG_BITS)))
        return to.add(operator, tensor), replace(before, typecode="h")


@dataclass(frozen=True)
class PeakNormalizeStage(Stage):
    """A window of logarithms relative to its greatest, so that loud and soft sounds are alike.

    The greatest becomes `depth`, and all that is `depth` or more below it becomes 0.

    Parameters
    ----------
    depth : float
        In logarithms to the base 2: 1 is 3 dB of energy.
    least : float
        A window whose greatest logarithm is lower is taken as if it was so much: silence stays
        silence.
    """

    depth: float = 9.0
    least: float = 0.0

    KIND: ClassVar[str] = "peak_normalize"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append the operator."""
        expect_window(before)
        depth, least = (round(each * (1 << LOG_BITS)) for each in (self.depth, self.least))
        return to.add(PeakNormalize(before.n_elements, depth, least), tensor), before


def _spectrum(to: ProgramBuilder, tensor: int, before: Shape, window: str) -> tuple[int, int]:
    """Append the transform: tensors of the power and of its exponents."""
    expect_window(before)
    first = to.add(power_spectrum(before.length, before.width, window), tensor)
    return first, first + 1
