"""Test vectors of standardize: float32 features to int8."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np

from vectors.case import BadCase, Case, Operands, bad_operands, make_case
from wingbeat.reference.standardize import (
    EXPONENTS,
    MANTISSAS,
    MAX_ELEMENTS,
    MAX_OFFSET,
    Standardize,
    standardize,
)

SPECIAL = np.array(
    [0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 1e-45, -1e-39, 1.2e-38, 3.4e38, -3.4e38],
    np.float32,
)


def small_operators() -> Iterable[Standardize]:
    """Yield operators for the tests of changed parameters."""
    yield standardize([0.5, -3, 100], [0.25, 1, 3])


def cases(seed: int) -> Iterable[Case]:
    """Yield special values, neighbours of every result, the limits of parameters, random ones."""
    rng = np.random.default_rng(seed)
    for step in (1.0, 0.3, 1e-30, 1e30, np.inf, *np.exp(rng.uniform(-20, 20, 20)).tolist()):
        centre = 0.0 if np.isinf(step) else float(rng.normal(0, 300) * step)
        near = (np.arange(-140, 140) + 0.5) * (1.0 if np.isinf(step) else step) + centre
        x = np.concatenate([SPECIAL, near, np.nextafter(near, 0), rng.normal(0, 1e6, 50)])
        operator = standardize(np.full(len(x), centre), np.full(len(x), step))
        yield make_case(f"step {step}", operator, x.astype(np.float32))
    for exponent in (*EXPONENTS, 0, 1, 2, 3, 33, 34, 100, 128, 134, 255, 257, 286, 287):
        x = np.concatenate([SPECIAL, rng.integers(0, 1 << 32, 200).astype("<u4").view("<f4")])
        operator = Standardize(
            np.resize(np.array([-MAX_OFFSET, 0, MAX_OFFSET], np.int32), len(x)),
            np.resize(np.array(MANTISSAS, np.uint16), len(x)),
            np.full(len(x), exponent, np.int16),
        )
        yield make_case(f"exponent {exponent}", operator, x)
    for n in (1, 2, 3, 5):
        x = rng.normal(0, 100, n).astype(np.float32)
        yield make_case(f"{n} elements", standardize(rng.normal(size=n), np.ones(n)), x)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for i, (params, operands, n_inputs) in enumerate(_bad_calls()):
        yield BadCase(f"bad {i}", Standardize.KERNEL, params, operands, n_inputs)


def _params(n: int = 3, offset: int = 5, mantissa: int = 40000, exponent: int = 134) -> bytes:
    good = struct.pack("<iHh", 0, MANTISSAS[0], 0)
    return struct.pack("<I", n) + 2 * good + struct.pack("<iHh", offset, mantissa, exponent)


def _bad_calls() -> Iterable[tuple[bytes, Operands, int]]:
    operands = (("f", 12), ("b", 3))
    for wrong in (b"", _params()[:4], _params()[:-4], _params() + bytes(4)):
        yield wrong, operands, 1
    for n in (0, 1, 2, 4, MAX_ELEMENTS + 1, (1 << 29) + 3, (1 << 32) - 1):
        yield _params(n), (("f", 4 * n & 0xFFFFFFFF), ("b", n)), 1
    for offset in (MAX_OFFSET + 1, -MAX_OFFSET - 1, (1 << 31) - 1, -(1 << 31)):
        yield _params(offset=offset), operands, 1
    for mantissa in (0, 1, MANTISSAS[0] - 1):
        yield _params(mantissa=mantissa), operands, 1
    for exponent in (EXPONENTS[0] - 1, EXPONENTS[1] + 1, 32767, -32768):
        yield _params(exponent=exponent), operands, 1
    for others, n_inputs in bad_operands(operands):
        yield _params(), others, n_inputs
