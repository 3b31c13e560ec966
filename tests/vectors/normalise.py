"""Test vectors of the normalise operator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from vectors.case import BadCase, Case, bad_calls, make_cases
from wingbeat.reference.normalise import MAX_ELEMENTS, MAX_GAIN, TYPECODES, Measure, Normalise


def cases(seed: int) -> Iterable[Case]:
    """Yield every measure and dtype with few pixels, the most, and random parameters."""
    rng = np.random.default_rng(seed)
    for measure in Measure:
        for typecode in TYPECODES:
            for n in (1, 2, 3, 768, MAX_ELEMENTS):
                operator = Normalise(n, 40, 200, measure, -3, typecode)
                yield from make_cases(
                    f"{n} {measure} {typecode}", operator, list(_rows(rng, operator))
                )
        for gain, least, zero in ((MAX_GAIN, 65535, 32767), (1, 3, -32768), (127, 255, 0)):
            operator = Normalise(500, gain, least, measure, zero, "h")
            yield from make_cases(f"gain {gain} {measure}", operator, list(_rows(rng, operator)))
    for number in range(100):
        operator = _any(rng)
        yield from make_cases(f"random {number}", operator, list(_rows(rng, operator)))


def _any(rng: np.random.Generator) -> Normalise:
    gain = int(np.exp(rng.uniform(0, np.log(MAX_GAIN))))
    least = int(rng.integers(2 * gain + 1, 65536))
    zero = int(rng.integers(-32768, 32768)) >> int(rng.integers(0, 16))
    measure, typecode = Measure(int(rng.integers(2))), str(rng.choice(TYPECODES))
    return Normalise(int(rng.integers(1, 2000)), gain, least, measure, zero, typecode)


def _rows(rng: np.random.Generator, operator: Normalise) -> Iterator[NDArray[np.uint8]]:
    n = operator.n_elements
    for value in (0, 1, 128, 255):
        yield np.full(n, value, np.uint8)
    yield rng.choice([0, 255], n).astype(np.uint8)
    yield rng.integers(0, 256, n).astype(np.uint8)
    for width in (0.5, 3, 40):
        yield np.clip(rng.normal(rng.uniform(0, 255), width, n), 0, 255).astype(np.uint8)
    one = np.zeros(n, np.uint8)
    one[-1] = 255
    yield one
    yield 255 - one


def sound_operators() -> Iterator[Normalise]:
    """Yield what the bad cases are made from."""
    for measure, typecode in zip((0, 1, 0), TYPECODES, strict=True):
        yield Normalise(6, 32, 256, Measure(measure), 5, typecode)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for operator in sound_operators():
        changes: list[tuple[int, str, tuple[int, ...]]] = [
            (0, "<H", (0, 5, 7, 65535)),
            (2, "<B", (2, 255)),
            (3, "<B", (0, ord("i"), ord("H"), 255)),
            (4, "<H", (0, 128, 32768, 65535)),
            (6, "<H", (0, 1, 64)),
            (10, "<H", (1, 256)),
        ]
        yield from bad_calls(operator, changes)
