"""Fuzzes the way from .tflite files to programs: a program, a FormatError or a ModelError.

    python tests/fuzz/fuzz_tflite.py [--seconds 60] [--seed 1]

Damages nets of others and random nets of every operator. What converts must come back from its own
bytes and run. Ends with status 1 and the path of the file, in tests/regression, on another
exception, after ten seconds on one file, or when 4 GB are not enough.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "host")]

from nets.files import NAMES, mutations, net  # noqa: E402
from nets.generate import KINDS, random_net  # noqa: E402
from wingbeat.errors import FormatError, ModelError  # noqa: E402
from wingbeat.net.convert import convert_tflite  # noqa: E402
from wingbeat.program import Program  # noqa: E402

REGRESSION = TESTS / "regression"
NAME = "net.tflite"
MEMORY = 4 << 30
PATIENCE = 10
ROUND = 20


def convert_and_run(data: bytes) -> str:
    """What became of a file: "program", or the name of the error."""
    try:
        program = convert_tflite(data)
    except (FormatError, ModelError) as error:
        return type(error).__name__
    again = Program.decode(program.encode(), program.name, program.labels)
    row = np.zeros(program.input.shape, program.input.dtype)
    assert np.array_equal(again.run(row), program.run(row))
    return "program"


def sources(seed: int) -> bytes:
    """A file to damage."""
    if seed % 4 == 0:
        return net(NAMES[seed // 4 % (len(NAMES) - 1)])
    return random_net(seed % (50 * len(KINDS))).model


def fuzz(seconds: float, seed: int) -> bytes | None:
    """Damage files until the time is over; the one that failed, if one did."""
    found: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for data in mutations(sources(seed), seed, ROUND):
            signal.alarm(PATIENCE)
            try:
                found[convert_and_run(data)] += 1
            except Exception:
                traceback.print_exc()
                return data
            finally:
                signal.alarm(0)
        seed += 1
    print(f"{sum(found.values())} files: {', '.join(f'{n} {k}' for k, n in found.most_common())}")
    return None


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"more than {PATIENCE} seconds on one file")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60, help="how long (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="where to start (default: 1)")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _too_slow)
    failed = fuzz(options.seconds, options.seed)
    if failed is None:
        return 0
    path = REGRESSION / f"tflite-{hashlib.sha256(failed).hexdigest()[:16]}" / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(failed)
    print(f"failed: {path}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
