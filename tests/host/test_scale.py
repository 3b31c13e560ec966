"""Rounding and scaling of int8 nets, against the literal algorithms in Python's integers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.requantize import multiply, quantize_multiplier
from wingbeat.reference.scale import NARROW_LIMIT, Scale, make_scale


def literal(value: int, mantissa: int, exponent: int) -> int:
    """What gemmlowp's two functions do, step by step."""
    value <<= max(exponent, 0)
    product = value * mantissa
    nudge = 1 << 30 if product >= 0 else 1 - (1 << 30)
    high = int(math.copysign(abs(product + nudge) >> 31, product + nudge))
    shift = max(-exponent, 0)
    mask = (1 << shift) - 1
    remainder = high & mask
    return (high >> shift) + (remainder > (mask >> 1) + (high < 0))


factors = st.floats(1e-8, 100.0)
sums = st.integers(-(1 << 23), 1 << 23)


@given(st.lists(sums, min_size=1, max_size=20), factors)
def test_multiply_is_the_literal_algorithm(values: list[int], factor: float) -> None:
    mantissa, exponent = quantize_multiplier(factor)
    inside = [v for v in values if abs(v) < (1 << 31) >> max(exponent, 0)]
    expected = [literal(v, mantissa, exponent) for v in inside]
    assert multiply(np.array(inside, np.int64), mantissa, exponent).tolist() == expected


@given(factors)
def test_the_factor_is_within_half_a_last_bit(factor: float) -> None:
    mantissa, exponent = quantize_multiplier(factor)
    assert mantissa * 2.0 ** (exponent - 31) == pytest.approx(factor, rel=2**-31)


def test_factors_at_the_edges() -> None:
    assert quantize_multiplier(0.0) == (0, 0)
    assert quantize_multiplier(1.0) == (1 << 30, 1)
    assert quantize_multiplier(1.0 - 2**-40) == (1 << 30, 1)
    assert quantize_multiplier(2.0**-40) == (0, 0)
    assert quantize_multiplier(1e20) == ((1 << 31) - 1, 30)


@given(st.lists(st.tuples(sums, factors), min_size=1, max_size=8), st.data())
def test_encode_and_back(channels: list[tuple[int, float]], data: st.DataObject) -> None:
    bias, real = zip(*channels, strict=True)
    low = data.draw(st.integers(-128, 127))
    high = data.draw(st.integers(low, 127))
    scale = make_scale(bias, real, data.draw(st.integers(-128, 127)), low, high, [1000] * len(bias))
    again = Scale.decode(scale.encode(), len(bias))
    assert again.encode() == scale.encode()
    x = np.arange(-1000, 1000, 7)[:, np.newaxis].repeat(len(bias), axis=1)
    assert np.array_equal(again.apply(x), scale.apply(x))


def test_the_short_form_is_taken_where_it_holds() -> None:
    assert make_scale([5], [0.01], 0, -128, 127, [NARROW_LIMIT - 5]).narrow
    assert not make_scale([5], [0.01], 0, -128, 127, [NARROW_LIMIT - 4]).narrow
    assert not make_scale([5], [0.5], 0, -128, 127, [1000]).narrow
    assert make_scale([5], [0.4999], 0, -128, 127, [1000]).narrow
    assert not make_scale([5], [0.0], 0, -128, 127, [1000]).narrow


def test_what_is_refused() -> None:
    with pytest.raises(UsageError, match="32 bits"):
        make_scale([0], [0.1], 0, -128, 127, [1 << 31])
    with pytest.raises(UsageError, match="limits"):
        make_scale([0], [0.1], 0, 5, 4, [1])
    good = make_scale([1, 2], [0.1, 0.2], 3, -128, 127, [9, 9]).encode()
    for bad in (good[:-1], good + bytes(4), b"", good[:3] + b"\2" + good[4:]):
        with pytest.raises(FormatError):
            Scale.decode(bad, 2)
    with pytest.raises(FormatError, match="mantissa"):
        Scale.decode(good[:8] + bytes([1, 0, 0, 0]) + good[12:], 2)
    with pytest.raises(FormatError, match="exponent"):
        Scale.decode(good[:4] + bytes([31]) + good[5:], 2)
