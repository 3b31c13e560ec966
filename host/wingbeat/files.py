"""Writing files so that an interruption never leaves half of one, and where caches lie."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """Where emulators and firmware are kept: ``$WINGBEAT_CACHE``, or ``~/.cache/wingbeat``."""
    chosen = os.environ.get("WINGBEAT_CACHE")
    return Path(chosen).resolve() if chosen else Path.home() / ".cache" / "wingbeat"


def write_atomic(path: Path | str, data: bytes) -> None:
    """Write `data` to `path` under a temporary name in the same folder, then rename it.

    The file that was there before stays whole until the new one is complete.

    Raises
    ------
    OSError
        The folder does not exist or cannot be written.
    """
    path = Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
