"""`wingbeat check`: will a model fit a board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from wingbeat.assemble import Module
from wingbeat.boards import board_named
from wingbeat.check import Check, fastest_for
from wingbeat.check import check as check_module
from wingbeat.cli.files import load_file
from wingbeat.cli.options import Json, complete_board
from wingbeat.cli.output import emit, facts, say
from wingbeat.costs import Estimate
from wingbeat.describe import describe
from wingbeat.stream import pace_of


def check(
    file: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A program (.wbp) or a module (.mpy).")
    ],
    board: Annotated[str, typer.Option(help="The board to fit.", autocompletion=complete_board)],
    as_json: Json = False,
) -> None:
    """Say whether a model fits a board: heap, flash, and time per inference."""
    target = board_named(board)
    loaded = load_file(file)
    module = loaded if isinstance(loaded, Module) else fastest_for(loaded, target)
    result = check_module(module, target)
    document = _document(file, result)
    emit(as_json, document, Text(f"{file} on {target.description}"), *_shown(result))
    if not result.fits:
        say(f"wingbeat: error: {file} does not fit {target.name}: {result.fix}")
        raise typer.Exit(1)


def _document(file: Path, result: Check) -> dict[str, Any]:
    time = result.time
    return {
        "file": str(file),
        "board": result.board.name,
        "arch": result.board.arch,
        "fits": result.fits,
        "fix": result.fix,
        "limits": {
            limit.what: {"need": limit.need, "limit": limit.limit, "fits": limit.fits}
            for limit in result.limits
        },
        "heap_import": result.heap.by_import,
        "heap_model": result.heap.by_model,
        "heap_import_romfs": result.heap_romfs.by_import,
        "romfs": result.board.romfs,
        "cycles_per_run": None if time is None else round(time.cycles),
        "us_per_run": result.us,
        "load": result.load,
        "taken": None if time is None else "estimated",
        "estimated_from": None if time is None else time.taken,
        "basis": None if time is None else time.basis,
        "without_costs": list(result.without_costs),
        "operators": None if time is None else _operators(result, time),
        "costliest": None if time is None else time.costliest,
        "source": result.board.source,
    }


def _shown(result: Check) -> list[Any]:
    table = Table("", "needs", "of", "")
    for column in table.columns[1:3]:
        column.justify = "right"
    for limit in result.limits:
        state = f"{100 * limit.need / max(1, limit.limit):.0f} %" if limit.fits else "too much"
        table.add_row(limit.what, str(limit.need), str(limit.limit), state)
    rows = {
        "heap": f"{result.heap.by_import} bytes by import, {result.heap.by_model} by Model()"
        " (estimated)",
        "from ROMFS": f"{result.heap_romfs.by_import} bytes by import"
        + ("" if result.board.romfs else ", with firmware that has a ROMFS partition"),
        "time": _time(result),
        **_costliest(result),
        "limits": result.board.source,
    }
    shown = [table, facts(rows)]
    if result.time is not None and len(result.time.operators) > 1:
        shown.insert(1, _by_operator(result, result.time))
    return shown


def _costliest(result: Check) -> dict[str, str]:
    time = result.time
    if time is None or len(time.operators) < 2:
        return {}
    operator = result.module.program.calls[time.costliest].operator
    share = 100 * _shares(time)[time.costliest]
    text = f"operator {time.costliest + 1}, {operator.KERNEL} ({describe(operator)}), {share:.0f} %"
    return {"takes most": text}


def _shares(time: Estimate) -> list[float]:
    """Of each operator in the mean time of a run."""
    often = time.shares or (1.0,) * len(time.operators)
    return [
        each * share / time.mean_cycles for each, share in zip(time.operators, often, strict=True)
    ]


def _operators(result: Check, time: Estimate) -> list[dict[str, Any]]:
    return [
        {
            "kernel": call.operator.KERNEL,
            "what": describe(call.operator),
            "cycles": round(cycles),
            "us": cycles * 1e6 / result.board.clock,
        }
        for call, cycles in zip(result.module.program.calls, time.operators, strict=True)
    ]


def _by_operator(result: Check, time: Estimate) -> Table:
    rows = _operators(result, time)
    table = Table("", "operator", "", "µs", "", box=None)
    for place in (0, 3, 4):
        table.columns[place].justify = "right"
    for number, row in enumerate(rows):
        share = f"{100 * _shares(time)[number]:.0f} %"
        cells = [str(number + 1), row["kernel"], row["what"], f"{row['us']:.0f}", share]
        table.add_row(*map(Text, cells))
    return table


def _time(result: Check) -> str:
    if result.time is None or result.us is None:
        names = ", ".join(result.without_costs)
        return f"not known: {names} was not measured for {result.board.arch}"
    if result.module.program.takes_stream:
        return _time_of_stream(result, result.time, result.us)
    return (
        f"{result.us:.0f} µs per run at {result.board.clock / 1e6:.0f} MHz (estimated from"
        f" {result.time.taken}; {result.time.basis})"
    )


def _time_of_stream(result: Check, time: Estimate, longest: float) -> str:
    program = result.module.program
    samples, mean = pace_of(program).samples, time.mean_cycles * 1e6 / result.board.clock
    block = f"a block of {samples} samples"
    if program.rate is not None:
        block += f" ({1000 * samples / program.rate:.3g} ms)"
    load = "" if result.load is None else f", {100 * result.load:.2g} % of a core"
    return (
        f"{longest:.0f} µs for {block} with a result, {mean:.0f} µs in the mean{load} at"
        f" {result.board.clock / 1e6:.0f} MHz (estimated from {time.taken}; {time.basis})"
    )
