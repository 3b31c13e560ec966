"""Test vectors of quantize: float32 to int8."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vectors.case import BadCase, Case, Operands, bad_operands, make_case
from wingbeat.reference.activations import Quantization
from wingbeat.reference.quantize import MAX_ELEMENTS, MAX_EXPONENT, MIN_EXPONENT, Quantize, quantize

SPECIAL = np.array(
    [0.0, -0.0, 1e-45, -1e-38, np.inf, -np.inf, np.nan, -np.nan, 3.4e38, -3.4e38], np.float32
)
_SCALES = (1.0, 0.5, 1 / 3, 0.1, 1.9999999, 1.0000001, 2.0**-100, 2.0**100, 0.0039215689)


def small_operators() -> Iterable[Quantize]:
    """Yield operators for the tests of changed parameters."""
    yield quantize(6, Quantization(0.1, -5))


def near_ties(rng: np.random.Generator, scale: float, n: int) -> NDArray[np.float32]:
    """Floats within four steps of where the rounded quotient by a scale changes."""
    ties = (rng.integers(-260, 260, n) + 0.5) * scale
    steps = rng.integers(-4, 5, n).astype(np.int32)
    return (ties.astype(np.float32).view(np.int32) + steps).view(np.float32)


def cases(seed: int) -> Iterable[Case]:
    """Yield special numbers, numbers around ties and of all sizes, for many scales."""
    rng = np.random.default_rng(seed)
    random = np.exp2(rng.uniform(-20, 20, 30)).astype(np.float32).tolist()
    for scale in (*_SCALES, *random):
        output = Quantization(scale, int(rng.integers(-128, 128)))
        parts = [
            SPECIAL,
            near_ties(rng, output.scale, 300),
            (rng.normal(size=100) * output.scale * 60).astype(np.float32),
            rng.integers(0, 1 << 32, 100).astype(np.uint32).view(np.float32),
        ]
        x = np.concatenate(parts)
        yield make_case(f"scale {scale}", quantize(len(x), output), x)
    for reciprocal in (1 << 15, 1 << 16):
        x = near_ties(rng, 1.0, 300)
        operator = Quantize(300, 0x3F800000, reciprocal, 0)
        yield make_case(f"reciprocal {reciprocal}", operator, x)
    yield make_case("one", quantize(1, Quantization(0.5, 3)), np.ones(1, np.float32))


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for i, (params, operands, n_inputs) in enumerate(_bad_calls()):
        yield BadCase(f"bad {i}", Quantize.KERNEL, params, operands, n_inputs)


def _params(n: int = 6, exponent: int = 127, reciprocal: int = 40000) -> bytes:
    return struct.pack("<IIIb3x", n, exponent << 23 | 5, reciprocal, 3)


def _bad_calls() -> Iterable[tuple[bytes, Operands, int]]:
    operands = (("f", 24), ("b", 6))
    for wrong in (b"", _params()[:-4], _params() + bytes(4)):
        yield wrong, operands, 1
    for exponent in (0, MIN_EXPONENT - 1, MAX_EXPONENT + 1, 255, 256 + 127):
        yield _params(exponent=exponent), operands, 1
    for reciprocal in (0, (1 << 15) - 1, (1 << 16) + 1, (1 << 32) - 1):
        yield _params(reciprocal=reciprocal), operands, 1
    for n in (0, MAX_ELEMENTS + 1, (1 << 30) + 6, (1 << 32) - 1):
        yield _params(n), (("f", 4 * n & 0xFFFFFFFF), ("b", n)), 1
    for others, n_inputs in bad_operands(operands):
        yield _params(), others, n_inputs
