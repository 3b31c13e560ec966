"""What the operators of nets do, as counts: see `costs.terms`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .reference import (
    DTYPES,
    AveragePool,
    Conv2D,
    ConvPairs,
    Dense,
    Depthwise,
    Depthwise3x3,
    Lookup,
    MaxPool,
    Mean,
    Operator,
    SmallConv,
)
from .reference.argmax import Argmax
from .reference.arithmetic import ALWAYS, Add, Mul
from .reference.concat import Concat
from .reference.conv import Window
from .reference.dequantize import Dequantize
from .reference.gather import Gather
from .reference.pad import Pad
from .reference.quantize import Quantize
from .reference.rescale import Rescale
from .reference.scale import Scale
from .reference.softmax8 import Softmax8
from .reference.standardize import Standardize

_LARGE_POOL = 258  # values from which on a mean is divided by without a product

_SHORT_RUN = 8  # elements of a run from which on it is copied by words

_COUNTS_OF_PAIRS = 13

_EVENLY = np.arange(-128, 128, dtype=np.int8)


def _of_outputs(operator: Operator) -> list[float]:
    return [1.0, operator.outputs[0][1]]


def _of_lookup(operator: Lookup) -> list[float]:
    """Call; eight elements at a time, and one by one."""
    eights, rest = divmod(operator.n_elements, 8)
    return [1.0, eights, rest]


def _of_softmax(operator: Softmax8) -> list[float]:
    (_, n_elements), *_ = operator.outputs
    return [1.0, n_elements / operator.depth, n_elements]


def _of_conv(operator: Conv2D) -> list[float]:
    """Call; three pixels, their runs and inputs; copies; blocks, products; sums."""
    window, patch = operator.window, operator.patch
    channels, stretches = len(operator.weights), len(operator.stretches)
    threes = -(-window.out_shape[0] * window.out_shape[1] // 3)
    blocks = threes * -(-channels // 4)
    several = stretches > 1
    # The loop over products takes eight inputs.
    turns = sum(-(-length // 8) for length in operator.stretches)
    wide = not operator.scale.narrow
    return [
        *(1.0, threes, threes * window.kernel[0], threes * patch),
        *(threes * stretches * several, threes * patch * several),
        *_copied_patches(window, 3),
        *(blocks, blocks * stretches * several, blocks * turns, blocks * patch, blocks * wide),
        *(threes * channels * (not wide), threes * channels * wide),
    ]


def _of_conv_of_words(operator: Conv2D) -> list[float]:
    """Where a processor adds two products: call; four pixels; copies; runs that are packed by
    words, their words, other runs, their pairs; blocks, products; sums by their form.
    """
    window, patch = operator.window, operator.patch
    channels = len(operator.weights)
    fours = -(-window.out_shape[0] * window.out_shape[1] // 4)
    length = window.kernel[1] * window.shape[2]
    runs = 4 * fours * window.kernel[0]
    aligned = _aligned_runs(window) if length % 4 == 0 else 0
    others = runs - aligned
    blocks = fours * -(-channels // 4)
    pairs = -(-patch // 2)
    wide = not operator.scale.narrow
    limited = not wide and (operator.scale.low, operator.scale.high) != (-128, 127)
    sums = fours * channels
    return [
        *(1.0, fours, *_copied_patches(window, 4)),
        *(aligned, aligned * (length // 4), others, others * (length // 2)),
        *(others * (length % 2), blocks, blocks * -(-pairs // 4), blocks * pairs),
        *(sums * (not wide and not limited), sums * limited, sums * wide),
    ]


def _aligned_runs(window: Window) -> int:
    """Runs of patches, whose length is a multiple of 4, that start at such an address too."""
    rows, columns = (np.arange(window.out_shape[i]) * window.stride[i] for i in (0, 1))
    inside = np.outer(*(_taps_on_map(window, axis)[0] for axis in (0, 1)))
    if window.dilation[1] != 1:
        inside[:] = False
    taps = np.arange(window.kernel[0]) * window.dilation[0] - window.corner[0]
    at = (rows[:, np.newaxis, np.newaxis] + taps) * window.shape[1]
    at = (at + (columns - window.corner[1])[:, np.newaxis]) * window.shape[2]
    # Copies are aligned.
    aligned = np.where(inside[..., np.newaxis], at % 4 == 0, True).sum(axis=2)
    return int(aligned.sum() + aligned[-1, -1] * (-inside.size % 4))


def _of_conv_pairs(operator: ConvPairs) -> list[float]:
    """Call; four pixels; copies; runs that are packed, their words; two channels of four pixels,
    turns of the loop over their inputs, inputs; two channels of one pixel that is left, their
    inputs; outputs of other limits than int8's.
    """
    window, words = operator.window, -(-operator.patch // 4)
    pixels = window.out_shape[0] * window.out_shape[1]
    fours = -(-pixels // 4)
    inside = np.outer(*(_taps_on_map(window, axis)[0] for axis in (0, 1))).ravel()
    inside &= window.shape[2] % 4 == 0 and window.dilation[1] == 1
    padded = np.append(inside, np.repeat(inside[-1:], -pixels % 4))
    whole = padded.reshape(-1, 4).all(axis=1)
    at_once = int(whole.sum())
    copied = np.repeat((~whole).astype(np.int64), 4)
    copied[pixels - 1] += copied[pixels:].sum()
    single = int(pixels % 4 == 1)
    records, singles = (
        (fours - single) * len(operator.weights) // 2,
        single * len(operator.weights) // 2,
    )
    limited = (operator.low, operator.high) != (-128, 127)
    return [
        *(1.0, fours, *_pieces(window, copied[:pixels].reshape(window.out_shape))),
        *(fours - at_once + at_once * window.kernel[0], fours * words),
        *(records, records * -(-words // 4), records * words, singles, singles * words),
        (records + singles) * limited,
    ]


def _of_conv_pairs_of_words(operator: ConvPairs) -> list[float]:
    """The same; two channels that are rounded away from 0, which are done in the loop there."""
    fours = -(-operator.window.out_shape[0] * operator.window.out_shape[1] // 4)
    return [*_of_conv_pairs(operator), fours * len(operator.weights) // 2 * operator.away]


def _of_small_conv(operator: SmallConv) -> list[float]:
    """Call; runs of inputs, how many of their three are on the map and how many beside its columns,
    inputs. Over all channels: pairs that are cleared; three pixels, channels of them, their
    products, blocks, their products. Depthwise: channels, lines, three outputs, rows of three taps,
    other rows, taps of those.
    """
    window, (channels, patch) = operator.window, operator.weights.shape
    (height, width), (out_height, out_width) = window.kernel, window.out_shape
    taps = height * width
    if not operator.depthwise:
        pixels, words = out_height * out_width, -(-patch // 4) * 4
        threes = -(-pixels // 3)
        blocks = threes * -(-channels // 4)
        done = np.ones(window.out_shape, np.int64)
        done[-1, -1] += -pixels % 3
        rows_on, columns_on = (_taps_on_map(window, axis)[1] for axis in (0, 1))
        rows = (done * rows_on[:, np.newaxis]).sum()
        on_map = (done * rows_on[:, np.newaxis] * columns_on).sum()
        runs = threes * taps, on_map, rows * width - on_map, threes * patch
        sums = threes, threes * channels, threes * channels * words, blocks, blocks * words
        return [float(each) for each in (1, *runs, words, *sums, *[0] * 6)]
    part, (stride, _) = -(-out_height // 3), window.stride
    lines = (part - 1) * stride + height
    across = (out_width - 1) * window.stride[1] + width
    on = max(min(across - window.corner[1], window.shape[1]), 0)
    starts = np.array([0, min(part, out_height - part), out_height - part]) * stride
    at = starts[:, np.newaxis] + np.arange(lines) - window.corner[0]
    lines_on = int(((at >= 0) & (at < window.shape[0])).sum())
    each = channels * (on > 0)
    runs = each * lines + 1, each * lines_on, 0, each * lines * on + lines * across
    threes = channels * part * out_width
    rows = threes * height
    of_three = rows * (width == 3)
    by_taps = of_three, rows - of_three, (rows - of_three) * width
    return [
        float(each) for each in (1, *runs, *[0] * 6, channels, channels * part, threes, *by_taps)
    ]


def _copied_patches(window: Window, pixels: int) -> list[float]:
    """`_pieces` of patches that hang over the edge or have gaps in a row.

    Parameters
    ----------
    pixels : int
        That are done at a time: at the end the last one is done again.
    """
    copied = np.ones(window.out_shape, np.int64)
    copied[-1, -1] += -copied.size % pixels
    if window.dilation[1] == 1:
        copied[np.outer(*(_taps_on_map(window, axis)[0] for axis in (0, 1)))] = 0
    return _pieces(window, copied)


def _pieces(window: Window, copied: NDArray[np.int64]) -> list[float]:
    """Patches that are copied; pieces of them, those on the map's rows, runs; bytes that are
    copied, and filled in.

    Parameters
    ----------
    copied : NDArray[int64] [rows, columns]
        How often the patch of each output is copied.
    """
    rows_on = _taps_on_map(window, 0)[1][:, np.newaxis]
    columns_on = _taps_on_map(window, 1)[1]
    channels, taps = window.shape[2], window.kernel[0] * window.kernel[1]
    patches = copied.sum()
    runs = (copied * rows_on).sum()
    bytes_on = (copied * rows_on * columns_on).sum() * channels
    pieces, pieces_on = patches, (copied * (rows_on > 0)).sum()
    if window.dilation != (1, 1):
        # Tap by tap, a run each.
        pieces, runs = patches * taps, runs * window.kernel[1]
        pieces_on = runs
    filled = patches * taps * channels - bytes_on
    return [float(each) for each in (patches, pieces, pieces_on, runs, bytes_on, filled)]


def _taps_on_map(window: Window, axis: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Of the outputs along an axis: whether all taps are on the map, and how many."""
    starts = np.arange(window.out_shape[axis]) * window.stride[axis] - window.corner[axis]
    taps = starts[:, np.newaxis] + np.arange(window.kernel[axis]) * window.dilation[axis]
    on = ((taps >= 0) & (taps < window.shape[axis])).sum(axis=1)
    return on == window.kernel[axis], on


