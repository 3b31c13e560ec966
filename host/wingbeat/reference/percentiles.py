"""Percentiles of each channel of a window.

Percentile p of n samples in order is the one with the number ``p / 100 (n - 1)``, from 0; between
two numbers, as much between the two samples: NumPy's method ``linear``. With a number in steps of
1/65536, of which i is whole and f the rest:

    ``x[i] + ((x[i + 1] - x[i]) f + 2^15 >> 16)``

which is off by at most one step of the samples, and by half a step where they are near each other.

References
----------
.. [1] R. J. Hyndman, Y. Fan, "Sample Quantiles in Statistical Packages", The American Statistician
   50 (4), 1996: definition 7.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import UsageError

from .signal_operator import SignalOperator

MAX_SAMPLES = 32767
MAX_CHANNELS = 255
MAX_PERCENTILES = 255

#: Steps of a sample's number.
ONE = 65536

_HEAD = struct.Struct("<HBB")
_COUNTERS = 256


@dataclass(frozen=True)
class Percentiles(SignalOperator):
    """Percentiles of each channel of a window of int16 samples.

    Parameters
    ----------
    n_samples : int
        1 to 32767.
    n_channels : int
        1 to 255, interleaved.
    places : tuple of int
        1 to 255 numbers of samples, in steps of 1/65536: 0 to (n_samples - 1) * 65536.
    """

    n_samples: int
    n_channels: int
    places: tuple[int, ...]

    OPCODE: ClassVar[int] = 107
    KERNEL: ClassVar[str] = "percentiles"

    def _problem(self) -> str | None:
        if not 1 <= self.n_samples <= MAX_SAMPLES:
            return f"a window has 1 to {MAX_SAMPLES} samples, not {self.n_samples}"
        if not 1 <= self.n_channels <= MAX_CHANNELS:
            return f"there are 1 to {MAX_CHANNELS} channels, not {self.n_channels}"
        if not 1 <= len(self.places) <= MAX_PERCENTILES:
            return f"there are 1 to {MAX_PERCENTILES} percentiles, not {len(self.places)}"
        last = (self.n_samples - 1) * ONE
        for place in self.places:
            if not 0 <= place <= last:
                return f"a sample's number is 0 to {last} of 1/{ONE}, not {place}"
        return None

    def encode(self) -> bytes:
        """Return u16 n_samples, u8 n_channels, n_percentiles; a u32 for each place."""
        head = _HEAD.pack(self.n_samples, self.n_channels, len(self.places))
        return head + struct.pack(f"<{len(self.places)}I", *self.places)

    @classmethod
    def _read(cls, params: bytes) -> Percentiles:
        n_samples, n_channels, count = _HEAD.unpack_from(params)
        return cls(n_samples, n_channels, struct.unpack_from(f"<{count}I", params, _HEAD.size))

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the window [n_samples, n_channels]."""
        return (("h", self.n_samples * self.n_channels),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of [n_channels, n_percentiles]."""
        return (("h", self.n_channels * len(self.places)),)

    @property
    def scratch(self) -> tuple[tuple[str, int], ...]:
        """A channel twice, and counters."""
        return (("H", 2 * self.n_samples + _COUNTERS),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        (x,) = inputs
        window = np.sort(x.reshape(len(x), self.n_samples, self.n_channels), axis=1)
        ordered = window.astype(np.int64)
        below, part = np.divmod(np.array(self.places), ONE)
        low = ordered[:, below]
        high = ordered[:, np.minimum(below + 1, self.n_samples - 1)]
        found = low + ((high - low) * part[:, np.newaxis] + ONE // 2) // ONE
        return (found.transpose(0, 2, 1).reshape(len(x), -1).astype(np.int16),)


def percentiles(n_samples: int, percents: Sequence[float], n_channels: int = 1) -> Percentiles:
    """Return the operator for percentiles such as 25, 50 (the median) and 75.

    Raises
    ------
    UsageError
        One is not 0 to 100, or there are too many.
    """
    for percent in percents:
        if not 0 <= percent <= 100:
            raise UsageError(f"percentiles are 0 to 100, not {percent}")
    places = (round(percent / 100 * (n_samples - 1) * ONE) for percent in percents)
    return Percentiles(n_samples, n_channels, tuple(places))
