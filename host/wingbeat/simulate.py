"""A long recording played through a streaming program: what it detects, when, and how often.

`simulate` plays it, in NumPy or on a target. `detections` makes stretches of time of the results;
`score` compares them with what really happened.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError, UsageError
from .program import Decision, Program
from .reference.detector import Detector
from .reference.scores import score_range
from .reference.vote import Vote
from .runner import Pushed
from .stream import Stream, pace_of

REJECT = "reject"
BACKGROUND = frozenset(
    f"background silence noise unknown other none nothing normal rest idle no {REJECT}".split()
)
"""Labels, in small letters, of classes that are no detections unless others are named."""

_ELEMENTS_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class Event:
    """A stretch of time.

    Attributes
    ----------
    start, end : float
        Seconds from the start of the recording. Of a detection: when its first and its last result
        was there.
    label : str
    """

    start: float
    end: float
    label: str


@dataclass(frozen=True, eq=False)
class Simulation:
    """What a program made of a recording.

    Attributes
    ----------
    rate : float
        Samples per second.
    duration : float
        Seconds of the recording.
    times : NDArray[float64] [results]
        Seconds at which each result was there: at the end of the last sample that it needs.
    decisions : NDArray[int64] [results]
        What `push` returned; all 1 if the program makes no decision.
    outputs : array [results, *output.shape]
        Raw.
    """

    rate: float
    duration: float
    times: NDArray[np.float64]
    decisions: NDArray[np.int64]
    outputs: NDArray[Any]


def simulate(
    program: Program,
    x: NDArray[Any],
    rate: float,
    progress: Callable[[int], None] | None = None,
) -> Simulation:
    """Play a recording through the NumPy reference.

    Parameters
    ----------
    program : Program
        That takes a stream.
    x : array [samples, channels]
        Of the input's dtype.
    rate : float
        Samples per second.
    progress : callable, optional
        Is told the number of samples done.

    Raises
    ------
    UsageError
        The program takes no stream, or samples of another dtype or number of channels.
    """
    stream, pace = Stream(program), pace_of(program)
    step = max(1, _ELEMENTS_AT_ONCE // program.input.n_elements) * pace.samples
    parts = []
    for start in range(0, max(1, len(x)), step):
        part = stream.results(x[start : start + step])
        parts.append((part.ends + start // pace.samples, part.outputs, part.decisions))
        if progress is not None:
            progress(min(start + step, len(x)))
    ends, outputs, decisions = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Simulation(rate, len(x) / rate, ends * pace.samples / rate, decisions, outputs)


def same_results(program: Program, pushed: Pushed, expected: Simulation) -> int:
    """How many results of a target, pushed in blocks of one input, are those of the reference."""
    times = (pushed.blocks + 1) * pace_of(program).samples / expected.rate
    count = min(len(times), len(expected.times))
    same = times[:count] == expected.times[:count]
    same &= pushed.decisions[:count] == expected.decisions[:count]
    outputs = (each[:count].reshape(count, -1) for each in (pushed.outputs, expected.outputs))
    found, wanted = outputs
    return int(np.count_nonzero(same & (found == wanted).all(axis=1)))


# ---- What results mean


def names_of(program: Program, decisions: NDArray[np.int64]) -> list[str]:
    """A name for each decision: the class's label, or its number if the program has no labels.

    A number that is none of a class is ``reject``.
    """
    labels = program.labels
    if not labels:
        return [str(each) for each in decisions.tolist()]
    return [labels[each] if 0 <= each < len(labels) else REJECT for each in decisions.tolist()]


def background_of(program: Program, asked: Collection[str] | None = None) -> frozenset[str]:
    """Names of decisions that are no detections.

    Parameters
    ----------
    asked : collection of str, optional
        Labels. Without it, those in `BACKGROUND`, and those that its detector never starts; 0
        where the program decides between two.

    Raises
    ------
    UsageError
        The program has no such label.
    """
    zero = names_of(program, np.zeros(1, np.int64))
    silent = {REJECT}
    for call in program.calls:
        operator = call.operator
        numbers: tuple[int, ...] = ()
        if isinstance(operator, Detector):
            numbers = (operator.rejected, *operator.ignored)
        elif isinstance(operator, Vote) and operator.least > score_range(operator.typecode)[0]:
            numbers = (operator.rejected,)
        if program.labels:
            silent.update(names_of(program, np.array(numbers, np.int64)))
    if asked is not None:
        for label in asked:
            if label not in (*program.labels, *zero):
                raise UsageError(
                    f"no class {label!r}: the program knows {', '.join(program.labels)}"
                )
        return frozenset((*asked, *silent))
    if program.decision is Decision.POSITIVE:
        return frozenset((*zero, *silent))
    return frozenset(
        (*silent, *(label for label in program.labels if label.casefold() in BACKGROUND))
    )


def decides_classes(program: Program) -> bool:
    """The program's decisions are numbers of classes, not values."""
    return program.decision in (Decision.ARGMAX, Decision.POSITIVE) or bool(program.labels)