def _of_dense(operator: Dense) -> list[float]:
    """Call; inputs by words, and one by one; pairs of blocks, a single block: whether there are
    any, how many, segments, products, those that fill up a word, and inputs one by one; sums.
    """
    inputs, outputs = operator.n_inputs, operator.n_outputs
    segments, tail = -(-inputs // 256), inputs % 4
    wide = not operator.scale.narrow
    counts = [1.0, inputs // 4, tail]
    for blocks in divmod(-(-outputs // 4), 2):
        counts += [float(blocks > 0), blocks, blocks * segments]
        counts += [blocks * inputs, blocks * (-inputs % 4), blocks * tail]
    return [*counts, outputs * (not wide), outputs * wide]


def _of_depthwise(operator: Depthwise) -> list[float]:
    """Call; filled and packed positions; channels of the input, their lines that lie in it, and
    lines of which a part lies outside; of the output, weights, lines, forms of the scale; three
    outputs by their form, and of kernels other than 3 x 3 their groups, runs, fours of taps, and
    taps.
    """
    lines, places = (
        (operator.columns, operator.rows) if operator.turned else (operator.rows, operator.columns)
    )
    part = -(-lines.out // 3)
    packed_lines, width = lines.reach(part), places.reach(places.out)
    length = max(min(width - places.before, places.size), 0)
    first = np.arange(packed_lines) - lines.before
    third = first + (lines.out - part) * lines.stride
    inside = int(np.count_nonzero((first >= 0) & (third < lines.size))) * (length > 0)
    outside = packed_lines * (length > 0) - inside
    inputs, outputs = operator.channels // operator.multiplier, operator.channels
    groups = -(-lines.kernel // operator.group)
    merged = width == 1 and groups == 1
    fast = (lines.kernel, places.kernel, places.dilation, groups) == (3, 3, 1, 1)
    runs, run = (1, lines.kernel) if merged else (lines.kernel, places.kernel)
    threes = outputs * part * places.out
    slow = threes * (not fast)
    wide = isinstance(operator.scale, Scale)
    signed = not wide and operator.scale.low < operator.scale.zero_point
    return [
        *(1.0, packed_lines * width, inputs, inputs * (inside > 0), inputs * inside),
        *(inputs * inside * length, inputs * outside, inputs * outside * length),
        *(outputs, outputs * lines.kernel * places.kernel, outputs * min(part, places.out)),
        *(outputs * signed, outputs * wide, threes * fast, threes * signed, threes * wide),
        *(slow, slow * (groups > 1) * groups, slow * runs),
        *(slow * runs * -(-run // 4), slow * runs * run),
    ]


def _of_depthwise_of_pairs(operator: Depthwise3x3) -> list[float]:
    """Where a processor multiplies halves of words and strides are 1: call; places of the copy;
    channels, their lines, fours of places, single ones; lines of outputs, pairs, single ones, of
    int8's limits and of others. Behind that, the counts of other strides.
    """
    lines, places = operator.rows, operator.columns
    others = _of_depthwise(operator)
    if (lines.stride, places.stride) != (1, 1):
        return [0.0] * _COUNTS_OF_PAIRS + others
    if operator.turned:
        lines, places = places, lines
    if lines.dilation == 1 and lines.out > places.out:
        lines, places = places, lines
    width, height = places.reach(places.out), lines.reach(lines.out)
    seen, lines_seen = (
        min(max(extent - axis.before, 0), axis.size)
        for axis, extent in ((places, width), (lines, height))
    )
    channels = operator.channels
    copied, made = channels * lines_seen, channels * lines.out
    outputs = made, made * (places.out // 2), made * (places.out % 2)
    limited = (operator.scale.low, operator.scale.high) != (-128, 127)
    return [
        *(1.0, height * (width + width % 2), channels, copied, copied * (seen // 4)),
        *(copied * (seen % 4), channels * limited),
        *(each * (not limited) for each in outputs),
        *(each * limited for each in outputs),
        *([0.0] * len(others)),
    ]


def _of_average_pool(operator: AveragePool) -> list[float]:
    """Call, rows of windows; windows, sizes of windows; windows, rows and values by words, and
    one by one; means by long division.
    """
    window, channels = operator.window, operator.window.shape[2]
    rows, columns = (_covered(window, axis) for axis in (0, 1))
    counts = np.outer(rows, columns)
    changes = 1 + np.count_nonzero(np.diff(counts.ravel()))
    large = counts >= _LARGE_POOL
    by_words = ~large & (channels % 4 == 0)
    heights = np.broadcast_to(rows[:, np.newaxis], counts.shape)
    work = [
        channels / size * float(each[chosen].sum())
        for chosen, size in ((by_words, 4), (~by_words, 1))
        for each in (np.ones_like(counts), heights, counts)
    ]
    large_means = channels * float(large.sum())
    return [1.0, len(rows), counts.size, float(changes), *work, large_means]


def _of_max_pool(operator: MaxPool) -> list[float]:
    """Call; rows of windows, windows, their rows and pixels; outputs, values; with limits."""
    window, channels = operator.window, operator.window.shape[2]
    rows, columns = (_covered(window, axis) for axis in (0, 1))
    windows, values = len(rows) * len(columns), int(rows.sum() * columns.sum())
    limited = (operator.low, operator.high) != (-128, 127)
    return [
        *(1.0, len(rows), windows, int(rows.sum()) * len(columns), values),
        *(windows * channels, values * channels, windows * limited, windows * channels * limited),
    ]


def _covered(window: Window, axis: int) -> NDArray[np.int64]:
    """Positions of the map under each window along an axis."""
    starts = np.arange(window.out_shape[axis]) * window.stride[axis] - window.corner[axis]
    ends = np.minimum(starts + window.kernel[axis], window.shape[axis])
    return np.asarray(ends - np.maximum(starts, 0))


def _of_mean(operator: Mean) -> list[float]:
    outer, first, middle, second, inner = operator.shape
    outputs = outer * middle * inner
    return [1.0, outer * middle, outputs, outputs * first, outputs * first * second]


def copies(size: int, source: NDArray[np.int64], target: NDArray[np.int64]) -> list[float]:
    """Copies of `size` bytes, those of aligned addresses, blocks of 16 of them, single bytes."""
    aligned = int(np.count_nonzero((source | target) % 4 == 0))
    blocks = aligned * (size // 16)
    return [len(target), aligned, blocks, len(target) * size - 16 * blocks]


def _of_pad(operator: Pad) -> list[float]:
    """Call; planes, values that are filled in; rows that are copied."""
    counts, before = operator.counts, operator.before
    sizes = np.add(np.add(counts, before), operator.after)
    planes, rows = np.meshgrid(np.arange(counts[0]), np.arange(counts[1]), indexing="ij")
    target = ((before[0] + planes) * sizes[1] + before[1] + rows) * sizes[2] + before[2]
    source = (planes * counts[1] + rows) * counts[2]
    filled = int(np.prod(sizes)) - int(np.prod(counts))
    return [1.0, counts[0], filled, *copies(counts[2], source.ravel(), target.ravel())]


def _of_concat(operator: Concat) -> list[float]:
    """Call, rows; copies."""
    item = DTYPES[operator.typecode].itemsize
    rows, counts = np.arange(operator.n_rows), [item * count for count in operator.counts]
    places = np.cumsum((0, *counts))
    copied = [
        copies(count, rows * count, rows * places[-1] + place)
        for count, place in zip(counts, places, strict=False)
    ]
    return [1.0, operator.n_rows, *np.sum(copied, axis=0)]


def _of_gather(operator: Gather) -> list[float]:
    """Call; three dimensions, positions of them from tables; elements alone, short runs and their
    elements, runs from a table, copies.
    """
    dimensions, run = operator.dimensions, operator.run
    nested = [int(each) for each in np.cumprod([each.count for each in dimensions])]
    tables = [each.table is not None for each in dimensions]
    from_tables = sum(count * table for count, table in zip(nested[:3], tables, strict=False))
    alone, short = run == 1 and not tables[3], run < _SHORT_RUN
    copied = [0.0] * 4
    if not short:
        source = np.array([operator.start])
        for each in dimensions:
            source = np.add.outer(source, each.positions()).ravel()
        copied = copies(run, source, np.arange(nested[3]) * run)
    few = nested[3] * (short and not alone)
    return [
        *(1.0, *nested[:3], from_tables, nested[3] * alone),
        *(few, few * run, nested[3] * tables[3], *copied),
    ]


def _of_argmax(operator: Argmax) -> list[float]:
    return [1.0, operator.outer, operator.outputs[0][1], operator.inputs[0][1]]


# ---- What depends on the data


def _of_arithmetic(operator: Add | Mul, inputs: Sequence[NDArray[Any]] | None) -> list[float]:
    """Call, rows, elements; those that are limited, and those that need the long formula, as all
    do or as some do.
    """
    rows = operator.counts[0] * operator.counts[1]
    if inputs is None:
        draw = np.random.default_rng(1)
        inputs = [draw.integers(-128, 128, (4, n)).astype(np.int8) for _, n in operator.inputs]
    limited, doubtful = operator.mean_work(*inputs)
    always = operator.doubt == ALWAYS
    counts = [rows * operator.counts[2], limited, doubtful * always, doubtful * (not always)]
    return [1.0, rows, *counts]


def _of_standardize(operator: Standardize, inputs: Sequence[NDArray[Any]] | None) -> list[float]:
    """Call; numbers that are scaled, too large, or too small; negative ones."""
    n, exponent = operator.n_elements, operator.exponent.astype(np.int64)
    if inputs is None:
        # Near the centre: as many steps of the output as it has values.
        inputs = [np.ldexp(1.0, exponent - 127 - 20)[np.newaxis].astype(np.float32)]
    size = np.ascontiguousarray(inputs[0], np.float32).view(np.uint32) & 0x7FFFFFFF
    shift = exponent - (size >> 23).astype(np.int64)
    nothing = (size < 1 << 23) | (size > 0x7F800000)
    large = ~nothing & (shift < 2)
    small = nothing | (shift > 31)
    kinds = ~small & ~large, large, small, np.signbit(inputs[0])
    return [1.0, *(n * float(kind.mean()) for kind in kinds)]


def _of_quantize(operator: Quantize, inputs: Sequence[NDArray[Any]] | None) -> list[float]:
    """Call; numbers that are divided, too large, or rounded to 0; negative ones; limited ones."""
    n = operator.n_elements
    scale = np.array(operator.scale, np.uint32).view(np.float32)
    x = (_EVENLY - float(operator.zero_point))[np.newaxis] * scale if inputs is None else inputs[0]
    size = np.ascontiguousarray(x, np.float32).view(np.uint32) & 0x7FFFFFFF
    shift = (size >> 23).astype(np.int64) - (operator.scale >> 23) + 1
    to_zero = (shift < 0) | (size > 0x7F800000)
    large = ~to_zero & (shift > 9)
    steps = np.where(to_zero, 0.0, np.clip(x / scale, -512, 512)) + operator.zero_point
    limited = (steps < -128.5) | (steps > 127.5)
    kinds = ~to_zero & ~large, large, to_zero, np.signbit(x), limited
    return [1.0, *(n * float(kind.mean()) for kind in kinds)]


def _of_dequantize(operator: Dequantize, inputs: Sequence[NDArray[Any]] | None) -> list[float]:
    """Call; zeros, other numbers, negative ones; bits that products are shifted by."""
    n = operator.n_elements
    values = (_EVENLY if inputs is None else inputs[0]).astype(np.int64) - operator.zero_point
    product = np.abs(values) * ((operator.scale & 0x7FFFFF) | 0x800000)
    shifts = np.where(values == 0, 0, 32 - np.frexp(product.astype(np.float64))[1])
    counts = (values == 0).mean(), (values != 0).mean(), (values < 0).mean(), shifts.mean()
    return [1.0, *(n * float(count) for count in counts)]


NET_TERMS: Mapping[type, Callable[[Any], Sequence[float]]] = {
    Lookup: _of_lookup,
    Softmax8: _of_softmax,
    Rescale: _of_outputs,
    Pad: _of_pad,
    Concat: _of_concat,
    Gather: _of_gather,
    Argmax: _of_argmax,
    AveragePool: _of_average_pool,
    MaxPool: _of_max_pool,
    Mean: _of_mean,
    Conv2D: _of_conv,
    ConvPairs: _of_conv_pairs,
    SmallConv: _of_small_conv,
    Dense: _of_dense,
    Depthwise: _of_depthwise,
    Depthwise3x3: _of_depthwise,
}

NET_TERMS_OF_ARCH: Mapping[tuple[str, type], Callable[[Any], Sequence[float]]] = {
    ("armv7emsp", Conv2D): _of_conv_of_words,
    ("armv7emsp", ConvPairs): _of_conv_pairs_of_words,
    ("armv7emsp", Depthwise3x3): _of_depthwise_of_pairs,
    ("xtensawin", Depthwise3x3): _of_depthwise_of_pairs,
}
"""Where a kernel works in another way than on the others."""

NET_TERMS_OF_DATA: Mapping[
    type, Callable[[Any, Sequence[NDArray[Any]] | None], Sequence[float]]
] = {
    Add: _of_arithmetic,
    Mul: _of_arithmetic,
    Quantize: _of_quantize,
    Dequantize: _of_dequantize,
    Standardize: _of_standardize,
}
