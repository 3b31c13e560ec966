"""The digits forest on every target: the same bits everywhere, and the same count in every run."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from wingbeat.blobs import archs
from wingbeat.convert import convert
from wingbeat.program import Program
from wingbeat.runner import run_module
from wingbeat.targets import TARGETS, open_target

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.workloads import digits

ROWS = 60


def program(dtype: str) -> Program:
    data = digits()
    return convert(data.estimator, name="digits", dtype=dtype, rows=data.test_x)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "float32"])
@pytest.mark.parametrize("target", TARGETS)
def test_digits(target: str, dtype: str) -> None:
    forest = program(dtype)
    x = digits().test_x[:ROWS].astype(dtype)
    with open_target(target) as machine:
        module = forest.assemble(machine.arch)
        raw = run_module(machine, module, x)
        decided = run_module(machine, module, x, predict=True)
        again = run_module(machine, module, x)
    assert np.array_equal(raw.outputs, forest.run(x))
    assert np.array_equal(decided.outputs, forest.predict(x))
    assert np.array_equal(decided.outputs, digits().estimator.predict(digits().test_x[:ROWS]))
    assert again.ticks == raw.ticks
    assert target == "unix" or (raw.ticks is not None and 1500 < raw.ticks < 4000)


def test_every_architecture_has_a_target() -> None:
    assert {open_target(name).arch for name in TARGETS} == set(archs())
