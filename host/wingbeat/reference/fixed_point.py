"""Fixed-point exponential, logistic function and hyperbolic tangent, as gemmlowp computes them.

TFLite's int8 LOGISTIC, TANH and SOFTMAX are made of these. A value of format *Qi* is an int32 that
stands for ``raw / 2^(31 - i)``: i bits before the point. Source of all formulas and constants:
gemmlowp's ``fixedpoint/fixedpoint.h``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wingbeat.reference.requantize import divide_by_power, high_product

ONE = (1 << 31) - 1
"""The value nearest to 1 in Q0."""

_LIMITS = np.iinfo(np.int32)
_EXP_OF_MINUS_EIGHTH = 1895147668
_THIRD = 715827883
#: exp(-2^k) in Q0 for k = -2 to 4.
_EXP_OF_MINUS_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_48_OVER_17 = 1515870810
_MINUS_32_OVER_17 = -1010580540
_ONE_Q2 = 1 << 29
_NEWTON_STEPS = 3
#: From this many bits before the point on, values below -32 give 0.
_CLAMPED_BITS = 6


def exp_of_negative(values: ArrayLike, integer_bits: int) -> NDArray[np.int64]:
    """exp(x) for x of 0 or below.

    Parameters
    ----------
    values : array of int32, 0 or below
        In the format of `integer_bits`.
    integer_bits : int
        1 to 6.

    Returns
    -------
    array of int64
        In Q0, 0 to `ONE`.
    """
    a = np.asarray(values, np.int64)
    fraction_bits = 31 - integer_bits
    quarter = np.int64(1) << (fraction_bits - 2)
    within = (a & (quarter - 1)) - quarter
    result = _exp_of_last_quarter(within << integer_bits)
    remainder = within - a
    for power, factor in enumerate(_EXP_OF_MINUS_POWERS, -2):
        if integer_bits > power:
            has = (remainder >> (fraction_bits + power)) & 1
            result = np.where(has != 0, high_product(result, factor), result)
    if integer_bits >= _CLAMPED_BITS:
        result = np.where(a < -(np.int64(1) << (fraction_bits + 5)), 0, result)
    return np.where(a == 0, ONE, result)


def _exp_of_last_quarter(a: NDArray[np.int64]) -> NDArray[np.int64]:
    """exp(a) for a in Q0 from -1/4 up to below 0: four terms around -1/8."""
    x = a + (1 << 28)
    x2 = high_product(x, x)
    x3 = high_product(x2, x)
    x4 = high_product(x2, x2)
    terms = high_product(divide_by_power(x4, 2) + x3, _THIRD) + x2
    sum_of_terms = x + divide_by_power(terms, 1)
    return _EXP_OF_MINUS_EIGHTH + high_product(sum_of_terms, _EXP_OF_MINUS_EIGHTH)


def _two_over_one_plus(x: NDArray[np.int64]) -> NDArray[np.int64]:
    """2 / (1 + x) in Q2 for x in Q0 from 0 to 1: three steps of Newton's method."""
    half_denominator = (x + ONE + 1) >> 1
    y = _48_OVER_17 + high_product(half_denominator, _MINUS_32_OVER_17)
    for _ in range(_NEWTON_STEPS):
        error = _ONE_Q2 - high_product(half_denominator, y)
        y = y + _saturated(high_product(y, error) << 2)
    return y


def one_over_one_plus(x: NDArray[np.int64]) -> NDArray[np.int64]:
    """1 / (1 + x) in Q0 for x in Q0 from 0 to 1."""
    return _saturated(_two_over_one_plus(x) << 1)


def logistic(values: ArrayLike, integer_bits: int) -> NDArray[np.int64]:
    """1 / (1 + exp(-x)).

    Parameters
    ----------
    values : array of int32
        In the format of `integer_bits`.

    Returns
    -------
    array of int64
        In Q0.
    """
    a = np.asarray(values, np.int64)
    positive = one_over_one_plus(exp_of_negative(-np.abs(a), integer_bits))
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, ONE - positive))


def tanh(values: ArrayLike, integer_bits: int) -> NDArray[np.int64]:
    """Hyperbolic tangent; formats as in `logistic`."""
    a = np.asarray(values, np.int64)
    x = exp_of_negative(-np.abs(a), integer_bits + 1)
    size = _saturated((_two_over_one_plus(x) - _ONE_Q2) << 2)
    return np.where(a == 0, 0, np.where(a > 0, size, -size))


def _saturated(values: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.clip(values, _LIMITS.min, _LIMITS.max)
