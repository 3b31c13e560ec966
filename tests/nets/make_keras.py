"""Makes tests/data/nets/keras: nets as TensorFlow's converter writes them today.

    python tests/nets/make_keras.py          # TensorFlow 2.21

Keras models of the usual kinds with random weights, quantized after training as docs/nets.md says.
The weights depend on the versions of the packages, so the files are kept. A model's name ends in
`open` if the batch is open, in `float` if its ends are float32.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parents[1] / "data" / "nets" / "keras"
ROWS = 60


def models(layers: Any) -> dict[str, Callable[[], tuple[Any, Any]]]:
    """Input and output of each model."""

    def cnn() -> tuple[Any, Any]:
        x = source = layers.Input((16, 16, 1))
        x = layers.Conv2D(8, 3)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
        x = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.MaxPooling2D(2)(x))
        x = layers.Flatten()(layers.AveragePooling2D(2)(x))
        return source, layers.Dense(10, activation="softmax")(layers.Dropout(0.2)(x))

    def sequence() -> tuple[Any, Any]:
        x = source = layers.Input((64, 3))
        x = layers.Conv1D(8, 5, padding="same", activation="relu")(x)
        x = layers.Conv1D(8, 3, strides=2, activation="relu")(layers.MaxPooling1D(2)(x))
        x = layers.GlobalAveragePooling1D()(layers.AveragePooling1D(2)(x))
        return source, layers.Dense(4, activation="softmax")(x)

    def temporal() -> tuple[Any, Any]:
        x = source = layers.Input((32, 4))
        for dilation in (1, 4):
            y = layers.Conv1D(8, 3, padding="causal", dilation_rate=dilation, activation="relu")(x)
            y = layers.Conv1D(8, 3, padding="causal", dilation_rate=dilation)(y)
            x = layers.ReLU()(layers.Add()([layers.Conv1D(8, 1)(x), y]))
        return source, layers.Dense(3, activation="softmax")(x[:, -1])

    def separable() -> tuple[Any, Any]:
        x = source = layers.Input((14, 14, 3))
        x = layers.SeparableConv2D(8, 3, padding="same", activation="relu")(x)
        x = layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2, padding="same")(x)
        x = layers.ZeroPadding2D(((1, 0), (0, 2)))(layers.LeakyReLU(0.1)(x))
        x = layers.GlobalAveragePooling2D(keepdims=True)(layers.Conv2D(8, 3)(x))
        return source, layers.Softmax()(layers.Flatten()(layers.Conv2D(5, 1)(x)))

    def residual() -> tuple[Any, Any]:
        x = source = layers.Input((12, 12, 3))
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(x)))
        y = layers.ReLU()(layers.Conv2D(16, 3, strides=2, padding="same")(x))
        y = layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same")(y))
        x = layers.Add()([layers.Conv2D(16, 1, strides=2, padding="same")(x), y])
        x = layers.Flatten()(layers.AveragePooling2D(6)(layers.ReLU()(x)))
        return source, layers.Dense(10, activation="softmax")(x)

    def bottleneck() -> tuple[Any, Any]:
        x = source = layers.Input((16, 16, 3))
        x = layers.ReLU(6.0)(layers.Conv2D(8, 3, strides=2, padding="same")(x))
        y = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(16, 1)(x)))
        y = layers.ReLU(6.0)(layers.DepthwiseConv2D(3, padding="same")(y))
        x = layers.Add()([x, layers.BatchNormalization()(layers.Conv2D(8, 1)(y))])
        return source, layers.Dense(2)(layers.GlobalAveragePooling2D()(x))

    def excited() -> tuple[Any, Any]:
        x = source = layers.Input((10, 10, 4))
        x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
        s = layers.GlobalAveragePooling2D(keepdims=True)(x)
        s = layers.Conv2D(8, 1, activation="sigmoid")(layers.Conv2D(4, 1, activation="relu")(s))
        x = layers.Activation("hard_swish")(layers.Multiply()([x, s]))
        return source, layers.Dense(3, activation="tanh")(layers.Flatten()(x))

    def segmenting() -> tuple[Any, Any]:
        a = source = layers.Input((12, 12, 1))
        a = layers.Conv2D(4, 3, padding="same", activation="relu")(a)
        b = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.MaxPooling2D(2)(a))
        b = layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")(b)
        x = layers.Conv2D(4, 3, activation="silu")(layers.Concatenate()([a, b]))
        return source, layers.Conv2D(1, 1, activation="sigmoid")(x)

    def upsampling() -> tuple[Any, Any]:
        x = source = layers.Input((6, 6, 2))
        x = layers.UpSampling2D(2)(layers.Conv2D(4, 3, padding="same", activation="relu")(x))
        return source, layers.Conv2D(2, 3)(x)

    def branches() -> tuple[Any, Any]:
        x = source = layers.Input((12, 12, 3))
        parts = [layers.Conv2D(4, k, padding="same", activation="relu")(x) for k in (1, 3, 5)]
        parts.append(layers.MaxPooling2D(3, strides=1, padding="same")(x))
        parts.append(layers.AveragePooling2D(3, strides=1, padding="same")(x))
        x = layers.Conv2D(4, 1)(layers.Concatenate()(parts))
        return source, layers.GlobalMaxPooling2D()(x)

    def slices() -> tuple[Any, Any]:
        source = layers.Input((16, 8))
        x = layers.Conv1D(4, 3)(source[..., :4])
        y = layers.SeparableConv1D(4, 3)(source[..., 4:])
        x = layers.Subtract()([x, y]) * 0.5 + layers.Permute((1, 2))(y)
        return source, layers.Dense(3)(layers.Flatten()(x[:, ::2]))

    def dense() -> tuple[Any, Any]:
        x = source = layers.Input((10,))
        x = layers.Normalization(mean=[0.1] * 10, variance=[2.0] * 10)(x)
        x = layers.Dense(16, activation="tanh")(layers.Dense(16, activation="relu")(x))
        return source, layers.Dense(1)(x)

    def groups() -> tuple[Any, Any]:
        x = source = layers.Input((8, 8, 8))
        x = layers.Rescaling(2.0, offset=-1.0)(layers.Cropping2D(1)(x))
        x = layers.Conv2D(8, 3, groups=4, activation="relu")(x)
        return source, layers.Reshape((-1, 4))(layers.Conv2D(8, 3, groups=8)(x))

    def normalized() -> tuple[Any, Any]:
        x = source = layers.Input((10, 4))
        x = layers.Dense(4, activation="gelu")(layers.LayerNormalization()(x))
        return source, layers.MultiHeadAttention(1, 2)(x, x)

    made = [cnn, sequence, temporal, separable, residual, bottleneck, excited, segmenting]
    made += [upsampling, branches, slices, dense, groups, normalized]
    return {each.__name__: each for each in made}


WAYS = {
    "": ("cnn", "temporal", "segmenting", "upsampling", "branches", "slices", "groups"),
    "_open": ("cnn", "sequence", "temporal", "separable", "residual", "bottleneck", "excited"),
    "_float": ("dense", "normalized"),
}
"""What is made of which model, by the end of the file's name."""


