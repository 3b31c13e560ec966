"""The examples: what users put on a board, with stand-ins for the sensors alone."""

from __future__ import annotations

import numpy as np
import pytest
from models.streams import data_file


def need(name: str) -> None:
    if data_file(name) is None:
        pytest.skip(f"needs {name}")


@pytest.mark.parametrize("target", ["unix", "rp2040"])
def test_air_quality(target: str) -> None:
    need("AirQualityUCI.csv")
    from examples.air_quality.example import run

    played = run(target)
    assert len(played.board) == 43
    # The board prints two decimals.
    assert np.abs(played.board - played.laptop).max() < 0.006
    known = np.isfinite(played.analyser)
    assert known.sum() > 35
    assert np.abs(played.board - played.analyser)[known].mean() < 0.5
    assert np.ptp(played.board) > 1.0
