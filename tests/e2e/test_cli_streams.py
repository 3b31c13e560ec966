"""Streams on the command line: what `info` tells, `run` on a stream, and `simulate`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile
from typer.testing import CliRunner

import wingbeat.runner
from streams import samples_of, stream_programs
from tones import TONES, tones
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


def test_check_estimates_the_load(folder: Path) -> None:
    """As the emulated Pico counts it."""
    program, x = folder / "audio.wbp", samples_of(audio(), 8000)
    np.save(folder / "x.npy", x)
    counted = ok_json("simulate", program, folder / "x.npy", "--on", "rp2040")
    told = ok_json("check", program, "--board", "pico")
    assert told["cycles_per_run"] == pytest.approx(counted["cycles_of_longest_block"], rel=0.1)
    assert told["load"] == pytest.approx(counted["load"], rel=0.1)
    assert 0.01 < told["load"] < 0.1
    text = ok("check", program, "--board", "pico")
    assert "for a block of 32 samples (4 ms) with a result" in text
    assert f"{100 * told['load']:.2g} % of a core at 125 MHz" in text
    # Of five operators, one runs half as often.
    each = [operator["cycles"] for operator in told["operators"]]
    mean = told["load"] * 125e6 / (8000 / 32)
    assert told["cycles_per_run"] - each[4] / 2 == pytest.approx(mean, rel=0.01)


def test_a_stream_that_is_too_fast_does_not_fit(folder: Path) -> None:
    program = folder / "fast.wbp"
    replace(audio(), meta={"rate": 800_000.0}).save(program)
    assert "take a larger hop, fewer features" in fails(1, "check", program, "--board", "pico")
    assert ok_json("check", folder / "audio.wbp", "--board", "pico2")["fits"]


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


def motion() -> Program:
    return replace(stream_programs()["motion"], meta={"rate": 50.0})


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A folder with a program and a minute of movement in some forms."""
    motion().save(tmp_path / "motion.wbp")
    assemble(motion(), "x64").save(tmp_path / "motion.mpy")
    x = samples_of(motion(), 3000)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x, y=np.full(3000, "walk"), rate=50.0)
    wavfile.write(tmp_path / "x.wav", 50, x)
    names = [motion().labels[each // 1000] for each in range(3000)]
    lines = [
        f"{i / 50},{a},{b},{c},{name}"
        for i, ((a, b, c), name) in enumerate(zip(x, names, strict=True))
    ]
    (tmp_path / "x.csv").write_text("\n".join(["time,x,y,z,label", *lines]) + "\n")
    return tmp_path


def test_simulate_is_the_stream(long: Path) -> None:
    results = Stream(motion()).results(np.load(long / "x.npy"))
    for program in ("motion.wbp", "motion.mpy"):
        for recording in ("x.npy", "x.npz", "x.wav", "x.csv"):
            found = ok_json("simulate", long / program, long / recording)
            assert found["seconds"] == 60
            assert found["rate"] == 50
            assert [each["decision"] for each in found["results"]] == results.decisions.tolist()
            times = [each["time"] for each in found["results"]]
            np.testing.assert_allclose(times, results.ends * 8 / 50)
            assert (found["window_seconds"], found["hop_seconds"]) == (24 / 50, 8 / 50)
            assert sum(found["detections_per_hour"].values()) / 60 == len(found["detections"])
            assert (found["score"] is None) == (recording in ("x.npy", "x.wav"))
            assert "rest" not in found["detections_per_hour"]


def test_simulate_scores_detections(long: Path) -> None:
    """The recording says that it rests, walks, runs for 20 seconds each."""
    go = ("simulate", long / "motion.wbp", long / "x.csv")
    found = ok_json(*go)
    assert found["score"]["events"] == 2
    compared = found["score"]
    assert compared["hits"] + compared["missed"] == 2
    assert compared["false_per_hour"] == compared["false"] * 60
    count = compared["hits"] + compared["repeated"] + compared["false"]
    assert count == len(found["detections"]) > 10
    everything = ok_json(*go, "--background", "run")
    assert everything["score"]["events"] == 2
    assert "rest" in everything["detections_per_hour"]
    events = long / "events.csv"
    events.write_text("start,end,label\n0,60,walk\n0,1,rest\n")
    named = ok_json(*go, "--events", events)
    assert (named["score"]["events"], named["score"]["hits"]) == (1, 1)
    first = next(each for each in named["detections"] if each["label"] == "walk")
    assert named["score"]["latency_median"] == first["start"]
    text = ok(*go, "--events", events)
    assert "events 1: 1 found, 0 missed" in text
    assert "latency" in text
    assert "1 min 00.0 s, 3000 samples at 50 a second" in text
    assert "results: # all of this class" in text


def test_simulate_on_a_target(long: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = ("simulate", long / "motion.wbp", long / "x.npy", "--on", "unix")
    found = ok_json(*go)
    assert found["identical"]
    assert found["identical_results"] == len(found["results"]) > 300
    assert found["heap_model"] > motion().arena
    assert "on unix identical: 373/373" in ok(*go)
    other = ("simulate", long / "motion.mpy", long / "x.npy", "--on", "m0")
    assert "is for x64, but m0 runs armv6m" in fails(2, *other)
    honest = wingbeat.runner.push_module

    def wrong(*args: Any, **options: Any) -> wingbeat.runner.Pushed:
        result = honest(*args, **options)
        result.decisions[7] += 1
        return result

    monkeypatch.setattr(wingbeat.runner, "push_module", wrong)
    assert "unix gives other results than the NumPy reference" in fails(1, *go)


@pytest.mark.parametrize("name", ["rp2040", "m0"])
def test_simulate_tells_what_it_costs(long: Path, name: str) -> None:
    np.save(long / "x.npy", np.load(long / "x.npy")[:400])
    found = ok_json("simulate", long / "motion.wbp", long / "x.npy", "--on", name)
    unit = "cycles" if name == "rp2040" else "instructions"
    assert found["identical"]
    assert found["block_seconds"] == 8 / 50
    # Blocks that fill the first window are cheap.
    assert found[f"{unit}_per_second"] < found[f"{unit}_of_longest_block"] / found["block_seconds"]
    text = ok("simulate", long / "motion.wbp", long / "x.npy", "--on", name)
    assert f"{unit} for a second of the recording" in text
    if name == "rp2040":
        share = found["cycles_per_second"] / 125e6
        assert found["load"] == pytest.approx(share)
        assert "of a core at 125 MHz" in text


def test_simulate_draws(long: Path) -> None:
    picture = long / "a.png"
    go = ("simulate", long / "motion.wbp", long / "x.csv", "--plot", picture)
    assert ok_json(*go)["plot"] == str(picture)
    first = picture.read_bytes()
    assert first.startswith(b"\x89PNG")
    ok(*go)
    assert picture.read_bytes() == first
    np.save(long / "x.npy", np.load(long / "x.npy")[::-1])
    ok("simulate", long / "motion.wbp", long / "x.npy", "--plot", picture)
    assert picture.read_bytes() != first
    assert "ends in .png" in fails(2, *go[:3], "--plot", "a.pdf")


def test_simulate_of_values_has_no_detections(long: Path) -> None:
    program = replace(stream_programs()["octets"], meta={"rate": 10})
    program.save(long / "octets.wbp")
    np.save(long / "o.npy", samples_of(program, 500))
    go = ("simulate", long / "octets.wbp", long / "o.npy", "--plot", long / "o.png")
    found = ok_json(*go)
    assert found["detections"] is found["score"] is None
    text = ok(*go)
    assert "detections" not in text
    assert "value" in text


def test_simulate_takes_real_units(long: Path) -> None:
    """A program knows what a step of int16 is, or the user says it."""
    x = np.load(long / "x.npy")
    expected = ok_json("simulate", long / "motion.wbp", long / "x.npy")["results"]
    np.save(long / "real.npy", x * 0.25)
    go = ("simulate", long / "motion.wbp", long / "real.npy")
    assert ok_json(*go, "--scale", 0.25)["results"] == expected
    assert "has fractions" in fails(1, *go)
    replace(motion(), meta={"rate": 50.0, "training": {"scale": 0.25}}).save(long / "motion.wbp")
    assert ok_json(*go)["results"] == expected
    whole = ("simulate", long / "motion.wbp", long / "x.npy", "--scale", 2)
    assert "--scale is for recordings with fractions" in fails(2, *whole)


def test_what_users_get_wrong_in_simulate_is_named(long: Path) -> None:
    go = ("simulate", long / "motion.wbp")
    assert "no class 'swim'" in fails(2, *go, long / "x.npy", "--background", "swim")
    assert "--rate has 20 samples per second" not in ok(*go, long / "x.npy", "--rate", 50)
    assert "the program 50: resample" in fails(1, *go, long / "x.npy", "--rate", 20)
    two = long / "two.npy"
    np.save(two, np.zeros((50, 2), np.int16))
    assert "has 2 channels (channel_0, channel_1), the program takes 3" in fails(1, *go, two)
    assert "is a folder: expected one recording" in fails(1, *go, long)
    chosen = ok_json(*go, long / "x.csv", "--channels", "x,y,z")
    assert chosen["results"] == ok_json(*go, long / "x.npy")["results"]
    events = long / "events.csv"
    for text, said in (
        ("a,b\n1,2\n", "expected a header and rows of start, end (seconds) and label"),
        ("start,end,label\n1,2,swim\n", "'swim' is no class of the program"),
        ("start,end,label\n2,1,walk\n", "an event from 2 to 1 seconds"),
        ("start,end,label\n1,x,walk\n", "could not convert"),
    ):
        events.write_text(text)
        assert said in fails(1, *go, long / "x.npy", "--events", events)
    np.save(long / "rows.npy", np.zeros((2, 4, 3), np.int16))
    assert "expected one recording [time, channels]" in fails(1, *go, long / "rows.npy")


def test_rate_and_scale_of_the_recordings(tmp_path: Path) -> None:
    """A preset for a sensor that is read otherwise: readings in g, 100 a second."""
    rng = np.random.default_rng(1)
    for number in range(12):
        label = ("rest", "shake")[number % 2]
        path = tmp_path / "data" / label / f"p{number // 2}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, rng.normal(0, (0.02, 0.7)[number % 2], (1000, 3)))
    make = ("train", tmp_path / "data", "-o", tmp_path / "m.wbp", "--pipeline", "motion")
    assert "Give the scale (--scale)" in fails(1, *make)
    assert "rate = -1.0: expected a number above 0" in fails(2, *make, "--rate", -1)
    trained = ok_json(*make, "--scale", 0.000488, "--rate", 100, "--group-pattern", r"p\d+")
    assert trained["window_seconds"] == 2.56
    program = Program.load(tmp_path / "m.wbp")
    assert program.rate == 100
    assert program.meta["training"]["scale"] == 0.000488


def test_detections_from_recordings_to_the_module(tmp_path: Path) -> None:
    """`[after]` in a pipeline's file: a program that reports by itself, the same on a target."""
    for number, item in enumerate(tones().items):
        path = tmp_path / "data" / item.label / f"{item.group.replace(' ', '-')}_{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        wavfile.write(path, 1000, item.data)
    after = '[after]\nthreshold = 0.6\nhold_off = 0.5\nreject = "nothing"\n'
    (tmp_path / "tones.toml").write_text(TONES.format(kind="log_mel") + after)
    trained = ok_json(
        "train", tmp_path / "data", "--pipeline", tmp_path / "tones.toml", "--group-pattern",
        r"device-\d", "-o", tmp_path / "tones.wbp",
    )  # fmt: skip
    assert trained["labels"] == ["high", "low", "nothing"]
    assert trained["detections"]["hits"] + trained["detections"]["missed"] > 0
    quiet = np.random.default_rng(1).normal(0, 30, 3000)
    days = [quiet, *(item.data[:, 0] for item in tones(5).items[:8]), quiet]
    np.save(tmp_path / "day.npy", np.concatenate(days).astype(np.int16)[:, np.newaxis])
    go = ("simulate", tmp_path / "tones.wbp", tmp_path / "day.npy", "--rate", 1000)
    document = ok_json(*go, "--on", "unix")
    assert document["identical"]
    assert len(document["results"]) > 20
    assert {each["label"] for each in document["detections"]} <= {"high", "low"}


def test_normal_recordings_alone(tmp_path: Path) -> None:
    """`--pipeline anomaly` on one class: what is loud later is none of it, on a target too."""
    rng = np.random.default_rng(1)
    for number in range(8):
        path = tmp_path / "data" / "normal" / f"m{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        wavfile.write(path, 1000, rng.normal(0, 400, 20000).astype(np.int16))
    make = ("train", tmp_path / "data", "-o", tmp_path / "m.wbp", "--pipeline")
    assert "at least two classes" in fails(1, *make, "vibration")
    trained = ok_json(*make, "anomaly", "--report", tmp_path / "m.html")
    assert trained["labels"] == ["anomaly", "normal"]
    assert trained["detections"]["false"] == trained["detections"]["events"] == 0
    loud = rng.normal(0, 1, 30000) * np.repeat([400, 900, 400], 10000)
    np.save(tmp_path / "day.npy", loud.astype(np.int16)[:, np.newaxis])
    go = ("simulate", tmp_path / "m.wbp", tmp_path / "day.npy", "--on", "unix")
    document = ok_json(*go)
    assert document["identical"]
    assert [each["label"] for each in document["detections"]] == ["anomaly"]
