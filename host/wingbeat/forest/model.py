"""Tree ensembles as what they compute, free of the library that trained them.

A :class:`Forest` answers exactly as its source does on every float32 row: the same comparisons,
the same additions in the same order, the same rule for ties. Readers make one
(:mod:`wingbeat.forest.sklearn`, :mod:`wingbeat.forest.emlearn`), the encoder consumes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wingbeat.errors import ModelError, UsageError

Class = bool | int | float | str
LEAF = -1


@dataclass(frozen=True, eq=False)
class Tree:
    """One binary decision tree. Node 0 is the root.

    A row goes left where ``x[feature] <= threshold``, NaN where ``missing_left`` says.

    Parameters
    ----------
    feature : NDArray[np.int32], shape (n_nodes,)
        Column that the node compares, -1 in leaves.
    threshold : NDArray[np.float64], shape (n_nodes,)
        Never NaN in inner nodes; may be infinite. Unused in leaves.
    left, right : NDArray[np.int32], shape (n_nodes,)
        Index of the child, larger than the node's own; -1 in leaves.
    missing_left : NDArray[np.bool_], shape (n_nodes,)
        Whether NaN goes left. False throughout if the source does not accept NaN.
    value : NDArray[np.float64], shape (n_nodes, n_values)
        What a leaf adds to the scores. Rows of inner nodes are zero.
    output : int
        Index of the first score that `value` adds to.
    counts : NDArray[np.int64] or None, shape (n_nodes, n_values)
        Exact numerators of `value`: each leaf's value is the double nearest to
        ``counts / total``. None if the source keeps no such integers (boosting, regression,
        fractional weights).
    total : NDArray[np.int64] or None, shape (n_nodes,)
        Exact denominators; 1 in inner nodes. In lowest terms with the row of `counts`,
        unless the source has one fixed denominator.

    Raises
    ------
    ModelError
        The arrays are no tree: lengths that differ, a child that is not there, a node with
        two parents or none.
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float64]
    output: int = 0
    counts: NDArray[np.int64] | None = None
    total: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        n = len(self.feature)
        columns = (self.threshold, self.left, self.right, self.missing_left, self.value)
        if n == 0 or any(len(column) != n for column in columns):
            raise ModelError(
                "damaged tree: its node arrays are empty or differ in length; "
                "save the model again from where it was trained"
            )
        inner = np.flatnonzero(self.feature >= 0)
        children = np.concatenate([self.left[inner], self.right[inner]])
        parents = np.concatenate([inner, inner])
        if not (
            np.all((children > parents) & (children < n))
            and np.array_equal(np.sort(children), np.arange(1, n))
        ):
            raise ModelError(
                "damaged tree: every node but the root must be the child of exactly one "
                "earlier node; save the model again from where it was trained"
            )
        if np.isnan(self.threshold[inner]).any():
            raise ModelError("damaged tree: a threshold is NaN; train the model again")

    @property
    def n_nodes(self) -> int:
        """Number of nodes, leaves included."""
        return len(self.feature)

    @property
    def leaves(self) -> NDArray[np.intp]:
        """Indexes of the leaves, ascending."""
        return np.flatnonzero(self.feature < 0)

    @property
    def depth(self) -> int:
        """Comparisons on the longest path; 0 for a single leaf."""
        level = np.zeros(self.n_nodes, dtype=np.int64)
        for node in np.flatnonzero(self.feature >= 0):
            level[self.left[node]] = level[self.right[node]] = level[node] + 1
        return int(level.max())

    def apply(self, x: NDArray[np.floating[Any]]) -> NDArray[np.intp]:
        """Find the leaf of each row.

        Parameters
        ----------
        x : NDArray, floating, shape (rows, n_features)

        Returns
        -------
        NDArray[np.intp], shape (rows,)
            Index of the leaf.
        """
        node = np.zeros(len(x), dtype=np.intp)
        rows = np.arange(len(x))
        while True:
            rows = rows[self.feature[node[rows]] >= 0]
            if not len(rows):
                return node
            at = node[rows]
            read = x[rows, self.feature[at]].astype(np.float64)
            goes_left = np.where(np.isnan(read), self.missing_left[at], read <= self.threshold[at])
            node[rows] = np.where(goes_left, self.left[at], self.right[at])


