"""Shift: int32 over a power of two, rounded to nearest, saturated to the output's dtype.

With ``s`` the shift, each element becomes ``floor(v / 2^s + 1/2)`` (ties go up), which is ``v``
for ``s = 0``, and then the nearest value that the output can hold.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError

from .base import BaseOperator

#: Dtype of each typecode that the output can have.
DTYPES: Mapping[str, np.dtype[np.integer[Any]]] = {
    "i": np.dtype(np.int32),
    "H": np.dtype(np.uint16),
}

#: Most elements of a tensor, and the largest shift.
MAX_ELEMENTS = 65535
MAX_SHIFT = 30

_PARAMS = struct.Struct("<HBc")


@dataclass(frozen=True)
class Shift(BaseOperator):
    """Rounding division of int32 by a power of two.

    Parameters
    ----------
    n_elements : int
        Elements of the input and of the output, 1 to 65535.
    shift : int
        Exponent of the power of two, 0 to 30.
    typecode : str
        Of the output: ``"i"`` (int32) or ``"H"`` (uint16).

    Raises
    ------
    UsageError
        If a parameter is out of range.
    """

    n_elements: int
    shift: int
    typecode: str

    OPCODE: ClassVar[int] = 5
    KERNEL: ClassVar[str] = "shift"

    def _problem(self) -> str | None:
        return _problem(self.n_elements, self.shift, self.typecode)

    def encode(self) -> bytes:
        """Return the 4 bytes of parameters: u16 n_elements, u8 shift, the output's typecode."""
        return _PARAMS.pack(self.n_elements, self.shift, self.typecode.encode())

    @classmethod
    def decode(cls, params: bytes) -> Shift:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            If the parameters are of the wrong length or a value is out of range.
        """
        if len(params) != _PARAMS.size:
            raise FormatError(f"shift: takes {_PARAMS.size} bytes of parameters, not {len(params)}")
        n_elements, shift, code = _PARAMS.unpack(params)
        typecode = code.decode("latin-1")
        problem = _problem(n_elements, shift, typecode)
        if problem is not None:
            raise FormatError(f"shift: {problem}")
        return cls(n_elements, shift, typecode)

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the input."""
        return (("i", self.n_elements),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the output."""
        return ((self.typecode, self.n_elements),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Shift every row.

        Parameters
        ----------
        *inputs : one ndarray of int32, shape [rows, n_elements]

        Returns
        -------
        tuple of one ndarray of int32 or uint16, shape [rows, n_elements]
        """
        (x,) = inputs
        half = (1 << self.shift) >> 1
        rounded = (x.astype(np.int64) + half) >> self.shift
        dtype = DTYPES[self.typecode]
        limits = np.iinfo(dtype)
        return (np.clip(rounded, limits.min, limits.max).astype(dtype),)


def _problem(n_elements: int, shift: int, typecode: str) -> str | None:
    if not 1 <= n_elements <= MAX_ELEMENTS:
        return f"a tensor has 1 to {MAX_ELEMENTS} elements, not {n_elements}"
    if not 0 <= shift <= MAX_SHIFT:
        return f"a shift is 0 to {MAX_SHIFT}, not {shift}"
    if typecode not in DTYPES:
        return f"no shift to {typecode!r}: choose from {', '.join(DTYPES)}"
    return None
