"""Quantize: float32 to int8, as TFLite Micro's QUANTIZE does, without floating point on the board.

TFLite divides by the scale in float32 and rounds the quotient, ties away from zero. Both steps are
made here on the integers of the floats' bits, exactly: the quotient of the mantissas comes from a
product with their reciprocal and one correction; and where it lies so close below a tie that
float32 would have rounded it up to the tie, it counts as the tie.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.activations import Quantization

from .base import BaseOperator

MAX_ELEMENTS = 1 << 22
MIN_EXPONENT, MAX_EXPONENT = 27, 227
"""Biased exponent of a scale: scales from 2^-100 to 2^101 stay clear of subnormal quotients."""

_PARAMS = struct.Struct("<IIIb3x")
_MANTISSA_BITS = 23
_HIDDEN_BIT = 1 << _MANTISSA_BITS
_RECIPROCAL = (1 << 15, 1 << 16)
_INFINITY = 255 << _MANTISSA_BITS
#: Doubled quotients have up to 9 bits more than the mantissas' quotient.
_MAX_SHIFT = 9
#: Half of the last place of the largest quotient that counts, in parts of the divisor.
_NEAR = 256


@dataclass(frozen=True)
class Quantize(BaseOperator):
    """round(x / scale) + zero_point, limited to int8.

    NaN gives the zero point; what is too large for int8, also infinity, gives -128 or 127.

    Parameters
    ----------
    n_elements : int
        Elements of the input and of the output, 1 to 2^22.
    scale : int
        The bits of a float32, with an exponent of `MIN_EXPONENT` to `MAX_EXPONENT`.
    reciprocal : int
        floor(2^39 / mantissa of the scale), 2^15 to 2^16.
    zero_point : int
        Of the output.

    Raises
    ------
    UsageError
        If a parameter is out of range.
    """

    n_elements: int
    scale: int
    reciprocal: int
    zero_point: int

    OPCODE: ClassVar[int] = 52
    KERNEL: ClassVar[str] = "quantize"

    def _problem(self) -> str | None:
        if not 1 <= self.n_elements <= MAX_ELEMENTS:
            return f"a tensor has 1 to {MAX_ELEMENTS} elements, not {self.n_elements}"
        if not MIN_EXPONENT <= self.scale >> _MANTISSA_BITS <= MAX_EXPONENT:
            return "expected a scale of 2^-100 to 2^101"
        if not _RECIPROCAL[0] <= self.reciprocal <= _RECIPROCAL[1]:
            return f"the reciprocal {self.reciprocal} is not within 2^15 to 2^16"
        if not -128 <= self.zero_point <= 127:
            return f"expected a zero point of -128 to 127, got {self.zero_point}"
        return None

    def encode(self) -> bytes:
        """u32 n_elements, u32 bits of the scale, u32 reciprocal, i8 zero point, 3 zeros."""
        return _PARAMS.pack(self.n_elements, self.scale, self.reciprocal, self.zero_point)

    @classmethod
    def decode(cls, params: bytes) -> Quantize:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            If the parameters are of the wrong length or a value is out of range.
        """
        if len(params) != _PARAMS.size:
            raise FormatError(
                f"quantize: takes {_PARAMS.size} bytes of parameters, not {len(params)}"
            )
        try:
            return cls(*_PARAMS.unpack(params))
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
        """Quantize every element.

        Parameters
        ----------
        *inputs : one ndarray of float32, shape [rows, n_elements]

        Returns
        -------
        tuple of one ndarray of int8, shape [rows, n_elements]
        """
        (x,) = inputs
        bits = np.ascontiguousarray(x).view(np.uint32).astype(np.int64)
        size = bits & 0x7FFFFFFF
        shift = (size >> _MANTISSA_BITS) - (self.scale >> _MANTISSA_BITS) + 1
        rounded = (self._doubled(size, np.clip(shift, 0, _MAX_SHIFT)) + 1) >> 1
        rounded = np.where(shift > _MAX_SHIFT, 1 << _MAX_SHIFT, rounded)
        rounded = np.where((shift < 0) | (size > _INFINITY), 0, rounded)
        signed = np.where(bits >> 31, -rounded, rounded) + self.zero_point
        return (np.clip(signed, -128, 127).astype(np.int8),)

    def _doubled(self, size: NDArray[np.int64], shift: NDArray[np.int64]) -> NDArray[np.int64]:
        """floor(2 |x| / scale), one more where float32 rounds up to an odd number."""
        divisor = (self.scale & (_HIDDEN_BIT - 1)) | _HIDDEN_BIT
        mantissa = (size & (_HIDDEN_BIT - 1)) | _HIDDEN_BIT
        product = ((mantissa >> 8) * self.reciprocal) & 0xFFFFFFFF
        quotient = product >> (31 - shift)
        rest = ((mantissa << shift) - quotient * divisor) & 0xFFFFFFFF
        too_small = rest >= divisor
        quotient = quotient + too_small
        rest = np.where(too_small, rest - divisor, rest)
        missing = (divisor - rest) & 0xFFFFFFFF
        bits = np.frexp((quotient + 1).astype(np.float64))[1] - 1
        close = (missing < _NEAR) & (missing <= divisor >> (24 - bits)) & (quotient % 2 == 0)
        return np.asarray(quotient + close)


def quantize(n_elements: int, output: Quantization) -> Quantize:
    """TFLite's QUANTIZE from float32 to int8.

    Raises
    ------
    UsageError
        A parameter is out of range.
    """
    bits = int(np.float32(output.scale).view(np.uint32))
    mantissa = (bits & (_HIDDEN_BIT - 1)) | _HIDDEN_BIT
    return Quantize(n_elements, bits, (1 << 39) // mantissa, output.zero_point)
