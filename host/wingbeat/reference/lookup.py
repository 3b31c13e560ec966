"""Lookup: any function of one byte, from a table of its 256 results.

Activations and changes of quantization of int8 nets are of this kind; `activations` has their
tables.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError

from .base import BaseOperator

MAX_ELEMENTS = 1 << 24
#: Dtype of each typecode that input and output can have.
DTYPES = {"b": np.dtype(np.int8), "B": np.dtype(np.uint8)}

_ENTRIES = 256
_TAIL = struct.Struct("<Icc2x")


@dataclass(frozen=True, eq=False)
class Lookup(BaseOperator):
    """A table's entry for each element.

    Parameters
    ----------
    table : NDArray[int8] or NDArray[uint8] [256]
        Results in the order of the input's byte: for int8 those of 0 to 127, then -128 to -1.
        Its dtype is the output's.
    n_elements : int
        Elements of the input and of the output, 1 to 2^24.
    typecode : str
        Of the input: ``"b"`` (int8) or ``"B"`` (uint8).

    Raises
    ------
    UsageError
        If a parameter is out of range.
    """

    table: NDArray[Any]
    n_elements: int
    typecode: str = "b"

    OPCODE: ClassVar[int] = 50
    KERNEL: ClassVar[str] = "lookup"

    def _problem(self) -> str | None:
        if self.table.shape != (_ENTRIES,) or self.table.dtype not in DTYPES.values():
            return (
                f"expected a table int8[256] or uint8[256], got {self.table.dtype}"
                f" {list(self.table.shape)}"
            )
        return _problem(self.n_elements, self.typecode)

    def encode(self) -> bytes:
        """The 264 bytes of parameters: table, u32 n_elements, both typecodes, 2 zeros."""
        codes = self.typecode.encode(), self.outputs[0][0].encode()
        return self.table.tobytes() + _TAIL.pack(self.n_elements, *codes)

    @classmethod
    def decode(cls, params: bytes) -> Lookup:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            If the parameters are of the wrong length or a value is out of range.
        """
        if len(params) != _ENTRIES + _TAIL.size:
            raise FormatError(
                f"lookup: takes {_ENTRIES + _TAIL.size} bytes of parameters, not {len(params)}"
            )
        n_elements, code, output_code = _TAIL.unpack_from(params, _ENTRIES)
        typecode, output_typecode = code.decode("latin-1"), output_code.decode("latin-1")
        problem = _problem(n_elements, typecode, output_typecode)
        if problem is not None:
            raise FormatError(f"lookup: {problem}")
        table = np.frombuffer(params, DTYPES[output_typecode], _ENTRIES)
        return cls(table, n_elements, typecode)

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the input."""
        return ((self.typecode, self.n_elements),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the output."""
        return (("b" if self.table.dtype == np.int8 else "B", self.n_elements),)

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """The output may take the input's place."""
        return ((0, 0),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Look every element up.

        Parameters
        ----------
        *inputs : one ndarray of int8 or uint8, shape [rows, n_elements]

        Returns
        -------
        tuple of one ndarray of the table's dtype, shape [rows, n_elements]
        """
        (x,) = inputs
        return (self.table[x.astype(np.uint8)],)


def _problem(n_elements: int, *typecodes: str) -> str | None:
    if not 1 <= n_elements <= MAX_ELEMENTS:
        return f"a tensor has 1 to {MAX_ELEMENTS} elements, not {n_elements}"
    for typecode in typecodes:
        if typecode not in DTYPES:
            return f"no elements of {typecode!r}: choose from {', '.join(DTYPES)}"
    return None
