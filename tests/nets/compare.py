"""Random nets through the real interpreter, the reference and the kernels, row by row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.harness import Core
from nets.generate import KINDS, random_net
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

    def __str__(self) -> str:
        return f"seed {self.seed}: {', '.join(self.kinds)}"


def compare(seed: int) -> Compared:
    """Convert the net of a seed, and check that the reference answers as TFLM."""
    net = random_net(seed)
    rows = net.rows(ROWS)
    program = convert_tflite(net.model, name="net")
    answers = np.array([outputs[0] for outputs in run_rows(net.model, rows)])
    rows = rows.reshape(ROWS, *program.input.shape)
    expected = answers.reshape(ROWS, *program.output.shape)
    compared = Compared(seed, net.kinds, program, rows, expected)
    found = program.run(rows)
    assert found.dtype == expected.dtype, compared
    assert found.tobytes() == expected.tobytes(), compared
    return compared


def compare_in_kernels(core: Core, seeds: Iterable[int]) -> list[Compared]:
    """The same, and in the kernels."""
    nets = [compare(seed) for seed in seeds]
    for net in nets:
        core.load(net.program.encode(), [row.tobytes() for row in net.rows])
    for net, result in zip(nets, core.results(), strict=True):
        assert result.reason == "", net
        assert list(result.outputs) == [row.tobytes() for row in net.expected], net
    return nets


@cache
def few_nets_of_all_kinds() -> tuple[Compared, ...]:
    """Nets that have all operators together."""
    missing = set(KINDS)
    seeds = range(10 * len(KINDS))
    kinds = {seed: {*random_net(seed).kinds, list(KINDS)[seed % len(KINDS)]} for seed in seeds}
    chosen = []
    while missing:
        best = max(seeds, key=lambda seed: len(kinds[seed] & missing))
        missing -= kinds[best]
        chosen.append(best)
    return tuple(map(compare, chosen))
