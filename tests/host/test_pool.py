"""Pools and means: the references against the real TFLM interpreter, and their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tflite
from numpy.typing import NDArray

import tflm
from tflm import Operation, Tensor
from vectors.mean import USUAL
from vectors.pool import any_pool
from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.conv import Window
from wingbeat.reference.mean import Mean, mean
from wingbeat.reference.pool import AveragePool, MaxPool, Pool, pool2d

LOW, HIGH = -128, 127
SCALE = 0.05
#: Activation, and limits of int8 at a scale of 0.05 and a zero point of -30.
ACTIVATIONS = {
    "NONE": (LOW, HIGH),
    "RELU": (-30, HIGH),
    "RELU6": (-30, 90),
    "RELU_N1_TO_1": (-50, -10),
}


def tflm_pool(operator: Pool, activation: str, rows: NDArray[np.int8]) -> NDArray[np.int8]:
    """What TFLM's AVERAGE_POOL_2D or MAX_POOL_2D gives."""
    window = operator.window
    x = Tensor((1, *window.shape), scales=SCALE, zero_points=-30)
    shape = (1, *window.out_shape, window.shape[2])
    y = Tensor(shape, scales=SCALE, zero_points=-30)
    options = {
        "Padding": tflite.Padding.SAME if window.overhangs else tflite.Padding.VALID,
        "StrideH": window.stride[0],
        "StrideW": window.stride[1],
        "FilterHeight": window.kernel[0],
        "FilterWidth": window.kernel[1],
        "FusedActivationFunction": getattr(tflite.ActivationFunctionType, activation),
    }
    name = "AVERAGE_POOL_2D" if isinstance(operator, AveragePool) else "MAX_POOL_2D"
    operation = Operation(name, [x], [y], "Pool2DOptions", options)
    found = tflm.run_rows(
        tflm.model_bytes([operation], [x], [y]), rows.reshape(len(rows), 1, *window.shape)
    )
    return np.array([each[0].ravel() for each in found])


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_pools_are_tflms(activation: str, average: bool) -> None:
    rng = np.random.default_rng(len(activation))
    low, high = ACTIVATIONS[activation]
    for _ in range(60):
        window = any_pool(rng, average=average).window
        operator = (AveragePool if average else MaxPool)(window, low, high)
        size = operator.inputs[0][1]
        rows = rng.integers(LOW, HIGH, (3, size), np.int8, endpoint=True)
        rows[0] //= 40
        found = type(operator).decode(operator.encode()).apply(rows)[0]
        assert np.array_equal(found, tflm_pool(operator, activation, rows)), operator


def test_a_pool_over_all_of_a_map_is_tflms() -> None:
    rng = np.random.default_rng(1)
    for shape in ((25, 5, 64), (7, 7, 3), (49, 40, 2)):
        operator = pool2d(average=True, shape=shape, kernel=shape[:2], stride=shape[:2])
        rows = rng.integers(LOW, HIGH, (3, np.prod(shape)), np.int8, endpoint=True)
        assert np.array_equal(operator.apply(rows)[0], tflm_pool(operator, "NONE", rows))


def test_where_a_pool_may_work_in_place() -> None:
    def in_place(kernel: int, stride: int, padding: int) -> bool:
        pads = ((padding, padding), (padding, padding))
        shape = (9, 9, 2)
        operator = pool2d(
            average=True, shape=shape, kernel=(kernel,) * 2, stride=(stride,) * 2, padding=pads
        )
        return bool(operator.in_place)

    assert in_place(2, 2, 0)
    assert in_place(3, 1, 0)
    assert in_place(3, 2, 0)
    assert not in_place(3, 1, 1)


