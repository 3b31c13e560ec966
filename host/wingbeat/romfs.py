"""ROMFS images, as MicroPython mounts them at /rom: files in flash that are used in place.

An image is described by pieces: bytes that the computer makes, and names of files whose data goes
between them. So a board that has the files already can put the image together itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

ALIGNMENT = 16
"""Bytes: every file's data starts at a multiple of it in the image."""

Piece: TypeAlias = "bytes | str"

_MAGIC = b"\xd2\xcd\x31"
_PADDING, _VERBATIM, _DIRECTORY, _FILE = 1, 2, 4, 5


def romfs_pieces(files: Mapping[str, int]) -> tuple[list[Piece], int]:
    """Describe an image.

    Parameters
    ----------
    files : mapping of str to int
        Bytes of each file by its path: ``"a.mpy"``, ``"lib/b.mpy"``.

    Returns
    -------
    pieces : list of bytes or str
        What the image is made of, in order; a str stands for the data of that file.
    size : int
        Bytes of the image.
    """
    # The header's size depends on the image's, and the padding on the header's.
    for head in range(len(_MAGIC) + 1, len(_MAGIC) + 6):
        pieces, end = _records(_tree(files), head)
        if end % 2:  # flash is written by two bytes at least
            pieces.append(_padding(3))
            end += 3
        size = _uint(end - head, head - len(_MAGIC))
        if len(_MAGIC) + len(size) == head:
            return [_MAGIC + size, *pieces], end
    raise AssertionError("an image of less than 2**28 bytes has a header of at most 8 bytes")


def romfs_image(files: Mapping[str, bytes]) -> bytes:
    """The whole image."""
    pieces, _ = romfs_pieces({name: len(data) for name, data in files.items()})
    return b"".join(files[piece] if isinstance(piece, str) else piece for piece in pieces)


_Tree: TypeAlias = "dict[str, _Tree | tuple[str, int]]"


def _tree(files: Mapping[str, int]) -> _Tree:
    root: _Tree = {}
    for path, size in files.items():
        *folders, name = path.split("/")
        at = root
        for folder in folders:
            inner = at.setdefault(folder, {})
            assert isinstance(inner, dict)
            at = inner
        at[name] = (path, size)
    return root


def _records(tree: _Tree, position: int) -> tuple[list[Piece], int]:
    """Records of a folder whose first byte lies at `position`, and where they end."""
    pieces: list[Piece] = []
    for name, entry in tree.items():
        encoded = _uint(len(name)) + name.encode()
        if isinstance(entry, tuple):
            path, size = entry
            head = encoded + _uint(_VERBATIM) + _uint(size)
            head = _uint(_FILE) + _uint(len(head) + size) + head
            gap = -(position + len(head)) % ALIGNMENT
            if gap:
                padding = _padding(gap)
                pieces.append(padding)
                position += len(padding)
            pieces += [head, path]
            position += len(head) + size
            continue
        inner, end = _folder(entry, encoded, position)
        pieces += inner
        position = end
    return pieces, position


def _folder(tree: _Tree, name: bytes, position: int) -> tuple[list[Piece], int]:
    for width in range(1, 6):
        start = position + 1 + width + len(name)
        inner, end = _records(tree, start)
        size = _uint(end - start + len(name), width)
        if len(size) == width:
            return [_uint(_DIRECTORY) + size + name, *inner], end
    raise AssertionError("a folder has less than 2**35 bytes")


def _padding(gap: int) -> bytes:
    """A record that readers skip, of `gap` bytes, or of one alignment more."""
    if gap < 2:
        gap += ALIGNMENT
    return _uint(_PADDING) + _uint(gap - 2) + bytes(gap - 2)


def _uint(value: int, width: int = 1) -> bytes:
    """Seven bits a byte, in `width` bytes or more."""
    groups = [value & 0x7F]
    while (value := value >> 7) or len(groups) < width:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))
