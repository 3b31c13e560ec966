"""How good predictions are: for classes, and for values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rich.table import Table
from rich.text import Text

from wingbeat.errors import UsageError
from wingbeat.recordings import class_order

_RESAMPLES = 10_000
_SEED = 20_260_101
_Z = 1.959963984540054


@dataclass(frozen=True, eq=False)
class ClassReport:
    """Predicted classes against true ones.

    Parameters
    ----------
    labels : tuple of str
        Names of the k classes.
    n : int
        Rows judged.
    accuracy : float
        Share of rows predicted right, 0 to 1.
    interval : tuple of float
        Where the accuracy on new data lies with 95 % confidence, if that data is like this.
    interval_method : str
        ``bootstrap over N groups`` or ``Wilson``.
    recall, precision : NDArray[float64] [k]
        Of the rows of a class, the share that was predicted so; of the rows predicted so, the share
        that is of the class. NaN where there is no such row.
    support : NDArray[int64] [k]
        Rows of each class.
    confusion : NDArray[int64] [k, k]
        Rows by true class (first axis) and predicted class.
    groups : tuple of str
        Names of the groups, empty without groups.
    group_accuracy : NDArray[float64] [groups]
        Accuracy in each group.
    group_support : NDArray[int64] [groups]
        Rows of each group.
    """

    labels: tuple[str, ...]
    n: int
    accuracy: float
    interval: tuple[float, float]
    interval_method: str
    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    support: NDArray[np.int64]
    confusion: NDArray[np.int64]
    groups: tuple[str, ...]
    group_accuracy: NDArray[np.float64]
    group_support: NDArray[np.int64]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON types; what is undefined is None."""
        return {
            "n": self.n,
            "accuracy": self.accuracy,
            "interval": {
                "low": self.interval[0],
                "high": self.interval[1],
                "confidence": 0.95,
                "method": self.interval_method,
            },
            "classes": [
                {
                    "label": label,
                    "recall": _finite(self.recall[index]),
                    "precision": _finite(self.precision[index]),
                    "support": int(self.support[index]),
                }
                for index, label in enumerate(self.labels)
            ],
            "confusion": self.confusion.tolist(),
            "groups": [
                {
                    "group": group,
                    "accuracy": float(self.group_accuracy[index]),
                    "support": int(self.group_support[index]),
                }
                for index, group in enumerate(self.groups)
            ],
        }

    def table(self) -> Table:
        """Recall, precision and support of each class; the caption has the accuracy."""
        low, high = self.interval
        table = Table(
            "class",
            caption=f"accuracy {self.accuracy:.3f} of {self.n} rows\n"
            f"95 %: {low:.3f} to {high:.3f} ({self.interval_method})",
            caption_justify="left",
            min_width=50,
        )
        table.add_column("recall", justify="right")
        table.add_column("precision", justify="right")
        table.add_column("rows", justify="right")
        for index, label in enumerate(self.labels):
            table.add_row(
                Text(label),
                _shown(self.recall[index]),
                _shown(self.precision[index]),
                str(self.support[index]),
            )
        return table

    def group_table(self) -> Table:
        """Accuracy and support of each group."""
        table = Table("group")
        table.add_column("accuracy", justify="right")
        table.add_column("rows", justify="right")
        for index, group in enumerate(self.groups):
            table.add_row(
                Text(group),
                f"{self.group_accuracy[index]:.3f}",
                str(self.group_support[index]),
            )
        return table


