"""Programs: bytes and files that come back the same, and damage that is always noticed."""

from __future__ import annotations

import contextlib
import json
import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)

from wingbeat.convert import convert
from wingbeat.errors import FormatError, UsageError
from wingbeat.plan import ALIGNMENT
from wingbeat.program import FORMAT_VERSION, MAGIC, Decision, Descriptor, Program, ProgramBuilder
from wingbeat.reference import OPCODES, Cast, Probability, Shift, WindowStats

ODD_LABELS = ["", "läuft", 'quo"te']
ODD_META = {"a": [1, 2.5, None], "ö": {"b": True}}


@cache
def programs() -> dict[str, Program]:
    x, y = datasets.load_iris(return_X_y=True)
    whole = (x * 10).round()
    window = WindowStats(12, 2, ("mean", "std"))
    found = {
        "votes": convert(
            RandomForestClassifier(3, max_depth=3, random_state=0).fit(x, y),
            name="votes",
            rows=x,
            labels=ODD_LABELS,
            meta=ODD_META,
        ),
        "wide": convert(
            RandomForestClassifier(3, max_depth=3, random_state=0).fit(x, y), name="wide"
        ),
        "binary": convert(GradientBoostingClassifier(n_estimators=2).fit(x, y > 0), name="binary"),
        "softmax": convert(HistGradientBoostingClassifier(max_iter=2).fit(x, y), name="softmax"),
        "values": convert(
            RandomForestRegressor(3, max_depth=3, random_state=0).fit(x, x[:, 0]), name="values"
        ),
        "window": convert(
            RandomForestClassifier(3, max_depth=3, random_state=0).fit(whole, y),
            name="window",
            features=window,
            input_shape=(12, 2),
        ),
    }
    builder = ProgramBuilder(Descriptor("B", (300,)))
    cast = builder.add(Cast(300, "B"), 0)
    builder.add(Cast(300, "B"), 0)
    found["cast"] = builder.finish("cast", cast, Decision.NONE, shape=(3, 100), zero_point=-7)
    return found


NAMES = ("votes", "wide", "binary", "softmax", "values", "window", "cast")


@pytest.fixture(params=NAMES)
def program(request: pytest.FixtureRequest) -> Program:
    return programs()[request.param]


def some_rows(program: Program, n_rows: int) -> NDArray[Any]:
    rng = np.random.default_rng(0)
    shape = (n_rows, *program.input.shape)
    if program.input.dtype.kind == "f":
        return rng.uniform(0, 8, shape).astype(np.float32)
    limits = np.iinfo(program.input.dtype)
    return rng.integers(limits.min, limits.max, shape, program.input.dtype, endpoint=True)


def sealed(data: bytes) -> bytes:
    """With the right checksum."""
    return data[:-4] + struct.pack("<I", zlib.crc32(data[:-4]))


# ---- Bytes


def test_bytes_come_back(program: Program) -> None:
    data = program.encode()
    found = Program.decode(data, program.name, program.labels, program.meta)
    assert found.encode() == data
    assert found.hash == program.hash
    for field in ("name", "labels", "meta", "tensors", "input", "output", "arena"):
        assert getattr(found, field) == getattr(program, field), field
    assert (found.decision, found.output_tensor) == (program.decision, program.output_tensor)
    assert found.decision_tensor == program.decision_tensor
    assert [call.operands for call in found.calls] == [call.operands for call in program.calls]
    x = some_rows(program, 50)
    assert np.array_equal(found.run(x), program.run(x))


def test_layout_that_the_loader_relies_on(program: Program) -> None:
    data = program.encode()
    assert data[:4] == MAGIC == b"WGNB"
    version, decision, size, arena = struct.unpack_from("<HBxII", data, 4)
    assert (version, decision) == (FORMAT_VERSION, program.decision)
    assert size == len(data)
    assert size % 4 == 0
    assert arena == program.arena
    assert arena % ALIGNMENT == 0
    assert zlib.crc32(data[:-4]) == struct.unpack("<I", data[-4:])[0]
    placed = [tensor for tensor in program.tensors if tensor.place is not None]
    assert program.tensors[0].place is None
    assert len(placed) == len(program.tensors) - 1
    assert all(tensor.place % ALIGNMENT == 0 for tensor in placed if tensor.place is not None)
    assert max(t.place + t.size for t in placed if t.place is not None) <= arena


def test_input_and_output_of_one_call_do_not_overlap(program: Program) -> None:
    for call in program.calls:
        spans = [
            (tensor.place, tensor.place + tensor.size)
            for tensor in (program.tensors[index] for index in call.operands)
            if tensor.place is not None
        ]
        spans.sort()
        assert all(a[1] <= b[0] for a, b in pairwise(spans))


