"""Gather: elements of an int8 tensor in another order.

TRANSPOSE, STRIDED_SLICE, SPLIT and RESIZE_NEAREST_NEIGHBOR are of this kind. All that is needed is
an array of the positions that they take: `gather` finds the dimensions in it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError, UsageError

from .base import BaseOperator

MAX_ELEMENTS = 1 << 24
MAX_STRIDE = 65535
DIMENSIONS = 4

_HEAD = struct.Struct("<3I")
_DIMENSION = struct.Struct("<HHi")
_TABLES = _HEAD.size + DIMENSIONS * _DIMENSION.size


@dataclass(frozen=True, eq=False)
class Dimension:
    """A dimension of the output.

    Parameters
    ----------
    count : int
        1 to 65535.
    stride : int
        Elements of the input from one position to the next, up to 65535 of either sign; 0 with a
        table.
    table : NDArray[uint16] [count], optional
        The positions, where they are not evenly spaced.
    """

    count: int
    stride: int
    table: NDArray[np.uint16] | None = None

    def positions(self) -> NDArray[np.int64]:
        """What the dimension adds to a position."""
        if self.table is not None:
            return self.table.astype(np.int64)
        return np.arange(self.count, dtype=np.int64) * self.stride


@dataclass(frozen=True, eq=False)
class Gather(BaseOperator):
    """Runs of elements from positions that are sums over the dimensions.

    Parameters
    ----------
    n_inputs : int
        Elements of the input, up to 2^24.
    start : int
        Position that all others are added to.
    run : int
        Elements that are copied from each position.
    dimensions : tuple of 4 Dimension
        From the outermost.

    Raises
    ------
    UsageError
        If a parameter is out of range, or a position outside of the input.
    """

    n_inputs: int
    start: int
    run: int
    dimensions: tuple[Dimension, ...]

    OPCODE: ClassVar[int] = 57
    KERNEL: ClassVar[str] = "gather"

    def _problem(self) -> str | None:
        sizes = (self.n_inputs, self.start, self.run)
        if max(*sizes, self._n_outputs) > MAX_ELEMENTS or self._n_outputs < 1:
            return f"a tensor has 1 to {MAX_ELEMENTS} elements"
        low = high = self.start
        for each in self.dimensions:
            if not 1 <= each.count <= MAX_STRIDE:
                return f"a dimension of {each.count}: expected 1 to {MAX_STRIDE}"
            if each.table is None and abs(each.stride) > MAX_STRIDE:
                return f"a stride of {each.stride} is beyond {MAX_STRIDE}"
            most = abs(each.stride) * (each.count - 1)
            if each.table is not None:
                most = int(each.table.max())
            elif most > MAX_ELEMENTS:
                return "a position is outside of the input"
            if each.stride < 0:
                low -= most
            else:
                high += most
        if low < 0 or high + self.run > self.n_inputs:
            return "a position is outside of the input"
        return None

    @property
    def _n_outputs(self) -> int:
        return self.run * math.prod(each.count for each in self.dimensions)

    def encode(self) -> bytes:
        """u32 n_inputs, start, run; four dimensions; tables. See SPEC.md."""
        head = _HEAD.pack(self.n_inputs, self.start, self.run)
        tables = b""
        for each in self.dimensions:
            at = 0
            if each.table is not None:
                at = (_TABLES + len(tables)) // 2
                tables += each.table.astype("<u2").tobytes()
            head += _DIMENSION.pack(each.count, at, each.stride)
        return head + tables + bytes(-len(tables) % 4)

    @classmethod
    def decode(cls, params: bytes) -> Gather:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            If the parameters are of the wrong length or a value is out of range.
        """
        if len(params) < _TABLES:
            raise FormatError(f"gather: {len(params)} bytes of parameters are too few")
        n_inputs, start, run = _HEAD.unpack_from(params)
        dimensions = []
        for number in range(DIMENSIONS):
            count, at, stride = _DIMENSION.unpack_from(params, _HEAD.size + 8 * number)
            table = None
            if at:
                if 2 * (at + count) > len(params):
                    raise FormatError("gather: a table reaches outside of the parameters")
                table = np.frombuffer(params, "<u2", count, 2 * at)
            if count == 0:
                raise FormatError("gather: a dimension is empty")
            dimensions.append(Dimension(count, 0 if at else stride, table))
        try:
            return cls(n_inputs, start, run, tuple(dimensions))
        except UsageError as error:
            raise FormatError(str(error)) from error

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the input."""
        return (("b", self.n_inputs),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the output."""
        return (("b", self._n_outputs),)

    def positions(self) -> NDArray[np.int64]:
        """Position in the input of every element of the output, [n_outputs]."""
        total = np.full(1, self.start, np.int64)
        for each in self.dimensions:
            total = np.add.outer(total, each.positions())
        return np.add.outer(total, np.arange(self.run)).ravel()

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Gather every row.

        Parameters
        ----------
        *inputs : one ndarray of int8, shape [rows, n_inputs]

        Returns
        -------
        tuple of one ndarray of int8, shape [rows, n_outputs]
        """
        (x,) = inputs
        return (x[:, self.positions()],)


def gather(n_inputs: int, positions: NDArray[np.int64]) -> Gather:
    """The operator that takes these positions.

    Parameters
    ----------
    n_inputs : int
        Elements of the input.
    positions : NDArray[int64], any shape
        Position in the input of every element of the output. They must be sums of what each index
        adds, as they are in transposes, slices and repeats::

            positions = np.arange(h * w * c).reshape(h, w, c)
            gather(h * w * c, positions.transpose(1, 0, 2))
            gather(h * w * c, positions[::-1, 1::2])

    Raises
    ------
    UsageError
        They are not, or vary in too many dimensions.
    """
    if positions.size == 0:
        raise UsageError("gather: the output has no elements")
    start = int(positions.flat[0])
    axes = [_along(positions, axis) - start for axis in range(positions.ndim)]
    total = np.full((), start, np.int64)
    for each in axes:
        total = np.add.outer(total, each)
    if not np.array_equal(total, positions):
        raise UsageError("gather: the positions are not sums over their dimensions")
    merged = _merged([each for each in axes if len(each) > 1])
    run = 1
    if merged and _stride(merged[-1]) == 1:
        run = len(merged.pop())
    merged = _without_tables(merged)
    if len(merged) > DIMENSIONS:
        raise UsageError("gather: the positions vary in more than 5 dimensions")
    dimensions = [Dimension(1, 0)] * (DIMENSIONS - len(merged))
    for each in merged:
        stride = _stride(each)
        low = int(each.min())
        if stride is None:
            start += low
            if each.max() - low > MAX_STRIDE:
                raise UsageError(f"gather: positions of a table exceed {MAX_STRIDE}")
            dimensions.append(Dimension(len(each), 0, (each - low).astype(np.uint16)))
        else:
            dimensions.append(Dimension(len(each), stride))
    return Gather(n_inputs, start, run, tuple(dimensions))


def _along(positions: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
    """Positions along an axis, at 0 of the others."""
    return positions[(0,) * axis + (slice(None),) + (0,) * (positions.ndim - axis - 1)]


def _stride(positions: NDArray[np.int64]) -> int | None:
    """By how much positions grow, if it is always the same."""
    steps = np.diff(positions)
    return int(steps[0]) if np.all(steps == steps[0]) else None


def _merged(axes: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Axes that go on where the next inner one ends are one with it."""
    merged: list[NDArray[np.int64]] = []
    for each in reversed(axes):
        if merged:
            both = np.add.outer(each, merged[-1]).ravel()
            if _stride(both) is not None and len(both) <= MAX_STRIDE:
                merged[-1] = both
                continue
        merged.append(each)
    return merged[::-1]


