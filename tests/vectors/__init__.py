"""Test vectors of every operator, the same for every layer that runs them.

The expected outputs come from the NumPy reference.
"""

from __future__ import annotations

from collections.abc import Iterator

from vectors import (
    cast,
    conv,
    conv_pairs,
    dense,
    depthwise,
    elementwise,
    forest,
    mean,
    pool,
    probability,
    shift,
    signals,
    small_conv,
    window_stats,
)
from vectors.case import BadCase, Case, Operands, make_case, operands_of

__all__ = [
    "BadCase",
    "Case",
    "Operands",
    "all_cases",
    "bad_cases",
    "make_case",
    "operands_of",
]

_MODULES = (
    window_stats,
    cast,
    shift,
    probability,
    forest,
    conv,
    conv_pairs,
    dense,
    pool,
    mean,
    *elementwise.MODULES,
    depthwise,
    small_conv,
    *signals.MODULES,
)


def all_cases(seed: int) -> Iterator[Case]:
    """Yield the edges and random cases of every operator; the same seed gives the same cases."""
    for module in _MODULES:
        yield from module.cases(seed)


def bad_cases() -> Iterator[BadCase]:
    """Yield, for every kernel, calls with at least one thing wrong."""
    for module in _MODULES:
        yield from module.bad_cases()
