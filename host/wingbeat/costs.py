"""What a program takes on a board: time, operator by operator, from costs that were fitted.

Costs per step of each kernel were fitted to emulated cycles of a Cortex-M0+, and on other
processors to instructions of an emulated one; for some kernels there are only so many
instructions for each of those cycles (``costs.toml``, made by ``bench/costs.py``). What a step
is, `terms` says.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import UsageError
from .golden import vectors_of
from .program import Program
from .reference import (
    AveragePool,
    Cast,
    Conv2D,
    ConvPairs,
    Dense,
    Depthwise,
    Depthwise3x3,
    ForestWalk,
    Lookup,
    MaxPool,
    Mean,
    Operator,
    Probability,
    Shift,
    SmallConv,
    WindowStats,
)
from .reference.argmax import Argmax
from .reference.arithmetic import Add, Mul
from .reference.base import DTYPES
from .reference.concat import Concat
from .reference.conv import Window
from .reference.dequantize import Dequantize
from .reference.forest import Work
from .reference.gather import Gather
from .reference.pad import Pad
from .reference.quantize import Quantize
from .reference.rescale import Rescale
from .reference.scale import Scale
from .reference.softmax8 import Softmax8
from .signal_costs import SIGNAL_TERMS
from .stream import Stream, pace_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FILE = Path(__file__).parent / "costs.toml"

_FAST_POOL = 257  # values that a mean is divided by with a product

_SHORT_RUN = 8  # elements of a run from which on it is copied by words

Costs: TypeAlias = "dict[str, Any]"


@dataclass(frozen=True)
class Estimate:
    """Time of one `run`; of a stream, of an input with which everything is due.

    Attributes
    ----------
    cycles : float
    operators : tuple of float
        Cycles of each operator, in the order in which they run. What is left of `cycles` is the
        call from MicroPython.
    basis : str
        What the number of visited nodes is: a mean over rows of data, or the worst case.
    taken : str
        What it was computed from.
    shares : tuple of float
        Of a stream: how often each operator runs, for each run of the program.
    """

    cycles: float
    operators: tuple[float, ...]
    basis: str
    taken: str = "emulated cycles"
    shares: tuple[float, ...] = ()

    @property
    def mean_cycles(self) -> float:
        """Cycles of a run in the mean: of a stream, not every operator runs every time."""
        shares = self.shares or (1.0,) * len(self.operators)
        saved = (each * (1 - share) for each, share in zip(self.operators, shares, strict=True))
        return self.cycles - sum(saved)

    @property
    def costliest(self) -> int:
        """Number of the operator that takes most, in the mean."""
        shares = self.shares or (1.0,) * len(self.operators)
        return int(np.argmax(np.multiply(self.operators, shares)))


@cache
def costs() -> Costs:
    """The content of ``costs.toml``."""
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def costs_name(operator: Operator) -> str:
    """The name that an operator's kernel has in ``costs.toml``."""
    # A weight through the table costs what one in the leaf costs, but for a load.
    return operator.KERNEL.replace("_table", "_pairs")


def estimate(program: Program, arch: str) -> Estimate | None:
    """Time of one `run` on boards of `arch`.

    Returns
    -------
    Estimate or None
        None for an architecture or operator whose cycles were not measured.
    """
    known = costs().get(arch)
    if known is None:
        return None
    walked = any(isinstance(call.operator, ForestWalk) for call in program.calls)
    golden = vectors_of(program) if walked else None
    if golden is None:
        kernels, basis = kernel_counts(program, arch), "the same for every row"
    elif golden.real:
        kernels = kernel_counts(program, arch, golden.inputs)
        basis = f"mean of {len(golden.inputs)} rows of data"
    else:
        kernels = kernel_counts(program, arch, golden.inputs, worst=True)
        basis = "worst case: every tree's deepest"
    if kernels is None:
        return None
    each = float(known.get("cycles_per_instruction", 1.0))
    operators = tuple(each * (known["operator"] + count) for count in kernels)
    cycles = each * known["call"] + sum(operators)
    taken = "emulated cycles"
    if "cycles_per_instruction" in known:
        taken = f"emulated instructions at {each:g} cycles each"
    shares = map(float, pace_of(program).shares) if program.takes_stream else ()
    return Estimate(cycles, operators, basis, taken, tuple(shares))


