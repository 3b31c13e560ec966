"""Who has which part of the arena while each operator runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from .plan import aligned
from .program import Program


class Use(Enum):
    """What an operator does with memory; the value is how `drawn` shows it."""

    FREE = "."
    HELD = "-"
    """A later operator reads it."""
    READ = "r"
    WRITTEN = "w"
    IN_PLACE = "b"
    """Read and written: an output starts where an input ends its life."""
    SCRATCH = "s"


@dataclass(frozen=True)
class Block:
    """A tensor in the arena.

    Attributes
    ----------
    tensor : int
    place, size : int
        Bytes; the size is rounded up to a multiple of 4.
    first, last : int
        Number of the operator that writes it, and of the last one that needs it: the number of
        operators if it is kept to the end. What is kept from run to run is there from the first on.
    """

    tensor: int
    place: int
    size: int
    first: int
    last: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.place + self.size


def blocks(program: Program) -> list[Block]:
    """Every tensor in the arena, by its number."""
    found, persistent = [], program.persistent_tensors
    for index, tensor in enumerate(program.tensors):
        uses = [number for number, call in enumerate(program.calls) if index in call.operands]
        if index in persistent:
            uses = [0, *uses]
        if tensor.place is None or not uses:
            continue
        kept = index in (program.output_tensor, program.decision_tensor, *persistent)
        last = len(program.calls) if kept else uses[-1]
        found.append(Block(index, tensor.place, aligned(tensor.size), uses[0], last))
    return found


def live_bytes(program: Program) -> list[int]:
    """Bytes of the arena that are alive while each operator runs."""
    everything = blocks(program)
    found = []
    for number in range(len(program.calls)):
        alive = sorted((b.place, b.end) for b in everything if b.first <= number <= b.last)
        total = end = 0
        for start, stop in alive:
            total += max(0, stop - max(start, end))
            end = max(end, stop)
        found.append(total)
    return found


def uses(program: Program, number: int) -> list[tuple[Block, Use]]:
    """The blocks that are alive while an operator runs, and what it does with them."""
    call = program.calls[number]
    n_inputs = len(call.operator.inputs)
    n_written = n_inputs + len(call.operator.outputs)
    read, written = call.operands[:n_inputs], call.operands[n_inputs:n_written]
    alive = [block for block in blocks(program) if block.first <= number <= block.last]
    found = []
    for block in alive:
        if block.tensor in (*read, *written):
            other = written if block.tensor in read else read
            shared = any(each.tensor in other and each.place == block.place for each in alive)
            use = Use.READ if block.tensor in read else Use.WRITTEN
            found.append((block, Use.IN_PLACE if shared else use))
        else:
            found.append((block, Use.SCRATCH if block.tensor in call.operands else Use.HELD))
    return found


def drawn(program: Program, width: int) -> Sequence[str]:
    """The arena as one line of `width` characters for each operator, from address 0 to its end.

    Each character is the `Use` of the smallest block in its part of the arena.
    """
    lines = []
    for number in range(len(program.calls)):
        line = [Use.FREE.value] * width
        for block, use in sorted(uses(program, number), key=lambda each: -each[0].size):
            start = min(block.place * width // program.arena, width - 1)
            stop = max(start + 1, -(-block.end * width // program.arena))
            line[start:stop] = [use.value] * (min(stop, width) - start)
        lines.append("".join(line))
    return lines
