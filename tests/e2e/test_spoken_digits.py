"""models/spoken_digits: its float chain, speakers it never heard, noise, and load of the Pico.

tests/e2e/test_stream_models.py holds it to its limits and compares its bits on the Pico.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from models.spoken_digits.learn import FOLDER, SCALE
from models.spoken_digits.long_recording import RECORDED
from models.spoken_digits.recipe import HELD_OUT, listen, net_of, program_of
from models.spoken_digits.sounds import (
    BANDS,
    F_MAX,
    F_MIN,
    FILE,
    FRAME,
    RATE,
    SAMPLES,
    features,
    in_window,
    mel_weights,
    pipeline,
)
from models.streams import data_file, sizes
from numpy.typing import NDArray
from scipy.io import wavfile

from wingbeat import Program
from wingbeat.reference.band_energies import mel_bands
from wingbeat.runner import push_module
from wingbeat.simulate import same_results, simulate
from wingbeat.stream import Stream
from wingbeat.targets import open_target

SPEECH = sorted((Path(__file__).resolve().parents[1] / "data" / "speech").glob("*.wav"))
CLOCK = 125e6
MOST_LOAD = 0.35


def shipped() -> Program:
    return Program.load(FOLDER / "spoken_digits.wbp")


def words() -> list[NDArray[np.int16]]:
    return [wavfile.read(path)[1].astype(np.int16) for path in SPEECH]


def needs(*names: str) -> None:
    for name in names:
        if data_file(name) is None:
            pytest.skip(f"needs {name}")


def test_the_float_chain_is_librosas() -> None:
    assert np.allclose(mel_weights(), mel_bands(RATE, FRAME, BANDS, F_MIN, F_MAX))


def test_features_are_those_of_the_float_chain() -> None:
    stages, shape = pipeline().features(1)
    for word in words():
        results = Stream(stages).results(in_window(word))
        assert len(results.ends) == 1
        found = results.outputs.reshape(shape.dims) / 512
        assert np.abs(found - features(in_window(word))).max() < 0.05


def test_loudness_does_not_matter() -> None:
    stages, _ = pipeline().features(1)
    loud = in_window(words()[0])
    # A window of whole steps, so that nothing is lost when it is four times as soft.
    outputs = [
        Stream(stages).results(x.astype(np.int16)).outputs for x in (loud // 4 * 4, loud // 4)
    ]
    assert np.abs(outputs[0].astype(int) - outputs[1]).max() < 0.05 * 512


def test_ten_recordings() -> None:
    """Their speakers are among those that the program was trained on."""
    stages, shape = pipeline().features(1)
    outputs = [Stream(stages).results(in_window(word)).outputs for word in words()]
    rows = np.concatenate(outputs).reshape(-1, *shape.dims, 1)
    assert np.array_equal(net_of(None).predict(rows), np.arange(10))


def test_silence_and_quiet_noise_are_other() -> None:
    draw = np.random.default_rng(1)
    program = shipped()
    for deviation in (0, 3, 30):
        x = np.rint(draw.normal(0, deviation, 5 * RATE)).astype(np.int16)[:, np.newaxis]
        played = simulate(program, x, RATE)
        assert len(played.decisions) > 15
        assert {program.labels[each] for each in played.decisions} == {"other"}


def test_integers_are_within_a_point_of_floating_point() -> None:
    """The first is checked with the data by test_made_again, the second is Keras's."""
    figures = shipped().meta["figures"]
    assert figures["accuracy"] >= 0.80
    assert abs(figures["accuracy"] - figures["float_accuracy"]) < 0.01


def test_the_program_is_that_of_the_net() -> None:
    same = program_of(None).encode() == shipped().encode()
    assert same, "run: python models/spoken_digits/recipe.py --convert"
    assert net_of(None).input.scale == SCALE / 512


def test_detector_in_noise() -> None:
    """Two minutes of a speaker whom the net has never heard."""
    needs(FILE, RECORDED)
    heard = listen(HELD_OUT, seconds=10.0)
    alone, detected = (heard.judged(detector=each) for each in (False, True))
    assert alone.score.events == detected.score.events > 20
    assert detected.score.hits >= 0.65 * detected.score.events
    assert detected.score.false + detected.score.repeated <= 0.5 * (
        alone.score.false + alone.score.repeated
    )
    for each in (alone, detected):
        assert each.score.hits + each.score.missed == each.score.events
        assert each.mistaken + each.invented == each.score.false


def test_load_of_the_emulated_pico() -> None:
    """Ten words, a second and a half apart, in noise: the share of a core, heap, and the bits."""
    program = shipped()
    draw = np.random.default_rng(2)
    x = draw.normal(0, 40, 15 * RATE)
    for number, word in enumerate(words()):
        start = number * 3 * RATE // 2
        piece = x[start : start + len(word)]
        piece += word[: len(piece)]
    samples = np.clip(np.rint(x), -32768, 32767).astype(np.int16)[:, np.newaxis]
    expected = simulate(program, samples, RATE)
    assert len(expected.times) == (len(samples) - SAMPLES) // 1600 + 1
    with open_target("rp2040") as target:
        pushed = push_module(target, program.assemble(target.arch), samples)
    assert same_results(program, pushed, expected) == len(expected.times)
    assert pushed.ticks is not None
    load = float(pushed.ticks.sum()) / CLOCK / expected.duration
    assert load <= MOST_LOAD
    assert load == pytest.approx(sizes(program)["load"], rel=0.1)
    assert pushed.ticks.max() / CLOCK < 0.04  # two blocks: what the card tells to keep
    assert pushed.heap_import + pushed.heap_model < 40_000
    named = [program.labels[each] for each in expected.decisions]
    heard = [label for label, _ in groupby(named) if label != "other"]
    assert heard == [str(digit) for digit in range(10)]
