"""The command line: from data to answers of a real module, and every way to get it wrong."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from numpy.typing import NDArray
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)
from typer.testing import CliRunner

import wingbeat.runner
from programs import small_model
from wingbeat import Program
from wingbeat.blobs import archs
from wingbeat.boards import boards
from wingbeat.cli import app
from wingbeat.stages import STAGES
from wingbeat.targets import TARGETS
from wingbeat.version import __version__

HOST = Path(__file__).resolve().parents[2] / "host"
PORTS = HOST.parent / "ports"
ARCHS = tuple(sorted(path.parent.name for path in PORTS.glob("*/port.toml")))
X, Y = load_iris(return_X_y=True)
X = X.astype(np.float32)
EMLEARN = "f,2\nc,2\nlb,0\nl,0\nl,1\nr,0\nn,1,7,-1,-2\n"


def run(*args: object) -> Any:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def ok(*args: object) -> str:
    result = run(*args)
    assert result.exit_code == 0, result.stderr
    return str(result.stdout)


def ok_json(*args: object) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(ok(*args, "--json"))
    return document


def fails(code: int, *args: object) -> str:
    """The message; with and without --json."""
    result = run(*args)
    assert result.exit_code == code, (result.exit_code, result.stderr)
    assert "Traceback" not in result.stderr
    message = result.stderr[result.stderr.index("wingbeat: error: ") :]
    with_json = run(*args, "--json")
    assert with_json.exit_code == code
    document = json.loads(with_json.stdout)
    assert set(document) == {"error", "kind"}
    assert document["error"] in message
    return " ".join(message.split())


def process(*args: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(args), capture_output=True, text=True, timeout=60, env=environment(), **options
    )


def command(args: Sequence[object]) -> list[str]:
    return [sys.executable, "-m", "wingbeat", *map(str, args)]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HOST), **more}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, a trained program `flowers.wbp` and its module for unix."""
    base = tmp_path_factory.mktemp("cli")
    names = np.array(["setosa", "versi[color]", "virginicä"])
    lines = ["a,b,c,d,label,group"] + [
        ",".join([*(f"{value:.1f}" for value in row), names[label], f"bed{number % 7}"])
        for number, (row, label) in enumerate(zip(X, Y, strict=True))
    ]
    (base / "flowers.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    ok("train", base / "flowers.csv", "-o", base / "flowers.wbp", "--model", "forest",
       "--save-test", base / "test.npy")  # fmt: skip
    ok("convert", base / "flowers.wbp", "-o", base / "flowers.mpy", "--arch", "x64")
    return base


def record(base: Path, scale: float = 1.0) -> Path:
    """A folder of recordings: two classes, five people."""
    draw = np.random.default_rng(1)
    for label, size in (("rest", 100), ("walk", 3000)):
        (base / label).mkdir(parents=True)
        for person in ("ann", "bob", "cy", "dee", "eve"):
            signal_ = draw.normal(0, size, (130, 2)).astype(np.int16)
            data = signal_ if scale == 1 else signal_ * scale
            np.save(base / label / f"{person}_1.npy", data)
    return base


