"""Rules of operators that add up products with constant weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError
from wingbeat.net.model import Convolution, Dense, Node
from wingbeat.net.rule import (
    Lowering,
    RefusedError,
    Rule,
    expect_shape,
    expect_size,
    image,
    limits_of,
    options_of,
)
from wingbeat.reference import Operator
from wingbeat.reference.conv import conv2d, output_size, same_padding
from wingbeat.reference.dense import dense
from wingbeat.reference.depthwise import depthwise2d


def _dense(net: Lowering, node: Node) -> None:
    source, result, options = net.input(node), net.output(node), options_of(node, Dense)
    if options.shuffled:
        raise RefusedError("its weights are shuffled", "convert with the default weights format")
    weights = weights_of(net, node, 1, dimensions=2)
    outputs, inputs = weights.shape
    rows, rest = divmod(source.n_elements, inputs)
    if rest:
        raise FormatError(f"an input of {source.n_elements} elements for {inputs} weights")
    expect_size(result, rows * outputs)
    bias = bias_of(net, node, 2, outputs)
    numbers = scaled(net, node, outputs, options.activation)
    if rows == 1:
        layer: Operator = dense(weights, bias, **numbers)
    else:
        shape = (rows, 1, inputs)
        layer = conv2d(weights[:, None, None], bias, shape=shape, **numbers)
    net.emit(node, layer, net.source(node), node.outputs[0])


def _conv(net: Lowering, node: Node) -> None:
    weights = weights_of(net, node, 1, dimensions=4)
    channels, groups = image(net, node).shape[3], 1
    if weights.shape[3] != channels:
        groups, rest = divmod(channels, weights.shape[3])
        if rest or weights.shape[0] % groups:
            raise FormatError(f"weights {list(weights.shape)} for an input of {channels} channels")
    if groups == channels > 1:
        _emit_depthwise(net, node, weights[..., 0].transpose(1, 2, 0))
    else:
        _emit_conv(net, node, _ungrouped(weights, groups))


def _depthwise(net: Lowering, node: Node) -> None:
    weights = weights_of(net, node, 1, dimensions=4, axis=3)
    channels = image(net, node).shape[3]
    if weights.shape[0] != 1 or weights.shape[3] % channels:
        raise FormatError(f"weights {list(weights.shape)} for an input of {channels} channels")
    if channels == 1:
        _emit_conv(net, node, weights.transpose(3, 1, 2, 0))
    else:
        _emit_depthwise(net, node, weights[0])


def _ungrouped(weights: NDArray[np.int8], groups: int) -> NDArray[np.int8]:
    """Weights for all input channels: 0 for those of other groups."""
    if groups == 1:
        return weights
    outputs, height, width, inputs = weights.shape
    wide = np.zeros((groups, outputs // groups, height, width, groups, inputs), np.int8)
    for group in range(groups):
        each = slice(group * outputs // groups, (group + 1) * outputs // groups)
        wide[group, :, :, :, group] = weights[each]
    return wide.reshape(outputs, height, width, groups * inputs)


def _emit_conv(net: Lowering, node: Node, weights: NDArray[np.int8]) -> None:
    """Weights [outputs, height, width, inputs]."""
    place = _window(net, node, weights.shape[1:3], weights.shape[0])
    net.emit(node, conv2d(weights, **place), net.source(node), node.outputs[0])


def _emit_depthwise(net: Lowering, node: Node, weights: NDArray[np.int8]) -> None:
    """Weights [height, width, outputs]."""
    place = _window(net, node, weights.shape[:2], weights.shape[2])
    net.emit(node, depthwise2d(weights, **place), net.source(node), node.outputs[0])


def _window(net: Lowering, node: Node, kernel: tuple[int, ...], channels: int) -> dict[str, Any]:
    """The arguments that the factories of convolutions share."""
    source, result = image(net, node), net.output(node)
    options = options_of(node, Convolution)
    if min(*options.stride, *options.dilation) < 1:
        raise FormatError(f"strides {options.stride} and dilations {options.dilation}")
    size = source.shape[1:3]
    padding = options.padding or ((0, 0), (0, 0))
    if options.same:
        top, left = (
            same_padding(size[i], kernel[i], options.stride[i], options.dilation[i]) for i in (0, 1)
        )
        padding = top, left
    rows, columns = (
        output_size(size[i], kernel[i], options.stride[i], options.dilation[i], padding[i])
        for i in (0, 1)
    )
    expect_shape(result, (1, rows, columns, channels))
    return {
        "bias": bias_of(net, node, 2, channels),
        "shape": source.shape[1:],
        "stride": options.stride,
        "dilation": options.dilation,
        "padding": padding,
        **scaled(net, node, channels, options.activation),
    }


def scaled(
    net: Lowering, node: Node, channels: int, activation: str, source: int = 0
) -> dict[str, Any]:
    """The arguments that every factory here takes.

    TFLM multiplies the scales in float64 for all of these operators, also where the weights of a
    dense layer have a single scale: tests/e2e/test_nets.py shows it.
    """
    tensor, result = net.input(node, source), net.output(node)
    quantization = net.tensors[net.operand(node, 1)].quantization
    assert quantization is not None
    factors = tensor.scale * quantization.scale.astype(np.float64) / result.scale
    low, high = limits_of(activation, result)
    return {
        "input_zero_point": tensor.zero_point,
        "factors": np.broadcast_to(factors, channels),
        "output_zero_point": result.zero_point,
        "low": low,
        "high": high,
    }


def weights_of(
    net: Lowering, node: Node, number: int, *, dimensions: int, axis: int = 0
) -> NDArray[np.int8]:
    """Constant weights, symmetric, with a scale for the tensor or for each index of `axis`."""
    values = net.constant(node, number, "int8")
    quantization = net.tensors[net.operand(node, number)].quantization
    if values.ndim != dimensions or not values.size:
        raise FormatError(
            f"weights of shape {list(values.shape)}: expected {dimensions} dimensions"
        )
    if quantization is None:
        raise FormatError("the weights have no scale")
    if len(quantization.scale) > 1 and quantization.axis != axis:
        raise FormatError(f"weights with scales along dimension {quantization.axis}, not {axis}")
    if quantization.zero_point.any():
        raise RefusedError(
            "its weights are not symmetric (their zero point is not 0)",
            "quantize with TensorFlow 2, which makes symmetric weights",
        )
    return values


def bias_of(net: Lowering, node: Node, number: int, channels: int) -> NDArray[np.int32]:
    if number >= len(node.inputs) or node.inputs[number] is None:
        return np.zeros(channels, np.int32)
    bias = net.constant(node, number, "int32")
    if bias.size != channels:
        raise FormatError(f"a bias of {bias.size} elements for {channels} channels")
    return bias.reshape(-1)


RULES: Mapping[str, Rule] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
}
