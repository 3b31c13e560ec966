"""Rules of operators that give each element another value, and of softmax."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from wingbeat.errors import FormatError
from wingbeat.net.model import Activation, Leaky, Node, Softmax
from wingbeat.net.rule import (
    Lowering,
    Rule,
    expect_shape,
    expect_size,
    limits_of,
    options_of,
    quantization_of,
)
from wingbeat.reference import Operator, activations
from wingbeat.reference.activations import Quantization, Table
from wingbeat.reference.arithmetic import Side, add, mul
from wingbeat.reference.dequantize import dequantize
from wingbeat.reference.quantize import quantize
from wingbeat.reference.rescale import rescale
from wingbeat.reference.softmax8 import softmax
from wingbeat.reference.standardize import standardize


def _function(table: Callable[[Quantization, Quantization], Table]) -> Rule:
    def rule(net: Lowering, node: Node) -> None:
        source, result = net.input(node), net.output(node)
        expect_size(result, source.n_elements)
        net.emit_table(node, table(quantization_of(source), quantization_of(result)))

    return rule


def _leaky_relu(net: Lowering, node: Node) -> None:
    source, result = net.input(node), net.output(node)
    expect_size(result, source.n_elements)
    alpha = options_of(node, Leaky).alpha
    table = activations.leaky_relu_table(quantization_of(source), quantization_of(result), alpha)
    net.emit_table(node, table)


def _quantize(net: Lowering, node: Node) -> None:
    source, result = net.tensors[net.source(node)], net.output(node)
    expect_size(result, source.n_elements)
    to = quantization_of(result)
    ends = net.source(node), node.outputs[0]
    if source.dtype == "float32":
        net.emit(node, quantize(source.n_elements, to), *ends)
    elif source.dtype == "int16" and source.quantization is not None:
        operator = rescale(source.n_elements, source.scale, source.zero_point, to)
        net.emit(node, operator, *ends)
    elif source.dtype == "uint8" and source.quantization is not None:
        table = activations.requantize_uint8_table(source.scale, source.zero_point, to)
        net.emit_table(node, table, "B")
    else:
        source = net.input(node)
        net.emit_table(node, activations.requantize_table(quantization_of(source), to))


def _dequantize(net: Lowering, node: Node) -> None:
    source, result = net.input(node), net.tensors[node.outputs[0]]
    expect_size(result, source.n_elements)
    if result.dtype != "float32":
        raise FormatError(f"it makes {result.dtype}, not float32")
    operator = dequantize(source.n_elements, quantization_of(source))
    net.emit(node, operator, net.source(node), node.outputs[0])


def _softmax(net: Lowering, node: Node) -> None:
    source, result = net.input(node), net.output(node)
    expect_size(result, source.n_elements)
    if (result.scale, result.zero_point) != (1 / 256, -128):
        raise FormatError(
            f"its output has scale {result.scale} and zero point {result.zero_point}: expected"
            " 1/256 and -128"
        )
    depth = source.shape[-1] if source.shape else 1
    beta = options_of(node, Softmax).beta
    operator = softmax(source.n_elements // max(depth, 1), depth, quantization_of(source), beta)
    net.emit(node, operator, net.source(node), node.outputs[0])


def _standardize(net: Lowering, node: Node) -> None:
    """No operator of TFLite: the float32 features of a perceptron, each in steps of its own."""
    centre, step = (net.constant(node, number, "float64") for number in (1, 2))
    net.emit(node, standardize(centre, step), net.source(node), node.outputs[0])


def _arithmetic(make: Callable[..., Operator]) -> Rule:
    def rule(net: Lowering, node: Node) -> None:
        result, activation = net.output(node), options_of(node, Activation).activation
        limits_of(activation, result)
        sides = [_side(net, node, number) for number in (0, 1)]
        expect_shape(result, _broadcast(sides))
        operator = make(*sides, quantization_of(result), activation.lower())
        inputs = [net.operand(node, i) for i in (0, 1) if sides[i].constant is None]
        net.emit(node, operator, *inputs, node.outputs[0])

    return rule


def _side(net: Lowering, node: Node, number: int) -> Side:
    tensor = net.int8(net.operand(node, number))
    return Side(tensor.shape, quantization_of(tensor), tensor.data)


def _broadcast(sides: Sequence[Side]) -> tuple[int, ...]:
    shapes = [tuple(side.shape) for side in sides]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise FormatError(f"shapes {list(shapes[0])} and {list(shapes[1])} do not fit") from error


RULES: Mapping[str, Rule] = {
    "STANDARDIZE": _standardize,
    "ADD": _arithmetic(add),
    "SUB": _arithmetic(partial(add, subtract=True)),
    "MUL": _arithmetic(mul),
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _dequantize,
    "RELU": _function(activations.relu_table),
    "RELU6": _function(activations.relu6_table),
    "RELU_N1_TO_1": _function(activations.relu_n1_to_1_table),
    "LEAKY_RELU": _leaky_relu,
    "LOGISTIC": _function(activations.logistic_table),
    "SOFTMAX": _softmax,
    "TANH": _function(activations.tanh_table),
    "HARD_SWISH": _function(activations.hard_swish_table),
    "ELU": _function(activations.elu_table),
    "ABS": _function(activations.abs_table),
}
