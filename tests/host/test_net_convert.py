"""From .tflite files to programs: what is refused, how it is told, ends, decisions, free layers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nets.files import NAMES, mutations, net
from tflm import Operation, Tensor, model_bytes, run_rows
from wingbeat.errors import FormatError, UnsupportedModelError, UsageError, WingbeatError
from wingbeat.net.convert import convert_tflite
from wingbeat.program import Decision, Program

EVERY_BYTE = np.arange(-128, 128, dtype=np.int8)


def int8(*shape: int, scale: float = 0.1, zero_point: int = -3, name: str = "") -> Tensor:
    return Tensor(shape, scales=scale, zero_points=zero_point, name=name)


def chain(*operations: Operation) -> bytes:
    first, last = operations[0].inputs[0], operations[-1].outputs[0]
    assert first is not None
    return model_bytes(operations, [first], [last])


def converted(*operations: Operation, **options: Any) -> Program:
    return convert_tflite(chain(*operations), **options)


def assert_as_tflm(program: Program, model: bytes, rows: np.ndarray[Any, Any]) -> None:
    """Compare with the real interpreter; rows are [rows, *shape with batch]."""
    expected = np.array([outputs[0] for outputs in run_rows(model, rows)])
    found = program.run(rows.reshape(len(rows), *program.input.shape))
    assert np.array_equal(found.reshape(expected.shape), expected)


def shape_of(*values: int) -> Tensor:
    return Tensor((len(values),), "int32", data=values)


def test_reshapes_cost_nothing() -> None:
    x, a, b, c, y = (int8(*s) for s in [(1, 256), (1, 16, 16), (1, 16, 1, 16), (16, 16), (1, 256)])
    operations = [
        Operation("RESHAPE", [x, shape_of(1, 16, 16)], [a]),
        Operation("EXPAND_DIMS", [a, Tensor((), "int32", data=2)], [b]),
        Operation("SQUEEZE", [b], [c], "SqueezeOptions", {"SqueezeDims": [0, 2]}),
        Operation("TANH", [c], [t := int8(16, 16, scale=1 / 128, zero_point=0)]),
        Operation("RESHAPE", [t, shape_of(1, 256)], [y := int8(1, 256, scale=1 / 128)]),
    ]
    del y
    program = converted(*operations)
    assert kernels_of(program) == ["lookup"]
    assert (program.input.shape, program.output.shape) == ((256,), (256,))
    assert_as_tflm(program, chain(*operations), EVERY_BYTE[None, None])


def test_shapes_that_the_net_computes_are_not_computed() -> None:
    """Keras writes Flatten so where the batch is not fixed."""
    x, t = int8(1, 4, 2), int8(1, 4, 2, scale=1 / 128, zero_point=0)
    sizes, first = Tensor((3,), "int32"), Tensor((), "int32")
    two, wanted = Tensor((), "int32", data=8), Tensor((2,), "int32")
    operations = [
        Operation("TANH", [x], [t]),
        Operation("SHAPE", [t], [sizes], "ShapeOptions", {"OutType": 2}),
        Operation(
            "STRIDED_SLICE",
            [sizes, shape_of(0), shape_of(1), shape_of(1)],
            [first],
            "StridedSliceOptions",
            {"ShrinkAxisMask": 1},
        ),
        Operation("PACK", [first, two], [wanted], "PackOptions", {"ValuesCount": 2}),
        Operation("RESHAPE", [t, wanted], [int8(1, 8, scale=1 / 128, zero_point=0)]),
    ]
    program = converted(*operations)
    assert kernels_of(program) == ["lookup"]
    assert_as_tflm(program, chain(*operations), EVERY_BYTE.reshape(32, 1, 4, 2))


def test_requantization_that_changes_nothing_is_left_out() -> None:
    x, a, y = int8(1, 8), int8(1, 8), int8(1, 8, scale=0.2, zero_point=5)
    operations = Operation("QUANTIZE", [x], [a]), Operation("QUANTIZE", [a], [y])
    program = converted(*operations)
    assert len(program.calls) == 1
    assert program.output.scale == pytest.approx(0.2)
    assert program.output.zero_point == 5
    assert_as_tflm(program, chain(*operations), EVERY_BYTE.reshape(32, 1, 8))


def test_tables_in_a_row_are_one() -> None:
    x, a, b, y = (
        int8(1, 256, scale=s, zero_point=z) for s, z in ((0.1, 0), (0.2, 9), (0.3, 1), (0.2, 4))
    )
    operations = [Operation("ABS", [x], [a]), Operation("QUANTIZE", [a], [b])]
    operations.append(Operation("RELU", [b], [y]))
    program = converted(*operations)
    assert kernels_of(program) == ["lookup"]
    assert_as_tflm(program, chain(*operations), EVERY_BYTE[None, None])


def test_a_table_whose_result_is_used_twice_stays() -> None:
    x, a, b, y = int8(1, 256), int8(1, 256), int8(1, 256, scale=0.2), int8(1, 256, scale=0.4)
    operations = [
        Operation("ABS", [x], [a]),
        Operation("QUANTIZE", [a], [b]),
        Operation("ADD", [a, b], [y], "AddOptions"),
    ]
    program = converted(*operations)
    assert sorted(kernels_of(program)) == ["add", "lookup", "lookup"]
    assert_as_tflm(program, chain(*operations), EVERY_BYTE[None, None])


def test_moves_in_a_row_are_one() -> None:
    x, a, y = int8(1, 4, 6, 3), int8(1, 6, 4, 3), int8(1, 6, 2, 3)
    operations = [
        Operation("TRANSPOSE", [x, shape_of(0, 2, 1, 3)], [a], "TransposeOptions"),
        Operation(
            "STRIDED_SLICE",
            [a, shape_of(0, 0, 1, 0), shape_of(1, 6, 4, 3), shape_of(1, 1, 2, 1)],
            [y],
            "StridedSliceOptions",
        ),
    ]
    program = converted(*operations)
    assert kernels_of(program) == ["gather"]
    assert_as_tflm(program, chain(*operations), rows_for(x))


def test_repeats_as_keras_writes_upsampling() -> None:
    """TFLM has no TILE: NumPy's repeat says what is right."""
    shapes = [(1, 4, 3, 2), (1, 4, 1, 3, 2), (1, 4, 2, 3, 2), (1, 8, 3, 2)]
    shapes += [(1, 8, 3, 1, 2), (1, 8, 3, 2, 2), (1, 8, 6, 2)]
    t = [int8(*shape) for shape in shapes]
    program = converted(
        Operation("RESHAPE", [t[0], shape_of(*shapes[1])], [t[1]]),
        Operation("TILE", [t[1], shape_of(1, 1, 2, 1, 1)], [t[2]], "TileOptions"),
        Operation("RESHAPE", [t[2], shape_of(*shapes[3])], [t[3]]),
        Operation("RESHAPE", [t[3], shape_of(*shapes[4])], [t[4]]),
        Operation("TILE", [t[4], shape_of(1, 1, 1, 2, 1)], [t[5]], "TileOptions"),
        Operation("RESHAPE", [t[5], shape_of(*shapes[6])], [t[6]]),
    )
    assert kernels_of(program) == ["gather"]
    rows = rows_for(t[0]).reshape(-1, 4, 3, 2)
    assert np.array_equal(program.run(rows), rows.repeat(2, 1).repeat(2, 2))
    whole = converted(
        Operation("TILE", [t[0], shape_of(1, 2, 1, 3)], [int8(1, 8, 3, 6)], "TileOptions")
    )
    assert np.array_equal(whole.run(rows), np.tile(rows, (1, 2, 1, 3)))


