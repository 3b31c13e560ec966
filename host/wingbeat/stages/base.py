"""What all stages have in common: the shape of what lies between them, and how one is made."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from wingbeat.errors import UsageError
from wingbeat.program import ProgramBuilder


@dataclass(frozen=True)
class Shape:
    """What lies between two stages.

    Attributes
    ----------
    dims : tuple of int
        [samples, channels], [frames, features] or [height, width, channels].
    names : tuple of str
        Of the numbers in the last dimension.
    rate : float
        Samples or frames a second, as they follow each other in it. 0 where there is no time.
    per_second : float
        How many such arrays there are a second. 0 where there is no time.
    stream : bool
        A piece of the stream that goes on with the next one: no window is in front yet.
    typecode : str
    """

    dims: tuple[int, ...]
    names: tuple[str, ...]
    rate: float = 0.0
    per_second: float = 0.0
    stream: bool = False
    typecode: str = "h"

    @property
    def length(self) -> int:
        """Samples or frames; of an image, pixels."""
        return math.prod(self.dims[:-1])

    @property
    def width(self) -> int:
        """Numbers of each sample, frame or pixel."""
        return self.dims[-1]

    @property
    def n_elements(self) -> int:
        """Product of the dimensions."""
        return math.prod(self.dims)

    def rows(self, length: int, names: Sequence[str] | None = None) -> Shape:
        """As many rows instead, at the same rate."""
        kept = self.names if names is None else tuple(names)
        return replace(self, dims=(length, len(kept)), names=kept)

    def frame(self, names: Sequence[str], typecode: str = "h") -> Shape:
        """One row of numbers instead of all that is in it."""
        return replace(
            self,
            dims=(1, len(names)),
            names=tuple(names),
            rate=self.per_second,
            typecode=typecode,
        )


class Stage(ABC):
    """One stage: a frozen dataclass whose fields are its parameters in a pipeline's file.

    To add one, write such a class with a `KIND` and `add`, and list it in `wingbeat.stages`.
    """

    KIND: ClassVar[str]

    @abstractmethod
    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append the operators.

        Parameters
        ----------
        to : ProgramBuilder
        tensor : int
            What the stage in front gives.
        before : Shape
            Of that tensor.

        Returns
        -------
        tensor : int
        after : Shape

        Raises
        ------
        UsageError
            The stage does not fit what is in front of it: what was expected, what came, what to do.
        """

    @property
    def step(self) -> int:
        """Samples of a stream that go in for one that comes out."""
        return 1

    def described(self) -> dict[str, Any]:
        """Kind and parameters, as JSON values."""
        return {"kind": self.KIND, **asdict(self)}  # type: ignore[call-overload]


def expect_window(before: Shape, least: int = 1) -> None:
    """Refuse what is no int16 window of at least so many samples.

    Raises
    ------
    UsageError
        It is a stream, int32, or too short.
    """
    if before.stream:
        raise UsageError("expected a window, got a stream: put a window in front")
    expect_int16(before)
    if before.length < least:
        raise UsageError(
            f"expected at least {least} samples or frames, got {before.length}: put a longer window"
            " in front"
        )


def expect_int16(before: Shape) -> None:
    """Refuse what is not int16.

    Raises
    ------
    UsageError
        It is something else.
    """
    if before.typecode != "h":
        raise UsageError(
            f"expected int16, got {before.typecode!r} of a stage that gives energies: put log2"
            " behind that one, or take log = true"
        )


def of_channels(what: Sequence[str], channels: Sequence[str]) -> list[str]:
    """Names for each number of each channel; of the only channel of an input, without it."""
    if tuple(channels) == ("channel 0",):
        return list(what)
    return [f"{each} of {channel}" for channel in channels for each in what]
