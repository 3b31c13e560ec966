"""Small forms of nets: other kernels, the same numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wingbeat.boards import board_named
from wingbeat.check import fastest_for
from wingbeat.net.convert import convert_tflite
from wingbeat.prefer import fastest, small_form, wide_form
from wingbeat.reference import AveragePool
from wingbeat.reference.mean import mean_of_pool
from wingbeat.reference.pool import pool2d

NETS = Path(__file__).resolve().parents[1] / "data" / "nets"


def test_small_form_of_kws_gives_the_same_with_shorter_kernels() -> None:
    program = convert_tflite(NETS / "kws.tflite")
    choice = small_form(program)
    assert choice is not None
    x = np.random.default_rng(1).integers(-128, 128, (20, *program.input.shape)).astype(np.int8)
    assert np.array_equal(choice.program.run(x), program.run(x))
    before, after = (
        {call.operator.KERNEL for call in each.calls} for each in (program, choice.program)
    )
    assert set(choice.without) == before - after
    assert set(choice.instead) == after - before
    small, fast = (len(each.assemble("armv6m").data) for each in (choice.program, program))
    assert choice.bytes_saved("armv6m") > 1500
    # The module's table of kernels has a row less, and kernels are aligned.
    assert abs(fast - small - choice.bytes_saved("armv6m")) < 48
    assert all(trade.cycles is not None for trade in choice.trades)
    assert "dense" in choice.trades[-1].what or "64" in choice.trades[-1].what


@pytest.mark.parametrize("shape", [(25, 5, 64), (4, 4, 3), (1, 1, 7), (3, 2, 1), (7, 7, 12)])
def test_pools_over_whole_maps_are_means(shape: tuple[int, int, int]) -> None:
    pool = pool2d(average=True, shape=shape, kernel=shape[:2], stride=(1, 1))
    assert isinstance(pool, AveragePool)
    as_mean = mean_of_pool(pool)
    assert as_mean is not None
    rng = np.random.default_rng(2)
    x = rng.integers(-128, 128, (200, *shape), np.int8)
    x[:100] //= rng.integers(1, 64, (100, 1, 1, 1), np.int8)
    rows = x.reshape(200, -1)
    assert np.array_equal(as_mean.apply(rows)[0], pool.apply(rows)[0])


def test_other_pools_are_no_means() -> None:
    relu = pool2d(average=True, shape=(4, 4, 2), kernel=(4, 4), stride=(1, 1), low=0)
    part = pool2d(average=True, shape=(4, 4, 2), kernel=(2, 4), stride=(1, 1))
    for pool in (relu, part):
        assert isinstance(pool, AveragePool)
        assert mean_of_pool(pool) is None


def test_nets_without_convolutions_have_one_form() -> None:
    assert small_form(convert_tflite(NETS / "ad.tflite")) is None


def test_wide_form_of_kws_gives_the_same_where_halves_of_words_are_multiplied() -> None:
    program = convert_tflite(NETS / "kws.tflite")
    choice = wide_form(program, "armv7emsp")
    assert choice is not None
    assert fastest(program, "armv7emsp").hash == choice.program.hash
    x = np.random.default_rng(1).integers(-128, 128, (20, *program.input.shape)).astype(np.int8)
    assert np.array_equal(choice.program.run(x), program.run(x))
    assert [trade.layer for trade in choice.trades] == [0, 2, 4, 6, 8]
    # A byte more for each of 4 times 64 x 64 weights and 40 x 64 of the first layer; 8 bytes more
    # for each of the 5 times 64 channels, less a head of scales.
    weights, channels = 4 * 64 * 64 + 40 * 64, 5 * 64
    more = sum(trade.program_bytes for trade in choice.trades)
    assert abs(more - weights - 8 * channels) < 5 * 10
    assert all(trade.cycles is not None and trade.cycles < -100_000 for trade in choice.trades)
    wide, plain = (len(each.assemble("armv7emsp").data) for each in (choice.program, program))
    assert abs(wide - plain + choice.bytes_saved("armv7emsp")) < 32
    assert choice.program.meta["layers"] == program.meta["layers"]
    assert choice.program.arena <= program.arena + 64


def test_other_processors_have_no_wide_form() -> None:
    program = convert_tflite(NETS / "kws.tflite")
    for arch in ("armv6m", "armv7m", "rv32imc", "xtensawin", "x64"):
        assert wide_form(program, arch) is None
        assert fastest(program, arch) is program


def test_programs_get_wide_weights_on_boards_with_room() -> None:
    program = convert_tflite(NETS / "kws.tflite")
    board = board_named("pico2")
    for heap, wide in ((board.heap, True), (None, True), (70_000, False)):
        module = fastest_for(program, replace(board, heap=heap))
        assert ("conv_pairs" in module.kernel_sizes) is wide
    assert "conv_pairs" not in fastest_for(program, board_named("pico")).kernel_sizes
