"""Machines that run MicroPython scripts: by name, all used in the same way.

``unix`` is MicroPython on this computer. ``rp2040`` is a Raspberry Pi Pico's own firmware on an
emulated RP2040, and ``xtensa`` MicroPython on an emulated processor of an ESP32. The others are
boards that QEMU emulates, one for each row of ``ports/qemu/boards.toml``. All emulated ones need
Wingbeat's source tree.

>>> with open_target("unix") as target:
...     print(target.execute("print(open('a.txt').read())", {"a.txt": b"hello"}).stdout)
hello
<BLANKLINE>
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, TypeVar

from wingbeat.errors import DeviceError, UsageError
from wingbeat.targets.boards import read_boards

__all__ = [
    "TARGETS",
    "Clock",
    "Execution",
    "Fresh",
    "Target",
    "check_names",
    "device_error",
    "open_target",
]

_T = TypeVar("_T")
_TRACEBACK = "Traceback (most recent call last):"
_EXCEPTION = re.compile(r"(?P<name>[A-Za-z_]\w*)(?:: (?P<message>.*)|:?)", re.DOTALL)


@dataclass(frozen=True)
class Clock:
    """How a target measures what code costs.

    Parameters
    ----------
    unit : str
        ``cycles`` or ``instructions``: what it counts, the same number in every run.
    script : str
        MicroPython source of three functions. `start` and `stop` allocate nothing, and no heap is
        needed between them. `stop` must follow, come what may. `ticks` returns what passed between
        the last two, their own cost included.
    """

    unit: str
    script: str


@dataclass(frozen=True)
class Execution:
    """What a script that ended well did.

    Parameters
    ----------
    stdout : str
        All that it printed, with ``\\n`` as the line end.
    """

    stdout: str


class Target(Protocol):
    """A machine that runs MicroPython scripts.

    Attributes
    ----------
    name : str
        The name that :func:`open_target` takes.
    arch : str
        Native code that it loads, as `mpy_ld.py` names it: ``x64``, ``armv6m``.
    clock : Clock or None
        None where time says nothing.
    room : int or None
        Bytes of files that it takes, with their names; None where there is no limit.
    """

    @property
    def name(self) -> str: ...

    @property
    def arch(self) -> str: ...

    @property
    def clock(self) -> Clock | None: ...

    @property
    def room(self) -> int | None: ...

    def execute(
        self, script: str, files: Mapping[str, bytes], *, timeout: float = 120.0
    ) -> Execution:
        """Run a script on a machine that was just started, and wait for its end.

        Parameters
        ----------
        script : str
            MicroPython source.
        files : mapping of str to bytes
            Files that the script can import or open, by plain name.
        timeout : float
            Seconds for everything, the start of the machine included.

        Raises
        ------
        DeviceError
            The script ended with an exception.
        TargetError
            The machine could not be started, died, or did not end in time.
        UsageError
            A file name is not a plain name.
        """
        ...

    def __enter__(self) -> Target: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Fresh:
    """Enter and exit of targets that start a machine for each script and end it: nothing to do."""

    def __enter__(self: _T) -> _T:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass


def _unix(_: str) -> Target:
    from wingbeat.targets.unix import UnixTarget

    return UnixTarget()


def _rp2040(name: str) -> Target:
    from wingbeat.targets.rp2040 import Rp2040Target

    return Rp2040Target()


def _qemu(name: str) -> Target:
    from wingbeat.targets.qemu import QemuTarget

    return QemuTarget(name)


def _xtensa(_: str) -> Target:
    from wingbeat.targets.xtensa import XtensaTarget

    return XtensaTarget()


_EMULATED = read_boards()
_OPENERS: dict[str, Callable[[str], Target]] = {"unix": _unix}
if _EMULATED:
    _OPENERS |= {"rp2040": _rp2040, **dict.fromkeys(_EMULATED, _qemu), "xtensa": _xtensa}

TARGETS = tuple(_OPENERS)
"""Names that :func:`open_target` takes. Without the source tree: ``unix`` alone."""


def open_target(name: str) -> Target:
    """Return the target of that name; use it in a ``with`` statement.

    Raises
    ------
    UsageError
        There is no target of that name.
    BuildError, TargetError
        What it needs is not installed or not built.
    """
    if name not in _OPENERS:
        hint = "" if _EMULATED else "; emulated boards need Wingbeat's source tree"
        raise UsageError(f"there is no target {name!r}: choose one of {', '.join(TARGETS)}{hint}")
    return _OPENERS[name](name)


def check_names(files: Mapping[str, bytes]) -> None:
    """Refuse file names that would not mean the same on every target.

    Raises
    ------
    UsageError
        A name is empty, not ASCII, or has a folder in it.
    """
    for name in files:
        if not name.isascii() or name in ("", ".", "..") or "/" in name or "\0" in name:
            raise UsageError(f"file name {name!r}: expected a plain ASCII name without folders")


def device_error(report: str) -> DeviceError | None:
    """Find the exception in what MicroPython printed about it.

    Parameters
    ----------
    report : str
        Error output. The last traceback in it counts; without one, its last line, since MicroPython
        prints no traceback when it has no memory for it.

    Returns
    -------
    DeviceError or None
        None when nothing in it looks like an exception.
    """
    text = report.replace("\r\n", "\n").rstrip()
    start = text.rfind(_TRACEBACK)
    lines = text[start:].splitlines()[1:] if start >= 0 else text.splitlines()[-1:]
    while lines and lines[0].startswith("  File "):
        del lines[0]
    match = _EXCEPTION.fullmatch("\n".join(lines))
    return DeviceError(match["name"], match["message"] or "") if match else None