@dataclass(frozen=True, eq=False)
class ValueReport:
    """Predicted values against true ones.

    Parameters
    ----------
    n : int
        Rows judged.
    r2 : float
        Share of the variance that is explained: 1 is perfect, 0 is no better than the mean, and it
        can be negative. NaN when all true values are equal.
    mae, rmse : float
        Mean absolute error and root of the mean squared error, in the unit of the values.
    """

    n: int
    r2: float
    mae: float
    rmse: float

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON types; what is undefined is None."""
        return {"n": self.n, "r2": _finite(self.r2), "mae": self.mae, "rmse": self.rmse}

    def table(self) -> Table:
        """One row per measure."""
        table = Table("measure")
        table.add_column("value", justify="right")
        table.add_row("R2", _shown(self.r2))
        table.add_row("mean absolute error", f"{self.mae:.6g}")
        table.add_row("root mean squared error", f"{self.rmse:.6g}")
        table.add_row("rows", str(self.n))
        return table


def evaluate_classes(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    labels: Sequence[str],
    groups: ArrayLike | None = None,
) -> ClassReport:
    """Judge predicted classes.

    With two groups or more, the 95 % interval of the accuracy comes from 10000 bootstrap resamples
    of whole groups, since rows of one group resemble each other. Without groups, or when all groups
    are predicted equally well and resampling them shows no spread, it is Wilson's score interval
    over rows (Wilson 1927, "Probable inference, the law of succession, and statistical inference").

    Parameters
    ----------
    y_true, y_pred : array of int [n]
        Class indexes, from 0 to ``len(labels) - 1``.
    labels : sequence of str
        Names of the classes.
    groups : array [n], optional
        Group of each row.

    Raises
    ------
    UsageError
        Arrays are empty, differ in length, or hold something other than class indexes.
    """
    true, predicted = _class_indexes(y_true, len(labels)), _class_indexes(y_pred, len(labels))
    _check_pair(true, predicted)
    count = len(labels)
    confusion = np.bincount(true * count + predicted, minlength=count * count)
    confusion = confusion.astype(np.int64).reshape(count, count)
    right = confusion.diagonal()
    names: tuple[str, ...] = ()
    group_right = group_support = np.zeros(0, np.int64)
    if groups is not None:
        owners = np.asarray(groups)
        if owners.shape != true.shape:
            raise UsageError(
                f"expected one group for each of {len(true)} rows, got shape {owners.shape}."
            )
        owner_names = [str(owner) for owner in owners.tolist()]
        names = class_order(owner_names)
        index = {name: number for number, name in enumerate(names)}
        inverse = np.array([index[name] for name in owner_names])
        group_support = np.bincount(inverse, minlength=len(names)).astype(np.int64)
        group_right = np.bincount(inverse[true == predicted], minlength=len(names)).astype(np.int64)
    interval, method = _wilson(int(right.sum()), len(true)), "Wilson"
    if len(set(zip(group_right.tolist(), group_support.tolist(), strict=True))) > 1:
        resampled = _bootstrap(group_right, group_support)
        if resampled[0] < resampled[1]:
            interval, method = resampled, f"bootstrap over {len(names)} groups"
    return ClassReport(
        labels=tuple(labels),
        n=len(true),
        accuracy=float(right.sum() / len(true)),
        interval=interval,
        interval_method=method,
        recall=_share(right, confusion.sum(axis=1)),
        precision=_share(right, confusion.sum(axis=0)),
        support=confusion.sum(axis=1),
        confusion=confusion,
        groups=names,
        group_accuracy=_share(group_right, group_support),
        group_support=group_support,
    )


def evaluate_values(y_true: ArrayLike, y_pred: ArrayLike) -> ValueReport:
    """Judge predicted values.

    Parameters
    ----------
    y_true, y_pred : array [n]
        Finite numbers in the same unit.

    Raises
    ------
    UsageError
        Arrays are empty, differ in length, or hold NaN or infinity.
    """
    true, predicted = np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64)
    _check_pair(true, predicted)
    if not (np.isfinite(true).all() and np.isfinite(predicted).all()):
        raise UsageError("expected finite values to judge, got NaN or infinity.")
    error = predicted - true
    spread = float(np.sum((true - true.mean()) ** 2))
    return ValueReport(
        n=len(true),
        r2=1.0 - float(np.sum(error**2)) / spread if spread > 0 else float("nan"),
        mae=float(np.mean(np.abs(error))),
        rmse=float(np.sqrt(np.mean(error**2))),
    )


def _bootstrap(right: NDArray[np.int64], support: NDArray[np.int64]) -> tuple[float, float]:
    """Percentile interval of the accuracy when whole groups are drawn with replacement."""
    count = len(support)
    draws = np.random.default_rng(_SEED).multinomial(
        count, np.full(count, 1 / count), size=_RESAMPLES
    )
    low, high = np.quantile((draws @ right) / (draws @ support), [0.025, 0.975])
    return float(low), float(high)


def _wilson(right: int, n: int) -> tuple[float, float]:
    share, z2 = right / n, _Z * _Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * float(np.sqrt(share * (1 - share) / n + z2 / (4 * n * n)))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _class_indexes(y: ArrayLike, count: int) -> NDArray[np.int64]:
    array = np.asarray(y)
    if array.dtype.kind not in "iu" or (array.size and not 0 <= array.min() <= array.max() < count):
        raise UsageError(
            f"expected class indexes, whole numbers from 0 to {count - 1}, got {array.dtype}"
            + (f" from {array.min()} to {array.max()}." if array.dtype.kind in "iuf" else ".")
        )
    return array.astype(np.int64)


def _check_pair(true: NDArray[Any], predicted: NDArray[Any]) -> None:
    if true.ndim != 1 or true.shape != predicted.shape or not len(true):
        raise UsageError(
            "expected as many predictions as true answers, along one axis and at least one; got "
            f"shapes {true.shape} and {predicted.shape}."
        )


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    nothing = np.full(len(whole), np.nan)
    found: NDArray[np.float64] = np.divide(part, whole, out=nothing, where=whole > 0)
    return found


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _shown(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "-"
