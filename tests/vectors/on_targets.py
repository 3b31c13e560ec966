"""The test vectors in MicroPython: many cases of a kernel as one program, on any target."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vectors import Case, all_cases
from wingbeat.assemble import Module
from wingbeat.program import Call, Decision, Descriptor, Program, Tensor
from wingbeat.reference import DTYPES, OPCODES
from wingbeat.targets import TARGETS, open_target


@dataclass(frozen=True)
class Limits:
    """Of one start: bytes of the arena that all vectors share, of one program, of all files."""

    arena: int = 60_000
    program: int = 2_000_000
    files: int = 5_000_000
    modules: int = 4
    # Bytes of the vectors of a kernel; `make soak` has no such limit.
    kernel: int | None = 100_000


LIMITS = {
    **dict.fromkeys(TARGETS, Limits()),
    # Its ROMFS has 512 KB.
    "rp2040": Limits(program=150_000, files=420_000, modules=8),
    "xtensa": Limits(files=3_500_000, modules=12),
    "unix": Limits(arena=400_000, program=200_000, files=1_500_000, modules=1000, kernel=None),
}


def execute(target: str, script: str, files: dict[str, bytes] | None = None) -> str:
    with open_target(target) as machine:
        return machine.execute(textwrap.dedent(script), files or {}, timeout=240.0).stdout


def assembled(program: Program, target: str) -> Module:
    with open_target(target) as machine:
        return program.assemble(machine.arch)


@dataclass(frozen=True)
class _Given:
    """An operator whose parameters were encoded before."""

    case: Case

    @property
    def OPCODE(self) -> int:  # noqa: N802
        return self.case.operator.OPCODE

    @property
    def KERNEL(self) -> str:  # noqa: N802
        return self.case.operator.KERNEL

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        return self.case.operator.inputs

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        return self.case.operator.outputs

    @property
    def scratch(self) -> tuple[tuple[str, int], ...]:
        return self.case.operator.scratch

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        return self.case.operator.in_place

    def encode(self) -> bytes:
        return self.case.params

    def apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        return self.case.operator.apply(*inputs)


def _padded(size: int) -> int:
    return (size + 3) // 4 * 4


def _arena_of(case: Case) -> int:
    kept = {each.position: each.after for each in case.memory}
    arrays = dict(enumerate((*case.inputs, *case.outputs))) | kept
    return sum(_padded(array.nbytes) for array in arrays.values())


def _scratch_of(case: Case) -> int:
    return sum(_padded(DTYPES[code].itemsize * n) for code, n in case.operator.scratch)


@dataclass(frozen=True)
class Batch:
    """Many cases as one program, which takes all inputs from its arena.

    Attributes
    ----------
    before, after : bytes
        The arena with the inputs, and with the outputs as well.
    ends : tuple of int
        Where each case's part of the arena ends.
    """

    program: Program
    before: bytes
    after: bytes
    ends: tuple[int, ...]
    cases: tuple[Case, ...]

    def case_at(self, offset: int) -> str:
        number = next(i for i, end in enumerate(self.ends) if offset < end)
        return f"{self.cases[number].operator.KERNEL}: {self.cases[number].name}"


def _batch(name: str, cases: Sequence[Case]) -> Batch:
    # The program's own input and output are not used.
    tensors = [Tensor("B", 4, None), Tensor("B", 4, 0)]
    before, after = bytearray(4), bytearray(4)
    calls, ends = [], []
    # All cases share the memory behind the last one's for their scratch.
    behind = len(before) + sum(map(_arena_of, cases))
    for case in cases:
        first, place = len(tensors), behind
        operator = case.operator
        kinds = (*operator.inputs, *operator.outputs, *operator.scratch)
        arrays = dict(enumerate((*case.inputs, *case.outputs)))
        given = dict(enumerate(case.inputs)) | {each.position: each.before for each in case.memory}
        arrays |= {each.position: each.after for each in case.memory}
        for position, (typecode, n_elements) in enumerate(kinds):
            if position in arrays:
                tensors.append(Tensor(typecode, n_elements, len(before)))
                data = arrays[position].tobytes()
                size = _padded(len(data))
                old = given[position].tobytes() if position in given else b""
                before += old.ljust(size, b"\0")
                after += data.ljust(size, b"\0")
            else:
                tensors.append(Tensor(typecode, n_elements, place))
                place += _padded(DTYPES[typecode].itemsize * n_elements)
        calls.append(Call(_Given(case), tuple(range(first, len(tensors)))))
        ends.append(len(before))
    unused = Descriptor("B", (4,))
    arena = behind + max(map(_scratch_of, cases))
    program = Program(
        name, tuple(tensors), tuple(calls), unused, unused, 1, 1, Decision.NONE, arena
    )
    return Batch(program, bytes(before), bytes(after), tuple(ends), tuple(cases))


def _batches(cases: Sequence[Case], arena: int, program: int) -> Iterator[list[Case]]:
    """Split the cases, each batch of one kernel and within bytes of its arena and its program."""
    batch: list[Case] = []
    for case in cases:
        longer = [*batch, case]
        if batch and (
            sum(map(_arena_of, longer)) + max(map(_scratch_of, longer)) > arena
            or sum(len(each.params) for each in longer) > program
            or batch[0].operator.KERNEL != case.operator.KERNEL
        ):
            yield batch
            batch = []
        batch.append(case)
    yield batch


@cache
def _vectors() -> tuple[Case, ...]:
    # A run that is not due would end the program, which has other cases behind it.
    return tuple(case for case in all_cases(1) if case.due)


_RUN_VECTORS = """
    import gc, json, sys
    arena = bytearray({arena})
    view = memoryview(arena)
    chunk = bytearray(512)
    wrong = []
    for name in {names}:
        gc.collect()
        model = __import__(name).Model(arena)
        with open(name + ".in", "rb") as file:
            file.readinto(view)
        model.run(bytes(4), bytearray(4))
        with open(name + ".out", "rb") as file:
            at = 0
            while True:
                n = file.readinto(chunk)
                if not n:
                    break
                if view[at : at + n] != memoryview(chunk)[:n]:
                    wrong += [(name, at + i) for i in range(n) if view[at + i] != chunk[i]][:1]
                at += n
        del model, sys.modules[name]
    print(json.dumps(wrong))
