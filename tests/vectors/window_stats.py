"""Test vectors of the window statistics operator, for every layer that runs it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from vectors.case import BadCase, Case, bad_operands, make_case, operands_of
from wingbeat.reference.window_stats import STATISTICS, WindowStats

_LOW, _HIGH = -32768, 32767


def cases(seed: int) -> Iterable[Case]:
    """Yield the edges and 200 random windows; the same seed gives the same cases."""
    rng = np.random.default_rng(seed)
    yield from _edges(rng)
    for i in range(200):
        yield _random(f"random {i}", rng)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for i, (params, sizes) in enumerate(_bad_params()):
        operands = tuple(("h", size) for size in sizes)
        yield BadCase(f"bad {i}", WindowStats.KERNEL, params, operands)
    operator = WindowStats(4, 2, ("mean",))
    for i, (operands, n_inputs) in enumerate(bad_operands(operands_of(operator))):
        name = f"bad operands {i}"
        yield BadCase(name, WindowStats.KERNEL, operator.encode(), operands, n_inputs)


def _bad_params() -> Iterable[tuple[bytes, tuple[int, ...]]]:
    # 128 samples, 3 channels; mean, std, min, max and rms.
    good = struct.pack("<HBB8B", 128, 3, 5, 0, 1, 2, 3, 4, 0, 0, 0)
    sizes = (768, 30)
    yield b"", sizes
    yield good[:4], sizes
    yield good[:8], sizes
    yield good + bytes(4), sizes
    yield struct.pack("<HBB", 128, 3, 0), (768, 0)
    yield _with(good, 0, struct.pack("<H", 0)), (0, 30)
    yield _with(good, 0, struct.pack("<H", 32768)), (32768 * 6, 30)
    yield _with(good, 0, struct.pack("<H", 65535)), (65535 * 6, 30)
    yield _with(good, 2, b"\0"), (0, 0)
    yield _with(good, 3, b"\x09"), (768, 54)
    for unknown in (7, 8, 32, 128, 255):
        for position in (4, 6, 8):
            yield _with(good, position, bytes([unknown])), sizes
    for padding in (9, 10, 11):
        yield _with(good, padding, b"\1"), sizes
    for wrong in ((), (768,), (768, 30, 4), (768, 30, 4, 4), (30, 768)):
        yield good, wrong
    for delta in (-768, -2, -1, 1, 2, 1 << 16):
        yield good, (768 + delta, 30)
    for delta in (-30, -2, -1, 1, 2, 1 << 16):
        yield good, (768, 30 + delta)


def _with(params: bytes, at: int, value: bytes) -> bytes:
    return params[:at] + value + params[at + len(value) :]


def _case(name: str, x: NDArray[np.int16], statistics: tuple[str, ...] = STATISTICS) -> Case:
    operator = WindowStats(x.shape[0], x.shape[1], statistics)
    return make_case(name, operator, x.ravel())


def _noise(rng: np.random.Generator, *shape: int) -> NDArray[np.int16]:
    return rng.integers(_LOW, _HIGH, shape, dtype=np.int16, endpoint=True)


def _edges(rng: np.random.Generator) -> Iterator[Case]:
    for value in (_LOW, -1, 0, 1, _HIGH):
        yield _case(f"one sample of {value}", np.full((1, 1), value, np.int16))
        yield _case(f"constant {value}", np.full((100, 2), value, np.int16))
        yield _case(f"longest, constant {value}", np.full((32767, 1), value, np.int16))
    for n in (2, 3, 127, 128, 32766, 32767):
        swing = np.full((n, 1), _LOW, np.int16)
        swing[::2] = _HIGH
        yield _case(f"{n} alternating extremes", swing)
        yield _case(f"{n} alternating extremes, low first", ~swing)
        step = np.sort(swing, axis=0)
        yield _case(f"{n} samples with one step", step)
        spike = np.full((n, 1), _HIGH, np.int16)
        spike[n // 2] = _LOW
        yield _case(f"{n} samples with a spike", spike)
    yield _case("rising", np.arange(_LOW, _HIGH, 2, dtype=np.int32)[:32767, None].astype(np.int16))
    yield _case("falling", np.arange(_HIGH, _LOW, -3, dtype=np.int32)[:, None].astype(np.int16))
    yield _case("two values around the mean", np.array([[-1], [0]] * 8, np.int16))
    yield _case("mean rounds a tie up", np.array([[1, -1], [2, -2]], np.int16))
    yield _case("longest noise", _noise(rng, 32767, 1))
    for n in (1, 2, 7):
        yield _case(f"255 channels of {n}", _noise(rng, n, 255))
    yield _case("most outputs", _noise(rng, 2, 255), STATISTICS * 36 + STATISTICS[:3])
    for name in STATISTICS:
        yield _case(f"only {name}", _noise(rng, 64, 3), (name,))
        yield _case(f"{name} twice", _noise(rng, 9, 2), (name, name))
    yield _case("duplicates", _noise(rng, 33, 2), ("rms", "mean", "rms", "std", "mean", "rms"))
    yield _case("reversed order", _noise(rng, 50, 6), STATISTICS[::-1])


def _random(name: str, rng: np.random.Generator) -> Case:
    n = int(np.exp(rng.uniform(0, np.log(1500))))
    c = int(rng.integers(1, 8))
    # Amplitudes over all orders of magnitude, anywhere in the range.
    width = np.exp(rng.uniform(0, np.log(40000), c))
    x = rng.uniform(_LOW, _HIGH, c) + rng.normal(0, 1, (n, c)) * width
    count = int(rng.integers(1, 11))
    statistics = tuple(str(s) for s in rng.choice(STATISTICS, count))
    return _case(name, np.clip(x, _LOW, _HIGH).astype(np.int16), statistics)
