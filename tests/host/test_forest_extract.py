"""Forests read from scikit-learn and emlearn answer as their sources do."""

from __future__ import annotations

import re
import shutil
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

from wingbeat.errors import FormatError, ModelError, UnsupportedModelError, UsageError
from wingbeat.forest.emlearn import from_emlearn, from_emlearn_csv
from wingbeat.forest.model import Forest, Tree
from wingbeat.forest.sklearn import from_sklearn

pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered in reduce")

Floats = NDArray[np.float32]


@cache
def data(name: str) -> tuple[Floats, NDArray[Any]]:
    if name == "made":
        x, y = datasets.make_classification(
            600, 12, n_informative=7, n_classes=5, flip_y=0.2, random_state=3
        )
        return x.astype(np.float32), y
    if name == "ties":
        rng = np.random.default_rng(5)
        return rng.integers(-2, 3, (400, 3)).astype(np.float32), rng.integers(0, 4, 400)
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return x.astype(np.float32), y


def edge_rows(forest: Forest, x: Floats, *, infinite: bool, nan: bool) -> Floats:
    """Rows with one feature on, or one ulp beside, a threshold, and other odd values."""
    rng = np.random.default_rng(0)
    specials = [-0.0, 0.0, 1e-45, -1e-45, 3.4e38, -3.4e38]
    specials += [np.inf, -np.inf] if infinite else []
    specials += [np.nan] if nan else []
    rows = []
    for tree in forest.trees:
        inner = np.flatnonzero(tree.feature >= 0)
        for node in rng.permutation(inner)[:12]:
            with np.errstate(over="ignore"):
                at = np.float32(tree.threshold[node])
            beside = [
                at,
                np.nextafter(at, np.float32(np.inf)),
                np.nextafter(at, -np.float32(np.inf)),
            ]
            for value in [*beside, rng.choice(specials)]:
                if not infinite and np.isinf(value):
                    continue
                row = x[rng.integers(len(x))].copy()
                row[tree.feature[node]] = value
                rows.append(row)
    rows += [np.full(x.shape[1], special, np.float32) for special in specials]
    return np.array(rows, dtype=np.float32)


def assert_same(estimator: Any, x: Floats, *, infinite: bool = False) -> Forest:
    """Compare on `x` and on edge rows: scores and predictions exactly."""
    forest = from_sklearn(estimator)
    edges = edge_rows(forest, x, infinite=infinite, nan=forest.handles_missing)
    rows = np.concatenate([x, edges])
    scores = forest.scores(rows)
    if forest.task == "regress":
        np.testing.assert_array_equal(scores[:, 0], estimator.predict(rows))
        np.testing.assert_array_equal(forest.predict(rows), estimator.predict(rows))
        return forest
    assert all(type(c) in (bool, int, float, str) for c in forest.classes)
    np.testing.assert_array_equal(
        np.array(forest.classes)[forest.predict(rows)], estimator.predict(rows)
    )
    if hasattr(estimator, "decision_function"):
        source = estimator.decision_function(rows)
        np.testing.assert_array_equal(scores, source.reshape(len(rows), -1))
    else:
        np.testing.assert_array_equal(scores, estimator.predict_proba(rows))
    np.testing.assert_allclose(
        forest.probabilities(rows), estimator.predict_proba(rows), rtol=1e-9, atol=1e-15
    )
    return forest


