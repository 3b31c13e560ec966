"""What a test vector is: one call of an operator, or one that its kernel must refuse."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wingbeat.program import MAX_OPERANDS
from wingbeat.reference import DTYPES, Operator
from wingbeat.reference.signal_operator import StatefulOperator

#: Typecode and bytes of each operand.
Operands: TypeAlias = tuple[tuple[str, int], ...]


@dataclass(frozen=True, eq=False)
class Memory:
    """An operand that is kept from run to run: its position, and what it holds."""

    position: int
    before: NDArray[Any]
    after: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Case:
    """One call of an operator.

    Parameters
    ----------
    name : str
        Unique among the cases of one module and seed.
    operator : Operator
    inputs : tuple of ndarray, each of shape [elements]
    outputs : tuple of ndarray, each of shape [elements]
        What the reference gives.
    params : bytes
        Parameters as they stand in a program.
    memory : tuple of Memory
        What is kept from run to run, before and after this one.
    due : bool
        Operators behind this one would run.
    """

    name: str
    operator: Operator
    inputs: tuple[NDArray[Any], ...]
    outputs: tuple[NDArray[Any], ...]
    params: bytes
    memory: tuple[Memory, ...] = ()
    due: bool = True


@dataclass(frozen=True)
class BadCase:
    """A call that the kernel's check must refuse.

    Parameters
    ----------
    name : str
        What is wrong.
    kernel : str
    params : bytes
    operands : Operands
    n_inputs : int
    """

    name: str
    kernel: str
    params: bytes
    operands: Operands
    n_inputs: int = 1


def make_case(name: str, operator: Operator, *inputs: NDArray[Any]) -> Case:
    """Return the case of inputs of shape [elements]."""
    outputs = operator.apply(*(x[np.newaxis] for x in inputs))
    return Case(name, operator, inputs, tuple(out[0] for out in outputs), operator.encode())


def make_stream_cases(
    name: str, operator: StatefulOperator, rows: Sequence[NDArray[Any]]
) -> Iterator[Case]:
    """Yield a case for each of rows that follow each other, from the stream's start."""
    kinds = (*operator.inputs, *operator.outputs, *operator.scratch)
    memory = [np.zeros(n, DTYPES[code]) for code, n in (kinds[at] for at in operator.persistent)]
    for i, row in enumerate(rows):
        before = [array.copy() for array in memory]
        outputs, due = operator.advance(memory, row[np.newaxis])
        kept = tuple(
            Memory(position, old, new.copy())
            for position, old, new in zip(operator.persistent, before, memory, strict=True)
        )
        # An output that is not due is only known if it is kept.
        given = {each.position: each.after for each in kept}
        firsts = [out[0] if due[0] else given[1 + at] for at, out in enumerate(outputs)]
        params = operator.encode()
        yield Case(f"{name}, row {i}", operator, (row,), tuple(firsts), params, kept, bool(due[0]))


def make_cases(name: str, operator: Operator, rows: Sequence[NDArray[Any]]) -> Iterator[Case]:
    """Yield a case for each row of an operator with one input."""
    outputs = operator.apply(np.stack(rows))
    params = operator.encode()
    for i, row in enumerate(rows):
        yield Case(f"{name}, row {i}", operator, (row,), tuple(out[i] for out in outputs), params)


def operands_of(operator: Operator) -> Operands:
    """Return the operands that an operator takes: inputs, outputs, scratch."""
    return tuple(
        (typecode, DTYPES[typecode].itemsize * count)
        for typecode, count in (*operator.inputs, *operator.outputs, *operator.scratch)
    )


def bad_operands(good: Operands, n_inputs: int = 1) -> Iterable[tuple[Operands, int]]:
    """Yield operands that differ from right ones, and how many are inputs."""
    for wrong_inputs in range(len(good) + 2):
        if wrong_inputs != n_inputs:
            yield good, wrong_inputs
    yield (), n_inputs
    for position in range(len(good)):
        yield (*good[:position], *good[position + 1 :]), n_inputs
    for more in range(1, MAX_OPERANDS - len(good) + 1):
        yield (*good, *((("h", 4),) * more)), n_inputs
    for first, second in combinations(range(len(good)), 2):
        if good[first] != good[second]:
            swapped = _with_operand(good, first, good[second])
            yield _with_operand(swapped, second, good[first]), n_inputs
    for position, (typecode, size) in enumerate(good):
        for other in "bBhHiIf\0":
            if other != typecode:
                yield _with_operand(good, position, (other, size)), n_inputs
        for delta in (-size, -4, -2, -1, 1, 2, 4, 1 << 16, 1 << 31):
            if size + delta >= 0:
                yield _with_operand(good, position, (typecode, size + delta)), n_inputs


def bad_calls(
    operator: Operator, changes: Sequence[tuple[int, str, Sequence[int]]]
) -> Iterator[BadCase]:
    """Yield calls of an operator with parameters or operands that its kernel must refuse.

    Parameters
    ----------
    changes : sequence of position, struct format, values
        What each of its parameters must not be, besides a wrong length of all of them.
    """
    good, operands, n_inputs = operator.encode(), operands_of(operator), len(operator.inputs)
    wrong = [("cut short", good[:size]) for size in (*range(0, min(len(good), 16), 4), -4)]
    wrong.append(("too long", good + bytes(4)))
    for at, layout, values in changes:
        for value in values:
            field = struct.pack(layout, value)
            wrong.append((f"{value} at {at}", good[:at] + field + good[at + len(field) :]))
    for name, params in wrong:
        yield BadCase(name, operator.KERNEL, params, operands, n_inputs)
    for i, (others, n) in enumerate(bad_operands(operands, n_inputs)):
        yield BadCase(f"bad operands {i}", operator.KERNEL, good, others, n)


def _with_operand(operands: Operands, position: int, other: tuple[str, int]) -> Operands:
    return (*operands[:position], other, *operands[position + 1 :])
