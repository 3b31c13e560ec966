"""Test vectors of FIR filters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from vectors.case import BadCase, Case, bad_calls, make_cases, make_stream_cases
from wingbeat.reference.fir import Edges, Fir, decimate, delta, differentiate, fir

_LOW, _HIGH = -32768, 32767


def cases(seed: int) -> Iterable[Case]:
    """Yield filters of every kind of edges, on noise and extremes."""
    rng = np.random.default_rng(seed)
    for operator in (
        fir(rng.normal(0, 0.1, 9), 9, edges=Edges.INSIDE),
        fir(rng.normal(0, 0.1, 7), 30, 3, edges=Edges.INSIDE, step=4),
        decimate(200, 4, 2, edges=Edges.INSIDE),
        delta(7, 13),
        delta(5, 1),
        fir([0.5], 6, 2, edges=Edges.REPEAT),
    ):
        yield from make_cases(_name(operator), operator, list(_rows(rng, operator, 8)))
    for operator in (
        fir([0.5], 4),
        differentiate(5, 3),
        fir(rng.normal(0, 0.1, 20), 3, 2),
        fir(rng.normal(0, 0.1, 5), 12, 2, step=3),
        decimate(16, 2),
    ):
        rows = list(_rows(rng, operator, 20))
        yield from make_stream_cases(f"{_name(operator)}, kept", operator, rows)
    for number in range(60):
        operator = _any(rng)
        yield from make_cases(f"anything {number}", operator, list(_rows(rng, operator, 2)))


def _name(operator: Fir) -> str:
    sizes = operator.n_samples, operator.n_channels, len(operator.taps), operator.step
    return " ".join(map(str, (*sizes, operator.edges.name)))


def _any(rng: np.random.Generator) -> Fir:
    """Sums of any size; without what is kept."""
    n_taps = int(np.exp(rng.uniform(0, 4)))
    taps = rng.choice([_LOW, _HIGH, -1, 0, 1, 1000], n_taps).astype(np.int16)
    n_channels, shift = int(rng.integers(1, 4)), int(rng.integers(0, 32))
    if rng.integers(2) and n_taps % 2:
        n = n_taps + int(rng.integers(0, 9))
        return Fir(n, n, 1, n_channels, taps, shift, Edges.REPEAT)
    n_outputs, step = int(rng.integers(1, 9)), int(rng.integers(1, 9))
    n = (n_outputs - 1) * step + n_taps + int(rng.integers(0, 3))
    return Fir(n, n_outputs, step, n_channels, taps, shift, Edges.INSIDE)


def _rows(rng: np.random.Generator, operator: Fir, count: int) -> Iterator[NDArray[np.int16]]:
    ((_, n),) = operator.inputs
    yield np.full(n, _LOW, np.int16)
    yield rng.choice([_LOW, _HIGH], n).astype(np.int16)
    for _ in range(count - 2):
        yield np.clip(rng.normal(0, 9000, n), _LOW, _HIGH).astype(np.int16)


def sound_operators() -> Iterator[Fir]:
    """Yield what the bad cases are made from."""
    taps = np.array([3, -2, 1000], np.int16)
    yield Fir(8, 3, 2, 2, taps, 4, Edges.INSIDE)
    yield Fir(6, 3, 2, 1, taps, 4, Edges.KEEP)
    yield Fir(5, 5, 1, 2, taps, 4, Edges.REPEAT)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    inside, keep, repeat = sound_operators()
    shared = [
        (2, "<H", (0, 65535)),
        (4, "<H", (0, 5, 1025, 65535)),
        (6, "<H", (0, 65535)),
        (8, "<B", (0, 3, 255)),
        (9, "<B", (3, 255)),
        (10, "<B", (32, 255)),
        (11, "<B", (1, 255)),
        (18, "<H", (1, 256)),
    ]
    yield from bad_calls(
        inside, [*shared, (0, "<H", (0, 6, 9)), (2, "<H", (2, 4)), (9, "<B", (1, 2))]
    )
    yield from bad_calls(
        keep, [*shared, (0, "<H", (0, 5, 7)), (2, "<H", (2, 4)), (9, "<B", (0, 2))]
    )
    yield from bad_calls(
        repeat, [*shared, (0, "<H", (0, 4, 6)), (2, "<H", (4,)), (9, "<B", (0, 1))]
    )
