"""The whole way from a .tflite file to a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from wingbeat.errors import FormatError, ModelError, UnsupportedModelError, UsageError
from wingbeat.net.lower import lower
from wingbeat.net.model import Graph, Tensor
from wingbeat.net.rule import Lowering
from wingbeat.net.simplify import RESHAPES, with_float_ends, with_int8_ends, with_int16_input
from wingbeat.program import Decision, Descriptor, Program, ProgramBuilder

_TYPECODES = {"int8": "b", "uint8": "B", "int16": "h", "int32": "i", "float32": "f"}
_MOST_DIMENSIONS = 4


def convert_tflite(
    source: Path | str | bytes,
    *,
    name: str | None = None,
    labels: Sequence[str] | None = None,
    io: Literal["int8", "float"] | None = None,
    raw_step: float | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Program:
    """Convert an int8 .tflite file to a program that gives TensorFlow Lite Micro's numbers.

    The program's `meta` names the operator of the net that each call comes from, in "layers".

    Parameters
    ----------
    source : path, or bytes
        A .tflite file, or what is in one.
    name : str, optional
        Name of the module on the board; a Python identifier. Default: the file's.
    labels : sequence of str, optional
        Names of the classes, as many as the net has outputs; two for a single sigmoid.
    io : {"int8", "float"}, optional
        Dtype of input and output. "int8": as the net computes, with the scale and zero point
        that `Program.input` and `Program.output` tell. "float": float32, quantized and
        dequantized on the board. Default: as the file has it.
    raw_step : float, optional
        The board gives int16 readings of which one step is so much in the net's units: a net that
        was trained on ``readings / 8192`` takes 1 / 8192. The program makes int8 of them. Not
        with io="float".
    meta : mapping, optional
        Facts to keep in the program's file; JSON values.

    Raises
    ------
    FormatError
        It is no .tflite file, or it is damaged.
    UnsupportedModelError
        The net is not quantized to int8, or operators have no counterpart; all are named.
    UsageError
        The arguments do not fit the net.
    OSError
        The file cannot be read.
    """
    from wingbeat.net.tflite import read_tflite

    if isinstance(source, bytes):
        return convert_graph(
            read_tflite(source),
            name=name or "net",
            labels=labels,
            io=io,
            raw_step=raw_step,
            meta=meta,
        )
    path = Path(source)
    facts = {"source": path.name, **(meta or {})}
    try:
        graph = read_tflite(path.read_bytes())
        return convert_graph(
            graph, name=name or path.stem, labels=labels, io=io, raw_step=raw_step, meta=facts
        )
    except (FormatError, ModelError) as error:
        raise type(error)(f"{path}: {error}") from error


def convert_graph(
    graph: Graph,
    *,
    name: str,
    labels: Sequence[str] | None = None,
    io: Literal["int8", "float"] | None = None,
    raw_step: float | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Program:
    """The same for a graph that was read or made."""
    if io not in (None, "int8", "float"):
        raise UsageError(f"io={io!r}: choose one of int8, float")
    _refuse_several(graph)
    if io is not None:
        graph = with_float_ends(graph) if io == "float" else with_int8_ends(graph)
    if raw_step is not None:
        graph = _with_raw_input(graph, raw_step)
    net = lower(graph)
    source, result = net.tensors[graph.inputs[0]], net.tensors[graph.outputs[0]]
    builder = ProgramBuilder(_descriptor(source))
    numbers = {graph.inputs[0]: 0}
    for step in net.steps:
        first = builder.add(step.operator, *(numbers[each] for each in step.inputs))
        numbers.update((each, first + i) for i, each in enumerate(step.outputs))
    decision, decider = _decision(graph, net, labels)
    shown = _descriptor(result)
    program = builder.finish(
        name,
        numbers[net.place(graph.outputs[0])],
        decision,
        numbers[net.place(decider)],
        shape=shown.shape,
        scale=shown.scale,
        zero_point=shown.zero_point,
        labels=tuple(labels or ()),
    )
    return replace(program, meta={**(meta or {}), "layers": _layers(program, net)})


def _with_raw_input(graph: Graph, step: float) -> Graph:
    source = graph.tensors[graph.inputs[0]]
    if source.dtype != "int8":
        raise UsageError(f"raw_step is for nets with int8 input, this one takes {source.dtype}")
    if not 0 < 2 * step < source.scale:
        raise UsageError(
            f"raw_step={step:g}: expected more than 0 and less than half of a step of the net's"
            f" input, which is {source.scale:g}"
        )
    return with_int16_input(graph, step)


def _layers(program: Program, net: Lowering) -> list[str]:
    """The operator of the net that each call comes from: planning the arena moved them."""
    names = {id(step.operator): net.graph.name(step.node) for step in net.steps}
    return [names[id(call.operator)] for call in program.calls]


def _refuse_several(graph: Graph) -> None:
    problems = [
        f"{len(tensors)} {what}s ({', '.join(graph.tensors[i].name for i in tensors)}): {remedy}"
        for what, tensors, remedy in (
            ("input", graph.inputs, "join them in front of the net and slice them inside"),
            ("output", graph.outputs, "keep one, or join them with Concatenate"),
        )
        if len(tensors) > 1
    ]
    if problems:
        raise UnsupportedModelError(
            f"a program has one input and one output, the net has {' and '.join(problems)}"
        )


def _descriptor(tensor: Tensor) -> Descriptor:
    """How a user sees a tensor: without the dimension of the batch."""
    typecode = _TYPECODES.get(tensor.dtype)
    if typecode is None:
        raise UnsupportedModelError(
            f"the net's {tensor.name} is of {tensor.dtype}: expected one of {', '.join(_TYPECODES)}"
        )
    shape = tensor.shape
    if len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) > _MOST_DIMENSIONS or min(shape, default=1) < 1:
        raise UnsupportedModelError(
            f"the net's {tensor.name} has the shape {list(tensor.shape)}: expected at most"
            f" {_MOST_DIMENSIONS} dimensions besides that of the batch, none of them 0"
        )
    return Descriptor(typecode, shape or (1,), tensor.scale, tensor.zero_point)


def _decision(graph: Graph, net: Lowering, labels: Sequence[str] | None) -> tuple[Decision, int]:
    """What `predict` gives, and the tensor that it looks at."""
    makers = {output: node for node in graph.nodes for output in node.outputs}
    decider = graph.outputs[0]
    while decider in makers and makers[decider].kind in (*RESHAPES, "DEQUANTIZE"):
        before = makers[decider].inputs[0]
        assert before is not None
        decider = before
    kind = makers[decider].kind if decider in makers else ""
    tensor = graph.tensors[decider]
    count = tensor.n_elements
    if count == 1 and labels is not None and len(labels) == 2 and kind == "LOGISTIC":
        # Above 0 is above one half: the quantization of LOGISTIC is fixed.
        return Decision.POSITIVE, decider
    if labels is not None and kind != "ARG_MAX" and len(labels) != count:
        raise UsageError(f"{len(labels)} labels, but the net has {count} outputs")
    if net.place(decider) == graph.inputs[0]:
        # Only what an operator wrote can be looked at.
        decider = graph.outputs[0]
        if graph.tensors[decider].dtype == "float32":
            return Decision.NONE, decider
    if count == 1:
        return Decision.VALUE, decider
    vector = max(tensor.shape) == count
    inputs = graph.tensors[graph.inputs[0]].n_elements
    # A net that gives as many numbers as it takes is an autoencoder, not a classifier.
    scores = kind == "SOFTMAX" or (kind == "FULLY_CONNECTED" and count != inputs)
    if labels is not None or (vector and scores):
        return Decision.ARGMAX, decider
    return Decision.NONE, graph.outputs[0]
