"""Stages for pictures: part of them, smaller, grey, and without their own light.

Stages that follow each other become one operator where one does the same, so that nothing but the
last picture takes memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from wingbeat.errors import UsageError
from wingbeat.pictures import CAMERAS
from wingbeat.program import ProgramBuilder
from wingbeat.reference.downscale import RGB, Downscale, Pixels, largest_factor
from wingbeat.reference.normalise import MAX_ELEMENTS, Measure, Normalise

from .base import Shape, Stage

_PICTURE = 3  # dimensions
_RGB = CAMERAS["rgb"].channels
_GREY = CAMERAS["grey"].channels
_GAINS = {Measure.DEVIATION: 32, Measure.RANGE: 255}
_LEAST_STEPS = 2.0
"""Deviation or range that an even picture counts as having, in steps of uint8."""

_MEASURES = {each.name.lower(): each for each in Measure}


@dataclass(frozen=True)
class CropStage(Stage):
    """Part of a picture.

    Parameters
    ----------
    size : sequence of int
        Rows, columns.
    corner : sequence of int, optional
        First row and column; by default the part is in the middle.
    """

    size: Sequence[int]
    corner: Sequence[int] | None = None

    KIND: ClassVar[str] = "crop"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append the operator."""
        whole, out_size = _size_of(before), _pair(self.size, "size")
        corner = None if self.corner is None else _pair(self.corner, "corner", 0)
        return _downscaled(to, tensor, before, _middle(whole, out_size, 1, corner), out_size, 1)


@dataclass(frozen=True)
class DownscaleStage(Stage):
    """A smaller picture: each pixel is the mean of a block.

    Parameters
    ----------
    size : sequence of int, optional
        Rows, columns. Blocks are as large as fits; what is left over at the edges is cut.
    factor : int, optional
        Rows and columns of a block, instead of a size; 2 to 32.
    """

    size: Sequence[int] | None = None
    factor: int | None = None

    KIND: ClassVar[str] = "downscale"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append the operator."""
        whole = _size_of(before)
        if (self.size is None) == (self.factor is None):
            raise UsageError("expected size = [ROWS, COLUMNS], or factor = ...: give one of them")
        if self.size is not None:
            out_size = _pair(self.size, "size")
            factor = largest_factor(whole, out_size)
        else:
            factor = self.factor or 0
            if not 1 <= factor <= min(whole):
                raise UsageError(f"factor = {factor}: expected 1 to {min(whole)}")
            out_size = whole[0] // factor, whole[1] // factor
        corner = _middle(whole, out_size, factor, None)
        return _downscaled(to, tensor, before, corner, out_size, factor)


@dataclass(frozen=True)
class GreyStage(Stage):
    """Grey of colours: the luma of ITU-R BT.601."""

    KIND: ClassVar[str] = "grey"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append the operator; nothing where the picture is grey already."""
        size = _size_of(before)
        if before.names == _GREY:
            return tensor, before
        operator = Downscale(size, (0, 0), size, pixels=_pixels_of(before), channels=RGB, grey=True)
        return _append(to, tensor, operator), replace(
            before, dims=(*size, 1), names=_GREY, typecode="B"
        )


@dataclass(frozen=True)
class NormaliseStage(Stage):
    """A picture as int8 without its own light: brought to mean 0 and one deviation, or a range.

    Parameters
    ----------
    by : {"deviation", "range"}
        What it is divided by: the deviation of its pixels, or from the darkest to the brightest.
    gain : int, optional
        Steps of int8 for a deviation, 32 by default; or for the range, 255 by default, from -128.
    least : float
        A deviation or range counts as so many steps of the camera at least, so that the noise of an
        even picture stays small.
    """

    by: str = "deviation"
    gain: int | None = None
    least: float = _LEAST_STEPS

    KIND: ClassVar[str] = "normalise"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append the operator."""
        if self.by not in _MEASURES:
            raise UsageError(f"by = {self.by!r}: expected one of {', '.join(_MEASURES)}")
        tensor, before = _as_bytes(to, tensor, before)
        measure = _MEASURES[self.by]
        gain = _GAINS[measure] if self.gain is None else self.gain
        zero = -128 if measure is Measure.RANGE else 0
        least = min(round(self.least * 256), MAX_ELEMENTS)
        operator = Normalise(before.n_elements, gain, least, measure, zero, "b")
        return to.add(operator, tensor), replace(before, typecode="b")


def as_features(to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
    """A picture as a model takes it: RGB565 becomes RGB."""
    return _as_bytes(to, tensor, before) if before.typecode == "H" else (tensor, before)


def _as_bytes(to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
    size = _size_of(before)
    if before.typecode == "H":
        return _downscaled(to, tensor, before, (0, 0), size, 1)
    return tensor, before


def _downscaled(
    to: ProgramBuilder,
    tensor: int,
    before: Shape,
    corner: tuple[int, int],
    out_size: tuple[int, int],
    factor: int,
) -> tuple[int, Shape]:
    """Means over blocks of all channels."""
    names = _RGB if before.typecode == "H" else before.names
    operator = Downscale(
        _size_of(before),
        corner,
        out_size,
        (factor, factor),
        _pixels_of(before),
        len(names),
        0,
        len(names),
    )
    after = replace(before, dims=(*out_size, len(names)), names=names, typecode="B")
    return _append(to, tensor, operator), after


def _append(to: ProgramBuilder, tensor: int, operator: Downscale) -> int:
    """Append an operator, or make one of it and the one in front."""
    last = to.last
    if last is not None and tensor in last.operands[1:2] and isinstance(last.operator, Downscale):
        joined = last.operator.then(operator)
        if joined is not None:
            return to.replace_last(joined)
    return to.add(operator, tensor)


def _size_of(before: Shape) -> tuple[int, int]:
    """Rows and columns of a picture.

    Raises
    ------
    UsageError
        It is something else.
    """
    if len(before.dims) != _PICTURE:
        raise UsageError(
            'expected a picture, got samples over time: write input = "image" instead of a rate'
        )
    if before.typecode == "b":
        raise UsageError("expected a picture of uint8 or RGB565, got int8: normalise it last")
    return before.dims[0], before.dims[1]


def _pixels_of(before: Shape) -> Pixels:
    return CAMERAS[before.names[0]].pixels if before.typecode == "H" else Pixels.BYTES


def _middle(
    whole: tuple[int, int], out_size: tuple[int, int], factor: int, corner: tuple[int, int] | None
) -> tuple[int, int]:
    if corner is not None:
        return corner
    if any(out * factor > side for out, side in zip(out_size, whole, strict=True)):
        raise UsageError(f"a picture of {whole} has no {out_size}: choose less")
    top, left = ((side - out * factor) // 2 for out, side in zip(out_size, whole, strict=True))
    return top, left


def _pair(values: Sequence[int], name: str, least: int = 1) -> tuple[int, int]:
    if len(values) != 2 or any(each < least for each in values):
        raise UsageError(f"{name} = {list(values)}: expected [ROWS, COLUMNS], {least} or more each")
    return values[0], values[1]


PICTURE_STAGES: tuple[type[Stage], ...] = (CropStage, DownscaleStage, GreyStage, NormaliseStage)
"""For pipelines whose input is an image."""
