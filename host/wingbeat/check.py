"""Will a model fit a board: heap, flash and time, before anything is copied.

Heap is computed from the file as MicroPython's import takes it. Time is `costs.estimate`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .assemble import Module
from .boards import Board
from .costs import Estimate, estimate, without_costs
from .errors import UsageError
from .mpy import Constant, Mpy
from .prefer import fastest_module
from .program import Program
from .reference import ForestWalk
from .stream import pace_of

# What an import takes beside the constants and the text: the module, its names, `Model`, `info`.
# The largest seen on armv6m, where it was 544 to 688 bytes.
_IMPORT_WORDS = 176
_MODEL_WORDS = 8


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
        """All limits are kept, and a stream comes no faster than the board is."""
        return all(limit.fits for limit in self.limits) and (self.load or 0.0) <= 1

    @property
    def without_costs(self) -> tuple[str, ...]:
        """Kernels of which it is not known what they take: then there is no time."""
        return without_costs(self.module.program, self.module.arch)

    @property
    def us(self) -> float | None:
        """Microseconds of one `run` at the board's clock; of a stream, of the longest block."""
        return None if self.time is None else self.time.cycles * 1e6 / self.board.clock

    @property
    def load(self) -> float | None:
        """Share of a core that a stream takes at its rate: above 1, the board is too slow."""
        program = self.module.program
        if self.time is None or not program.takes_stream or program.rate is None:
            return None
        blocks = program.rate / pace_of(program).samples
        return self.time.mean_cycles * blocks / self.board.clock

    @property
    def fix(self) -> str | None:
        """The nearest fix when it does not fit."""
        broken = [limit for limit in self.limits if not limit.fits]
        if not broken:
            if self.fits:
                return None
            return (
                f"the stream takes {100 * (self.load or 0.0):.0f} % of a core: take a larger hop,"
                " fewer features, a smaller model, or a faster board"
            )
        size = len(self.module.program.encode())
        excess = max(limit.need - limit.limit for limit in broken)
        heap = next(limit for limit in self.limits if limit.what == "heap")
        saved = self.heap.total - self.heap_romfs.total
        if self.board.romfs and broken == [heap] and self.heap_romfs.total <= heap.limit:
            return f"put it into ROMFS (wingbeat deploy --romfs): that saves {saved} bytes of heap"
        if excess < size:
            share = 100 * (size - excess) // size
            walks = any(isinstance(c.operator, ForestWalk) for c in self.module.program.calls)
            remedy = (
                f"train with about {share} % of the trees, or a smaller --max-depth"
                if walks
                else f"train a net with about {share} % of the weights"
            )
            if broken == [heap] and self.heap_romfs.total <= heap.limit:
                remedy += (
                    "; or take firmware that has a ROMFS partition (wingbeat deploy --romfs):"
                    f" from there it needs {self.heap_romfs.total} bytes of heap"
                )
            return f"the program has {size} bytes and must lose {excess}: {remedy}"
        return "its input, features or arena are too large for this board: take a smaller window"


def fastest_for(program: Program, board: Board) -> Module:
    """The module of a program in the fastest form that fits the heap of a board."""
    heap = board.heap
    return fastest_module(
        program, board.arch, lambda module: heap is None or heap_need(module).total <= heap
    )


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
