"""What can go out of a graph before operators are looked for, without changing any number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from wingbeat.net.model import Convolution, Graph, Node, Quantization, Tensor

RESHAPES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
"""Operators that only give a tensor another shape, which their output's shape tells."""

_SHAPED_BY_OUTPUT: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(RESHAPES, (1,)),
    "TRANSPOSE_CONV": (0,),
    "RESIZE_NEAREST_NEIGHBOR": (1,),
    "BROADCAST_TO": (1,),
    "TILE": (1,),
}
"""Operands that say no more than the shape of the output does."""

_WINDOWS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_ACTIVATIONS = {"RELU": "RELU", "RELU6": "RELU6", "RELU_N1_TO_1": "RELU_N1_TO_1"}
_TAKES_ACTIVATION = (*_WINDOWS, "FULLY_CONNECTED", "ADD", "SUB", "MUL")


def simplify(graph: Graph) -> Graph:
    """The graph without operators whose result nobody needs or that fit into another one."""
    graph = _drop_unused(_drop_shape_operands(graph))
    return _drop_unused(_fuse_activations(_fuse_padding(graph)))


def _drop_shape_operands(graph: Graph) -> Graph:
    """Without operands that only tell a shape: what computes them is needed by nobody then."""

    def dropped(node: Node) -> Node:
        gone = _SHAPED_BY_OUTPUT.get(node.kind, ())
        inputs = (None if i in gone else operand for i, operand in enumerate(node.inputs))
        return replace(node, inputs=tuple(inputs))

    return replace(graph, nodes=tuple(map(dropped, graph.nodes)))


def _drop_unused(graph: Graph) -> Graph:
    needed = set(graph.outputs)
    kept = []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(operand for operand in node.inputs if operand is not None)
    return replace(graph, nodes=tuple(reversed(kept)))


def _fuse_padding(graph: Graph) -> Graph:
    """PAD with the zero point, in front of a convolution, becomes the convolution's padding."""
    pads = {
        node.outputs[0]: node
        for node in graph.nodes
        if node.kind in ("PAD", "PADV2") and _pads_with_zero(graph, node)
    }

    def fused(node: Node) -> Node:
        pad = pads.get(node.inputs[0]) if node.inputs and node.inputs[0] is not None else None
        options = node.options
        if pad is None or node.kind not in _WINDOWS or not isinstance(options, Convolution):
            return node
        if options.same:
            return node
        amounts = graph.tensors[_operand(pad, 1)].data
        assert amounts is not None
        (top, bottom), (left, right) = ((int(a), int(b)) for a, b in amounts[1:3])
        padding = (top, bottom), (left, right)
        return replace(
            node,
            inputs=(pad.inputs[0], *node.inputs[1:]),
            options=replace(options, padding=padding),
        )

    return replace(graph, nodes=tuple(map(fused, graph.nodes)))


def _pads_with_zero(graph: Graph, pad: Node) -> bool:
    """Whether rows and columns of an int8 image are added that stand for zeros."""
    operands = [None if i is None else graph.tensors[i] for i in pad.inputs]
    source, amounts = operands[0], operands[1] if len(operands) > 1 else None
    result = graph.tensors[pad.outputs[0]]
    if source is None or amounts is None or amounts.data is None or source.dtype != "int8":
        return False
    if len(source.shape) != 4 or not same_quantization(source, result):
        return False
    values = operands[2].data if len(operands) > 2 and operands[2] is not None else None
    zero = values is None or (values.size == 1 and int(values.flat[0]) == source.zero_point)
    if len(operands) > 2 and values is None:
        return False
    table = amounts.data
    return bool(zero and table.shape == (4, 2) and not table[[0, 3]].any() and np.all(table >= 0))


