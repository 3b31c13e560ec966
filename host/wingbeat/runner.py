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

# The heap is locked around every call: one that allocates raises MemoryError.
_SCRIPT = """\
import array, binascii, gc, json, micropython, time
gc.collect()
before = gc.mem_alloc()
module = __import__("{name}")
gc.collect()
imported = gc.mem_alloc()
model = module.Model()
gc.collect()
made = gc.mem_alloc()
ticks_cpu, ticks_diff = time.ticks_cpu, time.ticks_diff
row = bytearray({row_size})
out = bytearray({out_size})
results = array.array("i", [0])
def call():
    return {call}
def measured():
    micropython.heap_lock()
    try:
        start = ticks_cpu()
        results[0] = call() or 0
        return ticks_diff(ticks_cpu(), start)
    finally:
        micropython.heap_unlock()
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
        Mean ticks of `time.ticks_cpu` for one call, without the cost of an empty one:
        instructions on emulated Cortex-M; None where a tick says nothing (unix).
    """

    outputs: NDArray[Any]
    heap_import: int
    heap_model: int
    ticks: float | None


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
    for start in range(0, max(1, len(rows)), _ROWS_PER_BATCH):
        batch = rows[start : start + _ROWS_PER_BATCH]
        answer, heap_import, heap_model, spent = _run_batch(target, module, batch, predict)
        outputs.append(answer)
        facts, ticks = (heap_import, heap_model), ticks + spent
        if progress is not None:
            progress(start + len(batch))
    return Run(
        np.concatenate(outputs),
        *facts,
        None if target.name == "unix" or not len(rows) else ticks / len(rows),
    )


def _run_batch(
    target: Target, module: Module, rows: NDArray[Any], predict: bool
) -> tuple[NDArray[Any], int, int, int]:
    program = module.program
    dtype = np.dtype("<i4") if predict else program.output.dtype
    shape = () if predict else program.output.shape
    script = _SCRIPT.format(
        name=program.name,
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
