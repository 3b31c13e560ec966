"""Reads a .tflite file into the neutral graph, trusting nothing in it.

The schema's accessors (PyPI `tflite`) do not check offsets, so `check_flatbuffer` does before they
are used. What the offsets lead to is checked here: numbers of tensors and buffers, shapes, lengths
of constants, the order of operators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from wingbeat.errors import FormatError
from wingbeat.net.flatbuffer import (
    Field,
    Scalar,
    Table,
    Tables,
    Union,
    Vector,
    check_flatbuffer,
)
from wingbeat.net.model import (
    Activation,
    Block,
    Concatenation,
    Convolution,
    Dense,
    Gathering,
    Graph,
    Leaky,
    Mirror,
    Node,
    Options,
    Pack,
    Pool,
    Quantization,
    Reduce,
    Resize,
    Slice,
    Softmax,
    Tensor,
)

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3

MAX_DIMENSIONS = 8
MAX_ELEMENTS = 1 << 23
"""Of a tensor: far more than a board holds, few enough that nothing here takes long."""

MAX_OPERATORS = 4096
MOST_REUSE = 16
"""Bytes of constants that operators may read, over the bytes of the file."""

_LONGEST_NAME = 80
_NO_OPERAND = -1
_BYTE, _WORD, _LONG = Scalar(1), Scalar(4), Scalar(8)
_WORDS, _TEXT = Vector(4), Vector(1)


def _words(count: int, **others: Field) -> dict[int, Field]:
    """`count` fields of a word each, but the numbered ones (_0=...) as given."""
    return {number: others.get(f"_{number}", _WORD) for number in range(count)}


_OPTIONS: dict[str, dict[int, Field]] = {
    "Conv2DOptions": _words(6, _0=_BYTE, _3=_BYTE),
    "DepthwiseConv2DOptions": _words(7, _0=_BYTE, _4=_BYTE),
    "TransposeConvOptions": _words(4, _0=_BYTE, _3=_BYTE),
    "Pool2DOptions": _words(6, _0=_BYTE, _5=_BYTE),
    "FullyConnectedOptions": {0: _BYTE, 1: _BYTE, 2: _BYTE},
    "SoftmaxOptions": _words(1),
    "ConcatenationOptions": _words(2, _1=_BYTE),
    "AddOptions": {0: _BYTE},
    "SubOptions": {0: _BYTE},
    "MulOptions": {0: _BYTE},
    "ReducerOptions": {0: _BYTE},
    "LeakyReluOptions": _words(1),
    "StridedSliceOptions": _words(6, _5=_BYTE),
    "PackOptions": _words(2),
    "UnpackOptions": _words(2),
    "GatherOptions": _words(2),
    "DepthToSpaceOptions": _words(1),
    "SpaceToDepthOptions": _words(1),
    "MirrorPadOptions": {0: _BYTE},
    "ResizeNearestNeighborOptions": {0: _BYTE, 1: _BYTE},
}
"""Fields of the options that are read, by their number in the schema."""

_NEEDED = {
    kind: count
    for count, kinds in {
        1: "RESHAPE SQUEEZE EXPAND_DIMS AVERAGE_POOL_2D MAX_POOL_2D SOFTMAX CONCATENATION RELU"
        " RELU6 RELU_N1_TO_1 LEAKY_RELU LOGISTIC TANH HARD_SWISH ELU ABS QUANTIZE DEQUANTIZE"
        " RESIZE_NEAREST_NEIGHBOR DEPTH_TO_SPACE SPACE_TO_DEPTH PACK UNPACK",
        2: "CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED PAD MEAN REDUCE_MAX ADD SUB MUL TRANSPOSE"
        " ARG_MAX ARG_MIN SPLIT REVERSE_V2 BROADCAST_TO TILE GATHER MIRROR_PAD",
        3: "TRANSPOSE_CONV PADV2 SPLIT_V SLICE",
        4: "STRIDED_SLICE",
    }.items()
    for kind in kinds.split()
}
"""Inputs that an operator cannot do without."""

_QUANTIZATION: dict[int, Field] = {2: _WORDS, 3: Vector(8), 6: _WORD}
_TENSOR: dict[int, Field] = {
    0: _WORDS,
    1: _BYTE,
    2: _WORD,
    3: _TEXT,
    4: Table(_QUANTIZATION),
    5: _BYTE,
    6: Table({}),
    7: _WORDS,
}
_OPERATOR: dict[int, Field] = {
    0: _WORD,
    1: _WORDS,
    2: _WORDS,
    3: _BYTE,
    4: Union(3, {getattr(tflite.BuiltinOptions, name): f for name, f in _OPTIONS.items()}),
}
_SUBGRAPH: dict[int, Field] = {0: Tables(_TENSOR), 1: _WORDS, 2: _WORDS, 3: Tables(_OPERATOR)}
_CODE: dict[int, Field] = {0: _BYTE, 1: _TEXT, 2: _WORD, 3: _WORD}
_MODEL: dict[int, Field] = {
    0: _WORD,
    1: Tables(_CODE),
    2: Tables(_SUBGRAPH),
    4: Tables({0: _TEXT, 1: _LONG, 2: _LONG}),
}

_DTYPES = {
    number: name.lower() for name, number in vars(tflite.TensorType).items() if name.isupper()
}
_ACTIVATIONS = {
    number: name for name, number in vars(tflite.ActivationFunctionType).items() if name.isupper()
}
_INTEGERS = ("int8", "uint8", "int16", "int32", "int64")


def read_tflite(data: bytes) -> Graph:
    """The graph of a .tflite file; weights are not copied.

    Raises
    ------
    FormatError
        It is not such a file, it is damaged, or cut short.
    """
    if data[4:8] != IDENTIFIER:
        raise FormatError("not a .tflite file: bytes 4 to 7 are not 'TFL3'")
    try:
        check_flatbuffer(data, _MODEL)
        return _Reader(data).graph()
    except FormatError as error:
        raise FormatError(
            f"the .tflite file is damaged or cut short: {error}; copy it or convert it again"
        ) from error


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self.model = tflite.Model.GetRootAs(data)
        if self.model.Version() != SCHEMA_VERSION:
            raise FormatError(
                f"its schema has version {self.model.Version()}, not {SCHEMA_VERSION}"
            )
        if not self.model.SubgraphsLength():
            raise FormatError("it has no graph")
        # Others are bodies of IF, WHILE and CALL, which are refused by their names.
        self.subgraph = self.model.Subgraphs(0)
        self.kinds = [
            _kind(self.model.OperatorCodes(i)) for i in range(self.model.OperatorCodesLength())
        ]

    def graph(self) -> Graph:
        graph = self.subgraph
        tensors = {i: self._tensor(i) for i in range(graph.TensorsLength())}
        inputs = _operands(graph.InputsAsNumpy(), len(tensors))
        outputs = _operands(graph.OutputsAsNumpy(), len(tensors))
        nodes = tuple(self._node(i, len(tensors)) for i in range(graph.OperatorsLength()))
        if len(nodes) > MAX_OPERATORS:
            raise FormatError(f"{len(nodes)} operators, at most are {MAX_OPERATORS}")
        self._check_reuse(tensors, nodes)
        if not inputs or not outputs:
            raise FormatError("the graph has no input or no output")
        known = {i for i, tensor in tensors.items() if tensor.data is not None}
        known.update(inputs)
        for node in nodes:
            if not node.outputs:
                raise FormatError(f"operator {node.number} has no output")
            for operand in node.inputs:
                if operand is not None and operand not in known:
                    raise FormatError(
                        f"operator {node.number} reads tensor {operand}, which nothing has written"
                    )
            if known.intersection(node.outputs) or len(set(node.outputs)) < len(node.outputs):
                raise FormatError(f"operator {node.number} writes a tensor that is written already")
            known.update(node.outputs)
        constant = any(tensors[i].data is not None for i in (*inputs, *outputs))
        if constant or not known.issuperset(outputs):
            raise FormatError("an input or output is constant, or no operator writes it")
        return Graph(tensors, nodes, inputs, outputs)

    def _check_reuse(self, tensors: Mapping[int, Tensor], nodes: Sequence[Node]) -> None:
        """Layers may share weights, but not so that a small file takes hours to convert."""
        used = 0
        for node in nodes:
            for operand in node.inputs:
                data = None if operand is None else tensors[operand].data
                used += 0 if data is None else data.nbytes
        if used > MOST_REUSE * self.size:
            raise FormatError(f"its operators read {used} bytes of constants")

    def _tensor(self, number: int) -> Tensor:
        table = self.subgraph.Tensors(number)
        shape = tuple(map(int, _vector(table.ShapeAsNumpy())))
        if len(shape) > MAX_DIMENSIONS or min(shape, default=1) < 0:
            raise FormatError(f"tensor {number} has the shape {_short(shape)}")
        size = 1
        for dimension in shape:
            size *= dimension
        if size > MAX_ELEMENTS:
            raise FormatError(f"tensor {number} has {size} elements, at most are {MAX_ELEMENTS}")
        dtype = _DTYPES.get(table.Type())
        if dtype is None:
            raise FormatError(f"tensor {number} is of type {table.Type()}, which there is not")
        sparse = table.Sparsity() is not None
        return Tensor(
            _text(table.Name()),
            shape,
            f"sparse {dtype}" if sparse else dtype,
            _quantization(number, table.Quantization(), dtype, shape),
            None if sparse else self._data(number, table.Buffer(), dtype, shape),
            any(each < 0 for each in _vector(table.ShapeSignatureAsNumpy())[1:]),
        )

    def _data(
        self, number: int, buffer: int, dtype: str, shape: tuple[int, ...]
    ) -> NDArray[Any] | None:
        if buffer >= self.model.BuffersLength():
            raise FormatError(f"tensor {number} lies in buffer {buffer}, which there is not")
        table = self.model.Buffers(buffer)
        if table.Offset() > 1:
            raise FormatError(f"buffer {buffer} lies behind the flatbuffer, as in files over 2 GB")
        data = _vector(table.DataAsNumpy())
        if not len(data):
            return None
        if dtype == "bfloat16" or not hasattr(np, dtype) or dtype == "string":
            return np.asarray(data)
        item = np.dtype(dtype).newbyteorder("<")
        if len(data) != item.itemsize * int(np.prod(shape, dtype=np.int64)):
            raise FormatError(
                f"tensor {number}, {dtype}{_short(shape)}, has a constant of {len(data)} bytes"
            )
        return np.frombuffer(data.tobytes(), item).reshape(shape)

    def _node(self, number: int, n_tensors: int) -> Node:
        table = self.subgraph.Operators(number)
        if table.OpcodeIndex() >= len(self.kinds):
            raise FormatError(f"operator {number} is of kind {table.OpcodeIndex()} of the file")
        kind = self.kinds[table.OpcodeIndex()]
        inputs = tuple(
            None if operand == _NO_OPERAND else _operands([operand], n_tensors)[0]
            for operand in _vector(table.InputsAsNumpy())
        )
        outputs = _operands(table.OutputsAsNumpy(), n_tensors)
        needed = _NEEDED.get(kind, 0)
        if len(inputs) < needed or None in inputs[:needed]:
            raise FormatError(f"operator {number}, {kind}, lacks one of {needed} inputs")
        return Node(number, kind, inputs, outputs, _options(number, kind, table))


def _kind(code: Any) -> str:
    # Codes above 127 are in a field that older files do not have.
    number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
    if number == tflite.BuiltinOperator.CUSTOM:
        return f"CUSTOM {_text(code.CustomCode())}"
    name: str = tflite.utils.BUILTIN_OPCODE2NAME.get(number, f"OPERATOR_{number}")
    return name


def _vector(found: Any) -> Any:
    """What an accessor gives, which is 0 for a vector that is not there."""
    return () if isinstance(found, int) else found


def _operands(found: Any, n_tensors: int) -> tuple[int, ...]:
    numbers = tuple(map(int, _vector(found)))
    for number in numbers:
        if not 0 <= number < n_tensors:
            raise FormatError(f"tensor {number} is used, but there are {n_tensors}")
    return numbers


def _text(found: bytes | None) -> str:
    text = (found or b"")[:_LONGEST_NAME].decode("utf-8", "replace")
    return "".join(each if each.isprintable() else "?" for each in text)


def _short(shape: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, shape[:MAX_DIMENSIONS]))
    return f"[{shown}{', ...' if len(shape) > MAX_DIMENSIONS else ''}]"


def _quantization(
    number: int, table: Any, dtype: str, shape: tuple[int, ...]
) -> Quantization | None:
    if table is None or dtype not in _INTEGERS:
        return None
    scale = np.array(_vector(table.ScaleAsNumpy()), np.float32)
    if not len(scale):
        return None
    zero_point = np.array(_vector(table.ZeroPointAsNumpy()), np.int64)
    if not len(zero_point):
        zero_point = np.zeros(len(scale), np.int64)
    axis = table.QuantizedDimension()
    if len(zero_point) != len(scale):
        raise FormatError(
            f"tensor {number} has {len(scale)} scales, but {len(zero_point)} zero points"
        )
    if len(scale) > 1 and not (0 <= axis < len(shape) and shape[axis] == len(scale)):
        raise FormatError(f"tensor {number} has {len(scale)} scales for the shape {_short(shape)}")
    if not np.all(np.isfinite(scale) & (scale >= 0)):
        raise FormatError(f"tensor {number} has a scale that is below 0 or no number")
    limits = np.iinfo(dtype)
    if zero_point.min() < limits.min or zero_point.max() > limits.max:
        raise FormatError(f"tensor {number} has a zero point that {dtype} cannot hold")
    return Quantization(scale, zero_point, axis if len(scale) > 1 else 0)


def _activation(number: int) -> str:
    return str(_ACTIVATIONS.get(number, f"ACTIVATION_{number}"))


def _same(number: int) -> bool:
    if number not in (tflite.Padding.SAME, tflite.Padding.VALID):
        raise FormatError(f"an operator's padding is {number}")
    return bool(number == tflite.Padding.SAME)


def _convolution(o: Any) -> Convolution:
    return Convolution(
        _same(o.Padding()),
        (o.StrideH(), o.StrideW()),
        (o.DilationHFactor(), o.DilationWFactor()),
        _activation(o.FusedActivationFunction()),
    )


def _transposed(o: Any) -> Convolution:
    return Convolution(
        _same(o.Padding()),
        (o.StrideH(), o.StrideW()),
        (1, 1),
        _activation(o.FusedActivationFunction()),
    )


def _pool(o: Any) -> Pool:
    return Pool(
        _same(o.Padding()),
        (o.StrideH(), o.StrideW()),
        (o.FilterHeight(), o.FilterWidth()),
        _activation(o.FusedActivationFunction()),
    )


def _dense(o: Any) -> Dense:
    return Dense(
        _activation(o.FusedActivationFunction()), bool(o.KeepNumDims()), o.WeightsFormat() != 0
    )


def _slice(o: Any) -> Slice:
    masks = o.BeginMask(), o.EndMask(), o.EllipsisMask(), o.NewAxisMask(), o.ShrinkAxisMask()
    return Slice(*masks, bool(o.Offset()))


def _elementwise(o: Any) -> Activation:
    return Activation(_activation(o.FusedActivationFunction()))


_READERS: Mapping[str, tuple[str, Callable[[Any], Options], Options]] = {
    "CONV_2D": ("Conv2DOptions", _convolution, Convolution()),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", _convolution, Convolution()),
    "TRANSPOSE_CONV": ("TransposeConvOptions", _transposed, Convolution()),
    "AVERAGE_POOL_2D": ("Pool2DOptions", _pool, Pool()),
    "MAX_POOL_2D": ("Pool2DOptions", _pool, Pool()),
    "FULLY_CONNECTED": ("FullyConnectedOptions", _dense, Dense()),
    "SOFTMAX": ("SoftmaxOptions", lambda o: Softmax(o.Beta()), Softmax()),
    "CONCATENATION": (
        "ConcatenationOptions",
        lambda o: Concatenation(o.Axis(), _activation(o.FusedActivationFunction())),
        Concatenation(),
    ),
    "ADD": ("AddOptions", _elementwise, Activation()),
    "SUB": ("SubOptions", _elementwise, Activation()),
    "MUL": ("MulOptions", _elementwise, Activation()),
    "MEAN": ("ReducerOptions", lambda o: Reduce(bool(o.KeepDims())), Reduce()),
    "REDUCE_MAX": ("ReducerOptions", lambda o: Reduce(bool(o.KeepDims())), Reduce()),
    "LEAKY_RELU": ("LeakyReluOptions", lambda o: Leaky(o.Alpha()), Leaky()),
    "STRIDED_SLICE": ("StridedSliceOptions", _slice, Slice()),
    "PACK": ("PackOptions", lambda o: Pack(o.Axis()), Pack()),
    "UNPACK": ("UnpackOptions", lambda o: Pack(o.Axis()), Pack()),
    "GATHER": ("GatherOptions", lambda o: Gathering(o.Axis(), o.BatchDims()), Gathering()),
    "DEPTH_TO_SPACE": ("DepthToSpaceOptions", lambda o: Block(o.BlockSize()), Block()),
    "SPACE_TO_DEPTH": ("SpaceToDepthOptions", lambda o: Block(o.BlockSize()), Block()),
    "MIRROR_PAD": ("MirrorPadOptions", lambda o: Mirror(o.Mode() == 1), Mirror()),
    "RESIZE_NEAREST_NEIGHBOR": (
        "ResizeNearestNeighborOptions",
        lambda o: Resize(bool(o.AlignCorners()), bool(o.HalfPixelCenters())),
        Resize(),
    ),
}
"""The schema's table, what reads it, and what stands for one that is not there."""


def _options(number: int, kind: str, table: Any) -> Options | None:
    if kind not in _READERS:
        return None
    name, read, default = _READERS[kind]
    union = table.BuiltinOptions()
    if union is None or table.BuiltinOptionsType() == 0:
        return default
    if table.BuiltinOptionsType() != getattr(tflite.BuiltinOptions, name):
        raise FormatError(f"operator {number}, {kind}, has options of another kind")
    options = getattr(tflite, name)()
    options.Init(union.Bytes, union.Pos)
    return read(options)
