"""A long recording: one speaker's digits, between and under noise."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile
from scipy.signal import resample_poly

from models.spoken_digits.sounds import NOISES, RATE, Floats, Recording, noise, recordings
from models.streams import data_file, download
from wingbeat.simulate import Event

RECORDED = "noise_1000ms.wav"
"""A real background noise."""

URL = (
    "https://raw.githubusercontent.com/tensorflow/tflite-micro/main/tensorflow/lite/micro/examples/"
    f"micro_speech/testdata/{RECORDED}"
)

SEED = 7
SECONDS = 60.0
RATIOS = (20, 10)
"""Power of a digit over that of the noise, dB."""

LEVEL = 1500.0
"""Root mean square of a digit, in steps of int16."""

GAPS = (1.0, 4.0)
"""Seconds from the end of a digit to the start of the next one."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A stretch of one noise.

    Attributes
    ----------
    noise : str
        Of NOISES, or "recorded".
    ratio : int
        dB.
    start, end : float
        Seconds.
    """

    noise: str
    ratio: int
    start: float
    end: float


@dataclass(frozen=True, eq=False)
class LongRecording:
    """Samples, and what is said in them.

    Attributes
    ----------
    samples : NDArray[int16] [samples, 1]
    events : tuple of Event
        Digits.
    pieces : tuple of Piece
    """

    samples: NDArray[np.int16]
    events: tuple[Event, ...]
    pieces: tuple[Piece, ...]


def long_recording(speaker: str, *, seconds: float = SECONDS, seed: int = SEED) -> LongRecording:
    """A stretch of each noise at each ratio, with digits of a speaker every few seconds.

    The babble is of the other speakers.

    Parameters
    ----------
    speaker : str
    seconds : float
        Of each stretch.
    seed : int
    """
    draw = np.random.default_rng(seed)
    said = tuple(item for item in recordings() if item.speaker == speaker)
    voices = tuple(item for item in recordings() if item.speaker != speaker)
    count = round(seconds * RATE)
    parts: list[Floats] = []
    events: list[Event] = []
    pieces: list[Piece] = []
    for kind in (*NOISES, "recorded"):
        for ratio in RATIOS:
            start = len(parts) * count / RATE
            under = _recorded(count) if kind == "recorded" else noise(kind, draw, count, voices)
            part = under * LEVEL * 10 ** (-ratio / 20)
            events += _say(part, said, draw, start)
            parts.append(part)
            pieces.append(Piece(kind, ratio, start, start + seconds))
    samples = np.clip(np.rint(np.concatenate(parts)), -32768, 32767).astype(np.int16)
    return LongRecording(samples[:, np.newaxis], tuple(events), tuple(pieces))


def _say(
    part: Floats, said: tuple[Recording, ...], draw: np.random.Generator, start: float
) -> list[Event]:
    """Add digits; when each of them is."""
    events: list[Event] = []
    at = int(draw.uniform(*GAPS) * RATE)
    while True:
        item = said[draw.integers(len(said))]
        word = item.samples.astype(np.float64)
        if at + len(word) > len(part) - RATE:
            return events
        part[at : at + len(word)] += word * LEVEL / np.sqrt(np.mean(word**2))
        times = (at / RATE + start, (at + len(word)) / RATE + start)
        events.append(Event(*times, str(item.digit)))
        at += len(word) + int(draw.uniform(*GAPS) * RATE)


def _recorded(count: int) -> Floats:
    """The recorded noise over and over, with a root mean square of 1."""
    rate, samples = wavfile.read(data_file(RECORDED) or download(URL, RECORDED))
    ratio = Fraction(RATE, rate)
    x = resample_poly(samples.astype(np.float64), ratio.numerator, ratio.denominator)
    return np.asarray(np.resize(x, count) / np.sqrt(np.mean(x**2)))
