"""What the rules of operators work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError, UnsupportedModelError
from wingbeat.net.model import Graph, Node, Options, Tensor
from wingbeat.reference import Operator
from wingbeat.reference.activations import Quantization, quantized_limits
from wingbeat.reference.lookup import Lookup

O = TypeVar("O", bound=Options)  # noqa: E741
_LARGEST_SCALE = 1e20
_IDENTITY = np.arange(256, dtype=np.uint8).view(np.int8)


class RefusedError(Exception):
    """An operator that cannot be converted.

    Parameters
    ----------
    what : str
        What about it.
    instead : str
        What to use instead.
    """

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(f"{what}; {instead}")


@dataclass(frozen=True, eq=False)
class Step:
    """A call of the program.

    Attributes
    ----------
    operator : Operator
    inputs, outputs : tuple of int
        Tensors of the graph.
    node : Node
        What it comes from.
    """

    operator: Operator
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    node: Node


class Lowering:
    """The steps so far, and the tensors that they work on.

    Attributes
    ----------
    graph : Graph
    tensors : dict of int to Tensor
        Those of the graph and the ones between several steps of one operator.
    steps : list of Step
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.tensors = dict(graph.tensors)
        self.steps: list[Step] = []
        self._same: dict[int, int] = {}

    def place(self, number: int) -> int:
        """The tensor in whose memory this one is."""
        while number in self._same:
            number = self._same[number]
        return number

    def emit(self, node: Node, operator: Operator, *operands: int) -> None:
        """Append a step; `operands` are its inputs, then its outputs."""
        n_inputs = len(operator.inputs)
        inputs = tuple(self.place(each) for each in operands[:n_inputs])
        self.steps.append(Step(operator, inputs, operands[n_inputs:], node))

    def alias(self, output: int, source: int) -> None:
        """Let `output` be the tensor `source` under another shape."""
        self._same[output] = source

    def between(self, shape: tuple[int, ...], like: Tensor) -> int:
        """A new tensor of int8, between two steps."""
        number = 1 + max(self.tensors)
        self.tensors[number] = Tensor(like.name, shape, "int8", like.quantization)
        return number

    def emit_table(self, node: Node, table: NDArray[Any], typecode: str = "b") -> None:
        """Append a look-up from the operator's first input, if it changes anything."""
        source, result = self.source(node), node.outputs[0]
        if typecode == "b" and np.array_equal(table, _IDENTITY):
            self.alias(result, source)
        else:
            operator = Lookup(table, self.tensors[result].n_elements, typecode)
            self.emit(node, operator, source, result)

    def copy_input(self) -> None:
        """Let the net's output be a copy of its input, where no step is left between them."""
        result = self.graph.outputs[0]
        tensor = self.tensors[self.graph.inputs[0]]
        if not self.graph.nodes or tensor.dtype != "int8":
            raise UnsupportedModelError("the net computes nothing: its output is its input")
        del self._same[result]
        operator = Lookup(_IDENTITY, tensor.n_elements)
        self.emit(self.graph.nodes[-1], operator, self.graph.inputs[0], result)

    # ---- Operands

    def source(self, node: Node, number: int = 0) -> int:
        """The tensor number of an input, which is not constant.

        Raises
        ------
        RefusedError
            It is constant.
        """
        operand = self.operand(node, number)
        if self.tensors[operand].data is not None:
            raise RefusedError(
                f"input {number} is a constant",
                "compute with constants before training, or make them weights of a layer",
            )
        return operand

    def operand(self, node: Node, number: int) -> int:
        """The tensor number of an input.

        Raises
        ------
        FormatError
            It is left out.
        """
        operand = node.inputs[number] if number < len(node.inputs) else None
        if operand is None:
            raise FormatError(f"input {number} is missing")
        return operand

    def int8(self, number: int) -> Tensor:
        """A tensor that is quantized to int8 as a whole.

        Raises
        ------
        RefusedError
            It is not.
        """
        tensor = self.tensors[number]
        if tensor.dtype != "int8":
            raise RefusedError(
                f"works on {tensor.dtype}",
                "a net has to be int8 from its input to its output: quantize all of it, with"
                " supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8], and use other layers where"
                f" TensorFlow leaves {tensor.dtype} even so",
            )
        if tensor.quantization is None:
            raise FormatError(f"an int8 tensor has no scale: {tensor.name}")
        if not 1 / _LARGEST_SCALE <= tensor.scale <= _LARGEST_SCALE:
            raise FormatError(f"an int8 tensor has the scale {tensor.scale}: {tensor.name}")
        if len(tensor.quantization.scale) > 1:
            raise RefusedError(
                "its activations are quantized per channel", "quantize activations per tensor"
            )
        return tensor

    def input(self, node: Node, number: int = 0) -> Tensor:
        """An input that is quantized to int8 as a whole, and not constant."""
        return self.int8(self.source(node, number))

    def output(self, node: Node) -> Tensor:
        """The output, quantized to int8 as a whole."""
        return self.int8(node.outputs[0])

    def constant(self, node: Node, number: int, *dtypes: str) -> NDArray[Any]:
        """The value of an input that has to be constant, of one of these dtypes.

        Raises
        ------
        RefusedError
            It is not.
        """
        tensor = self.tensors[self.operand(node, number)]
        if tensor.data is None:
            raise RefusedError(
                f"input {number} is computed by the net", "only constants are supported there"
            )
        if tensor.dtype not in dtypes:
            raise RefusedError(
                f"input {number} is of {tensor.dtype}", f"expected {' or '.join(dtypes)}"
            )
        return tensor.data


