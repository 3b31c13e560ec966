"""Nets in their small form: bytes of the file; bits and cycles on a bare emulated Cortex-M0+."""

from __future__ import annotations

import numpy as np
import pytest
from rp2040.bare import BareCore, run_program

from nets.files import net
from wingbeat.costs import kernel_counts
from wingbeat.golden import generate
from wingbeat.net.convert import convert_tflite
from wingbeat.prefer import small_form

#: Bytes of the file for armv6m, cycles of a run, and bytes of the arena.
MOST = {"kws": (33_200, 13_600_000, 8_652), "mnist": (10_900, 470_000, 2_368)}


@pytest.mark.parametrize("name", MOST)
def test_small_forms(name: str) -> None:
    program = convert_tflite(net(name))
    choice = small_form(program)
    assert choice is not None
    small = choice.program
    size, cycles, arena = MOST[name]
    assert len(small.assemble("armv6m").data) <= size
    assert small.arena <= arena
    x = generate(program).inputs[-1:]
    with BareCore() as core:
        # Every step is compared with the reference.
        counted = sum(float(step.cycles.mean()) for step in run_program(core, small, x))
    assert counted <= cycles
    assert np.array_equal(small.run(x), program.run(x))
    told = kernel_counts(small, "armv6m")
    assert told is not None
    assert abs(sum(told) / counted - 1) < 0.1
