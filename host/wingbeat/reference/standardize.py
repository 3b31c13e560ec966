"""Standardize: float32 features to int8, each with a centre and a step of its own, in integers.

With M the 24-bit mantissa of a feature and e its biased exponent, its share in 1/256 of the
output's steps is ``t = floor(floor(M * mantissa / 2^8) / 2^(exponent - e))``; the output is
``floor((+-t + offset + 128) / 256)``, limited to int8.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wingbeat.errors import FormatError, UsageError

from .base import BaseOperator

MAX_ELEMENTS = 65535
MAX_OFFSET = 1 << 29
MANTISSAS = (1 << 15, (1 << 16) - 1)
EXPONENTS = (-500, 500)

_HEAD = struct.Struct("<I")
_ELEMENT = np.dtype([("offset", "<i4"), ("mantissa", "<u2"), ("exponent", "<i2")])
_LARGEST = (1 << 30) - 1
"""No feature's share is larger; so that adding the offset stays within 32 bits."""

_NEAREST, _FARTHEST = 2, 31
"""Shifts by less saturate the share, shifts by more make it 0."""

_FRACTION = 8
_MANTISSA_BITS = 16
_EXPONENT_OF_ONE = 134


@dataclass(frozen=True, eq=False)
class Standardize(BaseOperator):
    """An affine map of each element.

    NaN counts as 0, infinity as 2^128, and what is below 2^-126 as 0.

    Parameters
    ----------
    offset : NDArray[int32] [n_elements]
        In 1/256 of a step, -2^29 to 2^29. 1 to 65535 elements.
    mantissa : NDArray[uint16] [n_elements]
        2^15 or above.
    exponent : NDArray[int16] [n_elements]
        -500 to 500.

    Raises
    ------
    UsageError
        A parameter is out of range.
    """

    offset: NDArray[np.int32]
    mantissa: NDArray[np.uint16]
    exponent: NDArray[np.int16]

    OPCODE: ClassVar[int] = 60
    KERNEL: ClassVar[str] = "standardize"

    def _problem(self) -> str | None:
        if not 1 <= self.n_elements <= MAX_ELEMENTS:
            return f"a tensor has 1 to {MAX_ELEMENTS} elements, not {self.n_elements}"
        for name, (low, high) in {
            "offset": (-MAX_OFFSET, MAX_OFFSET),
            "mantissa": MANTISSAS,
            "exponent": EXPONENTS,
        }.items():
            values = getattr(self, name).astype(np.int64)
            wrong = values[(values < low) | (values > high)]
            if wrong.size:
                return f"the {name} {wrong[0]} is not within {low} to {high}"
        return None

    @property
    def n_elements(self) -> int:
        """Elements of the input and of the output."""
        return len(self.offset)

    def encode(self) -> bytes:
        """u32 n_elements, then of each element i32 offset, u16 mantissa, i16 exponent."""
        table = np.empty(self.n_elements, _ELEMENT)
        for name in _ELEMENT.names or ():
            table[name] = getattr(self, name)
        return _HEAD.pack(self.n_elements) + table.tobytes()

    @classmethod
    def decode(cls, params: bytes) -> Standardize:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            The parameters are of the wrong length, or a value is out of range.
        """
        n_elements = _HEAD.unpack_from(params)[0] if len(params) >= _HEAD.size else 0
        size = _HEAD.size + n_elements * _ELEMENT.itemsize
        if n_elements == 0 or len(params) != size:
            raise FormatError(
                f"standardize: {n_elements} elements take {size} bytes of parameters,"
                f" not {len(params)}"
            )
        table = np.frombuffer(params, _ELEMENT, offset=_HEAD.size)
        try:
            return cls(
                table["offset"].astype(np.int32),
                table["mantissa"].astype(np.uint16),
                table["exponent"].astype(np.int16),
            )
        except UsageError as error:
            raise FormatError(str(error)) from error

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the input."""
        return (("f", self.n_elements),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the output."""
        return (("b", self.n_elements),)

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """The output may take the start of the input's place."""
        return ((0, 0),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Map every row.

        Parameters
        ----------
        *inputs : one ndarray of float32, shape [rows, n_elements]

        Returns
        -------
        tuple of one ndarray of int8, shape [rows, n_elements]
        """
        (x,) = inputs
        bits = np.ascontiguousarray(x).view(np.uint32).astype(np.int64)
        biased = bits >> 23 & 0xFF
        counts = (biased > 0) & ((biased < 255) | (bits & 0x7FFFFF == 0))
        product = ((bits & 0x7FFFFF) | 0x800000) * self.mantissa.astype(np.int64) >> 8
        shift = self.exponent.astype(np.int64) - biased
        share = product >> np.clip(shift, _NEAREST, _FARTHEST)
        share = np.where(shift < _NEAREST, _LARGEST, np.where(shift > _FARTHEST, 0, share))
        share = np.where(counts, share, 0)
        sums = np.where(bits >> 31, -share, share) + self.offset
        return (np.clip((sums + 128) >> _FRACTION, -128, 127).astype(np.int8),)


def standardize(centre: ArrayLike, step: ArrayLike) -> Standardize:
    """The map ``round((x - centre) / step)``, to within 1 % of a step near the centre.

    Parameters
    ----------
    centre : array of float64 [n_elements]
        What becomes 0.
    step : array of float64 [n_elements]
        Above 0; infinity makes every value 0.

    Raises
    ------
    UsageError
        A centre is more than 2 million steps from 0, or a step is not above 0.
    """
    centres, steps = np.asarray(centre, np.float64), np.asarray(step, np.float64)
    if not np.all(steps > 0):
        raise UsageError(f"standardize: expected steps above 0, got {steps.min()}")
    fraction, power = np.frexp(1 / steps)
    mantissa = np.rint(fraction * (1 << _MANTISSA_BITS)).astype(np.int64)
    power = power.astype(np.int64) - _MANTISSA_BITS + (mantissa >> _MANTISSA_BITS)
    mantissa = np.where(mantissa >> _MANTISSA_BITS, MANTISSAS[0], mantissa)
    constant = mantissa == 0
    # The centre in steps as they are stored.
    factor = np.ldexp(mantissa.astype(np.float64), power.astype(np.int32))
    offset = np.rint(np.where(constant, 0.0, -centres * factor) * (1 << _FRACTION))
    if not np.all(np.abs(offset) <= MAX_OFFSET):
        worst = int(np.argmax(np.abs(offset)))
        raise UsageError(
            f"standardize: element {worst} is around {centres[worst]:g} in steps of"
            f" {steps[worst]:g}, which float32 does not resolve: subtract a constant before"
        )
    exponent = np.where(constant, EXPONENTS[1], _EXPONENT_OF_ONE - power)
    return Standardize(
        offset.astype(np.int32),
        np.where(constant, MANTISSAS[0], mantissa).astype(np.uint16),
        np.clip(exponent, *EXPONENTS).astype(np.int16),
    )
