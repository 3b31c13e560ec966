"""`wingbeat simulate`: a long recording through a streaming program, and what it detects."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from wingbeat.assemble import Module
from wingbeat.boards import boards
from wingbeat.cli.files import as_samples, load_file
from wingbeat.cli.options import Json, complete_target, output_file, split_list
from wingbeat.cli.output import Progress, emit, facts, say
from wingbeat.errors import DataError, UsageError
from wingbeat.program import Program
from wingbeat.recordings import Signal, load_signal, to_int16
from wingbeat.runner import Pushed
from wingbeat.simulate import (
    Event,
    Score,
    Simulation,
    background_of,
    check_rate,
    decides_classes,
    detections,
    drawn,
    names_of,
    same_results,
    score,
    truth_of,
)
from wingbeat.simulate import simulate as play
from wingbeat.stream import pace_of
from wingbeat.targets import TARGETS, open_target

_DRAWN = 60  # characters of a line that shows the results
_SHOWN = 20  # detections in the table
_CLOCK_OF = {"rp2040": "pico"}
"""Board whose clock makes seconds of a target's cycles."""


def simulate(
    file: Annotated[
        Path, typer.Argument(metavar="NAME.wbp", help="A program (or module) that takes a stream.")
    ],
    recording: Annotated[
        Path, typer.Argument(metavar="RECORDING", help=".wav, .npy, .npz, .csv or .parquet.")
    ],
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            help=f"Play it there too, and compare: {', '.join(TARGETS)}.",
            autocompletion=complete_target,
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="A picture of the results over time.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Samples per second, where no file says it.")
    ] = None,
    channels: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Columns that are channels, in order.")
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(help="Real units of a step of int16, for recordings with fractions."),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Classes that are no detections. By default those named background, silence,"
            " noise, unknown, other, none, nothing, normal, rest, idle, no.",
        ),
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="What really happened: columns start, end (seconds) and label. By default the"
            " recording's own column of labels, if it has one.",
        ),
    ] = None,
    label: Annotated[str, typer.Option(help="The recording's column of labels.")] = "label",
    as_json: Json = False,
) -> None:
    """Play a long recording through a program that takes a stream: what it detects, and when."""
    if plot is not None:
        output_file(plot, (".png",))
    loaded = load_file(file)
    program = loaded.program if isinstance(loaded, Module) else loaded
    pace = pace_of(program)
    quiet = background_of(program, split_list(background, "--background"))
    signal = load_signal(recording, label=label, channels=split_list(channels, "--channels"))
    per_second = check_rate(program, signal.rate, rate)
    x = _samples(signal, program, scale, recording)
    with Progress("Playing the recording", len(x)) as progress:
        played = play(program, x, per_second, progress.done)
    pushed = None if on is None else _push(loaded, on, x, file)
    found = detections(program, played, quiet) if decides_classes(program) else None
    truth = _truth(events, signal, program, per_second, quiet) if found is not None else None
    compared = None
    if truth is not None and found is not None:
        compared = score(found, truth, pace.window / per_second)
    document: dict[str, Any] = {
        "file": str(file),
        "hash": program.hash,
        "recording": str(recording),
        "rate": per_second,
        "samples": len(x),
        "seconds": played.duration,
        "window_seconds": pace.window / per_second,
        "hop_seconds": float(pace.hop) / per_second,
        "target": on,
        **_results(program, played, found),
        "score": None if compared is None else _score(compared, played),
    }
    if pushed is not None and on is not None:
        document |= _compared(program, played, pushed, on)
    shown = _shown(document, program, played, found, truth)
    if plot is not None:
        from wingbeat.plots import results_over_time

        results_over_time(program, x, played, found, truth, plot)
        document["plot"] = str(plot)
    emit(as_json, document, *shown)
    if pushed is not None and not document["identical"]:
        say(
            f"wingbeat: error: {on} gives other results than the NumPy reference: please report"
            f" it with {file} and {recording}"
        )
        raise typer.Exit(1)


# ---- The recording


