"""Random nets of every operator and option: TFLM, the reference and the kernels, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from device.harness import Core
from nets.compare import compare, compare_in_kernels, few_nets_of_all_kinds
from nets.generate import KINDS

ROUNDS = 20
"""Nets of each kind: 800 nets in all."""


@pytest.mark.parametrize("number", range(ROUNDS))
def test_random_nets(core: Core, number: int) -> None:
    seeds = range(number * len(KINDS), (number + 1) * len(KINDS))
    assert len(compare_in_kernels(core, seeds)) == len(KINDS)


def test_the_nets_are_worth_comparing() -> None:
    """Nets have several operators, outputs many values."""
    nets = [compare(seed) for seed in range(5 * len(KINDS))]
    values = [len(np.unique(net.expected)) / min(net.expected.size, 256) for net in nets]
    assert np.mean(np.array(values) > 0.05) > 0.8
    assert np.mean([len(net.kinds) for net in nets]) > 3
    kinds = {kind for net in few_nets_of_all_kinds() for kind in net.kinds}
    # Keras' 1-D convolution is a 2-D one with another shape around it.
    assert kinds >= set(KINDS) - {"CONV_1D"}
