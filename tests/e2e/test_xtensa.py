"""Models on the emulated processor of an ESP32, and whether that machine can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes, load_digits
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.model_selection import train_test_split

from programs import small_model
from wingbeat.convert import convert
from wingbeat.errors import BuildError, TargetError
from wingbeat.mpy import Mpy
from wingbeat.program import Program
from wingbeat.reference import WindowStats
from wingbeat.reference.window_stats import STATISTICS
from wingbeat.runner import run_module
from wingbeat.targets import open_target
from wingbeat.targets.xtensa import HEAP_SIZE, XtensaTarget


def execute(script: str, files: dict[str, bytes] | None = None) -> str:
    return XtensaTarget().execute(script, files or {}).stdout


# ---- Models


def digits() -> tuple[Program, NDArray[Any]]:
    x, y = load_digits(return_X_y=True)
    train_x, test_x, train_y, _ = train_test_split(x, y, test_size=0.3, random_state=1, stratify=y)
    model = RandomForestClassifier(10, max_depth=8, random_state=1).fit(train_x, train_y)
    return convert(model, name="digits", dtype="uint8", rows=x), test_x.astype(np.uint8)


def boosting() -> tuple[Program, NDArray[Any]]:
    x, y = load_digits(return_X_y=True)
    x = x.astype(np.float32) - 7.5
    model = HistGradientBoostingClassifier(max_iter=4, random_state=1).fit(x[:900], y[:900])
    return convert(model, name="boosting", dtype="float32", rows=x), x[900:1100]


def regression() -> tuple[Program, NDArray[Any]]:
    x, y = load_diabetes(return_X_y=True)
    x = x.astype(np.float32)
    model = RandomForestRegressor(10, max_depth=6, random_state=1).fit(x[:300], y[:300])
    return convert(model, name="regression", dtype="float32", rows=x), x[300:]


def windows() -> tuple[Program, NDArray[Any]]:
    rng = np.random.default_rng(3)
    y = np.arange(240) % 3
    scale = np.asarray([300, 3000, 12000])[y][:, None, None]
    x = np.clip(rng.normal(0, scale, (240, 50, 3)), -32768, 32767).astype(np.int16)
    stats = WindowStats(50, 3, tuple(STATISTICS))
    features = stats.run(x)
    model = RandomForestClassifier(10, max_depth=6, random_state=1).fit(features[:140], y[:140])
    program = convert(model, name="windows", features=stats, input_shape=(50, 3))
    return program, x[140:]


@pytest.mark.parametrize("make", [digits, boosting, regression, windows])
def test_outputs_are_the_reference(make: Callable[[], tuple[Program, NDArray[Any]]]) -> None:
    program, x = make()
    with open_target("xtensa") as target:
        module = program.assemble(target.arch)
        ran = run_module(target, module, x)
        predicted = run_module(target, module, x, predict=True)
        again = run_module(target, module, x)
    assert np.array_equal(ran.outputs, program.run(x))
    assert np.array_equal(predicted.outputs, program.predict(x))
    assert ran.ticks is not None
    assert ran.ticks > 100
    assert (again.ticks, again.heap_import) == (ran.ticks, ran.heap_import)


# ---- Faults


def test_unaligned_access() -> None:
    script = """
import micropython
@micropython.viper
def word(buffer: ptr8) -> int:
    return ptr32(int(buffer) + 2)[0]
print("before")
word(bytes(16))
"""
    with pytest.raises(TargetError, match=r"SIGBUS.*before"):
        execute(script)


@pytest.mark.parametrize(("pointer", "size"), [("ptr8", 1), ("ptr16", 2)])
def test_narrow_access_to_instruction_memory(pointer: str, size: int) -> None:
    script = f"""
import micropython
@micropython.viper
def words() -> int:
    return ptr32(0x20000000)[1]
@micropython.viper
def less(at: int) -> int:
    return {pointer}(at)[2]
