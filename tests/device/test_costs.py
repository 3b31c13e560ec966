"""The time that `wingbeat check` tells is near what the emulated core counts, on nets that the
costs were not fitted on. After a change of a kernel: bench/costs.py --only KERNEL --update.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rp2040.bare import BareCore, run_program

from nets.files import NAMES, net
from nets.generate import random_net
from wingbeat.costs import costs, costs_name, kernel_counts, terms
from wingbeat.golden import generate
from wingbeat.net.convert import convert_tflite
from wingbeat.prefer import small_form

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.layers import layers
from bench.signals import signals

MOST = 0.1
"""Of the cycles of all operators of a net."""

SEEDS = range(1000, 1060)


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


@pytest.mark.parametrize("seed", SEEDS)
def test_random_nets(core: BareCore, seed: int) -> None:
    drawn = random_net(seed)
    converted = convert_tflite(drawn.model)
    small = small_form(converted)
    x = drawn.rows(3).reshape(3, *converted.input.shape)
    for program in (converted, *(() if small is None else (small.program,))):
        counted = sum(step.cycles.mean() for step in run_program(core, program, x))
        cycles = kernel_counts(program, "armv6m", x)
        assert cycles is not None
        assert abs(sum(cycles) / counted - 1) < MOST


def test_every_cost_has_its_term() -> None:
    for arch, known in costs().items():
        lengths = {name: len(values) for name, values in known["kernels"].items()}
        for operator, rows in (*layers(), *signals()):
            name = costs_name(operator)
            assert lengths[name] == len(terms(operator, arch, rows)), (arch, name)
