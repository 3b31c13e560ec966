"""Digits spoken by somebody whom the net has never heard, on MicroPython.

python examples/sound_event/example.py [--on rp2040]
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from examples.playing import ROOT, asked_for_target, open_target, play, write_files  # noqa: E402
from models.spoken_digits.recipe import HELD_OUT, RECIPE, program_of  # noqa: E402
from models.spoken_digits.sounds import OTHER, RATE, recordings  # noqa: E402

from wingbeat import Program  # noqa: E402
from wingbeat.stream import Stream  # noqa: E402

SEED = 3


@dataclass(frozen=True, eq=False)
class Sound:
    """Clips with faint noise between them.

    Attributes
    ----------
    clips : tuple of (int, NDArray[int16])
        Samples of noise in front of each, and its own.
    said : list of (float, str)
        Seconds at which each begins, and what it is.
    """

    clips: tuple[tuple[int, NDArray[np.int16]], ...]
    said: list[tuple[float, str]]

    def file(self) -> bytes:
        """As the stand-in for the microphone reads it."""
        return b"".join(
            struct.pack("<ii", quiet, len(clip)) + clip.astype("<i2").tobytes()
            for quiet, clip in self.clips
        )

    def samples(self) -> NDArray[np.int16]:
        """What the microphone gives: the same numbers."""
        seed, parts = 1, []
        for quiet, clip in self.clips:
            noise = np.empty(quiet, np.int16)
            for number in range(quiet):
                seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
                noise[number] = ((seed >> 16) & 63) - 32
            parts += [noise, clip]
        return np.concatenate(parts)


def spoken(count: int, pause: tuple[float, float], end: float = 1.5) -> Sound:
    """Digits of the speaker who was left out, with pauses of so many seconds in front."""
    draw = np.random.default_rng(SEED)
    known = [item for item in recordings() if item.speaker == HELD_OUT]
    clips, said, at = [], [], 0
    for number in draw.permutation(len(known))[:count]:
        quiet, item = int(draw.uniform(*pause) * RATE), known[number]
        clips.append((quiet, item.samples))
        said.append(((at + quiet) / RATE, str(item.digit)))
        at += quiet + len(item.samples)
    clips.append((int(end * RATE), np.zeros(0, np.int16)))
    return Sound(tuple(clips), said)


def heard_by(program: Program, samples: NDArray[np.int16]) -> list[tuple[float, str]]:
    """Seconds and digits that main.py prints, by the laptop."""
    results = Stream(program).results(samples)
    found, last = [], -1
    for end, result in zip(results.ends, results.decisions, strict=True):
        if result != last and program.labels[result] != OTHER:
            found.append((end * program.input.n_elements / RATE, program.labels[result]))
        last = result
    return found


@dataclass(frozen=True)
class Played:
    """Seconds and digits: what was said, and what was heard."""

    said: list[tuple[float, str]]
    board: list[tuple[float, str]]
    laptop: list[tuple[float, str]]


def run(target_name: str, count: int = 12) -> Played:
    """Play so many digits."""
    program, sound = program_of(HELD_OUT), spoken(count, (0.6, 1.5))
    with open_target(target_name) as target:
        lines = play(target, "sound_event", program, files={"recording.bin": sound.file()})
    board = [(float(line.split()[0]), line.split()[2]) for line in lines]
    return Played(sound.said, board, heard_by(program, sound.samples()))


def main() -> None:
    target_name = asked_for_target("Digits from a microphone.")
    played = run(target_name)
    print(f"{HELD_OUT}, on {target_name}")
    lines = [(at, f"{at:6.2f} s  says {digit}") for at, digit in played.said]
    lines += [(at, f"{at:6.2f} s    board: {digit}") for at, digit in played.board]
    print("\n".join(text for _, text in sorted(lines)))
    print(f"board and laptop {'agree' if same(played) else 'DIFFER'}")
    # What goes on a board has heard all speakers.
    out = write_files("sound_event", Program.load(RECIPE.program_file))
    names = ", ".join(sorted(path.name for path in out.iterdir()))
    print(f"for a Pico, in {out.relative_to(ROOT)}: {names}")


def same(played: Played) -> bool:
    """Whether the board printed what the laptop would have."""
    laptop = [(f"{at:.2f}", digit) for at, digit in played.laptop]
    return laptop == [(f"{at:.2f}", digit) for at, digit in played.board]


if __name__ == "__main__":
    main()
