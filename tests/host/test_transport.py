"""Reaching a board: what is said when it does not work."""

from __future__ import annotations

import os
import pty
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import wingbeat.transport
from wingbeat.errors import DeviceError, TargetError, TransportError, UsageError
from wingbeat.transport import Port, Scripted, answer_of, open_transport


@contextmanager
def listener(answer: bytes | None) -> Iterator[str]:
    """A socket that answers once and closes, or closes at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                if answer is not None:
                    connection.recv(100)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"socket://127.0.0.1:{server.getsockname()[1]}"


def refused(port: str | None, via: str = "mpremote") -> TransportError:
    with pytest.raises(TransportError) as caught:
        open_transport(port, via)
    return caught.value


@pytest.mark.parametrize("via", ["mpremote", "rshell"])
def test_no_such_port(via: str) -> None:
    error = refused("/dev/ttyNONE", via)
    assert error.kind == TransportError.NOT_FOUND
    assert "there is no port /dev/ttyNONE" in str(error)


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert refused(f"socket://127.0.0.1:{port}").kind == TransportError.NOT_FOUND


@pytest.mark.parametrize("answer", [None, b"AT OK\r\n"])
def test_no_micropython(answer: bytes | None) -> None:
    with listener(answer) as port:
        error = refused(port)
    assert error.kind == TransportError.SILENT
    assert "no MicroPython answers" in str(error)


def refused_to_nobody(port: Path) -> tuple[str, str]:
    """Kind and text of the error that a user gets who is not root and in no group."""

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        error = refused(str(port))
        os.write(writing, f"{error.kind}|{error}".encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as answer:
        kind, _, text = answer.read().partition("|")
    assert os.waitpid(child, 0)[1] == 0
    return kind, text


@pytest.mark.skipif(sys.platform != "linux", reason="how Linux names groups")
@pytest.mark.parametrize("mode", [0o060, 0o000])
def test_no_permission(mode: int) -> None:
    """A file instead of a port: opening it is refused by the kernel all the same."""
    with tempfile.NamedTemporaryFile() as file:
        port = Path(file.name)
        if os.geteuid() == 0:
            shutil.chown(port, group="dialout")
        port.chmod(mode)
        kind, text = refused_to_nobody(port)
        group = port.group()
    assert kind == TransportError.PERMISSION
    if mode:
        assert f'run "sudo usermod -a -G {group} $USER", then log out and in again' in text
    else:
        assert f'run "sudo chmod a+rw {port}"' in text


@pytest.mark.skipif(sys.platform != "linux", reason="pseudo-terminals")
def test_busy() -> None:
    import serial

    master, slave = pty.openpty()
    try:
        name = os.ttyname(slave)
        with serial.Serial(name, exclusive=True):
            error = refused(name)
    finally:
        os.close(master)
        os.close(slave)
    assert error.kind == TransportError.BUSY
    assert "in use by another program" in str(error)


def test_which_port(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Port] = []
    monkeypatch.setattr(wingbeat.transport, "list_ports", lambda: found)
    assert "no board found" in str(refused(None))
    found[:] = [Port("/dev/ttyACM0", "MicroPython"), Port("/dev/ttyACM1", "Espressif")]
    with pytest.raises(UsageError, match=r"--port: /dev/ttyACM0 \(MicroPython\), /dev/ttyACM1"):
        open_transport(None)
    with pytest.raises(UsageError, match="no way 'telnet' onto a board"):
        open_transport("/dev/ttyACM0", "telnet")


class Board(Scripted):
    """Answers what the test says."""

    def __init__(self, answer: str | Exception) -> None:
        self.answer = answer
        self.scripts: list[str] = []

    def exec(self, script: str, *, timeout: float = 60.0) -> str:
        self.scripts.append(script)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("message", ["[Errno 2] ENOENT", "2"])
def test_no_such_file(message: str) -> None:
    assert Board(DeviceError("OSError", message)).size("a") is None


def test_other_errors_stay() -> None:
    for error in (DeviceError("OSError", "[Errno 19] ENODEV"), DeviceError("ValueError", "2")):
        with pytest.raises(DeviceError):
            Board(error).size("a")


def test_names_are_quoted() -> None:
    board = Board("")
    board.rename("it's", 'a"b')
    namespace: dict[str, Any] = {}
    renamed: list[tuple[str, str]] = []
    line = board.scripts[0].splitlines()[1].replace("os.rename", "rename")
    namespace["rename"] = lambda old, new: renamed.append((old, new))
    exec(line, namespace)
    assert renamed == [("it's", 'a"b')]


def test_something_else_writes_to_the_port() -> None:
    assert answer_of("boot\n{'a': 1}\n") == {"a": 1}
    for printed in ("", "sensor 12.5 C\n"):
        with pytest.raises(TargetError, match="something else may write to its serial port"):
            answer_of(printed)
