"""The way onto a board with the `rshell` command: one run of it for each step.

rshell has no way to run a script and know its end, so a script goes there as a file, and prints
marks around what it has to say. rshell stops to listen after one second of silence; scripts of
Wingbeat print at least that often, except on very slow boards.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from wingbeat.errors import DeviceError, TransportError
from wingbeat.targets import device_error

from . import Progress, Scripted
from .mpremote import diagnosed

_SCRIPT = "wingbeat-script.py"
_START, _RAISED, _END = "<<wingbeat:", ":raised:", ":wingbeat>>"
_WRAPPER = """\
print({start!r}, end="")
try:
    with open({script!r}) as f:
        exec(f.read(), {{}})
except BaseException as e:
    import sys
    print({raised!r}, end="")
    sys.print_exception(e)
print({end!r})
"""
_RUNNER = "wingbeat-run.py"
_LIMIT = 300.0
_TRIES = 3


class RshellTransport(Scripted):
    """A board behind rshell.

    Parameters
    ----------
    port : str
        A serial port.

    Raises
    ------
    TransportError
        rshell is not installed, the port cannot be opened, or no MicroPython answers.
    """

    def __init__(self, port: str) -> None:
        self.port = port
        beside = Path(sys.executable).parent
        command = shutil.which("rshell", path=str(beside)) or shutil.which("rshell")
        if command is None:
            raise TransportError(TransportError.NOT_FOUND, "no rshell command: pip install rshell")
        problem = diagnosed(port)
        if problem.kind != TransportError.BUSY:
            raise problem
        self._command = [command, "--quiet", "--nocolor", "-p", port]
        printed = self._run("repl ~ import os ~ print('at=' + os.getcwd()) ~")
        found = [line for line in printed.splitlines() if line.startswith("at=")]
        if not found:
            raise TransportError(
                TransportError.SILENT,
                f"no MicroPython answers rshell on {port}: close other programs that use the port,"
                f" press the board's reset button, and try again ({printed.strip()[-100:]!r})",
            )
        self._folder = "/pyboard" + found[0][3:].rstrip("/") + "/"
        self._tidy = True

    def exec(self, script: str, *, timeout: float = 60.0) -> str:
        """Run MicroPython source: see :meth:`wingbeat.transport.Transport.exec`."""
        if self._tidy:
            wrapper = _WRAPPER.format(start=_START, script=_SCRIPT, raised=_RAISED, end=_END)
            self.put_file(_RUNNER, wrapper.encode())
            self._tidy = False
        self.put_file(_SCRIPT, script.encode())
        printed = self._run(f"repl ~ exec(open('{_RUNNER}').read()) ~")
        start, end = printed.find(_START), printed.find(_END)
        if start < 0 or end < 0:
            raise TransportError(
                TransportError.VANISHED,
                f"rshell lost the board on {self.port}, or did not wait for it: use mpremote"
                f" (--via mpremote), or try again ({printed.strip()[-100:]!r})",
            )
        said = printed[start + len(_START) : end]
        said, raised, report = said.partition(_RAISED)
        if raised:
            raise device_error(report) or DeviceError("Exception", report.strip())
        return said

    def put_file(self, name: str, data: bytes, progress: Progress | None = None) -> None:
        """Write a file."""
        with tempfile.TemporaryDirectory(prefix="wingbeat-") as folder:
            local = Path(folder) / Path(name).name
            local.write_bytes(data)
            self._run("cp", str(local), self._folder + name)
        if progress is not None:
            progress(len(data))

    def get_file(self, name: str) -> bytes:
        """Read a file."""
        remote = f"/pyboard{name}" if name.startswith("/") else self._folder + name
        with tempfile.TemporaryDirectory(prefix="wingbeat-") as folder:
            local = Path(folder) / "file"
            self._run("cp", remote, str(local))
            try:
                return local.read_bytes()
            except OSError:
                raise DeviceError("OSError", f"rshell cannot read {name}") from None

    def remove(self, name: str) -> None:
        """Remove a file."""
        self._run("rm", self._folder + name)

    def soft_reset(self) -> None:
        """Start a fresh interpreter. main.py runs until the next step interrupts it."""
        self._run("repl ~ import machine ~ machine.soft_reset() ~")

    def start(self) -> None:
        """Start the board as if it was switched on."""
        self._remove_scripts()
        self.soft_reset()

    def close(self) -> None:
        """Remove the scripts from the board."""
        if not self._tidy:
            with suppress(TransportError):
                self._remove_scripts()

    def _remove_scripts(self) -> None:
        for name in (_SCRIPT, _RUNNER):
            self._run("rm", self._folder + name)
        self._tidy = True

    def _run(self, *arguments: str) -> str:
        """Run rshell. It gives the board half a second to answer, so it is asked again."""
        for _ in range(_TRIES):
            code, printed = self._tried(*arguments)
            if code == 0:
                return printed
        raise TransportError(
            TransportError.VANISHED,
            f"rshell cannot reach the board on {self.port}: {printed.strip()[-200:]}",
        )

    def _tried(self, *arguments: str) -> tuple[int, str]:
        try:
            done = subprocess.run(
                [*self._command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TransportError(
                TransportError.VANISHED,
                f"rshell did not end within {_LIMIT:g} s: the board on {self.port} no longer"
                " answers; check the cable, then run the command again",
            ) from None
        return done.returncode, done.stdout.decode(errors="replace").replace("\r\n", "\n")
