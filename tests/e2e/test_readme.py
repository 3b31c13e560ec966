"""The README's first model, run as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from wingbeat.targets.unix import find_micropython

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)


def blocks() -> list[tuple[str, str]]:
    """Language and text of each code block of the section on the first model."""
    text = README.read_text()
    section = text[text.index("## A first model") : text.index("## What it converts")]
    return BLOCK.findall(section)


def run(command: list[str], folder: Path, source: str | None = None) -> str:
    """Standard output of a command that must succeed."""
    host = README.parent / "host"
    done = subprocess.run(
        command,
        input=source,
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(host), "COLUMNS": "100"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def lines(text: str) -> list[str]:
    """Lines without the spaces at their ends."""
    return [line.rstrip() for line in text.strip().splitlines()]


def without_heap(text: list[str]) -> list[str]:
    """All but the line that depends on the C compiler's version."""
    return [line for line in text if not line.startswith("heap")]


def test_the_first_model(tmp_path: Path) -> None:
    found = blocks()
    python, micropython = (text for language, text in found if language == "python")
    printed_by_python, printed_by_micropython = (
        text for language, text in found[1:-1] if language == ""
    )
    (console,) = (text for language, text in found if language == "console")

    assert lines(run([sys.executable, "-"], tmp_path, python)) == lines(printed_by_python)

    *commands, last = [line[2:].split() for line in console.splitlines() if line.startswith("$ ")]
    for command in commands:
        assert command[0] == "wingbeat"
        run([sys.executable, "-m", *command], tmp_path)
    printed = run([sys.executable, "-m", *last], tmp_path)
    expected = [line for line in lines(console) if not line.startswith("$ ")]
    assert without_heap(lines(printed)) == without_heap(expected)

    (tmp_path / "main.py").write_text(micropython)
    printed = run([str(find_micropython()), "main.py"], tmp_path)
    assert lines(printed) == lines(printed_by_micropython)
