"""Several stages on the same window, with their results beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from wingbeat.errors import UsageError
from wingbeat.program import ProgramBuilder
from wingbeat.reference.concat import MAX_INPUTS, Concat

from .base import Shape, Stage, expect_int16
from .windows import WindowStage


@dataclass(frozen=True)
class JoinStage(Stage):
    """What several branches make of the same window, in each frame one behind the other.

    Parameters
    ----------
    branch : sequence of sequences of Stage
        Each is a chain of stages, none of them a window.
    """

    branch: Sequence[Sequence[Stage]]

    KIND: ClassVar[str] = "join"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append all branches, and operators that put their results beside each other."""
        if before.stream:
            raise UsageError("expected a window, got a stream: put a window in front")
        if len(self.branch) < 2:
            raise UsageError(f"expected two or more branches, got {len(self.branch)}")
        ends = [self._branch(number, to, tensor, before) for number in range(len(self.branch))]
        first = ends[0][1]
        for number, (_, shape) in enumerate(ends, 1):
            expect_int16(shape)
            if shape.dims[:-1] != first.dims[:-1]:
                raise UsageError(
                    f"branch 1 gives {first.length} frames, branch {number} {shape.length}: each"
                    " has to give as many"
                )
        parts = [(each, shape.width) for each, shape in ends]
        while len(parts) > 1:
            some, parts = parts[:MAX_INPUTS], parts[MAX_INPUTS:]
            widths = tuple(width for _, width in some)
            operator = Concat(first.length, widths, "h")
            parts.insert(0, (to.add(operator, *(each for each, _ in some)), sum(widths)))
        names = [name for _, shape in ends for name in shape.names]
        return parts[0][0], first.rows(first.length, names)

    def _branch(
        self, number: int, to: ProgramBuilder, tensor: int, shape: Shape
    ) -> tuple[int, Shape]:
        for stage in self.branch[number]:
            where = f"branch {number + 1} ({stage.KIND})"
            if isinstance(stage, WindowStage):
                raise UsageError(f"{where}: put the window in front of the join, or behind it")
            try:
                tensor, shape = stage.add(to, tensor, shape)
            except UsageError as error:
                raise UsageError(f"{where}: {error}") from error
        return tensor, shape

    def described(self) -> dict[str, Any]:
        """Kind and branches, as JSON values."""
        branches = [[stage.described() for stage in chain] for chain in self.branch]
        return {"kind": self.KIND, "branch": branches}
