"""Top k: the k largest scores with their classes, largest first; of equal ones the lower class."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .scores import SCORE_TYPECODES
from .signal_operator import SignalOperator

MAX_SCORES = 65535
MAX_K = 255

_STRUCT = struct.Struct("<HBc")


@dataclass(frozen=True)
class TopK(SignalOperator):
    """The largest scores.

    Parameters
    ----------
    n_scores : int
        1 to 65535.
    k : int
        1 to 255, at most n_scores.
    typecode : str
        Of the scores: ``"b"``, ``"h"`` or ``"H"``.
    """

    n_scores: int
    k: int
    typecode: str = "h"

    OPCODE: ClassVar[int] = 115
    KERNEL: ClassVar[str] = "top_k"

    def _problem(self) -> str | None:
        if not 1 <= self.n_scores <= MAX_SCORES:
            return f"there are 1 to {MAX_SCORES} scores, not {self.n_scores}"
        if not 1 <= self.k <= min(MAX_K, self.n_scores):
            return f"k is 1 to {min(MAX_K, self.n_scores)}, not {self.k}"
        if self.typecode not in SCORE_TYPECODES:
            return f"no scores of {self.typecode!r}: choose from {', '.join(SCORE_TYPECODES)}"
        return None

    def encode(self) -> bytes:
        """Return u16 n_scores, u8 k, typecode."""
        return _STRUCT.pack(self.n_scores, self.k, self.typecode.encode())

    @classmethod
    def _read(cls, params: bytes) -> TopK:
        n_scores, k, code = _STRUCT.unpack(params)
        return cls(n_scores, k, code.decode("latin-1"))

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the scores."""
        return ((self.typecode, self.n_scores),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of [k, 2]: class, score."""
        return (("i", 2 * self.k),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        (x,) = inputs
        wide = x.astype(np.int32)
        classes = np.argsort(-wide, axis=1, kind="stable")[:, : self.k]
        pairs = np.stack([classes, np.take_along_axis(wide, classes, axis=1)], axis=2)
        return (pairs.astype(np.int32).reshape(len(x), -1),)
