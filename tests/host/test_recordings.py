from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import run
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import wavfile

from wingbeat.errors import DataError, UsageError, WingbeatError
from wingbeat.recordings import class_order, load_recordings, load_signal, load_table, to_int16

FLOWERS = "length,width,label,group\n5.1,3,setosa,a\n6.2,2,virginica,b\n4.9,3,setosa,b\n"


def _text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _array(path: Path, array: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path


def _signal(samples: int, channels: int = 2, dtype: type = np.int16) -> np.ndarray[Any, Any]:
    return np.arange(samples * channels).reshape(samples, channels).astype(dtype)


# Tables


def test_csv_table(tmp_path: Path) -> None:
    table = load_table(_text(tmp_path / "t.csv", FLOWERS))
    assert table.features == ("length", "width")
    assert table.x.tolist() == [[5.1, 3.0], [6.2, 2.0], [4.9, 3.0]]
    assert table.y.tolist() == ["setosa", "virginica", "setosa"]
    assert table.labels == ("setosa", "virginica")
    assert table.groups is not None
    assert table.groups.tolist() == ["a", "b", "b"]


def test_features_and_columns_can_be_named(tmp_path: Path) -> None:
    path = _text(tmp_path / "t.csv", FLOWERS)
    table = load_table(path, label="group", group="label", features=["width", "length"])
    assert table.x[0].tolist() == [3.0, 5.1]
    assert table.labels == ("a", "b")
    assert table.groups is not None
    assert table.groups[1] == "virginica"


def test_table_without_a_group(tmp_path: Path) -> None:
    assert load_table(_text(tmp_path / "t.csv", "a,label\n1,x\n2,y\n")).groups is None


def test_csv_keeps_labels_as_written(tmp_path: Path) -> None:
    path = _text(tmp_path / "t.csv", "a,label\n1,NA\n2,01\n3,None\n4,1\n")
    assert load_table(path).y.tolist() == ["NA", "01", "None", "1"]


def test_csv_with_byte_order_mark_spaces_and_index(tmp_path: Path) -> None:
    text = "\ufeff,a, b ,label\n0,1,2,x\n1,3,4, y\n"
    table = load_table(_text(tmp_path / "t.csv", text))
    assert table.features == ("a", "b")
    assert table.x.dtype == np.int64
    assert table.labels == ("x", "y")


@pytest.mark.parametrize("index", [True, False])
def test_parquet_table_keeps_dtype(tmp_path: Path, index: bool) -> None:
    frame = pd.DataFrame(
        {
            "a": np.array([1, 2, 3], np.int16),
            "b": np.array([4, 5, 6], np.int16),
            "label": pd.Categorical(["up", "down", "up"]),
        }
    )
    frame.to_parquet(tmp_path / "t.parquet", index=index)
    table = load_table(tmp_path / "t.parquet")
    assert table.x.dtype == np.int16
    assert table.x.tolist() == [[1, 4], [2, 5], [3, 6]]
    assert table.y.tolist() == ["up", "down", "up"]


def test_parquet_with_nullable_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": pd.array([1, 2], dtype="Int8"), "label": [True, False]})
    frame.to_parquet(tmp_path / "t.parquet")
    table = load_table(tmp_path / "t.parquet")
    assert table.x.dtype == np.int8
    assert table.labels == ("False", "True")


def test_npz_table(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "t.npz",
        x=np.eye(3, dtype=np.float32),
        y=[2, 0, 2],
        group=[7, 7, 8],
        features=["p", "q", "r"],
        labels=["zero", "one", "two"],
    )
    table = load_table(tmp_path / "t.npz")
    assert table.x.dtype == np.float32
    assert table.y.tolist() == ["two", "zero", "two"]
    assert table.labels == ("zero", "two")
    assert table.groups is not None
    assert table.groups.tolist() == ["7", "7", "8"]
    assert load_table(tmp_path / "t.npz", features=["r"]).x.tolist() == [[0], [0], [1]]


def test_structured_npy_table(tmp_path: Path) -> None:
    rows = np.array([(1.5, "x"), (2.5, "y")], dtype=[("a", "f4"), ("label", "U3")])
    table = load_table(_array(tmp_path / "t.npy", rows))
    assert table.features == ("a",)
    assert table.x.dtype == np.float32
    assert table.labels == ("x", "y")


@pytest.mark.parametrize("label", ["2", "-1"])
def test_plain_npy_table_numbers_its_columns(tmp_path: Path, label: str) -> None:
    rows = np.array([[1.0, 2.0, 0.0], [3.0, 4.0, 1.0]])
    table = load_table(_array(tmp_path / "t.npy", rows), label=label)
    assert table.features == ("0", "1")
    assert table.y.tolist() == ["0", "1"]


def test_values_are_told_from_classes(tmp_path: Path) -> None:
    fractions = _text(tmp_path / "v.csv", "a,label\n1,0.5\n2,3\n")
    assert load_table(fractions).y.tolist() == [0.5, 3.0]
    assert load_table(fractions).labels == ()
    assert load_table(fractions, target="classes").labels == ("0.5", "3")
    whole = _text(tmp_path / "w.csv", "a,label\n1,151\n2,75\n")
    assert load_table(whole).labels == ("75", "151")
    assert load_table(whole, target="values").y.tolist() == [151.0, 75.0]


# Recordings


def test_folder_of_labels(tmp_path: Path) -> None:
    _array(tmp_path / "walk" / "ann_1.npy", _signal(5))
    _array(tmp_path / "rest" / "bob_1.npy", _signal(3))
    _array(tmp_path / "walk" / "deep" / "bob_2.npy", _signal(4))
    _text(tmp_path / "README.md", "not data")
    _text(tmp_path / ".cache" / "x.csv", "not data")
    found = load_recordings(tmp_path)
    assert [item.source for item in found.items] == [
        "rest/bob_1.npy",
        "walk/ann_1.npy",
        "walk/deep/bob_2.npy",
    ]
    assert [item.label for item in found.items] == ["rest", "walk", "walk"]
    assert [item.group for item in found.items] == [item.source for item in found.items]
    assert found.items[1].data.dtype == np.int16
    assert found.channels == ("channel_0", "channel_1")
    assert found.labels == ("rest", "walk")
    assert found.rate is None


def test_patterns_over_the_path(tmp_path: Path) -> None:
    for name in ("p1/walk_1.npy", "p2/walk_2.npy", "p2/rest_1.npy"):
        _array(tmp_path / name, _signal(4))
    found = load_recordings(tmp_path, group_pattern="^p[0-9]", label_pattern=r"/(\w+)_")
    assert [(item.label, item.group) for item in found.items] == [
        ("walk", "p1"),
        ("rest", "p2"),
        ("walk", "p2"),
    ]


def test_folder_of_csv_reorders_columns_and_leaves_time_out(tmp_path: Path) -> None:
    _text(tmp_path / "a" / "1.csv", "time,x,y\n0,1,2\n1,3,4\n")
    _text(tmp_path / "b" / "1.csv", "y,x,Time\n20,10,0\n")
    found = load_recordings(tmp_path)
    assert found.channels == ("x", "y")
    assert found.items[1].data.tolist() == [[10, 20]]
    assert load_recordings(tmp_path, channels=["y"]).items[0].data.tolist() == [[2], [4]]


def test_label_column_wins_over_the_folder(tmp_path: Path) -> None:
    _text(tmp_path / "ann" / "1.csv", "x,label,group\n1,walk,g\n2,walk,g\n3,rest,g\n")
    found = load_recordings(tmp_path)
    assert [(item.label, item.group, item.source) for item in found.items] == [
        ("walk", "g", "ann/1.csv#0"),
        ("rest", "g", "ann/1.csv#1"),
    ]


def test_one_table_splits_where_the_recording_changes(tmp_path: Path) -> None:
    rows = ["x,file,group,label"]
    rows += ["1,r1,a,walk", "10,r2,a,walk", "2,r1,a,walk", "100,r1,b,rest", "3,r1,a,rest"]
    found = load_recordings(_text(tmp_path / "t.csv", "\n".join(rows) + "\n"))
    assert [
        (item.data.ravel().tolist(), item.label, item.group, item.source) for item in found.items
    ] == [
        ([1, 2], "walk", "a", "t.csv#r1"),
        ([3], "rest", "a", "t.csv#r1.2"),
        ([10], "walk", "a", "t.csv#r2"),
        ([100], "rest", "b", "t.csv#r1"),
    ]


def test_one_table_without_recordings_splits_by_label_and_group(tmp_path: Path) -> None:
    text = "x,label,group\n1,a,g\n2,a,g\n3,b,g\n4,b,h\n5,a,h\n"
    found = load_recordings(_text(tmp_path / "t.csv", text))
    assert [item.data.ravel().tolist() for item in found.items] == [[1, 2], [3], [4], [5]]
    assert [item.group for item in found.items] == ["g", "g", "h", "h"]


def test_npz_of_equal_recordings(tmp_path: Path) -> None:
    x = np.arange(12, dtype=np.int16).reshape(3, 2, 2)
    np.savez(
        tmp_path / "r.npz", x=x, y=[1, 0, 1], group=["p", "q", "q"], labels=["z", "a"],
        channels=["ax", "ay"], rate=50,
    )  # fmt: skip
    found = load_recordings(tmp_path / "r.npz")
    assert [item.data.tolist() for item in found.items] == x.tolist()
    assert [item.label for item in found.items] == ["a", "z", "a"]
    assert [item.group for item in found.items] == ["p", "q", "q"]
    assert found.labels == ("z", "a")
    assert found.channels == ("ax", "ay")
    assert found.rate == 50.0
    assert found.items[0].data.dtype == np.int16
    assert load_recordings(tmp_path / "r.npz", rate=26).rate == 26.0


def test_npz_without_groups_makes_each_recording_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "r.npz", x=np.zeros((3, 2, 1)), y=["b", "a", "a"])
    assert [item.group for item in load_recordings(tmp_path / "r.npz").items] == ["0", "1", "2"]


