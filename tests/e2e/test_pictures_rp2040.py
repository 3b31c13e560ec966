"""From a folder of photographs to the emulated Pico, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from photos import write
from wingbeat.cli import app
from wingbeat.program import Program
from wingbeat.runner import run_module
from wingbeat.targets import open_target

CAMERA = """
input = "image"
pixels = "rgb565-swapped"
size = [120, 160]
[[stage]]
kind = "grey"
[[stage]]
kind = "downscale"
size = [20, 20]
[[stage]]
kind = "normalise"
[model]
kind = "mlp"
hidden = [24]
epochs = 150
"""
CLOCK = 125e6
ALLOWED_MS = 3.2


def wingbeat(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write(folder / "photos", 500)
    (folder / "camera.toml").write_text(CAMERA)
    return folder


def test_a_camera_s_frames_on_the_emulated_pico(folder: Path) -> None:
    asked = ("--pipeline", folder / "camera.toml", "--save-test", folder / "test.npy")
    page = folder / "page.html"
    result = wingbeat(
        "train", folder / "photos", "-o", folder / "digits.wbp", *asked, "--report", page, "--json"
    )
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["report"]["accuracy"] > 0.85
    program = Program.load(folder / "digits.wbp")
    assert str(program.input) == "uint16[120, 160]"
    frames = np.load(folder / "test.npy")
    assert frames.shape == (document["test_rows"], 120, 160)
    # The camera's frame is the caller's; the arena holds what is made of it.
    assert program.arena < 3000
    some = frames[:: len(frames) // 12]
    with open_target("rp2040") as target:
        run = run_module(target, program.assemble(target.arch), some, predict=False)
    np.testing.assert_array_equal(run.outputs, program.run(some))
    assert run.ticks is not None
    assert run.ticks / CLOCK * 1e3 < ALLOWED_MS
    text = page.read_text()
    assert "Pictures that it gets wrong" in text
    assert text.count("taken for") >= 2 * 3
    assert "windows" not in text


def test_the_preset_on_the_emulated_pico(folder: Path) -> None:
    asked = ("--pipeline", "image", "--model", "forest", "--save-test", folder / "grey.npy")
    result = wingbeat("train", folder / "photos", "-o", folder / "preset.wbp", *asked)
    assert result.exit_code == 0, result.output
    assert "a picture of grey" in result.output
    ran = wingbeat(
        "run", folder / "preset.wbp", folder / "grey.npy", folder / "out.npy", "--on", "unix"
    )
    assert ran.exit_code == 0, ran.output
    frames = np.load(folder / "grey.npy")
    assert f"identical: {len(frames)}/{len(frames)}" in ran.output
    np.save(folder / "few.npy", frames[:8])
    ran = wingbeat(
        "run", folder / "preset.wbp", folder / "few.npy", folder / "out.npy", "--on", "rp2040"
    )
    assert "identical: 8/8" in ran.output, ran.output


def test_what_is_not_for_pictures_is_refused(folder: Path) -> None:
    photos = folder / "photos"
    for words, message in (
        (("--pipeline", "image", "--channels", "a"), "--channels: for samples over time"),
        (("--pipeline", "image", "--rate", "3"), "--rate: for samples over time"),
        (("--pipeline", "motion"), "found only .png"),
    ):
        result = wingbeat("train", photos, "-o", folder / "x.wbp", *words)
        assert result.exit_code in (1, 2)
        assert message in " ".join(result.output.split())
    result = wingbeat("simulate", folder / "preset.wbp", folder / "few.npy")
    assert "one input a run, not a stream" in " ".join(result.output.split())
