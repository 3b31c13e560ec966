"""The reader of .tflite files: what it reads, and that damage is a FormatError and nothing else."""

from __future__ import annotations

import struct
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import tflite

from nets.files import NAMES, mutations, net
from tflm import Operation, Tensor, model_bytes
from wingbeat.errors import FormatError
from wingbeat.net.model import Convolution, Dense, Pool, Softmax
from wingbeat.net.tflite import MAX_ELEMENTS, MAX_OPERATORS, read_tflite

MUTATIONS = 100
"""Of each net."""

KINDS = {
    "hello_world": ["FULLY_CONNECTED"] * 3,
    "mnist": ["CONV_2D"] * 3 + ["MEAN", "FULLY_CONNECTED", "SOFTMAX"],
    "micro_speech": ["RESHAPE", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "SOFTMAX"],
    "kws": ["CONV_2D"]
    + ["DEPTHWISE_CONV_2D", "CONV_2D"] * 4
    + ["AVERAGE_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"],
    "ad": ["FULLY_CONNECTED"] * 10,
}


@pytest.mark.parametrize("name", NAMES)
def test_reads_operators_in_order(name: str) -> None:
    assert [node.kind for node in read_tflite(net(name)).nodes] == KINDS[name]


def test_reads_tensors_options_and_constants() -> None:
    graph = read_tflite(net("kws"))
    first, pool = graph.nodes[0], graph.nodes[9]
    assert first.options == Convolution(True, (2, 2), (1, 1), "RELU")
    assert pool.options == Pool(False, (25, 5), (25, 5), "NONE")
    assert graph.nodes[11].options == Dense("NONE", False, False)
    assert graph.nodes[12].options == Softmax(1.0)
    (source,) = graph.inputs
    x, weights, bias = (graph.tensors[i] for i in first.inputs if i is not None)
    assert first.inputs[0] == source
    assert (x.shape, x.dtype, x.data) == ((1, 49, 10, 1), "int8", None)
    assert x.scale == pytest.approx(0.58470291)
    assert x.zero_point == 83
    assert weights.data is not None
    assert weights.data.shape == weights.shape == (64, 10, 4, 1)
    assert weights.data.dtype == np.int8
    assert weights.quantization is not None
    assert weights.quantization.scale.shape == (64,)
    assert bias.data is not None
    assert bias.data.dtype == np.int32
    assert graph.describe(first) == "operator 0, CONV_2D (functional_1/activation/Relu)"


def _pool(**changes: Any) -> Operation:
    x = Tensor((1, 4, 4, 2), scales=0.1, zero_points=-3, name="x")
    y = Tensor((1, 2, 2, 2), scales=0.1, zero_points=-3, name="y")
    options = {"StrideW": 2, "StrideH": 2, "FilterWidth": 2, "FilterHeight": 2, "Padding": 1}
    return replace(Operation("MAX_POOL_2D", [x], [y], "Pool2DOptions", options, 2), **changes)


def _model(*operations: Operation) -> bytes:
    return model_bytes(operations, [operations[0].inputs[0]], [operations[-1].outputs[0]])  # type: ignore[list-item]


def test_names_cannot_write_on_the_terminal() -> None:
    x = Tensor((1, 2), name="a\x1b[31mb\nc" + "d" * 500)
    pool = _pool(inputs=[x])
    name = read_tflite(_model(pool)).tensors[0].name
    assert name.startswith("a?[31mb?cdd")
    assert len(name) < 100


X, Y = Tensor((1, 4, 4, 2)), Tensor((1, 2, 2, 2))
WRONG = {
    "reads tensor 2, which nothing has written": [_pool(inputs=[X]), _pool(inputs=[Tensor((1,))])],
    "writes a tensor that is written already": [
        _pool(inputs=[X], outputs=[Y]),
        _pool(inputs=[X], outputs=[Y]),
    ],
    "has no output": [_pool(outputs=[]), _pool()],
    "has options of another kind": [_pool(kind="AddOptions", options={})],
    "padding is 7": [_pool(options={"Padding": 7})],
    "shape": [_pool(inputs=[Tensor((1, -4))])],
    "at most are": [_pool(inputs=[Tensor((1, MAX_ELEMENTS + 1))])],
    "shape ": [_pool(inputs=[Tensor((1,) * 9)])],
    "scales for the shape": [_pool(inputs=[Tensor((1, 2), scales=(1, 1, 1))])],
    "scale that is below 0": [_pool(inputs=[Tensor((1, 2), scales=float("nan"))])],
    "scale that is below": [_pool(inputs=[Tensor((1, 2), scales=-1.0)])],
    "zero point that int8 cannot hold": [_pool(inputs=[Tensor((1,), scales=1, zero_points=128)])],
}