def test_bytes_that_count_from_zero_are_taken() -> None:
    x = Tensor((1, 256), "uint8", scales=0.1, zero_points=7)
    quantize = Operation("QUANTIZE", [x], [int8(1, 256, scale=0.15, zero_point=-100)])
    program = converted(quantize)
    assert program.input.typecode == "B"
    assert_as_tflm(program, chain(quantize), EVERY_BYTE.view(np.uint8)[None, None])


def convolution(
    x: Tensor, y: Tensor, kernel: tuple[int, int], same: bool = False, groups: int = 1
) -> Operation:
    rng = np.random.default_rng(1)
    channels = y.shape[3]
    shape = (channels, *kernel, x.shape[3] // groups)
    weights = Tensor(shape, scales=[0.01] * channels, data=rng.integers(-99, 99, shape))
    bias = Tensor((channels,), "int32", data=rng.integers(-999, 999, channels))
    options = {"Padding": 0 if same else 1, "StrideH": 1, "StrideW": 1}
    return Operation("CONV_2D", [x, weights, bias], [y], "Conv2DOptions", options, 3)


def rows_for(x: Tensor, count: int = 8) -> np.ndarray[Any, Any]:
    return np.random.default_rng(2).integers(-128, 128, (count, *x.shape)).astype(np.int8)


def kernels_of(program: Program) -> list[str]:
    return [call.operator.KERNEL for call in program.calls]


@pytest.mark.parametrize("value", [None, -3, 0])
def test_padding_with_the_zero_point_is_the_convolutions(value: int | None) -> None:
    x, padded = int8(1, 5, 4, 3), int8(1, 8, 5, 3)
    amounts = [(0, 0), (1, 2), (0, 1), (0, 0)]
    inputs = [x, Tensor((4, 2), "int32", data=amounts)]
    if value is not None:
        inputs.append(Tensor((1,), scales=0.1, zero_points=-3, data=[value]))
    kind = "PAD" if value is None else "PADV2"
    pad = Operation(kind, inputs, [padded], f"{kind.capitalize()}Options".replace("v2", "V2"))
    conv = convolution(padded, int8(1, 6, 4, 5), (3, 2))
    program = converted(pad, conv)
    assert kernels_of(program) == (["pad", "conv"] if value == 0 else ["conv"])
    assert_as_tflm(program, chain(pad, conv), rows_for(x))


@pytest.mark.parametrize("kind", ["RELU", "RELU6"])
def test_an_activation_behind_a_layer_is_the_layers(kind: str) -> None:
    x, y = int8(1, 4, 4, 2), int8(1, 3, 3, 2, scale=0.3)
    conv = convolution(x, y, (2, 2))
    alike = [conv, Operation(kind, [y], [int8(1, 3, 3, 2, scale=0.3)])]
    assert kernels_of(converted(*alike)) == ["conv"]
    assert_as_tflm(converted(*alike), chain(*alike), rows_for(x))
    rescaled = [conv, Operation("RELU", [y], [int8(1, 3, 3, 2, scale=0.2)])]
    assert kernels_of(converted(*rescaled)) == ["conv", "lookup"]
    assert_as_tflm(converted(*rescaled), chain(*rescaled), rows_for(x))


@pytest.mark.parametrize("kind", ["ADD", "SUB", "MUL"])
def test_sums_with_constants_on_either_side(kind: str) -> None:
    x, scale = int8(1, 3, 2, 4), Tensor((4,), scales=0.1, data=[3, -90, 0, 127])
    for inputs in ([x, scale], [scale, x], [x, Tensor((), scales=0.2, data=-7)]):
        operation = Operation(kind, inputs, [int8(1, 3, 2, 4, scale=0.4)], f"{kind.title()}Options")
        model = model_bytes([operation], [x], operation.outputs)
        assert_as_tflm(convert_tflite(model), model, rows_for(x))


def test_sums_of_shapes_that_do_not_fit_are_damage() -> None:
    x, constant = int8(1, 3), Tensor((2,), scales=0.1, data=[1, 2])
    with pytest.raises(FormatError, match="do not fit"):
        converted(Operation("ADD", [x, constant], [int8(1, 3)], "AddOptions"))


@pytest.mark.parametrize("groups", [2, 4])
def test_groups_of_channels(groups: int) -> None:
    x = int8(1, 5, 4, 4)
    conv = convolution(x, int8(1, 5, 4, 8, scale=0.9), (3, 2), same=True, groups=groups)
    assert_as_tflm(converted(conv), chain(conv), rows_for(x))


def depthwise(bias: list[Tensor | None]) -> Operation:
    x, y = int8(1, 4, 4, 3), int8(1, 4, 4, 3, scale=0.9)
    data = np.random.default_rng(1).integers(-99, 99, (1, 3, 3, 3))
    weights = Tensor((1, 3, 3, 3), scales=[0.01] * 3, axis=3, data=data)
    options = {"Padding": 0, "StrideH": 1, "StrideW": 1, "DepthMultiplier": 1}
    kind = "DepthwiseConv2DOptions"
    return Operation("DEPTHWISE_CONV_2D", [x, weights, *bias], [y], kind, options, 3)


def test_depthwise_without_bias_where_tflm_crashes(tmp_path: Path) -> None:
    """TFLM reads what is not there if a bias that is left out has a place among the inputs."""
    path = tmp_path / "net.tflite"
    path.write_bytes(chain(depthwise([None])))
    script = (
        "import sys, numpy, tflm; tflm.run(open(sys.argv[1], 'rb').read(),"
        " numpy.zeros((1, 4, 4, 3), numpy.int8))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", script, path], env=environment, check=False)
    assert done.returncode == -signal.SIGSEGV
    zeros = Tensor((3,), "int32", data=[0, 0, 0])
    rows = rows_for(int8(1, 4, 4, 3))
    biases: list[list[Tensor | None]] = [[None], [], [zeros]]
    for bias in biases:
        program = converted(depthwise(bias))
        assert_as_tflm(program, chain(depthwise([zeros])), rows)


