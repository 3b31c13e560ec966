"""Pictures for reports."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wingbeat.evaluate import ClassReport
from wingbeat.files import write_atomic
from wingbeat.memory import Block, blocks, live_bytes
from wingbeat.program import Program
from wingbeat.recordings import optional_module
from wingbeat.simulate import Event, Simulation, names_of
from wingbeat.stream import pace_of

_LONGEST_LABEL = 22
_DOTS_PER_INCH = 150
_CELL_INCHES = {4: 0.9, 8: 0.72, 14: 0.58}
_SMALLEST_CELL_INCHES = 0.46
_PIECES = 1500
_MOST_IN_LEGEND = 6
_PICTURE_SIDE = 288
_ARENA_COLOURS = ("#9ecae1", "#fdd0a2", "#a1d99b", "#dadaeb", "#fcc5c0", "#d9d9d9")


def confusion_matrix(report: ClassReport, path: Path | str, title: str) -> None:
    """Draw a confusion matrix as a PNG; the same report and matplotlib give the same bytes.

    Each cell has its share of the true class in percent and, below, its count of rows. Empty cells
    stay blank. The colour (one hue, light to dark) shows the share, so it reads without colour
    vision. Labels longer than 22 characters lose their middle.

    Parameters
    ----------
    report : ClassReport
        With 1 to about 30 classes.
    path : Path or str
        Where the PNG goes. Its folder must exist.
    title : str
        Printed above.

    Raises
    ------
    DataError
        matplotlib is not installed.
    OSError
        The picture cannot be written.
    """
    write_atomic(path, draw_confusion_matrix(report, title))


def draw_confusion_matrix(report: ClassReport, title: str) -> bytes:
    """The bytes of the PNG; see `confusion_matrix`."""
    style = optional_module("matplotlib.style", "drawing a confusion matrix", "matplotlib")
    with style.context("default"):
        return _draw(report, title)


def draw_samples(x: NDArray[np.int16], rate: float, channels: Sequence[str]) -> bytes:
    """Draw a few samples over time, small; the bytes of the PNG.

    Parameters
    ----------
    x : NDArray[int16] [samples, channels]
    rate : float
        Samples a second.
    channels : sequence of str
        Names; with more than one channel there is a legend.

    Raises
    ------
    DataError
        matplotlib is not installed.
    """
    style = optional_module("matplotlib.style", "drawing a window", "matplotlib")
    with style.context("default"):
        return _draw_window(x, rate, channels)


def draw_answers(truth: NDArray[np.float64], answers: NDArray[np.float64]) -> bytes:
    """Draw answers over true values, with the line on which they are equal; the bytes of the PNG.

    Parameters
    ----------
    truth, answers : NDArray[float64] [rows]

    Raises
    ------
    DataError
        matplotlib is not installed.
    """
    style = optional_module("matplotlib.style", "drawing answers", "matplotlib")
    with style.context("default"):
        figure, axes = _small_figure(4.6, 4.6)
        ends = [min(truth.min(), answers.min()), max(truth.max(), answers.max())]
        axes.plot(ends, ends, color="#8c8c8c", linewidth=0.8)
        axes.scatter(truth, answers, s=7, color="#2171b5", alpha=0.5, linewidths=0)
        axes.set_xlabel("true", fontsize=9)
        axes.set_ylabel("answer", fontsize=9)
        axes.set_aspect("equal", adjustable="datalim")
        return _png(figure)


def draw_errors(rows: NDArray[np.int64], errors: NDArray[np.float64]) -> bytes:
    """Draw answer less truth over the numbers of rows that follow each other in time, with a mean.

    The mean is over a twentieth of the rows. Returns the bytes of the PNG.

    Parameters
    ----------
    rows : NDArray[int64] [rows]
    errors : NDArray[float64] [rows]

    Raises
    ------
    DataError
        matplotlib is not installed.
    """
    style = optional_module("matplotlib.style", "drawing errors", "matplotlib")
    with style.context("default"):
        figure, axes = _small_figure(9.0, 2.8)
        axes.axhline(0, color="#8c8c8c", linewidth=0.8)
        axes.scatter(rows, errors, s=5, color="#2171b5", alpha=0.5, linewidths=0)
        span = max(1, len(rows) // 20)
        weights = np.full(span, 1 / span)
        axes.plot(
            np.convolve(rows, weights, "valid"),
            np.convolve(errors, weights, "valid"),
            color="#b00020",
            linewidth=1.2,
            label=f"mean of {span} rows",
        )
        axes.legend(fontsize=8, loc="upper right")
        axes.set_xlabel("row", fontsize=9)
        axes.set_ylabel("answer less truth", fontsize=9)
        return _png(figure)


def draw_picture(colours: NDArray[np.uint8]) -> bytes:
    """A picture [rows, columns, 3], small ones enlarged; the bytes of the PNG.

    Raises
    ------
    DataError
        matplotlib is not installed.
    """
    images: Any = optional_module("matplotlib.image", "drawing a picture", "matplotlib")
    factor = max(1, _PICTURE_SIDE // max(colours.shape[:2]))
    large = np.repeat(np.repeat(colours, factor, axis=0), factor, axis=1)
    picture = io.BytesIO()
    images.imsave(picture, large, format="png", metadata={"Software": None})
    return picture.getvalue()


def arena_over_operators(program: Program, path: Path | str) -> None:
    """Draw who has which part of the arena while each operator runs, as a PNG.

    Each tensor is a box from the operator that writes it to the last one that needs it, at its
    address; where an operator works in place, two boxes meet in its middle. Above are the bytes
    that are alive. The same program and matplotlib give the same bytes.

    Parameters
    ----------
    program : Program
    path : Path or str
        Where the PNG goes. Its folder must exist.

    Raises
    ------
    DataError
        matplotlib is not installed.
    OSError
        The picture cannot be written.
    """
    style = optional_module("matplotlib.style", "drawing the arena", "matplotlib")
    with style.context("default"):
        write_atomic(path, _draw_arena(program))


def results_over_time(
    program: Program,
    x: NDArray[Any],
    played: Simulation,
    found: Sequence[Event] | None,
    truth: Sequence[Event] | None,
    path: Path | str,
) -> None:
    """Draw a recording with what a program made of it, as a PNG.

    Above the signal, from its lowest to its highest in each piece of time; below, one row for each
    class with its results, or the value. Detections are framed, and what really happened is shaded.
    The same results and matplotlib give the same bytes.

    Parameters
    ----------
    program : Program
    x : array [samples, channels]
    played : Simulation
    found : sequence of Event, optional
        Detections; None for a program that gives values.
    truth : sequence of Event, optional
    path : Path or str
        Where the PNG goes. Its folder must exist.

    Raises
    ------
    DataError
        matplotlib is not installed.
    OSError
        The picture cannot be written.
    """
    style = optional_module("matplotlib.style", "drawing results over time", "matplotlib")
    with style.context("default"):
        write_atomic(path, _draw_results(program, x, played, found, truth))


def _draw_window(x: NDArray[np.int16], rate: float, channels: Sequence[str]) -> bytes:
    figure, axes = _small_figure(3.6, 1.7)
    time = np.arange(len(x)) / rate
    for number, name in enumerate(channels):
        axes.plot(time, x[:, number], linewidth=0.7, label=name)
    axes.set_xlabel("s", fontsize=7)
    if len(channels) > 1:
        for text in axes.legend(fontsize=6, loc="upper right").get_texts():
            text.set_parse_math(False)
    return _png(figure)


def _small_figure(width: float, height: float) -> tuple[Any, Any]:
    """A figure in inches, and its axes."""
    figures: Any = optional_module("matplotlib.figure", "drawing", "matplotlib")
    figure = figures.Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.tick_params(labelsize=7)
    return figure, axes


def _png(figure: Any) -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110, metadata={"Software": None})
    return picture.getvalue()


def _draw_results(
    program: Program,
    x: NDArray[Any],
    played: Simulation,
    found: Sequence[Event] | None,
    truth: Sequence[Event] | None,
) -> bytes:
    figures: Any = optional_module("matplotlib.figure", "drawing", "matplotlib")
    canvases: Any = optional_module("matplotlib.backends.backend_agg", "drawing", "matplotlib")
    names = [] if found is None else _rows_of(program, played, found, truth)
    height = 2.6 + (1.8 if found is None else 0.5 + 0.32 * len(names))
    figure = figures.Figure(figsize=(11, height), dpi=_DOTS_PER_INCH, layout="constrained")
    canvases.FigureCanvasAgg(figure)
    above, axes = figure.subplots(2, 1, sharex=True, height_ratios=(2, height - 2.2))
    for channel in range(x.shape[1]):
        times, low, high = _envelope(x[:, channel], played.rate)
        above.fill_between(times, low, high, linewidth=0.4, alpha=0.8, label=f"{channel + 1}")
    if 1 < x.shape[1] <= _MOST_IN_LEGEND:
        above.legend(loc="upper right", fontsize=7, ncols=x.shape[1], title_fontsize=7)
    above.set_ylabel("signal")
    above.set_title(
        f"{program.name}: {len(played.times)} results in {played.duration:.4g} s",
        loc="left",
        fontsize=11,
        parse_math=False,
    )
    if found is None:
        axes.step(played.times, played.decisions, where="post", color="#2171b5", linewidth=1)
        axes.set_ylabel("value, steps")
    else:
        _draw_classes(axes, program, played, found, truth, names)
    axes.set_xlim(0, max(played.duration, 1e-9))
    legend = "" if found is None else ", framed: detections" + ", shaded: events" * bool(truth)
    axes.set_xlabel(f"seconds{legend}")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return picture.getvalue()


def _rows_of(
    program: Program,
    played: Simulation,
    found: Sequence[Event],
    truth: Sequence[Event] | None,
) -> list[str]:
    """Classes that are drawn, from the bottom up."""
    there = {*names_of(program, np.unique(played.decisions))}
    there |= {event.label for event in (*found, *(truth or ()))}
    ordered = dict.fromkeys([*program.labels, *sorted(there)])
    return [name for name in ordered if name in there][::-1]


def _draw_classes(
    axes: Any,
    program: Program,
    played: Simulation,
    found: Sequence[Event],
    truth: Sequence[Event] | None,
    names: list[str],
) -> None:
    hop = float(pace_of(program).hop) / played.rate
    rows = {name: row for row, name in enumerate(names)}
    for event in truth or ():
        axes.broken_barh(
            [(event.start, max(event.end - event.start, hop))],
            (rows[event.label] - 0.48, 0.96),
            color="#fdd0a2",
        )
    decided = names_of(program, played.decisions)
    for name in names:
        times = played.times[[each == name for each in decided]]
        spans = [(time - hop, hop) for time in times.tolist()]
        axes.broken_barh(spans, (rows[name] - 0.22, 0.44), color="#6baed6")
    for event in found:
        axes.broken_barh(
            [(event.start - hop, event.end - event.start + hop)],
            (rows[event.label] - 0.3, 0.6),
            facecolor="none",
            edgecolor="#08306b",
            linewidth=0.8,
        )
    axes.set_yticks(range(len(names)), [_short(name) for name in names], fontsize=9)
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    axes.set_ylim(-0.6, len(names) - 0.4)


def _envelope(
    signal: NDArray[Any], rate: float
) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[Any]]:
    """Times in the middle of pieces, and the lowest and highest sample of each."""
    if len(signal) == 0:
        return np.zeros(0), signal, signal
    starts = np.unique(np.linspace(0, len(signal), _PIECES, endpoint=False).astype(int))
    low, high = np.minimum.reduceat(signal, starts), np.maximum.reduceat(signal, starts)
    ends = np.append(starts[1:], len(signal))
    return (starts + ends) / 2 / rate, low, high


def _draw_arena(program: Program) -> bytes:
    figures: Any = optional_module("matplotlib.figure", "drawing", "matplotlib")
    canvases: Any = optional_module("matplotlib.backends.backend_agg", "drawing", "matplotlib")
    patches: Any = optional_module("matplotlib.patches", "drawing", "matplotlib")
    count, live = len(program.calls), live_bytes(program)
    figure = figures.Figure(
        figsize=(max(6.0, 1.6 + 0.55 * count), 6.0), dpi=_DOTS_PER_INCH, layout="constrained"
    )
    canvases.FigureCanvasAgg(figure)
    above, axes = figure.subplots(2, 1, sharex=True, height_ratios=(1, 3))
    above.bar(range(count), live, width=1, color="#c6dbef", edgecolor="#404040", linewidth=0.8)
    above.axhline(program.arena, color="#b00020", linestyle="--", linewidth=1)
    above.set_ylim(0, 1.15 * program.arena)
    above.set_ylabel("bytes alive")
    above.set_title(
        f"{program.name}: arena of {program.arena} bytes, at most {max(live)} alive",
        loc="left",
        fontsize=11,
        parse_math=False,
    )
    for block, (left, right) in _extents(program):
        axes.add_patch(
            patches.Rectangle(
                (left, block.place),
                right - left,
                block.size,
                facecolor=_ARENA_COLOURS[block.tensor % len(_ARENA_COLOURS)],
                edgecolor="#404040",
                linewidth=0.8,
            )
        )
        if block.size >= 0.04 * program.arena:
            middle = ((left + right) / 2, block.place + block.size / 2)
            axes.annotate(str(block.size), middle, ha="center", va="center", fontsize=8)
    names = [f"{number + 1} {call.operator.KERNEL}" for number, call in enumerate(program.calls)]
    axes.set_xticks(range(count), names, rotation=90, fontsize=8)
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_ylim(0, program.arena)
    axes.set_ylabel("address of the tensors, bytes")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return picture.getvalue()


def _extents(program: Program) -> list[tuple[Block, tuple[float, float]]]:
    """Every tensor with its left and right end; where one is written on another they meet."""
    found = []
    everything = blocks(program)
    for block in everything:
        left, right = block.first - 0.5, min(block.last, len(program.calls) - 1) + 0.5
        for other in everything:
            if other.place == block.place and other is not block:
                left += 0.5 * (other.last == block.first)
                right -= 0.5 * (other.first == block.last)
        found.append((block, (left, right)))
    return found


def _draw(report: ClassReport, title: str) -> bytes:
    figures: Any = optional_module("matplotlib.figure", "drawing", "matplotlib")
    canvases: Any = optional_module("matplotlib.backends.backend_agg", "drawing", "matplotlib")
    count = len(report.labels)
    cell = next(
        (inches for most, inches in _CELL_INCHES.items() if count <= most), _SMALLEST_CELL_INCHES
    )
    names = [_short(name) for name in report.labels]
    longest = max(len(name) for name in names)
    upright = longest * 0.085 > cell
    side = cell * count
    left, right = 0.75 + 0.085 * max(longest, 4), 0.85
    below = 0.6 + (0.085 * longest if upright else 0.1)
    width = max(left + side + right, 4.4)
    wrapped = textwrap.wrap(title, int((width - 0.4) / 0.118)) or [""]
    above = 0.78 + 0.22 * len(wrapped)
    height = below + side + above

    figure = figures.Figure(figsize=(width, height), dpi=_DOTS_PER_INCH)
    canvases.FigureCanvasAgg(figure)
    axes = figure.add_axes((left / width, below / height, side / width, side / height))
    totals = report.confusion.sum(axis=1, keepdims=True)
    percent = 100 * report.confusion / np.maximum(totals, 1)
    shade = (percent / 100) ** 0.7
    axes.imshow(shade, cmap="Blues", vmin=0, vmax=1.15, aspect="auto")

    for (row, column), rows in np.ndenumerate(report.confusion):
        if not rows:
            continue
        colour = "white" if shade[row, column] > 0.68 else "#1a1a1a"
        bold = "bold" if row == column else "normal"
        axes.text(
            column,
            row - 0.12,
            _percent_text(float(percent[row, column])),
            ha="center",
            va="center",
            color=colour,
            fontsize=4 + cell * 11,
            weight=bold,
        )
        axes.text(
            column,
            row + 0.22,
            str(rows),
            ha="center",
            va="center",
            color=colour,
            fontsize=(3.2 + cell * 8) * min(1, 5 / len(str(rows))),
        )
    ticks = np.arange(count)
    axes.set_xticks(ticks, names, rotation=90 if upright else 0, fontsize=10)
    axes.set_yticks(ticks, names, fontsize=10)
    for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        text.set_parse_math(False)
    axes.set_xticks(ticks[1:] - 0.5, minor=True)
    axes.set_yticks(ticks[1:] - 0.5, minor=True)
    axes.grid(which="minor", color="#d9d9d9", linewidth=0.6)
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set_color("#8c8c8c")
    axes.set_xlabel("predicted", fontsize=11)
    axes.set_ylabel("true", fontsize=11)
    for row in range(count):
        axes.text(
            count - 0.5 + 0.12 / cell,
            row,
            f"of {int(totals[row, 0])}",
            ha="left",
            va="center",
            fontsize=9,
            color="#595959",
        )
    low, high = report.interval
    figure.text(
        0.2 / width,
        1 - 0.18 / height,
        "\n".join(wrapped),
        ha="left",
        va="top",
        fontsize=13,
        weight="bold",
        parse_math=False,
    )
    figure.text(
        0.2 / width,
        1 - (0.3 + 0.22 * len(wrapped)) / height,
        f"accuracy {100 * report.accuracy:.1f} % of {report.n} "
        f"(95 %: {100 * low:.1f} to {100 * high:.1f})\n"
        "cells: percent of the true class, and rows",
        ha="left",
        va="top",
        fontsize=9.5,
        color="#404040",
    )
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return picture.getvalue()


def _percent_text(percent: float) -> str:
    if percent < 0.5:
        return "<1"
    return "99" if 99 <= percent < 100 else f"{percent:.0f}"


def _short(name: str) -> str:
    name = " ".join(name.split())
    if len(name) <= _LONGEST_LABEL:
        return name
    end = _LONGEST_LABEL // 2 - 1
    return name[: _LONGEST_LABEL - end - 1] + "\u2026" + name[-end:]
