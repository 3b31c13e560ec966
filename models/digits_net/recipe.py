"""Handwritten digits of 8 x 8 pixels: a small depthwise separable net.

python models/digits_net/recipe.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from bench.workloads import digits  # noqa: E402

from models.training import Data, Recipe, main  # noqa: E402
from wingbeat import Program  # noqa: E402

_WHITE = 16.0
_LARGEST = 255 / 16
"""The largest pixel that the net sees: int8 then stores 16 x - 128, exactly."""


def data() -> Data:
    """The split that the digits forest is measured with; pixels of 0 to 15.9375."""
    found = digits()

    def maps(x: NDArray[np.float64]) -> NDArray[np.float32]:
        return np.minimum(x, _LARGEST).reshape(-1, 8, 8, 1).astype(np.float32)

    return Data(
        maps(found.train_x),
        found.train_y,
        maps(found.test_x),
        found.test_y,
        tuple("0123456789"),
        "30 % of the rows, stratified by class, random_state=1; writers are not known",
    )


def forest() -> tuple[Program, float]:
    """10 trees of depth 8 on the raw pixels."""
    found = digits()
    program = found.program("uint8")
    right = program.predict(found.test_x.astype(np.uint8)) == found.test_y
    return program, float(np.mean(right))


def net(keras: Any) -> Any:
    """Conv 3 x 3, depthwise 3 x 3, pointwise, dense."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Rescaling(1 / _WHITE),
            layers.Conv2D(16, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(24, 1, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(10),
        ],
        name="digits_net",
    )


def shifted(draw: np.random.Generator, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every digit moved by up to one pixel each way, brighter or darker."""
    moved = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    down, right = draw.integers(0, 3, (2, len(x)))
    rows = down[:, None] + np.arange(8)
    columns = right[:, None] + np.arange(8)
    taken = moved[np.arange(len(x))[:, None, None], rows[:, :, None], columns[:, None, :]]
    light = draw.uniform(0.8, 1.2, (len(x), 1, 1, 1))
    return np.asarray(np.clip(taken * light, 0, _LARGEST), np.float32)


RECIPE = Recipe("digits_net", data, forest, net, epochs=60, augment=shifted)

if __name__ == "__main__":
    main(RECIPE)
