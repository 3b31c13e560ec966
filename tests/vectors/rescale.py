"""Test vectors of rescale: int16 to int8."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np

from vectors.case import BadCase, Case, Operands, bad_operands, make_case
from wingbeat.reference.activations import Quantization
from wingbeat.reference.rescale import MAX_ELEMENTS, Rescale, rescale

_LOW, _HIGH = -(1 << 15), (1 << 15) - 1
_GOOD = {"n": 6, "low": -128, "high": 127, "wide": 0, "bias": 5, "shift": 8, "mantissa": 1 << 30}


def small_operators() -> Iterable[Rescale]:
    """Yield operators for the tests of changed parameters."""
    yield rescale(6, 0.001, 7, Quantization(0.1, -5))


def cases(seed: int) -> Iterable[Case]:
    """Yield edges and random numbers, for many factors and zero points."""
    rng = np.random.default_rng(seed)
    factors = (
        0.49999,
        0.25,
        1 / 256,
        1 / 3,
        2.0**-16,
        2.0**-31,
        *np.exp2(rng.uniform(-16, -1, 30)),
    )
    for factor in factors:
        zero_point = (_LOW, 0, _HIGH, int(rng.integers(_LOW, _HIGH)))[int(rng.integers(4))]
        output = Quantization(0.1, int(rng.integers(-128, 128)))
        edges = [_LOW, _LOW + 1, -1, 0, 1, _HIGH - 1, _HIGH, zero_point]
        x = np.concatenate([edges, rng.integers(_LOW, _HIGH, 500, endpoint=True)])
        operator = rescale(len(x), output.scale * factor, zero_point, output)
        yield make_case(f"factor {factor}", operator, x.astype(np.int16))
    operator = rescale(1, 0.01, 0, Quantization(0.1, 0))
    yield make_case("one", operator, np.array([-200], np.int16))


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for i, (params, operands, n_inputs) in enumerate(_bad_calls()):
        yield BadCase(f"bad {i}", Rescale.KERNEL, params, operands, n_inputs)


def _params(**changed: int) -> bytes:
    of = {**_GOOD, **changed}
    head = struct.pack("<IbbbB", of["n"], 3, of["low"], of["high"], of["wide"])
    return head + struct.pack("<iI", of["bias"] * 256 + of["shift"], of["mantissa"])


def _bad_calls() -> Iterable[tuple[bytes, Operands, int]]:
    operands = (("h", 12), ("b", 6))
    for wrong in (b"", _params()[:4], _params()[:-4], _params() + bytes(4)):
        yield wrong, operands, 1
    yield _params(wide=1) + bytes(4), operands, 1
    for field, values in {
        "wide": (1, 2, 255),
        "low": (5, 127),
        "shift": (31, 32, 255),
        "bias": (32769, -32769, 1 << 22),
        "mantissa": (0, (1 << 30) - 1, 1 << 31, (1 << 32) - 1),
    }.items():
        for value in values:
            yield _params(**{"high": 4 if field == "low" else 127, field: value}), operands, 1
    for n in (0, MAX_ELEMENTS + 1, (1 << 31) + 6, (1 << 32) - 1):
        yield _params(n=n), (("h", 2 * n & 0xFFFFFFFF), ("b", n)), 1
    for others, n_inputs in bad_operands(operands):
        yield _params(), others, n_inputs
