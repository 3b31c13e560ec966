"""Numbers with 16 significant bits, for ratios of large sums on cores without division.

A number is ``m 2^e`` with ``2^15 <= m < 2^16``, or ``m = 0``. Results are rounded down to that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BITS = 16


@dataclass(frozen=True, eq=False)
class Number:
    """Numbers of 16 significant bits.

    Attributes
    ----------
    m, e : NDArray[int64]
        The numbers are ``m 2^e``.
    """

    m: NDArray[np.int64]
    e: NDArray[np.int64]

    @classmethod
    def of(cls, value: NDArray[Any] | int, e: NDArray[Any] | int = 0) -> Number:
        """``value 2^e`` for values from 0 to 2^32 - 1, rounded down."""
        values, exponents = np.broadcast_arrays(
            np.asarray(value, np.int64), np.asarray(e, np.int64)
        )
        length = np.frexp(values.astype(np.float64))[1].astype(np.int64)
        shift = np.where(values > 0, length - _BITS, 0)
        m = np.where(shift > 0, values >> np.maximum(shift, 0), values << np.maximum(-shift, 0))
        return cls(m, exponents + shift)

    def __mul__(self, other: Number) -> Number:
        return Number.of(self.m * other.m, self.e + other.e)

    def __truediv__(self, other: Number) -> Number:
        """The other is not 0."""
        return Number.of((self.m << _BITS) // np.maximum(other.m, 1), self.e - other.e - _BITS)

    def floor(self, limit: int) -> NDArray[np.int64]:
        """The integers below, at most a limit below 2^31."""
        right = self.m >> np.clip(-self.e, 0, 63)
        value = np.where(self.e > 0, self.m << np.clip(self.e, 0, 31), right)
        return np.minimum(value, limit)
