"""`wingbeat train`: from labelled data to a program."""

from __future__ import annotations

import io
import math
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.text import Text

from wingbeat.cli.options import Json, module_name, output_file, split_list
from wingbeat.cli.output import Progress, described, emit, facts, in_words
from wingbeat.cli.stages import show_stages
from wingbeat.convert import TYPECODES
from wingbeat.errors import UsageError
from wingbeat.evaluate import ClassReport
from wingbeat.files import write_atomic
from wingbeat.pipeline import DISTANCES, Pipeline, load_pipeline, presets
from wingbeat.reference.window_stats import STATISTICS
from wingbeat.simulate import in_events
from wingbeat.stream import pace_of
from wingbeat.train import ForestOptions, MlpOptions, Options, Trained

if TYPE_CHECKING:
    from wingbeat.recordings import Recordings
    from wingbeat.train_pipeline import TrainedPipeline


class Model(str, Enum):
    """What can be trained."""

    FOREST = "forest"
    EXTRA_TREES = "extra-trees"
    TREE = "tree"
    BOOSTING = "boosting"
    MLP = "mlp"


class Target(str, Enum):
    """What the label column holds."""

    CLASSES = "classes"
    VALUES = "values"


def train(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="A table (.csv, .parquet, .npz, .npy), or recordings in a folder."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="NAME.wbp, the program.")],
    model: Annotated[
        Model | None, typer.Option(help="Kind of model, instead of a pipeline's own.")
    ] = None,
    pipeline: Annotated[
        str | None,
        typer.Option(
            help="What to compute of a stream of samples, and what to train on it: a .toml file, or"
            f" a preset ({', '.join(presets())}). DATA is recordings; for tabular, a table.",
            autocompletion=presets,
        ),
    ] = None,
    stages: Annotated[
        bool,
        typer.Option(
            "--stages",
            help="Print the presets, and the stages of pipelines with their parameters.",
            is_eager=True,
            callback=show_stages,
        ),
    ] = False,
    trees: Annotated[
        int | None, typer.Option(min=1, help="Trees, or rounds of boosting. By default 10.")
    ] = None,
    max_depth: Annotated[
        int | None, typer.Option(min=1, help="Most comparisons on the way to a leaf.")
    ] = None,
    min_samples_leaf: Annotated[
        int | None, typer.Option(min=1, help="Fewest training rows in a leaf. By default 1.")
    ] = None,
    label: Annotated[
        str, typer.Option(help="Column with the class or value.", rich_help_panel="Data")
    ] = "label",
    group: Annotated[
        str | None,
        typer.Option(
            help="Column that tells who or what a row comes from. The test is on groups that were"
            " held out.",
            rich_help_panel="Data",
        ),
    ] = None,
    test_fraction: Annotated[
        float, typer.Option(help="Share of the groups or rows to test on.", rich_help_panel="Data")
    ] = 0.3,
    seed: Annotated[
        int,
        typer.Option(help="The same seed gives the same program.", rich_help_panel="Data"),
    ] = 1,
    features: Annotated[
        str | None,
        typer.Option(help="Columns to learn from, with commas between.", rich_help_panel="Tables"),
    ] = None,
    target: Annotated[
        Target | None,
        typer.Option(help="What the label column holds.", rich_help_panel="Tables"),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            help=f"What the board gives the model: {', '.join(TYPECODES)}. By default float32.",
            autocompletion=lambda: list(TYPECODES),
            rich_help_panel="Tables",
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Samples of one window. With it, DATA is recordings.",
            rich_help_panel="Recordings",
        ),
    ] = None,
    hop: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Samples from the start of a window to the next. By default half a window.",
            rich_help_panel="Recordings",
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            help="Real units per step of int16, one number or one per channel with commas between."
            " By default a pipeline's own, or 1: raw sensor values.",
            rich_help_panel="Recordings",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            help="Samples a second, instead of a pipeline's own.", rich_help_panel="Recordings"
        ),
    ] = None,
    statistics: Annotated[
        str | None,
        typer.Option(
            help=f"What to compute of each channel, out of {','.join(STATISTICS)}. By default all.",
            rich_help_panel="Recordings",
        ),
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(
            help="Columns that are channels, with commas between.", rich_help_panel="Recordings"
        ),
    ] = None,
    recording: Annotated[
        str | None,
        typer.Option(help="Column that tells recordings apart.", rich_help_panel="Recordings"),
    ] = None,
    group_pattern: Annotated[
        str | None,
        typer.Option(
            help="Regular expression that finds the group in a file's path.",
            rich_help_panel="Recordings",
        ),
    ] = None,
    label_pattern: Annotated[
        str | None,
        typer.Option(
            help="Regular expression that finds the label in a file's path.",
            rich_help_panel="Recordings",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the confusion matrix here (.png).", rich_help_panel="Results"),
    ] = None,
    save_test: Annotated[
        Path | None,
        typer.Option(
            help="Save the inputs of the test here (.npy), for 'wingbeat run'.",
            rich_help_panel="Results",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write a page about it here (.html). With --pipeline only.",
            rich_help_panel="Results",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a model on labelled data, test it on what was held out, save it as a program."""
    for path, ending in ((output, ".wbp"), (plot, ".png"), (save_test, ".npy"), (report, ".html")):
        if path is not None:
            output_file(path, (ending,))
    training: dict[str, Any] = {"name": module_name(output.stem)}
    training |= {"test_fraction": test_fraction, "seed": seed}
    if not 0 < test_fraction < 1:
        raise UsageError(f"--test-fraction {test_fraction}: expected a share between 0 and 1")
    if pipeline is None and report is not None:
        raise UsageError("--report is for pipelines: add --pipeline, or drop it")
    chosen = None if pipeline is None else load_pipeline(pipeline)
    if chosen is None and model is None:
        raise UsageError(
            f"expected --model ({', '.join(each.value for each in Model)}) or --pipeline"
        )
    kind = "table" if window is None else "windows"
    _refuse_mixture(
        kind if chosen is None else chosen.input,
        {
            "--trees": trees,
            "--max-depth": max_depth,
            "--min-samples-leaf": min_samples_leaf,
            "--features": features,
            "--target": target,
            "--dtype": dtype,
            "--window": window,
            "--hop": hop,
            "--scale": scale,
            "--rate": rate,
            "--statistics": statistics,
            "--channels": channels,
            "--recording": recording,
            "--group": group,
            "--group-pattern": group_pattern,
            "--label-pattern": label_pattern,
            "--save-test": save_test,
        },
    )
    if window is not None and model is Model.MLP:
        raise UsageError("--model mlp: for --window take --pipeline, whose model may be an mlp")
    reading = {
        "label": label,
        "group": group,
        "recording": recording,
        "channels": split_list(channels, "--channels"),
        "group_pattern": group_pattern,
        "label_pattern": label_pattern,
    }
    if chosen is not None:
        chosen = _with_asked(chosen, model, scale, rate)
        if chosen.input != "rows":
            _on_pipeline(
                data, reading, chosen, output, plot, report, save_test, as_json, **training
            )
            return
    with Progress(f"reading {data}") as progress:
        if window is None:
            trained = _on_table(
                data,
                {
                    "label": label,
                    "group": group,
                    "features": split_list(features, "--features"),
                    "target": None if target is None else target.value,
                },
                plot,
                options=_options(chosen, model, trees, max_depth, min_samples_leaf),
                dtype=dtype or ("float32" if chosen is None else chosen.dtype),
                split="groups" if chosen is None else chosen.split,
                progress=progress.step,
                **training,
            )
        else:
            trained = _on_recordings(
                data,
                {**reading, "rate": rate},
                window=window,
                hop=max(1, window // 2) if hop is None else hop,
                scale=_scale(scale),
                statistics=split_list(statistics, "--statistics") or STATISTICS,
                options=_options(chosen, model, trees, max_depth, min_samples_leaf),
                progress=progress.step,
                **training,
            )
    if report is not None:
        from wingbeat.report import write_report_of_rows

        with Progress("writing the report"):
            write_report_of_rows(report, trained, _command())
    _save(trained, output, plot, save_test)
    document = _document(trained, output, plot, save_test)
    if chosen is not None:
        document["pipeline"] = chosen.name
        document["page"] = None if report is None else str(report)
    emit(as_json, document, *_shown(trained, document))


def _with_asked(
    pipeline: Pipeline, model: Model | None, scale: str | None, rate: float | None
) -> Pipeline:
    """The pipeline with what the command line says instead."""
    if scale is not None:
        pipeline = replace(pipeline, scale=_scale(scale))
    if rate is not None:
        pipeline = replace(pipeline, rate=rate)
    if model is not None:
        pipeline = replace(pipeline, model=replace(pipeline.model, kind=model.value))
    return pipeline


def _options(
    pipeline: Pipeline | None,
    model: Model | None,
    trees: int | None,
    max_depth: int | None,
    min_samples_leaf: int | None,
) -> Options:
    if pipeline is not None:
        return pipeline.model.options
    if model is Model.MLP:
        return MlpOptions()
    kind = Model.FOREST if model is None else model
    return ForestOptions(trees or 10, max_depth, min_samples_leaf or 1, kind=kind.value)


_OF_PIPELINES = (
    *("--trees", "--max-depth", "--min-samples-leaf", "--dtype", "--window", "--hop"),
    "--statistics",
)
_OF_TABLES = ("--features", "--target", "--dtype")
_OF_RECORDINGS = (
    *("--hop", "--scale", "--rate", "--statistics", "--channels", "--recording"),
    *("--group-pattern", "--label-pattern"),
)
_OF_TIME = ("--group", "--channels", "--recording", "--rate", "--scale")
_IN_THE_FILE = (
    "not with --pipeline, which says all of that itself; drop it, or write it into the pipeline's"
    " file"
)
_REFUSED: Mapping[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    "table": ((_OF_RECORDINGS, "for recordings only; add --window, or drop it"),),
    "windows": (
        (
            _OF_TABLES,
            "for tables only, but --window makes DATA recordings, whose programs take int16"
            " windows; drop one or the other",
        ),
    ),
    "rows": (
        (_OF_PIPELINES, _IN_THE_FILE),
        (_OF_RECORDINGS, "for recordings only; drop it for rows of a table"),
    ),
    "stream": ((("--features", "--target", "--save-test", *_OF_PIPELINES), _IN_THE_FILE),),
    "image": (
        (("--features", "--target", *_OF_PIPELINES), _IN_THE_FILE),
        (
            _OF_TIME,
            "for samples over time; pictures have their label and group in their path"
            " (LABEL/GROUP/name.png, or --group-pattern): drop it",
        ),
    ),
}
"""For each kind of DATA: options that are not for it, and why."""


def _refuse_mixture(kind: str, given: Mapping[str, object]) -> None:
    for options, reason in _REFUSED[kind]:
        wrong = [option for option in options if given[option] is not None]
        if wrong:
            raise UsageError(f"{', '.join(wrong)}: {reason}")


def _on_pipeline(
    data: Path,
    reading: dict[str, Any],
    pipeline: Pipeline,
    output: Path,
    plot: Path | None,
    page: Path | None,
    save_test: Path | None,
    as_json: bool,
    **training: Any,
) -> None:
    from wingbeat.pictures import load_pictures
    from wingbeat.pipeline_features import compute_features, fitted
    from wingbeat.recordings import load_recordings
    from wingbeat.train_pipeline import train_pipeline

    with Progress(f"reading {data}"):
        if pipeline.input == "image":
            patterns = {key: reading[key] for key in ("group_pattern", "label_pattern")}
            recordings = load_pictures(data, **patterns)
        else:
            one_class = pipeline.model.kind in DISTANCES
            recordings = load_recordings(data, **reading, one_class=one_class)
    pipeline = fitted(pipeline, recordings)
    count = len(recordings.items)
    with Progress("computing features", count) as progress:
        things = "pictures" if pipeline.input == "image" else "recordings"
        progress.step(f"computing features of {count} {things}")
        features = compute_features(recordings, pipeline, progress.done)
    with Progress("training") as progress:
        trained = train_pipeline(
            recordings, pipeline, features=features, progress=progress.step, **training
        )
    if plot is not None:
        from wingbeat.plots import confusion_matrix

        confusion_matrix(trained.report, plot, f"{trained.program.name} on held-out data")
    if page is not None:
        from wingbeat.report import write_report

        with Progress("writing the report"):
            write_report(page, trained, pipeline, recordings, _command())
    if save_test is not None:
        _save_frames(save_test, trained, pipeline, recordings)
    trained.program.save(output)
    program, report = trained.program, trained.report
    document = {
        "file": str(output),
        "name": program.name,
        "hash": program.hash,
        "pipeline": pipeline.name,
        "input": described(program.input),
        "output": described(program.output),
        "labels": program.labels,
        "arena": program.arena,
        "bytes": {"program": len(program.encode())},
        "train_rows": len(trained.train),
        "test_rows": len(trained.test),
        "skipped_recordings": trained.features.skipped,
        "quantization_loss": trained.quantization_loss,
        "report": report.to_json(),
        "detections": None
        if trained.detections is None
        else {**asdict(trained.detections), "seconds": trained.heard},
        "plot": None if plot is None else str(plot),
        "page": None if page is None else str(page),
    }
    if pipeline.input == "image":
        document["test_inputs"] = None if save_test is None else str(save_test)
        rows = {
            "trained on": f"{len(trained.train)} pictures",
            "takes": f"{in_words(program.input)}, a picture of {pipeline.pixels}",
        }
        if save_test is not None:
            rows["test inputs"] = str(save_test)
    else:
        pace = pace_of(program)
        document["window_seconds"] = pace.window / pipeline.rate
        document["hop_seconds"] = float(pace.hop) / pipeline.rate
        rows = {
            "trained on": f"{len(trained.train)} windows of"
            f" {len(recordings.items) - trained.features.skipped} recordings",
            "takes": f"{in_words(program.input)}, {pipeline.rate:g} samples a second",
            "results": f"after {document['window_seconds']:.3g} s, then every"
            f" {document['hop_seconds']:.3g} s",
        }
    rows["program"] = f"{output}, {len(program.encode())} bytes on the board"
    if trained.detections is not None:
        rows["detections"] = in_events(trained.detections, trained.heard)
    if trained.features.skipped:
        rows["skipped"] = f"{trained.features.skipped} recordings shorter than one window"
    shown: list[Any] = [report.table()]
    if report.groups:
        shown.append(report.group_table())
    emit(as_json, document, *shown, Text(""), facts(rows))


def _command() -> str:
    """What the user typed."""
    return shlex.join(["wingbeat", *sys.argv[1:]])


def _save_frames(
    path: Path, trained: TrainedPipeline, pipeline: Pipeline, recordings: Recordings
) -> None:
    from wingbeat.pipeline_features import frame_of

    buffer = io.BytesIO()
    frames = [frame_of(recordings.items[i], pipeline) for i in trained.test]
    np.save(buffer, np.stack(frames), allow_pickle=False)
    write_atomic(path, buffer.getvalue())


def _on_table(data: Path, reading: dict[str, Any], plot: Path | None, **training: Any) -> Trained:
    from wingbeat.recordings import load_table
    from wingbeat.train import train_table

    table = load_table(data, **reading)
    if plot is not None and not table.labels:
        raise UsageError(
            "--plot draws classes, but the labels are values: drop it, or add --target classes"
        )
    return train_table(table, **training)


def _on_recordings(data: Path, reading: dict[str, Any], **training: Any) -> Trained:
    from wingbeat.recordings import load_recordings
    from wingbeat.train import train_recordings

    return train_recordings(load_recordings(data, **reading), **training)


def _scale(text: str | None) -> float | tuple[float, ...]:
    parts = split_list(text, "--scale")
    if parts is None:
        return 1.0
    try:
        numbers = tuple(float(part) for part in parts)
    except ValueError:
        numbers = (math.nan,)
    if not all(math.isfinite(number) and number > 0 for number in numbers):
        raise UsageError(
            f"--scale {text!r}: expected one number above 0, or one per channel with commas"
            " between, such as 0.00049"
        )
    return numbers[0] if len(numbers) == 1 else numbers


def _save(trained: Trained, output: Path, plot: Path | None, save_test: Path | None) -> None:
    if plot is not None and isinstance(trained.report, ClassReport):
        from wingbeat.plots import confusion_matrix

        confusion_matrix(trained.report, plot, f"{trained.program.name} on held-out data")
    if save_test is not None:
        buffer = io.BytesIO()
        np.save(buffer, trained.test_x, allow_pickle=False)
        write_atomic(save_test, buffer.getvalue())
    trained.program.save(output)


def _document(
    trained: Trained, output: Path, plot: Path | None, save_test: Path | None
) -> dict[str, Any]:
    program = trained.program
    return {
        "file": str(output),
        "name": program.name,
        "hash": program.hash,
        "input": described(program.input),
        "output": described(program.output),
        "labels": program.labels,
        "arena": program.arena,
        "bytes": {"program": len(program.encode())},
        "train_rows": trained.train_rows,
        "test_rows": len(trained.test_x),
        "skipped_recordings": trained.skipped,
        "report": trained.report.to_json(),
        "plot": None if plot is None else str(plot),
        "test_inputs": None if save_test is None else str(save_test),
    }


def _shown(trained: Trained, document: dict[str, Any]) -> list[Any]:
    report = trained.report
    shown: list[Any] = [report.table()]
    if isinstance(report, ClassReport) and report.groups:
        shown.append(report.group_table())
    rows = {"trained on": f"{trained.train_rows} rows"}
    if trained.skipped:
        rows["skipped"] = f"{trained.skipped} recordings shorter than one window"
    rows["input"] = in_words(trained.program.input)
    rows["program"] = f"{document['file']}, {document['bytes']['program']} bytes on the board"
    for what, key in (("plot", "plot"), ("test inputs", "test_inputs")):
        if document[key]:
            rows[what] = document[key]
    return [*shown, Text(""), facts(rows)]
