"""The command line. Each command is a module; this one puts them together."""

from __future__ import annotations

from typing import Annotated

import typer

from wingbeat.cli.check import check
from wingbeat.cli.convert import convert
from wingbeat.cli.deploy import deploy
from wingbeat.cli.doctor import doctor
from wingbeat.cli.group import Group
from wingbeat.cli.info import info
from wingbeat.cli.onboard import list_models, remove
from wingbeat.cli.run import run
from wingbeat.cli.simulate import simulate
from wingbeat.cli.train import train
from wingbeat.version import __version__

app = typer.Typer(
    name="wingbeat",
    cls=Group,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wingbeat {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """TinyML for MicroPython: train on a laptop, get one .mpy, import it on a board."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


for _command in (train, convert, run, simulate, info, doctor, check, deploy):
    app.command()(_command)
app.command("list")(list_models)
app.command()(remove)


def main() -> None:
    """Run the command line: the entry point of `wingbeat`."""
    app(prog_name="wingbeat")
