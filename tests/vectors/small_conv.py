"""Test vectors of the small convolution, over all channels and depthwise."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vectors.case import BadCase, Case, Operands, bad_operands, make_cases, operands_of
from wingbeat.reference.conv import Window, output_size, same_padding
from wingbeat.reference.scale import NARROW_LIMIT
from wingbeat.reference.small_conv import SmallConv
from wingbeat.reference.small_scale import SmallScale

_HEAD = struct.Struct("<8H6BbBbB")

#: Shape, kernel, out channels (0: depthwise), stride, SAME.
_SHAPES = (
    ((1, 1, 1), (1, 1), 1, (1, 1), False),
    ((1, 2, 1), (1, 1), 3, (1, 1), False),
    ((1, 4, 3), (1, 1), 5, (1, 1), False),
    ((5, 5, 8), (1, 1), 8, (1, 1), False),
    ((5, 5, 8), (1, 1), 7, (2, 2), False),
    ((5, 4, 4), (3, 3), 4, (1, 1), True),
    ((7, 9, 2), (3, 2), 4, (2, 1), True),
    ((10, 5, 1), (10, 4), 16, (2, 2), True),
    ((1, 40, 6), (1, 15), 8, (1, 3), True),
    ((40, 1, 6), (15, 1), 3, (4, 1), True),
    ((2, 2, 1), (9, 9), 4, (1, 1), True),
    ((1, 1, 255), (1, 1), 9, (1, 1), False),
    ((25, 5, 4), (3, 3), 0, (1, 1), True),
    ((1, 1, 1), (1, 1), 0, (1, 1), False),
    ((1, 8, 3), (1, 3), 0, (1, 1), True),
    ((2, 8, 3), (3, 3), 0, (1, 2), True),
    ((3, 1, 3), (3, 3), 0, (1, 1), True),
    ((4, 4, 2), (1, 1), 0, (1, 1), False),
    ((17, 9, 2), (5, 4), 0, (2, 3), True),
    ((12, 7, 2), (3, 3), 0, (3, 1), False),
    ((30, 1, 2), (15, 1), 0, (1, 1), True),
    ((2, 2, 2), (5, 5), 0, (1, 1), True),
    ((6, 5, 2), (6, 5), 0, (1, 1), False),
)


def make_small(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    kernel: tuple[int, int],
    channels: int,
    stride: tuple[int, int] = (1, 1),
    same: bool = False,
    *,
    weights: NDArray[np.int8] | None = None,
    **others: Any,
) -> SmallConv:
    """A layer with random numbers where none are given; depthwise without channels."""
    padding = [same_padding(shape[i], kernel[i], stride[i]) if same else (0, 0) for i in (0, 1)]
    rows, columns = (output_size(shape[i], kernel[i], stride[i], 1, padding[i]) for i in (0, 1))
    window = Window(shape, (rows, columns), kernel, stride, (1, 1), (padding[0][0], padding[1][0]))
    size = channels or shape[2], kernel[0] * kernel[1] * (shape[2] if channels else 1)
    if weights is None:
        spread = float(rng.choice([3.0, 40.0, 300.0]))
        weights = np.clip(np.rint(rng.normal(0, spread, size)), -128, 127).astype(np.int8)
        # No channel is too heavy.
        total = np.abs(weights.astype(np.int64)).sum(axis=1, keepdims=True)
        weights = (weights / (1 + total // 8000)).astype(np.int8)
    largest = 128 * np.abs(weights.astype(np.int64)).sum(axis=1)
    limit = np.minimum(NARROW_LIMIT - largest, (1 << 18) - 1)
    least = int(rng.integers(0, 24))
    given: dict[str, Any] = {
        "bias": rng.integers(-limit, limit + 1) // int(rng.choice([1, 100])),
        "mantissa": rng.integers(1 << 26, 1 << 27, size[0]),
        "shift": rng.integers(least, least + 8, size[0]),
        "least": least,
        "zero_point": int(rng.integers(-128, 128)),
        **others,
    }
    return SmallConv(
        window, int(rng.integers(-128, 128)), weights, SmallScale(**given), not channels
    )


def small_operators() -> Iterator[SmallConv]:
    """Yield operators whose every byte can be changed in a test."""
    rng = np.random.default_rng(11)
    yield make_small(rng, (2, 3, 2), (1, 1), 2)
    yield make_small(rng, (3, 3, 1), (2, 2), 5, (1, 1), True)
    yield make_small(rng, (4, 3, 2), (3, 3), 0, (1, 1), True)
    yield make_small(rng, (3, 5, 1), (2, 1), 0, (1, 2))


def cases(seed: int) -> Iterable[Case]:
    """Yield shapes of every kind, numbers at their ends, and random ones."""
    rng = np.random.default_rng(seed)
    for shape in _SHAPES:
        yield from _cases(f"{shape}", rng, make_small(rng, *shape))
        usual = make_small(
            rng, *shape, shift=np.full(shape[2] or shape[0][2], 8), least=5, zero_point=-128
        )
        yield from _cases(f"{shape}, ReLU", rng, usual)
    for sign in (-1, 1):
        for inputs in (63, 64):
            weights = np.full((5, inputs), sign * 127, np.int8)
            bias = np.full(5, -sign * (1 << 18) + (sign < 0) * -1)
            operator = make_small(rng, (1, 4, inputs), (1, 1), 5, weights=weights, bias=bias)
            yield from _cases(f"{inputs} times {sign * 127}", rng, operator)
        weights = np.full((2, 64), sign * 127, np.int8)
        operator = make_small(rng, (9, 9, 2), (8, 8), 0, weights=weights, bias=np.array([0, 1000]))
        yield from _cases(f"depthwise, 64 times {sign * 127}", rng, operator)
    for least in (0, 23):
        for channels, zero_point in ((6, -128), (0, 127), (6, 0)):
            operator = make_small(
                rng,
                (2, 5, 6),
                (1, 1),
                channels,
                least=least,
                shift=np.array([least, least + 7] * 3),
                mantissa=np.array([1 << 26, (1 << 27) - 1] * 3),
                zero_point=zero_point,
            )
            yield from _cases(f"ends, {least}, {channels}, {zero_point}", rng, operator)
    for i in range(60):
        yield from _cases(f"random {i}", rng, _random(rng))


def _random(rng: np.random.Generator) -> SmallConv:
    kernel = (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
    stride = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    height, width = (int(each + rng.integers(0, 9)) for each in kernel)
    shape = height, width, int(rng.integers(1, 20))
    channels = 0 if rng.integers(2) else int(rng.integers(1, 14))
    return make_small(rng, shape, kernel, channels, stride, bool(rng.integers(2)))


def _cases(name: str, rng: np.random.Generator, operator: SmallConv) -> Iterator[Case]:
    size = operator.inputs[0][1]
    rows = [rng.integers(-128, 128, size).astype(np.int8)]
    rows.append(rng.choice(np.array([-128, 127], np.int8), size))
    yield from make_cases(name, operator, rows)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for number, operator in enumerate(small_operators()):
        for i, (params, operands, n_inputs) in enumerate(_bad_calls(operator)):
            yield BadCase(f"bad {number}, {i}", operator.KERNEL, params, operands, n_inputs)


def _bad_calls(operator: SmallConv) -> Iterable[tuple[bytes, Operands, int]]:
    good, operands = operator.encode(), operands_of(operator)
    for wrong in (b"", good[:20], good[:24], good[:-4], good + bytes(4), good + good):
        yield wrong, operands, 1
    for values, numbers in _WRONG:
        for field in numbers:
            for value in values:
                yield _with_field(good, field, value), operands, 1
    for others, n_inputs in bad_operands(operands):
        yield good, others, n_inputs


# Values that fields cannot have, and those of sizes that fit no longer.
_WRONG = (
    ((0,), (0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13)),
    ((19, 65535), (0, 1, 2, 3, 4, 5)),
    ((19, 255), (8, 9)),
    ((2, 255), (12, 13, 15)),
    ((24, 255), (17,)),
)


def _with_field(params: bytes, field: int, value: int) -> bytes:
    fields = list(_HEAD.unpack_from(params))
    fields[field] = value
    return _HEAD.pack(*fields) + params[_HEAD.size :]
