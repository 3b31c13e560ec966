"""`wingbeat run`: rows of input through the real module on a target."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.text import Text

from wingbeat.assemble import Module
from wingbeat.cli.files import as_input, as_samples, load_array, load_file
from wingbeat.cli.options import Json, complete_target, output_file
from wingbeat.cli.output import Progress, emit, facts, say
from wingbeat.errors import UsageError
from wingbeat.files import write_atomic
from wingbeat.program import Decision
from wingbeat.stream import Stream
from wingbeat.targets import TARGETS, Target, open_target


def run(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A module (.mpy) or a program (.wbp).")
    ],
    rows_in: Annotated[
        Path, typer.Argument(metavar="IN.npy", help="Input: rows of it, or a stream of samples.")
    ],
    rows_out: Annotated[Path, typer.Argument(metavar="OUT.npy", help="Where the outputs go.")],
    on: Annotated[
        str,
        typer.Option(
            "--on",
            help=f"{', '.join(TARGETS)}: unix is this computer, the others are emulated.",
            autocompletion=complete_target,
        ),
    ],
    predict: Annotated[
        bool,
        typer.Option("--predict", help="Save what predict() returns, not the raw outputs."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Run input through the real module, and compare with the NumPy reference.

    Of a model that takes a stream, IN.npy is the stream [samples, channels], which is pushed block
    by block, and OUT.npy has a row for each result.
    """
    output_file(rows_out, (".npy",))
    loaded = load_file(file)
    program = loaded.program if isinstance(loaded, Module) else loaded
    if predict and program.decision is Decision.NONE:
        raise UsageError(f"{file} has several outputs and no decision: drop --predict")
    array = load_array(rows_in)
    if program.takes_stream:
        x = as_samples(array, program, str(rows_in))
    else:
        x = as_input(array, program.input, str(rows_in))
    with open_target(on) as target:
        module = loaded if isinstance(loaded, Module) else program.assemble(target.arch)
        if module.arch != target.arch:
            raise UsageError(
                f"{file} is for {module.arch}, but {on} runs {target.arch}: convert it again with"
                f" --arch {target.arch}, or run the .wbp that it was made from"
            )
        with Progress(f"Running on {on}", len(x)) as progress:
            run_it = _push if program.takes_stream else _run
            ran = run_it(target, module, x, predict, progress)
    outputs, expected = ran.outputs, ran.expected
    same = _same_rows(outputs, expected)
    buffer = io.BytesIO()
    np.save(buffer, outputs, allow_pickle=False)
    write_atomic(rows_out, buffer.getvalue())
    document: dict[str, Any] = {
        "file": str(file),
        "target": on,
        "arch": module.arch,
        "hash": program.hash,
        "rows": len(expected),
        "samples": len(x) if program.takes_stream else None,
        "identical": same,
        "heap_import": ran.heap_import,
        "heap_model": ran.heap_model,
        "cycles_per_call": ran.ticks if ran.unit == "cycles" else None,
        "instructions_per_call": ran.ticks if ran.unit == "instructions" else None,
        "output": str(rows_out),
        "sha256": hashlib.sha256(np.ascontiguousarray(outputs).tobytes()).hexdigest(),
    }
    emit(as_json, document, Text(f"identical: {same}/{len(expected)}"), facts(_in_words(document)))
    if same != len(expected) or len(outputs) != len(expected):
        say(
            f"wingbeat: error: {len(expected) - same} of {len(expected)} rows on {on} differ from"
            f" the NumPy reference; their outputs are in {rows_out}. Please report it with {file}"
        )
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Ran:
    outputs: NDArray[Any]
    expected: NDArray[Any]
    heap_import: int
    heap_model: int
    ticks: float | None
    unit: str | None


def _run(
    target: Target, module: Module, x: NDArray[Any], predict: bool, progress: Progress
) -> _Ran:
    from wingbeat.runner import run_module

    run = run_module(target, module, x, predict=predict, progress=progress.done)
    expected = module.program.predict(x) if predict else module.program.run(x)
    return _Ran(run.outputs, expected, run.heap_import, run.heap_model, run.ticks, run.unit)


def _push(
    target: Target, module: Module, x: NDArray[Any], predict: bool, progress: Progress
) -> _Ran:
    from wingbeat.runner import push_module

    pushed = push_module(target, module, x, progress=progress.done)
    ticks = float(pushed.ticks.mean()) if pushed.ticks is not None and len(x) else None
    results = Stream(module.program).results(x)
    found, expected = (
        (pushed.decisions, results.decisions) if predict else (pushed.outputs, results.outputs)
    )
    return _Ran(found, expected, pushed.heap_import, pushed.heap_model, ticks, pushed.unit)


def _same_rows(outputs: NDArray[Any], expected: NDArray[Any]) -> int:
    count = min(len(outputs), len(expected))
    equal = outputs[:count] == expected[:count]
    return int(np.count_nonzero(equal.all(axis=tuple(range(1, equal.ndim)))))


def _in_words(document: dict[str, Any]) -> dict[str, str]:
    rows = {
        "rows": str(document["rows"]),
        **({} if document["samples"] is None else {"samples": str(document["samples"])}),
        "heap": f"{document['heap_import']} bytes by import, {document['heap_model']} by Model()",
    }
    for unit in ("cycles", "instructions"):
        if document[f"{unit}_per_call"] is not None:
            rows["time"] = f"{document[f'{unit}_per_call']:.0f} {unit} a call (emulated)"
    return {**rows, "outputs": document["output"], "sha256": document["sha256"]}
