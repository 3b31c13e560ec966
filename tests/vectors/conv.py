"""Test vectors of the convolution."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vectors.case import BadCase, Case, Operands, bad_operands, make_case, operands_of
from wingbeat.reference.conv import Conv2D, conv2d, same_padding

_HEAD = struct.Struct("<8H6BbB")
_HEAD_FIELDS = 16

#: Shape, kernel, out channels, stride, dilation, SAME.
_SHAPES = (
    ((1, 1, 1), (1, 1), 1, (1, 1), (1, 1), False),
    ((1, 2, 1), (1, 1), 3, (1, 1), (1, 1), False),
    ((1, 4, 3), (1, 1), 5, (1, 1), (1, 1), False),
    ((5, 5, 8), (1, 1), 8, (1, 1), (1, 1), False),
    ((5, 5, 8), (1, 1), 7, (2, 2), (1, 1), False),
    ((5, 4, 4), (3, 3), 4, (1, 1), (1, 1), True),
    ((5, 4, 4), (3, 3), 6, (1, 1), (1, 1), False),
    ((7, 9, 2), (3, 2), 4, (2, 1), (1, 1), True),
    ((9, 9, 2), (3, 3), 4, (1, 1), (2, 3), True),
    ((9, 9, 2), (3, 3), 4, (1, 1), (3, 1), True),
    ((9, 9, 3), (2, 3), 4, (1, 2), (2, 2), False),
    ((10, 5, 1), (10, 4), 16, (2, 2), (1, 1), True),
    ((1, 40, 6), (1, 15), 8, (1, 3), (1, 1), True),
    ((40, 1, 6), (15, 1), 3, (4, 1), (1, 1), True),
    ((2, 2, 1), (9, 9), 4, (1, 1), (1, 1), True),
    ((3, 3, 2), (5, 5), 4, (3, 3), (4, 4), True),
    ((1, 1, 255), (1, 1), 9, (1, 1), (1, 1), False),
)


def make_conv(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    kernel: tuple[int, int],
    channels: int,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    same: bool = False,
    *,
    weights: NDArray[np.int8] | None = None,
    spread: float = 40.0,
    **others: Any,
) -> Conv2D:
    """A convolution with random numbers where none are given."""
    if weights is None:
        values = rng.normal(0, spread, (channels, *kernel, shape[2]))
        weights = np.clip(np.rint(values), -128, 127).astype(np.int8)
    padding = [
        same_padding(shape[i], kernel[i], stride[i], dilation[i]) if same else (0, 0)
        for i in (0, 1)
    ]
    given: dict[str, Any] = {
        "bias": rng.integers(-3000, 3000, channels),
        "input_zero_point": int(rng.integers(-128, 128)),
        "factors": 2.0 ** rng.uniform(-12, -6, channels),
        "output_zero_point": int(rng.integers(-128, 128)),
        **others,
    }
    return conv2d(
        weights,
        shape=shape,
        stride=stride,
        dilation=dilation,
        padding=(padding[0], padding[1]),
        **given,
    )


def small_operators() -> Iterator[Conv2D]:
    """Yield operators whose every byte can be changed in a test."""
    rng = np.random.default_rng(11)
    yield make_conv(rng, (2, 3, 2), (1, 1), 2)
    yield make_conv(rng, (3, 3, 1), (2, 2), 3, (1, 1), (1, 2), True, factors=[0.6] * 3)
    weights = np.full((1, 1, 9, 9), 127, np.int8)
    yield make_conv(rng, (1, 9, 9), (1, 9), 1, weights=weights)


def cases(seed: int) -> Iterable[Case]:
    """Yield shapes of every kind, weights and inputs at their ends, and random ones."""
    rng = np.random.default_rng(seed)
    for shape in _SHAPES:
        yield _case(f"{shape}", rng, make_conv(rng, *shape))
    for inputs in (62, 63, 64, 65, 127, 128, 200):
        for weight in (-128, 127):
            weights = np.full((5, 1, 1, inputs), weight, np.int8)
            operator = make_conv(rng, (1, 4, inputs), (1, 1), 5, weights=weights)
            for value in (-128, 127):
                x = np.full(4 * inputs, value, np.int8)
                yield make_case(f"{inputs} times {weight} times {value}", operator, x)
    for name, others in _EDGES.items():
        operator = make_conv(rng, (2, 5, 6), (1, 1), 6, **others)
        for i in range(3):
            yield _case(f"{name}, {i}", rng, operator)
    for i in range(60):
        yield _case(f"random {i}", rng, _random(rng))


_EDGES: dict[str, dict[str, Any]] = {
    "factors just below 1/2": {"factors": [0.5 - 2.0**-40] * 6},
    "factors of 1/2": {"factors": [0.5] * 6},
    "large factors": {"factors": [1.0, 2.0, 100.0, 1e6, 1e9, 0.9]},
    "tiny factors": {"factors": [0.0, 1e-12, 2.0**-31, 2.0**-32, 2.0**-30, 1e-9]},
    "one tiny factor of the narrow form": {"factors": [2.0**-31] + [0.01] * 5},
    "large biases": {"bias": [2**30, -(2**30), 0, 1, -1, 2**20]},
    "biases at the end of the narrow form": {"bias": [900_000, -900_000, 0, 1, -1, 0]},
    "no room": {"low": 5, "high": 5},
    "relu": {"output_zero_point": -128, "low": -128},
    "relu6": {"output_zero_point": -20, "low": -20, "high": 100},
    "all positive": {"low": 0},
    "all negative": {"high": -1},
}


def _random(rng: np.random.Generator) -> Conv2D:
    kernel = (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
    dilation = (int(rng.integers(1, 3)), int(rng.integers(1, 3)))
    stride = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    least = [(kernel[i] - 1) * dilation[i] + 1 for i in (0, 1)]
    shape = (
        int(least[0] + rng.integers(0, 6)),
        int(least[1] + rng.integers(0, 6)),
        int(rng.integers(1, 20)),
    )
    same = bool(rng.integers(0, 2))
    spread = float(rng.choice([3.0, 40.0, 300.0]))
    channels = int(rng.integers(1, 14))
    return make_conv(rng, shape, kernel, channels, stride, dilation, same, spread=spread)


def _case(name: str, rng: np.random.Generator, operator: Conv2D) -> Case:
    x = rng.integers(-128, 128, operator.inputs[0][1]).astype(np.int8)
    return make_case(name, operator, x)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for i, (params, operands, n_inputs) in enumerate(_bad_calls()):
        yield BadCase(f"bad {i}", Conv2D.KERNEL, params, operands, n_inputs)


def _bad_calls() -> Iterable[tuple[bytes, Operands, int]]:
    operator = make_conv(np.random.default_rng(1), (3, 4, 5), (2, 2), 6, same=True)
    good, operands = operator.encode(), operands_of(operator)
    for wrong in (b"", good[:20], good[:28], good[:-4], good + bytes(4)):
        yield wrong, operands, 1
    for field in range(_HEAD_FIELDS):
        for value in (0, 1, 2, 3, 4, 6, 7, 127, 255, 65535):
            changed = _with_field(good, field, value)
            if changed is not None and changed != good and field not in _HARMLESS:
                yield changed, operands, 1
    for others, n_inputs in bad_operands(operands):
        yield good, others, n_inputs


# Corner, stride, dilation and the value of the padding change the result, and nothing else.
_HARMLESS = (6, 7, 10, 11, 12, 13, 14)


def _with_field(params: bytes, field: int, value: int) -> bytes | None:
    fields = list(_HEAD.unpack_from(params))
    fields[field] = value
    try:
        return _HEAD.pack(*fields) + params[_HEAD.size :]
    except struct.error:
        return None
