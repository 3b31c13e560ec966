"""Dense: the reference against the real TFLM interpreter, and its parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tflite
from numpy.typing import NDArray

import tflm
from nets.dense import ACTIVATIONS, dense_layers, limits
from nets.files import net
from tflm import Operation, Tensor
from vectors.dense import small_layers
from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.dense import Dense, dense
from wingbeat.reference.scale import Scale

LOW, HIGH = -128, 127
ANY: Any = np.int16


def tflm_dense(
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    scales: tuple[float, NDArray[np.float32], float],
    zero_points: tuple[int, int],
    activation: str,
    rows: NDArray[np.int8],
) -> NDArray[np.int8]:
    """What TFLM's FULLY_CONNECTED gives."""
    n_outputs, n_inputs = weights.shape
    x = Tensor((1, n_inputs), scales=scales[0], zero_points=zero_points[0])
    y = Tensor((1, n_outputs), scales=scales[2], zero_points=zero_points[1])
    constants = [Tensor(weights.shape, scales=scales[1], data=weights)]
    if bias is not None:
        bias_scales = np.float32(scales[0]) * scales[1]
        constants.append(Tensor(bias.shape, "int32", scales=bias_scales, data=bias))
    code = getattr(tflite.ActivationFunctionType, activation)
    options = {"FusedActivationFunction": code}
    operation = Operation(
        "FULLY_CONNECTED", [x, *constants], [y], "FullyConnectedOptions", options, version=4
    )
    found = tflm.run_rows(tflm.model_bytes([operation], [x], [y]), rows[:, np.newaxis])
    return np.array([each[0].ravel() for each in found])


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_reference_is_tflm(activation: str, per_channel: bool) -> None:
    rng = np.random.default_rng(len(activation) + per_channel)
    for i in range(40):
        n_outputs, n_inputs = (int(np.exp(rng.uniform(0, 5))) for _ in range(2))
        weights = rng.integers(-127, HIGH, (n_outputs, n_inputs), np.int8, endpoint=True)
        bias = None if i % 4 == 0 else rng.integers(-20000, 20000, n_outputs).astype(np.int32)
        input_scale = float(np.float32(np.exp(rng.uniform(-6, 2))))
        spread = np.exp(rng.normal(-4, 1, n_outputs if per_channel else 1))
        weight_scales = spread.astype(np.float32)
        width = input_scale * float(weight_scales.mean()) * 5000 * np.sqrt(n_inputs)
        output_scale = float(np.float32(width / np.exp(rng.uniform(3, 6))))
        zero_points = int(rng.integers(LOW, HIGH + 1)), int(rng.integers(LOW, HIGH + 1))
        rows = rng.integers(LOW, HIGH, (8, n_inputs), np.int8, endpoint=True)
        scales = input_scale, weight_scales, output_scale
        low, high = limits(activation, output_scale, zero_points[1])
        layer = dense(
            weights,
            bias,
            input_zero_point=zero_points[0],
            factors=input_scale * weight_scales.astype(np.float64) / output_scale,
            output_zero_point=zero_points[1],
            low=low,
            high=high,
        )
        expected = tflm_dense(weights, bias, scales, zero_points, activation, rows)
        assert np.array_equal(layer.apply(rows)[0], expected), (i, weights.shape)


def test_a_whole_net_of_dense_layers_is_tflm() -> None:
    """MLPerf Tiny's anomaly detection: ten layers."""
    rng = np.random.default_rng(1)
    layers = dense_layers("ad")
    assert len(layers) == 10
    rows = rng.integers(LOW, HIGH, (20, 640), np.int8, endpoint=True)
    x = rows
    for layer in layers:
        (x,) = Dense.decode(layer.encode()).apply(x)
    expected = tflm.run_rows(net("ad"), rows[:, np.newaxis])
    assert np.array_equal(x, [each[0].ravel() for each in expected])


def test_parameters_are_laid_out_as_specified() -> None:
    weights = np.arange(-60, 60, dtype=np.int8).reshape(12, 10)
    layer = dense(weights, None, input_zero_point=0, factors=0.001, output_zero_point=0)
    data = layer.encode()
    assert data[:4] == b"\x0a\x00\x0c\x00"
    stored = data[-12 * 12 :]
    unsigned = (weights.astype(np.int16) + 128).astype(np.uint8)
    for row in range(10):
        assert stored[8 * row : 8 * row + 8] == unsigned[:8, row].tobytes()
        assert stored[96 + 4 * row : 100 + 4 * row] == unsigned[8:, row].tobytes()
    assert stored[80:96] == stored[136:] + b"\x80" * 8 == b"\x80" * 16


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (5, 3), (8, 7), (9, 1), (12, 4), (13, 9)])
def test_encode_and_back(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    weights = rng.integers(LOW, HIGH, shape, np.int8, endpoint=True)
    layer = dense(weights, None, input_zero_point=5, factors=0.01, output_zero_point=-7)
    again = Dense.decode(layer.encode())
    assert np.array_equal(again.weights, weights)
    assert again.encode() == layer.encode()
    assert again.inputs == (("b", shape[1]),)
    assert again.outputs == (("b", shape[0]),)
    assert (again.scratch, again.in_place) == ((), ())


def some_scale(channels: int) -> Scale:
    layer = dense(
        np.zeros((channels, 1), np.int8), None, input_zero_point=0, factors=0.1, output_zero_point=0
    )
    return layer.scale


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(np.zeros((0, 1), np.int8), some_scale(1)), r"shape \[0, 1\]"),
        (lambda: Dense(np.zeros((1, 65536), np.int8), some_scale(1)), "1 to 65535 of each"),
        (lambda: Dense(np.zeros(3, np.int8), some_scale(1)), r"shape \[3\]"),
        (
            lambda: Dense(np.zeros((2, 3), ANY), some_scale(2)),
            "expected int8 weights",
        ),
        (lambda: Dense(np.zeros((2, 3), np.int8), some_scale(3)), "scale of 2 channels"),
    ],
)
def test_impossible_layers_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_inputs_of_another_shape_or_dtype_are_refused() -> None:
    layer = next(iter(small_layers()))
    assert layer.apply(np.zeros((0, 6), np.int8))[0].shape == (0, 5)
    for wrong in (np.zeros((2, 5), np.int8), np.zeros(6, np.int8), np.zeros((2, 6), np.int16)):
        with pytest.raises(UsageError, match=r"of shape \[rows, 6\]"):
            layer.apply(wrong)


def test_truncated_parameters_are_refused() -> None:
    for layer in small_layers():
        data = layer.encode()
        for size in range(len(data)):
            with pytest.raises(FormatError, match=r"^(dense|scale): "):
                Dense.decode(data[:size])
