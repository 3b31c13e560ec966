"""Ways onto a board: run a script there, move files, start it again.

``mpremote`` is the usual one, ``rshell`` the second. Both are programs of others, used as they
are; nothing here speaks the serial protocol. `Scripted` has what every way does by a script.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, TypeAlias

from wingbeat.errors import DeviceError, TargetError, TransportError, UsageError

__all__ = [
    "WAYS",
    "Port",
    "Progress",
    "Scripted",
    "Transport",
    "answer_of",
    "list_ports",
    "open_transport",
]

WAYS = ("mpremote", "rshell")
"""Names that :func:`open_transport` takes."""

Progress: TypeAlias = Callable[[int], None]
"""Is told the number of bytes that are through."""

_NO_ENTRY = ("2", "[Errno 2] ENOENT", "[Errno 2] No such file or directory")


class Transport(Protocol):
    """A connection to one board. Names of files count from the board's current folder.

    Every method raises `TransportError` when the way is broken and `DeviceError` when the board
    answered with an exception.
    """

    @property
    def port(self) -> str: ...

    def exec(self, script: str, *, timeout: float = 60.0) -> str:
        """Run MicroPython source and return what it printed.

        Parameters
        ----------
        timeout : float
            Seconds that the board may stay silent.
        """
        ...

    def put_file(self, name: str, data: bytes, progress: Progress | None = None) -> None:
        """Write a file. An interruption leaves a part of it."""
        ...

    def get_file(self, name: str) -> bytes:
        """Read a file."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Rename a file, as the board's file system does it."""
        ...

    def size(self, name: str) -> int | None:
        """Bytes of a file; None when there is none of that name."""
        ...

    def free_space(self) -> int:
        """Free bytes of the file system."""
        ...

    def soft_reset(self) -> None:
        """Start a fresh interpreter, which waits; main.py does not run."""
        ...

    def start(self) -> None:
        """Start the board as if it was switched on: boot.py and main.py run."""
        ...

    def close(self) -> None:
        """Let the port go."""
        ...

    def __enter__(self) -> Transport: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Scripted:
    """What any way does by running a script."""

    def exec(self, script: str, *, timeout: float = 60.0) -> str:
        """Run MicroPython source: see :meth:`Transport.exec`."""
        raise NotImplementedError

    def close(self) -> None:
        """Let the port go."""

    def remove(self, name: str) -> None:
        """Remove a file."""
        self.exec(f"import os\nos.remove({name!r})")

    def rename(self, old: str, new: str) -> None:
        """Rename a file, as the board's file system does it."""
        self.exec(f"import os\nos.rename({old!r}, {new!r})")

    def size(self, name: str) -> int | None:
        """Bytes of a file; None when there is none of that name."""
        try:
            return int(self.exec(f"import os\nprint(os.stat({name!r})[6])"))
        except DeviceError as error:
            if error.exception == "OSError" and error.message in _NO_ENTRY:
                return None
            raise

    def free_space(self) -> int:
        """Free bytes of the file system."""
        return int(self.exec("import os\ns = os.statvfs('.')\nprint(s[1] * s[3])"))

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Port:
    """A serial port of this computer that has a USB device behind it."""

    device: str
    description: str


def list_ports() -> list[Port]:
    """Ports on which mpremote would look for a board."""
    from serial.tools.list_ports import comports

    return [
        Port(found.device, " ".join(filter(None, (found.manufacturer, found.product))) or "USB")
        for found in sorted(comports())
        if found.vid is not None
    ]


def open_transport(port: str | None = None, via: str = "mpremote") -> Transport:
    """Connect to the board at `port`, or to the only one that there is.

    Parameters
    ----------
    port : str, optional
        As the operating system names it; with mpremote also ``socket://HOST:PORT``.
    via : {"mpremote", "rshell"}

    Raises
    ------
    UsageError
        There is no way of that name, or several boards and no `port`.
    TransportError
        The board cannot be reached; the message has the next step.
    """
    if via not in WAYS:
        raise UsageError(f"no way {via!r} onto a board: choose one of {', '.join(WAYS)}")
    device = _only_port() if port is None else port
    if via == "rshell":
        from .rshell import RshellTransport

        return RshellTransport(device)
    from .mpremote import MpremoteTransport

    return MpremoteTransport(device)


def _only_port() -> str:
    found = list_ports()
    if not found:
        raise TransportError(
            TransportError.NOT_FOUND,
            "no board found on any USB port: plug it in with a cable that carries data; if it is"
            " new, install MicroPython on it first (micropython.org/download)",
        )
    if len(found) > 1:
        listed = ", ".join(f"{port.device} ({port.description})" for port in found)
        raise UsageError(f"several boards may be connected, say which with --port: {listed}")
    return found[0].device


def answer_of(printed: str) -> Any:
    """The value on the last line that a script printed.

    Raises
    ------
    TargetError
        It is not a Python literal.
    """
    lines = printed.strip().splitlines()
    try:
        return ast.literal_eval(lines[-1])
    except (IndexError, ValueError, SyntaxError) as error:
        raise TargetError(
            f"the board answered {printed[-200:]!r}, which is not what the script prints: something"
            " else may write to its serial port; press its reset button and try again"
        ) from error