def _fuse_activations(graph: Graph) -> Graph:
    """RELU and its relatives, where they keep the quantization, go into what is before them."""
    makers = {output: node for node in graph.nodes for output in node.outputs}
    uses: dict[int, int] = dict.fromkeys(graph.outputs, 1)
    for node in graph.nodes:
        for operand in node.inputs:
            if operand is not None:
                uses[operand] = uses.get(operand, 0) + 1
    changed: dict[Node, Node] = {}
    for node in graph.nodes:
        if node.kind not in _ACTIVATIONS:
            continue
        source = _operand(node, 0)
        maker = makers.get(source)
        if (
            maker is not None
            and maker.kind in _TAKES_ACTIVATION
            and uses[source] == 1
            and getattr(maker.options, "activation", None) == "NONE"
            and same_quantization(graph.tensors[source], graph.tensors[node.outputs[0]])
        ):
            options = replace(maker.options, activation=_ACTIVATIONS[node.kind])  # type: ignore[type-var]
            changed[maker] = replace(maker, options=options, outputs=node.outputs)
    nodes = tuple(changed.get(node, node) for node in graph.nodes)
    taken = {output for node in changed.values() for output in node.outputs}
    kept = (node for node in nodes if node.kind not in _ACTIVATIONS or node.outputs[0] not in taken)
    return replace(graph, nodes=tuple(kept))


def same_quantization(one: Tensor, other: Tensor) -> bool:
    """Whether stored numbers mean the same in both tensors."""
    a, b = one.quantization, other.quantization
    if a is None or b is None or one.dtype != other.dtype:
        return False
    return np.array_equal(a.scale, b.scale) and np.array_equal(a.zero_point, b.zero_point)


def with_float_ends(graph: Graph) -> Graph:
    """The graph with float32 input and output: QUANTIZE in front, DEQUANTIZE behind."""
    tensors = dict(graph.tensors)
    nodes = list(graph.nodes)
    number = 1 + max((node.number for node in nodes), default=0)
    inputs, outputs = list(graph.inputs), list(graph.outputs)
    for i, old in enumerate(graph.inputs):
        if tensors[old].dtype != "float32":
            inputs[i] = new = 1 + max(tensors)
            tensors[new] = replace(tensors[old], dtype="float32", quantization=None)
            nodes.insert(0, Node(number, "QUANTIZE", (new,), (old,)))
            number += 1
    for i, old in enumerate(graph.outputs):
        if tensors[old].dtype != "float32":
            outputs[i] = new = 1 + max(tensors)
            tensors[new] = replace(tensors[old], dtype="float32", quantization=None)
            nodes.append(Node(number, "DEQUANTIZE", (old,), (new,)))
            number += 1
    return Graph(tensors, tuple(nodes), tuple(inputs), tuple(outputs))


def with_int16_input(graph: Graph, step: float) -> Graph:
    """The graph with an int16 input of which a step is `step`, zero at 0: QUANTIZE in front."""
    (old,) = graph.inputs
    new = 1 + max(graph.tensors)
    number = 1 + max((node.number for node in graph.nodes), default=0)
    quantization = Quantization(np.array([step], np.float32), np.array([0]))
    source = replace(graph.tensors[old], dtype="int16", quantization=quantization)
    first = Node(number, "QUANTIZE", (new,), (old,))
    return replace(
        graph, tensors={**graph.tensors, new: source}, nodes=(first, *graph.nodes), inputs=(new,)
    )


def with_int8_ends(graph: Graph) -> Graph:
    """The graph without a QUANTIZE of its input and a DEQUANTIZE of its output, if they are int8.

    A float input that is used by more than a QUANTIZE stays as it is.
    """
    nodes = list(graph.nodes)
    inputs, outputs = list(graph.inputs), list(graph.outputs)
    for i, old in enumerate(graph.inputs):
        users = [node for node in nodes if old in node.inputs]
        if (
            graph.tensors[old].dtype == "float32"
            and len(users) == 1
            and users[0].kind == "QUANTIZE"
            and old not in outputs
        ):
            inputs[i] = users[0].outputs[0]
            nodes.remove(users[0])
    for i, old in enumerate(outputs):
        makers = [node for node in nodes if old in node.outputs]
        users = [node for node in nodes if old in node.inputs]
        if len(makers) == 1 and makers[0].kind == "DEQUANTIZE" and not users:
            outputs[i] = _operand(makers[0], 0)
            nodes.remove(makers[0])
    return replace(graph, nodes=tuple(nodes), inputs=tuple(inputs), outputs=tuple(outputs))


def _operand(node: Node, number: int) -> int:
    operand = node.inputs[number]
    assert operand is not None
    return operand
