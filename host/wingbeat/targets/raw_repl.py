"""mpremote's raw REPL on an emulated machine, and what became of a machine that ended."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from types import TracebackType
from typing import Any, TypeVar

from wingbeat.errors import DeviceError, TargetError
from wingbeat.targets import device_error

_T = TypeVar("_T", bound="RawRepl")
_LAST_WORDS = 200


class RawRepl(ABC):
    """A connection to one machine. In a ``with`` statement.

    The machine is ended when `timeout` seconds have passed, which ends whatever waits for it.

    Parameters
    ----------
    name : str
        The target's, for messages.
    timeout : float
        Seconds for everything.

    Raises
    ------
    TargetError
        The machine has ended, or does not answer.
    """

    def __init__(self, name: str, timeout: float) -> None:
        self.name = name
        self.timeout = timeout
        self._timed_out = threading.Event()
        self._received = bytearray()
        self._transport: Any = None
        self._watchdog = threading.Timer(timeout, self._expire)
        self._watchdog.daemon = True

    @abstractmethod
    def _open(self) -> None:
        """Wait for the machine and connect, by `_connect`; the raw REPL can be entered then."""

    @abstractmethod
    def _end(self) -> None:
        """End the machine at once, from any thread."""

    @abstractmethod
    def _cause(self, error: Exception) -> TargetError:
        """What happened to the machine that the connection was lost to."""

    def __enter__(self: _T) -> _T:
        self._watchdog.start()
        try:
            with self._guard():
                self._open()
                self._transport.enter_raw_repl(soft_reset=False, timeout_overall=None)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def run(self, script: str) -> str:
        """Run a script and return what it printed.

        Raises
        ------
        DeviceError
            It ended with an exception.
        TargetError
            The machine died, or the time is over.
        """
        self._received.clear()
        with self._guard():
            _, report = self._transport.exec_raw(
                script, timeout=None, data_consumer=self._received.extend
            )
        if report:
            text = report.decode(errors="replace")
            raise device_error(text) or DeviceError("Exception", text.strip())
        return self._output().removesuffix("\x04")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._watchdog.cancel()
        if self._transport is not None:
            self._transport.serial.close()

    def _connect(self, address: str) -> None:
        from mpremote.transport_serial import SerialTransport

        self._transport = SerialTransport(address)

    def _expire(self) -> None:
        self._timed_out.set()
        self._end()

    def _output(self) -> str:
        """What the script has printed so far."""
        return self._received.decode(errors="replace").replace("\r\n", "\n")

    def _fault(self, report: str, output: str) -> TargetError:
        said = f"{report}; printed before it: {output[-_LAST_WORDS:]!r}"
        return TargetError(f"{self.name}: {said}")

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Turn a lost connection into the error that tells what happened to the machine."""
        from mpremote.transport import TransportError

        try:
            # mpremote prints what it did not expect.
            with redirect_stdout(StringIO()):
                yield
        except (TransportError, OSError, TargetError) as error:
            if self._timed_out.is_set():
                raise TargetError(
                    f"{self.name}: the script did not end within {self.timeout:g} s;"
                    " switched it off"
                ) from error
            raise self._cause(error) from error
