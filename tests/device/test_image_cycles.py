"""The image operators on a bare emulated Cortex-M0+: same bits as the reference, within budget."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from rp2040.bare import BareCore

from wingbeat.reference.downscale import Downscale, Pixels
from wingbeat.reference.normalise import Measure, Normalise


@pytest.fixture(scope="module")
def core() -> Iterator[BareCore]:
    with BareCore() as running:
        yield running


def cycles_of(core: BareCore, operator: Downscale | Normalise, offset: int = 0) -> float:
    """Cycles a pixel that is used, after a comparison with the reference."""
    ((code, n),) = operator.inputs
    rng = np.random.default_rng(n)
    x = rng.integers(0, 256 if code == "B" else 65536, (2, n)).astype("u1" if code == "B" else "u2")
    result = core.run(operator, x, offset=offset)
    np.testing.assert_array_equal(result.outputs[0], operator.apply(x)[0])
    if isinstance(operator, Downscale):
        n = operator.outputs[0][1] * operator.factors[0] * operator.factors[1]
    return float(result.cycles.max()) / n


@pytest.mark.parametrize(("factor", "budget"), [(4, 12.6), (5, 10.8), (10, 7.5)])
def test_grey_of_rgb565(core: BareCore, factor: int, budget: float) -> None:
    size = 24 * factor, 32 * factor
    operator = Downscale(
        size, (0, 0), (24, 32), (factor, factor), Pixels.RGB565_SWAPPED, 3, grey=True
    )
    assert cycles_of(core, operator) <= budget
    assert cycles_of(core, operator, offset=2) <= budget + 2


@pytest.mark.parametrize(("factor", "budget"), [(2, 19), (3, 12.5), (4, 9.8), (5, 8.3), (10, 5.7)])
def test_means_of_grey(core: BareCore, factor: int, budget: float) -> None:
    operator = Downscale((24 * factor, 32 * factor), (0, 0), (24, 32), (factor, factor))
    assert cycles_of(core, operator) <= budget
    cycles_of(core, operator, offset=1)


def test_crop(core: BareCore) -> None:
    assert cycles_of(core, Downscale((120, 160), (12, 32), (96, 96))) <= 2.3


@pytest.mark.parametrize(
    ("measure", "typecode", "budget"),
    [(Measure.DEVIATION, "b", 34.5), (Measure.DEVIATION, "h", 35.5), (Measure.RANGE, "B", 35.5)],
)
def test_normalise(core: BareCore, measure: Measure, typecode: str, budget: float) -> None:
    operator = Normalise(768, 127, 256, measure, 0, typecode)
    assert cycles_of(core, operator, offset=1) <= budget
