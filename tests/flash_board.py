"""A board for tests: a flash chip in a file, and MicroPython's unix port for everything that runs.

File systems are MicroPython's own (LittleFS, FAT, ROMFS), so scripts meet what they meet on a
board. Power can be cut at any write of the flash; the connection can break at any step.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from wingbeat.errors import DeviceError, TransportError
from wingbeat.targets import device_error
from wingbeat.targets.unix import find_micropython
from wingbeat.transport import Progress, Scripted

BLOCK = 512
BLOCKS = 400
ROM_BLOCK = 4096
ROM_BLOCKS = 16

# The unix port has no ROMFS partition: `vfs` gets one whose blocks are in a file.
_MACHINE = """\
import os, sys
import vfs as _vfs
class _Chip:
    def __init__(self, path, block, blocks):
        self.file, self.block, self.blocks = open(path, "r+b"), block, blocks
    def readblocks(self, number, data, offset=0):
        self.file.seek(number * self.block + offset)
        self.file.readinto(data)
    def writeblocks(self, number, data, offset=None):
        self._write(number * self.block + (offset or 0), bytes(data))
    def _write(self, at, data):
        last = {cut} >= 0 and os.stat({ops!r})[6] >= {cut}
        with open({ops!r}, "ab") as f:
            f.write(b"x")
        self.file.seek(at)
        self.file.write(data[:int(len(data) * {share})] if last else data)
        if last:
            os.system("kill -9 $PPID")
    def ioctl(self, request, argument):
        if request == 4:
            return self.blocks
        if request == 5:
            return self.block
        if request == 6:
            self._write(argument * self.block, b"\\xff" * self.block)
        return 0
class _Vfs:
    rom = _Chip({rom!r}, {rom_block}, {rom_blocks})
    def rom_ioctl(self, request, *arguments):
        return 1 if request == 1 else self.rom
    def __getattr__(self, name):
        return getattr(_vfs, name)
if {with_rom}:
    sys.modules["vfs"] = _Vfs()
_chip = _Chip({chip!r}, {block}, {blocks})
if {format}:
    getattr(_vfs, {kind!r}).mkfs(_chip)
_vfs.mount(getattr(_vfs, {kind!r})(_chip), "/flash")
sys.path[:] = ["", ".frozen"]
if {with_rom}:
    with open({rom!r}, "rb") as _f:
        _rom = _f.read()
    try:
        _vfs.mount(_vfs.VfsRom(_rom), "/rom")
        sys.path += ["/rom", "/rom/lib"]
    except OSError:
        pass
sys.path.append("/flash/lib")
os.chdir("/flash")
exec(open({script!r}).read(), {{"__name__": "__main__"}})
"""

_PUT = """\
b = bytearray(256)
with open({source!r}, "rb") as source, open({name!r}, "wb") as f:
    while True:
        n = source.readinto(b)
        if not n:
            break
        f.write(memoryview(b)[:n])
