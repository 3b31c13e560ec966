"""Fits what each kernel's steps cost, for `wingbeat check`.

    python bench/costs.py [--update] [ARCH ...]

For armv6m, costs of the terms of `wingbeat.costs.terms` are fitted to cycles of the bare emulated
core. For the other architectures the same is done for the kernels of nets with instructions of
whole calls on an emulated processor, and for all others one factor: instructions for each of
those cycles. Costs and factors are not negative.

Prints them with the largest error of the fit; with --update, writes host/wingbeat/costs.toml, where
architectures that were not asked for stay as they are.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

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
sys.path[:0] = [str(ROOT), str(ROOT / "ports"), str(ROOT / "tests")]

from rp2040.bare import ARCH, BareCore, run_program  # noqa: E402

from bench.layers import Inputs, layers  # noqa: E402
from bench.signals import log_mels, signals  # noqa: E402
from bench.workloads import Workload, single, workloads  # noqa: E402
from nets.files import NAMES, net  # noqa: E402
from nets.generate import random_net  # noqa: E402
from wingbeat.convert import convert  # noqa: E402
from wingbeat.costs import Costs, costs, costs_name, kernel_counts, terms  # noqa: E402
from wingbeat.errors import DeviceError, TargetError, UnsupportedModelError  # noqa: E402
from wingbeat.files import write_atomic  # noqa: E402
from wingbeat.golden import generate  # noqa: E402
from wingbeat.net.convert import convert_tflite  # noqa: E402
from wingbeat.program import Decision, Descriptor, Program, ProgramBuilder  # noqa: E402
from wingbeat.reference import Cast, ForestWalk, Operator, Probability, Shift, WindowStats  # noqa: E402
from wingbeat.reference.window_stats import STATISTICS  # noqa: E402
from wingbeat.runner import run_module  # noqa: E402
from wingbeat.targets import TARGETS, Target, open_target  # noqa: E402

FILE = ROOT / "host" / "wingbeat" / "costs.toml"
ROWS = 40
RANDOM = range(120)
ROWS_OF_NETS = 3
TOLD = 0.1  # error of a random net that is printed
ROWS_OF_TARGETS = 10
LAYERS_OF_TARGETS = 30  # of a kernel
OTHERS = ("armv7m", "armv7emsp", "rv32imc", "xtensawin")
# An assumption for processors that execute one instruction after the other: the Cortex-M0+ takes
# 1.2 to 1.6 on these kernels. Loads take 2 cycles and taken branches 2 to 4, all else mostly 1.
CYCLES_PER_INSTRUCTION = 1.5
HEAD = """\
# By bench/costs.py; `wingbeat check` says 'estimated'.
# armv6m: cycles of the emulated RP2040. kernels: costs of the terms that wingbeat.costs.terms
# counts, in their order.
# Others: instructions of a call, of an operator, of the terms of kernels, and (factors) for each
# cycle of a kernel on armv6m, all of them emulated; cycles_per_instruction is assumed.
"""
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


def others() -> Iterator[tuple[Operator, Inputs]]:
    """Operators besides forests and layers of nets, with rows of each input."""
    draw = np.random.default_rng(1)
    for samples in (32, 128):
        for channels in (1, 3, 6):
            x = draw.integers(-3000, 3000, (4, samples * channels)).astype("<i2")
            for asked in (STATISTICS, ("std", "rms"), *((name,) for name in STATISTICS)):
                yield WindowStats(samples, channels, asked), (x,)
    for n in (4, 64):
        yield Cast(n, "B"), (draw.integers(0, 255, (2, n)).astype(np.uint8),)
    for n in (2, 10, 40):
        x = draw.integers(-(2**18), 2**18, (30, n)).astype("<i4")
        yield Probability(n, 16), (x,)
        yield Shift(n, 9, "i"), (x,)
        yield Shift(n, 9, "H"), (x,)


Point: TypeAlias = "tuple[list[float], float]"


def measure(core: BareCore, wanted: Callable[[str], bool]) -> dict[str, list[Point]]:
    """Terms and cycles by kernel."""
    found: dict[str, list[Point]] = defaultdict(list)
    for program, x in forests() if wanted("forest") else ():
        inputs: NDArray[Any] = x.reshape(len(x), -1)
        for step in run_program(core, program, x):
            operator = step.operator
            if isinstance(operator, ForestWalk):
                work = operator.mean_work(inputs)
                found[costs_name(operator)].append(
                    (terms(operator, work), float(step.cycles.mean()))
                )
            (inputs,) = operator.apply(inputs)
    for operator, rows in (*others(), *layers(), *signals()):
        if wanted(operator.KERNEL):
            cycles = float(core.run(operator, *rows).cycles.mean())
            found[operator.KERNEL].append((terms(operator), cycles))
    return found


def fit(points: list[Point]) -> tuple[NDArray[np.float64], float]:
    """Costs, and the largest relative error with them."""
    counts = np.array([point[0] for point in points])
    cycles = np.array([point[1] for point in points])
    result, _ = nnls(counts / cycles[:, None], np.ones(len(cycles)))
    return result, float(np.abs(counts @ result / cycles - 1).max())


def call_overhead(core: BareCore) -> tuple[float, float]:
    """Cycles of a call of `run` from MicroPython, and of each operator in it, without kernels."""
    counts, rest = [], []
    with open_target("rp2040") as target:
        for workload in small_workloads():
            x = workload.x[:5]
            run = run_module(target, workload.program.assemble(ARCH), x)
            if run.ticks is None:
                raise TargetError("rp2040 counts no cycles")
            kernels = sum(step.cycles.mean() for step in run_program(core, workload.program, x))
            counts.append([1.0, len(workload.program.calls)])
            rest.append(run.ticks - kernels)
    call, operator = nnls(np.array(counts), np.array(rest))[0]
    return float(call), float(operator)


def cycles_of(only: Sequence[str], say: Callable[[str], None]) -> Costs:
    """The costs of armv6m, those of some kernels anew."""
    found: Costs = dict(costs()[ARCH]) if only else {}
    kernels: dict[str, list[float]] = dict(found.get("kernels", {}))
    with BareCore() as core:
        if not only:
            found["call"], found["operator"] = map(round, call_overhead(core))
        points = measure(core, lambda kernel: not only or kernel in only)
        kernels |= fitted(ARCH, points, say)
    return {**found, "kernels": dict(sorted(kernels.items()))}


def prove(say: Callable[[str], None]) -> None:
    """Compare the costs with nets that they were not fitted on: `NAMES`, and random ones."""
    nets: list[tuple[str, Program | None, NDArray[Any] | None]] = [
        (name, program_of(net(name)), None) for name in NAMES
    ]
    for each in map(random_net, RANDOM):
        nets.append((f"random net {each.seed}", program_of(each.model), each.rows(ROWS_OF_NETS)))
    errors = []
    missing = 0
    with BareCore() as core:
        for name, program, rows in nets:
            kernels = None if program is None else kernel_counts(program, ARCH)
            if program is None or kernels is None:
                missing += 1
                continue
            x = generate(program).inputs[-1:] if rows is None else rows
            x = x.reshape(len(x), *program.input.shape)
            counted = sum(step.cycles.mean() for step in run_program(core, program, x))
            # Of a whole call: what is left of it is taken as the costs have it.
            rest = costs()[ARCH]["call"] + len(kernels) * costs()[ARCH]["operator"]
            errors.append(abs((sum(kernels) - counted) / (counted + rest)))
            if rows is None or errors[-1] > TOLD:
                say(f"{ARCH} {name}: {counted:.0f} cycles, {sum(kernels):.0f} by the costs")
    say(
        f"{ARCH}, {len(errors)} nets that were not fitted: off by"
        f" {100 * np.mean(errors):.1f} % in the mean, {100 * max(errors):.1f} % at most;"
        f" {missing} have operators without costs"
    )


def prove_on(arch: str, say: Callable[[str], None]) -> None:
    """Compare the costs with whole calls of `NAMES`, which they were not fitted on."""
    with open_target(target_of(arch)) as target:
        for name in NAMES:
            program = convert_tflite(net(name))
            kernels = kernel_counts(program, arch)
            if kernels is None:
                continue
            try:
                run = run_module(target, program.assemble(arch), generate(program).inputs[-1:])
            except DeviceError as error:
                say(f"{arch} {name}: {error}")
                continue
            known = costs()[arch]
            told = known["call"] + sum(known["operator"] + count for count in kernels)
            say(f"{arch} {name}: {run.ticks:.0f} {run.unit}, {told:.0f} by the costs")


def program_of(model: bytes) -> Program | None:
    """A net; None if it has operators that are not supported."""
    try:
        return convert_tflite(model)
    except UnsupportedModelError:
        return None


def few() -> list[tuple[Program, NDArray[Any]]]:
    """Three programs for each kernel, of different sizes, and what the bench measures, no nets."""
    by_kernel: dict[str, list[tuple[Program, NDArray[Any]]]] = defaultdict(list)
    singles = [(single("m", operator, x).program, x) for operator, (x,) in others()]
    for program, x in [*forests(), *singles]:
        by_kernel[costs_name(program.calls[0].operator)].append((program, x))
    chosen = [
        programs[place]
        for programs in by_kernel.values()
        for place in sorted({0, len(programs) // 2, len(programs) - 1})
    ]
    return [*chosen, *((workload.program, workload.x) for workload in small_workloads())]


def small_workloads() -> list[Workload]:
    """What the bench measures, no nets."""
    nets = {costs_name(operator) for operator, _ in layers()}
    return [
        workload
        for workload in workloads()
        if not any(costs_name(call.operator) in nets for call in workload.program.calls)
    ]


def kernels_of(
    arch: str, overhead: float, only: Sequence[str], say: Callable[[str], None]
) -> dict[str, list[float]]:
    """Instructions of the terms of the kernels of nets, from calls of layers."""
    points: dict[str, list[Point]] = defaultdict(list)
    with open_target(target_of(arch)) as target:
        for operator, rows in (*layers(), *signals()):
            name = costs_name(operator)
            program = alone(operator)
            if program is None or len(points[name]) == LAYERS_OF_TARGETS:
                continue
            if only and name not in only:
                continue
            try:
                ticks = run_module(target, program.assemble(arch), rows[0]).ticks
            except DeviceError as error:
                if error.exception != "MemoryError":
                    raise
                continue  # A layer that is too large for the target's heap.
            if ticks is None:
                raise TargetError(f"{arch}: no instructions were counted")
            points[name].append((terms(operator), ticks - overhead))
        kernels = fitted(arch, points, say)
        if not only or "band_energies" in only:
            kernels |= fitted(arch, {"band_energies": band_points(arch, target)}, say)
    return kernels


def band_points(arch: str, target: Target) -> list[Point]:
    """Band energies by what they take behind a spectrum, whose costs are known."""
    points = []
    for spectrum, bands, x in log_mels():
        ((typecode, n_elements),) = spectrum.inputs
        programs = []
        for several in (False, True):
            builder = ProgramBuilder(Descriptor(typecode, (n_elements,)))
            last = builder.add(spectrum, 0)
            last = builder.add(bands, last, last + 1) if several else last
            programs.append(builder.finish("m", last, Decision.NONE))
        try:
            front, both = (run_module(target, each.assemble(arch), x).ticks for each in programs)
        except DeviceError as error:
            if error.exception != "MemoryError":
                raise
            continue
        if front is None or both is None:
            raise TargetError(f"{arch}: no instructions were counted")
        points.append((terms(bands), both - front - costs()[arch]["operator"]))
    return points


def fitted(
    arch: str, points: Mapping[str, list[Point]], say: Callable[[str], None]
) -> dict[str, list[float]]:
    """Costs by kernel."""
    kernels = {}
    for name, found in points.items():
        if found:
            result, error = fit(found)
            kernels[name] = [round(float(cost), 2) for cost in result]
            say(f"{arch} {name}: {len(found)} points, off by {100 * error:.1f} % at most")
    return kernels


def alone(operator: Operator) -> Program | None:
    """A program of one operator, whose inputs are the same; None if they cannot be."""
    first, *rest = operator.inputs
    if any(each != first for each in rest):
        return None
    builder = ProgramBuilder(Descriptor(first[0], (first[1],)))
    return builder.finish("m", builder.add(operator, *(0 for _ in operator.inputs)), Decision.NONE)


def target_of(arch: str) -> str:
    """The emulated processor that counts an architecture's instructions."""
    return next(name for name in TARGETS if name != "rp2040" and arch_of(name) == arch)