"""


def _drawn(cases: Sequence[Case], most: int) -> Iterator[Case]:
    """Of each kernel as many cases, drawn at random, as fit into `most` bytes."""
    order = np.random.default_rng(1).permutation(len(cases))
    taken: set[int] = set()
    spent: dict[str, int] = {}
    for number in order:
        case = cases[number]
        kernel, size = case.operator.KERNEL, len(case.params) + 2 * _arena_of(case)
        if spent.get(kernel, 0) + size <= most or kernel not in spent:
            spent[kernel] = spent.get(kernel, 0) + size
            taken.add(int(number))
    return (case for number, case in enumerate(cases) if number in taken)


def run_vectors(target: str, most: int | None) -> None:
    """Run vectors, at most so many bytes of each kernel; none that is larger than the memory."""
    limits = LIMITS[target]
    limit = limits.arena - 4
    cases = [case for case in _vectors() if _arena_of(case) + _scratch_of(case) <= limit]
    assert len(cases) > 0.99 * len(_vectors())
    if most is not None:
        cases = list(_drawn(cases, most))
        assert {case.operator.KERNEL for case in cases} == set(OPCODES)
    batches = {
        f"v{number}": _batch(f"v{number}", batch)
        for number, batch in enumerate(_batches(cases, limit, limits.program))
    }
    files: dict[str, bytes] = {}
    names: list[str] = []
    for name, batch in batches.items():
        more = {
            f"{name}.mpy": assembled(batch.program, target).data,
            f"{name}.in": batch.before,
            f"{name}.out": batch.after,
        }
        size = sum(map(len, files.values())) + sum(map(len, more.values()))
        if size > limits.files or len(names) == limits.modules:
            _run_batches(target, names, files, batches)
            names, files = [], {}
        names.append(name)
        files |= more
    _run_batches(target, names, files, batches)


def _run_batches(
    target: str, names: list[str], files: dict[str, bytes], batches: dict[str, Batch]
) -> None:
    script = textwrap.dedent(_RUN_VECTORS).format(arena=LIMITS[target].arena, names=names)
    wrong = json.loads(execute(target, script, files))
    assert [batches[name].case_at(at) for name, at in wrong] == []