CLASSIFIERS = [
    DecisionTreeClassifier(random_state=0),
    DecisionTreeClassifier(max_leaf_nodes=9, ccp_alpha=0.005, random_state=0),
    ExtraTreeClassifier(random_state=0),
    RandomForestClassifier(7, random_state=0),
    RandomForestClassifier(6, max_depth=2, bootstrap=False, max_features=2, random_state=0),
    ExtraTreesClassifier(7, max_leaf_nodes=20, random_state=0),
    GradientBoostingClassifier(n_estimators=6, random_state=0),
    GradientBoostingClassifier(n_estimators=4, init="zero", subsample=0.7, random_state=0),
    HistGradientBoostingClassifier(max_iter=6, random_state=0),
]
REGRESSORS = [
    DecisionTreeRegressor(random_state=0),
    DecisionTreeRegressor(criterion="absolute_error", max_depth=5, random_state=0),
    ExtraTreeRegressor(max_depth=6, random_state=0),
    RandomForestRegressor(7, random_state=0),
    ExtraTreesRegressor(7, max_leaf_nodes=40, random_state=0),
    GradientBoostingRegressor(n_estimators=9, random_state=0),
    GradientBoostingRegressor(loss="huber", n_estimators=9, random_state=0),
    GradientBoostingRegressor(loss="quantile", n_estimators=9, random_state=0),
    GradientBoostingRegressor(loss="absolute_error", n_estimators=9, init="zero"),
    HistGradientBoostingRegressor(max_iter=9),
    HistGradientBoostingRegressor(loss="absolute_error", max_iter=9, max_leaf_nodes=None),
    HistGradientBoostingRegressor(loss="quantile", quantile=0.3, max_iter=9),
]


def is_hist(estimator: Any) -> bool:
    return type(estimator).__name__.startswith("Hist")


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits", "made", "ties"])
@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=repr)
def test_classifiers(estimator: Any, name: str) -> None:
    x, y = data(name)
    estimator.fit(x[::2], y[::2])
    assert_same(estimator, x, infinite=is_hist(estimator))


@pytest.mark.parametrize("estimator", REGRESSORS, ids=repr)
def test_regressors(estimator: Any) -> None:
    x, y = data("diabetes")
    forest = assert_same(estimator.fit(x[::2], y[::2]), x, infinite=is_hist(estimator))
    assert forest.classes == ()
    with pytest.raises(UsageError, match="predict"):
        forest.probabilities(x)


def with_holes(x: Floats) -> Floats:
    holed = x.copy()
    holed[np.random.default_rng(1).random(x.shape) < 0.15] = np.nan
    return holed


@pytest.mark.parametrize(
    "estimator",
    [
        DecisionTreeClassifier(random_state=0),
        RandomForestClassifier(5, random_state=0),
        ExtraTreesClassifier(5, random_state=0),
        HistGradientBoostingClassifier(max_iter=5),
    ],
    ids=repr,
)
@pytest.mark.parametrize("holes", [True, False])
def test_missing_values(estimator: Any, holes: bool) -> None:
    x, y = data("wine")
    try:
        estimator.fit(with_holes(x) if holes else x, y)
        estimator.predict(with_holes(x))
    except ValueError:
        pytest.skip("this scikit-learn release takes no missing values here")
    forest = assert_same(estimator, with_holes(x), infinite=is_hist(estimator))
    assert forest.handles_missing


def test_split_on_missing_alone() -> None:
    x = np.zeros((40, 1), dtype=np.float32)
    x[::2] = np.nan
    y = np.isnan(x[:, 0])
    tree = HistGradientBoostingClassifier(min_samples_leaf=1, max_iter=3).fit(x, y)
    forest = assert_same(tree, x, infinite=True)
    assert forest.classes == (False, True)


def test_sources_that_refuse_nan_say_so() -> None:
    x, y = data("diabetes")
    for estimator in (
        GradientBoostingRegressor(n_estimators=2),
        GradientBoostingClassifier(n_estimators=2),
    ):
        with pytest.raises(ValueError, match="NaN"):
            estimator.fit(x, y > 100).predict(np.full((1, 10), np.nan))
        forest = from_sklearn(estimator)
        assert not forest.handles_missing
        assert not any(tree.missing_left.any() for tree in forest.trees)


def test_exponential_loss_doubles_scores() -> None:
    x, y = data("breast_cancer")
    source = GradientBoostingClassifier(loss="exponential", n_estimators=8).fit(x, y)
    forest = from_sklearn(source)
    rows = np.concatenate([x, edge_rows(forest, x, infinite=False, nan=False)])
    np.testing.assert_array_equal(forest.scores(rows)[:, 0], 2 * source.decision_function(rows))
    np.testing.assert_array_equal(forest.predict(rows), source.predict(rows))
    np.testing.assert_allclose(forest.probabilities(rows), source.predict_proba(rows), rtol=1e-9)


