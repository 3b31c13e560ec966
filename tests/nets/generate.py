"""Small nets made at random, legal for TensorFlow Lite Micro, of every operator and option.

`random_net(seed)` gives the same net for the same seed. The operator that the seed's remainder
names is in it for certain, so that as many seeds as there are `KINDS` cover all of them.
Scales are chosen so that values spread over the int8 range, and now and then saturate; zero
points, biases and factors also take their extremes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from tflm import Operation, Tensor, model_bytes

_ACTIVATIONS = [
    tflite.ActivationFunctionType.NONE,
    tflite.ActivationFunctionType.RELU,
    tflite.ActivationFunctionType.RELU6,
    tflite.ActivationFunctionType.RELU_N1_TO_1,
]
_NONE = tflite.ActivationFunctionType.NONE
_POSITIVE = (tflite.ActivationFunctionType.RELU, tflite.ActivationFunctionType.RELU6)

_MOST_ELEMENTS = 3000
_MOST_OPERATORS = 7
_TRIES = 200


@dataclass(frozen=True)
class Net:
    """A model with what feeds it.

    Attributes
    ----------
    seed : int
    model : bytes
        A .tflite file.
    kinds : tuple of str
        Its operators.
    input : Tensor
    """

    seed: int
    model: bytes
    kinds: tuple[str, ...]
    input: Tensor

    def rows(self, count: int) -> NDArray[Any]:
        """Inputs [count, *shape]: small values, all values, then both extremes at random."""
        rng = np.random.default_rng(self.seed)
        shape = (count, *self.input.shape)
        spread = np.resize([20.0, 90.0, 1000.0], count).reshape(-1, *[1] * len(self.input.shape))
        values = rng.normal(0, 1, shape) * spread
        if self.input.dtype == "float32":
            return np.asarray(values / 40, np.float32)
        limits = np.iinfo(self.input.dtype)
        centre = (limits.min + limits.max + 1) // 2
        clipped = np.clip(np.rint(values) + centre, limits.min, limits.max)
        return np.asarray(clipped, self.input.dtype)


@dataclass(frozen=True, eq=False)
class _Layer:
    """Weights and bias of a layer, its activation, and what its output is quantized to."""

    weights: Tensor
    bias: Tensor | None
    activation: int
    scale: float
    zero_point: int

    def output(self, *shape: int) -> Tensor:
        return Tensor(shape, scales=self.scale, zero_points=self.zero_point)

    @property
    def constants(self) -> list[Tensor]:
        """Weights, and the bias if there is one."""
        return [self.weights] if self.bias is None else [self.weights, self.bias]


class _Drawing:
    """A net that grows."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.operations: list[Operation] = []
        self.made: list[Tensor] = []

    # ---- Numbers

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, values: Sequence[Any]) -> Any:
        return values[int(self.rng.integers(len(values)))]

    def between(self, low: int, high: int) -> int:
        """Both ends included."""
        return int(self.rng.integers(low, high + 1))

    def scale(self, around: float = 0.05) -> float:
        return float(np.float32(around * math.exp(self.rng.normal(0, 0.7))))

    def zero_point(self, activation: int = _NONE) -> int:
        """In the middle mostly, at the end where only positive values are; at times anywhere."""
        if self.chance(0.15):
            return int(self.pick([-128, 127, self.between(-128, 127)]))
        return -128 if activation in _POSITIVE else self.between(-30, 30)

    # ---- Tensors

    def int8(
        self, shape: Sequence[int], scale: float | None = None, zero_point: int | None = None
    ) -> Tensor:
        return Tensor(
            tuple(int(each) for each in shape),
            scales=self.scale() if scale is None else float(np.float32(scale)),
            zero_points=self.zero_point() if zero_point is None else zero_point,
        )

    def like(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        return replace(x, shape=tuple(int(each) for each in shape))

    def layer(
        self, x: Tensor, shape: Sequence[int], axis: int, terms: int, per_channel: float = 0.8
    ) -> _Layer:
        """Weights for sums of about `terms` products of `x`, which spread over int8."""
        activation = self.pick(_ACTIVATIONS)
        limit = self.pick([127, 127, 127, 20, 3])
        data = self.rng.integers(-limit, limit + 1, shape)
        if self.chance(0.1):
            data[self.rng.random(data.shape) < 0.8] = 0
        scale = self.scale()
        size = max(float(np.sqrt((data.astype(float) ** 2).mean())), 0.5) * math.sqrt(terms)
        count = shape[axis] if self.chance(per_channel) else 1
        scales = [self.scale(scale / (size * _one(x))) for _ in range(count)]
        weights = Tensor(shape, scales=scales, axis=axis, data=data)
        bias = None
        if self.chance(0.85):
            values = np.rint(self.rng.normal(0, 20 * size, shape[axis])).astype(np.int64)
            products = np.float32(_one(x)) * np.asarray(scales, np.float32)
            bias = Tensor((shape[axis],), "int32", scales=products, data=values)
        return _Layer(weights, bias, activation, scale, self.zero_point(activation))

    def add(self, kind: str, inputs: Sequence[Tensor | None], output: Tensor, *rest: Any) -> Tensor:
        """Append an operator; `rest` are the schema's table of options, its fields, the version."""
        self.operations.append(Operation(kind, inputs, [output], *rest))
        self.made.append(output)
        return output


def _one(x: Tensor) -> float:
    return float(np.atleast_1d(np.asarray(x.scales))[0])


def _int32(*values: int) -> Tensor:
    return Tensor((len(values),), "int32", data=values)


def _numbers(values: Sequence[Sequence[int]]) -> Tensor:
    data = np.array(values)
    return Tensor(data.shape, "int32", data=data)


_Kind = Callable[[_Drawing, Tensor], Tensor | None]
"""Appends an operator on a tensor and returns its output, or None where it does not fit."""


def _windows(
    net: _Drawing, x: Tensor, kernel: tuple[int, int], dilation: tuple[int, int]
) -> tuple[int, tuple[int, int], tuple[int, int]] | None:
    """Padding, strides and size of the output."""
    padding = net.pick([tflite.Padding.SAME, tflite.Padding.VALID])
    stride = net.between(1, 3), net.between(1, 3)
    size = []
    for i in range(2):
        reach = (kernel[i] - 1) * dilation[i] + 1
        room = x.shape[1 + i] - (reach - 1 if padding == tflite.Padding.VALID else 0)
        if room < 1:
            return None
        size.append(-(-room // stride[i]))
    return padding, stride, (size[0], size[1])


def _conv(net: _Drawing, x: Tensor) -> Tensor | None:
    if len(x.shape) != 4:
        return None
    c = x.shape[3]
    kernel = net.between(1, 4), net.between(1, 4)
    if net.chance(0.3):
        kernel = 1, 1
    dilation = (1, 1) if net.chance(0.7) else (net.between(1, 3), net.between(1, 3))
    window = _windows(net, x, kernel, dilation)
    if window is None:
        return None
    padding, stride, size = window
    groups = net.pick([g for g in range(1, c + 1) if c % g == 0]) if net.chance(0.1) else 1
    channels = groups * net.between(1, 9)
    terms = kernel[0] * kernel[1] * c // groups
    layer = net.layer(x, (channels, *kernel, c // groups), 0, terms)
    options = {
        "Padding": padding,
        "StrideH": stride[0],
        "StrideW": stride[1],
        "DilationHFactor": dilation[0],
        "DilationWFactor": dilation[1],
        "FusedActivationFunction": layer.activation,
    }
    inputs = [x, layer.weights, layer.bias]
    output = layer.output(1, *size, channels)
    return net.add("CONV_2D", inputs, output, "Conv2DOptions", options, 3)


def _depthwise(net: _Drawing, x: Tensor) -> Tensor | None:
    if len(x.shape) != 4:
        return None
    c = x.shape[3]
    kernel = net.pick([(3, 3), (3, 1), (1, 3), (net.between(1, 5), net.between(1, 5))])
    dilation = (1, 1) if net.chance(0.7) else (net.between(1, 3), net.between(1, 3))
    window = _windows(net, x, kernel, dilation)
    if window is None:
        return None
    padding, stride, size = window
    multiplier = net.pick([1, 1, 1, 2, 3])
    layer = net.layer(x, (1, *kernel, c * multiplier), 3, kernel[0] * kernel[1])
    options = {
        "Padding": padding,
        "StrideH": stride[0],
        "StrideW": stride[1],
        "DepthMultiplier": multiplier,
        "DilationHFactor": dilation[0],
        "DilationWFactor": dilation[1],
        "FusedActivationFunction": layer.activation,
    }
    # TFLM crashes where a bias that is left out has a place among the inputs.
    inputs = [x, *layer.constants]
    output = layer.output(1, *size, c * multiplier)
    kind = "DepthwiseConv2DOptions"
    return net.add("DEPTHWISE_CONV_2D", inputs, output, kind, options, 3)


def _transpose_conv(net: _Drawing, x: Tensor) -> Tensor | None:
    if len(x.shape) != 4:
        return None
    h, w, c = x.shape[1:]
    kernel = net.between(1, 4), net.between(1, 4)
    stride = net.between(1, 3), net.between(1, 3)
    padding = net.pick([tflite.Padding.SAME, tflite.Padding.VALID])
    size = [
        n * s if padding == tflite.Padding.SAME else (n - 1) * s + max(k, s)
        for n, s, k in zip((h, w), stride, kernel, strict=True)
    ]
    channels = net.between(1, 6)
    terms = max(1, kernel[0] * kernel[1] * c // (stride[0] * stride[1]))
    layer = net.layer(x, (channels, *kernel, c), 0, terms)
    output = layer.output(1, *size, channels)
    options = {"Padding": padding, "StrideH": stride[0], "StrideW": stride[1]}
    inputs = [_int32(*output.shape), layer.weights, x, *layer.constants[1:]]
    return net.add("TRANSPOSE_CONV", inputs, output, "TransposeConvOptions", options, 3)


def _conv_1d(net: _Drawing, x: Tensor) -> Tensor | None:
    """As Keras writes it: a dimension more, a convolution, a dimension less."""
    if len(x.shape) != 3:
        return None
    image = net.like(x, (1, 1, *x.shape[1:]))
    if net.chance(0.5):
        net.add("EXPAND_DIMS", [x, Tensor((), "int32", data=1)], image)
    else:
        net.add("RESHAPE", [x, _int32(*image.shape)], image, "ReshapeOptions", {})
    c = x.shape[2]
    kernel = 1, net.between(1, 5)
    window = _windows(net, image, kernel, (1, 1))
    if window is None:
        return None
    padding, stride, size = window
    channels = net.between(1, 8)
    layer = net.layer(x, (channels, *kernel, c), 0, kernel[1] * c)
    output = layer.output(1, 1, size[1], channels)
    options = {
        "Padding": padding,
        "StrideH": 1,
        "StrideW": stride[1],
        "FusedActivationFunction": layer.activation,
    }
    inputs = [image, layer.weights, layer.bias]
    net.add("CONV_2D", inputs, output, "Conv2DOptions", options, 3)
    sequence = net.like(output, (1, *output.shape[2:]))
    if net.chance(0.5):
        return net.add("SQUEEZE", [output], sequence, "SqueezeOptions", {"SqueezeDims": [1]})
    return net.add("RESHAPE", [output, _int32(*sequence.shape)], sequence)


def _dense(net: _Drawing, x: Tensor) -> Tensor | None:
    elements = int(np.prod(x.shape))
    keep = net.chance(0.3)
    taken = x.shape[-1] if keep or net.chance(0.1) else elements
    if elements // taken > 64:
        return None
    n = net.between(1, 20)
    layer = net.layer(x, (n, taken), 0, taken, 0.6)
    shape = (*x.shape[:-1], n) if keep else (elements // taken, n)
    options = {"FusedActivationFunction": layer.activation, "KeepNumDims": keep}
    inputs = [x, layer.weights, layer.bias]
    kind = "FullyConnectedOptions"
    return net.add("FULLY_CONNECTED", inputs, layer.output(*shape), kind, options, 4)


def _pool(kind: str) -> _Kind:
    def drawn(net: _Drawing, x: Tensor) -> Tensor | None:
        if len(x.shape) != 4:
            return None
        kernel = net.between(1, 4), net.between(1, 4)
        if net.chance(0.3):
            kernel = x.shape[1], x.shape[2]
        window = _windows(net, x, kernel, (1, 1))
        if window is None:
            return None
        padding, stride, size = window
        options = {
            "Padding": padding,
            "StrideH": stride[0],
            "StrideW": stride[1],
            "FilterHeight": kernel[0],
            "FilterWidth": kernel[1],
            "FusedActivationFunction": net.pick(_ACTIVATIONS),
        }
        output = net.like(x, (1, *size, x.shape[3]))
        return net.add(kind, [x], output, "Pool2DOptions", options, 2)

    return drawn


def _mean(net: _Drawing, x: Tensor) -> Tensor | None:
    axes = {4: [(1, 2), (2, 1), (1,), (2,), (3,), (1, 2, 3), (-2, -3)], 3: [(1,), (2,), (1, 2)]}
    if len(x.shape) not in axes:
        return None
    chosen = net.pick(axes[len(x.shape)])
    keep = net.chance(0.5)
    gone = [axis % len(x.shape) for axis in chosen]
    shape = [1 if i in gone else n for i, n in enumerate(x.shape) if keep or i not in gone]
    output = net.like(x, shape)
    if net.chance(0.7):
        output = net.int8(shape, _one(x) * net.pick([0.3, 1]))
    return net.add("MEAN", [x, _int32(*chosen)], output, "ReducerOptions", {"KeepDims": keep}, 2)


def _arithmetic(kind: str) -> _Kind:
    def drawn(net: _Drawing, x: Tensor) -> Tensor | None:
        others = [t for t in net.made if t.shape == x.shape and t.dtype == "int8"]
        way = net.pick(["two", "two", "scalar", "channels", "same"])
        if way == "same" or (way == "two" and len(others) < 2):
            inputs = [x, x]
        elif way == "two":
            inputs = [x, net.pick(others)]
        else:
            shape = (1,) if way == "scalar" else (x.shape[-1],)
            data = net.rng.integers(-128, 128, shape)
            constant = net.int8(shape, _one(x) * math.exp(net.rng.normal(0, 0.5)))
            inputs = [x, replace(constant, data=data)]
        if kind == "SUB" or (way == "two" and net.chance(0.5)):
            inputs.reverse()
        a, b = (_one(each) for each in inputs)
        scale = a * b * 60 if kind == "MUL" else max(a, b) * 1.4
        activation = net.pick(_ACTIVATIONS)
        scale *= math.exp(net.rng.normal(0, 0.3))
        output = net.int8(x.shape, scale, net.zero_point(activation))
        options = {"FusedActivationFunction": activation}
        return net.add(kind, inputs, output, f"{kind.capitalize()}Options", options, 2)

    return drawn


def _pad(net: _Drawing, x: Tensor) -> Tensor | None:
    if len(x.shape) < 2:
        return None
    amounts = [(0, 0)]
    for axis in range(1, len(x.shape)):
        channels = len(x.shape) == 4 and axis == 3 and net.chance(0.7)
        amounts.append((0, 0) if channels else (net.between(0, 2), net.between(0, 2)))
    shape = [n + a + b for n, (a, b) in zip(x.shape, amounts, strict=True)]
    inputs = [x, _numbers(amounts)]
    kind, options = "PAD", "PadOptions"
    if net.chance(0.3):
        value = x.zero_points if net.chance(0.5) else net.between(-128, 127)
        inputs.append(net.like(replace(x, data=np.array([value])), (1,)))
        kind, options = "PADV2", "PadV2Options"
    return net.add(kind, inputs, net.like(x, shape), options, {}, 2)


def _concatenation(net: _Drawing, x: Tensor) -> Tensor | None:
    axis = net.between(1, len(x.shape) - 1) if len(x.shape) > 1 else 0
    rest = [i for i in range(len(x.shape)) if i != axis]
    others = [
        t
        for t in net.made
        if t.dtype == "int8"
        and len(t.shape) == len(x.shape)
        and all(t.shape[i] == x.shape[i] for i in rest)
    ]
    inputs = [x, *(net.pick(others) for _ in range(net.between(1, 4)))]
    net.rng.shuffle(inputs)
    shape = list(x.shape)
    shape[axis] = sum(t.shape[axis] for t in inputs)
    options = {"Axis": axis if net.chance(0.5) else axis - len(shape)}
    # TFLM copies the stored numbers: scales only differ in broken files.
    same = [net.add("QUANTIZE", [t], net.like(x, t.shape)) for t in inputs]
    return net.add("CONCATENATION", same, net.like(x, shape), "ConcatenationOptions", options, 2)


def _byte(kind: str, scale: float | None = None, zero_point: int | None = None) -> _Kind:
    def drawn(net: _Drawing, x: Tensor) -> Tensor | None:
        output = net.int8(
            x.shape, _one(x) * net.pick([1, 0.7, 1.6]) if scale is None else scale, zero_point
        )
        return net.add(kind, [x], output)

    return drawn


def _relu6(net: _Drawing, x: Tensor) -> Tensor | None:
    return net.add("RELU6", [x], net.like(x, x.shape))


def _leaky_relu(net: _Drawing, x: Tensor) -> Tensor | None:
    output = net.int8(x.shape, _one(x) * net.pick([1, 0.7, 1.6]))
    alpha = float(np.float32(net.pick([0.3, 0.01, 0.2, 1.5])))
    return net.add("LEAKY_RELU", [x], output, "LeakyReluOptions", {"Alpha": alpha})


def _softmax(net: _Drawing, x: Tensor) -> Tensor | None:
    if len(x.shape) > 4 or x.shape[-1] > 300:
        return None
    beta = net.pick([1.0, 1.0, 0.5, 2.0])
    output = net.int8(x.shape, 1 / 256, -128)
    return net.add("SOFTMAX", [x], output, "SoftmaxOptions", {"Beta": beta}, 2)


def _transpose(net: _Drawing, x: Tensor) -> Tensor | None:
    if not 2 <= len(x.shape) <= 4:
        return None
    order = [0, *(1 + net.rng.permutation(len(x.shape) - 1))]
    shape = [x.shape[i] for i in order]
    return net.add("TRANSPOSE", [x, _int32(*order)], net.like(x, shape), "TransposeOptions", {}, 2)


def _strided_slice(net: _Drawing, x: Tensor) -> Tensor | None:
    if len(x.shape) > 4:
        return None
    begins, ends, strides, shape = [0], [1], [1], [1]
    masks = {"BeginMask": 0, "EndMask": 0, "ShrinkAxisMask": 0}
    for axis, n in enumerate(x.shape[1:], 1):
        stride = net.pick([1, 1, 2, 3, -1, -2])
        first, last = sorted((net.between(0, n - 1), net.between(0, n - 1)))
        begin, end = (first, last + 1) if stride > 0 else (last, first - 1)
        count = -(-(last - first + 1) // abs(stride))
        if net.chance(0.2):
            masks["ShrinkAxisMask"] |= 1 << axis
            begin, end, stride, count = first, first + 1, 1, 0
        elif net.chance(0.2):
            masks["BeginMask"] |= 1 << axis
            masks["EndMask"] |= 1 << axis
            count = -(-n // abs(stride))
        elif end < 0:
            masks["EndMask"] |= 1 << axis
        elif begin == n - 1 and net.chance(0.3):
            begin -= n
        begins.append(begin)
        ends.append(end)
        strides.append(stride)
        shape += [count] if count else []
    inputs = [x, _int32(*begins), _int32(*ends), _int32(*strides)]
    return net.add("STRIDED_SLICE", inputs, net.like(x, shape), "StridedSliceOptions", masks, 2)


def _split(net: _Drawing, x: Tensor) -> Tensor | None:
    choices = [
        (axis, parts)
        for axis in range(1, len(x.shape))
        for parts in (2, 3, 4)
        if x.shape[axis] % parts == 0
    ]
    if not choices:
        return None
    axis, parts = net.pick(choices)
    shape = list(x.shape)
    shape[axis] //= parts
    outputs = [net.like(x, shape) for _ in range(parts)]
    number = Tensor((), "int32", data=axis if net.chance(0.5) else axis - len(shape))
    split = Operation("SPLIT", [number, x], outputs, "SplitOptions", {"NumSplits": parts}, 2)
    net.operations.append(split)
    net.made += outputs
    return outputs[net.between(0, parts - 1)]


def _resize(net: _Drawing, x: Tensor) -> Tensor | None:
    if len(x.shape) != 4:
        return None
    size = [n * net.between(1, 3) if net.chance(0.5) else net.between(1, 8) for n in x.shape[1:3]]
    way = net.between(0, 2)
    options = {"AlignCorners": way == 1, "HalfPixelCenters": way == 2}
    output = net.like(x, (1, *size, x.shape[3]))
    kind = "ResizeNearestNeighborOptions"
    return net.add("RESIZE_NEAREST_NEIGHBOR", [x, _int32(*size)], output, kind, options, 3)


def _reshape(net: _Drawing, x: Tensor) -> Tensor | None:
    elements = int(np.prod(x.shape))
    first = net.pick([n for n in range(1, elements + 1) if elements % n == 0 and n <= 16])
    shape = net.pick(
        [(1, elements), (1, first, elements // first), (1, first, 1, elements // first)]
    )
    if net.chance(0.3):
        return net.add("RESHAPE", [x], net.like(x, shape), "ReshapeOptions", {"NewShape": shape})
    return net.add("RESHAPE", [x, _int32(*shape)], net.like(x, shape))


def _reduce_max(net: _Drawing, x: Tensor) -> Tensor | None:
    if len(x.shape) != 4:
        return None
    keep = net.chance(0.5)
    shape = (1, 1, 1, x.shape[3]) if keep else (1, x.shape[3])
    options = {"KeepDims": keep}
    return net.add(
        "REDUCE_MAX", [x, _int32(1, 2)], net.like(x, shape), "ReducerOptions", options, 2
    )


def _slice(net: _Drawing, x: Tensor) -> Tensor | None:
    if len(x.shape) > 4:
        return None
    begins, sizes, shape = [0], [1], [1]
    for n in x.shape[1:]:
        begins.append(net.between(0, n - 1))
        shape.append(net.between(1, n - begins[-1]))
        sizes.append(-1 if begins[-1] + shape[-1] == n and net.chance(0.5) else shape[-1])
    inputs = [x, _int32(*begins), _int32(*sizes)]
    return net.add("SLICE", inputs, net.like(x, shape), "SliceOptions")


def _reverse(net: _Drawing, x: Tensor) -> Tensor | None:
    axis = _int32(net.between(0, len(x.shape) - 1))
    return net.add("REVERSE_V2", [x, axis], net.like(x, x.shape), "ReverseV2Options")


def _broadcast(net: _Drawing, x: Tensor) -> Tensor | None:
    shape = [x.shape[0], *(net.between(1, 4) if n == 1 else n for n in x.shape[1:])]
    return net.add("BROADCAST_TO", [x, _int32(*shape)], net.like(x, shape), "BroadcastToOptions")


def _gather(net: _Drawing, x: Tensor) -> Tensor | None:
    if len(x.shape) < 2:
        return None
    axis = net.between(1, len(x.shape) - 1)
    indices = [net.between(0, x.shape[axis] - 1) for _ in range(net.between(1, 6))]
    shape = [*x.shape[:axis], len(indices), *x.shape[axis + 1 :]]
    options = {"Axis": axis if net.chance(0.5) else axis - len(shape)}
    return net.add("GATHER", [x, _int32(*indices)], net.like(x, shape), "GatherOptions", options)


def _depth_to_space(net: _Drawing, x: Tensor) -> Tensor | None:
    if len(x.shape) != 4 or x.shape[3] % 4:
        return None
    shape = (1, 2 * x.shape[1], 2 * x.shape[2], x.shape[3] // 4)
    options = {"BlockSize": 2}
    return net.add("DEPTH_TO_SPACE", [x], net.like(x, shape), "DepthToSpaceOptions", options)


def _space_to_depth(net: _Drawing, x: Tensor) -> Tensor | None:
    blocks = [b for b in (2, 3) if len(x.shape) == 4 and not x.shape[1] % b and not x.shape[2] % b]
    if not blocks:
        return None
    block = net.pick(blocks)
    shape = (1, x.shape[1] // block, x.shape[2] // block, x.shape[3] * block * block)
    options = {"BlockSize": block}
    return net.add("SPACE_TO_DEPTH", [x], net.like(x, shape), "SpaceToDepthOptions", options)


def _mirror_pad(net: _Drawing, x: Tensor) -> Tensor | None:
    whole = net.between(0, 1)
    amounts = [(0, 0)]
    for n in x.shape[1:]:
        most = min(2, n if whole else n - 1)
        amounts.append((net.between(0, most), net.between(0, most)))
    if not np.any(amounts):
        return None
    shape = [n + a + b for n, (a, b) in zip(x.shape, amounts, strict=True)]
    options = {"Mode": whole}
    inputs = [x, _numbers(amounts)]
    return net.add("MIRROR_PAD", inputs, net.like(x, shape), "MirrorPadOptions", options)


def _unpack(net: _Drawing, x: Tensor) -> Tensor | None:
    axes = [axis for axis in range(1, len(x.shape)) if x.shape[axis] <= 6]
    if not axes:
        return None
    axis = net.pick(axes)
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    outputs = [net.like(x, shape) for _ in range(x.shape[axis])]
    options = {"Num": len(outputs), "Axis": axis}
    net.operations.append(Operation("UNPACK", [x], outputs, "UnpackOptions", options))
    net.made += outputs
    return outputs[net.between(0, len(outputs) - 1)]


def _pack(net: _Drawing, x: Tensor) -> Tensor | None:
    if len(x.shape) > 3:
        return None
    others = [t for t in net.made if t.shape == x.shape and t.dtype == "int8"]
    inputs = [x, *(net.pick([x, *others]) for _ in range(net.between(0, 3)))]
    same = [net.add("QUANTIZE", [t], net.like(x, t.shape)) for t in inputs]
    axis = net.between(1, len(x.shape))
    shape = [*x.shape[:axis], len(inputs), *x.shape[axis:]]
    options = {"ValuesCount": len(inputs), "Axis": axis}
    return net.add("PACK", same, net.like(x, shape), "PackOptions", options)


def _split_v(net: _Drawing, x: Tensor) -> Tensor | None:
    axes = [axis for axis in range(1, len(x.shape)) if x.shape[axis] > 1]
    if not axes:
        return None
    axis = net.pick(axes)
    first = net.between(1, x.shape[axis] - 1)
    outputs = []
    for size in (first, x.shape[axis] - first):
        outputs.append(net.like(x, (*x.shape[:axis], size, *x.shape[axis + 1 :])))
    sizes = _int32(first, x.shape[axis] - first)
    inputs = [x, sizes, Tensor((), "int32", data=axis)]
    split = Operation("SPLIT_V", inputs, outputs, "SplitVOptions", {"NumSplits": 2}, 2)
    net.operations.append(split)
    net.made += outputs
    return outputs[net.between(0, 1)]


def _arg(kind: str) -> _Kind:
    def drawn(net: _Drawing, x: Tensor) -> Tensor | None:
        axis = net.between(1, len(x.shape) - 1) if len(x.shape) > 1 else 0
        output = Tensor((*x.shape[:axis], *x.shape[axis + 1 :]), "int32")
        options = {"OutputType": tflite.TensorType.INT32}
        number = _int32(axis if net.chance(0.5) else axis - len(x.shape))
        name = "ArgMaxOptions" if kind == "ARG_MAX" else "ArgMinOptions"
        return net.add(kind, [x, number], output, name, options, 2)

    return drawn


def _dequantize(net: _Drawing, x: Tensor) -> Tensor | None:
    return net.add("DEQUANTIZE", [x], Tensor(x.shape, "float32"), "", None, 2)


KINDS: Mapping[str, _Kind] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "CONV_1D": _conv_1d,
    "FULLY_CONNECTED": _dense,
    "TRANSPOSE_CONV": _transpose_conv,
    "AVERAGE_POOL_2D": _pool("AVERAGE_POOL_2D"),
    "MAX_POOL_2D": _pool("MAX_POOL_2D"),
    "MEAN": _mean,
    "REDUCE_MAX": _reduce_max,
    "ADD": _arithmetic("ADD"),
    "SUB": _arithmetic("SUB"),
    "MUL": _arithmetic("MUL"),
    "PAD": _pad,
    "CONCATENATION": _concatenation,
    "SOFTMAX": _softmax,
    "LOGISTIC": _byte("LOGISTIC", 1 / 256, -128),
    "TANH": _byte("TANH", 1 / 128, 0),
    "RELU": _byte("RELU"),
    "RELU6": _relu6,
    "LEAKY_RELU": _leaky_relu,
    "HARD_SWISH": _byte("HARD_SWISH"),
    "QUANTIZE": _byte("QUANTIZE"),
    "TRANSPOSE": _transpose,
    "STRIDED_SLICE": _strided_slice,
    "SPLIT": _split,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "RESHAPE": _reshape,
    "SLICE": _slice,
    "REVERSE_V2": _reverse,
    "BROADCAST_TO": _broadcast,
    "GATHER": _gather,
    "DEPTH_TO_SPACE": _depth_to_space,
    "SPACE_TO_DEPTH": _space_to_depth,
    "MIRROR_PAD": _mirror_pad,
    "PACK": _pack,
    "UNPACK": _unpack,
    "SPLIT_V": _split_v,
    "ARG_MIN": _arg("ARG_MIN"),
    "ARG_MAX": _arg("ARG_MAX"),
    "DEQUANTIZE": _dequantize,
}
"""What a net is drawn from. The last ones only end a net."""

_ENDS = ("ARG_MIN", "ARG_MAX", "DEQUANTIZE")
_MIDDLE = tuple(kind for kind in KINDS if kind not in _ENDS)


def random_net(seed: int) -> Net:
    """The net of a seed; it has the operator `list(KINDS)[seed % len(KINDS)]`."""
    wanted = list(KINDS)[seed % len(KINDS)]
    for attempt in range(_TRIES):
        net = _drawn(np.random.default_rng((seed, attempt)), wanted)
        if net is not None:
            operations, source, output = net
            kinds = tuple(operation.operator for operation in operations)
            return Net(seed, model_bytes(operations, [source], [output]), kinds, source)
    raise AssertionError(f"no net with {wanted} for seed {seed}")


def _drawn(rng: np.random.Generator, wanted: str) -> tuple[list[Operation], Tensor, Tensor] | None:
    net = _Drawing(rng)
    shape = net.pick(
        [
            (1, net.between(1, 12), net.between(1, 12), net.between(1, 8)),
            (1, net.between(1, 12), net.between(1, 12), net.between(1, 8)),
            (1, net.between(1, 20), net.between(1, 8)),
            (1, net.between(1, 40)),
        ]
    )
    source = x = net.int8(shape)
    if net.chance(0.15):
        source = net.pick([Tensor(shape, "float32"), Tensor(shape, "uint8", 0.05, 128)])
        net.add("QUANTIZE", [source], x)
    else:
        net.made.append(x)
    plan = [net.pick(_MIDDLE) for _ in range(net.between(0, _MOST_OPERATORS - 1))]
    plan.insert(net.between(0, len(plan)), wanted)
    if wanted in _ENDS:
        plan.remove(wanted)
        plan.append(wanted)
    done = False
    for kind in plan:
        before = len(net.operations), len(net.made)
        y = KINDS[kind](net, x)
        if y is None or np.prod(y.shape) > _MOST_ELEMENTS:
            del net.operations[before[0] :], net.made[before[1] :]
            continue
        done = done or kind == wanted
        x = y
    return (net.operations, source, x) if done else None
