"""Pad, concat, gather and argmax against the real TFLM interpreter."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tflm
from tflm import Operation, Tensor
from wingbeat.errors import FormatError, UsageError
from wingbeat.reference import Operator
from wingbeat.reference.argmax import Argmax, argmax
from wingbeat.reference.concat import Concat, concat
from wingbeat.reference.gather import (
    Gather,
    gather,
    resize_nearest,
    slices_of,
    split,
    strided_slice,
    transpose,
)
from wingbeat.reference.pad import Pad, pad

SCALE, ZERO_POINT = 0.1, -3


def values(*shape: int) -> NDArray[np.int8]:
    return np.random.default_rng(len(shape)).integers(-128, 128, shape).astype(np.int8)


def int8(*shape: int) -> Tensor:
    return Tensor(shape, scales=SCALE, zero_points=ZERO_POINT)


def constant(*data: Any) -> Tensor:
    array = np.array(data, np.int32)
    return Tensor(array.shape, "int32", data=array)


def same(operator: Operator, expected: NDArray[Any], *inputs: NDArray[Any]) -> None:
    (found,) = operator.apply(*(x.reshape(1, -1) for x in inputs))
    assert np.array_equal(found.ravel(), expected.ravel())


@pytest.mark.parametrize(
    "paddings",
    [
        ((0, 0), (1, 2), (3, 0), (0, 0)),
        ((0, 0), (0, 1), (2, 2), (1, 4)),
        ((0, 0), (0, 0), (0, 0), (0, 3)),
    ],
)
@pytest.mark.parametrize("value", [None, 17])
def test_pad_is_tflms(paddings: tuple[tuple[int, int], ...], value: int | None) -> None:
    x = values(1, 3, 4, 5)
    shape = [n + sum(p) for n, p in zip(x.shape, paddings, strict=True)]
    tensors = [int8(*x.shape), constant(*paddings)]
    if value is not None:
        data = np.array([value], np.int8)
        tensors.append(Tensor((1,), scales=SCALE, zero_points=ZERO_POINT, data=data))
    y = int8(*shape)
    name = "PAD" if value is None else "PADV2"
    kind = "PadOptions" if value is None else "PadV2Options"
    model = tflm.model_bytes([Operation(name, tensors, [y], kind, {})], tensors[:1], [y])
    operator = pad(x.shape, paddings, ZERO_POINT if value is None else value)
    same(operator, tflm.run(model, x)[0], x)


@pytest.mark.parametrize("axis", [1, 2, 3, -1, -3])
@pytest.mark.parametrize("count", [2, 3])
def test_concat_is_tflms(axis: int, count: int) -> None:
    shapes = [[1, 3, 4, 5] for _ in range(count)]
    for number, shape in enumerate(shapes):
        shape[axis] = number + 1
    inputs = [values(*shape) for shape in shapes]
    tensors = [int8(*shape) for shape in shapes]
    y = int8(*np.concatenate(inputs, axis).shape)
    options = {"Axis": axis, "FusedActivationFunction": 0}
    call = Operation("CONCATENATION", tensors, [y], "ConcatenationOptions", options)
    expected = tflm.run(tflm.model_bytes([call], tensors, [y]), *inputs)[0]
    same(concat(shapes, axis), expected, *inputs)


def test_transposes_are_tflms() -> None:
    x = values(2, 3, 4, 5)
    for order in permutations(range(4)):
        source, y = int8(*x.shape), int8(*(x.shape[i] for i in order))
        call = Operation("TRANSPOSE", [source, constant(*order)], [y], "TransposeOptions", {})
        expected = tflm.run(tflm.model_bytes([call], [source], [y]), x)[0]
        same(transpose(x.shape, order), expected, x)


@pytest.mark.parametrize(
    ("begin", "end", "strides", "masks"),
    [
        ((0, 0, 0, 0), (1, 3, 4, 5), (1, 1, 1, 1), (0, 0, 0)),
        ((0, 1, 0, 2), (1, 3, 3, 5), (1, 1, 2, 2), (0, 0, 0)),
        ((0, -1, -2, 4), (1, -4, -4, 0), (1, -1, -1, -3), (0, 0, 0)),
        ((0, 9, 1, 9), (1, 0, 99, -9), (1, -2, 1, -1), (0, 0, 0)),
        ((5, 1, 2, 2), (0, 2, 1, 1), (1, 1, 1, -1), (0b1011, 0b0101, 0)),
        ((0, -2, 2, 0), (1, 0, 3, 5), (1, 1, 1, 2), (0b1, 0b1, 0b0110)),
    ],
)
def test_strided_slices_are_tflms(
    begin: tuple[int, ...],
    end: tuple[int, ...],
    strides: tuple[int, ...],
    masks: tuple[int, int, int],
) -> None:
    x = values(1, 3, 4, 5)
    names = ("begin_mask", "end_mask", "shrink_axis_mask")
    slices = slices_of(begin, end, strides, **dict(zip(names, masks, strict=True)))
    y = int8(*x[tuple(slices)].shape)
    source = int8(*x.shape)
    options = dict(zip(("BeginMask", "EndMask", "ShrinkAxisMask"), masks, strict=True))
    operands = [source, constant(*begin), constant(*end), constant(*strides)]
    call = Operation("STRIDED_SLICE", operands, [y], "StridedSliceOptions", options)
    expected = tflm.run(tflm.model_bytes([call], [source], [y]), x)[0]
    same(strided_slice(x.shape, slices), expected, x)


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_splits_are_tflms(axis: int) -> None:
    shape = [1, 4, 4, 4]
    shape[axis] = 6
    x, source = values(*shape), int8(*shape)
    shape[axis] = 2
    outputs = [int8(*shape) for _ in range(3)]
    call = Operation("SPLIT", [constant(axis), source], outputs, "SplitOptions", {"NumSplits": 3})
    expected = tflm.run(tflm.model_bytes([call], [source], outputs), x)
    for operator, each in zip(split(x.shape, axis, [2, 2, 2]), expected, strict=True):
        same(operator, each, x)


def test_uneven_splits_are_tflms() -> None:
    x, source = values(1, 3, 7), int8(1, 3, 7)
    sizes = (1, 4, 2)
    outputs = [int8(1, 3, size) for size in sizes]
    operands = [source, constant(*sizes), constant(2)]
    call = Operation("SPLIT_V", operands, outputs, "SplitVOptions", {"NumSplits": 3})
    expected = tflm.run(tflm.model_bytes([call], [source], outputs), x)
    for operator, each in zip(split(x.shape, 2, sizes), expected, strict=True):
        same(operator, each, x)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("half_pixel_centers", [False, True])
def test_resizes_are_tflms(align_corners: bool, half_pixel_centers: bool) -> None:
    x = values(1, 5, 7, 3)
    for size in ((1, 1), (5, 7), (10, 14), (9, 4), (3, 23), (2, 50)):
        source, y = int8(*x.shape), int8(1, *size, 3)
        options = {"AlignCorners": align_corners, "HalfPixelCenters": half_pixel_centers}
        call = Operation(
            "RESIZE_NEAREST_NEIGHBOR",
            [source, constant(*size)],
            [y],
            "ResizeNearestNeighborOptions",
            options,
        )
        expected = tflm.run(tflm.model_bytes([call], [source], [y]), x)[0]
        operator = resize_nearest(
            x.shape[1:], size, align_corners=align_corners, half_pixel_centers=half_pixel_centers
        )
        same(operator, expected, x)


@pytest.mark.parametrize("name", ["ARG_MAX", "ARG_MIN"])
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_argmax_is_tflms(name: str, axis: int) -> None:
    x = values(3, 4, 5) // 40
    source = int8(*x.shape)
    y = Tensor(np.argmax(x, axis).shape, "int32")
    kind = "ArgMaxOptions" if name == "ARG_MAX" else "ArgMinOptions"
    call = Operation(name, [source, constant(axis)], [y], kind, {"OutputType": 2})
    expected = tflm.run(tflm.model_bytes([call], [source], [y]), x)[0]
    same(argmax(x.shape, axis, least=name == "ARG_MIN"), expected, x)


def test_few_parameters_are_needed() -> None:
    """What is evenly spaced takes no table, and dimensions that go on are one."""
    assert len(transpose((25, 5, 64), (1, 0, 2)).encode()) == 44
    assert len(split((25, 5, 64), 2, [32, 32])[1].encode()) == 44
    assert len(strided_slice((25, 5, 64), [slice(None, None, -1)]).encode()) == 44
    whole = strided_slice((25, 5, 64), [slice(5, 9)])
    assert (whole.start, whole.run) == (5 * 5 * 64, 4 * 5 * 64)


def test_what_gather_refuses() -> None:
    with pytest.raises(UsageError, match="not sums"):
        gather(4, np.array([[0, 1], [2, 0]]))
    with pytest.raises(UsageError, match="no elements"):
        gather(4, np.zeros((0, 2), np.int64))
    with pytest.raises(UsageError, match="5 dimensions"):
        transpose((2,) * 8, (6, 4, 2, 0, 7, 5, 3, 1))
    with pytest.raises(UsageError, match="order"):
        transpose((2, 3), (0, 0))
    with pytest.raises(UsageError, match="stride is 0"):
        slices_of([0], [1], [0])
    with pytest.raises(UsageError, match="add up"):
        split((4,), 0, [1, 2])
    with pytest.raises(UsageError, match="outside"):
        gather(4, np.array([3, 4]))


def test_what_the_others_refuse() -> None:
    with pytest.raises(UsageError, match="inputs"):
        concat([(2,)] * 4, 0)
    with pytest.raises(UsageError, match="differ"):
        concat([(2, 3), (3, 3)], 1)
    with pytest.raises(UsageError, match="too many"):
        pad((2, 2, 2, 2), ((1, 0),) * 4, 0)
    with pytest.raises(UsageError, match="int8"):
        pad((2,), ((1, 0),), 128)
    with pytest.raises(UsageError, match="elements"):
        argmax((5000, 5000), 0)


@pytest.mark.parametrize("kind", [Pad, Concat, Gather, Argmax])
def test_cut_parameters(kind: type[Pad | Concat | Gather | Argmax]) -> None:
    with pytest.raises(FormatError, match=kind.KERNEL):
        kind.decode(b"\1\0\1\0")