@pytest.mark.parametrize("loss", ["log_loss", "exponential"])
def test_boosting_score_of_zero(loss: str) -> None:
    x = np.zeros((10, 1), dtype=np.float32)
    y = np.arange(10) % 2
    source = GradientBoostingClassifier(loss=loss, init="zero", n_estimators=2).fit(x, y)
    assert source.decision_function(x[:1])[0] == 0
    assert from_sklearn(source).predict(x[:1])[0] == source.predict(x[:1])[0]
    hist = HistGradientBoostingClassifier(max_iter=2).fit(x, y)
    assert hist.decision_function(x[:1])[0] == 0
    assert from_sklearn(hist).predict(x[:1])[0] == hist.predict(x[:1])[0] == 0


@pytest.mark.parametrize(
    "init",
    [
        None,
        "zero",
        DummyClassifier(strategy="prior"),
        DummyClassifier(strategy="uniform"),
        DummyClassifier(strategy="most_frequent"),
        DummyClassifier(strategy="constant", constant=2),
    ],
    ids=repr,
)
def test_constant_init_of_classifiers(init: Any) -> None:
    x, y = data("iris")
    assert_same(GradientBoostingClassifier(n_estimators=4, init=init).fit(x, y), x)


@pytest.mark.parametrize(
    "init", [DummyRegressor(strategy="median"), DummyRegressor(strategy="constant", constant=7)]
)
def test_constant_init_of_regressors(init: Any) -> None:
    x, y = data("diabetes")
    assert_same(GradientBoostingRegressor(n_estimators=4, init=init).fit(x, y), x)


def test_init_that_is_no_constant_is_refused() -> None:
    x, y = data("diabetes")
    for init, kind, target in (
        (LinearRegression(), GradientBoostingRegressor, y),
        (LogisticRegression(), GradientBoostingClassifier, y > 100),
        (DummyClassifier(strategy="stratified"), GradientBoostingClassifier, y > 100),
    ):
        with pytest.raises(UnsupportedModelError, match="init='zero'"):
            from_sklearn(kind(n_estimators=2, init=init).fit(x, target))


@pytest.mark.parametrize(
    "estimator",
    [
        DecisionTreeClassifier(),
        RandomForestClassifier(3),
        ExtraTreesClassifier(3),
    ],
    ids=repr,
)
def test_one_class(estimator: Any) -> None:
    x, _ = data("iris")
    forest = assert_same(estimator.fit(x, ["only"] * len(x)), x)
    assert forest.classes == ("only",)
    assert all(tree.n_nodes == 1 and tree.depth == 0 for tree in forest.trees)


def test_one_class_of_histogram_boosting() -> None:
    x, _ = data("iris")
    source = HistGradientBoostingClassifier(max_iter=2).fit(x, np.full(len(x), 4))
    forest = from_sklearn(source)
    np.testing.assert_array_equal(forest.scores(x)[:, 0], source.decision_function(x))
    assert set(forest.predict(x)) == {0}
    assert forest.classes == (4,)
    assert np.array_equal(forest.probabilities(x), np.ones((len(x), 1)))


@pytest.mark.parametrize("kind", [DecisionTreeRegressor, GradientBoostingRegressor])
def test_single_leaves_use_no_feature(kind: Any) -> None:
    x, y = data("diabetes")
    forest = assert_same(kind(min_samples_leaf=400).fit(x, y), x)
    assert all(tree.n_nodes == 1 for tree in forest.trees)


def test_string_and_float_classes() -> None:
    x, y = data("iris")
    names = np.array(["ash", "birch", "oak"])
    for labels in (names[y], names.astype(object)[y], y * 2.0, y == 1):
        for estimator in (RandomForestClassifier(3), HistGradientBoostingClassifier(max_iter=2)):
            forest = assert_same(estimator.fit(x, labels), x)
            assert forest.classes == tuple(np.unique(labels).tolist())


