"""Two days of a street's air on MicroPython, beside what the reference analyser showed.

python examples/air_quality/example.py [--on rp2040]
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from examples.playing import ROOT, asked_for_target, open_target, play, write_files  # noqa: E402
from models.air_quality.recipe import (  # noqa: E402
    RECIPE,
    boundary,
    data,
    predictions,
    score,
    stretches,
)

from wingbeat import Program  # noqa: E402
from wingbeat.stream import pace_of  # noqa: E402

HOURS = 48


@dataclass(frozen=True, eq=False)
class Played:
    """Hours of the test: mg/m3 of CO [hours].

    Attributes
    ----------
    first : int
        Number of the first hour with a result.
    board, laptop, analyser : array of float
    """

    first: int
    board: NDArray[np.float64]
    laptop: NDArray[np.float64]
    analyser: NDArray[np.float64]


def run(target_name: str, hours: int = HOURS) -> Played:
    """Play the first long stretch of the hours that nothing was trained on."""
    program, readings = Program.load(RECIPE.program_file), data()
    window = pace_of(program).window
    piece = next(
        each
        for each in stretches(readings)
        if each.start >= boundary(readings) and each.stop - each.start >= hours
    )
    part = slice(piece.start, piece.start + hours)
    with open_target(target_name) as target:
        lines = play(
            target,
            "air_quality",
            program,
            files={"recording.bin": readings.x[part].tobytes()},
        )
    board = np.array([float(line.split()[1]) for line in lines])
    first = part.start + window - 1
    laptop = predictions(program, readings)[first : part.stop]
    return Played(first, board, laptop, readings.y[first : part.stop])


def main() -> None:
    target_name = asked_for_target("CO from gas sensors.")
    played = run(target_name)
    print(f"MicroPython on {target_name}: {len(played.board)} results of {HOURS} hours")
    print("hour   board  analyser   mg/m3 of CO")
    for number in range(0, len(played.board), 6):
        print(f"{number:4} {played.board[number]:7.2f} {played.analyser[number]:9.1f}")
    known = np.isfinite(played.analyser)
    _, error = score(played.analyser[known], played.board[known])
    print(f"mean error {error:.2f} mg/m3 in these {known.sum()} hours")
    print(
        f"board and laptop differ by {np.abs(played.board - played.laptop).max():.3f} at most"
        " (the board prints two decimals)"
    )
    out = write_files("air_quality", Program.load(RECIPE.program_file))
    names = ", ".join(sorted(path.name for path in out.iterdir()))
    print(f"for a Pico, in {out.relative_to(ROOT)}: {names}")


if __name__ == "__main__":
    main()
