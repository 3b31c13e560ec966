"""MicroPython's firmware for the Raspberry Pi Pico on an emulated RP2040.

``ports/rp2040/firmware.py`` builds the firmware, ``ports/rp2040/emulator.mjs`` is the board. Both
belong to the source tree, not to the installed package.

:class:`Pico` is a board with a flash chip in a file and a serial port that takes mpremote; its
power can be cut in the middle of any flash operation. :class:`Rp2040Target` runs scripts on one.
"""

from __future__ import annotations

import hashlib
import json
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from wingbeat.errors import BuildError, TargetError
from wingbeat.files import cache_folder
from wingbeat.romfs import romfs_image
from wingbeat.targets import Clock, Execution, Fresh, check_names
from wingbeat.targets.firmware import PORTS, built_folder
from wingbeat.targets.raw_repl import RawRepl

FOLDER = PORTS / "rp2040"
BOARD = "WINGBEAT_PICO"
FIRMWARE = "firmware.bin"
BOOTROM = "bootrom.bin"
LOCK_FILES = ("package.json", "package-lock.json")

FLASH_SIZE = 2 * 1024 * 1024
FILESYSTEM_SIZE = 896 * 1024
ROMFS_SIZE = 512 * 1024
"""Bytes, as in the board's ``mpconfigboard.h``."""

ROMFS_START = FLASH_SIZE - FILESYSTEM_SIZE - ROMFS_SIZE

_BOOT_TIMEOUT = 60.0
_SETUP = "import os\nos.chdir('/rom')\ndel os\n"

# SysTick counts CPU cycles down from 2**24 - 1; the microsecond timer tells how often it wrapped.
# Interrupts are off, and work that they scheduled before is done in the loop.
CLOCK = Clock(
    "cycles",
    """\
import machine, time
_memory = machine.mem32
_memory[0xE000E014] = 0xFFFFFF
_memory[0xE000E018] = 0
_memory[0xE000E010] = 5
_enabled = _micros = _first = _last = _elapsed = 0
def start():
    global _enabled, _micros, _first
    _enabled = machine.disable_irq()
    for _ in (0, 0):
        pass
    _micros = time.ticks_us()
    _first = _memory[0xE000E018]
def stop():
    global _last, _elapsed
    _last = _memory[0xE000E018]
    _elapsed = time.ticks_diff(time.ticks_us(), _micros)
    machine.enable_irq(_enabled)
def ticks():
    low = (_first - _last) & 0xFFFFFF
    about = _elapsed * (machine.freq() // 1_000_000)
    return low + ((about - low + (1 << 23)) >> 24 << 24)
""",
)


def find_tool(name: str) -> str:
    """Path of ``node`` or ``npm``: beside this Python, as requirements-dev.txt has it, or on PATH.

    Raises
    ------
    BuildError
        It is not there.
    """
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        raise BuildError(
            f"{name} is missing, and the emulated RP2040 needs it: run 'make setup',"
            " or install Node.js 18 or newer with npm"
        )
    return found


def emulator_folder() -> Path:
    """Return where npm's rp2040js is in the cache, or will be once it is installed."""
    digest = hashlib.sha256(b"".join((FOLDER / name).read_bytes() for name in LOCK_FILES))
    return cache_folder() / f"rp2040js-{digest.hexdigest()[:16]}"


def firmware_folder() -> Path:
    """Return where firmware and boot ROM are in the cache, or will be once they are built."""
    boards = [path for path in (FOLDER / "boards").rglob("*") if path.is_file()]
    return built_folder("rp2040", [FOLDER / "sources.toml", FOLDER / "firmware.py", *boards])


def new_flash(path: Path, files: Mapping[str, bytes] | None = None) -> None:
    """Write the content of a flash chip with the firmware and no file system yet.

    Parameters
    ----------
    path : Path
        Where to: 2 MB.
    files : mapping of str to bytes, optional
        What the ROMFS partition holds; by default it is blank.

    Raises
    ------
    BuildError
        The firmware is not built.
    TargetError
        The files do not fit into the partition.
    """
    try:
        firmware = (firmware_folder() / FIRMWARE).read_bytes()
    except OSError as error:
        raise BuildError(
            "rp2040: the firmware is not built for this version: run `make firmware`"
        ) from error
    rom = b"" if files is None else romfs_image(files)
    if len(rom) > ROMFS_SIZE:
        raise TargetError(
            f"rp2040: the files need {len(rom)} bytes of flash, {ROMFS_SIZE} are there"
        )
    content = bytearray(b"\xff" * FLASH_SIZE)
    content[: len(firmware)] = firmware
    content[ROMFS_START : ROMFS_START + len(rom)] = rom
    path.write_bytes(content)


