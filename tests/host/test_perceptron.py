"""Perceptrons of scikit-learn: read, quantized, converted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from typer.testing import CliRunner

from wingbeat.cli import app
from wingbeat.convert import convert
from wingbeat.errors import ModelError, UnsupportedModelError, UsageError, WingbeatError
from wingbeat.net.perceptron import Perceptron, from_sklearn, is_perceptron
from wingbeat.program import Decision
from wingbeat.reference.standardize import standardize
from wingbeat.sources import load_source

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ACTIVATIONS = ("relu", "tanh", "logistic", "identity")
SCALERS = (
    StandardScaler(),
    StandardScaler(with_mean=False),
    StandardScaler(with_std=False),
    MinMaxScaler((-1, 2)),
    MaxAbsScaler(),
    RobustScaler(with_centering=False),
    RobustScaler(),
    "passthrough",
)
WINE, KINDS = load_wine(return_X_y=True)


def classifier(**options: Any) -> Any:
    model = MLPClassifier(**{"hidden_layer_sizes": (12,), "max_iter": 300, **options})
    return make_pipeline(StandardScaler(), model.set_params(random_state=1))


def regressor(**options: Any) -> Any:
    model = MLPRegressor(**{"hidden_layer_sizes": (12,), "max_iter": 300, **options})
    return make_pipeline(StandardScaler(), model.set_params(random_state=1))


# ---- Reading


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("scaler", SCALERS, ids=str)
def test_a_perceptron_gives_the_probabilities_of_its_source(scaler: Any, activation: str) -> None:
    network = MLPClassifier((7, 5), activation=activation, max_iter=30, random_state=1)
    source = make_pipeline(scaler, network).fit(WINE, KINDS)
    model = from_sklearn(source)
    np.testing.assert_allclose(model.run(WINE), source.predict_proba(WINE), atol=1e-9)
    assert np.array_equal(model.predict(WINE), source.predict(WINE))
    assert (model.n_features, model.n_outputs, model.classes) == (13, 3, (0, 1, 2))


def test_two_classes_have_one_output() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    source = classifier().fit(x, y)
    model = from_sklearn(source)
    np.testing.assert_allclose(model.run(x)[:, 0], source.predict_proba(x)[:, 1], atol=1e-9)
    assert np.array_equal(model.predict(x), source.predict(x))


def test_regressions_of_one_and_of_several_values() -> None:
    x, y = load_diabetes(return_X_y=True)
    for truth in (y, np.stack([y, -y, np.sqrt(y)], axis=1)):
        source = regressor().fit(x, truth)
        model = from_sklearn(source)
        expected = source.predict(x).reshape(len(x), -1)
        np.testing.assert_allclose(model.run(x), expected, atol=1e-6)
        assert model.classes == ()


class OwnWay(MLPClassifier):  # type: ignore[misc]
    def predict(self, X: Any) -> Any:  # noqa: N803
        return super().predict(X)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MLPClassifier(), ModelError, "is not trained"),
        (lambda: make_pipeline(StandardScaler(), MLPRegressor()), ModelError, "is not trained"),
        (
            lambda: make_pipeline(MinMaxScaler(clip=True), MLPClassifier((3,))).fit(WINE, KINDS),
            UnsupportedModelError,
            "MinMaxScaler of the pipeline cannot be converted",
        ),
        (
            lambda: make_pipeline(PolynomialFeatures(), MLPClassifier((3,))).fit(WINE, KINDS),
            UnsupportedModelError,
            "PolynomialFeatures .* apply it before the model",
        ),
        (
            lambda: MLPClassifier((3,)).fit(WINE, np.stack([KINDS > 0, KINDS > 1], axis=1)),
            UnsupportedModelError,
            "train a classifier for each label",
        ),
        (lambda: OwnWay((3,)).fit(WINE, KINDS), UnsupportedModelError, "predicts in its own way"),
    ],
)
def test_what_cannot_be_read(
    make: Callable[[], Any], error: type[WingbeatError], message: str
) -> None:
    with pytest.raises(error, match=message):
        from_sklearn(make())


def test_what_a_perceptron_is() -> None:
    assert is_perceptron(MLPRegressor())
    assert is_perceptron(classifier())
    assert not is_perceptron(RandomForestClassifier())
    assert not is_perceptron(make_pipeline(StandardScaler(), RandomForestClassifier()))
    assert not is_perceptron(3)


# ---- Programs


def accuracy(program: Any, x: NDArray[Any], y: NDArray[Any]) -> float:
    return float((np.asarray(program.predict(x.astype(np.float32))) == y).mean())


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("load", [load_wine, load_digits, load_breast_cancer])
def test_classes_stay(load: Any, activation: str) -> None:
    """Features of very different ranges too, and rows that calibration did not see."""
    x, y = load(return_X_y=True)
    seen = np.arange(len(x)) % 2 == 0
    source = classifier(hidden_layer_sizes=(24, 12), activation=activation).fit(x[seen], y[seen])
    program = convert(source, rows=x[seen], targets=y[seen])
    found = program.meta["quantization"]
    assert found["accuracy_before"] == source.score(x[seen], y[seen])
    assert found["accuracy_after"] == accuracy(program, x[seen], y[seen])
    assert found["accuracy_after"] > found["accuracy_before"] - 0.01
    assert found["rows"] == seen.sum()
    assert found["largest_difference"] < 0.3
    assert accuracy(program, x[~seen], y[~seen]) > source.score(x[~seen], y[~seen]) - 0.02
    assert program.decision is (Decision.POSITIVE if y.max() == 1 else Decision.ARGMAX)
    assert program.labels == tuple(map(str, range(y.max() + 1)))
    assert program.golden is not None


def test_features_need_no_scaling_but_for_int8() -> None:
    source = classifier().fit(WINE, KINDS)
    assert convert(source, rows=WINE).meta["quantization"]["classes_changed"] <= 1
    assert convert(source, rows=WINE, dtype="int8").meta["quantization"]["classes_changed"] > 20
    scaled = StandardScaler().fit_transform(WINE)
    program = convert(source[-1], rows=scaled, dtype="int8", targets=KINDS)
    assert program.meta["quantization"]["classes_changed"] <= 3
    assert program.input.typecode == program.output.typecode == "b"
    assert np.abs(program.input.dequantize(program.input.quantize(scaled)) - scaled).max() < 0.02


def test_values_are_near() -> None:
    x, y = load_diabetes(return_X_y=True)
    source = regressor(max_iter=2000).fit(x, y)
    program = convert(source, rows=x, targets=y)
    found = program.meta["quantization"]
    assert found["error_before"] == pytest.approx(np.abs(source.predict(x) - y).mean())
    assert found["error_after"] < 1.01 * found["error_before"]
    assert found["largest_difference"] < 0.03 * np.ptp(y)
    assert program.decision is Decision.VALUE
    several = regressor().fit(x, np.stack([y, -y], axis=1))
    assert convert(several, rows=x).output.shape == (2,)


def test_constant_and_single_rows() -> None:
    x = np.array([[1.0, 7.0, -2.0], [2.0, 7.0, -2.0], [4.0, 7.0, -2.0]])
    source = MLPRegressor(hidden_layer_sizes=(4,), max_iter=500, random_state=1).fit(
        x, [1.0, 2.0, 4.0]
    )
    assert convert(source, rows=x).meta["quantization"]["largest_difference"] < 0.2
    assert convert(source, rows=x[:1]).meta["quantization"]["largest_difference"] < 0.1


def test_names_of_classes() -> None:
    names = np.array(["barolo", "grignolino", "barbera"])[KINDS]
    source = classifier().fit(WINE, names)
    program = convert(source, rows=WINE, targets=names)
    assert program.labels == ("barbera", "barolo", "grignolino")
    assert program.meta["quantization"]["accuracy_after"] > 0.98
    assert convert(source, rows=WINE, labels=["a", "b", "c"]).labels == ("a", "b", "c")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give rows of features"),
        ({"rows": WINE[:, 1:]}, r"expected \[rows, 13\]"),
        ({"rows": WINE[:0]}, "at least one"),
        ({"rows": np.where(WINE > 1000, np.nan, WINE)}, "takes no missing values"),
        ({"rows": WINE, "targets": KINDS[1:]}, "expected 178 class values"),
        ({"rows": WINE, "targets": KINDS + 1}, "3 is no class of the model; its classes: 0, 1, 2"),
        ({"rows": WINE, "labels": ["a"]}, "expected 3 names"),
        ({"rows": WINE, "dtype": "int16"}, "takes float32 or int8"),
        ({"rows": WINE, "missing": "follow", "output_scale": 1.0}, "missing, output_scale: for"),
    ],
)
def test_arguments_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    source = classifier().fit(WINE, KINDS)
    with pytest.raises(UsageError, match=message):
        convert(source, **options)


def test_targets_are_not_for_trees() -> None:
    with pytest.raises(UsageError, match="targets are for a perceptron"):
        convert(RandomForestClassifier(2).fit(WINE, KINDS), rows=WINE, targets=KINDS)


def test_standardize_rounds_to_the_nearest_step() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        step = np.exp(rng.uniform(-20, 20, 30))
        centre = rng.normal(0, 1000, 30) * step
        x = (centre + rng.normal(0, 40, (40, 30)) * step).astype(np.float32)
        exact = np.clip((x - centre) / step, -128, 127)
        (found,) = standardize(centre, step).apply(x)
        # Half a step, and what 16 bits of the factor leave at 128 steps from the centre.
        assert np.abs(found - exact).max() < 0.52
    with pytest.raises(UsageError, match=r"element 1 is around 1e\+07 in steps of 1,"):
        standardize([0, 1e7], [1, 1])
    with pytest.raises(UsageError, match="steps above 0"):
        standardize([0, 1], [1, 0])


# ---- Files and the command line


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_skops(solver: str, tmp_path: Path) -> None:
    source = classifier(solver=solver, max_iter=20).fit(WINE, KINDS)
    path = tmp_path / "wine.skops"
    skops.io.dump(source, path)
    model = load_source(path)
    assert isinstance(model, Perceptron)
    np.testing.assert_allclose(model.run(WINE), source.predict_proba(WINE), atol=1e-9)


def test_the_command_tells_the_accuracy(tmp_path: Path) -> None:
    names = np.array(["barolo", "grignolino", "barbera"])[KINDS]
    skops.io.dump(classifier().fit(WINE, names), tmp_path / "wine.skops")
    np.save(tmp_path / "x.npy", WINE)
    np.save(tmp_path / "y.npy", names)
    source, out = str(tmp_path / "wine.skops"), str(tmp_path / "wine.wbp")
    rows = ["--rows", str(tmp_path / "x.npy")]
    targets = ["--targets", str(tmp_path / "y.npy")]

    def run(*options: str) -> Any:
        return CliRunner().invoke(app, ["convert", source, "-o", out, *options])

    done = run(*rows, *targets, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["quantization"]
    assert found["accuracy_after"] > 0.97

    def said(*options: str) -> str:
        return " ".join(run(*options).output.split())

    assert "accuracy" in said(*rows, *targets)
    assert "before" in said(*rows, *targets)
    assert "warning" not in said(*rows)
    assert "let features be float32" in said(*rows, "--dtype", "int8")
    assert "give feature rows" in said()
    assert "is a perceptron" in said(*rows, "--output-scale", "0.1")