Rule: TypeAlias = Callable[[Lowering, Node], None]
"""Appends the steps of an operator, or raises RefusedError, UsageError or FormatError."""


def options_of(node: Node, kind: type[O]) -> O:
    """The operator's options, which the reader made of this kind."""
    assert isinstance(node.options, kind)
    return node.options


def quantization_of(tensor: Tensor) -> Quantization:
    """Scale and zero point of a tensor that is quantized as a whole."""
    return Quantization(tensor.scale, tensor.zero_point)


def image(net: Lowering, node: Node, number: int = 0) -> Tensor:
    """An input of the shape [1, height, width, channels].

    Raises
    ------
    RefusedError
        It has another one.
    """
    tensor = net.input(node, number)
    if len(tensor.shape) != 4 or tensor.shape[0] != 1 or min(tensor.shape) < 1:
        raise RefusedError(
            f"its input has the shape {list(tensor.shape)}",
            "expected [1, height, width, channels]: fix the batch with Input(batch_size=1)",
        )
    return tensor


def limits_of(activation: str, output: Tensor) -> tuple[int, int]:
    """The limits that a fused activation puts on an output.

    Raises
    ------
    RefusedError
        There is no such activation here.
    """
    if activation not in ("NONE", "RELU", "RELU6", "RELU_N1_TO_1"):
        raise RefusedError(
            f"the fused activation {activation} is not supported", "use relu, relu6 or none"
        )
    return quantized_limits(activation.lower(), quantization_of(output))


def expect_same_scale(source: Tensor, result: Tensor) -> None:
    """Refuse what TFLite takes for granted where it moves or compares stored numbers.

    Raises
    ------
    RefusedError
        Scales or zero points differ.
    """
    if (source.scale, source.zero_point) != (result.scale, result.zero_point):
        raise RefusedError(
            "its output has another scale or zero point than its input, but nothing is rescaled",
            "put a QUANTIZE behind it",
        )


def expect_shape(tensor: Tensor, shape: tuple[int, ...], what: str = "output") -> None:
    """Compare shapes.

    Raises
    ------
    FormatError
        They differ.
    """
    if tensor.shape != tuple(shape):
        raise FormatError(
            f"the {what} has the shape {list(tensor.shape)}, but {list(shape)} follows from the"
            " options"
        )


def expect_size(tensor: Tensor, n_elements: int, what: str = "output") -> None:
    """Compare numbers of elements.

    Raises
    ------
    FormatError
        They differ.
    """
    if tensor.n_elements != n_elements:
        raise FormatError(f"the {what} has {tensor.n_elements} elements, expected {n_elements}")
