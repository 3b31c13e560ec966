"""What the recipes of programs that take a stream share: their files, data files, sizes, cards.

    python models/NAME/recipe.py [DATA FILE ...]

makes NAME.wbp, the program, and README.md, the card, which is card.md with figures in it. Recipes
with nets train them with TensorFlow first; --convert leaves that out. A data file that is given is
kept in build/data; without one, the recipe downloads what it needs.
"""

from __future__ import annotations

import argparse
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wingbeat import Program
from wingbeat.boards import board_named
from wingbeat.costs import estimate
from wingbeat.describe import describe
from wingbeat.files import write_atomic
from wingbeat.stream import pace_of

from .training import BOARD, FOLDER

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_SHARED = FOLDER.parents[1] / "shared"
_PLACES = (FOLDER.parent / "build" / "data", _SHARED / "data", _SHARED / "models" / "tflm")
"""Where data files are looked for: what was downloaded, and what lies beside the project."""


@dataclass(frozen=True)
class StreamRecipe:
    """How a program that takes a stream is made.

    Attributes
    ----------
    name : str
        Of the folder, the program and the module.
    make : function
        Trains and tests; the program's `meta["figures"]` has what the card tells.
    piece : function
        Gives a stretch of a recording that was not trained on, as the program takes it: int16
        [samples, channels].
    data : tuple of str
        The files that it needs, for `data_file`.
    learn : function, optional
        Trains nets with TensorFlow, for `make`.
    """

    name: str
    make: Callable[[], Program]
    piece: Callable[[], NDArray[np.int16]]
    data: tuple[str, ...] = ()
    learn: Callable[[], None] | None = None

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return FOLDER / self.name

    @property
    def program_file(self) -> Path:
        """The trained program."""
        return self.folder / f"{self.name}.wbp"

    def limits(self) -> dict[str, float]:
        """Floors of what it gets right, and ceilings of sizes and time."""
        limits: dict[str, float] = tomllib.loads((self.folder / "limits.toml").read_text())
        return limits


def data_file(name: str) -> Path | None:
    """A data file that was downloaded or lies beside the project; None if there is none."""
    return next((folder / name for folder in _PLACES if (folder / name).is_file()), None)


def download(url: str, name: str) -> Path:
    """Fetch a data file into build/data."""
    print(f"downloading {url}")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return _keep(answer.read(), name)
    except OSError as error:
        raise SystemExit(f"{url}: {error}; download it by hand, and give its path") from error


def _keep(content: bytes, name: str) -> Path:
    path = _PLACES[0] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, content)
    return path


def main(recipe: StreamRecipe) -> None:
    """What `python models/NAME/recipe.py` does."""
    parser = argparse.ArgumentParser(description=f"Make {recipe.name}.")
    if recipe.learn is not None:
        parser.add_argument("--convert", action="store_true", help="do not train, convert again")
    for name in recipe.data:
        parser.add_argument(name, nargs="?", type=Path, help="if you have it")
    options = vars(parser.parse_args())
    for name in recipe.data:
        given = options[name]
        if given is not None and not given.is_file():
            parser.error(f"there is no file {given}")
        if given is not None:
            _keep(given.read_bytes(), name)
    if recipe.learn is not None and not options["convert"]:
        recipe.learn()
    program = recipe.make()
    program.save(recipe.program_file)
    write_atomic(recipe.folder / "README.md", card(recipe, program).encode())
    print(f"{recipe.name}: {program.meta['figures']}")


def card(recipe: StreamRecipe, program: Program) -> str:
    """card.md with the figures of the program in it."""
    text = (recipe.folder / "card.md").read_text(encoding="utf-8")
    return text.format(
        operators="\n".join(
            f"| {number} | `{call.operator.KERNEL}` | {describe(call.operator)} |"
            for number, call in enumerate(program.calls, 1)
        ),
        input=str(program.input),
        labels=", ".join(program.labels),
        hash=program.hash,
        **sizes(program),
        **program.meta["figures"],
    )


def sizes(program: Program) -> dict[str, Any]:
    """Bytes, and time by estimate, on `BOARD`."""
    board, pace = board_named(BOARD), pace_of(program)
    time = estimate(program, board.arch)
    assert time is not None
    per_second = program.meta["rate"] / pace.samples
    return {
        "program_bytes": len(program.encode()),
        "mpy_bytes": len(program.assemble(board.arch).data),
        "arena": program.arena,
        "milliseconds": time.cycles * 1e3 / board.clock,
        "load": time.mean_cycles * per_second / board.clock,
        "board": board.name,
        "megahertz": board.clock / 1e6,
    }
