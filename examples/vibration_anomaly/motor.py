"""The vibration of a made-up machine: a motor, a gear, a foot that resonates, and what can break.

Not a recording. It has what textbooks have of such signals: harmonics of a shaft whose speed and
load wander, the mesh of a gear, noise through a resonance; and three faults (R. B. Randall,
"Vibration-based Condition Monitoring", 2nd edition, 2021): a bearing whose outer race has a pit,
imbalance, and a loose foot.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import signal

RATE = 1000  # samples a second
G = 16384  # steps of an MPU-6050 set to +-2 g
SHAFT = 24.5  # turns a second
FAULTS = ("bearing", "imbalance", "loose foot")

_HARMONICS = (0.030, 0.012, 0.006)  # g, of 1, 2 and 3 times the shaft
_TEETH, _MESH = 7, 0.010
_NOISE, _RESONANCE, _DAMPING = 0.020, 152.0, 0.05
_OUTER_RACE = 3.58  # balls that pass a pit, a turn
_BANDWIDTH = 184.0  # Hz, of the sensor

Floats = NDArray[np.float64]


def vibration(
    seconds: float, seed: int, fault: str | None = None, severity: float = 1.0
) -> NDArray[np.int16]:
    """One axis of an accelerometer, int16 [samples], with a load and a speed of its own.

    Parameters
    ----------
    fault : str, optional
        Of FAULTS.
    severity : float
        0 for none, 1 for what a hand on the machine would feel.
    """
    draw = np.random.default_rng(seed)
    n = round(seconds * RATE)
    load = 1 + 0.25 * _wander(draw, n, 8.0) + draw.uniform(-0.2, 0.2)
    speed = SHAFT * (1 + 0.01 * _wander(draw, n, 4.0) + draw.uniform(-0.02, 0.02))
    turns = np.cumsum(speed) / RATE
    sizes = np.array(_HARMONICS) * np.exp(draw.normal(0, 0.1, 3))
    if fault == "imbalance":
        sizes[0] *= 1 + 1.5 * severity
    if fault == "loose foot":
        sizes *= 1 + severity * np.array([0.0, 2.0, 3.0])
    x = np.zeros(n)
    for order, size in enumerate(sizes, 1):
        x += size * np.sin(2 * np.pi * order * turns + draw.uniform(0, 7))
    if fault == "loose foot":
        x += 0.015 * severity * np.sin(np.pi * turns + draw.uniform(0, 7))
    x += _MESH * load * np.sin(2 * np.pi * _TEETH * turns + draw.uniform(0, 7))
    excitation = draw.normal(0, _NOISE, n) * np.sqrt(load)
    if fault == "bearing":
        passed = np.floor(_OUTER_RACE * turns + 0.02 * draw.normal(0, 1, n))
        hits = np.flatnonzero(np.diff(np.maximum.accumulate(passed)) > 0)
        excitation[hits] += severity * draw.uniform(0.15, 0.3, len(hits))
    x += _resonate(excitation)
    low = signal.butter(2, _BANDWIDTH, fs=RATE, output="sos")
    x = signal.sosfilt(low, x) + draw.normal(0, 0.003, n)  # the sensor's own noise
    return np.asarray(np.clip(np.rint((1 + x) * G), -32768, 32767), np.int16)


def _wander(draw: np.random.Generator, n: int, seconds: float) -> Floats:
    """A slow change within about -1 to 1."""
    knots = draw.normal(0, 0.5, int(n / RATE / seconds) + 3)
    return np.asarray(np.interp(np.arange(n) / RATE / seconds, np.arange(len(knots)), knots))


def _resonate(x: Floats) -> Floats:
    """Through the foot: as it is, and what its resonance makes of it."""
    angle, radius = 2 * np.pi * _RESONANCE / RATE, 1 - np.pi * _RESONANCE * _DAMPING / RATE
    return np.asarray(signal.lfilter([1], [1, -2 * radius * np.cos(angle), radius**2], x) * 0.3)
