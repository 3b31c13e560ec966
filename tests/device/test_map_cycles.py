"""Depthwise layers, pools, means and small convolutions on a bare emulated Cortex-M0+: the bits,
within budget.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from rp2040.bare import BareCore

from vectors import Case, depthwise, mean, operands_of, pool, small_conv
from vectors.depthwise import random_layer

LARGEST = 150_000  # bytes of operands of what is run here

#: Map, kernel, activation, and cycles for each product, everything from call to return.
BUDGETS = {
    "3x3, 64 channels, ReLU": ((25, 5, 64), (3, 3), "RELU", 7.3),
    "3x3, 64 channels": ((25, 5, 64), (3, 3), "NONE", 10.0),
    "3x3, 8 channels": ((24, 24, 8), (3, 3), "RELU", 6.5),
    "15x1": ((100, 1, 8), (15, 1), "RELU", 8.6),
}


@pytest.fixture(scope="module")
def core() -> Iterator[BareCore]:
    with BareCore() as running:
        yield running


def small_cases() -> Iterator[Case]:
    for module in (depthwise, pool, mean, small_conv):
        for case in module.cases(5):
            if sum(size for _, size in operands_of(case.operator)) <= LARGEST:
                yield case


def test_kernels_equal_the_reference(core: BareCore) -> None:
    for case in small_cases():
        for offset in (0, 1):
            result = core.run(case.operator, *(x[np.newaxis] for x in case.inputs), offset=offset)
            assert np.array_equal(result.outputs[0][0], case.outputs[0]), case.name


@pytest.mark.parametrize("name", BUDGETS)
def test_cycles_for_a_product(core: BareCore, name: str) -> None:
    shape, kernel, activation, budget = BUDGETS[name]
    rng = np.random.default_rng(1)
    layer = random_layer(rng, shape, kernel, activation=activation)
    if activation == "RELU":
        layer = replace(layer, zero_points=(layer.zero_points[0], -128))
    operator = layer.operator()
    result = core.run(operator, layer.inputs(rng, 3))
    products = operator.outputs[0][1] * np.prod(kernel)
    assert float(result.cycles.mean()) / products <= budget
