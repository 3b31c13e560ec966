"""Scripts on MicroPython's unix port and on every emulated board."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from wingbeat.errors import BuildError, DeviceError, TargetError, UsageError
from wingbeat.targets import TARGETS, device_error, open_target
from wingbeat.targets.boards import read_board, read_boards
from wingbeat.targets.firmware import PORTS
from wingbeat.targets.qemu import QemuTarget
from wingbeat.targets.unix import UnixTarget
from wingbeat.targets.xtensa import XtensaTarget

BOARDS = tuple(read_boards())
MEMORY_MESSAGE = "memory allocation failed, allocating 10000000 bytes"

# What the report of each fault says.
UNALIGNED = {
    "m0": "HardFault at pc 0x",
    "m3": r"UsageFault \(unaligned access\) at pc 0x",
    "m4": r"UsageFault \(unaligned access\) at pc 0x",
    "m33": r"UsageFault \(unaligned access\) at pc 0x",
    "rv32": r"unaligned access \(0x\w+\) at pc 0x",
    "rp2040": "fault: unalign",
    "xtensa": "SIGBUS",
}
NOTHING_THERE = {
    "m0": "HardFault at pc 0x",
    "m3": r"BusFault \(nothing at that address, 0xb0000000\) at pc 0x",
    "m4": r"BusFault \(nothing at that address, 0xb0000000\) at pc 0x",
    "m33": r"BusFault \(nothing at that address, 0xb0000000\) at pc 0x",
    "rv32": r"LoadAccess \(0xb0000000\) at pc 0x",
}
READ_ONLY = {
    "m0": "HardFault at pc 0x",
    "m3": r"MemManage \(read-only, 0x21000000\) at pc 0x",
    "m4": r"MemManage \(read-only, 0x21000000\) at pc 0x",
    "m33": r"MemManage \(read-only, 0x80000000\) at pc 0x",
    "rv32": r"StoreAccess \(0x80100000\) at pc 0x",
}
STACK_OVERFLOW = {
    "m3": r"MemManage \(stack overflow",
    "m4": r"MemManage \(stack overflow",
    "m33": r"MemManage \(stack overflow",
    "rv32": r"StoreAccess \(0x807\w+\) at pc 0x",
}

READ = """\
import sys, uctypes
print('before')
unix = sys.platform == 'linux'
here = uctypes.addressof(bytearray(64))
word = uctypes.struct({}, {{'value': uctypes.UINT32 | 0}}, uctypes.NATIVE)
print(word.value)
"""

# Two instructions a turn, and two that push a word.
THUMB = """\
@micropython.asm_thumb
def count_down(r0):
    label(TURN)
    sub(r0, r0, 1)
    bne(TURN)
@micropython.asm_thumb
def overflow():
    label(TURN)
    push({r0})
    b(TURN)
"""
RV32 = """\
@micropython.asm_rv32
def count_down(a0):
    label(turn)
    addi(a0, a0, -1)
    bne(a0, zero, turn)
@micropython.asm_rv32
def overflow():
    label(turn)
    addi(sp, sp, -16)
    c_swsp(a0, 0)
    jal(zero, turn)
