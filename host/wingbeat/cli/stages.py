"""`wingbeat train --stages`: what a pipeline's file may say."""

from __future__ import annotations

from dataclasses import MISSING, fields
from importlib.resources import files
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wingbeat.augment import AugmentOptions
from wingbeat.pipeline import AfterOptions, ModelOptions, presets
from wingbeat.stages import STAGES

_TABLES = {"augment": AugmentOptions, "model": ModelOptions, "after": AfterOptions}


def show_stages(asked: bool) -> None:
    """Print presets, stages and their parameters, and exit; if asked for."""
    if not asked:
        return
    console = Console(highlight=False)
    named = _table("preset", "for")
    for name in presets():
        named.add_row(name, _comment(name))
    console.print(named)
    stages = _table("stage", "parameters", "gives")
    for kind, stage in STAGES.items():
        stages.add_row(kind, _parameters(stage), Text(_first_sentence(stage)))
    console.print(stages)
    others = _table("table", "parameters")
    for name, options in _TABLES.items():
        others.add_row(Text(f"[{name}]"), _parameters(options))
    console.print(others)
    console.print(
        Text("docs/streams.md, Pipelines, tells what each of them means, with an example.")
    )
    raise typer.Exit


def _table(*titles: str) -> Table:
    table = Table(show_lines=len(titles) > 2)
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def _comment(preset: str) -> str:
    """The first comment of a preset's file."""
    text = (files("wingbeat") / "presets" / f"{preset}.toml").read_text(encoding="utf-8")
    lines = text.splitlines()
    end = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    return " ".join(line.strip("# ") for line in lines[:end])


def _parameters(kind: Any) -> Text:
    parts = []
    for each in fields(kind):
        if each.default is MISSING:
            parts.append(f"{each.name} = ...")
        elif each.default is None:
            parts.append(each.name)
        else:
            parts.append(f"{each.name} = {_toml(each.default)}")
    return Text("\n".join(parts))


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def _first_sentence(stage: type) -> str:
    return " ".join((stage.__doc__ or "").partition("\n\n")[0].split())
