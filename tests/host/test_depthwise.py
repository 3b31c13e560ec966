"""Depthwise: the reference against the real TFLM interpreter, its scale, and its parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tflite
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import tflm
from tflm import Operation, Tensor
from vectors.depthwise import Layer, any_layer, random_layer, small_layers, wide
from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.depthwise import Axis, Depthwise, Depthwise3x3, depthwise2d
from wingbeat.reference.requantize import multiply, quantize_multiplier
from wingbeat.reference.scale import Scale
from wingbeat.reference.short_scale import ShortScale, make_short_scale


def tflm_depthwise(layer: Layer, rows: NDArray[np.int8]) -> NDArray[np.int8]:
    """What TFLM's DEPTHWISE_CONV_2D gives."""
    channels = layer.weights.shape[2]
    x = Tensor((1, *layer.shape), scales=layer.scales[0], zero_points=layer.zero_points[0])
    y = Tensor((1, *layer.out, channels), scales=layer.scales[2], zero_points=layer.zero_points[1])
    kernel = (1, *layer.weights.shape)
    weights = Tensor(kernel, scales=layer.scales[1], axis=3, data=layer.weights[np.newaxis])
    bias_scales = np.float32(layer.scales[0]) * layer.scales[1]
    bias = Tensor(layer.bias.shape, "int32", scales=bias_scales, data=layer.bias)
    options = {
        "Padding": tflite.Padding.SAME if layer.same else tflite.Padding.VALID,
        "StrideH": layer.stride[0],
        "StrideW": layer.stride[1],
        "DilationHFactor": layer.dilation[0],
        "DilationWFactor": layer.dilation[1],
        "DepthMultiplier": channels // layer.shape[2],
        "FusedActivationFunction": getattr(tflite.ActivationFunctionType, layer.activation),
    }
    operation = Operation(
        "DEPTHWISE_CONV_2D", [x, weights, bias], [y], "DepthwiseConv2DOptions", options
    )
    model = tflm.model_bytes([operation], [x], [y])
    found = tflm.run_rows(model, rows.reshape(len(rows), 1, *layer.shape))
    return np.array([each[0].ravel() for each in found])


@pytest.mark.parametrize("seed", range(4))
def test_the_reference_is_tflm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    forms = []
    for i in range(100):
        layer = any_layer(rng)
        operator = layer.operator() if i % 10 else wide(layer)
        forms.append(type(operator.scale))
        rows = layer.inputs(rng, 3)
        found = type(operator).decode(operator.encode()).apply(rows)[0]
        assert np.array_equal(found, tflm_depthwise(layer, rows)), layer
    assert forms.count(ShortScale) >= 89
    assert forms.count(Scale) >= 10


@pytest.mark.parametrize(
    ("shape", "kernel"),
    [((25, 5, 64), (3, 3)), ((100, 1, 8), (15, 1)), ((1, 90, 4), (1, 15)), ((24, 24, 8), (3, 3))],
)
def test_usual_shapes_are_tflm_and_short(
    shape: tuple[int, int, int], kernel: tuple[int, int]
) -> None:
    rng = np.random.default_rng(shape[0])
    for activation in ("NONE", "RELU"):
        layer = random_layer(rng, shape, kernel, activation=activation)
        operator = layer.operator()
        rows = layer.inputs(rng, 2)
        assert isinstance(operator.scale, ShortScale)
        assert np.array_equal(operator.apply(rows)[0], tflm_depthwise(layer, rows))


def test_the_map_is_cut_along_its_length() -> None:
    rng = np.random.default_rng(1)
    tall = random_layer(rng, (30, 1, 2), (3, 1)).operator()
    flat = random_layer(rng, (1, 30, 2), (1, 3)).operator()
    assert (tall.turned, flat.turned) == (False, True)
    assert tall.scratch == flat.scratch == (("i", 2 * 12 + 3),)


def test_in_place_where_the_shapes_are_the_same() -> None:
    rng = np.random.default_rng(1)
    assert random_layer(rng, (9, 9, 2), (3, 3)).operator().in_place == ((0, 0),)
    for layer in (
        random_layer(rng, (9, 9, 2), (3, 3), same=False),
        random_layer(rng, (9, 9, 2), (3, 3), stride=(2, 2)),
        random_layer(rng, (9, 9, 2), (3, 3), multiplier=2),
    ):
        assert layer.operator().in_place == ()


def test_sums_are_packed_in_groups_that_fit() -> None:
    rng = np.random.default_rng(1)
    layer = random_layer(rng, (12, 13, 1), (9, 11))
    largest = replace(layer, weights=np.full((9, 11, 1), -127, np.int8)).operator()
    # 5 lines of 11 weights of 127 are 6985, 6 are 8382.
    assert not largest.turned
    assert largest.group == 5
    assert random_layer(rng, (12, 13, 1), (5, 5)).operator().group == 5


def test_the_shorter_kernel_is_taken_where_it_will_do() -> None:
    rng = np.random.default_rng(1)
    plain = random_layer(rng, (9, 9, 2), (3, 3), stride=(2, 2))
    plain = replace(plain, zero_points=(5, -128))
    assert type(plain.operator()) is Depthwise3x3
    for layer in (
        replace(plain, activation="NONE", zero_points=(5, 3)),
        replace(plain, zero_points=(5, -127)),
        random_layer(rng, (9, 9, 2), (3, 2)),
        random_layer(rng, (9, 9, 2), (3, 3), multiplier=2),
        random_layer(rng, (9, 9, 2), (3, 3), dilation=(2, 2)),
    ):
        operator = layer.operator()
        assert type(operator) is Depthwise
        with pytest.raises(UsageError, match="no 3 x 3"):
            Depthwise3x3(**vars(operator))
        with pytest.raises(FormatError, match="no 3 x 3"):
            Depthwise3x3.decode(operator.encode())