def kernel_counts(
    program: Program, arch: str, x: NDArray[Any] | None = None, *, worst: bool = False
) -> list[float] | None:
    """What a program's kernels take by their costs, call by call.

    Parameters
    ----------
    x : array [rows, *input.shape], optional
        What the work of forests is counted on; only programs with forests need it.
    worst : bool
        Take the most work that a row can be for a forest.

    Returns
    -------
    list or None
        Cycles on armv6m, else instructions. None where an operator has no costs.
    """
    seen = {} if x is None else _rows_of_forests(program, x)
    counts = []
    for number, call in enumerate(program.calls):
        operator, work = call.operator, None
        if isinstance(operator, ForestWalk):
            rows = seen.get(number)
            work = operator.worst_work() if worst or rows is None else operator.mean_work(rows)
        count = count_of(operator, arch, work)
        if count is None:
            return None
        counts.append(count)
    return counts


def _rows_of_forests(program: Program, x: NDArray[Any]) -> dict[int, NDArray[Any]]:
    """What reaches each forest, by the number of its call."""
    found: dict[int, NDArray[Any]] = {}

    def watch(number: int, inputs: Sequence[NDArray[Any]]) -> None:
        if isinstance(program.calls[number].operator, ForestWalk):
            found[number] = inputs[0]

    if program.takes_stream:
        Stream(program).run(x, watch)
        return found
    values: dict[int, NDArray[Any]] = {0: x.reshape(len(x), -1)}
    for number, call in enumerate(program.calls):
        n_inputs = len(call.operator.inputs)
        inputs = [values[index] for index in call.operands[:n_inputs]]
        watch(number, inputs)
        results = call.operator.apply(*inputs)
        values.update(zip(call.operands[n_inputs:], results, strict=False))
    return found


def count_of(operator: Operator, arch: str, work: Work | None = None) -> float | None:
    """What an operator's kernel takes: cycles on armv6m, else instructions; None if not known.

    Parameters
    ----------
    work : Work, optional
        Of a forest: what a row takes.
    """
    name, known = costs_name(operator), costs()[arch]
    kernel = known.get("kernels", {}).get(name)
    if kernel is not None:
        return float(np.dot(kernel, terms(operator, work)))
    factor = known.get("factors", {}).get(name)
    cycles = None if factor is None else count_of(operator, "armv6m", work)
    return None if cycles is None else factor * cycles


# ---- Steps of each kernel


def terms(operator: Operator, work: Work | None = None) -> list[float]:
    """What an operator does, as counts; the costs of its kernel multiply them.

    Parameters
    ----------
    work : Work, optional
        Of a forest: what a row takes.
    """
    if isinstance(operator, ForestWalk):
        assert work is not None
        trees, outputs = len(operator.roots), operator.n_outputs
        return [1.0, trees, work.visits, outputs, work.shared, work.entries]
    count = _TERMS.get(type(operator))
    if count is None:
        raise UsageError(f"no costs for the operator {operator.KERNEL}")
    return [float(each) for each in count(operator)]


def _of_window_stats(operator: WindowStats) -> list[float]:
    channels, samples = operator.n_channels, operator.n_channels * operator.n_samples
    asked = operator.statistics
    squares = "std" in asked or "rms" in asked
    return [
        *(1.0, channels, samples, samples * squares, samples * ("mean_crossings" in asked)),
        *(channels * ("std" in asked), channels * ("rms" in asked), channels * len(asked)),
    ]


def _of_shift(operator: Shift) -> list[float]:
    short = operator.typecode == "H"
    return [1.0, operator.n_elements * (not short), operator.n_elements * short]


def _of_outputs(operator: Operator) -> list[float]:
    return [1.0, operator.outputs[0][1]]


def _of_softmax(operator: Softmax8) -> list[float]:
    (_, n_elements), *_ = operator.outputs
    return [1.0, n_elements / operator.depth, n_elements]


