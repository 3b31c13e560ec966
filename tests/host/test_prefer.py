"""Small forms of nets: other kernels, the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wingbeat.net.convert import convert_tflite
from wingbeat.prefer import small_form

NETS = Path(__file__).resolve().parents[1] / "data" / "nets"


def test_small_form_of_kws_gives_the_same_with_a_kernel_less() -> None:
    program = convert_tflite(NETS / "kws.tflite")
    choice = small_form(program)
    assert choice is not None
    x = np.random.default_rng(1).integers(-128, 128, (20, *program.input.shape)).astype(np.int8)
    assert np.array_equal(choice.program.run(x), program.run(x))
    kernels = {call.operator.KERNEL for call in choice.program.calls}
    assert kernels == {call.operator.KERNEL for call in program.calls} - {"dense"}
    small, fast = (len(each.assemble("armv6m").data) for each in (choice.program, program))
    assert choice.bytes_saved("armv6m") > 1000
    # The module's table of kernels has a row less.
    assert abs(fast - small - choice.bytes_saved("armv6m")) < 32
    (trade,) = choice.trades
    assert trade.cycles is not None
    assert 0 < trade.cycles < 20_000
    assert "dense" in trade.what or "64" in trade.what


def test_nets_without_convolutions_have_one_form() -> None:
    assert small_form(convert_tflite(NETS / "ad.tflite")) is None
