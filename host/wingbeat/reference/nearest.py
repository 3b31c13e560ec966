"""Nearest: which of some centres a vector is nearest to, and how far it is.

The squares of the differences are added up exactly, so that the first centre with the least sum is
the nearest. The distance is the sum's root in steps of ``2^shift``:

    ``min(isqrt(sum >> (2 shift)), 32767)``

Behind a matrix that whitens, with one centre of zeros, this is the Mahalanobis distance; with the
centres of k-means it is what is left of a vector. See `wingbeat.anomaly`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .magnitude import exact_root
from .signal_operator import SignalOperator, padded

MAX_DIMENSIONS = 4096
MAX_CENTRES = 255
MAX_SHIFT = 8

_HEAD = struct.Struct("<HBB")
_INT16_MAX = 32767


@dataclass(frozen=True, eq=False)
class Nearest(SignalOperator):
    """Distance to the nearest centre.

    Parameters
    ----------
    centres : NDArray[int16] [n_centres, n_dimensions]
        1 to 255 of 1 to 4096 dimensions.
    shift : int
        0 to 8: distances are in steps of ``2^shift``.
    """

    centres: NDArray[np.int16]
    shift: int = 0

    OPCODE: ClassVar[int] = 116
    KERNEL: ClassVar[str] = "nearest"

    def _problem(self) -> str | None:
        if self.centres.ndim != 2 or self.centres.dtype != np.int16:
            return f"expected int16 centres, got {self.centres.dtype} {list(self.centres.shape)}"
        count, dimensions = self.centres.shape
        if not 1 <= count <= MAX_CENTRES:
            return f"there are 1 to {MAX_CENTRES} centres, not {count}"
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            return f"there are 1 to {MAX_DIMENSIONS} dimensions, not {dimensions}"
        if not 0 <= self.shift <= MAX_SHIFT:
            return f"a shift is 0 to {MAX_SHIFT}, not {self.shift}"
        return None

    def encode(self) -> bytes:
        """Return u16 n_dimensions, u8 n_centres, shift; the centres."""
        count, dimensions = self.centres.shape
        head = _HEAD.pack(dimensions, count, self.shift)
        return padded(head + self.centres.astype("<i2").tobytes())

    @classmethod
    def _read(cls, params: bytes) -> Nearest:
        dimensions, count, shift = _HEAD.unpack_from(params)
        centres = np.frombuffer(params, "<i2", dimensions * count, _HEAD.size)
        return cls(centres.astype(np.int16).reshape(count, dimensions), shift)

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the vector."""
        return (("h", self.centres.shape[1]),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the distance, and of the centre's number."""
        return (("h", 1), ("h", 1))

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        (x,) = inputs
        wide, centres = x.astype(np.int64), self.centres.astype(np.int64)
        sums = np.stack([((wide - centre) ** 2).sum(axis=1) for centre in centres], axis=1)
        nearest = sums.argmin(axis=1)[:, np.newaxis]
        least = np.take_along_axis(sums, nearest, axis=1) >> 2 * self.shift
        distance = exact_root(np.minimum(least, _INT16_MAX**2))
        return distance.astype(np.int16), nearest.astype(np.int16)


def nearest(centres: ArrayLike, *, shift: int = 0) -> Nearest:
    """Return the operator for centres [n_centres, n_dimensions], rounded and limited to int16.

    Raises
    ------
    UsageError
        They are too many, or the shift is out of range.
    """
    return Nearest(np.clip(np.rint(centres), -32768, 32767).astype(np.int16), shift)
