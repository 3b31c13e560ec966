"""ROMFS images: every file's data is aligned, whatever the sizes of all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wingbeat.romfs import ALIGNMENT, romfs_image

SIZES = [0, 1, 100, 110, 111, 112, 113, 120, 127, 128, 129, 16_000, *range(16_340, 16_390)]


def read_uint(image: bytes, at: int) -> tuple[int, int]:
    value = 0
    while True:
        value = value << 7 | image[at] & 0x7F
        at += 1
        if image[at - 1] < 0x80:
            return value, at


def read_files(image: bytes) -> dict[str, tuple[int, bytes]]:
    """Return where the data of each file starts, and the data."""
    assert image[:3] == b"\xd2\xcd\x31"
    length, at = read_uint(image, 3)
    assert at + length == len(image)
    files = {}
    while at < len(image):
        kind, at = read_uint(image, at)
        size, at = read_uint(image, at)
        end = at + size
        if kind == 5:
            name_size, at = read_uint(image, at)
            name, at = image[at : at + name_size].decode(), at + name_size
            kind, at = read_uint(image, at)
            size, at = read_uint(image, at)
            assert (kind, at + size) == (2, end)
            files[name] = (at, image[at:end])
        at = end
    return files


def check(files: dict[str, bytes]) -> None:
    image = romfs_image(files)
    found = read_files(image)
    assert {name: data for name, (_, data) in found.items()} == files
    assert all(at % ALIGNMENT == 0 for at, _ in found.values())
    assert len(image) % 2 == 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["a", "ab", "model.mpy"])
def test_one_file(size: int, name: str) -> None:
    check({name: b"\x5a" * size})


def test_no_file() -> None:
    check({})


@settings(deadline=None)
@given(st.dictionaries(st.text("abc", min_size=1, max_size=9), st.binary(max_size=200)))
def test_any_files(files: dict[str, bytes]) -> None:
    check(files)
