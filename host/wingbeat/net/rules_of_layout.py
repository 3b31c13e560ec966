"""Rules of operators that move elements without changing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError
from wingbeat.net.model import (
    Block,
    Concatenation,
    Gathering,
    Mirror,
    Node,
    Pack,
    Resize,
    Slice,
    Tensor,
)
from wingbeat.net.rule import (
    Lowering,
    RefusedError,
    Rule,
    expect_same_scale,
    expect_shape,
    expect_size,
    image,
    options_of,
)
from wingbeat.net.simplify import RESHAPES
from wingbeat.reference.argmax import argmax
from wingbeat.reference.concat import MAX_INPUTS, concat
from wingbeat.reference.gather import (
    Gather,
    gather,
    resize_nearest,
    slices_of,
    split,
    strided_slice,
    transpose,
)
from wingbeat.reference.pad import pad


def _reshape(net: Lowering, node: Node) -> None:
    source, result = net.tensors[net.source(node)], net.tensors[node.outputs[0]]
    expect_size(result, source.n_elements)
    if source.dtype != result.dtype:
        raise FormatError(f"it makes {result.dtype} of {source.dtype}")
    net.alias(node.outputs[0], net.source(node))


def _transpose(net: Lowering, node: Node) -> None:
    source, result = _moved(net, node)
    order = _integers(net, node, 1)
    if sorted(order) != list(range(len(source.shape))):
        raise FormatError(f"the order {order} of {len(source.shape)} dimensions")
    expect_shape(result, tuple(source.shape[i] for i in order))
    _emit_gather(net, node, transpose(source.shape, order))


def _strided_slice(net: Lowering, node: Node) -> None:
    source, result = _moved(net, node)
    options = options_of(node, Slice)
    if options.ellipsis or options.new_axis or options.offset:
        raise RefusedError(
            "its ellipsis, new axes or offsets are not supported",
            "write a slice for every dimension, and reshape afterwards",
        )
    begin, end, strides = (_integers(net, node, number) for number in (1, 2, 3))
    if not len(begin) == len(end) == len(strides) == len(source.shape):
        raise FormatError(f"slices {begin}, {end}, {strides} of {len(source.shape)} dimensions")
    shape = []
    slices = slices_of(
        begin,
        end,
        strides,
        begin_mask=options.begin,
        end_mask=options.end,
        shrink_axis_mask=options.shrink,
    )
    for count, each in zip(source.shape, slices, strict=True):
        if isinstance(each, slice):
            shape.append(len(range(*each.indices(count))))
        elif not -count <= each < count:
            raise FormatError(f"element {each} of a dimension of {count}")
    expect_shape(result, tuple(shape))
    _emit_gather(net, node, strided_slice(source.shape, slices))


def _split(net: Lowering, node: Node) -> None:
    """SPLIT takes the axis first, SPLIT_V the sizes and the axis last."""
    number, axis_number = (1, 0) if node.kind == "SPLIT" else (0, 2)
    source, axes = net.input(node, number), _integers(net, node, axis_number)
    count = len(source.shape)
    if len(axes) != 1 or not -count <= axes[0] < count:
        raise FormatError(f"axis {axes} of {count} dimensions")
    axis = axes[0] % count
    sizes = []
    for output in node.outputs:
        result = net.int8(output)
        expect_same_scale(source, result)
        if len(result.shape) != count:
            raise FormatError(f"a part of {list(result.shape)} of {list(source.shape)}")
        expect_shape(result, (*source.shape[:axis], result.shape[axis], *source.shape[axis + 1 :]))
        sizes.append(result.shape[axis])
    if sum(sizes) != source.shape[axis] or min(sizes) < 1:
        raise FormatError(f"parts of {sizes} of {source.shape[axis]}")
    for output, part in zip(node.outputs, split(source.shape, axis, sizes), strict=True):
        net.emit(node, part, net.source(node, number), output)


def _resize(net: Lowering, node: Node) -> None:
    source, result, options = image(net, node), net.output(node), options_of(node, Resize)
    expect_same_scale(source, result)
    if len(result.shape) != 4 or min(result.shape) < 1:
        raise FormatError(f"the output has the shape {list(result.shape)}")
    rows, columns = result.shape[1:3]
    expect_shape(result, (1, rows, columns, source.shape[3]))
    operator = resize_nearest(
        source.shape[1:],
        (rows, columns),
        align_corners=options.align_corners,
        half_pixel_centers=options.half_pixel_centers,
    )
    _emit_gather(net, node, operator)


def _pad(net: Lowering, node: Node) -> None:
    source, result = _moved(net, node)
    amounts = net.constant(node, 1, "int32", "int64")
    if amounts.shape != (len(source.shape), 2) or not amounts.size or amounts.min() < 0:
        raise FormatError(f"padding {amounts.tolist()} of {len(source.shape)} dimensions")
    pairs = [(int(before), int(after)) for before, after in amounts]
    expect_shape(result, tuple(n + sum(pair) for n, pair in zip(source.shape, pairs, strict=True)))
    value = source.zero_point
    if node.kind == "PADV2":
        values = net.constant(node, 2, "int8")
        if values.size != 1:
            raise FormatError(f"{values.size} values to pad with")
        value = int(values.flat[0])
    if amounts.any():
        net.emit(node, pad(source.shape, pairs, value), net.source(node), node.outputs[0])
    else:
        net.alias(node.outputs[0], net.source(node))


def _concatenation(net: Lowering, node: Node) -> None:
    options, result = options_of(node, Concatenation), net.output(node)
    if options.activation != "NONE":
        raise RefusedError(
            f"the fused activation {options.activation} is not supported",
            "put the activation behind it",
        )
    axis, count = options.axis, len(result.shape)
    if not -count <= axis < count:
        raise FormatError(f"axis {axis} of {count} dimensions")
    parts = [net.source(node, number) for number in range(len(node.inputs))]
    _emit_joined(net, node, parts, axis % count)


def _emit_joined(net: Lowering, node: Node, parts: list[int], axis: int) -> None:
    """Append concatenations of all parts, a few at a time."""
    result = net.output(node)
    for part in parts:
        expect_same_scale(net.int8(part), result)
    expect_shape(result, _joined([net.tensors[part] for part in parts], axis))
    while len(parts) > MAX_INPUTS:
        taken = _cheapest(net, parts)
        joined = net.between(_joined([net.tensors[i] for i in parts[taken]], axis), result)
        _emit_concat(net, node, parts[taken], axis, joined)
        parts[taken] = [joined]
    if len(parts) == 1:
        net.alias(node.outputs[0], parts[0])
    else:
        _emit_concat(net, node, parts, axis, node.outputs[0])


def _cheapest(net: Lowering, parts: Sequence[int]) -> slice:
    """The neighbours that have the fewest elements, as many as can be joined, or are left over."""
    width = min(MAX_INPUTS, len(parts) - MAX_INPUTS + 1)
    sizes = [net.tensors[part].n_elements for part in parts]
    starts = range(len(parts) - width + 1)
    start = min(starts, key=lambda i: sum(sizes[i : i + width]))
    return slice(start, start + width)


def _emit_concat(net: Lowering, node: Node, parts: Sequence[int], axis: int, result: int) -> None:
    operator = concat([net.tensors[part].shape for part in parts], axis)
    net.emit(node, operator, *parts, result)


def _joined(sources: Sequence[Tensor], axis: int) -> tuple[int, ...]:
    shapes = [list(source.shape) for source in sources]
    if any(len(shape) != len(shapes[0]) or len(shape) <= axis for shape in shapes):
        raise FormatError(f"shapes {shapes} along axis {axis}")
    whole = sum(shape[axis] for shape in shapes)
    for shape in shapes:
        shape[axis] = whole
    if any(shape != shapes[0] for shape in shapes):
        raise FormatError(f"shapes {[list(source.shape) for source in sources]} along axis {axis}")
    return tuple(shapes[0])


def _arg_max(net: Lowering, node: Node) -> None:
    source, result = net.input(node), net.tensors[node.outputs[0]]
    axes, count = _integers(net, node, 1), len(source.shape)
    if len(axes) != 1 or not -count <= axes[0] < count or min(source.shape) < 1:
        raise FormatError(f"axis {axes} of {list(source.shape)}")
    axis = axes[0] % count
    expect_shape(result, (*source.shape[:axis], *source.shape[axis + 1 :]))
    if result.dtype not in ("int32", "int64"):
        raise FormatError(f"it gives {result.dtype}")
    # No class number needs 64 bits.
    net.tensors[node.outputs[0]] = replace(result, dtype="int32")
    operator = argmax(source.shape, axis, least=node.kind == "ARG_MIN")
    net.emit(node, operator, net.source(node), node.outputs[0])


def _moved(net: Lowering, node: Node) -> tuple[Tensor, Tensor]:
    """Input and output of an operator that moves stored numbers."""
    source, result = net.input(node), net.output(node)
    expect_same_scale(source, result)
    if min(source.shape, default=1) < 1 or min(result.shape, default=1) < 1:
        raise FormatError(f"it makes {list(result.shape)} of {list(source.shape)}")
    return source, result


def _integers(net: Lowering, node: Node, number: int) -> list[int]:
    return [int(each) for each in net.constant(node, number, "int32", "int64").ravel()]


def _emit_gather(net: Lowering, node: Node, operator: Gather) -> None:
    """Append it, if it changes anything."""
    if operator.run == operator.n_inputs == operator.outputs[0][1]:
        net.alias(node.outputs[0], net.source(node))
    else:
        net.emit(node, operator, net.source(node), node.outputs[0])


Positions: TypeAlias = NDArray[np.int64]


def _rearranged(places: Callable[[Lowering, Node, Positions, Tensor], Positions]) -> Rule:
    """The rule of an operator whose output has elements of its input, at these places."""

    def rule(net: Lowering, node: Node) -> None:
        source, result = _moved(net, node)
        found = places(net, node, _positions(source), result)
        expect_shape(result, found.shape)
        _emit_gather(net, node, gather(source.n_elements, found))

    return rule


def _positions(source: Tensor) -> Positions:
    return np.arange(source.n_elements).reshape(source.shape)


def _slice(net: Lowering, node: Node, places: Positions, result: Tensor) -> Positions:
    begin, size = _integers(net, node, 1), _integers(net, node, 2)
    if not len(begin) == len(size) == places.ndim:
        raise FormatError(f"a slice from {begin} of {size} of {places.ndim} dimensions")
    cut = []
    for first, length, count in zip(begin, size, places.shape, strict=True):
        last = count if length == -1 else first + length
        if not 0 <= first < last <= count:
            raise FormatError(f"elements {first} to {last} of a dimension of {count}")
        cut.append(slice(first, last))
    return places[tuple(cut)]


def _reverse(net: Lowering, node: Node, places: Positions, result: Tensor) -> Positions:
    axes = _integers(net, node, 1)
    if not all(-places.ndim <= axis < places.ndim for axis in axes):
        raise FormatError(f"axes {axes} of {places.ndim} dimensions")
    return np.flip(places, tuple({axis % places.ndim for axis in axes}))


def _broadcast(net: Lowering, node: Node, places: Positions, result: Tensor) -> Positions:
    try:
        return np.broadcast_to(places, result.shape)
    except ValueError as error:
        raise FormatError(str(error)) from error


def _tile(net: Lowering, node: Node, places: Positions, result: Tensor) -> Positions:
    """How often, the output's shape tells."""
    if len(result.shape) != places.ndim:
        raise FormatError(f"{list(result.shape)} of {list(places.shape)}")
    for axis, (count, whole) in enumerate(zip(places.shape, result.shape, strict=True)):
        places = np.take(places, np.arange(whole) % count, axis)
    return places


