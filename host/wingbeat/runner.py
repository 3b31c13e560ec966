"""Runs rows of input through a real module on a target."""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .assemble import Module
from .errors import TargetError
from .targets import Target

_ROWS_PER_BATCH = 512
_ROOM_FOR_NAMES = 4096

_NO_CLOCK = "start = stop = lambda: None\nticks = lambda: 0\n"

# The heap is locked around every call: one that allocates raises MemoryError.
_SCRIPT = """\
import array, binascii, gc, json, micropython
gc.collect()
before = gc.mem_alloc()
module = __import__("{name}")
gc.collect()
imported = gc.mem_alloc()
model = module.Model()
gc.collect()
made = gc.mem_alloc()
{clock}
row = bytearray({row_size})
out = bytearray({out_size})
results = array.array("i", [0])
def call():
    return {call}
def measured():
    micropython.heap_lock()
    start()
    try:
        results[0] = call() or 0
    finally:
        stop()
        micropython.heap_unlock()
    return ticks()
run_call, call = call, lambda: 0
measured()
overhead = measured()
call = run_call
total = 0
with open("in.bin", "rb") as file:
    while file.readinto(row):
        total += measured() - overhead
        print(binascii.b2a_base64({result}).decode(), end="")
print(json.dumps([imported - before, made - imported, total]))
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
    """
    descriptor = module.program.input
    rows = np.ascontiguousarray(x, dtype=descriptor.dtype).reshape(-1, descriptor.n_elements)
    outputs, facts, ticks = [], (0, 0), 0.0
    per_batch = _rows_per_batch(target, module)
    for start in range(0, max(1, len(rows)), per_batch):
        batch = rows[start : start + per_batch]
        answer, heap_import, heap_model, spent = _run_batch(target, module, batch, predict)
        outputs.append(answer)
        facts, ticks = (heap_import, heap_model), ticks + spent
        if progress is not None:
            progress(start + len(batch))
    unit = target.clock.unit if target.clock is not None and len(rows) else None
    return Run(np.concatenate(outputs), *facts, ticks / len(rows) if unit else None, unit)


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
    script = _SCRIPT.format(
        name=program.name,
        clock=target.clock.script if target.clock is not None else _NO_CLOCK,
        row_size=program.input.n_elements * program.input.dtype.itemsize,
        out_size=program.output.n_elements * program.output.dtype.itemsize,
        call="model.predict(row)" if predict else "model.run(row, out)",
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
