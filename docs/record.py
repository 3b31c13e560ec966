"""Runs the examples of a page and writes down what they print, so that pages show real output.

    python docs/record.py README.md docs/commands.md docs/board.md

In a temporary folder, block by block: `python` is run, by MicroPython if its first line says
`# MicroPython`; a block without a language after it takes what it printed; in `console`, what
follows a line of `$ wingbeat ...`, or `$ python` and a script of the project, takes what that
printed. Everything else stays as it is. A page with
`<!-- Recorded after README.md, with an emulated Pico. -->` has the files of that page's Python
examples, and a board at the default port; without `after README.md,` the board alone.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from wingbeat.files import write_atomic
from wingbeat.targets.rp2040 import Pico, new_flash
from wingbeat.targets.unix import find_micropython

ROOT = Path(__file__).parents[1]
WIDTH = 100
WITH_BOARD = re.compile(r"<!-- Recorded (?:after (?P<before>\S+), )?with an emulated Pico\. -->")
BLOCK = re.compile(r"(?P<fence>^```(?P<language>\w*)\n)(?P<body>.*?)^```$", re.DOTALL | re.M)


def record(page: str) -> str:
    """Return the text of a page with what its examples print now."""
    board = WITH_BOARD.search(page)
    with tempfile.TemporaryDirectory() as folder:
        recorder = _Recorder(Path(folder))
        if board is None:
            return recorder.page(page)
        if board["before"]:
            recorder.page((ROOT / board["before"]).read_text())
        flash = Path(folder) / "flash.bin"
        new_flash(flash)
        with Pico(flash) as pico:
            pico.wait_for_console()
            recorder.port = pico.url
            return recorder.page(page)


class _Recorder:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port: str | None = None
        self.printed: str | None = None

    def page(self, text: str) -> str:
        return BLOCK.sub(lambda match: match["fence"] + self._block(match) + "```", text)

    def _block(self, match: re.Match[str]) -> str:
        language, body = match["language"], match["body"]
        printed, self.printed = self.printed, None
        if language == "python":
            micropython = body.startswith("# MicroPython")
            script = self.folder / "example.py"
            script.write_text(body)
            self.printed = self._run(
                [find_micropython() if micropython else sys.executable, script]
            )
        elif language == "console":
            return "".join(self._commands(body))
        elif language == "" and printed:
            return printed
        return body

    def _commands(self, body: str) -> list[str]:
        recorded = []
        for chunk in re.split(r"(?=^\$ )", body, flags=re.M):
            command, newline, _ = chunk.partition("\n")
            words = shlex.split(command.removeprefix("$ "), comments=True)
            if words[:1] == ["wingbeat"]:
                chunk = command + newline + self._run([sys.executable, "-m", *words])
            elif words[:1] == ["python"]:
                script = str(ROOT / words[1])
                chunk = command + newline + self._run([sys.executable, script, *words[2:]])
            recorded.append(chunk)
        return recorded

    def _run(self, command: list[str | Path]) -> str:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "host"), "COLUMNS": str(WIDTH)}
        if self.port is not None:
            environment["WINGBEAT_PORT"] = self.port
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            check=False,
        )
        return "".join(line.rstrip() + "\n" for line in done.stdout.splitlines())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Record what the examples of a page print.")
    parser.add_argument("page", nargs="+", type=Path)
    for path in parser.parse_args().page:
        write_atomic(path, record(path.read_text()).encode())


if __name__ == "__main__":
    main()
