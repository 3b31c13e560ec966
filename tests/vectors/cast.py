"""Test vectors of the cast operator."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np

from vectors.case import BadCase, Case, Operands, bad_operands, make_case
from wingbeat.reference.cast import DTYPES, MAX_ELEMENTS, Cast


def cases(seed: int) -> Iterable[Case]:
    """Yield every value, each length around a word, the largest tensor, and random ones."""
    rng = np.random.default_rng(seed)
    for typecode, dtype in DTYPES.items():
        x = np.arange(256).astype(np.uint8).view(dtype)
        yield make_case(f"every value of {typecode}", Cast(256, typecode), x)
        lengths = [*range(1, 10), MAX_ELEMENTS, *rng.integers(10, 1000, 10).tolist()]
        for i, n in enumerate(lengths):
            x = rng.integers(0, 256, n, np.uint8).view(dtype)
            yield make_case(f"{i}: {n} of {typecode}", Cast(n, typecode), x)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for i, (params, operands, n_inputs) in enumerate(_bad_calls()):
        yield BadCase(f"bad {i}", Cast.KERNEL, params, operands, n_inputs)


def _bad_calls() -> Iterable[tuple[bytes, Operands, int]]:
    for typecode in ("b", "B"):
        good = struct.pack("<Hcx", 6, typecode.encode())
        operands = ((typecode, 6), ("h", 12))
        for wrong in (b"", good + bytes(4), good + good):
            yield wrong, operands, 1
        yield struct.pack("<Hcx", 0, typecode.encode()), ((typecode, 0), ("h", 0)), 1
        yield struct.pack("<Hcx", 7, typecode.encode()), operands, 1
        for last in (1, 128, 255):
            yield struct.pack("<HcB", 6, typecode.encode(), last), operands, 1
        for others, n_inputs in bad_operands(operands):
            yield good, others, n_inputs
    for unknown in b"\0hHiIf\xff":
        yield struct.pack("<HBx", 6, unknown), ((chr(unknown), 6), ("h", 12)), 1
