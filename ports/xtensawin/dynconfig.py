"""Build the plug-in that tells Debian's Xtensa binutils about windowed registers; print its path.

The value is for the variable XTENSA_GNU_CONFIG of the assembler's and linker's processes alone.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from fetch import FetchError, cache_folder, fetch, read_pins  # noqa: E402

SOURCES = ("dynconfig.c", "dynconfig.py", "qemu/osdep.h", "sources.toml")


def plugin_path() -> Path:
    """Return where the plug-in is in the cache, or will be: the name has a hash of its sources."""
    digest = hashlib.sha256()
    for name in SOURCES:
        digest.update((FOLDER / name).read_bytes())
    return cache_folder() / f"xtensa-dynconfig-{digest.hexdigest()[:16]}.so"


def build() -> Path:
    """Return the plug-in; build it when it is not there.

    Raises
    ------
    FetchError
        QEMU's source cannot be had, or gcc is missing or fails.
    """
    plugin = plugin_path()
    if plugin.is_file():
        return plugin
    (qemu,) = (fetch(pin) for pin in read_pins(FOLDER / "sources.toml"))
    with tempfile.TemporaryDirectory(prefix="dynconfig-", dir=cache_folder()) as temporary:
        made = Path(temporary) / "dynconfig.so"
        # -w: the tables were not written for the warnings of this compiler.
        command = ["gcc", "-O1", "-w", "-shared", "-fPIC", "-fvisibility=hidden", "-s"]
        for folder in (FOLDER, qemu, qemu / "target/xtensa", qemu / "include"):
            command += ["-I", str(folder)]
        command += [str(FOLDER / "dynconfig.c"), "-o", str(made)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise FetchError("gcc is missing: apt install gcc") from error
        if done.returncode != 0:
            raise FetchError(f"{' '.join(command)}\n{done.stderr}")
        made.rename(plugin)
    return plugin


def main() -> int:
    """Print the plug-in's path."""
    try:
        print(build())
    except (FetchError, OSError) as error:
        print(f"dynconfig.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
