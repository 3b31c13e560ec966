"""Autocorrelation peak: how strongly each channel of a window repeats itself, and after how long.

With n samples x of a channel and their sum S, ``n x - S`` is n times the exact deviation. It is
multiplied by the largest power of two with which the largest one, rounded down, is below
``2^b - 1``, and rounded to nearest: d. b is the largest of at most 15 with ``n 2^(2b) <= 2^31``, so
that no sum of products passes 32 bits. The autocorrelation at a lag l, as statistics defines it, is

    ``r(l) = sum(d[i] d[i + l]) / sum(d[i]^2)``, -1 to 1

The result is the greatest one over a range of lags in steps of 2^-15, cut towards 0, and the first
lag that has it. Where all samples are the same, they are 0 and the first lag.

References
----------
.. [1] G. E. P. Box, G. M. Jenkins, "Time Series Analysis: Forecasting and Control", 1970: the
   estimate r_k of the autocorrelation function.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .signal_operator import SignalOperator

#: Steps of one of the autocorrelation.
ONE = 1 << 15

MAX_SAMPLES = 32767
MAX_CHANNELS = 255

_STRUCT = struct.Struct("<HBxHH")
_SUM_BITS = 31
_MAX_BITS = 15


@dataclass(frozen=True)
class Autocorrelation(SignalOperator):
    """The greatest autocorrelation of each channel over a range of lags, and its lag.

    Parameters
    ----------
    n_samples : int
        2 to 32767.
    first, last : int
        Lags in samples: 1 or more, first to n_samples - 1. `first` is best above the lags at which
        any smooth signal is like itself.
    n_channels : int
        1 to 255, interleaved.
    """

    n_samples: int
    first: int
    last: int
    n_channels: int = 1

    OPCODE: ClassVar[int] = 108
    KERNEL: ClassVar[str] = "autocorrelation"

    def _problem(self) -> str | None:
        if not 2 <= self.n_samples <= MAX_SAMPLES:
            return f"a window has 2 to {MAX_SAMPLES} samples, not {self.n_samples}"
        if not 1 <= self.n_channels <= MAX_CHANNELS:
            return f"there are 1 to {MAX_CHANNELS} channels, not {self.n_channels}"
        if not 1 <= self.first <= self.last < self.n_samples:
            return (
                f"lags {self.first} to {self.last}: expected 1 to {self.n_samples - 1},"
                " the lower one first"
            )
        return None

    def encode(self) -> bytes:
        """Return u16 n_samples, u8 n_channels, 0, u16 first, last."""
        return _STRUCT.pack(self.n_samples, self.n_channels, self.first, self.last)

    @classmethod
    def _read(cls, params: bytes) -> Autocorrelation:
        n_samples, n_channels, first, last = _STRUCT.unpack(params)
        return cls(n_samples, first, last, n_channels)

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the window [n_samples, n_channels]."""
        return (("h", self.n_samples * self.n_channels),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of [n_channels, 2]: autocorrelation, lag."""
        return (("h", 2 * self.n_channels),)

    @property
    def scratch(self) -> tuple[tuple[str, int], ...]:
        """A channel's deviations."""
        return (("h", self.n_samples),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        (x,) = inputs
        n = self.n_samples
        wide = x.reshape(len(x), n, self.n_channels).astype(np.int64)
        bits = min(_MAX_BITS, (_SUM_BITS - (n - 1).bit_length()) // 2)
        d = _scaled(n * wide - wide.sum(axis=1, keepdims=True), (1 << bits) - 1)
        sums = np.stack(
            [(d[:, : n - lag] * d[:, lag:]).sum(axis=1) for lag in range(self.first, self.last + 1)]
        )
        place = sums.argmax(axis=0)
        greatest = np.take_along_axis(sums, place[np.newaxis], axis=0)[0]
        power = np.maximum((d * d).sum(axis=1), 1)
        value = np.sign(greatest) * (np.abs(greatest) * ONE // power)
        result = np.stack([np.minimum(value, ONE - 1), place + self.first], axis=2)
        return (result.reshape(len(x), -1).astype(np.int16),)


def _scaled(deviation: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Deviations [rows, samples, channels] times a power of two, rounded."""
    largest = np.abs(deviation).max(axis=1, keepdims=True)
    shift = np.zeros_like(largest)
    for _ in range(32):
        shift += largest >> np.maximum(shift, 0) >= limit
    for _ in range(_MAX_BITS):
        shift -= (shift <= 0) & (largest > 0) & (largest << 1 - np.minimum(shift, 0) < limit)
    half = (1 << np.maximum(shift, 0)) >> 1
    return np.asarray(((deviation << np.maximum(-shift, 0)) + half) >> np.maximum(shift, 0))
