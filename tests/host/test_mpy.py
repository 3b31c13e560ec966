"""The .mpy container: read and written without loss, and never a surprise on damage."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wingbeat.blobs import archs, blobs_of
from wingbeat.errors import FormatError
from wingbeat.mpy import ARCHS, Constant, Mpy

CONSTANTS: tuple[Constant, ...] = (
    b"texts\0",
    bytes(range(200)) * 3,
    ("rest", "walk", "läuft"),
    ("name", 1, -5, 0.25, True, False, None, ("deep", (b"", ""))),
    1.5e-9,
    2**40,
)

plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.binary(max_size=300),
)
nested = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=8
).filter(lambda value: depth(value) < 8)


def depth(value: object) -> int:
    return 1 + max(map(depth, value), default=0) if isinstance(value, tuple) else 0


@pytest.fixture(params=archs())
def core(request: pytest.FixtureRequest) -> bytes:
    return blobs_of(request.param).core()


@pytest.fixture
def full(core: bytes) -> Mpy:
    """A core with constants of every kind."""
    return replace(Mpy.decode(core), constants=CONSTANTS)


def test_cores_come_back(core: bytes) -> None:
    module = Mpy.decode(core)
    assert module.encode() == core
    assert module.arch in archs()
    assert module.constants == ()
    assert len(module.text) > 1000
    assert module.tail[-1] == 0xFF


def test_constants_come_back(full: Mpy) -> None:
    data = full.encode()
    found = Mpy.decode(data)
    assert found == full
    assert found.encode() == data
    # 1 == True and 1 == 1.0, but not on the board.
    assert repr(found.constants) == repr(CONSTANTS)


@settings(max_examples=150, deadline=None)
@given(st.lists(nested, max_size=5).map(tuple), st.sampled_from(sorted(ARCHS)))
def test_any_constants_come_back(constants: tuple[Constant, ...], arch: str) -> None:
    module = Mpy(arch, 31, (b"m.py", 17, b""), constants, b"\1\2\3\4", b"\x20\xff")
    found = Mpy.decode(module.encode())
    assert found == module
    assert repr(found.constants) == repr(constants)


@settings(max_examples=100, deadline=None)
@given(st.lists(nested, max_size=4).map(tuple), st.binary(min_size=1, max_size=20000))
def test_offset_of_constant(others: tuple[Constant, ...], data: bytes) -> None:
    for constant in (data, "é" + data.hex()):
        raw = constant.encode() if isinstance(constant, str) else constant
        for constants in ((*others, constant), (constant, *others), (*others, constant, *others)):
            module = Mpy("x64", 31, (b"m.py",), constants, b"text", b"\0\xff")
            index = constants.index(constant)
            start = module.offset_of_constant(index)
            assert module.encode()[start : start + len(raw) + 1] == raw + b"\0"


@pytest.mark.parametrize("count", [1, 127, 128, 129, 300])
def test_offset_behind_many_constants(count: int) -> None:
    module = Mpy("x64", 31, (b"m.py",), (0,) * count + (b"here",), b"", b"\0\xff")
    start = module.offset_of_constant(count)
    assert module.encode()[start : start + 5] == b"here\0"


def test_offset_is_of_text_and_bytes_only(full: Mpy) -> None:
    for index in (2, 4, 5):
        with pytest.raises(TypeError, match="str and bytes"):
            full.offset_of_constant(index)


# ---- Damage


def test_cut_short_anywhere(full: Mpy) -> None:
    data = full.encode()
    for size in range(len(data)):
        with pytest.raises(FormatError):
            Mpy.decode(data[:size])


def test_a_changed_byte_is_read_or_refused(full: Mpy) -> None:
    data = full.encode()
    tables = data.index(full.text)
    for position in [*range(tables), *range(len(data) - len(full.tail), len(data))]:
        for value in {0, 1, 0x7F, 0x80, 0xFF, data[position] ^ 1, data[position] ^ 0x80}:
            changed = bytearray(data)
            changed[position] = value
            with contextlib.suppress(FormatError):
                Mpy.decode(bytes(changed))


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60), st.booleans())
def test_anything_is_read_or_refused(data: bytes, with_head: bool) -> None:
    with contextlib.suppress(FormatError):
        Mpy.decode(b"M\x06\x0b\x1f" + data if with_head else data)


def test_empty() -> None:
    with pytest.raises(FormatError, match="cut short"):
        Mpy.decode(b"")


def test_not_mpy(core: bytes) -> None:
    with pytest.raises(FormatError, match="start with 'M'"):
        Mpy.decode(b"C" + core[1:])


@pytest.mark.parametrize(
    ("position", "value", "found"),
    [(1, 5, "version 5.3"), (1, 7, "version 7.3"), (2, 2 << 2 | 2, "6.2"), (2, 63 << 2 | 3, "63")],
)
def test_other_versions_and_architectures(
    core: bytes, position: int, value: int, found: str
) -> None:
    changed = bytearray(core)
    changed[position] = value
    with pytest.raises(FormatError, match=rf"{found}.*expected.*6\.3.*convert"):
        Mpy.decode(bytes(changed))


def test_bytecode() -> None:
    with pytest.raises(FormatError, match="bytecode"):
        Mpy.decode(b"M\x06\x0b\x1f\x00\x00" + bytes([4 << 3, 1, 2, 3, 4, 0xFF]))


def test_sizes_beyond_32_bits() -> None:
    with pytest.raises(FormatError, match="32 bits"):
        Mpy.decode(b"M\x06\x0b\x1f" + b"\xff" * 8 + b"\x00")


def test_announced_sizes_are_not_believed() -> None:
    """A billion names or constants in ten bytes are refused at once, not allocated."""
    for head in (b"\x83\xff\xff\xff\x7f\x00", b"\x00\x83\xff\xff\xff\x7f"):
        with pytest.raises(FormatError, match="cut short"):
            Mpy.decode(b"M\x06\x0b\x1f" + head)


def test_tuples_without_end() -> None:
    with pytest.raises(FormatError, match="tuples"):
        Mpy.decode(b"M\x06\x0b\x1f\x00\x01" + b"\x0a\x01" * 5000)


@pytest.mark.parametrize("body", [b"\x07\x01x", b"\x08\x03abc", b"\x05\x01\xff\x00", b"\x63\x00"])
def test_constants_that_are_none(body: bytes) -> None:
    with pytest.raises(FormatError, match="constant"):
        Mpy.decode(b"M\x06\x0b\x1f\x00\x01" + body + b"\x22text\x00\xff")