POOLED = {"StrideH": 1, "StrideW": 1, "FilterHeight": 1, "FilterWidth": 1, "Padding": 1}


MOVES: dict[str, tuple[list[Tensor], str, dict[str, int] | None]] = {
    "REVERSE_V2": ([shape_of(0)], "ReverseV2Options", None),
    "TRANSPOSE": ([shape_of(0, 1, 2, 3)], "TransposeOptions", None),
    "GATHER": ([shape_of(0)], "GatherOptions", {"Axis": 0}),
}
JOINS: dict[str, tuple[list[Tensor], str, dict[str, int] | None]] = {
    "MAX_POOL_2D": ([], "Pool2DOptions", POOLED),
    "AVERAGE_POOL_2D": ([], "Pool2DOptions", POOLED),
    "CONCATENATION": ([], "ConcatenationOptions", {"Axis": 1}),
}


@pytest.mark.parametrize("kind", [*MOVES, *JOINS])
def test_other_scales_where_nothing_is_rescaled_are_refused(kind: str) -> None:
    """TFLM moves stored numbers, whatever they mean in the output; pools it refuses too."""
    x, y = int8(1, 4, 4, 16), int8(1, 4, 4, 16, scale=0.2)
    others, *options = {**MOVES, **JOINS}[kind]
    operation = Operation(kind, [x, *others], [y], *options)  # type: ignore[arg-type]
    rows = rows_for(x)
    if kind in MOVES:
        found = np.array([outputs[0] for outputs in run_rows(chain(operation), rows)])
        assert np.array_equal(found, rows)
    else:
        with pytest.raises(RuntimeError, match="failed to allocate"):
            run_rows(chain(operation), rows)
    with pytest.raises(UnsupportedModelError, match="another scale or zero point than its input"):
        converted(operation)


