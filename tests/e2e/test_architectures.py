"""The digits forest on every target: the same bits everywhere, and the same count in every run."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from wingbeat.blobs import archs
from wingbeat.convert import convert
from wingbeat.costs import estimate
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


@pytest.mark.parametrize("target", [name for name in TARGETS if name not in ("unix", "m0", "m3")])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_time_of_check_is_near(target: str, dtype: str) -> None:
    # A forest that the costs were not fitted on.
    data = digits()
    estimator = RandomForestClassifier(7, max_depth=5, random_state=3)
    estimator.fit(data.test_x, data.test_y)
    rows = data.test_x[:16].astype(dtype)
    forest = convert(estimator, name="forest", dtype=dtype, rows=rows)
    with open_target(target) as machine:
        run = run_module(machine, forest.assemble(machine.arch), rows)
        found = estimate(forest, machine.arch)
    assert run.ticks is not None
    assert found is not None
    counted = found.cycles
    if run.unit == "instructions":
        assert found.taken == "emulated instructions at 1.5 cycles each"
        counted /= 1.5
    assert abs(counted / run.ticks - 1) < 0.1
