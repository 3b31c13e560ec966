"""The last step of a convolution: from int32 sums to int8, channel by channel.

A sum and its channel's bias are multiplied by the channel's factor (`requantize.multiply`), the
output's zero point is added, and the activation limits the result. Kernels use one of two forms
of the same numbers:

- *narrow*, 8 bytes a channel: factors below 1/2, and no sum beyond 20 bits. A kernel then needs
  three 32-bit multiplications for the exact product.
- *wide*, 12 bytes a channel: anything else.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.requantize import multiply, quantize_multiplier

NARROW_LIMIT = (1 << 20) - (1 << 11)
"""No sum of the narrow form, bias included, lies further from 0."""

WIDE_LIMIT = (1 << 31) - 1

_HEAD = struct.Struct("<bbbB")
_NARROW, _WIDE = 8, 12
_BIAS_BITS = 24
_MANTISSA = (1 << 30, 1 << 31)
_EXPONENTS = (-31, 30)


@dataclass(frozen=True, eq=False)
class Scale:
    """Bias, factor and limits of every output channel.

    Parameters
    ----------
    bias : NDArray[int32] [channels]
        What is added to a channel's sums.
    mantissa, exponent : NDArray[int32] [channels]
        The factor is ``mantissa * 2^(exponent - 31)``, see `quantize_multiplier`.
    zero_point : int
        Of the output.
    low, high : int
        Limits of the output, within int8.
    narrow : bool
        The narrow form is used.

    Raises
    ------
    UsageError
        A number is out of range.
    """

    bias: NDArray[np.int32]
    mantissa: NDArray[np.int32]
    exponent: NDArray[np.int32]
    zero_point: int
    low: int
    high: int
    narrow: bool

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem is not None:
            raise UsageError(f"scale: {problem}")

    def _problem(self) -> str | None:
        problem = output_problem(self.zero_point, self.low, self.high)
        if problem is not None:
            return problem
        if np.any((self.exponent < _EXPONENTS[0]) | (self.exponent > _EXPONENTS[1])):
            return f"an exponent is not within {_EXPONENTS[0]} to {_EXPONENTS[1]}"
        small, large = self.mantissa < _MANTISSA[0], self.mantissa == 0
        if np.any(small & ~large):
            return "a mantissa is neither 0 nor within 2^30 to 2^31 - 1"
        if self.narrow and not _fits(self.bias, self.mantissa, self.exponent):
            return "its numbers are too large for the narrow form"
        return None

    @property
    def channels(self) -> int:
        """Number of output channels."""
        return len(self.bias)

    def apply(self, sums: NDArray[np.int64]) -> NDArray[np.int8]:
        """Outputs from sums without bias.

        Parameters
        ----------
        sums : array of int64 [..., channels]
        """
        values = multiply(sums + self.bias, self.mantissa, self.exponent) + self.zero_point
        return np.clip(values, self.low, self.high).astype(np.int8)

    def encode(self) -> bytes:
        """Zero point, low, high, 1 if wide; then the channels."""
        head = _HEAD.pack(self.zero_point, self.low, self.high, not self.narrow)
        if self.narrow:
            shift = (-1 - self.exponent).astype(np.int64)
            first = (self.bias.astype(np.int64) << 8) | shift
            columns = [first.astype("<i4"), self.mantissa.astype("<i4")]
        else:
            columns = [x.astype("<i4") for x in (self.bias, self.mantissa, self.exponent)]
        return head + np.stack(columns, axis=1).tobytes()

    @staticmethod
    def size(data: bytes, channels: int) -> int:
        """Bytes that `encode` made for a number of channels, from the first four of them."""
        return _HEAD.size + channels * (_WIDE if data[3] else _NARROW)

    @classmethod
    def decode(cls, data: bytes, channels: int) -> Scale:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            It is of another length, or a number is out of range.
        """
        if len(data) < _HEAD.size or data[3] > 1 or len(data) != cls.size(data, channels):
            raise FormatError(f"scale: {len(data)} bytes are not those of {channels} channels")
        zero_point, low, high, wide = _HEAD.unpack_from(data)
        words = np.frombuffer(data, "<i4", offset=_HEAD.size).reshape(channels, -1)
        if wide:
            bias, mantissa, exponent = words.T
        else:
            bias, mantissa = words[:, 0] >> 8, words[:, 1]
            exponent = -1 - (words[:, 0] & 0xFF)
        try:
            return cls(
                bias.astype(np.int32),
                mantissa.astype(np.int32),
                exponent.astype(np.int32),
                zero_point,
                low,
                high,
                not wide,
            )
        except UsageError as error:
            raise FormatError(str(error)) from error


