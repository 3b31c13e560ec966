"""The arena over the operators: live bytes, what each operator does with memory, the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from programs import programs, small_model
from streams import stream_programs
from wingbeat.memory import Use, blocks, drawn, live_bytes, uses
from wingbeat.plots import arena_over_operators
from wingbeat.program import Decision, Descriptor, Program, ProgramBuilder
from wingbeat.reference import Lookup, Shift


def branches() -> Program:
    """a = x >> 1; b = x >> 2; c = a >> 1. It takes least to run c before b; both are kept."""
    builder = ProgramBuilder(Descriptor("i", (8,)))
    a = builder.add(Shift(8, 1, "i"), 0)
    b = builder.add(Shift(8, 2, "H"), 0)
    return builder.finish("branches", b, Decision.NONE, builder.add(Shift(8, 1, "H"), a))


def in_place() -> Program:
    builder = ProgramBuilder(Descriptor("b", (64,)))
    table = Lookup(np.arange(256).astype(np.int8), 64)
    x = 0
    for _ in range(3):
        x = builder.add(table, x)
    return builder.finish("tables", x, Decision.NONE)


def test_blocks_and_live_bytes() -> None:
    program = branches()
    assert [(b.tensor, b.size, b.first, b.last) for b in blocks(program)] == [
        (1, 32, 0, 1),
        (2, 16, 2, 3),
        (3, 16, 1, 3),
    ]
    assert live_bytes(program) == [32, 48, 32]
    assert program.arena == 48


@pytest.mark.parametrize(
    "program",
    [*programs().values(), small_model(), *stream_programs().values()],
    ids=lambda p: p.name,
)
def test_the_most_that_is_alive_is_the_arena(program: Program) -> None:
    assert max(live_bytes(program)) == program.arena


def test_what_a_stream_keeps_is_always_alive() -> None:
    program = stream_programs()["audio"]
    persistent = program.persistent_tensors
    kept = [block for block in blocks(program) if block.tensor in persistent]
    assert len(kept) == len(persistent) == 5
    assert {(block.first, block.last) for block in kept} == {(0, len(program.calls))}
    assert min(live_bytes(program)) >= sum(block.size for block in kept)


def test_uses() -> None:
    program = branches()
    assert [use for _, use in uses(program, 0)] == [Use.WRITTEN]
    assert [use for _, use in uses(program, 1)] == [Use.READ, Use.WRITTEN]
    assert [use for _, use in uses(program, 2)] == [Use.WRITTEN, Use.HELD]


def test_in_place() -> None:
    program = in_place()
    assert program.arena == 64
    assert live_bytes(program) == [64, 64, 64]
    assert drawn(program, 4) == ["wwww", "bbbb", "bbbb"]


def test_drawn_to_scale() -> None:
    program = branches()
    first, second, third = drawn(program, 24)
    assert sorted(first) == ["."] * 8 + ["w"] * 16
    assert sorted(second) == ["r"] * 16 + ["w"] * 8
    assert sorted(third) == ["-"] * 8 + ["."] * 8 + ["w"] * 8
    # A block that is smaller than a character still gets one.
    assert sorted(drawn(small_model(), 3)[-1])[-1] == "w"


def test_picture(tmp_path: Path) -> None:
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    arena_over_operators(in_place(), one)
    arena_over_operators(in_place(), other)
    assert one.read_bytes() == other.read_bytes()
    assert one.read_bytes().startswith(b"\x89PNG")
    arena_over_operators(branches(), other)
    assert one.read_bytes() != other.read_bytes()
