"""From labelled data to a program: features, model, conversion and an honest test.

What is judged is the program itself, on rows that nothing was trained on: the class or value that
a board will answer.
"""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .convert import TYPECODES, convert
from .errors import DataError, UsageError
from .evaluate import ClassReport, ValueReport, evaluate_classes, evaluate_values
from .golden import choose
from .program import Program
from .recordings import Recordings, Table, optional_module, to_int16
from .reference import WindowStats
from .reference.window_stats import STATISTICS
from .version import __version__
from .windows import Windows, cut, split_by_group, split_by_time, split_rows

KINDS = ("forest", "extra-trees", "tree", "boosting")
"""Models that can be trained."""

_ESTIMATORS = {
    "forest": "RandomForest",
    "extra-trees": "ExtraTrees",
    "tree": "DecisionTree",
    "boosting": "HistGradientBoosting",
}
_FEWEST_STEPS = 128
_MOST_CLIPPED = 0.5
_MOST_TREES, _MOST_NEURONS, _MOST_EPOCHS = 10_000, 4096, 100_000

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ForestOptions:
    """How to grow trees.

    Parameters
    ----------
    trees : int
        Number of trees, 1 to 10 000; for boosting, of rounds, each with one tree per class. A
        single tree ignores it.
    max_depth : int, optional
        Most comparisons from the root to a leaf. Default: no limit.
    min_samples_leaf : int
        Fewest training rows in a leaf.
    max_features : float, "sqrt", "log2" or None
        Features that a split may choose from: a share of them, or all (None). Boosting takes a
        share or None, and reads a name as None.
    kind : {"forest", "extra-trees", "tree", "boosting"}

    Raises
    ------
    UsageError
        A value is out of range.
    """

    trees: int = 10
    max_depth: int | None = None
    min_samples_leaf: int = 1
    max_features: float | str | None = "sqrt"
    kind: str = "forest"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"no model {self.kind!r}: choose one of {', '.join(KINDS)}")
        for what, value in (
            ("trees", self.trees),
            ("max_depth", 1 if self.max_depth is None else self.max_depth),
            ("min_samples_leaf", self.min_samples_leaf),
        ):
            if value < 1:
                raise UsageError(f"{what}: expected a whole number from 1 up, got {value}")
        if self.trees > _MOST_TREES:
            raise UsageError(f"trees: expected at most {_MOST_TREES}, got {self.trees}")
        share = self.max_features
        if isinstance(share, str):
            if share not in ("sqrt", "log2"):
                raise UsageError(
                    f"max_features: expected 'sqrt', 'log2', or a share above 0 and up to 1; "
                    f"got {share!r}"
                )
        elif share is not None and not 0 < share <= 1:
            raise UsageError(f"max_features: expected a share above 0 and up to 1, got {share}")


@dataclass(frozen=True)
class MlpOptions:
    """How to train a multilayer perceptron.

    Parameters
    ----------
    hidden : sequence of int
        Neurons of each hidden layer, 1 to 4096.
    epochs : int
        Times that it sees all rows, 1 to 100 000.

    Raises
    ------
    UsageError
        A value is out of range.
    """

    hidden: Sequence[int] = (32,)
    epochs: int = 40

    kind: ClassVar[str] = "mlp"

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1 or max(self.hidden) > _MOST_NEURONS:
            raise UsageError(
                f"hidden: expected neurons of each layer, such as [32], at most {_MOST_NEURONS};"
                f" got {list(self.hidden)}"
            )
        check_epochs(self.epochs)


def check_epochs(epochs: int) -> None:
    """Refuse a number of epochs that is out of range.

    Raises
    ------
    UsageError
        It is not 1 to 100 000.
    """
    if not 1 <= epochs <= _MOST_EPOCHS:
        raise UsageError(f"epochs: expected 1 to {_MOST_EPOCHS}, got {epochs}")


Options: TypeAlias = ForestOptions | MlpOptions
Split: TypeAlias = Literal["groups", "time"]


