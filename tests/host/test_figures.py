"""Pages have the figures of bench/baseline.json."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASELINE: Mapping[str, Mapping[str, float]] = json.loads(
    (ROOT / "bench" / "baseline.json").read_text()
)
KWS, SMALL_KWS, FOREST = "KWS, 2.66 M MAC", "KWS, --prefer size", "digits forest, uint8"
TOLERANCE = 0.01
"""Pages round, and a few bytes of texts come and go."""

NETS = {
    "KWS, 2,656,768 MAC": KWS,
    "KWS, `--prefer size`": SMALL_KWS,
    "AD, 264,192": "AD, 264 k MAC",
    "micro_speech, 336,000": "micro_speech, 336 k MAC",
    "MNIST, about 52,000": "MNIST, 52 k MAC",
}
PRODUCTS = {KWS: 2_656_768, SMALL_KWS: 2_656_768}
FIGURES = (
    ("README.md", r"takes ([\d.]+) million cycles on the emulated", KWS, "cycles_rp2040", 1e6),
    ("README.md", r"cycles on the emulated RP2040, (\d+) ms at", KWS, "cycles_rp2040", 125e3),
    ("README.md", r"is a file of ([\d.]+) KB", FOREST, "file_bytes", 1e3),
    ("README.md", r"called from Python takes ([\d,]+) cycles", FOREST, "cycles_rp2040", 1),
    ("README.md", r"([\d,]+) of them in its kernel", FOREST, "cycles", 1),
    ("docs/nets.md", r"KWS, the net below: ([\d.]+) KB instead", SMALL_KWS, "file_bytes", 1e3),
    ("docs/nets.md", r"KWS, the net below: [\d.]+ KB instead of ([\d.]+)", KWS, "file_bytes", 1e3),
    ("CHANGELOG.md", r"file for a Pico ([\d.]+) KB", SMALL_KWS, "file_bytes", 1e3),
    ("CHANGELOG.md", r"file for a Pico [\d.]+ KB instead of ([\d.]+)", KWS, "file_bytes", 1e3),
    ("DESIGN.md", r"\*\*file\*\* \| \*\*([\d,]+)\*\*", KWS, "file_bytes", 1),
    ("DESIGN.md", r"\*\*file\*\* \| \*\*[\d,]+\*\* \| \*\*([\d,]+)", SMALL_KWS, "file_bytes", 1),
    ("DESIGN.md", r"at ([\d.]+) M cycles instead", SMALL_KWS, "cycles_rp2040", 1e6),
    ("DESIGN.md", r"M cycles instead of ([\d.]+) M", KWS, "cycles_rp2040", 1e6),
    ("bench/README.md", r"\| cycles for a row \| ([\d,]+)", FOREST, "cycles", 1),
    ("bench/README.md", r"\| file \| ([\d,]+) B", FOREST, "file_bytes", 1),
    ("bench/README.md", r"takes ([\d,]+) cycles there for uint8", FOREST, "cycles_rp2040", 1),
    (
        "bench/README.md",
        r"real FFT and power[^|]*\| ([\d,]+)",
        "FFT and power, 512 points",
        "cycles",
        1,
    ),
    ("bench/README.md", r"log-mel[^|]*\| ([\d,]+)", "log-mel, 512 points, 40 bands", "cycles", 1),
    ("bench/README.md", r"biquad[^|]*\| ([\d.]+)", "biquad, 500 samples", "cycles", 500),
    (
        "bench/README.md",
        r"motion preset[^|]*\| ([\d,]+)",
        "motion stream, 6 channels",
        "worst_rp2040",
        1,
    ),
    (
        "bench/README.md",
        r"audio preset, a push[^|]*\| ([\d,]+)",
        "audio stream, preset",
        "cycles_rp2040",
        1,
    ),
)


def _number(text: str) -> float:
    return float(text.replace(",", ""))


@pytest.mark.parametrize(("page", "pattern", "workload", "figure", "unit"), FIGURES)
def test_figure(page: str, pattern: str, workload: str, figure: str, unit: float) -> None:
    (written,) = re.findall(pattern, (ROOT / page).read_text(encoding="utf-8"))
    assert _number(written) == pytest.approx(BASELINE[workload][figure] / unit, rel=TOLERANCE)


@pytest.mark.parametrize("title", NETS)
def test_table_of_nets(title: str) -> None:
    """Cycles, bytes, and instructions for each product of the nets in bench/README.md."""
    page = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith(f"| {title} |"))
    cycles, _, _, file, m4, rv32, xtensa = (cell.strip() for cell in row.split("|")[2:-1])
    measured = BASELINE[NETS[title]]
    products = PRODUCTS.get(NETS[title]) or _number(re.findall(r"[\d,]+$", title)[0])
    shown = {
        "cycles_rp2040": _number(cycles),
        "file_bytes": _number(file),
        "instructions_m4": _number(m4) * products,
        "instructions_rv32": _number(rv32) * products,
        "instructions_xtensa": _number(xtensa) * products,
    }
    assert shown == pytest.approx({name: measured[name] for name in shown}, rel=TOLERANCE)
