"""The programs of models/ that take a stream: limits, cards, and bits as on the emulated Pico.

Tests that need a data file which is not in the project skip with its name where it is absent.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from models.streams import StreamRecipe, card, data_file, sizes

from wingbeat import Program
from wingbeat.runner import push_module
from wingbeat.simulate import same_results, simulate
from wingbeat.stream import pace_of
from wingbeat.targets import open_target

FOLDER = Path(__file__).resolve().parents[2] / "models"
CEILINGS = ("program_bytes", "mpy_bytes", "arena", "milliseconds", "load")
RESULTS = 40


def recipes() -> list[str]:
    nets = {path.parent.name for path in FOLDER.glob("*/*.tflite")}
    return sorted({path.parent.name for path in FOLDER.glob("*/recipe.py")} - nets)


NAMES = recipes()


@cache
def recipe(name: str) -> StreamRecipe:
    found = import_module(f"models.{name}.recipe").RECIPE
    assert isinstance(found, StreamRecipe)
    return found


@cache
def program(name: str) -> Program:
    return Program.load(recipe(name).program_file)


@cache
def made(name: str) -> Program:
    return recipe(name).make()


def with_data(name: str) -> StreamRecipe:
    found = recipe(name)
    for file in found.data:
        if data_file(file) is None:
            pytest.skip(f"needs {file}")
    return found


def test_there_are_some() -> None:
    assert NAMES


@pytest.mark.parametrize("name", NAMES)
def test_limits(name: str) -> None:
    limits, found = recipe(name).limits(), program(name)
    reached = sizes(found)
    assert set(CEILINGS) < set(limits)
    for what, limit in limits.items():
        if what in CEILINGS:
            assert reached[what] <= limit, what
        else:
            assert found.meta["figures"][what] >= limit, what


@pytest.mark.parametrize("name", NAMES)
def test_card(name: str) -> None:
    page = (FOLDER / name / "README.md").read_text(encoding="utf-8")
    assert page == card(recipe(name), program(name)), f"run: python models/{name}/recipe.py"


@pytest.mark.parametrize("name", NAMES)
def test_made_again(name: str) -> None:
    with_data(name)
    again, kept = made(name), program(name)
    assert [each.operator.KERNEL for each in again.calls] == [
        each.operator.KERNEL for each in kept.calls
    ]
    for what in set(recipe(name).limits()) - set(CEILINGS):
        found = again.meta["figures"][what]
        assert found >= recipe(name).limits()[what]
        # Floating point differs between processors, and so may what is trained.
        assert found == pytest.approx(kept.meta["figures"][what], abs=0.01)


@pytest.mark.parametrize("target_name", ["unix", "rp2040"])
@pytest.mark.parametrize("name", NAMES)
def test_real_recordings_give_the_same_bits(name: str, target_name: str) -> None:
    found, pace = program(name), pace_of(program(name))
    x = with_data(name).piece()[: pace.window + int((RESULTS - 1) * pace.hop)]
    expected = simulate(found, x, found.meta["rate"])
    assert len(expected.times) == RESULTS
    assert len(np.unique(expected.outputs, axis=0)) > 1
    with open_target(target_name) as target:
        pushed = push_module(target, found.assemble(target.arch), x)
    assert len(pushed.blocks) == RESULTS
    assert same_results(found, pushed, expected) == RESULTS


def test_air_quality_beats_the_hour_alone() -> None:
    figures = program("air_quality").meta["figures"]
    assert figures["r2"] > figures["now_r2"] > 0.8
    assert figures["r2"] > max(figures["perceptron_r2"], figures["trees_r2"])
    assert figures["r2"] == pytest.approx(figures["float_r2"], abs=0.002)


def test_air_quality_reads_what_uci_offers(tmp_path: Path) -> None:
    """UCI's own file has semicolons, decimal commas, rounded numbers and empty lines at its end."""
    import csv
    import zipfile

    from models.air_quality.recipe import COLUMNS, FILE, TRUTH, read

    with_data("air_quality")
    source = data_file(FILE)
    assert source is not None
    wanted = read(source)
    columns = {**COLUMNS, TRUTH: 0.1}
    lines = [";".join(["Date", "Time", *columns, "", ""])]
    with source.open(newline="") as file:
        for row in csv.DictReader(file):
            cells = [row["Date"], row["Time"].replace(":", ".")]
            for name, step in columns.items():
                shown = np.floor(float(row[name]) / step + 0.5 + 1e-6) * step
                cells.append(f"{shown:.4f}".rstrip("0").rstrip(".").replace(".", ","))
            lines.append(";".join([*cells, "", ""]))
    lines += [";" * (len(columns) + 3)] * 114
    archive = tmp_path / "air_quality.zip"
    with zipfile.ZipFile(archive, "w") as file_of_files:
        file_of_files.writestr(FILE, "\r\n".join(lines))
    found = read(archive)
    assert np.array_equal(found.x, wanted.x)
    assert np.array_equal(found.y, wanted.y, equal_nan=True)
    assert np.array_equal(found.complete, wanted.complete)
    short = tmp_path / "short.csv"
    short.write_text("\n".join(lines[:100]))
    with pytest.raises(SystemExit, match="expected 9357 hours"):
        read(short)


def test_exercises_of_people_left_out() -> None:
    found = program("exercises_stream")
    figures = found.meta["figures"]
    assert figures["left_out"] > figures["preset"] > 0.8
    assert figures["low"] < figures["left_out"] < figures["high"]
    assert abs(figures["accuracy"] - figures["float_accuracy"]) < 0.015
    assert set(found.meta["training"]["groups_held_out"]) == set(figures["people"].split(", "))


def test_exercises_of_a_file_are_those_of_the_pipeline() -> None:
    """The program gives for a person's recordings what training counted as its answers."""
    from models.exercises_stream.recipe import PIPELINE, TESTED, recordings

    from wingbeat.pipeline import load_pipeline
    from wingbeat.recordings import to_int16
    from wingbeat.stream import Stream

    found, pipeline = program("exercises_stream"), load_pipeline(PIPELINE)
    right = total = 0
    for item in recordings().items:
        if item.group in found.meta["training"]["groups_held_out"]:
            answers = Stream(found).results(to_int16(item.data, pipeline.scale)).decisions
            right += int((answers == found.labels.index(item.label)).sum())
            total += len(answers)
    assert TESTED in found.meta["training"]["groups_held_out"]
    assert total == found.meta["figures"]["test_rows"]
    assert right / total == pytest.approx(found.meta["figures"]["accuracy"], abs=1e-9)
