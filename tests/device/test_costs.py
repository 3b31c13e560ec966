"""The time that `wingbeat check` tells is near what the emulated core counts, on nets that the
costs were not fitted on. After a change of a kernel: bench/costs.py armv6m --only KERNEL --update.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rp2040.bare import BareCore, run_program

from nets.files import NAMES, net
from wingbeat.costs import kernel_counts
from wingbeat.golden import generate
from wingbeat.net.convert import convert_tflite

MOST = 0.1
"""Of the cycles of all operators of a net."""


@pytest.fixture(scope="module")
def core() -> Iterator[BareCore]:
    with BareCore() as started:
        yield started


@pytest.mark.parametrize("name", NAMES)
def test_nets(core: BareCore, name: str) -> None:
    program = convert_tflite(net(name))
    counted = sum(
        step.cycles.mean() for step in run_program(core, program, generate(program).inputs[-1:])
    )
    cycles = kernel_counts(program, "armv6m")
    assert cycles is not None
    assert abs(sum(cycles) / counted - 1) < MOST
