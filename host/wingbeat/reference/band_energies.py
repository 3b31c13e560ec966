"""Energies of frequency bands: weighted sums of a power spectrum, or their logarithms.

For each band with weights ``w`` in steps of 1/256, over its bins:

    ``S = sum_k 256 w[k] power[k]``, modulo 2^48
    energy ``= min(floor(S 2^(exponent + gain - 8)), 2^31 - 1)``, or
    logarithm ``= log2(S) + exponent - 8 + offset`` in steps of 1/512, not below a floor

with the logarithm as in `log2`, of the upper 32 bits of S where it has more.

`mel_bands` makes the weights of mel filter banks as librosa does.

References
----------
.. [1] M. Slaney, "Auditory Toolbox", Interval Research Corporation, Technical Report 1998-010:
   the mel scale that is linear below 1000 Hz, and bands of equal area.
.. [2] D. O'Shaughnessy, "Speech Communication: Human and Machine", 1987: the mel scale of HTK,
   ``2595 log10(1 + f / 700)``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wingbeat.errors import UsageError

from .log2 import LOG_BITS, fixed_log2, limited_log2, rounded_log2
from .signal_operator import SignalOperator, padded

WEIGHT_BITS = 8
MAX_WEIGHT = 255
MAX_BANDS = 255
MAX_CHANNELS = 255
MAX_BINS = 65535

_HEAD = struct.Struct("<HBBBbh")
_BAND = struct.Struct("<HHh")
_INT32_MAX = 2**31 - 1
_INT16 = (-32768, 32767)


@dataclass(frozen=True)
class Band:
    """One band.

    Attributes
    ----------
    start : int
        Its first bin.
    weights : bytes
        Of its bins, in steps of 1/256; 1 or more.
    offset : int
        What is added to its logarithm, in steps of 1/512; an int16.
    """

    start: int
    weights: bytes
    offset: int = 0


@dataclass(frozen=True)
class BandEnergies(SignalOperator):
    """Energies of bands of each channel's power spectrum.

    Parameters
    ----------
    n_bins : int
        Bins of a spectrum, 1 to 65535.
    n_channels : int
        1 to 255.
    bands : tuple of Band
        1 to 255.
    logarithm : bool
        Give int16 logarithms to the base 2 in steps of 1/512; else int32 energies.
    gain : int
        Energies are the real ones times 2^gain, -128 to 127. Not used by logarithms.
    floor : int
        The least logarithm. Not used by energies.
    """

    n_bins: int
    n_channels: int
    bands: tuple[Band, ...]
    logarithm: bool
    gain: int = 0
    floor: int = 0

    OPCODE: ClassVar[int] = 97
    KERNEL: ClassVar[str] = "band_energies"

    def _problem(self) -> str | None:
        if not 1 <= self.n_bins <= MAX_BINS:
            return f"a spectrum has 1 to {MAX_BINS} bins, not {self.n_bins}"
        if not 1 <= self.n_channels <= MAX_CHANNELS:
            return f"there are 1 to {MAX_CHANNELS} channels, not {self.n_channels}"
        if not 1 <= len(self.bands) <= MAX_BANDS:
            return f"there are 1 to {MAX_BANDS} bands, not {len(self.bands)}"
        if not -128 <= self.gain <= 127:
            return f"a gain is 2^-128 to 2^127, not 2^{self.gain}"
        if not _INT16[0] <= self.floor <= _INT16[1]:
            return f"the least logarithm is an int16, not {self.floor}"
        for number, band in enumerate(self.bands):
            end = band.start + len(band.weights)
            if not band.weights or band.start < 0 or end > self.n_bins:
                return f"band {number} has bins {band.start} to {end - 1} of {self.n_bins}"
            if not _INT16[0] <= band.offset <= _INT16[1]:
                return f"the offset of band {number} is {band.offset}: expected an int16"
        return None

    def encode(self) -> bytes:
        """Return head, bands and weights as in SPEC.md."""
        head = _HEAD.pack(
            self.n_bins,
            len(self.bands),
            self.n_channels,
            self.logarithm,
            self.gain,
            self.floor,
        )
        bands = [_BAND.pack(band.start, len(band.weights), band.offset) for band in self.bands]
        return padded(b"".join([head, *bands, *(band.weights for band in self.bands)]))

    @classmethod
    def _read(cls, params: bytes) -> BandEnergies:
        n_bins, n_bands, n_channels, logarithm, gain, floor = _HEAD.unpack_from(params)
        position = _HEAD.size + n_bands * _BAND.size
        bands = []
        for number in range(n_bands):
            start, count, offset = _BAND.unpack_from(params, _HEAD.size + number * _BAND.size)
            bands.append(Band(start, params[position : position + count], offset))
            position += count
        if position > len(params) or logarithm > 1:
            raise ValueError("weights are missing, or the kind of output is unknown")
        return cls(n_bins, n_channels, tuple(bands), bool(logarithm), gain, floor)

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of power [n_channels, n_bins] and of exponents."""
        return (("i", self.n_channels * self.n_bins), ("i", self.n_channels))

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of [n_channels, n_bands]."""
        return (("h" if self.logarithm else "i", self.n_channels * len(self.bands)),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        power, exponent = inputs
        rows = len(power)
        shaped = power.view(np.uint32).reshape(rows, self.n_channels, self.n_bins)
        sums = [_sums(shaped, band) for band in self.bands]
        s = np.stack(sums, axis=2)
        e = exponent.astype(np.int64)[:, :, np.newaxis]
        result = self._logarithms(s, e) if self.logarithm else self._energies(s, e)
        return (result.reshape(rows, -1),)

    def _logarithms(self, s: NDArray[np.int64], exponent: NDArray[np.int64]) -> NDArray[np.int16]:
        large = s >> 32 != 0
        shift = np.where(large, 16, 0)
        logs = rounded_log2(fixed_log2(np.maximum(s >> shift, 1)))
        offsets = np.array([band.offset for band in self.bands])
        wide = logs + ((exponent + shift - WEIGHT_BITS) << LOG_BITS) + offsets
        wrapped = wide.astype(np.int32).astype(np.int64)
        return limited_log2(np.where(s > 0, wrapped, self.floor), self.floor)

    def _energies(self, s: NDArray[np.int64], exponent: NDArray[np.int64]) -> NDArray[np.int32]:
        wrapped = (exponent + self.gain - WEIGHT_BITS).astype(np.int32).astype(np.int64)
        right = np.minimum(s >> np.clip(-wrapped, 0, 63), _INT32_MAX)
        shifted = np.minimum(right << np.clip(wrapped, 0, 31), _INT32_MAX)
        return np.asarray(shifted, np.int32)


def _sums(power: NDArray[np.uint32], band: Band) -> NDArray[np.int64]:
    """Weighted sums [rows, channels], modulo 2^48."""
    part = power[:, :, band.start : band.start + len(band.weights)].astype(np.uint64)
    total = part @ np.frombuffer(band.weights, np.uint8).astype(np.uint64)
    return np.asarray(total & np.uint64((1 << 48) - 1)).astype(np.int64)


def band_energies(weights: ArrayLike, n_channels: int = 1, *, gain: int = 0) -> BandEnergies:
    """Return the operator for energies as they are.

    Parameters
    ----------
    weights : array of float [n_bands, n_bins]
        Not negative, and not all 0 in any band. They are divided by a power of two that brings
        the largest below 1, and rounded to steps of 1/256.
    n_channels : int
    gain : int
        Results are the real energies times 2^gain.

    Raises
    ------
    UsageError
        The weights are not what they should be.
    """
    table = _table(weights)
    exponent = int(np.ceil(np.log2(table.max() * (1 << WEIGHT_BITS) / MAX_WEIGHT)))
    bands = [_band(row / 2.0**exponent) for row in table]
    return BandEnergies(table.shape[1], n_channels, tuple(bands), False, gain + exponent)


def log_band_energies(
    weights: ArrayLike, n_channels: int = 1, *, floor: float = 0.0
) -> BandEnergies:
    """Return the operator for logarithms of energies.

    Each band's weights are scaled so that the largest is 255/256; its logarithm is set right by
    an offset.

    Parameters
    ----------
    weights : array of float [n_bands, n_bins]
        Not negative, and not all 0 in any band.
    n_channels : int
    floor : float
        The least logarithm to the base 2, -64 to 63.

    Raises
    ------
    UsageError
        The weights are not what they should be.
    """
    table = _table(weights)
    one = 1 << LOG_BITS
    largest = table.max(axis=1) * (1 << WEIGHT_BITS) / MAX_WEIGHT
    bands = [
        _band(row / scale, round(float(np.log2(scale)) * one))
        for row, scale in zip(table, largest, strict=True)
    ]
    return BandEnergies(table.shape[1], n_channels, tuple(bands), True, 0, round(floor * one))


def _table(weights: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(weights, np.float64)
    if table.ndim != 2 or not np.isfinite(table).all() or (table < 0).any():
        raise UsageError("weights of bands: expected numbers of 0 or more, [n_bands, n_bins]")
    empty = np.flatnonzero(table.max(axis=1, initial=0) == 0)
    if len(empty):
        raise UsageError(
            f"band {empty[0]} has no bin of the spectrum: take fewer bands, or a longer transform"
        )
    return table


def _band(weights: NDArray[np.float64], offset: int = 0) -> Band:
    steps = np.clip(np.rint(weights * (1 << WEIGHT_BITS)), 0, MAX_WEIGHT).astype(np.uint8)
    used = np.flatnonzero(steps)
    if len(used) == 0:
        used = np.array([int(np.argmax(weights))])
    return Band(int(used[0]), steps[used[0] : used[-1] + 1].tobytes(), offset)


def mel_bands(
    rate: float,
    n_fft: int,
    n_bands: int,
    f_min: float = 0.0,
    f_max: float | None = None,
    *,
    scale: str = "slaney",
    equal_area: bool = True,
) -> NDArray[np.float64]:
    """Return the weights [n_bands, n_fft / 2 + 1] of a mel filter bank.

    They are librosa's ``filters.mel`` (by default with its ``htk=False, norm="slaney"``):
    triangles, each from the centre of the band below to that of the band above.

    Parameters
    ----------
    rate : float
        Samples a second.
    n_fft : int
        Samples of the transform.
    n_bands : int
    f_min, f_max : float
        In Hz; by default 0 to half of the rate.
    scale : str
        ``"slaney"`` or ``"htk"``.
    equal_area : bool
        Divide each band by half of its width in Hz; if not, each triangle's height is 1.

    Raises
    ------
    UsageError
        The scale is unknown, or the frequencies are out of range.
    """
    top = rate / 2 if f_max is None else f_max
    if scale not in _MEL_SCALES:
        raise UsageError(f"no mel scale {scale!r}: choose from {', '.join(_MEL_SCALES)}")
    if not 0 <= f_min < top <= rate / 2:
        raise UsageError(
            f"mel bands from {f_min} to {top} Hz: expected 0 <= f_min < f_max <= {rate / 2} Hz,"
            " half of the rate"
        )
    to_mel, to_hz = _MEL_SCALES[scale]
    first, last = to_mel(np.array([f_min, top], np.float64))
    edges = to_hz(np.linspace(first, last, n_bands + 2))
    frequencies = np.arange(n_fft // 2 + 1) * rate / n_fft
    lower, centre, upper = edges[:-2, np.newaxis], edges[1:-1, np.newaxis], edges[2:, np.newaxis]
    rising = (frequencies - lower) / (centre - lower)
    falling = (upper - frequencies) / (upper - centre)
    weights = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(weights * 2 / (upper - lower) if equal_area else weights)


_BREAK_HZ, _HZ_PER_MEL, _LOG_STEP = 1000.0, 200.0 / 3, np.log(6.4) / 27


def _slaney_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    above = np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.asarray(np.minimum(hz, _BREAK_HZ) / _HZ_PER_MEL + above)


def _slaney_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    knee = _BREAK_HZ / _HZ_PER_MEL
    above = np.exp(_LOG_STEP * np.maximum(mel - knee, 0))
    return np.asarray(np.minimum(mel, knee) * _HZ_PER_MEL * above)


def _htk_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(2595 * np.log10(1 + hz / 700))


def _htk_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))


_MEL_SCALES = {"slaney": (_slaney_mel, _slaney_hz), "htk": (_htk_mel, _htk_hz)}
