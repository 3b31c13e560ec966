"""What all builds of firmware share: sources, a clean environment, a log, a place in the cache.

The pinned sources stay as they are: a build lays out a tree of links to them, with copies of what
it changes.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from fetch import FetchError, fetch, read_pins

from wingbeat.errors import BuildError
from wingbeat.targets.firmware import PORTS

LOG = "build.log"
_LOG_TAIL_LINES = 25
_UNWANTED = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CFLAGS", "CXXFLAGS", "LDFLAGS")


def build_into(folder: Path, make: Callable[[Path, Path], None]) -> Path:
    """Return a folder of the cache; make its content when it is not there.

    Parameters
    ----------
    folder : Path
        Where it is to be: see `wingbeat.targets.firmware.built_folder`.
    make : callable
        Called with a folder to work in and an empty one for the result. The result gets its name
        once it is whole.

    Raises
    ------
    BuildError
        From `make`.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    name = folder.name.rpartition("-")[0]
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=folder.parent) as temporary:
        work, result = Path(temporary).resolve() / "work", Path(temporary) / "result"
        work.mkdir()
        result.mkdir()
        make(work, result)
        try:
            result.rename(folder)
        except OSError:
            # Another process was first.
            if not folder.is_dir():
                raise
    return folder


def sources(pins: Path = PORTS / "micropython.toml") -> list[Path]:
    """Return the unpacked sources of a file of pins, in its order.

    Raises
    ------
    BuildError
        One cannot be had.
    """
    try:
        return [fetch(pin) for pin in read_pins(pins)]
    except FetchError as error:
        raise BuildError(str(error)) from error


def link_all(source: Path, target: Path, *, but: Collection[str]) -> None:
    """Make a folder of links to what is in another one, but for some names."""
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if path.name not in but:
            (target / path.name).symlink_to(path)


def run_logged(
    name: str,
    command: Sequence[str],
    folder: Path,
    log: Path,
    variables: Mapping[str, str] | None = None,
) -> None:
    """Run one command of a build; its output goes to the end of a log.

    Parameters
    ----------
    name : str
        What is built, for the message.
    folder : Path
        Where it runs.
    variables : mapping, optional
        Environment variables to set.

    Raises
    ------
    BuildError
        It failed; the message has the end of the log.
    """
    # Firmware says when it was built: leave that out, so that equal inputs give equal bytes.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "0", "LC_ALL": "C", **(variables or {})}
    for variable in _UNWANTED:
        environment.pop(variable, None)
    with log.open("ab") as output:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])
        raise BuildError(f"building {name} failed; {command[0]} ended with:\n{tail}")