def _without_tables(axes: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Axes that repeat or jump regularly are two evenly spaced ones, while there is room."""
    found: list[NDArray[np.int64]] = []
    for number, each in enumerate(axes):
        room = DIMENSIONS - len(found) - (len(axes) - number)
        pair = _pair(each) if room > 0 and _stride(each) is None else None
        found += [each] if pair is None else pair
    return found


def _pair(positions: NDArray[np.int64]) -> list[NDArray[np.int64]] | None:
    """Two evenly spaced axes whose sums these positions are."""
    for count in range(2, len(positions) // 2 + 1):
        if len(positions) % count == 0:
            outer, inner = positions[::count], positions[:count] - positions[0]
            even = _stride(outer) is not None and _stride(inner) is not None
            if even and np.array_equal(np.add.outer(outer, inner).ravel(), positions):
                return [outer, inner]
    return None


# ---- From TFLite's parameters


def transpose(shape: Sequence[int], permutation: Sequence[int]) -> Gather:
    """TFLite's TRANSPOSE of a tensor of this shape.

    Raises
    ------
    UsageError
        It is no permutation of the shape's dimensions.
    """
    if sorted(permutation) != list(range(len(shape))):
        raise UsageError(f"transpose: {list(permutation)} is no order of {len(shape)} dimensions")
    return gather(math.prod(shape), _positions(shape).transpose(permutation))


def strided_slice(shape: Sequence[int], slices: Sequence[slice | int]) -> Gather:
    """TFLite's STRIDED_SLICE.

    Parameters
    ----------
    shape : sequence of int
    slices : sequence of slice or int
        One for each dimension, as Python has them; see `slices_of`.

    Raises
    ------
    UsageError
        The output is empty.
    """
    return gather(math.prod(shape), _positions(shape)[tuple(slices)])


def slices_of(
    begin: Sequence[int],
    end: Sequence[int],
    strides: Sequence[int],
    *,
    begin_mask: int = 0,
    end_mask: int = 0,
    shrink_axis_mask: int = 0,
) -> list[slice | int]:
    """Python's slices from TFLite's parameters of STRIDED_SLICE.

    Where a dimension is shrunk, `begin` alone counts.

    Raises
    ------
    UsageError
        A stride is 0.
    """
    slices: list[slice | int] = []
    for axis, (first, last, stride) in enumerate(zip(begin, end, strides, strict=True)):
        if stride == 0:
            raise UsageError("strided_slice: a stride is 0")
        bit = 1 << axis
        if shrink_axis_mask & bit:
            slices.append(int(first))
        else:
            slices.append(
                slice(
                    None if begin_mask & bit else int(first),
                    None if end_mask & bit else int(last),
                    int(stride),
                )
            )
    return slices


def split(shape: Sequence[int], axis: int, sizes: Sequence[int]) -> list[Gather]:
    """TFLite's SPLIT and SPLIT_V: one operator for each output.

    Parameters
    ----------
    shape : sequence of int
    axis : int
    sizes : sequence of int
        Of the outputs along the axis.

    Raises
    ------
    UsageError
        The sizes do not add up.
    """
    if sum(sizes) != shape[axis]:
        raise UsageError(f"split: {list(sizes)} do not add up to {shape[axis]}")
    parts = np.split(_positions(shape), np.cumsum(sizes)[:-1], axis)
    return [gather(math.prod(shape), part) for part in parts]


def resize_nearest(
    shape: Sequence[int],
    size: tuple[int, int],
    *,
    align_corners: bool = False,
    half_pixel_centers: bool = False,
) -> Gather:
    """TFLite's RESIZE_NEAREST_NEIGHBOR.

    Parameters
    ----------
    shape : sequence of 3 int
        height, width, channels.
    size : tuple of 2 int
        Height and width of the output.

    Raises
    ------
    UsageError
        The output is empty.
    """
    rows, columns = (
        _nearest(before, after, align_corners, half_pixel_centers)
        for before, after in zip(shape, size, strict=False)
    )
    return gather(math.prod(shape), _positions(shape)[rows][:, columns])


def _nearest(
    before: int, after: int, align_corners: bool, half_pixel_centers: bool
) -> NDArray[np.int64]:
    """Source: TFLite's ``GetNearestNeighbor``, in float32 as there."""
    one = np.float32(1)
    scale = one * np.float32(before) / np.float32(after)
    if align_corners and after > 1:
        scale = np.float32(before - 1) / np.float32(after - 1)
    offset = np.float32(0.5 if half_pixel_centers else 0)
    places = (np.arange(after).astype(np.float32) + offset) * scale
    rounded = np.floor(places.astype(np.float64) + (0.5 if align_corners else 0))
    return np.clip(rounded.astype(np.int64), 0, before - 1)


def _positions(shape: Sequence[int]) -> NDArray[np.int64]:
    return np.arange(math.prod(shape), dtype=np.int64).reshape(tuple(shape))
