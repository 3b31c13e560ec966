"""Recordings of spoken digits, noises, and log-mel frames of them in float64.

`log_mel` is the chain that the program is compared with: librosa's definitions in NumPy, with the
parameters of pipeline.toml.
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from models.streams import data_file, download
from wingbeat.pipeline import Pipeline, load_pipeline
from wingbeat.stages.features import LogMelStage, PeakNormalizeStage
from wingbeat.stages.windows import WindowStage

FILE = "spoken_digits.zip"
URL = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/heads/master.zip"
RATE = 8000
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "yweweler")
OTHER = "other"
LABELS = (*(str(digit) for digit in range(10)), OTHER)
N_RECORDINGS = 2500
NOISES = ("white", "pink", "hum", "clicks", "babble")

_NAME = re.compile(r"(?:.*/)?(\d)_([a-z]+)_(\d+)\.wav")

Floats = NDArray[np.float64]


@cache
def pipeline() -> Pipeline:
    """The stages in front of the net."""
    return load_pipeline(Path(__file__).parent / "pipeline.toml")


def _stages() -> tuple[WindowStage, LogMelStage, WindowStage, PeakNormalizeStage]:
    frame, mel, window, peak = pipeline().stages
    assert isinstance(frame, WindowStage)
    assert isinstance(mel, LogMelStage)
    assert isinstance(window, WindowStage)
    assert isinstance(peak, PeakNormalizeStage)
    return frame, mel, window, peak


_FRAME, _MEL, _WINDOW, _PEAK = _stages()
FRAME, HOP = _FRAME.sizes(RATE)
FRAMES, _ = _WINDOW.sizes(RATE / HOP)
BANDS, DEPTH, LEAST = _MEL.bands, _PEAK.depth, _PEAK.least
F_MIN, F_MAX = _MEL.f_min, _MEL.f_max or RATE / 2

IGNORED = -FRAME % HOP
"""Samples in front of the first frame: the program takes blocks of HOP."""

SAMPLES = IGNORED + FRAME + (FRAMES - 1) * HOP
"""What the first result of the program needs."""


@dataclass(frozen=True, eq=False)
class Recording:
    """One digit, said once.

    Attributes
    ----------
    samples : NDArray[int16]
    digit : int
    speaker : str
    """

    samples: NDArray[np.int16]
    digit: int
    speaker: str


@cache
def recordings() -> tuple[Recording, ...]:
    """All of them, by name."""
    path = data_file(FILE) or download(URL, FILE)
    found = []
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            match = _NAME.fullmatch(name)
            if match and match[2] in SPEAKERS:
                rate, samples = wavfile.read(io.BytesIO(archive.read(name)))
                assert rate == RATE
                found.append(Recording(samples.astype(np.int16), int(match[1]), match[2]))
    if len(found) != N_RECORDINGS:
        raise SystemExit(f"{path}: expected {N_RECORDINGS} recordings, got {len(found)}")
    return tuple(found)


def in_window(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """A recording in the middle of what the program's first result needs, between zeros."""
    cut = samples[max(0, len(samples) - SAMPLES) // 2 :][:SAMPLES]
    front = (SAMPLES - len(cut)) // 2
    return np.pad(cut, (front, SAMPLES - len(cut) - front))


# ---- Features


def mel_weights(warp: float = 1.0) -> Floats:
    """librosa's filters.mel, of a voice whose frequencies are `warp` times as high."""

    def hertz(mels: Floats) -> Floats:
        above = 1000 * np.exp(np.log(6.4) / 27 * (mels - 15))
        return np.where(mels < 15, mels * 200 / 3, above)

    def mels(hertz: Floats) -> Floats:
        above = 15 + np.log(np.maximum(hertz, 1) / 1000) * 27 / np.log(6.4)
        return np.where(hertz < 1000, hertz * 3 / 200, above)

    low, high = mels(np.array([F_MIN, F_MAX]))
    edges = hertz(np.linspace(low, high, BANDS + 2))[:, np.newaxis]
    bins = np.arange(FRAME // 2 + 1) * RATE / FRAME * warp
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(triangles * 2 / (edges[2:] - edges[:-2]))


def energies(samples: NDArray[np.generic], hop: float = HOP, warp: float = 1.0) -> Floats:
    """Energies [frames, bands] of the mel bands of frames that start every `hop` samples."""
    starts = np.arange(0, len(samples) - FRAME + 1, hop).astype(int)
    frames = samples[starts[:, np.newaxis] + np.arange(FRAME)].astype(np.float64)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    return np.asarray(power @ mel_weights(warp).T)


def normalized(energy: NDArray[np.floating]) -> NDArray[np.floating]:
    """Logarithms to the base 2 of windows [..., frames, bands], relative to their greatest."""
    logs = np.log2(np.maximum(energy, 1))
    peak = np.maximum(logs.max(axis=(-2, -1), keepdims=True), LEAST)
    return np.asarray(np.maximum(logs - peak + DEPTH, 0))


def features(samples: NDArray[np.int16]) -> Floats:
    """What the net takes [FRAMES, BANDS] of SAMPLES samples, in float64."""
    return normalized(energies(samples[IGNORED:])).astype(np.float64)


# ---- Noises


def noise(
    kind: str, draw: np.random.Generator, count: int, voices: tuple[Recording, ...]
) -> Floats:
    """Samples of a noise with a root mean square of 1.

    Parameters
    ----------
    kind : str
        Of NOISES. "babble" is six of the voices at a time.
    draw : Generator
    count : int
        Samples.
    voices : tuple of Recording
    """
    time = np.arange(count) / RATE
    if kind == "hum":
        tones = [np.sin(2 * np.pi * 50 * k * time + draw.uniform(0, 7)) / k for k in range(1, 9)]
        x = np.sum(tones, axis=0) + draw.normal(0, 0.1, count)
    elif kind == "clicks":
        x = draw.normal(0, 0.1, count)
        for start in draw.integers(0, count, max(1, count // 2000)):
            length = min(int(draw.integers(20, 400)), count - int(start))
            x[start : start + length] += draw.normal(0, 3, length) * 0.98 ** np.arange(length)
    elif kind == "babble":
        x = np.zeros(count)
        for _ in range(6):
            x += _talk(draw, count, voices)
    else:
        x = _coloured(draw, count, {"white": 0.0, "pink": 0.5}[kind])
    return np.asarray(x / np.sqrt(np.mean(x**2)))


def _coloured(draw: np.random.Generator, count: int, slope: float) -> Floats:
    spectrum = np.fft.rfft(draw.normal(0, 1, count))
    hertz = np.maximum(np.arange(len(spectrum)) * RATE / count, 20)
    return np.fft.irfft(spectrum / hertz**slope, count)


def _talk(draw: np.random.Generator, count: int, voices: tuple[Recording, ...]) -> Floats:
    """One voice after the other, without pauses, from anywhere in a word."""
    parts: list[Floats] = []
    missing = count
    while missing > 0:
        word = voices[draw.integers(len(voices))].samples.astype(np.float64)
        word = word[draw.integers(len(word) // 2) :]
        parts.append(word / np.sqrt(np.mean(word**2) + 1))
        missing -= len(word)
    return np.concatenate(parts)[:count]