@dataclass(frozen=True)
class Sum:
    """Adds the starts of two inputs; the output may lie on the inputs that are named."""

    size: int
    in_place: tuple[tuple[int, int], ...] = ()
    result: int = 0

    OPCODE: ClassVar[int] = 99
    KERNEL: ClassVar[str] = "sum"
    scratch: ClassVar[tuple[tuple[str, int], ...]] = ()

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        return (("i", self.size),) * 2

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        return (("i", self.result or self.size),)

    def encode(self) -> bytes:
        return b""

    def apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        return ((inputs[0] + inputs[1])[:, : self.result or self.size],)


FIRST, BOTH = ((0, 0),), ((0, 0), (1, 0))


@pytest.mark.parametrize(
    ("allowed", "read_again", "arena"),
    [((), False, 80), (FIRST, False, 80), (BOTH, False, 40), (FIRST, True, 80), (BOTH, True, 80)],
)
def test_in_place_as_the_operator_allows(
    allowed: tuple[tuple[int, int], ...], read_again: bool, arena: int
) -> None:
    builder = ProgramBuilder(Descriptor("i", (10,)))
    half = builder.add(Shift(10, 1, "i"), 0)
    twice = builder.add(Sum(10, allowed), half, half)
    last = builder.add(Sum(10, allowed), twice, half if read_again else 0)
    program = builder.finish("sums", last, Decision.NONE)
    places = [program.tensors[index].place for index in (half, twice, last)]
    assert (places[0] == places[1]) == (allowed == BOTH and not read_again)
    assert program.arena == arena
    x = 2 * np.arange(10, dtype="<i4")[None]
    assert np.array_equal(program.run(x), 2 * (x >> 1) + (x >> 1 if read_again else x))


def test_operators_run_in_the_order_that_takes_least() -> None:
    builder = ProgramBuilder(Descriptor("i", (100,)))
    wide = [builder.add(Shift(100, bits, "i"), 0) for bits in (1, 2)]
    narrow = [builder.add(Sum(100, result=1), each, each) for each in wide]
    program = builder.finish("narrow", builder.add(Sum(1), *narrow), Decision.NONE)
    assert [call.operands[-1] for call in program.calls] == [1, 3, 2, 4, 5]
    assert program.arena == 408
    x = np.full((1, 100), 64, "<i4")
    assert program.run(x).tolist() == [[64 + 32]]


def test_hash_tells_programs_apart() -> None:
    assert len({program.hash for program in programs().values()}) == len(NAMES)
    assert all(len(program.hash) == 16 for program in programs().values())


def test_every_changed_byte_is_noticed(program: Program) -> None:
    data = program.encode()
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << position % 8
        with pytest.raises(FormatError):
            Program.decode(bytes(changed), "m")


def test_every_cut_is_noticed(program: Program) -> None:
    data = program.encode()
    for size in range(len(data)):
        with pytest.raises(FormatError):
            Program.decode(data[:size], "m")
    with pytest.raises(FormatError):
        Program.decode(data + bytes(4), "m")


def test_nothing_under_a_right_checksum_is_a_surprise(program: Program) -> None:
    """Decoding refuses, or gives a program that runs and encodes."""
    data = program.encode()
    x = some_rows(program, 2)
    for position in range(4, len(data) - 4):
        for value in {0, 0xFF, data[position] ^ 1, data[position] ^ 0x80}:
            changed = bytearray(data)
            changed[position] = value
            with contextlib.suppress(FormatError):
                found = Program.decode(sealed(bytes(changed)), "m")
                found.encode()
                if found.input == program.input:
                    found.run(x)
                    if found.decision is not Decision.NONE:
                        found.predict(x)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_anything_under_a_right_header_is_read_or_refused(body: bytes) -> None:
    head = MAGIC + struct.pack("<HBxI", FORMAT_VERSION, 0, 16 + len(body))
    with contextlib.suppress(FormatError):
        Program.decode(sealed(head + body + bytes(4)), "m")


def test_what_damage_is_called() -> None:
    data = programs()["votes"].encode()
    for changed, message in (
        (b"", "not a Wingbeat program"),
        (b"XXXX" + data[4:], "not a Wingbeat program"),
        (data[:4] + struct.pack("<H", 2) + data[6:], r"format 2.*reads 1.*convert.*again"),
        (data[:-8], r"header says"),
        (data[:-1] + bytes([data[-1] ^ 1]), "checksum"),
        (sealed(data[:6] + b"\x09" + data[7:]), "inconsistent"),
    ):
        with pytest.raises(FormatError, match=message):
            Program.decode(changed, "m")


