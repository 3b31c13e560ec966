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
from wingbeat.reference import Cast, Operator, Probability, Shift, WindowStats
from wingbeat.reference.forest import FEATURES, Leaves
from wingbeat.reference.window_stats import STATISTICS

__all__ = [
    "BadCase",
    "Case",
    "Operands",
    "all_cases",
    "bad_cases",
    "make_case",
    "operands_of",
    "small_operators",
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


def small_operators() -> Iterator[Operator]:
    """Yield operators with few parameters, every kernel of them, for tests that change those."""
    yield WindowStats(6, 2, ("mean", "std", "rms"))
    yield WindowStats(1, 3, STATISTICS)
    yield Cast(6, "b")
    yield Shift(6, 3, "H")
    yield Shift(6, 3, "i")
    yield Probability(6, 16)
    yield Probability(1, 30)
    yield from dense.small_layers()
    yield from conv.small_operators()
    yield from conv_pairs.small_operators()
    yield from elementwise.small_elementwise_operators()
    yield from depthwise.small_layers()
    yield from pool.small_operators()
    yield from mean.small_operators()
    yield from small_conv.small_operators()
    for features in FEATURES:
        for leaves in Leaves:
            yield forest.small_operator(features, leaves)
    yield from forest.sound_operators()
    yield from signals.small_signal_operators()
