"""Build the plug-in that tells Debian's Xtensa binutils about windowed registers; print its path.

The value is for the variable XTENSA_GNU_CONFIG of the assembler's and linker's processes alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from cached_build import LOG, build_into, run_logged, sources  # noqa: E402

from wingbeat.errors import WingbeatError  # noqa: E402
from wingbeat.targets.firmware import built_folder, require_tools  # noqa: E402

SOURCES = ("dynconfig.c", "dynconfig.py", "qemu/osdep.h", "sources.toml")


def build() -> Path:
    """Return the plug-in in the cache; build it when it is not there.

    Raises
    ------
    BuildError
        QEMU's source cannot be had, or gcc is missing or fails.
    """

    def make(_: Path, result: Path) -> None:
        require_tools("gcc")
        (qemu,) = sources(FOLDER / "sources.toml")
        # -w: the tables were not written for the warnings of this compiler.
        command = ["gcc", "-O1", "-w", "-shared", "-fPIC", "-fvisibility=hidden", "-s"]
        for folder in (FOLDER, qemu, qemu / "target/xtensa", qemu / "include"):
            command += ["-I", str(folder)]
        command += ["dynconfig.c", "-o", str(result / "dynconfig.so")]
        run_logged("dynconfig.so", command, FOLDER, result / LOG)

    folder = built_folder("xtensa-dynconfig", (FOLDER / name for name in SOURCES))
    return build_into(folder, make) / "dynconfig.so"


def main() -> int:
    """Print the plug-in's path."""
    try:
        print(build())
    except (WingbeatError, OSError) as error:
        print(f"dynconfig.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
