"""Detector: from the scores of a stream to detections.

Each run, every score less `zero` goes ``2^-smoothing`` of the way to the new one, in steps of
1/256, which is exponential smoothing from 0 on. A class that is on stays on while its score is
`off` or more (hysteresis). When none is, the class of the first largest score starts if that score
is `on` or more, the class is not one of `ignored`, and no class started in the last `hold_off`
runs. The result is the class that is on, or `none`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .scores import score_range, scores_problem
from .signal_operator import StatefulOperator

MAX_SMOOTHING = 15

#: Steps of one of a score in what is smoothed, and in the thresholds.
FRACTION_BITS = 8

_HEAD = struct.Struct("<BBcBiiiHxx")
_WORD = 32
_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class Detector(StatefulOperator):
    """Smoothing, a threshold with a class for nothing, hysteresis and hold-off.

    Parameters
    ----------
    n_scores : int
        Classes, 1 to 255.
    on, off : int
        A class starts at a score of `on` or more, and ends below `off`; int32, in steps of 1/256,
        counted from `zero`.
    smoothing : int
        0 (none) to 15.
    hold_off : int
        Runs after a start in which no other class starts, 0 to 65535.
    typecode : str
        Of the scores: ``"b"``, ``"h"`` or ``"H"``.
    zero : int
        The score that means 0, within the range of the typecode.
    none : int, optional
        The result for no class, 0 to n_scores; n_scores by default.
    ignored : tuple of int
        Classes that never start, in ascending order.
    """

    n_scores: int
    on: int
    off: int
    smoothing: int = 0
    hold_off: int = 0
    typecode: str = "h"
    zero: int = 0
    none: int | None = None
    ignored: tuple[int, ...] = ()

    OPCODE: ClassVar[int] = 113
    KERNEL: ClassVar[str] = "detector"

    def _problem(self) -> str | None:
        problem = scores_problem(self.n_scores, self.typecode)
        if problem is not None:
            return problem
        if not 0 <= self.smoothing <= MAX_SMOOTHING:
            return f"smoothing is 0 to {MAX_SMOOTHING}, not {self.smoothing}"
        for name, value in (("on", self.on), ("off", self.off)):
            if not _INT32.min <= value <= _INT32.max:
                return f"the score for {name!r} is an int32, not {value}"
        if not 0 <= self.hold_off <= 65535:
            return f"a hold-off is 0 to 65535 runs, not {self.hold_off}"
        least, most = score_range(self.typecode)
        if not least <= self.zero <= most:
            return f"the score that means 0 is {least} to {most}, not {self.zero}"
        if self.none is not None and not 0 <= self.none <= self.n_scores:
            return f"the result for no class is 0 to {self.n_scores}, not {self.none}"
        if list(self.ignored) != sorted(set(self.ignored) & set(range(self.n_scores))):
            return f"ignored are classes of 0 to {self.n_scores - 1} in order, not {self.ignored}"
        return None

    @property
    def rejected(self) -> int:
        """The result for no class."""
        return self.n_scores if self.none is None else self.none

    def encode(self) -> bytes:
        """Return u8 n_scores, smoothing, typecode, none, i32 on, off, zero, u16 hold_off, mask."""
        head = _HEAD.pack(
            *(self.n_scores, self.smoothing, self.typecode.encode(), self.rejected),
            *(self.on, self.off, self.zero, self.hold_off),
        )
        mask = sum(1 << number for number in self.ignored)
        return head + mask.to_bytes(4 * -(-self.n_scores // _WORD), "little")

    @classmethod
    def _read(cls, params: bytes) -> Detector:
        n_scores, smoothing, code, none, on, off, zero, hold_off = _HEAD.unpack_from(params)
        mask = int.from_bytes(params[_HEAD.size :], "little")
        ignored = tuple(number for number in range(mask.bit_length()) if mask >> number & 1)
        typecode = code.decode("latin-1")
        return cls(n_scores, on, off, smoothing, hold_off, typecode, zero, none, ignored)

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the scores."""
        return ((self.typecode, self.n_scores),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the class."""
        return (("h", 1),)

    @property
    def scratch(self) -> tuple[tuple[str, int], ...]:
        """Smoothed scores, the class that is on plus 1, runs until another may start."""
        return (("i", self.n_scores + 2),)

    @property
    def persistent(self) -> tuple[int, ...]:
        """All of the scratch."""
        return (2,)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Rows that follow each other, from the start of a stream."""
        outputs, _ = self.advance([np.zeros(self.n_scores + 2, np.int32)], *inputs)
        return outputs

    def advance(
        self, memory: Sequence[NDArray[Any]], *inputs: NDArray[Any]
    ) -> tuple[tuple[NDArray[Any], ...], NDArray[np.bool_]]:
        """The class that is on after each row."""
        (x,), (kept,) = inputs, memory
        score = kept[:-2].astype(np.int32)
        current, left = (int(value) & 0xFFFFFFFF for value in kept[-2:])
        result = np.empty((len(x), 1), np.int16)
        for row in range(len(x)):
            new = (x[row].astype(np.int32) - self.zero) << FRACTION_BITS
            score += (new - score) >> self.smoothing
            held = left > 0
            left -= held
            on = 1 <= current <= self.n_scores
            if not on or score[current - 1] < self.off:
                current, best = 0, int(score.argmax())
                if not held and score[best] >= self.on and best not in self.ignored:
                    current, left = best + 1, self.hold_off
            result[row] = current - 1 if current else self.rejected
        kept[:-2] = score
        kept[-2:] = np.array([current, left], np.uint32).view(np.int32)
        return (result,), np.ones(len(x), bool)