class TestRoundTrip:
    def test_table(self, folder: Path, tmp_path: Path) -> None:
        program = Program.load(folder / "flowers.wbp")
        x: NDArray[Any] = np.load(folder / "test.npy")
        info = ok_json("info", folder / "flowers.wbp")
        assert info["labels"] == ["setosa", "versi[color]", "virginicä"]
        assert info["hash"] == program.hash
        assert info["meta"]["training"]["test_rows"] == len(x)
        for target, board in (("unix", "unix"), ("m0", "pico")):
            module = tmp_path / "flowers.mpy"
            made = ok_json("convert", folder / "flowers.wbp", "-o", module, "--board", board)
            assert made["hash"] == program.hash
            answer = ok_json(
                "run", module, folder / "test.npy", tmp_path / "out.npy", "--on", target
            )
            out = np.load(tmp_path / "out.npy")
            assert np.array_equal(out, program.run(x))
            assert out.dtype == program.output.dtype
            assert answer["identical"] == answer["rows"] == len(x)
            assert answer["sha256"] == hashlib.sha256(out.tobytes()).hexdigest()
            assert answer["heap_import"] > 0 < answer["heap_model"]
            assert (answer["instructions_per_call"] is None) == (target == "unix")

    def test_predict_and_program_as_file(self, folder: Path, tmp_path: Path) -> None:
        out = tmp_path / "out.npy"
        text = ok(
            "run", folder / "flowers.wbp", folder / "test.npy", out, "--on", "unix", "--predict"
        )
        x = np.load(folder / "test.npy")
        assert f"identical: {len(x)}/{len(x)}" in text
        expected = Program.load(folder / "flowers.wbp").predict(x)
        assert np.array_equal(np.load(out), expected)

    def test_recordings(self, tmp_path: Path) -> None:
        data = record(tmp_path / "data", scale=0.5)
        result = run(
            "train", data, "-o", tmp_path / "move.wbp", "--model", "extra-trees", "--trees", 5,
            "--window", 50, "--hop", 25, "--scale", "0.5,0.5", "--statistics", "std,max",
            "--group-pattern", r"/(\w+)_", "--plot", tmp_path / "plot.png",
            "--save-test", tmp_path / "test.npy", "--json",
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
        trained = json.loads(result.stdout)
        assert trained["report"]["accuracy"] == 1
        assert {row["group"] for row in trained["report"]["groups"]} < {
            "ann",
            "bob",
            "cy",
            "dee",
            "eve",
        }
        assert trained["input"] == {"dtype": "int16", "shape": [50, 2], "scale": 1, "zero_point": 0}
        assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
        made = ok_json(
            "convert", tmp_path / "move.wbp", "-o", tmp_path / "move.mpy", "--arch", "armv6m"
        )
        sizes = made["bytes"]
        kernels = sum(sizes["kernels"].values())
        parts = sizes["core"] + kernels + sizes["program"] + sizes["constants"]
        assert parts == sizes["file"] == (tmp_path / "move.mpy").stat().st_size
        info = ok_json("info", tmp_path / "move.mpy")
        assert info["operators"][0]["statistics"] == ["std", "max"]
        assert info["operators"][1]["trees"] == 5
        assert info["arch"] == "armv6m"
        answer = ok_json(
            "run", tmp_path / "move.mpy", tmp_path / "test.npy", tmp_path / "out.npy", "--on", "m0"
        )
        assert answer["identical"] == answer["rows"] == trained["test_rows"]
        assert answer["instructions_per_call"] > 100

    def test_the_same_again(self, folder: Path, tmp_path: Path) -> None:
        again = tmp_path / "flowers.wbp"
        ok("train", folder / "flowers.csv", "-o", again, "--model", "forest")
        assert again.read_bytes() == (folder / "flowers.wbp").read_bytes()

    @pytest.mark.parametrize("model", ["tree", "boosting"])
    @pytest.mark.parametrize("dtype", ["int16", "float32"])
    def test_values(self, tmp_path: Path, model: str, dtype: str) -> None:
        x = np.arange(80).reshape(40, 2)
        np.savez(tmp_path / "line.npz", x=x, y=x[:, 0] * 0.5 + 0.25)
        trained = ok_json(
            "train", tmp_path / "line.npz", "-o", tmp_path / "line.wbp", "--model", model,
            "--dtype", dtype, "--min-samples-leaf", 2, "--max-depth", 4,
            "--save-test", tmp_path / "test.npy",
        )  # fmt: skip
        assert "r2" in trained["report"]
        answer = ok_json(
            "run", tmp_path / "line.wbp", tmp_path / "test.npy", tmp_path / "o.npy", "--on", "unix"
        )
        assert answer["identical"] == 12


class TestTabular:
    """`--pipeline tabular`: rows of a table."""

    MLP = 'input = "rows"\nsplit = "time"\n[model]\nkind = "mlp"\nhidden = [16]\nepochs = 150\n'

    @pytest.mark.parametrize("model", ["forest", "tree", "mlp"])
    def test_classes(self, folder: Path, tmp_path: Path, model: str) -> None:
        trained = ok_json(
            "train", folder / "flowers.csv", "-o", tmp_path / "f.wbp", "--pipeline", "tabular",
            "--model", model, "--save-test", tmp_path / "test.npy",
        )  # fmt: skip
        assert trained["pipeline"] == "tabular"
        assert trained["report"]["accuracy"] > 0.8
        answer = ok_json(
            "run", tmp_path / "f.wbp", tmp_path / "test.npy", tmp_path / "o.npy", "--on", "unix"
        )
        assert answer["identical"] == trained["test_rows"]

    def test_values_by_time(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(1)
        x = rng.normal(size=(400, 3))
        y = 1000 + 50 * x[:, 0] - 20 * x[:, 1] + rng.normal(size=400)
        np.savez(tmp_path / "air.npz", x=x, y=y)
        (tmp_path / "mine.toml").write_text(self.MLP)
        trained = ok_json(
            "train", tmp_path / "air.npz", "-o", tmp_path / "air.wbp",
            "--pipeline", tmp_path / "mine.toml", "--save-test", tmp_path / "test.npy",
        )  # fmt: skip
        assert np.array_equal(np.load(tmp_path / "test.npy"), x[280:].astype(np.float32))
        assert trained["report"]["r2"] > 0.95
        assert trained["report"]["mae"] < 10

    def test_stages_are_listed(self) -> None:
        text = ok("train", "--stages")
        for kind, stage in STAGES.items():
            assert f" {kind} " in text
            for each in dataclasses.fields(stage):  # type: ignore[arg-type]
                assert f" {each.name}" in text
        for part in (
            "tabular",
            "edges = ...",
            'type = "lowpass"',
            "[after]",
            "hold_off = 0",
            "[augment]",
        ):
            assert part in text

    def test_refusals(self, folder: Path, tmp_path: Path) -> None:
        make = ("train", folder / "flowers.csv", "-o", tmp_path / "a.wbp", "--pipeline")
        assert "--trees: not with" in fails(2, *make, "tabular", "--trees", 3)
        assert "--channels: for recordings" in fails(2, *make, "tabular", "--channels", "a")
        for text, message in (
            ('input = "rows"\nrate = 3', "rate: not for rows of a table"),
            ('input = "rows"\ndtype = "int4"', "float32, int16, int8, uint8"),
            ('input = "table"', "expected rate"),
            ('input = "table"\nrate = 3', "expected one of stream, rows"),
            ('input = "rows"\nsplit = "windows"', "expected one of groups, time"),
            ('input = "rows"\n[model]\nkind = "net"', "net takes a stream: choose forest"),
            ('input = "rows"\n[model]\nkind = "mlp"\nhidden = []', "hidden: expected neurons"),
            ('input = "rows"\n[model]\ntrees = 0', "trees: expected a whole number"),
            ('input = "rows"\n[model]\ntrees = "x"', "expected a whole number"),
        ):
            (tmp_path / "mine.toml").write_text(text)
            said = run(*make, tmp_path / "mine.toml")
            assert said.exit_code in (1, 2)
            assert message in " ".join(said.stderr.split())


class TestSources:
    @pytest.mark.parametrize(
        "model",
        [
            DecisionTreeClassifier(max_depth=3),
            DecisionTreeRegressor(max_depth=3),
            ExtraTreeClassifier(max_depth=3),
            ExtraTreeRegressor(max_depth=3),
            RandomForestClassifier(3),
            RandomForestRegressor(3),
            ExtraTreesClassifier(3),
            ExtraTreesRegressor(3),
            GradientBoostingClassifier(n_estimators=3),
            GradientBoostingRegressor(n_estimators=3),
            HistGradientBoostingClassifier(max_iter=3),
            HistGradientBoostingRegressor(max_iter=3),
        ],
        ids=lambda model: type(model).__name__,
    )
    def test_skops(self, model: Any, tmp_path: Path) -> None:
        values = "Regressor" in type(model).__name__
        model.set_params(random_state=1).fit(X, Y * 1.5 if values else Y)
        skops.io.dump(model, tmp_path / "m.skops")
        np.save(tmp_path / "x.npy", X)
        module, out = tmp_path / "iris.mpy", tmp_path / "out.npy"
        made = ok_json(
            "convert", tmp_path / "m.skops", "-o", module, "--arch", "x64", "--rows",
            tmp_path / "x.npy", *(["--output-scale", "0.001"] if values else []),
        )  # fmt: skip
        ok("run", module, tmp_path / "x.npy", out, "--on", "unix", "--predict")
        answers, expected = np.load(out), model.predict(X)
        if values:
            assert made["output"]["scale"] == pytest.approx(0.001)
            allowed = made["leaves"]["largest_error_in_steps"] + 1e-6
            assert np.abs(answers - expected / 0.001).max() <= allowed
        else:
            assert np.array_equal(answers, expected)

    def test_emlearn_csv(self, tmp_path: Path) -> None:
        (tmp_path / "m.csv").write_text(EMLEARN)
        made = ok_json(
            "convert", tmp_path / "m.csv", "-o", tmp_path / "em.mpy", "--arch", "x64",
            "--labels", "low, high",
        )  # fmt: skip
        assert made["input"]["dtype"] == "int16"
        assert made["labels"] == ["low", "high"]
        np.save(tmp_path / "x.npy", np.array([[0, 6], [0, 7]]))
        ok(
            "run",
            tmp_path / "em.mpy",
            tmp_path / "x.npy",
            tmp_path / "o.npy",
            "--on",
            "unix",
            "--predict",
        )
        assert np.load(tmp_path / "o.npy").tolist() == [0, 1]

    def test_pickle(self, tmp_path: Path) -> None:
        model = RandomForestClassifier(3).fit(X, Y)
        (tmp_path / "m.pkl").write_bytes(pickle.dumps(model))
        make = ("convert", tmp_path / "m.pkl", "-o", tmp_path / "iris.mpy", "--arch", "x64")
        assert "--trust-pickle" in fails(2, *make)
        assert not (tmp_path / "iris.mpy").exists()
        ok(*make, "--trust-pickle")
        assert (tmp_path / "iris.mpy").exists()

    def test_to_program_and_name(self, tmp_path: Path) -> None:
        (tmp_path / "m.csv").write_text(EMLEARN)
        ok("convert", tmp_path / "m.csv", "-o", tmp_path / "em.wbp", "--dtype", "uint8")
        assert Program.load(tmp_path / "em.wbp").name == "em"
        assert Program.load(tmp_path / "em.wbp").input.typecode == "B"
        ok(
            "convert",
            tmp_path / "em.wbp",
            "-o",
            tmp_path / "v2.wbp",
            "--name",
            "em2",
            "--labels",
            "x,y",
        )
        again = Program.load(tmp_path / "v2.wbp")
        assert (again.name, again.labels) == ("em2", ("x", "y"))
        assert again.hash == Program.load(tmp_path / "em.wbp").hash


class TestText:
    def test_info_shows_labels_as_they_are(self, folder: Path) -> None:
        text = ok("info", folder / "flowers.mpy")
        assert "versi[color]" in text
        assert "10 trees" in text
        assert "module for x64" in text
        assert "training" in ok("info", folder / "flowers.wbp")

    def test_info_draws_the_arena(self, folder: Path, tmp_path: Path) -> None:
        small_model().save(tmp_path / "small.wbp")
        text = ok("info", tmp_path / "small.wbp")
        assert "arena of " in text
        assert "window_stats" in text.rpartition("live bytes")[2]
        assert "live bytes" not in ok("info", folder / "flowers.wbp")  # one operator
        picture = tmp_path / "arena.png"
        document = ok_json("info", tmp_path / "small.wbp", "--plot", picture)
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert document["plot"] == str(picture)
        assert max(document["live"]) == document["arena"]
        assert {"tensor", "place", "size", "first", "last"} == set(document["tensors"][0])
        assert "ends in .png" in fails(2, "info", tmp_path / "small.wbp", "--plot", "a.pdf")

    def test_convert(self, folder: Path, tmp_path: Path) -> None:
        text = ok("convert", folder / "flowers.wbp", "-o", tmp_path / "f.mpy", "--board", "pico")
        assert "core" in text
        assert "kernel forest" in text
        assert "0 changed" in text

    def test_train(self, folder: Path, tmp_path: Path) -> None:
        text = ok("train", folder / "flowers.csv", "-o", tmp_path / "f.wbp", "--model", "tree")
        assert "recall" in text
        assert "bed" in text

    def test_version_and_help(self) -> None:
        assert ok("--version") == f"wingbeat {__version__}\n"
        assert "convert" in ok()
        for name in (
            "train",
            "convert",
            "run",
            "simulate",
            "info",
            "doctor",
            "check",
            "deploy",
            "remove",
        ):
            assert "--json" in ok(name, "--help")


def table(folder: Path) -> tuple[object, ...]:
    return ("train", folder / "flowers.csv", "--model", "forest", "-o")


class TestWrongUse:
    @pytest.mark.parametrize(
        ("more", "message"),
        [
            (["my-model.wbp"], "try my_model"),
            (["1st.wbp"], "try model_1st"),
            (["class.wbp"], "try model_class"),
            (["time.wbp"], "part of MicroPython"),
            (["a.mpy"], "ends in .wbp"),
            (["none/a.wbp"], "no folder none"),
            (["a.wbp", "--hop", "3"], "--hop: for recordings only"),
            (["a.wbp", "--window", "9", "--dtype", "int8"], "--dtype: for tables only"),
            (["a.wbp", "--test-fraction", "1"], "between 0 and 1"),
            (["a.wbp", "--dtype", "int4"], "float32, int16, int8, uint8"),
            (["a.wbp", "--features", "a,,b"], "an empty one"),
            (["a.wbp", "--plot", "p.jpg"], "ends in .png"),
            (["a.wbp", "--model", "net"], "forest"),
            (["a.wbp", "--trees", "0"], "--trees"),
            (["a.wbp", "--seed", "-1"], "seed"),
        ],
    )
    def test_train(self, folder: Path, more: list[str], message: str) -> None:
        assert message in fails(2, *table(folder), *more)

    @pytest.mark.parametrize("scale", ["0", "x", "1,nan", "-1"])
    def test_scale(self, tmp_path: Path, scale: str) -> None:
        data = record(tmp_path / "data")
        make = ("train", data, "-o", tmp_path / "a.wbp", "--model", "tree", "--window", 50)
        assert "above 0" in fails(2, *make, f"--scale={scale}")
        assert "no statistic 'median'" in fails(2, *make, "--statistics", "median")

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            (["f.mpy"], f"--board ({', '.join(boards())}) or --arch ({', '.join(ARCHS)})"),
            (["f.mpy", "--arch", "z80"], ", ".join(ARCHS)),
            (["f.mpy", "--board", "zx81"], "pico (armv6m), pico-w (armv6m), pico2 (armv7emsp)"),
            (["f.mpy", "--arch", "x64", "--board", "pico"], "got both"),
            (["f.wbp", "--arch", "x64"], "drop --arch"),
            (["f.bin", "--arch", "x64"], ".mpy or .wbp"),
            (["f", "--arch", "x64"], "no ending"),
            (["f.wbp", "--dtype", "int8", "--rows", "r.npy"], "drop --dtype, --rows"),
            (["f.wbp", "--missing", "follow"], "drop --missing"),
            (["f.wbp", "--missing", "left"], "right"),
            (["f.wbp", "--output-scale", "-1"], "above 0"),
            (["f.wbp", "--labels", "a,b"], "2 labels, but the model has 3 classes"),
            (["f.wbp", "--name", "a b"], "try a_b"),
        ],
    )
    def test_convert(self, folder: Path, more: list[str], message: str) -> None:
        assert archs() == ARCHS
        assert message in fails(2, "convert", folder / "flowers.wbp", "-o", *more)

    def test_convert_model_options(self, tmp_path: Path) -> None:
        (tmp_path / "m.csv").write_text(EMLEARN)
        make = ("convert", tmp_path / "m.csv", "-o", tmp_path / "em.wbp")
        assert "is for regression" in fails(2, *make, "--output-scale", "1")
        assert "int16, int8 or uint8" in fails(2, *make, "--dtype", "float32")
        assert "choose one of" in fails(2, *make, "--dtype", "int4")
        np.save(tmp_path / "r.npy", np.zeros((3, 5)))
        assert "takes [rows, 2]" in fails(1, *make, "--rows", tmp_path / "r.npy")

    def test_run(self, folder: Path, tmp_path: Path) -> None:
        x, out = folder / "test.npy", tmp_path / "o.npy"
        assert "--arch armv6m" in fails(2, "run", folder / "flowers.mpy", x, out, "--on", "m0")
        assert ", ".join(TARGETS) in fails(
            2, "run", folder / "flowers.mpy", x, out, "--on", "esp32"
        )
        assert ".npy" in fails(
            2, "run", folder / "flowers.mpy", x, tmp_path / "o.txt", "--on", "unix"
        )
        assert "--on" in fails(2, "run", folder / "flowers.mpy", x, out)

    def test_typer_itself(self) -> None:
        assert "see 'wingbeat --help'" in fails(2, "fly")
        assert "--colour" in fails(2, "info", "x", "--colour")
        assert "see 'wingbeat info --help'" in fails(2, "info")


