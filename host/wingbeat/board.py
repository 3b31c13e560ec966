"""Asking a board what it is, and what is wrong with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .assemble import assemble
from .blobs import archs
from .errors import BuildError, DeviceError, TargetError, TransportError
from .mpy import ARCHS
from .program import Decision, Descriptor, Program, ProgramBuilder
from .reference import Shift
from .transport import Transport, answer_of

PREFIX = "wb-"
"""Of names of files on a board that are only there while something is going on."""

MPY_VERSION = (6, 3)
_FIRST_FIRMWARE = "1.23"
_THUMB = ("armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp")
PROBE = f"{PREFIX}probe.mpy"
"""The tiny module that is tried."""

_ASK = """\
import gc, os, sys
try:
    import vfs
except ImportError:
    vfs = os
gc.collect()
free = gc.mem_free()
low, high = 0, free
while high - low > 512:
    size = (low + high) // 2
    try:
        bytearray(size)
        low = size
    except MemoryError:
        high = size
    gc.collect()
i = sys.implementation
try:
    s = os.statvfs(".")
    disk = (s[1] * s[2], s[1] * s[3], s[1])
except (OSError, AttributeError):
    disk = (0, 0, 0)
rom, rom_ioctl = 0, getattr(vfs, "rom_ioctl", None)
if rom_ioctl and rom_ioctl(1) > 0:
    d = rom_ioctl(2, 0)
    if hasattr(d, "ioctl"):
        rom = d.ioctl(4, 0) * d.ioctl(5, 0)
    elif not isinstance(d, int):
        rom = len(d)
