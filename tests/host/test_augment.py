"""Changed copies of recordings: what they are, and that they are only trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tones import TONES, tones
from wingbeat.augment import AugmentOptions, augmented
from wingbeat.errors import FormatError, UsageError
from wingbeat.pipeline import parse_pipeline
from wingbeat.pipeline_features import compute_features
from wingbeat.recordings import Recording
from wingbeat.train_pipeline import train_pipeline

AUGMENT = "[augment]\ncopies = 3\nspeed = [0.8, 1.25]\nnoise_db = [10, 30]\n"


def tone(hertz: float = 50.0, count: int = 2000) -> Recording:
    wave = 1000 * np.sin(2 * np.pi * hertz * np.arange(count) / 1000) + 300
    return Recording(wave[:, np.newaxis], "tone", "device 1", "tone.wav")


def loudest(x: NDArray[np.generic]) -> float:
    """Hz of a recording at 1000 Hz."""
    power = np.abs(np.fft.rfft(x[:, 0] - x[:, 0].astype(float).mean()))
    return float(power.argmax() * 1000 / len(x))


def test_as_fast_and_as_high() -> None:
    items = augmented([tone()], AugmentOptions(20, speed=(0.5, 2.0)), 1)
    speeds = np.array([2000 / len(each.data) for each in items])
    assert len(items) == 20
    assert speeds.min() < 0.7
    assert speeds.max() > 1.4
    for speed, each in zip(speeds, items, strict=True):
        assert loudest(each.data) == pytest.approx(50 * speed, rel=0.03)
        assert (each.label, each.group, each.source) == ("tone", "device 1", "tone.wav")
        # A mean that is not 0 stays what it is up to the ends.
        assert each.data.mean() == pytest.approx(300, abs=25)


def test_noise_and_gain() -> None:
    (noisy,) = augmented([tone()], AugmentOptions(1, noise_db=(20, 20)), 1)
    rest = noisy.data - tone().data
    assert 20 * np.log10(tone().data.std() / rest.std()) == pytest.approx(20, abs=0.5)
    (louder,) = augmented([tone()], AugmentOptions(1, gain_db=(6, 6)), 1)
    assert np.allclose(louder.data, tone().data * 10 ** (6 / 20))
    (same,) = augmented([tone()], AugmentOptions(1), 1)
    assert np.array_equal(same.data, tone().data)


def test_same_seed_gives_the_same_copies() -> None:
    options = AugmentOptions(2, (0.9, 1.1), (-3, 3), (10, 40))
    first, second, other = (augmented([tone()], options, seed) for seed in (4, 4, 5))
    assert all(np.array_equal(a.data, b.data) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0].data[:100], other[0].data[:100])


def test_only_what_is_trained_on_is_copied() -> None:
    plain = parse_pipeline(TONES.format(kind="log_mel"), "tones")
    more = parse_pipeline(TONES.format(kind="log_mel") + AUGMENT, "tones")
    alone, trained = (train_pipeline(tones(), each, name="t", seed=3) for each in (plain, more))
    assert trained.report.accuracy == 1.0
    assert np.array_equal(alone.test, trained.test)
    assert np.array_equal(alone.features.x, trained.features.x)
    facts = [each.program.meta["training"] for each in (alone, trained)]
    assert facts[0]["train_rows"] == len(alone.train)
    assert 3 < facts[1]["train_rows"] / facts[0]["train_rows"] < 5
    assert facts[0]["test_rows"] == facts[1]["test_rows"]
    assert facts[1]["pipeline"]["augment"]["copies"] == 3
    again = train_pipeline(tones(), more, name="t", seed=3)
    assert again.program.encode() == trained.program.encode() != alone.program.encode()
    none = replace(more, augment=AugmentOptions(0))
    assert train_pipeline(tones(), none, name="t", seed=3).program.encode() == (
        alone.program.encode()
    )


def test_parts_of_recordings_are_refused() -> None:
    pipeline = parse_pipeline(TONES.format(kind="log_mel") + AUGMENT, "tones")
    rows = np.arange(len(compute_features(tones(), pipeline).y))
    with pytest.raises(UsageError, match=r"tones: \[augment\] changes whole recordings"):
        train_pipeline(tones(), pipeline, name="t", split=(rows[::2], rows[1::2]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("copies = -1", "copies = -1: expected 0 to 1000"),
        ("copies = 1.5", "expected a whole number"),
        ("speed = [2, 1]", "the lower one first"),
        ("speed = [0, 1]", "two numbers from 0.1 to 10"),
        ("speed = 2", "expected a list, each a number"),
        ("noise_db = [1]", "two numbers from -100 to 200"),
        ("pitch = [1, 2]", "'pitch' is unknown"),
    ],
)
def test_what_is_wrong_is_refused_with_the_place(wrong: str, message: str) -> None:
    with pytest.raises((FormatError, UsageError)) as caught:
        parse_pipeline(TONES.format(kind="log_mel") + "[augment]\n" + wrong, "mine.toml")
    assert message in str(caught.value)
    assert "mine.toml, augment" in str(caught.value)