def test_a_batch_in_a_convolution_is_refused() -> None:
    conv = convolution(int8(2, 4, 4, 2), int8(2, 3, 3, 2), (2, 2))
    with pytest.raises(UnsupportedModelError, match="fix the batch with Input"):
        converted(conv)


def test_strides_of_0_are_damage() -> None:
    conv = convolution(int8(1, 4, 4, 2), int8(1, 3, 3, 2), (2, 2))
    with pytest.raises(FormatError, match=r"strides \(0, 0\)"):
        converted(replace(conv, options={"Padding": 1}))


def test_layers_are_named_in_the_order_of_the_program() -> None:
    """The order that needs the least memory need not be the file's."""
    meta = convert_tflite(net("hello_world"), meta={"board": "mine"}).meta
    assert meta["board"] == "mine"
    assert [name.partition(" (")[0] for name in meta["layers"]] == ["FULLY_CONNECTED"] * 3
    assert meta["layers"][0] == "FULLY_CONNECTED (sequential/dense/MatMul)"


def test_a_net_that_computes_nothing_copies() -> None:
    reshape = Operation("RESHAPE", [int8(1, 256), shape_of(1, 16, 16)], [int8(1, 16, 16)])
    program = converted(reshape)
    assert program.output.shape == (16, 16)
    assert_as_tflm(program, chain(reshape), EVERY_BYTE[None, None])


