"""Concat: two or three tensors beside each other."""

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
MAX_INPUTS = 3
TYPECODES = ("b", "h", "i")

_PARAMS = struct.Struct("<4Hc3x")


@dataclass(frozen=True)
class Concat(BaseOperator):
    """In each row the elements of one input, then those of the next.

    Parameters
    ----------
    n_rows : int
        1 to 65535.
    counts : tuple of 2 or 3 int
        Elements of each input in a row, 1 to 65535; no input has more than 2^24 elements.
    typecode : {"b", "h", "i"}

    Raises
    ------
    UsageError
        If a parameter is out of range.
    """

    n_rows: int
    counts: tuple[int, ...]
    typecode: str = "b"

    OPCODE: ClassVar[int] = 56
    KERNEL: ClassVar[str] = "concat"

    def _problem(self) -> str | None:
        if not 2 <= len(self.counts) <= MAX_INPUTS:
            return f"expected 2 or {MAX_INPUTS} inputs, got {len(self.counts)}"
        numbers = (self.n_rows, *self.counts)
        if not 1 <= min(numbers) <= max(numbers) <= MAX_COUNT:
            return f"{self.n_rows} rows of {self.counts}: expected 1 to {MAX_COUNT} of each"
        if self.n_rows * max(self.counts) > MAX_ELEMENTS:
            return f"a tensor has 1 to {MAX_ELEMENTS} elements"
        if self.typecode not in TYPECODES:
            return f"no tensors of {self.typecode!r}: choose from {', '.join(TYPECODES)}"
        return None

    def encode(self) -> bytes:
        """u16 n_rows; u16[3] counts, 0 for an input that is not there; typecode, 3 zeros."""
        counts = (*self.counts, 0)[:MAX_INPUTS]
        return _PARAMS.pack(self.n_rows, *counts, self.typecode.encode())

    @classmethod
    def decode(cls, params: bytes) -> Concat:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            If the parameters are of the wrong length or a value is out of range.
        """
        if len(params) != _PARAMS.size:
            raise FormatError(
                f"concat: takes {_PARAMS.size} bytes of parameters, not {len(params)}"
            )
        n_rows, *counts, code = _PARAMS.unpack(params)
        if any(params[-3:]):
            raise FormatError("concat: the padding of the parameters is not zero")
        try:
            return cls(n_rows, tuple(counts if counts[-1] else counts[:-1]), code.decode("latin-1"))
        except UsageError as error:
            raise FormatError(str(error)) from error

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of each input."""
        return tuple((self.typecode, self.n_rows * count) for count in self.counts)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the output."""
        return ((self.typecode, self.n_rows * sum(self.counts)),)

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """With one row the output may start where the first input starts."""
        return ((0, 0),) if self.n_rows == 1 else ()

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Put the inputs beside each other.

        Parameters
        ----------
        *inputs : two or three ndarrays, shape [rows, elements]

        Returns
        -------
        tuple of one ndarray, shape [rows, elements]
        """
        parts = [x.reshape(len(x), self.n_rows, -1) for x in inputs]
        return (np.concatenate(parts, axis=2).reshape(len(inputs[0]), -1),)


def concat(shapes: Sequence[Sequence[int]], axis: int) -> Concat:
    """TFLite's CONCATENATION of two or three int8 tensors of one quantization.

    Parameters
    ----------
    shapes : sequence of 2 or 3 shapes
        Of the inputs.
    axis : int
        Negative ones count from the last.

    Raises
    ------
    UsageError
        There is another number of inputs, or the shapes differ in other dimensions.
    """
    axis %= len(shapes[0])
    others = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    if len(others) != 1:
        raise UsageError(f"concat: {[list(shape) for shape in shapes]} differ beside axis {axis}")
    rows = math.prod(shapes[0][:axis])
    return Concat(rows, tuple(math.prod(shape[axis:]) for shape in shapes))
