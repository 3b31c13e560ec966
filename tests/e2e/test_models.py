"""The trained nets of models/: accuracy, sizes and time within limits, bits as on MicroPython.

The recipes need TensorFlow (`make models`); this does not.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from models.training import BOARD, Data, Recipe, accuracy_of, converted, milliseconds

from wingbeat import Program
from wingbeat.boards import board_named
from wingbeat.runner import run_module
from wingbeat.targets import open_target

FOLDER = Path(__file__).resolve().parents[2] / "models"
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/*.tflite"))
ROWS = 60


@cache
def recipe(name: str) -> Recipe:
    found = import_module(f"models.{name}.recipe").RECIPE
    assert isinstance(found, Recipe)
    return found


@cache
def data(name: str) -> Data:
    return recipe(name).data()


@cache
def program(name: str) -> Program:
    return Program.load(recipe(name).program_file)


@pytest.mark.parametrize("name", NAMES)
def test_limits(name: str) -> None:
    limits, found = recipe(name).limits(), program(name)
    module = found.assemble(board_named(BOARD).arch)
    assert set(limits) == {"accuracy", "program_bytes", "mpy_bytes", "arena", "milliseconds"}
    assert accuracy_of(found, data(name)) >= limits["accuracy"]
    assert len(found.encode()) <= limits["program_bytes"]
    assert len(module.data) <= limits["mpy_bytes"]
    assert found.arena <= limits["arena"]
    assert milliseconds(found) <= limits["milliseconds"]


@pytest.mark.parametrize("name", NAMES)
def test_card(name: str) -> None:
    found = program(name)
    card = (FOLDER / name / "README.md").read_text()
    told = found.meta["accuracy"]
    assert told["test_rows"] == len(data(name).test_y)
    assert told["int8"] == pytest.approx(accuracy_of(found, data(name)), abs=1e-4)
    assert told["forest"] == pytest.approx(recipe(name).forest()[1], abs=1e-4)
    assert told["int8"] > told["forest"]
    assert abs(told["float"] - told["int8"]) < 0.01
    for share in ("float", "int8", "forest"):
        assert f"| {told[share]:.3f} |" in card
    assert f"Program {found.hash}." in card
    assert f"| program, bytes | {len(found.encode())} |" in card


@pytest.mark.parametrize("name", NAMES)
def test_the_program_is_that_of_the_net(name: str) -> None:
    same = converted(recipe(name)).encode() == program(name).encode()
    assert same, f"run: python models/{name}/recipe.py --convert"


@pytest.mark.parametrize("name", NAMES)
def test_on_micropython(name: str) -> None:
    found = program(name)
    x = found.input.quantize(data(name).test_x[:ROWS])
    with open_target("unix") as target:
        module = found.assemble(target.arch)
        raw = run_module(target, module, x)
        decided = run_module(target, module, x, predict=True)
    assert np.array_equal(raw.outputs, found.run(x))
    assert np.array_equal(decided.outputs, found.predict(x))
