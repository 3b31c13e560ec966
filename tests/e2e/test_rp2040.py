"""A Raspberry Pi Pico's own firmware on an emulated RP2040, with real mpremote."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

from wingbeat.assemble import assemble
from wingbeat.convert import convert
from wingbeat.errors import BuildError, TargetError
from wingbeat.runner import run_module
from wingbeat.targets import open_target
from wingbeat.targets.rp2040 import CLOCK, FLASH_SIZE, ROMFS_SIZE, Console, Pico, new_flash

ROWS = 40
OLD, NEW = "old" * 1500, "NEW" * 1500


@pytest.fixture
def flash(tmp_path: Path) -> Path:
    path = tmp_path / "flash.bin"
    new_flash(path)
    return path


def mpremote(pico: Pico, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mpremote", "connect", pico.url, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_is_the_firmware_of_a_pico() -> None:
    script = (
        "import gc, os, sys\n"
        "gc.collect()\n"
        "space = os.statvfs('/')\n"
        "print(os.uname().machine, sys.implementation.version[:2], sys.implementation._mpy >> 10)\n"
        "print(gc.mem_free() + gc.mem_alloc() > 200_000, space[1] * space[2] > 900_000)"
    )
    printed = open_target("rp2040").execute(script, {}).stdout
    assert printed == "Raspberry Pi Pico with RP2040 (1, 25) 4\nTrue True\n"


def test_forest_is_that_of_the_reference_at_the_same_cost_each_time() -> None:
    x, y = load_digits(return_X_y=True)
    forest = RandomForestClassifier(10, max_depth=8, random_state=1).fit(x, y)
    program = convert(forest, name="digits", dtype="uint8", rows=x)
    rows = x[:ROWS].astype(np.uint8)
    module = assemble(program, "armv6m")
    first, second = (run_module(open_target("rp2040"), module, rows) for _ in range(2))
    assert np.array_equal(first.outputs, program.run(rows))
    assert np.array_equal(second.outputs, first.outputs)
    assert first.unit == "cycles"
    assert first.ticks == second.ticks
    assert first.ticks is not None
    assert 2000 < first.ticks < 6000


def test_more_rows_than_romfs_has_room_for() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(120, 1200)).astype(np.float32)
    assert x.nbytes > ROMFS_SIZE
    forest = RandomForestClassifier(3, random_state=1).fit(x, x[:, 0] > 0)
    program = convert(forest, name="wide", dtype="float32", rows=x)
    run = run_module(open_target("rp2040"), assemble(program, "armv6m"), x)
    assert np.array_equal(run.outputs, program.run(x))


def test_clock_counts_every_cycle() -> None:
    script = CLOCK.script + (
        "@micropython.viper\n"
        "def count_down(n: int):\n"
        "    while n:\n"
        "        n -= 1\n"
        "def cost(n):\n"
        "    start()\n"
        "    count_down(n)\n"
        "    stop()\n"
        "    return ticks()\n"
        "cost(1)\n"
        "print([cost(10 + 37 * i) for i in range(100)], cost(5_000_010))"
    )
    few, many = open_target("rp2040").execute(script, {}).stdout[1:].split("] ")
    costs = [int(cost) for cost in few.split(", ")]
    per_turn = (costs[1] - costs[0]) // 37
    assert 3 <= per_turn <= 12
    assert costs == [costs[0] + 37 * per_turn * i for i in range(100)]
    # SysTick has 24 bits, and wraps on the way.
    assert int(many) == costs[0] + 5_000_000 * per_turn > 1 << 24


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("mov(r0, 101)\n    ldr(r0, [r0, 0])", "unaligned read of 4 bytes at 0x65"),
        ("mov(r0, 101)\n    strh(r0, [r0, 0])", "unaligned write of 2 bytes at 0x65"),
        ("data(2, 0xB100)", "not implemented"),
        ("data(2, 0xDE00)", "bkpt or udf 0"),
        ("mov(r0, 1)\n    mov(r1, 28)\n    lsl(r0, r1)\n    strb(r0, [r0, 0])", "write to flash"),
    ],
)
def test_what_faults_on_silicon_stops_the_run(code: str, what: str) -> None:
    script = f"@micropython.asm_thumb\ndef f():\n    {code}\nprint('before')\nf()"
    with pytest.raises(TargetError, match=rf"{what}.* pc 0x2\w+, lr 0x\w+; .*before"):
        open_target("rp2040").execute(script, {}, timeout=30.0)


def test_files_that_are_too_large() -> None:
    with pytest.raises(TargetError, match="bytes of flash"):
        open_target("rp2040").execute("", {"large.bin": bytes(ROMFS_SIZE)})


def test_mpremote_copies_runs_and_resets(flash: Path, tmp_path: Path) -> None:
    data = bytes(range(256)) * 8
    (tmp_path / "data.bin").write_bytes(data)
    (tmp_path / "main.py").write_text("with open('log', 'a') as log:\n    log.write('main ')\n")
    with Pico(flash) as pico:
        pico.wait_for_console()
        assert mpremote(pico, "exec", "x = 6 * 7; print(x)").split() == ["42"]
        copies = [str(tmp_path / name) for name in ("data.bin", "main.py")]
        mpremote(pico, "resume", "fs", "cp", *copies, ":")
        assert mpremote(pico, "resume", "exec", "print(x)").split() == ["42"]
        mpremote(pico, "soft-reset")
        assert mpremote(pico, "resume", "exec", "print('x' in globals())").split() == ["False"]
        mpremote(pico, "exec", "--no-follow", "import machine; machine.reset()")
        pico.wait_for_reset()
        pico.wait_for_console()
        assert mpremote(pico, "resume", "exec", "print(open('log').read())").split() == ["main"]
    with Pico(flash) as pico, Console(pico) as console:
        assert console.run("print(open('data.bin', 'rb').read())") == f"{data!r}\n"
    assert flash.stat().st_size == FLASH_SIZE


def test_power_cycle_keeps_files(flash: Path) -> None:
    with Pico(flash) as pico, Console(pico) as console:
        console.run(f"with open('a.txt', 'w') as f:\n    f.write({OLD!r})")
        assert pico.status().operations > 0
    with Pico(flash) as pico, Console(pico) as console:
        assert console.run("print(open('a.txt').read())") == OLD + "\n"


def test_power_cut_while_a_file_is_written(flash: Path) -> None:
    write = "with open('a.txt', 'w') as f:\n    f.write({!r})"
    with Pico(flash) as pico, Console(pico) as console:
        console.run(write.format(OLD))
    before = flash.read_bytes()
    with Pico(flash) as pico, Console(pico) as console:
        start = pico.status().operations
        console.run(write.format(NEW))
        operations = pico.status().operations - start
    assert operations > 10
    found = set()
    for after, fraction in [(0, 0.5), (operations // 2, 0.3), (operations - 1, 0.0)]:
        flash.write_bytes(before)
        with Pico(flash) as pico, Console(pico) as console:
            pico.cut_after(after, fraction)
            with pytest.raises(TargetError, match="power was cut"):
                console.run(write.format(NEW))
            pico.wait_for_end()
            assert pico.cut is not None
            assert pico.cut["done"] == int(pico.cut["size"] * fraction)
        with Pico(flash) as pico, Console(pico) as console:
            found.add(console.run("print(open('a.txt').read())").strip())
    assert found <= {OLD, NEW}
    assert OLD in found


def test_power_cut_while_the_board_formats_its_flash(flash: Path) -> None:
    with Pico(flash, cut=(1, 0.5)) as pico:
        pico.wait_for_end()
        assert pico.cut is not None
        assert pico.cut["operation"] == 2
        with pytest.raises(TargetError, match="power was cut"):
            pico.status()
    with Pico(flash) as pico, Console(pico) as console:
        assert console.run("import os; print(os.listdir())") == "[]\n"


def test_without_firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINGBEAT_CACHE", str(tmp_path))
    with pytest.raises(BuildError, match="make firmware"):
        open_target("rp2040")


def test_without_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(BuildError, match=r"node is missing.*make setup"):
        open_target("rp2040")
