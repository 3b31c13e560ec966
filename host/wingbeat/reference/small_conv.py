"""Small conv: convolutions of int8 maps whose kernel is short rather than fast.

It does what `Conv2D`, `Dense` and `Depthwise` do, with `SmallScale`. Its kernel multiplies three
outputs at once as that of `Conv2D` does, but in a single stretch: the weights of a channel add up
to at most 8191 without their signs. `small_conv_of` tells whether a layer can be one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError, UsageError

from .conv import (
    MAX_CHANNELS,
    MAX_PATCH,
    WEIGHTS_LIMIT,
    Conv2D,
    Convolution,
    Window,
    pack_blocks,
    unpack_blocks,
)
from .dense import Dense
from .depthwise import Depthwise
from .small_scale import CHANNEL, MAX_SHIFT, SmallScale, make_small_scale

_LAST = struct.Struct("<BbB")
_BLOCK = 4
_PARTS = 3
_MAX_SIZE = 0xFFFF
_MAX_POSITIONS = 0xFFFFF
_INT8 = (-128, 127)


@dataclass(frozen=True, eq=False)
class SmallConv(Convolution):
    """A convolution, over all channels or depthwise.

    Parameters
    ----------
    window : Window
        Without dilation.
    padding : int
        Value outside of the map: the input's zero point.
    weights : array of int8 [out channels, inputs]
        Inputs are kernel height * kernel width * channels; depthwise without the channels, of which
        there are as many then as out channels.
    scale : SmallScale
        Its bias includes what the input's zero point adds.
    depthwise : bool
        Each channel by itself.

    Raises
    ------
    UsageError
        A parameter is out of range.
    """

    window: Window
    padding: int
    weights: NDArray[np.int8]
    scale: SmallScale
    depthwise: bool

    OPCODE: ClassVar[int] = 44
    KERNEL: ClassVar[str] = "conv_small"

    def _problem(self) -> str | None:
        channels, inputs = self.weights.shape
        problem = _window_problem(self.window, channels, self.depthwise)
        if problem is not None:
            return problem
        if not _INT8[0] <= self.padding <= _INT8[1]:
            return f"the padding's value is {self.padding}: expected -128 to 127"
        if inputs != _inputs(self.window, self.depthwise) or channels != self.scale.channels:
            return f"{channels} x {inputs} weights with scales for {self.scale.channels}"
        if np.abs(self.weights.astype(np.int64)).sum(axis=1).max() > WEIGHTS_LIMIT:
            return f"the weights of a channel exceed {WEIGHTS_LIMIT}"
        return None

    def encode(self) -> bytes:
        """Header, scales, weights: see SPEC.md."""
        last = self.depthwise, self.scale.zero_point, self.scale.least
        head = self.encode_layout() + _LAST.pack(*last)
        if self.depthwise:
            weights = self.weights.tobytes()
        else:
            more = _padded(self.weights.shape[1]) - self.weights.shape[1]
            weights = pack_blocks(np.pad(self.weights, [(0, 0), (0, more)]))
        data = head + self.scale.encode() + weights
        return data + bytes(-len(data) % 4)

    @classmethod
    def decode(cls, params: bytes) -> SmallConv:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            The parameters are of the wrong length, or a value is out of range.
        """
        window, channels, padding = cls.decode_layout(params)
        start = cls.LAYOUT_SIZE + _LAST.size
        if len(params) < start:
            raise FormatError(f"small conv: {len(params)} bytes of parameters are too few")
        depthwise, zero_point, least = _LAST.unpack_from(params, cls.LAYOUT_SIZE)
        problem = _window_problem(window, channels, bool(depthwise))
        if problem is None and (depthwise > 1 or least > MAX_SHIFT):
            problem = f"depthwise {depthwise} or the least shift {least} is out of range"
        if problem is not None:
            raise FormatError(f"small conv: {problem}")
        inputs = _inputs(window, bool(depthwise))
        at = start + CHANNEL * channels
        size = channels * inputs
        if not depthwise:
            size = _padded(channels) * _padded(inputs)
        if len(params) != (at + size + 3) // 4 * 4:
            raise FormatError(
                f"small conv: {len(params)} bytes are not those of {channels} channels"
            )
        data = params[at : at + size]
        if depthwise:
            weights = np.frombuffer(data, np.int8).reshape(channels, inputs)
        else:
            weights = unpack_blocks(data, channels, _padded(inputs))[:, :inputs]
        try:
            scale = SmallScale.decode(params[start:at], least, zero_point)
            return cls(window, padding, weights, scale, bool(depthwise))
        except UsageError as error:
            raise FormatError(str(error)) from error

    @property
    def scratch(self) -> tuple[tuple[str, int], ...]:
        """Two words an input: of a patch, rounded up to 4; or of a third of a channel."""
        inputs = _padded(self.weights.shape[1])
        pairs = int(np.prod(_reaches(self.window))) if self.depthwise else inputs
        return (("i", 2 * pairs),)

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """Where a pixel depends on itself alone and does not grow; depthwise on maps of a size."""
        if self.depthwise:
            return ((0, 0),) if self.window.out_shape == self.window.shape[:2] else ()
        return super().in_place

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
        channels, n_inputs = self.weights.shape
        patches = self.window.patches(x, self.padding).astype(np.float64)
        weights = self.weights.T.astype(np.float64)
        # Sums of products of int8 are exact in float64.
        if self.depthwise:
            sums = np.einsum("ptc,tc->pc", patches.reshape(-1, n_inputs, channels), weights)
        else:
            sums = patches.reshape(-1, n_inputs) @ weights
        return (self.scale.apply(sums.astype(np.int64)).reshape(len(x), -1),)