@pytest.mark.parametrize("message", WRONG)
def test_refuses(message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_tflite(_model(*WRONG[message]))


def test_refuses_too_many_operators() -> None:
    tensors = [Tensor((1, 1)) for _ in range(MAX_OPERATORS + 2)]
    operations = [Operation("ABS", [a], [b]) for a, b in pairwise(tensors)]
    assert len(read_tflite(_model(*operations[:-1])).nodes) == MAX_OPERATORS
    with pytest.raises(FormatError, match="4097 operators, at most are 4096"):
        read_tflite(_model(*operations))


def test_refuses_weights_that_are_read_again_and_again() -> None:
    weights = Tensor((4, 5000), scales=0.1, data=np.zeros((4, 5000)))
    x, tensors = Tensor((1, 5000)), [Tensor((1, 4)) for _ in range(30)]
    operations = [Operation("FULLY_CONNECTED", [x, weights], [y]) for y in tensors]
    assert len(read_tflite(_model(*operations[:10])).nodes) == 10
    with pytest.raises(FormatError, match="its operators read 600000 bytes of constants"):
        read_tflite(_model(*operations))


def test_refuses_other_files() -> None:
    for data in (b"", b"TFL3", b"PK\x03\x04" + bytes(60), bytes(8)):
        with pytest.raises(FormatError, match=r"not a \.tflite file"):
            read_tflite(data)
    with pytest.raises(FormatError, match="damaged or cut short"):
        read_tflite(bytes(4) + b"TFL3")


def test_refuses_every_shorter_file() -> None:
    data = net("hello_world")
    for size in range(8, len(data)):
        with pytest.raises(FormatError):
            read_tflite(data[:size])


def test_a_knot_of_offsets_takes_no_time() -> None:
    """20,000 graphs are one, whose 20,000 tensors are one: 400 million tables to read."""
    many = 20_000
    data = bytearray(struct.pack("<I4s", 0, b"TFL3"))

    def put_table(layout: bytes, *fields: int) -> int:
        data.extend(layout)
        data.extend(struct.pack(f"<i{len(fields)}I", len(layout), *fields))
        return len(data) - 4 - 4 * len(fields)

    def put_vector(from_field: int) -> int:
        at = len(data)
        struct.pack_into("<I", data, from_field, at - from_field)
        data.extend(struct.pack(f"<I{many}I", many, *[0] * many))
        return at

    def fill(vector: int, table: int) -> None:
        for at in range(vector + 4, vector + 4 + 4 * many, 4):
            struct.pack_into("<I", data, at, table - at)

    model = put_table(struct.pack("<6H", 12, 12, 4, 0, 8, 0), 3, 0)
    struct.pack_into("<I", data, 0, model)
    graphs = put_vector(model + 8)
    graph = put_table(struct.pack("<4H", 8, 8, 4, 0), 0)
    fill(graphs, graph)
    tensors = put_vector(graph + 4)
    fill(tensors, put_table(struct.pack("<2H", 4, 4)))
    assert tflite.Model.GetRootAs(bytes(data)).Subgraphs(many - 1).TensorsLength() == many
    with pytest.raises(FormatError, match="its parts overlap"):
        read_tflite(bytes(data))


@pytest.mark.parametrize("name", NAMES)
def test_mutations_are_read_or_refused(name: str) -> None:
    refused = 0
    for data in mutations(net(name), 1, MUTATIONS):
        try:
            read_tflite(data)
        except FormatError:
            refused += 1
    assert MUTATIONS // 4 < refused < MUTATIONS
