from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits, load_wine

from wingbeat import Program
from wingbeat.errors import DataError, UsageError
from wingbeat.evaluate import ClassReport, ValueReport
from wingbeat.recordings import Recording, Recordings, Table, class_order
from wingbeat.train import (
    KINDS,
    ForestOptions,
    Trained,
    cut_int16,
    fit_forest,
    train_recordings,
    train_table,
)
from wingbeat.windows import cut

STEP = 16 / 32768


def _recordings(people: int = 6, scale: float = STEP, seed: int = 5) -> Recordings:
    """Two movements that differ in how strong and how fast they are, a little by person."""
    draw = np.random.default_rng(seed)
    items = []
    for person in range(people):
        for label, strength, rate in (("slow", 1.0, 1.0), ("fast", 2.5, 3.0), ("rest", 0.05, 0.3)):
            time = np.arange(400) / 50
            speed = rate * (1 + 0.2 * draw.standard_normal())
            wave = strength * np.sin(2 * np.pi * speed * time)
            data = np.stack([wave, wave**2], axis=1) + 0.1 * draw.standard_normal((400, 2))
            values = np.rint(data / STEP) * scale
            items.append(Recording(values, label, f"person {person}", f"{person}/{label}"))
    return Recordings(tuple(items), ("ax", "ay"), 50.0, class_order(i.label for i in items))


def _table(x: Any, y: Any, groups: Any = None, *, values: bool = False) -> Table:
    x = np.asarray(x)
    names = tuple(f"f{column}" for column in range(x.shape[1]))
    owners = None if groups is None else np.asarray(groups, np.str_)
    if values:
        return Table(x, np.asarray(y, np.float64), owners, names, ())
    labels = np.asarray(y, np.str_)
    return Table(x, labels, owners, names, class_order(labels.tolist()))


def _digits() -> Table:
    x, y = load_digits(return_X_y=True)
    return _table(x, y)


def _train(recordings: Recordings, **changes: Any) -> Trained:
    options: dict[str, Any] = {"name": "moves", "window": 100, "hop": 50, "scale": STEP} | changes
    return train_recordings(recordings, **options)


def test_recordings_to_program() -> None:
    recordings = _recordings()
    found = _train(recordings)
    program = found.program
    assert str(program.input) == "int16[100, 2]"
    assert program.name == "moves"
    assert program.labels == ("fast", "rest", "slow")
    assert program.calls[0].operator.KERNEL == "window_stats"
    assert found.test_x.dtype == np.int16
    assert found.test_x.shape == (len(found.test_y), 100, 2)
    assert isinstance(found.report, ClassReport)
    assert found.report.accuracy > 0.9
    assert found.report.accuracy == np.mean(program.predict(found.test_x) == found.test_y)
    assert found.train_rows + len(found.test_y) == 6 * 3 * 7
    assert found.skipped == 0


def test_no_group_is_on_both_sides() -> None:
    recordings = _recordings()
    found = _train(recordings)
    assert found.test_groups is not None
    held_out = set(found.test_groups.tolist())
    assert len(held_out) == 2
    assert found.program.meta["training"]["groups_held_out"] == sorted(held_out)
    windows = cut_int16(recordings, 100, 50, STEP)[0]
    kept = ~np.isin(windows.groups, list(held_out))
    assert found.train_rows == kept.sum()
    # The windows to test on are those of the groups held out, every one of them.
    assert np.array_equal(found.test_x, windows.x[~kept])
    assert np.array_equal(found.test_y, windows.y[~kept])


