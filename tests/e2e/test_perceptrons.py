"""Perceptrons of scikit-learn as modules, on every target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from wingbeat.convert import convert
from wingbeat.program import Program
from wingbeat.runner import run_module
from wingbeat.targets import TARGETS, open_target

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ROWS = 30
SOURCES = {
    "wine": (load_wine, MLPClassifier, "relu", "float32"),
    "cancer": (load_breast_cancer, MLPClassifier, "tanh", "float32"),
    "digits": (load_digits, MLPClassifier, "logistic", "int8"),
    "diabetes": (load_diabetes, MLPRegressor, "relu", "float32"),
}


def program(name: str) -> tuple[Program, Any]:
    load, kind, activation, dtype = SOURCES[name]
    x, y = load(return_X_y=True)
    model = kind(hidden_layer_sizes=(20, 9), activation=activation, max_iter=40, random_state=1)
    made = convert(make_pipeline(StandardScaler(), model).fit(x, y), name=name, rows=x, dtype=dtype)
    return made, made.input.quantize(x) if dtype == "int8" else x.astype(np.float32)


@pytest.mark.parametrize("target", TARGETS)
def test_perceptrons(target: str) -> None:
    with open_target(target) as machine:
        for name in SOURCES:
            made, x = program(name)
            module = made.assemble(machine.arch)
            raw = run_module(machine, module, x[:ROWS])
            assert np.array_equal(raw.outputs, made.run(x[:ROWS])), name
            decided = run_module(machine, module, x[:ROWS], predict=True)
            assert np.array_equal(decided.outputs, made.predict(x[:ROWS])), name
