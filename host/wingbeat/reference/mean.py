"""Mean: the mean over some axes, as TFLite Micro's MEAN computes it on int8.

A tensor [outer, first, middle, second, inner] is added up over `first` and `second`; 1 stands for
axes that are not there, so that any one or two stretches of neighbouring axes can be reduced. The
sum plus `bias` times the factor ``mantissa * 2^(exponent - 31)``, rounded twice as
`requantize.multiply` does, plus the output's zero point is the result.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.pool import AveragePool, divided
from wingbeat.reference.requantize import multiply, quantize_multiplier

from .base import BaseOperator

#: Elements of the input.
MAX_ELEMENTS = (1 << 22) - 1

_MAX_SIZE = 65535
_REDUCED = (2, 4)  # axes of [rows, outer, first, middle, second, inner]
_EXPONENTS = (-31, 30)
_LIMIT = 1 << 31
_PARAMS = struct.Struct("<5Hbxiii")
_INT8 = (-128, 127)
_LARGEST_POOL = 4096  # elements: there are 255 sums for each


@dataclass(frozen=True)
class Mean(BaseOperator):
    """A mean over one or two stretches of axes.

    Parameters
    ----------
    shape : tuple of int
        Outer, first, middle, second, inner; 1 to 65535 each.
    zero_point : int
        Of the output.
    bias : int
        What is added to a sum.
    mantissa, exponent : int
        The factor is ``mantissa * 2^(exponent - 31)``; mantissa 0 to 2^31 - 1, exponent -31 to 30.

    Raises
    ------
    UsageError
        A parameter is out of range.
    """

    shape: tuple[int, int, int, int, int]
    zero_point: int
    bias: int
    mantissa: int
    exponent: int

    OPCODE: ClassVar[int] = 41
    KERNEL: ClassVar[str] = "mean"

    def _problem(self) -> str | None:
        if not all(1 <= size <= _MAX_SIZE for size in self.shape):
            return f"an input of {self.shape}: expected 1 to {_MAX_SIZE} of each"
        if int(np.prod(self.shape, dtype=object)) > MAX_ELEMENTS:
            return f"an input of {self.shape}: expected at most {MAX_ELEMENTS} elements"
        if not _INT8[0] <= self.zero_point <= _INT8[1]:
            return f"the output's zero point is {self.zero_point}: expected -128 to 127"
        if not -_LIMIT <= self.bias < _LIMIT or not 0 <= self.mantissa < _LIMIT:
            return f"bias {self.bias} or mantissa {self.mantissa} is out of range"
        if not _EXPONENTS[0] <= self.exponent <= _EXPONENTS[1]:
            return f"exponent {self.exponent}: expected {_EXPONENTS[0]} to {_EXPONENTS[1]}"
        return None

    def encode(self) -> bytes:
        """Return u16 shape[5], i8 zero_point, i32 bias, i32 mantissa, i32 exponent."""
        factor = self.bias, self.mantissa, self.exponent
        return _PARAMS.pack(*self.shape, self.zero_point, *factor)

    @classmethod
    def decode(cls, params: bytes) -> Mean:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            The parameters are of the wrong length, or a value is out of range.
        """
        if len(params) != _PARAMS.size:
            raise FormatError(f"mean: takes {_PARAMS.size} bytes of parameters, not {len(params)}")
        outer, first, middle, second, inner, *others = _PARAMS.unpack(params)
        try:
            return cls((outer, first, middle, second, inner), *others)
        except UsageError as error:
            raise FormatError(str(error)) from error

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """int8, the tensor."""
        return (("b", int(np.prod(self.shape))),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """int8 [outer, middle, inner]."""
        outer, _, middle, _, inner = self.shape
        return (("b", outer * middle * inner),)

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """Always: no output lies behind its first input, nor behind those of later outputs."""
        return ((0, 0),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Reduce every row.

        Parameters
        ----------
        *inputs : one ndarray of int8, shape [rows, elements]

        Returns
        -------
        tuple of one ndarray of int8, shape [rows, outer * middle * inner]
        """
        (x,) = inputs
        sums = x.reshape(len(x), *self.shape).sum(axis=_REDUCED, dtype=np.int64) + self.bias
        values = multiply(sums, self.mantissa, self.exponent) + self.zero_point
        return (np.clip(values, *_INT8).astype(np.int8).reshape(len(x), -1),)


def mean(
    shape: Sequence[int],
    axes: Sequence[int],
    *,
    input_scale: float,
    input_zero_point: int,
    output_scale: float,
    output_zero_point: int,
) -> Mean:
    """The mean with TFLite's numbers.

    Parameters
    ----------
    shape : sequence of int
        Of the input.
    axes : sequence of int
        Those that are reduced; negative ones count from the end.
    input_scale, output_scale : float
    input_zero_point, output_zero_point : int

    Raises
    ------
    UsageError
        An axis does not exist, the axes make more than two stretches, or a number is out of range.
    """
    if not all(-len(shape) <= axis < len(shape) for axis in axes):
        raise UsageError(f"mean: axes {list(axes)} of a tensor of {len(shape)} dimensions")
    reduced = {axis % len(shape) for axis in axes}
    count = int(np.prod([shape[axis] for axis in reduced], dtype=np.int64))
    mantissa, exponent = quantize_multiplier(float(input_scale) / float(output_scale))
    # TFLM's QuantizedMeanOrSum: the number of elements goes into the factor.
    shift = min(count.bit_length() - 1, 32, 31 + exponent)
    return Mean(
        _stretches(shape, reduced),
        output_zero_point,
        -input_zero_point * count,
        (mantissa << shift) // count,
        exponent - shift,
    )


def mean_of_pool(pool: AveragePool) -> Mean | None:
    """The mean that gives what a pool gives, for every sum; None if there is none.

    Every sum that the map can have is tried.
    """
    window = pool.window
    height, width, channels = window.shape
    if (window.out_shape, (pool.low, pool.high)) != ((1, 1), _INT8) or any(window.corner):
        return None
    if window.kernel[0] < height or window.kernel[1] < width:
        return None
    count = height * width
    if count > _LARGEST_POOL or count * channels > MAX_ELEMENTS:
        return None
    sums = np.arange(_INT8[0] * count, _INT8[1] * count + 1, dtype=np.int64)
    means = divided(sums, np.full_like(sums, count))
    # With an exponent of 0 there is one rounding, ties up: a factor just above 1 / count takes
    # them away from zero.
    mantissa = min((1 << 31) // count + 1, _LIMIT - 1)
    if not np.array_equal(multiply(sums, mantissa, 0), means):
        return None
    return Mean((1, 1, 1, count, channels), 0, 0, mantissa, 0)


def _stretches(shape: Sequence[int], reduced: set[int]) -> tuple[int, int, int, int, int]:
    """The shape as [outer, first, middle, second, inner]."""
    pairs = [(size, axis in reduced) for axis, size in enumerate(shape) if size != 1]
    stretches = [
        (is_reduced, int(np.prod([size for size, _ in group])))
        for is_reduced, group in groupby(pairs, key=lambda pair: pair[1])
    ]
    sizes = [1, 1, 1, 1, 1]
    # One stretch to reduce is the second, next to the inner axes.
    at = 4
    for is_reduced, size in reversed(stretches):
        if is_reduced != (at % 2 == 1):
            at -= 1
        if at < 0:
            raise UsageError("mean: the axes make more than two stretches: reduce them in steps")
        sizes[at] = size
        at -= 1
    outer, first, middle, second, inner = sizes
    return outer, first, middle, second, inner
