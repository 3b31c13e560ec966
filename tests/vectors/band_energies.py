"""Test vectors of band energies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from vectors.case import BadCase, Case, bad_calls, make_case
from wingbeat.reference.band_energies import (
    Band,
    BandEnergies,
    band_energies,
    log_band_energies,
    mel_bands,
)


def cases(seed: int) -> Iterable[Case]:
    """Yield the extremes of power and exponent, mel bands, and random bands."""
    rng = np.random.default_rng(seed)
    wide = (Band(0, bytes([255] * 2000)), Band(1, bytes([255] * 256)), Band(1999, b"\1", 7))
    for value in (0, 1, 65535, 65536, 2**31 - 1, 2**32 - 1):
        power = np.full(2000, value, np.uint32).view(np.int32)
        for exponent in (-(2**31), -100, -49, -30, -1, 0, 1, 30, 100, 2**31 - 1):
            inputs = power, np.array([exponent], np.int32)
            for logarithm in (False, True):
                operator = BandEnergies(2000, 1, wide, logarithm, -3, -500)
                yield make_case(f"{value} 2^{exponent}, {logarithm}", operator, *inputs)
    for n_fft, rate in ((256, 8000), (512, 16000)):
        weights = mel_bands(rate, n_fft, 20)
        for operator in (log_band_energies(weights, 2), band_energies(weights, 2, gain=-4)):
            for number in range(5):
                yield _random(f"mel {n_fft} {number}", rng, operator)
    for number in range(60):
        yield _random(f"random {number}", rng, _any(rng))


def _random(name: str, rng: np.random.Generator, operator: BandEnergies) -> Case:
    shape = operator.n_bins * operator.n_channels
    power = np.exp(rng.uniform(0, 22.18, shape)).astype(np.uint32)
    exponent = rng.integers(-20, 30, operator.n_channels).astype(np.int32)
    kind = "logarithms" if operator.logarithm else "energies"
    return make_case(f"{name}, {kind}", operator, power.view(np.int32), exponent)


def _any(rng: np.random.Generator) -> BandEnergies:
    n_bins = int(np.exp(rng.uniform(0, 7)))
    bands = []
    for _ in range(rng.integers(1, 9)):
        start = int(rng.integers(n_bins))
        count = int(rng.integers(1, n_bins - start + 1))
        weights: NDArray[np.uint8] = rng.integers(0, 256, count).astype(np.uint8)
        bands.append(Band(start, weights.tobytes(), int(rng.integers(-5000, 5000))))
    return BandEnergies(
        n_bins,
        int(rng.integers(1, 5)),
        tuple(bands),
        bool(rng.integers(2)),
        int(rng.integers(-20, 20)),
        int(rng.integers(-5000, 5000)),
    )


def sound_operators() -> Iterator[BandEnergies]:
    """Yield what the bad cases are made from."""
    bands = (Band(0, b"\1\2\3"), Band(4, b"\xff", -7))
    for logarithm in (False, True):
        yield BandEnergies(5, 2, bands, logarithm, -1, 3)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for operator in sound_operators():
        changes = [
            (0, "<H", (0, 4, 6, 65535)),
            (2, "<B", (0, 1, 3, 255)),
            (3, "<B", (0, 1, 3, 255)),
            (4, "<B", (2, 255, 1 - operator.logarithm)),
            (8, "<H", (3, 65535)),
            (10, "<H", (0, 2, 4, 65535)),
            (14, "<H", (5, 65535)),
        ]
        yield from bad_calls(operator, changes)
    # Three bytes of weights more leave one byte of padding, which must be 0.
    good = BandEnergies(5, 1, (Band(0, b"\1"),), True).encode()
    yield BadCase(
        "padding", BandEnergies.KERNEL, good[:-1] + b"\1", (("i", 20), ("i", 4), ("h", 2)), 2
    )
