"""Runs what goes on a board with sensors that are stand-ins: the model and the rest are real.

Each example has `board/`, the files that a user copies, and `standin/`, modules that hide
MicroPython's own of the same name and play a recording.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from wingbeat import Program
from wingbeat.files import write_atomic
from wingbeat.targets import Target, open_target

ROOT = Path(__file__).resolve().parents[1]


def asked_for_target(what: str) -> str:
    """The target that `python example.py --on TARGET` names: unix by default."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--on", default="unix", help="target: unix (default), rp2040, ...")
    return str(parser.parse_args().on)


def write_files(
    name: str, *programs: Program, also: Sequence[str] = (), arch: str = "armv6m"
) -> Path:
    """Write what goes on a board into build/examples/NAME: modules, and board/*.

    Parameters
    ----------
    also : sequence of str
        Files of other examples: `EXAMPLE/board/FILE.py`.
    """
    out = ROOT / "build" / "examples" / name
    out.mkdir(parents=True, exist_ok=True)
    for program in programs:
        program.assemble(arch).save(out / f"{program.name}.mpy")
    folder = ROOT / "examples"
    for path in [*(folder / name / "board").glob("*.py"), *(folder / each for each in also)]:
        write_atomic(out / path.name, path.read_bytes())
    return out


def play(
    target: Target,
    name: str,
    *programs: Program,
    files: Mapping[str, bytes],
    also: Sequence[str] = (),
    timeout: float = 300,
) -> list[str]:
    """Run board/main.py of an example on a target, and return the lines that it prints.

    Parameters
    ----------
    files : mapping of str to bytes
        What the stand-ins read.
    also : sequence of str
        Files of other examples: `EXAMPLE/board/FILE.py`, `EXAMPLE/standin/FILE.py`.
    """
    folder = ROOT / "examples" / name
    board = {path.name: path.read_bytes() for path in (folder / "board").glob("*.py")}
    main = board.pop("main.py").decode()
    everything = {
        **board,
        **{path.name: path.read_bytes() for path in (folder / "standin").glob("*.py")},
        **{f"{program.name}.mpy": program.assemble(target.arch).data for program in programs},
        **{Path(each).name: (ROOT / "examples" / each).read_bytes() for each in also},
        **files,
    }
    return target.execute(main, everything, timeout=timeout).stdout.splitlines()


__all__ = ["ROOT", "asked_for_target", "open_target", "play", "write_files"]
