"""Runs rows of input, or the blocks of a stream, through a real module on a target."""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .assemble import Module
from .errors import TargetError, UsageError
from .program import Program
from .stream import pace_of
from .targets import Target

_ROWS_PER_BATCH = 512
_ROOM_FOR_NAMES = 4096
_BYTES_PER_BATCH = 4_000_000

_NO_CLOCK = "start = stop = lambda: None\nticks = lambda: 0\n"

_LOAD = """\
import array, binascii, gc, json, micropython
gc.collect()
before = gc.mem_alloc()
module = __import__("{name}")
gc.collect()
imported = gc.mem_alloc()
{model}
gc.collect()
made = gc.mem_alloc()
{clock}
row = bytearray({row_size})
out = bytearray({out_size})
results = array.array("i", [0])
"""

# The heap is locked around every call: one that allocates raises MemoryError.
_MEASURE = """\
def measured():
    micropython.heap_lock()
    start()
    try:
        results[0] = call()
    finally:
        stop()
        micropython.heap_unlock()
    return ticks()
run_call, call = call, lambda: 0
measured()
overhead = measured()
call = run_call
"""

_RUN = """\
def call():
    return {call} or 0
{measure}
total = 0
with open("in.bin", "rb") as file:
    while file.readinto(row):
        total += measured() - overhead
        print(binascii.b2a_base64({result}).decode(), end="")
print(json.dumps([imported - before, made - imported, total]))
"""

# What is kept from run to run lies at the end of the arena: it goes from one start of the machine
# to the next, since not every machine has room for a whole recording.
_PUSH = """\
view = memoryview(arena)[{kept}:]
with open("kept.bin", "rb") as file:
    file.readinto(view)
block, results = row, [None]
def call():
    return model.push(block, out)
{measure}
with open("in.bin", "rb") as file:
    while True:
        size = file.readinto(row)
        if not size:
            break
        block = row if size == len(row) else memoryview(row)[:size]
        spent = measured() - overhead
        if results[0] is None:
            print(spent)
        else:
            print(spent, int(results[0]), binascii.b2a_base64(out).decode(), end="")
print("kept")
for at in range(0, len(view) if {more} else 0, 48):
    print(binascii.b2a_base64(view[at : at + 48]).decode(), end="")
print(json.dumps([imported - before, made - imported]))
"""


@dataclass(frozen=True)
class Run:
    """What a target answered.

    Attributes
    ----------
    outputs : array [rows, ...]
        Raw outputs, or what predict returned.
    heap_import, heap_model : int
        Bytes of heap that the import and `Model()` took.
    ticks : float or None
        Mean ticks of the target's clock for one call, without the cost of an empty one; None
        where time says nothing (unix).
    unit : str or None
        What a tick is: ``cycles`` or ``instructions``.
    """

    outputs: NDArray[Any]
    heap_import: int
    heap_model: int
    ticks: float | None
    unit: str | None


