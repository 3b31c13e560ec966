"""Argmax: where the largest or least of int8 elements is."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError, UsageError

from .base import BaseOperator

MAX_ELEMENTS = 1 << 24
MAX_COUNT = 65535

_PARAMS = struct.Struct("<4H")


@dataclass(frozen=True)
class Argmax(BaseOperator):
    """Index of the first of the largest elements along the middle dimension.

    Parameters
    ----------
    outer, count, inner : int
        The input's dimensions, 1 to 65535.
    least : bool
        Look for the least instead.

    Raises
    ------
    UsageError
        If a parameter is out of range.
    """

    outer: int
    count: int
    inner: int
    least: bool = False

    OPCODE: ClassVar[int] = 54
    KERNEL: ClassVar[str] = "argmax"

    def _problem(self) -> str | None:
        dimensions = (self.outer, self.count, self.inner)
        if not 1 <= min(dimensions) <= max(dimensions) <= MAX_COUNT:
            return f"a tensor of {dimensions}: expected 1 to {MAX_COUNT} of each"
        if math.prod(dimensions) > MAX_ELEMENTS:
            return f"a tensor has 1 to {MAX_ELEMENTS} elements"
        return None

    def encode(self) -> bytes:
        """u16 outer, count, inner, least."""
        return _PARAMS.pack(self.outer, self.count, self.inner, self.least)

    @classmethod
    def decode(cls, params: bytes) -> Argmax:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            If the parameters are of the wrong length or a value is out of range.
        """
        if len(params) != _PARAMS.size:
            raise FormatError(
                f"argmax: takes {_PARAMS.size} bytes of parameters, not {len(params)}"
            )
        outer, count, inner, least = _PARAMS.unpack(params)
        try:
            return cls(outer, count, inner, bool(least & 1))
        except UsageError as error:
            raise FormatError(str(error)) from error

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the input."""
        return (("b", self.outer * self.count * self.inner),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the output."""
        return (("i", self.outer * self.inner),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Look in every row.

        Parameters
        ----------
        *inputs : one ndarray of int8, shape [rows, elements]

        Returns
        -------
        tuple of one ndarray of int32, shape [rows, outer * inner]
        """
        (x,) = inputs
        values = x.reshape(-1, self.outer, self.count, self.inner)
        found = values.argmin(axis=2) if self.least else values.argmax(axis=2)
        return (found.reshape(len(x), -1).astype(np.int32),)


def argmax(shape: Sequence[int], axis: int, *, least: bool = False) -> Argmax:
    """TFLite's ARG_MAX and ARG_MIN of an int8 tensor.

    Parameters
    ----------
    shape : sequence of int
    axis : int
        Negative ones count from the last.
    least : bool
        ARG_MIN.

    Raises
    ------
    UsageError
        The tensor is too large.
    """
    axis %= len(shape)
    outer, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    return Argmax(outer, shape[axis], inner, least)
