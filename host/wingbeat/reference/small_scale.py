"""The last step of a convolution in 6 bytes a channel: `Scale` with fewer bits.

A sum and its channel's bias are multiplied by the channel's factor (`requantize.multiply`), the
output's zero point is added, and the result is limited to int8. The factor's mantissa has 27 bits
instead of 31, the first of which is always 1; a bias has 19; and shifts differ by 7 at most.

That is another factor than TFLite Micro's. `make_small_scale` proves for every sum that a channel
can have that its output is the same: outputs rise with the sum, so it is enough that each begins at
the same sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import UsageError
from wingbeat.reference.requantize import multiply
from wingbeat.reference.scale import NARROW_LIMIT, Scale, find_begins, output_problem
from wingbeat.reference.short_scale import FRACTION_BITS, ShortScale

CHANNEL = 6
"""Bytes of a channel."""

MAX_SHIFT = 23

_MANTISSA_BITS = 27
_FULL_BITS = 31  # of `multiply`
_BIAS_BITS = 19
_SHIFTS = 7
_INT8 = (-128, 127)
_OUTPUTS = np.arange(_INT8[0] + 1, _INT8[1] + 1)
"""That begin somewhere; the least one does not."""
_TRIES = (0, 1, -1, 2, -2, 3, -3)


@dataclass(frozen=True, eq=False)
class SmallScale:
    """Bias and factor of every output channel.

    Parameters
    ----------
    bias : NDArray[int64] [channels]
        -2^18 to 2^18 - 1.
    mantissa : NDArray[int64] [channels]
        2^26 to 2^27 - 1. The factor is ``mantissa * 2^(-shift - 28)``.
    shift : NDArray[int64] [channels]
        `least` to `least` + 7.
    least : int
        0 to 23.
    zero_point : int
        Of the output.

    Raises
    ------
    UsageError
        A number is out of range.
    """

    bias: NDArray[np.int64]
    mantissa: NDArray[np.int64]
    shift: NDArray[np.int64]
    least: int
    zero_point: int

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem is not None:
            raise UsageError(f"small scale: {problem}")

    def _problem(self) -> str | None:
        limit = 1 << (_BIAS_BITS - 1)
        if np.any((self.bias < -limit) | (self.bias >= limit)):
            return f"a bias is not within {_BIAS_BITS} bits"
        if np.any(self.mantissa >> (_MANTISSA_BITS - 1) != 1):
            return f"a mantissa is not within 2^{_MANTISSA_BITS - 1} to 2^{_MANTISSA_BITS} - 1"
        if not 0 <= self.least <= MAX_SHIFT:
            return f"the least shift is {self.least}: expected 0 to {MAX_SHIFT}"
        if np.any((self.shift < self.least) | (self.shift > self.least + _SHIFTS)):
            return f"shifts differ by more than {_SHIFTS}"
        return output_problem(self.zero_point, *_INT8)

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
        mantissa = self.mantissa << (_FULL_BITS - _MANTISSA_BITS)
        values = multiply(sums + self.bias, mantissa, -1 - self.shift) + self.zero_point
        return np.clip(values, *_INT8).astype(np.int8)

    def encode(self) -> bytes:
        """Channel by channel: u16 low half of the bias, u32 fraction of the mantissa << 6 | high
        bits of the bias << 3 | shift - least."""
        fraction = self.mantissa & ((1 << (_MANTISSA_BITS - 1)) - 1)
        word = fraction << 6 | (self.bias >> 16 & 7) << 3 | self.shift - self.least
        columns = [self.bias & 0xFFFF, word & 0xFFFF, word >> 16]
        return np.stack(columns, axis=1).astype("<u2").tobytes()

    @classmethod
    def decode(cls, data: bytes, least: int, zero_point: int) -> SmallScale:
        """Read what `encode` wrote.

        Parameters
        ----------
        data : bytes
            A multiple of `CHANNEL`.

        Raises
        ------
        UsageError
            A number is out of range.
        """
        low, *words = np.frombuffer(data, "<u2").reshape(-1, 3).astype(np.int64).T
        word = words[0] | words[1] << 16
        high = word >> 3 & 7
        bias = low | (high - (high >> 2 << 3)) << 16
        mantissa = word >> 6 | 1 << (_MANTISSA_BITS - 1)
        return cls(bias, mantissa, least + (word & 7), least, zero_point)


def make_small_scale(
    scale: Scale | ShortScale, sums: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> SmallScale | None:
    """The scale that gives the same outputs as another for all sums, or None if there is none.

    Parameters
    ----------
    sums : tuple of two arrays of int64 [channels]
        The smallest and the largest sum, without bias, that a channel can have.
    """
    if (scale.low, scale.high) != _INT8:
        return None
    found = _numbers(scale)
    if found is None:
        return None
    bias, factor = found
    fraction, exponent = np.frexp(factor)
    shift = -exponent.astype(np.int64) - 1
    least = min(max(int(shift.min()), 0), MAX_SHIFT)
    nearest = np.rint(fraction * (1 << _MANTISSA_BITS)).astype(np.int64)
    if max(np.abs(sums[0] + bias).max(), np.abs(sums[1] + bias).max()) > NARROW_LIMIT:
        return None
    begins = find_begins(scale.apply, _OUTPUTS, *sums)
    missing = np.ones(len(bias), bool)
    mantissa = np.full(len(bias), 1 << (_MANTISSA_BITS - 1))
    for other in _TRIES:
        tried = np.clip(nearest + other, 1 << (_MANTISSA_BITS - 1), (1 << _MANTISSA_BITS) - 1)
        tried = np.where(missing, tried, mantissa)
        try:
            small = SmallScale(bias, tried, shift, least, scale.zero_point)
        except UsageError:
            return None
        right = _agrees(small, begins, sums)
        mantissa = np.where(right, tried, mantissa)
        missing &= ~right
        if not missing.any():
            return small
    return None


def _numbers(scale: Scale | ShortScale) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Bias and real factor of every channel; None if a factor is 0."""
    if isinstance(scale, Scale):
        factor = np.ldexp(scale.mantissa.astype(np.float64), scale.exponent - _FULL_BITS)
        bias = scale.bias.astype(np.int64)
    else:
        unit = np.ldexp(scale.factor.astype(np.float64), -FRACTION_BITS)
        factor = np.ldexp(unit, -scale.shift)
        # What an offset holds besides the bias: the zero point, and half of what both roundings
        # of TFLite Micro round to.
        rest = (scale.zero_point << scale.shift) + (1 << scale.shift >> 1) + (scale.step >> 1)
        bias = np.rint((scale.offset - rest) / np.maximum(unit, 1e-9)).astype(np.int64)
    return None if np.any(factor <= 0) else (bias, factor)


def _agrees(
    small: SmallScale,
    begins: NDArray[np.int64],
    sums: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> NDArray[np.bool_]:
    """Whether each output of a channel begins where it should."""
    outputs = _OUTPUTS[:, np.newaxis]
    there = (small.apply(begins) >= outputs) | (begins > sums[1])
    not_before = (small.apply(begins - 1) < outputs) | (begins == sums[0])
    return np.asarray(np.all(there & not_before, axis=0))