def test_300_classes_and_200_features() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(900, 200)).astype(np.float32)
    y = np.arange(900) % 300
    forest = assert_same(RandomForestClassifier(4, random_state=0).fit(x, y), x)
    assert forest.n_outputs == 300
    assert max(tree.feature.max() for tree in forest.trees) > 127
    assert_same(GradientBoostingClassifier(n_estimators=1, max_depth=1).fit(x, y), x)


def test_counts_are_the_exact_fractions() -> None:
    x, y = data("made")
    for estimator in (
        RandomForestClassifier(5, max_depth=5, random_state=0),
        ExtraTreeClassifier(max_depth=4, random_state=0),
    ):
        for tree in from_sklearn(estimator.fit(x, y)).trees:
            assert tree.counts is not None
            assert tree.total is not None
            for leaf in tree.leaves:
                assert tree.counts[leaf].sum() == tree.total[leaf]
                exact = [Fraction(int(c), int(tree.total[leaf])) for c in tree.counts[leaf]]
                assert [float(f) for f in exact] == tree.value[leaf].tolist()
                assert np.gcd.reduce([*tree.counts[leaf], tree.total[leaf]]) == 1


def test_fractional_weights_have_no_counts() -> None:
    x, y = data("made")
    weights = np.random.default_rng(0).random(len(x))
    balanced = ExtraTreesClassifier(3, max_depth=3, class_weight="balanced", random_state=0)
    weighted = DecisionTreeClassifier(max_depth=3, random_state=0)
    for fitted in (balanced.fit(x, y), weighted.fit(x, y, sample_weight=weights)):
        forest = assert_same(fitted, x)
        assert all(tree.counts is None and tree.total is None for tree in forest.trees)
    whole = weighted.fit(x, y, sample_weight=1 + y)
    assert all(tree.counts is not None for tree in assert_same(whole, x).trees)


def test_monotonic_constraints() -> None:
    x, y = data("breast_cancer")
    try:
        source = DecisionTreeClassifier(max_depth=4, monotonic_cst=[1] + [0] * 29).fit(x, y)
    except TypeError:
        pytest.skip("scikit-learn before 1.4 has none")
    assert_same(source, x)


def test_children_follow_parents() -> None:
    x, y = data("digits")
    for source in (
        DecisionTreeClassifier(max_leaf_nodes=30, random_state=0),
        HistGradientBoostingClassifier(max_iter=2),
    ):
        for tree in from_sklearn(source.fit(x, y)).trees:
            inner = np.flatnonzero(tree.feature >= 0)
            assert np.all(tree.left[inner] > inner)
            assert np.all(tree.right[inner] > inner)
            assert len(tree.leaves) == len(inner) + 1


def test_categorical_columns() -> None:
    x, y = data("made")
    codes = np.concatenate([x, (y[:, None] * 7 % 5)], axis=1)
    source = HistGradientBoostingClassifier(max_iter=3, categorical_features=[12]).fit(codes, y)
    with pytest.raises(UnsupportedModelError, match="categorical_features=None"):
        from_sklearn(source)
    useless = np.concatenate([x, np.zeros((len(x), 1), np.float32)], axis=1)
    source = HistGradientBoostingClassifier(max_iter=3, categorical_features=[12]).fit(useless, y)
    forest = from_sklearn(source)
    np.testing.assert_array_equal(forest.scores(useless), source.decision_function(useless))


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_losses_with_a_link_are_refused(loss: str) -> None:
    x, y = data("diabetes")
    with pytest.raises(UnsupportedModelError, match=r"log\(y\)"):
        from_sklearn(HistGradientBoostingRegressor(loss=loss, max_iter=2).fit(x, y))


@pytest.mark.parametrize(
    ("model", "remedy"),
    [
        (IsolationForest(), "RandomForestClassifier"),
        (AdaBoostClassifier(), "GradientBoostingClassifier"),
        (make_pipeline(StandardScaler(), RandomForestClassifier()), r"pipeline\[-1\]"),
        (GridSearchCV(DecisionTreeClassifier(), {}), "best_estimator_"),
        (LogisticRegression(), "Supported: DecisionTreeClassifier"),
        ("forest.joblib", "str cannot be converted"),
        (None, "NoneType cannot be converted"),
    ],
)
def test_other_models_are_refused_with_a_remedy(model: Any, remedy: str) -> None:
    with pytest.raises(UnsupportedModelError, match=remedy):
        from_sklearn(model)


