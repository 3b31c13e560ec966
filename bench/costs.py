"""Fits what each kernel's steps cost, in cycles of the bare emulated core, for `wingbeat check`.

    python bench/costs.py [--update]

Prints each kernel's costs and the largest error of the fit; with --update, writes
host/wingbeat/costs.toml. The terms of each kernel are `wingbeat.check.terms`. Costs are not
negative.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, make_classification
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "ports")]

from rp2040.bare import ARCH, BareCore, run_program  # noqa: E402

from bench.workloads import workloads  # noqa: E402
from wingbeat.check import terms  # noqa: E402
from wingbeat.convert import convert  # noqa: E402
from wingbeat.errors import TargetError  # noqa: E402
from wingbeat.files import write_atomic  # noqa: E402
from wingbeat.program import Program  # noqa: E402
from wingbeat.reference import Cast, ForestWalk, Operator, Probability, Shift, WindowStats  # noqa: E402
from wingbeat.reference.window_stats import STATISTICS  # noqa: E402
from wingbeat.runner import run_module  # noqa: E402
from wingbeat.targets import open_target  # noqa: E402

FILE = ROOT / "host" / "wingbeat" / "costs.toml"
ROWS = 40
SIZES = ((1, 12), (5, 3), (10, 8), (30, 6))
"""Trees and depth of the forests that are fitted."""


def forests() -> Iterator[tuple[Program, NDArray[Any]]]:
    """Forests of every kind, with rows."""
    sources = {
        "digits": load_digits(return_X_y=True),
        "cancer": load_breast_cancer(return_X_y=True),
        "diabetes": load_diabetes(return_X_y=True),
        **{
            f"{n} classes": make_classification(
                1200, 20, n_informative=10, n_classes=n, random_state=1, flip_y=0.1
            )
            for n in (3, 16, 24)
        },
    }
    for name, (x, y) in sources.items():
        estimators: list[Any] = [HistGradientBoostingClassifier(max_iter=10, max_depth=4)]
        estimators += [RandomForestClassifier(n, max_depth=d, random_state=1) for n, d in SIZES]
        if name == "diabetes":
            estimators = []
        if name in ("diabetes", "digits"):
            estimators += [RandomForestRegressor(n, max_depth=d, random_state=1) for n, d in SIZES]
        for estimator in estimators:
            for dtype in ("float32", "int16", "uint8", "int8"):
                rows = x if name == "digits" or dtype == "float32" else _as_bytes(x, dtype)
                model = estimator.fit(rows, y)
                yield (
                    convert(model, name="m", dtype=dtype, rows=rows),
                    rows[:ROWS].astype(dtype if dtype != "float32" else "<f4"),
                )


def _as_bytes(x: NDArray[np.float64], dtype: str) -> NDArray[np.float64]:
    scaled = np.clip(np.round((x - x.mean(axis=0)) / x.std(axis=0) * 30), -127, 127)
    return np.asarray(scaled + (128 if dtype == "uint8" else 0), dtype=np.float64)


def others() -> Iterator[tuple[Operator, NDArray[Any]]]:
    """All other operators, with inputs."""
    draw = np.random.default_rng(1)
    for samples in (32, 128):
        for channels in (1, 3, 6):
            x = draw.integers(-3000, 3000, (4, samples * channels)).astype("<i2")
            for asked in (STATISTICS, ("std", "rms"), *((name,) for name in STATISTICS)):
                yield WindowStats(samples, channels, asked), x
    for n in (4, 64):
        yield Cast(n, "B"), draw.integers(0, 255, (2, n)).astype(np.uint8)
    for n in (2, 10, 40):
        x = draw.integers(-(2**18), 2**18, (30, n)).astype("<i4")
        yield Probability(n, 16), x
        yield Shift(n, 9, "i"), x
        yield Shift(n, 9, "H"), x


def measure(core: BareCore) -> dict[str, list[tuple[list[float], float]]]:
    """Terms and cycles by kernel."""
    found: dict[str, list[tuple[list[float], float]]] = defaultdict(list)
    for program, x in forests():
        inputs: NDArray[Any] = x.reshape(len(x), -1)
        for step in run_program(core, program, x):
            operator = step.operator
            if isinstance(operator, ForestWalk):
                work = operator.mean_work(inputs)
                name = operator.KERNEL.replace("_table", "_pairs")
                found[name].append((terms(operator, work), float(step.cycles.mean())))
            (inputs,) = operator.apply(inputs)
    for operator, x in others():
        cycles = float(core.run(operator, x).cycles.mean())
        found[operator.KERNEL].append((terms(operator), cycles))
    return found


def fit(points: list[tuple[list[float], float]]) -> tuple[NDArray[np.float64], float]:
    """Costs, and the largest relative error with them."""
    counts = np.array([point[0] for point in points])
    cycles = np.array([point[1] for point in points])
    result, _ = nnls(counts / cycles[:, None], np.ones(len(cycles)))
    return result, float(np.abs(counts @ result / cycles - 1).max())


def call_overhead(core: BareCore) -> tuple[float, float]:
    """Cycles of a call of `run` from MicroPython, and of each operator in it, without kernels."""
    counts, rest = [], []
    with open_target("rp2040") as target:
        for workload in workloads():
            x = workload.x[:5]
            run = run_module(target, workload.program.assemble(ARCH), x)
            if run.ticks is None:
                raise TargetError("rp2040 counts no cycles")
            kernels = sum(step.cycles.mean() for step in run_program(core, workload.program, x))
            counts.append([1.0, len(workload.program.calls)])
            rest.append(run.ticks - kernels)
    call, operator = nnls(np.array(counts), np.array(rest))[0]
    return float(call), float(operator)


def main() -> None:
    """Measure, fit, print, and write with --update."""
    lines = [
        "# Cycles by bench/costs.py, from the emulated RP2040; `wingbeat check` says 'estimated'.",
        "# kernels: costs of the terms that wingbeat.check.terms counts, in their order.",
        f"[{ARCH}]",
    ]
    with BareCore() as core:
        call, operator = call_overhead(core)
        lines += [f"call = {call:.0f}", f"operator = {operator:.0f}", "", f"[{ARCH}.kernels]"]
        for name, points in sorted(measure(core).items()):
            result, error = fit(points)
            lines.append(f"{name} = [{', '.join(f'{cost:.2f}' for cost in result)}]")
            print(f"{name}: {len(points)} points, off by {100 * error:.1f} % at most")
    text = "\n".join(lines) + "\n"
    if "--update" in sys.argv:
        write_atomic(FILE, text.encode())
    else:
        print(text)


if __name__ == "__main__":
    main()
