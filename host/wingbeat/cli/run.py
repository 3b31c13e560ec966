"""`wingbeat run`: rows of input through the real module on a target."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.text import Text

from wingbeat.assemble import Module
from wingbeat.cli.files import as_input, load_array, load_file
from wingbeat.cli.options import Json, complete_target, output_file
from wingbeat.cli.output import Progress, emit, facts, say
from wingbeat.errors import UsageError
from wingbeat.files import write_atomic
from wingbeat.program import Decision
from wingbeat.targets import TARGETS, open_target


def run(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A module (.mpy) or a program (.wbp).")
    ],
    rows_in: Annotated[
        Path, typer.Argument(metavar="IN.npy", help="Input; the first axis counts the rows.")
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
    """Run rows of input through the real module, and compare with the NumPy reference."""
    from wingbeat.runner import run_module

    output_file(rows_out, (".npy",))
    loaded = load_file(file)
    program = loaded.program if isinstance(loaded, Module) else loaded
    if predict and program.decision is Decision.NONE:
        raise UsageError(f"{file} has several outputs and no decision: drop --predict")
    x = as_input(load_array(rows_in), program.input, str(rows_in))
    with open_target(on) as target:
        module = loaded if isinstance(loaded, Module) else program.assemble(target.arch)
        if module.arch != target.arch:
            raise UsageError(
                f"{file} is for {module.arch}, but {on} runs {target.arch}: convert it again with"
                f" --arch {target.arch}, or run the .wbp that it was made from"
            )
        with Progress(f"Running on {on}", len(x)) as progress:
            result = run_module(target, module, x, predict=predict, progress=progress.done)
    expected = program.predict(x) if predict else program.run(x)
    same = _same_rows(result.outputs, expected)
    buffer = io.BytesIO()
    np.save(buffer, result.outputs, allow_pickle=False)
    write_atomic(rows_out, buffer.getvalue())
    document: dict[str, Any] = {
        "file": str(file),
        "target": on,
        "arch": module.arch,
        "hash": program.hash,
        "rows": len(x),
        "identical": same,
        "heap_import": result.heap_import,
        "heap_model": result.heap_model,
        "cycles_per_call": result.ticks if result.unit == "cycles" else None,
        "instructions_per_call": result.ticks if result.unit == "instructions" else None,
        "output": str(rows_out),
        "sha256": hashlib.sha256(np.ascontiguousarray(result.outputs).tobytes()).hexdigest(),
    }
    emit(as_json, document, Text(f"identical: {same}/{len(x)}"), facts(_in_words(document)))
    if same != len(x):
        say(
            f"wingbeat: error: {len(x) - same} of {len(x)} rows on {on} differ from the NumPy"
            f" reference; their outputs are in {rows_out}. Please report it with {file}"
        )
        raise typer.Exit(1)


def _same_rows(outputs: NDArray[Any], expected: NDArray[Any]) -> int:
    equal = outputs == expected
    return int(np.count_nonzero(equal.all(axis=tuple(range(1, equal.ndim)))))


def _in_words(document: dict[str, Any]) -> dict[str, str]:
    rows = {
        "rows": str(document["rows"]),
        "heap": f"{document['heap_import']} bytes by import, {document['heap_model']} by Model()",
    }
    for unit in ("cycles", "instructions"):
        if document[f"{unit}_per_call"] is not None:
            rows["time"] = f"{document[f'{unit}_per_call']:.0f} {unit} a call (emulated)"
    return {**rows, "outputs": document["output"], "sha256": document["sha256"]}
