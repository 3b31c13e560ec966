"""Rescale: int16 to int8 in another quantization, as TFLite Micro's QUANTIZE does.

So a net takes the numbers of a sensor as they come.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.activations import Quantization
from wingbeat.reference.scale import Scale, make_scale

from .base import BaseOperator

MAX_ELEMENTS = 1 << 23
_HEAD = struct.Struct("<I")
_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True, eq=False)
class Rescale(BaseOperator):
    """The scale's step for each element.

    Parameters
    ----------
    n_elements : int
        Elements of the input and of the output, 1 to 2^23.
    scale : Scale
        Of one channel, narrow; its bias is minus the input's zero point.

    Raises
    ------
    UsageError
        If a parameter is out of range.
    """

    n_elements: int
    scale: Scale

    OPCODE: ClassVar[int] = 58
    KERNEL: ClassVar[str] = "rescale"

    def _problem(self) -> str | None:
        if not 1 <= self.n_elements <= MAX_ELEMENTS:
            return f"a tensor has 1 to {MAX_ELEMENTS} elements, not {self.n_elements}"
        if not self.scale.narrow:
            return "expected an output scale above twice the input's"
        if not _INT16.min <= self.scale.bias[0] <= -_INT16.min:
            return f"expected a zero point within int16, got {-self.scale.bias[0]}"
        return None

    def encode(self) -> bytes:
        """u32 n_elements; the scale, with one channel."""
        return _HEAD.pack(self.n_elements) + self.scale.encode()

    @classmethod
    def decode(cls, params: bytes) -> Rescale:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            If the parameters are of the wrong length or a value is out of range.
        """
        if len(params) < _HEAD.size:
            raise FormatError(f"rescale: {len(params)} bytes of parameters are too few")
        (n_elements,) = _HEAD.unpack_from(params)
        try:
            return cls(n_elements, Scale.decode(params[_HEAD.size :], 1))
        except UsageError as error:
            raise FormatError(str(error)) from error

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the input."""
        return (("h", self.n_elements),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the output."""
        return (("b", self.n_elements),)

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """The output may take the start of the input's place."""
        return ((0, 0),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Rescale every element.

        Parameters
        ----------
        *inputs : one ndarray of int16, shape [rows, n_elements]

        Returns
        -------
        tuple of one ndarray of int8, shape [rows, n_elements]
        """
        (x,) = inputs
        return (self.scale.apply(x.astype(np.int64)[..., np.newaxis])[..., 0],)


def rescale(n_elements: int, scale: float, zero_point: int, output: Quantization) -> Rescale:
    """TFLite's QUANTIZE from int16 to int8.

    Parameters
    ----------
    n_elements : int
    scale : float
        Of the input, a float32.
    zero_point : int
        Of the input.

    Raises
    ------
    UsageError
        A parameter is out of range; so is an output scale that is not above twice the input's.
    """
    factor = float(np.float32(scale)) / output.scale
    made = make_scale([-zero_point], [factor], output.zero_point, -128, 127, [1 << 15])
    return Rescale(n_elements, made)
