"""What the recipes share: data, training with Keras, comparison with a forest, card.

    python models/NAME/recipe.py [--convert]

A recipe trains a net with TensorFlow and writes NAME.tflite, the quantized net, and
training.json, what is known of it. From those, and without TensorFlow, it makes NAME.wbp, the
program, and README.md, the card; --convert does only that.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wingbeat import Program, quantize_keras
from wingbeat.boards import board_named
from wingbeat.costs import estimate
from wingbeat.describe import describe
from wingbeat.files import write_atomic
from wingbeat.golden import choose
from wingbeat.net.convert import convert_tflite
from wingbeat.recordings import optional_module

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).resolve().parent
BOARD = "pico"
_REPRESENTATIVE = 500

Augment = Callable[[np.random.Generator, NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Data:
    """Inputs as the net takes them, float32, and classes.

    Attributes
    ----------
    train_x, test_x : array [rows, *shape]
    train_y, test_y : array [rows]
        Class numbers.
    labels : tuple of str
    split : str
        How the test rows were chosen.
    """

    train_x: NDArray[np.float32]
    train_y: NDArray[np.int64]
    test_x: NDArray[np.float32]
    test_y: NDArray[np.int64]
    labels: tuple[str, ...]
    split: str


@dataclass(frozen=True)
class Recipe:
    """How a net is made.

    Attributes
    ----------
    name : str
        Of the folder, the program and the module.
    data : function
    forest : function
        The forest that the net is compared with: its program, and its accuracy on the same test
        rows.
    net : function
        Takes the library keras and returns a model that is not trained; it ends with logits.
    epochs, batch, rate, seed
        Adam, with a rate that falls to 0 as a cosine.
    augment : function, optional
        Changes training rows in every epoch.
    raw_step : float, optional
        The program takes int16 readings, of which one step is so much in the net's units.
    """

    name: str
    data: Callable[[], Data]
    forest: Callable[[], tuple[Program, float]]
    net: Callable[[Any], Any]
    epochs: int
    batch: int = 64
    rate: float = 3e-3
    seed: int = 1
    augment: Augment | None = field(default=None)
    raw_step: float | None = None

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return FOLDER / self.name

    @property
    def program_file(self) -> Path:
        """The trained program."""
        return self.folder / f"{self.name}.wbp"

    @property
    def net_file(self) -> Path:
        """The trained net, quantized."""
        return self.folder / f"{self.name}.tflite"

    @property
    def facts_file(self) -> Path:
        """How it was trained."""
        return self.folder / "training.json"

    def limits(self) -> dict[str, float]:
        """Accuracy floor and ceilings of sizes and time."""
        limits: dict[str, float] = tomllib.loads((self.folder / "limits.toml").read_text())
        return limits


def accuracy_of(program: Program, data: Data) -> float:
    """Share of the test rows that a program gets right, as it would on a board."""
    return float(np.mean(program.predict(program.input.quantize(data.test_x)) == data.test_y))


def main(recipe: Recipe) -> None:
    """What `python models/NAME/recipe.py` does."""
    parser = argparse.ArgumentParser(description=f"Make {recipe.name}.")
    parser.add_argument("--convert", action="store_true", help="do not train, convert again")
    if not parser.parse_args().convert:
        train(recipe)
    convert(recipe)
    print(json.dumps(Program.load(recipe.program_file).meta["accuracy"]))


def train(recipe: Recipe) -> None:
    """Train and quantize: NAME.tflite and training.json."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    keras = optional_module("keras", "training", "wingbeat[keras]")
    tensorflow = optional_module("tensorflow", "training", "wingbeat[keras]")
    tensorflow.config.experimental.enable_op_determinism()
    data = recipe.data()
    model = _trained(recipe, keras, data)
    draw = np.random.default_rng(recipe.seed)
    rows = data.train_x[draw.permutation(len(data.train_x))[:_REPRESENTATIVE]]
    write_atomic(recipe.net_file, quantize_keras(model, rows))
    right = model.predict(data.test_x, verbose=0).argmax(axis=1) == data.test_y
    facts = {
        "epochs": recipe.epochs,
        "batch": recipe.batch,
        "rate": recipe.rate,
        "seed": recipe.seed,
        "weights": int(model.count_params()),
        "train_rows": len(data.train_y),
        "split": data.split,
        "float_accuracy": round(float(np.mean(right)), 4),
        "tensorflow": tensorflow.__version__,
    }
    write_atomic(recipe.facts_file, (json.dumps(facts, indent=1) + "\n").encode())


