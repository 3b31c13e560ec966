"""Fits what each kernel's steps cost, for `wingbeat check`.

    python bench/costs.py [--update] [ARCH ...]

For armv6m, costs of the terms of `wingbeat.costs.terms` are fitted to cycles of the bare emulated
core. For the other architectures the same is done with instructions of whole calls on an emulated
processor; but forests, and the few operators that only go with them, have one factor each:
instructions for each of those cycles. Costs and factors are not negative.

Prints how far the fit is off at most, and then how far the costs are off for whole calls of nets
that they were not fitted on, in their small form too: those of tests/data/nets, and random ones.
With --update, writes host/wingbeat/costs.toml, where architectures that were not asked for stay as
they are.
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
from wingbeat.costs import (  # noqa: E402
    Costs,
    bytes_of,
    call_count,
    costs,
    costs_name,
    kernel_counts,
    terms,
    without_costs,
)
from wingbeat.errors import TargetError, UnsupportedModelError  # noqa: E402
from wingbeat.files import write_atomic  # noqa: E402
from wingbeat.golden import generate  # noqa: E402
from wingbeat.net.convert import convert_tflite  # noqa: E402
from wingbeat.prefer import fastest, small_form  # noqa: E402
from wingbeat.program import Decision, Descriptor, Program, ProgramBuilder  # noqa: E402
from wingbeat.reference import Cast, ForestWalk, Lookup, Operator, Probability, Shift, WindowStats  # noqa: E402
from wingbeat.reference.window_stats import STATISTICS  # noqa: E402
from wingbeat.runner import run_module  # noqa: E402
from wingbeat.targets import TARGETS, Target, open_target  # noqa: E402

FILE = ROOT / "host" / "wingbeat" / "costs.toml"
ROWS = 40
RANDOM = range(400)
RANDOM_OF_TARGETS = range(80)
ROWS_OF_NETS = 3
TOLD = 0.1  # error of a random net that is printed
ROWS_OF_TARGETS = 10
POINTS_OF_TARGETS = 6  # for each cost of a kernel, and FEWEST
FEWEST = 8
PROGRAMS_AT_ONCE = 20  # in a start of an emulated machine
OTHERS = ("armv7emsp", "rv32imc", "xtensawin")  # No board of boards.toml is armv7m.
# An assumption for processors that execute one instruction after the other: the Cortex-M0+ takes
# 1.2 to 1.6 on these kernels. Loads take 2 cycles and taken branches 2 to 4, all else mostly 1.
CYCLES_PER_INSTRUCTION = 1.5
HEAD = """\
# By bench/costs.py; `wingbeat check` says 'estimated'.
# armv6m: cycles of the emulated RP2040. Of a call, of each operator in it, of each byte of the
# program's input and output; kernels: costs of the terms that wingbeat.costs.terms counts, in their
# order.
# Others: the same in instructions, emulated; a kernel's costs have the bytes of its own input and
# output. factors: instructions for each cycle of a kernel on armv6m. cycles_per_instruction is
# assumed.
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
                cycles = float(step.cycles.mean())
                found[costs_name(operator)].append((terms(operator, ARCH, [inputs]), cycles))
            (inputs,) = operator.apply(inputs)
    for operator, rows in (*others(), *layers(), *signals()):
        if wanted(operator.KERNEL):
            cycles = float(core.run(operator, *rows).cycles.mean())
            found[operator.KERNEL].append((terms(operator, ARCH, rows), cycles))
    return found


def fit(points: list[Point]) -> tuple[NDArray[np.float64], float]:
    """Costs, and the largest relative error with them."""
    counts = np.array([point[0] for point in points])
    cycles = np.array([point[1] for point in points])
    result, _ = nnls(counts / cycles[:, None], np.ones(len(cycles)))
    return result, float(np.abs(counts @ result / cycles - 1).max())


