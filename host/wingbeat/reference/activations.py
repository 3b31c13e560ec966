"""Tables of TFLite's functions from int8 to int8, computed as TFLite Micro computes them.

Each function here takes the quantization of an operator's input and output and returns the 256
results, in the order of the input's byte: those of 0 to 127, then those of -128 to -1. The `lookup`
operator runs them. A scale is a float32, as the file has it; the steps that TFLite Micro makes in
float32 are made in float32 here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import UsageError
from wingbeat.reference import fixed_point
from wingbeat.reference.requantize import divide_by_power, multiply, quantize_multiplier

Table: TypeAlias = NDArray[np.int8]

_BYTES = np.arange(256, dtype=np.uint8)
_SIGNED = _BYTES.view(np.int8).astype(np.int64)
_INT8 = np.iinfo(np.int8)
_INT16 = np.iinfo(np.int16)
#: LOGISTIC and TANH: bits before the point of what the exponential takes.
_INTEGER_BITS = 4


@dataclass(frozen=True)
class Quantization:
    """What a stored int8 stands for: (stored - zero_point) * scale.

    Raises
    ------
    UsageError
        The scale is no positive float32, or the zero point no int8.
    """

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        with np.errstate(over="ignore"):
            scale = np.float32(self.scale)
        if not (np.isfinite(scale) and scale > 0):
            raise UsageError(f"expected a scale above 0, got {self.scale}")
        if not _INT8.min <= self.zero_point <= _INT8.max:
            raise UsageError(f"expected a zero point of -128 to 127, got {self.zero_point}")
        object.__setattr__(self, "scale", float(scale))


def quantized_limits(
    activation: str, output: Quantization, low: int = _INT8.min, high: int = _INT8.max
) -> tuple[int, int]:
    """The limits that a fused activation puts on an int8 output.

    Parameters
    ----------
    activation : str
        ``none``, ``relu``, ``relu6`` or ``relu_n1_to_1``.
    output : Quantization
    low, high : int
        Limits of the dtype.

    Returns
    -------
    low, high : int
        Source: TFLite's ``CalculateActivationRangeQuantized``.

    Raises
    ------
    UsageError
        The activation is unknown.
    """
    if activation not in _ACTIVATIONS:
        raise UsageError(f"no activation {activation!r}: expected one of {', '.join(_ACTIVATIONS)}")
    least, most = _ACTIVATIONS[activation]
    if least is not None:
        low = max(low, output.zero_point + _rounded(np.float32(least) / np.float32(output.scale)))
    if most is not None:
        high = min(high, output.zero_point + _rounded(np.float32(most) / np.float32(output.scale)))
    return low, high


_ACTIVATIONS: dict[str, tuple[float | None, float | None]] = {
    "none": (None, None),
    "relu": (0.0, None),
    "relu6": (0.0, 6.0),
    "relu_n1_to_1": (-1.0, 1.0),
}


def requantize_table(input: Quantization, output: Quantization) -> Table:
    """QUANTIZE from int8 to int8: the same value in another quantization."""
    return _rescaled(input, output, "none")


def requantize_uint8_table(scale: float, zero_point: int, output: Quantization) -> Table:
    """QUANTIZE from uint8 to int8, in the order of the uint8.

    Parameters
    ----------
    scale : float
        Of the input.
    zero_point : int
        Of the input, 0 to 255.
    """
    mantissa, exponent = quantize_multiplier(float(np.float32(scale)) / output.scale)
    values = multiply(_BYTES.astype(np.int64) - zero_point, mantissa, exponent)
    return _clipped(values + output.zero_point)


def relu_table(input: Quantization, output: Quantization) -> Table:
    """RELU."""
    return _rescaled(input, output, "relu")


def relu6_table(input: Quantization, output: Quantization) -> Table:
    """RELU6.

    TFLite Micro clips the stored numbers and never rescales: that is right only where input and
    output have the same quantization. Where they differ this is TFLite's RELU6, which rescales
    as RELU does.
    """
    if input != output:
        return _rescaled(input, output, "relu6")
    six = input.zero_point + _rounded(np.float32(6.0) / np.float32(input.scale))
    return _clipped(np.clip(_SIGNED, input.zero_point, max(six, input.zero_point)))


def relu_n1_to_1_table(input: Quantization, output: Quantization) -> Table:
    """RELU_N1_TO_1: TFLite's, which rescales as RELU does. TFLite Micro has none."""
    return _rescaled(input, output, "relu_n1_to_1")


def leaky_relu_table(input: Quantization, output: Quantization, alpha: float) -> Table:
    """LEAKY_RELU; alpha is the slope of negative values, a float32."""
    identity = quantize_multiplier(input.scale / output.scale)
    factor = input.scale * float(np.float32(alpha)) / output.scale
    # A negative slope changes the sign behind the rounding: ties go towards zero then.
    leaky = quantize_multiplier(abs(factor))
    x = _SIGNED - input.zero_point
    negative = multiply(x, *leaky) * (-1 if factor < 0 else 1)
    values = np.where(x >= 0, multiply(x, *identity), negative)
    return _clipped(values + output.zero_point)


def logistic_table(input: Quantization, output: Quantization) -> Table:
    """LOGISTIC. The output's scale counts as 1/256.

    Raises
    ------
    UsageError
        The output's zero point is not -128, which TFLite Micro refuses as well.
    """
    if output.zero_point != _INT8.min:
        raise UsageError(f"LOGISTIC: expected output zero point -128, got {output.zero_point}")
    return _sigmoidal(input, fixed_point.logistic, fraction_bits=8, zero_point=-128)


