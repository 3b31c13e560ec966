"""`wingbeat list` and `wingbeat remove`: models that are on a board."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from wingbeat.cli.options import Json, PortOption, ViaOption
from wingbeat.cli.output import emit
from wingbeat.onboard import models_on
from wingbeat.onboard import remove as remove_model
from wingbeat.transport import open_transport

_SHOWN = 5


def list_models(
    port: PortOption = None, via: ViaOption = "mpremote", as_json: Json = False
) -> None:
    """List the models on a board."""
    with open_transport(port, via) as transport:
        models = models_on(transport)
        transport.start()
    table = Table("model", "hash", "path", "bytes", "arena", "labels")
    for column in table.columns[3:5]:
        column.justify = "right"
    for model in models:
        names = ", ".join(model.labels[:_SHOWN]) + (" ..." if len(model.labels) > _SHOWN else "")
        path = model.path if model.used else f"{model.path} (hidden)"
        table.add_row(model.name, model.hash, path, str(model.size), str(model.arena), Text(names))
    document = {"models": [model.to_json() for model in models]}
    emit(as_json, document, table if models else Text("no models of Wingbeat on this board"))


def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model's name on the board.")],
    port: PortOption = None,
    via: ViaOption = "mpremote",
    as_json: Json = False,
) -> None:
    """Remove a model from a board."""
    with open_transport(port, via) as transport:
        paths = remove_model(transport, name.removesuffix(".mpy"))
        transport.start()
    emit(as_json, {"removed": paths}, *(Text(f"removed {path}") for path in paths))
