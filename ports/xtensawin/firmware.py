"""Build MicroPython as a Linux program for the windowed Xtensa processor, and QEMU's plug-in.

`linux/` takes the place of a port of its own.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from cached_build import LOG, build_into, link_all, run_logged, sources
from xtensawin import dynconfig

from wingbeat.targets.firmware import require_tools
from wingbeat.targets.xtensa import FOLDER, PLUGIN, PROGRAM, firmware_folder


def build(jobs: int) -> Path:
    """Return the folder in the cache with the program and the plug-in; build it when needed.

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
        require_tools("make", "gcc", "xtensa-lx106-elf-gcc", "/usr/include/newlib/stdint.h")
        (micropython,) = sources()
        (qemu,) = sources(FOLDER / "sources.toml")
        log = result / LOG
        link_all(micropython, work, but={"ports"})
        port = work / "ports" / "xtensa-linux"
        shutil.copytree(FOLDER / "linux", port)
        command = ["make", f"-j{jobs}", "BUILD=build", f"PYTHON={sys.executable}"]
        variables = {"XTENSA_GNU_CONFIG": str(dynconfig.build())}
        run_logged("MicroPython for xtensa", command, port, log, variables)
        (port / "build" / PROGRAM).rename(result / PROGRAM)
        gcc = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-s"]
        gcc += ["-fvisibility=hidden", "-isystem", str(qemu / "include")]
        run_logged(PLUGIN, [*gcc, "plugin.c", "-o", str(result / PLUGIN)], FOLDER, log)

    return build_into(firmware_folder(), make)