print(repr({
    "machine": getattr(i, "_machine", sys.platform), "platform": sys.platform,
    "version": list(i.version), "mpy": getattr(i, "_mpy", 0),
    "heap_free": free, "heap_largest": low, "heap_used": gc.mem_alloc(),
    "disk_size": disk[0], "disk_free": disk[1], "disk_block": disk[2],
    "rom_size": rom, "path": list(sys.path), "folder": os.getcwd(),
}))
"""

_CALL = """\
import array, sys
sys.path.insert(0, "")
x, y = array.array("i", {inputs}), array.array("i", [0] * {size})
__import__({name!r}).Model().run(x, y)
print(list(y))
"""


@dataclass(frozen=True)
class Facts:
    """What a board says of itself. Sizes are in bytes.

    Attributes
    ----------
    port : str
    machine, platform : str
        As MicroPython names them.
    version : str
        Of the firmware.
    mpy_version : tuple of int
        Of the `.mpy` files that it takes: (6, 3). (0, 0) if it takes none.
    arch : str or None
        Its native code; None if it loads none.
    heap_free, heap_largest, heap_used : int
        Free heap, its largest piece (within 512), and what is taken, in a fresh interpreter.
    disk_size, disk_free, disk_block : int
        The file system and one block of it; 0 without one.
    rom_size : int
        The ROMFS partition; 0 without one.
    path : tuple of str
        `sys.path`.
    folder : str
        The current folder.
    """

    port: str
    machine: str
    platform: str
    version: str
    mpy_version: tuple[int, int]
    arch: str | None
    heap_free: int
    heap_largest: int
    heap_used: int
    disk_size: int
    disk_free: int
    disk_block: int
    rom_size: int
    path: tuple[str, ...]
    folder: str

    @property
    def emulated(self) -> bool:
        """It is an emulator: it says so, or its port is a socket."""
        said = self.machine.lower()
        return "://" in self.port or "emulat" in said or "qemu" in said

    @property
    def where(self) -> str:
        """How figures that were taken on it are called."""
        return "emulated" if self.emulated else "measured"

    def to_json(self) -> dict[str, Any]:
        """The facts as JSON values."""
        return {**asdict(self), "emulated": self.emulated}


def ask(transport: Transport) -> Facts:
    """Ask a board in a fresh interpreter.

    Raises
    ------
    TransportError, TargetError
        It does not answer as MicroPython does.
    """
    answer = answer_of(transport.exec(_ASK))
    number = answer.pop("mpy")
    names = {value: name for name, value in ARCHS.items()}
    return Facts(
        port=transport.port,
        version=_version(answer.pop("version")),
        mpy_version=(number & 0xFF, number >> 8 & 3),
        arch=names.get(number >> 10 & 0xF),
        path=tuple(answer.pop("path")),
        **answer,
    )


def _version(parts: list[Any]) -> str:
    numbers = ".".join(str(part) for part in parts[:3])
    return "-".join([numbers, *(str(part) for part in parts[3:] if part)])


def usable_arch(facts: Facts) -> str:
    """The architecture to assemble for.

    Raises
    ------
    TargetError
        The board cannot load native modules, or none of this Wingbeat; the message has the next
        step.
    """
    problem = problem_of(facts)
    if problem is not None:
        raise TargetError(problem)
    arch = _best_arch(facts.arch)
    assert arch is not None
    return arch


def problem_of(facts: Facts) -> str | None:
    """What keeps a board from running models, with the next step; None if nothing does."""
    if facts.mpy_version == (0, 0):
        return (
            f"the firmware of {facts.machine} imports no .mpy files: install the standard firmware"
            " of the board from micropython.org/download"
        )
    if facts.mpy_version < MPY_VERSION:
        return (
            f"MicroPython {facts.version} takes .mpy files of version"
            f" {facts.mpy_version[0]}.{facts.mpy_version[1]}, Wingbeat makes"
            f" {MPY_VERSION[0]}.{MPY_VERSION[1]}: install MicroPython {_FIRST_FIRMWARE} or newer"
            " from micropython.org/download"
        )
    if facts.mpy_version > MPY_VERSION:
        return (
            f"MicroPython {facts.version} takes .mpy files of version"
            f" {facts.mpy_version[0]}.{facts.mpy_version[1]}, Wingbeat makes"
            f" {MPY_VERSION[0]}.{MPY_VERSION[1]}: pip install --upgrade wingbeat"
        )
    if facts.arch is None:
        return (
            f"the firmware of {facts.machine} loads no native code: take firmware that does, or"
            " another board"
        )
    if _best_arch(facts.arch) is None:
        return (
            f"{facts.machine} runs {facts.arch}, and Wingbeat has kernels for"
            f" {', '.join(archs())} only"
        )
    return None


def _best_arch(arch: str | None) -> str | None:
    """What a board of `arch` loads best; a Cortex-M takes the code of smaller ones."""
    try:
        there = archs()
    except BuildError:
        return None
    if arch in _THUMB:
        for candidate in reversed(_THUMB[: _THUMB.index(arch) + 1]):
            if candidate in there:
                return candidate
        return None
    return arch if arch in there else None


def native_works(transport: Transport, arch: str) -> bool:
    """Import a tiny native module on the board and compare what it computes.

    Its file is gone afterwards.

    Raises
    ------
    TransportError
        The connection broke.
    """
    program = _tiny_program()
    x = np.array([[-1000, -1, 0, 7]], "<i4")
    script = _CALL.format(inputs=x[0].tolist(), size=x.size, name=PROBE.removesuffix(".mpy"))
    try:
        transport.put_file(PROBE, assemble(program, arch).data)
        answer = answer_of(transport.exec(script))
        return bool(answer == program.run(x)[0].tolist())
    except TransportError:
        raise
    except TargetError:
        return False
    finally:
        try:
            if transport.size(PROBE) is not None:
                transport.remove(PROBE)
        except TargetError:
            pass


def _tiny_program() -> Program:
    builder = ProgramBuilder(Descriptor("i", (4,)))
    return builder.finish("probe", builder.add(Shift(4, 1, "i"), 0), Decision.ARGMAX)


def next_step(error: DeviceError) -> str:
    """What a person can do about an exception on the board."""
    text = f"{error.exception}: {error.message}"
    if error.exception == "MemoryError":
        return f"the board has too little heap ({text})"
    if error.exception == "OSError" and any(
        code in error.message for code in ("28", "ENOSPC", "No space")
    ):
        return f"the board's file system is full ({text}): remove files from it"
    return text
