"""MicroPython on the processor of an ESP32, which QEMU emulates.

``ports/xtensawin/firmware.py`` builds MicroPython as a Linux program for it, and a plug-in that
counts its instructions. Both belong to the source tree, not to the installed package.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from wingbeat.errors import BuildError, TargetError
from wingbeat.romfs import romfs_image
from wingbeat.targets import Execution, Fresh, check_names
from wingbeat.targets.firmware import PORTS, built_folder, require_tools
from wingbeat.targets.process import run_process
from wingbeat.targets.qemu import CLOCK

FOLDER = PORTS / "xtensawin"
PROGRAM = "micropython.elf"
PLUGIN = "plugin.so"
HEAP_SIZE = 160 * 1024
"""Bytes: about what MicroPython's heap grows to on an ESP32 without external RAM."""

_EMULATOR = "qemu-xtensa"
_CORE = "dc233c"


def firmware_folder() -> Path:
    """Return where `PROGRAM` and `PLUGIN` are in the cache, or will be once they are built."""
    paths = [path for path in FOLDER.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return built_folder("xtensa", paths)


class XtensaTarget(Fresh):
    """The emulated processor. Each execution starts a process of its own.

    ``time.ticks_cpu()`` counts executed instructions, the same ones in every run: they are not
    cycles of a real chip. The clock runs at 4 ns per instruction; sleeping takes no real time.
    Unaligned access, and access to instruction memory in less than 32 bits, end the program.

    Parameters
    ----------
    heap_size : int
        Bytes of the garbage-collected heap.

    Raises
    ------
    TargetError
        QEMU is not installed.
    BuildError
        The firmware is not built.
    """

    name = "xtensa"
    arch = "xtensawin"
    clock = CLOCK
    room = 4 * 1024 * 1024

    def __init__(self, heap_size: int = HEAP_SIZE) -> None:
        require_tools(_EMULATOR, error=TargetError)
        built = firmware_folder()
        if not built.is_dir():
            raise BuildError(
                f"{self.name}: the firmware is not built for this version: run `make firmware`"
            )
        plugin = f"file={built / PLUGIN}"
        self._command = [_EMULATOR, "-cpu", _CORE, "-plugin", plugin, str(built / PROGRAM)]
        self._heap_size = heap_size

    def execute(
        self, script: str, files: Mapping[str, bytes], *, timeout: float = 120.0
    ) -> Execution:
        """Run a script: see :meth:`wingbeat.targets.Target.execute`.

        Files are read-only, and their data is aligned in memory as on a board with ROMFS.
        """
        check_names(files)
        with tempfile.TemporaryDirectory(prefix="wingbeat-") as folder:
            path = Path(folder) / "rom.img"
            path.write_bytes(romfs_image(files))
            return run_process(
                self.name,
                [*self._command, path.name, str(self._heap_size)],
                script,
                folder=Path(folder),
                environment=os.environ,
                timeout=timeout,
            )
