"""Layers of nets with inputs, of sizes for boards: what their costs are fitted on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wingbeat.reference import Lookup, Operator
from wingbeat.reference.activations import Quantization
from wingbeat.reference.conv import conv2d, output_size, same_padding
from wingbeat.reference.dense import dense
from wingbeat.reference.depthwise import depthwise2d
from wingbeat.reference.softmax8 import softmax

ROWS = 2
LAYERS = 70
_MOST_PRODUCTS = 150_000
_FEWEST_PRODUCTS = 300
_CHANNELS = (1, 2, 3, 4, 6, 8, 10, 12, 16, 18, 24, 32, 48, 64)
_SIZES = (1, 2, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 25, 28, 32, 48)
_KERNELS = ((1, 1), (2, 2), (3, 3), (3, 3), (3, 3), (5, 5), (1, 3), (3, 1), (15, 1), (10, 4))


def layers() -> Iterator[tuple[Operator, NDArray[Any]]]:
    """Layers of every kind of costs, with rows of input."""
    draw = np.random.default_rng(5)
    makers = (_conv, _depthwise, _dense)
    for make in makers:
        found = 0
        while found < LAYERS:
            operator = make(draw)
            if operator is not None:
                yield operator, _rows(draw, operator)
                found += 1
    for n_rows, depth in ((1, 2), (1, 4), (1, 12), (1, 40), (3, 10), (9, 4)):
        operator = softmax(n_rows, depth, Quantization(0.1, 3))
        yield operator, _rows(draw, operator)
    for n in (5, 64, 300, 1000):
        lookup = Lookup(np.arange(256).astype(np.int8), n)
        yield lookup, _rows(draw, lookup)


def _rows(draw: np.random.Generator, operator: Operator) -> NDArray[Any]:
    ((_, n_elements),) = operator.inputs
    return np.asarray(draw.integers(-128, 128, (ROWS, n_elements)), np.int8)


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
    if not _FEWEST_PRODUCTS < outputs * channels * taps < _MOST_PRODUCTS:
        return None
    weights = _weights(draw, channels, *kernel, shape[2])
    bias = draw.integers(-2000, 2000, channels)
    scaling = _scaling(draw, weights, channels, taps)
    return conv2d(weights, bias, shape=shape, **settings, **scaling)


def _depthwise(draw: np.random.Generator) -> Operator | None:
    found = _map(draw)
    if found is None:
        return None
    shape, settings = found
    kernel, outputs = settings.pop("kernel"), settings.pop("outputs")
    channels = shape[2] * int(draw.choice([1, 1, 1, 2, 8]))
    if not _FEWEST_PRODUCTS < outputs * channels * kernel[0] * kernel[1] < _MOST_PRODUCTS:
        return None
    weights = _weights(draw, *kernel, channels)
    bias = draw.integers(-2000, 2000, channels)
    scaling = _scaling(draw, weights, channels, kernel[0] * kernel[1])
    return depthwise2d(weights, bias, shape=shape, **settings, **scaling)


def _dense(draw: np.random.Generator) -> Operator | None:
    inputs = int(np.exp(draw.uniform(np.log(4), np.log(4000))))
    outputs = int(np.exp(draw.uniform(np.log(1), np.log(200))))
    if not _FEWEST_PRODUCTS / 3 < inputs * outputs < _MOST_PRODUCTS:
        return None
    weights = _weights(draw, outputs, inputs)
    bias = draw.integers(-2000, 2000, outputs)
    return dense(weights, bias, **_scaling(draw, weights, outputs, inputs))
