"""`wingbeat deploy`: put a model on a board, and prove it there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from wingbeat.assemble import Module
from wingbeat.cli.files import load_file
from wingbeat.cli.options import Json, PortOption, ViaOption, module_name
from wingbeat.cli.output import Progress, emit, facts
from wingbeat.deploy import Deployed
from wingbeat.deploy import deploy as deploy_model
from wingbeat.files import write_atomic
from wingbeat.stubs import stub_of
from wingbeat.transport import open_transport


def deploy(
    file: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A program (.wbp) or a module (.mpy).")
    ],
    port: PortOption = None,
    via: ViaOption = "mpremote",
    romfs: Annotated[
        bool,
        typer.Option("--romfs", help="Into the ROMFS partition: the model takes no heap there."),
    ] = False,
    start: Annotated[
        bool,
        typer.Option("--start/--no-start", help="Start the board afterwards, so main.py runs."),
    ] = True,
    stub: Annotated[
        bool,
        typer.Option("--stub", help="Write NAME.pyi beside MODEL, so that editors complete Model."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Copy a model to a board, prove it there bit by bit, then let it replace the old one."""
    loaded = load_file(file)
    program = loaded.program if isinstance(loaded, Module) else loaded
    module_name(program.name)
    with open_transport(port, via) as transport, Progress("Deploying") as progress:
        done = deploy_model(
            transport,
            loaded,
            romfs=romfs,
            start=start,
            tell=progress.step,
            progress=progress.done,
        )
    document: dict[str, Any] = {"file": str(file), **done.to_json(), "stub": None}
    if stub:
        path = file.with_name(f"{program.name}.pyi")
        write_atomic(path, stub_of(program).encode())
        document["stub"] = str(path)
    emit(as_json, document, Text(_headline(document)), facts(_in_words(done, document)))


def _headline(document: dict[str, Any]) -> str:
    instead = ", instead of the one before" if document["replaced"] else ""
    return (
        f"{document['name']} is on {document['board']} ({document['port']}){instead}:"
        f" {document['path']}"
    )


def _in_words(done: Deployed, document: dict[str, Any]) -> dict[str, str]:
    golden, taken = document["golden"], document["taken"]
    kind = "rows of data" if golden["real"] else "generated rows"
    rows = {
        "golden vectors": f"{golden['rows']} of {golden['rows']} {kind} identical, on the board",
        "sha256": f"{document['sha256']}, on the board",
        "file": f"{document['bytes']} bytes for {document['arch']}",
        "heap": f"{document['heap_import']} bytes by import, {document['heap_model']} by Model()"
        f" ({taken})",
        "time": f"{document['us_per_run']:.0f} µs per run ({taken})",
    }
    if done.heap_saved is not None:
        rows["ROMFS"] = f"saves {done.heap_saved} bytes of heap ({taken})"
    if done.cleaned:
        rows["cleaned up"] = f"{', '.join(done.cleaned)}, left by an interrupted deploy"
    if document["stub"]:
        rows["stub"] = document["stub"]
    return rows
