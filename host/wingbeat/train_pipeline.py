"""From labelled recordings and a pipeline to one program: raw samples in, decisions out.

The features that the model learns from are those of the program's own operators, so that the board
computes the same.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import anomaly, golden
from .augment import augmented
from .convert import convert
from .errors import DataError, UsageError
from .evaluate import ClassReport, evaluate_classes
from .net.features import convert_on_int16
from .nets import NETS, MakeNet
from .pictures import as_frame, common_size
from .pipeline import DISTANCES, ModelOptions, Pipeline
from .program import Descriptor, Program, ProgramBuilder
from .recordings import Recording, Recordings, optional_module, to_int16
from .reference.lookup import Lookup
from .simulate import Event, Score, background_of, detections, score, simulate
from .stages import Shape
from .stream import Stream, pace_of
from .train import MlpOptions, Progress, fit_forest, fit_mlp, int16_steps, versions
from .windows import split_by_group, split_by_time

_CALIBRATION = 500
_STEPS = 1500
_FEWEST, _MOST = 8, 64
_SETTLED = 20
_GOLDEN_CHOICE = 50  # pictures of which golden vectors are taken


@dataclass(frozen=True, eq=False)
class Features:
    """What the stages make of recordings.

    Attributes
    ----------
    x : NDArray[int16] [rows, features]
        Of pictures, int8 or uint8.
    y : NDArray[int64] [rows]
        Class numbers.
    groups : NDArray [rows] of str
    recording : NDArray[int64] [rows]
        Number of the recording that a row is from.
    ends : NDArray[int64] [rows]
        Sample of the recording at which the row was due, padding included; of a picture 0.
    shape : Shape
        Of a row, without its batch.
    skipped : int
        Recordings too short for a row.
    clipped : int
        Samples beyond int16 at the pipeline's scale.
    """

    x: NDArray[Any]
    y: NDArray[np.int64]
    groups: NDArray[np.str_]
    recording: NDArray[np.int64]
    ends: NDArray[np.int64]
    shape: Shape
    skipped: int
    clipped: int


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


def compute_features(
    recordings: Recordings, pipeline: Pipeline, progress: Callable[[int], None] | None = None
) -> Features:
    """Play recordings through the stages of a pipeline.

    Parameters
    ----------
    recordings : Recordings
    pipeline : Pipeline
    progress : callable, optional
        Is told the number of recordings done.

    Raises
    ------
    DataError
        No recording of some class gives a row, their number of channels or rate is another than the
        pipeline's, or next to nothing is left of the signal at its scale.
    UsageError
        A stage does not fit.
    """
    if pipeline.input == "image":
        return _features_of_pictures(recordings, fitted(pipeline, recordings), progress)
    n_channels = _check(recordings, pipeline)
    # The only channel of a microphone needs no name beside each band.
    program, shape = pipeline.features(recordings.channels if n_channels > 1 else 1)
    window = pace_of(program).window
    index = {label: number for number, label in enumerate(recordings.labels)}
    parts: list[NDArray[np.int16]] = []
    owners: list[NDArray[np.int64]] = []
    ends: list[NDArray[np.int64]] = []
    steps, clipped = int16_steps(recordings, pipeline.scale)
    for number, samples in enumerate(steps):
        results = Stream(program).results(_padded(samples, pipeline, window))
        parts.append(results.outputs.reshape(len(results.ends), program.output.n_elements))
        owners.append(np.full(len(results.ends), number, np.int64))
        ends.append(results.ends * (program.input.n_elements // n_channels))
        if progress is not None:
            progress(number + 1)
    owner = np.concatenate(owners)
    y = _classes_of(recordings)
    groups = np.array([item.group for item in recordings.items], np.str_)
    skipped = len(recordings.items) - len(np.unique(owner))
    lost = [label for label, i in index.items() if i in y and i not in y[owner]]
    if lost:
        raise DataError(
            f"expected recordings of at least one window ({window} samples) of every class, there"
            f" are none of {', '.join(lost)}: record for longer, choose shorter windows, or add"
            " pad = true to the pipeline"
        )
    return Features(
        np.concatenate(parts).astype(np.int16),
        y[owner],
        groups[owner],
        owner,
        np.concatenate(ends),
        shape,
        skipped,
        clipped,
    )


def fitted(pipeline: Pipeline, recordings: Recordings) -> Pipeline:
    """The pipeline with the size of the pictures, where it does not say what the camera gives.

    Raises
    ------
    DataError
        The pictures are of several sizes.
    """
    if pipeline.input != "image" or pipeline.size is not None:
        return pipeline
    return replace(pipeline, size=common_size(recordings))


def _features_of_pictures(
    recordings: Recordings, pipeline: Pipeline, progress: Callable[[int], None] | None
) -> Features:
    program, shape = pipeline.features(0)
    index = {label: number for number, label in enumerate(recordings.labels)}
    count = len(recordings.items)
    x = np.empty((count, shape.n_elements), program.output.dtype)
    for number, item in enumerate(recordings.items):
        x[number] = program.run(frame_of(item, pipeline)).reshape(-1)
        if progress is not None:
            progress(number + 1)
    return Features(
        x,
        np.array([index[item.label] for item in recordings.items], np.int64),
        np.array([item.group for item in recordings.items], np.str_),
        np.arange(count),
        np.zeros(count, np.int64),
        shape,
        0,
        0,
    )


def frame_of(item: Recording, pipeline: Pipeline) -> NDArray[Any]:
    """A picture as the camera of a pipeline would have given it; see `as_frame`."""
    assert pipeline.size is not None
    size = pipeline.size[0], pipeline.size[1]
    return as_frame(item.data, pipeline.pixels, size, item.source)


def _check(recordings: Recordings, pipeline: Pipeline) -> int:
    if pipeline.input == "image":
        return 0
    n_channels = len(recordings.channels)
    if pipeline.channels is not None and pipeline.channels != n_channels:
        raise DataError(
            f"expected recordings of {pipeline.channels} channels for {pipeline.name}, these have"
            f" {n_channels} ({', '.join(recordings.channels)}): choose with --channels"
        )
    if recordings.rate is not None and abs(recordings.rate / pipeline.rate - 1) > 0.01:
        raise DataError(
            f"expected {pipeline.rate:g} samples a second for {pipeline.name}, the recordings have"
            f" {recordings.rate:g}: say so with --rate {recordings.rate:g}, or in the pipeline's"
            " file, or resample the recordings"
        )
    return n_channels


def _padded(steps: NDArray[np.int16], pipeline: Pipeline, window: int) -> NDArray[np.int16]:
    """Between zeros, where the pipeline pads what is too short."""
    missing = window - len(steps)
    if pipeline.pad and missing > 0:
        front = missing // 2
        steps = np.pad(steps, ((front, missing - front), (0, 0)))
    return steps


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
    pipeline = fitted(pipeline, recordings)
    n_channels = _check(recordings, pipeline)
    if pipeline.model.kind in DISTANCES:
        recordings = _normal_or_not(recordings, pipeline)
        features = features and replace(features, y=_classes_of(recordings)[features.recording])
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
    model, expected = _fit(
        _Task(pipeline.model, rows, learned, test, name, recordings.labels, seed)
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


def _classes_of(recordings: Recordings) -> NDArray[np.int64]:
    """Class number of each recording."""
    index = {label: number for number, label in enumerate(recordings.labels)}
    return np.array([index[item.label] for item in recordings.items], np.int64)


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
    copies = compute_features(replace(recordings, items=items), pipeline)
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
        steps = _padded(to_int16(item.data, pipeline.scale), pipeline, window)
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


@dataclass(frozen=True, eq=False)
class _Task:
    """What a model is made from: rows of features, of which some are trained on."""

    options: ModelOptions
    features: Features
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    name: str
    labels: tuple[str, ...]
    seed: int

    def x(self, numbers: NDArray[np.int64]) -> NDArray[np.int16]:
        return self.features.x[numbers]

    @property
    def y(self) -> NDArray[np.int64]:
        """Classes of the rows to train on."""
        return self.features.y[self.train]


def _fit(task: _Task) -> tuple[Program, NDArray[np.int64] | None]:
    """The model as a program on features, and what it said of the test rows before quantization."""
    if task.options.kind == "net":
        return _fit_net(task)
    if task.options.kind in DISTANCES:
        return _fit_distance(task), None
    options, x = task.options.options, task.x(task.train)
    if isinstance(options, MlpOptions):
        x = x.astype(np.int16)
        estimator = fit_mlp(x, task.y, options=options, seed=task.seed)
        program = convert_on_int16(estimator, x, name=task.name, labels=task.labels)
    else:
        estimator = fit_forest(x, task.y, options=options, seed=task.seed)
        rows = task.features.x
        dtype = rows.dtype.name
        program = convert(estimator, name=task.name, dtype=dtype, labels=task.labels, rows=rows)
    return program, estimator.predict(task.x(task.test).astype(np.float64)).astype(np.int64)


def _fit_distance(task: _Task) -> Program:
    """What normal looks like, with a threshold for rows of new groups."""
    options, normal = task.options, task.train[task.y == 0]

    def fit(x: NDArray[np.int16]) -> Program:
        if options.kind == "mahalanobis":
            return anomaly.fit_mahalanobis(x, name=task.name)
        count = min(options.centres, len(x))
        return anomaly.fit_centres(x, count, seed=task.seed, name=task.name)

    x, groups = task.x(normal), task.features.groups[normal]
    return anomaly.with_threshold(fit(x), anomaly.threshold_for(fit, x, groups, options.share))


def _fit_net(task: _Task) -> tuple[Program, NDArray[np.int64]]:
    """A net of Keras on features over a power of two near their deviation."""
    from .net.keras import convert_keras

    keras = optional_module("keras", "training a net", '"wingbeat[keras]"')
    step = 2.0 ** -round(np.log2(max(float(task.x(task.train).std()), 1.0)))
    dims = task.features.shape.dims
    shape = dims if len(dims) == 3 else (*dims, 1)

    def rows(numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.asarray(task.x(numbers).reshape(-1, *shape) * step, np.float32)

    keras.utils.set_random_seed(task.seed)
    model = find_net(task.options.net)(keras, shape, len(task.labels))
    rows_of_step = _batch(len(task.train), task.options.epochs)
    _settle(keras, model, task.options.epochs * -(-len(task.train) // rows_of_step))
    model.compile(
        keras.optimizers.Adam(2e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(
        rows(task.train),
        task.y,
        batch_size=rows_of_step,
        epochs=task.options.epochs,
        verbose=0,
        shuffle=True,
    )
    draw, count = np.random.default_rng(task.seed), min(len(task.train), _CALIBRATION)
    drawn = np.sort(draw.choice(task.train, count, replace=False))
    is_bytes = task.features.x.dtype.itemsize == 1
    program = convert_keras(
        model,
        rows(drawn),
        name=task.name,
        labels=task.labels,
        raw_step=None if is_bytes else step,
    )
    if is_bytes:
        program = _on_bytes(program, task.features.x.dtype, step)
    expected = model.predict(rows(task.test), verbose=0).argmax(axis=1)
    return replace(program, golden=None), np.asarray(expected, np.int64)


def _on_bytes(program: Program, dtype: np.dtype[Any], step: float) -> Program:
    """A net that takes bytes of which one step is so much in its units, by a table."""
    values = np.arange(256).astype(np.uint8).view(dtype)
    table = replace(program.input, shape=(1,)).quantize(values.astype(np.float32) * step).ravel()
    builder = ProgramBuilder(Descriptor(dtype.char, program.input.shape))
    lookup = Lookup(table, program.input.n_elements, dtype.char)
    return builder.finish_with(program, builder.add(lookup, 0))


def _batch(rows: int, epochs: int) -> int:
    """Rows of a step: fewer where there would be too few steps to learn in."""
    return min(max(rows * epochs // _STEPS, _FEWEST), _MOST)


def _settle(keras: Any, model: Any, steps: int) -> None:
    """Make running means of batch normalization follow fast enough for so few steps.

    What is left of where they started is momentum^steps, of a mean that may be many deviations.
    """
    most = max(0.5, 1 - _SETTLED / steps)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, most)


def find_net(name: str) -> MakeNet:
    """The function that makes a net: by a name of `NETS`, or FILE.py:FUNCTION.

    Raises
    ------
    UsageError
        There is no such name, file or function.
    """
    if name in NETS:
        return NETS[name]
    path, _, function = name.rpartition(":")
    if not path.endswith(".py") or not Path(path).is_file():
        raise UsageError(
            f"no net {name!r}: expected one of {', '.join(NETS)}, or FILE.py:FUNCTION with a file"
            " that is there"
        )
    found = runpy.run_path(path).get(function)
    if not callable(found):
        raise UsageError(f"{path} has no function {function!r}")
    made: MakeNet = found
    return made
