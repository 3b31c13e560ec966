"""Downscale: means over blocks of a part of a picture, of its channels, grey or RGB565.

Of a picture [rows, columns, channels], ``row_factor`` x ``column_factor`` pixels make one pixel of
the output. With the sum S of a channel over a block and n pixels in it:

==================  ======================================================
a channel of bytes  s = S
grey of RGB         s = (306 R + 601 G + 117 B + 512) >> 10
RGB of RGB565       s = (w S + 512) >> 10, w = 8423 for red and blue, 4145 for green
grey of RGB565      s = (2518 R + 2433 G + 960 B + 512) >> 10
==================  ======================================================

``y = (s + floor(n / 2)) * (floor(2^24 / n) + 1) >> 24``. That is s / n, rounded to nearest, as long
as n < 256, and differs from it by 1 at most otherwise. Grey is the luma of ITU-R BT.601
(0.299 R + 0.587 G + 0.114 B); with 5 and 6 bits as shares of 31 and 63. Crop is a downscale by 1.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import UsageError

from .signal_operator import SignalOperator

MAX_SIDE = 2047
MAX_CHANNELS = 4
MAX_FACTOR = 32
RGB = 3

_STRUCT = struct.Struct("<6H6B2x")
_SHIFT = 10
_GREY_OF_RGB = (306, 601, 117)
_GREY_OF_565 = (2518, 2433, 960)
_RGB_OF_565 = (8423, 4145, 8423)


class Pixels(enum.IntEnum):
    """How a picture lies in memory."""

    BYTES = 0
    """uint8 [rows, columns, channels]"""
    RGB565 = 1
    """uint16 [rows, columns]: red in the upper 5 bits, blue in the lower 5."""
    RGB565_SWAPPED = 2
    """The same with the upper byte first, as most cameras send it."""


@dataclass(frozen=True)
class Downscale(SignalOperator):
    """Part of a picture, smaller, perhaps grey.

    Parameters
    ----------
    size : tuple of int
        Rows and columns of the input, 1 to 2047.
    corner : tuple of int
        First row and column that are used.
    out_size : tuple of int
        Rows and columns of the output; times the factors within the input.
    factors : tuple of int
        Rows and columns of a block, 1 to 32.
    pixels : Pixels
    channels : int
        Of the input, 1 to 4; 3 for RGB565.
    first, out_channels : int
        First channel that is used, and how many; 0 and 3 for RGB565.
    grey : bool
        One channel is made of all 3; first and out_channels are 0 and 1.
    """

    size: tuple[int, int]
    corner: tuple[int, int]
    out_size: tuple[int, int]
    factors: tuple[int, int] = (1, 1)
    pixels: Pixels = Pixels.BYTES
    channels: int = 1
    first: int = 0
    out_channels: int = 1
    grey: bool = False

    OPCODE: ClassVar[int] = 120
    KERNEL: ClassVar[str] = "downscale"

    def _problem(self) -> str | None:
        if not all(1 <= side <= MAX_SIDE for side in self.size):
            return f"a picture has 1 to {MAX_SIDE} rows and columns, not {self.size}"
        if not all(1 <= factor <= MAX_FACTOR for factor in self.factors):
            return f"a block has 1 to {MAX_FACTOR} rows and columns, not {self.factors}"
        for at, count, factor, side in zip(
            self.corner, self.out_size, self.factors, self.size, strict=True
        ):
            if at < 0 or count < 1 or at + count * factor > side:
                return (
                    f"{self.out_size} blocks of {self.factors} from {self.corner} do not lie in a"
                    f" picture of {self.size}"
                )
        return self._problem_of_channels()

    def _problem_of_channels(self) -> str | None:
        if self.pixels not in Pixels.__members__.values():
            return f"pixels of kind {self.pixels!r}: expected 0, 1 or 2"
        rgb = self.pixels is not Pixels.BYTES
        if not 1 <= self.channels <= MAX_CHANNELS or (rgb and self.channels != RGB):
            return f"a picture has 1 to {MAX_CHANNELS} channels, RGB565 {RGB}; not {self.channels}"
        if self.grey not in (False, True):
            return f"grey is 0 or 1, not {self.grey}"
        if self.grey:
            ok = (self.channels, self.first, self.out_channels) == (RGB, 0, 1)
            return None if ok else f"grey takes {RGB} channels and gives 1"
        if self.first < 0 or self.out_channels < 1:
            return "no channel is used"
        if self.first + self.out_channels > self.channels:
            return f"channels {self.first} + {self.out_channels} of {self.channels}"
        if rgb and self.out_channels != RGB:
            return f"RGB565 gives grey or {RGB} channels"
        return None

    def then(self, behind: Downscale) -> Downscale | None:
        """One operator for this one and one behind it, rounded once; None if there is none.

        Parameters
        ----------
        behind : Downscale
            Takes what this one gives.
        """
        (high, wide), (top, left) = self.factors, self.corner
        factors = high * behind.factors[0], wide * behind.factors[1]
        first, count = self.first + behind.first, behind.out_channels
        if behind.grey and (self.channels, self.first, self.out_channels) != (RGB, 0, RGB):
            return None
        if max(factors) > MAX_FACTOR or (
            self.pixels is not Pixels.BYTES and count != RGB and not (self.grey or behind.grey)
        ):
            return None
        return Downscale(
            self.size,
            (top + behind.corner[0] * high, left + behind.corner[1] * wide),
            behind.out_size,
            factors,
            self.pixels,
            self.channels,
            first,
            count,
            self.grey or behind.grey,
        )

    def encode(self) -> bytes:
        """Return u16 size[2], corner[2], out_size[2], u8 factors[2], pixels, channels, ..."""
        return _STRUCT.pack(
            *self.size,
            *self.corner,
            *self.out_size,
            *self.factors,
            self.pixels,
            self.channels,
            self.first,
            self.out_channels | self.grey << 7,
        )

    @classmethod
    def _read(cls, params: bytes) -> Downscale:
        *numbers, pixels, channels, first, out = _STRUCT.unpack(params)
        size, corner, out_size, factors = zip(numbers[:8:2], numbers[1:8:2], strict=True)
        kind, grey = Pixels(pixels), bool(out >> 7)
        return cls(size, corner, out_size, factors, kind, channels, first, out & 0x7F, grey)

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the picture."""
        rows, columns = self.size
        if self.pixels is Pixels.BYTES:
            return (("B", rows * columns * self.channels),)
        return (("H", rows * columns),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of [rows, columns, out_channels]."""
        rows, columns = self.out_size
        return (("B", rows * columns * self.out_channels),)

    @property
    def scratch(self) -> tuple[tuple[str, int], ...]:
        """Sums of columns; none for RGB565 or a crop."""
        is_crop = self.factors == (1, 1) and self.out_channels == self.channels
        if self.pixels is not Pixels.BYTES or is_crop:
            return ()
        return (("H", self.out_size[1] * self.factors[1] * self.channels),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        (x,) = inputs
        (top, left), (rows, columns), (high, wide) = self.corner, self.out_size, self.factors
        picture = self._split(x.reshape(len(x), *self.size, -1))
        part = picture[:, top : top + rows * high, left : left + columns * wide]
        blocks = part.reshape(len(x), rows, high, columns, wide, -1)
        sums = self._weighted(blocks.sum(axis=(2, 4), dtype=np.int64))
        n = high * wide
        means = (sums + n // 2) * ((1 << 24) // n + 1) >> 24
        return (means.astype(np.uint8).reshape(len(x), -1),)

    def _split(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Pixels [picture, row, column, channel]."""
        if self.pixels is Pixels.BYTES:
            return picture
        words = picture.byteswap() if self.pixels is Pixels.RGB565_SWAPPED else picture
        return np.concatenate([words >> 11, words >> 5 & 63, words & 31], axis=3)

    def _weighted(self, sums: NDArray[np.int64]) -> NDArray[np.int64]:
        """The sums s [..., out_channels]."""
        is_bytes = self.pixels is Pixels.BYTES
        if self.grey:
            weights = np.array(_GREY_OF_RGB if is_bytes else _GREY_OF_565)
            return _shifted((sums * weights).sum(axis=-1, keepdims=True))
        if is_bytes:
            return sums[..., self.first : self.first + self.out_channels]
        return _shifted(sums * np.array(_RGB_OF_565))


def _shifted(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """Weighted sums, rounded to nearest."""
    return (sums + (1 << _SHIFT - 1)) >> _SHIFT


def largest_factor(size: tuple[int, int], out_size: tuple[int, int]) -> int:
    """The largest block that makes a picture of `size` one of `out_size`, cut at the edges.

    Raises
    ------
    UsageError
        The output is larger than the picture, or smaller than it over 32.
    """
    factor = min(side // out for side, out in zip(size, out_size, strict=True))
    if factor < 1:
        raise UsageError(f"downscale: a picture of {size} has no {out_size}: choose less")
    if factor > MAX_FACTOR:
        raise UsageError(f"downscale: {size} to {out_size} is more than {MAX_FACTOR} times less")
    return factor
