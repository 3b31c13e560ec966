"""Vote: what most of the last decisions say.

A run decides for the class of the first largest score, or for `none` if that score is below
`least`. The result is what most of the last `n_votes` runs decided for, or of all as long as there
are fewer; of several with as many votes, the one that was decided for most recently.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .scores import MAX_SCORES, scores_problem
from .signal_operator import StatefulOperator

MAX_VOTES = 255

_STRUCT = struct.Struct("<BBcBi")
_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class Vote(StatefulOperator):
    """Majority of the last decisions.

    Parameters
    ----------
    n_scores : int
        Classes, 1 to 254.
    n_votes : int
        1 to 255.
    typecode : str
        Of the scores: ``"b"``, ``"h"`` or ``"H"``.
    least : int
        The least score with which a run decides for a class; int32.
    none : int, optional
        What a run decides for otherwise, 0 to n_scores; n_scores by default.
    """

    n_scores: int
    n_votes: int
    typecode: str = "h"
    least: int = -32768
    none: int | None = None

    OPCODE: ClassVar[int] = 114
    KERNEL: ClassVar[str] = "vote"

    def _problem(self) -> str | None:
        problem = scores_problem(self.n_scores, self.typecode)
        if problem is not None or self.n_scores == MAX_SCORES:
            return problem or f"there are 1 to {MAX_SCORES - 1} scores, not {self.n_scores}"
        if not 1 <= self.n_votes <= MAX_VOTES:
            return f"there are 1 to {MAX_VOTES} votes, not {self.n_votes}"
        if not _INT32.min <= self.least <= _INT32.max:
            return f"the least score is an int32, not {self.least}"
        if self.none is not None and not 0 <= self.none <= self.n_scores:
            return f"the result for no class is 0 to {self.n_scores}, not {self.none}"
        return None

    @property
    def rejected(self) -> int:
        """What a run decides for if no score is large enough."""
        return self.n_scores if self.none is None else self.none

    def encode(self) -> bytes:
        """Return u8 n_scores, n_votes, typecode, none, i32 least."""
        code = self.typecode.encode()
        return _STRUCT.pack(self.n_scores, self.n_votes, code, self.rejected, self.least)

    @classmethod
    def _read(cls, params: bytes) -> Vote:
        n_scores, n_votes, code, none, least = _STRUCT.unpack(params)
        return cls(n_scores, n_votes, code.decode("latin-1"), least, none)

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
        """The last decisions plus 1, newest first, 0 where there is none yet; counts."""
        return (("B", self.n_votes), ("B", self.n_scores + 2))

    @property
    def persistent(self) -> tuple[int, ...]:
        """The decisions."""
        return (2,)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Rows that follow each other, from the start of a stream."""
        outputs, _ = self.advance([np.zeros(self.n_votes, np.uint8)], *inputs)
        return outputs

    def advance(
        self, memory: Sequence[NDArray[Any]], *inputs: NDArray[Any]
    ) -> tuple[tuple[NDArray[Any], ...], NDArray[np.bool_]]:
        """What most decisions say after each row."""
        (x,), (kept,) = inputs, memory
        wide = x.astype(np.int64)
        decided = np.where(wide.max(axis=1) >= self.least, wide.argmax(axis=1), self.rejected)
        votes = [int(each) for each in kept]
        result = np.empty((len(x), 1), np.int16)
        for row, decision in enumerate(decided.tolist()):
            votes = [decision + 1, *votes[:-1]]
            known = [vote for vote in votes if 1 <= vote <= self.n_scores + 1]
            # The first one with most votes: the newest.
            result[row] = max(known, key=known.count) - 1
        kept[:] = votes
        return (result,), np.ones(len(x), bool)
