"""From the graph's operators to those of a program.

Each kind of operator has a rule, a small function that appends steps. Everything that has no rule
or that a rule refuses is collected, so that a user learns of all of it at once.
"""

from __future__ import annotations

from collections.abc import Mapping

from wingbeat.errors import FormatError, UnsupportedModelError, UsageError
from wingbeat.net.advice import HOW_TO_FIX_THE_BATCH, HOW_TO_QUANTIZE, instead_of
from wingbeat.net.merge import merge
from wingbeat.net.model import Graph, Node
from wingbeat.net.rule import Lowering, RefusedError, Rule
from wingbeat.net.rules_of_elements import RULES as ELEMENTS
from wingbeat.net.rules_of_layout import RULES as LAYOUT
from wingbeat.net.rules_of_pools import RULES as POOLS
from wingbeat.net.rules_of_sums import RULES as SUMS
from wingbeat.net.rules_of_transposed import RULES as TRANSPOSED
from wingbeat.net.simplify import simplify

RULES: Mapping[str, Rule] = {**ELEMENTS, **LAYOUT, **POOLS, **SUMS, **TRANSPOSED}
"""The rule of each kind of operator that can be converted."""

_BORDERS = ("QUANTIZE", "DEQUANTIZE")
_OPEN_BATCH = ("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND")
"""What TensorFlow makes of a dilated convolution if it does not know the batch."""


def lower(graph: Graph) -> Lowering:
    """The steps that compute a graph.

    Raises
    ------
    UnsupportedModelError
        Operators or options of it have no counterpart, or it does not compute in int8; the
        message names all of them, each with what to use instead.
    FormatError
        Shapes or constants contradict each other.
    """
    graph = simplify(graph)
    lowering = Lowering(graph)
    problems = []
    damaged: FormatError | None = None
    for node in graph.nodes:
        try:
            _apply(lowering, node)
        except RefusedError as refused:
            problems.append(f"{graph.describe(node)}: {refused}")
        except UsageError as error:
            problems.append(f"{graph.describe(node)}: {error}")
        except FormatError as error:
            damaged = damaged or FormatError(f"{graph.describe(node)}: {error}")
    whole = _numbers(graph) or _shapes(graph)
    if whole is not None:
        unknown = [node for node in graph.nodes if node.kind not in (*RULES, *_OPEN_BATCH)]
        problems = [f"{graph.describe(node)}: {instead_of(node.kind)}" for node in unknown]
        raise UnsupportedModelError("\n".join([whole, *_listed(problems)]))
    if damaged is not None:
        raise damaged
    if problems:
        raise UnsupportedModelError("\n".join(_listed(problems)))
    if lowering.place(graph.outputs[0]) == graph.inputs[0]:
        lowering.copy_input()
    kept = [lowering.place(output) for output in graph.outputs]
    lowering.steps = merge(lowering.steps, lowering.tensors, kept)
    return lowering


def _shapes(graph: Graph) -> str | None:
    """What is wrong with a net whose shapes are not all known, or None."""
    for node in graph.nodes:
        if node.kind in _OPEN_BATCH or any(graph.tensors[i].open for i in node.outputs):
            return (
                "The net was made for batches of any size, so some of its shapes are not in the"
                f" file (from {graph.describe(node)} on). {HOW_TO_FIX_THE_BATCH}"
            )
    return None


def _listed(problems: list[str]) -> list[str]:
    if not problems:
        return []
    count = "1 operator" if len(problems) == 1 else f"{len(problems)} operators"
    return [f"{count} of the net cannot be converted:", *(f"  {each}" for each in problems)]


def _apply(lowering: Lowering, node: Node) -> None:
    rule = RULES.get(node.kind)
    if rule is None:
        raise RefusedError("not supported", instead_of(node.kind))
    rule(lowering, node)


def _numbers(graph: Graph) -> str | None:
    """What is wrong with a net that does not compute in int8, or None."""
    working = [node for node in graph.nodes if node.kind not in _BORDERS]
    results = {graph.tensors[i].dtype for node in working for i in node.outputs}
    constants = {
        graph.tensors[i].dtype
        for node in working
        for i in node.inputs
        if i is not None and graph.tensors[i].data is not None
    }
    if "int8" in results or not results:
        return None
    if "int16" in results:
        return (
            "The net has activations of int16 (16x8 quantization); Wingbeat computes in int8:"
            f" leave EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8 out.\n"
            f"{HOW_TO_QUANTIZE}"
        )
    if "uint8" in results:
        return (
            "The net is quantized to uint8, as TensorFlow 1 did; Wingbeat computes in int8: convert"
            f" it with TensorFlow 2.\n{HOW_TO_QUANTIZE}"
        )
    if "float32" not in results:
        return None
    if "int8" in constants:
        return (
            "The net has weights of int8, but computes in float32 (hybrid, or dynamic range"
            f" quantization); Wingbeat computes in int8.\n{HOW_TO_QUANTIZE}"
        )
    return f"The net computes in float32; Wingbeat computes in int8.\n{HOW_TO_QUANTIZE}"