def make_scale(
    bias: ArrayLike,
    factors: ArrayLike,
    zero_point: int,
    low: int,
    high: int,
    largest_sums: ArrayLike,
) -> Scale:
    """The scale with these real factors, in the shortest form that holds it.

    Parameters
    ----------
    bias : array of int [channels]
    factors : array of float64 [channels]
        Input scale times weight scale over output scale.
    zero_point, low, high : int
        Of the output.
    largest_sums : array of int [channels]
        No sum of a channel, without bias, lies further from 0.

    Raises
    ------
    UsageError
        Sums with bias do not fit in 32 bits, or a number is out of range.
    """
    biases = np.asarray(bias, np.int64)
    largest = np.abs(biases) + np.asarray(largest_sums, np.int64)
    if largest.max(initial=0) > WIDE_LIMIT:
        raise UsageError("sums of this layer can exceed 32 bits: it has too many inputs")
    pairs = [quantize_multiplier(float(factor)) for factor in np.asarray(factors, np.float64)]
    mantissa, exponent = (np.array(each, np.int32) for each in zip(*pairs, strict=True))
    narrow = bool(largest.max(initial=0) <= NARROW_LIMIT) and _fits(
        biases.astype(np.int32), mantissa, exponent
    )
    return Scale(biases.astype(np.int32), mantissa, exponent, zero_point, low, high, narrow)


def find_begins(
    outputs_of: Callable[[NDArray[np.int64]], NDArray[Any]],
    outputs: NDArray[np.int64],
    smallest: NDArray[np.int64],
    largest: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Where outputs that rise with the sum begin: two scales that agree in this agree in all.

    Parameters
    ----------
    outputs_of : callable
        Outputs of sums [outputs, channels].
    outputs : array of int64 [outputs]
    smallest, largest : array of int64 [channels]
        The sums that a channel can have.

    Returns
    -------
    array of int64 [outputs, channels]
        The smallest sum that gives at least this output; `largest` + 1 where none does.
    """
    first = np.repeat(smallest[np.newaxis], len(outputs), axis=0)
    last = np.repeat(largest[np.newaxis] + 1, len(outputs), axis=0)
    while np.any(first < last):
        middle = (first + last) >> 1
        reached = outputs_of(middle) >= outputs[:, np.newaxis]
        last = np.where(reached, middle, last)
        first = np.where(reached | (first == last), first, middle + 1)
    return first


def output_problem(zero_point: int, low: int, high: int) -> str | None:
    """Why an int8 output cannot have this zero point and these limits, or None."""
    if not -128 <= low <= high <= 127:
        return f"the output's limits are {low} to {high}: expected -128 to 127"
    if not -128 <= zero_point <= 127:
        return f"the output's zero point is {zero_point}: expected -128 to 127"
    return None


def _fits(
    bias: NDArray[np.int32], mantissa: NDArray[np.int32], exponent: NDArray[np.int32]
) -> bool:
    """Whether the narrow form holds these numbers."""
    limit = 1 << (_BIAS_BITS - 1)
    biases = np.all((bias >= -limit) & (bias < limit))
    return bool(biases and np.all(mantissa >= _MANTISSA[0]) and np.all(exponent <= -1))
