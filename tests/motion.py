"""Real recordings of a wrist's acceleration, from beside the project."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "data" / "har_exercise_1.parquet"
RATE = 100
STEPS_PER_G = 4096


@cache
def _recordings() -> list[tuple[str, NDArray[np.int16]]]:
    if not RECORDINGS.exists():
        pytest.skip(f"{RECORDINGS.name} is not there")
    import pandas as pd

    table: Any = pd.read_parquet(RECORDINGS)
    return [
        (
            str(group["activity"].iloc[0]),
            np.rint(group[["x", "y", "z"]] * STEPS_PER_G).clip(-32768, 32767).to_numpy(np.int16),
        )
        for _, group in table.groupby("file")
    ]


def motion(n: int, hop: int) -> tuple[NDArray[np.int16], NDArray[np.str_]]:
    """Windows [rows, n, 3] in steps of 1/4096 g at 100 Hz, none across recordings; the exercises.

    Skips the test where the recordings are not there.
    """
    windows, names = [], []
    for name, samples in _recordings():
        for start in range(0, len(samples) - n + 1, hop):
            windows.append(samples[start : start + n])
            names.append(name)
    return np.stack(windows), np.array(names)
