"""Quantize, dequantize and rescale against float32 arithmetic and the real TFLM interpreter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import tflm
from tflm import Operation, Tensor
from vectors.quantize import SPECIAL, near_ties
from wingbeat.errors import UsageError
from wingbeat.reference.activations import Quantization
from wingbeat.reference.dequantize import dequantize
from wingbeat.reference.quantize import quantize
from wingbeat.reference.rescale import rescale

ALL = np.arange(256, dtype=np.uint8).view(np.int8)
scales = st.floats(2.0**-99, 2.0**100, width=32)
zero_points = st.integers(-128, 127)


def in_floats(x: NDArray[np.float32], output: Quantization) -> NDArray[np.int8]:
    """A float32 division, then rounding with ties away from zero."""
    with np.errstate(all="ignore"):
        quotient = (x / np.float32(output.scale)).astype(np.float64)
    away = np.copysign(np.floor(np.abs(quotient) + 0.5), quotient)
    rounded = np.where(np.isnan(x), 0, away)
    return np.asarray(np.clip(rounded + output.zero_point, -128, 127), np.int8)


@given(st.lists(st.floats(width=32), min_size=1, max_size=50), scales, zero_points)
def test_quantize_any_numbers(values: list[float], scale: float, zero_point: int) -> None:
    x, output = np.array([values], np.float32), Quantization(scale, zero_point)
    (found,) = quantize(len(values), output).apply(x)
    assert np.array_equal(found, in_floats(x, output))


def test_quantize_numbers_around_ties() -> None:
    rng = np.random.default_rng(1)
    for mantissa in (1.0, 1 + 2.0**-23, 1.5, 2 - 2.0**-23, *rng.uniform(1, 2, 300)):
        output = Quantization(float(mantissa * 0.5 ** rng.integers(-9, 9)), 0)
        x = np.concatenate([SPECIAL, near_ties(rng, output.scale, 3000)])[np.newaxis]
        (found,) = quantize(x.shape[1], output).apply(x)
        assert np.array_equal(found, in_floats(x, output)), output


def test_quantize_and_dequantize_are_tflms() -> None:
    rng = np.random.default_rng(2)
    for _ in range(30):
        stored = Quantization(float(np.exp2(rng.uniform(-9, 3))), int(rng.integers(-128, 128)))
        real = Tensor((1, 2000), "float32")
        whole = Tensor((1, 2000), scales=stored.scale, zero_points=stored.zero_point)
        x = near_ties(rng, stored.scale, 2000)[np.newaxis]
        (expected,) = tflm.run(
            tflm.model_bytes([Operation("QUANTIZE", [real], [whole])], [real], [whole]), x
        )
        (found,) = quantize(2000, stored).apply(x)
        assert np.array_equal(found, expected), stored
        (expected,) = tflm.run(
            tflm.model_bytes([Operation("DEQUANTIZE", [whole], [real])], [whole], [real]), found
        )
        (again,) = dequantize(2000, stored).apply(found)
        assert np.array_equal(again.view(np.int32), expected.view(np.int32)), stored


def test_where_quantize_is_not_tflms() -> None:
    """On a PC, TFLM turns what does not fit in an int32 into the least int8, also if positive."""
    real, whole = Tensor((1, 3), "float32"), Tensor((1, 3), scales=0.5, zero_points=3)
    model = tflm.model_bytes([Operation("QUANTIZE", [real], [whole])], [real], [whole])
    x = np.array([[2e9, np.inf, np.nan]], np.float32)
    assert tflm.run(model, x)[0].tolist() == [[-128, -128, -128]]
    assert quantize(3, Quantization(0.5, 3)).apply(x)[0].tolist() == [[127, 127, 3]]


@given(scales, zero_points)
def test_dequantize_is_a_float_product(scale: float, zero_point: int) -> None:
    input = Quantization(scale, zero_point)
    (found,) = dequantize(256, input).apply(ALL[np.newaxis])
    expected = (ALL.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
    assert np.array_equal(found[0].view(np.int32), expected.view(np.int32))


def test_rescale_is_tflms() -> None:
    rng = np.random.default_rng(3)
    x = np.arange(-(1 << 15), 1 << 15, dtype=np.int16)[np.newaxis]
    for _ in range(20):
        output = Quantization(float(np.exp2(rng.uniform(-6, 3))), int(rng.integers(-128, 128)))
        scale = float(np.float32(output.scale * np.exp2(rng.uniform(-14, -1.01))))
        zero_point = int(rng.integers(-32768, 32768))
        before = Tensor(x.shape, "int16", scales=scale, zero_points=zero_point)
        after = Tensor(x.shape, scales=output.scale, zero_points=output.zero_point)
        model = tflm.model_bytes([Operation("QUANTIZE", [before], [after])], [before], [after])
        (found,) = rescale(x.shape[1], scale, zero_point, output).apply(x)
        assert np.array_equal(found, tflm.run(model, x)[0]), (scale, zero_point, output)


def test_what_is_refused() -> None:
    for make in (quantize, dequantize):
        with pytest.raises(UsageError, match="scale"):
            make(4, Quantization(1e-35, 0))
        with pytest.raises(UsageError, match="elements"):
            make(0, Quantization(1.0, 0))
    with pytest.raises(UsageError, match="twice"):
        rescale(4, 0.6, 0, Quantization(1.0, 0))
    with pytest.raises(UsageError, match="int16"):
        rescale(4, 0.1, 40000, Quantization(1.0, 0))
    with pytest.raises(UsageError, match="float32"):
        quantize(4, Quantization(1.0, 0)).apply(np.zeros((1, 4)))
