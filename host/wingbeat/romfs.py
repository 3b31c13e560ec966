"""ROMFS images: MicroPython's read-only file system, used in place in memory-mapped flash."""

from __future__ import annotations

from collections.abc import Mapping

from .errors import UsageError

ALIGNMENT = 16
"""Bytes: every file's data starts at a multiple of it, counted from the start of the image."""

_MAGIC_SIZE = 3
_MOST_LENGTH_BYTES = 4
_RECORD_SIZE = 2  # kind and length of a record with fewer than 128 bytes


def romfs_image(files: Mapping[str, bytes]) -> bytes:
    """Pack files so that the data of each is aligned in memory.

    Parameters
    ----------
    files : mapping of str to bytes
        Contents by plain name.

    Returns
    -------
    bytes
        An image to be loaded at a multiple of `ALIGNMENT`.

    Raises
    ------
    UsageError
        The files need more than 256 MB.
    """
    # The header holds the length of the rest in as few bytes as it needs, and moves the rest.
    for length_bytes in range(1, _MOST_LENGTH_BYTES + 1):
        image = _image(files, length_bytes)
        if image is not None:
            return image
    raise UsageError("a ROMFS image of more than 256 MB: no board has that much flash")


def _image(files: Mapping[str, bytes], length_bytes: int) -> bytes | None:
    """Pack files behind a header with so many bytes of length; None if they need more."""
    from mpremote.romfs import VfsRomWriter

    writer = VfsRomWriter()
    header = _MAGIC_SIZE + length_bytes
    end = 0

    def pad(size: int) -> int:
        # A record with no name is skipped by every reader.
        return int(writer.mkdata(bytes(size))) + size

    for name, data in files.items():
        payload = _uint_size(len(name)) + len(name) + 1 + _uint_size(len(data)) + len(data)
        before_data = 1 + _uint_size(payload) + payload - len(data)
        end = pad(-(header + end + _RECORD_SIZE + before_data) % ALIGNMENT)
        writer.mkfile(name, data)
        end += before_data + len(data)
    if length_bytes > 1 and end < 1 << 7 * (length_bytes - 1):
        end = pad((1 << 7 * (length_bytes - 1)) - end)
    if (header + end) % 2:
        # The writer makes the image even, and would do it in the header.
        end = pad(1)
    image: bytes = writer.finalise()
    return image if len(image) == header + end else None


def _uint_size(value: int) -> int:
    """Return the bytes of an unsigned integer in ROMFS: 7 bits in each."""
    return max(1, -(-value.bit_length() // 7))
