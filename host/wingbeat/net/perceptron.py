"""Multilayer perceptrons as floats, and how to read scikit-learn's.

scikit-learn is never imported here: an estimator brings it along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import ModelError, UnsupportedModelError
from wingbeat.forest.model import Class, python_classes

Rows: TypeAlias = NDArray[np.float64]

FUNCTIONS: Mapping[str, Callable[[Rows], Rows]] = {
    "identity": lambda z: z,
    "relu": lambda z: np.maximum(z, 0.0),
    "logistic": lambda z: 0.5 * (1.0 + np.tanh(0.5 * z)),
    "tanh": np.tanh,
    "softmax": lambda z: _softmax(z),
}
"""Activations by scikit-learn's names."""

_OUTPUTS = ("softmax", "logistic", "identity")
_SCALERS = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler")
_METHODS = ("predict", "predict_proba")
_READ = ("MLPClassifier", "MLPRegressor")


@dataclass(frozen=True, eq=False)
class Layer:
    """``function(x @ weights + bias)``.

    Attributes
    ----------
    weights : NDArray[float64] [inputs, outputs]
    bias : NDArray[float64] [outputs]
    function : str
        A name of `FUNCTIONS`.
    """

    weights: Rows
    bias: NDArray[np.float64]
    function: str


@dataclass(frozen=True, eq=False)
class Perceptron:
    """A trained multilayer perceptron.

    Attributes
    ----------
    layers : tuple of Layer
        The last one's function is "softmax", "logistic" (one output, two classes) or "identity".
    task : {"classify", "regress"}
    classes : tuple
        Class values in the order of the outputs; empty for regression.
    """

    layers: tuple[Layer, ...]
    task: Literal["classify", "regress"]
    classes: tuple[Class, ...]

    @property
    def n_features(self) -> int:
        """Elements of a row."""
        return int(self.layers[0].weights.shape[0])

    @property
    def n_outputs(self) -> int:
        """Results for a row: classes but for two, or values."""
        return int(self.layers[-1].weights.shape[1])

    def run(self, x: Rows) -> Rows:
        """Probabilities or values [rows, n_outputs] from features [rows, n_features]."""
        for layer in self.layers:
            x = FUNCTIONS[layer.function](x @ layer.weights + layer.bias)
        return x

    def predict(self, x: Rows) -> NDArray[np.int64]:
        """Class numbers [rows]."""
        return decide(self.run(x))


def with_each_class(model: Perceptron) -> Perceptron:
    """The same with a probability for each of two classes, where there is one for the second."""
    last = model.layers[-1]
    if last.function != "logistic":
        return model
    # 1 / (1 + exp(-z)) is the second of softmax(-z / 2, z / 2).
    sides = np.array([-0.5, 0.5])
    layer = Layer(last.weights * sides, last.bias * sides, "softmax")
    return replace(model, layers=(*model.layers[:-1], layer))


def decide(results: Rows) -> NDArray[np.int64]:
    """Class numbers [rows] from probabilities [rows, n_outputs]."""
    if results.shape[1] == 1:
        return (results[:, 0] > 0.5).astype(np.int64)
    return np.asarray(results.argmax(axis=1))


def _softmax(z: Rows) -> Rows:
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def is_perceptron(estimator: Any) -> bool:
    """Whether `from_sklearn` is the reader of this estimator, or of this pipeline's last step."""
    names = {base.__name__ for base in type(_last(estimator)).__mro__}
    return not names.isdisjoint(_READ)


def _last(estimator: Any) -> Any:
    steps = getattr(estimator, "steps", None)
    return estimator if steps is None else steps[-1][1]


def from_sklearn(estimator: Any) -> Perceptron:
    """Read a fitted MLPClassifier or MLPRegressor, or a pipeline of scalers with one at its end.

    Raises
    ------
    UnsupportedModelError
        A step in front of it is no scaler, or the classifier gives several labels at once.
    ModelError
        The estimator is not fitted.
    """
    model = _last(estimator)
    if not hasattr(model, "coefs_"):
        raise ModelError(f"this {type(model).__name__} is not trained: call fit() first")
    classify = hasattr(model, "classes_")
    if classify and model.n_outputs_ > 1 and model.out_activation_ == "logistic":
        raise UnsupportedModelError(
            f"this {type(model).__name__} gives several labels to a row: train a classifier for"
            " each label"
        )
    _refuse_own_ways(model)
    functions = [model.activation] * (len(model.coefs_) - 1) + [model.out_activation_]
    layers = [
        Layer(np.asarray(weights, np.float64), np.asarray(bias, np.float64), function)
        for weights, bias, function in zip(model.coefs_, model.intercepts_, functions, strict=True)
    ]
    for _, scaler in reversed(getattr(estimator, "steps", [])[:-1]):
        factor, offset = _affine(scaler, layers[0].weights.shape[0])
        weights = layers[0].weights
        layers[0] = replace(
            layers[0],
            weights=factor[:, np.newaxis] * weights,
            bias=layers[0].bias + offset @ weights,
        )
    return Perceptron(
        tuple(layers),
        "classify" if classify else "regress",
        python_classes(model.classes_) if classify else (),
    )


def _refuse_own_ways(model: Any) -> None:
    own = type(model)
    base = next(each for each in own.__mro__ if each.__name__ in _READ)
    if any(getattr(own, m, None) is not getattr(base, m, None) for m in _METHODS):
        raise UnsupportedModelError(
            f"{own.__name__} predicts in its own way, not as its base {base.__name__} does: train"
            f" a plain {base.__name__} instead"
        )
    if model.activation not in FUNCTIONS or model.out_activation_ not in _OUTPUTS:
        raise UnsupportedModelError(
            f"this {own.__name__} has the activations {model.activation} and, at its end,"
            f" {model.out_activation_}: expected {', '.join(FUNCTIONS)}; for loss='poisson' train"
            " on log(y) with loss='squared_error', and take exp() of the prediction"
        )


def _affine(scaler: Any, n_features: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a step of a pipeline does: x * factor + offset."""
    ones, zeros = np.ones(n_features), np.zeros(n_features)
    if scaler is None or scaler == "passthrough":
        return ones, zeros
    name = type(scaler).__name__
    if name not in _SCALERS or getattr(scaler, "clip", False):
        raise UnsupportedModelError(
            f"the step {name} of the pipeline cannot be converted: use {', '.join(_SCALERS)}"
            " without clip, or apply it before the model"
        )
    if not hasattr(scaler, "scale_"):
        raise ModelError(f"the step {name} of the pipeline is not trained: call fit() first")
    scale = ones if scaler.scale_ is None else np.asarray(scaler.scale_, np.float64)
    if name == "MinMaxScaler":
        return scale, np.asarray(scaler.min_, np.float64)
    centre = getattr(scaler, "center_" if name == "RobustScaler" else "mean_", None)
    # A StandardScaler without with_mean still has a mean_.
    if centre is None or not getattr(scaler, "with_mean", True):
        return 1 / scale, zeros
    return 1 / scale, -np.asarray(centre, np.float64) / scale
