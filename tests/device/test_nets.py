"""Random nets of every operator and option: TFLM, the reference and the kernels, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from device.harness import Core
from nets.compare import compare
from nets.generate import KINDS

ROUNDS = 18
"""Nets of each kind: 522 nets in all."""


@pytest.mark.parametrize("number", range(ROUNDS))
def test_random_nets(core: Core, number: int) -> None:
    nets = [compare(seed) for seed in range(number * len(KINDS), (number + 1) * len(KINDS))]
    for net in nets:
        core.load(net.program.encode(), [row.tobytes() for row in net.rows])
    for net, result in zip(nets, core.results(), strict=True):
        name = f"seed {net.seed}: {net.kinds}"
        assert result.reason == "", name
        assert list(result.outputs) == [row.tobytes() for row in net.expected], name


def test_the_nets_are_worth_comparing() -> None:
    """Outputs take many values, all kinds occur, and so do nets of several operators."""
    nets = [compare(seed) for seed in range(3 * len(KINDS))]
    assert {kind for net in nets for kind in net.kinds} >= set(KINDS) - {"CONV_1D"}
    assert np.mean([len(net.kinds) for net in nets]) > 3
    values = [len(np.unique(net.expected)) / min(net.expected.size, 256) for net in nets]
    assert np.mean(np.array(values) > 0.1) > 0.8
