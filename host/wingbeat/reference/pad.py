"""Pad: a value around an int8 tensor of up to three dimensions."""

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
DIMENSIONS = 3

_PARAMS = struct.Struct("<9Hbx")


@dataclass(frozen=True)
class Pad(BaseOperator):
    """The input with a value around it.

    Parameters
    ----------
    counts : tuple of 3 int
        The input's dimensions, 1 or more.
    before, after : tuple of 3 int
        Elements that are put in front of each dimension and behind it. No dimension of the output
        exceeds 65535.
    value : int
        An int8.

    Raises
    ------
    UsageError
        If a parameter is out of range.
    """

    counts: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    value: int

    OPCODE: ClassVar[int] = 55
    KERNEL: ClassVar[str] = "pad"

    def _problem(self) -> str | None:
        if min(self.counts) < 1 or min(*self.before, *self.after) < 0:
            return f"{self.counts} with {self.before} before and {self.after} after"
        if max(self._whole) > MAX_COUNT or math.prod(self._whole) > MAX_ELEMENTS:
            return f"the output {self._whole} is too large"
        if not -128 <= self.value <= 127:
            return f"the value {self.value} is no int8"
        return None

    @property
    def _whole(self) -> tuple[int, ...]:
        """The output's dimensions."""
        return tuple(map(sum, zip(self.before, self.counts, self.after, strict=True)))

    def encode(self) -> bytes:
        """u16[3] counts, before, after; i8 value; a zero."""
        return _PARAMS.pack(*self.counts, *self.before, *self.after, self.value)

    @classmethod
    def decode(cls, params: bytes) -> Pad:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            If the parameters are of the wrong length or a value is out of range.
        """
        if len(params) != _PARAMS.size:
            raise FormatError(f"pad: takes {_PARAMS.size} bytes of parameters, not {len(params)}")
        values = _PARAMS.unpack(params)
        try:
            return cls(values[:3], values[3:6], values[6:9], values[9])
        except UsageError as error:
            raise FormatError(str(error)) from error

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the input."""
        return (("b", math.prod(self.counts)),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the output."""
        return (("b", math.prod(self._whole)),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Pad every row.

        Parameters
        ----------
        *inputs : one ndarray of int8, shape [rows, elements]

        Returns
        -------
        tuple of one ndarray of int8, shape [rows, elements]
        """
        (x,) = inputs
        widths = [(0, 0), *zip(self.before, self.after, strict=True)]
        rows = x.reshape(-1, *self.counts)
        out = np.pad(rows, widths, constant_values=np.int8(self.value))
        return (out.reshape(len(x), -1),)


def pad(shape: Sequence[int], paddings: Sequence[tuple[int, int]], value: int) -> Pad:
    """TFLite's PAD and PADV2 of an int8 tensor.

    Parameters
    ----------
    shape : sequence of int
    paddings : sequence of pairs of int
        Elements before and after, for each dimension.
    value : int
        What is put there: for PAD the zero point.

    Raises
    ------
    UsageError
        More than three dimensions are padded with others between them, or the tensor is too large.
    """
    merged: list[list[int]] = []
    for count, (before, after) in zip(shape, paddings, strict=True):
        if merged and before == after == 0:
            for i in range(3):
                merged[-1][i] *= count
        elif count != 1 or before or after:
            merged.append([count, before, after])
    merged = [[1, 0, 0]] * (DIMENSIONS - len(merged)) + merged
    if len(merged) > DIMENSIONS:
        raise UsageError(f"pad: {list(paddings)} pads too many dimensions")
    counts, before_all, after_all = zip(*merged, strict=True)
    return Pad(counts, before_all, after_all, value)