def call_overhead(core: BareCore, lookup: float) -> Costs:
    """Cycles of a call of `run` from MicroPython, of each operator in it, without kernels, and of
    each byte of its input and output.

    Parameters
    ----------
    lookup : float
        Cycles of a look-up of nothing.
    """
    rest = []
    with open_target("rp2040") as target:
        more, byte = chains(target)
        operator = more - lookup
        for workload in small_workloads():
            x = workload.x[:ROWS]
            run = run_module(target, workload.program.assemble(ARCH), x)
            if run.ticks is None:
                raise TargetError("rp2040 counts no cycles")
            kernels = sum(step.cycles.mean() for step in run_program(core, workload.program, x))
            kernels += operator * len(workload.program.calls)
            rest.append(run.ticks - kernels - byte * (x[:1].nbytes + run.outputs[:1].nbytes))
    return {"call": round(np.mean(rest)), "operator": round(operator), "byte": round(byte, 2)}


def cycles_of(only: Sequence[str], say: Callable[[str], None]) -> Costs:
    """The costs of armv6m, those of some kernels anew."""
    found: Costs = dict(costs()[ARCH]) if only else {}
    kernels: dict[str, list[float]] = dict(found.get("kernels", {}))
    with BareCore() as core:
        points = measure(core, lambda kernel: not only or kernel in only)
        kernels |= fitted(ARCH, points, say)
        if not only:
            found |= call_overhead(core, kernels["lookup"][0])
    return {**found, "kernels": dict(sorted(kernels.items()))}


Nets: TypeAlias = "Iterator[tuple[str, Program, NDArray[Any]]]"


def nets_to_prove(arch: str, numbers: Sequence[int]) -> Nets:
    """Nets that the costs are not fitted on, in the form that is the fastest on an architecture and
    in the small one, with rows: `NAMES`, and random ones.
    """
    for name in NAMES:
        for form, program in _forms(convert_tflite(net(name)), arch):
            yield f"{name}{form}", program, generate(program).inputs[-1:]
    for number in numbers:
        drawn = random_net(number)
        try:
            converted = convert_tflite(drawn.model)
        except UnsupportedModelError:
            continue
        rows = drawn.rows(ROWS_OF_NETS)
        x = rows.reshape(len(rows), *converted.input.shape)
        for form, program in _forms(converted, arch):
            yield f"random net {number}{form}", program, x


def _forms(program: Program, arch: str) -> Iterator[tuple[str, Program]]:
    yield "", fastest(program, arch)
    small = small_form(program)
    if small is not None:
        yield ", small", small.program


def prove(say: Callable[[str], None]) -> None:
    """Compare the costs with nets that they were not fitted on."""
    with BareCore() as core:

        def counted(program: Program, x: NDArray[Any]) -> float:
            # The bare core has no calls: what they take is as the costs have it.
            steps = run_program(core, program, x)
            rest = call_count(program, ARCH) + len(steps) * costs()[ARCH]["operator"]
            return float(rest + sum(step.cycles.mean() for step in steps))

        _prove(ARCH, RANDOM, counted, say)


def prove_on(arch: str, say: Callable[[str], None]) -> None:
    """Compare the costs with whole calls on an emulated processor."""
    nets = [(program, x) for _, program, x in nets_to_prove(arch, RANDOM_OF_TARGETS)]
    with open_target(target_of(arch)) as target:
        more = apart(target)
        counted = iter([c if c is None else c + more for c in count_calls(target, nets)])
    _prove(arch, RANDOM_OF_TARGETS, lambda program, x: next(counted), say)