def _samples(signal: Signal, program: Program, scale: float | None, source: Path) -> NDArray[Any]:
    data = signal.data
    if data.dtype.kind == "f" and program.input.dtype == np.int16:
        trained = program.meta.get("training")
        known = trained.get("scale") if isinstance(trained, dict) else None
        steps = scale if scale is not None else known
        if steps is None and np.any(data != np.rint(data)):
            raise DataError(
                f"{source} has fractions, and the program does not say what a step of int16 is:"
                " give --scale, real units per step"
            )
        data = to_int16(data, 1.0 if steps is None else steps)
    elif scale is not None:
        raise UsageError(f"--scale is for recordings with fractions: {source} is {data.dtype}")
    if data.shape[1] != program.channels:
        raise DataError(
            f"{source} has {data.shape[1]} channels ({', '.join(signal.channels)}), the program"
            f" takes {program.channels}: choose with --channels"
        )
    return as_samples(data, program, str(source))


def _truth(
    path: Path | None,
    signal: Signal,
    program: Program,
    rate: float,
    background: frozenset[str],
) -> tuple[Event, ...] | None:
    if path is None:
        if signal.labels is None or not set(signal.labels.tolist()) <= set(program.labels):
            return None
        return truth_of(signal.labels.tolist(), rate, background)
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
        found = [Event(float(r["start"]), float(r["end"]), r["label"].strip()) for r in rows]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: expected a header and rows of start, end (seconds) and label: {error}"
        ) from error
    known = set(program.labels) | set(names_of(program, np.arange(2)))
    for event in found:
        if event.label not in known:
            raise DataError(f"{path}: {event.label!r} is no class of the program")
        if not (math.isfinite(event.start) and event.start <= event.end):
            raise DataError(f"{path}: an event from {event.start:g} to {event.end:g} seconds")
    return tuple(event for event in found if event.label not in background)


# ---- The target


def _push(loaded: Module | Program, on: str, x: NDArray[Any], file: Path) -> Pushed:
    from wingbeat.runner import push_module

    with open_target(on) as target:
        module = loaded if isinstance(loaded, Module) else loaded.assemble(target.arch)
        if module.arch != target.arch:
            raise UsageError(
                f"{file} is for {module.arch}, but {on} runs {target.arch}: give the .wbp that it"
                " was made from"
            )
        with Progress(f"Playing it on {on}", len(x)) as progress:
            return push_module(target, module, x, progress=progress.done)


def _compared(program: Program, played: Simulation, pushed: Pushed, on: str) -> dict[str, Any]:
    same = same_results(program, pushed, played)
    whole = len(pushed.blocks) == len(played.times) == same
    document: dict[str, Any] = {
        "identical": whole,
        "identical_results": same,
        "heap_import": pushed.heap_import,
        "heap_model": pushed.heap_model,
    }
    if pushed.ticks is None or len(pushed.ticks) == 0 or pushed.unit is None:
        return document
    block = pace_of(program).samples / played.rate
    mean, most = float(pushed.ticks.mean()), int(pushed.ticks.max())
    document |= {
        f"{pushed.unit}_per_second": mean / block,
        f"{pushed.unit}_of_longest_block": most,
        "block_seconds": block,
    }
    if pushed.unit == "cycles" and on in _CLOCK_OF:
        clock = boards()[_CLOCK_OF[on]].clock
        document |= {
            "clock": clock,
            "load": mean / block / clock,
            "longest_block_seconds": most / clock,
        }
    return document


# ---- What is shown


def _results(program: Program, played: Simulation, found: Sequence[Event] | None) -> dict[str, Any]:
    hours = played.duration / 3600
    document: dict[str, Any] = {
        "results": [
            {"time": time, "decision": decision}
            for time, decision in zip(played.times.tolist(), played.decisions.tolist(), strict=True)
        ],
        "detections": None,
        "detections_per_hour": None,
    }
    if found is not None:
        counts = Counter(event.label for event in found)
        document["detections"] = [
            {"start": event.start, "end": event.end, "label": event.label} for event in found
        ]
        document["detections_per_hour"] = {
            label: count / hours for label, count in sorted(counts.items())
        }
    return document


