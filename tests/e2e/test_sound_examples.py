"""Examples that listen: sound_event and wake, with a stand-in for the microphone alone."""

from __future__ import annotations

import numpy as np
import pytest
from models.streams import data_file

FILE = "spoken_digits.zip"
pytestmark = pytest.mark.skipif(data_file(FILE) is None, reason=f"needs {FILE}")


@pytest.mark.parametrize("target", ["unix", "rp2040"])
def test_sound_event(target: str) -> None:
    from examples.sound_event.example import run, same

    played = run(target)
    assert same(played)
    assert right(played.said, played.board) >= 6


@pytest.mark.parametrize("target", ["unix", "rp2040"])
def test_wake(target: str) -> None:
    from examples.wake.example import load, run

    played = run(target)
    assert right(played.said, played.board) >= right(played.said, played.laptop) - 1 >= 4
    assert 0.05 < played.pushed / played.blocks < 0.35
    assert (played.cycles is not None) == (target == "rp2040")
    if played.cycles is not None:
        cheap, costly, both = load(played)
        assert cheap < 0.01
        assert both < 0.4 * costly


def test_wake_gets_used_to_a_fan() -> None:
    from examples.sound_event.example import Sound
    from examples.wake.example import run

    fan = np.random.default_rng(1).normal(0, 400, 90 * 8000).astype(np.int16)
    played = run("unix", Sound(((16000, fan),), []))
    awake = played.pushed * 160 / 8000
    assert 2 < awake < 40
    assert played.blocks * 160 / 8000 == 92


def right(said: list[tuple[float, str]], heard: list[tuple[float, str]]) -> int:
    """Digits that were told within 1.6 s of their beginning."""
    return sum(
        any(digit == told and 0 < at - start < 1.6 for at, told in heard) for start, digit in said
    )
