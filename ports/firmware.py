"""Builds MicroPython for every emulated board, and gets their emulators that are not Debian's.

    python ports/firmware.py [NAME ...]

All of it goes into the cache, and what is there already stays.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import qemu.firmware
import rp2040.firmware
import xtensawin.firmware

from wingbeat.errors import WingbeatError
from wingbeat.targets.boards import read_boards


def builds() -> dict[str, Callable[[int], Path]]:
    """Return what builds each target, by name; it takes how many compilers run at once."""
    boards = {name: partial(qemu.firmware.build, board) for name, board in read_boards().items()}
    return {"rp2040": rp2040.firmware.build, **boards, "xtensa": xtensawin.firmware.build}


def main() -> int:
    """Command line."""
    known = builds()
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", nargs="*", help=f"{', '.join(known)}; all of them by default")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="compilers at once")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.name) - set(known))
    if unknown:
        parser.error(f"no such target: {', '.join(unknown)}; known: {', '.join(known)}")
    try:
        for name in arguments.name or known:
            print(known[name](arguments.jobs), flush=True)
    except (WingbeatError, OSError) as error:
        print(f"firmware.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