@dataclass(frozen=True, eq=False)
class Forest:
    """A sum or an average of trees, and how it becomes a class or a number.

    Parameters
    ----------
    trees : tuple of Tree
        In the order in which the source adds them. May be empty.
    n_features : int
        Columns of the input.
    n_outputs : int
        Scores per row: one per class, one for a binary boosted classifier, one for a regressor.
    task : {"classify", "regress"}
    base : NDArray[np.float64], shape (n_outputs,)
        Added to the scores.
    divisor : int
        What the sums are divided by: the number of trees for averages, else 1.
    link : {"none", "logistic", "softmax"}
        From scores to probabilities; "none" for averages of fractions and for regression.
    positive_at_zero : bool
        Binary scores: class 1 at a score of exactly 0 (True), or only above it (False).
    classes : tuple
        What ``predict`` counts, as Python scalars or strings; empty for a regressor.
    handles_missing : bool
        The source accepts NaN when it predicts.
    integer_only : bool
        The source defines its comparisons on integers only. Thresholds are integers then, and
        fractions in the input are cut off towards zero, as its C code does.
    single_precision : bool
        The source adds and divides in float32 instead of float64.
    """

    trees: tuple[Tree, ...]
    n_features: int
    n_outputs: int
    task: Literal["classify", "regress"]
    base: NDArray[np.float64]
    divisor: int
    link: Literal["none", "logistic", "softmax"]
    positive_at_zero: bool
    classes: tuple[Class, ...]
    handles_missing: bool
    integer_only: bool = False
    single_precision: bool = False

    def __post_init__(self) -> None:
        for tree in self.trees:
            if tree.feature.max() >= self.n_features:
                raise ModelError(
                    f"damaged forest: a node reads feature {tree.feature.max()}, "
                    f"but the input has {self.n_features}"
                )
            if not 0 <= tree.output <= self.n_outputs - tree.value.shape[1]:
                raise ModelError(
                    f"damaged forest: a tree adds {tree.value.shape[1]} values at output "
                    f"{tree.output} of {self.n_outputs}"
                )

    @property
    def is_binary_score(self) -> bool:
        """Whether one score decides between two classes by its sign."""
        return self.n_outputs == 1 and len(self.classes) == 2

    def scores(self, x: ArrayLike) -> NDArray[np.float64]:
        """Add up the trees, in the source's own order and precision.

        Parameters
        ----------
        x : array_like, shape (rows, n_features)
            Cast to float32 first. NaN goes where each node says, whether or not the source
            would refuse it.

        Returns
        -------
        NDArray[np.float64], shape (rows, n_outputs)

        Raises
        ------
        UsageError
            `x` is not of that shape.
        """
        with _quiet():
            rows = self._rows(x)
            precision = np.float32 if self.single_precision else np.float64
            start = self.base if self.divisor == 1 else np.zeros(self.n_outputs)
            scores = np.tile(start.astype(precision), (len(rows), 1))
            for tree in self.trees:
                values = tree.value[tree.apply(rows)].astype(precision)
                scores[:, tree.output : tree.output + values.shape[1]] += values
            if self.divisor != 1:
                scores = scores / precision(self.divisor) + self.base.astype(precision)
        return scores.astype(np.float64)

    def predict(self, x: ArrayLike) -> NDArray[np.int64] | NDArray[np.float64]:
        """Classify or regress.

        Parameters
        ----------
        x : array_like, shape (rows, n_features)
            As for :meth:`scores`.

        Returns
        -------
        NDArray[np.int64] or NDArray[np.float64], shape (rows,)
            Indexes into `classes`, the first of equals; or the regression values.
        """
        scores = self.scores(x)
        if self.task == "regress":
            return scores[:, 0]
        if self.is_binary_score:
            score = scores[:, 0]
            return np.asarray(score >= 0 if self.positive_at_zero else score > 0, dtype=np.int64)
        return np.asarray(scores.argmax(axis=1), dtype=np.int64)

    def probabilities(self, x: ArrayLike) -> NDArray[np.float64]:
        """Compute the probability of each class.

        Equal to the source's up to the rounding of ``exp``.

        Parameters
        ----------
        x : array_like, shape (rows, n_features)
            As for :meth:`scores`.

        Returns
        -------
        NDArray[np.float64], shape (rows, n_classes)

        Raises
        ------
        UsageError
            This is a regressor.
        """
        if self.task == "regress":
            raise UsageError("a regressor has no class probabilities: call predict instead")
        scores = self.scores(x)
        with _quiet():
            if self.link == "logistic":
                falling = np.exp(-np.abs(scores[:, 0]))
                positive = np.where(scores[:, 0] >= 0, 1.0, falling) / (1.0 + falling)
                return np.column_stack([1.0 - positive, positive])
            if self.link == "softmax":
                powers = np.exp(scores - scores.max(axis=1, keepdims=True))
                return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)
        return scores

    def _rows(self, x: ArrayLike) -> NDArray[np.floating[Any]]:
        given = np.asarray(x)
        if given.ndim != 2 or given.shape[1] != self.n_features:
            raise UsageError(
                f"expected rows of {self.n_features} features, shape (rows, {self.n_features}); "
                f"got shape {given.shape}"
            )
        if self.integer_only:
            return np.trunc(given.astype(np.float64))
        return given.astype(np.float32)


def _quiet() -> np.errstate:
    """Let infinities and denormals be answers, whatever ``numpy.seterr`` a library has set."""
    return np.errstate(over="ignore", under="ignore", invalid="ignore")


def lowest_terms(
    counts: NDArray[np.int64], total: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Reduce each row of fractions by the greatest divisor that its members share.

    Parameters
    ----------
    counts : NDArray[np.int64], shape (rows, n)
        Numerators.
    total : NDArray[np.int64], shape (rows,)
        Denominators, positive.

    Returns
    -------
    tuple of NDArray[np.int64]
        Both, reduced.
    """
    shared = np.gcd(np.gcd.reduce(counts, axis=1), total)
    return counts // shared[:, None], total // shared


def python_classes(values: Iterable[Any]) -> tuple[Class, ...]:
    """Turn class values, NumPy scalars among them, into Python scalars and strings.

    Raises
    ------
    ModelError
        A class value is of another kind.
    """
    plain = tuple(v.item() if isinstance(v, np.generic) else v for v in values)
    for value in plain:
        if not isinstance(value, (bool, int, float, str)):
            raise ModelError(
                f"class value {value!r} is a {type(value).__name__}; "
                "train with classes that are numbers or strings"
            )
    return plain
