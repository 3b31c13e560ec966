"""The last step of a depthwise convolution in one 32-bit product of two parts.

A channel's sum ``s`` of weights times inputs becomes an output by

    p = floor(s * factor / 2^13) + offset
    p -= step                        if p < zero
    output = floor(p / 2^shift), limited to low..high

where ``offset`` holds the bias, the output's zero point and half a unit, ``zero`` is where ``s``
plus bias changes its sign, and ``step`` is a unit of TFLite Micro's first rounding, which goes the
other way for negative values.

`make_short_scale` proves for every sum that a channel can have that this is what
`requantize.multiply` gives: both rise with the sum, so it is enough that every output begins at
the same sum. `factor` has up to 27 bits, so its relative error is about 2^-27; the 255 sums where
outputs begin are integers, which leaves room between them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.requantize import multiply, quantize_multiplier
from wingbeat.reference.scale import find_begins, output_problem

FRACTION_BITS = 13
"""Bits of the factor's low part. A sum times that part must fit in 32 bits."""

FORM = 2
"""What stands in a scale's head where 0 is the narrow form and 1 the wide one."""

_FACTOR_BITS = (27, 26, 25, 24)  # in the order in which they are tried
_LARGEST_SUM = 1 << (31 - FRACTION_BITS)
_SHIFT_BITS = 5
_LARGEST_SHIFT = 23
_CONSTANT_SHIFT = 16
_LIMIT = 1 << 31
_TRIES = (0, 1, -1, 2, -2, 3, -3, 4, -4, 6, -6, 8, -8)
_HEAD = struct.Struct("<bbbB")
_CHANNEL = 8
_Numbers = TypeVar("_Numbers", NDArray[np.int64], np.int64)


