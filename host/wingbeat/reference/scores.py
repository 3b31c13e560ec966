"""Scores of classes, as models give them: what the operators on them have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import DTYPES

#: int8 of nets, uint16 of forests, int16 of operators on signals.
SCORE_TYPECODES = ("b", "h", "H")

MAX_SCORES = 255


def scores_problem(n_scores: int, typecode: str) -> str | None:
    """What is wrong with the number or the typecode of scores."""
    if not 1 <= n_scores <= MAX_SCORES:
        return f"there are 1 to {MAX_SCORES} scores, not {n_scores}"
    if typecode not in SCORE_TYPECODES:
        return f"no scores of {typecode!r}: choose from {', '.join(SCORE_TYPECODES)}"
    return None


def score_range(typecode: str) -> tuple[int, int]:
    """The least and the largest score."""
    limits: Any = np.iinfo(DTYPES[typecode])
    return int(limits.min), int(limits.max)
