"""Cast: 8-bit integers to int16, values unchanged.

Lets an operator that takes int16 follow an input of bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError

from .base import BaseOperator

#: Dtype of each typecode that can be cast.
DTYPES = {"b": np.dtype(np.int8), "B": np.dtype(np.uint8)}

#: Most elements of a tensor.
MAX_ELEMENTS = 65535

_PARAMS = struct.Struct("<Hcx")


@dataclass(frozen=True)
class Cast(BaseOperator):
    """Cast of 8-bit integers to int16.

    Parameters
    ----------
    n_elements : int
        Elements of the input and of the output, 1 to 65535.
    typecode : str
        Of the input: ``"b"`` (int8) or ``"B"`` (uint8).

    Raises
    ------
    UsageError
        If a parameter is out of range.
    """

    n_elements: int
    typecode: str

    OPCODE: ClassVar[int] = 4
    KERNEL: ClassVar[str] = "cast"

    def _problem(self) -> str | None:
        return _problem(self.n_elements, self.typecode)

    def encode(self) -> bytes:
        """Return the 4 bytes of parameters: u16 n_elements, the input's typecode, 0."""
        return _PARAMS.pack(self.n_elements, self.typecode.encode())

    @classmethod
    def decode(cls, params: bytes) -> Cast:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            If the parameters are of the wrong length or a value is out of range.
        """
        if len(params) != _PARAMS.size:
            raise FormatError(f"cast: takes {_PARAMS.size} bytes of parameters, not {len(params)}")
        n_elements, code = _PARAMS.unpack(params)
        if params[3] != 0:
            raise FormatError("cast: the last byte of the parameters is not zero")
        typecode = code.decode("latin-1")
        problem = _problem(n_elements, typecode)
        if problem is not None:
            raise FormatError(f"cast: {problem}")
        return cls(n_elements, typecode)

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the input."""
        return ((self.typecode, self.n_elements),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the output."""
        return (("h", self.n_elements),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Cast every row.

        Parameters
        ----------
        *inputs : one ndarray of int8 or uint8, shape [rows, n_elements]

        Returns
        -------
        tuple of one ndarray of int16, shape [rows, n_elements]
        """
        (x,) = inputs
        return (x.astype(np.int16),)


def _problem(n_elements: int, typecode: str) -> str | None:
    if not 1 <= n_elements <= MAX_ELEMENTS:
        return f"a tensor has 1 to {MAX_ELEMENTS} elements, not {n_elements}"
    if typecode not in DTYPES:
        return f"no cast from {typecode!r}: choose from {', '.join(DTYPES)}"
    return None
