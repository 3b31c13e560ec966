"""Softmax of int8 rows, as TFLite Micro computes it.

Since the inputs are int8, exp() is needed for at most 256 differences from a row's largest
element: the parameters hold a table of them, so that only sums, one reciprocal a row and one
product an element are left.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.activations import Quantization
from wingbeat.reference.fixed_point import ONE, exp_of_negative, one_over_one_plus
from wingbeat.reference.requantize import divide_by_power, high_product, quantize_multiplier

from .base import BaseOperator

MAX_ROWS = 65535
#: From 4096 on, a sum of TFLite's Q12 numbers can exceed 31 bits.
MAX_DEPTH = 4095
MAX_TABLE = 256

_HEAD = struct.Struct("<HHHxx")
_ZERO = -128
#: Bits before the point of exp()'s argument, and of the sums.
_DIFFERENCE_BITS, _SUM_BITS = 5, 12
_OUTPUT_BITS = 8
#: An exp() below this rounds to 0 in a sum, and its output to -128.
_NOTHING = 1 << (_SUM_BITS - 1)


@dataclass(frozen=True, eq=False)
class Softmax8(BaseOperator):
    """Softmax over the last dimension.

    Parameters
    ----------
    n_rows, depth : int
        The tensor is [n_rows, depth]: 1 to 65535, 1 to 4095.
    table : NDArray[int32] [1 to 256]
        exp(-d * scale * beta) in steps of 2^-31 for d = 0, 1, ...: the first one is 2^31 - 1, none
        is negative. Larger differences count as 0.

    Raises
    ------
    UsageError
        If a parameter is out of range.
    """

    n_rows: int
    depth: int
    table: NDArray[np.int32]

    OPCODE: ClassVar[int] = 51
    KERNEL: ClassVar[str] = "softmax8"

    def _problem(self) -> str | None:
        if not (1 <= self.n_rows <= MAX_ROWS and 1 <= self.depth <= MAX_DEPTH):
            return (
                f"expected 1 to {MAX_ROWS} rows of 1 to {MAX_DEPTH} elements,"
                f" got {self.n_rows} of {self.depth}"
            )
        if not 1 <= len(self.table) <= MAX_TABLE:
            return f"a table has 1 to {MAX_TABLE} entries, not {len(self.table)}"
        if self.table[0] != ONE or np.any(self.table < 0):
            return f"the table does not start with {ONE}, or has negative entries"
        return None

    def encode(self) -> bytes:
        """u16 n_rows, depth, entries of the table, 2 zeros; then the table, i32."""
        head = _HEAD.pack(self.n_rows, self.depth, len(self.table))
        return head + self.table.astype("<i4").tobytes()

    @classmethod
    def decode(cls, params: bytes) -> Softmax8:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            If the parameters are of the wrong length or a value is out of range.
        """
        if len(params) < _HEAD.size:
            raise FormatError(f"softmax8: takes {_HEAD.size} bytes and a table, not {len(params)}")
        n_rows, depth, entries = _HEAD.unpack_from(params)
        if len(params) != _HEAD.size + 4 * entries:
            raise FormatError(f"softmax8: {len(params)} bytes are not those of {entries} entries")
        try:
            return cls(n_rows, depth, np.frombuffer(params, "<i4", offset=_HEAD.size))
        except UsageError as error:
            raise FormatError(str(error)) from error

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the input."""
        return (("b", self.n_rows * self.depth),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the output."""
        return self.inputs

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """The output may take the input's place."""
        return ((0, 0),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Softmax of every row.

        Parameters
        ----------
        *inputs : one ndarray of int8, shape [rows, n_rows * depth]

        Returns
        -------
        tuple of one ndarray of int8, shape [rows, n_rows * depth]
            Probability p is stored as 256 p - 128.
        """
        (x,) = inputs
        values = x.reshape(-1, self.depth).astype(np.int64)
        table = np.zeros(MAX_TABLE, np.int64)
        table[: len(self.table)] = self.table
        powers = table[values.max(axis=1, keepdims=True) - values]
        sums = divide_by_power(powers, _SUM_BITS).sum(axis=1, keepdims=True)
        # A sum's highest bit, 2^19 or more: its place says by how much the sum exceeds 1.
        exponents = np.frexp(sums.astype(np.float64))[1] - 1
        normal = (sums << (31 - exponents)) - (1 << 31)
        products = high_product(powers, one_over_one_plus(normal))
        shifts = exponents - (31 - _SUM_BITS) + 31 - _OUTPUT_BITS
        out = divide_by_power(products, shifts) + _ZERO
        return (np.minimum(out, 127).astype(np.int8).reshape(x.shape),)


def softmax(n_rows: int, depth: int, input: Quantization, beta: float = 1.0) -> Softmax8:
    """TFLite's SOFTMAX from int8 to int8; the output has scale 1/256 and zero point -128.

    Parameters
    ----------
    n_rows, depth : int
        The tensor is [n_rows, depth].
    input : Quantization
        Of the input.
    beta : float
        A float32.

    Raises
    ------
    UsageError
        The tensor is too large, or scale and beta are too small, which TFLite Micro refuses too.
    """
    factor = min(
        float(np.float32(beta)) * input.scale * (1 << (31 - _DIFFERENCE_BITS)), (1 << 31) - 1.0
    )
    if not factor > 1.0:
        raise UsageError(f"softmax8: scale {input.scale} with beta {beta} is too small")
    mantissa, exponent = quantize_multiplier(factor)
    last = math.floor(math.ldexp(((1 << _DIFFERENCE_BITS) - 1) << 26, -exponent))
    differences = -np.arange(min(last, MAX_TABLE - 1) + 1, dtype=np.int64)
    powers = exp_of_negative(high_product(differences << exponent, mantissa), _DIFFERENCE_BITS)
    entries = int(np.count_nonzero(powers >= _NOTHING))
    return Softmax8(n_rows, depth, powers[:entries].astype(np.int32))
