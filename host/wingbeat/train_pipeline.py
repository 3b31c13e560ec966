"""From labelled recordings and a pipeline to one program: raw samples in, decisions out.

The features that the model learns from are those of the program's own operators, so that the board
computes the same.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import anomaly, golden
from .augment import augmented
from .errors import DataError, UsageError
from .evaluate import ClassReport, evaluate_classes
from .pipeline import DISTANCES, Pipeline
from .pipeline_features import (
    Features,
    check_recordings,
    classes_of,
    compute_features,
    fitted,
    frame_of,
    padded,
)
from .pipeline_models import Task, fit_model
from .program import Program
from .recordings import Recordings, to_int16
from .simulate import Event, Score, background_of, detections, score, simulate
from .stream import pace_of
from .train import Progress, check_seed, versions
from .windows import split_by_group, split_by_time

_GOLDEN_CHOICE = 50  # pictures of which golden vectors are taken


@dataclass(frozen=True, eq=False)
class TrainedPipeline:
    """A program that takes a stream or a picture, and what it was tested on.

    Attributes
    ----------
    program : Program
        From raw samples to decisions; its `meta` tells how it was trained and how well it does.
    model : Program
        From features to the class of the largest score.
    report : ClassReport
        The model's answers on the test rows against the truth.
    features : Features
        Of all recordings.
    train, test : NDArray[int64]
        Row numbers.
    answers : NDArray[int64] [test rows]
    quantization_loss : float or None
        Accuracy of the trained model before it was made integer less the program's, on the test
        rows; None where there is no such model.
    detections : Score or None
        What the program reports of the recordings that were held out, each played from its start,
        where the pipeline has something behind the model.
    heard : float
        Seconds of those recordings.
    """

    program: Program
    model: Program
    report: ClassReport
    features: Features
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    answers: NDArray[np.int64]
    quantization_loss: float | None
    detections: Score | None
    heard: float


def train_pipeline(
    recordings: Recordings,
    pipeline: Pipeline,
    *,
    name: str,
    test_fraction: float = 0.3,
    seed: int = 1,
    progress: Progress | None = None,
    split: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    features: Features | None = None,
) -> TrainedPipeline:
    """Train a pipeline on recordings and test it on the groups that were held out.

    The same recordings, pipeline and seed give the same program, with the same releases of the
    libraries.

    Parameters
    ----------
    recordings : Recordings
    pipeline : Pipeline
    name : str
        Name of the module on the board; a Python identifier.
    test_fraction : float
        Share of the groups to test on.
    seed : int
        0 to 2**32 - 1.
    progress : callable, optional
        Is told what is being done.
    split : tuple of NDArray[int64], optional
        Rows of the features to train and to test on, instead of a share of the groups.
    features : Features, optional
        What `compute_features` gave for these recordings.

    Raises
    ------
    DataError, ModelError, UsageError
        As `compute_features` and `wingbeat.train.train_recordings`.
    """
    tell = progress or (lambda message: None)
    check_seed(seed)
    pipeline = fitted(pipeline, recordings)
    n_channels = check_recordings(recordings, pipeline)
    if pipeline.model.kind in DISTANCES:
        recordings = _normal_or_not(recordings, pipeline)
        features = features and replace(features, y=classes_of(recordings)[features.recording])
    if features is None:
        tell(f"computing features of {len(recordings.items)} examples")
        features = compute_features(recordings, pipeline)
    if features.clipped:
        tell(f"{features.clipped} samples are beyond int16 at this scale and were clipped")
    train, test = split or _split(pipeline, features, n_channels, test_fraction, seed)
    rows, learned = features, train
    if pipeline.augment is not None:
        tell("changing copies of the recordings to train on")
        rows, learned = _with_copies(recordings, pipeline, features, train, test, seed)
    tell(f"training on {len(learned)} rows")
    model, expected = fit_model(
        Task(
            *(pipeline.model, rows, learned, test, name, recordings.labels, seed),
            each_class=pipeline.after is not None,
        )
    )
    program = pipeline.program(model, n_channels)
    tell(f"testing on {len(test)} rows")
    held_out = features.x[test].astype(model.input.dtype)
    answers = model.predict(held_out.reshape(-1, *model.input.shape))
    groups = features.groups[test]
    report = evaluate_classes(features.y[test], answers, recordings.labels, groups)
    loss = None
    if expected is not None:
        loss = float((expected == features.y[test]).mean() - (answers == features.y[test]).mean())
    facts = {
        "data": "pictures" if pipeline.input == "image" else "recordings",
        "pipeline": {"name": pipeline.name, "rate": pipeline.rate, **_plain(pipeline)},
        "channels": list(recordings.channels),
        "scale": np.asarray(pipeline.scale, np.float64).tolist(),
        "seed": seed,
        "test_fraction": test_fraction,
        "split": pipeline.split if split is None else "given",
        "groups_held_out": (
            [] if pipeline.split == "time" else [str(each) for each in np.unique(groups)]
        ),
        "train_rows": len(learned),
        "test_rows": len(test),
        "skipped_recordings": features.skipped,
        "clipped_samples": features.clipped,
        "quantization_loss": loss,
        "versions": versions(),
        "result": report.to_json(),
    }
    scored, heard = None, 0.0
    if pipeline.after is not None:
        tell("playing the recordings that were held out")
        scored, heard = _detections(program, recordings, pipeline, features, test)
        facts["detections"] = {**asdict(scored), "seconds": heard}
    rate = {} if pipeline.input == "image" else {"rate": pipeline.rate}
    program = replace(program, meta={**program.meta, **rate, "training": facts})
    if pipeline.input == "image":
        some = test[:: max(1, len(test) // _GOLDEN_CHOICE)]
        frames = [frame_of(recordings.items[i], pipeline) for i in some]
        program = replace(program, golden=golden.choose(program, np.stack(frames)))
    return TrainedPipeline(
        program, model, report, features, train, test, answers, loss, scored, heard
    )


def _normal_or_not(recordings: Recordings, pipeline: Pipeline) -> Recordings:
    """Recordings of one class as normal ones, all others as anomalies."""
    normal = pipeline.model.normal
    if normal not in recordings.labels:
        raise UsageError(
            f"{pipeline.name}, model: normal = {normal!r}: the recordings are of"
            f" {', '.join(recordings.labels)}; name the class that is normal"
        )
    items = tuple(
        replace(item, label=anomaly.LABELS[item.label != normal]) for item in recordings.items
    )
    return replace(recordings, items=items, labels=anomaly.LABELS)


def _with_copies(
    recordings: Recordings,
    pipeline: Pipeline,
    features: Features,
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    seed: int,
) -> tuple[Features, NDArray[np.int64]]:
    """Features with those of changed copies behind them, and the rows to train on."""
    assert pipeline.augment is not None
    ours = np.setdiff1d(features.recording[train], features.recording[test])
    if len(ours) < len(np.unique(features.recording[train])):
        raise UsageError(
            f"{pipeline.name}: [augment] changes whole recordings, but some are both trained and"
            " tested on: test other recordings (split by groups), or leave [augment] out"
        )
    items = augmented([recordings.items[number] for number in ours], pipeline.augment, seed)
    if not items:
        return features, train
    try:
        copies = compute_features(replace(recordings, items=items), pipeline)
    except DataError as error:
        raise DataError(f"{pipeline.name}, augment: of the copies: {error}") from error
    both = [(getattr(features, each), getattr(copies, each)) for each in ("x", "y", "groups")]
    x, y, groups = (np.concatenate(each) for each in both)
    more = np.arange(len(features.y), len(y))
    return replace(features, x=x, y=y, groups=groups), np.append(train, more)


def _detections(
    program: Program,
    recordings: Recordings,
    pipeline: Pipeline,
    features: Features,
    test: NDArray[np.int64],
) -> tuple[Score, float]:
    """Detections in recordings with rows to test on, from where the first of these begins."""
    window, background = pace_of(program).window, background_of(program)
    found, truth, at = [], [], 0.0
    for number in np.unique(features.recording[test]):
        item = recordings.items[number]
        begin = int(features.ends[test][features.recording[test] == number].min()) - window
        steps = padded(to_int16(item.data, pipeline.scale), pipeline, window)
        samples = steps[max(begin, 0) :]
        played = simulate(program, samples, pipeline.rate)
        found += [
            Event(each.start + at, each.end + at, each.label)
            for each in detections(program, played, background)
        ]
        if item.label not in background:
            truth.append(Event(at, at + played.duration, item.label))
        at += played.duration
    counts = score(found, truth, 0.0)
    rounded = tuple(round(each, 3) for each in counts.latencies)
    return replace(counts, latencies=rounded), round(at, 3)


def _split(
    pipeline: Pipeline, features: Features, n_channels: int, test_fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if pipeline.split == "time":
        program, _ = pipeline.features(n_channels)
        return split_by_time(
            features.y,
            test_fraction,
            recording=features.recording,
            ends=features.ends,
            window=pace_of(program).window,
        )
    return split_by_group(features.groups, features.y, test_fraction=test_fraction, seed=seed)


def _plain(pipeline: Pipeline) -> dict[str, Any]:
    stages = [stage.described() for stage in pipeline.stages]
    after = None if pipeline.after is None else asdict(pipeline.after)
    model = asdict(pipeline.model)
    if pipeline.input == "image":
        camera = {"pixels": pipeline.pixels, "size": list(pipeline.size or ())}
        return {"stages": stages, "model": model, **camera}
    augment = None if pipeline.augment is None else asdict(pipeline.augment)
    return {
        "stages": stages,
        "model": model,
        "after": after,
        "augment": augment,
        "pad": pipeline.pad,
    }
