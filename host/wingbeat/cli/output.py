"""What commands print: results to stdout, as text or as one JSON document; the rest to stderr."""

from __future__ import annotations

import json
import math
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import rich.progress
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from wingbeat.program import Descriptor

_PATIENCE = 2.0
"""Seconds of silence before a progress bar is shown."""


def emit(as_json: bool, document: Mapping[str, Any], *shown: RenderableType) -> None:
    """Print `document` as JSON, or else what is shown to a person."""
    if as_json:
        print(json.dumps(_plain(document), indent=1, allow_nan=False), flush=True)
        return
    console = Console(highlight=False)
    for item in shown:
        console.print(item, soft_wrap=isinstance(item, Text))
    sys.stdout.flush()


def say(message: str) -> None:
    """Print one line for the person in front of the screen, on stderr."""
    print(message, file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """Print a warning on stderr."""
    say(f"wingbeat: warning: {message}")


def facts(rows: Mapping[str, object], title: str | None = None) -> Table:
    """A table of two columns without lines."""
    table = Table.grid(padding=(0, 2))
    table.title, table.title_justify = title, "left"
    for key, value in rows.items():
        table.add_row(Text(key), Text(str(value), overflow="fold"))
    return table


def bytes_table(parts: Mapping[str, int]) -> Table:
    """Parts of a file with their bytes and their sum."""
    table = Table("part", show_footer=True)
    table.columns[0].footer = "all"
    table.add_column("bytes", justify="right", footer=str(sum(parts.values())))
    for name, size in parts.items():
        table.add_row(Text(name), str(size))
    return table


def described(descriptor: Descriptor) -> dict[str, Any]:
    """A descriptor as JSON values."""
    return {
        "dtype": descriptor.dtype.name,
        "shape": list(descriptor.shape),
        "scale": descriptor.scale,
        "zero_point": descriptor.zero_point,
    }


def in_words(descriptor: Descriptor) -> str:
    """A descriptor for a person."""
    zero = f", zero at {descriptor.zero_point}" if descriptor.zero_point else ""
    step = "" if descriptor.scale == 1 and not zero else f", step {descriptor.scale:.6g}{zero}"
    return f"{descriptor}{step}"


class Progress:
    """A progress bar on stderr, for what takes more than two seconds in a terminal.

    Parameters
    ----------
    description : str
    total : int, optional
        Steps until the end. Without it, the bar only shows that something goes on.
    """

    def __init__(self, description: str, total: int | None = None) -> None:
        console = Console(stderr=True)
        self._bar = rich.progress.Progress(
            rich.progress.SpinnerColumn(),
            rich.progress.TextColumn("{task.description}", markup=False),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._shown = console.is_terminal
        self._task = self._bar.add_task(description, total=total)
        self._lock = threading.Lock()
        self._ended = False
        self._timer = threading.Timer(_PATIENCE, self._start)
        self._timer.daemon = True

    def _start(self) -> None:
        with self._lock:
            if not self._ended:
                self._bar.start()

    def done(self, steps: int) -> None:
        """Tell how many steps are done."""
        self._bar.update(self._task, completed=steps)

    def step(self, description: str) -> None:
        """Tell what goes on now."""
        if self._shown:
            self._bar.update(self._task, description=description)
        else:
            say(description)

    def __enter__(self) -> Progress:
        if self._shown:
            self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._ended = True
            if self._bar.live.is_started:
                self._bar.stop()


def _plain(value: Any) -> Any:
    """The value with JSON types only; a number that JSON has no word for becomes None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
