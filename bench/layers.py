"""Layers of nets with inputs, of sizes for boards: what their costs are fitted on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wingbeat.reference import DTYPES, Depthwise, Lookup, Operator
from wingbeat.reference.activations import Quantization
from wingbeat.reference.argmax import argmax
from wingbeat.reference.arithmetic import Side, add, mul
from wingbeat.reference.concat import concat
from wingbeat.reference.conv import Conv2D, conv2d, output_size, same_padding
from wingbeat.reference.conv_pairs import conv_pairs
from wingbeat.reference.dense import dense
from wingbeat.reference.depthwise import depthwise2d
from wingbeat.reference.dequantize import dequantize
from wingbeat.reference.gather import gather, resize_nearest, strided_slice, transpose
from wingbeat.reference.mean import mean
from wingbeat.reference.pad import pad
from wingbeat.reference.pool import pool2d
from wingbeat.reference.quantize import quantize
from wingbeat.reference.rescale import rescale
from wingbeat.reference.small_conv import small_conv_of
from wingbeat.reference.softmax8 import softmax
from wingbeat.reference.standardize import standardize

ROWS = 2
LAYERS = 160
_MOST_PRODUCTS = 150_000
_CHANNELS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 18, 24, 32, 48, 64)
_SIZES = (1, 2, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 25, 28, 32, 48)
_KERNELS = ((1, 1), (2, 2), (3, 3), (3, 3), (3, 3), (5, 5), (1, 3), (3, 1), (15, 1), (10, 4))


Inputs: TypeAlias = "tuple[NDArray[Any], ...]"


def layers() -> Iterator[tuple[Operator, Inputs]]:
    """Layers of every kind of costs, with rows of each input."""
    draw = np.random.default_rng(5)
    makers = (_conv, _depthwise, _dense)
    for make in makers:
        found = 0
        while found < LAYERS:
            operator = make(draw)
            if operator is not None:
                yield operator, _rows(draw, operator)
                found += 1
    for count, more in _OTHERS:
        for _ in range(count):
            operator = more(draw)
            yield operator, _rows(draw, operator)
    for n_rows, depth in ((1, 2), (1, 4), (1, 12), (1, 40), (3, 10), (9, 4)):
        operator = softmax(n_rows, depth, Quantization(0.1, 3))
        yield operator, _rows(draw, operator)
    for n in (1, 5, 7, 13, 64, 300, 1000):
        numbers = Quantization(0.02, 5)
        for operator in (
            Lookup(np.arange(256).astype(np.int8), n),
            rescale(n, 0.001, 0, numbers),
        ):
            yield operator, _rows(draw, operator)
    for n in (1, 5, 40, 300):
        # Numbers that are mostly rounded to 0, of the whole range, and mostly too large.
        for spread in (0.1, 1.0, 10.0, 200.0):
            numbers = Quantization(float(draw.uniform(0.01, 0.1)), int(draw.integers(-128, 128)))
            steps = draw.normal(0, 40 * spread, (ROWS, n))
            yield quantize(n, numbers), ((steps * numbers.scale).astype(np.float32),)
            values = np.clip(steps / 20 + numbers.zero_point, -128, 127)
            yield dequantize(n, numbers), (values.astype(np.int8),)
            scales = draw.uniform(0.01, 0.1, n)
            steps[:, ::4] = 0
            yield (
                standardize(draw.normal(0, 1, n), scales),
                ((steps * scales).astype(np.float32),),
            )
    own, found = np.random.default_rng(6), 0
    while found < LAYERS:
        operator = _small(own)
        if operator is not None:
            yield operator, _rows(own, operator)
            found += 1
    found = 0
    while found < LAYERS:
        conv = _conv(draw)
        pairs = conv_pairs(conv) if isinstance(conv, Conv2D) else None
        if pairs is not None and found % 4 == 0:
            pairs = replace(pairs, low=-100, high=100)
        if pairs is not None:
            yield pairs, _rows(draw, pairs)
            found += 1


def _rows(draw: np.random.Generator, operator: Operator) -> Inputs:
    rows = []
    for typecode, n_elements in operator.inputs:
        values = draw.integers(-128, 128, (ROWS, n_elements))
        if typecode == "h":
            values *= 25
        rows.append((values / 50 if typecode == "f" else values).astype(DTYPES[typecode]))
    return tuple(rows)


def _weights(draw: np.random.Generator, *shape: int) -> NDArray[np.int8]:
    spread = draw.choice([10, 30, 50])
    return np.clip(np.rint(draw.normal(0, spread, shape)), -127, 127).astype(np.int8)


def _scaling(
    draw: np.random.Generator, weights: NDArray[np.int8], channels: int, taps: int
) -> dict[str, Any]:
    """Numbers that spread the outputs over int8; one of six has a factor of the wide form."""
    deviation = 70.0 * max(float(weights.std()), 1.0) * taps**0.5
    factors = draw.uniform(0.5, 1.5, channels) * 40.0 / deviation
    if draw.random() < 1 / 6:
        factors[draw.integers(channels)] = draw.uniform(0.5, 0.9)
    return {
        "input_zero_point": int(draw.choice([-128, 0, 11])),
        "factors": factors,
        "output_zero_point": int(draw.choice([-128, 0, 5])),
    }


def _map(draw: np.random.Generator) -> tuple[tuple[int, int, int], dict[str, Any]] | None:
    """Shape, kernel, strides and padding; None if nothing comes out."""
    height, width = (int(draw.choice(_SIZES)) for _ in range(2))
    if draw.random() < 0.2:
        width = 1
    channels = int(draw.choice(_CHANNELS))
    kernel = _KERNELS[int(draw.integers(len(_KERNELS)))]
    stride = int(draw.choice([1, 1, 1, 2]))
    dilation = int(draw.choice([1, 1, 1, 1, 2])) if max(kernel) < 10 else 1
    sizes = (height, width)
    padding = tuple(
        same_padding(size, each, stride, dilation) if draw.random() < 0.6 else (0, 0)
        for size, each in zip(sizes, kernel, strict=True)
    )
    out = [
        output_size(size, each, stride, dilation, pad)
        for size, each, pad in zip(sizes, kernel, padding, strict=True)
    ]
    if min(out) < 1:
        return None
    settings = {
        "kernel": kernel,
        "stride": (stride, stride),
        "dilation": (dilation, dilation),
        "padding": padding,
        "outputs": out[0] * out[1],
    }
    return (height, width, channels), settings


def _conv(draw: np.random.Generator) -> Operator | None:
    found = _map(draw)
    if found is None:
        return None
    shape, settings = found
    kernel, outputs = settings.pop("kernel"), settings.pop("outputs")
    channels = int(draw.choice(_CHANNELS))
    taps = kernel[0] * kernel[1] * shape[2]
    if outputs * channels * taps > _MOST_PRODUCTS:
        return None
    weights = _weights(draw, channels, *kernel, shape[2])
    bias = draw.integers(-2000, 2000, channels)
    scaling = _scaling(draw, weights, channels, taps)
    low = int(draw.choice([-128, -128, scaling["output_zero_point"]]))
    return conv2d(weights, bias, shape=shape, **settings, **scaling, low=low)


def _depthwise(draw: np.random.Generator) -> Operator | None:
    found = _map(draw)
    if found is None:
        return None
    shape, settings = found
    kernel, outputs = settings.pop("kernel"), settings.pop("outputs")
    channels = shape[2] * int(draw.choice([1, 1, 1, 2, 8]))
    if outputs * channels * kernel[0] * kernel[1] > _MOST_PRODUCTS:
        return None
    weights = _weights(draw, *kernel, channels)
    bias = draw.integers(-2000, 2000, channels)
    scaling = _scaling(draw, weights, channels, kernel[0] * kernel[1])
    return depthwise2d(weights, bias, shape=shape, **settings, **scaling)


def _small(draw: np.random.Generator) -> Operator | None:
    layer = (_conv if draw.random() < 0.5 else _depthwise)(draw)
    return small_conv_of(layer) if isinstance(layer, (Conv2D, Depthwise)) else None


def _depthwise_3x3(draw: np.random.Generator) -> Operator:
    """With ReLU."""
    height, width = (int(draw.choice(_SIZES)) for _ in range(2))
    channels = int(draw.choice(_CHANNELS[:9]))
    stride = int(draw.choice([1, 1, 2]))
    weights = _weights(draw, 3, 3, channels)
    scaling = _scaling(draw, weights, channels, 9)
    scaling["output_zero_point"] = -128
    padding = same_padding(height, 3, stride), same_padding(width, 3, stride)
    settings: dict[str, Any] = {
        "shape": (height, width, channels),
        "stride": (stride, stride),
        "padding": padding,
    }
    return depthwise2d(weights, draw.integers(-2000, 2000, channels), **settings, **scaling)


def _dense(draw: np.random.Generator) -> Operator | None:
    inputs = int(np.exp(draw.uniform(0, np.log(4000))))
    outputs = int(np.exp(draw.uniform(0, np.log(200))))
    if inputs * outputs > _MOST_PRODUCTS:
        return None
    weights = _weights(draw, outputs, inputs)
    bias = draw.integers(-2000, 2000, outputs)
    return dense(weights, bias, **_scaling(draw, weights, outputs, inputs))


def _pool(draw: np.random.Generator) -> Operator:
    while True:
        height, width = (int(draw.choice(_SIZES)) for _ in range(2))
        kernel = [(1, 1), (2, 2), (3, 3), (4, 1), (3, 4), (height, width), (1, width)][
            draw.integers(7)
        ]
        if kernel[0] <= height and kernel[1] <= width and height * width <= 800:
            break
    same = draw.random() < 0.5
    stride = kernel if draw.random() < 0.7 else (1, 1)
    sizes = (height, width)
    padding = [
        same_padding(size, each, step) if same else (0, 0)
        for size, each, step in zip(sizes, kernel, stride, strict=True)
    ]
    return pool2d(
        average=bool(draw.random() < 0.5),
        shape=(height, width, int(draw.choice(_CHANNELS))),
        kernel=kernel,
        stride=stride,
        padding=(padding[0], padding[1]),
        low=int(draw.choice([-128, -128, 0])),
    )


def _mean(draw: np.random.Generator) -> Operator:
    shape = (1, *(int(draw.choice([1, 2, 3, 5, 8, 13, 25])) for _ in range(2)))
    shape = (*shape, int(draw.choice(_CHANNELS)))
    axes = [(1, 2), (1, 2), (1,), (2,), (3,)][draw.integers(5)]
    return mean(
        shape,
        axes,
        input_scale=0.05,
        input_zero_point=-128,
        output_scale=0.04,
        output_zero_point=-128,
    )


def _moved(draw: np.random.Generator) -> Operator:
    """Pad, concat, gather or argmax."""
    shape = [int(draw.choice([1, 2, 3, 5, 8, 13])) for _ in range(2)] + [
        int(draw.choice(_CHANNELS))
    ]
    kind = int(draw.integers(8))
    if kind == 0:
        return pad(shape, [(int(a), int(b)) for a, b in draw.integers(0, 4, (3, 2))], 5)
    if kind == 1:
        other = shape if draw.random() < 0.6 else [*shape[:2], int(draw.choice(_CHANNELS))]
        return concat([shape, other, shape][: draw.integers(2, 4)], 2)
    if kind == 2:
        shape = [int(draw.choice([1, 2, 2, 4])), *shape][: draw.integers(3, 5)]
        return transpose(shape, [int(each) for each in draw.permutation(len(shape))])
    if kind == 3:
        step = int(draw.choice([1, 2]))
        return strided_slice(shape, [slice(None), slice(None, None, step), slice(0, None, step)])
    if kind == 4:
        return resize_nearest(shape, (2 * shape[0], 2 * shape[1]))
    if kind == 5 and min(shape) > 1:
        # What lies around is mirrored: positions that are not evenly spaced.
        places = np.arange(np.prod(shape)).reshape(shape)
        axes = [(int(each), int(each)) for each in draw.integers(0, 2, 3)]
        return gather(places.size, np.pad(places, axes, mode="reflect"))
    if kind == 6:
        first = int(draw.integers(shape[2]))
        last = int(draw.integers(first, shape[2])) + 1
        return strided_slice(shape, [slice(None), slice(None), slice(first, last)])
    return argmax(shape, int(draw.integers(3)))


def _arithmetic(draw: np.random.Generator) -> Operator:
    shape = (int(draw.choice(_SIZES)), int(draw.choice([1, 2, 3, 4, 5, 8, 16, 32])))
    numbers = [
        Quantization(float(draw.uniform(0.01, 0.2)), int(draw.integers(-128, 128)))
        for _ in range(3)
    ]
    other = shape if draw.random() < 0.5 else (1, shape[1])
    constant = None
    if draw.random() < 0.3:
        constant = draw.integers(-128, 128, other).astype(np.int8)
    sides = Side(shape, numbers[0]), Side(other, numbers[1], constant)
    return (add if draw.random() < 0.6 else mul)(*sides, numbers[2])


_OTHERS = ((150, _pool), (30, _mean), (100, _arithmetic), (260, _moved), (60, _depthwise_3x3))
