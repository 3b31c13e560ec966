"""What building and running emulated firmware share: its tools, and its folder in the cache."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from wingbeat.errors import BuildError, WingbeatError
from wingbeat.files import cache_folder

PORTS = Path(__file__).resolve().parents[3] / "ports"
"""Folder of the source tree; it is not there in an installed package."""


def debian_packages() -> dict[str, str]:
    """Debian packages by the tool that they bring: ``ports/tools.txt``."""
    lines = (PORTS / "tools.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    return {tool: package for tool, package, _ in rows}


def require_tools(*tools: str, error: type[WingbeatError] = BuildError) -> None:
    """Make sure that tools are there.

    Parameters
    ----------
    *tools : str
        Commands, or files that must be there, of ``ports/tools.txt``.
    error : type
        What to raise.

    Raises
    ------
    WingbeatError
        `error`, with all that are missing and the packages that bring them.
    """
    missing = [tool for tool in tools if shutil.which(tool) is None and not Path(tool).is_file()]
    if missing:
        packages = debian_packages()
        needed = dict.fromkeys(packages[tool] for tool in missing)
        raise error(f"{', '.join(missing)} missing: apt-get install {' '.join(needed)}")


def built_folder(name: str, sources: Iterable[Path], *, more: str = "") -> Path:
    """Return where something built is in the cache, or will be.

    Parameters
    ----------
    name : str
        Start of the folder's name. A hash of all that it is made from follows.
    sources : iterable of Path
        Files of `PORTS`; the pinned MicroPython is always one.
    more : str
        What else it depends on.

    Raises
    ------
    BuildError
        This is not Wingbeat's source tree.
    """
    if not PORTS.is_dir():
        raise BuildError(
            "emulated boards need Wingbeat's source tree: clone it and run `make firmware` there"
        )
    digest = hashlib.sha256(more.encode())
    for path in [PORTS / "micropython.toml", PORTS / "cached_build.py", *sorted(sources)]:
        data = path.read_bytes()
        digest.update(f"\0{path.relative_to(PORTS).as_posix()}\0{len(data)}\0".encode())
        digest.update(data)
    return cache_folder() / f"{name}-{digest.hexdigest()[:16]}"
