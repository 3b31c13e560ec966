"""Build MicroPython as a Linux program for the windowed Xtensa processor, and QEMU's plug-in.

The pinned source stays as it is: `linux/` takes the place of a port of its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from wingbeat.errors import BuildError, WingbeatError
from wingbeat.targets.xtensa import FOLDER, PLUGIN, PROGRAM, firmware_folder

LOG_TAIL_LINES = 25
TOOLS = {
    "make": "make",
    "gcc": "gcc",
    "xtensa-lx106-elf-gcc": "gcc-xtensa-lx106 binutils-xtensa-lx106 picolibc-xtensa-lx106-elf",
}


def _require() -> None:
    for tool, packages in TOOLS.items():
        if shutil.which(tool) is None:
            raise BuildError(f"{tool} is missing: apt install {packages}")


def _output(script: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(script), *arguments], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise BuildError(f"a source is missing: see the message of {script.name} above")
    return done.stdout.strip()


def _lay_out(source: Path, tree: Path) -> Path:
    """Make a tree that shares all of the source but its ports; return the port's folder."""
    for path in source.iterdir():
        if path.name != "ports":
            (tree / path.name).symlink_to(path)
    port = tree / "ports" / "xtensa-linux"
    shutil.copytree(FOLDER / "linux", port)
    return port


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    # The program says when it was built: leave that out, so that equal inputs give equal bytes.
    variables = {**os.environ, "SOURCE_DATE_EPOCH": "0", "LC_ALL": "C", **environment}
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CFLAGS", "LDFLAGS"):
        variables.pop(name, None)
    done = subprocess.run(
        command,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-LOG_TAIL_LINES:])
        raise BuildError(
            f"building MicroPython for xtensa failed; {command[0]} ended with:\n{tail}"
        )


def build(jobs: int) -> Path:
    """Return the folder in the cache with the program and the plug-in; build it when needed.

    Parameters
    ----------
    jobs : int
        How many compilers run at once.

    Raises
    ------
    BuildError
        A tool or a source is missing, or the build failed.
    """
    target = firmware_folder()
    if target.is_dir():
        return target
    _require()
    source = Path(_output(FOLDER.parent / "fetch.py"))
    qemu = Path(_output(FOLDER.parent / "fetch.py", str(FOLDER / "sources.toml")))
    dynconfig = _output(FOLDER / "dynconfig.py")
    with tempfile.TemporaryDirectory(prefix="xtensa-", dir=target.parent) as temporary:
        port = _lay_out(source, Path(temporary))
        make = ["make", f"-j{jobs}", "BUILD=build", f"PYTHON={sys.executable}"]
        _run(make, port, {"XTENSA_GNU_CONFIG": dynconfig})
        result = Path(temporary) / "result"
        result.mkdir()
        (port / "build" / PROGRAM).rename(result / PROGRAM)
        gcc = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-s"]
        gcc += ["-fvisibility=hidden", "-isystem", str(qemu / "include")]
        _run([*gcc, str(FOLDER / "plugin.c"), "-o", str(result / PLUGIN)], FOLDER, {})
        try:
            result.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    return target


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="compilers at once")
    arguments = parser.parse_args()
    try:
        print(build(arguments.jobs))
    except (WingbeatError, OSError) as error:
        print(f"firmware.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
