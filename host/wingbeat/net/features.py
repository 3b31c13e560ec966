"""Perceptrons on whole numbers, such as a pipeline's features: each keeps a range of its own.

An operator brings every feature to int8, with a centre and a step for each; the first layer's
weights take that back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wingbeat.net.mlp import convert_perceptron
from wingbeat.net.perceptron import from_sklearn, with_each_class
from wingbeat.program import Descriptor, Program, ProgramBuilder
from wingbeat.reference.affine import Affine, affine

_LEAST_STEP = 0.5
"""Whole numbers need no smaller one; and small steps of some would leave no bits to the others."""


def convert_on_int16(
    model: Any,
    rows: NDArray[np.int16],
    *,
    name: str,
    labels: Sequence[str],
    each_class: bool = False,
) -> Program:
    """Convert scikit-learn's perceptron to a program that takes int16 features.

    Parameters
    ----------
    model : MLPClassifier or MLPRegressor, also behind scalers
    rows : array of int16 [rows, n_features]
        Of training: ranges are taken from them.
    name : str
    labels : sequence of str
        Names of the classes; none for a regression.
    each_class : bool
        Give a probability for each class also where there are two.
    """
    n_features = rows.shape[1]
    low, high = rows.min(axis=0).astype(np.float64), rows.max(axis=0).astype(np.float64)
    step, centre = np.maximum((high - low) / 255, _LEAST_STEP), (low + high) / 2
    operator = affine(1 / step, -centre / step, typecode="b")
    perceptron = from_sklearn(model)
    if each_class:
        perceptron = with_each_class(perceptron)
    first = perceptron.layers[0]
    factor, offset = _taken_back(operator)
    layer = replace(
        first,
        weights=first.weights * factor[:, np.newaxis],
        bias=first.bias + offset @ first.weights,
    )
    (steps,) = operator.apply(rows)
    behind = convert_perceptron(
        replace(perceptron, layers=(layer, *perceptron.layers[1:])),
        steps,
        name=name,
        labels=labels or None,
        io="int8",
    )
    builder = ProgramBuilder(Descriptor("h", (n_features,)))
    scale, zero = behind.input.scale, behind.input.zero_point
    if (scale, zero) != (1.0, 0):
        # Its int8 has another step and zero: the operator gives that.
        ratio = step * scale
        operator = affine(1 / ratio, zero - centre / ratio, typecode="b")
    return builder.finish_with(behind, builder.add(operator, 0))


def _taken_back(operator: Affine) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What makes features of int8, from the operator's own numbers, which were rounded."""
    one = 2.0**operator.shift
    slopes = operator.factors / one
    return 1 / slopes, (0.5 - operator.offsets / one) / slopes
