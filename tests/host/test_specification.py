"""SPEC.md names every operator, and each has a section and a kernel."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from wingbeat.reference import OPCODES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
SPECIFICATION = (ROOT / "SPEC.md").read_text()
FORESTS = {kernel for kernel in OPCODES if kernel.startswith("forest_")}


def test_table_of_opcodes() -> None:
    """SPEC.md has each opcode once, in order, with the kernel that it has in the code."""
    table = re.findall(r"^\| (\d+) \| [^|]+ \| `(\w+)` \|$", SPECIFICATION, re.MULTILINE)
    others = {kernel: opcode for kernel, opcode in OPCODES.items() if kernel not in FORESTS}
    expected = [
        (opcode, kernel) for kernel, opcode in sorted(others.items(), key=lambda item: item[1])
    ]
    assert [(int(opcode), kernel) for opcode, kernel in table] == expected


def test_opcodes_of_forests() -> None:
    """The row of the forests has the range that they take."""
    (row,) = re.findall(r"^\| (\d+)\.\.(\d+) \| forest ", SPECIFICATION, re.MULTILINE)
    taken = [OPCODES[kernel] for kernel in FORESTS]
    assert [int(end) for end in row] == [min(taken), max(taken)]


def test_every_operator_has_a_section() -> None:
    """A heading of SPEC.md ends with the opcodes that it is about; variants share one."""
    headings = re.findall(r"^### .*\((?:.*\()?[^()]*\d.*\)$", SPECIFICATION, re.MULTILINE)
    named = {int(number) for heading in headings for number in re.findall(r"\b\d+\b", heading)}
    variants = {OPCODES["depthwise_3x3"]}
    operators = {opcode for kernel, opcode in OPCODES.items() if kernel not in FORESTS}
    assert operators - variants <= named


def test_every_operator_has_a_kernel() -> None:
    """device/kernels/kernels.toml builds each kernel that a program may name, and no other."""
    built = tomllib.loads((ROOT / "device" / "kernels" / "kernels.toml").read_text())["kernel"]
    assert sorted(OPCODES) == sorted(kernel["name"] for kernel in built)
