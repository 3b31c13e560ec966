"""The signal operators on a bare emulated Cortex-M0+: same bits as the reference, within budget."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rp2040.bare import BareCore, Result

from wingbeat.reference import DTYPES, Operator
from wingbeat.reference.power_spectrum import power_spectrum

SPECTRUM_CYCLES = 100_000  # of 512 points


@pytest.fixture(scope="module")
def core() -> Iterator[BareCore]:
    with BareCore() as running:
        yield running


def check_operator(core: BareCore, operator: Operator, *inputs: NDArray[Any]) -> Result:
    """Compare a kernel with its reference; the first input is aligned to its items only."""
    expected = operator.apply(*inputs)
    for offset in (DTYPES[operator.inputs[0][0]].itemsize, 0):
        result = core.run(operator, *inputs, offset=offset)
        for wanted, found in zip(expected, result.outputs, strict=True):
            np.testing.assert_array_equal(found, wanted)
    return result


def loud_noise(n_rows: int, n: int) -> NDArray[np.int16]:
    rng = np.random.default_rng(n)
    x = rng.normal(0, 5000, (n_rows, n))
    x[0] = -32768
    return np.clip(x, -32768, 32767).astype(np.int16)


@pytest.mark.parametrize(("n", "channels"), [(64, 2), (128, 1), (256, 3), (512, 1), (2048, 1)])
def test_power_spectrum(core: BareCore, n: int, channels: int) -> None:
    check_operator(core, power_spectrum(n, channels), loud_noise(3, n * channels))


def test_cycles_of_a_power_spectrum(core: BareCore) -> None:
    result = core.run(power_spectrum(512), loud_noise(3, 512))
    assert result.cycles.max() <= SPECTRUM_CYCLES