def _inputs(window: Window, depthwise: bool) -> int:
    """Of an output."""
    taps = window.kernel[0] * window.kernel[1]
    return taps if depthwise else window.patch


def _padded(number: int) -> int:
    """A multiple of 4."""
    return -(-number // _BLOCK) * _BLOCK


def _reaches(window: Window) -> tuple[int, int]:
    """Rows that a third of the output's rows look at, and columns that all look at."""
    outputs = (window.out_shape[0] + _PARTS - 1) // _PARTS, window.out_shape[1]
    height, width = (
        (out - 1) * stride + kernel
        for out, stride, kernel in zip(outputs, window.stride, window.kernel, strict=True)
    )
    return height, width


def _window_problem(window: Window, channels: int, depthwise: bool) -> str | None:
    problem = window.problem()
    if problem is not None:
        return problem
    if window.dilation != (1, 1):
        return f"a dilation of {window.dilation}: expected none"
    if not 1 <= channels <= MAX_CHANNELS or _inputs(window, depthwise) > MAX_PATCH:
        return f"{channels} channels of {_inputs(window, depthwise)} weights: out of range"
    height, width = _reaches(window)
    if depthwise and max(height, width) > _MAX_SIZE:
        return f"outputs look at {max(height, width)} positions in a row: at most {_MAX_SIZE}"
    if depthwise and height * width > _MAX_POSITIONS:
        return f"a third of the map is {height} x {width}: at most {_MAX_POSITIONS} positions"
    if depthwise and channels != window.shape[2]:
        return f"{channels} channels from {window.shape[2]}: expected as many"
    return None


def small_conv_of(layer: Conv2D | Dense | Depthwise) -> SmallConv | None:
    """The small form of a layer, with the same output for every input; None if it has none."""
    if isinstance(layer, Conv2D):
        window, padding, weights = layer.window, layer.padding, layer.weights
    elif isinstance(layer, Dense):
        window, padding = Window((1, 1, layer.n_inputs), (1, 1), (1, 1)), 0
        weights = layer.weights
    else:
        if layer.multiplier != 1:
            return None
        window = Window(
            (layer.rows.size, layer.columns.size, layer.channels),
            (layer.rows.out, layer.columns.out),
            (layer.rows.kernel, layer.columns.kernel),
            (layer.rows.stride, layer.columns.stride),
            (layer.rows.dilation, layer.columns.dilation),
            (layer.rows.before, layer.columns.before),
        )
        padding, weights = layer.fill, layer.weights.reshape(-1, layer.channels).T
    wide = weights.astype(np.int64)
    sums = tuple(
        function(wide * _INT8[0], wide * _INT8[1]).sum(axis=1)
        for function in (np.minimum, np.maximum)
    )
    scale = make_small_scale(layer.scale, (sums[0], sums[1]))
    if scale is None:
        return None
    try:
        return SmallConv(window, padding, weights, scale, isinstance(layer, Depthwise))
    except UsageError:
        return None
