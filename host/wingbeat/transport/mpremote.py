"""The way onto a board with mpremote's own classes."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Any

from wingbeat.errors import DeviceError, TransportError
from wingbeat.targets import device_error

from . import Progress, Scripted, list_ports

_SILENCE = 10.0
_CHUNK = 1024


class MpremoteTransport(Scripted):
    """A board behind mpremote's raw REPL.

    Parameters
    ----------
    port : str
        A serial port, or ``socket://HOST:PORT``.

    Raises
    ------
    TransportError
        The port cannot be opened, or no MicroPython answers.
    """

    def __init__(self, port: str) -> None:
        from mpremote.transport import TransportError as Refused
        from mpremote.transport_serial import SerialTransport

        self.port = port
        self._lost = False
        try:
            with redirect_stdout(StringIO()):
                self._board: Any = SerialTransport(port)
        except (Refused, OSError, ValueError) as error:
            raise diagnosed(port) from error
        self._board.serial.timeout = _SILENCE
        try:
            with self._guard():
                self._board.enter_raw_repl(soft_reset=True)
        except TransportError as error:
            self.close()
            raise TransportError(
                TransportError.SILENT,
                f"no MicroPython answers on {port}: close other programs that use it, press the"
                " board's reset button and try again; if it still does not, install MicroPython on"
                " it (micropython.org/download)",
            ) from error

    def exec(self, script: str, *, timeout: float = 60.0) -> str:
        """Run MicroPython source: see :meth:`wingbeat.transport.Transport.exec`."""
        with self._guard():
            printed, report = self._board.exec_raw(script, timeout=timeout)
        if report:
            raise _raised(report)
        return str(printed.decode(errors="replace").replace("\r\n", "\n").replace("\x04", ""))

    def put_file(self, name: str, data: bytes, progress: Progress | None = None) -> None:
        """Write a file."""

        def through(done: int, _total: int) -> None:
            if progress is not None:
                progress(done)

        with self._guard():
            self._board.fs_writefile(name, data, chunk_size=_CHUNK, progress_callback=through)

    def get_file(self, name: str) -> bytes:
        """Read a file."""
        with self._guard():
            return bytes(self._board.fs_readfile(name, chunk_size=_CHUNK))

    def remove(self, name: str) -> None:
        """Remove a file."""
        with self._guard():
            self._board.fs_rmfile(name)

    def soft_reset(self) -> None:
        """Start a fresh interpreter, which waits."""
        with self._guard():
            self._board.enter_raw_repl(soft_reset=True)

    def start(self) -> None:
        """Start the board as if it was switched on."""
        with self._guard():
            self._board.exit_raw_repl()
            self._board.read_until(1, b">>> ", timeout=_SILENCE)
            self._board.serial.write(b"\x04")
            self._board.read_until(1, b"soft reboot", timeout=_SILENCE)

    def close(self) -> None:
        """Let the port go."""
        with suppress(OSError):
            if self._board.in_raw_repl and not self._lost:
                self._board.exit_raw_repl()
        with suppress(OSError):
            self._board.close()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Turn what mpremote raises into errors that say which side it was."""
        from mpremote.transport import TransportError as Refused
        from mpremote.transport import TransportExecError

        try:
            with redirect_stdout(StringIO()):
                yield
        except TransportExecError as error:
            raise _raised(error.error_output) from error
        except (Refused, OSError, struct.error) as error:
            # mpremote raises an OSError in place of the one that the board raised.
            if isinstance(error, OSError) and isinstance(error.__context__, TransportExecError):
                raise _raised(error.__context__.error_output) from error
            self._lost = True
            raise TransportError(
                TransportError.VANISHED,
                f"the board on {self.port} no longer answers ({error}): check the cable and its"
                " power, then run the command again",
            ) from error


def _raised(report: bytes | str) -> DeviceError:
    text = report.decode(errors="replace") if isinstance(report, bytes) else report
    return device_error(text) or DeviceError("Exception", text.strip())


def diagnosed(port: str) -> TransportError:
    """Say why a port cannot be opened, which mpremote keeps to itself."""
    if "://" in port:
        return TransportError(TransportError.NOT_FOUND, f"nothing listens at {port}")
    there = (
        port in [found.device for found in list_ports()] if os.name == "nt" else Path(port).exists()
    )
    if not there:
        listed = ", ".join(found.device for found in list_ports()) or "none"
        return TransportError(
            TransportError.NOT_FOUND, f"there is no port {port}: ports with USB devices: {listed}"
        )
    if os.name != "nt" and not os.access(port, os.R_OK | os.W_OK):
        return TransportError(
            TransportError.PERMISSION, f"no permission to use {port}: {_way_to_access(port)}"
        )
    return TransportError(
        TransportError.BUSY,
        f"{port} is in use by another program: close Thonny, mpremote, the serial monitor or"
        " whatever else is connected to the board",
    )


def _way_to_access(port: str) -> str:
    """What to run: ports belong to a group, dialout on Debian and uucp on Arch."""
    if sys.platform == "linux":
        with suppress(KeyError, OSError):
            path = Path(port)
            if path.stat().st_mode & 0o060 == 0o060 and path.group() != "root":
                return f'run "sudo usermod -a -G {path.group()} $USER", then log out and in again'
    return f'run "sudo chmod a+rw {port}", again each time the board is plugged in'
