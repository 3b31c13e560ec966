"""The page about a trained pipeline, in a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile
from typer.testing import CliRunner

from tones import TONES, tones
from wingbeat.cli import app

CHROMIUM = (
    *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--hide-scrollbars", "--window-size=1000,2400"),
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From a folder of .wav files, as a user makes it; noise makes some windows hard."""
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(2)
    for number, item in enumerate(tones().items):
        path = folder / "data" / item.label / f"{item.group.replace(' ', '-')}_{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = rng.normal(0, 8000 if number % 3 == 0 else 100, item.data.shape)
        wavfile.write(path, 1000, np.clip(item.data / 8 + noise, -32768, 32767).astype(np.int16))
    after = "[after]\nthreshold = 0.6\nhold_off = 1\n"
    (folder / "tones.toml").write_text(TONES.format(kind="log_mel") + after)
    arguments = ["train", folder / "data", "--pipeline", folder / "tones.toml"]
    arguments += ["--group-pattern", r"device-\d", "-o", folder / "tones.wbp"]
    result = CliRunner().invoke(app, [*map(str, arguments), "--report", str(folder / "tones.html")])
    assert result.exit_code == 0, result.output
    return folder / "tones.html"


def browsed(page: Path, *options: str) -> str:
    assert shutil.which("chromium"), "chromium is not installed: run make setup"
    profile = page.parent / "profile"
    command = [*CHROMIUM, f"--user-data-dir={profile}", *options, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return done.stdout


def test_page_needs_nothing_else(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"(?:src|href)=\"(?!data:)[^\"]*\"|@import|url\(", text) == []


def test_page_says_what_there_is_to_know(page: Path) -> None:
    text = re.sub(r"<[^>]*>", " ", browsed(page, "--dump-dom"))
    for part in (
        "How well",
        "right of",
        "Detections",
        "a class starts at 0.6 and ends below 0.6, at most one start in 1 s",
        "Where does it fail, for whom?",
        "device-",
        "What it looks at",
        "Windows that it gets wrong",
        "Raspberry Pi Pico",
        "power_spectrum",
        "wingbeat",
    ):
        assert part in text, part


def test_page_is_drawn(page: Path) -> None:
    shot = page.parent / "page.png"
    browsed(page, f"--screenshot={shot}")
    pixels = np.asarray(Image.open(shot).convert("RGB")).reshape(2400, 1000, 3)
    blue = (pixels[..., 2] > pixels[..., 0].astype(int) + 60).mean()
    ink = (pixels.max(axis=2) < 90).mean()
    assert blue > 0.005
    assert 0.002 < ink < 0.2