def _of_conv(operator: Conv2D) -> list[float]:
    """Call; three pixels; their runs and inputs; copies; blocks, products; sums."""
    window, patch = operator.window, operator.patch
    taps = window.kernel[0] * window.kernel[1]
    channels, stretches = len(operator.weights), len(operator.stretches)
    threes = -(-window.out_shape[0] * window.out_shape[1] // 3)
    blocks = threes * -(-channels // 4)
    several = stretches > 1
    copied = _outside(window)
    dilated = window.dilation != (1, 1)
    wide = not operator.scale.narrow
    return [
        *(1.0, threes, threes * window.kernel[0], threes * patch, threes * patch * several),
        *(copied * (not dilated), copied * window.kernel[0] * (not dilated)),
        *(copied * taps * dilated, copied * patch),
        *(blocks, blocks * stretches * several, blocks * patch),
        *(threes * channels * (not wide), threes * channels * wide),
    ]


def _of_conv_pairs(operator: ConvPairs) -> list[float]:
    """Call; four pixels, their inputs; copied patches, their runs and inputs; two channels of four
    pixels, their inputs, those whose limits are not int8's or that are rounded away from 0.
    """
    window, patch = operator.window, operator.patch
    fours = -(-window.out_shape[0] * window.out_shape[1] // 4)
    copied = _outside(window) if window.shape[2] % 4 == 0 else 4 * fours
    records = fours * len(operator.weights) / 2
    slow = operator.away or (operator.low, operator.high) != (-128, 127)
    return [
        *(1.0, fours, fours * patch, copied, copied * window.kernel[0], copied * patch),
        *(records, records * patch, records * slow),
    ]


def _of_small_conv(operator: SmallConv) -> list[float]:
    """Call; runs of inputs, inputs, three outputs; over all channels three pixels, blocks,
    products; depthwise channels, lines, rows of taps, taps.
    """
    window, (channels, patch) = operator.window, operator.weights.shape
    taps = window.kernel[0] * window.kernel[1]
    if not operator.depthwise:
        threes = -(-window.out_shape[0] * window.out_shape[1] // 3)
        blocks = threes * -(-channels // 4)
        products = blocks * -(-patch // 4) * 4
        packed = threes * taps, threes * patch
        return [1.0, *packed, threes * channels, threes, blocks, products, 0, 0, 0, 0]
    part = -(-window.out_shape[0] // 3)
    lines = (part - 1) * window.stride[0] + window.kernel[0]
    width = (window.out_shape[1] - 1) * window.stride[1] + window.kernel[1]
    on_map = max(min(width - window.corner[1], window.shape[1]), 0)
    threes = channels * part * window.out_shape[1]
    packed = channels * lines, channels * lines * on_map + lines * width
    rows = channels, channels * part, threes * window.kernel[0], threes * taps
    return [1.0, *packed, threes, 0, 0, 0, *rows]


def _outside(window: Window) -> int:
    """Pixels whose patch is copied, since it hangs over the edge or has gaps in a row."""
    pixels = window.out_shape[0] * window.out_shape[1]
    if window.dilation[1] != 1:
        return pixels
    inside = 1
    for axis in (0, 1):
        starts = np.arange(window.out_shape[axis]) * window.stride[axis] - window.corner[axis]
        ends = starts + (window.kernel[axis] - 1) * window.dilation[axis]
        inside *= int(((starts >= 0) & (ends < window.shape[axis])).sum())
    return pixels - inside


def _of_dense(operator: Dense) -> list[float]:
    """Call, inputs; pairs of blocks, single blocks: each, segments, products; sums."""
    inputs, outputs = operator.n_inputs, operator.n_outputs
    pairs, single = divmod(-(-outputs // 4), 2)
    segments = -(-inputs // 256)
    wide = not operator.scale.narrow
    return [
        *(1.0, inputs, pairs, pairs * segments, pairs * inputs),
        *(single, single * segments, single * inputs, outputs * (not wide), outputs * wide),
    ]


def _of_depthwise(operator: Depthwise) -> list[float]:
    """Call; filled and packed positions; channels, weights, lines; three outputs by their form,
    and of kernels other than 3 x 3 their groups, runs and taps.
    """
    lines, places = (
        (operator.columns, operator.rows) if operator.turned else (operator.rows, operator.columns)
    )
    part = -(-lines.out // 3)
    packed_lines, width = lines.reach(part), places.reach(places.out)
    packed = packed_lines * max(min(width - places.before, places.size), 0)
    inputs, outputs = operator.channels // operator.multiplier, operator.channels
    groups = -(-lines.kernel // operator.group)
    single = width == 1 and groups == 1
    fast = (lines.kernel, places.kernel, places.dilation, groups) == (3, 3, 1, 1)
    taps = lines.kernel * places.kernel
    threes = outputs * part * places.out
    slow = threes * (not fast)
    wide = isinstance(operator.scale, Scale)
    signed = not wide and operator.scale.low < operator.scale.zero_point
    return [
        *(1.0, packed_lines * width, inputs, inputs * packed_lines, inputs * packed),
        *(outputs, outputs * taps, outputs * min(part, places.out)),
        *(threes * fast, threes * signed, threes * wide),
        *(slow, slow * (groups > 1) * groups, slow * (1 if single else lines.kernel), slow * taps),
    ]


def _of_average_pool(operator: AveragePool) -> list[float]:
    """Call; pixels and sizes of windows; windows, rows and values by words, and one by one."""
    window, channels = operator.window, operator.window.shape[2]
    rows, columns = (_covered(window, axis) for axis in (0, 1))
    counts = np.outer(rows, columns).ravel()
    changes = 1 + np.count_nonzero(np.diff(counts))
    work = np.array([len(counts), rows.sum() * len(columns), counts.sum()]) * channels
    large = float((counts > _FAST_POOL).sum() * channels)
    by_words = channels % 4 == 0 and not large
    return [1.0, len(counts), changes, *(work / 4 * by_words), *(work * (not by_words)), large]


def _of_max_pool(operator: MaxPool) -> list[float]:
    """Call; windows, their rows and pixels; outputs, values, outputs with limits."""
    window, channels = operator.window, operator.window.shape[2]
    rows, columns = (_covered(window, axis) for axis in (0, 1))
    windows, values = len(rows) * len(columns), int(rows.sum() * columns.sum())
    limited = (operator.low, operator.high) != (-128, 127)
    return [
        *(1.0, windows, int(rows.sum()) * len(columns), values),
        *(windows * channels, values * channels, windows * channels * limited),
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


def _of_arithmetic(operator: Add | Mul) -> list[float]:
    """Call, rows, elements, and those of which the short formula is in doubt."""
    rows = operator.counts[0] * operator.counts[1]
    elements = rows * operator.counts[2]
    return [1.0, rows, elements, elements * operator.doubt / 2**32]


def _copies(size: int, source: NDArray[np.int64], target: NDArray[np.int64]) -> list[float]:
    """Copies of `size` bytes, blocks of 16 where both addresses are aligned, single bytes."""
    aligned = int(np.count_nonzero((source | target) % 4 == 0))
    blocks = aligned * (size // 16)
    return [len(target), blocks, len(target) * size - 16 * blocks]


def _of_pad(operator: Pad) -> list[float]:
    """Call; planes, values that are filled in; rows that are copied."""
    counts, before = operator.counts, operator.before
    sizes = np.add(np.add(counts, before), operator.after)
    planes, rows = np.meshgrid(np.arange(counts[0]), np.arange(counts[1]), indexing="ij")
    target = ((before[0] + planes) * sizes[1] + before[1] + rows) * sizes[2] + before[2]
    source = (planes * counts[1] + rows) * counts[2]
    filled = int(np.prod(sizes)) - int(np.prod(counts))
    return [1.0, counts[0], filled, *_copies(counts[2], source.ravel(), target.ravel())]


def _of_concat(operator: Concat) -> list[float]:
    """Call, rows; copies."""
    item = DTYPES[operator.typecode].itemsize
    rows, counts = np.arange(operator.n_rows), [item * count for count in operator.counts]
    places = np.cumsum((0, *counts))
    copied = [
        _copies(count, rows * count, rows * places[-1] + place)
        for count, place in zip(counts, places, strict=False)
    ]
    return [1.0, operator.n_rows, *np.sum(copied, axis=0)]


def _of_gather(operator: Gather) -> list[float]:
    """Call; three dimensions, elements alone, short runs and their elements, copies."""
    first, second, third, last = operator.dimensions
    run, table = operator.run, last.table is not None
    runs = first.count * second.count * third.count * last.count
    alone, short = run == 1 and not table, run < _SHORT_RUN
    copied = [0.0, 0.0, 0.0]
    if not short:
        source = np.array([operator.start])
        for each in operator.dimensions:
            source = np.add.outer(source, each.positions()).ravel()
        copied = _copies(run, source, np.arange(runs) * run)
    few = runs * (short and not alone)
    return [
        *(1.0, first.count, first.count * second.count, runs / last.count, runs * alone),
        *(runs * table, few, few * run, *copied),
    ]


def _of_argmax(operator: Argmax) -> list[float]:
    return [1.0, operator.outer, operator.outputs[0][1], operator.inputs[0][1]]


_TERMS: dict[type, Callable[[Any], list[float]]] = {
    WindowStats: _of_window_stats,
    Shift: _of_shift,
    Cast: _of_outputs,
    Probability: _of_outputs,
    Lookup: _of_outputs,
    Softmax8: _of_softmax,
    Quantize: _of_outputs,
    Dequantize: _of_outputs,
    Rescale: _of_outputs,
    Pad: _of_pad,
    Concat: _of_concat,
    Gather: _of_gather,
    Argmax: _of_argmax,
    AveragePool: _of_average_pool,
    MaxPool: _of_max_pool,
    Mean: _of_mean,
    Add: _of_arithmetic,
    Mul: _of_arithmetic,
    Conv2D: _of_conv,
    ConvPairs: _of_conv_pairs,
    SmallConv: _of_small_conv,
    Dense: _of_dense,
    Depthwise: _of_depthwise,
    Depthwise3x3: _of_depthwise,
    **SIGNAL_TERMS,
}
