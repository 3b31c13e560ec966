"""Dense: a fully connected layer on int8, as TFLite Micro computes FULLY_CONNECTED.

With x the inputs and w the weights of a channel, its sum is ``sum(w[i] * x[i])``, exact; `Scale`
makes the output of it. The input's zero point is folded into the bias: `dense` does that.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wingbeat.errors import FormatError
from wingbeat.reference.scale import Scale, make_scale

from .base import BaseOperator

#: Most inputs, and most outputs.
MAX_SIZE = 65535

#: Output channels in a word of weights, and inputs that are stored together.
_CHANNELS = 4
_INPUTS = 4

#: Weights are stored as w + 128: within 0 to 255.
_OFFSET = 128
_INT8 = (-128, 127)

_HEAD = struct.Struct("<HH")


@dataclass(frozen=True, eq=False)
class Dense(BaseOperator):
    """A fully connected layer.

    Parameters
    ----------
    weights : NDArray[int8] [n_outputs, n_inputs]
        1 to 65535 of each.
    scale : Scale
        Of n_outputs channels, with the input's zero point in its bias.

    Raises
    ------
    UsageError
        A number is out of range.
    """

    weights: NDArray[np.int8]
    scale: Scale

    OPCODE: ClassVar[int] = 38
    KERNEL: ClassVar[str] = "dense"

    def _problem(self) -> str | None:
        shape = self.weights.shape
        if len(shape) != 2 or not all(1 <= size <= MAX_SIZE for size in shape):
            return (
                f"weights of shape {list(shape)}: expected [outputs, inputs], 1 to {MAX_SIZE} of"
                " each"
            )
        if self.weights.dtype != np.int8 or self.scale.channels != shape[0]:
            return (
                f"expected int8 weights and a scale of {shape[0]} channels, got"
                f" {self.weights.dtype} and {self.scale.channels}"
            )
        return None

    @property
    def n_inputs(self) -> int:
        """Elements of the input."""
        return int(self.weights.shape[1])

    @property
    def n_outputs(self) -> int:
        """Elements of the output."""
        return int(self.weights.shape[0])

    def encode(self) -> bytes:
        """Return u16 n_inputs, u16 n_outputs, the scale, and the weights in blocks of channels."""
        head = _HEAD.pack(self.n_inputs, self.n_outputs)
        return head + self.scale.encode() + _pack(self.weights)

    @classmethod
    def decode(cls, params: bytes) -> Dense:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            The parameters are of the wrong length, or a value is out of range.
        """
        head = _HEAD.size
        if len(params) < head + 4:
            raise FormatError(f"dense: {len(params)} bytes of parameters are too few")
        n_inputs, n_outputs = _HEAD.unpack_from(params)
        if n_inputs == 0 or n_outputs == 0:
            raise FormatError(f"dense: {n_inputs} inputs and {n_outputs} outputs: expected 1 each")
        end = head + Scale.size(params[head:], n_outputs)
        size = _stored(n_outputs, _CHANNELS) * _stored(n_inputs, _INPUTS)
        if len(params) != end + size:
            raise FormatError(
                f"dense: {n_inputs} inputs and {n_outputs} outputs take {end + size} bytes of"
                f" parameters, not {len(params)}"
            )
        scale = Scale.decode(params[head:end], n_outputs)
        return cls(_unpack(params[end:], n_inputs, n_outputs), scale)

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the input."""
        return (("b", self.n_inputs),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the output."""
        return (("b", self.n_outputs),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Apply the layer to every row.

        Parameters
        ----------
        *inputs : one ndarray of int8, shape [rows, n_inputs]

        Returns
        -------
        tuple of one ndarray of int8, shape [rows, n_outputs]
        """
        (x,) = inputs
        # Exact: no sum exceeds 2^30.
        sums = x.astype(np.float64) @ self.weights.T.astype(np.float64)
        return (self.scale.apply(sums.astype(np.int64)),)


def dense(
    weights: ArrayLike,
    bias: ArrayLike | None,
    *,
    input_zero_point: int,
    factors: ArrayLike,
    output_zero_point: int,
    low: int = _INT8[0],
    high: int = _INT8[1],
) -> Dense:
    """The layer with TFLite's parameters.

    Parameters
    ----------
    weights : array of int8 [n_outputs, n_inputs]
    bias : array of int32 [n_outputs], optional
        Default: zeros.
    input_zero_point, output_zero_point : int
        Within int8.
    factors : float or array of float64 [n_outputs]
        Input scale times weight scale over output scale: one for the tensor or one a channel.
    low, high : int
        Limits of the output: the activation.

    Raises
    ------
    UsageError
        A number is out of range, or sums do not fit in 32 bits.
    """
    matrix = np.asarray(weights)
    wide = matrix.astype(np.int64)
    biases = np.zeros(len(wide), np.int64) if bias is None else np.asarray(bias, np.int64)
    folded = biases - input_zero_point * wide.sum(axis=1)
    scale = make_scale(
        folded,
        np.broadcast_to(np.asarray(factors, np.float64), folded.shape),
        output_zero_point,
        low,
        high,
        np.abs(wide).sum(axis=1) * -_INT8[0],
    )
    return Dense(matrix, scale)


def _stored(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple


def _pairs(n_blocks: int) -> tuple[int, int]:
    """Blocks that lie side by side, and the last one that is alone."""
    return n_blocks // 2 * 2, n_blocks % 2


def _pack(weights: NDArray[np.int8]) -> bytes:
    """[pair of blocks][input][block of the pair][channel], and the last block [input][channel]."""
    n_outputs, n_inputs = weights.shape
    stored = np.zeros((_stored(n_outputs, _CHANNELS), _stored(n_inputs, _INPUTS)), np.int16)
    stored[:n_outputs, :n_inputs] = weights
    paired, _ = _pairs(len(stored) // _CHANNELS)
    rows = (stored + _OFFSET).astype(np.uint8)
    pairs = rows[: paired * _CHANNELS].reshape(-1, 2 * _CHANNELS, stored.shape[1])
    return pairs.transpose(0, 2, 1).tobytes() + rows[paired * _CHANNELS :].T.tobytes()


def _unpack(data: bytes, n_inputs: int, n_outputs: int) -> NDArray[np.int8]:
    columns = _stored(n_inputs, _INPUTS)
    paired, alone = _pairs(_stored(n_outputs, _CHANNELS) // _CHANNELS)
    stored = np.frombuffer(data, np.uint8).astype(np.int16) - _OFFSET
    split = paired * _CHANNELS * columns
    pairs = stored[:split].reshape(-1, columns, 2 * _CHANNELS).transpose(0, 2, 1)
    rows = [pairs.reshape(-1, columns)]
    if alone:
        rows.append(stored[split:].reshape(columns, _CHANNELS).T)
    return np.concatenate(rows)[:n_outputs, :n_inputs].astype(np.int8)
