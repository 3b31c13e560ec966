"""Test vectors of the depthwise operator, and random layers with TFLite's numbers."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nets.dense import limits
from vectors.case import BadCase, Case, Operands, bad_operands, make_cases, operands_of
from wingbeat.reference.depthwise import Depthwise, Depthwise3x3, depthwise2d
from wingbeat.reference.scale import make_scale

LOW, HIGH = -128, 127
ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
HEAD = 24  # bytes in front of the scale

Pair: TypeAlias = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer as a .tflite file has it. Pairs are vertical and horizontal.

    Parameters
    ----------
    shape : tuple of int
        Height, width and channels of the input.
    weights : NDArray[int8] [kernel height, kernel width, channels]
    same : bool
        SAME padding, else VALID.
    scales : tuple of float32, of NDArray[float32] [channels], and of float32
        Of the input, the weights and the output.
    zero_points : tuple of int
        Of the input and the output.
    """

    shape: tuple[int, int, int]
    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    stride: Pair
    dilation: Pair
    same: bool
    scales: tuple[float, NDArray[np.float32], float]
    zero_points: Pair
    activation: str

    @property
    def out(self) -> Pair:
        """Height and width of the output."""
        sizes = (
            -(-size // stride) if self.same else (size - extent) // stride + 1
            for size, stride, extent in zip(self.shape, self.stride, self._extents(), strict=False)
        )
        height, width = sizes
        return height, width

    def _extents(self) -> Pair:
        height, width = (
            (size - 1) * step + 1
            for size, step in zip(self.weights.shape, self.dilation, strict=False)
        )
        return height, width

    def padding(self) -> tuple[Pair, Pair]:
        """In front of the input and behind it."""
        pairs = []
        for i in range(2):
            end = (self.out[i] - 1) * self.stride[i] + self._extents()[i]
            total = max(end - self.shape[i], 0)
            pairs.append((total // 2, total - total // 2))
        return pairs[0], pairs[1]

    def factors(self) -> NDArray[np.float64]:
        """Of the channels."""
        return np.asarray(self.scales[0] * self.scales[1].astype(np.float64) / self.scales[2])

    def operator(self) -> Depthwise:
        """The operator that computes it."""
        low, high = limits(self.activation, self.scales[2], self.zero_points[1])
        return depthwise2d(
            self.weights,
            self.bias,
            shape=self.shape,
            stride=self.stride,
            dilation=self.dilation,
            padding=self.padding(),
            input_zero_point=self.zero_points[0],
            factors=self.factors(),
            output_zero_point=self.zero_points[1],
            low=low,
            high=high,
        )

    def inputs(self, rng: np.random.Generator, n: int) -> NDArray[np.int8]:
        """Rows for the operator, the first of them with the ends of int8 only."""
        rows = rng.integers(LOW, HIGH, (n, int(np.prod(self.shape))), np.int8, endpoint=True)
        rows[0] = rng.choice(np.array([LOW, HIGH], np.int8), rows.shape[1])
        return rows


def random_layer(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    kernel: Pair,
    *,
    multiplier: int = 1,
    stride: Pair = (1, 1),
    dilation: Pair = (1, 1),
    same: bool = True,
    activation: str = "RELU",
    largest: int = HIGH,
) -> Layer:
    """A layer whose outputs spread over int8 for random inputs, and saturate now and then.

    Parameters
    ----------
    largest : int
        No weight lies further from 0.
    """
    channels = shape[2] * multiplier
    weights = rng.integers(-largest, largest, (*kernel, channels), np.int8, endpoint=True)
    scales = np.exp(rng.normal(-5, 0.5, channels)).astype(np.float32)
    width = 74 * np.sqrt((weights.astype(float) ** 2).sum(axis=(0, 1)) + 1) * scales
    input_scale = np.float32(rng.uniform(0.01, 0.2))
    output_scale = np.float32(input_scale * width.mean() / rng.uniform(20, 90))
    zero_points = rng.integers(LOW, HIGH + 1, 2).tolist()
    if activation in ("RELU", "RELU6") and rng.integers(2):
        zero_points[1] = LOW
    return Layer(
        shape,
        weights,
        rng.integers(-5000, 5000, channels).astype(np.int32),
        stride,
        dilation,
        same,
        (float(input_scale), scales, float(output_scale)),
        (zero_points[0], zero_points[1]),
        activation,
    )


def any_layer(rng: np.random.Generator) -> Layer:
    """A small layer of any kind."""
    kernel = tuple(rng.integers(1, 6, 2).tolist())
    steps = tuple(rng.integers(1, 4, 2).tolist())
    # TFLite has no layer with both.
    stride, dilation = [(steps, (1, 1)), ((1, 1), steps)][int(rng.integers(2))]
    same = bool(rng.integers(2))
    size = rng.integers(1, 14, 2)
    if not same:
        size = np.maximum(size, (np.array(kernel) - 1) * dilation + 1)
    return random_layer(
        rng,
        (int(size[0]), int(size[1]), int(rng.integers(1, 7))),
        (kernel[0], kernel[1]),
        multiplier=int(rng.choice([1, 1, 2, 3])),
        stride=(stride[0], stride[1]),
        dilation=(dilation[0], dilation[1]),
        same=same,
        activation=str(rng.choice(ACTIVATIONS)),
        largest=int(rng.choice([2, 40, HIGH])),
    )


def wide(layer: Layer) -> Depthwise:
    """The operator of a layer with the wide form of the scale, whether it needs it or not."""
    operator = layer.operator()
    bias = layer.bias - layer.zero_points[0] * layer.weights.sum(axis=(0, 1), dtype=np.int64)
    scale = make_scale(
        bias, layer.factors(), layer.zero_points[1], *_ends(operator), np.full(len(bias), 1 << 26)
    )
    assert not scale.narrow
    return Depthwise(**{**vars(operator), "scale": scale})


def _ends(operator: Depthwise) -> Pair:
    return operator.scale.low, operator.scale.high


def cases(seed: int) -> Iterable[Case]:
    """Yield usual shapes, the ends of sums, both forms of the scale, and random layers."""
    rng = np.random.default_rng(seed)
    for name, layer in _usual(rng):
        yield from make_cases(name, layer.operator(), list(layer.inputs(rng, 2)))
    for i in range(60):
        layer = any_layer(rng)
        operator = layer.operator() if i % 5 else wide(layer)
        yield from make_cases(f"random {i}", operator, list(layer.inputs(rng, 2)))


def _usual(rng: np.random.Generator) -> Iterable[tuple[str, Layer]]:
    for activation in ACTIVATIONS:
        yield f"25x5, {activation}", random_layer(rng, (25, 5, 3), (3, 3), activation=activation)
    for height in range(1, 9):
        for width in (1, 2, 3, 4, 8):
            yield f"3x3 on {height}x{width}", random_layer(rng, (height, width, 2), (3, 3))
    for kernel in ((15, 1), (3, 1), (1, 15), (1, 3), (1, 1), (5, 5), (2, 4)):
        for shape in ((30, 1, 2), (1, 30, 2), (17, 16, 2)):
            name = f"{kernel[0]}x{kernel[1]} on {shape[0]}x{shape[1]}"
            yield name, random_layer(rng, shape, kernel)
    yield "3x3, stride 2", random_layer(rng, (24, 24, 2), (3, 3), stride=(2, 2))
    yield "VALID, 3x3", random_layer(rng, (9, 11, 2), (3, 3), same=False)
    yield "dilation", random_layer(rng, (20, 19, 2), (3, 3), dilation=(2, 4))
    yield "the whole map", random_layer(rng, (25, 5, 4), (25, 5), same=False)
    yield "large kernel", random_layer(rng, (40, 30, 1), (20, 17))
    # More than 63 taps with the largest weights: several groups.
    for sign in (-1, 1):
        layer = random_layer(rng, (12, 13, 1), (9, 11))
        yield f"groups, {sign}", replace(layer, weights=np.full((9, 11, 1), sign * 127, np.int8))
        layer = random_layer(rng, (12, 13, 1), (3, 3), activation="NONE")
        yield (
            f"largest sums, {sign}",
            replace(layer, weights=np.full((3, 3, 1), sign * 127, np.int8)),
        )


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for operator in small_layers():
        for i, (params, operands, n_inputs) in enumerate(_bad_calls(operator)):
            yield BadCase(f"bad {i}", operator.KERNEL, params, operands, n_inputs)


def small_layers() -> Iterable[Depthwise]:
    """Yield layers with few bytes: each form, turned and not, a multiplier, and 3x3."""
    rng = np.random.default_rng(7)
    for layer in (
        random_layer(rng, (7, 3, 2), (3, 2)),
        random_layer(rng, (1, 8, 1), (1, 3), multiplier=2, activation="NONE"),
    ):
        yield layer.operator()
        yield wide(layer)
    layer = random_layer(rng, (4, 3, 1), (3, 3))
    yield replace(layer, zero_points=(layer.zero_points[0], LOW)).operator()


def _bad_calls(operator: Depthwise) -> Iterable[tuple[bytes, Operands, int]]:
    good, operands = operator.encode(), operands_of(operator)
    for wrong in (b"", good[:4], good[:HEAD], good[:-4], good + bytes(4), good + good):
        yield wrong, operands, 1
    # Sizes of 0, those that do not fit the operands, and those that do not fit in 32 bits.
    for at in (0, 2, 8, 10, 16):
        for value in (0, 19, 65535):
            yield _changed(good, at, struct.pack("<H", value)), operands, 1
    for at in (4, 5, 6, 12, 13, 14, 18):
        yield _changed(good, at, b"\0"), operands, 1
    yield _changed(good, 19, b"\2"), operands, 1
    yield _changed(good, 21, b"\0"), operands, 1
    yield _changed(good, 21, bytes([good[4] + 1])), operands, 1
    # Limits the wrong way round, and forms that there are not.
    yield _changed(good, HEAD + 1, b"\x64\x63"), operands, 1
    for form in (0, 3, 255):
        yield _changed(good, HEAD + 3, bytes([form])), operands, 1
    if isinstance(operator, Depthwise3x3):
        for at, value in ((0, 0x81), (1, 0x81), (2, 0x7E)):
            yield _changed(good, HEAD + at, bytes([value])), operands, 1
        yield _changed(good, HEAD + 3, b"\1"), operands, 1
        for at in (4, 12, 14, 18, 21):
            yield _changed(good, at, b"\2"), operands, 1
    for others, n_inputs in bad_operands(operands):
        yield good, others, n_inputs


def _changed(params: bytes, at: int, data: bytes) -> bytes:
    return params[:at] + data + params[at + len(data) :]
