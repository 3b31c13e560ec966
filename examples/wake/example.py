"""A minute with a few spoken digits: a costly net that sleeps while it is quiet.

    python examples/wake/example.py [--on rp2040]

The load is counted on the emulated Pico with --on rp2040.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from examples.playing import ROOT, asked_for_target, open_target, play, write_files  # noqa: E402
from examples.sound_event.example import Sound, spoken  # noqa: E402
from models.spoken_digits.recipe import HELD_OUT, RECIPE, program_of  # noqa: E402
from models.spoken_digits.sounds import RATE  # noqa: E402

from wingbeat import Program  # noqa: E402
from wingbeat.program import Decision, Descriptor, ProgramBuilder  # noqa: E402
from wingbeat.reference import WindowStats  # noqa: E402
from wingbeat.reference.window import Window  # noqa: E402
from wingbeat.runner import push_module  # noqa: E402
from wingbeat.stream import Stream  # noqa: E402
from wingbeat.targets import Target  # noqa: E402

LENGTH = 160
MICROPHONE = "sound_event/board/microphone.py"
STANDIN = "sound_event/standin/machine.py"
CLOCK = 125e6
COUNTED = 12 * RATE


def level() -> Program:
    """The deviation of 20 ms of sound: what a microphone's offset does not change."""
    builder = ProgramBuilder(Descriptor("h", (LENGTH, 1)))
    window = builder.add(Window(LENGTH, LENGTH, LENGTH, 1), 0)
    deviation = builder.add(WindowStats(LENGTH, 1, ("std",)), window)
    return builder.finish("level", deviation, Decision.VALUE, meta={"rate": float(RATE)})


@dataclass(frozen=True)
class Played:
    """What was said and heard, and what that took.

    Attributes
    ----------
    said, board, laptop : list of (float, str)
        Seconds and digits; the laptop's by the costly model alone, always awake.
    pushed, blocks : int
        Of 20 ms: those that the costly model got, and all.
    cycles : tuple of float, optional
        Mean of a block for the cheap and the costly program, where cycles are counted.
    """

    said: list[tuple[float, str]]
    board: list[tuple[float, str]]
    laptop: list[tuple[float, str]]
    pushed: int
    blocks: int
    cycles: tuple[float, float] | None


def run(target_name: str, sound: Sound | None = None) -> Played:
    """Play a sound: eight digits with seconds of quiet between them."""
    cheap, costly = level(), program_of(HELD_OUT)
    sound = sound or spoken(8, (4.0, 9.0), end=3.0)
    samples = sound.samples()
    with open_target(target_name) as target:
        lines = play(
            target,
            "wake",
            cheap,
            costly,
            files={"recording.bin": sound.file()},
            also=(MICROPHONE, STANDIN),
            timeout=600,
        )
        loads = [_cycles(target, each, samples[:COUNTED]) for each in (cheap, costly)]
    board = [(float(line.split()[0]), line.split()[2]) for line in lines if "asleep" not in line]
    counts = [re.search(r"awake for (\d+) of", line) for line in lines]
    pushed = max(int(each[1]) for each in counts if each)
    known = loads[0] is not None and loads[1] is not None
    return Played(
        sound.said,
        board,
        always_awake(costly, samples),
        pushed,
        len(samples) // LENGTH,
        (loads[0] or 0.0, loads[1] or 0.0) if known else None,
    )


def _cycles(target: Target, program: Program, samples: NDArray[np.int16]) -> float | None:
    """Cycles of a block in the mean."""
    if target.clock is None or target.clock.unit != "cycles":
        return None
    pushed = push_module(target, program.assemble(target.arch), samples[:, np.newaxis])
    assert pushed.ticks is not None
    return float(pushed.ticks.sum()) / (len(samples) // LENGTH)


def always_awake(program: Program, samples: NDArray[np.int16]) -> list[tuple[float, str]]:
    """Seconds and digits that the costly program alone tells."""
    results = Stream(program).results(samples)
    found, last = [], -1
    for end, result in zip(results.ends, results.decisions, strict=True):
        if result != last and program.labels[result] != "other":
            found.append((end * LENGTH / RATE, program.labels[result]))
        last = result
    return found


def load(played: Played) -> tuple[float, float, float]:
    """Shares of a Pico's core: the cheap program, the costly one always, both as main.py does."""
    assert played.cycles is not None
    cheap, costly = (each * RATE / LENGTH / CLOCK for each in played.cycles)
    return cheap, costly, cheap + costly * played.pushed / played.blocks


def main() -> None:
    target_name = asked_for_target("A costly model that sleeps.")
    played = run(target_name)
    print(f"{HELD_OUT}, {played.blocks * LENGTH / RATE:.0f} s, on {target_name}")
    lines = [(at, f"{at:6.2f} s  says {digit}") for at, digit in played.said]
    lines += [(at, f"{at:6.2f} s    board: {digit}") for at, digit in played.board]
    lines += [(at, f"{at:6.2f} s    always awake: {digit}") for at, digit in played.laptop]
    print("\n".join(text for _, text in sorted(lines)))
    share = played.pushed / played.blocks
    print(f"awake for {played.pushed} of {played.blocks} blocks of 20 ms, {share:.0%}")
    if played.cycles is not None:
        cheap, costly, both = load(played)
        print(
            f"share of a core at 125 MHz (emulated): level {cheap:.2%}, digits {costly:.2%} always"
            f" awake; together {both:.2%}"
        )
    out = write_files("wake", level(), Program.load(RECIPE.program_file), also=(MICROPHONE,))
    names = ", ".join(sorted(path.name for path in out.iterdir()))
    print(f"for a Pico, in {out.relative_to(ROOT)}: {names}")


if __name__ == "__main__":
    main()
