"""From an accumulator to a quantized output: the arithmetic of the int8 quantization of TFLite.

A real factor is a mantissa of 31 bits and a power of two. TFLite Micro rounds twice: once when the
high half of the doubled product is taken (ties away from minus infinity, as gemmlowp's
``SaturatingRoundingDoublingHighMul`` does), once at the division by the power of two (ties away
from zero, ``RoundingDivideByPOT``). Both roundings are part of the answer.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MANTISSA_BITS = 31
_INT32 = np.iinfo(np.int32)


def quantize_multiplier(real: float) -> tuple[int, int]:
    """The mantissa and exponent that stand for a real factor.

    Parameters
    ----------
    real : float
        0 or above.

    Returns
    -------
    mantissa : int
        0, or 2^30 to 2^31 - 1: the factor is ``mantissa * 2^(exponent - 31)``.
    exponent : int
        -31 to 30. A factor below 2^-32 becomes 0, as in TFLite.
    """
    if real == 0.0:
        return 0, 0
    fraction, exponent = math.frexp(real)
    mantissa = math.floor(fraction * (1 << _MANTISSA_BITS) + 0.5)
    if mantissa == 1 << _MANTISSA_BITS:
        mantissa //= 2
        exponent += 1
    if exponent < -_MANTISSA_BITS:
        return 0, 0
    if exponent > _MANTISSA_BITS - 1:
        return (1 << _MANTISSA_BITS) - 1, _MANTISSA_BITS - 1
    return mantissa, exponent


def multiply(values: ArrayLike, mantissa: ArrayLike, exponent: ArrayLike) -> NDArray[np.int64]:
    """Values times a factor, rounded twice as TFLite Micro does.

    Parameters
    ----------
    values : array of int32
    mantissa, exponent : int or array that broadcasts with `values`
        From `quantize_multiplier`.

    Returns
    -------
    array of int64
        Within int32.
    """
    exponents = np.asarray(exponent, np.int64)
    left, right = np.maximum(exponents, 0), np.maximum(-exponents, 0)
    # A left shift wraps in 32 bits there; calibrated scales never make it wrap.
    shifted = (np.asarray(values, np.int64) << left).astype(np.int32).astype(np.int64)
    return divide_by_power(high_product(shifted, mantissa), right)


def high_product(values: ArrayLike, mantissa: ArrayLike) -> NDArray[np.int64]:
    """``values * mantissa / 2^31``, rounded to nearest, ties up; saturated to int32.

    The source: gemmlowp's ``SaturatingRoundingDoublingHighMul``, which adds 2^30 or 1 - 2^30 and
    divides towards zero.
    """
    product = np.asarray(values, np.int64) * np.asarray(mantissa, np.int64)
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    high = np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))
    return np.clip(high, _INT32.min, _INT32.max)


def divide_by_power(values: ArrayLike, exponent: ArrayLike) -> NDArray[np.int64]:
    """``values / 2^exponent``, rounded to nearest, ties away from zero.

    The source: gemmlowp's ``RoundingDivideByPOT``.
    """
    x, power = np.asarray(values, np.int64), np.asarray(exponent, np.int64)
    mask = (np.int64(1) << power) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> power) + ((x & mask) > threshold)
