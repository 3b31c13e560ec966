"""The loader and the operator walk against the Python definition, and against damaged programs."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from device.harness import Core, with_crc
from programs import programs, rows_of, small_programs
from wingbeat.program import Decision, Program

_TABLES = 28 + 2 * 24  # header and two descriptors
_MASKS = (0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF)


@pytest.mark.parametrize("name", list(programs()))
def test_programs_equal_the_reference(core: Core, name: str) -> None:
    program = programs()[name]
    rows = rows_of(program, 40)
    core.load(program.encode(), [row.tobytes() for row in rows])
    (loaded,) = core.results()
    assert loaded.reason == ""
    outputs = np.frombuffer(b"".join(loaded.outputs), program.output.dtype)
    assert np.array_equal(outputs.reshape(len(rows), *program.output.shape), program.run(rows))
    if program.decision is not Decision.NONE:
        assert list(loaded.decisions) == program.predict(rows).tolist()
    assert Program.decode(program.encode(), program.name).encode() == program.encode()


@pytest.mark.parametrize("name", list(small_programs()))
def test_every_damaged_byte_is_refused(core: Core, name: str) -> None:
    good = small_programs()[name].encode()
    for at in range(len(good)):
        for mask in _MASKS:
            core.load(_flipped(good, at, mask))
    assert "" not in {loaded.reason for loaded in core.results()}


@pytest.mark.parametrize("name", list(small_programs()))
def test_every_changed_byte_under_a_right_checksum_is_refused_or_safe(
    core: Core, name: str
) -> None:
    """What the checksum would catch first: a program that somebody made on purpose."""
    program = small_programs()[name]
    good = program.encode()
    rows = [row.tobytes() for row in rows_of(program, 3)]
    for at in range(len(good) - 4):
        for mask in _MASKS:
            core.load(with_crc(_flipped(good, at, mask)), rows)
    for at in range(0, len(good) - 4, 2):
        for value in (0, 1, 2, 4, 0xFF, 0x7FFF, 0xFFFE, 0xFFFF):
            changed = good[:at] + struct.pack("<H", value) + good[at + 2 :]
            core.load(with_crc(changed), rows)
    for at in range(0, len(good) - 4, 4):
        for value in (0x7FFFFFFC, 0x80000000, 0xFFFFFFF8, 0xFFFFFFFC, 0xFFFFFFFF, len(good)):
            changed = good[:at] + struct.pack("<I", value) + good[at + 4 :]
            core.load(with_crc(changed), rows)
    refused = {loaded.reason for loaded in core.results()}
    assert refused >= {"", "MAGIC", "VERSION", "LAYOUT", "OPERATOR"}


@pytest.mark.parametrize("name", list(small_programs()))
def test_every_truncation_is_refused(core: Core, name: str) -> None:
    good = small_programs()[name].encode()
    for size in range(len(good)):
        core.load(good[:size])
        # As if it had always been that short: header and checksum say so.
        if size >= 12:
            shorter = good[:8] + struct.pack("<I", size) + good[12:size]
            core.load(with_crc(shorter))
    assert "" not in {loaded.reason for loaded in core.results()}


def test_reasons_name_what_is_wrong(core: Core) -> None:
    good = small_programs()["chain"].encode()
    for changed in (
        good + bytes(40),
        good[:-4],
        b"WGNC" + good[4:],
        _flipped(good, 4, 3),
        _flipped(good, len(good) - 1, 1),
        with_crc(_flipped(good, 16, 0xFF)),
        with_crc(_flipped(good, _first_call(good), 0x80)),
        b"",
    ):
        core.load(changed)
    expected = ["", "TRUNCATED", "MAGIC", "VERSION", "CHECKSUM", "LAYOUT", "KERNEL", "TRUNCATED"]
    assert [loaded.reason for loaded in core.results()] == expected


def test_an_arena_larger_than_memory_is_refused(core: Core) -> None:
    """On 32 bits, its size and that of the model's own record would add up to a small number."""
    good = small_programs()["chain"].encode()
    for arena in (0xFFFFFFFC, 0xFFFFFF00, 0x80000000):
        core.load(with_crc(good[:12] + struct.pack("<I", arena) + good[16:]))
    assert [loaded.reason for loaded in core.results()] == ["LAYOUT"] * 3


def test_tensors_may_share_memory_in_any_way(core: Core) -> None:
    """Operands that overlap give nonsense, but nothing outside of the arena changes."""
    program = small_programs()["chain"]
    rows = [row.tobytes() for row in rows_of(program, 3)]
    good = program.encode()
    first = _TABLES
    for tensor in range(1, len(program.tensors)):
        for place in range(0, program.arena, 4):
            at = first + 12 * tensor
            core.load(with_crc(good[:at] + struct.pack("<I", place) + good[at + 4 :]), rows)
    assert {loaded.reason for loaded in core.results()} == {"", "LAYOUT"}


def _flipped(program: bytes, at: int, mask: int) -> bytes:
    return program[:at] + bytes([program[at] ^ mask]) + program[at + 1 :]


def _first_call(program: bytes) -> int:
    (n_tensors,) = struct.unpack_from("<H", program, 16)
    return _TABLES + 12 * int(n_tensors)
