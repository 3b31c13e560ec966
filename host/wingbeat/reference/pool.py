"""Pool: the mean or the largest value under a window, as TFLite Micro's AVERAGE_POOL_2D and
MAX_POOL_2D compute it on int8.

What lies outside of the map does not count. With S the sum of the n values that are there, the mean
is ``S / n`` rounded to nearest, ties away from zero. Both are then limited.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.conv import Window, output_size

from .base import BaseOperator

_AXIS = struct.Struct("<HH4B")
_PARAMS = struct.Struct("<Hbb")
_SIZE = 2 * _AXIS.size + _PARAMS.size
_INT8 = (-128, 127)

_Pool = TypeVar("_Pool", bound="Pool")


@dataclass(frozen=True)
class Pool(BaseOperator):
    """A pool over an int8 map: `AveragePool` or `MaxPool`.

    Parameters
    ----------
    window : Window
        Without dilation. Some of the map lies under it everywhere.
    low, high : int
        Limits of the output.

    Raises
    ------
    UsageError
        A parameter is out of range.
    """

    window: Window
    low: int = _INT8[0]
    high: int = _INT8[1]

    OPCODE: ClassVar[int]
    KERNEL: ClassVar[str]

    def _problem(self) -> str | None:
        window = self.window
        problem = window.problem()
        if problem is not None:
            return problem
        if window.dilation != (1, 1):
            return f"a dilation of {window.dilation}: a pool has none"
        for axis in range(2):
            corner, last = window.corner[axis], window.out_shape[axis] - 1
            if corner >= window.kernel[axis]:
                return f"padding of {corner} for a window of {window.kernel[axis]}"
            if last * window.stride[axis] - corner >= window.shape[axis]:
                return f"window {last} lies outside of the map"
        if not _INT8[0] <= self.low <= self.high <= _INT8[1]:
            return f"the output's limits are {self.low} to {self.high}: expected -128 to 127"
        return None

    def encode(self) -> bytes:
        """Return the two axes, u16 channels, i8 low, i8 high."""
        window = self.window
        axes = (
            _AXIS.pack(
                *(window.shape[i], window.out_shape[i], window.kernel[i], window.stride[i]),
                *(window.dilation[i], window.corner[i]),
            )
            for i in range(2)
        )
        return b"".join(axes) + _PARAMS.pack(window.shape[2], self.low, self.high)

    @classmethod
    def decode(cls: type[_Pool], params: bytes) -> _Pool:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            The parameters are of the wrong length, or a value is out of range.
        """
        if len(params) != _SIZE:
            raise FormatError(f"pool: takes {_SIZE} bytes of parameters, not {len(params)}")
        axes = (_AXIS.unpack_from(params, i * _AXIS.size) for i in range(2))
        (height, width), out, kernel, stride, dilation, corner = zip(*axes, strict=True)
        channels, low, high = _PARAMS.unpack_from(params, 2 * _AXIS.size)
        window = Window((height, width, channels), out, kernel, stride, dilation, corner)
        try:
            return cls(window, low, high)
        except UsageError as error:
            raise FormatError(str(error)) from error

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """int8, the map."""
        return (("b", int(np.prod(self.window.shape))),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """int8, the map."""
        return (("b", int(np.prod(self.window.out_shape)) * self.window.shape[2]),)

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """Where no output pixel lies behind the first input pixel of its window."""
        window = self.window
        rows, columns = (
            np.maximum(np.arange(window.out_shape[i]) * window.stride[i] - window.corner[i], 0)
            for i in range(2)
        )
        first = rows[:, np.newaxis] * window.shape[1] + columns
        own = np.arange(first.size).reshape(first.shape)
        return ((0, 0),) if np.all(own <= first) else ()

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Pool every row.

        Parameters
        ----------
        *inputs : one ndarray of int8, shape [rows, height * width * channels]

        Returns
        -------
        tuple of one ndarray of int8, shape [rows, out height * out width * channels]
        """
        (x,) = inputs
        limited = np.clip(self._values(x), self.low, self.high)
        return (limited.astype(np.int8).reshape(len(x), -1),)

    def _values(self, x: NDArray[np.int8]) -> NDArray[np.int64]:
        """Of all windows, without limits."""
        raise NotImplementedError


class AveragePool(Pool):
    """The mean under a window."""

    OPCODE: ClassVar[int] = 40
    KERNEL: ClassVar[str] = "average_pool"

    def _values(self, x: NDArray[np.int8]) -> NDArray[np.int64]:
        sums = self.window.patches(x, 0).sum(axis=(3, 4), dtype=np.int64)
        ones = self.window.patches(np.ones((1, x.shape[1]), np.int8), 0)
        return divided(sums, ones.sum(axis=(3, 4), dtype=np.int64))


class MaxPool(Pool):
    """The largest value under a window."""

    OPCODE: ClassVar[int] = 43
    KERNEL: ClassVar[str] = "max_pool"

    def _values(self, x: NDArray[np.int8]) -> NDArray[np.int64]:
        return np.asarray(self.window.patches(x, _INT8[0]).max(axis=(3, 4)), np.int64)


def divided(values: NDArray[np.int64], by: NDArray[np.int64]) -> NDArray[np.int64]:
    """Quotients to nearest, ties away from zero."""
    return np.asarray(np.sign(values) * ((np.abs(values) + by // 2) // by))


def pool2d(
    *,
    average: bool,
    shape: tuple[int, int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
    low: int = _INT8[0],
    high: int = _INT8[1],
) -> Pool:
    """A pool with TFLite's numbers.

    Parameters
    ----------
    average : bool
        AVERAGE_POOL_2D, else MAX_POOL_2D.
    shape : tuple of int
        Height, width and channels of the input.
    kernel, stride : tuple of int
        Vertical and horizontal.
    padding : tuple of pairs of int
        Rows above and below the input, columns on its left and right.
    low, high : int
        Limits of the output, those of the activation.

    Raises
    ------
    UsageError
        A number is out of range.
    """
    rows, columns = (output_size(shape[i], kernel[i], stride[i], 1, padding[i]) for i in (0, 1))
    corner = (padding[0][0], padding[1][0])
    window = Window(shape, (rows, columns), kernel, stride, (1, 1), corner)
    return (AveragePool if average else MaxPool)(window, low, high)
