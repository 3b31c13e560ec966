"""Seven shoulder exercises from the stream of a wrist's raw readings.

python models/exercises_stream/recipe.py
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from examples.exercises.demo import SCALE, SEED, load  # noqa: E402

from models.streams import StreamRecipe, main  # noqa: E402
from wingbeat import Program  # noqa: E402
from wingbeat.evaluate import ClassReport, evaluate_classes  # noqa: E402
from wingbeat.golden import choose  # noqa: E402
from wingbeat.pipeline import Pipeline, load_pipeline  # noqa: E402
from wingbeat.pipeline_features import Features, compute_features  # noqa: E402
from wingbeat.recordings import Recording, Recordings, to_int16  # noqa: E402
from wingbeat.stream import pace_of  # noqa: E402
from wingbeat.train_pipeline import train_pipeline  # noqa: E402

NAME = "exercises_stream"
PIPELINE = Path(__file__).parent / "pipeline.toml"
TESTED = "person 03"


@cache
def recordings() -> Recordings:
    """PyPI's seglearn: ten people, both arms, seven exercises."""
    return load()


def pipelines() -> tuple[Pipeline, Pipeline]:
    """Ours, and the preset for motion, which statistics of half the time and a forest are."""
    ours, preset = load_pipeline(PIPELINE), load_pipeline("motion")
    return ours, replace(preset, scale=ours.scale)


def leave_one_out(pipeline: Pipeline, features: Features) -> ClassReport:
    """Answers of ten programs, each tested on the one person that it was not trained on."""
    people = np.unique(features.groups)
    answers = np.zeros_like(features.y)
    for person in people:
        test = np.flatnonzero(features.groups == person)
        train = np.flatnonzero(features.groups != person)
        answers[test] = train_pipeline(
            recordings(), pipeline, name=NAME, seed=SEED, features=features, split=(train, test)
        ).answers
    return evaluate_classes(features.y, answers, recordings().labels, features.groups)


def make() -> Program:
    """Train on seven people, test on three; then each of the ten left out in turn."""
    ours, preset = pipelines()
    features = compute_features(recordings(), ours)
    trained = train_pipeline(recordings(), ours, name=NAME, seed=SEED, features=features)
    assert trained.quantization_loss is not None
    assert TESTED in trained.report.groups
    everyone = leave_one_out(ours, features)
    before = leave_one_out(preset, compute_features(recordings(), preset))
    low, high = everyone.interval
    pace = pace_of(trained.program)
    figures = {
        "accuracy": trained.report.accuracy,
        "test_rows": trained.report.n,
        "train_rows": len(trained.train),
        "people": ", ".join(trained.report.groups),
        "float_accuracy": trained.report.accuracy + trained.quantization_loss,
        "left_out": everyone.accuracy,
        "left_out_rows": everyone.n,
        "low": low,
        "high": high,
        "worst": float(everyone.group_accuracy.min()),
        "best": float(everyone.group_accuracy.max()),
        "preset": before.accuracy,
        "features": features.x.shape[1],
        "window": pace.window / ours.rate,
        "hop": float(pace.hop) / ours.rate,
    }
    program = replace(trained.program, meta={**trained.program.meta, "figures": figures})
    rows = piece()
    whole = rows[: len(rows) // pace.samples * pace.samples].reshape(-1, *program.input.shape)
    return replace(program, golden=choose(program, whole))


def person_tested() -> tuple[Recording, ...]:
    """What one person did whom the program was not trained on."""
    return tuple(each for each in recordings().items if each.group == TESTED)


def piece() -> NDArray[np.int16]:
    """That person's exercises, one after the other."""
    return np.concatenate([to_int16(each.data, SCALE) for each in person_tested()])


RECIPE = StreamRecipe(NAME, make, piece)

if __name__ == "__main__":
    main(RECIPE)
