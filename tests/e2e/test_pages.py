"""Pages show what their examples print."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

import pytest
from docs.record import record
from models.streams import data_file

ROOT = Path(__file__).parents[2]
# These depend on the versions of the C compiler and of Python's packages, and on free ports.
VARIES = re.compile(
    r"\b\d[\d,.]* bytes|│ +\d+ │|─┼─|heap|hash|bytes|sha256|versions?:|\b\d+\.\d+\.\d+\b"
    r"|µs per run"
)

PAGES = (
    "README.md",
    "docs/commands.md",
    "docs/board.md",
    "docs/nets.md",
    "docs/streams.md",
    "docs/sounds.md",
    "docs/images.md",
    "examples/air_quality/README.md",
    "examples/motion/README.md",
    "examples/vibration_anomaly/README.md",
    "examples/sound_event/README.md",
    "examples/wake/README.md",
)
NEEDS = {
    "examples/air_quality/README.md": "AirQualityUCI.csv",
    "examples/sound_event/README.md": "spoken_digits.zip",
    "examples/wake/README.md": "spoken_digits.zip",
}
"""Data files that are not in the project."""


@pytest.mark.parametrize("name", PAGES)
def test_recorded_output(name: str) -> None:
    if name in NEEDS and data_file(NEEDS[name]) is None:
        pytest.skip(f"needs {NEEDS[name]}")
    page = (ROOT / name).read_text()
    difference = difflib.unified_diff(
        page.splitlines(), record(page).splitlines(), n=0, lineterm=""
    )
    changed = [line for line in difference if not line.startswith(("---", "+++", "@@"))]
    assert [line for line in changed if not VARIES.search(line)] == []