"""
ASSEMBLY = {"m3": THUMB, "m4": THUMB, "m33": THUMB, "rv32": RV32}


@pytest.mark.parametrize("name", TARGETS)
class TestEveryTarget:
    def test_returns_what_was_printed(self, name: str) -> None:
        with open_target(name) as target:
            assert target.name == name
            assert target.execute("print('first')\nprint('é', 2)", {}).stdout == "first\né 2\n"

    def test_silent_script(self, name: str) -> None:
        assert open_target(name).execute("x = 1", {}).stdout == ""

    def test_files_can_be_imported_and_opened(self, name: str) -> None:
        script = (
            "import os, helper\n"
            "with open('numbers.bin', 'rb') as f:\n"
            "    print(helper.total(f.read()), sorted(os.listdir()))"
        )
        files = {
            "helper.py": b"def total(data):\n    return sum(data)\n",
            "numbers.bin": bytes([1, 2, 250]),
            "empty": b"",
        }
        expected = "253 ['empty', 'helper.py', 'numbers.bin']\n"
        assert open_target(name).execute(script, files).stdout == expected

    def test_runs_do_not_see_each_other(self, name: str) -> None:
        target = open_target(name)
        target.execute("left_over = 1", {"left_over.py": b""})
        with pytest.raises(DeviceError) as caught:
            target.execute("import left_over", {})
        assert caught.value.exception == "ImportError"
        with pytest.raises(DeviceError) as caught:
            target.execute("left_over", {})
        assert caught.value.exception == "NameError"

    @pytest.mark.parametrize(
        ("script", "exception", "message"),
        [
            ("print('before')\nraise ValueError('too long: 3')", "ValueError", "too long: 3"),
            ("raise ValueError('two\\nlines')", "ValueError", "two\nlines"),
            ("raise KeyError", "KeyError", ""),
            ("def f(:", "SyntaxError", "invalid syntax"),
            ("class Odd(Exception):\n  pass\nraise Odd(7)", "Odd", "7"),
            ("bytearray(10_000_000)", "MemoryError", MEMORY_MESSAGE),
        ],
    )
    def test_exception(self, name: str, script: str, exception: str, message: str) -> None:
        with pytest.raises(DeviceError) as caught:
            open_target(name).execute(script, {})
        assert (caught.value.exception, caught.value.message) == (exception, message)

    @pytest.mark.parametrize("script", ["while True:\n  pass", "while True:\n  print('on')"])
    def test_endless_loop_ends_at_the_timeout(self, name: str, script: str) -> None:
        start = time.monotonic()
        with pytest.raises(TargetError, match="did not end within 2 s"):
            open_target(name).execute(script, {}, timeout=2.0)
        assert time.monotonic() - start < 15.0

    def test_fault_is_reported_at_once(self, name: str) -> None:
        start = time.monotonic()
        with pytest.raises(TargetError, match=UNALIGNED.get(name, "SIGSEGV")) as caught:
            open_target(name).execute(READ.format("8 if unix else here + 1"), {}, timeout=60.0)
        assert not isinstance(caught.value, DeviceError)
        assert "before" in str(caught.value)
        assert time.monotonic() - start < 15.0

    @pytest.mark.parametrize("file_name", ["", "..", "folder/file.py", "naïve.py"])
    def test_file_name_that_is_not_plain(self, name: str, file_name: str) -> None:
        with pytest.raises(UsageError, match="plain ASCII name"):
            open_target(name).execute("", {file_name: b""})


def test_unknown_target() -> None:
    with pytest.raises(UsageError, match=", ".join(TARGETS)):
        open_target("m00")


def test_unix_heap_size() -> None:
    script = "import gc\nprint(gc.mem_free() + gc.mem_alloc())"
    heap = int(UnixTarget(heap_size=300_000).execute(script, {}).stdout)
    assert 280_000 < heap <= 300_000


def test_unix_exit_status() -> None:
    with pytest.raises(DeviceError) as caught:
        UnixTarget().execute("import sys\nsys.exit(3)", {})
    assert (caught.value.exception, caught.value.message) == ("SystemExit", "3")


@pytest.mark.parametrize("name", BOARDS)
def test_board_has_its_heap(name: str) -> None:
    script = "import gc\nprint(gc.mem_free() + gc.mem_alloc())"
    heap = int(open_target(name).execute(script, {}).stdout)
    assert 0.95 * read_board(name).heap_size < heap <= read_board(name).heap_size


def test_boards_load_their_own_architecture() -> None:
    archs = {name: board.arch for name, board in read_boards().items()}
    known = {path.parent.name for path in PORTS.glob("*/port.toml")}
    assert known == {*archs.values(), UnixTarget.arch, XtensaTarget.arch}


@pytest.mark.parametrize("name", BOARDS)
def test_board_reads_a_file_larger_than_its_heap(name: str) -> None:
    data = bytes(range(256)) * (read_board(name).heap_size // 200)
    script = (
        "import hashlib\n"
        "digest = hashlib.sha256()\n"
        "buffer = bytearray(4096)\n"
        "with open('large.bin', 'rb') as f:\n"
        "    while True:\n"
        "        n = f.readinto(buffer)\n"
        "        if not n:\n"
        "            break\n"
        "        digest.update(memoryview(buffer)[:n])\n"
        "print(digest.digest().hex())"
    )
    printed = open_target(name).execute(script, {"large.bin": data}).stdout
    assert printed.strip() == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("name", BOARDS)
def test_board_aligns_every_file(name: str) -> None:
    files = {f"{'n' * length}": bytes(length * 37) for length in range(1, 24)}
    files["large"] = bytes(20_000)
    script = (
        "import os, uctypes\n"
        "for name in os.listdir():\n"
        "    with open(name, 'rb') as f:\n"
        "        print(uctypes.addressof(memoryview(f)) % 16)"
    )
    assert open_target(name).execute(script, files).stdout == "0\n" * len(files)


@pytest.mark.parametrize("name", BOARDS)
def test_board_reads_nothing_where_nothing_is(name: str) -> None:
    with pytest.raises(TargetError, match=NOTHING_THERE[name]):
        open_target(name).execute(READ.format(0xB0000000), {})


@pytest.mark.parametrize("name", BOARDS)
def test_board_does_not_write_to_flash(name: str) -> None:
    script = f"import uctypes\nuctypes.bytearray_at({read_board(name).rom_address}, 1)[0] = 0"
    with pytest.raises(TargetError, match=READ_ONLY[name]):
        open_target(name).execute(script, {})


def test_m0_does_not_write_to_nothing() -> None:
    with pytest.raises(TargetError, match="HardFault"):
        open_target("m0").execute("import uctypes\nuctypes.bytearray_at(0x60000000, 1)[0] = 0", {})


@pytest.mark.parametrize("name", STACK_OVERFLOW)
def test_stack_overflow_in_native_code(name: str) -> None:
    with pytest.raises(TargetError, match=STACK_OVERFLOW[name]):
        open_target(name).execute(ASSEMBLY[name] + "overflow()", {})


@pytest.mark.parametrize("name", BOARDS)
def test_board_refuses_files_larger_than_its_flash(name: str) -> None:
    size = read_board(name).rom_size
    with pytest.raises(TargetError, match="bytes of flash"):
        open_target(name).execute("", {"large.bin": bytes(size)})


@pytest.mark.parametrize("name", BOARDS)
def test_board_counts_instructions(name: str) -> None:
    script = (
        "import time\n"
        "@micropython.viper\n"
        "def count_down(n: int):\n"
        "    while n:\n"
        "        n -= 1\n"
        "def cost(n):\n"
        "    start = time.ticks_cpu()\n"
        "    count_down(n)\n"
        "    return time.ticks_diff(time.ticks_cpu(), start)\n"
        "cost(1)\n"
        "print([cost(10 + 37 * i) for i in range(300)], cost(5_000_010))"
    )
    target = open_target(name)
    printed = target.execute(script, {}).stdout
    assert target.execute(script, {}).stdout == printed
    costs, long = printed[1:].split("] ")
    counts = [int(cost) for cost in costs.split(", ")]
    per_turn = (counts[1] - counts[0]) // 37
    assert 3 <= per_turn <= 12
    assert counts == [counts[0] + 37 * per_turn * i for i in range(300)]
    assert int(long) == counts[0] + 5_000_000 * per_turn


@pytest.mark.parametrize("name", ASSEMBLY)
def test_board_counts_known_instructions(name: str) -> None:
    script = (
        "import time\n"
        "def cost(n):\n"
        "    start = time.ticks_cpu()\n"
        "    count_down(n)\n"
        "    return time.ticks_diff(time.ticks_cpu(), start)\n"
        "cost(1)\n"
        "print(cost(1), cost(2), cost(100), cost(3_000_000))"
    )
    printed = open_target(name).execute(ASSEMBLY[name] + script, {}).stdout
    first, *others = map(int, printed.split())
    assert [cost - first for cost in others] == [2, 198, 5_999_998]


def test_m0_without_firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINGBEAT_CACHE", str(tmp_path))
    with pytest.raises(BuildError, match="make firmware"):
        QemuTarget("m0")


@pytest.mark.parametrize("name", BOARDS)
def test_board_without_qemu(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetError, match="apt-get install qemu-system-"):
        QemuTarget(name)


def test_report_without_an_exception() -> None:
    assert device_error("a warning, not an exception\n") is None
    assert device_error("") is None
