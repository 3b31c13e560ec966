"""Affine: each column of a table times a factor plus an offset, to int16, int8 or uint8.

``y = (factor x + offset) >> shift``, the sum modulo 2^32, then limited to the output's dtype. It
standardizes features, changes gains, and quantizes inputs of nets.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wingbeat.errors import UsageError

from .base import DTYPES
from .signal_operator import SignalOperator, padded

MAX_ROWS = 65535
MAX_COLUMNS = 4096
MAX_SHIFT = 31
TYPECODES = ("h", "b", "B")

_HEAD = struct.Struct("<HHBcxx")
_INT16 = np.iinfo(np.int16)
_SUM_LIMIT = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Affine(SignalOperator):
    """A factor and an offset for each column.

    Parameters
    ----------
    factors : NDArray[int16] [n_columns]
        1 to 4096 columns; in steps of ``2^-shift``.
    offsets : NDArray[int32] [n_columns]
        In the same steps.
    shift : int
        0 to 31.
    n_rows : int
        1 to 65535.
    typecode : str
        Of the output: ``"h"``, ``"b"`` or ``"B"``.
    """

    factors: NDArray[np.int16]
    offsets: NDArray[np.int32]
    shift: int
    n_rows: int = 1
    typecode: str = "h"

    OPCODE: ClassVar[int] = 103
    KERNEL: ClassVar[str] = "affine"

    def _problem(self) -> str | None:
        n = len(self.factors)
        if self.factors.ndim != 1 or self.factors.dtype != np.int16 or not 1 <= n <= MAX_COLUMNS:
            return f"expected 1 to {MAX_COLUMNS} factors of int16, got {self.factors.dtype} [{n}]"
        if self.offsets.shape != (n,) or self.offsets.dtype != np.int32:
            return f"expected offsets int32 [{n}], got {self.offsets.dtype} {self.offsets.shape}"
        if not 1 <= self.n_rows <= MAX_ROWS:
            return f"there are 1 to {MAX_ROWS} rows, not {self.n_rows}"
        if not 0 <= self.shift <= MAX_SHIFT:
            return f"a shift is 0 to {MAX_SHIFT}, not {self.shift}"
        if self.typecode not in TYPECODES:
            return f"no output of {self.typecode!r}: choose from {', '.join(TYPECODES)}"
        return None

    def encode(self) -> bytes:
        """Return u16 n_rows, n_columns, u8 shift, typecode, 2 zeros; offsets; factors."""
        head = _HEAD.pack(self.n_rows, len(self.factors), self.shift, self.typecode.encode())
        offsets = self.offsets.astype("<i4").tobytes()
        return padded(head + offsets + self.factors.astype("<i2").tobytes())

    @classmethod
    def _read(cls, params: bytes) -> Affine:
        n_rows, n_columns, shift, code = _HEAD.unpack_from(params)
        offsets = np.frombuffer(params, "<i4", n_columns, _HEAD.size).astype(np.int32)
        at = _HEAD.size + 4 * n_columns
        factors = np.frombuffer(params, "<i2", n_columns, at).astype(np.int16)
        return cls(factors, offsets, shift, n_rows, code.decode("latin-1"))

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of [n_rows, n_columns]."""
        return (("h", self.n_rows * len(self.factors)),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of [n_rows, n_columns]."""
        return ((self.typecode, self.n_rows * len(self.factors)),)

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """The output may take the input's place."""
        return ((0, 0),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        (x,) = inputs
        wide = x.reshape(-1, len(self.factors)).astype(np.int64)
        sums = (wide * self.factors + self.offsets).astype(np.int32) >> self.shift
        dtype = DTYPES[self.typecode]
        limits = np.iinfo(dtype)
        result = np.clip(sums, limits.min, limits.max).astype(dtype)
        return (result.reshape(len(x), -1),)


def affine(
    factors: ArrayLike, offsets: ArrayLike, *, n_rows: int = 1, typecode: str = "h"
) -> Affine:
    """Return the operator for real factors and offsets, rounded as little as fits.

    Parameters
    ----------
    factors, offsets : array of float [n_columns]
        A result is ``factor x + offset``, rounded to nearest.
    n_rows, typecode
        See `Affine`.

    Raises
    ------
    UsageError
        They are no numbers, or too large.
    """
    slopes, shifts = np.asarray(factors, np.float64), np.asarray(offsets, np.float64)
    finite = np.isfinite(slopes).all() and np.isfinite(shifts).all()
    if slopes.ndim != 1 or slopes.shape != shifts.shape or not finite or not len(slopes):
        raise UsageError("affine: expected as many factors as offsets, [n_columns]")
    for shift in range(MAX_SHIFT - 1, -1, -1):
        one = 1 << shift
        largest = (np.abs(slopes) * one + 0.5) * -_INT16.min + (np.abs(shifts) + 1) * one
        if largest.max() < _SUM_LIMIT and np.abs(slopes).max() * one < _INT16.max:
            return Affine(
                np.rint(slopes * one).astype(np.int16),
                (np.rint(shifts * one) + (one >> 1)).astype(np.int32),
                shift,
                n_rows,
                typecode,
            )
    raise UsageError("affine: factors are at most 32767 and sums at most 2^31")


def scale(gain: float, n_elements: int) -> Affine:
    """Return the operator that multiplies by a number and saturates.

    Raises
    ------
    UsageError
        The gain is above 32767, or there are too many elements.
    """
    return affine([gain], [0.0], n_rows=n_elements)


def standardize(mean: ArrayLike, std: ArrayLike, *, n_rows: int = 1, one: int = 1024) -> Affine:
    """Return the operator for ``(x - mean) / std`` of each column, in steps of ``1 / one``.

    A column whose standard deviation is 0 becomes 0.

    Raises
    ------
    UsageError
        They are no numbers, or a standard deviation is so small that factors are too large.
    """
    means, stds = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    factors = np.divide(one, stds, out=np.zeros_like(stds), where=stds > 0)
    return affine(factors, -means * factors, n_rows=n_rows)
