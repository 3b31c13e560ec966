"""The page about a trained pipeline, in a real browser: sounds, and rows of real tables."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from models.streams import data_file
from PIL import Image
from scipy.io import wavfile
from sklearn.datasets import load_breast_cancer, load_diabetes
from typer.testing import CliRunner

from tones import TONES, tones
from wingbeat.cli import app

CHROMIUM = (
    *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--hide-scrollbars", "--window-size=1000,2400"),
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From a folder of .wav files, as a user makes it; noise makes some windows hard."""
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(2)
    for number, item in enumerate(tones().items):
        path = folder / "data" / item.label / f"{item.group.replace(' ', '-')}_{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = rng.normal(0, 8000 if number % 3 == 0 else 100, item.data.shape)
        wavfile.write(path, 1000, np.clip(item.data / 8 + noise, -32768, 32767).astype(np.int16))
    after = "[after]\nthreshold = 0.6\nhold_off = 1\n"
    (folder / "tones.toml").write_text(TONES.format(kind="log_mel") + after)
    arguments = ["train", folder / "data", "--pipeline", folder / "tones.toml"]
    arguments += ["--group-pattern", r"device-\d", "-o", folder / "tones.wbp"]
    result = CliRunner().invoke(app, [*map(str, arguments), "--report", str(folder / "tones.html")])
    assert result.exit_code == 0, result.output
    return folder / "tones.html"