def test_all_that_is_not_supported_is_named_at_once() -> None:
    x, a, b, c, y = (int8(1, 4, name=n) for n in ("x", "a;more", "b", "c", "y"))
    operations = [
        Operation("GELU", [x], [a], "GeluOptions"),
        Operation("LOGISTIC", [a], [b]),
        Operation("RESIZE_BILINEAR", [b, shape_of(2, 2)], [c], "ResizeBilinearOptions"),
        Operation("LOG_SOFTMAX", [c], [y]),
    ]
    with pytest.raises(UnsupportedModelError) as caught:
        converted(*operations)
    lines = str(caught.value).splitlines()
    assert lines[0] == "4 operators of the net cannot be converted:"
    assert lines[1].startswith("  operator 0, GELU (a): not supported; use relu")
    assert lines[2].startswith("  operator 1, LOGISTIC (b): LOGISTIC: expected output zero point")
    assert lines[3].startswith("  operator 2, RESIZE_BILINEAR (c): not supported; use UpSampl")
    assert lines[4].startswith("  operator 3, LOG_SOFTMAX (y): not supported; use softmax")
    assert len(lines) == 5


def _dense(dtype: str, weights: str) -> Operation:
    x, y = Tensor((1, 2), dtype, scales=0.1), Tensor((1, 2), dtype, scales=0.1)
    w = Tensor((2, 2), weights, scales=0.1, data=np.eye(2))
    return Operation("FULLY_CONNECTED", [x, w, None], [y], "FullyConnectedOptions", {})


@pytest.mark.parametrize(
    ("activations", "weights", "message"),
    [
        ("float32", "float32", "The net computes in float32"),
        ("float32", "int8", r"weights of int8, but computes in float32 \(hybrid"),
        ("int16", "int8", "activations of int16"),
        ("uint8", "uint8", "quantized to uint8, as TensorFlow 1 did"),
    ],
)
def test_other_numbers_than_int8_are_told_how_to_quantize(
    activations: str, weights: str, message: str
) -> None:
    operation = _dense(activations, weights)
    with pytest.raises(UnsupportedModelError, match=message) as caught:
        converted(operation)
    assert "converter.representative_dataset = " in str(caught.value)


def test_a_float_net_is_also_told_of_its_recurrent_layers() -> None:
    x, y = Tensor((1, 2), "float32"), Tensor((1, 2), "float32", name="lstm")
    with pytest.raises(UnsupportedModelError, match="computes in float32") as caught:
        converted(Operation("UNIDIRECTIONAL_SEQUENCE_LSTM", [x], [y]))
    assert "operator 0, UNIDIRECTIONAL_SEQUENCE_LSTM (lstm): recurrent layers" in str(caught.value)


def test_several_inputs_and_outputs_are_refused() -> None:
    x, y, a, b = int8(1, 2, name="x"), int8(1, 2, name="y"), int8(1, 2), int8(1, 2)
    operations = [Operation("ABS", [x], [a]), Operation("ABS", [y], [b])]
    with pytest.raises(UnsupportedModelError, match=r"2 inputs \(x, y\): .* and 2 outputs"):
        convert_tflite(model_bytes(operations, [x, y], [a, b]))


def test_an_open_batch_is_told_to_be_fixed() -> None:
    x, y = int8(1, 2), int8(4, 2)
    operation = Operation("SPACE_TO_BATCH_ND", [x], [y], "SpaceToBatchNDOptions")
    with pytest.raises(UnsupportedModelError, match="for batches of any size") as caught:
        converted(operation)
    assert "batch_size=1" in str(caught.value)
    assert "cannot be converted" not in str(caught.value)


def test_shapes_that_contradict_each_other_are_damage() -> None:
    with pytest.raises(FormatError, match=r"operator 0, ABS .*has 3 elements, expected 2"):
        converted(Operation("ABS", [int8(1, 2)], [int8(1, 3)]))


def test_operators_without_their_inputs_are_damage() -> None:
    operation = Operation("RELU", [None], [int8(1, 2)])
    with pytest.raises(FormatError, match="operator 0, RELU, lacks one of 1 inputs"):
        convert_tflite(model_bytes([operation], [int8(1, 2)], operation.outputs))


def _ends_in(kind: str, n: int) -> Operation:
    scale, zero_point = {"LOGISTIC": (1 / 256, -128)}.get(kind, (0.1, -3))
    return Operation(kind, [int8(1, n)], [int8(1, n, scale=scale, zero_point=zero_point)])


def test_decisions() -> None:
    one, vector = _ends_in("LOGISTIC", 1), _ends_in("LOGISTIC", 3)
    assert converted(one).decision is Decision.VALUE
    assert converted(one, labels=["no", "yes"]).decision is Decision.POSITIVE
    assert converted(vector).decision is Decision.NONE
    assert converted(vector, labels=list("abc")).decision is Decision.ARGMAX
    with pytest.raises(UsageError, match="2 labels, but the net has 3 outputs"):
        converted(vector, labels=list("ab"))


