"""What goes wrong on a board: a clear message, exit code 1, and nothing is lost.

One emulated Raspberry Pi Pico with its own firmware and mpremote; it has a model that works. A
boot.py makes it short of heap, or lets it say that it is another board.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from power_cuts import digits, iris, proven, switched_on
from wingbeat.cli import app
from wingbeat.deploy import deploy
from wingbeat.onboard import remove
from wingbeat.program import Program
from wingbeat.targets.rp2040 import Pico, new_flash
from wingbeat.transport import open_transport

# boot.py runs at each start, before mpremote's scripts too; `import sys` then finds this.
_ANOTHER_BOARD = """\
import sys
class Implementation:
    name, _machine = "micropython", {machine!r}
    version, _mpy = {version!r}, {mpy!r}
class Sys:
    implementation = Implementation
    def __getattr__(self, name, real=sys):
        return getattr(real, name)
sys.modules["sys"] = Sys()
"""
_OLD_FIRMWARE = _ANOTHER_BOARD.format(
    machine="Raspberry Pi Pico with RP2040", version=(1, 21, 0), mpy=6 | 1 << 8 | 4 << 10
)
_NEW_FIRMWARE = _ANOTHER_BOARD.format(
    machine="Raspberry Pi Pico with RP2040", version=(2, 0, 0), mpy=7 | 4 << 10
)
_NO_NATIVE_CODE = _ANOTHER_BOARD.format(
    machine="a board of somebody's own", version=(1, 25, 0), mpy=6 | 3 << 8
)
_FULL_HEAP = "keep = [bytearray(1000) for _ in range(226)]\n"
_ALMOST_FULL_HEAP = "keep = [bytearray(1000) for _ in range(219)]\n"
_FULL_HEAP_AT_THE_PROOF = """\
import os
if "first" not in os.listdir():
    open("first", "w").close()
elif "second" not in os.listdir():
    open("second", "w").close()
    keep = [bytearray(1000) for _ in range(226)]
