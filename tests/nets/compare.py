"""Random nets through the real interpreter and through the reference, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nets.generate import random_net
from tflm import run_rows
from wingbeat.net.convert import convert_tflite
from wingbeat.program import Program

ROWS = 4


@dataclass(frozen=True, eq=False)
class Compared:
    """A random net and what it answers.

    Attributes
    ----------
    seed : int
    kinds : tuple of str
        Its operators.
    program : Program
    rows, expected : array [rows, *shape]
        Inputs of the program, and TFLM's outputs.
    """

    seed: int
    kinds: tuple[str, ...]
    program: Program
    rows: NDArray[Any]
    expected: NDArray[Any]


def compare(seed: int) -> Compared:
    """Convert the net of a seed, and check that the reference answers as TFLM."""
    net = random_net(seed)
    rows = net.rows(ROWS)
    program = convert_tflite(net.model)
    answers = np.array([outputs[0] for outputs in run_rows(net.model, rows)])
    rows = rows.reshape(ROWS, *program.input.shape)
    expected = answers.reshape(ROWS, *program.output.shape)
    found = program.run(rows)
    assert found.dtype == expected.dtype, f"seed {seed}: {net.kinds}"
    assert found.tobytes() == expected.tobytes(), f"seed {seed}: {net.kinds}"
    return Compared(seed, net.kinds, program, rows, expected)
