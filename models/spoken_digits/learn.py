"""Train the nets, which needs TensorFlow: one without each speaker, to test on, and one on all.

Writes nets/*.tflite and training.json.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.spoken_digits.augment import Bank
from models.spoken_digits.sounds import (
    BANDS,
    FRAMES,
    LABELS,
    SPEAKERS,
    Recording,
    features,
    in_window,
    pipeline,
    recordings,
)
from wingbeat import quantize_keras
from wingbeat.files import write_atomic
from wingbeat.nets import NETS
from wingbeat.recordings import optional_module

FOLDER = Path(__file__).parent
OPTIONS = pipeline().model
BATCH = 64
RATE = 3e-3
SMOOTHING = 0.05
SEED = 1
SCALE = 1 / 4
"""Of what the net takes in a logarithm to the base 2."""

_REPRESENTATIVE = 500


def rows_of(items: tuple[Recording, ...]) -> NDArray[np.float32]:
    """What the net takes of recordings in the middle of a window."""
    rows = np.stack([features(in_window(item.samples)) for item in items])
    return np.asarray(rows[..., np.newaxis] * SCALE, np.float32)


def trained(keras: Any, items: tuple[Recording, ...]) -> tuple[Any, NDArray[np.float32]]:
    """A net trained on recordings, which ends with logits, and rows to quantize it with."""
    keras.utils.set_random_seed(SEED)
    bank, draw = Bank(items, SEED), np.random.default_rng(SEED)
    model = NETS[OPTIONS.net](keras, (FRAMES, BANDS, 1), len(LABELS))
    for epoch in range(OPTIONS.epochs):
        x, y = bank.epoch(draw)
        if epoch == 0:
            steps = OPTIONS.epochs * -(-len(x) // BATCH)
            model.compile(
                keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, steps)),
                keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMOOTHING),
            )
        wanted = np.eye(len(LABELS), dtype=np.float32)[y]
        model.fit(x * SCALE, wanted, batch_size=BATCH, epochs=1, verbose=0, shuffle=False)
    return model, np.asarray(x[:_REPRESENTATIVE] * SCALE, np.float32)


def learn() -> None:
    """Train all."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    keras = optional_module("keras", "training", "wingbeat[keras]")
    tensorflow = optional_module("tensorflow", "training", "wingbeat[keras]")
    tensorflow.config.experimental.enable_op_determinism()
    found = {}
    for left_out in (*SPEAKERS, None):
        items = tuple(item for item in recordings() if item.speaker != left_out)
        model, rows = trained(keras, items)
        path = net_file(left_out)
        path.parent.mkdir(exist_ok=True)
        write_atomic(path, quantize_keras(model, rows))
        if left_out is not None:
            tests = tuple(item for item in recordings() if item.speaker == left_out)
            answers = model.predict(rows_of(tests), verbose=0).argmax(axis=1)
            right = answers == [item.digit for item in tests]
            found[left_out] = round(float(np.mean(right)), 4)
            print(left_out, found[left_out], file=sys.stderr)
    facts = {
        "epochs": OPTIONS.epochs,
        "batch": BATCH,
        "rate": RATE,
        "seed": SEED,
        "weights": int(model.count_params()),
        "float_accuracy": found,
        "tensorflow": tensorflow.__version__,
    }
    write_atomic(FOLDER / "training.json", (json.dumps(facts, indent=1) + "\n").encode())


def net_file(left_out: str | None) -> Path:
    """The net that was trained without a speaker, or on all of them."""
    return FOLDER / "nets" / (f"without_{left_out}.tflite" if left_out else "all.tflite")
