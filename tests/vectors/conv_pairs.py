"""Test vectors of the convolution with wide weights: those of the convolution, and its own."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from vectors import conv
from vectors.case import BadCase, Case, Operands, bad_operands, make_case, operands_of
from wingbeat.reference.conv import Conv2D
from wingbeat.reference.conv_pairs import ConvPairs, conv_pairs

_HEAD = struct.Struct("<8H6Bb2BbbB")
_FIELDS = 20


def small_operators() -> Iterator[ConvPairs]:
    """Yield operators whose every byte can be changed in a test."""
    rng = np.random.default_rng(12)
    for made in (
        conv.make_conv(rng, (2, 3, 2), (1, 1), 2),
        conv.make_conv(rng, (3, 3, 1), (2, 2), 4, (1, 1), (1, 2), True),
        conv.make_conv(rng, (2, 2, 4), (1, 1), 2, output_zero_point=-128, low=-128),
    ):
        operator = conv_pairs(made)
        assert operator is not None
        yield operator


def cases(seed: int) -> Iterable[Case]:
    """Yield the cases of the convolution that have a form with wide weights, and any numbers."""
    for case in conv.cases(seed):
        made = case.operator
        assert isinstance(made, Conv2D)
        operator = conv_pairs(made)
        if operator is not None:
            found = make_case(case.name, operator, *case.inputs)
            # The same numbers as those of the convolution that it was made from.
            assert np.array_equal(found.outputs[0], case.outputs[0]), case.name
            yield found
    rng = np.random.default_rng(seed)
    for inputs in (1, 3, 4, 27, 28, 60, 64, 100, 128):
        for channels, pixels in ((2, 1), (4, 3), (6, 4), (8, 9)):
            shape = (pixels, 1, inputs)
            zero_point = -128 if inputs % 2 else 3
            made = conv.make_conv(rng, shape, (1, 1), channels, output_zero_point=zero_point)
            operator = conv_pairs(made)
            assert operator is not None
            yield _case(f"{inputs} to {channels}, {pixels} pixels", rng, operator)
    for i in range(20):
        yield _case(f"any numbers {i}", rng, _any(rng))


def _any(rng: np.random.Generator) -> ConvPairs:
    """Numbers that no writer makes: sums wrap, factors are negative."""
    made = conv_pairs(conv.make_conv(rng, (3, 3, 4), (2, 3), 6, same=True))
    assert made is not None
    words = rng.integers(-(2**31), 2**31, (3, 6)).astype(np.int32)
    low, high = np.sort(rng.integers(-128, 128, 2))
    if rng.random() < 0.5:
        low, high = -128, 127
    return replace(
        made,
        weights=rng.choice([-32768, 32767, 0, 5], made.weights.shape).astype(np.int16),
        bias=words[0],
        mantissa=words[1],
        offset=words[2],
        shift=rng.integers(0, 32, 6).astype(np.int32),
        away=bool(rng.integers(0, 2)),
        low=int(low),
        high=int(high),
    )


def _case(name: str, rng: np.random.Generator, operator: ConvPairs) -> Case:
    x = rng.integers(-128, 128, operator.inputs[0][1]).astype(np.int8)
    return make_case(name, operator, x)


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for i, (params, operands, n_inputs) in enumerate(_bad_calls()):
        yield BadCase(f"bad {i}", ConvPairs.KERNEL, params, operands, n_inputs)


def _bad_calls() -> Iterable[tuple[bytes, Operands, int]]:
    operator = conv_pairs(conv.make_conv(np.random.default_rng(1), (3, 4, 5), (2, 2), 6, same=True))
    assert operator is not None
    good, operands = operator.encode(), operands_of(operator)
    for wrong in (b"", good[:20], good[:28], good[:-4], good + bytes(4)):
        yield wrong, operands, 1
    for shift in (32, -1, 2**31 - 1):
        yield good[:-4] + struct.pack("<i", shift), operands, 1
    for field in range(_FIELDS):
        for value in (0, 1, 2, 3, 4, 6, 7, 127, 255, 65535):
            changed = _with_field(good, field, value)
            if changed is not None and changed != good and field not in _HARMLESS:
                yield changed, operands, 1
    yield _HEAD.pack(*_fields(good, low=5, high=4)) + good[_HEAD.size :], operands, 1
    for others, n_inputs in bad_operands(operands):
        yield good, others, n_inputs


# Corner, stride, dilation, the value of the padding and the limits change the result, and nothing
# else.
_HARMLESS = (6, 7, 10, 11, 12, 13, 14, 17, 18)


def _fields(params: bytes, low: int, high: int) -> list[int]:
    fields = list(_HEAD.unpack_from(params))
    fields[17:19] = low, high
    return fields


def _with_field(params: bytes, field: int, value: int) -> bytes | None:
    fields = list(_HEAD.unpack_from(params))
    fields[field] = value
    if field == 16 and value < 2:
        return None
    try:
        return _HEAD.pack(*fields) + params[_HEAD.size :]
    except struct.error:
        return None
