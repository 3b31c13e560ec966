"""Small .tflite models for tests, and the real TensorFlow Lite Micro interpreter to run them.

A model is a list of `Operation` over `Tensor` objects, which refer to each other as Python objects
do; `model_bytes` makes the flatbuffer, and `run` is what TFLM answers::

    x = Tensor((1, 5, 5, 2), scales=0.1, zero_points=-3)
    y = Tensor((1, 3, 3, 2), scales=0.2, zero_points=4)
    pool = Operation(
        "MAX_POOL_2D", [x], [y], "Pool2DOptions",
        {"Padding": tflite.Padding.VALID, "StrideW": 1, "StrideH": 1, "FilterWidth": 3,
         "FilterHeight": 3, "FusedActivationFunction": tflite.ActivationFunctionType.NONE},
    )
    (found,) = run(model_bytes([pool], [x], [y]), values)       # values: int8 [1, 5, 5, 2]

A constant is a tensor with `data`; quantization per channel has as many scales as the dimension
`axis` has elements. An operand that is left out is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
import tflite
from numpy.typing import ArrayLike, NDArray
from tflite_micro import runtime

_SCHEMA_VERSION = 3
_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16
_LARGEST_OLD_CODE = 127
_ARENA = 4 << 20
_TYPES = {
    "float32": tflite.TensorType.FLOAT32,
    "int8": tflite.TensorType.INT8,
    "uint8": tflite.TensorType.UINT8,
    "int16": tflite.TensorType.INT16,
    "int32": tflite.TensorType.INT32,
    "int64": tflite.TensorType.INT64,
    "bool": tflite.TensorType.BOOL,
}


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of a model. Two tensors are the same only if they are one object.

    Parameters
    ----------
    shape : sequence of int
    dtype : str
        float32, int8, uint8, int16, int32, int64 or bool.
    scales : float or sequence of float
        One for the whole tensor, one for each channel, or none: not quantized.
    zero_points : int or sequence of int
        As many as scales; a single one stands for all.
    axis : int
        The dimension of the channels, where there are several scales.
    data : array, optional
        Values of a constant, of this shape. They are converted to `dtype`.
    name : str
    """

    shape: Sequence[int]
    dtype: str = "int8"
    scales: float | Sequence[float] | NDArray[np.floating[Any]] = ()
    zero_points: int | Sequence[int] = 0
    axis: int = 0
    data: ArrayLike | None = None
    name: str = ""


@dataclass(frozen=True, eq=False)
class Operation:
    """An operator call of a model.

    Parameters
    ----------
    operator : str
        A name of tflite.BuiltinOperator, as CONV_2D.
    inputs : sequence of Tensor or None
    outputs : sequence of Tensor
    kind : str
        The schema's table of options, as Conv2DOptions; "" if the operator has none.
    options : mapping of str to number or sequence of int
        Fields of that table, named as the schema's accessors are (StrideW). Those left out have
        the schema's default.
    version : int
        Of the operator.
    """

    operator: str
    inputs: Sequence[Tensor | None]
    outputs: Sequence[Tensor]
    kind: str = ""
    options: Mapping[str, int | float | bool | Sequence[int]] | None = None
    version: int = 1


def model_bytes(
    operations: Sequence[Operation], inputs: Sequence[Tensor], outputs: Sequence[Tensor]
) -> bytes:
    """The .tflite file of a model.

    Parameters
    ----------
    operations : sequence of Operation
        In the order in which they run.
    inputs, outputs : sequence of Tensor
        Of the whole model.
    """
    builder = flatbuffers.Builder(1024)
    tensors: dict[Tensor, int] = {}
    for each in operations:
        for tensor in (*each.inputs, *each.outputs):
            if tensor is not None:
                tensors.setdefault(tensor, len(tensors))
    for tensor in (*inputs, *outputs):
        tensors.setdefault(tensor, len(tensors))
    codes = list(dict.fromkeys((each.operator, each.version) for each in operations))
    buffers = [_buffer(builder, None), *(_buffer(builder, each) for each in tensors)]
    tables = [_tensor(builder, each, number + 1) for each, number in tensors.items()]
    calls = [_operation(builder, each, tensors, codes) for each in operations]
    graph = _table(
        builder,
        "SubGraph",
        Tensors=_offsets(builder, tables),
        Inputs=_numbers(builder, [tensors[each] for each in inputs]),
        Outputs=_numbers(builder, [tensors[each] for each in outputs]),
        Operators=_offsets(builder, calls),
    )
    model = _table(
        builder,
        "Model",
        Version=_SCHEMA_VERSION,
        OperatorCodes=_offsets(builder, [_code(builder, *code) for code in codes]),
        Subgraphs=_offsets(builder, [graph]),
        Buffers=_offsets(builder, buffers),
    )
    builder.Finish(model, _IDENTIFIER)
    return bytes(builder.Output())