def detections(
    program: Program, played: Simulation, background: Collection[str] = ()
) -> tuple[Event, ...]:
    """Results in a row that name the same class, unless it is one of the background.

    Raises
    ------
    UsageError
        The program makes no decision between classes.
    """
    if not decides_classes(program):
        raise UsageError("this program gives values, not classes: it detects nothing")
    named = zip(names_of(program, played.decisions), played.times.tolist(), strict=True)
    found = []
    for label, group in groupby(named, key=lambda each: each[0]):
        times = [time for _, time in group]
        if label not in background:
            found.append(Event(times[0], times[-1], label))
    return tuple(found)


@dataclass(frozen=True)
class Score:
    """Detections against what really happened.

    Attributes
    ----------
    events : int
    hits : int
        Events with a detection of their class that starts from their start to `tolerance` seconds
        after their end.
    missed : int
    false : int
        Detections that belong to no event.
    repeated : int
        Further detections in an event that has been hit.
    latencies : tuple of float
        Seconds from the start of each event that was hit to its first detection.
    """

    events: int
    hits: int
    missed: int
    false: int
    repeated: int
    latencies: tuple[float, ...]


def score(found: Sequence[Event], truth: Sequence[Event], tolerance: float) -> Score:
    """Compare detections with events.

    Parameters
    ----------
    tolerance : float
        Seconds after an event's end in which its detection may still start: a window reaches back.
    """
    latencies: dict[int, float] = {}
    false = repeated = 0
    for each in found:
        fitting = [
            number
            for number, event in enumerate(truth)
            if event.label == each.label and event.start <= each.start <= event.end + tolerance
        ]
        fresh = [number for number in fitting if number not in latencies]
        if fresh:
            latencies[fresh[0]] = each.start - truth[fresh[0]].start
        elif fitting:
            repeated += 1
        else:
            false += 1
    hits = len(latencies)
    in_order = tuple(latencies[number] for number in sorted(latencies))
    return Score(len(truth), hits, len(truth) - hits, false, repeated, in_order)


def in_events(counts: Score, seconds: float) -> str:
    """A score in words, for so many seconds of recordings."""
    latency = ""
    if counts.latencies:
        latency = f", {float(np.median(counts.latencies)):.3g} s after their start (median)"
    return (
        f"{counts.hits} of {counts.events} recordings found{latency}; {counts.false} false and"
        f" {counts.repeated} repeated in {seconds / 60:.3g} min"
    )


def truth_of(labels: Sequence[str], rate: float, background: Collection[str]) -> tuple[Event, ...]:
    """Events from a label for each sample."""
    found, at = [], 0
    for label, group in groupby(labels):
        count = sum(1 for _ in group)
        if label not in background:
            found.append(Event(at / rate, (at + count) / rate, label))
        at += count
    return tuple(found)


# ---- A picture in characters


def drawn(program: Program, played: Simulation, width: int) -> list[tuple[str, str]]:
    """The results over time: a name and a line of `width` characters for each class, or the value.

    A class's character says how many of the results in that part of the time name it: none " ",
    some ".", half or more "+", all "#". A value is drawn in eight heights; " " where there is no
    result.
    """
    if len(played.times) == 0:
        return []
    columns = np.minimum(
        (played.times / max(played.duration, played.times[-1]) * width).astype(int), width - 1
    )
    counts = np.bincount(columns, minlength=width)
    names = names_of(program, played.decisions)
    if not decides_classes(program):
        return [("value", _heights(played.decisions, columns, counts))]
    lines = []
    for name in dict.fromkeys([*program.labels, *names]):
        hits = np.bincount(columns, [each == name for each in names], width)
        if hits.any():
            shares = hits / np.maximum(counts, 1)
            lines.append((name, "".join(map(_mark, shares.tolist()))))
    return lines


def _mark(share: float) -> str:
    if share == 0:
        return " "
    return "#" if share == 1 else "+" if share >= 0.5 else "."


def _heights(values: NDArray[np.int64], columns: NDArray[Any], counts: NDArray[Any]) -> str:
    means = np.bincount(columns, values, len(counts)) / np.maximum(counts, 1)
    used = means[counts > 0]
    span = max(float(np.ptp(used)), 1e-9)
    steps = np.clip((means - used.min()) / span * 7.999, 0, 7).astype(int)
    return "".join(
        "▁▂▃▄▅▆▇█"[step] if count else " " for step, count in zip(steps, counts, strict=True)
    )


def check_rate(program: Program, found: float | None, asked: float | None) -> float:
    """Samples per second of a recording for a program.

    Parameters
    ----------
    found : float, optional
        What the recording says.
    asked : float, optional
        What the user says, where the recording does not.

    Raises
    ------
    DataError
        They differ, or nobody knows.
    """
    known = {
        "the recording": found,
        "--rate": asked,
        "the program": program.rate,
    }
    rates = {name: rate for name, rate in known.items() if rate is not None}
    if not rates:
        raise DataError(
            "expected to know the samples per second: neither the recording nor the program says;"
            " give --rate"
        )
    (first, rate), *others = rates.items()
    for name, other in others:
        if abs(other / rate - 1) > 1e-6:
            raise DataError(
                f"{first} has {rate:g} samples per second, {name} {other:g}: resample the"
                " recording (scipy.signal.resample_poly), or take one with that rate"
            )
    return rate
