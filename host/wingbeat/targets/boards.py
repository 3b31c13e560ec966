"""The boards that QEMU emulates: ``ports/qemu/boards.toml`` of the source tree."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from wingbeat.errors import BuildError, UsageError
from wingbeat.targets.firmware import PORTS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Board:
    """One row of ``boards.toml``, which explains the fields. Sizes are in bytes."""

    name: str
    description: str
    arch: str
    port_board: str
    toolchain: str
    emulator: str
    emulator_options: list[str]
    icount_shift: int
    heap_size: int
    rom_address: int
    rom_size: int
    plugins: list[str] = field(default_factory=list)


def read_boards() -> dict[str, Board]:
    """Return the emulated boards by name: none without the source tree."""
    path = PORTS / "qemu" / "boards.toml"
    if not path.is_file():
        return {}
    rows = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: Board(name=name, **row) for name, row in rows.items()}


def read_board(name: str) -> Board:
    """Return one emulated board.

    Raises
    ------
    UsageError
        There is no board of that name.
    BuildError
        This is not Wingbeat's source tree.
    """
    boards = read_boards()
    if not boards:
        raise BuildError(
            "emulated boards need Wingbeat's source tree: clone it and run `make firmware` there"
        )
    if name not in boards:
        raise UsageError(f"there is no emulated board {name!r}: choose one of {', '.join(boards)}")
    return boards[name]
