"""Test vectors of argmax."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np

from vectors.case import BadCase, Case, Operands, bad_operands, make_case
from wingbeat.reference.argmax import Argmax


def small_operators() -> Iterable[Argmax]:
    """Yield operators for the tests of changed parameters."""
    yield Argmax(2, 3, 2)


def cases(seed: int) -> Iterable[Case]:
    """Yield all positions of the largest and the least, ties, and several dimensions."""
    rng = np.random.default_rng(seed)
    for least in (False, True):
        for shape in ((1, 1, 1), (1, 300, 1), (3, 4, 5), (7, 1, 3), (2, 10, 1)):
            x = rng.integers(-128, 128, int(np.prod(shape))).astype(np.int8)
            yield make_case(f"{shape} least {least}", Argmax(*shape, least), x)
            near = (x // 100).astype(np.int8)
            yield make_case(f"{shape} least {least}, ties", Argmax(*shape, least), near)
        for value in (-128, 127):
            for place in range(6):
                x = np.zeros(6, np.int8)
                x[place] = value
                name = f"{value} at {place}, least {least}"
                yield make_case(name, Argmax(1, 6, 1, least), x)
            equal = np.full(6, value, np.int8)
            yield make_case(f"all {value}, least {least}", Argmax(1, 6, 1, least), equal)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for i, (params, operands, n_inputs) in enumerate(_bad_calls()):
        yield BadCase(f"bad {i}", Argmax.KERNEL, params, operands, n_inputs)


def _bad_calls() -> Iterable[tuple[bytes, Operands, int]]:
    good, operands = struct.pack("<4H", 2, 3, 2, 0), (("b", 12), ("i", 16))
    for wrong in (b"", good[:4], good + bytes(4)):
        yield wrong, operands, 1
    for shape in ((0, 3, 2), (2, 0, 2), (2, 3, 0)):
        yield struct.pack("<4H", *shape, 0), (("b", 0), ("i", 0)), 1
    for shape in ((4096, 4096, 2), (65535, 65535, 1), (65535, 65535, 65535), (257, 1, 65535)):
        n_inputs = shape[0] * shape[1] * shape[2] & 0xFFFFFFFF
        n_outputs = 4 * shape[0] * shape[2] & 0xFFFFFFFF
        yield struct.pack("<4H", *shape, 0), (("b", n_inputs), ("i", n_outputs)), 1
    for others, n_inputs in bad_operands(operands):
        yield good, others, n_inputs
