"""Test vectors of the matrix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from vectors.case import BadCase, Case, bad_calls, make_case
from wingbeat.reference.matrix import Matrix, dct_weights, matrix

_LOW, _HIGH = -32768, 32767


def cases(seed: int) -> Iterable[Case]:
    """Yield the extremes, cosine transforms, and random matrices whose sums wrap or not."""
    rng = np.random.default_rng(seed)
    for value in (_LOW, -1, 0, 1, _HIGH):
        for other in (_LOW, -1, 1, _HIGH):
            weights = np.full((2, 3), other, np.int16)
            bias = np.array([-(2**31), 2**31 - 1], np.int32)
            for shift in (0, 1, 15, 31):
                operator = Matrix(weights, bias, shift)
                x = np.full(3, value, np.int16)
                yield make_case(f"{value} times {other} >> {shift}", operator, x)
    for n_inputs, n_outputs, n_rows in ((40, 13, 1), (20, 20, 3), (1, 1, 5)):
        operator = matrix(dct_weights(n_inputs, n_outputs), n_rows=n_rows, scale=1 / 8)
        x = rng.integers(_LOW, _HIGH, n_rows * n_inputs, np.int16, endpoint=True)
        yield make_case(f"cosines {n_inputs} to {n_outputs}", operator, x)
    for number in range(80):
        yield _random(f"random {number}", rng)


def _random(name: str, rng: np.random.Generator) -> Case:
    n_inputs, n_outputs, n_rows = np.exp(rng.uniform(0, 4, 3)).astype(int)
    width = np.exp(rng.uniform(0, np.log(_HIGH)))
    weights = np.clip(rng.normal(0, width, (n_outputs, n_inputs)), _LOW, _HIGH).astype(np.int16)
    bias = rng.integers(-(2**20), 2**20, n_outputs).astype(np.int32)
    operator = Matrix(weights, bias, int(rng.integers(0, 32)), int(n_rows))
    x = rng.integers(_LOW, _HIGH, n_rows * n_inputs, np.int16, endpoint=True)
    return make_case(name, operator, x)


def sound_operators() -> Iterator[Matrix]:
    """Yield what the bad cases are made from."""
    weights = np.arange(-7, 8, dtype=np.int16).reshape(5, 3)
    yield Matrix(weights, np.arange(5, dtype=np.int32) * 1000, 3, 2)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for operator in sound_operators():
        changes = [
            (0, "<H", (0, 1, 2, 4, 4097, 65535)),
            (2, "<H", (0, 1, 4, 6, 4097, 65535)),
            (4, "<H", (0, 1, 3, 65535)),
            (6, "<B", (32, 33, 255)),
            (7, "<B", (1, 255)),
            (len(operator.encode()) - 2, "<H", (1, 256)),
        ]
        yield from bad_calls(operator, changes)
