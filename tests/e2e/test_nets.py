"""The nets of others, end to end: bit for bit what TensorFlow Lite Micro answers."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nets.compare import few_nets_of_all_kinds
from nets.files import FOLDER, NAMES, net
from programs import program_of
from tflm import run_rows
from vectors.conv import make_conv
from vectors.on_targets import assembled, execute
from wingbeat.net.convert import convert_tflite
from wingbeat.prefer import fastest, small_form
from wingbeat.program import Decision, Program
from wingbeat.reference.conv_pairs import conv_pairs
from wingbeat.runner import run_module
from wingbeat.targets import TARGETS, open_target

DENSE_ROWS = 3000
"""Enough to tell how the scales of a dense layer are multiplied: AD shows it in 5 of 1000 rows."""

ROWS = 100
ROWS_ON_TARGETS = 3


@cache
def program(name: str) -> Program:
    return convert_tflite(net(name), name=name)


def forms_of(plain: Program, arch: str) -> list[Program]:
    wide, small = fastest(plain, arch), small_form(plain)
    forms = [plain] if wide is plain else [plain, wide]
    return forms if small is None else [*forms, small.program]


def rows_of(name: str, count: int) -> NDArray[np.int8]:
    """All small, all equal, then of all values."""
    shape = program(name).input.shape
    rng = np.random.default_rng(1)
    rows = rng.integers(-128, 128, (count, *shape)).astype(np.int8)
    special = [np.full(shape, value, np.int8) for value in (-128, 127, 0)]
    special.append(rng.integers(-3, 4, shape).astype(np.int8))
    n = min(len(special), count - 1)
    rows[:n] = special[:n]
    return rows


def tflm(name: str, rows: NDArray[Any]) -> NDArray[Any]:
    answers = np.array([outputs[0] for outputs in run_rows(net(name), rows[:, np.newaxis])])
    return answers.reshape(len(rows), *program(name).output.shape)


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_answers_as_tflm(name: str) -> None:
    rows = rows_of(name, DENSE_ROWS if name == "ad" else ROWS)
    assert np.array_equal(program(name).run(rows), tflm(name, rows))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("target", TARGETS)
def test_targets_answer_as_tflm(target: str, name: str) -> None:
    rows = rows_of(name, ROWS_ON_TARGETS)
    expected = tflm(name, rows)
    with open_target(target) as machine:
        for form in forms_of(program(name), machine.arch):
            found = run_module(machine, form.assemble(machine.arch), rows)
            assert np.array_equal(found.outputs, expected)


@pytest.mark.parametrize("target", TARGETS)
def test_random_nets_answer_as_tflm(target: str) -> None:
    """A few that have every operator."""
    with open_target(target) as machine:
        for random in few_nets_of_all_kinds():
            for form in forms_of(random.program, machine.arch):
                found = run_module(machine, form.assemble(machine.arch), random.rows)
                assert found.outputs.tobytes() == random.expected.tobytes(), random


@pytest.mark.parametrize("target", TARGETS)
def test_the_first_layer_takes_inputs_at_any_address(target: str) -> None:
    """Whole pixels of a map are words where the input is in the arena, and here are not."""
    rng = np.random.default_rng(2)
    conv = make_conv(rng, (3, 5, 8), (1, 1), 6)
    wide, rows = conv_pairs(conv), rng.integers(-128, 128, (4, conv.inputs[0][1])).astype(np.int8)
    assert wide is not None
    (expected,) = conv.apply(rows)
    for operator in (conv, wide):
        script = f"""
            from model import Model
            model, data, out = Model(), open("rows.bin", "rb").read(), bytearray({expected[0].size})
            n = len(data) // 4
            for i in range(4):
                at = bytearray(n + 4)
                at[i : i + n] = data[i * n : i * n + n]
                model.run(memoryview(at)[i : i + n], out)
                print(list(out))
        """
        module = assembled(program_of("model", operator), target)
        files = {"model.mpy": module.data, "rows.bin": rows.tobytes()}
        found = [json.loads(line) for line in execute(target, script, files).split("\n") if line]
        assert found == expected.view(np.uint8).tolist(), operator.KERNEL


def test_words_are_heard() -> None:
    """The wav files of yes, no, noise and silence; classes are silence, unknown, yes, no."""
    words = np.load(FOLDER / "micro_speech_words.npy")
    assert program("micro_speech").predict(words).tolist() == [2, 3, 0, 0]
    assert np.array_equal(program("micro_speech").run(words), tflm("micro_speech", words))
    with open_target("rp2040") as machine:
        module = program("micro_speech").assemble(machine.arch)
        decided = run_module(machine, module, words, predict=True).outputs
        found = run_module(machine, module, words).outputs
    assert decided.tolist() == [2, 3, 0, 0]
    assert np.array_equal(found, tflm("micro_speech", words))


@pytest.mark.parametrize("target", TARGETS)
def test_digits_are_read(target: str) -> None:
    """The ten sample digits of MNIST, each by its own class."""
    pixels = np.load(FOLDER / "mnist_digits.npy")
    rows = (pixels.astype(np.int16) - 128).astype(np.int8)[..., np.newaxis]
    with open_target(target) as machine:
        module = program("mnist").assemble(machine.arch)
        found = run_module(machine, module, rows, predict=True)
    assert found.outputs.tolist() == list(range(10))


def test_arenas() -> None:
    """Activations that are alive at once, and scratch; the input is the caller's.

    Without scratch, but with the input, at least 32, 2136, 5960, 16000 and 768 bytes live at once.
    """
    most = {"hello_world": 32, "mnist": 2400, "micro_speech": 5000, "kws": 8700, "ad": 768}
    assert all(program(name).arena <= most[name] for name in NAMES)


def test_an_autoencoder_decides_nothing() -> None:
    assert program("ad").decision is Decision.NONE
