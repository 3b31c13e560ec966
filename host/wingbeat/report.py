"""A page about a trained pipeline: how well it does, for whom it fails, what it costs.

One HTML file with all that it shows in it; it opens without a network.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .boards import boards
from .check import check, fastest_for
from .costs import estimate
from .describe import describe
from .evaluate import ClassReport, ValueReport
from .files import write_atomic
from .pictures import as_colours
from .pipeline import Pipeline
from .pipeline_features import fitted, frame_of
from .plots import (
    draw_answers,
    draw_confusion_matrix,
    draw_errors,
    draw_picture,
    draw_samples,
)
from .program import Program
from .recordings import Recordings, optional_module, to_int16
from .simulate import in_events
from .stream import pace_of
from .train import Trained
from .train_pipeline import TrainedPipeline

_MOST_WRONG = 9
_MOST_WRONG_ROWS = 15
_MOST_COLUMNS = 8
_MOST_FEATURES = 16
_ROWS_FOR_IMPORTANCE = 400
_BASELINE_ARCH = "armv6m"


def write_report(
    path: Path | str,
    trained: TrainedPipeline,
    pipeline: Pipeline,
    recordings: Recordings,
    command: str,
) -> None:
    """Write the page of a pipeline for a stream or pictures.

    Parameters
    ----------
    path : Path or str
        NAME.html.
    command : str
        What makes the program again.

    Raises
    ------
    DataError
        jinja2 or matplotlib is not installed.
    OSError
        The page cannot be written.
    """
    _write(path, _contents(trained, pipeline, recordings), command)


def write_report_of_rows(path: Path | str, trained: Trained, command: str) -> None:
    """Write the page of a program for rows of a table; as `write_report`.

    Parameters
    ----------
    path : Path or str
        NAME.html.
    trained : Trained
        From `wingbeat.train.train_table`.
    command : str
        What makes the program again.

    Raises
    ------
    DataError
        jinja2 or matplotlib is not installed.
    OSError
        The page cannot be written.
    """
    _write(path, _contents_of_rows(trained), command)


def _write(path: Path | str, contents: dict[str, Any], command: str) -> None:
    jinja2 = optional_module("jinja2", "writing a report", "jinja2")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    text = (files("wingbeat") / "templates" / "report.html").read_text(encoding="utf-8")
    page = environment.from_string(text).render(**contents, command=command)
    write_atomic(path, page.encode())


def _contents(
    trained: TrainedPipeline, pipeline: Pipeline, recordings: Recordings
) -> dict[str, Any]:
    program, report = trained.program, trained.report
    pipeline = fitted(pipeline, recordings)
    is_image = pipeline.input == "image"
    facts = program.meta["training"]
    return {
        **_of_program(program),
        "summary": _summary(trained, pipeline),
        "thing": "picture" if is_image else "window",
        **_of_classes(program, report, trained.quantization_loss),
        "groups": f"{len(report.groups)} groups" if report.groups else "recordings",
        "detections": None
        if trained.detections is None
        else in_events(trained.detections, trained.heard),
        "after": _after(pipeline),
        "group_rows": _groups(
            report,
            trained.features.groups[trained.test],
            trained.features.y[trained.test],
            trained.answers,
        ),
        "importance": None if is_image else _bars(_importance(trained)),
        "wrong": _wrong(trained, pipeline, recordings),
        "wrong_rows": None,
        "facts": [
            ("hash", program.hash),
            ("seed", facts["seed"]),
            ("trained on", f"{facts['train_rows']} {'pictures' if is_image else 'windows'}"),
            ("held out", ", ".join(facts["groups_held_out"])),
            *facts["versions"].items(),
        ],
    }


def _contents_of_rows(trained: Trained) -> dict[str, Any]:
    program, report, owners = trained.program, trained.report, trained.test_groups
    facts = program.meta["training"]
    names = facts["features"]
    found = _importance_of_rows(trained, names)
    part = {
        "time": "the end of the table",
        "rows": "the table, drawn at random,",
        "groups": "" if owners is None else f"{len(np.unique(owners))} groups",
    }[facts["split"]]
    if isinstance(report, ClassReport):
        told = f"Tells {len(report.labels)} classes from rows"
        kind = _of_classes(program, report, trained.quantization_loss)
        groups = _groups(report, owners, trained.test_y, trained.answers)
    else:
        told = "Gives a value for rows"
        kind = _of_values(trained, report)
        groups = _groups_of_values(trained)
    return {
        **_of_program(program),
        **kind,
        "summary": f"{told} of {len(names)} features.",
        "thing": "row",
        "groups": part,
        "detections": None,
        "after": "",
        "group_rows": groups,
        "importance": _bars([each for each in found[:_MOST_FEATURES] if each[0] > 0]),
        "wrong": [],
        "wrong_rows": _wrong_rows(trained, names, [start for _, _, start in found]),
        "facts": [
            ("hash", program.hash),
            ("seed", facts["seed"]),
            ("trained on", f"{facts['train_rows']} rows"),
            ("held out", ", ".join(facts["groups_held_out"]) or f"{len(trained.test)} rows"),
            *facts["versions"].items(),
        ],
    }


def _of_program(program: Program) -> dict[str, Any]:
    return {"name": program.name, "boards": _boards(program), "operators": _operators(program)}


def _of_classes(program: Program, report: ClassReport, loss: float | None) -> dict[str, Any]:
    title = f"{program.name} on held-out data"
    return {
        "report": report,
        "values": None,
        "loss": loss,
        "classes": _classes(report),
        "confusion": _text(draw_confusion_matrix(report, title)),
    }


def _of_values(trained: Trained, report: ValueReport) -> dict[str, Any]:
    over_time = trained.program.meta["training"]["split"] == "time"
    errors = trained.answers - trained.test_y
    return {
        "report": report,
        "values": {
            "scatter": _text(draw_answers(trained.test_y, trained.answers)),
            "errors": _text(draw_errors(trained.test + 1, errors)) if over_time else None,
        },
        "loss": trained.quantization_loss,
        "classes": [],
        "confusion": None,
    }


def _summary(trained: TrainedPipeline, pipeline: Pipeline) -> str:
    program, count = trained.program, len(trained.report.labels)
    if pipeline.input == "image":
        rows, columns, *_ = program.input.shape
        return (
            f"Tells {count} classes from pictures of {rows} x {columns} pixels, {pipeline.pixels}."
        )
    pace = pace_of(program)
    return (
        f"Tells {count} classes from {program.input.shape[-1]} channels at {pipeline.rate:g}"
        f" samples a second; a result after {pace.window / pipeline.rate:.3g} s, then every"
        f" {float(pace.hop) / pipeline.rate:.3g} s."
    )


def _after(pipeline: Pipeline) -> str:
    """What is behind the model, in words."""
    after = pipeline.after
    if after is None:
        return ""
    threshold = 0.5 if after.threshold is None else after.threshold
    if after.vote:
        votes = "" if after.threshold is None else f", where scores below {threshold:g} are none"
        return f"what most results of {after.vote:g} s say{votes}"
    release = threshold if after.release is None else after.release
    smoothing = f"scores smoothed over {after.smoothing:g} s, " if after.smoothing else ""
    return (
        f"{smoothing}a class starts at {threshold:g} and ends below {release:g}, at most one"
        f" start in {after.hold_off:g} s"
    )


def _classes(report: ClassReport) -> list[dict[str, Any]]:
    rows = []
    for number, label in enumerate(report.labels):
        recall, precision = float(report.recall[number]), float(report.precision[number])
        rows.append(
            {
                "label": label,
                "recall": 0.0 if np.isnan(recall) else recall,
                "precision": None if np.isnan(precision) else precision,
                "support": int(report.support[number]),
            }
        )
    return rows


def _groups(
    report: ClassReport,
    owners: NDArray[np.str_] | None,
    truth: NDArray[np.int64],
    answers: NDArray[np.int64],
) -> list[dict[str, Any]]:
    """The groups from the worst to the best, each with the class that it fails at most."""
    rows = []
    for number in np.argsort(report.group_accuracy, kind="stable"):
        name = report.groups[number]
        mine = owners == name
        missed = np.bincount(truth[mine & (answers != truth)], minlength=len(report.labels))
        worst = int(missed.argmax())
        total = int(np.count_nonzero(mine & (truth == worst)))
        accuracy = float(report.group_accuracy[number])
        rows.append(
            {
                "name": name,
                "width": 100 * accuracy,
                "low": accuracy < 0.7,
                "shown": f"{accuracy:.2f}",
                "support": int(report.group_support[number]),
                "worst": f"{report.labels[worst]}: {missed[worst]} of {total} missed"
                if missed[worst]
                else "none",
            }
        )
    return rows


def _groups_of_values(trained: Trained) -> list[dict[str, Any]]:
    """The groups from the largest mean error to the smallest, each with its worst row."""
    owners = trained.test_groups
    if owners is None:
        return []
    errors = np.abs(trained.answers - trained.test_y)
    means = {str(name): float(errors[owners == name].mean()) for name in np.unique(owners)}
    largest = max(*means.values(), 1e-9)
    rows = []
    for name in sorted(means, key=lambda name: -means[name]):
        mine = np.flatnonzero(owners == name)
        worst = int(mine[errors[mine].argmax()])
        rows.append(
            {
                "name": name,
                "width": 100 * means[name] / largest,
                "low": False,
                "shown": f"{means[name]:.4g}",
                "support": len(mine),
                "worst": f"row {trained.test[worst] + 1}: {trained.answers[worst]:.4g}"
                f" for {trained.test_y[worst]:.4g}",
            }
        )
    return rows


Importance = list[tuple[float, str, int]]
"""What each feature is worth, its name and its number; from the most important on."""


def _importance(trained: TrainedPipeline) -> Importance:
    """Accuracy lost when a feature, at all times of a window, is shuffled among test windows."""
    features, model = trained.features, trained.model
    rows = _some(trained.test)
    x = features.x[rows].reshape(len(rows), -1, features.shape.width)
    truth = features.y[rows]

    def accuracy(values: NDArray[np.int16]) -> float:
        return float((model.predict(values.reshape(-1, *model.input.shape)) == truth).mean())

    found = _shuffled(x, features.shape.names, accuracy)
    return [each for each in found[:_MOST_FEATURES] if each[0] > 0]


def _importance_of_rows(trained: Trained, names: Sequence[str]) -> Importance:
    """Accuracy lost, or mean absolute error gained, when a feature is shuffled among test rows."""
    program = trained.program
    rows = _some(np.arange(len(trained.test)))
    truth = trained.test_y[rows]

    def goodness(values: NDArray[Any]) -> float:
        x = values.reshape(-1, *program.input.shape)
        if program.labels:
            return float((program.predict(x) == truth).mean())
        given = program.output.dequantize(program.run(x)).reshape(len(truth))
        return -float(np.abs(given - truth).mean())

    return _shuffled(trained.test_x[rows].reshape(len(rows), 1, -1), names, goodness)


def _some(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(rows) <= _ROWS_FOR_IMPORTANCE:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, _ROWS_FOR_IMPORTANCE, replace=False))


def _shuffled(
    x: NDArray[Any], names: Sequence[str], goodness: Callable[[NDArray[Any]], float]
) -> Importance:
    """What is lost of the goodness when a feature of x [rows, times, width] is shuffled."""
    draw = np.random.default_rng(0)
    width = x.shape[2]
    base = goodness(x)
    step = -(-width // (4 * _MOST_FEATURES))
    found = []
    for start in range(0, width, step):
        shuffled = x.copy()
        shuffled[:, :, start : start + step] = x[draw.permutation(len(x)), :, start : start + step]
        end = min(start + step, width)
        name = names[start] if end == start + 1 else f"{names[start]} to {names[end - 1]}"
        found.append((base - goodness(shuffled), name, start))
    return sorted(found, key=lambda each: (-each[0], each[2]))


def _bars(found: Importance) -> list[dict[str, Any]]:
    return [
        {"name": name, "loss": loss, "width": round(100 * loss / found[0][0], 1)}
        for loss, name, _ in found
    ]


def _wrong_rows(trained: Trained, names: Sequence[str], order: list[int]) -> dict[str, Any]:
    """The worst rows, with the features that matter most.

    For classes: wrong ones, from the one where the answer's score is furthest above that of the
    truth on. For values: from the largest error on.
    """
    truth, answers, labels = trained.test_y, trained.answers, trained.program.labels
    if labels:
        rows = np.arange(len(truth))
        output = trained.program.output.dequantize(trained.program.run(trained.test_x))
        scores = output.reshape(len(truth), -1)
        if scores.shape[1] == 1:  # of two classes, the second one's probability
            scores = np.hstack([1 - scores, scores])
        badness = scores[rows, answers] - scores[rows, truth]
        wrong = np.flatnonzero(answers != truth)
    else:
        badness = np.abs(answers - truth)
        wrong = np.flatnonzero(badness)
    worst = wrong[np.argsort(-badness[wrong], kind="stable")][:_MOST_WRONG_ROWS]
    columns = order[:_MOST_COLUMNS]
    values = trained.test_x.reshape(len(truth), -1)

    def said(each: Any) -> str:
        return labels[each] if labels else f"{each:.5g}"

    return {
        "features": [names[column] for column in columns],
        "count": len(wrong),
        "rows": [
            {
                "number": int(trained.test[row]) + 1,
                "group": "" if trained.test_groups is None else str(trained.test_groups[row]),
                "truth": said(truth[row]),
                "answer": said(answers[row]),
                "values": [f"{values[row, column]:.5g}" for column in columns],
            }
            for row in worst
        ],
    }


def _wrong(
    trained: TrainedPipeline, pipeline: Pipeline, recordings: Recordings
) -> list[dict[str, str]]:
    """Windows, or pictures, of several groups that were answered wrongly, drawn."""
    features, labels = trained.features, trained.report.labels
    misses = np.flatnonzero(trained.answers != features.y[trained.test])
    draw = np.random.default_rng(0)
    chosen = np.sort(draw.permutation(misses)[:_MOST_WRONG])
    shown = []
    for number in chosen:
        row = int(trained.test[number])
        item = recordings.items[int(features.recording[row])]
        truth, answer = labels[features.y[row]], labels[trained.answers[number]]
        shown.append(
            {
                "caption": f"{item.source}, {item.group}: {truth}, taken for {answer}",
                "picture": _text(_drawn(trained, pipeline, recordings, row)),
            }
        )
    return shown


def _drawn(trained: TrainedPipeline, pipeline: Pipeline, recordings: Recordings, row: int) -> bytes:
    """A picture as the camera gives it, or a window over time."""
    features = trained.features
    item = recordings.items[int(features.recording[row])]
    if pipeline.input == "image":
        return draw_picture(as_colours(frame_of(item, pipeline), pipeline.pixels))
    window = pace_of(trained.program).window
    end = int(features.ends[row])
    samples = to_int16(item.data, pipeline.scale)[max(0, end - window) : max(end, 1)]
    if not len(samples):
        samples = to_int16(item.data, pipeline.scale)
    return draw_samples(samples, pipeline.rate, recordings.channels)


def _boards(program: Program) -> list[dict[str, Any]]:
    rows = []
    for board in boards().values():
        if board.heap is None:
            continue  # it has no limits of its own
        checked = check(fastest_for(program, board), board)
        heap, flash = checked.limits[0], checked.limits[1]
        rows.append(
            {
                "description": board.description,
                "heap": heap.need,
                "limit": heap.limit,
                "flash": flash.need,
                "fits": checked.fits,
                "time": "not known" if checked.us is None else f"{checked.us / 1000:.2f} ms",
            }
        )
    return rows


def _operators(program: Program) -> list[dict[str, Any]]:
    time = estimate(program, _BASELINE_ARCH)
    return [
        {
            "name": f"{call.operator.KERNEL}: {describe(call.operator)}",
            "cycles": "not known" if time is None else f"{time.operators[number]:,.0f}",
            "size": len(call.operator.encode()),
        }
        for number, call in enumerate(program.calls)
    ]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
