"""Will a model fit a board: heap, flash and time, before anything is copied.

Heap is computed from the file as MicroPython's import takes it. Time comes from costs per step
that were fitted to emulated cycles of a Cortex-M0+; on other processors, from instructions of an
emulated one for each of those cycles (``costs.toml``, made by ``bench/costs.py``).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .assemble import Module
from .boards import Board
from .errors import UsageError
from .golden import vectors_of
from .mpy import Constant, Mpy
from .program import Program
from .reference import Cast, ForestWalk, Operator, Probability, Shift, WindowStats
from .reference.forest import Work

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_COSTS = Path(__file__).parent / "costs.toml"

# What an import takes beside the constants and the text: the module, its names, `Model`, `info`.
# The largest seen on armv6m, where it was 544 to 688 bytes.
_IMPORT_WORDS = 176
_MODEL_WORDS = 8

Costs: TypeAlias = "dict[str, Any]"


@dataclass(frozen=True)
class HeapNeed:
    """Bytes of heap.

    Attributes
    ----------
    by_import, by_model : int
        What `import` and `Model()` take.
    largest : int
        The largest part, which must be free in one piece.
    """

    by_import: int
    by_model: int
    largest: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.by_import + self.by_model


def heap_need(module: Module, *, romfs: bool = False) -> HeapNeed:
    """The heap that a module takes on a board.

    Parameters
    ----------
    romfs : bool
        The file is in ROMFS, where its constants are used in place.
    """
    mpy = Mpy.decode(module.data)
    word = 8 if module.arch.endswith("64") else 4
    block = 4 * word

    def blocks(size: int) -> int:
        return -(-size // block) * block

    def constant(value: Constant) -> int:
        if isinstance(value, tuple):
            return blocks((2 + len(value)) * word) + sum(map(constant, value))
        if isinstance(value, (str, bytes)):
            size = len(value.encode() if isinstance(value, str) else value)
            return block + (0 if romfs else blocks(size + 1))
        return block if isinstance(value, float) else 0

    # The unix port keeps machine code outside of its heap.
    text = 0 if module.arch == "x64" else blocks(len(mpy.text))
    data = 0 if romfs else max(len(each) for each in mpy.constants if isinstance(each, bytes))
    by_import = text + sum(map(constant, mpy.constants)) + _IMPORT_WORDS * word
    calls, arena = len(module.program.calls), module.program.arena
    by_model = blocks((_MODEL_WORDS + calls) * word + arena)
    return HeapNeed(by_import, by_model, max(text, blocks(data + 1), by_model))


# ---- Time


@dataclass(frozen=True)
class Estimate:
    """Cycles of one `run`.

    Attributes
    ----------
    cycles : float
    basis : str
        What the number of visited nodes is: a mean over rows of data, or the worst case.
    taken : str
        What it was computed from.
    """

    cycles: float
    basis: str
    taken: str = "emulated cycles"


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
    if isinstance(operator, WindowStats):
        channels, samples = operator.n_channels, operator.n_channels * operator.n_samples
        asked = operator.statistics
        squares = "std" in asked or "rms" in asked
        return [
            *(1.0, channels, samples, samples * squares, samples * ("mean_crossings" in asked)),
            *(channels * ("std" in asked), channels * ("rms" in asked), channels * len(asked)),
        ]
    if isinstance(operator, Shift):
        short = operator.typecode == "H"
        return [1.0, operator.n_elements * (not short), operator.n_elements * short]
    if isinstance(operator, (Cast, Probability)):
        ((_, n_outputs),) = operator.outputs
        return [1.0, n_outputs]
    raise UsageError(f"no costs for the operator {operator.KERNEL}")


@cache
def costs() -> Costs:
    """The content of ``costs.toml``."""
    return tomllib.loads(_COSTS.read_text(encoding="utf-8"))


def estimate(program: Program, arch: str) -> Estimate | None:
    """Cycles of one `run` on boards of `arch`.

    Returns
    -------
    Estimate or None
        None for an architecture or operator whose cycles were not measured.
    """
    known = costs().get(arch)
    if known is None:
        return None
    golden = vectors_of(program)
    kernels = kernel_cycles(program, golden.inputs, worst=not golden.real)
    factors = known.get("factors")
    if kernels is None or (factors is not None and not factors.keys() >= kernels.keys()):
        return None
    counted = known["call"] + len(program.calls) * known["operator"]
    counted += sum(cost * (factors[name] if factors else 1) for name, cost in kernels.items())
    walked = any(isinstance(call.operator, ForestWalk) for call in program.calls)
    basis = "the same for every row"
    if walked and golden.real:
        basis = f"mean of {len(golden.inputs)} rows of data"
    elif walked:
        basis = "worst case: every tree's deepest"
    if factors is None:
        return Estimate(counted, basis)
    each = float(known["cycles_per_instruction"])
    taken = f"emulated instructions at {each:g} cycles each"
    return Estimate(counted * each, basis, taken)


def kernel_cycles(
    program: Program, x: NDArray[Any], *, worst: bool = False
) -> dict[str, float] | None:
    """Cycles of a program's kernels on armv6m by their costs, summed by the name that costs have.

    Parameters
    ----------
    x : array [rows, *input.shape]
        What the work of forests is counted on.
    worst : bool
        Take the most work that a row can be for a forest.

    Returns
    -------
    dict or None
        None where an operator has no costs.
    """
    costs_of = costs()["armv6m"]["kernels"]
    values: dict[int, NDArray[Any]] = {0: x.reshape(len(x), -1)}
    cycles: dict[str, float] = {}
    for call in program.calls:
        operator = call.operator
        inputs = [values[index] for index in call.operands[: len(operator.inputs)]]
        work = None
        if isinstance(operator, ForestWalk):
            work = operator.worst_work() if worst else operator.mean_work(inputs[0])
        name = costs_name(operator)
        if name not in costs_of:
            return None
        cost = float(np.dot(costs_of[name], terms(operator, work)))
        cycles[name] = cycles.get(name, 0.0) + cost
        results = operator.apply(*inputs)
        for index, result in zip(call.operands[len(inputs) :], results, strict=False):
            values[index] = result
    return cycles


def costs_name(operator: Operator) -> str:
    """The name that an operator's kernel has in ``costs.toml``."""
    # A weight through the table costs what one in the leaf costs, but for a load.
    return operator.KERNEL.replace("_table", "_pairs")