@pytest.mark.parametrize("estimator", [*CLASSIFIERS[::3], *REGRESSORS[::3]], ids=repr)
def test_unfitted_models_are_refused(estimator: Any) -> None:
    with pytest.raises(ModelError, match=r"call fit\(X, y\)"):
        from_sklearn(type(estimator)())


def test_several_outputs_are_refused() -> None:
    x, y = data("diabetes")
    for source in (DecisionTreeRegressor(max_depth=2), RandomForestRegressor(2)):
        with pytest.raises(UnsupportedModelError, match="2 outputs"):
            from_sklearn(source.fit(x, np.column_stack([y, y])))


def test_subclasses() -> None:
    class Same(RandomForestClassifier):  # type: ignore[misc]
        pass

    class Other(RandomForestClassifier):  # type: ignore[misc]
        def predict(self, X: Any) -> Any:  # noqa: N803
            return np.zeros(len(X))

    x, y = data("iris")
    assert_same(Same(3).fit(x, y), x)
    with pytest.raises(UnsupportedModelError, match="its own way"):
        from_sklearn(Other(3).fit(x, y))


def test_rows_of_another_width_are_refused() -> None:
    x, y = data("iris")
    forest = from_sklearn(DecisionTreeClassifier().fit(x, y))
    with pytest.raises(UsageError, match=r"\(rows, 4\)"):
        forest.predict(x[:, :3])
    with pytest.raises(UsageError, match=r"\(rows, 4\)"):
        forest.predict(x[0])
    assert forest.predict(x[:0]).shape == (0,)


def damaged(**changes: Any) -> Tree:
    columns: dict[str, Any] = {
        "feature": np.array([0, -1, -1], np.int32),
        "threshold": np.zeros(3),
        "left": np.array([1, -1, -1], np.int32),
        "right": np.array([2, -1, -1], np.int32),
        "missing_left": np.zeros(3, np.bool_),
        "value": np.zeros((3, 1)),
    }
    return Tree(**(columns | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"left": np.array([0, -1, -1], np.int32)},
        {"left": np.array([3, -1, -1], np.int32)},
        {"left": np.array([2, -1, -1], np.int32)},
        {"left": np.array([-1, -1, -1], np.int32)},
        {"feature": np.array([-1, -1, -1], np.int32)},
        {"threshold": np.zeros(2)},
        {"threshold": np.array([np.nan, 0, 0])},
    ],
    ids=repr,
)
def test_damaged_trees_are_refused(changes: Any) -> None:
    assert damaged().n_nodes == 3
    with pytest.raises(ModelError, match="damaged tree"):
        damaged(**changes)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(2, 60),
    columns=st.integers(1, 6),
    classes=st.integers(1, 5),
    levels=st.sampled_from([2, 3, 300]),
    kind=st.sampled_from(
        [
            DecisionTreeClassifier,
            ExtraTreesClassifier,
            RandomForestClassifier,
            RandomForestRegressor,
            GradientBoostingRegressor,
            HistGradientBoostingRegressor,
        ]
    ),
)
def test_any_data(seed: int, rows: int, columns: int, classes: int, levels: int, kind: Any) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, levels, (rows, columns)).astype(np.float32) * np.float32(0.1)
    y = rng.integers(0, classes, rows)
    estimator = kind(random_state=seed % 1000)
    for name in ("n_estimators", "max_iter"):
        if name in estimator.get_params():
            estimator.set_params(**{name: 3})
    assert_same(estimator.fit(x, y), x, infinite=is_hist(estimator))


# emlearn


def emlearn_model(estimator: Any, **options: Any) -> Any:
    with np.errstate():  # importing emlearn calls numpy.seterr(all="raise")
        emlearn = pytest.importorskip("emlearn", reason="emlearn is not installed")
    if shutil.which("gcc") is None and shutil.which("cc") is None:
        pytest.skip("emlearn needs a C compiler to predict")
    return emlearn.convert(estimator, **options)


