"""Rules of operators that add up products with constant weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError
from wingbeat.net.model import Dense, Node, Tensor
from wingbeat.net.rule import (
    Lowering,
    RefusedError,
    Rule,
    expect_size,
    limits_of,
    options_of,
)
from wingbeat.reference.dense import dense


def _dense(net: Lowering, node: Node) -> None:
    source, result, options = net.input(node), net.output(node), options_of(node, Dense)
    if options.shuffled:
        raise RefusedError("its weights are shuffled", "convert with the default weights format")
    weights = _weights(net, node, 1, dimensions=2)
    outputs, inputs = weights.shape
    rows, rest = divmod(source.n_elements, inputs)
    if rest:
        raise FormatError(f"an input of {source.n_elements} elements for {inputs} weights")
    expect_size(result, rows * outputs)
    if rows > 1:
        raise RefusedError("several rows", "")
    layer = dense(
        weights,
        _bias(net, node, 2, outputs),
        **_scaled(source, net.tensors[net.operand(node, 1)], result, options.activation),
    )
    net.emit(node, layer, *_ends(net, node))


def _ends(net: Lowering, node: Node, number: int = 0) -> tuple[int, int]:
    return net.source(node, number), node.outputs[0]


def _scaled(source: Tensor, weights: Tensor, result: Tensor, activation: str) -> dict[str, Any]:
    """The arguments that every factory here takes.

    TFLM multiplies the scales in float64 for all of these operators, also where the weights of a
    dense layer have a single scale: tests/e2e/test_nets.py shows it.
    """
    assert weights.quantization is not None
    low, high = limits_of(activation, result)
    return {
        "input_zero_point": source.zero_point,
        "factors": source.scale * weights.quantization.scale.astype(np.float64) / result.scale,
        "output_zero_point": result.zero_point,
        "low": low,
        "high": high,
    }


def _weights(
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


def _bias(net: Lowering, node: Node, number: int, channels: int) -> NDArray[np.int32]:
    if number >= len(node.inputs) or node.inputs[number] is None:
        return np.zeros(channels, np.int32)
    bias = net.constant(node, number, "int32")
    if bias.size != channels:
        raise FormatError(f"a bias of {bias.size} elements for {channels} channels")
    return bias.reshape(-1)


RULES: Mapping[str, Rule] = {
    "FULLY_CONNECTED": _dense,
}