def factors_of(
    arch: str, programs: list[tuple[Program, NDArray[Any]]], say: Callable[[str], None]
) -> Costs:
    """Instructions of a call, of an operator, and for each cycle of armv6m's kernels."""
    target_name = target_of(arch)
    names = sorted({costs_name(call.operator) for program, _ in programs for call in program.calls})
    rows, counted = [], []
    with open_target(target_name) as target:
        for program, every in programs:
            x = every[:ROWS_OF_TARGETS]
            cycles = kernel_counts(program, ARCH, x)
            run = run_module(target, program.assemble(arch), x)
            if cycles is None or run.ticks is None:
                raise TargetError(f"{program.name}: an operator without costs")
            by_name = dict.fromkeys(names, 0.0)
            for call, each in zip(program.calls, cycles, strict=True):
                by_name[costs_name(call.operator)] += each
            rows.append([1.0, len(program.calls), *by_name.values()])
            counted.append(run.ticks)
    table, ticks = np.array(rows), np.array(counted)
    result, _ = nnls(table / ticks[:, None], np.ones(len(ticks)))
    off = np.abs(table @ result / ticks - 1)
    say(
        f"{arch} on {target_name}: {len(ticks)} programs, off by {100 * off.mean():.1f} % in the"
        f" mean, {100 * off.max():.1f} % at most"
    )
    used = [bool(column.any()) for column in table[:, 2:].T]
    return {
        "cycles_per_instruction": CYCLES_PER_INSTRUCTION,
        "call": round(float(result[0])),
        "operator": round(float(result[1])),
        "factors": {
            name: round(float(factor), 3)
            for name, factor, there in zip(names, result[2:], used, strict=True)
            if there
        },
    }


