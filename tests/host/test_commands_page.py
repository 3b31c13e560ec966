"""Pages name every command of `wingbeat`, and every option."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from wingbeat.cli import app

DOCS = Path(__file__).parents[2] / "docs"
COMMANDS: dict[str, Any] = vars(typer.main.get_command(app))["commands"]
PAGES = "\n".join(
    (DOCS / name).read_text(encoding="utf-8")
    for name in ("commands.md", "board.md", "streams.md", "nets.md")
)
COUNTS = ("eight", "nine", "ten", "eleven", "twelve")


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_explained(name: str) -> None:
    """Each option is in a page, in code, whatever stands behind it."""
    shown = set(re.findall(r"--[a-z][a-z-]*", " ".join(re.findall(r"`[^`\n]+`", PAGES))))
    options = [
        {option for option in (*each.opts, *each.secondary_opts) if option.startswith("--")}
        for each in COMMANDS[name].params
    ]
    known = shown | {"--output", "--help"}
    assert [each for each in options if each and not each & known] == []


def test_table_of_commands() -> None:
    """docs/commands.md counts the commands, and its table has all of them."""
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    (count,) = re.findall(r"`wingbeat` has (\w+) commands", page)
    assert COUNTS.index(count) + 8 == len(COMMANDS)
    cells = re.findall(r"^\| \[([\w, ]+)\]\(", page, re.MULTILINE)
    assert sorted(", ".join(cells).split(", ")) == sorted(COMMANDS)