def _prove(
    arch: str,
    numbers: Sequence[int],
    count: Callable[[Program, NDArray[Any]], float | None],
    say: Callable[[str], None],
) -> None:
    errors: list[float] = []
    missing: list[str] = []
    for name, program, x in nets_to_prove(arch, numbers):
        kernels, counted = kernel_counts(program, arch, x), count(program, x)
        if kernels is None:
            missing += without_costs(program, arch)
        if kernels is None or counted is None:
            continue  # Or it is too large for the target's heap.
        operator = costs()[arch]["operator"]
        told = call_count(program, arch) + sum(operator + each for each in kernels)
        errors.append(abs(told / counted - 1))
        if name.partition(",")[0] in NAMES or errors[-1] > TOLD:
            say(f"{arch} {name}: {counted:.0f}, {told:.0f} by the costs")
    say(
        f"{arch}, {len(errors)} nets that were not fitted, whole calls: off by"
        f" {100 * np.mean(errors):.1f} % in the mean, {100 * max(errors):.1f} % at most;"
        f" operators without costs: {', '.join(sorted(set(missing))) or 'none'}"
    )


def few() -> list[tuple[Program, NDArray[Any]]]:
    """Three programs for each kernel, of different sizes, and `small_workloads`."""
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
    """What the bench measures of forests and the operators beside them."""
    fitted_alone = {costs_name(operator) for operator, _ in (*layers(), *signals())}
    return [
        workload
        for workload in workloads()
        if not fitted_alone & {costs_name(call.operator) for call in workload.program.calls}
    ]


# As wingbeat.runner measures, but that nothing is looked up by its name: what that takes depends on
# where everything is. See `apart`.
_COUNT = """\
import array, gc, micropython, sys
{clock}
def nothing(row, out):
    return 0
def measured(run, row, out, results, start, stop):
    micropython.heap_lock()
    start()
    try:
        results[0] = run(row, out) or 0
    finally:
        stop()
        micropython.heap_unlock()
    return ticks()
def count(name, n_in, n_out):
    row, out, results = bytearray(n_in), bytearray(n_out), array.array("i", [0])
    run = __import__(name).Model().run
    measured(nothing, row, out, results, start, stop)
    overhead = measured(nothing, row, out, results, start, stop)
    total = rows = 0
    with open(name + ".bin", "rb") as file:
        while file.readinto(row):
            total += measured(run, row, out, results, start, stop) - overhead
            rows += 1
    return total / rows
for name, n_in, n_out in {sizes}:
    gc.collect()
    try:
        print(count(name, n_in, n_out))
    except MemoryError:
        print(None)
    sys.modules.pop(name, None)
"""


def count_calls(
    target: Target, programs: Sequence[tuple[Program, NDArray[Any]]]
) -> list[float | None]:
    """Instructions of a call of each program, a mean over its rows; None for what is too large.

    Many programs run in one start of the machine; those that have no room there then run alone.
    """
    found: list[float | None] = []
    for start in range(0, len(programs), PROGRAMS_AT_ONCE):
        found += _count_at_once(target, programs[start : start + PROGRAMS_AT_ONCE])
    return [
        _count_at_once(target, [program])[0] if counted is None else counted
        for program, counted in zip(programs, found, strict=True)
    ]


