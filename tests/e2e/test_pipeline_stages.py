"""Pipelines of all stages in real MicroPython: the laptop's bits, on a stream of any loudness."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from streams import samples_of
from wingbeat.pipeline import parse_pipeline
from wingbeat.runner import push_module
from wingbeat.simulate import same_results, simulate
from wingbeat.stages import PICTURE_STAGES, STAGES
from wingbeat.targets import TARGETS, open_target

RATE = 400
CHANNELS = 4

FILTERED = """
rate = 400
[[stage]]
kind = "scale"
factor = [0.7, 0.9, -0.8, 0.5]
offset = 3
[[stage]]
kind = "filter"
type = "highpass"
cutoff = 4
order = 2
[[stage]]
kind = "channels"
take = [2, 0, 1]
[[stage]]
kind = "fir"
cutoff = 60
taps = 15
[[stage]]
kind = "decimate"
factor = 2
[[stage]]
kind = "window"
length = 128
hop = 32
[[stage]]
kind = "join"
[[stage.branch]]
kind = "statistics"
names = ["mean", "std", "max", "skewness", "kurtosis", "zero_crossings"]
[[stage.branch]]
stage = [{kind = "magnitude"}, {kind = "remove_mean"}, {kind = "power_spectrum", f_max = 30}]
[[stage.branch]]
stage = [{kind = "band_energies", edges = [1, 9, 40, 100], log = false}, {kind = "log2"}]
[[stage.branch]]
stage = [{kind = "difference"}, {kind = "statistics"}]
[[stage.branch]]
kind = "percentiles"
of = [10, 50, 99.5]
[[stage.branch]]
kind = "autocorrelation"
"""

FRAMES = """
rate = 400
[[stage]]
kind = "window"
length = 64
hop = 16
[[stage]]
kind = "join"
[[stage.branch]]
kind = "mfcc"
bands = 12
coefficients = 6
[[stage.branch]]
stage = [{kind = "log_mel", bands = 10, window = "hamming"}, {kind = "peak_normalize"}]
[[stage]]
kind = "window"
length = 10
hop = 3
[[stage]]
kind = "delta"
order = 2
"""


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("text", [FILTERED, FRAMES], ids=["filtered", "frames"])
def test_results_of_the_reference(target: str, text: str) -> None:
    program, _ = parse_pipeline(text, "mine.toml").features(CHANNELS)
    program = replace(program, meta={"rate": float(RATE)})
    x = samples_of(program, 2000)
    expected = simulate(program, x, RATE)
    assert len(expected.times) > 20
    assert len({row.tobytes() for row in expected.outputs}) == len(expected.times)
    with open_target(target) as machine:
        pushed = push_module(machine, program.assemble(machine.arch), x)
    assert same_results(program, pushed, expected) == len(expected.times)


def test_all_stages_are_tried() -> None:
    found = set(re.findall(r'kind = "(\w+)"', FILTERED + FRAMES))
    assert set(STAGES) - {each.KIND for each in PICTURE_STAGES} <= found
