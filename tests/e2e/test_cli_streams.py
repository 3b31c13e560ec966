"""Streams on the command line: what `info` tells, and `run` on every cut of a recording."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import wingbeat.runner
from streams import samples_of, stream_programs
from wingbeat.assemble import assemble
from wingbeat.cli import app
from wingbeat.program import Program
from wingbeat.stream import Stream
from wingbeat.targets import open_target


def run(*args: object) -> Any:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def ok(*args: object) -> str:
    result = run(*args)
    assert result.exit_code == 0, result.stderr
    return " ".join(str(result.stdout).split())


def ok_json(*args: object) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(ok(*args, "--json"))
    return document


def fails(code: int, *args: object) -> str:
    result = run(*args)
    assert result.exit_code == code, (result.exit_code, result.stderr)
    assert "Traceback" not in result.stderr
    return " ".join(str(result.stderr).split())


def audio() -> Program:
    return replace(stream_programs()["audio"], meta={"rate": 8000.0})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a program, its module, and a stream."""
    program = audio()
    program.save(tmp_path / "audio.wbp")
    assemble(program, "x64").save(tmp_path / "audio.mpy")
    np.save(tmp_path / "x.npy", samples_of(program, 2000))
    return tmp_path


def test_info_tells_the_pace(folder: Path) -> None:
    expected = {"channels": 1, "rate": 8000.0, "window": 192, "hop": 64}
    for name in ("audio.wbp", "audio.mpy"):
        assert ok_json("info", folder / name)["stream"] == expected
    text = ok("info", folder / "audio.wbp")
    for line in (
        "stream of int16 samples of 1 channel at 8000 a second",
        "the first result after 192 samples (0.024 s)",
        "then one every 64 samples (0.008 s)",
    ):
        assert line in text
    motion = folder / "motion.wbp"
    stream_programs()["motion"].save(motion)
    text = ok("info", motion)
    assert "stream of int16 samples of 3 channels " in text
    assert "then one every 8 samples " in text


def test_boards_know_the_pace(folder: Path) -> None:
    with open_target("unix") as machine:
        files = {"audio.mpy": (folder / "audio.mpy").read_bytes()}
        script = "from audio import Model\ni = Model.info\nprint(i['window'], i['hop'], i['rate'])"
        assert machine.execute(script, files).stdout == "192 64 8000.0\n"


@pytest.mark.parametrize("shape", [(2000,), (2000, 1), (62, 32)])
def test_run_pushes_a_stream(folder: Path, shape: tuple[int, ...]) -> None:
    x = samples_of(audio(), 2000)[: np.prod(shape)].reshape(shape)
    np.save(folder / "x.npy", x.astype(np.int32))
    results = Stream(audio()).results(x.reshape(-1, 1))
    out = folder / "y.npy"
    answer = ok_json("run", folder / "audio.wbp", folder / "x.npy", out, "--on", "unix")
    assert answer["identical"] == answer["rows"] == len(results.decisions) > 20
    assert answer["samples"] == x.size
    np.testing.assert_array_equal(np.load(out), results.outputs)
    ok("run", folder / "audio.mpy", folder / "x.npy", out, "--on", "unix", "--predict")
    np.testing.assert_array_equal(np.load(out), results.decisions)


def test_a_stream_without_samples_has_no_results(folder: Path) -> None:
    np.save(folder / "x.npy", np.zeros((0, 1), np.int16))
    out = folder / "y.npy"
    answer = ok_json("run", folder / "audio.wbp", folder / "x.npy", out, "--on", "unix")
    assert answer["identical"] == answer["rows"] == 0
    assert np.load(out).shape == (0, 3)


def test_samples_that_do_not_fit_are_refused(folder: Path) -> None:
    go = ("run", folder / "audio.wbp", folder / "x.npy", folder / "y.npy", "--on", "unix")
    for wrong, said in (
        (np.zeros((10, 2), np.int16), "[10, 2]: the model takes a stream of samples, [samples, 1]"),
        (np.zeros(10, np.float32), "is float32: the model takes int16"),
        (np.full(10, 40000), "has values from 40000 to 40000: the model takes int16"),
    ):
        np.save(folder / "x.npy", wrong)
        assert said in fails(1, *go)


def test_results_that_are_missing_fail(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = wingbeat.runner.push_module

    def fewer(*args: Any, **options: Any) -> wingbeat.runner.Pushed:
        result = honest(*args, **options)
        return replace(result, outputs=result.outputs[:-1])

    monkeypatch.setattr(wingbeat.runner, "push_module", fewer)
    go = ("run", folder / "audio.wbp", folder / "x.npy", folder / "y.npy", "--on", "unix")
    assert "1 of 29 rows on unix differ from the NumPy reference" in fails(1, *go)
