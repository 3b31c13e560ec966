"""Spoken digits: from samples of a microphone to a digit, by log-mel frames and a small net.

    python models/spoken_digits/recipe.py [--convert] [spoken_digits.zip [noise_1000ms.wav]]

Trains with TensorFlow: a net without each of the five speakers, to test on that speaker, and one on
all. --convert makes the program and the card of those nets again, without TensorFlow.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from models.spoken_digits.learn import FOLDER, SCALE, learn, net_file  # noqa: E402
from models.spoken_digits.long_recording import (  # noqa: E402
    RECORDED,
    SECONDS,
    LongRecording,
    Piece,
    long_recording,
)
from models.spoken_digits.sounds import (  # noqa: E402
    FILE,
    LABELS,
    OTHER,
    RATE,
    SPEAKERS,
    in_window,
    pipeline,
    recordings,
)
from models.streams import StreamRecipe, main  # noqa: E402
from wingbeat import Program  # noqa: E402
from wingbeat.golden import choose  # noqa: E402
from wingbeat.net.convert import convert_tflite  # noqa: E402
from wingbeat.reference.log2 import LOG_BITS  # noqa: E402
from wingbeat.simulate import Score, Simulation, detections, score, simulate  # noqa: E402
from wingbeat.stream import Stream  # noqa: E402

HELD_OUT = "george"
"""Who speaks in the long recording: a net that has never heard this speaker listens."""

TOLERANCE = 1.2
"""Seconds after the end of a digit in which it may be detected."""


def net_of(left_out: str | None) -> Program:
    """The net that was trained without a speaker, or on all: takes what the stages give."""
    return convert_tflite(
        net_file(left_out), name="spoken_digits", labels=LABELS, raw_step=SCALE / (1 << LOG_BITS)
    )


def program_of(left_out: str | None) -> Program:
    """From samples to a digit, or other."""
    return pipeline().program(net_of(left_out), 1)


@cache
def rows() -> NDArray[np.int16]:
    """What the stages give of every recording, in the middle of a window."""
    stages, shape = pipeline().features(1)
    outputs = [Stream(stages).results(in_window(item.samples)).outputs for item in recordings()]
    return np.concatenate(outputs).reshape(len(outputs), *shape.dims, 1)


def answers() -> dict[str, NDArray[np.int64]]:
    """Of each speaker: how often a digit [10] was taken for a class [11], by the net without."""
    digits = np.array([item.digit for item in recordings()])
    speakers = np.array([item.speaker for item in recordings()])
    found = {}
    for speaker in SPEAKERS:
        mine = speakers == speaker
        said = net_of(speaker).predict(rows()[mine])
        found[speaker] = np.zeros((10, len(LABELS)), np.int64)
        np.add.at(found[speaker], (digits[mine], said), 1)
    return found


def _of_answers(found: dict[str, NDArray[np.int64]]) -> dict[str, Any]:
    """Accuracies by speaker and by digit, and what was mistaken most."""
    shares = {name: float(np.trace(table) / table.sum()) for name, table in found.items()}
    table = np.sum(list(found.values()), axis=0)
    right = np.diag(table) / table.sum(axis=1)
    wrong = table.copy()
    np.fill_diagonal(wrong, 0)
    worst = np.dstack(np.unravel_index(np.argsort(-wrong, axis=None, kind="stable"), wrong.shape))
    return {
        "accuracy": float(np.mean(list(shares.values()))),
        "worst": min(shares.values()),
        "shares": shares,
        "digit_heads": " | ".join(LABELS[:10]),
        "digit_shares": " | ".join(f"{share:.2f}" for share in right),
        "mistakes": ", ".join(
            f"{LABELS[said]} as {LABELS[heard]} ({wrong[said, heard]} of {table[said].sum()})"
            for said, heard in worst[0, :4].tolist()
        ),
    }


@dataclass(frozen=True, eq=False)
class Listened:
    """A long recording, played through the program that has never heard its speaker.

    Attributes
    ----------
    long : LongRecording
    program : Program
    alone : Simulation
        The class of every window, without what is behind the model.
    detected : Simulation
        The program's decisions.
    """

    long: LongRecording
    program: Program
    alone: Simulation
    detected: Simulation

    def judged(self, *, detector: bool, piece: Piece | None = None) -> Judged:
        """Detections against the digits, in all of it or in one stretch."""
        played = self.detected if detector else self.alone
        found, truth = detections(self.program, played, {OTHER}), self.long.events
        if piece is not None:
            found = tuple(each for each in found if piece.start <= each.start < piece.end)
            truth = tuple(each for each in truth if piece.start <= each.start < piece.end)
        result = score(found, truth, TOLERANCE)
        heard = sum(
            any(word.start <= each.start <= word.end + TOLERANCE for word in truth)
            for each in found
        )
        mistaken = heard - result.hits - result.repeated
        return Judged(result, mistaken, result.false - mistaken)


@dataclass(frozen=True)
class Judged:
    """What detections are worth.

    Attributes
    ----------
    score : Score
    mistaken : int
        Of the false ones, those where another digit was said.
    invented : int
        Those where none was.
    """

    score: Score
    mistaken: int
    invented: int


def listen(speaker: str, seconds: float = SECONDS) -> Listened:
    """Play the long recording of a speaker; see `long_recording`."""
    long, program = long_recording(speaker, seconds=seconds), program_of(speaker)
    detected = simulate(program, long.samples, RATE)
    classes = detected.outputs.reshape(len(detected.outputs), -1).argmax(axis=1)
    return Listened(long, program, replace(detected, decisions=classes), detected)


def make() -> Program:
    """Test the nets, and make the program of the one that was trained on all."""
    facts = json.loads((FOLDER / "training.json").read_text(encoding="utf-8"))
    reached, in_float = _of_answers(answers()), facts["float_accuracy"]
    on_int8 = reached["shares"]
    figures: dict[str, Any] = {
        **reached,
        "float_accuracy": float(np.mean(list(in_float.values()))),
        "speakers": "\n".join(
            f"| {name} | {in_float[name]:.3f} | {on_int8[name]:.3f} |" for name in SPEAKERS
        ),
        **{name: facts[name] for name in ("weights", "epochs", "batch", "rate")},
        **_of_long_recording(listen(HELD_OUT)),
    }
    program = program_of(None)
    program = replace(program, meta={**program.meta, "rate": float(RATE), "figures": figures})
    blocks = piece().reshape(-1, *program.input.shape)
    return replace(program, golden=choose(program, blocks))


def _of_long_recording(heard: Listened) -> dict[str, Any]:
    seconds = heard.long.pieces[-1].end
    figures: dict[str, Any] = {
        "held_out": HELD_OUT,
        "minutes": seconds / 60,
        "digits": len(heard.long.events),
        "noises": "\n".join(_line(heard, piece) for piece in heard.long.pieces),
    }
    for name, detector in (("alone", False), ("detector", True)):
        found = heard.judged(detector=detector)
        figures |= {
            f"{name}_found": found.score.hits / found.score.events,
            f"{name}_missed": found.score.missed * 3600 / seconds,
            f"{name}_mistaken": found.mistaken * 3600 / seconds,
            f"{name}_invented": found.invented * 3600 / seconds,
            f"{name}_repeated": found.score.repeated * 3600 / seconds,
            f"{name}_latency": float(np.median(found.score.latencies)),
        }
    return figures


def _line(heard: Listened, piece: Piece) -> str:
    cells = [f"{piece.noise}, {piece.ratio} dB"]
    for detector in (False, True):
        found = heard.judged(detector=detector, piece=piece)
        cells += [f"{found.score.hits} of {found.score.events}", str(found.score.false)]
    return f"| {' | '.join(cells)} |"


def piece() -> NDArray[np.int16]:
    """A minute of the long recording: five seconds of each noise."""
    return long_recording(HELD_OUT, seconds=5.0).samples


RECIPE = StreamRecipe("spoken_digits", make, piece, (FILE, RECORDED), learn)

if __name__ == "__main__":
    main(RECIPE)
