"""Read scikit-learn's tree ensembles, 1.3 and later.

What scikit-learn computes, and what is kept of it:

- ``X`` is cast to float32 (histogram boosting: float64) and compared with ``x <= threshold``,
  the threshold being a double.
- Trees and forests that accept NaN send it where the node says. Boosting on plain trees refuses
  NaN, histogram boosting always accepts it.
- A forest adds the class fractions of its trees in their order and divides once.
- Boosting starts from a constant and adds ``learning_rate * leaf``, stage by stage.

scikit-learn is never imported here: an estimator brings it along.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import ModelError, UnsupportedModelError
from wingbeat.forest.model import LEAF, Forest, Tree, lowest_terms, python_classes

SUPPORTED = (
    "DecisionTreeClassifier and -Regressor, ExtraTreeClassifier and -Regressor, "
    "RandomForestClassifier and -Regressor, ExtraTreesClassifier and -Regressor, "
    "GradientBoostingClassifier and -Regressor, HistGradientBoostingClassifier and -Regressor"
)

REMEDIES = {
    "Pipeline": "convert its last step, pipeline[-1]: trees need no scaling, so train them on "
    "the raw values; any other step has to run before the model does",
    "GridSearchCV": "convert its .best_estimator_",
    "RandomizedSearchCV": "convert its .best_estimator_",
    "HalvingGridSearchCV": "convert its .best_estimator_",
    "HalvingRandomSearchCV": "convert its .best_estimator_",
    "CalibratedClassifierCV": "convert the estimator that it calibrates; the classes stay "
    "nearly the same, the probabilities are then not calibrated",
    "AdaBoostClassifier": "train a GradientBoostingClassifier(loss='exponential') instead",
    "AdaBoostRegressor": "train a GradientBoostingRegressor instead",
    "BaggingClassifier": "train a RandomForestClassifier instead",
    "BaggingRegressor": "train a RandomForestRegressor instead",
    "IsolationForest": "train a RandomForestClassifier on rows labelled normal and odd instead",
    "RandomTreesEmbedding": "train the whole task as one ExtraTreesClassifier instead",
    "XGBClassifier": "train a HistGradientBoostingClassifier instead",
    "XGBRegressor": "train a HistGradientBoostingRegressor instead",
    "LGBMClassifier": "train a HistGradientBoostingClassifier instead",
    "LGBMRegressor": "train a HistGradientBoostingRegressor instead",
}


def from_sklearn(estimator: Any) -> Forest:
    """Read a fitted scikit-learn tree or ensemble of trees.

    Parameters
    ----------
    estimator
        One of the kinds in ``SUPPORTED``, or a subclass that predicts as its base does.

    Returns
    -------
    Forest
        Answers as the estimator does on every float32 row. For boosting with the exponential
        loss its scores are twice the ``decision_function``, which is exact and makes the link
        the plain logistic.

    Raises
    ------
    UnsupportedModelError
        Another kind of model, or an option that has no operator: several outputs, categorical
        splits, a loss with a link of its own, an ``init`` that looks at the input.
    ModelError
        The estimator is not fitted, or is damaged.
    """
    kind = _kind(estimator)
    attribute, read = READERS[kind.removesuffix("Classifier").removesuffix("Regressor")]
    if not hasattr(estimator, attribute):
        raise ModelError(f"this {kind} is not fitted: call fit(X, y) before converting it")
    if getattr(estimator, "n_outputs_", 1) != 1:
        raise UnsupportedModelError(
            f"this {kind} predicts {estimator.n_outputs_} outputs at once; "
            "train and convert one model for each"
        )
    return read(estimator, kind.endswith("Classifier"))


def _kind(estimator: Any) -> str:
    own = type(estimator)
    for base in own.__mro__:
        if not base.__module__.startswith("sklearn."):
            continue
        if base.__name__.removesuffix("Classifier").removesuffix("Regressor") not in READERS:
            break
        methods = ("predict", "predict_proba", "decision_function")
        if all(getattr(own, m, None) is getattr(base, m, None) for m in methods):
            return base.__name__
        raise UnsupportedModelError(
            f"{own.__name__} predicts in its own way, not as its base {base.__name__} does; "
            f"train a plain {base.__name__} instead"
        )
    remedy = next((REMEDIES[b.__name__] for b in own.__mro__ if b.__name__ in REMEDIES), None)
    raise UnsupportedModelError(
        f"{own.__name__} cannot be converted as a forest"
        + (f": {remedy}" if remedy else "")
        + f". Supported: {SUPPORTED}"
    )


def _read_average(estimator: Any, classify: bool) -> Forest:
    members = getattr(estimator, "estimators_", [estimator])
    accepts_nan = _accepts_nan(estimator)
    trees = (
        tuple(_class_tree(m.tree_, accepts_nan) for m in members)
        if classify
        else tuple(_value_tree(m.tree_, accepts_nan) for m in members)
    )
    n_outputs = trees[0].value.shape[1]
    return Forest(
        trees=trees,
        n_features=int(estimator.n_features_in_),
        n_outputs=n_outputs,
        task="classify" if classify else "regress",
        base=np.zeros(n_outputs),
        divisor=len(trees),
        link="none",
        positive_at_zero=False,
        classes=python_classes(estimator.classes_) if classify else (),
        handles_missing=accepts_nan,
    )


def _read_boosting(estimator: Any, classify: bool) -> Forest:
    init = estimator.init_
    constant = {"DummyClassifier", "DummyRegressor"}
    if not isinstance(init, str) and (
        type(init).__name__ not in constant or getattr(init, "strategy", "") == "stratified"
    ):
        raise UnsupportedModelError(
            f"this boosting starts from {init!r}, whose answer is not one constant; "
            "train with init=None or init='zero'"
        )
    origin = np.zeros((1, estimator.n_features_in_), dtype=np.float32)
    loss = type(estimator._loss)
    # Twice the score turns expit(2 s) into the plain logistic, and doubling never rounds.
    scale = 2.0 if classify and loss.__name__ == "ExponentialLoss" else 1.0
    # scikit-learn 1.3 lets its losses decide: log loss by an argmax of probabilities.
    by_argmax = hasattr(loss, "_raw_prediction_to_decision") and scale == 1.0
    return _boosted(
        estimator,
        classify,
        trees=tuple(
            _value_tree(member.tree_, False, output, (estimator.learning_rate, scale))
            for stage in estimator.estimators_
            for output, member in enumerate(stage)
        ),
        base=np.asarray(estimator._raw_predict_init(origin)[0] * scale, dtype=np.float64),
        positive_at_zero=not by_argmax,
        handles_missing=False,
    )


def _read_hist_boosting(estimator: Any, classify: bool) -> Forest:
    link = type(estimator._loss.link).__name__
    if not classify and link != "IdentityLink":
        raise UnsupportedModelError(
            f"loss={estimator.loss!r} predicts through an exponential; train with "
            "loss='squared_error' on log(y) and take exp() of the prediction on the board"
        )
    columns = _hist_columns(estimator)
    return _boosted(
        estimator,
        classify,
        trees=tuple(
            _hist_tree(predictor.nodes, columns, output)
            for iteration in estimator._predictors
            for output, predictor in enumerate(iteration)
        ),
        base=np.asarray(estimator._baseline_prediction, dtype=np.float64).ravel(),
        positive_at_zero=False,
        handles_missing=True,
    )


def _boosted(
    estimator: Any,
    classify: bool,
    *,
    trees: tuple[Tree, ...],
    base: NDArray[np.float64],
    positive_at_zero: bool,
    handles_missing: bool,
) -> Forest:
    classes = python_classes(estimator.classes_) if classify else ()
    link: Literal["none", "logistic", "softmax"] = "none"
    if classify:
        link = "logistic" if len(classes) == 2 else "softmax"
    return Forest(
        trees=trees,
        n_features=int(estimator.n_features_in_),
        n_outputs=len(base),
        task="classify" if classify else "regress",
        base=base,
        divisor=1,
        link=link,
        positive_at_zero=positive_at_zero,
        classes=classes,
        handles_missing=handles_missing,
    )


READERS: dict[str, tuple[str, Callable[[Any, bool], Forest]]] = {
    "DecisionTree": ("tree_", _read_average),
    "ExtraTree": ("tree_", _read_average),
    "RandomForest": ("estimators_", _read_average),
    "ExtraTrees": ("estimators_", _read_average),
    "GradientBoosting": ("estimators_", _read_boosting),
    "HistGradientBoosting": ("_predictors", _read_hist_boosting),
}


def _accepts_nan(estimator: Any) -> bool:
    """Ask the estimator itself: the rule depends on its criterion, splitter and release."""
    row = np.full((1, estimator.n_features_in_), np.nan, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            estimator.predict(row)
        except ValueError:
            return False
    return True


def _tree(
    source: Any,
    accepts_nan: bool,
    value: NDArray[np.float64],
    *,
    output: int = 0,
    counts: NDArray[np.int64] | None = None,
    total: NDArray[np.int64] | None = None,
) -> Tree:
    left = source.children_left.astype(np.int32)
    inner = left != LEAF
    return Tree(
        feature=np.where(inner, source.feature, LEAF).astype(np.int32),
        threshold=np.where(inner, source.threshold, 0.0),
        left=left,
        right=source.children_right.astype(np.int32),
        missing_left=inner & accepts_nan & (np.asarray(source.missing_go_to_left) != 0),
        value=np.where(inner[:, None], 0.0, value),
        output=output,
        counts=None if counts is None else np.where(inner[:, None], 0, counts),
        total=None if total is None else np.where(inner, 1, total),
    )


def _class_tree(source: Any, accepts_nan: bool) -> Tree:
    value = source.value[:, 0, :]
    if not np.allclose(value.sum(axis=1), 1.0):  # weighted counts before scikit-learn 1.4
        value = value / value.sum(axis=1, keepdims=True)
    weight = source.weighted_n_node_samples
    if not np.all((weight >= 0.5) & (weight < 2.0**53)):
        return _tree(source, accepts_nan, value)
    numerators, denominators = value * weight[:, None], np.rint(weight).astype(np.int64)
    counts = np.rint(numerators).astype(np.int64)
    exact = np.array_equal(counts.sum(axis=1), denominators) and np.array_equal(
        counts / denominators[:, None], value
    )
    if not exact:
        return _tree(source, accepts_nan, value)
    counts, total = lowest_terms(counts, denominators)
    return _tree(source, accepts_nan, value, counts=counts, total=total)


def _value_tree(
    source: Any, accepts_nan: bool, output: int = 0, factors: tuple[float, ...] = ()
) -> Tree:
    value = source.value[:, 0, :1]
    for factor in factors:
        value = factor * value
    return _tree(source, accepts_nan, value, output=output)


def _hist_columns(estimator: Any) -> NDArray[np.int32]:
    """Map the columns that the trees see to those of the input: categories come first."""
    columns = np.arange(estimator.n_features_in_, dtype=np.int32)
    if getattr(estimator, "_preprocessor", None) is None:
        return columns
    categorical = np.asarray(estimator.is_categorical_)
    return np.concatenate([columns[categorical], columns[~categorical]])


def _hist_tree(nodes: NDArray[Any], columns: NDArray[np.int32], output: int) -> Tree:
    inner = nodes["is_leaf"] == 0
    if np.any(inner & (nodes["is_categorical"] != 0)):
        raise UnsupportedModelError(
            "this model splits on categories; train with categorical_features=None, "
            "after turning each category into a number or into one column of 0 and 1 each"
        )
    index = np.where(inner, nodes["feature_idx"], 0)
    return Tree(
        feature=np.where(inner, columns[index], LEAF).astype(np.int32),
        threshold=np.where(inner, nodes["num_threshold"], 0.0),
        left=np.where(inner, nodes["left"].astype(np.int64), LEAF).astype(np.int32),
        right=np.where(inner, nodes["right"].astype(np.int64), LEAF).astype(np.int32),
        missing_left=inner & (nodes["missing_go_to_left"] != 0),
        value=np.where(inner, 0.0, nodes["value"])[:, None],
        output=output,
    )
