"""Depthwise: a convolution of every channel by itself, as TFLite Micro's DEPTHWISE_CONV_2D.

With x the input, continued at its edges by its zero point, and w the weights of output channel
``o``, the sum at an output is ``sum(w[i, j] * x[i, j, o // multiplier])`` over the taps of the
kernel, exact; the scale makes the output of it. `depthwise2d` folds the input's zero point into
the scale.

Kernels cut the map into three parts along its height, or along its width if the layer is
*turned*, and pack a position of each part into two words, so that two products serve three
outputs. SPEC.md, "Depthwise", shows that this is exact. The axis that is cut is the one of the
*lines*, the other one that of the *places* in a line.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.scale import Scale, make_scale
from wingbeat.reference.short_scale import ShortScale, make_short_scale

from .base import BaseOperator

#: Height or width of a map, its positions (also those of a packed part), and output channels.
MAX_SIZE = 65535
MAX_POSITIONS = (1 << 20) - 1
MAX_CHANNELS = 4095

#: Kernel height or width, stride, dilation, multiplier, and positions of padding at one side.
MAX_STEP = 255

#: Sums of weights, without their signs, that may be packed together: sums stay within 2^20.
MAX_PACKED = (1 << 13) - 1

_PARTS = 3
_WORDS = 2  # for a position of the three parts
_LARGEST_INPUT = 128
_INT8 = (-128, 127)
_WIDE = 1

_AXIS = struct.Struct("<HH4B")
_HEAD = struct.Struct("<HBBbBxx")
_HEAD_SIZE = 2 * _AXIS.size + _HEAD.size
_SCALE_HEAD = 4

# What decides which axis is cut, in emulated cycles on a Cortex-M0+, roughly: a tap and what is
# left to do for three outputs, and packing a position.
_TAP, _OUTPUTS, _POSITION = 9, 70, 19


class Axis(NamedTuple):
    """One of the two axes of a layer.

    Parameters
    ----------
    size, out : int
        Positions of the input and of the output.
    kernel, stride, dilation : int
    before : int
        Positions of padding in front of the input. What lies behind it follows from `out`.
    """

    size: int
    out: int
    kernel: int
    stride: int
    dilation: int
    before: int

    def reach(self, outputs: int) -> int:
        """Positions of the input that a number of neighbouring outputs look at."""
        return (outputs - 1) * self.stride + (self.kernel - 1) * self.dilation + 1

    def tap(self, number: int) -> slice:
        """Where all outputs find a tap, in an input that is padded."""
        start = number * self.dilation
        return slice(start, start + (self.out - 1) * self.stride + 1, self.stride)

    def padding(self) -> tuple[int, int]:
        """Positions to add in front of the input and behind it, as far as outputs look there."""
        return self.before, max(self.reach(self.out) - self.before - self.size, 0)

    def problem(self) -> str | None:
        """What is wrong with it."""
        for size in (self.size, self.out):
            if not 1 <= size <= MAX_SIZE:
                return f"a map of {size}: expected 1 to {MAX_SIZE}"
        for step in (self.kernel, self.stride, self.dilation):
            if not 1 <= step <= MAX_STEP:
                return f"a kernel, stride or dilation of {step}: expected 1 to {MAX_STEP}"
        if not 0 <= self.before <= MAX_STEP:
            return f"{self.before} positions of padding: expected 0 to {MAX_STEP}"
        return None


@dataclass(frozen=True, eq=False)
class Depthwise(BaseOperator):
    """A depthwise convolution.

    Parameters
    ----------
    weights : NDArray[int8] [height, width, channels]
        Of the output's channels.
    scale : ShortScale or Scale
        Of the output's channels, with the input's zero point in its bias; a `Scale` in its wide
        form.
    rows, columns : Axis
    multiplier : int
        Output channels for each input channel.
    fill : int
        What lies around the input: its zero point.
    turned : bool
        The map is cut along its width: its columns are the lines.
    group : int
        Lines of the kernel whose sums are packed together.

    Raises
    ------
    UsageError
        A number is out of range.
    """

    weights: NDArray[np.int8]
    scale: ShortScale | Scale
    rows: Axis
    columns: Axis
    multiplier: int
    fill: int
    turned: bool
    group: int

    OPCODE: ClassVar[int] = 37
    KERNEL: ClassVar[str] = "depthwise"

    def _problem(self) -> str | None:
        shape = (self.rows.kernel, self.columns.kernel, self.channels)
        if self.weights.dtype != np.int8 or self.weights.shape != shape:
            return f"weights {self.weights.dtype} {self.weights.shape}: expected int8 {shape}"
        if self.scale.channels != self.channels:
            return f"a scale of {self.scale.channels} channels, not {self.channels}"
        if isinstance(self.scale, Scale) and self.scale.narrow:
            return "a scale in its narrow form: expected the wide or the short one"
        if not _INT8[0] <= self.fill <= _INT8[1]:
            return f"a padding with {self.fill}: expected -128 to 127"
        if not 1 <= self.multiplier <= MAX_STEP or self.channels % self.multiplier:
            return f"{self.channels} channels are no multiple of {self.multiplier}"
        return _problem(*self._axes, self.channels, self.group)

    @property
    def channels(self) -> int:
        """Channels of the output."""
        return int(self.weights.shape[-1])

    @property
    def _axes(self) -> tuple[Axis, Axis]:
        """Of the lines and of the places."""
        return (self.columns, self.rows) if self.turned else (self.rows, self.columns)

    def encode(self) -> bytes:
        """Return the axes, the other numbers, the scale, and the weights channel by channel."""
        axes = b"".join(_AXIS.pack(*axis) for axis in self._axes)
        head = _HEAD.pack(
            self.channels // self.multiplier, self.multiplier, self.turned, self.fill, self.group
        )
        weights = self.weights.transpose((2, 1, 0) if self.turned else (2, 0, 1)).tobytes()
        return axes + head + self.scale.encode() + weights + bytes(-len(weights) % 4)

    @classmethod
    def decode(cls, params: bytes) -> Depthwise:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            The parameters are of the wrong length, or a value is out of range.
        """
        if len(params) < _HEAD_SIZE + _SCALE_HEAD:
            raise FormatError(f"depthwise: {len(params)} bytes of parameters are too few")
        lines, places = (Axis(*_AXIS.unpack_from(params, i * _AXIS.size)) for i in range(2))
        inputs, multiplier, turned, fill, group = _HEAD.unpack_from(params, 2 * _AXIS.size)
        channels = inputs * multiplier
        problem = _problem(lines, places, channels, group)
        if problem is not None or turned > 1:
            raise FormatError(f"depthwise: {problem or 'neither turned nor not'}")
        form = Scale if params[_HEAD_SIZE + 3] == _WIDE else ShortScale
        end = _HEAD_SIZE + form.size(params[_HEAD_SIZE:], channels)
        taps = lines.kernel * places.kernel
        if len(params) != end + (channels * taps + 3) // 4 * 4:
            raise FormatError(
                f"depthwise: {len(params)} bytes of parameters are not those of {channels}"
                f" channels with {taps} taps"
            )
        scale = form.decode(params[_HEAD_SIZE:end], channels)
        weights = np.frombuffer(params, np.int8, channels * taps, end)
        weights = weights.reshape(channels, lines.kernel, places.kernel)
        weights = weights.transpose((2, 1, 0) if turned else (1, 2, 0))
        rows, columns = (places, lines) if turned else (lines, places)
        try:
            return cls(weights, scale, rows, columns, multiplier, fill, bool(turned), group)
        except UsageError as error:
            raise FormatError(str(error)) from error

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the input."""
        return (("b", self.rows.size * self.columns.size * self.channels // self.multiplier),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the output."""
        return (("b", self.rows.out * self.columns.out * self.channels),)

    @property
    def scratch(self) -> tuple[tuple[str, int], ...]:
        """Packed positions of one channel, and its weights as words."""
        lines, places = self._axes
        return (("i", _WORDS * _positions(lines, places) + lines.kernel * places.kernel),)

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """The output over the input, where both have one shape."""
        same = self.rows.size == self.rows.out and self.columns.size == self.columns.out
        return ((0, 0),) if same and self.multiplier == 1 else ()

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Convolve every row.

        Parameters
        ----------
        *inputs : one ndarray of int8, shape [rows, height * width * channels]

        Returns
        -------
        tuple of one ndarray of int8, shape [rows, elements]
        """
        (x,) = inputs
        maps = x.reshape(len(x), self.rows.size, self.columns.size, -1).astype(np.int32)
        padding = ((0, 0), self.rows.padding(), self.columns.padding(), (0, 0))
        padded = np.pad(maps, padding, constant_values=self.fill)
        padded = np.repeat(padded, self.multiplier, axis=-1)
        sums = np.zeros((len(x), self.rows.out, self.columns.out, self.channels), np.int32)
        for i, j in np.ndindex(self.rows.kernel, self.columns.kernel):
            sums += padded[:, self.rows.tap(i), self.columns.tap(j)] * self.weights[i, j]
        return (self.scale.apply(sums.astype(np.int64)).reshape(len(x), -1),)


class Depthwise3x3(Depthwise):
    """A depthwise convolution with a kernel of its own, which is shorter.

    A 3 x 3 kernel without dilation along the places, multiplier 1, and a `ShortScale` that cuts
    negative values, as ReLU does: the output's zero point is -128, its limits are those of int8.
    """

    OPCODE: ClassVar[int] = 42
    KERNEL: ClassVar[str] = "depthwise_3x3"

    def _problem(self) -> str | None:
        return super()._problem() or (None if is_3x3(self) else "no 3 x 3 convolution with ReLU")


def is_3x3(layer: Depthwise) -> bool:
    """Whether `Depthwise3x3` can have these parameters."""
    lines, places = layer._axes
    return (
        (lines.kernel, places.kernel, places.dilation) == (3, 3, 1)
        and (layer.multiplier, layer.group) == (1, 3)
        and isinstance(layer.scale, ShortScale)
        and layer.scale.zero_point == _INT8[0]
        and (layer.scale.low, layer.scale.high) == _INT8
    )


def depthwise2d(
    weights: NDArray[np.int8],
    bias: ArrayLike | None,
    *,
    shape: tuple[int, int, int],
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
    input_zero_point: int,
    factors: ArrayLike,
    output_zero_point: int,
    low: int = _INT8[0],
    high: int = _INT8[1],
) -> Depthwise:
    """A layer with TFLite's numbers, a `Depthwise3x3` where it can be one.

    Parameters
    ----------
    weights : NDArray[int8] [kernel height, kernel width, channels]
        As in a .tflite file. A multiple of the input's channels.
    bias : array of int32 [channels] or None
    shape : tuple of int
        Height, width and channels of the input.
    stride, dilation : tuple of int
        Vertical and horizontal.
    padding : tuple of pairs of int
        Rows above and below the input, columns on its left and right.
    input_zero_point, output_zero_point : int
        Within int8.
    factors : array of float64 [channels], or one float64
        Input scale times weight scale over output scale.
    low, high : int
        Limits of the output, those of the activation.

    Raises
    ------
    UsageError
        The shapes do not fit, or a number is out of range.
    """
    channels = int(weights.shape[-1])
    rows, columns = _axes(weights.shape, shape, stride, dilation, padding)
    if channels % shape[2]:
        raise UsageError(f"depthwise: {channels} channels from {shape[2]}: expected a multiple")
    taps = weights.reshape(-1, channels).astype(np.int64)
    biases = np.zeros(channels, np.int64) if bias is None else np.asarray(bias, np.int64)
    biases = biases - input_zero_point * taps.sum(axis=0)
    real = np.broadcast_to(np.asarray(factors, np.float64), channels)
    limits = np.stack([taps * _INT8[0], taps * _INT8[1]])
    sums = limits.min(axis=0).sum(axis=0), limits.max(axis=0).sum(axis=0)
    short = make_short_scale(biases, real, output_zero_point, low, high, sums)
    layer = Depthwise(
        weights,
        short or make_wide_scale(biases, real, output_zero_point, low, high, sums),
        rows,
        columns,
        channels // shape[2],
        input_zero_point,
        _cycles(columns, rows) < _cycles(rows, columns),
        1,
    )
    layer = replace(layer, group=_group(layer))
    return Depthwise3x3(**vars(layer)) if is_3x3(layer) else layer


def make_wide_scale(
    bias: NDArray[np.int64],
    factors: NDArray[np.float64],
    zero_point: int,
    low: int,
    high: int,
    sums: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> Scale:
    """The wide form for channels with these smallest and largest sums."""
    scale = make_scale(bias, factors, zero_point, low, high, np.maximum(-sums[0], sums[1]))
    return replace(scale, narrow=False)


def _axes(
    kernel: tuple[int, ...],
    shape: tuple[int, int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: tuple[tuple[int, int], tuple[int, int]],
) -> Iterator[Axis]:
    for i in range(2):
        before, behind = padding[i]
        extent = (kernel[i] - 1) * dilation[i] + 1
        out = (shape[i] + before + behind - extent) // stride[i] + 1
        numbers = shape[i], out, kernel[i], stride[i], dilation[i], before
        yield Axis(*(int(number) for number in numbers))


def _part(lines: Axis) -> int:
    """Output lines in each of the three parts; parts may overlap."""
    return (lines.out + _PARTS - 1) // _PARTS


def _positions(lines: Axis, places: Axis) -> int:
    """Positions that are packed for a channel."""
    return lines.reach(_part(lines)) * places.reach(places.out)


def _cycles(lines: Axis, places: Axis) -> int:
    """What a channel costs with this cut."""
    taps = lines.kernel * places.kernel
    packing = _POSITION * lines.reach(_part(lines)) * min(places.size, places.reach(places.out))
    return _part(lines) * places.out * (_TAP * taps + _OUTPUTS) + packing


def _group(layer: Depthwise) -> int:
    """The most lines of the kernel whose sums can be packed together, over all channels."""
    axis = 1 if layer.turned else 0
    sums = np.abs(layer.weights.astype(np.int64)).sum(axis=1 - axis)
    for group in range(len(sums), 0, -1):
        starts = range(0, len(sums), group)
        if max(int(sums[i : i + group].sum(axis=0).max()) for i in starts) <= MAX_PACKED:
            return group
    raise UsageError(
        f"depthwise: the weights in a line of the kernel add up to more than {MAX_PACKED}: use a"
        " smaller kernel"
    )


def _problem(lines: Axis, places: Axis, channels: int, group: int) -> str | None:
    problem = lines.problem() or places.problem()
    if problem is not None:
        return problem
    if not 1 <= channels <= MAX_CHANNELS:
        return f"{channels} channels: expected 1 to {MAX_CHANNELS}"
    if not 1 <= group <= lines.kernel:
        return f"{group} lines packed together: expected 1 to {lines.kernel}"
    reaches = lines.reach(_part(lines)), places.reach(places.out)
    if max(reaches) > MAX_SIZE:
        return f"outputs look at {max(reaches)} positions in a row: expected {MAX_SIZE} at most"
    for height, width in ((lines.size, places.size), (lines.out, places.out), reaches):
        if height * width > MAX_POSITIONS:
            return f"a map of {height} x {width}: expected {MAX_POSITIONS} positions at most"
    return None