def browsed(page: Path, *options: str) -> str:
    assert shutil.which("chromium"), "chromium is not installed: run make setup"
    profile = page.parent / "profile"
    command = [*CHROMIUM, f"--user-data-dir={profile}", *options, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return done.stdout


def made(folder: Path, table: pd.DataFrame, *options: str) -> tuple[Path, dict[str, Any]]:
    """The page of a program for rows of a table, and what the command says of it."""
    table.to_csv(folder / "rows.csv", index=False)
    page = folder / "rows.html"
    arguments = ["train", folder / "rows.csv", "-o", folder / "rows.wbp", "--report", page]
    result = CliRunner().invoke(app, [*map(str, arguments), *options, "--json"])
    assert result.exit_code == 0, result.output
    trained: dict[str, Any] = json.loads(result.stdout)
    assert trained["page"] == str(page)
    return page, trained


def tumours() -> pd.DataFrame:
    """Two classes of sklearn's table, with a column of seven groups."""
    data = load_breast_cancer(as_frame=True)
    table = data.frame.drop(columns="target")
    table["label"] = np.array(["malignant", "benign"])[data.target]
    table["group"] = [f"hospital {number % 7}" for number in range(len(table))]
    return table


@pytest.fixture(scope="module", params=["forest", "boosting", "mlp"])
def classes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    asked = ("--pipeline", "tabular", "--model", request.param)
    return made(tmp_path_factory.mktemp("classes"), tumours(), *asked)


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Rows of which each has a group."""
    data = load_diabetes(as_frame=True)
    table = data.frame.rename(columns={"target": "label"})
    table["group"] = [f"clinic {number % 5}" for number in range(len(table))]
    asked = ("--pipeline", "tabular", "--target", "values")
    return made(tmp_path_factory.mktemp("values"), table, *asked)


def listed(page: Path, title: str) -> list[list[str]]:
    """The cells of the table below this title, row by row."""
    part = page.read_text().split(f"<h2>{title}</h2>")[1].split("</table>")[0]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", part, re.DOTALL)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]


def test_page_of_classes(classes: tuple[Path, dict[str, Any]]) -> None:
    page, trained = classes
    text = re.sub(r"<[^>]*>", " ", browsed(page, "--dump-dom"))
    report = trained["report"]
    for part in (
        f"{100 * report['accuracy']:.1f} %",
        f"{report['n']} rows of\n{len(report['groups'])} groups that",
        "Rounding to integers costs",
        "What it takes for what",
        "What it looks at",
        "Raspberry Pi Pico",
        "Its operators",
        trained["hash"],
    ):
        assert part in text, part
    assert {row[0]: row[2] for row in listed(page, "Each class")[1:]} == {
        each["label"]: f"{each['recall']:.2f}" for each in report["classes"]
    }
    assert {row[0]: row[2] for row in listed(page, "Where does it fail, for whom?")[1:]} == {
        each["group"]: f"{each['accuracy']:.2f}" for each in report["groups"]
    }


def test_rows_that_it_gets_wrong(classes: tuple[Path, dict[str, Any]]) -> None:
    page, trained = classes
    report, table = trained["report"], tumours()
    (number, group, truth, answer, *names), *rows = listed(page, "Rows that it gets wrong")
    assert (number, group, truth, answer) == ("row", "group", "true", "answer")
    wrong = report["n"] - sum(np.diag(report["confusion"]))
    assert len(rows) == min(15, wrong) > 0
    for number, group, truth, answer, *features in rows:
        row = table.iloc[int(number) - 1]
        assert (row["group"], row["label"]) == (group, truth)
        assert truth != answer
        assert [float(each) for each in features] == pytest.approx(row[names].to_list(), rel=1e-4)


def test_page_of_values(values: tuple[Path, dict[str, Any]]) -> None:
    page, trained = values
    report = trained["report"]
    text = re.sub(r"<[^>]*>", " ", browsed(page, "--dump-dom"))
    assert f"R² {report['r2']:.3f}" in text
    assert f"{report['mae']:.4g}" in text
    assert "Rounding to integers changes the mean absolute error by" in text
    assert "Over time" not in text
    assert page.read_text().count("<img") == 1
    groups = listed(page, "Where does it fail, for whom?")[1:]
    errors = [float(row[2]) for row in groups]
    assert errors == sorted(errors, reverse=True)
    support = [int(row[3]) for row in groups]
    assert sum(support) == report["n"]
    assert np.average(errors, weights=support) == pytest.approx(report["mae"], rel=1e-3)
    rows = listed(page, "Rows with the largest errors")[1:]
    worst = [abs(float(row[2]) - float(row[3])) for row in rows]
    assert worst == sorted(worst, reverse=True)
    assert len(worst) == 15
    assert min(worst) > report["mae"]
    assert listed(page, "What it looks at")[0][0] in ("bmi", "s5")


def test_page_of_values_over_time(tmp_path: Path) -> None:
    path = data_file("AirQualityUCI.csv")
    if path is None:
        pytest.skip("needs AirQualityUCI.csv")
    table = pd.read_csv(path).rename(columns={"CO(GT)": "label"})
    sensors = ["PT08.S1(CO)", "PT08.S2(NMHC)", "PT08.S3(NOx)", "PT08.S4(NO2)", "PT08.S5(O3)"]
    table = table[["label", *sensors, "T", "RH"]].replace(-200, np.nan).dropna()
    model = '[model]\nkind = "forest"\ntrees = 10\nmin_samples_leaf = 8\n'
    (tmp_path / "air.toml").write_text(f'input = "rows"\nsplit = "time"\n{model}')
    page, trained = made(tmp_path, table, "--pipeline", str(tmp_path / "air.toml"))
    assert trained["report"]["r2"] > 0.7
    text = page.read_text()
    assert "rows of the end of the table" in text
    assert 'alt="Errors over time"' in text
    assert listed(page, "What it looks at")[0][0] == "PT08.S2(NMHC)"
    numbers = [int(row[0]) for row in listed(page, "Rows with the largest errors")[1:]]
    assert min(numbers) > trained["train_rows"]


def test_page_without_a_wrong_row_and_with_odd_names(tmp_path: Path) -> None:
    table = pd.DataFrame({"<b>&": [0.0, 1.0] * 20, "label": ["<x>", "y$_a$"] * 20})
    page, trained = made(tmp_path, table, "--pipeline", "tabular")
    assert trained["report"]["accuracy"] == 1
    assert "gets wrong" not in page.read_text()
    assert listed(page, "What it looks at")[0][0] == "&lt;b&gt;&amp;"
    assert [row[0] for row in listed(page, "Each class")[1:]] == ["&lt;x&gt;", "y$_a$"]


def test_page_of_values_that_are_all_equal(tmp_path: Path) -> None:
    values = [*np.random.default_rng(1).normal(size=28), *[1.5] * 12]
    table = pd.DataFrame({"a": np.arange(40.0), "label": values})
    (tmp_path / "flat.toml").write_text('input = "rows"\nsplit = "time"\n')
    page, trained = made(tmp_path, table, "--pipeline", str(tmp_path / "flat.toml"))
    assert trained["report"]["r2"] is None
    assert "R² \N{EN DASH}" in page.read_text()


def test_page_needs_nothing_else(
    page: Path, classes: tuple[Path, dict[str, Any]], values: tuple[Path, dict[str, Any]]
) -> None:
    text = page.read_text() + classes[0].read_text() + values[0].read_text()
    assert re.findall(r"(?:src|href)=\"(?!data:)[^\"]*\"|@import|url\(", text) == []


def test_page_says_what_there_is_to_know(page: Path) -> None:
    text = re.sub(r"<[^>]*>", " ", browsed(page, "--dump-dom"))
    for part in (
        "How well",
        "right of",
        "Detections",
        "a class starts at 0.6 and ends below 0.6, at most one start in 1 s",
        "Where does it fail, for whom?",
        "device-",
        "What it looks at",
        "Windows that it gets wrong",
        "Raspberry Pi Pico",
        "power_spectrum",
        "wingbeat",
    ):
        assert part in text, part


@pytest.mark.parametrize("which", ["page", "values"])
def test_page_is_drawn(which: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(which)
    page = found if which == "page" else found[0]
    shot = page.parent / "page.png"
    browsed(page, f"--screenshot={shot}")
    pixels = np.asarray(Image.open(shot).convert("RGB")).reshape(2400, 1000, 3)
    blue = (pixels[..., 2] > pixels[..., 0].astype(int) + 60).mean()
    ink = (pixels.max(axis=2) < 90).mean()
    assert blue > 0.005
    assert 0.002 < ink < 0.2
