"""Dense on a bare emulated Cortex-M0+: same bits as the reference, and its budget of cycles."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nets.dense import dense_layers
from vectors.dense import cases
from wingbeat.reference import Dense

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "ports")]

from rp2040.bare import BareCore  # noqa: E402


@pytest.fixture(scope="module")
def core() -> Iterator[BareCore]:
    with BareCore() as running:
        yield running


def test_dense_equals_the_reference_at_any_alignment(core: BareCore) -> None:
    done: dict[bytes, Dense] = {}
    for case in cases(11):
        assert isinstance(case.operator, Dense)
        done[case.params] = case.operator
    assert len(done) > 300
    rng = np.random.default_rng(1)
    for i, layer in enumerate(done.values()):
        rows = rng.integers(-128, 127, (4, layer.n_inputs), np.int8, endpoint=True)
        rows[0], rows[1] = -128, 127
        for offset in (0, 1 + i % 3):
            found = core.run(layer, rows, offset=offset).outputs[0]
            shape = layer.weights.shape
            np.testing.assert_array_equal(found, layer.apply(rows)[0], str((shape, offset)))


# Cycles of all dense layers of a net (issue 4).
BUDGETS = {"hello_world": 4200, "mnist": 1900, "kws": 3700, "micro_speech": 65000, "ad": 855_000}


@pytest.mark.parametrize("name", BUDGETS)
def test_dense_layers_are_within_their_budget(core: BareCore, name: str) -> None:
    rng = np.random.default_rng(2)
    cycles = 0
    for layer in dense_layers(name):
        x = rng.integers(-128, 127, (2, layer.n_inputs), np.int8, endpoint=True)
        result = core.run(layer, x)
        np.testing.assert_array_equal(result.outputs[0], layer.apply(x)[0])
        cycles += int(result.cycles.max())
    assert cycles <= BUDGETS[name]
