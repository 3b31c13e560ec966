"""Test vectors of the power spectrum."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from vectors.case import BadCase, Case, bad_calls, make_cases
from wingbeat.reference.power_spectrum import WINDOWS, PowerSpectrum, power_spectrum

LENGTHS = (64, 128, 256, 512, 1024, 2048)
_LOW, _HIGH = -32768, 32767


def cases(seed: int) -> Iterable[Case]:
    """Yield every length with edges and random windows; the same seed gives the same cases."""
    rng = np.random.default_rng(seed)
    for n in LENGTHS:
        for channels in (1, 2, 7):
            operator = power_spectrum(n, channels, str(rng.choice(list(WINDOWS))))
            yield from make_cases(f"{n} x {channels}", operator, list(_rows(rng, n, channels)))
    operator = _hostile(rng)
    yield from make_cases("tables of anything", operator, list(_rows(rng, 64, 2)))


def sound_operators() -> Iterator[PowerSpectrum]:
    """Yield what the bad cases are made from."""
    yield power_spectrum(64, 3)
    yield power_spectrum(128)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for operator in sound_operators():
        end = 4 + 2 * (operator.n // 2 + 2)
        lengths = (0, 1, 2, 32, 63, 65, 96, 256, 2048, 4096, 32768, 65535)
        changes = [
            (0, "<H", lengths),
            (2, "<B", (0, operator.n_channels + 1)),
            (3, "<B", (1, 255)),
            (end - 2, "<H", (1, 256)),
        ]
        yield from bad_calls(operator, changes)


def _rows(rng: np.random.Generator, n: int, channels: int) -> Iterator[NDArray[np.int16]]:
    shape = (n, channels)
    time = np.arange(n)[:, np.newaxis]
    for value in (_LOW, -1, 0, 1, _HIGH):
        yield np.full(shape, value, np.int16).ravel()
    yield np.where(time % 2, np.full(shape, _LOW), _HIGH).astype(np.int16).ravel()
    # The squarest wave that a radix-4 pass can meet, and one impulse.
    yield np.where(time // 2 % 2, np.full(shape, _LOW), _HIGH).astype(np.int16).ravel()
    yield np.where(time == n // 2 + 1, np.full(shape, _HIGH), 0).astype(np.int16).ravel()
    yield rng.choice([_LOW, _HIGH], shape).astype(np.int16).ravel()
    frequency = rng.uniform(0, np.pi, channels)
    for amplitude in (_HIGH, 1000, 30, 1):
        yield (amplitude * np.sin(frequency * time)).astype(np.int16).ravel()
    for width in np.exp(rng.uniform(0, np.log(40000), 6)):
        x = rng.uniform(_LOW, _HIGH) * rng.integers(2) + rng.normal(0, width, shape)
        yield np.clip(x, _LOW, _HIGH).astype(np.int16).ravel()


def _hostile(rng: np.random.Generator) -> PowerSpectrum:
    sound = power_spectrum(64, 2)
    extremes = np.array([_LOW, _HIGH, -1, 1], np.int16)
    return PowerSpectrum(
        64,
        2,
        rng.choice(extremes, sound.window.shape),
        rng.choice(extremes, sound.twiddles.shape),
    )
