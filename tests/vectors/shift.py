"""Test vectors of the shift operator."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vectors.case import BadCase, Case, Operands, bad_operands, make_case
from wingbeat.reference.shift import MAX_ELEMENTS, MAX_SHIFT, Shift

LOW, HIGH = -(2**31), 2**31 - 1


def cases(seed: int) -> Iterable[Case]:
    """Yield every shift at its edges, the largest tensor, and random ones."""
    rng = np.random.default_rng(seed)
    for typecode in "iH":
        for shift in range(MAX_SHIFT + 1):
            x = _edges(shift)
            yield make_case(f"edges of {shift} to {typecode}", Shift(len(x), shift, typecode), x)
        for value in (LOW, -1, 0, 1, HIGH):
            x = np.array([value], np.int32)
            yield make_case(f"one {value} to {typecode}", Shift(1, 4, typecode), x)
        x = rng.integers(LOW, HIGH, MAX_ELEMENTS, np.int32, endpoint=True)
        yield make_case(f"largest to {typecode}", Shift(MAX_ELEMENTS, 15, typecode), x)
    yield from (_random(f"random {i}", rng) for i in range(100))


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for i, (params, operands, n_inputs) in enumerate(_bad_calls()):
        yield BadCase(f"bad {i}", Shift.KERNEL, params, operands, n_inputs)


def _bad_calls() -> Iterable[tuple[bytes, Operands, int]]:
    good = struct.pack("<HBc", 6, 3, b"H")
    operands = (("i", 24), ("H", 12))
    for wrong in (b"", good + bytes(4), good + good):
        yield wrong, operands, 1
    yield struct.pack("<HBc", 0, 3, b"H"), (("i", 0), ("H", 0)), 1
    yield struct.pack("<HBc", 7, 3, b"H"), operands, 1
    for shift in (31, 32, 33, 64, 128, 255):
        yield struct.pack("<HBc", 6, shift, b"H"), operands, 1
    for typecode in b"\0bBhIfI\xff":
        yield struct.pack("<HBB", 6, 3, typecode), (("i", 24), (chr(typecode), 12)), 1
    for others, n_inputs in bad_operands(operands):
        yield good, others, n_inputs


def _edges(shift: int) -> NDArray[np.int32]:
    """Values around zero, the ends, ties, and what saturates a uint16."""
    step = 1 << shift
    near = [0, step // 2, step, step + step // 2, 65535 * step, 65535 * step + step // 2]
    values = [sign * v + d for v in [*near, HIGH] for sign in (-1, 1) for d in (-2, -1, 0, 1, 2)]
    return np.array([LOW, HIGH, *(v for v in values if LOW <= v <= HIGH)], np.int32)


def _random(name: str, rng: np.random.Generator) -> Case:
    n = int(np.exp(rng.uniform(0, np.log(500))))
    operator = Shift(n, int(rng.integers(0, MAX_SHIFT + 1)), str(rng.choice(["i", "H"])))
    x = rng.integers(LOW, HIGH, n, np.int32, endpoint=True) >> rng.integers(0, 32, n)
    return make_case(name, operator, x.astype(np.int32))
