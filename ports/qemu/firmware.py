"""Build MicroPython for a board that QEMU emulates.

The pinned source stays as it is: the port is copied, and the files in `overlay/` are put over it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from wingbeat.errors import BuildError, WingbeatError
from wingbeat.targets.boards import PORTS, Board, read_board, read_boards
from wingbeat.targets.qemu import firmware_path, plugin_path

LOG_TAIL_LINES = 25


def _require(board: Board) -> None:
    needed = {
        "make": ["make"],
        f"{board.toolchain}gcc": board.toolchain_packages,
    }
    if board.plugins:
        needed["gcc"] = ["gcc"]
    for tool, packages in needed.items():
        if shutil.which(tool) is None:
            raise BuildError(f"{tool} is missing: apt install {' '.join(packages)}")


def _source() -> Path:
    done = subprocess.run(
        [sys.executable, str(PORTS / "fetch.py")], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise BuildError("no MicroPython source: see the message of ports/fetch.py above")
    return Path(done.stdout.strip())


def _lay_out(source: Path, tree: Path) -> Path:
    """Make a tree that shares all of the source but the port; return the port's folder."""
    port = tree / "ports" / "qemu"
    for path in source.iterdir():
        if path.name != "ports":
            (tree / path.name).symlink_to(path)
    shutil.copytree(source / "ports" / "qemu", port)
    shutil.copytree(PORTS / "qemu" / "overlay", port, dirs_exist_ok=True)
    return port


def _make(board: Board, port: Path, jobs: int) -> None:
    defines = [
        f"-DWINGBEAT_ICOUNT_SHIFT={board.icount_shift}",
        f"-DWINGBEAT_ROM_ADDRESS={board.rom_address:#x}u",
        f"-DWINGBEAT_ROM_SIZE={board.rom_size:#x}u",
    ]
    command = [
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
    log = port / "build.log"
    # The firmware says when it was built: leave that out, so that equal inputs give equal bytes.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "0", "LC_ALL": "C"}
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CFLAGS", "LDFLAGS"):
        environment.pop(name, None)
    with log.open("wb") as output:
        done = subprocess.run(
            command,
            cwd=port,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        kept = firmware_path(board).parent.parent / f"qemu-{board.name}-failed.log"
        log.replace(kept)
        tail = "\n".join(kept.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
        raise BuildError(f"building MicroPython for {board.name} failed; {kept} ends with:\n{tail}")


def _build_plugin(name: str, target: Path) -> None:
    source = PORTS / "qemu" / f"{name}.c"
    command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    done = subprocess.run(
        [*command, "-o", str(target), str(source)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BuildError(f"compiling {source.name} failed:\n{done.stderr}")


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
    if firmware.is_file():
        return firmware
    _require(board)
    source = _source()
    cache = firmware.parent.parent
    with tempfile.TemporaryDirectory(prefix=f"qemu-{board.name}-", dir=cache) as temporary:
        port = _lay_out(source, Path(temporary))
        _make(board, port, jobs)
        result = Path(temporary) / "result"
        result.mkdir()
        (port / "build" / "firmware.elf").rename(result / "firmware.elf")
        (port / "build.log").rename(result / "build.log")
        for name in board.plugins:
            _build_plugin(name, result / plugin_path(board, name).name)
        try:
            result.rename(firmware.parent)
        except OSError:
            if not firmware.is_file():
                raise
    return firmware


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("board", nargs="*", help="tables of boards.toml; all of them by default")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="compilers at once")
    arguments = parser.parse_args()
    try:
        for name in arguments.board or read_boards():
            print(build(read_board(name), arguments.jobs))
    except (WingbeatError, OSError) as error:
        print(f"firmware.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