def _kinds(program: Program) -> tuple[str, str]:
    return program.input.typecode, program.output.typecode


def test_ends_in_float() -> None:
    """As the net would be with QUANTIZE and DEQUANTIZE of its own around it."""
    x, a, b, y = Tensor((1, 64), "float32"), int8(1, 64), int8(1, 64), Tensor((1, 64), "float32")
    first, last = Operation("QUANTIZE", [x], [a]), Operation("DEQUANTIZE", [b], [y], version=2)
    inner = Operation("ABS", [a], [b])
    whole, rows = chain(first, inner, last), np.random.default_rng(1).normal(0, 9, (4, 1, 64))
    rows = rows.astype(np.float32)
    for program in (converted(first, inner, last), converted(inner, io="float")):
        assert _kinds(program) == ("f", "f")
        assert_as_tflm(program, whole, rows)
    for program in (converted(inner), converted(first, inner, last, io="int8")):
        assert _kinds(program) == ("b", "b")
        assert kernels_of(program) == ["lookup"]
    assert _kinds(converted(first, inner)) == ("f", "b")
    assert converted(first, inner, io="float").encode() == converted(inner, io="float").encode()


def test_float_outputs_decide_by_their_int8() -> None:
    softmax = Operation(
        "SOFTMAX",
        [x := int8(1, 5)],
        [int8(1, 5, scale=1 / 256, zero_point=-128)],
        "SoftmaxOptions",
        {"Beta": 1.0},
    )
    program = converted(softmax, io="float")
    rows = np.random.default_rng(1).normal(0, 9, (50, 5)).astype(np.float32)
    assert program.decision is Decision.ARGMAX
    assert program.tensors[program.decision_tensor].typecode == "b"
    assert np.array_equal(program.predict(rows), program.run(rows).argmax(axis=1))
    assert x.shape == (1, 5)


def test_sensors_of_16_bits() -> None:
    x, y = Tensor((1, 100), "int16", scales=0.001), int8(1, 100, scale=0.2)
    quantize = Operation("QUANTIZE", [x], [y])
    rows = np.random.default_rng(1).integers(-(2**15), 2**15, (9, 1, 100)).astype(np.int16)
    assert_as_tflm(converted(quantize), chain(quantize), rows)


def test_arguments_are_checked() -> None:
    with pytest.raises(UsageError, match="io='int16': choose one of int8, float"):
        converted(_ends_in("ABS", 2), io="int16")
    with pytest.raises(UsageError, match="cannot be imported as a module"):
        converted(_ends_in("ABS", 2), name="my-net")


def test_files_are_named_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(b"    TFL3")
    with pytest.raises(FormatError, match=r"net\.tflite: the \.tflite file is damaged"):
        convert_tflite(path)
    path.write_bytes(chain(_ends_in("ABS", 2)))
    assert convert_tflite(path).name == "net"
    assert convert_tflite(path).meta == {"source": "net.tflite", "layers": ["ABS (tensor_2)"]}


@pytest.mark.parametrize("name", NAMES)
def test_mutations_are_converted_or_refused(name: str) -> None:
    for data in mutations(net(name), 2, 100):
        with contextlib.suppress(WingbeatError):
            convert_tflite(data)


def test_raw_readings() -> None:
    inner = Operation("TANH", [int8(1, 6, scale=0.1)], [int8(1, 6, scale=1 / 128, zero_point=0)])
    program = converted(inner, raw_step=0.002)
    assert program.input.typecode == "h"
    assert program.input.scale == pytest.approx(0.002)
    assert [call.operator.KERNEL for call in program.calls] == ["rescale", "lookup"]
    raw = np.array([[0, 24, 26, -5000, 32767, -32768]], "<i2")
    inside = converted(inner)
    stored = inside.input.quantize(raw * 0.002)
    assert np.array_equal(program.run(raw), inside.run(stored))
    with pytest.raises(UsageError, match="less than half of a step of the net's input, which is"):
        converted(inner, raw_step=0.09)
    with pytest.raises(UsageError, match="this one takes float32"):
        converted(inner, io="float", raw_step=0.002)