def tflm_mean(
    shape: Sequence[int],
    axes: Sequence[int],
    *,
    keep: bool,
    operator_scales: tuple[float, float],
    zero_points: tuple[int, int],
    rows: NDArray[np.int8],
) -> NDArray[np.int8]:
    """What TFLM's MEAN gives."""
    reduced = {axis % len(shape) for axis in axes}
    kept = [1 if i in reduced else size for i, size in enumerate(shape) if keep or i not in reduced]
    x = Tensor(shape, scales=operator_scales[0], zero_points=zero_points[0])
    y = Tensor(kept or [1], scales=operator_scales[1], zero_points=zero_points[1])
    indexes = Tensor((len(axes),), "int32", data=axes)
    operation = Operation("MEAN", [x, indexes], [y], "ReducerOptions", {"KeepDims": keep})
    model = tflm.model_bytes([operation], [x], [y])
    found = tflm.run_rows(model, rows.reshape(len(rows), *shape))
    return np.array([each[0].ravel() for each in found])


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(("shape", "axes"), USUAL)
def test_means_are_tflms(shape: tuple[int, ...], axes: tuple[int, ...], keep: bool) -> None:
    rng = np.random.default_rng(sum(shape))
    for i in range(20):
        scales = np.exp(rng.uniform(-4, 0, 2)).astype(np.float32).tolist()
        zero_points = rng.integers(LOW, HIGH + 1, 2).tolist()
        if i % 3 == 0:
            scales[1], zero_points[1] = scales[0], zero_points[0]
        operator = mean(
            shape,
            axes,
            input_scale=scales[0],
            input_zero_point=zero_points[0],
            output_scale=scales[1],
            output_zero_point=zero_points[1],
        )
        rows = rng.integers(LOW, HIGH, (4, np.prod(shape)), np.int8, endpoint=True)
        rows[:2] = rows[:2] // 8 + rng.integers(-80, 80)
        expected = tflm_mean(
            shape,
            axes,
            keep=keep,
            operator_scales=(scales[0], scales[1]),
            zero_points=(zero_points[0], zero_points[1]),
            rows=rows,
        )
        found = Mean.decode(operator.encode()).apply(rows)[0]
        assert np.array_equal(found, expected), operator


def test_parameters_of_a_mean() -> None:
    same: Any = {
        "input_scale": 0.1,
        "input_zero_point": 3,
        "output_scale": 0.1,
        "output_zero_point": 4,
    }
    operator = mean((1, 4, 6, 3), (1, 3), **same)
    assert operator.shape == (1, 4, 6, 3, 1)
    assert operator.bias == -36
    # 1 = 2^30 2^(1 - 31), over 12.
    assert (operator.mantissa, operator.exponent) == ((1 << 33) // 12, -2)
    assert operator.encode()[:12] == bytes([1, 0, 4, 0, 6, 0, 3, 0, 1, 0, 4, 0])
    with pytest.raises(UsageError, match="more than two"):
        mean((2, 3, 4, 5, 6, 7), (1, 3, 5), **same)
    with pytest.raises(UsageError, match="axes"):
        mean((2, 3), (2,), **same)
    with pytest.raises(UsageError, match="at most"):
        mean((60000, 60000), (1,), **same)
    with pytest.raises(FormatError, match="24 bytes"):
        Mean.decode(bytes(20))
    with pytest.raises(UsageError, match="expected int8"):
        operator.apply(np.zeros((1, 5), np.int8))


def test_parameters_of_a_pool() -> None:
    operator = pool2d(average=True, shape=(5, 4, 3), kernel=(2, 3), stride=(2, 1), low=-3, high=9)
    data = list(operator.encode())
    assert data[:16] == [5, 0, 2, 0, 2, 2, 1, 0, 4, 0, 2, 0, 3, 1, 1, 0]
    assert data[16:] == [3, 0, 253, 9]
    assert type(operator) is AveragePool
    window = operator.window
    for wrong, match in (
        (Window((5, 4, 3), (2, 2), (2, 3), (2, 1), (1, 2)), "dilation"),
        (Window((5, 4, 3), (2, 2), (2, 3), (2, 1), corner=(2, 0)), "padding of 2"),
        (Window((5, 4, 3), (2, 9), (2, 3), (2, 1)), "window 8"),
        (Window((0, 4, 3), (2, 2), (2, 3), (2, 1)), "map of 0"),
    ):
        with pytest.raises(UsageError, match=match):
            MaxPool(wrong)
    with pytest.raises(UsageError, match="limits"):
        MaxPool(window, low=3, high=2)
    with pytest.raises(FormatError, match="20 bytes"):
        MaxPool.decode(bytes(28))
    with pytest.raises(FormatError, match="not 0"):
        MaxPool.decode(operator.encode()[:16] + bytes(2) + operator.encode()[18:])
    with pytest.raises(UsageError, match="expected int8"):
        operator.apply(np.zeros((1, 5), np.int8))