class TestBadFiles:
    def test_data(self, tmp_path: Path) -> None:
        (tmp_path / "bad.csv").write_text("a,label\n1,x\n,y\n")
        for path, message in (("none.csv", "none.csv"), ("bad.csv", "bad.csv")):
            text = fails(1, "train", tmp_path / path, "-o", tmp_path / "a.wbp", "--model", "tree")
            assert message in text
        folder = record(tmp_path / "data")
        text = fails(1, "train", folder, "-o", tmp_path / "a.wbp", "--model", "tree")
        assert "give a window length" in text
        text = fails(
            1, "train", folder, "-o", tmp_path / "a.wbp", "--model", "tree", "--window", 999
        )
        assert "shorter window" in text

    def test_plot_of_values(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "v.npz", x=np.arange(40).reshape(20, 2), y=np.arange(20) + 0.5)
        make = ("train", tmp_path / "v.npz", "-o", tmp_path / "v.wbp", "--model", "tree")
        assert "--plot draws classes" in fails(2, *make, "--plot", tmp_path / "p.png")

    def test_models(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "bad.skops").write_bytes(b"garbage")
        for path, message in (
            (tmp_path / "none.skops", "No such file"),
            (tmp_path / "bad.skops", "does not start as a .skops file"),
            (folder / "flowers.mpy", "assembled module already"),
            (folder / "flowers.csv", "wingbeat train"),
        ):
            assert message in fails(1, "convert", path, "-o", tmp_path / "a.mpy", "--arch", "x64")
        assert "is a folder" in fails(
            2, "convert", tmp_path, "-o", tmp_path / "a.mpy", "--arch", "x64"
        )

    @pytest.mark.parametrize("suffix", ["mpy", "wbp"])
    def test_modules_and_programs(self, folder: Path, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"cut.{suffix}"
        whole = (folder / f"flowers.{suffix}").read_bytes()
        for data in (b"", whole[: len(whole) // 2], whole[:5], b"\x00" * 100):
            path.write_bytes(data)
            assert "cut." in fails(1, "info", path)
        assert "No such file" in fails(1, "info", tmp_path / "none.mpy")
        assert "is a folder" in fails(2, "info", tmp_path)

    def test_one_damaged_byte_of_the_program(self, folder: Path, tmp_path: Path) -> None:
        data = bytearray((folder / "flowers.mpy").read_bytes())
        at = data.index(b"WGNB")
        data[at + 60] ^= 1
        (tmp_path / "cut.mpy").write_bytes(data)
        assert "checksum" in fails(1, "info", tmp_path / "cut.mpy")

    @pytest.mark.parametrize(
        ("array", "message"),
        [
            (np.zeros((5, 3), np.float32), "takes [rows, 4]"),
            (np.zeros(4, np.float32), "save x[None]"),
            (np.float32(1), "takes [rows, 4]"),
            (np.full((1, 4), 1e39), "too large for float32"),
            (np.full((1, 4), 2**24 + 1), "float32 cannot hold exactly"),
            (np.array([["a"] * 4]), "expected numbers"),
            (np.array([[None] * 4]), "allow_pickle"),
        ],
    )
    def test_inputs(self, folder: Path, tmp_path: Path, array: Any, message: str) -> None:
        np.save(tmp_path / "x.npy", array, allow_pickle=True)
        out = tmp_path / "o.npy"
        text = fails(1, "run", folder / "flowers.mpy", tmp_path / "x.npy", out, "--on", "unix")
        assert message in text
        assert not out.exists()

    @pytest.mark.parametrize(
        ("array", "message"),
        [
            (np.array([[0, 40_000]]), "-32768 to 32767"),
            (np.array([[0.0, 7.0]]), "Scale and round"),
            (np.array([[0, 2**63]], np.uint64), "-32768 to 32767"),
        ],
    )
    def test_integer_inputs(self, tmp_path: Path, array: Any, message: str) -> None:
        (tmp_path / "m.csv").write_text(EMLEARN)
        ok("convert", tmp_path / "m.csv", "-o", tmp_path / "em.wbp")
        np.save(tmp_path / "x.npy", array)
        go = ("run", tmp_path / "em.wbp", tmp_path / "x.npy", tmp_path / "o.npy", "--on", "unix")
        assert message in fails(1, *go)

    def test_inputs_that_are_no_array(self, folder: Path, tmp_path: Path) -> None:
        out, good = tmp_path / "o.npy", (folder / "test.npy").read_bytes()
        for data in (b"", b"text", good[:40], good[:-4]):
            (tmp_path / "x.npy").write_bytes(data)
            text = fails(1, "run", folder / "flowers.mpy", tmp_path / "x.npy", out, "--on", "unix")
            assert "x.npy" in text

    @pytest.mark.parametrize("dtype", [">f4", "<f8", "float16", "int64", "bool"])
    def test_dtypes_that_keep_every_value(self, folder: Path, tmp_path: Path, dtype: str) -> None:
        x = np.arange(20).reshape(5, 4) % 7
        np.save(tmp_path / "x.npy", x.astype(dtype))
        out = tmp_path / "o.npy"
        ok("run", folder / "flowers.mpy", tmp_path / "x.npy", out, "--on", "unix")
        expected = Program.load(folder / "flowers.wbp").run(x.astype(dtype).astype(np.float32))
        assert np.array_equal(np.load(out), expected)

    def test_no_rows(self, folder: Path, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.zeros((0, 4), np.float32))
        out = tmp_path / "o.npy"
        answer = ok_json("run", folder / "flowers.mpy", tmp_path / "x.npy", out, "--on", "unix")
        assert answer["rows"] == answer["identical"] == 0
        assert np.load(out).shape == (0, 3)


def test_rows_that_differ_fail(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = wingbeat.runner.run_module

    def wrong(*args: Any, **options: Any) -> wingbeat.runner.Run:
        result = honest(*args, **options)
        outputs = result.outputs.copy()
        outputs[1, 0] += 1
        return dataclasses.replace(result, outputs=outputs)

    monkeypatch.setattr(wingbeat.runner, "run_module", wrong)
    go = ("run", folder / "flowers.mpy", folder / "test.npy", tmp_path / "o.npy", "--on", "unix")
    result = run(*go, "--json")
    rows = len(np.load(folder / "test.npy"))
    assert result.exit_code == 1
    assert json.loads(result.stdout)["identical"] == rows - 1
    assert f"1 of {rows} rows on unix differ" in result.stderr


def test_a_fault_shows_its_traceback(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(sys.modules["wingbeat.cli.info"], "load_file", broken)
    result = run("info", folder / "flowers.mpy")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "please report it" in result.stderr


class TestProcess:
    def test_streams_and_exit_codes(self, folder: Path) -> None:
        good = process("info", folder / "flowers.mpy", "--json")
        assert (good.returncode, good.stderr) == (0, "")
        assert json.loads(good.stdout)["name"] == "flowers"
        missing = process("info", "none.mpy")
        assert (missing.returncode, missing.stdout) == (1, "")
        assert missing.stderr == "wingbeat: error: none.mpy: No such file or directory\n"
        wrong = process("info", "--json")
        assert wrong.returncode == 2
        assert json.loads(wrong.stdout)["kind"] == "MissingParameter"
        assert process("--version").stdout == f"wingbeat {__version__}\n"

    def test_training_talks_on_stderr_only(self, folder: Path, tmp_path: Path) -> None:
        done = process(*table(folder), tmp_path / "a.wbp", "--json")
        assert done.returncode == 0
        assert json.loads(done.stdout)["name"] == "a"
        assert "training on" in done.stderr

    def test_stdout_that_is_closed(self, folder: Path) -> None:
        words = " ".join(f"'{word}'" for word in command(["info", folder / "flowers.mpy"]))
        for line, code in ((f"{words} >&-", 0), (f"{words} --json >&-", 0)):
            done = subprocess.run(
                ["sh", "-c", line], capture_output=True, text=True, env=environment(), timeout=60
            )
            assert (done.returncode, done.stderr) == (code, "")

    def test_reader_that_leaves(self, folder: Path) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        for more in ([], ["--json"]):
            done = subprocess.run(
                command(["info", folder / "flowers.mpy", *more]),
                stdout=writing,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(),
                timeout=60,
            )
            assert (done.returncode, done.stderr) == (1, "")
        os.close(writing)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_full_disk(self, folder: Path) -> None:
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                command(["info", folder / "flowers.mpy"]),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(),
                timeout=60,
            )
        assert done.returncode == 1
        assert done.stderr.startswith("wingbeat: error: ")
        assert "Traceback" not in done.stderr

    def test_ascii_terminal(self, folder: Path) -> None:
        done = subprocess.run(
            command(["info", folder / "flowers.mpy"]),
            capture_output=True,
            env=environment(PYTHONIOENCODING="ascii"),
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"virginic?" in done.stdout

    @pytest.mark.skipif(os.name != "posix", reason="sends a signal")
    def test_interrupt(self, folder: Path, tmp_path: Path) -> None:
        np.save(tmp_path / "many.npy", np.zeros((100_000, 4), np.float32))
        out = tmp_path / "o.npy"
        started = subprocess.Popen(
            command(["run", folder / "flowers.wbp", tmp_path / "many.npy", out, "--on", "m0"]),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            # Whoever runs the tests in the background has it ignored, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            time.sleep(2)
            assert started.poll() is None
            started.send_signal(signal.SIGINT)
            stdout, stderr = started.communicate(timeout=20)
        finally:
            started.kill()
        assert (started.returncode, stdout, stderr) == (130, "", "")
        assert not out.exists()

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (
                "wingbeat ",
                [
                    *("train", "convert", "run", "simulate", "info"),
                    *("doctor", "check", "deploy", "list", "remove"),
                ],
            ),
            ("wingbeat check x --board pi", ["pico", "pico-w", "pico2", "pico2-w"]),
            ("wingbeat deploy x --via ", ["mpremote", "rshell"]),
            ("wingbeat convert x --arch ", list(ARCHS)),
            ("wingbeat convert x --board pi", ["pico", "pico-w", "pico2", "pico2-w"]),
            ("wingbeat run x y z --on ", list(TARGETS)),
            ("wingbeat train x --model ", ["forest", "extra-trees", "tree", "boosting", "mlp"]),
            ("wingbeat convert x --dtype ", ["float32", "int16", "int8", "uint8"]),
        ],
    )
    def test_completion(self, words: str, expected: list[str]) -> None:
        done = subprocess.run(
            command([]),
            capture_output=True,
            text=True,
            env=environment(
                _WINGBEAT_COMPLETE="complete_bash",
                COMP_WORDS=words,
                COMP_CWORD=str(len(words.split()) - (not words.endswith(" "))),
            ),
            timeout=60,
        )
        assert done.stdout.split() == expected