def tanh_table(input: Quantization, output: Quantization) -> Table:
    """TANH. The output's scale counts as 1/128 and its zero point as 0."""
    del output
    return _sigmoidal(input, fixed_point.tanh, fraction_bits=7, zero_point=0)


def _sigmoidal(
    input: Quantization,
    function: Callable[[NDArray[np.int64], int], NDArray[np.int64]],
    *,
    fraction_bits: int,
    zero_point: int,
) -> Table:
    """Source: TFLite's ``integer_ops/logistic.h`` and ``tanh.h``."""
    one = 1 << (31 - _INTEGER_BITS)
    fraction, exponent = math.frexp(input.scale * one)
    mantissa = math.floor(fraction * (1 << 31) + 0.5)
    radius = math.floor(math.ldexp(((1 << _INTEGER_BITS) - 1) * one, -exponent))
    x = _SIGNED - input.zero_point
    inside = np.abs(x) < radius
    scaled = multiply(np.where(inside, x, 0), mantissa, exponent)
    values = divide_by_power(function(scaled, _INTEGER_BITS), 31 - fraction_bits) + zero_point
    return _clipped(np.where(inside, values, np.where(x > 0, _INT8.max, _INT8.min)))


def hard_swish_table(input: Quantization, output: Quantization) -> Table:
    """HARD_SWISH: 16-bit arithmetic. Source: TFLite's ``reference/hard_swish.h``.

    Raises
    ------
    UsageError
        The input's scale is 128 times the output's or more, which TFLite Micro refuses as well.
    """
    hires = np.float32(1 / 128) * np.float32(input.scale)
    out_mantissa, out_exponent = quantize_multiplier(float(hires / np.float32(output.scale)))
    relu_mantissa, relu_exponent = quantize_multiplier(float(hires / np.float32(3.0 / 32768.0)))
    if out_exponent > 0:
        raise UsageError(
            f"HARD_SWISH: expected an input scale below 128 output scales, got {input.scale}"
            f" to {output.scale}"
        )
    x = (_SIGNED - input.zero_point) << 7
    on_output_scale = _high_product_16(x, _int16_mantissa(out_mantissa))
    relu = x
    if relu_exponent > 0:
        relu = _saturated_16(relu << (relu_exponent - 1))
    relu = _high_product_16(relu, _int16_mantissa(relu_mantissa))
    if relu_exponent > 0:
        relu = _saturated_16(relu << 1)
    if relu_exponent < 0:
        relu = _divide_by_power_16(relu, -relu_exponent)
    relu = (relu + (1 << 15)) >> 1
    product = relu * on_output_scale
    truncated = np.where(product >= 0, product >> 15, -(-product >> 15))
    return _clipped(_divide_by_power_16(truncated, -out_exponent) + output.zero_point)


def elu_table(input: Quantization, output: Quantization) -> Table:
    """ELU: float32 arithmetic. Source: TFLite Micro's ``elu.cc``."""
    inverse = np.float32(1) / np.float32(output.scale)
    x = np.float32(input.scale) * (_SIGNED - input.zero_point).astype(np.float32)
    negative = np.exp(np.minimum(x, 0).astype(np.float64)).astype(np.float32) - np.float32(1)
    return _from_float(np.where(x < 0, negative, x) * inverse, output)


def abs_table(input: Quantization, output: Quantization) -> Table:
    """ABS. Source: TFLite Micro's ``elementwise.cc``."""
    mantissa, exponent = quantize_multiplier(input.scale / output.scale)
    x = np.abs(_SIGNED - input.zero_point)
    if input.scale != output.scale:
        x = multiply(x, mantissa, exponent)
    return _clipped(x + output.zero_point)


def _from_float(rescaled: NDArray[np.float32], output: Quantization) -> Table:
    """What TFLite's tables of float functions store: rounded, ties away from zero."""
    size = np.floor(np.abs(rescaled).astype(np.float64) + 0.5)
    return _clipped(np.copysign(size, rescaled) + output.zero_point)


def _rescaled(input: Quantization, output: Quantization, activation: str) -> Table:
    low, high = quantized_limits(activation, output)
    mantissa, exponent = quantize_multiplier(input.scale / output.scale)
    values = multiply(_SIGNED - input.zero_point, mantissa, exponent) + output.zero_point
    # As std::max and std::min in turn, whichever limit is larger.
    return _clipped(np.minimum(np.maximum(values, low), high))


def _int16_mantissa(mantissa: int) -> int:
    """Source: TFLite's ``DownScaleInt32ToInt16Multiplier``."""
    return min((mantissa + (1 << 15)) >> 16, _INT16.max)


def _high_product_16(a: NDArray[np.int64], b: int) -> NDArray[np.int64]:
    """gemmlowp's ``SaturatingRoundingDoublingHighMul`` for int16."""
    product = a * b
    nudged = product + np.where(product >= 0, 1 << 14, 1 - (1 << 14))
    return np.where(nudged >= 0, nudged >> 15, -(-nudged >> 15))


def _divide_by_power_16(x: NDArray[np.int64], exponent: int) -> NDArray[np.int64]:
    """gemmlowp's ``RoundingDivideByPOT`` for int16: from 2^16 on its mask wraps to -1."""
    mask = np.int64((1 << exponent) - 1) if exponent < 16 else np.int64(-1)
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + ((x & mask) > threshold)


def _saturated_16(x: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.clip(x, _INT16.min, _INT16.max)


def _rounded(value: np.float32) -> int:
    """To the nearest integer, ties away from zero."""
    return int(math.copysign(math.floor(abs(float(value)) + 0.5), float(value)))


def _clipped(values: NDArray[np.int64] | NDArray[np.float64]) -> Table:
    return np.clip(values, _INT8.min, _INT8.max).astype(np.int8)
