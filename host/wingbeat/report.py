"""A page about a trained pipeline: how well it does, for whom it fails, what it costs.

One HTML file with all that it shows in it; it opens without a network.
"""

from __future__ import annotations

import base64
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .boards import boards
from .check import check, fastest_for
from .costs import estimate
from .describe import describe
from .evaluate import ClassReport
from .files import write_atomic
from .pictures import as_colours
from .pipeline import Pipeline
from .pipeline_features import fitted, frame_of
from .plots import draw_confusion_matrix, draw_picture, draw_samples
from .recordings import Recordings, optional_module, to_int16
from .simulate import in_events
from .stream import pace_of
from .train_pipeline import TrainedPipeline

_MOST_WRONG = 9
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
    """Write the page.

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
    jinja2 = optional_module("jinja2", "writing a report", "jinja2")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    text = (files("wingbeat") / "templates" / "report.html").read_text(encoding="utf-8")
    page = environment.from_string(text).render(
        **_contents(trained, pipeline, recordings), command=command
    )
    write_atomic(path, page.encode())


def _contents(
    trained: TrainedPipeline, pipeline: Pipeline, recordings: Recordings
) -> dict[str, Any]:
    program, report = trained.program, trained.report
    pipeline = fitted(pipeline, recordings)
    is_image = pipeline.input == "image"
    facts = program.meta["training"]
    title = f"{program.name} on held-out data"
    return {
        "name": program.name,
        "summary": _summary(trained, pipeline),
        "thing": "picture" if is_image else "window",
        "report": report,
        "groups": f"{len(report.groups)} groups" if report.groups else "recordings",
        "loss": trained.quantization_loss,
        "detections": None
        if trained.detections is None
        else in_events(trained.detections, trained.heard),
        "after": _after(pipeline),
        "classes": _classes(report),
        "group_rows": _groups(trained, report),
        "confusion": _text(draw_confusion_matrix(report, title)),
        "importance": [] if is_image else _importance(trained),
        "wrong": _wrong(trained, pipeline, recordings),
        "boards": _boards(trained),
        "operators": _operators(trained),
        "facts": [
            ("hash", program.hash),
            ("seed", facts["seed"]),
            ("trained on", f"{facts['train_rows']} {'pictures' if is_image else 'windows'}"),
            ("held out", ", ".join(facts["groups_held_out"])),
            *facts["versions"].items(),
        ],
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


def _groups(trained: TrainedPipeline, report: ClassReport) -> list[dict[str, Any]]:
    """The groups from the worst to the best, each with the class that it fails at most."""
    owners, truth = trained.features.groups[trained.test], trained.features.y[trained.test]
    rows = []
    for number in np.argsort(report.group_accuracy, kind="stable"):
        name = report.groups[number]
        mine = owners == name
        missed = np.bincount(truth[mine & (trained.answers != truth)], minlength=len(report.labels))
        worst = int(missed.argmax())
        total = int(np.count_nonzero(mine & (truth == worst)))
        rows.append(
            {
                "name": name,
                "accuracy": float(report.group_accuracy[number]),
                "support": int(report.group_support[number]),
                "worst": f"{report.labels[worst]}: {missed[worst]} of {total} missed"
                if missed[worst]
                else "none",
            }
        )
    return rows


def _importance(trained: TrainedPipeline) -> list[dict[str, Any]]:
    """Accuracy lost when a feature, at all times of a window, is shuffled among test windows."""
    features, model = trained.features, trained.model
    draw = np.random.default_rng(0)
    rows = trained.test
    if len(rows) > _ROWS_FOR_IMPORTANCE:
        rows = np.sort(draw.choice(rows, _ROWS_FOR_IMPORTANCE, replace=False))
    width = features.shape.width
    x = features.x[rows].reshape(len(rows), -1, width)
    truth = features.y[rows]

    def accuracy(values: NDArray[np.int16]) -> float:
        return float((model.predict(values.reshape(-1, *model.input.shape)) == truth).mean())

    base = accuracy(x)
    step = -(-width // (4 * _MOST_FEATURES))
    found = []
    for start in range(0, width, step):
        shuffled = x.copy()
        shuffled[:, :, start : start + step] = x[draw.permutation(len(x)), :, start : start + step]
        found.append((base - accuracy(shuffled), start, min(start + step, width)))
    found.sort(reverse=True)
    largest = max(found[0][0], 1e-9)
    names = features.shape.names
    return [
        {
            "name": names[start] if end == start + 1 else f"{names[start]} to {names[end - 1]}",
            "loss": loss,
            "width": round(100 * max(loss, 0.0) / largest, 1),
        }
        for loss, start, end in found[:_MOST_FEATURES]
        if loss > 0
    ]


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


def _boards(trained: TrainedPipeline) -> list[dict[str, Any]]:
    rows = []
    for board in boards().values():
        if board.heap is None:
            continue  # it has no limits of its own
        checked = check(fastest_for(trained.program, board), board)
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


def _operators(trained: TrainedPipeline) -> list[dict[str, Any]]:
    program = trained.program
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
