"""Exercises of somebody whom the model has never seen, on MicroPython.

python examples/motion/example.py [--on rp2040]
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from examples.exercises.demo import SCALE  # noqa: E402
from examples.playing import ROOT, asked_for_target, open_target, play, write_files  # noqa: E402
from models.exercises_stream.recipe import RECIPE, TESTED, person_tested  # noqa: E402

from wingbeat import Program  # noqa: E402
from wingbeat.recordings import to_int16  # noqa: E402
from wingbeat.stream import Stream  # noqa: E402

RATE = 50


@dataclass(frozen=True)
class Played:
    """What was done, and what was printed.

    Attributes
    ----------
    done : list of (float, str)
        Seconds at which each exercise began.
    board, laptop : list of (float, str)
        Seconds and exercises: two results in a row, other than the one before.
    """

    done: list[tuple[float, str]]
    board: list[tuple[float, str]]
    laptop: list[tuple[float, str]]


def run(target_name: str) -> Played:
    """Play seven recordings of the person, one after the other."""
    program = Program.load(RECIPE.program_file)
    items = person_tested()[:7]
    pieces = [to_int16(item.data, SCALE) for item in items]
    starts = np.cumsum([0, *(len(piece) for piece in pieces)]) / RATE
    recording = np.concatenate(pieces)
    with open_target(target_name) as target:
        lines = play(target, "motion", program, files={"recording.bin": recording.tobytes()})
    board = [(float(line.split()[0]), line.split()[2]) for line in lines]
    results = Stream(program).results(recording)
    laptop, last, shown = [], -1, -1
    for end, result in zip(results.ends, results.decisions, strict=True):
        if result == last and result != shown:
            laptop.append((end * program.input.shape[0] / RATE, program.labels[result]))
            shown = result
        last = result
    done = [(float(start), item.label) for start, item in zip(starts, items, strict=False)]
    return Played(done, board, laptop)


def main() -> None:
    target_name = asked_for_target("Exercises from an MPU-6050.")
    played = run(target_name)
    print(f"{TESTED}, on {target_name}")
    lines = [(at, 0, f"{at:7.2f} s  begins {label}") for at, label in played.done]
    lines += [(at, 1, f"{at:7.2f} s    board: {label}") for at, label in played.board]
    print("\n".join(text for *_, text in sorted(lines)))
    same = [label for _, label in played.board] == [label for _, label in played.laptop]
    print(f"board and laptop {'agree' if same else 'DIFFER'}")
    out = write_files("motion", Program.load(RECIPE.program_file))
    names = ", ".join(sorted(path.name for path in out.iterdir()))
    print(f"for a Pico, in {out.relative_to(ROOT)}: {names}")


if __name__ == "__main__":
    main()