@dataclass(frozen=True, eq=False)
class Trained:
    """A program and what it was tested on.

    Attributes
    ----------
    program : Program
        Its `meta` tells what it was trained on, how, and how well it does.
    report : ClassReport or ValueReport
        The program's answers on the test rows against the truth.
    test_x : NDArray [rows, *program.input.shape]
        Of the program's input dtype.
    test_y : NDArray [rows] of int64 or float64
        Class numbers, or values.
    test_groups : NDArray [rows] of str, or None
    test : NDArray[int64] [rows]
        Numbers of the test rows in the table, or among the windows; from 0.
    answers : NDArray [rows] of int64 or float64
        The program's, as `test_y`.
    quantization_loss : float
        What the program does worse than the estimator on the test rows: accuracy lost, or mean
        absolute error gained, in the unit of the values.
    estimator : estimator of scikit-learn
        As it was trained.
    train_rows : int
        Rows or windows that it was trained on.
    skipped : int
        Recordings shorter than one window.
    """

    program: Program
    report: ClassReport | ValueReport
    test_x: NDArray[Any]
    test_y: NDArray[Any]
    test_groups: NDArray[np.str_] | None
    test: NDArray[np.int64]
    answers: NDArray[Any]
    quantization_loss: float
    estimator: Any
    train_rows: int
    skipped: int


@dataclass(frozen=True, eq=False)
class _Task:
    """Rows to learn from: what a board gets (`x`), and what the trees compare (`features`)."""

    name: str
    x: NDArray[Any]
    features: NDArray[Any]
    y: NDArray[Any]
    groups: NDArray[np.str_] | None
    labels: tuple[str, ...]
    conversion: Mapping[str, Any]
    facts: Mapping[str, Any]
    skipped: int = 0
    split: Split = "groups"


def train_table(
    table: Table,
    *,
    name: str,
    options: Options = ForestOptions(),
    dtype: str = "float32",
    split: Split = "groups",
    test_fraction: float = 0.3,
    seed: int = 1,
    progress: Progress | None = None,
) -> Trained:
    """Train on a table and test on groups, or without groups on rows, that were held out.

    The same table, options and seed give the same program, with the same release of scikit-learn.

    Parameters
    ----------
    table : Table
        With classes or values.
    name : str
        Name of the module on the board; a Python identifier.
    options : ForestOptions or MlpOptions
    dtype : {"float32", "int16", "int8", "uint8"}
        Of the program's input; a perceptron takes float32.
    split : {"groups", "time"}
        With "time", rows follow each other in time, and the last share of them is tested.
    test_fraction : float
        Share of the groups, or of the rows, to test on.
    seed : int
        0 to 2**32 - 1.
    progress : callable, optional
        Is told what is being done.

    Raises
    ------
    DataError
        A feature does not fit `dtype`; there are too few groups, classes or rows to split;
        scikit-learn is not installed.
    ModelError
        The trained model cannot be converted.
    UsageError
        An argument is out of range.
    """
    if isinstance(options, MlpOptions) and dtype != "float32":
        raise UsageError(f"dtype {dtype!r}: an mlp takes float32; choose trees for other dtypes")
    x = _in_dtype(table, dtype)
    classes = bool(table.labels)
    index = {label: number for number, label in enumerate(table.labels)}
    y = np.array([index[str(each)] for each in table.y], np.int64) if classes else table.y
    task = _Task(
        name,
        x,
        x,
        y,
        table.groups,
        table.labels,
        {"dtype": dtype},
        {"data": "table", "features": list(table.features)},
        split=split,
    )
    return _train(task, options, test_fraction, seed, progress or _silent)


