"""A minute of sound and one of movement on the emulated Pico, bit for bit, with a locked heap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from scipy.io import wavfile

from wingbeat.program import Decision, Descriptor, Program, ProgramBuilder
from wingbeat.reference import WindowStats
from wingbeat.reference.band_energies import log_band_energies, mel_bands
from wingbeat.reference.biquads import biquads
from wingbeat.reference.matrix import matrix
from wingbeat.reference.power_spectrum import power_spectrum
from wingbeat.reference.window import Window
from wingbeat.runner import push_module
from wingbeat.simulate import same_results, simulate
from wingbeat.targets import open_target

SPEECH = Path(__file__).resolve().parents[1] / "data" / "speech"
MOST_LOAD = 0.05  # of a core, for the sound
CLOCK = 125e6


def sound() -> NDArray[np.int16]:
    """Digits that five people say, with noise between them: 60 s at 8 kHz."""
    draw = np.random.default_rng(1)
    x = draw.normal(0, 50, 60 * 8000)
    clips = [wavfile.read(path)[1] for path in sorted(SPEECH.glob("*.wav"))]
    for start in np.arange(0.5, 58, 1.2):
        clip = clips[draw.integers(len(clips))][:8000]
        at = int(start * 8000)
        x[at : at + len(clip)] += clip
    return np.clip(np.rint(x), -32768, 32767).astype(np.int16)[:, np.newaxis]


def words() -> Program:
    """A high-pass, log-mel frames, and scores of the last 0.5 s every 0.08 s."""
    draw = np.random.default_rng(2)
    builder = ProgramBuilder(Descriptor("h", (160,)))
    high = builder.add(biquads(signal.butter(2, 0.02, "high", output="sos"), 160), 0)
    frame = builder.add(Window(256, 160, 160, 1), high)
    power = builder.add(power_spectrum(256), frame)
    bands = builder.add(log_band_energies(mel_bands(8000, 256, 24)), power, power + 1)
    frames = builder.add(Window(25, 1, 4, 24), bands)
    weights = draw.normal(0, 0.02, (10, 600))
    scores = builder.add(matrix(weights - weights.mean(axis=1, keepdims=True)), frames)
    return builder.finish("words", scores, Decision.ARGMAX, meta={"rate": 8000.0})


def movement() -> NDArray[np.int16]:
    """Accelerometer and gyroscope, 60 s at 100 Hz: louder and softer."""
    draw = np.random.default_rng(3)
    size = np.repeat(np.exp(draw.uniform(2, 9.5, 60)), 100)
    x = signal.lfilter([0.3], [1, -0.7], draw.normal(0, 1, (6000, 6)), axis=0)
    return np.asarray(np.clip(x * size[:, np.newaxis], -32768, 32767), np.int16)


def moves() -> Program:
    draw = np.random.default_rng(4)
    builder = ProgramBuilder(Descriptor("h", (16, 6)))
    window = builder.add(Window(128, 16, 32, 6), 0)
    level = builder.add(WindowStats(128, 6, ("mean", "std", "peak_to_peak")), window)
    scores = builder.add(matrix(draw.normal(0, 0.1, (4, 18))), level)
    return builder.finish("moves", scores, Decision.ARGMAX, meta={"rate": 100.0})


def played(program: Program, x: NDArray[np.int16], rate: float) -> float:
    """Play it on both, and return the share of a core that it took."""
    with open_target("rp2040") as target:
        pushed = push_module(target, program.assemble(target.arch), x)
    expected = simulate(program, x, rate)
    assert len(set(expected.decisions.tolist())) > 1
    assert len(pushed.blocks) == len(expected.times)
    assert same_results(program, pushed, expected) == len(expected.times)
    assert pushed.ticks is not None
    return float(pushed.ticks.sum()) / CLOCK / expected.duration


def test_a_minute_of_sound() -> None:
    x = sound()
    assert len(x) == 60 * 8000
    assert played(words(), x, 8000.0) < MOST_LOAD


def test_a_minute_of_movement() -> None:
    assert played(moves(), movement(), 100.0) < 0.01