def test_training_does_not_see_the_groups_held_out() -> None:
    recordings = _recordings()
    first = _train(recordings)
    assert first.test_groups is not None
    held_out = set(first.test_groups.tolist())
    spoiled = tuple(
        replace(item, data=-item.data) if item.group in held_out else item
        for item in recordings.items
    )
    second = _train(replace(recordings, items=spoiled))
    features = np.random.default_rng(1).integers(-20000, 20000, (300, 14)).astype(np.float32)
    assert np.array_equal(
        first.estimator.predict_proba(features), second.estimator.predict_proba(features)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_the_same_bytes(kind: str) -> None:
    options = ForestOptions(kind=kind, trees=4)
    first, again = (_train(_recordings(), options=options) for _ in range(2))
    assert first.program.encode() == again.program.encode()
    assert dict(first.program.meta) == dict(again.program.meta)
    table, same = (train_table(_digits(), name="digits", options=options) for _ in range(2))
    assert table.program.encode() == same.program.encode()


def test_another_seed_gives_another_forest_and_split() -> None:
    first, second = (train_table(_digits(), name="digits", seed=seed) for seed in (1, 2))
    assert first.program.hash != second.program.hash
    assert not np.array_equal(first.test_x, second.test_x)


def test_progress_tells_what_is_done() -> None:
    told: list[str] = []
    found = _train(_recordings(), progress=told.append)
    assert told == [
        "cutting windows",
        "computing statistics",
        f"training on {found.train_rows} rows",
        "converting",
        f"testing on {len(found.test_y)} rows",
    ]


def test_scale_per_channel_equals_raw_steps() -> None:
    raw = _recordings(scale=1.0)
    scaled = replace(
        raw,
        items=tuple(replace(i, data=i.data * np.array([0.5, 0.25])) for i in raw.items),
    )
    assert np.array_equal(_train(raw, scale=1.0).test_x, _train(scaled, scale=[0.5, 0.25]).test_x)


def test_windows_of_int16_recordings_are_the_samples() -> None:
    raw = _recordings(scale=1.0)
    items = tuple(replace(i, data=i.data.astype(np.int16)) for i in raw.items)
    raw = replace(raw, items=items)
    windows, clipped = cut_int16(raw, 100, 30)
    assert clipped == 0
    assert np.array_equal(windows.x, cut(raw, 100, 30).x)


def test_clipped_samples_are_counted_and_told() -> None:
    recordings = _recordings(scale=1.0)
    beyond = np.concatenate([recordings.items[0].data, [[32768.0, -32768.6], [32767.4, -32768.0]]])
    items = (replace(recordings.items[0], data=beyond), *recordings.items[1:])
    told: list[str] = []
    found = _train(replace(recordings, items=items), scale=1.0, progress=told.append)
    assert "2 samples are beyond int16 at this scale and were clipped" in told
    assert found.program.meta["training"]["clipped_samples"] == 2


def test_forgotten_scale_is_refused() -> None:
    with pytest.raises(DataError, match=re.escape("steps at scale 1.0, and rounding would lose")):
        _train(_recordings(), scale=1.0)


def test_small_whole_numbers_need_no_scale() -> None:
    raw = _recordings(scale=1.0)
    items = tuple(replace(i, data=np.clip(np.rint(i.data / 256), -100, 100)) for i in raw.items)
    assert cut_int16(replace(raw, items=items), 100, 50)[1] == 0


@pytest.mark.parametrize("statistics", [("mean",), ("std", "mean_crossings")])
def test_chosen_statistics(statistics: tuple[str, ...]) -> None:
    found = _train(_recordings(), statistics=statistics)
    expected = [f"{channel}_{name}" for channel in ("ax", "ay") for name in statistics]
    assert found.program.meta["training"]["features"] == expected
    assert found.estimator.n_features_in_ == len(expected)


def test_short_recordings_are_skipped_and_counted() -> None:
    recordings = _recordings()
    short = replace(recordings.items[0], data=recordings.items[0].data[:99])
    found = _train(replace(recordings, items=(*recordings.items, short, short)))
    assert found.skipped == 2


def test_meta_survives_the_file(tmp_path: Path) -> None:
    found = _train(_recordings(), seed=3, options=ForestOptions(trees=5, max_depth=4))
    found.program.save(tmp_path / "moves.wbp")
    facts = Program.load(tmp_path / "moves.wbp").meta["training"]
    assert facts == json.loads(json.dumps(found.program.meta["training"]))
    assert facts["seed"] == 3
    assert facts["split"] == "groups"
    assert (facts["window"], facts["hop"], facts["rate"]) == (100, 50, 50.0)
    assert facts["channels"] == ["ax", "ay"]
    assert facts["scale"] == STEP
    assert facts["estimator"]["class"] == "RandomForestClassifier"
    parameters = facts["estimator"]["parameters"]
    assert (parameters["n_estimators"], parameters["max_depth"]) == (5, 4)
    assert parameters["random_state"] == 3
    assert set(facts["versions"]) == {"wingbeat", "scikit-learn", "numpy", "python"}
    assert facts["result"]["accuracy"] == found.report.to_json()["accuracy"]
    assert facts["agreement_with_estimator"] == {
        "rows": len(found.test_y),
        "rows_that_differ": 0,
    }
    assert facts["train_rows"] == found.train_rows


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "int16", "int8", "uint8"])
def test_table_equals_the_estimator(kind: str, dtype: str) -> None:
    options = ForestOptions(kind=kind, trees=5)
    found = train_table(_digits(), name="digits", dtype=dtype, options=options)
    assert found.program.input.dtype == dtype
    assert found.test_groups is None
    expected = found.estimator.predict(found.test_x.astype(np.float32))
    assert np.array_equal(found.program.predict(found.test_x), expected)
    facts = found.program.meta["training"]
    assert facts["agreement_with_estimator"]["rows_that_differ"] == 0
    assert facts["split"] == "rows"
    assert isinstance(found.report, ClassReport)
    assert found.report.accuracy > 0.75


