"""Core and kernels compiled for this machine, with address and undefined behaviour checks.

Every buffer has exactly the size that the format says, so that one byte too far ends the program.
"""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vectors.case import Operands
from wingbeat.reference import OPCODES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
DEVICE = ROOT / "device"
SOURCES = Path(__file__).resolve().parent / "src"
OK, NOT_DUE = 0, 1
NO_DECISION = -(2**31)
"""What the core's program answers instead of a decision where no result is due."""
NOTHING_SHARED = 255
GCC = ("gcc", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_WARNINGS = ["-std=c99", "-g", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
_TIMEOUT = 300.0


def reasons() -> list[str]:
    """Return the names of the core's reasons for refusing; a reason's number is its position."""
    text = (DEVICE / "core" / "program.h").read_text()
    names = re.findall(r"^    WB_E_(\w+)", text, re.MULTILINE)
    return ["", *names]


def kernel_names() -> list[str]:
    """Return all kernels, in the order of kernels.toml."""
    return [str(entry["name"]) for entry in _kernels()]


def _kernels() -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = tomllib.loads((DEVICE / "kernels" / "kernels.toml").read_text())[
        "kernel"
    ]
    return listed


def compile_objects(compiler: Sequence[str], folder: Path) -> list[Path]:
    """Compile core and kernels, each kernel under a name of its own, and a table of them."""
    common = [*compiler, *_WARNINGS, "-I", str(DEVICE), "-I", str(SOURCES)]
    jobs: list[tuple[Path, str, list[str]]] = [
        (DEVICE / "core" / f"{name}.c", name, []) for name in ("check", "run", "push")
    ]
    jobs.append((SOURCES / "drive.c", "drive", []))
    for entry in _kernels():
        defines = [f"-D{key}={value}" for key, value in entry.get("defines", {}).items()]
        defines.append(f"-Dwb_kernel=kernel_{entry['name']}")
        jobs.append((DEVICE / "kernels" / entry["source"], f"kernel_{entry['name']}", defines))
    table = folder / "table.c"
    table.write_text(_table())
    jobs.append((table, "table", []))

    def compiled(job: tuple[Path, str, list[str]]) -> Path:
        source, name, defines = job
        out = folder / f"{name}.o"
        subprocess.run([*common, *defines, "-c", source, "-o", out], check=True)
        return out

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(compiled, jobs))


def link(
    compiler: Sequence[str], objects: Sequence[Path], mains: Sequence[Path], out: Path
) -> Path:
    """Compile the main program and link it with the objects."""
    command: list[str | Path] = [*compiler, *_WARNINGS, "-I", DEVICE, "-I", SOURCES]
    subprocess.run([*command, *mains, *objects, "-o", out], check=True)
    return out


def _table() -> str:
    assert sorted(OPCODES) == sorted(kernel_names())
    lines = ['#include "drive.h"', "#include <stddef.h>"]
    lines += [f"int32_t kernel_{name}(const wb_call_t *call);" for name in kernel_names()]
    lines.append("const drive_kernel_t drive_kernels[] = {")
    lines += [f'    {{"{name}", {OPCODES[name]}, kernel_{name}}},' for name in kernel_names()]
    return "\n".join([*lines, "    {NULL, 0, NULL},", "};", ""])


def _answer(program: Path, sent: bytes) -> bytes:
    done = subprocess.run([program], input=sent, capture_output=True, check=False, timeout=_TIMEOUT)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


@dataclass(frozen=True)
class Result:
    """What a kernel answered: its check's status, its run's, and the operands' bytes after it."""

    status: int
    operands: tuple[bytes, ...]
    ran: int = OK


class Kernels:
    """All kernels in one process: calls are collected, then made all at once.

    Parameters
    ----------
    program : Path
        What `kernel_main.c` became.
    """

    def __init__(self, program: Path) -> None:
        self._program = program
        self._numbers = {name: number for number, name in enumerate(kernel_names())}
        self._sent = bytearray()
        self._asked: list[tuple[int, ...]] = []

    def check(self, kernel: str, params: bytes, operands: Operands, n_inputs: int = 1) -> None:
        """Add a call of the check alone."""
        self._add(kernel, params, operands, n_inputs, run=False)

    def run(
        self,
        kernel: str,
        params: bytes,
        operands: Operands,
        *inputs: bytes,
        in_place: tuple[int, int] | None = None,
        memory: Mapping[int, bytes] | None = None,
    ) -> None:
        """Add a call of the check, and of a run if the check accepts.

        Parameters
        ----------
        in_place : tuple of an input's and an output's number, optional
            The two start at the same address.
        memory : mapping of an operand's position to bytes, optional
            What other operands hold before.
        """
        shared = (0, NOTHING_SHARED)
        if in_place is not None:
            shared = (in_place[0], len(inputs) + in_place[1])
        given = dict(memory or {})
        if in_place is not None and given:
            given[shared[1]] = inputs[shared[0]]
        n_given = max([len(inputs), *(position + 1 for position in given)])
        numbers = (len(inputs), n_given)
        self._add(kernel, params, operands, *numbers, run=True, shared=shared)
        for position, (_, size) in enumerate(operands[:n_given]):
            data = inputs[position] if position < len(inputs) else given.get(position, b"")
            assert len(data) in (size, 0)
            self._sent += data or b"\xa5" * size

    def _add(
        self,
        kernel: str,
        params: bytes,
        operands: Operands,
        n_inputs: int,
        n_given: int = 0,
        *,
        run: bool,
        shared: tuple[int, int] = (0, NOTHING_SHARED),
    ) -> None:
        sizes = len(params), n_inputs, len(operands)
        numbers = (self._numbers[kernel], run, *shared, n_given, *sizes)
        self._sent += struct.pack("<8I", *numbers) + params
        for typecode, size in operands:
            self._sent += struct.pack("<II", ord(typecode), size)
        self._asked.append(tuple(size for _, size in operands) if run else ())

    def results(self) -> list[Result]:
        """Make all calls."""
        answer = _answer(self._program, bytes(self._sent))
        results, at = [], 0
        for sizes in self._asked:
            (status,) = struct.unpack_from("<i", answer, at)
            at += 4
            ran = OK
            if sizes and status == OK:
                (ran,) = struct.unpack_from("<i", answer, at)
                at += 4
            operands = []
            for size in sizes if status == OK else ():
                operands.append(answer[at : at + size])
                at += size
            results.append(Result(status, tuple(operands), ran))
        assert at == len(answer)
        self._sent.clear()
        self._asked.clear()
        return results


@dataclass(frozen=True)
class Load:
    """What the core answered: why it refused a program, or outputs and decision of each row."""

    reason: str
    outputs: tuple[bytes, ...]
    decisions: tuple[int, ...]


class Core:
    """Loader and operator walk in one process: programs are collected, then run all at once.

    Parameters
    ----------
    program : Path
        What `core_main.c` became.
    """

    def __init__(self, program: Path) -> None:
        self._program = program
        self._reasons = reasons()
        self._sent = bytearray()
        self._rows: list[int] = []

    def load(self, program: bytes, rows: Sequence[bytes] = (), *, push: bool = False) -> None:
        """Add a program and the rows of input to run it on, all of one length.

        Parameters
        ----------
        push : bool
            Push the rows as blocks of a stream, where the program takes one.
        """
        size = len(rows[0]) if rows else 0
        self._sent += struct.pack("<4I", len(program), len(rows), size, push)
        self._sent += program + b"".join(rows)
        self._rows.append(len(rows))

    def results(self) -> list[Load]:
        """Load and run all programs."""
        answer = _answer(self._program, bytes(self._sent))
        results, at = [], 0
        for n_rows in self._rows:
            status, size = struct.unpack_from("<iI", answer, at)
            at += 8
            outputs: list[bytes] = []
            decisions: list[int] = []
            for _ in range(n_rows if status == OK else 0):
                outputs.append(answer[at : at + size])
                decisions += struct.unpack_from("<i", answer, at + size)
                at += size + 4
            reason = "too large to run" if status < 0 else self._reasons[status]
            results.append(Load(reason, tuple(outputs), tuple(decisions)))
        assert at == len(answer)
        self._sent.clear()
        self._rows.clear()
        return results


def with_crc(program: bytes) -> bytes:
    """Return the program with the checksum that its size says, if it has room for one."""
    if len(program) < 12:
        return program
    (size,) = struct.unpack_from("<I", program, 8)
    if size % 4 or not 4 <= size <= len(program):
        return program
    crc = struct.pack("<I", zlib.crc32(program[: size - 4]))
    return program[: size - 4] + crc + program[size:]
