"""Test vectors of the lookup operator."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np

from vectors.case import BadCase, Case, Operands, bad_operands, make_case
from wingbeat.reference.lookup import DTYPES, MAX_ELEMENTS, Lookup

_ALL = np.arange(256, dtype=np.uint8)


def small_operators() -> Iterable[Lookup]:
    """Yield operators for the tests of changed parameters."""
    yield Lookup(_ALL, 6)


def cases(seed: int) -> Iterable[Case]:
    """Yield every input byte, every number of elements around a block of eight, and random ones."""
    rng = np.random.default_rng(seed)
    table = rng.permutation(_ALL)
    for code, dtype in DTYPES.items():
        for out_code, out_dtype in DTYPES.items():
            operator = Lookup(table.view(out_dtype), 256, code)
            yield make_case(f"all of {code} to {out_code}", operator, _ALL.view(dtype))
    for n in (*range(1, 26), 1000):
        x = rng.integers(0, 256, n).astype(np.uint8).view(np.int8)
        yield make_case(f"{n} elements", Lookup(table.view(np.int8), n), x)
    x = rng.integers(0, 256, 70001).astype(np.uint8).view(np.int8)
    yield make_case("more than 65535", Lookup(table.view(np.int8), len(x)), x)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for i, (params, operands, n_inputs) in enumerate(_bad_calls()):
        yield BadCase(f"bad {i}", Lookup.KERNEL, params, operands, n_inputs)


def _bad_calls() -> Iterable[tuple[bytes, Operands, int]]:
    table = bytes(256)
    good = table + struct.pack("<Icc2x", 6, b"b", b"b")
    operands = (("b", 6), ("b", 6))
    for wrong in (b"", good[:4], good[:-4], good + bytes(4)):
        yield wrong, operands, 1
    for n in (0, MAX_ELEMENTS + 1, 1 << 31, (1 << 32) - 1):
        yield table + struct.pack("<Icc2x", n, b"b", b"b"), (("b", n), ("b", n)), 1
    for code in b"\0hHiIf\xff":
        of = chr(code)
        yield table + struct.pack("<IBc2x", 6, code, b"b"), ((of, 6), ("b", 6)), 1
        yield table + struct.pack("<IcB2x", 6, b"b", code), (("b", 6), (of, 6)), 1
    for others, n_inputs in bad_operands(operands):
        yield good, others, n_inputs