words()
less(0x20000000)
"""
    match = f"SIGBUS.*{size}-byte access to instruction memory, offset {2 * size:#x}"
    with pytest.raises(TargetError, match=match):
        execute(script)


def test_unknown_instruction() -> None:
    mpy = Mpy.decode(small_model().assemble("xtensawin").data)
    data = replace(mpy, text=bytes(len(mpy.text))).encode()
    with pytest.raises(TargetError, match="SIGILL"):
        execute("import small", {"small.mpy": data})


# ---- The machine


def test_float_arithmetic() -> None:
    """The port has its own routines: every result has NumPy's bits."""
    rng = np.random.default_rng(5)
    special = [0.0, -0.0, 1.0, -1.5, 1e-45, -1e-40, 1.1754944e-38, 3.4028235e38, np.inf, -np.inf]
    wild = rng.integers(0, 1 << 32, 600, dtype=np.uint64).astype(np.uint32).view(np.float32)
    near = rng.normal(size=600).astype(np.float32)
    edges = np.asarray(special, np.float32)
    a = np.concatenate([np.repeat(edges, 10), wild, near])
    b = np.concatenate([np.tile(edges, 10), wild[::-1], near[::-1]])
    script = """
import array, binascii
def load(name):
    with open(name, "rb") as file:
        return array.array("f", file.read())
a, b = load("a"), load("b")
out = array.array("f", bytes(4 * len(a)))
def show(operation):
    for i in range(len(a)):
        out[i] = operation(a[i], b[i])
    print(binascii.hexlify(out).decode())
show(lambda x, y: x + y)
show(lambda x, y: x - y)
show(lambda x, y: x * y)
show(lambda x, y: x / y if y else 0)
show(lambda x, y: (x < y) + 2 * (x == y) + 4 * (x >= y))
show(lambda x, y: int(x) if abs(x) < 1e9 else 0)
"""
    printed = execute(script, {"a": a.tobytes(), "b": b.tobytes()}).split()
    found = [np.frombuffer(bytes.fromhex(line), "<f4") for line in printed]
    with np.errstate(all="ignore"):
        order = (a < b) + 2 * (a == b) + 4 * (a >= b)
        whole = np.where(np.abs(a) < 1e9, np.trunc(a), 0) + np.float32(0)
        expected = [a + b, a - b, a * b, np.where(b == 0, 0, a / b), order, whole]
    for values, right in zip(found, expected, strict=True):
        right = np.asarray(right, np.float32)
        same = values.view(np.uint32) == right.view(np.uint32)
        same |= np.isnan(values) & np.isnan(right)
        assert same.all(), (a[~same][:5], b[~same][:5], values[~same][:5], right[~same][:5])


def test_calls_deeper_than_the_register_windows() -> None:
    """Objects that only a caller's registers hold survive a collection, exceptions cross calls."""
    script = """
import gc
def deep(n):
    here = [n]
    if n == 0:
        gc.collect()
        [[i] for i in range(3000)]
        gc.collect()
        raise ValueError(here)
    try:
        deep(n - 1)
    finally:
        assert here == [n]
for depth in (0, 1, 5, 40, 90):
    try:
        deep(depth)
    except ValueError as error:
        print(error.args[0])
def endless():
    endless()
try:
    endless()
except RuntimeError as error:
    print(error)
print(sum(sorted([3, 1, 2], key=lambda x: -x)))
"""
    assert execute(script) == "[0]\n" * 5 + "maximum recursion depth exceeded\n6\n"


def test_counts_instructions() -> None:
    script = """
import time
@micropython.viper
def count_down(n: int):
    while n:
        n -= 1
def cost(n):
    start = time.ticks_cpu()
    count_down(n)
    return time.ticks_diff(time.ticks_cpu(), start)
cost(1)
print([cost(10 + 37 * i) for i in range(100)], cost(1_000_010))
"""
    printed = execute(script)
    assert execute(script) == printed
    costs, long = printed[1:].split("] ")
    counts = [int(cost) for cost in costs.split(", ")]
    per_turn = (counts[1] - counts[0]) // 37
    assert 2 <= per_turn <= 8
    assert counts == [counts[0] + 37 * per_turn * i for i in range(100)]
    assert int(long) == counts[0] + 1_000_000 * per_turn


def test_sleep_moves_the_clock() -> None:
    script = """
import time
start = time.ticks_ms()
time.sleep(100)
time.sleep_ms(50)
print(time.ticks_diff(time.ticks_ms(), start))
"""
    assert 100_050 <= int(execute(script)) <= 100_051


def test_heap_size() -> None:
    script = "import gc\nprint(gc.mem_free() + gc.mem_alloc())"
    assert 0.95 * HEAP_SIZE < int(execute(script)) <= HEAP_SIZE
    smaller = int(XtensaTarget(50_000).execute(script, {}).stdout)
    assert 45_000 < smaller <= 50_000


def test_without_firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINGBEAT_CACHE", str(tmp_path))
    with pytest.raises(BuildError, match="make firmware"):
        XtensaTarget()


def test_without_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetError, match="apt-get install qemu-user"):
        XtensaTarget()
