"""The model of a pipeline: each kind fitted to features, as a program that takes them."""

from __future__ import annotations

import runpy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import anomaly
from .convert import convert
from .errors import UsageError
from .net.features import convert_on_int16
from .nets import NETS, MakeNet
from .pipeline import DISTANCES, ModelOptions
from .pipeline_features import Features
from .program import Descriptor, Program, ProgramBuilder
from .recordings import optional_module
from .reference.lookup import Lookup
from .train import MlpOptions, fit_forest, fit_mlp

_CALIBRATION = 500
_STEPS = 1500
_FEWEST, _MOST = 8, 64
_SETTLED = 20


@dataclass(frozen=True, eq=False)
class Task:
    """What a model is made from: rows of features, of which some are trained on.

    Attributes
    ----------
    options : ModelOptions
    features : Features
    train, test : NDArray[int64]
        Row numbers.
    name : str
        Of the program.
    labels : tuple of str
    seed : int
        0 to 2**32 - 1.
    each_class : bool
        A score for each class is needed, also where there are two.
    """

    options: ModelOptions
    features: Features
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    name: str
    labels: tuple[str, ...]
    seed: int
    each_class: bool = False

    def x(self, numbers: NDArray[np.int64]) -> NDArray[np.int16]:
        """Features of these rows."""
        return self.features.x[numbers]

    @property
    def y(self) -> NDArray[np.int64]:
        """Classes of the rows to train on."""
        return self.features.y[self.train]


def fit_model(task: Task) -> tuple[Program, NDArray[np.int64] | None]:
    """The model as a program on features, and what it said of the test rows before quantization."""
    if task.options.kind == "net":
        return _fit_net(task)
    if task.options.kind in DISTANCES:
        return _fit_distance(task), None
    options, x = task.options.options, task.x(task.train)
    if isinstance(options, MlpOptions):
        x = x.astype(np.int16)
        estimator = fit_mlp(x, task.y, options=options, seed=task.seed)
        program = convert_on_int16(
            estimator, x, name=task.name, labels=task.labels, each_class=task.each_class
        )
    else:
        estimator = fit_forest(x, task.y, options=options, seed=task.seed)
        rows = task.features.x
        dtype = rows.dtype.name
        program = convert(estimator, name=task.name, dtype=dtype, labels=task.labels, rows=rows)
    return program, estimator.predict(task.x(task.test).astype(np.float64)).astype(np.int64)


def _fit_distance(task: Task) -> Program:
    """What normal looks like, with a threshold for rows of new groups."""
    options, normal = task.options, task.train[task.y == 0]

    def fit(x: NDArray[np.int16]) -> Program:
        if options.kind == "mahalanobis":
            return anomaly.fit_mahalanobis(x, name=task.name)
        count = min(options.centres, len(x))
        return anomaly.fit_centres(x, count, seed=task.seed, name=task.name)

    x, groups = task.x(normal), task.features.groups[normal]
    return anomaly.with_threshold(fit(x), anomaly.threshold_for(fit, x, groups, options.share))


def _fit_net(task: Task) -> tuple[Program, NDArray[np.int64]]:
    """A net of Keras on features over a power of two near their deviation."""
    from .net.keras import convert_keras

    keras = optional_module("keras", "training a net", '"wingbeat[keras]"')
    step = 2.0 ** -round(np.log2(max(float(task.x(task.train).std()), 1.0)))
    dims = task.features.shape.dims
    shape = dims if len(dims) == 3 else (*dims, 1)

    def rows(numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.asarray(task.x(numbers).reshape(-1, *shape) * step, np.float32)

    keras.utils.set_random_seed(task.seed)
    model = find_net(task.options.net)(keras, shape, len(task.labels))
    rows_of_step = _batch(len(task.train), task.options.epochs)
    _settle(keras, model, task.options.epochs * -(-len(task.train) // rows_of_step))
    model.compile(
        keras.optimizers.Adam(2e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(
        rows(task.train),
        task.y,
        batch_size=rows_of_step,
        epochs=task.options.epochs,
        verbose=0,
        shuffle=True,
    )
    draw, count = np.random.default_rng(task.seed), min(len(task.train), _CALIBRATION)
    drawn = np.sort(draw.choice(task.train, count, replace=False))
    is_bytes = task.features.x.dtype.itemsize == 1
    program = convert_keras(
        model,
        rows(drawn),
        name=task.name,
        labels=task.labels,
        raw_step=None if is_bytes else step,
    )
    if is_bytes:
        program = _on_bytes(program, task.features.x.dtype, step)
    expected = model.predict(rows(task.test), verbose=0).argmax(axis=1)
    return replace(program, golden=None), np.asarray(expected, np.int64)


def _on_bytes(program: Program, dtype: np.dtype[Any], step: float) -> Program:
    """A net that takes bytes of which one step is so much in its units, by a table."""
    values = np.arange(256).astype(np.uint8).view(dtype)
    table = replace(program.input, shape=(1,)).quantize(values.astype(np.float32) * step).ravel()
    builder = ProgramBuilder(Descriptor(dtype.char, program.input.shape))
    lookup = Lookup(table, program.input.n_elements, dtype.char)
    return builder.finish_with(program, builder.add(lookup, 0))


def _batch(rows: int, epochs: int) -> int:
    """Rows of a step: fewer where there would be too few steps to learn in."""
    return min(max(rows * epochs // _STEPS, _FEWEST), _MOST)


def _settle(keras: Any, model: Any, steps: int) -> None:
    """Make running means of batch normalization follow fast enough for so few steps.

    What is left of where they started is momentum^steps, of a mean that may be many deviations.
    """
    most = max(0.5, 1 - _SETTLED / steps)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, most)


def find_net(name: str) -> MakeNet:
    """The function that makes a net: by a name of `NETS`, or FILE.py:FUNCTION.

    Raises
    ------
    UsageError
        There is no such name, file or function.
    """
    if name in NETS:
        return NETS[name]
    path, _, function = name.rpartition(":")
    if not path.endswith(".py") or not Path(path).is_file():
        raise UsageError(
            f"no net {name!r}: expected one of {', '.join(NETS)}, or FILE.py:FUNCTION with a file"
            " that is there"
        )
    found = runpy.run_path(path).get(function)
    if not callable(found):
        raise UsageError(f"{path} has no function {function!r}")
    made: MakeNet = found
    return made