@pytest.fixture
def inside_tmp(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # emlearn compiles into ./tmp


EMLEARN_CLASSIFIERS = [
    ("digits", RandomForestClassifier(10, max_depth=8, random_state=1), {"method": "inline"}),
    ("digits", RandomForestClassifier(10, max_depth=8, random_state=1), {"method": "loadable"}),
    ("digits", ExtraTreesClassifier(5, random_state=1), {"leaf_bits": 8}),
    ("digits", ExtraTreesClassifier(5, random_state=1), {"leaf_bits": 4, "method": "loadable"}),
    ("ties", RandomForestClassifier(9, max_depth=3, random_state=1), {"leaf_bits": 6}),
    ("ties", RandomForestClassifier(8, random_state=1), {"dtype": "int8_t"}),
    ("iris", DecisionTreeClassifier(random_state=1), {"dtype": "float"}),
    ("wine", RandomForestClassifier(6, random_state=1), {"dtype": "float", "leaf_bits": 5}),
    ("iris", RandomForestClassifier(6, random_state=1), {}),
]


@pytest.mark.usefixtures("inside_tmp")
@pytest.mark.parametrize(("name", "estimator", "options"), EMLEARN_CLASSIFIERS)
def test_emlearn_classifiers(name: str, estimator: Any, options: dict[str, Any]) -> None:
    x, y = data(name)
    converted = emlearn_model(estimator.fit(x[::2], y[::2]), **options)
    forest = from_emlearn(converted)
    x = x.astype(np.float64).round(4).astype(np.float32)
    assert forest.integer_only == (options.get("dtype") != "float")
    np.testing.assert_array_equal(forest.predict(x), converted.predict(x))
    np.testing.assert_allclose(forest.probabilities(x), converted.predict_proba(x), atol=2e-6)


@pytest.mark.usefixtures("inside_tmp")
@pytest.mark.parametrize(
    "options", [{}, {"method": "loadable"}, {"dtype": "float"}, {"dtype": "int32_t"}], ids=repr
)
def test_emlearn_regressors(options: dict[str, Any]) -> None:
    x, y = data("diabetes")
    x = (x * 1000).round()
    source = RandomForestRegressor(7, max_depth=6, random_state=1).fit(x[::2], y[::2])
    converted = emlearn_model(source, **options)
    forest = from_emlearn(converted)
    printed = [float(f"{v:f}") for v in forest.predict(x)]
    assert printed == converted.predict(x)


@pytest.mark.usefixtures("inside_tmp")
def test_emlearn_float_thresholds_exclude_equality() -> None:
    x, y = data("wine")
    converted = emlearn_model(DecisionTreeClassifier(random_state=0).fit(x, y), dtype="float")
    forest = from_emlearn(converted)
    nodes, _, _ = converted.forest_
    rows = []
    for feature, threshold, _, _ in nodes:
        for value in (np.float32(f"{threshold:.6f}"), np.float32(threshold)):
            for near in (value, np.nextafter(value, np.float32(-np.inf))):
                row = x[0].copy()
                row[feature] = near
                if np.float32(f"{near:.8f}") == near:
                    rows.append(row)
    np.testing.assert_array_equal(forest.predict(rows), converted.predict(np.array(rows)))


def test_emlearn_single_leaf() -> None:
    x, _ = data("iris")
    source = RandomForestClassifier(3).fit(x, np.zeros(len(x)))
    forest = from_emlearn(emlearn_model(source))
    assert [tree.n_nodes for tree in forest.trees] == [1, 1, 1]
    assert set(forest.predict(x)) == {0}


def test_emlearn_counts() -> None:
    x, y = data("ties")
    source = RandomForestClassifier(4, max_depth=3, random_state=0).fit(x, y)
    for bits, total in ((0, 1), (8, 255)):
        forest = from_emlearn(emlearn_model(source, leaf_bits=bits))
        for tree in forest.trees:
            assert tree.counts is not None
            assert tree.total is not None
            assert set(tree.total[tree.leaves]) == {total}
            shares = tree.counts.astype(np.float32) / np.float32(total)
            np.testing.assert_array_equal(shares, tree.value)


def test_emlearn_refusals() -> None:
    x, y = data("iris")
    source = RandomForestClassifier(3, random_state=0).fit(x, y)
    with pytest.raises(UnsupportedModelError, match="leaf_bits from 0 to 8"):
        from_emlearn(emlearn_model(source, leaf_bits=32))
    with pytest.raises(UnsupportedModelError, match="'int16_t'"):
        from_emlearn(emlearn_model(source, dtype="double"))
    with pytest.raises(UnsupportedModelError, match=r"emlearn\.convert"):
        from_emlearn(source)
    large = RandomForestClassifier(3, random_state=0).fit(x * 1e6, y)
    with pytest.raises(UnsupportedModelError, match="scale the features"):
        from_emlearn(emlearn_model(large, method="loadable"))
    flat = DecisionTreeClassifier(max_depth=1).fit(x, np.arange(150) % 30)
    with pytest.raises(UnsupportedModelError, match="more leaf_bits"):
        from_emlearn(emlearn_model(flat, leaf_bits=2))


@pytest.mark.usefixtures("inside_tmp")
@pytest.mark.parametrize("bits", [0, 8])
def test_csv_of_classifiers(bits: int) -> None:
    x, y = data("digits")
    source = RandomForestClassifier(10, max_depth=8, random_state=1).fit(x[::2], y[::2])
    converted = emlearn_model(source, method="loadable", leaf_bits=bits)
    forest = from_emlearn_csv(converted.save(name="digits", format="csv"))
    assert forest.integer_only
    assert forest.n_features == 64
    assert forest.classes == tuple(range(10))
    np.testing.assert_array_equal(forest.predict(x), converted.predict(x))
    twin = from_emlearn(converted)
    np.testing.assert_array_equal(forest.scores(x), twin.scores(x))


def test_csv_of_many_classes_wraps_its_leaves() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(-90, 90, (300, 4)).astype(np.float32)
    source = RandomForestClassifier(3, random_state=0).fit(x, np.arange(300) % 60)
    converted = emlearn_model(source, leaf_bits=8)
    text = converted.save(name="many", format="csv")
    assert re.search(r"\[[^\]]*\n", text)
    np.testing.assert_array_equal(
        from_emlearn_csv(text).scores(x), from_emlearn(converted).scores(x)
    )


def test_csv_of_regressors() -> None:
    x, y = data("diabetes")
    x = (x * 1000).round()
    source = ExtraTreesRegressor(5, max_depth=5, random_state=0).fit(x, y)
    converted = emlearn_model(source, method="loadable")
    forest = from_emlearn_csv(converted.save(name="regress", format="csv"))
    assert forest.task == "regress"
    assert forest.classes == ()
    np.testing.assert_array_equal(forest.predict(x), from_emlearn(converted).predict(x))


CSV = """f,2
c,3
lb,0
l,0
l,1
l,2
r,0
r,2
n,0,5.5,-1,1
n,1,-3.9,-2,-3
n,1,10.0,-1,-3
"""


def test_csv_by_hand() -> None:
    forest = from_emlearn_csv(CSV)
    # 5.5 -> x < 5, -3.9 -> x < -3, 10.0 -> x < 10
    rows = np.array([[4, 9], [5, -4], [5, -3], [5, 10]])
    np.testing.assert_array_equal(
        forest.scores(rows) * 2, [[2, 0, 0], [1, 1, 0], [1, 0, 1], [0, 0, 2]]
    )
    assert forest.predict(rows).tolist() == [0, 0, 0, 2]
    assert from_emlearn_csv(CSV.replace("\n", "\r\n")).trees[0].n_nodes == 5
    assert from_emlearn_csv(CSV.replace("\n", "\r\r\n")).trees[0].n_nodes == 5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("r,2", "r,3", "line 8: expected a root from 0 to 2, got 3"),
        ("r,2", "r,-1", "line 8: expected a root from 0 to 2, got -1"),
        ("r,2", "r,0", "line 8: expected a node of its own"),
        ("r,2", "r,", "line 8: expected a root index, got ''"),
        ("r,2\n", "", "line 10: expected a parent or root"),
        ("l,2", "l,3", "line 6: expected a class from 0 to 2, got 3"),
        ("l,2", "l,250", "line 6: expected a class from 0 to 2, got 250"),
        ("l,2", "l,-1", "line 6: expected a class from 0 to 2, got -1"),
        ("l,2", "l,1.5", "line 6: expected a leaf's class"),
        ("l,2\n", "", "expected a leaf from -1 to -2, got -3"),
        ("l,2\n", "l,2\nl,1\n", "line 7: expected a parent or root"),
        ("l,2", "l,[0 1", "line 6: expected a closing"),
        ("-1,1\n", "-1,0\n", "line 9: expected a step forward to a child, got 0: a cycle"),
        ("-1,1\n", "-1,9\n", "line 9: expected a child among 3 nodes, got node 9"),
        ("-1,1\n", "-1,2\n", "line 8: expected a node of its own, got line 11"),
        ("-1,1\n", "-1\n", "line 9: expected 4 fields after 'n', got 3"),
        ("-2,-3", "-2,-30", "line 10: expected a leaf from -1 to -3, got -30"),
        ("n,0,", "n,2,", "line 9: expected a feature from 0 to 1, got 2"),
        ("n,0,", "n,-1,", "line 9: expected a feature from 0 to 1, got -1"),
        ("n,0,", "n,x,", "line 9: expected a feature index, got 'x'"),
        ("5.5", "nan", "line 9: expected a threshold, a finite number"),
        ("5.5", "1e999", "line 9: expected a threshold, a finite number"),
        ("5.5", "40000", "line 9: expected a threshold that fits int16"),
        ("f,2\n", "", "line 10: the file ends, but expected a 'f' record"),
        ("f,2", "f,0", "expected 1 or more features"),
        ("f,2", "f,2\nf,2", "line 2: expected one 'f' record"),
        ("c,3\n", "", "line 10: the file ends, but expected a 'c' record"),
        ("c,3", "c,0", "expected 1 to 1024 classes"),
        ("c,3", "c,999999999", "expected 1 to 1024 classes"),
        ("lb,0", "lb,12", "expected leaf bits 0 to 8, or 32"),
        ("lb,0", "lb,32", "expected 0 to 0 classes"),
        ("lb,0", "lb,8", "line 4: expected 3 proportions from 0 to 255, got 1"),
        ("lb,0", "hello", "line 3: expected a record f, c, lb, l, r or n"),
    ],
)
def test_damaged_csv(old: str, new: str, message: str) -> None:
    with pytest.raises(FormatError, match=re.escape(message)):
        from_emlearn_csv(CSV.replace(old, new, 1))