def main() -> int:
    """Run from the command line."""
    tensorflow: Any = importlib.import_module("tensorflow")
    keras = tensorflow.keras
    FOLDER.mkdir(exist_ok=True)
    for way, names in WAYS.items():
        for name in names:
            keras.utils.set_random_seed(1)
            model = keras.Model(*models(keras.layers)[name]())
            _spread(model)
            data = _quantized(tensorflow, model, way)
            (FOLDER / f"{name}{way}.tflite").write_bytes(data)
            print(f"{name}{way}: {len(data)} bytes")
    return 0


def _spread(model: Any) -> None:
    """Random numbers where training would have put some."""
    rng = np.random.default_rng(1)
    for weight in model.weights:
        if "gamma" in weight.path or "variance" in weight.path:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif any(part in weight.path for part in ("beta", "moving_mean", "bias")):
            weight.assign(rng.normal(0, 0.2, weight.shape))


def _quantized(tensorflow: Any, model: Any, way: str) -> bytes:
    shape = model.inputs[0].shape[1:]
    rows = np.random.default_rng(2).normal(0, 1, (ROWS, 1, *shape)).astype(np.float32)
    lite = tensorflow.lite
    with tempfile.TemporaryDirectory() as folder:
        if way == "_open":
            converter = lite.TFLiteConverter.from_keras_model(model)
        else:
            signature = [tensorflow.TensorSpec((1, *shape), tensorflow.float32)]
            model.export(folder, verbose=False, input_signature=signature)
            converter = lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([row] for row in rows)
        converter.target_spec.supported_ops = [lite.OpsSet.TFLITE_BUILTINS_INT8]
        if way != "_float":
            converter.inference_input_type = converter.inference_output_type = tensorflow.int8
        return bytes(converter.convert())


if __name__ == "__main__":
    sys.exit(main())
