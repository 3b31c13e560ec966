"""Test vectors of the operators that treat each sample, or channel, alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from vectors.case import BadCase, Case, bad_calls, make_cases
from wingbeat.reference.affine import TYPECODES, Affine, affine
from wingbeat.reference.magnitude import Magnitude
from wingbeat.reference.peak_normalize import MAX_DEPTH, PeakNormalize
from wingbeat.reference.remove_mean import RemoveMean
from wingbeat.reference.signal_operator import SignalOperator

_LOW, _HIGH = -32768, 32767


def cases(seed: int) -> Iterable[Case]:
    """Yield every operator at its edges and with random parameters."""
    rng = np.random.default_rng(seed)
    for n, channels in ((1, 1), (2, 3), (100, 1), (31, 7), (32767, 1), (3, 255)):
        operator = RemoveMean(n, channels)
        yield from make_cases(f"mean {n} x {channels}", operator, list(_rows(rng, operator)))
    for n, axes in ((1, 1), (1, 3), (40, 2), (128, 3), (65535, 1)):
        lengths = Magnitude(n, axes)
        yield from make_cases(f"length {n} x {axes}", lengths, list(_rows(rng, lengths)))
    for n, depth, least in (
        (1, 1, 0),
        (2, 300, -9000),
        (1152, 4608, _LOW),
        (65535, MAX_DEPTH, 4000),
    ):
        peak = PeakNormalize(n, depth, least)
        yield from make_cases(f"peak {n}, {depth}, {least}", peak, list(_rows(rng, peak)))
    for number in range(40):
        table = _any_affine(rng)
        yield from make_cases(f"affine {number}", table, list(_rows(rng, table)))


def _any_affine(rng: np.random.Generator) -> Affine:
    n_rows, n_columns = np.exp(rng.uniform(0, 4, 2)).astype(int)
    typecode = str(rng.choice(TYPECODES))
    if rng.integers(2):
        factors, offsets = rng.normal(0, 0.01, n_columns), rng.normal(0, 100, n_columns)
        return affine(factors, offsets, n_rows=int(n_rows), typecode=typecode)
    return Affine(
        rng.choice([_LOW, _HIGH, -1, 0, 1], n_columns).astype(np.int16),
        rng.choice([-(2**31), 2**31 - 1, 0, 5000], n_columns).astype(np.int32),
        int(rng.integers(0, 32)),
        int(n_rows),
        typecode,
    )


def _rows(rng: np.random.Generator, operator: SignalOperator) -> Iterator[NDArray[np.int16]]:
    ((_, n),) = operator.inputs
    for value in (_LOW, -1, 0, 1, _HIGH):
        yield np.full(n, value, np.int16)
    yield rng.choice([_LOW, _HIGH], n).astype(np.int16)
    for width in (2, 300, 20000):
        yield np.clip(rng.normal(rng.normal(0, 9000), width, n), _LOW, _HIGH).astype(np.int16)


def sound_operators() -> Iterator[SignalOperator]:
    """Yield what the bad cases are made from."""
    yield RemoveMean(6, 2)
    yield Magnitude(6, 3)
    yield PeakNormalize(6, 300, -50)
    factors, offsets = np.array([3, -2, 1000], np.int16), np.array([5, 6, -7], np.int32)
    for typecode in TYPECODES:
        yield Affine(factors, offsets, 4, 2, typecode)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    mean, length, peak, *tables = sound_operators()
    yield from bad_calls(
        mean, [(0, "<H", (0, 5, 32768, 65535)), (2, "<B", (0, 3)), (3, "<B", (1, 255))]
    )
    yield from bad_calls(
        length, [(0, "<H", (0, 5, 65535)), (2, "<B", (0, 2, 4, 255)), (3, "<B", (1, 255))]
    )
    yield from bad_calls(
        peak, [(0, "<H", (0, 5, 65535)), (2, "<H", (0, 32768, 65535)), (6, "<H", (1, 256))]
    )
    for table in tables:
        changes = [
            (0, "<H", (0, 1, 3, 65535)),
            (2, "<H", (0, 2, 4, 4097, 65535)),
            (4, "<B", (32, 255)),
            (5, "<B", (0, ord("i"), ord("H"), 255)),
            (6, "<H", (1, 256)),
            (26, "<H", (1, 256)),
        ]
        yield from bad_calls(table, changes)