def test_csv_of_a_regressor_with_damaged_leaves() -> None:
    text = "f,1\nc,0\nlb,32\nl,1.5\nl,-2\nr,0\nn,0,3.0,-1,-2\n"
    assert from_emlearn_csv(text).predict([[2], [3]]).tolist() == [1.5, -2.0]
    for leaf in ("inf", "", "x", "1e60"):
        with pytest.raises(FormatError, match="line 4: expected a leaf's value"):
            from_emlearn_csv(text.replace("l,1.5", f"l,{leaf}"))


def test_csv_cut_at_every_line_is_refused() -> None:
    lines = CSV.splitlines(keepends=True)
    for kept in range(len(lines)):
        with pytest.raises(FormatError):
            from_emlearn_csv("".join(lines[:kept]))


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_garbled_csv_is_refused_or_a_whole_forest(data: st.DataObject) -> None:
    text = list(CSV)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at] = data.draw(st.sampled_from([*"0123456789-.,[]nrlcb\n x", "", "99"]))
    try:
        forest = from_emlearn_csv("".join(text))
    except (FormatError, UnsupportedModelError):
        return
    answers = forest.predict(np.zeros((1, forest.n_features), dtype=np.int16))
    assert forest.task == "regress" or answers[0] in range(len(forest.classes))
