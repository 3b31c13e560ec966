"""Nets as TensorFlow's converter writes them from Keras models: what becomes of each."""

from __future__ import annotations

import numpy as np
import pytest

from nets.files import FOLDER
from tflm import run_rows
from wingbeat.errors import UnsupportedModelError
from wingbeat.net.convert import convert_tflite

KERAS = FOLDER / "keras"
ROWS = 25

MADE = {
    "cnn": "conv max conv average dense softmax8",
    "cnn_open": "conv max conv average dense softmax8",
    "sequence_open": "conv max conv average mean dense softmax8",
    "temporal": "conv pad conv pad conv add conv pad conv pad conv add gather dense softmax8",
    "separable_open": "depthwise conv depthwise lookup conv mean conv softmax8",
    "residual_open": "conv conv conv conv add average dense softmax8",
    "bottleneck_open": "conv conv depthwise conv add mean dense",
    "excited_open": "conv mean conv conv lookup mul lookup dense lookup",
    "segmenting": "conv max conv conv gather concat conv lookup mul conv lookup",
    "branches": "conv conv conv max average concat concat conv max",
    "slices": "gather conv gather depthwise conv add lookup add gather dense",
    "dense_float": "quantize lookup dense dense lookup dense dequantize",
    "groups": "gather conv depthwise",
}
"""Kernels, in no order: that is the planner's."""

WITHOUT_TFLM = {"upsampling": "conv gather conv"}
"""TFLM has no TILE."""

REFUSED = {
    "temporal_open": ["for batches of any size", "batch_size=1"],
    "normalized_float": ["NEG", "SQUARED_DIFFERENCE", "RSQRT", "GELU", "BATCH_MATMUL"],
}


def kinds(name: str) -> list[str]:
    """Kernels without what they are specialized for."""
    program = convert_tflite(KERAS / f"{name}.tflite")
    names = [call.operator.KERNEL for call in program.calls]
    return sorted(each.partition("_")[0] for each in names)


def test_every_file_is_looked_at() -> None:
    assert {path.stem for path in KERAS.iterdir()} == {*MADE, *WITHOUT_TFLM, *REFUSED}


@pytest.mark.parametrize("name", MADE)
def test_answers_as_tflm(name: str) -> None:
    path = KERAS / f"{name}.tflite"
    program = convert_tflite(path)
    rows = np.random.default_rng(1).normal(0, 1, (ROWS, *program.input.shape)).astype(np.float32)
    if program.input.typecode == "b":
        stored = np.rint(rows / program.input.scale) + program.input.zero_point
        rows = np.clip(stored, -128, 127).astype(np.int8)
    answers = run_rows(path.read_bytes(), rows[:, np.newaxis])
    expected = np.array([outputs[0] for outputs in answers]).reshape(ROWS, *program.output.shape)
    assert program.run(rows).tobytes() == expected.tobytes()
    assert len(np.unique(expected)) > 5


@pytest.mark.parametrize("name", [*MADE, *WITHOUT_TFLM])
def test_nothing_runs_that_need_not(name: str) -> None:
    assert kinds(name) == sorted({**MADE, **WITHOUT_TFLM}[name].split())


@pytest.mark.parametrize("name", WITHOUT_TFLM)
def test_what_tflm_refuses(name: str) -> None:
    path = KERAS / f"{name}.tflite"
    program = convert_tflite(path)
    rows = np.zeros((1, 1, *program.input.shape), np.int8)
    with pytest.raises(RuntimeError, match="failed to allocate"):
        run_rows(path.read_bytes(), rows)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        convert_tflite(KERAS / f"{name}.tflite")
    assert all(part in str(caught.value) for part in REFUSED[name])
