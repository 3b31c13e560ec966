"""Seven shoulder exercises from the raw readings of a wrist: a convolutional net over time.

python models/exercises_net/recipe.py
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from examples.exercises.demo import HOP, SCALE, SEED, TEST_FRACTION, WINDOW, load  # noqa: E402

from models.training import Data, Recipe, main  # noqa: E402
from wingbeat import Program  # noqa: E402
from wingbeat.evaluate import ClassReport  # noqa: E402
from wingbeat.train import ForestOptions, cut_int16, train_recordings  # noqa: E402
from wingbeat.windows import split_by_group  # noqa: E402

FULL = 8192
"""Steps of a reading at which the net's input ends: 4 g, and 500 degrees/s."""

_FOREST = ForestOptions(trees=10, max_depth=6, min_samples_leaf=16)


@cache
def data() -> Data:
    """Windows of 2 s, one every second; three of the ten people are tested on."""
    windows, _ = cut_int16(load(), WINDOW, HOP, SCALE)
    train, test = split_by_group(windows.groups, windows.y, test_fraction=TEST_FRACTION, seed=SEED)
    x = np.clip(windows.x / FULL, -1, 127 / 128).astype(np.float32)
    people = ", ".join(np.unique(windows.groups[test]))
    return Data(
        x[train],
        windows.y[train],
        x[test],
        windows.y[test],
        tuple(windows.labels),
        f"three of ten people, whom the net has never seen ({people})",
    )


def forest() -> tuple[Program, float]:
    """The forest of examples/exercises, on window statistics."""
    trained = train_recordings(
        load(),
        name="exercises",
        window=WINDOW,
        hop=HOP,
        scale=SCALE,
        options=_FOREST,
        test_fraction=TEST_FRACTION,
        seed=SEED,
    )
    assert isinstance(trained.report, ClassReport)
    return trained.program, trained.report.accuracy


def net(keras: Any) -> Any:
    """Three convolutions over time, the mean over time, dense."""
    layers = keras.layers
    model = keras.Sequential([layers.Input((WINDOW, len(SCALE)))], name="exercises_net")
    for channels, kernel, stride in ((12, 7, 2), (16, 5, 2), (24, 5, 1)):
        model.add(layers.Conv1D(channels, kernel, strides=stride, use_bias=False))
        model.add(layers.BatchNormalization())
        model.add(layers.ReLU())
        model.add(layers.Dropout(0.2))
    model.add(layers.GlobalAveragePooling1D())
    model.add(layers.Dense(7))
    return model


def worn_otherwise(draw: np.random.Generator, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same movement with the watch turned a little, stronger or weaker, and with noise."""
    turned = np.einsum("nij,nktj->nkti", _turns(draw, len(x)), _triads(x))
    y = turned.transpose(0, 2, 1, 3).reshape(x.shape) * draw.normal(1, 0.1, (len(x), 1, 1))
    y += draw.normal(0, 0.01, x.shape)
    moved = np.roll(y, draw.integers(-10, 11), axis=1)
    return np.asarray(np.clip(moved, -1, 127 / 128), np.float32)


def _triads(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """[rows, 2 sensors, time, 3 axes]."""
    return x.reshape(len(x), -1, 2, 3).transpose(0, 2, 1, 3)


def _turns(draw: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Rotations by about 12 degrees about any axis, to the second order of the angle."""
    a, b, c = draw.normal(0, 0.2, (3, count))
    zero = np.zeros(count)
    cross = np.array([[zero, -c, b], [c, zero, -a], [-b, a, zero]]).transpose(2, 0, 1)
    return np.asarray(np.eye(3) + cross + cross @ cross / 2)


RECIPE = Recipe(
    "exercises_net", data, forest, net, epochs=60, augment=worn_otherwise, raw_step=1 / FULL
)

if __name__ == "__main__":
    main(RECIPE)
