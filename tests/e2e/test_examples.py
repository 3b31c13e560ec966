"""The examples: what users put on a board, with stand-ins for the sensors alone."""

from __future__ import annotations

import numpy as np
import pytest
from examples.playing import ROOT
from models.streams import data_file

from wingbeat.targets import open_target


def need(name: str) -> None:
    if data_file(name) is None:
        pytest.skip(f"needs {name}")


@pytest.mark.parametrize("target", ["unix", "rp2040"])
def test_air_quality(target: str) -> None:
    need("AirQualityUCI.csv")
    from examples.air_quality.example import run

    played = run(target)
    assert len(played.board) == 43
    # The board prints two decimals.
    assert np.abs(played.board - played.laptop).max() < 0.006
    known = np.isfinite(played.analyser)
    assert known.sum() > 35
    assert np.abs(played.board - played.analyser)[known].mean() < 0.5
    assert np.ptp(played.board) > 1.0


@pytest.mark.parametrize("target", ["unix", "rp2040"])
def test_motion(target: str) -> None:
    from examples.motion.example import run

    played = run(target)
    assert [label for _, label in played.board] == [label for _, label in played.laptop]
    for (board, _), (laptop, _) in zip(played.board, played.laptop, strict=True):
        # The board asks its sensor every 0.2 s.
        assert 0 <= board - laptop < 0.21
    ends = [at for at, _ in played.done[1:]] + [np.inf]
    found = [
        any(start < at <= end and seen == label for at, seen in played.board)
        for (start, label), end in zip(played.done, ends, strict=True)
    ]
    assert len(found) == 7
    assert sum(found) >= 6


def test_motion_notices_a_full_fifo() -> None:
    script = """
import time
from array import array
from machine import I2C, Pin
from mpu6050 import MPU6050
sensor = MPU6050(I2C(0, sda=Pin(4), scl=Pin(5), freq=400_000), 50)
block = array("h", bytes(12 * 64))
for duration in (0, 200, 1000, 400, 5000, 100):
    time.sleep_ms(duration)
    print(sensor.read_into(block), list(block[:6]))
"""
    recording = np.arange(6 * 400, dtype=np.int16) - 600
    files = {
        path.name: path.read_bytes()
        for folder in ("board", "standin")
        for path in (ROOT / "examples" / "motion" / folder).glob("*.py")
        if path.name != "main.py"
    }
    with open_target("unix") as target:
        done = target.execute(script, {**files, "recording.bin": recording.tobytes()})
    blank = [0] * 6
    wanted = []
    # Samples that are due, 50 a second; 5 s are more than the FIFO holds.
    for count, first in ((0, None), (10, 0), (50, 10), (20, 60), (None, None), (5, 330)):
        if first is not None:
            blank = recording[6 * first : 6 * first + 6].tolist()
        wanted.append(f"{count} {blank}")
    assert done.stdout.splitlines() == wanted


@pytest.mark.parametrize("target", ["unix", "rp2040"])
def test_vibration_anomaly(target: str) -> None:
    from examples.vibration_anomaly.example import STORY, run

    played = run(target)
    assert [what for _, what in played.board] == [what for _, what in played.laptop]
    for (board, _), (laptop, _) in zip(played.board, played.laptop, strict=True):
        # The board asks its sensor every 0.05 s.
        assert 0 <= board - laptop < 0.06
    at = 0
    for seconds, fault, _ in STORY:
        told = [what for when, what in played.board if at < when <= at + seconds]
        assert told == ["anomaly" if fault else "normal"]
        at += seconds


def test_vibration_anomalies_are_found_and_nothing_else() -> None:
    from examples.vibration_anomaly.example import find

    found = find()
    assert found.minutes == 30
    assert found.false <= 1
    for (_, severity), seconds in found.seconds.items():
        late = np.array(seconds)
        if severity == 1.0:
            assert late.max() < 2.0
        elif severity == 0.5:
            assert np.isfinite(late).mean() >= 0.7
        elif severity == 0.1:  # no more than load and speed do
            assert not np.isfinite(late).any()
