"""Test vectors of the pools."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vectors.case import BadCase, Case, Operands, bad_operands, make_cases, operands_of
from wingbeat.reference.conv import same_padding
from wingbeat.reference.pool import Pool, pool2d

LOW, HIGH = -128, 127


def any_pool(rng: np.random.Generator, *, average: bool) -> Pool:
    """A small pool of any kind, with TFLite's padding."""
    kernel = rng.integers(1, 6, 2).tolist()
    stride = rng.integers(1, 5, 2).tolist()
    padding = ((0, 0), (0, 0))
    if rng.integers(2):
        size = rng.integers(1, 14, 2).tolist()
        top, left = (same_padding(size[i], kernel[i], stride[i]) for i in (0, 1))
        padding = top, left
    else:
        size = [int(rng.integers(extent, extent + 12)) for extent in kernel]
    low, high = np.sort(rng.integers(LOW, HIGH + 1, 2)) if rng.integers(2) else (LOW, HIGH)
    return pool2d(
        average=average,
        shape=(size[0], size[1], int(rng.choice([1, 2, 3, 4, 5, 8]))),
        kernel=(kernel[0], kernel[1]),
        stride=(stride[0], stride[1]),
        padding=padding,
        low=int(low),
        high=int(high),
    )


def small_operators() -> Iterable[Pool]:
    """Yield operators for the tests of changed parameters."""
    for average in (False, True):
        yield pool2d(average=average, shape=(5, 4, 4), kernel=(2, 3), stride=(2, 1))


def cases(seed: int) -> Iterable[Case]:
    """Yield usual windows, all of a map, ties, the ends of sums, and random ones."""
    rng = np.random.default_rng(seed)
    for average in (False, True):
        for size in (1, 2, 3):
            for channels in (1, 3, 4, 8):
                yield from _global(rng, (size, 2, channels), average=average)
                operator = pool2d(
                    average=average, shape=(7, 9, channels), kernel=(size, 2), stride=(2, 2)
                )
                yield from _cases(rng, f"{size}x2, {channels} channels, {average}", operator)
        # Around the longest sums of 16 bits, and around the limit of reciprocals.
        for whole in ((25, 5), (16, 16), (257, 1), (1, 258), (20, 18), (49, 10), (255, 255)):
            yield from _global(rng, (*whole, 4), average=average)
            yield from _global(rng, (*whole, 1), average=average)
        for i in range(40):
            operator = any_pool(rng, average=average)
            yield from _cases(rng, f"random {i}, {average}", operator)


def _global(
    rng: np.random.Generator, shape: tuple[int, int, int], *, average: bool
) -> Iterable[Case]:
    size = min(shape[0], 255), min(shape[1], 255)
    operator = pool2d(average=average, shape=shape, kernel=size, stride=(1, 1))
    yield from _cases(rng, f"all of {shape}, {average}", operator)


def _cases(rng: np.random.Generator, name: str, operator: Pool) -> Iterable[Case]:
    size = operator.inputs[0][1]
    rows = [
        rng.integers(LOW, HIGH, size, np.int8, endpoint=True),
        rng.integers(-2, 1, size, np.int8, endpoint=True),
        np.full(size, LOW, np.int8),
        np.full(size, HIGH, np.int8),
    ]
    yield from make_cases(name, operator, rows)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for operator in small_operators():
        for i, (params, operands, n_inputs) in enumerate(_bad_calls(operator)):
            yield BadCase(f"bad {i}", operator.KERNEL, params, operands, n_inputs)


def _bad_calls(operator: Pool) -> Iterable[tuple[bytes, Operands, int]]:
    good, operands = operator.encode(), operands_of(operator)
    for wrong in (b"", good[:-4], good + bytes(4)):
        yield wrong, operands, 1
    # Sizes of 0, padding and strides out of the map.
    for at, value in ((0, 0), (2, 0), (8, 0), (10, 0), (16, 0), (2, 9), (10, 99)):
        yield _changed(good, at, [value, 0]), operands, 1
    for at in (4, 5, 6, 12, 13, 14):
        yield _changed(good, at, [0]), operands, 1
    for at, value in ((6, 2), (14, 2), (7, 2), (15, 3)):
        yield _changed(good, at, [value]), operands, 1
    yield _changed(good, 0, [255, 255, 255, 255]), operands, 1
    yield _changed(good, 16, [255, 255]), operands, 1
    yield _changed(good, 18, [100, 99]), operands, 1
    for others, n_inputs in bad_operands(operands):
        yield good, others, n_inputs


def _changed(params: bytes, at: int, data: list[int]) -> bytes:
    return params[:at] + bytes(data) + params[at + len(data) :]
