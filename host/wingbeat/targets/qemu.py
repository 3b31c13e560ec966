"""MicroPython on a microcontroller that QEMU emulates.

``ports/qemu/boards.toml`` says what the boards are, ``ports/qemu/firmware.py`` builds their
firmware. Both belong to the source tree, not to the installed package.

Files reach the board as a ROMFS image that QEMU puts into its flash, and the script goes through
mpremote's raw REPL.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from wingbeat.errors import BuildError, TargetError
from wingbeat.romfs import romfs_image
from wingbeat.targets import Clock, Execution, Fresh, check_names
from wingbeat.targets.boards import Board, read_board
from wingbeat.targets.firmware import PORTS, built_folder, require_tools
from wingbeat.targets.raw_repl import RawRepl

_MOUNT = """\
import os, sys, uctypes, vfs
vfs.mount(vfs.VfsRom(uctypes.bytearray_at({address}, {size})), "/rom")
os.chdir("/rom")
sys.path.append("/rom")
del os, sys, uctypes, vfs
"""
# QEMU's time passes by the instruction, and the port turns it back into a count.
CLOCK = Clock(
    "instructions",
    """\
import time
_ticks_cpu, _ticks_diff = time.ticks_cpu, time.ticks_diff
_first = _spent = 0
def start():
    global _first
    _first = _ticks_cpu()
def stop():
    global _spent
    _spent = _ticks_diff(_ticks_cpu(), _first)
def ticks():
    return _spent
""",
)
_LISTENING = re.compile(r"info: QEMU waiting for connection on: disconnected:tcp:([^,\s]+)")
_FAULT = re.compile(r"\r?\n?wingbeat fault: ([^\r\n]*)\r?\n")


def firmware_path(board: Board) -> Path:
    """Return where the board's firmware is in the cache, or will be once it is built."""
    folder = PORTS / "qemu"
    overlay = [path for path in (folder / "overlay").rglob("*") if path.is_file()]
    plugins = [folder / f"{name}.c" for name in board.plugins]
    made_from = [folder / "firmware.py", *plugins, *overlay]
    return built_folder(f"qemu-{board.name}", made_from, more=repr(board)) / "firmware.elf"


def plugin_path(board: Board, name: str) -> Path:
    """Return where a QEMU plugin of the board is in the cache, next to its firmware."""
    return firmware_path(board).with_name(f"{name}.so")


class QemuTarget(Fresh):
    """An emulated board. Each execution boots it afresh and ends it.

    ``time.ticks_cpu()`` counts executed instructions, the same ones in every run: they are not
    cycles of a real chip. The board's clock runs at a fixed time per instruction.

    Parameters
    ----------
    name : str
        A board of ``ports/qemu/boards.toml``.

    Raises
    ------
    UsageError
        There is no such board.
    TargetError
        QEMU is not installed.
    BuildError
        The firmware is not built.
    """

    def __init__(self, name: str) -> None:
        self.board = read_board(name)
        require_tools(self.board.emulator, error=TargetError)
        self._firmware = firmware_path(self.board)
        if not self._firmware.is_file():
            raise BuildError(
                f"{name}: the firmware is not built for this version: run `make firmware`"
            )

    clock = CLOCK

    @property
    def room(self) -> int:
        """Bytes of files that the board's flash takes."""
        return self.board.rom_size

    @property
    def name(self) -> str:
        """The board's name."""
        return self.board.name

    @property
    def arch(self) -> str:
        """Native code that the board loads."""
        return self.board.arch

    def execute(
        self, script: str, files: Mapping[str, bytes], *, timeout: float = 120.0
    ) -> Execution:
        """Run a script: see :meth:`wingbeat.targets.Target.execute`.

        Files are read-only, and their data is aligned in flash, as in any ROMFS image. A script's
        ``sys.exit`` ends it well, whatever its argument: the raw REPL does not tell it.
        """
        check_names(files)
        image = romfs_image(files)
        if len(image) > self.board.rom_size:
            raise TargetError(
                f"{self.name}: the files need {len(image)} bytes of flash, "
                f"{self.board.rom_size} are there"
            )
        with tempfile.TemporaryDirectory(prefix="wingbeat-") as folder:
            rom = Path(folder) / "rom.img"
            rom.write_bytes(image)
            address = self.board.rom_address
            loader = ["-device", f"loader,file={rom},addr={address:#x},force-raw=on"]
            with _Machine(self._command() + loader, self.name, timeout) as machine:
                machine.run(_MOUNT.format(address=address, size=len(image)))
                return Execution(machine.run(script))

    def _command(self) -> list[str]:
        plugins = [plugin_path(self.board, name) for name in self.board.plugins]
        return [
            self.board.emulator,
            *self.board.emulator_options,
            *("-icount", f"shift={self.board.icount_shift}"),
            *("-nodefaults", "-display", "none"),
            *("-semihosting-config", "enable=on,target=native"),
            *("-chardev", "socket,id=uart,host=127.0.0.1,port=0,server=on,wait=on"),
            *("-serial", "chardev:uart", "-monitor", "stdio"),
            *("-kernel", str(self._firmware)),
            *(word for path in plugins for word in ("-plugin", str(path))),
        ]


class _Machine(RawRepl):
    """A QEMU process and the connection to its serial port."""

    def __init__(self, command: list[str], name: str, timeout: float) -> None:
        super().__init__(name, timeout)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise TargetError(f"{name}: cannot start {command[0]}: {error}") from error

    def _end(self) -> None:
        self._process.kill()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stderr):
            if stream is not None:
                stream.close()
        super().__exit__(kind, error, traceback)

    def _listening_address(self) -> str:
        said = ""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            said += line
            match = _LISTENING.search(line)
            if match:
                return match[1]
        raise TargetError(f"{self.name}: QEMU did not start: {said.strip()}")

    def _open(self) -> None:
        self._connect(f"socket://{self._listening_address()}")
        self._transport.read_until(1, b">>> ", timeout=None)
        # QEMU does not look by itself again whether the serial port takes input.
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def _cause(self, error: Exception) -> TargetError:
        output = self._output()
        fault = _FAULT.search(output)
        if fault:
            return self._fault(fault[1], output[: fault.start()])
        try:
            status: int | None = self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            status = None
        if status is None or isinstance(error, TargetError):
            return TargetError(f"{self.name}: {error}")
        said = self._process.stderr.read() if self._process.stderr else ""
        fault = _FAULT.search(said)
        if fault:
            return self._fault(fault[1], output)
        return self._fault(f"QEMU ended with status {status} {said.strip()}", output)
