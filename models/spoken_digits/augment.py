"""Changed sounds to train on: few voices have to stand for all.

What changes a voice is done to samples and mel bands once, in `Bank`; noise, loudness, place in the
window and gaps are drawn anew for every batch, on energies of mel bands.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from models.spoken_digits.sounds import (
    BANDS,
    DEPTH,
    FRAME,
    FRAMES,
    HOP,
    LABELS,
    NOISES,
    RATE,
    Recording,
    energies,
    noise,
    normalized,
)

VARIANTS = 12
SPEED = 1.25
"""A voice is played so many times as fast or as slow: pitch, formants and tempo together."""

WARP = 1.12
"""Its mel bands are moved by so much: formants alone."""

STRETCH = 1.2
"""Its frames are so much nearer or farther: tempo alone."""

OTHERS = 0.25
"""Windows without a digit for each one with a digit."""

NOISY = 0.65
"""Share of the windows that get noise."""

_ROOM = 24
_LONG = FRAMES + _ROOM
_NOISE_SECONDS = 40

Floats = NDArray[np.float32]


class Bank:
    """Variants of recordings and noises, as energies of mel bands.

    Parameters
    ----------
    items : tuple of Recording
        To train on.
    seed : int
    """

    def __init__(self, items: tuple[Recording, ...], seed: int) -> None:
        draw = np.random.default_rng(seed)
        self.digits = np.array([item.digit for item in items])
        shape = (len(items), VARIANTS)
        self.words = np.zeros((*shape, _LONG, BANDS), np.float32)
        self.lengths = np.zeros(shape, np.int64)
        for number, item in enumerate(items):
            for variant in range(VARIANTS):
                word = _changed(item.samples, draw)
                word = word[max(0, len(word) - _LONG) // 2 :][:_LONG]
                front = (_LONG - len(word)) // 2
                self.words[number, variant, front : front + len(word)] = word
                self.lengths[number, variant] = len(word)
        count = _NOISE_SECONDS * RATE
        self.noises = np.stack(
            [energies(noise(kind, draw, count, items)).astype(np.float32) for kind in NOISES]
        )

    def epoch(self, draw: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
        """Rows [rows, FRAMES, BANDS, 1] for the net, in an order that is drawn; their classes."""
        words = draw.permutation(len(self.digits))
        whole = self._placed(words, draw, whole=True)
        others = draw.choice(words, int(OTHERS * len(words)), replace=False)
        half = len(others) // 2
        parts = self._placed(others[:half], draw, whole=False)
        x = np.concatenate([whole, parts, self._noise(len(others) - half, draw)])
        y = np.append(self.digits[words], np.full(len(others), len(LABELS) - 1))
        x = self._noisy(_coloured(x, draw), draw)
        # Silence, and what is hardly louder, is among the others.
        x[-(len(others) - half) :] *= 2 ** draw.uniform(-40, 0, (len(others) - half, 1, 1))
        rows = _with_gaps(normalized(x).astype(np.float32), draw)
        order = draw.permutation(len(y))
        return rows[order][..., np.newaxis], y[order]

    def _placed(
        self, words: NDArray[np.int64], draw: np.random.Generator, *, whole: bool
    ) -> Floats:
        """Windows with a word anywhere in them, or with less than half of one at an edge."""
        variant = draw.integers(VARIANTS, size=len(words))
        length = self.lengths[words, variant]
        start = (_LONG - length) // 2
        if whole:
            low = np.minimum(start, start + length - FRAMES)
            high = np.maximum(start, start + length - FRAMES)
            at = draw.integers(low - 2, high + 3)
        else:
            kept = np.maximum(1, (length * draw.uniform(0.05, 0.45, len(words))).astype(int))
            front = draw.integers(2, size=len(words)) == 1
            at = np.where(front, start + length - kept, start + kept - FRAMES)
        frames = at[:, np.newaxis] + np.arange(FRAMES)
        inside = (frames >= 0) & (frames < _LONG)
        taken = self.words[words[:, np.newaxis], variant[:, np.newaxis], frames % _LONG]
        return np.asarray(taken * inside[..., np.newaxis], np.float32)

    def _noise(self, count: int, draw: np.random.Generator) -> Floats:
        """Windows of noise with a largest energy of 1e9, which is that of a voice."""
        kinds = draw.integers(len(self.noises), size=count)
        at = draw.integers(self.noises.shape[1] - FRAMES, size=count)
        frames = at[:, np.newaxis] + np.arange(FRAMES)
        x = self.noises[kinds[:, np.newaxis], frames]
        return np.asarray(x / x.max(axis=(1, 2), keepdims=True) * 1e9, np.float32)

    def _noisy(self, x: Floats, draw: np.random.Generator) -> Floats:
        """Most of them with one of the noises, 8 to 45 dB below."""
        added = _coloured(self._noise(len(x), draw), draw)
        added *= x.max(axis=(1, 2), keepdims=True) / added.max(axis=(1, 2), keepdims=True)
        share = 10 ** -draw.uniform(0.8, 4.5, (len(x), 1, 1))
        return np.asarray(x + added * share * (draw.uniform(size=share.shape) < NOISY), np.float32)


def _changed(samples: NDArray[np.int16], draw: np.random.Generator) -> NDArray[np.float64]:
    """Energies [frames, bands] of another voice that says the same, from silence to silence."""
    speed, warp, stretch = (base ** draw.uniform(-1, 1) for base in (SPEED, WARP, STRETCH))
    ratio = Fraction(speed).limit_denominator(20)
    other = resample_poly(samples.astype(np.float64), ratio.numerator, ratio.denominator)
    return energies(np.pad(other, FRAME), HOP * stretch, warp)


def _coloured(x: Floats, draw: np.random.Generator) -> Floats:
    """As by other microphones and rooms: a tilt and a wave over the bands."""
    band, rows = np.linspace(-1, 1, BANDS), (len(x), 1)
    wave = np.pi / 2 * (band + 1) * draw.integers(1, 5, rows) + draw.uniform(0, 2 * np.pi, rows)
    gain = band * draw.normal(0, 1, rows) + np.cos(wave) * draw.normal(0, 0.5, rows)
    return np.asarray(x * 2 ** gain[:, np.newaxis], np.float32)


def _with_gaps(x: Floats, draw: np.random.Generator) -> Floats:
    """SpecAugment: two gaps in time, silent, two in the bands, at the mean; and a little noise."""
    x = x + draw.normal(0, 0.15, x.shape).astype(np.float32)
    mean = x.mean(axis=(1, 2), keepdims=True)
    for axis, most, filling in ((1, FRAMES // 8, 0.0), (2, BANDS // 6, mean)) * 2:
        n = x.shape[axis]
        start, width = draw.integers(n, size=(len(x), 1)), draw.integers(most + 1, size=(len(x), 1))
        places = np.arange(n)
        gap = (places >= start) & (places < start + width)
        x = np.where(np.expand_dims(gap, 3 - axis), filling, x)
    return np.clip(x, 0, DEPTH).astype(np.float32)