# ---- Against a board


@dataclass(frozen=True)
class Limit:
    """One figure of a model against a board's.

    Attributes
    ----------
    what : str
    need, limit : int
        Bytes.
    """

    what: str
    need: int
    limit: int

    @property
    def fits(self) -> bool:
        """It is within the limit."""
        return self.need <= self.limit


@dataclass(frozen=True)
class Check:
    """Whether a model fits a board.

    Attributes
    ----------
    board : Board
    module : Module
    heap : HeapNeed
        With the file in the file system.
    heap_romfs : HeapNeed
        With the file in ROMFS.
    limits : tuple of Limit
        Heap and flash.
    time : Estimate or None
    """

    board: Board
    module: Module
    heap: HeapNeed
    heap_romfs: HeapNeed
    limits: tuple[Limit, ...]
    time: Estimate | None

    @property
    def fits(self) -> bool:
        """All limits are kept."""
        return all(limit.fits for limit in self.limits)

    @property
    def us(self) -> float | None:
        """Microseconds of one `run` at the board's clock."""
        return None if self.time is None else self.time.cycles * 1e6 / self.board.clock

    @property
    def fix(self) -> str | None:
        """The nearest fix when it does not fit."""
        broken = [limit for limit in self.limits if not limit.fits]
        if not broken:
            return None
        size = len(self.module.program.encode())
        excess = max(limit.need - limit.limit for limit in broken)
        heap = next(limit for limit in self.limits if limit.what == "heap")
        saved = self.heap.total - self.heap_romfs.total
        if self.board.romfs and broken == [heap] and self.heap_romfs.total <= heap.limit:
            return f"put it into ROMFS (wingbeat deploy --romfs): that saves {saved} bytes of heap"
        if excess < size:
            share = 100 * (size - excess) // size
            return (
                f"the program has {size} bytes and must lose {excess}: train with about {share} %"
                " of the trees, or a smaller --max-depth"
            )
        return "its input, features or arena are too large for this board: take a smaller window"


def check(module: Module, board: Board) -> Check:
    """Compare a module with the limits of a board.

    Raises
    ------
    UsageError
        The module is for another architecture, or the board's limits are not known.
    """
    if module.arch != board.arch:
        raise UsageError(
            f"the module is for {module.arch}, but {board.name} runs {board.arch}: check the .wbp"
            " that it was made from"
        )
    if board.heap is None or board.flash is None:
        raise UsageError(f"{board.name} has no limits of its own: choose another board")
    heap = heap_need(module)
    return Check(
        board,
        module,
        heap,
        heap_need(module, romfs=True),
        (Limit("heap", heap.total, board.heap), Limit("flash", len(module.data), board.flash)),
        estimate(module.program, module.arch),
    )
