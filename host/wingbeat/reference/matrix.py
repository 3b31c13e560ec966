"""Matrix: linear maps of int16 rows, such as the discrete cosine transform of log energies.

``y[j] = (sum_i weight[j, i] x[i] + bias[j]) >> shift``, sums modulo 2^32, then limited to int16.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wingbeat.errors import UsageError

from .signal_operator import SignalOperator, padded

MAX_INPUTS = 4096
MAX_OUTPUTS = 4096
MAX_ROWS = 65535
MAX_SHIFT = 31

_HEAD = struct.Struct("<HHHBx")
_INT16 = np.iinfo(np.int16)
_SUM_LIMIT = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Matrix(SignalOperator):
    """A matrix times each row of a tensor.

    Parameters
    ----------
    weights : NDArray[int16] [n_outputs, n_inputs]
        1 to 4096 each.
    bias : NDArray[int32] [n_outputs]
    shift : int
        0 to 31.
    n_rows : int
        1 to 65535.
    """

    weights: NDArray[np.int16]
    bias: NDArray[np.int32]
    shift: int
    n_rows: int = 1

    OPCODE: ClassVar[int] = 99
    KERNEL: ClassVar[str] = "matrix"

    def _problem(self) -> str | None:
        if self.weights.ndim != 2 or self.weights.dtype != np.int16:
            return (
                "expected weights int16 [n_outputs, n_inputs],"
                f" got {self.weights.dtype} {list(self.weights.shape)}"
            )
        n_outputs, n_inputs = self.weights.shape
        if not 1 <= n_inputs <= MAX_INPUTS or not 1 <= n_outputs <= MAX_OUTPUTS:
            return f"{n_inputs} inputs and {n_outputs} outputs: expected 1 to {MAX_INPUTS} each"
        if self.bias.shape != (n_outputs,) or self.bias.dtype != np.int32:
            return f"expected a bias int32 [{n_outputs}], got {self.bias.dtype} {self.bias.shape}"
        if not 1 <= self.n_rows <= MAX_ROWS:
            return f"there are 1 to {MAX_ROWS} rows, not {self.n_rows}"
        if not 0 <= self.shift <= MAX_SHIFT:
            return f"a shift is 0 to {MAX_SHIFT}, not {self.shift}"
        return None

    def encode(self) -> bytes:
        """Return u16 n_inputs, n_outputs, n_rows, u8 shift, 0; biases; weights."""
        n_outputs, n_inputs = self.weights.shape
        head = _HEAD.pack(n_inputs, n_outputs, self.n_rows, self.shift)
        return padded(
            head + self.bias.astype("<i4").tobytes() + self.weights.astype("<i2").tobytes()
        )

    @classmethod
    def _read(cls, params: bytes) -> Matrix:
        n_inputs, n_outputs, n_rows, shift = _HEAD.unpack_from(params)
        bias = np.frombuffer(params, "<i4", n_outputs, _HEAD.size).astype(np.int32)
        start = _HEAD.size + 4 * n_outputs
        weights = np.frombuffer(params, "<i2", n_outputs * n_inputs, start).astype(np.int16)
        return cls(weights.reshape(n_outputs, n_inputs), bias, shift, n_rows)

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of [n_rows, n_inputs]."""
        return (("h", self.n_rows * self.weights.shape[1]),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of [n_rows, n_outputs]."""
        return (("h", self.n_rows * self.weights.shape[0]),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        (x,) = inputs
        rows = x.reshape(-1, self.weights.shape[1]).astype(np.int64)
        sums = rows @ self.weights.astype(np.int64).T + self.bias
        wrapped = sums.astype(np.int32) >> self.shift
        result = np.clip(wrapped, _INT16.min, _INT16.max).astype(np.int16)
        return (result.reshape(len(x), -1),)


def matrix(
    weights: ArrayLike, bias: ArrayLike | None = None, *, n_rows: int = 1, scale: float = 1.0
) -> Matrix:
    """Return the operator for real weights, with as many fraction bits as cannot overflow.

    Parameters
    ----------
    weights : array of float [n_outputs, n_inputs]
    bias : array of float [n_outputs], optional
        In units of the input's steps.
    n_rows : int
    scale : float
        What results are multiplied by: 1/8 where they would exceed int16.

    Raises
    ------
    UsageError
        The weights are not a matrix of numbers, or too large.
    """
    real = np.asarray(weights, np.float64) * scale
    if real.ndim != 2 or not np.isfinite(real).all():
        raise UsageError("matrix: expected numbers [n_outputs, n_inputs]")
    offsets = np.zeros(len(real)) if bias is None else np.asarray(bias, np.float64) * scale
    largest_sum = float((np.abs(real).sum(axis=1) * -_INT16.min + np.abs(offsets) + 1).max())
    largest_weight = float(np.abs(real).max())
    for shift in range(MAX_SHIFT, -1, -1):
        # Rounding a weight adds up to a half for each input.
        slack = real.shape[1] * -_INT16.min / 2
        if largest_sum * 2**shift + slack < _SUM_LIMIT and largest_weight * 2**shift < _INT16.max:
            half = (1 << shift) >> 1
            return Matrix(
                np.rint(real * 2**shift).astype(np.int16),
                (np.rint(offsets * 2**shift) + half).astype(np.int32),
                shift,
                n_rows,
            )
    raise UsageError("matrix: the weights are too large for int16 inputs: take a smaller scale")


def dct_weights(n_inputs: int, n_outputs: int) -> NDArray[np.float64]:
    """Return the orthonormal discrete cosine transform of type 2, [n_outputs, n_inputs].

    It is ``scipy.fft.dct(x, norm="ortho")``, cut to its first outputs: what makes MFCC from
    logarithms of mel energies.

    Raises
    ------
    UsageError
        There are more outputs than inputs, or none.
    """
    if not 1 <= n_outputs <= n_inputs:
        raise UsageError(
            f"a cosine transform of {n_inputs} values has 1 to {n_inputs} results, not {n_outputs}"
        )
    k = np.arange(n_outputs)[:, np.newaxis]
    i = np.arange(n_inputs)
    weights = np.sqrt(2 / n_inputs) * np.cos(np.pi * k * (2 * i + 1) / (2 * n_inputs))
    weights[0] /= np.sqrt(2)
    return np.asarray(weights)