# ---- Files


def test_files_come_back(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "a.wbp"
    program.save(path)
    found = Program.load(str(path))
    assert found.encode() == program.encode()
    assert (found.name, found.labels, found.meta) == (program.name, program.labels, program.meta)


def test_the_same_program_gives_the_same_file(program: Program, tmp_path: Path) -> None:
    program.save(tmp_path / "a.wbp")
    Program.load(tmp_path / "a.wbp").save(str(tmp_path / "b.wbp"))
    assert (tmp_path / "a.wbp").read_bytes() == (tmp_path / "b.wbp").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wbp", "b.wbp"]
    with zipfile.ZipFile(tmp_path / "a.wbp") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_training_twice_gives_the_same_file(tmp_path: Path) -> None:
    x, y = datasets.load_iris(return_X_y=True)
    for name in "ab":
        model = RandomForestClassifier(3, random_state=0).fit(x, y)
        convert(model, rows=x).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_changed_file_is_refused_or_the_same(tmp_path: Path) -> None:
    """Dates and the like in the archive do not matter; what matters has checksums."""
    program = programs()["votes"]
    path = tmp_path / "a.wbp"
    program.save(path)
    data = path.read_bytes()
    for position in range(len(data)):
        for flip in (0xFF, 1 << position % 8):
            changed = bytearray(data)
            changed[position] ^= flip
            path.write_bytes(changed)
            with contextlib.suppress(FormatError):
                found = Program.load(path)
                assert found.encode() == program.encode()
                assert (found.name, found.labels) == (program.name, program.labels)
                assert found.meta == program.meta


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wbp"
    programs()["votes"].save(path)
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(FormatError, match=r"a\.wbp"):
            Program.load(path)


@pytest.mark.parametrize(
    "described",
    [
        b"",
        b"[]",
        b"{}",
        b'"text"',
        b"\xff",
        b'{"name": "m", "labels": []}',
        b'{"name": "m", "labels": 3, "meta": {}}',
        b'{"name": "m", "labels": [1], "meta": {}}',
        b'{"name": "m", "labels": [], "meta": []}',
        b'{"name": 7, "labels": [], "meta": {}}',
        b'{"name": "../m", "labels": [], "meta": {}}',
        b'{"name": "class", "labels": [], "meta": {}}',
    ],
)
def test_unsound_descriptions(described: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.wbp"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("program.bin", programs()["votes"].encode())
        archive.writestr("meta.json", described)
    with pytest.raises(FormatError):
        Program.load(path)


def test_an_archive_without_a_program(tmp_path: Path) -> None:
    path = tmp_path / "a.wbp"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("meta.json", json.dumps({"name": "m", "labels": [], "meta": {}}))
    with pytest.raises(FormatError, match="wingbeat train"):
        Program.load(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Program.load(tmp_path / "none.wbp")
    with pytest.raises(OSError, match="none"):
        programs()["votes"].save(tmp_path / "none" / "a.wbp")


# ---- Results


def test_one_sample_or_rows(program: Program) -> None:
    x = some_rows(program, 5)
    rows = program.run(x)
    assert rows.shape == (5, *program.output.shape)
    assert rows.dtype == program.output.dtype
    assert np.array_equal(np.stack([program.run(row) for row in x]), rows)
    assert program.run(x[0]).shape == program.output.shape
    assert program.run(x[:0]).shape == (0, *program.output.shape)
    if program.decision is Decision.NONE:
        return
    answers = program.predict(x)
    assert answers.shape == (5,)
    assert answers.dtype == np.int64
    assert [int(program.predict(row)) for row in x] == answers.tolist()
    assert program.predict(x[0]).shape == ()
    assert program.predict(x[:0]).shape == (0,)


def test_rows_in_any_memory_order(program: Program) -> None:
    x = some_rows(program, 6)
    expected = program.run(x)
    assert np.array_equal(program.run(np.asfortranarray(x)), expected)
    assert np.array_equal(program.run(np.repeat(x, 2, axis=0)[::2]), expected)
    assert np.array_equal(program.run(x[::-1]), expected[::-1])


def test_wrong_dtype(program: Program) -> None:
    x = some_rows(program, 2)
    for dtype in (np.float64, np.int32, np.uint16, np.bool_):
        with pytest.raises(UsageError, match=rf"dtype {np.dtype(dtype)}: expected"):
            program.run(x.astype(dtype))


def test_wrong_shape(program: Program) -> None:
    x = some_rows(program, 2)
    for wrong in (x[..., :-1], x[None], x[0, ..., 0], x.reshape(-1)):
        with pytest.raises(UsageError, match="shape"):
            program.run(wrong)
        if program.decision is not Decision.NONE:
            with pytest.raises(UsageError, match="shape"):
                program.predict(wrong)


def test_decisions() -> None:
    x = some_rows(programs()["votes"], 40)
    votes = programs()["votes"]
    assert np.array_equal(votes.predict(x), votes.run(x).argmax(axis=1))
    values = programs()["values"]
    assert np.array_equal(values.predict(x), values.run(x)[:, 0])
    binary = programs()["binary"]
    assert binary.output.shape == (2,)
    assert set(binary.predict(x).tolist()) <= {0, 1}
    with pytest.raises(UsageError, match=r"no decision.*run"):
        programs()["cast"].predict(some_rows(programs()["cast"], 1))


def test_argmax_takes_the_first_of_equals() -> None:
    builder = ProgramBuilder(Descriptor("i", (3,)))
    program = builder.finish("m", builder.add(Shift(3, 0, "i"), 0), Decision.ARGMAX)
    x = np.array([[1, 5, 5], [7, 7, 7], [-9, -9, -8]], np.int32)
    assert program.predict(x).tolist() == [1, 0, 2]


def test_a_single_score_is_positive_above_zero() -> None:
    builder = ProgramBuilder(Descriptor("i", (1,)))
    sums = builder.add(Shift(1, 0, "i"), 0)
    output = builder.add(Probability(1, 16), sums)
    program = builder.finish("m", output, Decision.POSITIVE, decision_tensor=sums)
    x = np.array([[-1], [0], [1]], np.int32)
    assert program.predict(x).tolist() == [0, 0, 1]
    assert program.run(x).shape == (3, 2)


# ---- The builder


@pytest.mark.parametrize("name", ["", "1a", "a b", "a-b", "a.b", "läuft", "class", "None", "../a"])
def test_names_that_cannot_be_imported(name: str) -> None:
    builder = ProgramBuilder(Descriptor("B", (3,)))
    output = builder.add(Cast(3, "B"), 0)
    with pytest.raises(UsageError, match="cannot be imported"):
        builder.finish(name, output, Decision.NONE)


def test_operators_that_do_not_fit() -> None:
    builder = ProgramBuilder(Descriptor("B", (3,)))
    for operator in (Cast(4, "B"), Cast(3, "b"), Shift(3, 0, "i")):
        with pytest.raises(UsageError, match=rf"{operator.KERNEL} takes .*\["):
            builder.add(operator, 0)


def test_descriptor() -> None:
    descriptor = Descriptor("h", (10, 3), 0.5, 2)
    assert str(descriptor) == "int16[10, 3]"
    assert descriptor.n_elements == 30
    assert descriptor.dtype == np.int16


def test_every_operator_has_an_opcode_of_its_own() -> None:
    assert len(set(OPCODES.values())) == len(OPCODES)


def test_descriptors_quantize() -> None:
    descriptor = Descriptor("b", (2,), 0.5, -3)
    real = [[0, 0.25], [-0.25, 0.26], [1e9, -1e9]]
    stored = descriptor.quantize(real)
    assert stored.dtype == np.int8
    assert stored.tolist() == [[-3, -2], [-4, -2], [127, -128]]  # half away from zero, as TFLite
    assert descriptor.dequantize(stored)[:2].tolist() == [[0, 0.5], [-0.5, 0.5]]
    assert Descriptor("f", (2,)).quantize(real).tolist() == np.array(real, np.float32).tolist()
    assert Descriptor("H", (2, 1)).quantize([[-1, 70000]]).tolist() == [[[0], [65535]]]


def test_outputs_are_kept_to_the_end() -> None:
    """Memory of the output and of what decides is not used again by a later call."""
    builder = ProgramBuilder(Descriptor("i", (4,)))
    first = builder.add(Shift(4, 1, "i"), 0)
    second = builder.add(Shift(4, 1, "i"), first)
    third = builder.add(Shift(4, 1, "i"), second)
    program = builder.finish("m", first, Decision.ARGMAX, decision_tensor=third)
    places = [tensor.place for tensor in program.tensors[1:]]
    assert len(set(places)) == 3
    x = np.array([[8, 16, 80, 24]], np.int32)
    assert program.run(x).tolist() == [[4, 8, 40, 12]]
    assert program.predict(x).tolist() == [2]
