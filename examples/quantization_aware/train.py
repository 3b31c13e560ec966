"""Post-training quantization and quantization-aware training of one Keras net.

python examples/quantization_aware/train.py        # where wingbeat[qat] is installed
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tf_keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import wingbeat

SEED, EPOCHS, MORE_EPOCHS = 1, 30, 10


def network() -> Any:
    """A convolution, a depthwise one, and a dense layer: 3,106 weights."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.DepthwiseConv2D(3, strides=2, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ],
        name="digits",
    )


def main() -> None:
    """Train, quantize in both ways, and compare on pictures that were not trained on."""
    keras.utils.set_random_seed(SEED)
    x, y = load_digits(return_X_y=True)
    x = (x / 16).reshape(-1, 8, 8, 1).astype(np.float32)
    x, test_x, y, test_y = train_test_split(x, y, test_size=0.3, random_state=SEED, stratify=y)

    def right(program: wingbeat.Program) -> float:
        return float(np.mean(program.predict(program.input.quantize(test_x)) == test_y))

    model = network()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=EPOCHS, verbose=0)
    print(f"float                       {np.mean(model(test_x).numpy().argmax(1) == test_y):.3f}")

    after = wingbeat.convert_keras(model, x[:300], labels="0123456789")
    print(f"quantized after training    {right(after):.3f}")

    aware = wingbeat.quantization_aware(model)  # a model of tf_keras with the same weights
    aware.compile(
        tf_keras.optimizers.Adam(1e-3),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    aware.fit(x, y, epochs=MORE_EPOCHS, verbose=0)
    trained = wingbeat.convert_keras(aware, x[:300], name="digits", labels="0123456789")
    print(f"quantization-aware training {right(trained):.3f}")
    trained.save("digits.wbp")


if __name__ == "__main__":
    main()
