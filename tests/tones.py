"""Recordings of tones, and a pipeline for them."""

from __future__ import annotations

import numpy as np

from wingbeat.recordings import Recording, Recordings

TONES = """
rate = 1000
pad = true
[[stage]]
kind = "window"
length = 64
hop = 32
[[stage]]
kind = "{kind}"
bands = 14
[[stage]]
kind = "window"
length = 8
hop = 4
[model]
kind = "forest"
trees = 5
"""


def tones(seed: int = 1) -> Recordings:
    """Low and high tones in noise, of four devices."""
    rng = np.random.default_rng(seed)
    items = []
    for number in range(24):
        label = "low" if number % 2 else "high"
        hertz = rng.uniform(60, 120) if label == "low" else rng.uniform(250, 400)
        time = np.arange(int(rng.integers(100, 900))) / 1000
        wave = 3000 * np.sin(2 * np.pi * hertz * time) + rng.normal(0, 200, len(time))
        data = np.rint(wave).astype(np.int16)[:, np.newaxis]
        items.append(Recording(data, label, f"device {number % 4}", f"{number}.wav"))
    return Recordings(tuple(items), ("channel_0",), 1000.0, ("high", "low"))