def _gather(net: Lowering, node: Node, places: Positions, result: Tensor) -> Positions:
    options = options_of(node, Gathering)
    indices = net.constant(node, 1, "int32", "int64")
    if options.batch_dims:
        raise RefusedError("it gathers in batches", "gather along one dimension")
    if not -places.ndim <= options.axis < places.ndim:
        raise FormatError(f"axis {options.axis} of {places.ndim} dimensions")
    axis = options.axis % places.ndim
    expect_shape(result, (*places.shape[:axis], *indices.shape, *places.shape[axis + 1 :]))
    if not indices.size or indices.min() < 0 or indices.max() >= places.shape[axis]:
        raise FormatError(f"indices outside of a dimension of {places.shape[axis]}")
    return places.take(indices, axis)


def _depth_to_space(net: Lowering, node: Node, places: Positions, result: Tensor) -> Positions:
    block, (_, rows, columns, channels) = options_of(node, Block).size, _image_shape(places)
    if block < 1 or channels % (block * block):
        raise FormatError(f"blocks of {block} of {channels} channels")
    cut = places.reshape(rows, columns, block, block, -1).transpose(0, 2, 1, 3, 4)
    return cut.reshape(1, rows * block, columns * block, -1)


def _space_to_depth(net: Lowering, node: Node, places: Positions, result: Tensor) -> Positions:
    block, (_, rows, columns, _) = options_of(node, Block).size, _image_shape(places)
    if block < 1 or rows % block or columns % block:
        raise FormatError(f"blocks of {block} of an image of {rows} x {columns}")
    cut = places.reshape(rows // block, block, columns // block, block, -1)
    return cut.transpose(0, 2, 1, 3, 4).reshape(1, rows // block, columns // block, -1)


def _image_shape(places: Positions) -> tuple[int, ...]:
    if places.ndim != 4 or places.shape[0] != 1:
        raise RefusedError(
            f"its input has the shape {list(places.shape)}", "expected [1, rows, columns, channels]"
        )
    return places.shape


def _mirror_pad(net: Lowering, node: Node, places: Positions, result: Tensor) -> Positions:
    amounts, whole = net.constant(node, 1, "int32", "int64"), options_of(node, Mirror).whole
    if amounts.shape != (places.ndim, 2) or amounts.min() < 0:
        raise FormatError(f"padding {amounts.tolist()} of {places.ndim} dimensions")
    for count, pair in zip(places.shape, amounts, strict=True):
        if pair.max() > count - (not whole):
            raise FormatError(f"padding {pair.tolist()} of a dimension of {count}")
    return np.pad(places, amounts, "symmetric" if whole else "reflect")


def _unpack(net: Lowering, node: Node) -> None:
    source, axis = net.input(node), options_of(node, Pack).axis
    count = len(source.shape)
    if not -count <= axis < count or source.shape[axis] != len(node.outputs):
        raise FormatError(f"{len(node.outputs)} outputs along axis {axis} of {list(source.shape)}")
    for number, output in enumerate(node.outputs):
        expect_same_scale(source, net.int8(output))
        places = np.take(_positions(source), [number], axis).squeeze(axis)
        expect_shape(net.tensors[output], places.shape)
        net.emit(node, gather(source.n_elements, places), net.source(node), output)


def _pack(net: Lowering, node: Node) -> None:
    """A concatenation of tensors with a dimension of 1 more."""
    result, axis = net.output(node), options_of(node, Pack).axis
    parts, count = [], len(result.shape)
    if not -count <= axis < count:
        raise FormatError(f"axis {axis} of {count} dimensions")
    axis %= count
    for number in range(len(node.inputs)):
        source = net.input(node, number)
        if len(source.shape) != count - 1:
            raise FormatError(f"{list(source.shape)} for {list(result.shape)}")
        parts.append(net.between((*source.shape[:axis], 1, *source.shape[axis:]), source))
        net.alias(parts[-1], net.source(node, number))
    _emit_joined(net, node, parts, axis)


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(RESHAPES, _reshape),
    "TRANSPOSE": _transpose,
    "STRIDED_SLICE": _strided_slice,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "PAD": _pad,
    "PADV2": _pad,
    "CONCATENATION": _concatenation,
    "SLICE": _rearranged(_slice),
    "REVERSE_V2": _rearranged(_reverse),
    "BROADCAST_TO": _rearranged(_broadcast),
    "TILE": _rearranged(_tile),
    "GATHER": _rearranged(_gather),
    "DEPTH_TO_SPACE": _rearranged(_depth_to_space),
    "SPACE_TO_DEPTH": _rearranged(_space_to_depth),
    "MIRROR_PAD": _rearranged(_mirror_pad),
    "UNPACK": _unpack,
    "PACK": _pack,
    "ARG_MAX": _arg_max,
    "ARG_MIN": _arg_max,
}
