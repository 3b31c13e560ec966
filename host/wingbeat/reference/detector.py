"""Detector: from the scores of a stream to detections.

Each run, every score goes ``2^-smoothing`` of the way to the new one, in steps of 1/256, which is
exponential smoothing. A class that is on stays on while its score is ``off`` or more (hysteresis).
When none is, the class of the first largest score starts if that score is ``on`` or more and no
class started in the last ``hold_off`` runs. The result is the class that is on, or ``n_scores`` for
none.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .signal_operator import StatefulOperator

MAX_SCORES = 255
MAX_SMOOTHING = 15

_STRUCT = struct.Struct("<BBhhH")
_FRACTION = 8
_INT16 = (-32768, 32767)


@dataclass(frozen=True)
class Detector(StatefulOperator):
    """Smoothing, a threshold with a class for nothing, hysteresis and hold-off.

    Parameters
    ----------
    n_scores : int
        Classes, 1 to 255; the result n_scores means none of them.
    on, off : int
        A class starts at a score of `on` or more, and ends below `off`; int16.
    smoothing : int
        0 (none) to 15.
    hold_off : int
        Runs after a start in which no other class starts, 0 to 65535.
    """

    n_scores: int
    on: int
    off: int
    smoothing: int = 0
    hold_off: int = 0

    OPCODE: ClassVar[int] = 113
    KERNEL: ClassVar[str] = "detector"

    def _problem(self) -> str | None:
        if not 1 <= self.n_scores <= MAX_SCORES:
            return f"there are 1 to {MAX_SCORES} scores, not {self.n_scores}"
        if not 0 <= self.smoothing <= MAX_SMOOTHING:
            return f"smoothing is 0 to {MAX_SMOOTHING}, not {self.smoothing}"
        for name, value in (("on", self.on), ("off", self.off)):
            if not _INT16[0] <= value <= _INT16[1]:
                return f"the score for {name!r} is an int16, not {value}"
        if not 0 <= self.hold_off <= 65535:
            return f"a hold-off is 0 to 65535 runs, not {self.hold_off}"
        return None

    def encode(self) -> bytes:
        """Return u8 n_scores, smoothing, i16 on, off, u16 hold_off."""
        return _STRUCT.pack(self.n_scores, self.smoothing, self.on, self.off, self.hold_off)

    @classmethod
    def _read(cls, params: bytes) -> Detector:
        n_scores, smoothing, on, off, hold_off = _STRUCT.unpack(params)
        return cls(n_scores, on, off, smoothing, hold_off)

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the scores."""
        return (("h", self.n_scores),)

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
            score += ((x[row].astype(np.int32) << _FRACTION) - score) >> self.smoothing
            held = left > 0
            left -= held
            on = 1 <= current <= self.n_scores
            if not on or score[current - 1] >> _FRACTION < self.off:
                current, best = 0, int(score.argmax())
                if not held and score[best] >> _FRACTION >= self.on:
                    current, left = best + 1, self.hold_off
            result[row] = current - 1 if current else self.n_scores
        kept[:-2] = score
        kept[-2:] = np.array([current, left], np.uint32).view(np.int32)
        return (result,), np.ones(len(x), bool)