"""


class FlashBoard(Scripted):
    """See above.

    Parameters
    ----------
    folder : Path
        Has the chip's files; what is there already is taken.
    kind : str
        ``VfsLfs2`` or ``VfsFat``.
    with_rom : bool
        It has a ROMFS partition.
    heap : int, optional
        Bytes; by default the unix port's 2 MB.

    Attributes
    ----------
    power_cut : tuple of (int, float), or None
        Die in the write after so many writes of flash, with that share of it done.
    vanish_at : int or None
        The connection breaks at this step; a file that is being sent is half there.
    steps : int
        Steps so far.
    answers : list of (str, str)
        Replacements in what scripts print, to play another board.
    damage : callable or None
        Changes what `put_file` sends.
    """

    def __init__(
        self,
        folder: Path,
        *,
        kind: str = "VfsLfs2",
        with_rom: bool = False,
        heap: int | None = None,
    ) -> None:
        self.port = "mock"
        self.folder, self.kind, self.with_rom, self.heap = folder, kind, with_rom, heap
        self._command = [str(find_micropython())]
        if heap is not None:
            self._command += ["-X", f"heapsize={heap}"]
        self.power_cut: tuple[int, float] | None = None
        self.vanish_at: int | None = None
        self.steps = 0
        self.started = 0
        self.gone = False
        self.answers: list[tuple[str, str]] = []
        self.damage: Callable[[str, bytes], bytes] | None = None
        self.space: int | None = None
        self._format = not (folder / "chip.bin").exists()
        if self._format:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "chip.bin").write_bytes(b"\xff" * BLOCK * BLOCKS)
            (folder / "rom.bin").write_bytes(b"\xff" * ROM_BLOCK * ROM_BLOCKS)
        (folder / "ops.bin").write_bytes(b"")

    @property
    def writes(self) -> int:
        """Writes of flash since this board was switched on."""
        return (self.folder / "ops.bin").stat().st_size

    def copy(self, folder: Path) -> FlashBoard:
        """A board with the same content, switched on just now."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("chip.bin", "rom.bin"):
            shutil.copyfile(self.folder / name, folder / name)
        return self._like(folder)

    def switched_on_again(self) -> FlashBoard:
        """The same board, after its power came back."""
        return self._like(self.folder)

    def _like(self, folder: Path) -> FlashBoard:
        return FlashBoard(folder, kind=self.kind, with_rom=self.with_rom, heap=self.heap)

    def exec(self, script: str, *, timeout: float = 60.0) -> str:
        """Run a script in a fresh interpreter."""
        self._step()
        printed = self._run(script, timeout)
        for old, new in self.answers:
            printed = printed.replace(old, new)
        return printed

    def put_file(self, name: str, data: bytes, progress: Progress | None = None) -> None:
        """Write a file."""
        if self.damage is not None:
            data = self.damage(name, data)
        source = self.folder / "source.bin"
        vanishes = self.steps == self.vanish_at
        source.write_bytes(data[: len(data) // 2] if vanishes else data)
        if vanishes and not self.gone:
            self._run(_PUT.format(source=str(source), name=name), 60.0)
        self._step()
        self._run(_PUT.format(source=str(source), name=name), 60.0)
        if progress is not None:
            progress(len(data))

    def get_file(self, name: str) -> bytes:
        """Read a file."""
        script = f"import binascii\nprint(binascii.hexlify(open({name!r}, 'rb').read()).decode())"
        return bytes.fromhex(self.exec(script).strip())

    def free_space(self) -> int:
        """Free bytes of the file system, or what the test says."""
        return super().free_space() if self.space is None else self.space

    def soft_reset(self) -> None:
        """Every script has a fresh interpreter."""
        self._step()

    def start(self) -> None:
        """Count it."""
        self._step()
        self.started += 1

    def files(self) -> dict[str, int]:
        """Files in the current folder and in lib."""
        found: dict[str, int] = eval(
            self._run(
                "import os\nfound = {}\n"
                "for folder in ('', 'lib/'):\n"
                "    try:\n"
                "        for entry in os.ilistdir(folder or '.'):\n"
                "            if entry[1] != 0x4000:\n"
                "                found[folder + entry[0]] = os.stat(folder + entry[0])[6]\n"
                "    except OSError:\n        pass\n"
                "print(found)",
                60.0,
            )
        )
        return found

    def _step(self) -> None:
        if self.gone or self.steps == self.vanish_at:
            self.gone = True
            raise TransportError(TransportError.VANISHED, "the board no longer answers")
        self.steps += 1

    def _run(self, script: str, timeout: float) -> str:
        if self.gone:
            raise TransportError(TransportError.VANISHED, "the board no longer answers")
        (self.folder / "script.py").write_text(script)
        machine = _MACHINE.format(
            cut=-1 if self.power_cut is None else self.power_cut[0],
            share=0.0 if self.power_cut is None else self.power_cut[1],
            ops=str(self.folder / "ops.bin"),
            chip=str(self.folder / "chip.bin"),
            rom=str(self.folder / "rom.bin"),
            script=str(self.folder / "script.py"),
            **{"block": BLOCK, "blocks": BLOCKS, "rom_block": ROM_BLOCK, "rom_blocks": ROM_BLOCKS},
            **{"with_rom": self.with_rom, "format": self._format, "kind": self.kind},
        )
        done = subprocess.run(
            self._command,
            input=machine.encode(),
            capture_output=True,
            env={**os.environ, "MICROPYPATH": ".frozen"},
            timeout=timeout,
            check=False,
        )
        self._format = False
        if done.returncode < 0:
            self.gone = True
            raise TransportError(TransportError.VANISHED, "the power was cut")
        if done.returncode:
            report = done.stderr.decode()
            raise device_error(report) or DeviceError("Exception", report)
        return done.stdout.decode()
