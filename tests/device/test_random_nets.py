"""Random nets of every operator and option: TFLM, the reference and the kernels, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from device.harness import Core
from nets.compare import Compared, compare
from nets.generate import KINDS, random_net
from wingbeat.net.lower import RULES

ROUNDS = 18
"""Nets of each kind: 522 nets in all."""


def nets_of(number: int) -> list[Compared]:
    """A net of each kind, as far as the operators are there."""
    seeds = range(number * len(KINDS), (number + 1) * len(KINDS))
    kinds = {seed: set(random_net(seed).kinds) for seed in seeds}
    return [compare(seed) for seed in seeds if kinds[seed] <= set(RULES)]


@pytest.mark.parametrize("number", range(ROUNDS))
def test_random_nets(core: Core, number: int) -> None:
    nets = nets_of(number)
    for net in nets:
        core.load(net.program.encode(), [row.tobytes() for row in net.rows])
    for net, result in zip(nets, core.results(), strict=True):
        name = f"seed {net.seed}: {net.kinds}"
        assert result.reason == "", name
        assert list(result.outputs) == [row.tobytes() for row in net.expected], name


def test_the_nets_are_worth_comparing() -> None:
    """Outputs take many values."""
    values = [
        len(np.unique(net.expected)) / min(net.expected.size, 256)
        for number in range(3)
        for net in nets_of(number)
    ]
    assert np.mean(np.array(values) > 0.1) > 0.7
