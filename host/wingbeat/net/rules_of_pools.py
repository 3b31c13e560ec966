"""Rules of operators that make one value of many: pools, means, the largest."""

from __future__ import annotations

from collections.abc import Mapping

from wingbeat.errors import FormatError
from wingbeat.net.model import Node, Pool, Reduce, Tensor
from wingbeat.net.rule import (
    Lowering,
    RefusedError,
    Rule,
    expect_same_scale,
    expect_shape,
    image,
    limits_of,
    options_of,
)
from wingbeat.reference.conv import output_size, same_padding
from wingbeat.reference.mean import mean
from wingbeat.reference.pool import pool2d

_ROWS_AND_COLUMNS = (1, 2)


def _pool(net: Lowering, node: Node) -> None:
    source, result, options = image(net, node), net.output(node), options_of(node, Pool)
    if min(*options.stride, *options.window) < 1:
        raise FormatError(f"strides {options.stride} and a window of {options.window}")
    expect_same_scale(source, result)
    size = source.shape[1:3]
    padding = (0, 0), (0, 0)
    if options.same:
        top, left = (same_padding(size[i], options.window[i], options.stride[i]) for i in (0, 1))
        padding = top, left
    rows, columns = (
        output_size(size[i], options.window[i], options.stride[i], 1, padding[i]) for i in (0, 1)
    )
    expect_shape(result, (1, rows, columns, source.shape[3]))
    low, high = limits_of(options.activation, result)
    operator = pool2d(
        average=node.kind == "AVERAGE_POOL_2D",
        shape=(size[0], size[1], source.shape[3]),
        kernel=options.window,
        stride=options.stride,
        padding=padding,
        low=low,
        high=high,
    )
    net.emit(node, operator, net.source(node), node.outputs[0])


def _mean(net: Lowering, node: Node) -> None:
    source, result = net.input(node), net.output(node)
    axes = _axes(net, node, source, result)
    operator = mean(
        source.shape,
        axes,
        input_scale=source.scale,
        input_zero_point=source.zero_point,
        output_scale=result.scale,
        output_zero_point=result.zero_point,
    )
    net.emit(node, operator, net.source(node), node.outputs[0])


def _largest(net: Lowering, node: Node) -> None:
    """REDUCE_MAX over rows and columns, as GlobalMaxPooling is: a pool of the whole image."""
    source, result = net.input(node), net.output(node)
    axes = {axis % len(source.shape) for axis in _axes(net, node, source, result)}
    expect_same_scale(source, result)
    shape = source.shape
    if len(shape) == 3 and axes == {1}:
        shape, axes = (shape[0], shape[1], 1, shape[2]), set(_ROWS_AND_COLUMNS)
    if len(shape) != 4 or shape[0] != 1 or axes != set(_ROWS_AND_COLUMNS):
        raise RefusedError(
            f"the largest along dimensions {sorted(axes)} of {list(source.shape)}",
            "expected rows and columns of an image, or the steps of a sequence: use MaxPooling",
        )
    _, rows, columns, channels = shape
    size = rows, columns
    operator = pool2d(average=False, shape=(*size, channels), kernel=size, stride=size)
    net.emit(node, operator, net.source(node), node.outputs[0])


def _axes(net: Lowering, node: Node, source: Tensor, result: Tensor) -> list[int]:
    """The dimensions that are reduced, once the output's shape is checked."""
    axes = [int(axis) for axis in net.constant(node, 1, "int32").ravel()]
    count = len(source.shape)
    if not axes or not all(-count <= axis < count for axis in axes) or min(source.shape) < 1:
        raise FormatError(f"dimensions {axes} of an input of {list(source.shape)}")
    gone = {axis % count for axis in axes}
    keep = options_of(node, Reduce).keep_dims
    shape = [1 if i in gone else n for i, n in enumerate(source.shape) if keep or i not in gone]
    expect_shape(result, tuple(shape))
    return axes


RULES: Mapping[str, Rule] = {
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "MEAN": _mean,
    "REDUCE_MAX": _largest,
}
