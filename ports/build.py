"""Builds what modules are assembled from, for every architecture: one core, and the kernels.

    python ports/build.py [ARCH ...]

The results go into host/wingbeat/_blobs. They depend on nothing but the sources, the compiler
and the pinned MicroPython, byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection
from fetch import FetchError, fetch, read_pin

from wingbeat.errors import BuildError
from wingbeat.mpy import Mpy
from wingbeat.targets.firmware import require_tools

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
DEVICE = ROOT / "device"
OUT = ROOT / "host" / "wingbeat" / "_blobs"
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
# gcc must not turn loops into calls of memset and strlen: there is no libc.
COMMON = ["-std=c99", "-ffreestanding", "-fno-common", "-fno-tree-loop-distribute-patterns"]
BASES = (0, 0x10000)
XTENSA_SLOT0_OP = 20  # a relocation: the operand of an instruction
CORE_SOURCES = ("natmod/model.c", "core/check.c", "core/run.c")
# One more core, for programs that take a stream: what it adds, and where it names qstrs.
STREAM_SOURCES = ("core/push.c",)
STREAM_QSTRS = "natmod/stream.h"


@dataclass(frozen=True)
class Port:
    """ports/<arch>/port.toml."""

    arch: str
    compiler: str
    linker: str
    objcopy: str
    float: str
    flags: list[str]
    core_flags: list[str]
    kernel_flags: list[str]
    target: str
    headers: str = ""
    linker_flags: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def include(self) -> list[str]:
        """Options for the C library's headers: nothing of the library itself is used."""
        return ["-isystem", self.headers] if self.headers else []

    @cached_property
    def variables(self) -> dict[str, str]:
        """Variables of the tools' processes: the outputs of the port's own scripts."""
        folder = ROOT / "ports" / self.arch
        return {
            name: run([sys.executable, folder / script]).strip()
            for name, script in self.environment.items()
        }

    def run(self, command: list[str | Path]) -> str:
        """Run one of the port's tools."""
        return run(command, self.variables)


@dataclass(frozen=True)
class KernelSource:
    """One entry of device/kernels/kernels.toml."""

    name: str
    source: str
    defines: dict[str, str] = field(default_factory=dict)
    small: bool = False

    @property
    def flags(self) -> list[str]:
        defines = [f"-D{name}={value}" for name, value in self.defines.items()]
        return [*defines, "-Os"] if self.small else defines


def ports() -> dict[str, Port]:
    """All architectures, by name."""
    found = {}
    for path in sorted((ROOT / "ports").glob("*/port.toml")):
        arch = path.parent.name
        found[arch] = Port(arch=arch, **tomllib.loads(path.read_text()))
    return found


def kernel_sources() -> list[KernelSource]:
    """All kernels."""
    listed = tomllib.loads((DEVICE / "kernels" / "kernels.toml").read_text())
    return [KernelSource(**entry) for entry in listed["kernel"]]


