"""Programs that take a stream, for the tests of every layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wingbeat.after import with_detector, with_vote
from wingbeat.program import Decision, Descriptor, Program, ProgramBuilder
from wingbeat.reference import WindowStats
from wingbeat.reference.band_energies import log_band_energies, mel_bands
from wingbeat.reference.matrix import matrix
from wingbeat.reference.power_spectrum import power_spectrum
from wingbeat.reference.window import Window

LABELS = ("rest", "walk", "run")


@cache
def stream_programs() -> dict[str, Program]:
    """Return programs by name: windows, windows in windows, decisions over time and none, bytes."""
    return {each.name: each for each in (_motion(), _alarm(), _votes(), _audio(), _raw(), _bytes())}


def _scores(n_inputs: int) -> NDArray[np.float64]:
    weights = np.random.default_rng(n_inputs).normal(0, 0.3, (3, n_inputs))
    return np.asarray(weights - weights.mean(axis=1, keepdims=True))


def _motion() -> Program:
    builder = ProgramBuilder(Descriptor("h", (8, 3)))
    window = builder.add(Window(20, 8, 8, 3), 0)
    features = builder.add(WindowStats(20, 3, ("mean", "std", "max")), window)
    scores = builder.add(matrix(_scores(9)), features)
    return builder.finish("motion", scores, Decision.ARGMAX, labels=LABELS)


def _alarm() -> Program:
    return replace(with_detector(_motion(), threshold=300, smoothing=1, hold_off=2), name="alarm")


def _votes() -> Program:
    return replace(with_vote(_motion(), 5, threshold=200), name="votes")


def _audio() -> Program:
    """Frames of 64 samples every 32; a decision on 5 frames, every 2."""
    builder = ProgramBuilder(Descriptor("h", (32,)))
    window = builder.add(Window(64, 32, 32, 1), 0)
    power = builder.add(power_spectrum(64), window)
    bands = log_band_energies(mel_bands(8000, 64, 8))
    frames = builder.add(Window(5, 1, 2, 8), builder.add(bands, power, power + 1))
    scores = builder.add(matrix(_scores(40)), frames)
    return builder.finish("audio", scores, Decision.ARGMAX, labels=LABELS)


def _raw() -> Program:
    builder = ProgramBuilder(Descriptor("i", (3, 2)))
    return builder.finish("raw", builder.add(Window(4, 3, 6, 2, "i"), 0), Decision.NONE)


def _bytes() -> Program:
    builder = ProgramBuilder(Descriptor("b", (5,)))
    return builder.finish("octets", builder.add(Window(7, 5, 5, 1, "b"), 0), Decision.VALUE)


def samples_of(program: Program, n_samples: int) -> NDArray[Any]:
    """Return a stream [samples, channels] of anything, softer and louder."""
    rng = np.random.default_rng(n_samples)
    limits = np.iinfo(program.input.dtype)
    shape = (n_samples, program.channels)
    loudness = np.repeat(np.exp(rng.uniform(0, np.log(limits.max), n_samples // 7 + 1)), 7)
    x = rng.normal(0, 1, shape) * loudness[:n_samples, np.newaxis]
    return np.asarray(np.clip(x, limits.min, limits.max), program.input.dtype)


def cuts_of(rng: np.random.Generator, n_samples: int, longest: int) -> list[int]:
    """Return lengths of blocks that add up, some of them 0."""
    lengths: list[int] = []
    while sum(lengths) < n_samples:
        lengths.append(min(int(rng.integers(0, longest + 1)), n_samples - sum(lengths)))
    return lengths


def blocks_of(x: NDArray[Any], lengths: Sequence[int]) -> list[NDArray[Any]]:
    """Return the stream cut into blocks of these lengths."""
    return np.split(x, np.cumsum(lengths)[:-1])