@pytest.mark.parametrize("per_sample", [True, False])
def test_npz_of_joined_recordings(tmp_path: Path, per_sample: bool) -> None:
    recording = np.array([0, 0, 0, 1, 2, 2])
    y, group = np.array(["a", "b", "a"]), np.array([5, 6, 6])
    if per_sample:
        y, group = y[recording], group[recording]
    np.savez(tmp_path / "r.npz", x=_signal(6), recording=recording, y=y, group=group)
    found = load_recordings(tmp_path / "r.npz")
    assert [len(item.data) for item in found.items] == [3, 1, 2]
    assert [item.label for item in found.items] == ["a", "b", "a"]
    assert [item.group for item in found.items] == ["5", "6", "6"]


def test_npz_files_in_a_folder(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        np.savez(tmp_path / label / "1.npz", x=_signal(4), channels=["u", "v"], rate=8000)
    found = load_recordings(tmp_path)
    assert (found.labels, found.rate, found.channels) == (("a", "b"), 8000.0, ("u", "v"))


def test_one_axis_is_one_channel(tmp_path: Path) -> None:
    _array(tmp_path / "a" / "1.npy", np.arange(4))
    _array(tmp_path / "b" / "1.npy", np.arange(4))
    assert load_recordings(tmp_path).items[0].data.shape == (4, 1)


def test_guide_examples(tmp_path: Path) -> None:
    """The blocks of docs/data.md that name a file load as it says."""
    guide = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^`([\w/]+\.csv)`:\n\n```csv\n(.*?)```", guide, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in blocks] == ["flowers.csv", "day.csv"]
    for name, text in blocks:
        _text(tmp_path / name, text)
    assert load_table(tmp_path / "flowers.csv").features == ("length", "width")
    found = load_recordings(tmp_path / "day.csv")
    assert [(len(item.data), item.label, item.group) for item in found.items] == [
        (3, "walk", "ann"),
        (2, "rest", "ann"),
        (2, "walk", "bob"),
    ]
    code = re.findall(r"^```python\n(.*?)```", guide, re.MULTILINE | re.DOTALL)
    assert len(code) == 5
    (tmp_path / "data" / "walk").mkdir(parents=True)
    for block in code:
        run(
            [sys.executable, "-c", block],
            cwd=tmp_path,
            check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    assert load_table(tmp_path / "digits.npz").x.shape == (1797, 64)
    assert load_recordings(tmp_path / "equal.npz").labels == ("rest", "walk")
    assert [len(item.data) for item in load_recordings(tmp_path / "joined.npz").items] == [120, 300]


# Errors

Case = tuple[Callable[[Path], object], type[WingbeatError], str]


def _npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def _wav(path: Path, samples: Any) -> Path:
    wavfile.write(path, 8000, samples)
    return path


def _two(folder: Path, first: Any, second: Any) -> Path:
    _array(folder / "a" / "1.npy", first)
    _array(folder / "b" / "2.npy", second)
    return folder


def _parquet_with_time(path: Path) -> Path:
    pd.DataFrame({"when": pd.to_datetime(["2024-01-01"] * 2), "label": ["a", "b"]}).to_parquet(path)
    return path


CASES: dict[str, Case] = {
    "missing": (
        lambda d: load_table(d / "no.csv"),
        DataError,
        "no.csv: expected a file or a folder, found neither",
    ),
    "empty folder": (
        load_recordings,
        DataError,
        "expected files that end in .csv, .parquet, .npz, .npy, .wav in this folder or below, "
        "found no files. Put recordings there as LABEL/name.npy; pictures are for --pipeline "
        "image.",
    ),
    "folder of other files": (
        lambda d: load_recordings(_text(d / "a" / "1.mp3", "").parent.parent),
        DataError,
        "found only .mp3.",
    ),
    "unknown extension": (
        lambda d: load_table(_text(d / "t.xlsx", "")),
        DataError,
        "t.xlsx: expected a file that ends in .csv, .parquet, .npz, .npy, .wav, got '.xlsx'",
    ),
    "no extension": (
        lambda d: load_table(_text(d / "t", "")),
        DataError,
        "got no extension",
    ),
    "table from a folder": (load_table, DataError, "expected one table file"),
    "no label, close match": (
        lambda d: load_table(_text(d / "t.csv", "a,Labels\n1,x\n")),
        DataError,
        "t.csv: expected a label column 'label', found a, Labels. Did you mean 'Labels'? "
        "Name the right one with --label.",
    ),
    "no label, usual name": (
        lambda d: load_recordings(_text(d / "t.csv", "a,Target\n1,x\n")),
        DataError,
        "Did you mean 'Target'?",
    ),
    "named label is missing": (
        lambda d: load_recordings(
            _text(d / "x" / "t.csv", "a,b\n1,2\n").parent.parent, label="kind"
        ),
        DataError,
        "x/t.csv: expected a label column 'kind', found a, b.",
    ),
    "no header": (
        lambda d: load_table(_text(d / "t.csv", "0.1,0.7,walk\n0.2,0.3,rest\n")),
        DataError,
        "The first row must hold the names of the columns",
    ),
    "header of numbers": (
        lambda d: load_recordings(_text(d / "a" / "t.csv", "0.1,0.7\n1,2\n").parent.parent),
        DataError,
        "a/t.csv: expected a first row with the names of the columns, got numbers: 0.1, 0.7.",
    ),
    "no group": (
        lambda d: load_table(_text(d / "t.csv", FLOWERS), group="grup"),
        DataError,
        "t.csv: expected a group column 'grup', found length, width, label, group. "
        "Did you mean 'group'? Name the right one with --group.",
    ),
    "no group in a plain recording": (
        lambda d: load_recordings(_two(d, _signal(2), _signal(2)), group="person"),
        DataError,
        "expected a group column 'person', found channel_0, channel_1. "
        "Name the right one with --group-pattern.",
    ),
    "no feature": (
        lambda d: load_table(_text(d / "t.csv", FLOWERS), features=["lenght"]),
        DataError,
        "expected a feature column 'lenght', found length, width, label, group. "
        "Did you mean 'length'? Name the right one with --features.",
    ),
    "no channel": (
        lambda d: load_recordings(_npz(d / "t.npz", x=_signal(2), y=[0, 1]), channels=["ax"]),
        DataError,
        "expected a channel column 'ax', found channel_0, channel_1.",
    ),
    "label as feature": (
        lambda d: load_table(_text(d / "t.csv", FLOWERS), features=["label", "width"]),
        UsageError,
        "expected --features without the label column 'label'",
    ),
    "feature twice": (
        lambda d: load_table(_text(d / "t.csv", FLOWERS), features=["width", "width"]),
        UsageError,
        "expected column names, each once, got width, width.",
    ),
    "only a label": (
        lambda d: load_table(_text(d / "t.csv", "label\na\nb\n")),
        DataError,
        "expected columns of numbers besides group, label, found label.",
    ),
    "empty cell": (
        lambda d: load_table(_text(d / "t.csv", "a,b,label\n1,2,x\n,2,y\n3,2,x\nnan,4,y\n")),
        DataError,
        "t.csv: expected a finite number in every cell of column 'a', got empty, NaN or infinite "
        "cells in rows 2, 4. Drop those rows or fill them in.",
    ),
    "text in a feature": (
        lambda d: load_table(_text(d / "t.csv", "a,label\n1,x\nten,y\n,x\n")),
        DataError,
        "t.csv: expected numbers in column 'a', got text such as 'ten' in row 2.",
    ),
    "many rows": (
        lambda d: load_table(_text(d / "t.csv", "a,label\n" + "x,y\n" * 15)),
        DataError,
        "in rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 5 more.",
    ),
    "dates": (
        lambda d: load_table(_parquet_with_time(d / "t.parquet")),
        DataError,
        "expected numbers in column 'when', got text such as '2024-01-01 00:00:00' in rows 1, 2",
    ),
    "NaN in a recording": (
        lambda d: load_recordings(_two(d, _signal(2), np.array([[0.0, 1.0], [2.0, np.nan]]))),
        DataError,
        "b/2.npy: expected a finite number in every cell of column 'channel_1', got empty, NaN or "
        "infinite cells in row 2.",
    ),
    "complex numbers": (
        lambda d: load_recordings(_two(d, _signal(2), np.zeros((2, 2), complex))),
        DataError,
        "expected numbers in column 'channel_0', got complex128.",
    ),
    "empty label": (
        lambda d: load_table(_text(d / "t.csv", "a,label\n1,x\n2,\n3,y\n")),
        DataError,
        "t.csv: expected a label in every row, got empty cells in row 2.",
    ),
    "one class": (
        lambda d: load_table(_text(d / "t.csv", "a,label\n1,x\n2,x\n")),
        DataError,
        "expected at least two classes, every label is 'x'. Record a second class",
    ),
    "one class of recordings": (
        lambda d: load_recordings(_array(d / "a" / "1.npy", _signal(2)).parent.parent),
        DataError,
        "expected at least two classes, every label is 'a'.",
    ),
    "channel counts": (
        lambda d: load_recordings(_two(d, _signal(2, 3), _signal(2, 2))),
        DataError,
        "b/2.npy: expected 3 channels as in a/1.npy, got 2.",
    ),
    "channel names": (
        lambda d: load_recordings(
            (_text(d / "a" / "1.csv", "x,y\n1,2\n"), _text(d / "b" / "1.csv", "x,z\n1,2\n"), d)[2]
        ),
        DataError,
        "b/1.csv: expected the channels of a/1.csv, x, y; got x, z.",
    ),
    "object array": (
        lambda d: load_recordings(_two(d, np.array([[1], None], object), _signal(2))),
        DataError,
        "a/1.npy: expected an array of numbers or text, got Python objects, which are never loaded",
    ),
    "object array in an archive": (
        lambda d: load_table(_npz(d / "t.npz", x=np.array([[None]]), y=[1])),
        DataError,
        "t.npz, array 'x': expected an array of numbers or text, got Python objects",
    ),
    "damaged npy": (
        lambda d: load_table(_text(d / "t.npy", "hello")),
        DataError,
        "t.npy: expected a NumPy file, this one is damaged or something else.",
    ),
    "damaged npz": (
        lambda d: load_table(_text(d / "t.npz", "PK\x03\x04")),
        DataError,
        "t.npz: expected a NumPy file, this one is damaged",
    ),
    "damaged parquet": (
        lambda d: load_table(_text(d / "t.parquet", "hello")),
        DataError,
        "t.parquet: expected a Parquet file. Reading it failed:",
    ),
    "empty csv": (
        lambda d: load_table(_text(d / "t.csv", "")),
        DataError,
        "t.csv: expected comma-separated UTF-8 text with a header row.",
    ),
    "csv that is not text": (
        lambda d: load_table((d / "t.csv", (d / "t.csv").write_bytes(b"a,\xff\n1,2\n"))[0]),
        DataError,
        "t.csv: expected comma-separated UTF-8 text",
    ),
    "ragged csv": (
        lambda d: load_table(_text(d / "t.csv", "a,label\n1,x,9\n2,y,9\n")),
        DataError,
        "t.csv: expected comma-separated UTF-8 text",
    ),
    "semicolons": (
        lambda d: load_table(_text(d / "t.csv", "a;label\n1;x\n")),
        DataError,
        "expected columns separated by commas, the header seems to use ';': 'a;label'.",
    ),
    "no rows": (
        lambda d: load_table(_text(d / "t.csv", "a,label\n")),
        DataError,
        "t.csv: expected at least one row of data, got none.",
    ),
    "no rows of recordings": (
        lambda d: load_recordings(_text(d / "t.csv", "a,label\n")),
        DataError,
        "expected recordings, got none",
    ),
    "empty recording": (
        lambda d: load_recordings(_two(d, _signal(2), _signal(0))),
        DataError,
        "b/2.npy: expected a recording with at least one sample, it is empty.",
    ),
    "empty recordings in npz": (
        lambda d: load_recordings(_npz(d / "t.npz", x=np.zeros((2, 0, 3)), y=[0, 1])),
        DataError,
        "t.npz: expected a recording with at least one sample",
    ),
    "no channels": (
        lambda d: load_recordings(_two(d, _signal(2, 0), _signal(2, 0))),
        DataError,
        "expected at least one channel or feature, x is (2, 0).",
    ),
    "three axes in a folder": (
        lambda d: load_recordings(_two(d, np.zeros((2, 2, 2)), _signal(2))),
        DataError,
        "a/1.npy: expected one recording [time, channels], got an array of shape (2, 2, 2).",
    ),
    "three axes as a table": (
        lambda d: load_table(_npz(d / "t.npz", x=np.zeros((2, 2, 2)), y=[0, 1])),
        DataError,
        "expected x as [rows, features], got (2, 2, 2)",
    ),
    "one axis as a table": (
        lambda d: load_table(_array(d / "t.npy", np.zeros(3))),
        DataError,
        "expected a table [rows, columns], got an array of shape (3,).",
    ),
    "plain npy without a label": (
        lambda d: load_table(_array(d / "t.npy", np.zeros((3, 3)))),
        DataError,
        "numbers its columns 0 to 2 and has no 'label'. Give --label 2 if it is the last one.",
    ),
    "one plain npy of a recording": (
        lambda d: load_recordings(_array(d / "t.npy", _signal(3))),
        DataError,
        "t.npy: expected a label column 'label'",
    ),
    "npz without x": (
        lambda d: load_table(_npz(d / "t.npz", data=[1])),
        DataError,
        "t.npz: expected an array named 'x', found data.",
    ),
    "npz without y": (
        lambda d: load_table(_npz(d / "t.npz", x=_signal(2), group=[1, 2])),
        DataError,
        "t.npz: expected a label column 'y', found group.",
    ),
    "npz of differing lengths": (
        lambda d: load_table(_npz(d / "t.npz", x=_signal(2), y=[1, 2, 3])),
        DataError,
        "t.npz: expected 'y' to have one entry for each of the 2 rows of x, got shape (3,).",
    ),
    "npz of differing recordings": (
        lambda d: load_recordings(_npz(d / "t.npz", x=np.zeros((2, 3, 1)), y=[1, 2, 3])),
        DataError,
        "expected 'y' to have one entry for each of the 2 recordings of x (2, 3, 1)",
    ),
    "npz without an index": (
        lambda d: load_recordings(_npz(d / "t.npz", x=_signal(4), y=[1, 2])),
        DataError,
        "x of 4 samples has 2 entries of 'y'; expected one per sample, or an array 'recording'",
    ),
    "npz with a wrong index": (
        lambda d: load_recordings(
            _npz(d / "t.npz", x=_signal(4), y=[1, 2], recording=[1, 1, 2, 2])
        ),
        DataError,
        "expected 'recording' to hold indexes into the 2 entries of 'y', from 0 to 1.",
    ),
    "npz with a short index": (
        lambda d: load_recordings(_npz(d / "t.npz", x=_signal(4), y=[1, 2], recording=[0, 1])),
        DataError,
        "expected 'recording' to hold one number for each of the 4 samples of x, got shape (2,).",
    ),
    "npz with too few labels": (
        lambda d: load_table(_npz(d / "t.npz", x=_signal(2), y=[0, 2], labels=["a", "b"])),
        DataError,
        "expected labels from 0 to 1, since 'labels' names 2 classes; got 2.",
    ),
    "npz with too few channels": (
        lambda d: load_recordings(_npz(d / "t.npz", x=_signal(2), y=[0, 1], channels=["ax"])),
        DataError,
        "expected 2 channel names, one for each, got 1: ax.",
    ),
    "npz with a bad rate": (
        lambda d: load_recordings(_npz(d / "t.npz", x=_signal(2), y=[0, 1], rate=0)),
        DataError,
        "expected 'rate' to be samples per second above 0, got 0.",
    ),
    "flat folder": (
        lambda d: load_recordings(_array(d / "walk_1.npy", _signal(2)).parent),
        DataError,
        "walk_1.npy: expected a label for it, found no column 'label' and no folder. "
        "Move it to LABEL/walk_1.npy, name its column with --label, or give --label-pattern.",
    ),
    "pattern finds nothing": (
        lambda d: load_recordings(_two(d, _signal(2), _signal(2)), group_pattern="p[0-9]"),
        DataError,
        "a/1.npy: expected --group-pattern 'p[0-9]' to find something in every path",
    ),
    "pattern is wrong": (
        lambda d: load_recordings(d, group_pattern="("),
        UsageError,
        "expected a regular expression for --group-pattern, got '('",
    ),
    "pattern for one file": (
        lambda d: load_recordings(_text(d / "t.csv", FLOWERS), group_pattern="a"),
        UsageError,
        "expected a folder with --group-pattern or --label-pattern",
    ),
    "pattern and column": (
        lambda d: load_recordings(d, group="a", group_pattern="a"),
        UsageError,
        "expected one of --group and --group-pattern, got both",
    ),
    "wav of floats as loud as int16": (
        lambda d: load_signal(_wav(d / "a.wav", np.sin(np.arange(200.0)) * 20000)),
        DataError,
        "a.wav: expected samples from -1 to 1, as .wav files of floating point have them; of 100% "
        "of these the size is more, up to 19999.8: save it as 16-bit PCM.",
    ),
    "wav with NaN": (
        lambda d: load_signal(_wav(d / "a.wav", np.array([0.5, np.nan, np.inf, 0.0]))),
        DataError,
        "a.wav: expected finite samples, got 2 that are NaN or infinite",
    ),
    "channels of one name": (
        lambda d: load_recordings(
            _npz(d / "r.npz", x=np.zeros((2, 9, 2)), y=["a", "b"], channels=["x", "x"])
        ),
        DataError,
        "r.npz: expected names of the columns of x, each once, got x, x.",
    ),
    "joined recordings without samples": (
        lambda d: load_recordings(
            _npz(d / "r.npz", x=np.zeros((0, 2)), y=["a", "b"], recording=np.zeros(0, int))
        ),
        DataError,
        "r.npz: expected recordings, got none: the file has no rows.",
    ),
    "bad rate": (
        lambda d: load_recordings(_two(d, _signal(2), _signal(2)), rate=-1),
        UsageError,
        "expected a rate in samples per second above 0, got -1.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_errors_say_what_was_expected(case: str, tmp_path: Path) -> None:
    call, kind, message = CASES[case]
    with pytest.raises(kind, match=re.escape(message)) as caught:
        call(tmp_path)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("ending", ["csv", "npy", "npz", "parquet", "wav"])
def test_damaged_files_are_an_error_or_read(ending: str, tmp_path: Path) -> None:
    """Whatever the readers raise: their users get an error that names the file."""
    x, path = _signal(300), tmp_path / f"day.{ending}"
    frame = pd.DataFrame({"u": x[:, 0], "v": x[:, 1], "label": ["a", "b"] * 150})
    write: dict[str, Callable[[], object]] = {
        "csv": lambda: frame.to_csv(path, index=False),
        "npy": lambda: _array(path, x),
        "npz": lambda: _npz(path, x=x, y=frame["label"].to_numpy(str)),
        "parquet": lambda: frame.to_parquet(path),
        "wav": lambda: _wav(path, x),
    }
    write[ending]()
    good, rng = path.read_bytes(), np.random.default_rng(1)
    errors: list[str] = []
    for number in range(300):
        damaged = bytearray(good)
        for at in rng.integers(0, min(len(good), 3000), rng.integers(1, 4)):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged[: rng.integers(len(good))] if number % 5 == 0 else damaged)
        try:
            load_signal(path)
        except DataError as error:
            errors.append(str(error))
    assert 20 < len(errors) < 300
    assert all(path.name in error for error in errors)


def test_differing_rates(tmp_path: Path) -> None:
    for label, rate in (("a", 50), ("b", 100)):
        (tmp_path / label).mkdir()
        np.savez(tmp_path / label / "1.npz", x=_signal(2), rate=rate)
    message = "expected one sampling rate, got 50 (a/1.npz), 100 (b/1.npz) samples per second."
    with pytest.raises(DataError, match=re.escape(message)):
        load_recordings(tmp_path)


@pytest.mark.parametrize(
    ("extension", "command"),
    [("csv", "pip install pandas"), ("parquet", "pip install pandas pyarrow")],
)
def test_missing_package_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extension: str, command: str
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    path = _text(tmp_path / f"t.{extension}", FLOWERS)
    message = f"reading t.{extension} needs the package pandas, which is not installed here."
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        load_table(path)
    assert str(caught.value).endswith(command)


# Helpers


def test_class_order_is_by_value_for_whole_numbers() -> None:
    assert class_order(["10", "2", "2", "-1"]) == ("-1", "2", "10")
    assert class_order(["10", "2", "x"]) == ("10", "2", "x")


def test_to_int16_rounds_half_to_even_and_saturates() -> None:
    found = to_int16([0.5, 1.5, -0.5, -2.5, 40000.0, -40000.0], 1)
    assert found.dtype == np.int16
    assert found.tolist() == [0, 2, 0, -2, 32767, -32768]


def test_to_int16_takes_a_scale_per_channel() -> None:
    assert to_int16([[1.0, 1.0], [2.0, 2.0]], [0.5, 0.25]).tolist() == [[2, 4], [4, 8]]


@given(st.lists(st.integers(-32768, 32767), min_size=1), st.integers(0, 20))
def test_to_int16_gives_steps_back(steps: list[int], power: int) -> None:
    scale = 2.0**-power
    assert to_int16(np.array(steps) * scale, scale).tolist() == steps


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_to_int16_refuses_what_is_not_finite(bad: float) -> None:
    with pytest.raises(DataError, match="got 1 that are NaN or infinite"):
        to_int16([0.0, bad], 1)


@pytest.mark.parametrize("scale", [0, -1.0, np.nan, np.inf, [1.0, 0.0]])
def test_to_int16_refuses_a_scale_that_is_not_positive(scale: Any) -> None:
    with pytest.raises(UsageError, match="expected scales above 0"):
        to_int16([[0.0, 1.0]], scale)


def test_to_int16_refuses_a_wrong_count_of_scales() -> None:
    with pytest.raises(UsageError, match="got 3 scales"):
        to_int16([[0.0, 1.0]], [1, 1, 1])


def test_one_long_signal_keeps_its_order(tmp_path: Path) -> None:
    """Whatever happens in it, and whoever it is of."""
    lines = ["time,x,y,label,file", "0,1,2,a,p", "1,3,4,b,q", "2,5,6,a,p"]
    (tmp_path / "s.csv").write_text("\n".join(lines) + "\n")
    signal = load_signal(tmp_path / "s.csv")
    assert signal.data.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert signal.channels == ("x", "y")
    assert signal.labels is not None
    assert signal.labels.tolist() == ["a", "b", "a"]
    assert signal.rate is None
    only = load_signal(tmp_path / "s.csv", label="file", channels=["y"])
    assert only.data.tolist() == [[2], [4], [6]]
    assert only.labels is not None
    assert only.labels.tolist() == ["p", "q", "p"]
    np.savez(tmp_path / "s.npz", x=np.zeros((4, 1)), rate=25.0)
    unlabelled = load_signal(tmp_path / "s.npz")
    assert (unlabelled.rate, unlabelled.labels) == (25.0, None)
    with pytest.raises(DataError, match="is a folder: expected one recording"):
        load_signal(tmp_path)
