"""Test vectors of the biquads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from vectors.case import BadCase, Case, bad_calls, make_case, make_cases, make_stream_cases
from wingbeat.reference.biquads import Biquads, Section, biquads

_LOW, _HIGH = -32768, 32767


def designs() -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield filters that people take, as scipy designs them."""
    yield "low-pass", signal.butter(4, 0.2, output="sos")
    yield "low-pass, low", signal.butter(2, 0.006, output="sos")
    yield "high-pass, low", signal.butter(2, 0.006, "high", output="sos")
    yield "high-pass, fourth order", signal.butter(4, 0.01, "high", output="sos")
    yield "band-pass", signal.butter(3, [0.1, 0.2], "band", output="sos")
    yield "elliptic", signal.ellip(6, 0.5, 60, 0.3, output="sos")
    yield "notch", signal.tf2sos(*signal.iirnotch(0.1, 30))
    yield "first order", signal.butter(1, 0.1, output="sos")


def cases(seed: int) -> Iterable[Case]:
    """Yield designed filters and any coefficients, on noise and extremes, kept and not."""
    rng = np.random.default_rng(seed)
    for name, sos in designs():
        for n_channels in (1, 3):
            operator = biquads(sos, 50, n_channels, keep=False)
            yield from make_cases(f"{name}, {n_channels}", operator, list(_rows(rng, n_channels)))
            stream = biquads(sos, 50, n_channels)
            rows = list(_rows(rng, n_channels))
            yield from make_stream_cases(f"{name}, {n_channels}, kept", stream, rows)
    for number in range(40):
        sections = tuple(_any_section(rng) for _ in range(rng.integers(1, 4)))
        operator = Biquads(int(rng.integers(1, 30)), int(rng.integers(1, 9)), sections, False)
        ((_, n),) = operator.inputs
        x = rng.choice([_LOW, _HIGH, -1, 0, 1000], n).astype(np.int16)
        yield make_case(f"anything {number}", operator, x)


def _any_section(rng: np.random.Generator) -> Section:
    extremes = [_LOW, _HIGH, -1, 0, 1, int(rng.integers(_LOW, _HIGH))]
    b0, b1, b2, a1, a2 = rng.choice(extremes, 5).tolist()
    return Section(b0, b1, b2, a1, a2, bool(rng.integers(2)))


def _rows(rng: np.random.Generator, n_channels: int) -> Iterator[NDArray[np.int16]]:
    shape = 50 * n_channels
    for value in (_LOW, 0, 1, _HIGH):
        yield np.full(shape, value, np.int16)
    yield rng.choice([_LOW, _HIGH], shape).astype(np.int16)
    for width in (3, 300, 30000):
        yield np.clip(rng.normal(0, width, shape), _LOW, _HIGH).astype(np.int16)


def sound_operators() -> Iterator[Biquads]:
    """Yield what the bad cases are made from."""
    sections = (Section(1, 2, 3, 4, 5), Section(16384, -32768, 16384, 32000, -16000, True))
    yield Biquads(7, 2, sections, False)
    yield Biquads(5, 1, sections[:1], True)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for operator in sound_operators():
        changes = [
            (0, "<H", (0, operator.n_samples + 1, 65535)),
            (2, "<B", (0, operator.n_channels + 1, 255)),
            (3, "<B", (0, len(operator.sections) + 1, 33, 255)),
            (4, "<B", (2, 255)),
            (5, "<B", (1, 255)),
            (6, "<H", (1, 256)),
            (18, "<H", (2, 256, 65535)),
        ]
        yield from bad_calls(operator, changes)