@dataclass(frozen=True)
class Status:
    """What a board has done since its power was switched on.

    Attributes
    ----------
    operations : int
        Sectors of 4096 bytes erased, and pages of 256 bytes programmed.
    cycles : int
        Cycles of the CPU, without those that it slept.
    nanos : float
        Time on the board's clock, in nanoseconds, since its last reset.
    """

    operations: int
    cycles: int
    nanos: float


class Pico:
    """An emulated Raspberry Pi Pico. In a ``with`` statement, which switches its power off.

    Parameters
    ----------
    flash : Path
        Content of its flash chip: see :func:`new_flash`. Always as new as the chip.
    cut : tuple of (int, float), optional
        Cut the power in the flash operation after so many from now, when that fraction of its
        bytes is done: see :meth:`cut_after`.

    Attributes
    ----------
    url : str
        Its serial port, for ``mpremote connect``.

    Raises
    ------
    TargetError
        Node.js is not installed.
    BuildError
        The firmware is not built, or the emulator is not installed.
    """

    def __init__(self, flash: Path, *, cut: tuple[int, float] | None = None) -> None:
        node = find_tool("node")
        folder, bootrom = emulator_folder(), firmware_folder() / BOOTROM
        if not folder.is_dir() or not bootrom.is_file():
            raise BuildError("rp2040: firmware or emulator are not there: run `make firmware`")
        self._events: dict[str, Any] = {}
        self._answers: queue.Queue[Status | None] = queue.Queue()
        self._news = threading.Condition()
        try:
            self._process = subprocess.Popen(
                [node, str(FOLDER / "emulator.mjs"), str(folder), str(bootrom), str(flash)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise TargetError(f"rp2040: cannot start {node}: {error}") from error
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            port = self._wait("listening", _BOOT_TIMEOUT)
            self.url = f"socket://127.0.0.1:{port}"
            if cut is not None:
                self.cut_after(*cut)
            self._ask({"do": "boot"})
        except BaseException:
            self.close()
            raise

    @property
    def fault(self) -> str | None:
        """What silicon would have faulted at, once that has happened."""
        event = self._events.get("fault")
        return event and f"{event['fault']}, pc {event['pc']}, lr {event['lr']}"

    @property
    def cut(self) -> dict[str, Any] | None:
        """The flash operation in which the power was cut, once that has happened."""
        event: dict[str, Any] | None = self._events.get("cut")
        return event and event["cut"]

    @property
    def alive(self) -> bool:
        """Whether it has power and runs."""
        return self._process.poll() is None

    def wait_for_console(self, timeout: float = _BOOT_TIMEOUT) -> None:
        """Wait until the board is on USB.

        Raises
        ------
        TargetError
            It ended before, or is not within `timeout` seconds.
        """
        self._wait("connected", timeout)

    def wait_for_reset(self, timeout: float = _BOOT_TIMEOUT) -> None:
        """Wait until the board has reset itself, by ``machine.reset()`` or its watchdog.

        Raises
        ------
        TargetError
            It ended before, or has not in `timeout` seconds.
        """
        self._wait("reset", timeout)
        self._events.pop("reset", None)

    def wait_for_end(self, timeout: float = _BOOT_TIMEOUT) -> None:
        """Wait until a power cut or a fault has ended it.

        Raises
        ------
        TargetError
            It still runs after `timeout` seconds.
        """
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TargetError(f"rp2040: still runs after {timeout:g} s") from None

    def cut_after(self, operations: int, fraction: float = 0.5) -> None:
        """Cut the power later: in a flash operation, with a part of it done.

        Parameters
        ----------
        operations : int
            How many operations are completed first.
        fraction : float, in [0, 1]
            Part of the bytes of the next one that are done.
        """
        self._ask({"do": "cut", "after": operations, "fraction": fraction})

    def status(self, timeout: float = _BOOT_TIMEOUT) -> Status:
        """Ask what it has done so far.

        Raises
        ------
        TargetError
            It has ended, or does not answer.
        """
        self._ask({"do": "status"})
        try:
            answer = self._answers.get(timeout=timeout)
        except queue.Empty:
            answer = None
        if answer is None:
            raise self._death("does not answer")
        return answer

    def close(self) -> None:
        """Switch the power off, between two flash operations."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()

    def __enter__(self) -> Pico:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                event = json.loads(line)
                if "status" in event:
                    self._answers.put(Status(**event["status"]))
                    continue
                with self._news:
                    if "reset" in event:
                        self._events.pop("connected", None)
                    self._events[next(iter(event))] = event
                    self._news.notify_all()
        with self._news:
            self._events["ended"] = {}
            self._news.notify_all()
        self._answers.put(None)

    def _wait(self, name: str, timeout: float) -> Any:
        with self._news:
            came = self._news.wait_for(
                lambda: name in self._events or "ended" in self._events, timeout
            )
            if name in self._events:
                return self._events[name][name]
        raise self._death("ended" if came else f"is not {name} after {timeout:g} s")

    def _ask(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._death("ended") from error

    def _death(self, what: str) -> TargetError:
        if self.fault:
            return TargetError(f"rp2040: {self.fault}")
        if self.cut:
            return TargetError(f"rp2040: the power was cut in flash operation {self.cut}")
        said = ""
        stderr = self._process.stderr
        if not self.alive and stderr is not None and not stderr.closed:
            said = f": {stderr.read().strip()[-500:]}"
        return TargetError(f"rp2040: the emulator {what}{said}")


class Rp2040Target(Fresh):
    """An emulated Raspberry Pi Pico. Each execution boots a new one and ends it.

    Files are in its ROMFS partition: read-only, and their data is aligned.

    Raises
    ------
    TargetError
        Node.js is not installed.
    BuildError
        The firmware is not built, or the emulator is not installed.
    """

    name = "rp2040"
    arch = "armv6m"
    clock = CLOCK
    room = ROMFS_SIZE

    def __init__(self) -> None:
        find_tool("node")
        if not firmware_folder().is_dir() or not emulator_folder().is_dir():
            raise BuildError(
                "rp2040: firmware or emulator are not there for this version: run `make firmware`"
            )

    def execute(
        self, script: str, files: Mapping[str, bytes], *, timeout: float = 120.0
    ) -> Execution:
        """Run a script: see :meth:`wingbeat.targets.Target.execute`.

        A script's ``sys.exit`` ends it well, whatever its argument: the raw REPL does not tell it.
        """
        check_names(files)
        with tempfile.TemporaryDirectory(prefix="wingbeat-") as folder:
            flash = Path(folder) / "flash.bin"
            new_flash(flash, files)
            with Pico(flash) as pico, Console(pico, timeout) as console:
                console.run(_SETUP)
                return Execution(console.run(script))


class Console(RawRepl):
    """The raw REPL on a board: see :class:`~wingbeat.targets.raw_repl.RawRepl`.

    Parameters
    ----------
    pico : Pico
    timeout : float
        Seconds for everything; then the board is switched off.
    """

    def __init__(self, pico: Pico, timeout: float = 60.0) -> None:
        super().__init__("rp2040", timeout)
        self._pico = pico

    def _open(self) -> None:
        self._pico.wait_for_console(max(self.timeout, _BOOT_TIMEOUT))
        self._connect(self._pico.url)

    def _end(self) -> None:
        self._pico.close()

    def _cause(self, error: Exception) -> TargetError:
        # A fault closes the connection; the news of it may come a moment later.
        deadline = time.monotonic() + 2.0
        while self._pico.alive and time.monotonic() < deadline:
            time.sleep(0.01)
        if self._pico.cut:
            return TargetError(f"rp2040: the power was cut in flash operation {self._pico.cut}")
        if self._pico.fault:
            return self._fault(f"fault: {self._pico.fault}", self._output())
        return error if isinstance(error, TargetError) else TargetError(f"rp2040: {error}")
