"""From a trained model to a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import FormatError, ModelError, UnsupportedModelError, UsageError
from .forest.encode import Encoding, Missing, encode_forest
from .forest.model import Forest
from .golden import choose
from .net.mlp import convert_perceptron
from .net.perceptron import Perceptron, is_perceptron
from .net.perceptron import from_sklearn as read_perceptron
from .program import Decision, Descriptor, Program, ProgramBuilder
from .reference import DTYPES, Cast, Leaves, Operator, Probability, Shift
from .reference.forest import max_features

TYPECODES = {"float32": "f", "int16": "h", "int8": "b", "uint8": "B"}
"""Input dtypes by name."""

_GUARD_BITS = 9
_SMALLEST_SCALE = 1e-30


def read_model(model: Any) -> Forest:
    """The neutral forest of trained trees.

    Parameters
    ----------
    model : estimator of scikit-learn, trees converted by emlearn, or Forest

    Raises
    ------
    UnsupportedModelError
        It is of another kind.
    ModelError
        It is not trained.
    """
    if isinstance(model, Forest):
        return model
    library = type(model).__module__.partition(".")[0]
    if library == "sklearn":
        from .forest.sklearn import from_sklearn

        return from_sklearn(model)
    if library == "emlearn":
        from .forest.emlearn import from_emlearn

        return from_emlearn(model)
    raise UnsupportedModelError(
        f"a {type(model).__module__}.{type(model).__name__} cannot be converted: give a decision"
        " tree, forest, gradient boosting or multilayer perceptron of scikit-learn, or trees"
        " converted by emlearn"
    )


def convert(
    model: Any,
    *,
    name: str = "model",
    dtype: str | None = None,
    labels: Sequence[str] | None = None,
    features: Operator | None = None,
    input_shape: tuple[int, ...] | None = None,
    rows: ArrayLike | None = None,
    targets: ArrayLike | None = None,
    missing: Missing | Literal["auto"] = "auto",
    output_scale: float | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Program:
    """Convert a trained model to a program that gives the same answers.

    A multilayer perceptron computes in int8 then, and its answers are nearly the same:
    `meta["quantization"]` tells how near, see `wingbeat.net.mlp`.

    Parameters
    ----------
    model : estimator of scikit-learn, trees converted by emlearn, Forest or Perceptron
        Trees, or an MLPClassifier or MLPRegressor, also at the end of a pipeline of scalers.
    name : str
        Name of the module on the board; a Python identifier.
    dtype : {"float32", "int16", "int8", "uint8"}, optional
        Dtype of the model's features. Default: that of `features`, else float32, or int16 for a
        model that compares integers. A perceptron takes float32, or int8 in one scale for all
        features, and gives the same dtype.
    labels : sequence of str, optional
        Names of the classes. Default: the model's own class values.
    features : operator, optional
        Computes the model's features on the board, from what the board then takes as its input.
    input_shape : tuple of int, optional
        Shape of the input. Default: (features,).
    rows : array [rows, n_features], optional
        Feature rows, best all that there are: leaves are rounded as far as changes the class of
        none of them, which makes the program smaller. A row that was not given may still change
        its class where two are close. Without rows, leaves keep at least 16 bits, or are exact.
        A perceptron needs rows: the ranges of its numbers are taken from them.
    targets : array [rows], optional
        For a perceptron: the true classes or values of `rows`, to tell its accuracy before and
        after.
    missing : {"auto", "follow", "right"}
        Where a float32 NaN goes: "follow" as in the source, at the price of one more node for
        each node that sends it left; "right" to the right at every node, as a number larger than
        all others. "auto" follows if `rows` have a NaN. (A NaN with its sign bit set, which no
        board makes, goes left with "right".)
    output_scale : float, optional
        For regression: the real value of one step of the output. Default: a power of two, as
        fine as leaves room to add up the trees: 30 bits for one tree, 17 for 10, 14 for 100.
    meta : mapping, optional
        Facts to keep in the program's file; JSON values.

    Raises
    ------
    UnsupportedModelError, ModelError
        The model cannot be converted.
    UsageError
        The arguments do not fit together.
    """
    if isinstance(model, Perceptron) or is_perceptron(model):
        perceptron = model if isinstance(model, Perceptron) else read_perceptron(model)
        trees_only = {
            "features": features is not None,
            "input_shape": input_shape is not None,
            "missing": missing != "auto",
            "output_scale": output_scale is not None,
        }
        return _perceptron(perceptron, dtype, trees_only, rows, targets, name, labels, meta)
    forest = read_model(model)
    if targets is not None:
        raise UsageError("targets are for a perceptron, whose numbers are rounded: leave them out")
    _refuse_bad_arguments(forest, missing, output_scale)
    typecode = _typecode(dtype, forest, features)
    source = _Source(forest, typecode, features, input_shape)
    x = None if rows is None else np.asarray(rows)
    common = {"name": name, "labels": _labels(forest, labels)}
    facts = dict(meta or {})
    if missing == "auto":
        missing = "follow" if x is not None and np.isnan(x).any() else "right"
    if source.typecode == "f":
        facts["missing"] = missing
    if forest.task == "regress":
        program = _regression(source, missing, output_scale, facts, common)
    elif forest.link == "none":
        program = _votes(source, x, missing, facts, common)
    else:
        program = _scores(source, x, missing, facts, common)
    try:
        program.encode()
    except FormatError as error:
        raise UnsupportedModelError(str(error)) from error
    return program if x is None or features is not None else _with_golden(program, x)


def _perceptron(
    model: Perceptron,
    dtype: str | None,
    trees_only: Mapping[str, bool],
    rows: ArrayLike | None,
    targets: ArrayLike | None,
    name: str,
    labels: Sequence[str] | None,
    meta: Mapping[str, Any] | None,
) -> Program:
    wrong = [argument for argument, given in trees_only.items() if given]
    if wrong:
        raise UsageError(f"{', '.join(wrong)}: for trees; this model is a perceptron")
    ends: dict[str | None, Literal["int8", "float"]]
    ends = {None: "float", "float32": "float", "int8": "int8"}
    if dtype not in ends:
        raise UsageError(f"dtype {dtype!r}: a perceptron takes float32 or int8")
    return convert_perceptron(
        model, rows, targets=targets, name=name, labels=labels, io=ends[dtype], meta=meta
    )


def _with_golden(program: Program, x: NDArray[Any]) -> Program:
    """Keep some rows as golden vectors, if they are inputs of the program as they are."""
    dtype = program.input.dtype
    with np.errstate(invalid="ignore", over="ignore"):
        rows = x.astype(dtype)
    if dtype.kind != "f" and not np.array_equal(rows, x):
        return program
    return replace(program, golden=choose(program, rows.reshape(-1, *program.input.shape)))


def _refuse_bad_arguments(forest: Forest, missing: str, output_scale: float | None) -> None:
    if missing not in ("auto", "follow", "right"):
        raise UsageError(f"missing={missing!r}: choose one of auto, follow, right")
    if output_scale is None:
        return
    if forest.task != "regress":
        raise UsageError("output_scale is for regression; this model gives classes")
    if not _SMALLEST_SCALE <= output_scale <= 1 / _SMALLEST_SCALE:
        raise UsageError(
            f"output_scale {output_scale}: expected the real value of one step of the output,"
            " a finite number above 0"
        )


class _Source:
    """The start of a program, up to the features that the forest compares."""

    def __init__(
        self,
        forest: Forest,
        typecode: str,
        features: Operator | None,
        input_shape: tuple[int, ...] | None,
    ) -> None:
        self.forest = forest
        if features is not None:
            ((code, n_elements),) = features.inputs
        else:
            code, n_elements = typecode, forest.n_features
        shape = (n_elements,) if input_shape is None else tuple(input_shape)
        if not 1 <= len(shape) <= 4 or min(shape) < 1 or int(np.prod(shape)) != n_elements:
            raise UsageError(
                f"input_shape {shape}: expected one to four dimensions that hold"
                f" {n_elements} elements"
            )
        self.builder = ProgramBuilder(Descriptor(code, shape))
        self.tensor = 0 if features is None else self.builder.add(features, 0)
        self.typecode = typecode
        if typecode in "bB" and forest.n_features > max_features(typecode):
            # Nodes for 8-bit features have 8 bits for the feature's number.
            self.tensor = self.builder.add(Cast(forest.n_features, typecode), self.tensor)
            self.typecode = "h"

    def add(self, encoding: Encoding) -> int:
        return self.builder.add(encoding.operator, self.tensor)


def _typecode(dtype: str | None, forest: Forest, features: Operator | None) -> str:
    if features is not None:
        ((typecode, n_features),) = features.outputs
        if n_features != forest.n_features:
            raise UsageError(
                f"the model takes {forest.n_features} features, but the operator"
                f" {features.KERNEL} gives {n_features}"
            )
        if dtype is not None and TYPECODES.get(dtype) != typecode:
            raise UsageError(
                f"dtype {dtype!r}: the operator {features.KERNEL} gives"
                f" {DTYPES[typecode].name}; leave dtype away"
            )
        return typecode
    if dtype is None:
        return "h" if forest.integer_only else "f"
    if dtype not in TYPECODES:
        raise UsageError(f"dtype {dtype!r}: choose one of {', '.join(TYPECODES)}")
    return TYPECODES[dtype]


def _labels(forest: Forest, labels: Sequence[str] | None) -> tuple[str, ...]:
    if labels is None:
        return tuple(str(value) for value in forest.classes)
    if isinstance(labels, str) or len(labels) != len(forest.classes):
        raise UsageError(
            f"labels {labels!r}: expected a list of {len(forest.classes)} names, one a class"
        )
    return tuple(str(label) for label in labels)


def _votes(
    source: _Source,
    rows: Any,
    missing: Missing,
    meta: dict[str, Any],
    common: dict[str, Any],
) -> Program:
    encoding = encode_forest(source.forest, source.typecode, rows=rows, missing=missing)
    sums = source.add(encoding)
    meta["leaves"] = {
        "bits": encoding.leaf_bits,
        "full_weight": encoding.operator.full_weight,
        "exact_share": encoding.exact_leaves,
        "rows_checked": encoding.rows_checked,
        "rows_changed": encoding.rows_changed,
    }
    output, scale = sums, encoding.scale
    if encoding.operator.leaves is Leaves.WIDE:
        largest = encoding.operator.full_weight * len(source.forest.trees)
        bits = max(0, largest.bit_length() - 16)
        output = source.builder.add(Shift(source.forest.n_outputs, bits, "H"), sums)
        scale *= 2.0**bits
    return source.builder.finish(
        output=output,
        decision=Decision.ARGMAX,
        decision_tensor=sums,
        scale=scale,
        meta=meta,
        **common,
    )


def _scores(
    source: _Source, rows: Any, missing: Missing, meta: dict[str, Any], common: dict[str, Any]
) -> Program:
    forest = source.forest
    encoding = encode_forest(forest, source.typecode, rows=rows, missing=missing)
    sums = source.add(encoding)
    fraction_bits = round(-np.log2(encoding.scale))
    if fraction_bits < 0:
        raise ModelError(
            "the scores of this model exceed 2**30: scale the learning rate or the loss down"
        )
    meta["leaves"] = {
        "bits": encoding.leaf_bits,
        "fraction_bits": fraction_bits,
        "rows_checked": encoding.rows_checked,
        "rows_changed": encoding.rows_changed,
    }
    output = source.builder.add(Probability(forest.n_outputs, fraction_bits), sums)
    return source.builder.finish(
        output=output,
        decision=Decision.POSITIVE if forest.is_binary_score else Decision.ARGMAX,
        decision_tensor=sums,
        scale=1.0 / 65535,
        meta=meta,
        **common,
    )


def _regression(
    source: _Source,
    missing: Missing,
    output_scale: float | None,
    meta: dict[str, Any],
    common: dict[str, Any],
) -> Program:
    n_trees = max(1, len(source.forest.trees))
    # A single tree needs no guard bits: its leaf is the output.
    guard = 0 if n_trees == 1 else (n_trees - 1).bit_length() + _GUARD_BITS
    if output_scale is None:
        encoding = encode_forest(source.forest, source.typecode, missing=missing)
    else:
        # The program holds its scale as a float32.
        unit = float(np.float32(output_scale)) * 2.0**-guard
        encoding = encode_forest(source.forest, source.typecode, missing=missing, unit=unit)
    sums = source.add(encoding)
    output = sums if guard == 0 else source.builder.add(Shift(1, guard, "i"), sums)
    meta["leaves"] = {
        "bits": encoding.leaf_bits,
        "largest_error_in_steps": 0.5 + (n_trees / 2) * 2.0**-guard if guard else 0.5,
    }
    return source.builder.finish(
        output=output,
        decision=Decision.VALUE,
        decision_tensor=output,
        scale=encoding.scale * 2.0**guard,
        meta=meta,
        **common,
    )
