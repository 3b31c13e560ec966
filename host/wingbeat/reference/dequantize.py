"""Dequantize: int8 to float32, as TFLite Micro's DEQUANTIZE does, without floating point.

(q - zero_point) * scale has one rounding, to nearest, ties to even: a product of 8 by 24 bits.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.activations import Quantization
from wingbeat.reference.quantize import MAX_ELEMENTS, MAX_EXPONENT, MIN_EXPONENT

from .base import BaseOperator

_PARAMS = struct.Struct("<IIb3x")
_MANTISSA_BITS = 23


@dataclass(frozen=True)
class Dequantize(BaseOperator):
    """(q - zero_point) * scale.

    Parameters
    ----------
    n_elements : int
        Elements of the input and of the output, 1 to 2^22.
    scale : int
        The bits of a float32 from 2^-100 to 2^101.
    zero_point : int
        Of the input.

    Raises
    ------
    UsageError
        If a parameter is out of range.
    """

    n_elements: int
    scale: int
    zero_point: int

    OPCODE: ClassVar[int] = 53
    KERNEL: ClassVar[str] = "dequantize"

    def _problem(self) -> str | None:
        if not 1 <= self.n_elements <= MAX_ELEMENTS:
            return f"a tensor has 1 to {MAX_ELEMENTS} elements, not {self.n_elements}"
        if not MIN_EXPONENT <= self.scale >> _MANTISSA_BITS <= MAX_EXPONENT:
            return "expected a scale of 2^-100 to 2^101"
        if not -128 <= self.zero_point <= 127:
            return f"expected a zero point of -128 to 127, got {self.zero_point}"
        return None

    def encode(self) -> bytes:
        """u32 n_elements, u32 bits of the scale, i8 zero point, 3 zeros."""
        return _PARAMS.pack(self.n_elements, self.scale, self.zero_point)

    @classmethod
    def decode(cls, params: bytes) -> Dequantize:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            If the parameters are of the wrong length or a value is out of range.
        """
        if len(params) != _PARAMS.size:
            raise FormatError(
                f"dequantize: takes {_PARAMS.size} bytes of parameters, not {len(params)}"
            )
        try:
            return cls(*_PARAMS.unpack(params))
        except UsageError as error:
            raise FormatError(str(error)) from error

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the input."""
        return (("b", self.n_elements),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the output."""
        return (("f", self.n_elements),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Dequantize every element.

        Parameters
        ----------
        *inputs : one ndarray of int8, shape [rows, n_elements]

        Returns
        -------
        tuple of one ndarray of float32, shape [rows, n_elements]
        """
        (x,) = inputs
        scale = np.array(self.scale, np.uint32).view(np.float32)
        return ((x.astype(np.int32) - self.zero_point).astype(np.float32) * scale,)


def dequantize(n_elements: int, input: Quantization) -> Dequantize:
    """TFLite's DEQUANTIZE from int8 to float32.

    Raises
    ------
    UsageError
        A parameter is out of range.
    """
    bits = int(np.float32(input.scale).view(np.uint32))
    return Dequantize(n_elements, bits, input.zero_point)
