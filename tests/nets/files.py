"""The networks of others in tests/data/nets, and damaged versions of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import tflite

FOLDER = Path(__file__).resolve().parents[1] / "data" / "nets"
NAMES = ("hello_world", "mnist", "micro_speech", "kws", "ad")

_CONSTANT = 64
"""Bytes from which on a buffer counts as weights, which a mutation leaves alone mostly."""

_NUMBERS = (0, 1, 2, 3, 4, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@cache
def net(name: str) -> bytes:
    """One of `NAMES`."""
    return (FOLDER / f"{name}.tflite").read_bytes()


def mutations(data: bytes, seed: int, count: int) -> Iterator[bytes]:
    """Damaged versions: bytes and words changed where the structure is, parts moved and cut."""
    rng = np.random.default_rng(seed)
    places = _structure(data)
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(int(rng.choice([1, 1, 1, 2, 4, 16]))):
            at = int(rng.choice(places))
            way = rng.integers(6)
            if way == 0:
                changed[at] ^= 1 << int(rng.integers(8))
            elif way == 1:
                changed[at] = int(rng.integers(256))
            elif way == 2:
                size = int(rng.choice([2, 4]))
                value = int(rng.choice(_NUMBERS)) & ((1 << 8 * size) - 1)
                changed[at : at + size] = value.to_bytes(size, "little")
            elif way == 3:
                start = at & ~3
                (value,) = struct.unpack_from("<I", (bytes(changed) + bytes(4))[start : start + 4])
                changed[start : start + 4] = struct.pack(
                    "<I", (value + int(rng.integers(-64, 65))) & 0xFFFFFFFF
                )
            elif way == 4:
                source, size = int(rng.choice(places)), int(rng.integers(1, 33))
                changed[at : at + size] = changed[source : source + size]
            else:
                del changed[at : at + int(rng.choice([1, 4, len(changed)]))]
            if len(changed) <= 16:
                break
            places = places[places < len(changed)]
        places = _structure(data)
        yield bytes(changed)


def _structure(data: bytes) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Numbers of the bytes that are not within large constants."""
    kept = np.ones(len(data), bool)
    start = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    model = tflite.Model.GetRootAs(data)
    for number in range(model.BuffersLength()):
        found = model.Buffers(number).DataAsNumpy()
        if not isinstance(found, int) and len(found) >= _CONSTANT:
            offset = found.__array_interface__["data"][0] - start
            kept[offset : offset + len(found)] = False
    return np.flatnonzero(kept)
