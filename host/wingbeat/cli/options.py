"""What several commands share: options, completions, and checks of names."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from wingbeat.blobs import archs
from wingbeat.boards import boards
from wingbeat.errors import BuildError, UsageError

# A file of such a name would hide a module of MicroPython, or be hidden by it.
_TAKEN = """
array asyncio binascii bluetooth builtins cmath collections cryptolib deflate errno esp esp32
framebuf gc hashlib heapq io json machine math micropython mip neopixel network ntptime onewire os
platform random re requests rp2 select socket ssl struct sys time tls uctypes vfs websocket zlib
boot main
"""


def complete_arch(incomplete: str) -> list[str]:
    """Architectures that can be assembled for."""
    try:
        return [name for name in archs() if name.startswith(incomplete)]
    except BuildError:
        return []


def complete_board(incomplete: str) -> list[tuple[str, str]]:
    """Boards, each with what it is."""
    return [
        (board.name, board.description)
        for board in boards().values()
        if board.name.startswith(incomplete)
    ]


def complete_target(incomplete: str) -> list[str]:
    """Machines that modules can be run on."""
    from wingbeat.targets import TARGETS

    return [name for name in TARGETS if name.startswith(incomplete)]


Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else there.")
]


def complete_port(incomplete: str) -> list[tuple[str, str]]:
    """Serial ports with a USB device, each with what it says of itself."""
    from wingbeat.transport import list_ports

    return [
        (port.device, port.description)
        for port in list_ports()
        if port.device.startswith(incomplete)
    ]


PortOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--port",
        "-p",
        help="The board's serial port; by default the only one that there is.",
        envvar="WINGBEAT_PORT",
        autocompletion=complete_port,
    ),
]

ViaOption: TypeAlias = Annotated[
    str,
    typer.Option(
        help="Program that talks to the board: mpremote or rshell.",
        autocompletion=lambda: ["mpremote", "rshell"],
    ),
]


def split_list(text: str | None, option: str) -> tuple[str, ...] | None:
    """The parts between commas.

    Raises
    ------
    UsageError
        A part is empty.
    """
    if text is None:
        return None
    parts = tuple(part.strip() for part in text.split(","))
    if not all(parts):
        raise UsageError(f"{option} {text!r}: expected names with commas between, got an empty one")
    return parts


def output_file(path: Path, suffixes: tuple[str, ...]) -> Path:
    """Check before any work that `path` can be written.

    Raises
    ------
    UsageError
        It ends otherwise than in `suffixes`, or lies in a folder that is not there.
    """
    if path.suffix not in suffixes:
        raise UsageError(
            f"output {path}: expected a name that ends in {' or '.join(suffixes)},"
            f" got {path.suffix or 'no ending'}"
        )
    if path.is_dir():
        raise UsageError(f"output {path}: expected a file, this is a folder")
    if not path.parent.is_dir():
        raise UsageError(f"output {path}: there is no folder {path.parent}; make it first")
    return path


def module_name(name: str) -> str:
    """Check that a board can import a module of this name.

    Raises
    ------
    UsageError
        It cannot.
    """
    if name.isidentifier() and name.isascii() and not keyword.iskeyword(name):
        if name not in _TAKEN.split():
            return name
        raise UsageError(
            f"the name {name!r} belongs to a part of MicroPython: choose another, such as"
            f" {name}_model"
        )
    better = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    if not better or keyword.iskeyword(better) or better[0].isdigit():
        better = f"model_{better}".rstrip("_")
    raise UsageError(
        f"the name {name!r} cannot be imported: the file's name becomes the module's, of letters,"
        f" digits and _, not starting with a digit; try {better}"
    )
