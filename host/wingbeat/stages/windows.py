"""Windows: the last samples of a stream, every so often."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from wingbeat.errors import UsageError
from wingbeat.program import ProgramBuilder
from wingbeat.reference.window import Window

from .base import Shape, Stage


@dataclass(frozen=True)
class WindowStage(Stage):
    """The last samples, every so often.

    Parameters
    ----------
    length, hop : int, optional
        Samples, or frames of the stage in front.
    seconds, hop_seconds : float, optional
        The same in seconds. `hop` defaults to half of the length.
    """

    length: int | None = None
    hop: int | None = None
    seconds: float | None = None
    hop_seconds: float | None = None

    KIND: ClassVar[str] = "window"

    def sizes(self, rate: float) -> tuple[int, int]:
        """Length and hop at so many samples or frames a second."""
        length = _count(self.length, self.seconds, rate, "length", "seconds")
        if length is None:
            raise UsageError("expected a length, in samples, or seconds")
        hop = _count(self.hop, self.hop_seconds, rate, "hop", "hop_seconds")
        return length, max(1, length // 2) if hop is None else hop

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append a window over samples of a stream, or over frames that follow each other."""
        length, hop = self.sizes(before.rate)
        n_new = before.length
        if n_new > 1 and before.per_second * n_new > before.rate * 1.001:
            raise UsageError(
                "the windows in front overlap, so their samples do not follow each other: give that"
                " window a hop of its length, or put features in between"
            )
        if n_new > length:
            raise UsageError(
                f"a window of {length}: the stage in front gives {n_new} at a time; make it longer"
            )
        if hop < n_new:
            raise UsageError(f"a hop of {hop}: the stage in front gives {n_new} at a time")
        operator = Window(length, n_new, hop, before.width, before.typecode)
        after = replace(
            before.rows(length), per_second=before.per_second * n_new / hop, stream=False
        )
        return to.add(operator, tensor), after


def _count(
    samples: int | None, seconds: float | None, rate: float, name: str, other: str
) -> int | None:
    if samples is not None and seconds is not None:
        raise UsageError(f"{name} and {other}: give one of them")
    if seconds is not None:
        if not seconds > 0:
            raise UsageError(f"{other} = {seconds!r}: expected a number above 0")
        return max(1, round(seconds * rate))
    if samples is not None and samples < 1:
        raise UsageError(f"{name} = {samples!r}: expected a whole number above 0")
    return samples