def run_module(
    target: Target,
    module: Module,
    x: NDArray[Any],
    *,
    predict: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Run:
    """Run all rows of `x` on `target`.

    Parameters
    ----------
    x : array [rows, *input.shape]
        Of the input's dtype.
    predict : bool
        Call `predict` instead of `run`.
    progress : callable, optional
        Is told the number of rows done.

    Raises
    ------
    DeviceError
        The module raised an exception.
    TargetError
        The target died or did not answer.
    UsageError
        The program takes a stream, and the rows, which follow each other in it, are too many for
        one start of the target: see `push_module`.
    """
    descriptor = module.program.input
    rows = np.ascontiguousarray(x, dtype=descriptor.dtype).reshape(-1, descriptor.n_elements)
    outputs, facts, ticks = [], (0, 0), 0.0
    per_batch = _rows_per_batch(target, module)
    if module.program.takes_stream and len(rows) > per_batch:
        raise UsageError(f"{len(rows)} rows of a stream are too many at once: use push_module")
    for start in range(0, max(1, len(rows)), per_batch):
        batch = rows[start : start + per_batch]
        answer, heap_import, heap_model, spent = _run_batch(target, module, batch, predict)
        outputs.append(answer)
        facts, ticks = (heap_import, heap_model), ticks + spent
        if progress is not None:
            progress(start + len(batch))
    unit = target.clock.unit if target.clock is not None and len(rows) else None
    return Run(np.concatenate(outputs), *facts, ticks / len(rows) if unit else None, unit)


@dataclass(frozen=True)
class Pushed:
    """What a target answered to the blocks of a stream.

    Attributes
    ----------
    blocks : NDArray[int64] [results]
        Number of the block in which each result was due; of several in one, there is the last.
    outputs : array [results, *output.shape]
        Raw.
    decisions : NDArray[int64] [results]
        What `push` returned; 1 for programs that make no decision.
    heap_import, heap_model : int
        Bytes of heap that the import and `Model()` took.
    ticks : NDArray[int64] [blocks] or None
        Of the target's clock, for each block, without the cost of an empty call.
    unit : str or None
        What a tick is: ``cycles`` or ``instructions``.
    """

    blocks: NDArray[np.int64]
    outputs: NDArray[Any]
    decisions: NDArray[np.int64]
    heap_import: int
    heap_model: int
    ticks: NDArray[np.int64] | None
    unit: str | None


def push_module(
    target: Target,
    module: Module,
    x: NDArray[Any],
    *,
    block: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Pushed:
    """Push a stream on `target`, block by block, from its start.

    Parameters
    ----------
    x : array [samples, channels]
        Of the input's dtype.
    block : int, optional
        Samples of a block; the last one may be shorter. By default those of one input.
    progress : callable, optional
        Is told the number of samples done.

    Raises
    ------
    DeviceError
        The module raised an exception.
    TargetError
        The target died or did not answer.
    UsageError
        The program takes no stream.
    """
    program = module.program
    pace = pace_of(program)
    length = pace.samples if block is None else block
    samples = np.ascontiguousarray(x, dtype=program.input.dtype).reshape(-1, program.channels)
    start = program.tensors[program.stream_tensor].place
    assert start is not None
    kept = bytes(program.arena - start)
    most = _blocks_per_batch(target, module, length * samples[:1].nbytes, len(kept)) * length
    answers: list[tuple[str, ...]] = []
    facts = (0, 0)
    for at in range(0, max(1, len(samples)), most):
        part = samples[at : at + most]
        more = at + most < len(samples)
        lines, kept, facts = _push_batch(target, module, part, length, kept, more)
        answers += lines
        if progress is not None:
            progress(at + len(part))
    due = [number for number, words in enumerate(answers) if len(words) > 1]
    data = b"".join(binascii.a2b_base64(answers[number][2]) for number in due)
    outputs = np.frombuffer(data, program.output.dtype).reshape(len(due), *program.output.shape)
    decisions = np.array([int(answers[number][1]) for number in due], np.int64)
    unit = target.clock.unit if target.clock is not None else None
    ticks = np.array([int(words[0]) for words in answers], np.int64) if unit else None
    return Pushed(np.array(due, np.int64), outputs, decisions, *facts, ticks, unit)


def _blocks_per_batch(target: Target, module: Module, block_size: int, kept: int) -> int:
    room = _BYTES_PER_BATCH if target.room is None else target.room
    free = room - len(module.data) - kept - _ROOM_FOR_NAMES
    return max(1, min(free, _BYTES_PER_BATCH) // max(1, block_size))


def _push_batch(
    target: Target, module: Module, samples: NDArray[Any], block: int, kept: bytes, more: bool
) -> tuple[list[tuple[str, ...]], bytes, tuple[int, int]]:
    """Words of the answer to each block, what is kept after them, heap of import and model."""
    program = module.program
    model = f"arena = bytearray({program.arena})\nmodel = module.Model(arena)"
    row_size = block * program.channels * program.input.dtype.itemsize
    script = _load_script(target, program, row_size, model)
    script += _PUSH.format(kept=program.arena - len(kept), measure=_MEASURE, more=more)
    files = {f"{program.name}.mpy": module.data, "in.bin": samples.tobytes(), "kept.bin": kept}
    n_blocks = -(-len(samples) // block)
    printed = target.execute(script, files, timeout=120.0 + n_blocks).stdout.splitlines()
    try:
        lines = [tuple(line.split()) for line in printed[:n_blocks]]
        if printed[n_blocks] != "kept" or not {len(words) for words in lines} <= {1, 3}:
            raise ValueError
        after = b"".join(binascii.a2b_base64(line) for line in printed[n_blocks + 1 : -1])
        heap_import, heap_model = json.loads(printed[-1])
    except (ValueError, IndexError) as error:
        raise TargetError(
            f"{target.name} answered {len(printed)} lines for {n_blocks} blocks: {printed[-1:]}"
        ) from error
    return lines, after, (heap_import, heap_model)


def _load_script(target: Target, program: Program, row_size: int, model: str) -> str:
    return _LOAD.format(
        name=program.name,
        model=model,
        clock=target.clock.script if target.clock is not None else _NO_CLOCK,
        row_size=row_size,
        out_size=program.output.n_elements * program.output.dtype.itemsize,
    )


def _rows_per_batch(target: Target, module: Module) -> int:
    if target.room is None:
        return _ROWS_PER_BATCH
    descriptor = module.program.input
    row_size = descriptor.n_elements * descriptor.dtype.itemsize
    free = target.room - len(module.data) - _ROOM_FOR_NAMES
    return min(max(1, free // row_size), _ROWS_PER_BATCH)


def _run_batch(
    target: Target, module: Module, rows: NDArray[Any], predict: bool
) -> tuple[NDArray[Any], int, int, int]:
    program = module.program
    dtype = np.dtype("<i4") if predict else program.output.dtype
    shape = () if predict else program.output.shape
    row_size = program.input.n_elements * program.input.dtype.itemsize
    script = _load_script(target, program, row_size, "model = module.Model()") + _RUN.format(
        call="model.predict(row)" if predict else "model.run(row, out)",
        measure=_MEASURE,
        result="results" if predict else "out",
    )
    files = {f"{program.name}.mpy": module.data, "in.bin": rows.tobytes()}
    timeout = 60.0 + len(rows)
    lines = target.execute(script, files, timeout=timeout).stdout.split()
    try:
        heap_import, heap_model, ticks = json.loads("".join(lines[len(rows) :]))
        data = b"".join(binascii.a2b_base64(line) for line in lines[: len(rows)])
        answers = np.frombuffer(data, dtype).reshape(len(rows), *shape)
    except ValueError as error:
        raise TargetError(
            f"{target.name} answered {len(lines)} lines for {len(rows)} rows: {lines[-1:]}"
        ) from error
    return answers, heap_import, heap_model, ticks
