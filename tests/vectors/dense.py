"""Test vectors of the dense operator."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vectors.case import BadCase, Case, Operands, bad_operands, make_case, make_cases
from wingbeat.reference.dense import MAX_SIZE, Dense, dense

LOW, HIGH = -128, 127
SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17)
#: Around the inputs that the kernel sums up at once.
LONG = (255, 256, 257, 511, 515, 1021)


def cases(seed: int) -> Iterable[Case]:
    """Yield every size around a block, sums at their edges, ties, both forms, and random ones."""
    rng = np.random.default_rng(seed)
    for n_outputs in SIZES:
        for n_inputs in SIZES:
            yield from _random(rng, n_outputs, n_inputs)
    for n_inputs in LONG:
        yield from _random(rng, 9, n_inputs)
        yield from _largest(10, n_inputs)
    yield from _ties()
    for i in range(20):
        n_outputs, n_inputs = rng.integers(1, 100, 2).tolist()
        yield from _random(rng, n_outputs, n_inputs, f"random {i}")


def large_cases(seed: int) -> Iterable[Case]:
    """Yield the largest sizes: more than most boards hold."""
    rng = np.random.default_rng(seed)
    yield from _random(rng, 300, 640)
    yield from _random(rng, 5, MAX_SIZE)
    yield from _random(rng, MAX_SIZE, 3)
    yield from _largest(5, MAX_SIZE)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for i, (params, operands, n_inputs) in enumerate(_bad_calls()):
        yield BadCase(f"bad {i}", Dense.KERNEL, params, operands, n_inputs)


def small_layers() -> Iterable[Dense]:
    """Yield layers whose parameters are few bytes, one of each form."""
    weights = np.arange(-15, 15, dtype=np.int8).reshape(5, 6)
    for factor in (0.01, 7.5):
        yield dense(
            weights,
            np.arange(5),
            input_zero_point=-3,
            factors=factor * np.arange(1, 6) / 10,
            output_zero_point=4,
            low=-100,
            high=100,
        )


def _layer(weights: NDArray[np.int8], rng: np.random.Generator, *, wide: bool) -> Dense:
    """A layer whose outputs spread over int8 for random inputs, or saturate now and then."""
    n_outputs = len(weights)
    spread = np.sqrt((weights.astype(np.float64) ** 2).sum(axis=1) + 1) * 74
    low, high = np.sort(rng.integers(LOW, HIGH + 1, 2)) if rng.integers(2) else (LOW, HIGH)
    bias = np.asarray(rng.integers(-1000, 1000, n_outputs))
    if wide:
        bias[0] = 1 << 24
    return dense(
        weights,
        bias if rng.integers(4) else None,
        input_zero_point=int(rng.integers(LOW, HIGH + 1)),
        factors=np.minimum(60 * np.exp(rng.normal(0, 1, n_outputs)) / spread, 50),
        output_zero_point=int(rng.integers(LOW, HIGH + 1)),
        low=int(low),
        high=int(high),
    )


def _inputs(rng: np.random.Generator, n_inputs: int) -> NDArray[np.int8]:
    x = rng.integers(LOW, HIGH, n_inputs, np.int8, endpoint=True)
    ends = rng.choice(np.array([LOW, HIGH], np.int8), n_inputs)
    return np.where(rng.random(n_inputs) < rng.random(), x, ends)


def _random(
    rng: np.random.Generator, n_outputs: int, n_inputs: int, name: str = ""
) -> Iterable[Case]:
    most = int(rng.choice([3, 30, HIGH]))
    for wide in (False, True):
        weights = rng.integers(-most, most, (n_outputs, n_inputs), np.int8, endpoint=True)
        layer = _layer(weights, rng, wide=wide)
        label = f"{name} {n_inputs} to {n_outputs}, {'wide' if wide else 'any'}".strip()
        yield make_case(label, layer, _inputs(rng, n_inputs))


def _largest(n_outputs: int, n_inputs: int) -> Iterable[Case]:
    """Sums as far from 0 as they get, and neighbours in a word that differ most."""
    for name, pattern in {
        "lowest": [LOW],
        "highest": [HIGH],
        "alternating": [LOW, HIGH],
        "three and one": [HIGH, LOW, LOW, LOW],
    }.items():
        column = np.resize(np.array(pattern, np.int8), n_outputs)
        weights = np.repeat(column[:, np.newaxis], n_inputs, axis=1)
        layer = dense(
            weights,
            None,
            input_zero_point=0,
            factors=120 / (n_inputs * 2.0**14),
            output_zero_point=0,
        )
        rows = [np.full(n_inputs, value, np.int8) for value in (LOW, HIGH)]
        yield from make_cases(f"{name}, {n_inputs} to {n_outputs}", layer, rows)


def _ties() -> Iterable[Case]:
    """Factors that put results halfway between two numbers, on both sides of 0."""
    for power in range(1, 12):
        half = 1 << (power - 1)
        near = [sign * (k * half + d) for k in range(4) for d in (-1, 0, 1) for sign in (-1, 1)]
        weights = np.resize(np.array([[1], [-1], [half % HIGH]], np.int8), (len(near), 1))
        layer = dense(weights, near, input_zero_point=0, factors=2.0**-power, output_zero_point=0)
        rows = [np.array([x], np.int8) for x in (LOW, -1, 0, 1, HIGH)]
        yield from make_cases(f"ties of 2^-{power}", layer, rows)


def _bad_calls() -> Iterable[tuple[bytes, Operands, int]]:
    narrow, wide = (each.encode() for each in small_layers())
    operands = (("b", 6), ("b", 5))
    for good in (narrow, wide):
        for wrong in (b"", good[:4], good[:8], good[:-4], good + bytes(4), good + good):
            yield wrong, operands, 1
        for n_inputs, n_outputs in ((0, 5), (6, 0), (0, 0), (9, 5), (6, 9), (65535, 65535)):
            sizes = (("b", n_inputs), ("b", n_outputs))
            yield struct.pack("<HH", n_inputs, n_outputs) + good[4:], sizes, 1
        # Limits the wrong way round, and a form that there is not.
        yield _changed(good, 5, b"\x64\x63"), operands, 1
        yield _changed(good, 7, b"\x02"), operands, 1
        yield _changed(good, 7, bytes([1 - good[7]])), operands, 1
        for others, n_inputs in bad_operands(operands):
            yield good, others, n_inputs
    yield _changed(narrow, 8, b"\x1f"), operands, 1
    for mantissa in (0, 1 << 29, (1 << 30) - 1, 1 << 31):
        yield _changed(narrow, 12, struct.pack("<I", mantissa)), operands, 1
    for mantissa in (1, (1 << 30) - 1, 1 << 31):
        yield _changed(wide, 12, struct.pack("<I", mantissa)), operands, 1
    for exponent in (-32, 31, 1 << 30, -(1 << 31)):
        yield _changed(wide, 16, struct.pack("<i", exponent)), operands, 1


def _changed(params: bytes, at: int, data: bytes) -> bytes:
    return params[:at] + data + params[at + len(data) :]
