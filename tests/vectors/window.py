"""Test vectors of the window of a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vectors.case import BadCase, Case, Memory, bad_calls, make_stream_cases
from wingbeat.reference import DTYPES
from wingbeat.reference.window import Window


def cases(seed: int) -> Iterable[Case]:
    """Yield streams through windows of every dtype and alignment."""
    rng = np.random.default_rng(seed)
    sizes = [(1, 1, 1, 1), (5, 5, 5, 3), (7, 3, 6, 1), (16, 4, 100, 2), (64, 32, 32, 1)]
    sizes += [(20, 1, 1, 40), (9, 2, 4, 5), (3, 1, 65535, 2)]
    for typecode in DTYPES:
        for n_window, n_new, hop, width in sizes:
            operator = Window(n_window, n_new, hop, width, typecode)
            item = DTYPES[typecode].itemsize
            rows = [
                np.frombuffer(rng.bytes(n_new * width * item), DTYPES[typecode])
                for _ in range(2 * n_window // n_new + 5)
            ]
            name = f"{typecode} {n_window} {n_new} {hop} {width}"
            yield from make_stream_cases(name, operator, rows)
    yield from _counts()


def _counts() -> Iterator[Case]:
    """Counts that only a hostile program can hold."""
    operator = Window(4, 2, 2, 1)
    window, x = np.arange(4, dtype=np.int16), np.array([8, 9], np.int16)
    for count in (-(2**31), -1, 2**31 - 2, 2**31 - 1, 1000):
        memory: list[NDArray[Any]] = [window.copy(), np.array([count], np.int32)]
        before = [array.copy() for array in memory]
        _, due = operator.advance(memory, x[np.newaxis])
        kept = tuple(Memory(1 + i, before[i], memory[i]) for i in range(2))
        name = f"a count of {count}"
        yield Case(name, operator, (x,), (memory[0],), operator.encode(), kept, bool(due[0]))


def sound_operators() -> Iterator[Window]:
    """Yield what the bad cases are made from."""
    yield Window(5, 2, 4, 3)
    yield Window(8, 8, 8, 1, "b")


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for operator in sound_operators():
        changes = [
            (0, "<H", (0, 1, operator.n_window + 1, 65535)),
            (2, "<H", (0, operator.n_new + 1, 65535)),
            (4, "<H", (0, operator.n_new - 1)),
            (6, "<H", (0, operator.width + 1, 65535)),
            (8, "<B", (0, ord("x"), ord("I"), ord("F"), 255)),
            (9, "<B", (1, 255)),
            (10, "<H", (1, 256)),
        ]
        yield from bad_calls(operator, changes)