def _count_at_once(
    target: Target, programs: Sequence[tuple[Program, NDArray[Any]]]
) -> list[float | None]:
    assert target.clock is not None
    files, sizes = {}, []
    for number, (program, x) in enumerate(programs):
        name = f"m{number}"
        files[f"{name}.mpy"] = program.assemble(target.arch).data
        files[f"{name}.bin"] = np.ascontiguousarray(x, program.input.dtype).tobytes()
        output = program.output.n_elements * program.output.dtype.itemsize
        sizes.append((name, len(files[f"{name}.bin"]) // len(x), output))
    script = _COUNT.format(clock=target.clock.script, sizes=sizes)
    printed = target.execute(script, files, timeout=600.0).stdout.split()
    return [None if word == "None" else float(word) for word in printed]


def apart(target: Target) -> float:
    """How much more a call takes by `run_module` than by `count_calls`, whatever is called."""
    x = np.random.default_rng(1).integers(0, 255, (200, 4)).astype(np.uint8)
    program = single("m", Cast(4, "B"), x).program
    ticks = run_module(target, program.assemble(target.arch), x).ticks
    (counted,) = count_calls(target, [(program, x)])
    assert ticks is not None
    assert counted is not None
    return ticks - counted


def chains(target: Target) -> tuple[float, float]:
    """What an operator more takes that does next to nothing, and a byte of input or output."""
    cases = [(length, n) for length in (1, 2, 4) for n in (8, 64, 512)]
    programs = []
    for length, n in cases:
        builder = ProgramBuilder(Descriptor("b", (n,)))
        tensor = 0
        for _ in range(length):
            tensor = builder.add(Lookup(np.arange(256).astype(np.int8), n), tensor)
        x = np.zeros((ROWS_OF_NETS, n), np.int8)
        programs.append((builder.finish("m", tensor, Decision.NONE), x))
    table = np.array([[1.0, length, length * n, 2 * n] for length, n in cases])
    result = np.linalg.lstsq(table, np.array(count_calls(target, programs)), rcond=None)[0]
    return float(result[1]), float(result[3])


def kernels_of(
    arch: str, overhead: float, only: Sequence[str], say: Callable[[str], None]
) -> dict[str, list[float]]:
    """Instructions of the terms of kernels, from calls of programs of one operator."""
    chosen: dict[str, list[tuple[list[float], Program, NDArray[Any]]]] = defaultdict(list)
    for operator, rows in (*layers(), *signals()):
        name, program = costs_name(operator), alone(operator)
        if program is None or (only and name not in only):
            continue
        counts = terms(operator, arch, [rows[0]] * len(operator.inputs))
        if len(chosen[name]) < FEWEST + POINTS_OF_TARGETS * len(counts):
            chosen[name].append((counts, program, rows[0]))
    points: dict[str, list[Point]] = {}
    with open_target(target_of(arch)) as target:
        overhead -= apart(target)
        for name, cases in chosen.items():
            counted = count_calls(target, [case[1:] for case in cases])
            points[name] = [
                (counts, ticks - overhead)
                for (counts, *_), ticks in zip(cases, counted, strict=True)
                if ticks is not None
            ]
        kernels = fitted(arch, points, say)
        costs()[arch]["kernels"].update(kernels)
        if not only or "band_energies" in only:
            kernels |= fitted(arch, {"band_energies": band_points(arch, target)}, say)
    return kernels


def band_points(arch: str, target: Target) -> list[Point]:
    """Band energies by what they take behind a spectrum, whose costs are known."""
    cases = []
    for spectrum, bands, x in log_mels():
        ((typecode, n_elements),) = spectrum.inputs
        for several in (False, True):
            builder = ProgramBuilder(Descriptor(typecode, (n_elements,)))
            last = builder.add(spectrum, 0)
            last = builder.add(bands, last, last + 1) if several else last
            cases.append((builder.finish("m", last, Decision.NONE), x))
    counted = iter(count_calls(target, cases))
    _, byte = chains(target)
    points = []
    for spectrum, bands, _ in log_mels():
        front, both = next(counted), next(counted)
        if front is not None and both is not None:
            # What a program of the bands alone would copy, like those of other operators.
            copied = bytes_of(spectrum.outputs[0], bands.inputs[0])
            more = both - front - costs()[arch]["operator"] + byte * copied
            points.append((terms(bands, arch), more))
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


def calls_of(arch: str, found: Costs) -> Costs:
    """What calls take, and operators in them, once the kernels are fitted; see `chains`."""
    with open_target(target_of(arch)) as target:
        more, byte = chains(target)
    # Of one operator, call and operator together stay what they were fitted with.
    operator = round(max(0.0, more - found["kernels"]["lookup"][0]))
    call = found["call"] + found["operator"] - operator
    return {"call": call, "operator": operator, "byte": round(byte, 2)}


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
            found[arch] |= calls_of(arch, found[arch])
            costs().update(found)
            prove_on(arch, print)
        if options.update:
            write_atomic(FILE, text_of(found).encode())
    if not options.update:
        print(text_of(found))


if __name__ == "__main__":
    main()