def _score(compared: Score, played: Simulation) -> dict[str, Any]:
    latencies = compared.latencies
    return {
        "events": compared.events,
        "hits": compared.hits,
        "missed": compared.missed,
        "false": compared.false,
        "false_per_hour": compared.false * 3600 / played.duration if played.duration else 0.0,
        "repeated": compared.repeated,
        "latency_median": float(np.median(latencies)) if latencies else None,
        "latency_max": max(latencies, default=None),
    }


def _shown(
    document: dict[str, Any],
    program: Program,
    played: Simulation,
    found: Sequence[Event] | None,
    truth: Sequence[Event] | None,
) -> list[RenderableType]:
    rows: dict[str, object] = {
        "recording": f"{_time(played.duration)}, {document['samples']} samples at"
        f" {played.rate:g} a second",
        "results": f"{len(played.times)}, one every {document['hop_seconds']:.3g} s, the first"
        f" after {document['window_seconds']:.3g} s",
    }
    if found is not None:
        per_hour = document["detections_per_hour"]
        rows["detections"] = f"{len(found)}" + "".join(
            f"{';' if number else ':'} {label} {_number(value)} an hour"
            for number, (label, value) in enumerate(per_hour.items())
        )
    rows |= _score_in_words(document["score"])
    rows |= _target_in_words(document)
    shown: list[RenderableType] = [facts(rows)]
    lines = drawn(program, played, _DRAWN)
    if lines:
        table = Table("", f"0 s to {_time(played.duration)}", box=None)
        for name, line in lines:
            table.add_row(Text(name), Text(line, no_wrap=True))
        if found is not None:
            table.caption = "results: # all of this class, + half or more, . some"
            table.caption_justify = "left"
        shown.append(table)
    if found:
        shown.append(_events(found, truth))
    return shown


def _events(found: Sequence[Event], truth: Sequence[Event] | None) -> Table:
    table = Table("from", "to", "detected", box=None)
    for event in found[:_SHOWN]:
        table.add_row(_time(event.start), _time(event.end), Text(event.label))
    if len(found) > _SHOWN:
        table.caption = f"and {len(found) - _SHOWN} more (see --json)"
        table.caption_justify = "left"
    return table


def _score_in_words(document: dict[str, Any] | None) -> dict[str, object]:
    if document is None:
        return {}
    rows: dict[str, object] = {
        "events": f"{document['events']}: {document['hits']} found, {document['missed']} missed",
        "false": f"{document['false']}, {_number(document['false_per_hour'])} an hour",
    }
    if document["latency_median"] is not None:
        rows["latency"] = (
            f"{document['latency_median']:.3g} s from an event's start to its detection (median),"
            f" at most {document['latency_max']:.3g} s"
        )
    return rows


def _target_in_words(document: dict[str, Any]) -> dict[str, object]:
    if document["target"] is None:
        return {}
    same, count = document["identical_results"], len(document["results"])
    rows: dict[str, object] = {
        f"on {document['target']}": f"identical: {same}/{count}",
        "heap": f"{document['heap_import']} bytes by import, {document['heap_model']} by Model()",
    }
    for unit in ("cycles", "instructions"):
        if f"{unit}_per_second" in document:
            rows["time"] = (
                f"{document[f'{unit}_per_second']:.0f} {unit} for a second of the recording,"
                f" {document[f'{unit}_of_longest_block']} for the longest block of"
                f" {document['block_seconds']:.3g} s (emulated)"
            )
    if "load" in document:
        longest, block = document["longest_block_seconds"], document["block_seconds"]
        rows["load"] = (
            f"{100 * document['load']:.2g} % of a core at {document['clock'] / 1e6:.0f} MHz; the"
            f" longest block takes {_span(longest)} of {_span(block)}"
        )
    return rows


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _span(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f} min {rest:04.1f} s"
