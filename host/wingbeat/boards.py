"""Boards that users own: ``boards.toml``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from .blobs import archs
from .errors import BuildError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_BOARDS = Path(__file__).parent / "boards.toml"


@dataclass(frozen=True)
class Board:
    """A board with the firmware that its vendor offers.

    Attributes
    ----------
    name, description : str
    arch : str
        Native code that it runs.
    clock : int
        Hz.
    heap, flash : int or None
        Bytes: free heap after boot, and flash for files. None where there is no limit to speak of.
    romfs : bool
        The stock firmware has a ROMFS partition.
    source : str
        Where heap, flash and clock come from.
    """

    name: str
    description: str
    arch: str
    clock: int = 0
    heap: int | None = None
    flash: int | None = None
    romfs: bool = False
    source: str = ""


def boards() -> dict[str, Board]:
    """All boards by name that modules can be assembled for."""
    rows = tomllib.loads(_BOARDS.read_text(encoding="utf-8"))
    try:
        there = archs()
    except BuildError:
        there = tuple(row["arch"] for row in rows.values())
    return {name: Board(name=name, **row) for name, row in rows.items() if row["arch"] in there}


def board_named(name: str) -> Board:
    """One board.

    Raises
    ------
    UsageError
        There is none of that name.
    """
    known = boards()
    if name not in known:
        listed = ", ".join(f"{board.name} ({board.arch})" for board in known.values())
        raise UsageError(
            f"no board {name!r}: choose one of {listed}, or give its architecture with --arch"
            f" ({', '.join(archs())})"
        )
    return known[name]
