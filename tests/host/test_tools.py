"""The one list of tools, and what is said when one is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from build import ROOT, ports
from fetch import read_pin, source_folder

from wingbeat.errors import BuildError
from wingbeat.targets.boards import read_boards
from wingbeat.targets.firmware import PORTS, debian_packages, require_tools


def test_every_tool_has_its_package() -> None:
    packages = debian_packages()
    for port in ports().values():
        assert port.compiler in packages
        assert not port.headers or f"{port.headers}/stdint.h" in packages
    for board in read_boards().values():
        assert board.emulator in packages
        assert f"{board.toolchain}gcc" in packages


def test_no_build_needs_picolibc() -> None:
    # Debian's for RISC-V has 1 GB.
    assert not any("picolibc" in package for package in debian_packages().values())


def test_missing_tools_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BuildError) as caught:
        require_tools("gcc", "qemu-xtensa")
    assert str(caught.value) == "gcc, qemu-xtensa missing: apt-get install gcc qemu-user"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["build.py", "rv32imc"], "riscv64-unknown-elf-gcc missing: apt-get install gcc-riscv64"),
        (["firmware.py", "rv32"], "make, gcc, riscv64-unknown-elf-gcc missing: apt-get install"),
    ],
)
def test_a_build_without_its_tools_says_so_in_a_line(
    command: list[str], message: str, tmp_path: Path
) -> None:
    script, *arguments = command
    # The source is there: only the tools are not.
    source = source_folder(read_pin())
    (tmp_path / source.name).symlink_to(source)
    done = subprocess.run(
        [sys.executable, str(PORTS / script), *arguments],
        env={"PATH": "", "WINGBEAT_CACHE": str(tmp_path), "PYTHONPATH": str(ROOT / "host")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