def arch_of(target: str) -> str:
    """The architecture of a target."""
    with open_target(target) as machine:
        return machine.arch


def text_of(found: Costs) -> str:
    """The content of ``costs.toml``."""
    lines = [HEAD]
    for arch, values in found.items():
        lines.append(f"[{arch}]")
        lines += [
            f"{key} = {value}" for key, value in values.items() if not isinstance(value, dict)
        ]
        for title, table in values.items():
            if isinstance(table, dict):
                lines += ["", f"[{arch}.{title}]"]
                lines += [f"{name} = {_cost(value)}" for name, value in table.items()]
        lines.append("")
    return "\n".join(lines)


def _cost(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(f'{cost:.2f}' for cost in value)}]"
    return f"{value:.3f}"


def main() -> None:
    """Measure, fit, print, and write with --update."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    known = [ARCH, *OTHERS]
    parser.add_argument("arch", nargs="*", help=f"{', '.join(known)}; all of them by default")
    parser.add_argument("--only", nargs="+", default=[], metavar="KERNEL", help="fit these anew")
    parser.add_argument("--update", action="store_true", help=f"write {FILE.name}")
    options = parser.parse_args()
    asked = options.arch or known
    if not set(asked) <= set(known):
        parser.error(f"choose from {', '.join(known)}")
    found = dict(costs())
    programs: list[tuple[Program, NDArray[Any]]] = []
    for arch in known:
        if arch not in asked:
            continue
        if arch == ARCH:
            found[arch] = cycles_of(options.only, print)
            costs().update(found)
            prove(print)
        else:
            if not options.only:
                programs = programs or few()
                found[arch] = factors_of(arch, programs, print)
            overhead = found[arch]["call"] + found[arch]["operator"]
            kernels = kernels_of(arch, overhead, options.only, print)
            found[arch]["kernels"] = {**found[arch].get("kernels", {}), **kernels}
            costs().update(found)
            prove_on(arch, print)
    text = text_of(found)
    if options.update:
        write_atomic(FILE, text.encode())
    else:
        print(text)


if __name__ == "__main__":
    main()
