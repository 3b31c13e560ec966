"""Build MicroPython for a board that QEMU emulates.

The port is copied, and the files in `overlay/` are put over it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from cached_build import LOG, build_into, link_all, run_logged, sources

from wingbeat.targets.boards import Board
from wingbeat.targets.firmware import PORTS, require_tools
from wingbeat.targets.qemu import firmware_path, plugin_path


def build(board: Board, jobs: int) -> Path:
    """Return the board's firmware in the cache; build it when it is not there.

    Parameters
    ----------
    board : Board
        What to build for.
    jobs : int
        How many compilers run at once.

    Raises
    ------
    BuildError
        A tool or the source is missing, or the build failed.
    """
    firmware = firmware_path(board)

    def make(work: Path, result: Path) -> None:
        require_tools("make", "gcc", f"{board.toolchain}gcc", "/usr/include/newlib/stdint.h")
        (micropython,) = sources()
        port, log = _lay_out(micropython, work), result / LOG
        run_logged(f"MicroPython for {board.name}", _make(board, jobs), port, log)
        (port / "build" / "firmware.elf").rename(result / firmware.name)
        gcc = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        for name in board.plugins:
            made = str(result / plugin_path(board, name).name)
            run_logged(name, [*gcc, "-o", made, f"{name}.c"], PORTS / "qemu", log)

    build_into(firmware.parent, make)
    return firmware


def _lay_out(micropython: Path, tree: Path) -> Path:
    """Make a tree that shares all of the source but the port; return the port's folder."""
    link_all(micropython, tree, but={"ports"})
    port = tree / "ports" / "qemu"
    shutil.copytree(micropython / "ports" / "qemu", port)
    shutil.copytree(PORTS / "qemu" / "overlay", port, dirs_exist_ok=True)
    return port


def _make(board: Board, jobs: int) -> list[str]:
    defines = [
        f"-DWINGBEAT_ICOUNT_SHIFT={board.icount_shift}",
        f"-DWINGBEAT_ROM_ADDRESS={board.rom_address:#x}u",
        f"-DWINGBEAT_ROM_SIZE={board.rom_size:#x}u",
    ]
    return [
        "make",
        f"-j{jobs}",
        f"BOARD={board.port_board}",
        "BUILD=build",
        f"CROSS_COMPILE={board.toolchain}",
        f"PYTHON={sys.executable}",
        "FROZEN_MANIFEST=",
        f"MICROPY_HEAP_SIZE={board.heap_size}",
        f"CFLAGS_EXTRA={' '.join(defines)}",
    ]
