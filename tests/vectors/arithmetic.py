"""Test vectors of sums, differences and products of int8 tensors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vectors.case import BadCase, Case, Operands, bad_operands, make_case, operands_of
from wingbeat.reference.activations import Quantization
from wingbeat.reference.arithmetic import ALWAYS, Add, Arithmetic, Mul, Side, add, mul

#: Shapes of x and y.
_SHAPES = (
    ((1,), (1,)),
    ((7,), (7,)),
    ((300, 3), (300, 3)),
    ((5, 4, 6), (6,)),
    ((5, 4, 6), (1,)),
    ((5, 4, 6), (5, 4, 1)),
    ((5, 4, 6), (5, 1, 6)),
    ((2, 3), (2, 1)),
)
_ACTIVATIONS = ("none", "relu", "relu6", "relu_n1_to_1")
_X, _Y, _Z = Quantization(0.1, 3), Quantization(0.07, -5), Quantization(0.13, 4)


def _made(kind: str, x: Side, y: Side, output: Quantization, activation: str) -> Arithmetic:
    made = (
        mul(x, y, output, activation)
        if kind == "mul"
        else add(x, y, output, activation, subtract=kind == "sub")
    )
    assert isinstance(made, Arithmetic)
    return made


def small_operators() -> Iterable[Arithmetic]:
    """Yield operators for the tests of changed parameters."""
    constant = np.arange(3, dtype=np.int8)
    for kind in ("sub", "mul"):
        yield _made(kind, Side((2, 1, 3), _X), Side((2, 4, 3), _Y), _Z, "none")
        yield _made(kind, Side((2, 3), _X), Side((3,), _Y, constant), _Z, "none")


def _random(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int8]:
    return rng.integers(-128, 128, int(np.prod(shape))).astype(np.int8)


def cases(seed: int) -> Iterable[Case]:
    """Yield pairs of inputs for many quantizations, and all shapes."""
    rng = np.random.default_rng(seed)
    yield from _pairs(rng)
    for kind in ("add", "sub", "mul"):
        for shape, other in _SHAPES:
            x, y = _random(rng, shape), _random(rng, other)
            name = f"{kind} {shape} and {other}"
            sides = Side(shape, _X), Side(other, _Y)
            yield make_case(name, _made(kind, *sides, _Z, "none"), x, y)
            yield make_case(f"{name}, swapped", _made(kind, *sides[::-1], _Z, "none"), y, x)
            if np.any(y != y[0]):
                fixed = Side(other, _Y, y)
                yield make_case(f"{name}, constant", _made(kind, sides[0], fixed, _Z, "relu"), x)
                yield make_case(f"{name}, of constant", _made(kind, fixed, sides[0], _Z, "none"), x)


def _pairs(rng: np.random.Generator) -> Iterable[Case]:
    """All of one input with a few of the other."""
    for i in range(4):
        few = [-128, 127, *rng.integers(-127, 127, 14)]
        first, second = np.meshgrid(np.arange(-128, 128), few)
        x, y = (each.ravel().astype(np.int8) for each in (first, second)[:: 1 - 2 * (i % 2)])
        quantizations = [
            Quantization(float(np.exp2(rng.uniform(-4, 1))), int(rng.integers(-128, 128)))
            for _ in range(3)
        ]
        sides = Side(x.shape, quantizations[0]), Side(y.shape, quantizations[1])
        activation = _ACTIVATIONS[i]
        for kind in ("add", "sub", "mul"):
            operator = _made(kind, *sides, quantizations[2], activation)
            yield make_case(f"{kind} pairs {i}", operator, x, y)
            for name, doubt in (("some", 1 << 30), ("always", ALWAYS)):
                in_doubt = replace(operator, doubt=doubt)
                yield make_case(f"{kind} pairs {i}, {name} doubt", in_doubt, x, y)
            changed = _with_any_numbers(rng, operator)
            yield make_case(f"{kind} pairs {i}, any parameters", changed, x, y)


def _with_any_numbers(rng: np.random.Generator, operator: Arithmetic) -> Arithmetic:
    first, second, third = (int(each) for each in rng.integers(0, 1 << 31, 3))
    product = isinstance(operator, Mul)
    return replace(
        operator,
        mantissa=(0, 0, third) if product else (first, second, third),
        exponent=(0, 0, first % 31) if product else (-(first % 32), -(second % 32), -(third % 32)),
        fast=(first - (1 << 30), 0 if product else second - (1 << 30)),
        bias=int(rng.integers(-(1 << 31), 1 << 31)),
        doubt=int(rng.integers(0, 1 << 32)),
    )


def bad_cases() -> Iterable[BadCase]:
    """Yield calls that the kernel must refuse."""
    for kind in (Add, Mul):
        for i, (params, operands, n_inputs) in enumerate(_bad_calls(kind)):
            yield BadCase(f"bad {i}", kind.KERNEL, params, operands, n_inputs)


def _changed(params: bytes, **words: bytes) -> bytes:
    changed = bytearray(params)
    for at, word in words.items():
        changed[int(at[1:]) : int(at[1:]) + len(word)] = word
    return bytes(changed)


def _bad_calls(kind: type[Arithmetic]) -> Iterable[tuple[bytes, Operands, int]]:
    for operator in small_operators():
        if not isinstance(operator, kind):
            continue
        good, operands, n_inputs = operator.encode(), operands_of(operator), len(operator.inputs)
        for wrong in (b"", good[:4], good[:-4], good + bytes(4)):
            yield wrong, operands, n_inputs
        for count in range(3):
            for value in (b"\0\0", b"\xff\xff"):
                yield _changed(good, **{f"_{2 * count}": value}), operands, n_inputs
        for low in (-129, 128, 127):
            yield _changed(good, _20=low.to_bytes(4, "little", signed=True)), operands, n_inputs
        for value in (b"\0\1\0\0", b"\xff\xff\xff\xff"):
            yield _changed(good, _16=value), operands, n_inputs
        for word in (36, 40, 44):
            yield _changed(good, **{f"_{word + 3}": b"\x80"}), operands, n_inputs
        for byte in (48, 49, 50):
            for exponent in (31, -32, -128, kind.MAX_EXPONENT + 1):
                value = exponent.to_bytes(1, "little", signed=True)
                yield _changed(good, **{f"_{byte}": value}), operands, n_inputs
        if operator.constant is not None:
            yield _changed(good, _7=b"\1"), operands, n_inputs
        for others, wrong_inputs in bad_operands(operands, n_inputs):
            yield good, others, wrong_inputs