def test_table_with_groups() -> None:
    x, y = load_wine(return_X_y=True)
    groups = [f"cellar {row % 5}" for row in range(len(x))]
    found = train_table(_table(x, y, groups), name="wine", test_fraction=0.4)
    assert found.test_groups is not None
    held_out = set(found.test_groups.tolist())
    assert len(held_out) == 2
    assert len(found.test_y) == sum(group in held_out for group in groups)
    assert found.program.labels == ("0", "1", "2")
    assert found.program.meta["training"]["split"] == "groups"


@pytest.mark.parametrize("kind", KINDS)
def test_values(kind: str) -> None:
    x, y = load_diabetes(return_X_y=True)
    options = ForestOptions(kind=kind, trees=20, min_samples_leaf=5, max_features=0.5)
    found = train_table(_table(x, y, values=True), name="sugar", options=options)
    assert isinstance(found.report, ValueReport)
    assert type(found.estimator).__name__.endswith("Regressor")
    steps = found.program.predict(found.test_x)
    scale = found.program.output.scale
    expected = found.estimator.predict(found.test_x)
    limit = found.program.meta["leaves"]["largest_error_in_steps"]
    assert np.abs(steps - expected / scale).max() <= limit
    agreement = found.program.meta["training"]["agreement_with_estimator"]
    assert agreement["rows_that_differ"] == 0
    assert agreement["largest_error_in_steps"] <= limit
    error = steps * scale - found.test_y
    assert found.report.rmse == pytest.approx(float(np.sqrt(np.mean(error**2))))
    if kind != "tree":
        assert found.report.r2 > 0.2


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        ("uint8", 256, "whole numbers from 0 to 255, for input dtype uint8; got 256.0"),
        ("int8", -129, "whole numbers from -128 to 127, for input dtype int8; got -129.0"),
        ("int16", 0.5, "whole numbers from -32768 to 32767, for input dtype int16; got 0.5"),
        ("float32", 1e39, "numbers that float32 holds; got 1e+39"),
    ],
)
def test_features_that_do_not_fit(dtype: str, value: float, message: str) -> None:
    table = _digits()
    x = table.x.copy()
    x[41, 7] = value
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        train_table(replace(table, x=x), name="digits", dtype=dtype)
    assert "column 'f7', row 42." in str(caught.value)


def test_one_class_cannot_be_trained() -> None:
    with pytest.raises(DataError, match="at least two classes"):
        train_table(_table([[1.0], [2.0], [3.0], [4.0]], ["a"] * 4), name="one")


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(DataError, match="expected at least two groups"):
        _train(_recordings(people=1))


def test_a_class_with_one_row_cannot_be_split() -> None:
    with pytest.raises(DataError, match="expected at least two rows of every class"):
        train_table(_table([[1.0], [2.0], [3.0]], ["a", "a", "b"]), name="few")


def test_a_window_longer_than_the_recordings() -> None:
    with pytest.raises(DataError, match="the longest of 18 has 400"):
        _train(_recordings(), window=401)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "bush"}, "no model 'bush': choose one of forest, extra-trees, tree, boosting"),
        ({"trees": 0}, "trees: expected a whole number from 1 up, got 0"),
        ({"max_depth": 0}, "max_depth: expected"),
        ({"min_samples_leaf": 0}, "min_samples_leaf: expected"),
        ({"max_features": "all"}, "max_features: expected 'sqrt', 'log2'"),
        ({"max_features": 1.5}, "max_features: expected a share"),
    ],
)
def test_options_out_of_range(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        ForestOptions(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "float16"}, "dtype 'float16': choose one of"),
        ({"seed": -1}, "seed: expected"),
        ({"test_fraction": 1.0}, "expected a share to test on"),
        ({"name": "two words"}, "cannot be imported"),
    ],
)
def test_arguments_out_of_range(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"name": "digits"} | changes
    with pytest.raises(UsageError, match=message):
        train_table(_digits(), **arguments)


def test_unknown_statistic() -> None:
    with pytest.raises(UsageError, match="no statistic 'median'"):
        _train(_recordings(), statistics=("median",))


def test_one_as_a_share_means_all_features() -> None:
    x, y = load_digits(return_X_y=True)
    found = fit_forest(x, y, options=ForestOptions(trees=1, max_features=1), seed=1)
    assert found.estimators_[0].max_features_ == 64


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(DataError, match="pip install scikit-learn"):
        fit_forest(np.zeros((2, 1)), np.array([0, 1]), options=ForestOptions(), seed=1)
