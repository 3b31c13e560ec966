"""Test vectors of the probability operator."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np

from vectors.case import BadCase, Case, Operands, bad_operands, make_case
from vectors.shift import HIGH, LOW
from wingbeat.reference.probability import MAX_FRACTION_BITS, MAX_SCORES, Probability


def cases(seed: int) -> Iterable[Case]:
    """Yield extremes with every number of fraction bits, the most scores, and random ones."""
    rng = np.random.default_rng(seed)
    for bits in range(MAX_FRACTION_BITS + 1):
        one = 1 << bits
        for value in sorted({LOW, -16 * one, -one, -1, 0, 1, one, 16 * one - 1, HIGH}):
            if LOW <= value <= HIGH:
                yield _case(f"a single {value} over 2^{bits}", bits, [value])
        yield _case(f"opposite extremes over 2^{bits}", bits, [LOW, HIGH, -1, 0, LOW, HIGH, 1])
        around = [-k * one // 4 + d for k in range(80) for d in (-1, 0, 1)]
        yield _case(f"distances over 2^{bits}", bits, [v for v in around if v >= LOW])
    for value in (LOW, -1, 0, HIGH):
        for n in (2, 3, 10, MAX_SCORES):
            yield _case(f"{n} equal {value}", 20, [value] * n)
    yield _case("one far above the most", 16, [HIGH] + [LOW] * (MAX_SCORES - 1))
    yield _case("one rounding step above the most", 20, [16672358] + [0] * (MAX_SCORES - 1))
    for i in range(150):
        n = int(np.exp(rng.uniform(0, np.log(MAX_SCORES + 1))))
        bits = int(rng.integers(0, MAX_FRACTION_BITS + 1))
        real = rng.normal(0, np.exp(rng.uniform(-3, 3)), n) * 2.0**bits
        yield _case(f"random {i}", bits, np.clip(np.rint(real), LOW, HIGH).astype(int).tolist())


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for i, (params, operands, n_inputs) in enumerate(_bad_calls()):
        yield BadCase(f"bad {i}", Probability.KERNEL, params, operands, n_inputs)


def _bad_calls() -> Iterable[tuple[bytes, Operands, int]]:
    good = struct.pack("<HBx", 6, 16)
    operands = (("i", 24), ("H", 12))
    for wrong in (b"", good + bytes(4), good + good):
        yield wrong, operands, 1
    for n in (0, MAX_SCORES + 1, 4096, 65535):
        yield struct.pack("<HBx", n, 16), (("i", 4 * n), ("H", 2 * n)), 1
    yield struct.pack("<HBx", 7, 16), operands, 1
    yield struct.pack("<HBx", 1, 16), (("i", 4), ("H", 2)), 1
    for bits in (31, 32, 64, 255):
        yield struct.pack("<HBx", 6, bits), operands, 1
    for last in (1, 128, 255):
        yield struct.pack("<HBB", 6, 16, last), operands, 1
    for others, n_inputs in bad_operands(operands):
        yield good, others, n_inputs


def _case(name: str, bits: int, scores: list[int]) -> Case:
    return make_case(name, Probability(len(scores), bits), np.array(scores, np.int32))
