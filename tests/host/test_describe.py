"""Operators in a few words."""

from __future__ import annotations

from nets.files import net
from wingbeat.describe import describe
from wingbeat.net.convert import convert_tflite
from wingbeat.reference import Shift, WindowStats


def test_layers() -> None:
    assert [describe(call.operator) for call in convert_tflite(net("micro_speech")).calls] == [
        "49 x 40 x 1 -> 25 x 20 x 8, kernel 10 x 8, stride 2",
        "4000 -> 4",
        "4 -> 4",
    ]


def test_others() -> None:
    assert describe(WindowStats(10, 3, ("mean", "std"))) == "10 x 3, 2 of each"
    assert describe(Shift(8, 1, "i")) == "8 -> 8"