def train_recordings(
    recordings: Recordings,
    *,
    name: str,
    window: int,
    hop: int,
    scale: float | Sequence[float] = 1.0,
    statistics: Sequence[str] = STATISTICS,
    options: ForestOptions = ForestOptions(),
    test_fraction: float = 0.3,
    seed: int = 1,
    progress: Progress | None = None,
) -> Trained:
    """Train on windows of recordings and test on the windows of groups that were held out.

    The program takes int16 [window, channels] and computes the statistics itself. The same
    recordings, options and seed give the same program, with the same release of scikit-learn.

    Parameters
    ----------
    recordings : Recordings
    name : str
        Name of the module on the board; a Python identifier.
    window, hop : int
        Samples of a window, and from the start of one to the next.
    scale : float or sequence of float
        Real units per int16 step, for all channels or each; 1 for raw sensor values.
    statistics : sequence of str
        Computed for each channel.
    options : ForestOptions
    test_fraction : float
        Share of the groups to test on.
    seed : int
        0 to 2**32 - 1.
    progress : callable, optional
        Is told what is being done.

    Raises
    ------
    DataError
        The recordings hold too little at this scale or are too short; there are too few groups or
        classes to split; scikit-learn is not installed.
    ModelError
        The trained model cannot be converted.
    UsageError
        An argument is out of range.
    """
    tell = progress or _silent
    tell("cutting windows")
    windows, clipped = cut_int16(recordings, window, hop, scale)
    if clipped:
        tell(f"{clipped} samples are beyond int16 at this scale and were clipped")
    tell("computing statistics")
    operator = WindowStats(window, len(recordings.channels), tuple(statistics))
    task = _Task(
        name,
        windows.x,
        operator.run(windows.x),
        windows.y,
        windows.groups,
        windows.labels,
        {"features": operator, "input_shape": (window, len(recordings.channels))},
        {
            "data": "recordings",
            "channels": list(recordings.channels),
            "rate": recordings.rate,
            "scale": np.asarray(scale, np.float64).tolist(),
            "window": window,
            "hop": hop,
            "clipped_samples": clipped,
            "features": operator.output_names(recordings.channels),
        },
        windows.skipped,
    )
    return _train(task, options, test_fraction, seed, tell)


def cut_int16(
    recordings: Recordings, window: int, hop: int, scale: float | Sequence[float] = 1.0
) -> tuple[Windows, int]:
    """Windows as the board's sensor gives them: int16 steps.

    Parameters
    ----------
    recordings : Recordings
    window, hop : int
        Samples of a window, and from the start of one to the next.
    scale : float or sequence of float
        Real units per step, for all channels or each.

    Returns
    -------
    windows : Windows
        With `x` as int16 [n, window, channels].
    clipped : int
        Samples of the recordings that are beyond int16.

    Raises
    ------
    DataError
        No recording is long enough, or next to nothing is left of the signal at this scale.
    UsageError
        `window`, `hop` or `scale` is out of range.
    """
    steps, clipped = int16_steps(recordings, scale)
    items = tuple(
        replace(item, data=step) for item, step in zip(recordings.items, steps, strict=True)
    )
    return cut(replace(recordings, items=items), window, hop), clipped


def int16_steps(
    recordings: Recordings, scale: float | Sequence[float] = 1.0
) -> tuple[list[NDArray[np.int16]], int]:
    """Each recording as the board's sensor gives it, and how many samples are beyond int16.

    Raises
    ------
    DataError
        Next to nothing is left of the signal at this scale, or most of it is beyond int16.
    UsageError
        `scale` is out of range.
    """
    steps = [to_int16(item.data, scale) for item in recordings.items]
    exact = [np.asarray(item.data, np.float64) / np.asarray(scale) for item in recordings.items]
    error = [np.abs(real - step) for real, step in zip(exact, steps, strict=True)]
    largest = max((int(np.abs(step.astype(np.int32)).max(initial=0)) for step in steps), default=0)
    if largest < _FEWEST_STEPS and any(bool(each.any()) for each in error):
        raise DataError(
            f"expected recordings that use the range of int16, got at most {largest} steps at scale"
            f" {scale}, and rounding would lose the signal. Give the scale (--scale): real units"
            " per step, such as 16 / 32768 = 0.00049 for a sensor with a range of 16 g."
        )
    clipped = sum(int(np.count_nonzero(each > 0.5)) for each in error)
    total = sum(each.size for each in error)
    if clipped > _MOST_CLIPPED * total:
        raise DataError(
            f"expected recordings within int16, of {clipped} samples of {total} the size is more at"
            f" scale {scale}. Give a larger scale (--scale): real units per step."
        )
    return steps, clipped


