"""Deploying onto an emulated Raspberry Pi Pico: real firmware, real mpremote, real flash."""

from __future__ import annotations

import json
import os
import pty
import selectors
import socket
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import serial
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from power_cuts import PicoDeploys, digits, iris, proven, switched_on
from wingbeat import Program
from wingbeat.cli import app
from wingbeat.net.convert import convert_tflite
from wingbeat.targets.rp2040 import FILESYSTEM_SIZE, ROMFS_SIZE, new_flash
from wingbeat.transport import open_transport

X, _ = load_digits(return_X_y=True)
NETS = Path(__file__).resolve().parents[1] / "data" / "nets"
MAIN = """\
import digits
model = digits.Model()
print("main:", model.info["hash"], model.labels[model.predict(bytes({row}))])
"""


@pytest.fixture(scope="module")
def models() -> tuple[Program, Program]:
    return digits(4), digits(6)


def ok(*args: object) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*map(str, args), "--json"])
    assert result.exit_code == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_the_whole_life_of_a_model(tmp_path: Path, models: tuple[Program, Program]) -> None:
    old, new = models
    old_file, new_file, flash = (tmp_path / name for name in ("old.wbp", "new.wbp", "flash.bin"))
    old.save(old_file)
    new.save(new_file)
    new_flash(flash)
    with switched_on(flash) as pico:
        (report,) = ok("doctor", "--port", pico.url)["boards"]
        assert (report["problem"], report["native_code"]) == (None, True)
        assert (report["arch"], report["emulated"], report["rom_size"]) == ("armv6m", True, 524288)

        checked = ok("check", old_file, "--board", "pico")
        done = ok("deploy", old_file, "--port", pico.url, "--no-start")
        assert done["golden"] == {"rows": 16, "real": True, "identical": True}
        assert (done["taken"], done["replaced"], done["hash"]) == ("emulated", False, old.hash)
        # A call in a loop finds names in MicroPython's cache: some 500 cycles less than one alone.
        assert 0.9 < checked["us_per_run"] / (done["us_per_run"] + 4) < 1.1
        assert done["heap_import"] <= checked["heap_import"] <= done["heap_import"] + 700
        assert done["heap_model"] <= checked["heap_model"] <= done["heap_model"] + 32

        row = X[0].astype(np.uint8)
        with open_transport(pico.url) as transport:
            transport.put_file("main.py", MAIN.format(row=row.tolist()).encode())
        (model,) = ok("list", "--port", pico.url)["models"]
        assert (model["path"], model["hash"], model["used"]) == ("digits.mpy", old.hash, True)
        assert ok("deploy", new_file, "--port", pico.url, "--no-start")["replaced"]
        expected = f"main: {new.hash} {new.labels[int(new.predict(row[None])[0])]}"
        with open_transport(pico.url) as transport:
            assert started(transport).count(expected) == 1

        in_rom = ok("deploy", new_file, "--port", pico.url, "--romfs", "--no-start")
        assert in_rom["path"] == "/rom/digits.mpy"
        assert in_rom["heap_saved"] > len(new.encode())
        with open_transport(pico.url) as transport:
            assert expected in started(transport)
        assert ok("remove", "digits", "--port", pico.url)["removed"] == ["/rom/digits.mpy"]
        assert ok("list", "--port", pico.url)["models"] == []
        assert pico.fault is None


