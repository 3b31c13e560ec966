"""Conv2D: the convolution of int8 maps, TFLite's CONV_2D as TFLite Micro computes it.

For each output pixel, the inputs under the kernel (rows, columns, channels; the padding's value
where the kernel hangs over the edge) form a patch of ``K`` values. Each output channel is the sum
of the patch times the channel's weights, then `Scale`.

The kernel multiplies three pixels at once: it packs ``x0 + x1 2^21`` and ``x2 + x1 2^11`` into two
words, both modulo 2^32, and multiplies each by a weight. As long as none of the three sums exceeds
2^20 in size, all three can be read from the two accumulators. So the patch is cut into *stretches*
of inputs, in each of which the weights of a channel add up to at most 8191 without their signs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.scale import Scale, make_scale

from .base import BaseOperator

MAX_PATCH = 65535
MAX_PIXELS = 65535
MAX_CHANNELS = 16384
MAX_STRETCHES = 255
MAX_KERNEL = 255
WEIGHTS_LIMIT = 8191
"""Sum of the weights of a channel within a stretch, without their signs."""

_LAYOUT = struct.Struct("<8H6Bb")
_STRETCHES = struct.Struct("<B")
_BLOCK = 4
_OFFSET = 128


@dataclass(frozen=True)
class Window:
    """Where a kernel lies on a map: what convolutions and pools share.

    Attributes
    ----------
    shape : tuple of int
        Height, width and channels of the input.
    out_shape : tuple of int
        Height and width of the output.
    kernel, stride, dilation : tuple of int
        Vertical and horizontal.
    corner : tuple of int
        Padding above and on the left. What hangs over below and on the right follows.
    """

    shape: tuple[int, int, int]
    out_shape: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    corner: tuple[int, int] = (0, 0)

    def problem(self) -> str | None:
        """Why there is no such window, or None."""
        (height, width, channels), (rows, columns) = self.shape, self.out_shape
        if min(height, width, rows, columns) < 1 or max(height, width, rows, columns) > MAX_PIXELS:
            return f"a map of {height} x {width} to {rows} x {columns}: expected 1 or more of each"
        if height * width > MAX_PIXELS or rows * columns > MAX_PIXELS:
            return f"a map has at most {MAX_PIXELS} pixels"
        if not 1 <= channels <= MAX_CHANNELS:
            return f"a map has 1 to {MAX_CHANNELS} channels, not {channels}"
        for each in (*self.kernel, *self.stride, *self.dilation):
            if not 1 <= each <= MAX_KERNEL:
                return f"kernels, strides and dilations are 1 to {MAX_KERNEL}, not {each}"
        if not all(0 <= each <= MAX_PIXELS for each in self.corner):
            return f"padding is 0 to {MAX_PIXELS}, not {self.corner}"
        return None

    @property
    def patch(self) -> int:
        """Inputs under the kernel."""
        return self.kernel[0] * self.kernel[1] * self.shape[2]

    @property
    def overhangs(self) -> bool:
        """Whether the kernel reaches outside of the map anywhere."""
        return any(self.corner) or any(
            (out - 1) * stride + (kernel - 1) * dilation - corner >= size
            for out, stride, kernel, dilation, corner, size in zip(
                self.out_shape,
                self.stride,
                self.kernel,
                self.dilation,
                self.corner,
                self.shape[:2],
                strict=True,
            )
        )

    @property
    def is_pointwise(self) -> bool:
        """Whether each output pixel depends on the input pixel at its place alone."""
        return (
            self.kernel == (1, 1)
            and self.stride == (1, 1)
            and self.corner == (0, 0)
            and self.out_shape == self.shape[:2]
        )

    def patches(self, x: NDArray[np.int8], padding: int) -> NDArray[np.int8]:
        """What lies under the kernel.

        Parameters
        ----------
        x : array of int8 [n, height * width * channels]
        padding : int
            What lies outside of the map.

        Returns
        -------
        array of int8 [n, rows, columns, kernel height, kernel width, channels]
        """
        maps = x.reshape(-1, *self.shape)
        axes = [_taps(self, axis) for axis in (0, 1)]
        size = [max(int(taps.max()) + 1, 0) for taps in axes]
        low = [max(-int(taps.min()), 0) for taps in axes]
        wide = [(low[i], max(size[i] - self.shape[i], 0)) for i in (0, 1)]
        padded = np.pad(maps, [(0, 0), *wide, (0, 0)], constant_values=padding)
        rows, columns = (axes[i] + low[i] for i in (0, 1))
        taken = padded[:, rows][:, :, :, columns]
        return np.asarray(taken.transpose(0, 1, 3, 2, 4, 5))


def _taps(window: Window, axis: int) -> NDArray[np.intp]:
    """Index of the input under each tap: [outputs, taps]."""
    starts = np.arange(window.out_shape[axis]) * window.stride[axis] - window.corner[axis]
    return starts[:, None] + np.arange(window.kernel[axis]) * window.dilation[axis]


def output_size(
    size: int, kernel: int, stride: int, dilation: int, padding: tuple[int, int]
) -> int:
    """Outputs along an axis.

    Parameters
    ----------
    padding : tuple of int
        In front and behind.
    """
    return (size + sum(padding) - ((kernel - 1) * dilation + 1)) // stride + 1


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """TFLite's padding SAME along an axis, in front and behind."""
    out = -(-size // stride)
    total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


class Convolution(BaseOperator):
    """What convolutions of int8 maps share, whatever the form of their weights and last steps.

    Attributes
    ----------
    window : Window
    padding : int
        Value outside of the map: the input's zero point.
    weights : array [out channels, inputs]
    """

    window: Window
    padding: int
    weights: NDArray[Any]

    LAYOUT_SIZE: ClassVar[int] = _LAYOUT.size

    @property
    def patch(self) -> int:
        """Inputs under the kernel."""
        return self.window.patch

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """int8, the map."""
        return (("b", int(np.prod(self.window.shape))),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """int8, the map."""
        return (("b", int(np.prod(self.window.out_shape)) * len(self.weights)),)

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """Where a pixel depends on itself alone and does not grow."""
        if self.window.is_pointwise and len(self.weights) <= self.window.shape[2]:
            return ((0, 0),)
        return ()

    def encode_layout(self) -> bytes:
        """The window, out channels and padding, with which the parameters begin; see SPEC.md."""
        window = self.window
        return _LAYOUT.pack(
            *(*window.shape, *window.out_shape, len(self.weights), *window.corner),
            *(*window.kernel, *window.stride, *window.dilation, self.padding),
        )

    @classmethod
    def decode_layout(cls, params: bytes) -> tuple[Window, int, int]:
        """Read what `encode_layout` wrote: the window, out channels and padding.

        Raises
        ------
        FormatError
            There are too few bytes. Values are not checked.
        """
        if len(params) < _LAYOUT.size:
            raise FormatError(f"{cls.KERNEL}: {len(params)} bytes of parameters are too few")
        height, width, depth, rows, columns, channels, top, left, *others, padding = (
            _LAYOUT.unpack_from(params)
        )
        kernel, stride, dilation = ((others[i], others[i + 1]) for i in (0, 2, 4))
        window = Window(
            (height, width, depth), (rows, columns), kernel, stride, dilation, (top, left)
        )
        return window, channels, padding


@dataclass(frozen=True, eq=False)
class Conv2D(Convolution):
    """Convolution of an int8 map.

    Parameters
    ----------
    window : Window
    padding : int
        Value outside of the map: the input's zero point.
    weights : array of int8 [out channels, kernel height * kernel width * channels]
    scale : Scale
        Its bias includes what the input's zero point adds.
    stretches : tuple of int
        Numbers of inputs, see above; they add up to the inputs of a patch.

    Raises
    ------
    UsageError
        A parameter is out of range.
    """

    window: Window
    padding: int
    weights: NDArray[np.int8]
    scale: Scale
    stretches: tuple[int, ...] = field(default=())

    OPCODE: ClassVar[int] = 36
    KERNEL: ClassVar[str] = "conv"

    def __post_init__(self) -> None:
        if not self.stretches:
            object.__setattr__(self, "stretches", find_stretches(self.weights))
        super().__post_init__()

    def _problem(self) -> str | None:
        problem = self.window.problem()
        if problem is not None:
            return problem
        if not -128 <= self.padding <= 127:
            return f"the padding's value is {self.padding}: expected -128 to 127"
        channels, patch = self.weights.shape
        if patch != self.patch or not 1 <= patch <= MAX_PATCH:
            return f"{patch} weights a channel, where the patch has {self.patch}"
        if not 1 <= channels <= MAX_CHANNELS or channels != self.scale.channels:
            return f"{channels} channels with scales for {self.scale.channels}"
        return _stretch_problem(self.weights, self.stretches)

    def encode(self) -> bytes:
        """Header, stretches, weights in blocks of four channels, scale: see SPEC.md."""
        head = self.encode_layout() + _STRETCHES.pack(len(self.stretches))
        stretches = np.array(self.stretches, "<u2").tobytes()
        blocks = pack_blocks(self.weights)
        return head + stretches + bytes(-len(stretches) % 4) + blocks + self.scale.encode()

    @classmethod
    def decode(cls, params: bytes) -> Conv2D:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            The parameters are of the wrong length, or a value is out of range.
        """
        window, channels, padding = cls.decode_layout(params)
        at = cls.LAYOUT_SIZE + _STRETCHES.size
        if len(params) < at:
            raise FormatError(f"conv: {len(params)} bytes of parameters are too few")
        (n,) = _STRETCHES.unpack_from(params, cls.LAYOUT_SIZE)
        problem = window.problem()
        patch = window.patch
        if problem is None and not (1 <= patch <= MAX_PATCH and 1 <= channels <= MAX_CHANNELS):
            problem = f"{channels} channels of {patch} weights: out of range"
        if problem is not None:
            raise FormatError(f"conv: {problem}")
        stretches = np.frombuffer(params[at : at + 2 * n], "<u2")
        at += (2 * n + 3) & ~3
        size = -(-channels // _BLOCK) * _BLOCK * patch
        if len(params) < at + size + 4:
            raise FormatError(f"conv: {len(params)} bytes of parameters are too few")
        if len(stretches) == 0 or stretches.min() == 0 or int(stretches.sum(dtype=int)) != patch:
            raise FormatError("conv: the stretches do not add up to a patch")
        weights = unpack_blocks(params[at : at + size], channels, patch)
        scale = Scale.decode(params[at + size :], channels)
        try:
            return cls(window, padding, weights, scale, tuple(stretches.tolist()))
        except UsageError as error:
            raise FormatError(str(error)) from error

    @property
    def scratch(self) -> tuple[tuple[str, int], ...]:
        """Two words an input of the patch and a stretch; four patches where some are copied."""
        words = 2 * (self.patch + len(self.stretches))
        if self.window.overhangs or self.window.dilation[1] != 1:
            words += 4 * -(-self.patch // 4)
        return (("i", words),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Convolve every row.

        Parameters
        ----------
        *inputs : one ndarray of int8, shape [rows, height * width * channels]

        Returns
        -------
        tuple of one ndarray of int8, shape [rows, out height * out width * out channels]
        """
        (x,) = inputs
        patches = self.window.patches(x, self.padding).reshape(-1, self.patch)
        # Sums of products of int8 are exact in float64, and BLAS is fast with it.
        sums = patches.astype(np.float64) @ self.weights.T.astype(np.float64)
        return (self.scale.apply(sums.astype(np.int64)).reshape(len(x), -1),)


def conv2d(
    weights: NDArray[np.int8],
    bias: ArrayLike,
    *,
    shape: tuple[int, int, int],
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
    input_zero_point: int,
    factors: ArrayLike,
    output_zero_point: int,
    low: int = -128,
    high: int = 127,
) -> Conv2D:
    """The convolution with TFLite's parameters.

    Parameters
    ----------
    weights : array of int8 [out channels, kernel height, kernel width, channels]
    bias : array of int32 [out channels]
    shape : tuple of int
        Height, width and channels of the input.
    stride, dilation : tuple of int
        Vertical and horizontal.
    padding : tuple of tuple of int
        Above and below, left and right.
    input_zero_point : int
    factors : array of float64 [out channels]
        Input scale times weight scale over output scale.
    output_zero_point, low, high : int
        `low` and `high` are the activation's limits, as int8.

    Raises
    ------
    UsageError
        Something is out of range.
    """
    channels, *kernel, in_channels = weights.shape
    if in_channels != shape[2]:
        raise UsageError(f"conv: weights for {in_channels} channels, the input has {shape[2]}")
    out_shape = [
        output_size(shape[i], kernel[i], stride[i], dilation[i], padding[i]) for i in (0, 1)
    ]
    window = Window(
        shape,
        (out_shape[0], out_shape[1]),
        (kernel[0], kernel[1]),
        stride,
        dilation,
        (padding[0][0], padding[1][0]),
    )
    flat = weights.reshape(channels, -1)
    scale = scale_of(flat, bias, factors, input_zero_point, output_zero_point, low, high)
    return Conv2D(window, input_zero_point, flat, scale)


def scale_of(
    weights: NDArray[np.int8],
    bias: ArrayLike,
    factors: ArrayLike,
    input_zero_point: int,
    output_zero_point: int,
    low: int,
    high: int,
) -> Scale:
    """The scale of sums of products, with the input's zero point folded into the bias.

    Parameters
    ----------
    weights : array of int8 [out channels, inputs]
    """
    wide = weights.astype(np.int64)
    folded = np.asarray(bias, np.int64) - input_zero_point * wide.sum(axis=1)
    largest = 128 * np.abs(wide).sum(axis=1)
    return make_scale(folded, factors, output_zero_point, low, high, largest)


def find_stretches(weights: NDArray[np.int8]) -> tuple[int, ...]:
    """The fewest stretches whose weights stay within `WEIGHTS_LIMIT` for every channel."""
    sizes = np.abs(weights.astype(np.int64))
    total = sizes.cumsum(axis=1)
    stretches, start = [], 0
    while start < weights.shape[1]:
        before = total[:, start - 1 : start] if start else np.zeros((1, 1), np.int64)
        fits = np.all(total[:, start:] - before <= WEIGHTS_LIMIT, axis=0)
        length = len(fits) if fits.all() else int(np.argmin(fits))
        stretches.append(length)
        start += length
    return tuple(stretches)


def _stretch_problem(weights: NDArray[np.int8], stretches: tuple[int, ...]) -> str | None:
    if not 1 <= len(stretches) <= MAX_STRETCHES:
        return f"{len(stretches)} stretches, expected 1 to {MAX_STRETCHES}: weights are too large"
    if min(stretches) < 1 or sum(stretches) != weights.shape[1]:
        return "the stretches do not add up to a patch"
    starts = np.cumsum((0, *stretches[:-1]))
    sums = np.add.reduceat(np.abs(weights.astype(np.int64)), starts, axis=1)
    if sums.max() > WEIGHTS_LIMIT:
        return f"the weights of a stretch exceed {WEIGHTS_LIMIT}"
    return None


def pack_blocks(weights: NDArray[np.int8]) -> bytes:
    """Weights plus 128 as uint8 [block of four channels, input, channel]."""
    channels, inputs = weights.shape
    padded = np.zeros((-(-channels // _BLOCK) * _BLOCK, inputs), np.int16)
    padded[:channels] = weights
    blocks = (padded + _OFFSET).reshape(-1, _BLOCK, inputs).transpose(0, 2, 1)
    return blocks.astype(np.uint8).tobytes()


def unpack_blocks(data: bytes, channels: int, inputs: int) -> NDArray[np.int8]:
    """What `pack_blocks` packed: int8 [channels, inputs]."""
    blocks = np.frombuffer(data, np.uint8).reshape(-1, inputs, _BLOCK).astype(np.int16) - _OFFSET
    return blocks.transpose(0, 2, 1).reshape(-1, inputs)[:channels].astype(np.int8)
