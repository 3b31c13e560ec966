"""The vectors of the operators of nets that work on single elements, or only move them."""

from __future__ import annotations

from collections.abc import Iterator

from vectors import (
    argmax,
    arithmetic,
    concat,
    dequantize,
    gather,
    lookup,
    pad,
    quantize,
    rescale,
    softmax8,
    standardize,
)
from wingbeat.reference import Operator

MODULES = (
    arithmetic,
    lookup,
    softmax8,
    quantize,
    dequantize,
    argmax,
    pad,
    concat,
    gather,
    rescale,
    standardize,
)


def small_elementwise_operators() -> Iterator[Operator]:
    """Yield operators with few parameters, every kernel of them."""
    for module in MODULES:
        yield from module.small_operators()
