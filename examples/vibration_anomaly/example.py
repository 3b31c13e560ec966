"""A machine that begins to fail, on MicroPython: distance to what normal looks like.

    python examples/vibration_anomaly/example.py [--on rp2040]

The vibration is made up: see motor.py.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from examples.playing import ROOT, asked_for_target, open_target, play, write_files  # noqa: E402
from examples.vibration_anomaly.motor import FAULTS, RATE, vibration  # noqa: E402

from wingbeat import Program  # noqa: E402
from wingbeat.pipeline import load_pipeline  # noqa: E402
from wingbeat.recordings import Recording, Recordings  # noqa: E402
from wingbeat.stream import Stream  # noqa: E402
from wingbeat.train_pipeline import train_pipeline  # noqa: E402

TRAINING, TESTING = range(0, 18), range(200, 230)
"""Seeds of minutes of a sound machine: to learn, and to count false alarms."""

SEVERITIES, RUNS = (0.1, 0.25, 0.5, 1.0), range(300, 310)


@cache
def detector() -> Program:
    """From samples to normal or anomaly, trained on sound minutes alone."""
    minutes = tuple(
        Recording(vibration(60, seed)[:, np.newaxis], "normal", f"minute {seed}", str(seed))
        for seed in TRAINING
    )
    recordings = Recordings(minutes, ("z",), float(RATE), ("normal",))
    return train_pipeline(recordings, load_pipeline("anomaly"), name="vibration", seed=1).program


@dataclass(frozen=True)
class Found:
    """What the detector finds, by the laptop.

    Attributes
    ----------
    false : int
        Alarms in the minutes of a sound machine.
    minutes : int
    seconds : dict of (str, float) to list of float
        Of each fault and severity, in several runs: seconds until the alarm; infinite where there
        is none.
    """

    false: int
    minutes: int
    seconds: dict[tuple[str, float], list[float]]


def alarms(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Seconds at which an alarm starts."""
    program = detector()
    results = Stream(program).results(samples)
    on = results.decisions != program.labels.index("normal")
    starts = np.flatnonzero(on & ~np.concatenate([[False], on[:-1]]))
    return np.asarray(results.ends[starts] * program.input.shape[0] / RATE)


def failing(fault: str, severity: float, seed: int) -> NDArray[np.int16]:
    """A machine that is sound for 10 s, and then is not."""
    return np.concatenate([vibration(10, seed), vibration(10, seed, fault, severity)])


def find() -> Found:
    """Count false alarms and how soon faults are found, on what nothing was fitted to."""
    false = sum(len(alarms(vibration(60, seed))) for seed in TESTING)
    found = {}
    for case in itertools.product(FAULTS, SEVERITIES):
        starts = [alarms(failing(*case, seed)) - 10 for seed in RUNS]
        found[case] = [float(min(each[each > 0], default=np.inf)) for each in starts]
    return Found(false, len(TESTING), found)


@dataclass(frozen=True)
class Played:
    """What happened to the machine, and what was printed.

    Attributes
    ----------
    happened, board, laptop : list of (float, str)
        Seconds, and what begins.
    """

    happened: list[tuple[float, str]]
    board: list[tuple[float, str]]
    laptop: list[tuple[float, str]]


STORY = (
    (12, None, 0.0),
    (10, "bearing", 0.5),
    (12, None, 0.0),
    (10, "imbalance", 1.0),
    (12, None, 0.0),
)
"""Seconds, fault, severity."""

DRIVER = "motion/board/mpu6050.py"
STANDINS = ("motion/standin/machine.py", "motion/standin/time.py")


def run(target_name: str) -> Played:
    """Play the story."""
    program = detector()
    pieces = [
        vibration(seconds, 400 + number, fault, severity)
        for number, (seconds, fault, severity) in enumerate(STORY)
    ]
    samples = np.concatenate(pieces)
    axes = np.zeros((len(samples), 3), np.int16)
    axes[:, 2] = samples
    with open_target(target_name) as target:
        lines = play(
            target,
            "vibration_anomaly",
            program,
            files={"recording.bin": axes.tobytes()},
            also=(DRIVER, *STANDINS),
        )
    board = [(float(line.split()[0]), line.split()[2]) for line in lines]
    starts = np.cumsum([0, *(seconds for seconds, *_ in STORY)])
    happened = [
        (float(start), f"{fault}, {severity:g}" if fault else "sound")
        for start, (_, fault, severity) in zip(starts, STORY, strict=False)
    ]
    return Played(happened, board, _told(program, samples))


def _told(program: Program, samples: NDArray[np.int16]) -> list[tuple[float, str]]:
    """What main.py prints, by the laptop, at the samples with the results."""
    results = Stream(program).results(samples)
    told, last = [], -1
    for end, state in zip(results.ends, results.decisions, strict=True):
        if state != last:
            told.append((end * program.input.shape[0] / RATE, program.labels[state]))
        last = state
    return told


def main() -> None:
    target_name = asked_for_target("Vibration that is not as always.")
    found = find()
    print(f"trained on {len(TRAINING)} minutes of a sound machine")
    print(f"false alarms in {found.minutes} other minutes: {found.false}")
    print(f"fault       severity  found of {len(RUNS)}  after (median)")
    for (fault, severity), seconds in found.seconds.items():
        known = [each for each in seconds if np.isfinite(each)]
        late = f"{np.median(known):.1f} s" if known else "-"
        print(f"{fault:11} {severity:8.2f}  {len(known):11}  {late:>14}")
    played = run(target_name)
    print(f"main.py on {target_name}:")
    lines = [(at, 0, f"{at:6.2f} s  begins: {what}") for at, what in played.happened]
    lines += [(at, 1, f"{at:6.2f} s    board: {what}") for at, what in played.board]
    print("\n".join(text for *_, text in sorted(lines)))
    same = [what for _, what in played.board] == [what for _, what in played.laptop]
    print(f"board and laptop {'agree' if same else 'DIFFER'}")
    out = write_files("vibration_anomaly", detector(), also=(DRIVER,))
    names = ", ".join(sorted(path.name for path in out.iterdir()))
    print(f"for a Pico, in {out.relative_to(ROOT)}: {names}")


if __name__ == "__main__":
    main()
