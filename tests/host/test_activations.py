"""Tables of activations against the real TFLM interpreter, for all 256 inputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import tflm
from tflm import Operation, Tensor
from wingbeat.errors import UsageError
from wingbeat.reference import activations
from wingbeat.reference.activations import Quantization, Table

SHAPE = (1, 256)
ALL = np.arange(256, dtype=np.uint8)
N_SCALES = 60
LOGISTIC_OUTPUT, TANH_OUTPUT = Quantization(1 / 256, -128), Quantization(1 / 128, 0)
TABLES = {
    "QUANTIZE": activations.requantize_table,
    "RELU": activations.relu_table,
    "LOGISTIC": activations.logistic_table,
    "TANH": activations.tanh_table,
    "HARD_SWISH": activations.hard_swish_table,
    "ELU": activations.elu_table,
    "ABS": activations.abs_table,
}


def tflm_table(
    operator: str, before: Quantization, after: Quantization, alpha: float | None = None
) -> Table:
    """What TFLM gives for the bytes 0 to 255."""
    x = Tensor(SHAPE, scales=before.scale, zero_points=before.zero_point)
    y = Tensor(SHAPE, scales=after.scale, zero_points=after.zero_point)
    options = ("", None) if alpha is None else ("LeakyReluOptions", {"Alpha": alpha})
    model = tflm.model_bytes([Operation(operator, [x], [y], *options)], [x], [y])
    return np.asarray(tflm.run(model, ALL.view(np.int8).reshape(SHAPE))[0].ravel())


def quantizations(seed: int) -> Iterator[tuple[Quantization, Quantization]]:
    """Scales of all sizes; equal ones; and ratios that make ties."""
    rng = np.random.default_rng(seed)
    for i in range(N_SCALES):
        zero_points = rng.integers(-128, 128, 2)
        if i % 3 == 0:
            first, second = (0.05 * n for n in rng.integers(1, 40, 2))
        else:
            first = np.exp2(rng.uniform(-9, 1)) if i % 2 else 0.5 ** rng.integers(0, 8)
            second = first * (1 if i % 5 == 0 else np.exp2(rng.uniform(-3, 3)))
        yield (
            Quantization(float(first), int(zero_points[0])),
            Quantization(float(second), int(zero_points[1])),
        )


@pytest.mark.parametrize("operator", TABLES)
def test_tables_are_tflms(operator: str) -> None:
    fixed = {"LOGISTIC": LOGISTIC_OUTPUT, "TANH": TANH_OUTPUT}.get(operator)
    for before, free in quantizations(1):
        after = fixed or free
        expected = tflm_table(operator, before, after)
        assert np.array_equal(TABLES[operator](before, after), expected), (before, after)


def test_leaky_relu_is_tflms() -> None:
    for (before, after), alpha in zip(
        quantizations(2), [0.1, 0.5, 1.5, -0.5, 0.0, -0.3] * N_SCALES, strict=False
    ):
        expected = tflm_table("LEAKY_RELU", before, after, alpha)
        found = activations.leaky_relu_table(before, after, alpha)
        assert np.array_equal(found, expected), (before, after, alpha)


def test_relu6_is_tflms_where_nothing_is_rescaled() -> None:
    for before, _ in quantizations(3):
        expected = tflm_table("RELU6", before, before)
        assert np.array_equal(activations.relu6_table(before, before), expected), before


def test_relu6_is_right_where_tflm_ignores_the_output_quantization() -> None:
    before, after = Quantization(0.05, 0), Quantization(6 / 255, -128)
    x = ALL.view(np.int8).astype(np.float64)
    exact = np.clip(x * before.scale, 0, 6) / after.scale + after.zero_point
    assert np.abs(activations.relu6_table(before, after) - exact).max() < 1
    found = tflm_table("RELU6", before, after)
    assert np.array_equal(found, np.clip(x, 0, 120))
    assert np.abs(found - exact).max() > 100


def test_relu_n1_to_1_clips() -> None:
    before, after = Quantization(0.05, 5), Quantization(1 / 64, -10)
    x = ALL.view(np.int8).astype(np.float64)
    exact = np.clip((x - 5) * before.scale, -1, 1) / after.scale + after.zero_point
    assert np.abs(activations.relu_n1_to_1_table(before, after) - exact).max() < 1
    with pytest.raises(RuntimeError):
        tflm_table("RELU_N1_TO_1", before, after)


def test_uint8_is_requantized_as_tflm_does() -> None:
    for number, (before, after) in enumerate(quantizations(4)):
        zero_point = before.zero_point + 128
        x = Tensor(SHAPE, "uint8", scales=before.scale, zero_points=zero_point)
        y = Tensor(SHAPE, scales=after.scale, zero_points=after.zero_point)
        model = tflm.model_bytes([Operation("QUANTIZE", [x], [y])], [x], [y])
        (expected,) = tflm.run(model, ALL.reshape(SHAPE))
        found = activations.requantize_uint8_table(before.scale, zero_point, after)
        assert np.array_equal(found, expected.ravel()), number


def test_what_tflm_refuses_is_refused() -> None:
    steep = Quantization(1.0, 0), Quantization(1 / 256, 0)
    for operator, table in {
        "LOGISTIC": activations.logistic_table,
        "HARD_SWISH": activations.hard_swish_table,
    }.items():
        with pytest.raises(UsageError, match=operator):
            table(*steep)
        with pytest.raises(RuntimeError):
            tflm_table(operator, *steep)


@pytest.mark.parametrize(
    ("scale", "zero_point"), [(0.0, 0), (-1.0, 0), (float("nan"), 0), (1e39, 0), (1.0, 128)]
)
def test_quantizations_are_checked(scale: float, zero_point: int) -> None:
    with pytest.raises(UsageError):
        Quantization(scale, zero_point)


def test_limits_of_fused_activations() -> None:
    after = Quantization(0.1, -20)
    assert activations.quantized_limits("none", after) == (-128, 127)
    assert activations.quantized_limits("relu", after) == (-20, 127)
    assert activations.quantized_limits("relu6", after) == (-20, 40)
    assert activations.quantized_limits("relu_n1_to_1", after) == (-30, -10)
    with pytest.raises(UsageError, match="softmax"):
        activations.quantized_limits("softmax", after)
