"""Nets that a pipeline can name: each takes keras, the shape of its input and the classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

MakeNet = Callable[[Any, tuple[int, ...], int], Any]


def _add_normed(keras: Any, model: Any, layer: Any) -> None:
    model.add(layer)
    model.add(keras.layers.BatchNormalization())


def _add_active(keras: Any, model: Any, layer: Any) -> None:
    _add_normed(keras, model, layer)
    model.add(keras.layers.ReLU())


def small_cnn(keras: Any, shape: tuple[int, ...], n_classes: int) -> Any:
    """Convolutions over frames and bands, for log-mel features.

    The last ones look at all bands at once, each place in the spectrum with weights of its own, and
    at three steps of time; only then there is a mean over time.

    Parameters
    ----------
    keras : module
    shape : tuple of int
        Frames, bands, 1.
    n_classes : int

    Returns
    -------
    keras.Model
        Not compiled; ends with logits.
    """
    layers = keras.layers
    model = keras.Sequential([layers.Input(shape)], name="small_cnn")

    _add_active(keras, model, layers.Conv2D(16, 5, strides=2, padding="same", use_bias=False))
    for channels, stride in ((32, 1), (48, 2)):
        _add_active(
            keras, model, layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)
        )
        _add_active(keras, model, layers.Conv2D(channels, 1, use_bias=False))
    bands = -(-shape[1] // 4)
    _add_normed(keras, model, layers.DepthwiseConv2D((1, bands), use_bias=False))
    _add_active(keras, model, layers.Conv2D(64, 1, use_bias=False))
    _add_active(keras, model, layers.Conv2D(64, (3, 1), padding="same", use_bias=False))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dropout(0.3))
    model.add(layers.Dense(n_classes))
    return model


def wave_cnn(keras: Any, shape: tuple[int, ...], n_classes: int) -> Any:
    """Three convolutions over time, for windows of raw samples.

    Parameters
    ----------
    keras : module
    shape : tuple of int
        Samples, channels, 1.
    n_classes : int

    Returns
    -------
    keras.Model
        Not compiled; ends with logits.
    """
    layers = keras.layers
    model = keras.Sequential([layers.Input(shape)], name="wave_cnn")
    model.add(layers.Reshape(shape[:2]))
    for channels, kernel, stride in ((12, 7, 2), (16, 5, 2), (24, 5, 1)):
        _add_active(keras, model, layers.Conv1D(channels, kernel, strides=stride, use_bias=False))
        model.add(layers.Dropout(0.2))
    model.add(layers.GlobalAveragePooling1D())
    model.add(layers.Dense(n_classes))
    return model


def picture_cnn(keras: Any, shape: tuple[int, ...], n_classes: int) -> Any:
    """A convolution and three separable ones, for pictures of 16 to 64 rows and columns.

    Parameters
    ----------
    keras : module
    shape : tuple of int
        Rows, columns, channels.
    n_classes : int

    Returns
    -------
    keras.Model
        Not compiled; ends with logits.
    """
    layers = keras.layers
    model = keras.Sequential([layers.Input(shape)], name="picture_cnn")

    _add_active(keras, model, layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False))
    for channels, stride in ((24, 1), (32, 2), (48, 2)):
        _add_active(
            keras, model, layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)
        )
        _add_active(keras, model, layers.Conv2D(channels, 1, use_bias=False))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dropout(0.2))
    model.add(layers.Dense(n_classes))
    return model


NETS: Mapping[str, MakeNet] = {
    "small_cnn": small_cnn,
    "wave_cnn": wave_cnn,
    "picture_cnn": picture_cnn,
}
"""By name."""
