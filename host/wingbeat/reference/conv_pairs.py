"""Conv2D with weights of 16 bits: the same numbers, for processors that multiply halves of words.

A `Conv2D` made so has weights twice as large: a sum is then twice what it was, and the high half
of its product with a mantissa is what TFLite's doubling product gives. Bias, zero point and the
last rounding are numbers of the channel, so that a kernel adds and shifts, and no more.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError, UsageError

from .conv import MAX_CHANNELS, MAX_PATCH, Conv2D, Convolution, Window

MAX_SHIFT = 31
_LAST = struct.Struct("<2BbbB")
_CHANNELS = 2  # of a record
_INPUTS = 4  # that two words hold
_ORDER = (0, 2, 1, 3)
"""Of these inputs in the two words."""
_OFFSETS = 1 << 31


@dataclass(frozen=True, eq=False)
class ConvPairs(Convolution):
    """Convolution of an int8 map with wide weights.

    With s the sum of a patch times a channel's weights and its bias, modulo 2^32 and signed, and
    h = floor((s * mantissa + 2^31) / 2^32), less 1 if that is negative and `away`: the output is
    floor((h + offset) / 2^shift), within the limits.

    Parameters
    ----------
    window : Window
    padding : int
        Value outside of the map: the input's zero point.
    weights : array of int16 [out channels, kernel height * kernel width * channels]
        An even number of channels.
    bias, mantissa, offset : array of int32 [out channels]
    shift : array of int32 [out channels]
        0 to 31.
    away : bool
        Ties are rounded away from 0.
    low, high : int
        Limits of the output, within int8.

    Raises
    ------
    UsageError
        A parameter is out of range.
    """

    window: Window
    padding: int
    weights: NDArray[np.int16]
    bias: NDArray[np.int32]
    mantissa: NDArray[np.int32]
    offset: NDArray[np.int32]
    shift: NDArray[np.int32]
    away: bool
    low: int
    high: int

    OPCODE: ClassVar[int] = 39
    KERNEL: ClassVar[str] = "conv_pairs"

    def _problem(self) -> str | None:
        problem = self.window.problem()
        if problem is not None:
            return problem
        if not -128 <= self.padding <= 127:
            return f"the padding's value is {self.padding}: expected -128 to 127"
        channels, patch = self.weights.shape
        if patch != self.patch or not 1 <= patch <= MAX_PATCH:
            return f"{patch} weights a channel, where the patch has {self.patch}"
        if not 1 <= channels <= MAX_CHANNELS or channels % _CHANNELS:
            return f"{channels} channels: expected an even number, {MAX_CHANNELS} at most"
        if any(len(each) != channels for each in self._numbers):
            return f"numbers that are not those of {channels} channels"
        if np.any((self.shift < 0) | (self.shift > MAX_SHIFT)):
            return f"shifts are 0 to {MAX_SHIFT}"
        if not -128 <= self.low <= self.high <= 127:
            return f"the output's limits are {self.low} to {self.high}: expected -128 to 127"
        return None

    @property
    def _numbers(self) -> tuple[NDArray[np.int32], ...]:
        return self.bias, self.mantissa, self.offset, self.shift

    def encode(self) -> bytes:
        """Header, then records of two channels: bias, weights, last steps; see SPEC.md."""
        head = self.encode_layout() + _LAST.pack(0, self.away, self.low, self.high, 0)
        inputs = _rounded(self.patch)
        padded = np.zeros((len(self.weights), inputs), "<i2")
        padded[:, : self.patch] = self.weights
        words = padded.reshape(-1, _CHANNELS, inputs // _INPUTS, _INPUTS)[..., _ORDER]
        words = words.reshape(-1, _CHANNELS, inputs // 2, 2).transpose(0, 2, 1, 3)
        steps = np.stack([self.mantissa, self.offset, self.shift], axis=1).astype("<i4")
        records = zip(self.bias.astype("<i4").reshape(-1, _CHANNELS), words, strict=True)
        return head + b"".join(
            bias.tobytes() + weights.tobytes() + steps[2 * i : 2 * i + 2].tobytes()
            for i, (bias, weights) in enumerate(records)
        )

    @classmethod
    def decode(cls, params: bytes) -> ConvPairs:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            The parameters are of the wrong length, or a value is out of range.
        """
        window, channels, padding = cls.decode_layout(params)
        at = cls.LAYOUT_SIZE + _LAST.size
        if len(params) < at:
            raise FormatError(f"conv_pairs: {len(params)} bytes of parameters are too few")
        none, away, low, high, reserved = _LAST.unpack_from(params, cls.LAYOUT_SIZE)
        problem = window.problem()
        patch = window.patch
        if problem is None and not (1 <= patch <= MAX_PATCH and 1 <= channels <= MAX_CHANNELS):
            problem = f"{channels} channels of {patch} weights: out of range"
        if problem is None and (none or reserved or away > 1 or channels % _CHANNELS):
            problem = "a field is out of range"
        inputs = _rounded(patch)
        size = (4 + 2 * inputs + 12) * _CHANNELS
        if problem is None and len(params) != at + channels // _CHANNELS * size:
            problem = f"{len(params)} bytes of parameters for {channels} channels of {patch}"
        if problem is not None:
            raise FormatError(f"conv_pairs: {problem}")
        records = np.frombuffer(params, np.uint8, offset=at).reshape(-1, size)
        weights_end = 8 + 4 * inputs
        words = np.ascontiguousarray(records[:, 8:weights_end]).view("<i2")
        words = words.reshape(-1, inputs // 2, _CHANNELS, 2).transpose(0, 2, 1, 3)
        weights = words.reshape(channels, -1, _INPUTS)[..., np.argsort(_ORDER)]
        bias = np.ascontiguousarray(records[:, :8]).view("<i4").ravel()
        steps = np.ascontiguousarray(records[:, weights_end:]).view("<i4").reshape(channels, 3)
        mantissa, offset, shift = (each.astype(np.int32) for each in steps.T)
        try:
            return cls(
                window,
                padding,
                weights.reshape(channels, inputs)[:, :patch].astype(np.int16),
                bias.astype(np.int32),
                mantissa,
                offset,
                shift,
                bool(away),
                low,
                high,
            )
        except UsageError as error:
            raise FormatError(str(error)) from error

    @property
    def scratch(self) -> tuple[tuple[str, int], ...]:
        """Two words an input of the patch; a third one if patches are copied."""
        window = self.window
        copies = window.overhangs or window.dilation[1] != 1 or window.shape[2] % _INPUTS != 0
        return (("i", _rounded(self.patch) * (3 if copies else 2)),)

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
        # Sums of products of int8 and int16 are exact in float64, and BLAS is fast with it.
        products = patches.astype(np.float64) @ self.weights.T.astype(np.float64)
        sums = (products.astype(np.int64) + self.bias).astype(np.int32).astype(np.int64)
        values = (sums * self.mantissa + (1 << 31)) >> 32
        values -= (values < 0) & self.away
        values = (values + self.offset).astype(np.int32) >> self.shift
        return (np.clip(values, self.low, self.high).astype(np.int8).reshape(len(x), -1),)


def conv_pairs(conv: Conv2D) -> ConvPairs | None:
    """The same convolution with wide weights; None if its numbers do not fit.

    Sums are those of the narrow form of `Scale`, times two. Ties matter below 0 only, so not where
    the limits cut what is below the zero point.
    """
    scale = conv.scale
    shift = -1 - scale.exponent.astype(np.int64)
    offset = (2 * scale.zero_point + 1) << shift
    if not scale.narrow or len(conv.weights) % _CHANNELS or np.abs(offset).max() >= _OFFSETS / 2:
        return None
    return ConvPairs(
        conv.window,
        conv.padding,
        (2 * conv.weights.astype(np.int16)).astype(np.int16),
        (2 * scale.bias).astype(np.int32),
        scale.mantissa,
        offset.astype(np.int32),
        (shift + 1).astype(np.int32),
        scale.low < scale.zero_point,
        scale.low,
        scale.high,
    )


def _rounded(inputs: int) -> int:
    return -(-inputs // _INPUTS) * _INPUTS
