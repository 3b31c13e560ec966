"""The inputs that the fuzzer kept, and those that once failed, under the sanitizers again."""

from __future__ import annotations

import subprocess
from pathlib import Path

from device.harness import GCC, kernel_names, link
from programs import small_programs
from streams import stream_programs

TESTS = Path(__file__).resolve().parents[1]


def test_the_fuzzer_starts_from_every_kernel() -> None:
    programs = (*small_programs().values(), *stream_programs().values())
    called = {call.operator.KERNEL for program in programs for call in program.calls}
    assert called == set(kernel_names())


def test_kept_inputs_are_safe(objects: list[Path], tmp_path: Path) -> None:
    inputs = sorted((TESTS / "fuzz" / "corpus").iterdir())
    assert 50 < len(inputs) <= 200
    assert sum(path.stat().st_size for path in inputs) <= 300_000
    inputs += sorted((TESTS / "regression").glob("*/input"))
    mains = [TESTS / "fuzz" / name for name in ("replay.c", "target.c")]
    program = link(GCC, objects, mains, tmp_path / "replay")
    done = subprocess.run(
        [program, *inputs], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-6000:]
    assert done.stderr.splitlines() == [str(path) for path in inputs]
