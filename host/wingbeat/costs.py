"""What a program takes on a board: time, operator by operator, from costs that were fitted.

Costs per step of each kernel were fitted to emulated cycles of a Cortex-M0+, and on other
processors to instructions of an emulated one; for some kernels there are only so many
instructions for each of those cycles (``costs.toml``, made by ``bench/costs.py``). What a step
is, `terms` says.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import UsageError
from .golden import vectors_of
from .net_costs import NET_TERMS, NET_TERMS_OF_ARCH, NET_TERMS_OF_DATA
from .program import Program
from .reference import DTYPES, Cast, ForestWalk, Operator, Probability, Shift, WindowStats
from .signal_costs import SIGNAL_TERMS
from .stream import Stream, pace_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FILE = Path(__file__).parent / "costs.toml"

_MEASURED_ALONE = "armv6m"
"""Where costs are those of kernels alone; elsewhere they were taken with calls."""

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
    operators = [call.operator for call in program.calls]
    x, basis = None, "the same for every row"
    if any(map(depends_on_data, operators)):
        if program.golden is not None:
            x = vectors_of(program).inputs
            basis = f"mean of {len(x)} rows of data"
        elif any(isinstance(operator, ForestWalk) for operator in operators):
            basis = "worst case: every tree's deepest"
        else:
            basis = "for values that are spread evenly"
    kernels = kernel_counts(program, arch, x)
    if kernels is None:
        return None
    each = float(known.get("cycles_per_instruction", 1.0))
    cycles = tuple(each * (known["operator"] + count) for count in kernels)
    taken = "emulated cycles"
    if "cycles_per_instruction" in known:
        taken = f"emulated instructions at {each:g} cycles each"
    shares = map(float, pace_of(program).shares) if program.takes_stream else ()
    total = each * call_count(program, arch) + sum(cycles)
    return Estimate(total, cycles, basis, taken, tuple(shares))


def call_count(program: Program, arch: str) -> float:
    """What a call takes beside its operators: MicroPython's, and copying its input and output."""
    known = costs()[arch]
    ends = ((end.typecode, end.n_elements) for end in (program.input, program.output))
    return float(known["call"] + known["byte"] * bytes_of(*ends))


def bytes_of(*tensors: tuple[str, int]) -> int:
    """Bytes of tensors, each a typecode and a number of elements."""
    return sum(DTYPES[typecode].itemsize * count for typecode, count in tensors)


def kernel_counts(program: Program, arch: str, x: NDArray[Any] | None = None) -> list[float] | None:
    """What a program's kernels take by their costs, call by call.

    Parameters
    ----------
    x : array [rows, *input.shape], optional
        What the work is counted on that depends on the data: see `terms`.

    Returns
    -------
    list or None
        Cycles on armv6m, else instructions. None where an operator has no costs.
    """
    seen = {} if x is None else _inputs_that_matter(program, x)
    counts = []
    for number, call in enumerate(program.calls):
        count = count_of(call.operator, arch, seen.get(number))
        if count is None:
            return None
        counts.append(count)
    return counts


def without_costs(program: Program, arch: str) -> tuple[str, ...]:
    """Names of the program's kernels that have no costs on `arch`."""
    kernels = {call.operator.KERNEL: call.operator for call in program.calls}
    return tuple(name for name, each in kernels.items() if count_of(each, arch) is None)


def _inputs_that_matter(program: Program, x: NDArray[Any]) -> dict[int, Sequence[NDArray[Any]]]:
    """What reaches each operator whose time depends on it, by the number of its call."""
    found: dict[int, Sequence[NDArray[Any]]] = {}
    wanted = [number for number, call in enumerate(program.calls) if depends_on_data(call.operator)]

    def watch(number: int, inputs: Sequence[NDArray[Any]]) -> None:
        if number in wanted:
            found[number] = inputs

    if program.takes_stream:
        Stream(program).run(x, watch)
        return found
    values: dict[int, NDArray[Any]] = {0: x.reshape(len(x), -1)}
    for number, call in enumerate(program.calls[: max(wanted, default=-1) + 1]):
        n_inputs = len(call.operator.inputs)
        inputs = [values[index] for index in call.operands[:n_inputs]]
        watch(number, inputs)
        results = call.operator.apply(*inputs)
        values.update(zip(call.operands[n_inputs:], results, strict=False))
    return found


def count_of(
    operator: Operator, arch: str, inputs: Sequence[NDArray[Any]] | None = None
) -> float | None:
    """What an operator's kernel takes: cycles on armv6m, else instructions; None if not known.

    Parameters
    ----------
    inputs : sequence of arrays [rows, elements], optional
        See `terms`.
    """
    name, known = costs_name(operator), costs().get(arch, {})
    kernel, factor = (known.get(title, {}).get(name) for title in ("kernels", "factors"))
    if kernel is not None:
        count = float(np.dot(kernel, terms(operator, arch, inputs)))
    elif factor is not None:
        count = float(factor) * (count_of(operator, _MEASURED_ALONE, inputs) or 0.0)
    else:
        return None
    if arch == _MEASURED_ALONE:
        return count
    # Taken with calls of programs of this operator, which copied its first input and output.
    copied = float(known["byte"]) * bytes_of(operator.inputs[0], operator.outputs[0])
    return max(0.0, count - copied)


# ---- Steps of each kernel


def terms(
    operator: Operator, arch: str, inputs: Sequence[NDArray[Any]] | None = None
) -> list[float]:
    """What an operator does, as counts; the costs of its kernel multiply them.

    Parameters
    ----------
    inputs : sequence of arrays [rows, elements], optional
        What the operator takes: the counts of those whose time `depends_on_data` are the mean over
        the rows. Without it, those of a forest are the most that a row can be, and those of others
        are of values that are spread evenly.

    Raises
    ------
    UsageError
        There are no counts for this operator.
    """
    kind = type(operator)
    if kind in _TERMS_OF_DATA:
        counts = _TERMS_OF_DATA[kind](operator, inputs)
    elif kind in _TERMS:
        counts = NET_TERMS_OF_ARCH.get((arch, kind), _TERMS[kind])(operator)
    else:
        raise UsageError(f"no costs for the operator {operator.KERNEL}")
    return [float(each) for each in counts]


def depends_on_data(operator: Operator) -> bool:
    """Whether an operator's time depends on its inputs by more than a little."""
    return type(operator) in _TERMS_OF_DATA


def _of_forest(operator: ForestWalk, inputs: Sequence[NDArray[Any]] | None) -> list[float]:
    """Call; trees, visited nodes, outputs; leaves of several classes, their classes."""
    work = operator.worst_work() if inputs is None else operator.mean_work(inputs[0])
    counts = [len(operator.roots), work.visits, operator.n_outputs, work.shared, work.entries]
    return [1.0, *counts]


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


_TERMS: Mapping[type, Callable[[Any], Sequence[float]]] = {
    WindowStats: _of_window_stats,
    Shift: _of_shift,
    Cast: _of_outputs,
    Probability: _of_outputs,
    **NET_TERMS,
    **SIGNAL_TERMS,
}

_TERMS_OF_DATA: Mapping[type, Callable[[Any, Sequence[NDArray[Any]] | None], Sequence[float]]] = {
    ForestWalk: _of_forest,
    **NET_TERMS_OF_DATA,
}