def convert(recipe: Recipe) -> None:
    """Make the program and the card."""
    data = recipe.data()
    program = converted(recipe)
    forest, by_forest = recipe.forest()
    accuracy = {
        "float": program.meta["recipe"]["float_accuracy"],
        "int8": round(accuracy_of(program, data), 4),
        "forest": round(by_forest, 4),
        "test_rows": len(data.test_y),
    }
    golden = choose(program, program.input.quantize(data.test_x))
    program = replace(program, meta={**program.meta, "accuracy": accuracy}, golden=golden)
    program.save(recipe.program_file)
    write_card(recipe, program, forest)


def converted(recipe: Recipe) -> Program:
    """The program of the quantized net."""
    return convert_tflite(
        recipe.net_file,
        name=recipe.name,
        labels=recipe.data().labels,
        raw_step=recipe.raw_step,
        meta={"recipe": json.loads(recipe.facts_file.read_text(encoding="utf-8"))},
    )


def _trained(recipe: Recipe, keras: Any, data: Data) -> Any:
    keras.utils.set_random_seed(recipe.seed)
    model = recipe.net(keras)
    steps = -(-len(data.train_x) // recipe.batch)
    falling = keras.optimizers.schedules.CosineDecay(recipe.rate, recipe.epochs * steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(falling), loss)
    for x, y in _batches(recipe, data):
        model.train_on_batch(x, y)
    return model


def _batches(recipe: Recipe, data: Data) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    draw = np.random.default_rng(recipe.seed)
    for _ in range(recipe.epochs):
        order = draw.permutation(len(data.train_x))
        x, y = data.train_x[order], data.train_y[order]
        if recipe.augment is not None:
            x = recipe.augment(draw, x)
        for start in range(0, len(x), recipe.batch):
            yield x[start : start + recipe.batch], y[start : start + recipe.batch]


def write_card(recipe: Recipe, program: Program, forest: Program) -> None:
    """Write README.md: card.md with the figures of the program in it."""
    figures = {
        "accuracy": _accuracy_table(program),
        "sizes": _size_table(program, forest),
        "layers": "\n".join(
            f"| {number} | `{call.operator.KERNEL}` | {describe(call.operator)} |"
            for number, call in enumerate(program.calls, 1)
        ),
        "input": str(program.input),
        "labels": ", ".join(program.labels),
        "hash": program.hash,
        **program.meta["recipe"],
    }
    card = (recipe.folder / "card.md").read_text(encoding="utf-8")
    write_atomic(recipe.folder / "README.md", card.format(**figures).encode())


def _accuracy_table(program: Program) -> str:
    found = program.meta["accuracy"]
    rows = [
        ("this net, float32 on the laptop", found["float"]),
        ("**this net, int8, on laptop and board**", found["int8"]),
        ("forest on the same split", found["forest"]),
    ]
    lines = [f"| {what} | {share:.3f} |" for what, share in rows]
    head = f"| | accuracy on {found['test_rows']} rows that were not trained on |"
    return "\n".join([head, "|---|---|", *lines])


def _size_table(program: Program, forest: Program) -> str:
    board = board_named(BOARD)
    both = (program, forest)
    rows: dict[str, Sequence[object]] = {
        "program, bytes": [len(each.encode()) for each in both],
        f"`.mpy` for {board.name}, bytes": [len(each.assemble(board.arch).data) for each in both],
        "arena, bytes": [each.arena for each in both],
        f"ms on {board.name} at {board.clock / 1e6:.0f} MHz (estimated)": [
            f"{milliseconds(each):.2f}" for each in both
        ],
    }
    lines = [f"| {what} | {ours} | {its} |" for what, (ours, its) in rows.items()]
    return "\n".join(["| | net | forest |", "|---|---|---|", *lines])


def milliseconds(program: Program) -> float:
    """Estimated time of one call on `BOARD`."""
    board = board_named(BOARD)
    time = estimate(program, board.arch)
    assert time is not None
    return time.cycles * 1e3 / board.clock
