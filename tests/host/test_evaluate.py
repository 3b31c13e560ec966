from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from sklearn import metrics

from wingbeat.errors import UsageError
from wingbeat.evaluate import ClassReport, evaluate_classes, evaluate_values
from wingbeat.plots import confusion_matrix

TRUE = [0, 0, 0, 1, 1, 2]
PREDICTED = [0, 0, 1, 1, 1, 1]
GROUPS = ["p", "q", "q", "p", "q", "q"]


def _printed(thing: object) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(thing)
    out = console.file
    assert isinstance(out, io.StringIO)
    return out.getvalue()


def _random(classes: int, rows: int = 400) -> ClassReport:
    rng = np.random.default_rng(classes)
    true = rng.integers(0, classes, rows)
    predicted = np.where(rng.random(rows) < 0.7, true, rng.integers(0, classes, rows))
    names = [f"class {index} of $many$ with a long name" for index in range(classes)]
    return evaluate_classes(true, predicted, names, rng.integers(0, 5, rows))


def test_classes() -> None:
    report = evaluate_classes(TRUE, PREDICTED, ["a", "b", "c"], GROUPS)
    assert report.accuracy == pytest.approx(4 / 6)
    assert report.confusion.tolist() == [[2, 1, 0], [0, 2, 0], [0, 1, 0]]
    assert report.recall == pytest.approx([2 / 3, 1, 0])
    assert report.precision == pytest.approx([1, 0.5, np.nan], nan_ok=True)
    assert report.support.tolist() == [3, 2, 1]
    assert report.groups == ("p", "q")
    assert report.group_accuracy.tolist() == [1.0, 0.5]
    assert report.group_support.tolist() == [2, 4]
    assert report.interval_method == "bootstrap over 2 groups"
    assert report.interval == (0.5, 1.0)


def test_classes_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 5, 300), rng.integers(0, 5, 300)
    report = evaluate_classes(true, predicted, list("abcde"))
    assert report.accuracy == pytest.approx(metrics.accuracy_score(true, predicted))
    assert report.recall == pytest.approx(metrics.recall_score(true, predicted, average=None))
    assert report.precision == pytest.approx(metrics.precision_score(true, predicted, average=None))
    assert np.array_equal(report.confusion, metrics.confusion_matrix(true, predicted))


def test_groups_that_are_numbers_sort_by_value() -> None:
    assert evaluate_classes([0, 0, 0], [0, 0, 0], ["a"], ["10", "2", "2"]).groups == ("2", "10")


def test_wilson_interval() -> None:
    y = np.zeros(10, int)
    report = evaluate_classes(y, [0] * 8 + [1] * 2, ["a", "b"])
    assert report.interval_method == "Wilson"
    assert report.interval == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    assert report.groups == ()


@pytest.mark.parametrize("groups", [[1] * 6, [1, 1, 1, 2, 2, 2]])
def test_groups_that_show_no_spread_fall_back_to_rows(groups: list[int]) -> None:
    report = evaluate_classes([0] * 6, [0] * 6, ["a"], groups)
    assert report.interval_method == "Wilson"
    assert report.interval == pytest.approx((0.6096657, 1.0))


def test_bootstrap_is_wider_when_groups_differ_and_repeats() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(6), 100)
    right = rng.random(600) < np.repeat([0.2, 0.4, 0.6, 0.8, 0.9, 1.0], 100)
    by_group = evaluate_classes(np.ones(600, int), right.astype(int), ["a", "b"], groups)
    by_row = evaluate_classes(np.ones(600, int), right.astype(int), ["a", "b"])
    assert by_group.interval[0] < by_row.interval[0]
    assert by_group.interval[1] > by_row.interval[1]
    again = evaluate_classes(np.ones(600, int), right.astype(int), ["a", "b"], groups)
    assert again.interval == by_group.interval


def test_class_report_as_json_and_table() -> None:
    report = evaluate_classes(TRUE, PREDICTED, ["a", "[red]b", "c"], GROUPS)
    plain = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert plain["n"] == 6
    assert plain["interval"]["confidence"] == 0.95
    assert plain["classes"][2] == {"label": "c", "recall": 0.0, "precision": None, "support": 1}
    assert plain["groups"][1] == {"group": "q", "accuracy": 0.5, "support": 4}
    assert plain["confusion"] == [[2, 1, 0], [0, 2, 0], [0, 1, 0]]
    text = _printed(report.table())
    assert "[red]b" in text
    assert "accuracy 0.667 of 6 rows" in text
    assert "95 %: 0.500 to 1.000 (bootstrap over 2 groups)" in text
    assert "0.500" in _printed(report.group_table())


@pytest.mark.parametrize(
    ("true", "predicted", "groups", "message"),
    [
        ([0, 3], [0, 1], None, "whole numbers from 0 to 2, got int64 from 0 to 3"),
        ([0, 1], [0, -1], None, "whole numbers from 0 to 2, got int64 from -1 to 0"),
        ([0.0, 1.0], [0, 1], None, "whole numbers from 0 to 2, got float64"),
        (["a"], ["a"], None, "whole numbers from 0 to 2, got <U1."),
        ([0, 1], [0], None, "expected as many predictions as true answers"),
        (np.zeros(0, int), np.zeros(0, int), None, "at least one; got shapes"),
        ([0, 1], [0, 1], [1], "expected one group for each of 2 rows"),
    ],
)
def test_class_errors(true: Any, predicted: Any, groups: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        evaluate_classes(true, predicted, ["a", "b", "c"], groups)


def test_values() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=50)
    predicted = true + rng.normal(size=50) / 3
    report = evaluate_values(true, predicted)
    assert report.n == 50
    assert report.r2 == pytest.approx(metrics.r2_score(true, predicted))
    assert report.mae == pytest.approx(metrics.mean_absolute_error(true, predicted))
    assert report.rmse == pytest.approx(metrics.root_mean_squared_error(true, predicted))
    assert "root mean squared error" in _printed(report.table())


def test_values_without_variance() -> None:
    report = evaluate_values([2, 2], [2, 3])
    assert report.to_json() == {
        "n": 2,
        "r2": None,
        "mae": 0.5,
        "rmse": pytest.approx(0.5**0.5),
    }


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        ([1.0], [1.0, 2.0], "expected as many predictions"),
        ([], [], "at least one"),
        ([1.0], [np.nan], "expected finite values"),
    ],
)
def test_value_errors(true: Any, predicted: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        evaluate_values(true, predicted)


@pytest.mark.parametrize("classes", [1, 2, 7, 25, 30])
def test_confusion_matrix_picture(tmp_path: Path, classes: int) -> None:
    path = tmp_path / "matrix.png"
    confusion_matrix(_random(classes), path, "a $title$ " * 12)
    first = path.read_bytes()
    assert first.startswith(b"\x89PNG\r\n\x1a\n")
    assert b"Software" not in first
    width, height = struct.unpack(">II", first[16:24])
    assert 500 < width < 2700
    assert 500 < height < 2700
    confusion_matrix(_random(classes), path, "a $title$ " * 12)
    assert path.read_bytes() == first
    assert [each.name for each in tmp_path.iterdir()] == ["matrix.png"]


def test_confusion_matrix_picture_ignores_the_users_style(tmp_path: Path) -> None:
    import matplotlib

    report = _random(4)
    confusion_matrix(report, tmp_path / "a.png", "title")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        confusion_matrix(report, tmp_path / "b.png", "title")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
