"""Test vectors of dequantize: int8 to float32."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np

from vectors.case import BadCase, Case, Operands, bad_operands, make_case
from wingbeat.reference.activations import Quantization
from wingbeat.reference.dequantize import Dequantize, dequantize
from wingbeat.reference.quantize import MAX_ELEMENTS, MAX_EXPONENT, MIN_EXPONENT

_ALL = np.arange(256, dtype=np.uint8).view(np.int8)
_SCALES = (1.0, 1 / 256, 0.1, 1 / 3, 1.9999999, 2.0**-100, 1.9999999 * 2.0**100)


def small_operators() -> Iterable[Dequantize]:
    """Yield operators for the tests of changed parameters."""
    yield dequantize(6, Quantization(0.1, -5))


def cases(seed: int) -> Iterable[Case]:
    """Yield all inputs, for many scales and zero points."""
    rng = np.random.default_rng(seed)
    random = np.exp2(rng.uniform(-20, 20, 30)).tolist()
    for scale in (*_SCALES, *random):
        for zero_point in (-128, 0, 127, int(rng.integers(-128, 128))):
            operator = dequantize(256, Quantization(scale, zero_point))
            yield make_case(f"scale {scale}, zero point {zero_point}", operator, _ALL)
    yield make_case("one", dequantize(1, Quantization(0.5, 3)), np.ones(1, np.int8))


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for i, (params, operands, n_inputs) in enumerate(_bad_calls()):
        yield BadCase(f"bad {i}", Dequantize.KERNEL, params, operands, n_inputs)


def _params(n: int = 6, exponent: int = 127) -> bytes:
    return struct.pack("<IIb3x", n, exponent << 23 | 5, 3)


def _bad_calls() -> Iterable[tuple[bytes, Operands, int]]:
    operands = (("b", 6), ("f", 24))
    for wrong in (b"", _params()[:-4], _params() + bytes(4)):
        yield wrong, operands, 1
    for exponent in (0, MIN_EXPONENT - 1, MAX_EXPONENT + 1, 255, 256 + 127):
        yield _params(exponent=exponent), operands, 1
    for n in (0, MAX_ELEMENTS + 1, (1 << 30) + 6, (1 << 32) - 1):
        yield _params(n), (("b", n), ("f", 4 * n & 0xFFFFFFFF)), 1
    for others, n_inputs in bad_operands(operands):
        yield _params(), others, n_inputs
