"""Fuzzes the loader, the kernels' checks and their runs with clang's libFuzzer.

    python tests/fuzz/fuzz.py [--seconds 130]

Starts from the kept corpus and from small programs of every operator. Ends with status 1 and the
path of the input, in tests/regression, when one makes the sanitizers complain; else it keeps the
inputs that are needed for the coverage in tests/fuzz/corpus.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "host")]

from device.harness import compile_objects, link  # noqa: E402
from programs import operator_programs, rows_of, small_programs  # noqa: E402
from streams import stream_programs  # noqa: E402

CORPUS = TESTS / "fuzz" / "corpus"
REGRESSION = TESTS / "regression"
CLANG = (
    "clang",
    "-O1",
    "-fsanitize=fuzzer-no-link,address,undefined",
    "-fno-sanitize-recover=all",
)
PROGRAM, LINKS, KEEP_CRC, MISALIGNED = 0, 1, 2, 4
MAX_FILES, MAX_BYTES, MAX_INPUT = 200, 300_000, 4096


def build(folder: Path) -> Path:
    """Compile core, kernels and target with the fuzzer's instrumentation."""
    linker = [option.replace("fuzzer-no-link", "fuzzer") for option in CLANG]
    objects = compile_objects(CLANG, folder)
    return link(linker, objects, [TESTS / "fuzz" / "target.c"], folder / "fuzzer")


def seeds() -> list[bytes]:
    """Return inputs to start from: programs of every operator with a row, and link tables."""
    found = []
    programs = (*operator_programs(), *small_programs().values(), *stream_programs().values())
    for program in programs:
        data = program.encode() + rows_of(program, 1)[0].tobytes()
        found.append(bytes([PROGRAM]) + data)
    found += [bytes([flags]) + data for flags in (KEEP_CRC, MISALIGNED)]
    links = bytes(range(16)) + bytes(16) + bytes(4)
    return [*found, *(bytes([flags]) + links for flags in (LINKS, LINKS | KEEP_CRC))]


def fuzz(fuzzer: Path, work: Path, seconds: int) -> Path | None:
    """Fuzz into `work`/found; the input that failed, if one did."""
    start = work / "start"
    found = work / "found"
    for folder in (start, found):
        folder.mkdir()
    for data in seeds():
        (start / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    crash = work / "crash"
    command: list[str | Path] = [fuzzer, found, start, CORPUS, f"-max_total_time={seconds}"]
    command += [
        f"-max_len={MAX_INPUT}",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]
    done = subprocess.run(
        [*command, f"-exact_artifact_path={crash}"], capture_output=True, text=True, check=False
    )
    _report(done.stderr)
    if done.returncode == 0:
        return None
    print(done.stderr[-6000:], file=sys.stderr)
    return crash if crash.exists() else fuzzer


def _report(log: str) -> None:
    coverage = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", log)
    executions = re.findall(r"number_of_executed_units: (\d+)", log)
    rate = re.findall(r"average_exec_per_sec: +(\d+)", log)
    if executions and coverage and rate:
        edges, features, inputs = coverage[-1]
        print(f"{executions[-1]} executions, {rate[-1]} a second")
        print(f"coverage: {edges} edges, {features} features, {inputs} inputs")


def keep(fuzzer: Path, work: Path) -> None:
    """Replace the kept corpus by the smallest inputs that take the same branches."""
    merged = work / "merged"
    merged.mkdir()
    sources = [work / "start", work / "found", CORPUS]
    subprocess.run(
        [fuzzer, "-merge=1", "-use_counters=0", f"-max_len={MAX_INPUT}", merged, *sources],
        capture_output=True,
        check=True,
    )
    chosen = sorted(merged.iterdir(), key=lambda path: (path.stat().st_size, path.name))
    kept, size = [], 0
    # If there are too many: of every size alike, since the large ones reach furthest.
    for path in chosen[:: -(-len(chosen) // MAX_FILES)]:
        size += path.stat().st_size
        if size <= MAX_BYTES:
            kept.append(path)
    for path in CORPUS.iterdir():
        path.unlink()
    for path in kept:
        data = path.read_bytes()
        (CORPUS / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    print(f"corpus: {len(kept)} of {len(chosen)} inputs kept in {CORPUS.relative_to(TESTS.parent)}")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=int, default=130, help="how long (default: 130)")
    seconds = parser.parse_args().seconds
    CORPUS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wingbeat-fuzz-") as name:
        work = Path(name)
        fuzzer = build(work)
        failed = fuzz(fuzzer, work, seconds)
        if failed is None:
            keep(fuzzer, work)
            return 0
        digest = hashlib.sha256(failed.read_bytes()).hexdigest()[:16]
        reproducer = REGRESSION / f"fuzz-{digest}" / "input"
        reproducer.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(failed, reproducer)
        print(f"failed: {reproducer}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
