"""The demo from recordings to a module, and main.py on both machines."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wingbeat import Program
from wingbeat.targets import open_target
from wingbeat.train import ForestOptions, train_recordings

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples" / "exercises" / "demo.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder of the results, and what the demo printed."""
    out = tmp_path_factory.mktemp("demo") / "new" / "folder"
    done = subprocess.run(
        [sys.executable, str(DEMO), "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={"PYTHONPATH": str(ROOT / "host"), "COLUMNS": "100", "PYTHONUTF8": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out, done.stdout


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found, pattern
    return float(found[1])


def test_board_and_laptop_are_identical(made: tuple[Path, str]) -> None:
    for what in ("identical", "same class as scikit-learn"):
        found = re.search(what + r": (\d+)/(\d+)", made[1])
        assert found
        assert found[1] == found[2]
        assert int(found[2]) > 300


def test_accuracy_on_unseen_people(made: tuple[Path, str]) -> None:
    board = _number(r"accuracy on the board: ([\d.]+)", made[1])
    assert board > 0.75
    assert board == _number(r"accuracy on these unseen people: ([\d.]+)", made[1])
    assert _number(r"accuracy on unseen people: ([\d.]+)", made[1]) > 0.75


def test_sizes_add_up(made: tuple[Path, str]) -> None:
    rows = re.findall(r"│ ([\w(), ]+?) +│ +(\d+) │ +(\d+) │\n", made[1])
    names = [name for name, _, _ in rows]
    assert names[0] == "core"
    assert names[-3:] == ["program", "constants (labels, texts)", "file"]
    assert "kernel window_stats" in names
    for column, file in ((1, "exercises.mpy"), (2, "pico/exercises.mpy")):
        *parts, whole = (int(row[column]) for row in rows)
        assert sum(parts) == whole == (made[0] / file).stat().st_size


@pytest.mark.parametrize(("name", "module"), [("unix", ""), ("m0", "pico")])
def test_main_prints_the_same_label(made: tuple[Path, str], name: str, module: str) -> None:
    out = made[0]
    files = {
        "exercises.mpy": (out / module / "exercises.mpy").read_bytes(),
        "window.bin": (out / "window.bin").read_bytes(),
    }
    with open_target(name) as target:
        printed = target.execute((out / "main.py").read_text(), files).stdout
    shown = re.search(r"it just printed (\w+)", made[1])
    recorded = re.search(r"a recorded window of (\w+)", made[1])
    assert shown
    assert recorded
    assert printed == f"{shown[1]}\n" == f"{recorded[1]}\n"


def test_program_is_kept(made: tuple[Path, str]) -> None:
    program = Program.load(made[0] / "exercises.wbp")
    assert str(program.input) == "int16[100, 6]"
    assert len(program.labels) == 7
    training = program.meta["training"]
    assert len(training["groups_held_out"]) == 3
    assert training["agreement_with_estimator"]["rows_that_differ"] == 0


def test_picture(made: tuple[Path, str]) -> None:
    from matplotlib.image import imread

    path = made[0] / "confusion.png"
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    height, width, _ = imread(path).shape
    assert min(height, width) > 600


def test_a_difference_is_seen_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = _import_demo()
    right, other = (
        train_recordings(
            demo.load(),
            name="exercises",
            window=demo.WINDOW,
            hop=250,
            scale=demo.SCALE,
            options=ForestOptions(trees=trees, max_depth=4),
        )
        for trees in (5, 4)
    )
    with demo.progress_bars() as progress:
        assert demo.check_board(right, right.program.assemble("x64"), progress)
        assert not demo.check_board(right, other.program.assemble("x64"), progress)
    monkeypatch.setattr(demo, "demo", lambda out: False)
    monkeypatch.setattr(sys, "argv", ["demo.py"])
    assert demo.main() == 1
    assert "The board and the laptop do not agree" in capsys.readouterr().out


def _import_demo() -> Any:
    spec = importlib.util.spec_from_file_location("exercises_demo", DEMO)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_only_the_results_are_left(made: tuple[Path, str]) -> None:
    found = sorted(str(path.relative_to(made[0])) for path in made[0].rglob("*") if path.is_file())
    assert found == [
        "confusion.png",
        "exercises.mpy",
        "exercises.wbp",
        "main.py",
        "pico/exercises.mpy",
        "window.bin",
    ]