def test_a_model_larger_than_the_heap_runs_from_romfs(
    tmp_path: Path, models: tuple[Program, Program]
) -> None:
    """AD, 283 KB, where about 240 KB of heap are free; beside another model."""
    net, forest, flash = tmp_path / "ad.wbp", tmp_path / "digits.wbp", tmp_path / "flash.bin"
    program = convert_tflite(NETS / "ad.tflite")
    program.save(net)
    models[0].save(forest)
    new_flash(flash)
    with switched_on(flash) as pico:
        ok("deploy", forest, "--port", pico.url, "--romfs", "--no-start")
        refused = CliRunner().invoke(app, ["deploy", str(net), "--port", pico.url])
        assert refused.exit_code == 1
        assert "deploy it with --romfs" in " ".join(refused.stderr.split())
        done = ok("deploy", net, "--port", pico.url, "--romfs", "--no-start")
        assert done["path"] == "/rom/ad.mpy"
        assert done["golden"]["identical"]
        assert done["heap_import"] + done["heap_model"] < 10_000 < len(program.encode())
        found = ok("list", "--port", pico.url)["models"]
        assert {model["path"]: model["hash"] for model in found} == {
            "/rom/ad.mpy": program.hash,
            "/rom/digits.mpy": models[0].hash,
        }
        assert pico.fault is None


def started(transport: Any) -> str:
    """What the board prints after a soft reset, up to its prompt."""
    transport.start()
    printed: bytes = transport._board.read_until(1, b">>> ", timeout=10)
    return printed.decode()


@pytest.fixture(scope="module")
def deploys(tmp_path_factory: pytest.TempPathFactory) -> PicoDeploys:
    return PicoDeploys(tmp_path_factory.mktemp("pico"), iris(9), iris(10), iris(2, "other"))


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_power_cuts(deploys: PicoDeploys, share: float) -> None:
    """A handful with those of test_deploy.py; `make soak` has them all over."""
    found = deploys.interrupted((int(share * deploys.writes), 0.5))
    assert found is deploys.old or share > 0.5


@contextmanager
def terminal(url: str) -> Iterator[str]:
    """The board's serial port as a terminal: rshell opens no sockets."""
    host, port = url.removeprefix("socket://").split(":")
    master, slave = pty.openpty()
    tty.setraw(slave)
    connection = socket.create_connection((host, int(port)))
    ends = {connection.fileno(): master, master: connection.fileno()}

    def relay() -> None:
        with selectors.DefaultSelector() as selector:
            for end in ends:
                selector.register(end, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    try:
                        data = os.read(key.fd, 4096)
                        if not data:
                            return
                        os.write(ends[key.fd], data)
                    except OSError:
                        return

    threading.Thread(target=relay, daemon=True).start()
    try:
        yield os.ttyname(slave)
    finally:
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()
        os.close(slave)
        os.close(master)


def test_through_a_terminal(tmp_path: Path, models: tuple[Program, Program]) -> None:
    """With mpremote on a serial port that is in use first, and with rshell."""
    old, _ = models
    flash, file = tmp_path / "flash.bin", tmp_path / "old.wbp"
    new_flash(flash)
    old.save(file)
    with switched_on(flash) as pico:
        with terminal(pico.url) as port:
            with serial.Serial(port, exclusive=True):
                result = CliRunner().invoke(app, ["doctor", "--port", port])
                assert result.exit_code == 1
                assert result.stdout.split() == [port, "board", "not", "reached", "(busy)"]
                assert f"error: {port}: {port} is in use by another program: close" in result.stderr
            result = CliRunner().invoke(app, ["doctor", "--port", port])
            assert result.exit_code == 0, result.stderr
            report = dict(line.split(None, 1) for line in result.stdout.splitlines()[1:])
            free = f"{FILESYSTEM_SIZE - 8192} bytes free of {FILESYSTEM_SIZE}"
            assert report["files"].strip() == free
            assert report["ROMFS"].strip() == f"{ROMFS_SIZE} bytes"
            assert report["native"].strip() == "code  loads and runs"
            done = ok("deploy", file, "--port", port, "--via", "rshell")
            assert done["golden"] == {"rows": 16, "real": True, "identical": True}
        with open_transport(pico.url) as transport:
            proven(transport, old)
            files = eval(transport.exec("import os\nprint(os.listdir())"))
            assert set(files) - {"rom"} == {"digits.mpy"}