def fit_forest(
    features: NDArray[Any], y: NDArray[Any], *, options: ForestOptions, seed: int
) -> Any:
    """Grow trees with scikit-learn on one thread, so that the same call gives the same trees.

    Parameters
    ----------
    features : NDArray [rows, n_features]
        Are compared as float32.
    y : NDArray [rows]
        Whole numbers are classes, floating-point numbers are values.
    options : ForestOptions
    seed : int
        0 to 2**32 - 1.

    Returns
    -------
    estimator of scikit-learn

    Raises
    ------
    DataError
        There is one class only; scikit-learn is not installed.
    UsageError
        `seed` is out of range.
    """
    check_seed(seed)
    values = y.dtype.kind == "f"
    if not values and len(np.unique(y)) < 2:
        raise DataError(
            "expected rows of at least two classes to train on, got one. Record a second class "
            "(such as 'nothing')."
        )
    ensemble = optional_module("sklearn.ensemble", "training a model", "scikit-learn")
    tree = optional_module("sklearn.tree", "training a model", "scikit-learn")
    threads = optional_module("threadpoolctl", "training a model", "scikit-learn")
    kind = _ESTIMATORS[options.kind] + ("Regressor" if values else "Classifier")
    share = options.max_features
    parameters: dict[str, Any] = {
        "max_depth": options.max_depth,
        "min_samples_leaf": options.min_samples_leaf,
        # A whole number would count features.
        "max_features": float(share) if isinstance(share, int | float) else share,
        "random_state": seed,
    }
    if options.kind == "boosting":
        if not isinstance(share, int | float):
            parameters["max_features"] = 1.0
        parameters |= {"max_iter": options.trees, "early_stopping": False}
    elif options.kind != "tree":
        parameters |= {"n_estimators": options.trees, "n_jobs": 1}
    estimator = getattr(tree if options.kind == "tree" else ensemble, kind)(**parameters)
    with threads.threadpool_limits(1):
        estimator.fit(features.astype(np.float32), y)
    return estimator


def fit_mlp(features: NDArray[Any], y: NDArray[Any], *, options: MlpOptions, seed: int) -> Any:
    """Train a perceptron with scikit-learn, behind a scaler to mean 0 and deviation 1.

    Values are scaled for the training too; the last layer then gives them as they were.

    Parameters
    ----------
    features : NDArray [rows, n_features]
    y : NDArray [rows]
        Whole numbers are classes, floating-point numbers are values.
    options : MlpOptions
    seed : int
        0 to 2**32 - 1.

    Returns
    -------
    pipeline of scikit-learn

    Raises
    ------
    DataError
        scikit-learn is not installed.
    UsageError
        `seed` is out of range.
    """
    check_seed(seed)
    networks = optional_module("sklearn.neural_network", "training an mlp", "scikit-learn")
    pipelines = optional_module("sklearn.pipeline", "training an mlp", "scikit-learn")
    scalers = optional_module("sklearn.preprocessing", "training an mlp", "scikit-learn")
    threads = optional_module("threadpoolctl", "training an mlp", "scikit-learn")
    values = y.dtype.kind == "f"
    kind = networks.MLPRegressor if values else networks.MLPClassifier
    perceptron = kind(
        hidden_layer_sizes=tuple(options.hidden),
        max_iter=options.epochs,
        alpha=1e-3,
        random_state=seed,
    )
    estimator = pipelines.make_pipeline(scalers.StandardScaler(), perceptron)
    mean, deviation = (float(y.mean()), float(y.std()) or 1.0) if values else (0.0, 1.0)
    with threads.threadpool_limits(1), warnings.catch_warnings():
        # The number of epochs is the user's choice, so it need not have converged.
        warnings.simplefilter("ignore")
        estimator.fit(features.astype(np.float64), (y - mean) / deviation if values else y)
    if values:
        perceptron.coefs_[-1] *= deviation
        perceptron.intercepts_[-1] = perceptron.intercepts_[-1] * deviation + mean
    return estimator


