"""From a model to a program: what is chosen, and what is refused with a remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.cluster import KMeans
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
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import wingbeat
from wingbeat.convert import convert, read_model
from wingbeat.errors import ModelError, UnsupportedModelError, UsageError
from wingbeat.forest.model import Forest
from wingbeat.program import Decision
from wingbeat.reference import WindowStats

X, Y = datasets.load_iris(return_X_y=True)
X32 = X.astype(np.float32)


@pytest.fixture(scope="module")
def forest() -> Any:
    return RandomForestClassifier(5, max_depth=4, random_state=0).fit(X32, Y)


@pytest.fixture(scope="module")
def regressor() -> Any:
    return RandomForestRegressor(5, max_depth=5, random_state=0).fit(X32, X[:, 0])


def integers() -> Forest:
    made = read_model(DecisionTreeClassifier(max_depth=3).fit((X * 10).round(), Y))
    parts = (made.trees, 4, 3, made.task, made.base, 1, made.link, False, made.classes, False)
    return Forest(*parts, integer_only=True)


# ---- What comes out


def test_public_api(forest: Any) -> None:
    program = wingbeat.convert(forest)
    assert isinstance(program, wingbeat.Program)
    assert program.name == "model"
    assert program.input.dtype == np.float32
    assert program.input.shape == (4,)
    assert program.labels == ("0", "1", "2")


@pytest.mark.parametrize("dtype", ["float32", "int16", "int8", "uint8"])
def test_dtypes(dtype: str) -> None:
    x = (X * 10).round()
    model = RandomForestClassifier(5, random_state=0).fit(x, Y)
    program = convert(model, dtype=dtype, rows=x)
    assert program.input.dtype == np.dtype(dtype)
    assert np.array_equal(program.predict(x.astype(dtype)), model.predict(x))


def test_labels() -> None:
    names = datasets.load_iris().target_names
    model = DecisionTreeClassifier(random_state=0).fit(X32, names[Y])
    assert convert(model).labels == ("setosa", "versicolor", "virginica")
    assert convert(model, labels=["a", "b", "c"]).labels == ("a", "b", "c")
    assert convert(model, labels=np.array(["a", "b", "c"])).labels == ("a", "b", "c")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "decision", "shape"),
    [
        (DecisionTreeClassifier(), Decision.ARGMAX, (3,)),
        (RandomForestClassifier(3, max_depth=2), Decision.ARGMAX, (3,)),
        (ExtraTreesClassifier(3), Decision.ARGMAX, (3,)),
        (GradientBoostingClassifier(n_estimators=2), Decision.ARGMAX, (3,)),
        (HistGradientBoostingClassifier(max_iter=2), Decision.ARGMAX, (3,)),
    ],
)
def test_classifiers(model: Any, decision: Decision, shape: tuple[int, ...]) -> None:
    program = convert(model.fit(X32, Y), rows=X32)
    assert program.decision is decision
    assert program.output.shape == shape
    assert program.output.dtype == np.uint16
    assert np.array_equal(program.predict(X32), model.predict(X32))
    probabilities = program.run(X32) * program.output.scale
    assert np.abs(probabilities - model.predict_proba(X32)).max() < 0.005


@pytest.mark.parametrize(
    "model",
    [GradientBoostingClassifier(n_estimators=5), HistGradientBoostingClassifier(max_iter=5)],
)
def test_binary_scores(model: Any) -> None:
    program = convert(model.fit(X32, Y == 1))
    assert program.decision is Decision.POSITIVE
    assert program.output.shape == (2,)
    assert program.labels == ("False", "True")
    assert np.array_equal(program.predict(X32), model.predict(X32))
    probabilities = program.run(X32) * program.output.scale
    assert np.abs(probabilities - model.predict_proba(X32)).max() <= 1e-4 + 1 / 65535


REGRESSORS = [
    DecisionTreeRegressor(max_depth=5),
    RandomForestRegressor(7, random_state=0),
    ExtraTreesRegressor(1, random_state=0),
    GradientBoostingRegressor(n_estimators=1),
    GradientBoostingRegressor(n_estimators=30),
    HistGradientBoostingRegressor(max_iter=20),
]


@pytest.mark.parametrize("size", [1.0, 1e-6, 1e5])
@pytest.mark.parametrize("model", REGRESSORS, ids=lambda model: type(model).__name__)
def test_regressors_are_within_the_error_that_they_state(model: Any, size: float) -> None:
    y = X @ np.array([1.0, -2.0, 0.5, 3.0]) * size
    model.fit(X32, y)
    program = convert(model)
    assert program.decision is Decision.VALUE
    assert program.output.dtype == np.int32
    assert program.labels == ()
    error = np.abs(program.predict(X32) - model.predict(X32) / program.output.scale)
    allowed = program.meta["leaves"]["largest_error_in_steps"]
    assert 0.5 <= allowed <= 0.51
    assert error.max() <= allowed + 1e-6
    assert float(np.log2(program.output.scale)).is_integer()


@pytest.mark.parametrize("model", REGRESSORS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("scale", [0.1, 0.25, 3.0])
def test_output_scale(model: Any, scale: float) -> None:
    y = X @ np.array([1.0, -2.0, 0.5, 3.0])
    model.fit(X32, y)
    program = convert(model, output_scale=scale)
    assert program.output.scale == np.float32(scale)
    error = np.abs(program.predict(X32) - model.predict(X32) / program.output.scale)
    assert error.max() <= program.meta["leaves"]["largest_error_in_steps"] + 1e-6


def test_features_on_the_board() -> None:
    rng = np.random.default_rng(0)
    windows = (rng.normal(0, 1, (80, 30, 2)) * rng.uniform(10, 2000, (80, 1, 1))).astype(np.int16)
    operator = WindowStats(30, 2, ("std", "max"))
    features = operator.run(windows)
    y = features[:, 0] > np.median(features[:, 0])
    model = DecisionTreeClassifier(random_state=0).fit(features.astype(np.float32), y)
    program = convert(model, features=operator, input_shape=(30, 2), rows=features)
    assert program.input.dtype == np.int16
    assert program.input.shape == (30, 2)
    assert [call.operator.KERNEL for call in program.calls] == ["window_stats", "forest_i16_pairs"]
    assert np.array_equal(program.predict(windows), model.predict(features))
    assert convert(model, features=operator).input.shape == (60,)
    assert convert(model, features=operator, dtype="int16").input.shape == (60,)


@pytest.mark.parametrize(("dtype", "cast"), [("uint8", True), ("int8", True), ("int16", False)])
def test_more_features_than_bytes_can_name(dtype: str, cast: bool) -> None:
    rng = np.random.default_rng(0)
    limits = np.iinfo(dtype)
    x = rng.integers(limits.min, limits.max, (200, 257), endpoint=True)
    model = DecisionTreeClassifier(random_state=0).fit(x, x[:, 256] > x[:, 0])
    program = convert(model, dtype=dtype, rows=x)
    assert (program.calls[0].operator.KERNEL == "cast") == cast
    assert program.input.dtype == np.dtype(dtype)
    fresh = rng.integers(limits.min, limits.max, (300, 257), endpoint=True)
    assert np.array_equal(program.predict(fresh.astype(dtype)), model.predict(fresh))
    narrow = convert(DecisionTreeClassifier().fit(x[:, :256], x[:, 0] > 3), dtype=dtype)
    assert len(narrow.calls) == 1


def test_a_model_of_integers_takes_int16() -> None:
    assert convert(integers()).input.dtype == np.int16
    with pytest.raises(UsageError, match="int16, int8 or uint8"):
        convert(integers(), dtype="float32")


def test_meta_is_kept(forest: Any) -> None:
    given = {"source": "iris"}
    program = convert(forest, rows=X32, meta=given)
    assert program.meta["source"] == "iris"
    assert program.meta["leaves"]["rows_checked"] == len(X32)
    assert program.meta["leaves"]["rows_changed"] == 0
    assert program.meta["missing"] == "right"
    assert given == {"source": "iris"}
    assert "missing" not in convert(forest, dtype="int16").meta


# ---- Missing values


def with_holes() -> tuple[NDArray[Any], Any]:
    rng = np.random.default_rng(1)
    x = X32.copy()
    x[rng.random(x.shape) < 0.3] = np.nan
    return x, RandomForestClassifier(5, random_state=0).fit(x, Y)


def test_missing_auto_follows_if_rows_have_nan() -> None:
    x, model = with_holes()
    program = convert(model, rows=x)
    assert program.meta["missing"] == "follow"
    assert np.array_equal(program.predict(x), model.predict(x))
    assert convert(model, rows=X32).meta["missing"] == "right"
    assert convert(model).meta["missing"] == "right"


def test_missing_follow_and_right() -> None:
    x, model = with_holes()
    follow = convert(model, missing="follow")
    assert np.array_equal(follow.predict(x), model.predict(x))
    right = convert(model, missing="right")
    source = read_model(model)
    trees = tuple(replace(t, missing_left=np.zeros_like(t.missing_left)) for t in source.trees)
    assert np.array_equal(right.predict(x), replace(source, trees=trees).predict(x))
    assert len(right.encode()) < len(follow.encode())
    assert not np.array_equal(right.predict(x), model.predict(x))


def test_missing_costs_nothing_where_the_source_refuses_it() -> None:
    model = GradientBoostingClassifier(n_estimators=3).fit(X32, Y)
    follow, right = (convert(model, missing=how) for how in ("follow", "right"))
    assert follow.encode() == right.encode()


# ---- What is refused


@pytest.mark.parametrize("labels", [[], ["a"], ["a", "b"], ["a", "b", "c", "d"], "abc"])
def test_wrong_labels(forest: Any, labels: Any) -> None:
    with pytest.raises(UsageError, match=r"labels.*3"):
        convert(forest, labels=labels)


def test_labels_of_a_regressor(regressor: Any) -> None:
    with pytest.raises(UsageError, match="labels"):
        convert(regressor, labels=["a"])


@pytest.mark.parametrize("dtype", ["float64", "int32", "f", "", "INT16"])
def test_wrong_dtype(forest: Any, dtype: str) -> None:
    with pytest.raises(UsageError, match=r"choose one of float32, int16, int8, uint8"):
        convert(forest, dtype=dtype)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (0, 4), (-1, -4), (1, 1, 1, 2, 2)])
def test_wrong_input_shape(forest: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"input_shape.*4 elements"):
        convert(forest, input_shape=shape)
    assert convert(forest, input_shape=(2, 2)).input.shape == (2, 2)


def test_features_of_another_number(forest: Any) -> None:
    with pytest.raises(UsageError, match=r"takes 4 features.*window_stats gives 6"):
        convert(forest, features=WindowStats(20, 2, ("mean", "std", "max")))


def test_features_of_another_dtype(forest: Any) -> None:
    with pytest.raises(UsageError, match=r"uint8.*window_stats gives int16"):
        convert(forest, features=WindowStats(20, 2, ("mean", "std")), dtype="uint8")


def test_wrong_name(forest: Any) -> None:
    with pytest.raises(UsageError, match="cannot be imported"):
        convert(forest, name="my model")


def test_wrong_missing(forest: Any) -> None:
    with pytest.raises(UsageError, match="auto, follow, right"):
        convert(forest, missing="left")  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, -np.inf, 1e300, 1e-300, 1e-9])
def test_wrong_output_scale(regressor: Any, scale: float) -> None:
    with pytest.raises(UsageError, match="output"):
        convert(regressor, output_scale=scale)


def test_output_scale_of_a_classifier(forest: Any) -> None:
    with pytest.raises(UsageError, match="output_scale is for regression"):
        convert(forest, output_scale=0.5)


@pytest.mark.parametrize("rows", [X32[:, :3], X32[0], X32[None]], ids=["narrow", "flat", "deep"])
def test_wrong_rows(forest: Any, rows: Any) -> None:
    with pytest.raises(UsageError, match="4 features"):
        convert(forest, rows=rows)


@pytest.mark.parametrize(
    "model",
    [None, 3, "a.skops", {"a": 1}, np.zeros(3), object()],
    ids=lambda model: type(model).__name__,
)
def test_things_that_are_no_model(model: Any) -> None:
    with pytest.raises(UnsupportedModelError, match=r"cannot be converted: give a"):
        convert(model)


def test_another_estimator() -> None:
    with pytest.raises(UnsupportedModelError, match=r"KMeans cannot be converted"):
        convert(KMeans(2, n_init=1).fit(X))


def test_not_trained() -> None:
    with pytest.raises(ModelError, match="fit"):
        convert(RandomForestClassifier())


@pytest.mark.parametrize(
    ("dtype", "n_features", "most"),
    [("float32", 2049, 2048), ("int16", 4097, 4096), ("uint8", 4097, 4096), ("int8", 4097, 4096)],
)
def test_too_many_features(dtype: str, n_features: int, most: int) -> None:
    x = np.random.default_rng(0).integers(0, 100, (20, n_features))
    model = DecisionTreeClassifier().fit(x, x[:, 0] > 50)
    with pytest.raises(UnsupportedModelError, match=rf"{n_features} features.*{most}.*fewer"):
        convert(model, dtype=dtype)
    fits = DecisionTreeClassifier().fit(x[:, :most], x[:, most - 1] > 50)
    program = convert(fits, dtype=dtype)
    rows = x[:, :most].astype(dtype)
    assert np.array_equal(program.predict(rows), fits.predict(rows))


def test_too_large() -> None:
    """Refused at 256 KB, with the remedy."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5000, 4))
    model = ExtraTreesClassifier(12, random_state=0).fit(x, rng.integers(0, 2, 5000))
    pattern = r"at most 2621\d\d fit.*fewer trees.*max_depth"
    with pytest.raises(UnsupportedModelError, match=pattern):
        convert(model)


def test_scores_that_do_not_fit() -> None:
    model = GradientBoostingClassifier(n_estimators=2, learning_rate=1e12).fit(X32, Y)
    with pytest.raises(ModelError, match="learning rate"):
        convert(model)
