"""Nets on the command line: from .tflite to a module, what `info` tells, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nets.files import FOLDER, net
from tflm import Operation, Tensor, model_bytes
from wingbeat.boards import board_named
from wingbeat.cli import app
from wingbeat.net.convert import convert_tflite
from wingbeat.program import Program

HELLO = FOLDER / "hello_world.tflite"
WORDS = FOLDER / "micro_speech.tflite"


def run(*args: object) -> Any:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def ok(*args: object) -> str:
    result = run(*args)
    assert result.exit_code == 0, result.stderr
    return str(result.stdout)


def fails(code: int, *args: object) -> str:
    result = run(*args)
    assert result.exit_code == code, (result.exit_code, result.stderr)
    assert "Traceback" not in result.stderr
    return str(result.stderr)


def test_convert_makes_a_module(tmp_path: Path) -> None:
    out = tmp_path / "hello.mpy"
    assert "int8[1], step 0.0244801, zero at -128" in ok(
        "convert", HELLO, "-o", out, "--board", "pico"
    )
    assert out.stat().st_size < 8000


def test_info_tells_scales_and_layers(tmp_path: Path) -> None:
    out = tmp_path / "words.wbp"
    ok("convert", WORDS, "-o", out, "--labels", "silence,unknown,yes,no")
    document = json.loads(ok("info", out, "--json"))
    assert document["input"]["scale"] == pytest.approx(0.10171568)
    assert document["input"]["zero_point"] == -128
    assert document["output"]["scale"] == 1 / 256
    assert document["output"]["zero_point"] == -128
    assert document["decision"] == "argmax"
    assert document["operators"][0]["layer"] == "DEPTHWISE_CONV_2D (Relu)"
    assert document["meta"] == {"source": "micro_speech.tflite"}
    text = ok("info", out)
    assert "input int8[1960], step 0.101716, zero at -128" in text
    assert "Relu" in text
    assert Program.load(out).encode() == convert_tflite(net("micro_speech")).encode()


def test_options_of_other_models_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "hello.wbp"
    message = fails(2, "convert", HELLO, "-o", out, "--dtype", "int8", "--output-scale", "1")
    assert "is a net, whose numbers are fixed: drop --dtype, --output-scale" in message
    ok("convert", HELLO, "-o", out)
    assert "drop --io" in fails(2, "convert", out, "-o", tmp_path / "b.wbp", "--io", "float")


def test_nets_that_cannot_be_converted(tmp_path: Path) -> None:
    x, y = Tensor((1, 2), "float32"), Tensor((1, 2), "float32", name="up")
    path = tmp_path / "net.tflite"
    path.write_bytes(model_bytes([Operation("ABS", [x], [y])], [x], [y]))
    message = fails(1, "convert", path, "-o", tmp_path / "net.wbp")
    assert "net.tflite: The net computes in float32" in message
    assert "converter.representative_dataset = " in message
    path.write_bytes(net("mnist")[:5000])
    assert "net.tflite: the .tflite file is damaged" in fails(
        1, "convert", path, "-o", tmp_path / "net.wbp"
    )


def test_a_net_is_no_program_yet() -> None:
    for command in (("check", HELLO, "--board", "pico"), ("info", HELLO)):
        message = fails(2, *command)
        assert "is a trained model: expected a .mpy or .wbp file. Make one of it: " in message
        assert "wingbeat convert" in message


def test_a_net_runs_from_its_file(tmp_path: Path) -> None:
    out = tmp_path / "words.mpy"
    ok("convert", WORDS, "-o", out, "--arch", "x64", "--labels", "silence,unknown,yes,no")
    answers, words = tmp_path / "answers.npy", FOLDER / "micro_speech_words.npy"
    ok("run", out, words, answers, "--on", "unix", "--predict")
    assert np.load(answers).tolist() == [2, 3, 0, 0]


def test_what_size_costs_and_buys(tmp_path: Path) -> None:
    out, kws = tmp_path / "kws.mpy", FOLDER / "kws.tflite"
    fast, small = (
        json.loads(ok("convert", kws, "-o", out, "--board", "pico", "--prefer", each, "--json"))
        for each in ("speed", "size")
    )
    prefer = small["prefer"]
    assert (fast["prefer"]["chosen"], prefer["chosen"]) == ("speed", "size")
    assert prefer["kernels_instead"] == ["conv_small", "mean"]
    assert set(small["bytes"]["kernels"]) == {"conv_small", "mean", "softmax8"}
    # Links of two kernels, and the alignment of all.
    saved = fast["bytes"]["file"] - small["bytes"]["file"]
    assert abs(prefer["bytes_of_size"] + saved) < 64
    assert [layer["layer"] for layer in prefer["layers"]] == list(range(11))
    assert prefer["cycles_of_size"] == sum(layer["cycles"] for layer in prefer["layers"]) > 0
    text = " ".join(ok("convert", kws, "-o", out, "--board", "pico", "--prefer", "size").split())
    assert f"prefers size: {prefer['bytes_of_size']:+,} bytes and +" in text
    assert "by a small kernel" in text
    text = ok("convert", kws, "-o", out, "--board", "pico")
    assert "prefers speed; --prefer size would be" in " ".join(text.split())


def test_wide_weights_where_the_heap_has_room(tmp_path: Path) -> None:
    out = tmp_path / "kws.mpy"
    kws = FOLDER / "kws.tflite"
    for options, chosen, kernel in (
        (("--board", "pico2"), True, "conv_pairs"),
        (("--arch", "armv7emsp"), True, "conv_pairs"),
        (("--board", "pico2", "--prefer", "size"), False, None),
    ):
        document = json.loads(ok("convert", kws, "-o", out, *options, "--json"))
        assert document["wide"]["chosen"] is chosen
        assert document["wide"]["bytes"] > 19_000
        assert document["wide"]["instructions"] < -1_000_000
        assert [layer["layer"] for layer in document["wide"]["layers"]] == [0, 2, 4, 6, 8]
        assert ("conv_pairs" in document["bytes"]["kernels"]) is (kernel is not None)
    text = " ".join(ok("convert", kws, "-o", out, "--board", "pico2").split())
    assert "wide weights yes: +2" in text
    assert json.loads(ok("convert", kws, "-o", out, "--board", "pico", "--json"))["wide"] is None


def test_no_wide_weights_where_they_do_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(board_named("pico2"), heap=70_000)
    monkeypatch.setattr("wingbeat.boards.boards", lambda: {"pico2": small})
    out = tmp_path / "kws.mpy"
    for options in ((), ("--prefer", "speed")):
        document = json.loads(
            ok("convert", FOLDER / "kws.tflite", "-o", out, "--board", "pico2", "--json", *options)
        )
        assert not document["wide"]["chosen"]
        assert "conv_pairs" not in document["bytes"]["kernels"]
