"""Forests on MicroPython answer as the models that they come from, on every row of every test set.

Rows beside the data themselves: one unit in the last place either side of thresholds, -0.0,
infinities and NaN, as far as the source accepts them. Leaves are rounded as far as no class of the
rows that `convert` was given changes; all rows here were given to it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import datasets
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
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from wingbeat.convert import convert, read_model
from wingbeat.forest.model import Forest
from wingbeat.program import Program
from wingbeat.recordings import Recording, Recordings
from wingbeat.reference import Shift, WindowStats
from wingbeat.runner import run_module
from wingbeat.targets import TARGETS, Target, open_target
from wingbeat.train import ForestOptions, train_recordings

# scikit-learn's search for infinities adds them up.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered in reduce")

EDGES = 90


@dataclass(frozen=True, eq=False)
class Case:
    """A program and what its source answers.

    Attributes
    ----------
    program : Program
    x : array [rows, ...]
        Of the program's input dtype.
    expected : array [rows]
        Class numbers, or real values.
    probabilities : array [rows, classes], or None
    tolerance : float
        Of a probability; for a regressor of the output, in its steps.
    """

    program: Program
    x: NDArray[Any]
    expected: NDArray[Any]
    probabilities: NDArray[Any] | None
    tolerance: float


CASES: dict[str, Callable[[], Case]] = {}


def case(name: str) -> Callable[[Callable[[], Case]], Callable[[], Case]]:
    def register(make: Callable[[], Case]) -> Callable[[], Case]:
        CASES[name] = cache(make)
        return CASES[name]

    return register


def same_case(name: str, make: Callable[..., Case], *args: Any, **options: Any) -> None:
    case(name)(lambda: make(*args, **options))


@cache
def split(name: str) -> tuple[NDArray[Any], ...]:
    """x_train, x_test, y_train, y_test; x as float32."""
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return tuple(train_test_split(x.astype(np.float32), y, test_size=0.3, random_state=1))


# ---- Rows


def edge_rows(
    forest: Forest, x: NDArray[Any], specials: tuple[float, ...], n_rows: int = EDGES
) -> NDArray[Any]:
    """Rows of `x` with one feature at a threshold, right beside it, or special."""
    rng = np.random.default_rng(0)
    dtype = x.dtype
    nodes = [
        (int(tree.feature[node]), float(tree.threshold[node]))
        for tree in forest.trees
        for node in np.flatnonzero(tree.feature >= 0)
    ]
    if not nodes:
        return x[:1]
    rows = []
    for number in rng.permutation(len(nodes))[: n_rows // (3 + bool(specials))]:
        feature, threshold = nodes[number]
        values = [*beside(threshold, dtype)]
        if specials:
            values.append(rng.choice(specials))
        for value in values:
            row = x[rng.integers(len(x))].copy()
            row[feature] = value
            rows.append(row)
    rows += [np.full(x.shape[1], special, dtype) for special in specials]
    found = np.array(rows, dtype=dtype)
    return found if np.inf in specials else found[~np.isinf(found).any(axis=1)]


def beside(threshold: float, dtype: np.dtype[Any]) -> list[Any]:
    if dtype.kind == "f":
        at = np.float32(threshold)
        return [at, np.nextafter(at, np.float32(np.inf)), np.nextafter(at, np.float32(-np.inf))]
    limits = np.iinfo(dtype)
    whole = int(np.floor(threshold))
    return [min(max(value, limits.min), limits.max) for value in (whole - 1, whole, whole + 1)]


def finite_specials(dtype: np.dtype[Any]) -> tuple[float, ...]:
    if dtype.kind == "f":
        return (-0.0, 0.0, 1e-45, -1e-45, 3.4e38, -3.4e38)
    limits = np.iinfo(dtype)
    return (limits.min, limits.max)


# ---- Cases


def classifier(
    estimator: Any,
    x: NDArray[Any],
    *,
    dtype: str = "float32",
    nan: bool = False,
    rows: bool = True,
) -> Case:
    """Rows `x`, those of edges, and infinite ones; `estimator` answers all that it accepts."""
    x = x.astype(dtype)
    forest = read_model(estimator)
    specials = finite_specials(x.dtype) + ((np.nan,) if nan else ())
    x = np.concatenate([x, edge_rows(forest, x, specials)])
    accepted = len(x)
    if dtype == "float32":
        x = np.concatenate([x, edge_rows(forest, x[:50], (np.inf, -np.inf), 40)])
    if type(estimator).__name__.startswith("Hist"):
        accepted = len(x)
    classes = np.array(forest.classes)
    source = np.searchsorted(classes, estimator.predict(x[:accepted].astype(np.float32)))
    expected = np.concatenate([source, forest.predict(x[accepted:])])
    probabilities = np.concatenate(
        [estimator.predict_proba(x[:accepted]), forest.probabilities(x[accepted:])]
    )
    program = convert(estimator, dtype=dtype, rows=x if rows else None)
    tolerance = vote_tolerance(program, forest) if forest.link == "none" else 1e-4 + 1 / 65535
    return Case(program, x, expected, probabilities, tolerance)


def vote_tolerance(program: Program, forest: Forest) -> float:
    """Bound of the rounding of votes, as a probability.

    A tree's leaf gives each of its k classes a weight that is rounded to nearest, except for the
    largest, which gets what is left of the full weight: it is off by what the k - 1 others are
    together. So a tree is off by at most (k - 1) / 2 steps of its full weight, and by 1/2 step if
    shares that do not sum to 1 are rounded each on their own. Averaging over trees does not add to
    that. A shift of the sums rounds once more, and the program's scale is a float32.
    """
    leaves = [tree.value[tree.leaves] for tree in forest.trees]
    most = max(int(np.count_nonzero(rows, axis=1).max()) for rows in leaves)
    to_one = all(np.allclose(rows.sum(axis=1), 1) for rows in leaves)
    steps = (most - 1) / 2 if to_one else 0.5
    tolerance = steps / program.meta["leaves"]["full_weight"]
    if isinstance(program.calls[-1].operator, Shift):
        tolerance += 0.5 * program.output.scale
    return float(tolerance + 2.0**-24)


def regressor(
    estimator: Any, x: NDArray[Any], *, dtype: str = "float32", output_scale: float | None = None
) -> Case:
    x = x.astype(dtype)
    forest = read_model(estimator)
    x = np.concatenate([x, edge_rows(forest, x, finite_specials(x.dtype))])
    expected = estimator.predict(x.astype(np.float32))
    if dtype == "float32":
        infinite = edge_rows(forest, x[:50], (np.inf, -np.inf), 40)
        x = np.concatenate([x, infinite])
        expected = np.concatenate([expected, forest.predict(infinite)])
    program = convert(estimator, dtype=dtype, output_scale=output_scale)
    return Case(program, x, expected, None, program.meta["leaves"]["largest_error_in_steps"])


def on_data(name: str, estimator: Any, **options: Any) -> Case:
    x_train, x_test, y_train, _ = split(name)
    fitted = estimator.fit(x_train, y_train)
    return (regressor if name == "diabetes" else classifier)(fitted, x_test, **options)


for _name, _data, _estimator, _dtype in (
    ("digits uint8", "digits", RandomForestClassifier(10, max_depth=8, random_state=1), "uint8"),
    ("digits int8", "digits", ExtraTreesClassifier(7, random_state=1), "int8"),
    ("digits int16", "digits", DecisionTreeClassifier(random_state=1), "int16"),
    ("digits float32", "digits", RandomForestClassifier(9, random_state=1), "float32"),
    (
        "digits boosted",
        "digits",
        GradientBoostingClassifier(n_estimators=5, random_state=1),
        "uint8",
    ),
    ("digits histogram", "digits", HistGradientBoostingClassifier(max_iter=4), "int16"),
    ("iris tree", "iris", DecisionTreeClassifier(random_state=1), "float32"),
    ("iris boosted", "iris", GradientBoostingClassifier(n_estimators=12), "float32"),
    (
        "wine forest",
        "wine",
        RandomForestClassifier(15, min_samples_leaf=3, random_state=1),
        "float32",
    ),
    ("wine histogram", "wine", HistGradientBoostingClassifier(max_iter=8), "float32"),
    ("cancer extra", "breast_cancer", ExtraTreesClassifier(10, random_state=1), "float32"),
    (
        "cancer forest",
        "breast_cancer",
        RandomForestClassifier(25, max_depth=4, random_state=1),
        "float32",
    ),
    (
        "cancer boosted",
        "breast_cancer",
        GradientBoostingClassifier(n_estimators=20, random_state=1),
        "float32",
    ),
    (
        "cancer exponential",
        "breast_cancer",
        GradientBoostingClassifier(loss="exponential", n_estimators=9),
        "float32",
    ),
    ("cancer histogram", "breast_cancer", HistGradientBoostingClassifier(max_iter=9), "float32"),
    ("diabetes tree", "diabetes", DecisionTreeRegressor(random_state=1), "float32"),
    ("diabetes forest", "diabetes", RandomForestRegressor(10, random_state=1), "float32"),
    ("diabetes extra", "diabetes", ExtraTreesRegressor(6, max_depth=7, random_state=1), "float32"),
    ("diabetes boosted", "diabetes", GradientBoostingRegressor(n_estimators=40), "float32"),
    ("diabetes boosted once", "diabetes", GradientBoostingRegressor(n_estimators=1), "float32"),
    ("diabetes histogram", "diabetes", HistGradientBoostingRegressor(max_iter=20), "float32"),
):
    same_case(_name, on_data, _data, _estimator, dtype=_dtype)

same_case(
    "diabetes in quarters",
    on_data,
    "diabetes",
    RandomForestRegressor(8, random_state=2),
    output_scale=0.25,
)


@case("watch")
def watch() -> Case:
    """The program computes the statistics of each window itself."""
    from seglearn.datasets import load_watch

    data = load_watch()
    labels = tuple(str(name) for name in data["y_labels"])
    items = tuple(
        Recording(samples, labels[int(y)], str(person), str(number))
        for number, (samples, y, person) in enumerate(
            zip(data["X"], data["y"], data["subject"], strict=True)
        )
    )
    trained = train_recordings(
        Recordings(items, tuple(data["X_labels"]), 50.0, labels),
        name="watch",
        window=100,
        hop=100,
        scale=[1 / 2048] * 3 + [np.radians(1 / 16.4)] * 3,
        options=ForestOptions(trees=10, max_depth=8),
    )
    operator = trained.program.calls[0].operator
    assert isinstance(operator, WindowStats)
    features = operator.run(trained.test_x).astype(np.float32)
    tolerance = vote_tolerance(trained.program, read_model(trained.estimator))
    return Case(
        trained.program,
        trained.test_x,
        trained.estimator.predict(features),
        trained.estimator.predict_proba(features),
        tolerance,
    )


@contextlib.contextmanager
def scratch_folder() -> Iterator[None]:
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # emlearn compiles into ./tmp
        try:
            yield
        finally:
            os.chdir(before)


def emlearn_case(estimator: Any, leaf_bits: int) -> Case:
    with np.errstate():  # importing emlearn calls numpy.seterr(all="raise")
        emlearn = pytest.importorskip("emlearn", reason="emlearn is not installed")
    if shutil.which("gcc") is None and shutil.which("cc") is None:
        pytest.skip("emlearn needs a C compiler to predict")
    x_train, x_test, y_train, _ = split("digits")
    with scratch_folder(), np.errstate():
        estimator.fit(x_train, y_train)
        model = emlearn.convert(estimator, dtype="int16_t", leaf_bits=leaf_bits)
        expected = np.asarray(model.predict(x_test))
        probabilities = np.asarray(model.predict_proba(x_test))
    x = x_test.astype(np.int16)
    program = convert(model, rows=x)
    assert program.input.dtype == np.int16
    tolerance = vote_tolerance(program, read_model(model)) + 2e-6  # emlearn prints six decimals
    return Case(program, x, expected, probabilities, tolerance)


same_case("emlearn hard", emlearn_case, RandomForestClassifier(10, max_depth=8, random_state=1), 0)
same_case("emlearn proportions", emlearn_case, ExtraTreesClassifier(5, random_state=1), 8)


def with_holes(estimator: Any) -> Case:
    """Trained on NaN, and answers rows with NaN."""
    x_train, x_test, y_train, _ = split("wine")
    rng = np.random.default_rng(4)
    x_train, x_test = x_train.copy(), x_test.copy()
    for x in (x_train, x_test):
        x[rng.random(x.shape) < 0.15] = np.nan
    return classifier(estimator.fit(x_train, y_train), x_test, nan=True)


same_case("missing forest", with_holes, RandomForestClassifier(8, random_state=1))
same_case("missing tree", with_holes, DecisionTreeClassifier(random_state=1))
same_case("missing histogram", with_holes, HistGradientBoostingClassifier(max_iter=6))


@case("without rows to try")
def without_rows() -> Case:
    """Only leaves that nothing is rounded in are safe."""
    x, y = datasets.load_iris(return_X_y=True)
    case_ = classifier(DecisionTreeClassifier(max_leaf_nodes=4).fit(x, y), x, rows=False)
    assert case_.program.meta["leaves"]["exact_share"] == 1
    return case_


@case("one class")
def one_class() -> Case:
    x_train, x_test, _, _ = split("iris")
    estimator = RandomForestClassifier(3).fit(x_train, np.full(len(x_train), 7))
    return classifier(estimator, x_test)


@case("single leaves")
def single_leaves() -> Case:
    x_train, x_test, y_train, _ = split("iris")
    estimator = RandomForestClassifier(5, min_samples_split=1000, random_state=1)
    assert all(tree.tree_.node_count == 1 for tree in estimator.fit(x_train, y_train).estimators_)
    return classifier(estimator, x_test)


@case("single leaf regressor")
def single_leaf_regressor() -> Case:
    x_train, x_test, y_train, _ = split("diabetes")
    return regressor(DecisionTreeRegressor(min_samples_split=1000).fit(x_train, y_train), x_test)


@case("300 classes")
def many_classes() -> Case:
    rng = np.random.default_rng(1)
    x = rng.normal(0, 9, (1200, 6)).astype(np.float32)
    y = np.arange(1200) % 300
    estimator = ExtraTreesClassifier(2, max_leaf_nodes=150, random_state=1).fit(x, y)
    case_ = classifier(estimator, x[:150])
    assert case_.program.output.shape == (300,)
    return case_


def many_features(dtype: str) -> Case:
    rng = np.random.default_rng(2)
    limits = np.iinfo(dtype)
    x = rng.integers(limits.min, limits.max, (400, 500), endpoint=True)
    y = (x[:, 499] > x[:, 300]) * 2 + (x[:, 3] > x[:, 256])
    estimator = RandomForestClassifier(6, max_features=None, max_depth=6, random_state=1)
    case_ = classifier(estimator.fit(x[:300], y[:300]), x[300:], dtype=dtype)
    assert any(tree.tree_.feature.max() > 255 for tree in estimator.estimators_)
    kernels = [call.operator.KERNEL for call in case_.program.calls]
    assert ("cast" in kernels) == (dtype != "int16")
    return case_


for _dtype in ("uint8", "int8", "int16"):
    same_case(f"500 features {_dtype}", many_features, _dtype)


def unbalanced(sign: int) -> Case:
    """Each split takes one row from the rest: it weighs as much as all the others."""
    n = 180
    x = np.stack([sign * np.arange(n), np.arange(n) % 7], axis=1)
    y = np.arange(n) % 3
    estimator = DecisionTreeClassifier(random_state=1)
    estimator.fit(x[:, :1], y, sample_weight=2.0 ** np.arange(n))
    assert estimator.get_depth() > 170
    return classifier(estimator, x[:, :1], dtype="int16")


same_case("deep to the left", unbalanced, -1)
same_case("deep to the right", unbalanced, 1)


def large(dtype: str) -> Case:
    """Labels without sense: trees of 1000 nodes and more, in several blocks."""
    rng = np.random.default_rng(3)
    limits = (-1000, 1000) if dtype == "float32" else (0, 255)
    x = rng.integers(*limits, (1600, 5)) * (0.37 if dtype == "float32" else 1)
    estimator = RandomForestClassifier(2, bootstrap=False, max_features=2, random_state=1)
    estimator.fit(x, rng.integers(0, 5, 1600))
    assert all(tree.tree_.node_count > 1000 for tree in estimator.estimators_)
    case_ = classifier(estimator, x[:300], dtype=dtype)
    (call,) = case_.program.calls
    assert len(call.operator.blocks) > 10  # type: ignore[attr-defined]
    return case_


same_case("large float32", large, "float32")
same_case("large uint8", large, "uint8")


# ---- Tests


@pytest.fixture(scope="module", params=TARGETS)
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    with open_target(request.param) as opened:
        yield opened


@pytest.mark.parametrize("name", CASES)
def test_same_answers(target: Target, name: str) -> None:
    """`predict` and `run` on every row, against the source and against the NumPy reference."""
    made = CASES[name]()
    program, x = made.program, made.x
    module = program.assemble(target.arch)
    answers = run_module(target, module, x, predict=True).outputs
    assert len(answers) == len(x) > 0
    assert np.array_equal(answers, program.predict(x))
    if made.probabilities is None:
        error = np.abs(answers - made.expected / program.output.scale)
        assert error.max() <= made.tolerance * (1 + 1e-9)
        if target.name == "unix":  # elsewhere it costs the time of a start, and says the same
            assert np.array_equal(run_module(target, module, x).outputs[:, 0], answers)
        return
    assert np.array_equal(answers, made.expected)
    outputs = run_module(target, module, x).outputs
    assert np.array_equal(outputs, program.run(x))
    probabilities = outputs * program.output.scale
    assert probabilities.shape == made.probabilities.shape
    assert np.abs(probabilities - made.probabilities).max() <= made.tolerance


def test_no_class_of_a_given_row_is_rounded_away() -> None:
    for name, make in CASES.items():
        leaves = make().program.meta["leaves"]
        assert leaves.get("rows_changed", 0) == 0, name


def test_steps_of_regressors_are_fine() -> None:
    """Half a step, plus less than a hundredth for the rounding of the leaves before the sum."""
    for name, make in CASES.items():
        made = make()
        if made.probabilities is None:
            assert made.tolerance <= 0.51, name
            if name != "diabetes in quarters":
                assert made.program.output.scale <= np.abs(made.expected).max() / 2**12, name
    assert CASES["diabetes in quarters"]().program.output.scale == 0.25


def test_cases_use_every_kind_of_kernel() -> None:
    used = {call.operator.KERNEL for make in CASES.values() for call in make().program.calls}
    assert {"cast", "probability", "shift", "window_stats"} <= used
    forests = {kernel for kernel in used if kernel.startswith("forest_")}
    assert {kernel.rsplit("_", 1)[1] for kernel in forests} == {"pairs", "table", "wide", "values"}
    kinds = {kernel.removeprefix("forest_").rsplit("_", 1)[0] for kernel in forests}
    assert kinds == {"u8", "i8", "i16", "f32", "f32_positive"}
