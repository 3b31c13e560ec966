"""Keras nets: quantized by TensorFlow, and as the real TFLM computes them.

These run where TensorFlow is installed: `make models`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tflm import run_rows
from tones import TONES, tones
from wingbeat import convert_keras, quantization_aware, quantize_keras
from wingbeat.errors import ModelError, UnsupportedModelError, UsageError
from wingbeat.pipeline import parse_pipeline
from wingbeat.program import Decision
from wingbeat.train_pipeline import train_pipeline

tensorflow = pytest.importorskip("tensorflow")
keras: Any = pytest.importorskip("keras")
tf_keras: Any = pytest.importorskip("tf_keras")

ROWS = np.random.default_rng(1).normal(size=(60, 12)).astype(np.float32)
CLASSES = (ROWS @ np.random.default_rng(2).normal(size=(12, 3))).argmax(axis=1)


def dense_net(library: Any) -> Any:
    library.utils.set_random_seed(1)
    layers = library.layers
    model = library.Sequential(
        [layers.Input((12,)), layers.Dense(16, "relu"), layers.Dropout(0.1), layers.Dense(3)],
        name="net-1",
    )
    loss = library.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    model.fit(ROWS, CLASSES, epochs=3, verbose=0)
    return model


class Subclassed(keras.Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.first = keras.layers.Dense(8, "relu")
        self.second = keras.layers.Dense(2)

    def call(self, x: Any) -> Any:
        return self.second(self.first(x))


def assert_as_tflm(model: Any, rows: NDArray[np.float32]) -> None:
    content = quantize_keras(model, rows)
    program = convert_keras(model, rows)
    stored = program.input.quantize(rows)
    expected = np.array([outputs[0] for outputs in run_rows(content, stored[:, None])])
    assert np.array_equal(program.run(stored), expected.reshape(len(rows), -1))


@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras 3", "keras 2"])
def test_as_tflm(library: Any) -> None:
    assert_as_tflm(dense_net(library), ROWS)


def test_functional_and_subclassed() -> None:
    source = keras.Input((12,))
    hidden = keras.layers.Dense(8, "relu")(source)
    assert_as_tflm(keras.Model(source, keras.layers.Dense(2)(hidden)), ROWS)
    subclassed = Subclassed()
    subclassed(ROWS[:1])
    assert_as_tflm(subclassed, ROWS)


def test_what_the_program_says() -> None:
    model = dense_net(keras)
    program = convert_keras(model, ROWS, labels=["a", "b", "c"], meta={"data": "random"})
    assert (program.name, program.labels) == ("net_1", ("a", "b", "c"))
    assert program.decision is Decision.ARGMAX
    assert program.meta["data"] == "random"
    told = program.meta["quantization"]
    real = np.asarray(model(ROWS, training=False))
    stored = program.input.quantize(ROWS)
    found = program.output.dequantize(program.run(stored))
    assert told["rows"] == 60
    assert told["largest_difference"] == pytest.approx(np.abs(real - found).max())
    assert told["largest_difference"] < 0.1 * np.abs(real).max()
    assert told["classes_changed"] == (real.argmax(axis=1) != program.predict(stored)).sum()


def test_float_ends() -> None:
    model = dense_net(keras)
    inside, outside = convert_keras(model, ROWS), convert_keras(model, ROWS, io="float")
    assert (outside.input.typecode, outside.output.typecode) == ("f", "f")
    stored = inside.run(inside.input.quantize(ROWS))
    assert np.allclose(outside.run(ROWS), inside.output.dequantize(stored), atol=1e-6)


@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras 3", "keras 2"])
def test_quantization_aware(library: Any) -> None:
    aware = quantization_aware(dense_net(library))
    aware.compile("adam", tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    aware.fit(ROWS, CLASSES, epochs=2, verbose=0)
    assert_as_tflm(aware, ROWS)


def test_quantization_aware_keeps_the_weights() -> None:
    model = dense_net(keras)
    weights = quantization_aware(model).weights
    kernels = [weight for weight in weights if weight.name.endswith("/kernel:0")]
    for mine, its in zip([model.layers[0], model.layers[2]], kernels, strict=True):
        assert np.array_equal(mine.kernel, its)


def test_what_is_refused() -> None:
    model = dense_net(keras)
    with pytest.raises(UsageError, match=r"of shape \[60, 4\]: expected rows .* \[12\]"):
        convert_keras(model, ROWS[:, :4])
    with pytest.raises(UsageError, match="5 rows of representative data: expected 20"):
        convert_keras(model, ROWS[:5])
    with pytest.raises(UsageError, match="all finite"):
        convert_keras(model, ROWS * np.float32(np.nan))
    with pytest.raises(UsageError, match="expected a Keras model, got dict"):
        convert_keras({}, ROWS)
    with pytest.raises(UsageError, match="2 labels, but the net has 3 outputs"):
        convert_keras(model, ROWS, labels=["a", "b"])
    source = keras.Input((12,))
    both = keras.Model(source, [keras.layers.Dense(1)(source), keras.layers.Dense(2)(source)])
    with pytest.raises(UnsupportedModelError, match="2 outputs"):
        convert_keras(both, ROWS)
    strings = keras.Sequential([keras.Input((12,)), keras.layers.Lambda(tensorflow.as_string)])
    with pytest.raises(ModelError, match="cannot quantize"):
        convert_keras(strings, ROWS)


def test_what_cannot_be_quantization_aware() -> None:
    layers = keras.layers
    convolution = keras.Sequential([keras.Input((12, 1)), layers.Conv1D(2, 3)])
    with pytest.raises(UnsupportedModelError, match=r"Conv1D.*is not supported; leave"):
        quantization_aware(convolution)
    with pytest.raises(UnsupportedModelError, match="written for Keras 2"):
        quantization_aware(Subclassed())


def test_net_of_a_pipeline() -> None:
    """With 57 rows there have to be more steps than epochs."""
    text = TONES.format(kind="log_mel").replace('kind = "forest"\ntrees = 5', 'kind = "net"')
    trained = train_pipeline(tones(), parse_pipeline(text, "tones"), name="tones", seed=3)
    assert trained.report.accuracy > 0.9
    assert trained.quantization_loss is not None
    assert abs(trained.quantization_loss) < 0.05