def run(command: list[str | Path], variables: Mapping[str, str] | None = None) -> str:
    """Run a tool; its output is shown only if it fails."""
    words = [str(word) for word in command]
    environment = {**os.environ, **(variables or {})}
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    except FileNotFoundError as error:
        raise BuildError(f"{words[0]} is not installed") from error
    if done.returncode:
        raise BuildError(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def build_core(port: Port, micropython: Path, work: Path, out: Path, *, stream: bool) -> None:
    """Compile and link a core with MicroPython's own dynruntime.h and mpy_ld.py."""
    mpy_ld: list[str | Path] = [
        sys.executable,
        micropython / "tools" / "mpy_ld.py",
        "--arch",
        port.arch,
    ]
    config = work / "config.h"
    sources = [DEVICE / source for source in CORE_SOURCES + STREAM_SOURCES * stream]
    named = [sources[0], *[DEVICE / STREAM_QSTRS] * stream]
    run([*mpy_ld, "--preprocess", "-o", config, *named])
    objects = []
    for source in sources:
        # The binding includes MicroPython's headers, which were not written for -Wconversion.
        binding = source.parent.name == "natmod"
        warnings = ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"]
        defines = ["NDEBUG", "NO_QSTR", "MICROPY_ENABLE_DYNRUNTIME", 'MP_CONFIGFILE="config.h"']
        defines.append(f"MICROPY_FLOAT_IMPL=MICROPY_FLOAT_IMPL_{port.float}")
        defines.append(f"STREAM={stream:d}")
        objects.append(work / f"{source.stem}.o")
        port.run(
            [
                port.compiler,
                *COMMON,
                *port.flags,
                *port.core_flags,
                *(warnings if binding else WARNINGS),
                *(f"-D{define}" for define in (defines if binding else [])),
                f"-ffile-prefix-map={ROOT}=.",
                "-U_FORTIFY_SOURCE",
                *("-I", DEVICE, "-I", work, "-isystem", micropython),
                *port.include,
                *("-c", source, "-o", objects[-1]),
            ]
        )
        with objects[-1].open("rb") as file:
            _check_variables(source.name, ELFFile(file))
    if port.arch == "xtensawin":
        _check_xtensa(objects)
    linked = work / "linked.mpy"
    run([*mpy_ld, "--qstrs", config, "-o", linked, *objects])
    # mpy_ld writes the path of its output into the file.
    core = Mpy.decode(linked.read_bytes())
    out.write_bytes(replace(core, qstrs=(b"core.py", *core.qstrs[1:])).encode())


def _check_variables(name: str, elf: Any) -> None:
    """Refuse static variables: on rv32imc, mpy_ld.py links them to wrong addresses in silence."""
    symbols = next(s for s in elf.iter_sections() if isinstance(s, SymbolTableSection))
    for symbol in symbols.iter_symbols():
        kind, index = symbol["st_info"], symbol["st_shndx"]
        if kind["bind"] == "STB_LOCAL" and kind["type"] == "STT_OBJECT" and isinstance(index, int):
            section = elf.get_section(index).name
            if section.startswith((".bss", ".sbss")):
                raise BuildError(f"{name}: {symbol.name} is a static variable: drop 'static'")


def _check_xtensa(objects: list[Path]) -> None:
    """Refuse what mpy_ld.py links wrongly on Xtensa, and without a word.

    It leaves direct calls unresolved but those of static functions, and knows pointers to what is
    static by the section's name and an offset, whichever file they are from.
    """
    with_pointers = set()
    for path in objects:
        with path.open("rb") as file:
            elf = ELFFile(file)
            symbols = next(s for s in elf.iter_sections() if isinstance(s, SymbolTableSection))
            for section in elf.iter_sections():
                if not isinstance(section, RelocationSection):
                    continue
                for relocation in section.iter_relocations():
                    symbol = symbols.get_symbol(relocation["r_info_sym"])
                    static = symbol["st_info"]["type"] == "STT_SECTION"
                    if relocation["r_info_type"] == XTENSA_SLOT0_OP and not static:
                        raise BuildError(f"{path.name}: a direct call of {symbol.name}")
                    if section.name == ".rela.literal" and static:
                        with_pointers.add(path.name)
    if len(with_pointers) > 1:
        names = ", ".join(sorted(with_pointers))
        raise BuildError(f"{names}: pointers to static functions or data in more than one")


def build_kernel(port: Port, kernel: KernelSource, work: Path, out: Path) -> int:
    """Compile one kernel into a blob; the offset of its entry point."""
    compiled = work / f"{kernel.name}.o"
    port.run(
        [
            port.compiler,
            *COMMON,
            *port.flags,
            *port.kernel_flags,
            *WARNINGS,
            *kernel.flags,
            f"-ffile-prefix-map={ROOT}=.",
            "-nostdlib",
            *port.include,
            *("-I", DEVICE, "-c", DEVICE / "kernels" / kernel.source, "-o", compiled),
        ]
    )
    blobs = [_link(port, compiled, work, base) for base in BASES]
    if blobs[0] != blobs[1]:
        raise BuildError(f"{kernel.name}: the code depends on the address it is loaded at")
    code, entry = blobs[0]
    out.write_bytes(code + bytes(-len(code) % 4))
    return entry


def _link(port: Port, compiled: Path, work: Path, base: int) -> tuple[bytes, int]:
    elf, blob = work / f"{compiled.stem}.elf", work / f"{compiled.stem}.bin"
    script = ROOT / "ports" / "kernel.ld"
    options = [*port.linker_flags, f"-Ttext={base:#x}", "-e", "wb_kernel"]
    port.run([port.linker, "-T", script, *options, compiled, "-o", elf])
    with elf.open("rb") as file:
        entry = _check_elf(compiled.stem, ELFFile(file)) - base
    port.run([port.objcopy, "-O", "binary", "-j", ".text", elf, blob])
    return blob.read_bytes(), entry


def _check_elf(name: str, elf: Any) -> int:
    """Refuse anything but code; the address of the entry point."""
    for section in elf.iter_sections():
        allocated = section["sh_flags"] & 2
        if allocated and section["sh_size"] and section.name != ".text":
            size = section["sh_size"]
            raise BuildError(f"{name}: {size} bytes of {section.name}: code only")
    symbols = next(s for s in elf.iter_sections() if isinstance(s, SymbolTableSection))
    undefined = [
        symbol.name
        for symbol in symbols.iter_symbols()
        if symbol["st_shndx"] == "SHN_UNDEF" and symbol.name
    ]
    if undefined:
        raise BuildError(f"{name}: undefined symbols {', '.join(undefined)}")
    return int(elf["e_entry"]) & ~1


def build_arch(port: Port, micropython: Path) -> dict[str, int]:
    """Build everything for one architecture; the entry point of each kernel."""
    require_tools(port.compiler, *([f"{port.headers}/stdint.h"] if port.headers else []))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        made = work / "made"
        made.mkdir()
        build_core(port, micropython, work, made / "core.mpy", stream=False)
        build_core(port, micropython, work, made / "core_stream.mpy", stream=True)
        entries = {
            kernel.name: build_kernel(port, kernel, work, made / f"{kernel.name}.bin")
            for kernel in kernel_sources()
        }
        target = OUT / port.arch
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(made, target)
    return entries


def stamp(port: Port, micropython: Path) -> str:
    """What the blobs of an architecture were made from."""
    digest = hashlib.sha256(micropython.name.encode())
    files = [*DEVICE.rglob("*.[ch]"), DEVICE / "kernels" / "kernels.toml", Path(__file__)]
    files += [ROOT / "ports" / "kernel.ld", ROOT / "ports" / port.arch / "port.toml"]
    for path in sorted(files):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    if shutil.which(port.compiler):
        digest.update(run([port.compiler, "--version"]).encode())
        digest.update(repr(port.variables).encode())
    return digest.hexdigest()


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Build cores and kernels.")
    parser.add_argument("arch", nargs="*", help="architectures; all of them by default")
    arguments = parser.parse_args()
    known = ports()
    unknown = sorted(set(arguments.arch) - set(known))
    if unknown:
        parser.error(f"no such architecture: {', '.join(unknown)}; known: {', '.join(known)}")
    index_path = OUT / "index.json"
    index = json.loads(index_path.read_text()) if index_path.exists() else {}
    try:
        micropython = fetch(read_pin())
        for arch in arguments.arch or known:
            mark, wanted = OUT / f"{arch}.stamp", stamp(known[arch], micropython)
            if arch in index and mark.exists() and mark.read_text() == wanted:
                print(f"{arch}: up to date")
                continue
            index[arch] = build_arch(known[arch], micropython)
            mark.write_text(wanted)
            print(f"{arch}: core and {len(index[arch])} kernels")
    except (BuildError, FetchError) as failure:
        print(f"build: {failure}", file=sys.stderr)
        return 1
    index_path.write_text(json.dumps(index, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