# ---- The short scale


@st.composite
def channels(draw: st.DrawFn) -> tuple[int, float, int, int]:
    """Bias, factor, and the smallest and largest sum of a channel."""
    size = draw(st.integers(1, 1000))
    levels = draw(st.floats(1.0, 2000.0))
    smallest = -draw(st.integers(0, size * 128))
    largest = draw(st.integers(0, size * 128))
    bias = draw(st.integers(-size * 128, size * 128))
    return bias, min(levels / (size * 128), 4.0), smallest, largest


limits = st.tuples(st.integers(-128, 127), st.integers(-128, 127)).map(sorted)


@given(st.lists(channels(), min_size=1, max_size=4), st.integers(-128, 127), limits)
@settings(deadline=None)
def test_the_short_scale_gives_tflms_outputs(
    drawn: list[tuple[int, float, int, int]], zero_point: int, ends: list[int]
) -> None:
    bias, factors, smallest, largest = (np.array(each) for each in zip(*drawn, strict=True))
    low, high = ends
    scale = make_short_scale(bias, factors, zero_point, low, high, (smallest, largest))
    if scale is None:
        return
    scale = ShortScale.decode(scale.encode(), len(bias))
    for i, (b, factor, first, last) in enumerate(drawn):
        sums = np.unique(np.linspace(first, last, 5000).astype(np.int64))
        all_channels = np.repeat(sums[:, np.newaxis], len(bias), axis=1)
        expected = multiply(sums + b, *quantize_multiplier(factor)) + zero_point
        found = scale.apply(all_channels)[:, i]
        assert np.array_equal(found, np.clip(expected, low, high)), (b, factor)


def test_what_has_no_short_scale() -> None:
    limits = -128, 127
    assert make_short_scale([0], [0.01], 0, *limits, ([-9], [1 << 18])) is None
    assert make_short_scale([0], [0.01], 0, *limits, ([-(1 << 18)], [9])) is None
    assert make_short_scale([0], [1e6], 0, *limits, ([-9], [9])) is None


def test_channels_that_give_one_output_only() -> None:
    bias, factors = [1 << 24, 0, -300, 300], [0.01, 0.0, 0.1, 0.1]
    scale = make_short_scale(bias, factors, 5, -10, 127, ([-9] * 4, [9] * 4))
    assert scale is not None
    for total in range(-9, 10):
        assert scale.apply(np.full(4, total)).tolist() == [127, 5, -10, 35 + (total + 5) // 10]


# ---- Parameters


def test_parameters_are_laid_out_as_specified() -> None:
    layer = random_layer(np.random.default_rng(2), (1, 30, 2), (1, 3), multiplier=3)
    data = layer.operator().encode()
    assert data[:8] == bytes([30, 0, 30, 0, 3, 1, 1, 1])
    assert data[8:16] == bytes([1, 0, 1, 0, 1, 1, 1, 0])
    assert data[16:20] == bytes([2, 0, 3, 1])
    assert data[20] == layer.zero_points[0] & 0xFF
    assert data[21:24] == bytes([3, 0, 0])
    assert data[24] == layer.zero_points[1] & 0xFF
    assert data[27] == 2
    weights = layer.weights[0].T.tobytes()
    assert data[28 + 6 * 8 :] == weights + bytes(2)


@pytest.mark.parametrize("number", range(5))
def test_encode_and_back(number: int) -> None:
    operator = list(small_layers())[number]
    again = type(operator).decode(operator.encode())
    assert again.encode() == operator.encode()
    assert np.array_equal(again.weights, operator.weights)
    assert (again.rows, again.columns) == (operator.rows, operator.columns)


def test_what_is_refused() -> None:
    good = next(iter(small_layers()))
    for wrong, match in (
        ({"weights": good.weights.astype(np.int16)}, "int16"),
        ({"weights": good.weights[:2]}, r"expected int8 \(3, 2, 2\)"),
        ({"multiplier": 3}, "no multiple"),
        ({"fill": 128}, "padding with 128"),
        ({"group": 4}, "expected 1 to 2"),
        ({"rows": good.rows._replace(out=0)}, "map of 0"),
        ({"rows": good.rows._replace(stride=256)}, "256"),
        ({"rows": good.rows._replace(before=-1)}, "-1 positions"),
        (
            {"rows": good.rows._replace(size=65535), "columns": Axis(65535, 3, 2, 1, 1, 0)},
            "x 65535",
        ),
    ):
        with pytest.raises(UsageError, match=match):
            replace(good, **wrong)
    weights = np.full((1, 65, 2), 127, np.int8)
    with pytest.raises(UsageError, match="add up to more than 8191"):
        depthwise2d(
            weights,
            None,
            shape=(65, 65, 2),
            input_zero_point=0,
            factors=0.0001,
            output_zero_point=0,
        )
    with pytest.raises(UsageError, match="expected a multiple"):
        depthwise2d(
            weights,
            None,
            shape=(65, 65, 4),
            input_zero_point=0,
            factors=0.0001,
            output_zero_point=0,
        )
    with pytest.raises(UsageError, match="expected int8 of shape"):
        good.apply(np.zeros((1, 5), np.int8))
    with pytest.raises(FormatError, match="too few"):
        Depthwise.decode(good.encode()[:20])
    with pytest.raises(FormatError, match="not those of 2 channels"):
        Depthwise.decode(good.encode() + bytes(4))