def run(model: bytes, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
    """What the real interpreter gives.

    Parameters
    ----------
    model : bytes
        A .tflite file.
    *inputs : array
        One for each input of the model, of its shape and dtype.

    Returns
    -------
    list of array
        The outputs, in the order of the model.

    Raises
    ------
    RuntimeError
        TFLM refuses the model; the reason is on the standard error stream.
    """
    return run_rows(model, *(each[np.newaxis] for each in inputs))[0]


def run_rows(model: bytes, *inputs: NDArray[Any]) -> list[list[NDArray[Any]]]:
    """The same for many inferences of one model: arrays [rows, *shape], a list for each row."""
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=_ARENA)
    n_outputs = tflite.Model.GetRootAs(model).Subgraphs(0).OutputsLength()
    answers = []
    for row in zip(*inputs, strict=True):
        for number, value in enumerate(row):
            interpreter.set_input(np.ascontiguousarray(value), number)
        interpreter.invoke()
        answers.append([interpreter.get_output(number) for number in range(n_outputs)])
    return answers


def _buffer(builder: flatbuffers.Builder, tensor: Tensor | None) -> int:
    if tensor is None or tensor.data is None:
        return _table(builder, "Buffer")
    data = np.asarray(tensor.data, dtype=tensor.dtype, order="C")
    assert data.shape == tuple(tensor.shape), f"constant of {data.shape}, not {tensor.shape}"
    values = data.tobytes()
    builder.StartVector(1, len(values), _ALIGNMENT)
    builder.head -= len(values)
    builder.Bytes[builder.head : builder.head + len(values)] = values
    return _table(builder, "Buffer", Data=builder.EndVector())


def _tensor(builder: flatbuffers.Builder, tensor: Tensor, buffer: int) -> int:
    name = builder.CreateString(tensor.name or f"tensor_{buffer}")
    scales = np.atleast_1d(np.asarray(tensor.scales, np.float32))
    fields: dict[str, int] = {}
    if scales.size:
        zero_points = np.broadcast_to(np.asarray(tensor.zero_points, np.int64), scales.shape)
        fields["Quantization"] = _table(
            builder,
            "QuantizationParameters",
            Scale=builder.CreateNumpyVector(scales),
            ZeroPoint=builder.CreateNumpyVector(np.ascontiguousarray(zero_points)),
            QuantizedDimension=tensor.axis,
        )
    fields["Shape"] = _numbers(builder, tensor.shape)
    return _table(builder, "Tensor", Type=_TYPES[tensor.dtype], Buffer=buffer, Name=name, **fields)


def _operation(
    builder: flatbuffers.Builder,
    operation: Operation,
    tensors: Mapping[Tensor, int],
    codes: list[tuple[str, int]],
) -> int:
    fields: dict[str, Any] = {}
    if operation.kind:
        options = {
            name: value if isinstance(value, (int, float)) else _numbers(builder, value)
            for name, value in (operation.options or {}).items()
        }
        fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, operation.kind)
        fields["BuiltinOptions"] = _table(builder, operation.kind, **options)
    inputs = [-1 if each is None else tensors[each] for each in operation.inputs]
    return _table(
        builder,
        "Operator",
        OpcodeIndex=codes.index((operation.operator, operation.version)),
        Inputs=_numbers(builder, inputs),
        Outputs=_numbers(builder, [tensors[each] for each in operation.outputs]),
        **fields,
    )


def _code(builder: flatbuffers.Builder, operator: str, version: int) -> int:
    code = getattr(tflite.BuiltinOperator, operator)
    return _table(
        builder,
        "OperatorCode",
        DeprecatedBuiltinCode=min(code, _LARGEST_OLD_CODE),
        BuiltinCode=code,
        Version=version,
    )


def _table(builder: flatbuffers.Builder, kind: str, **fields: Any) -> int:
    getattr(tflite, f"{kind}Start")(builder)
    for name, value in fields.items():
        getattr(tflite, f"{kind}Add{name}")(builder, value)
    return int(getattr(tflite, f"{kind}End")(builder))


def _numbers(builder: flatbuffers.Builder, values: Sequence[int]) -> int:
    return int(builder.CreateNumpyVector(np.array(values, np.int32)))


def _offsets(builder: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