"""


@dataclass
class Troubled:
    """The board, and the files of the models."""

    pico: Pico
    old: Program
    new: Program
    new_file: Path

    def refused(self, *words: object) -> str:
        """What `wingbeat` says on stderr when it ends with exit code 1."""
        result = CliRunner().invoke(app, [*map(str, words), "--port", self.pico.url])
        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)
        said = [line for line in result.stderr.splitlines() if line.startswith("wingbeat: error: ")]
        assert len(said) == 1, result.stderr
        return said[0]

    def put(self, name: str, data: bytes) -> None:
        """Put a file on the board."""
        with open_transport(self.pico.url) as transport:
            transport.put_file(name, data)

    def remove(self, *names: str) -> None:
        """Remove files from the board."""
        with open_transport(self.pico.url) as transport:
            for name in names:
                transport.remove(name)

    def nothing_lost(self) -> None:
        """The old model works, and nothing is left over."""
        with open_transport(self.pico.url) as transport:
            assert proven(transport, self.old, self.new) is self.old
            assert "wb-" not in transport.exec("import os\nprint(os.listdir())")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trouble")


@pytest.fixture(scope="module")
def board(folder: Path) -> Iterator[Troubled]:
    old, new = iris(4), iris(6)
    new_flash(folder / "flash.bin")
    new.save(folder / "new.wbp")
    with switched_on(folder / "flash.bin") as pico:
        with open_transport(pico.url) as transport:
            deploy(transport, old, start=False)
        yield Troubled(pico, old, new, folder / "new.wbp")
        assert pico.fault is None


@pytest.mark.parametrize("arch", ["x64", "armv7emsp"])
def test_module_of_another_arch(board: Troubled, folder: Path, arch: str) -> None:
    file = folder / "iris.mpy"
    file.write_bytes(board.new.assemble(arch).data)
    said = board.refused("deploy", file)
    assert f"the file is for {arch}, but Raspberry Pi Pico with RP2040 runs armv6m" in said
    assert "deploy the .wbp that it was made from, or convert it again with --arch armv6m" in said
    board.nothing_lost()


@pytest.mark.parametrize(("version", "sub_version"), [(6, 1), (5, 0)])
def test_module_of_another_mpy_version(
    board: Troubled, folder: Path, version: int, sub_version: int
) -> None:
    data = bytearray(board.new.assemble("armv6m").data)
    data[1], data[2] = version, data[2] & ~3 | sub_version
    file = folder / "iris.mpy"
    file.write_bytes(data)
    said = board.refused("deploy", file)
    assert f"{file}: .mpy version {version}.{sub_version}, architecture 4: expected" in said
    assert "version 6.3; convert the model again" in said
    board.nothing_lost()


@pytest.mark.parametrize(
    ("boot", "next_step"),
    [
        (
            _OLD_FIRMWARE,
            "MicroPython 1.21.0 takes .mpy files of version 6.1, Wingbeat makes 6.3: install"
            " MicroPython 1.23 or newer from micropython.org/download",
        ),
        (
            _NEW_FIRMWARE,
            "MicroPython 2.0.0 takes .mpy files of version 7.0, Wingbeat makes 6.3: pip install"
            " --upgrade wingbeat",
        ),
        (
            _NO_NATIVE_CODE,
            "the firmware of a board of somebody's own loads no native code: take firmware that"
            " does, or another board",
        ),
    ],
    ids=["old firmware", "new firmware", "no native code"],
)
def test_firmware_that_cannot_run_it(board: Troubled, boot: str, next_step: str) -> None:
    board.put("boot.py", boot.encode())
    for command in (["doctor"], ["deploy", board.new_file]):
        assert next_step in board.refused(*command)
    board.remove("boot.py")
    board.nothing_lost()


def test_full_heap(board: Troubled) -> None:
    board.put("boot.py", _FULL_HEAP.encode())
    said = board.refused("deploy", board.new_file)
    assert "iris.mpy needs about" in said
    assert "bytes of heap" in said
    assert "free heap in boot.py" in said
    assert "writing ROMFS takes" in board.refused("deploy", board.new_file, "--romfs")
    board.remove("boot.py")
    board.nothing_lost()


def test_heap_too_small_but_for_romfs(board: Troubled, folder: Path) -> None:
    board.put("boot.py", _ALMOST_FULL_HEAP.encode())
    large, file = digits(20), folder / "digits.wbp"
    large.save(file)
    assert "deploy it with --romfs, from where it takes" in board.refused("deploy", file)
    words = ["deploy", str(file), "--romfs", "--port", board.pico.url]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.stderr
    with open_transport(board.pico.url) as transport:
        assert proven(transport, large) is large
        assert remove(transport, "digits") == ["/rom/digits.mpy"]
    board.remove("boot.py")
    board.nothing_lost()


def test_heap_fills_up_before_the_proof(board: Troubled) -> None:
    board.put("boot.py", _FULL_HEAP_AT_THE_PROOF.encode())
    said = board.refused("deploy", board.new_file)
    assert "iris could not be deployed: the board has too little heap (MemoryError" in said
    assert "What was on the board is unchanged" in said
    board.remove("boot.py", "first", "second")
    board.nothing_lost()


def test_full_file_system(board: Troubled) -> None:
    with open_transport(board.pico.url) as transport:
        free = transport.free_space()
        transport.exec(
            "with open('filler', 'wb') as f:\n"
            f"    for _ in range({(free - 16_000) // 4096}):\n"
            "        f.write(bytes(4096))"
        )
    said = board.refused("deploy", board.new_file)
    assert "bytes of the board's file system while it is put there" in said
    assert "remove files (wingbeat list, wingbeat remove)" in said
    board.remove("filler")
    board.nothing_lost()


def test_vanishes_in_the_middle(board: Troubled, folder: Path) -> None:
    """Last, since it ends the board; another one is switched on with the same flash."""
    board.pico.cut_after(3)
    said = board.refused("deploy", board.new_file)
    assert f"the board on {board.pico.url} no longer answers" in said
    assert "check the cable and its power, then run the command again" in said
    board.pico.wait_for_end()
    said = board.refused("doctor")
    assert f"nothing listens at {board.pico.url}" in said
    with switched_on(folder / "flash.bin") as pico:
        board.pico = pico
        with open_transport(pico.url) as transport:
            assert proven(transport, board.old, board.new) is board.old
        result = CliRunner().invoke(app, ["deploy", str(board.new_file), "--port", pico.url])
        assert result.exit_code == 0, result.stderr
        assert "left by an interrupted deploy" in result.stdout
