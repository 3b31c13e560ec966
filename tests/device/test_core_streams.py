"""Streams in the core: any cuts, and programs made to harm."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from device.harness import NO_DECISION, Core, with_crc
from streams import samples_of, stream_programs
from wingbeat.stream import Stream

each_program = pytest.mark.parametrize("name", list(stream_programs()))
_STREAM_TENSOR, _CHANNELS, _TABLES = 26, 7, 76


def decisions_of(stream: Stream, blocks: list[bytes]) -> list[int]:
    """Return what the core's program answers: a decision, or that none is due."""
    dtype = stream.program.input.dtype
    found = [stream.push(np.frombuffer(block, dtype)) for block in blocks]
    return [NO_DECISION if each is None else each for each in found]


@pytest.mark.parametrize("name", ["motion", "audio", "octets"])
@pytest.mark.parametrize("block", [1, 2, 7, 8, 16, 50, 333])
def test_pushed_blocks_equal_the_reference(core: Core, name: str, block: int) -> None:
    program = stream_programs()[name]
    x = samples_of(program, 40 * block)
    blocks = [part.tobytes() for part in np.split(x, 40)]
    core.load(program.encode(), blocks, push=True)
    (loaded,) = core.results()
    assert loaded.reason == ""
    assert list(loaded.decisions) == decisions_of(Stream(program), blocks)
    # Where nothing is due, the output stays as it is: 0.
    stream = Stream(program)
    for output, part in zip(loaded.outputs, np.split(x, 40), strict=True):
        outputs = stream.results(part).outputs
        assert output == (outputs[-1].tobytes() if len(outputs) else bytes(len(output)))


@each_program
def test_whole_inputs_equal_the_reference(core: Core, name: str) -> None:
    program = stream_programs()[name]
    x = samples_of(program, 60 * program.input.n_elements // program.channels)
    rows = x.reshape(60, *program.input.shape)
    core.load(program.encode(), [row.tobytes() for row in rows])
    (loaded,) = core.results()
    results = Stream(program).run(rows)
    due = [number + 1 in results.ends for number in range(60)]
    assert [decision != NO_DECISION for decision in loaded.decisions] == due
    outputs = [output for output, now in zip(loaded.outputs, due, strict=True) if now]
    assert b"".join(outputs) == results.outputs.tobytes()


@each_program
def test_changed_bytes_under_a_right_checksum_are_refused_or_safe(core: Core, name: str) -> None:
    program = stream_programs()[name]
    good = program.encode()
    size = program.input.n_elements * program.input.dtype.itemsize
    blocks = [part.tobytes() for part in np.split(samples_of(program, 60), 3)]
    blocks = [(block * size)[: size + 3] for block in blocks]
    for at in range(len(good) - 4):
        for mask in (0x01, 0x02, 0x04, 0x10, 0x80, 0xFF):
            changed = good[:at] + bytes([good[at] ^ mask]) + good[at + 1 :]
            core.load(with_crc(changed), blocks, push=True)
    for at in range(0, len(good) - 4, 4):
        for value in (0, 4, 0x7FFFFFFC, 0xFFFFFFFC, 0xFFFFFFFF, len(good)):
            changed = good[:at] + struct.pack("<I", value) + good[at + 4 :]
            core.load(with_crc(changed), blocks, push=True)
    assert {loaded.reason for loaded in core.results()} >= {"", "LAYOUT", "OPERATOR"}


def test_the_count_of_gathered_bytes_is_not_trusted(core: Core) -> None:
    """Tensors that lie over the stream's own write anything there."""
    program = stream_programs()["audio"]
    good = program.encode()
    blocks = [part.tobytes() for part in np.split(samples_of(program, 400), 20)]
    for tensor in range(1, len(program.tensors)):
        for place in range(0, program.arena, 4):
            at = _TABLES + 12 * tensor
            changed = good[:at] + struct.pack("<I", place) + good[at + 4 :]
            core.load(with_crc(changed), blocks, push=True)
    assert {loaded.reason for loaded in core.results()} == {"", "LAYOUT"}


def test_streams_that_are_none_are_refused(core: Core) -> None:
    program = stream_programs()["motion"]
    good = program.encode()
    for index in (1, 2, len(program.tensors), 0xFFFF):
        core.load(_with(good, _STREAM_TENSOR, struct.pack("<H", index)), push=True)
    core.load(_with(good, _CHANNELS, b"\0"), push=True)
    core.load(good, push=True)
    assert [loaded.reason for loaded in core.results()] == ["LAYOUT"] * 5 + [""]


def _with(program: bytes, at: int, value: bytes) -> bytes:
    return with_crc(program[:at] + value + program[at + len(value) :])
