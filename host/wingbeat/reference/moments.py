"""Moments: skewness, kurtosis and crossings of zero of each channel of a window.

With n samples x of a channel and their sum S, ``n x - S`` is n times the exact deviation. It is
multiplied by the largest power of two with which the largest one, rounded down, is below 4095:

    ``d = floor((n x - S) 2^-s);  q = (d^2 + 128) >> 8``

With the sums of q, ``(q d + 2^11) >> 12`` and ``(q^2 + 2^15) >> 16`` over the samples, q2, q3 and
q4, the results in steps of 1/256 are, with ratios of `number`:

==============  ===============================================================================
skewness        ``sqrt(n) m3 / m2^(3/2)``: sign(q3) isqrt(floor(2^32 n q3^2 / q2^3)), to +-32767
kurtosis        ``n m4 / m2^2``, 3 for a normal distribution: floor(2^24 n q4 / q2^2), to 32767
zero_crossings  number of ``i >= 1`` with ``(x[i] > 0) != (x[i-1] > 0)``
==============  ===============================================================================

Both are 0 where all samples are the same.

References
----------
.. [1] D. N. Joanes, C. A. Gill, "Comparing Measures of Sample Skewness and Kurtosis", The
   Statistician 47 (1), 1998: these are their g1, and g2 + 3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .magnitude import exact_root
from .number import Number
from .signal_operator import SignalOperator, padded

#: Names of the statistics; the position is the id in a program.
MOMENTS = ("skewness", "kurtosis", "zero_crossings")

#: Steps of one of skewness and kurtosis.
ONE = 256

MAX_SAMPLES = 32767
MAX_CHANNELS = 255
MAX_STATISTICS = 255

_HEAD = struct.Struct("<HBB")
_DEVIATION_BITS = 12
_LARGEST_DEVIATION = 4095
_INT16_MAX = 32767


@dataclass(frozen=True)
class Moments(SignalOperator):
    """Statistics of each channel of a window of int16 samples.

    Parameters
    ----------
    n_samples : int
        1 to 32767.
    n_channels : int
        1 to 255, interleaved.
    statistics : tuple of str
        1 to 255 names out of `MOMENTS`, in the order of the output.
    """

    n_samples: int
    n_channels: int
    statistics: tuple[str, ...] = MOMENTS

    OPCODE: ClassVar[int] = 105
    KERNEL: ClassVar[str] = "moments"

    def _problem(self) -> str | None:
        if not 1 <= self.n_samples <= MAX_SAMPLES:
            return f"a window has 1 to {MAX_SAMPLES} samples, not {self.n_samples}"
        if not 1 <= self.n_channels <= MAX_CHANNELS:
            return f"there are 1 to {MAX_CHANNELS} channels, not {self.n_channels}"
        if not 1 <= len(self.statistics) <= MAX_STATISTICS:
            return f"there are 1 to {MAX_STATISTICS} statistics, not {len(self.statistics)}"
        for name in self.statistics:
            if name not in MOMENTS:
                return f"no statistic {name!r}: choose from {', '.join(MOMENTS)}"
        return None

    def encode(self) -> bytes:
        """Return u16 n_samples, u8 n_channels, n_statistics; their ids."""
        head = _HEAD.pack(self.n_samples, self.n_channels, len(self.statistics))
        return padded(head + bytes(MOMENTS.index(name) for name in self.statistics))

    @classmethod
    def _read(cls, params: bytes) -> Moments:
        n_samples, n_channels, count = _HEAD.unpack_from(params)
        ids = params[_HEAD.size : _HEAD.size + count]
        return cls(n_samples, n_channels, tuple(MOMENTS[number] for number in ids))

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the window [n_samples, n_channels]."""
        return (("h", self.n_samples * self.n_channels),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of [n_channels, n_statistics]."""
        return (("h", self.n_channels * len(self.statistics)),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        (x,) = inputs
        n = self.n_samples
        wide = x.reshape(len(x), n, self.n_channels).astype(np.int64)
        deviation = n * wide - wide.sum(axis=1, keepdims=True)
        largest = np.abs(deviation).max(axis=1, keepdims=True)
        shift = np.frexp(largest.astype(np.float64))[1].astype(np.int64) - _DEVIATION_BITS
        shift += _scaled(largest, shift) >= _LARGEST_DEVIATION
        d = _scaled(deviation, np.where(largest > 0, shift, 0))
        q = (d * d + 128) >> 8
        second, fourth = q.sum(axis=1), (q * q + 0x8000 >> 16).sum(axis=1)
        third = (q * d + 0x800 >> _DEVIATION_BITS).sum(axis=1)
        positive = wide > 0
        found = {
            "skewness": _skewness(second, third, n),
            "kurtosis": _kurtosis(second, fourth, n),
            "zero_crossings": (positive[:, 1:] != positive[:, :-1]).sum(axis=1),
        }
        result = np.stack([found[name] for name in self.statistics], axis=2)
        return (result.reshape(len(x), -1).astype(np.int16),)


def _scaled(values: NDArray[np.int64], shift: NDArray[np.int64]) -> NDArray[np.int64]:
    return (values << np.maximum(-shift, 0)) >> np.maximum(shift, 0)


def _skewness(second: NDArray[np.int64], third: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    size, power = Number.of(np.abs(third)), Number.of(second)
    ratio = (size * size * Number.of(n, 32)) / (power * power * power)
    root = exact_root(ratio.floor(_INT16_MAX**2))
    return np.where(second > 0, np.sign(third) * root, 0)


def _kurtosis(second: NDArray[np.int64], fourth: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    power = Number.of(second)
    ratio = (Number.of(fourth) * Number.of(n, 24)) / (power * power)
    return np.where(second > 0, ratio.floor(_INT16_MAX), 0)