def _train(
    task: _Task, options: Options, test_fraction: float, seed: int, tell: Progress
) -> Trained:
    check_seed(seed)
    split = task.split if task.split == "time" or task.groups is not None else "rows"
    if split == "time":
        train, test = split_by_time(task.y, test_fraction)
    elif task.groups is None:
        train, test = split_rows(task.y, test_fraction, seed)
    else:
        train, test = split_by_group(task.groups, task.y, test_fraction=test_fraction, seed=seed)
    tell(f"training on {len(train)} rows")
    estimator: Any
    if isinstance(options, MlpOptions):
        estimator = fit_mlp(task.features[train], task.y[train], options=options, seed=seed)
        rows: NDArray[Any] | None = task.features[train]
    else:
        estimator = fit_forest(task.features[train], task.y[train], options=options, seed=seed)
        rows = task.features if task.labels else None
    tell("converting")
    program = convert(
        estimator, name=task.name, labels=task.labels or None, rows=rows, **task.conversion
    )
    tell(f"testing on {len(test)} rows")
    expected = estimator.predict(task.features[test].astype(np.float32))
    groups = None if task.groups is None else task.groups[test]
    answers: NDArray[Any]
    report: ClassReport | ValueReport
    agreement: dict[str, int | float] = {"rows": len(test)}
    if task.labels:
        answers = program.predict(task.x[test])
        report = evaluate_classes(task.y[test], answers, task.labels, groups)
        loss = float((expected == task.y[test]).mean()) - report.accuracy
        agreement["rows_that_differ"] = int(np.sum(answers != expected))
    else:
        answers = program.output.dequantize(program.run(task.x[test])).reshape(len(test))
        report = evaluate_values(task.y[test], answers)
        loss = report.mae - float(np.abs(expected - task.y[test]).mean())
        error = np.abs(answers - expected) / program.output.scale
        agreement["largest_error_in_steps"] = float(error.max())
        if not isinstance(options, MlpOptions):
            allowed = program.meta["leaves"]["largest_error_in_steps"]
            agreement["rows_that_differ"] = int(np.sum(error > allowed))
    facts = {
        **task.facts,
        "seed": seed,
        "test_fraction": test_fraction,
        "split": split,
        "groups_held_out": []
        if groups is None or split == "time"
        else [str(each) for each in np.unique(groups)],
        "train_rows": len(train),
        "test_rows": len(test),
        "skipped_recordings": task.skipped,
        "options": {"kind": options.kind, **asdict(options)},
        "estimator": {
            "class": type(estimator).__name__,
            "parameters": {key: _plain(each) for key, each in estimator.get_params().items()},
        },
        "versions": versions(),
        "result": report.to_json(),
        "agreement_with_estimator": agreement,
    }
    program = replace(
        program,
        meta={**program.meta, "training": facts},
        golden=choose(program, task.x[test]),
    )
    return Trained(
        program,
        report,
        task.x[test],
        task.y[test],
        groups,
        test,
        answers,
        loss,
        estimator,
        len(train),
        task.skipped,
    )


def _in_dtype(table: Table, dtype: str) -> NDArray[Any]:
    if dtype not in TYPECODES:
        raise UsageError(f"dtype {dtype!r}: choose one of {', '.join(TYPECODES)}")
    wanted = np.dtype(dtype)
    if wanted.kind == "f":
        limits = np.finfo(wanted)
        fits = np.abs(table.x.astype(np.float64)) <= float(limits.max)
        what = "numbers that float32 holds"
    else:
        bounds = np.iinfo(wanted)
        fits = (table.x >= bounds.min) & (table.x <= bounds.max) & (np.rint(table.x) == table.x)
        what = f"whole numbers from {bounds.min} to {bounds.max}, for input dtype {dtype}"
    if not fits.all():
        row, column = np.argwhere(~fits)[0]
        raise DataError(
            f"expected {what}; got {table.x[row, column]} in column "
            f"{table.features[column]!r}, row {row + 1}. Scale or round the features as the board "
            "will, or choose another dtype."
        )
    return table.x.astype(wanted)


def check_seed(seed: int) -> None:
    """Refuse a seed that is out of range.

    Raises
    ------
    UsageError
        It is not 0 to 2**32 - 1.
    """
    if not 0 <= seed < 2**32:
        raise UsageError(f"seed: expected a whole number from 0 to 2**32 - 1, got {seed}")


def versions() -> dict[str, str]:
    """Releases of what training depends on."""
    sklearn = optional_module("sklearn", "training a model", "scikit-learn")
    return {
        "wingbeat": __version__,
        "scikit-learn": str(sklearn.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _plain(value: Any) -> Any:
    """As JSON holds it."""
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _silent(message: str) -> None:
    pass
