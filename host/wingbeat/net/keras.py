"""Keras nets to programs, quantized to int8 by TensorFlow.

Takes models of Keras 3 (with TensorFlow as its backend) and of Keras 2 (``tf_keras``). TensorFlow
is imported when a function is called, so that nothing else needs it: ``pip install
wingbeat[keras]``, and ``wingbeat[qat]`` for quantization-aware training.

References
----------
.. [1] B. Jacob et al., "Quantization and Training of Neural Networks for Efficient
   Integer-Arithmetic-Only Inference", CVPR 2018.
"""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wingbeat.errors import ModelError, UnsupportedModelError, UsageError
from wingbeat.golden import choose
from wingbeat.net.convert import convert_tflite
from wingbeat.program import Decision, Program
from wingbeat.recordings import optional_module

_PURPOSE = "converting a Keras model"
_PACKAGES = "wingbeat[keras]"
_AWARE = ("quantization-aware training", "wingbeat[qat]")
_FEWEST_ROWS = 20
_MOST_COMPARED = 1000


def convert_keras(
    model: Any,
    representative_data: ArrayLike,
    *,
    name: str | None = None,
    labels: Sequence[str] | None = None,
    io: Literal["int8", "float"] = "int8",
    raw_step: float | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Program:
    """Quantize a trained Keras model to int8 and convert it.

    Weights get a scale for each channel, activations one for each tensor, from the ranges that
    the representative data produce. A model of `quantization_aware` brings its own ranges.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model
        One input, one output. Dropout is left out, batch normalization folded.
    representative_data : array [rows, *shape of the input]
        Inputs as the model takes them, of the training set: 100 to 500 rows of all classes. What
        is larger or smaller than all of them is clipped on the board.
    name : str, optional
        Name of the module on the board. Default: the model's.
    labels : sequence of str, optional
        Names of the classes, as many as the net has outputs; two for a single sigmoid.
    io : {"int8", "float"}
        Dtype of input and output on the board. "int8": the caller scales, by the step and zero
        point that `Program.input` and `Program.output` tell.
    raw_step : float, optional
        The board gives int16 readings of which one step is so much in the model's units: a model
        that was trained on ``readings / 8192`` takes 1 / 8192. The program makes int8 of them.
    meta : mapping, optional
        Facts to keep in the program's file; JSON values.

    Returns
    -------
    Program
        With golden vectors of the representative data. `meta["quantization"]` tells how its
        results differ from the model's on them: `rows`, `largest_difference` of an output, and,
        where the program decides on a class, `classes_changed`.

    Raises
    ------
    DataError
        TensorFlow is not installed.
    UsageError
        The data or the labels do not fit the model.
    UnsupportedModelError
        Layers have no counterpart; all are named.
    ModelError
        TensorFlow cannot quantize the model.
    """
    tensorflow = _tensorflow()
    rows = _rows(model, representative_data)
    program = convert_tflite(
        quantize_keras(model, rows),
        name=_identifier(model.name) if name is None else name,
        labels=labels,
        io=io,
        raw_step=raw_step,
    )
    facts = {
        "source": "keras",
        "model": str(model.name),
        "tensorflow": str(tensorflow.__version__),
        "quantization": _difference(model, program, rows),
    }
    golden = choose(program, program.input.quantize(rows))
    return replace(program, meta={**program.meta, **facts, **(meta or {})}, golden=golden)


def quantize_keras(model: Any, representative_data: ArrayLike) -> bytes:
    """Quantize a trained Keras model to int8, input and output too: the bytes of a .tflite file.

    Parameters and errors are those of `convert_keras`.
    """
    tensorflow = _tensorflow()
    rows = _rows(model, representative_data)
    # A fixed batch of 1: with an open one, Flatten becomes SHAPE, STRIDED_SLICE and PACK.
    signature = tensorflow.TensorSpec((1, *rows.shape[1:]), tensorflow.float32)
    try:
        with tempfile.TemporaryDirectory() as folder:
            converter = _converter(tensorflow, model, signature, folder)
            converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([row[None]] for row in rows)
            converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tensorflow.int8
            converter.inference_output_type = tensorflow.int8
            return bytes(converter.convert())
    # ConverterError, which MLIR's messages come in, has no public name; it is an Exception.
    except Exception as error:
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(
            f"TensorFlow cannot quantize {model.name} to int8: {said}; look for layers that only"
            " work on floats, and for shapes that depend on the data"
        ) from error


def quantization_aware(model: Any) -> Any:
    """Make a model of which training feels the rounding to int8.

    Train the model first, then this one for a few epochs with a small learning rate, then give
    it to `convert_keras`. It is worth it where `convert_keras` of the plain model loses accuracy.

    Parameters
    ----------
    model : tf_keras.Sequential, tf_keras.Model (functional) or keras.Sequential
        Keras 2, which TensorFlow's quantization-aware training is written for. A Sequential model
        of Keras 3 is rebuilt with its weights, without regularizers. It knows Dense, Conv2D,
        DepthwiseConv2D, BatchNormalization behind a convolution, ReLU, pooling, Add, Concatenate,
        Flatten, Reshape, Dropout and some more, but not Conv1D: write that as Conv2D with
        (length, 1).

    Returns
    -------
    tf_keras.Model
        Not compiled.

    Raises
    ------
    DataError
        tf_keras or tensorflow-model-optimization is not installed.
    UnsupportedModelError
        A layer is not known to quantization-aware training.
    """
    optional_module("tf_keras", *_AWARE)
    tfmot = optional_module("tensorflow_model_optimization", *_AWARE)
    legacy = model if _is_keras_2(model) else _rebuilt(model)
    try:
        return tfmot.quantization.keras.quantize_model(legacy)
    except (ValueError, RuntimeError) as error:
        said = str(error).partition(". You can")[0]
        raise UnsupportedModelError(
            f"quantization-aware training of {model.name}: {said}; leave that layer out, or use"
            " convert_keras on the model as it is"
        ) from error


# ---- Models


def _tensorflow() -> Any:
    return optional_module("tensorflow", _PURPOSE, _PACKAGES)


def _is_keras_2(model: Any) -> bool:
    modules = [each.__module__.partition(".")[0] for each in type(model).__mro__]
    if "tf_keras" in modules:
        return True
    if "keras" not in modules:
        raise UsageError(
            f"expected a Keras model, got {type(model).__name__}: give a keras.Model or a"
            " tf_keras.Model"
        )
    keras = optional_module("keras", _PURPOSE, _PACKAGES)
    if int(keras.__version__.partition(".")[0]) < 3:
        return True
    if keras.backend.backend() != "tensorflow":
        raise UsageError(
            f"Keras runs on {keras.backend.backend()} here: save the weights, set"
            " KERAS_BACKEND=tensorflow, build the model again and load them"
        )
    return False


def _rows(model: Any, data: ArrayLike) -> NDArray[np.float32]:
    """The representative data, checked against the model."""
    _is_keras_2(model)
    for what in ("input", "output"):
        count = len(getattr(model, f"{what}s", None) or [0])
        if count != 1:
            raise UnsupportedModelError(
                f"{model.name} has {count} {what}s: a program has one input and one output"
            )
    rows = np.asarray(data, dtype=np.float32)
    wanted = getattr(model, "input_shape", None)
    fits = rows.ndim >= 2 and (
        wanted is None
        or (
            len(wanted) == rows.ndim
            and all(a in (None, b) for a, b in zip(wanted[1:], rows.shape[1:], strict=True))
        )
    )
    if not fits:
        shape = "" if wanted is None else f" {list(wanted[1:])}"
        raise UsageError(
            f"representative data of shape {list(rows.shape)}: expected rows of the model's"
            f" input{shape}"
        )
    if len(rows) < _FEWEST_ROWS or not np.isfinite(rows).all():
        raise UsageError(
            f"{len(rows)} rows of representative data: expected {_FEWEST_ROWS} or more, all finite;"
            " give 100 to 500 rows of the training set"
        )
    return rows


def _converter(tensorflow: Any, model: Any, signature: Any, folder: str) -> Any:
    def call(x: Any) -> Any:
        return model(x, training=False)

    lite = tensorflow.lite.TFLiteConverter
    if _is_keras_2(model):
        function = tensorflow.function(call, input_signature=[signature])
        return lite.from_concrete_functions([function.get_concrete_function()], model)
    # Keras 3: variables of a concrete function are not frozen; those of an exported model are.
    archive = optional_module("keras", _PURPOSE, _PACKAGES).export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", call, input_signature=[signature])
    archive.write_out(folder, verbose=False)
    return lite.from_saved_model(folder)


def _rebuilt(model: Any) -> Any:
    """A Sequential model of Keras 3 as one of Keras 2."""
    tf_keras = optional_module("tf_keras", *_AWARE)
    if type(model).__name__ != "Sequential":
        raise UnsupportedModelError(
            f"{model.name} is a {type(model).__name__} model of Keras 3: quantization-aware"
            " training is written for Keras 2; build the same model with tf_keras, and copy the"
            " weights with set_weights"
        )
    layers = [tf_keras.layers.InputLayer(tuple(model.input_shape[1:]))]
    for layer in model.layers:
        known = getattr(tf_keras.layers, type(layer).__name__, None)
        if known is None:
            raise UnsupportedModelError(
                f"layer {layer.name} ({type(layer).__name__}) is not in Keras 2: use another one"
            )
        taken = inspect.signature(known.__init__).parameters
        config = {
            key: value
            for key, value in layer.get_config().items()
            # Weights are copied; what made or bounded them in training is written differently.
            if key in taken and not key.endswith(("_initializer", "_regularizer", "_constraint"))
        }
        layers.append(known(**config, name=layer.name))
    legacy = tf_keras.Sequential(layers, name=model.name)
    legacy.set_weights(model.get_weights())
    return legacy


# ---- What quantization changed


def _difference(
    model: Any, program: Program, representative: NDArray[np.float32]
) -> dict[str, Any]:
    rows = representative[:_MOST_COMPARED]
    wanted = np.asarray(model(rows, training=False)).reshape(len(rows), -1)
    stored = program.input.quantize(rows)
    found = program.output.dequantize(program.run(stored)).reshape(len(rows), -1)
    facts: dict[str, Any] = {
        "rows": len(rows),
        "largest_difference": float(np.abs(wanted - found).max()),
    }
    if program.decision is Decision.ARGMAX:
        changed = wanted.argmax(axis=1) != program.predict(stored)
        facts["classes_changed"] = int(changed.sum())
    return facts


def _identifier(name: str) -> str:
    """The nearest name that can be imported."""
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
    return kept if kept[:1].isalpha() else f"net_{kept}"