@dataclass(frozen=True, eq=False)
class ShortScale:
    """Factor, offset and limits of every output channel.

    Parameters
    ----------
    factor : NDArray[int64] [channels]
        0 to 2^27 - 1.
    shift : NDArray[int64] [channels]
        0 to 31.
    offset : NDArray[int64] [channels]
        Within int32.
    zero_point, low, high : int
        Of the output, within int8.

    Raises
    ------
    UsageError
        A number is out of range.
    """

    factor: NDArray[np.int64]
    shift: NDArray[np.int64]
    offset: NDArray[np.int64]
    zero_point: int
    low: int
    high: int

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem is not None:
            raise UsageError(f"short scale: {problem}")

    def _problem(self) -> str | None:
        problem = output_problem(self.zero_point, self.low, self.high)
        if problem is not None:
            return problem
        if np.any((self.factor < 0) | (self.factor >> _FACTOR_BITS[0] > 0)):
            return f"a factor is not within 0 to 2^{_FACTOR_BITS[0]} - 1"
        if np.any((self.shift < 0) | (self.shift >> _SHIFT_BITS > 0)):
            return "a shift is not within 0 to 31"
        if np.any((self.offset < -_LIMIT) | (self.offset >= _LIMIT)):
            return "an offset is not within 32 bits"
        return None

    @property
    def channels(self) -> int:
        """Number of output channels."""
        return len(self.factor)

    @property
    def step(self) -> NDArray[np.int64]:
        """A unit of TFLite Micro's first rounding."""
        return _step(self.factor)

    def apply(self, sums: NDArray[np.int64]) -> NDArray[np.int8]:
        """Outputs from sums without bias.

        Parameters
        ----------
        sums : array of int64 [..., channels]
        """
        value = (sums * self.factor >> FRACTION_BITS) + self.offset
        step = self.step
        zero = _zero(self.zero_point, self.shift, step)
        value = value - np.where(value < zero, step, 0)
        limited = np.clip(value >> self.shift, self.low, self.high)
        return np.asarray(limited, np.int8)

    def encode(self) -> bytes:
        """Zero point, low, high, 2; then factor << 5 | shift and offset of each channel."""
        head = _HEAD.pack(self.zero_point, self.low, self.high, FORM)
        first = (self.factor << _SHIFT_BITS | self.shift).astype("<u4")
        offsets = self.offset.astype("<i4").view("<u4")
        return head + np.stack([first, offsets], axis=1).tobytes()

    @staticmethod
    def size(data: bytes, channels: int) -> int:
        """Bytes that `encode` made for a number of channels, whatever their numbers."""
        return _HEAD.size + channels * _CHANNEL

    @classmethod
    def decode(cls, data: bytes, channels: int) -> ShortScale:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            It is of another length, or a number is out of range.
        """
        if len(data) != cls.size(data, channels) or data[_HEAD.size - 1] != FORM:
            raise FormatError(
                f"short scale: {len(data)} bytes are not those of {channels} channels"
            )
        zero_point, low, high, _ = _HEAD.unpack_from(data)
        words = np.frombuffer(data, "<u4", offset=_HEAD.size).reshape(channels, 2)
        first = words[:, 0].astype(np.int64)
        offset = words[:, 1].astype(np.int32).astype(np.int64)
        shift_mask = (1 << _SHIFT_BITS) - 1
        try:
            return cls(first >> _SHIFT_BITS, first & shift_mask, offset, zero_point, low, high)
        except UsageError as error:
            raise FormatError(str(error)) from error


def make_short_scale(
    bias: ArrayLike,
    factors: ArrayLike,
    zero_point: int,
    low: int,
    high: int,
    sums: tuple[ArrayLike, ArrayLike],
) -> ShortScale | None:
    """The scale that gives TFLite Micro's outputs for all sums, or None if there is no such.

    Parameters
    ----------
    bias : array of int [channels]
    factors : array of float64 [channels]
        Input scale times weight scale over output scale.
    zero_point, low, high : int
        Of the output.
    sums : tuple of two arrays of int [channels]
        The smallest and the largest sum, without bias, that a channel can have.
    """
    biases, smallest, largest = (np.asarray(each, np.int64) for each in (bias, *sums))
    if np.any(np.maximum(-smallest, largest) >= _LARGEST_SUM):
        return None
    channels = [
        _Channel.of(*each, zero_point, low, high)
        for each in zip(
            biases.tolist(),
            np.asarray(factors, np.float64).tolist(),
            smallest.tolist(),
            largest.tolist(),
            strict=True,
        )
    ]
    for bits in _FACTOR_BITS:
        numbers = _numbers(channels, bits)
        if numbers is not None:
            factor, shift, offset = np.array(numbers, np.int64).T
            return ShortScale(factor, shift, offset, zero_point, low, high)
    return None


def _numbers(channels: Sequence[_Channel], bits: int) -> list[tuple[int, int, int]] | None:
    found = []
    for channel in channels:
        numbers = channel.numbers(bits)
        if numbers is None:
            return None
        found.append(numbers)
    return found


@dataclass(frozen=True, eq=False)
class _Channel:
    """What a channel must give.

    Attributes
    ----------
    outputs : NDArray[int64]
        low + 1 to high.
    begins : NDArray[int64]
        The smallest sum, without bias, that gives at least this output; `largest` + 1 if none.
    """

    bias: int
    mantissa: int
    exponent: int
    smallest: int
    largest: int
    zero_point: int
    low: int
    outputs: NDArray[np.int64]
    begins: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        bias: int,
        factor: float,
        smallest: int,
        largest: int,
        zero_point: int,
        low: int,
        high: int,
    ) -> _Channel:
        mantissa, exponent = quantize_multiplier(factor)
        outputs = np.arange(low + 1, high + 1)
        begins = find_begins(
            lambda sums: multiply(sums + bias, mantissa, exponent) + zero_point,
            outputs,
            np.array([smallest]),
            np.array([largest]),
        )[:, 0]
        return cls(bias, mantissa, exponent, smallest, largest, zero_point, low, outputs, begins)

    def numbers(self, bits: int) -> tuple[int, int, int] | None:
        """Factor, shift and offset, or None if none with this many bits are right."""
        inside = (self.begins > self.smallest) & (self.begins <= self.largest)
        if not np.any(inside):
            return self._constant()
        shift = min(bits - FRACTION_BITS - self.exponent, _LARGEST_SHIFT)
        if shift < 0:
            return None
        nearest = round(self.mantissa * 2.0 ** (self.exponent + shift + FRACTION_BITS - 31))
        for other in _TRIES:
            factor = nearest + other
            if 0 <= factor < 1 << bits:
                offset = self._offset(factor, shift)
                if offset is not None:
                    return factor, shift, offset
        return None

    def _constant(self) -> tuple[int, int, int]:
        """For an output that is always the same."""
        output = self.low + int(np.count_nonzero(self.begins <= self.smallest))
        half = 1 << _CONSTANT_SHIFT >> 1
        return 0, _CONSTANT_SHIFT, (output << _CONSTANT_SHIFT) + half

    def _offset(self, factor: int, shift: int) -> int | None:
        """The middle of the offsets that are right."""
        begins, level, step = self.begins, self.outputs << shift, int(_step(np.int64(factor)))
        negative = np.where(begins + self.bias < 0, step, 0)
        negative_before = np.where(begins - 1 + self.bias < 0, step, 0)
        least = level - (begins * factor >> FRACTION_BITS) + negative
        most = level - ((begins - 1) * factor >> FRACTION_BITS) + negative_before
        first = int(least[begins <= self.largest].max(initial=-_LIMIT))
        end = int(most[begins > self.smallest].min(initial=_LIMIT))
        if self.low < self.zero_point:
            # Sums plus bias are taken for negative where they are.
            zero = int(_zero(self.zero_point, np.int64(shift), np.int64(step)))
            first = max(first, zero - (-self.bias * factor >> FRACTION_BITS))
            end = min(end, zero - ((-self.bias - 1) * factor >> FRACTION_BITS))
        offset = (first + end - 1) >> 1
        values = [(s * factor >> FRACTION_BITS) + offset for s in (self.smallest, self.largest)]
        # Kernels compare with the ends of the output, and with zero, by subtracting.
        ends = (0, self.low << shift, int(_zero(self.zero_point, np.int64(shift), np.int64(step))))
        fits = all(-_LIMIT + step <= v - end < _LIMIT for v in values for end in ends)
        return offset if first < end and fits else None


def _step(factor: _Numbers) -> _Numbers:
    """The smallest power of two above the factor, over 2^13."""
    smeared = factor
    for shift in (1, 2, 4, 8, 16):
        smeared = smeared | smeared >> shift
    step: _Numbers = (smeared + 1) >> FRACTION_BITS
    return step


def _zero(zero_point: int, shift: _Numbers, step: _Numbers) -> _Numbers:
    """Between what sums plus bias of -1 and of 0 give."""
    one = shift * 0 + 1
    zero: _Numbers = (zero_point * one << shift) + (one << shift >> 1) + (step >> 2)
    return zero
