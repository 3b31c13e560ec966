"""What models cost: cycles, instructions, bytes and heap, compared with the committed baseline.

    python bench/bench.py [--update] [--json] [--only TEXT]

Exit code 1 if a figure is more than 2 % worse than in bench/baseline.json. bench/README.md says
how each figure is taken.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parent), str(FOLDER.parent / "ports")]

from rp2040.bare import ARCH, BareCore, run_program  # noqa: E402

from bench.workloads import MOST_ROWS, Workload, workloads  # noqa: E402
from wingbeat.assemble import Module, assemble  # noqa: E402
from wingbeat.blobs import blobs_of  # noqa: E402
from wingbeat.errors import DeviceError, TargetError, WingbeatError  # noqa: E402
from wingbeat.files import write_atomic  # noqa: E402
from wingbeat.mpy import Mpy  # noqa: E402
from wingbeat.prefer import fastest  # noqa: E402
from wingbeat.runner import push_module, run_module  # noqa: E402
from wingbeat.stream import Stream, pace_of  # noqa: E402
from wingbeat.targets import TARGETS, Target, open_target  # noqa: E402

BASELINE = FOLDER / "baseline.json"
TOLERANCE = 0.02
WIDTH = 100
CLOCK = 125_000_000
"""Hz of the RP2040 that the share of a core is for."""

Figures: TypeAlias = dict[str, float]
"""Figures of one model by name. Less is better, for all of them."""

WHERE = """\
cycles       emulated Cortex-M0+ (rp2040js, code and data in SRAM): the kernels alone
cycles/node  cycles of the forest's kernel, for each decision node visited
bytes        the .mpy for armv6m: machine code of core and kernels, program, file"""

WHERE_TARGETS = """\
All but unix are emulated. One run() as Python calls it, without an empty call:
cycles on rp2040, instructions on the others. Code: core and kernels. Heap: growth
by import and by Model(); on unix the file is in a file system, else in ROMFS; unix
and xtensa keep machine code outside of the heap. Nothing: it does not fit there."""

WHERE_STREAMS = """\
One push() of as many samples as a run takes, as Python
calls it: the mean over some hops, and the one that took
most. % of a core: what all of them take of one core at
125 MHz, at the stream's rate."""


@dataclass(frozen=True)
class Column:
    """One figure.

    Attributes
    ----------
    name : str
        Key in the baseline; of a target, without its name.
    title : str
    decimals : int
    """

    name: str
    title: str
    decimals: int = 0


COLUMNS = (
    Column("cycles", "cycles"),
    Column("cycles_per_node", "cycles/\nnode", 2),
    Column("core_bytes", "core\nbytes"),
    Column("kernel_bytes", "kernel\nbytes"),
    Column("program_bytes", "program\nbytes"),
    Column("file_bytes", "file\nbytes"),
)
TARGET_COLUMNS = (
    Column("cycles", "cycles"),
    Column("instructions", "instruc-\ntions"),
    Column("code_bytes", "code\nbytes"),
    Column("file_bytes", "file\nbytes"),
    Column("heap_import", "import\nheap"),
    Column("heap_model", "Model()\nheap"),
)
STREAM_COLUMNS = (
    Column("cycles", "cycles"),
    Column("instructions", "instruc-\ntions"),
    Column("worst", "worst\npush"),
    Column("share", "% of\na core", 2),
)


@dataclass(frozen=True)
class Change:
    """A figure beside its baseline; `before` is None for a new one."""

    now: float
    before: float | None

    @property
    def ratio(self) -> float:
        """Growth: 0.1 is 10 % more than before."""
        if self.before is None or self.now == self.before:
            return 0.0
        return self.now / self.before - 1 if self.before else float("inf")

    @property
    def worse(self) -> bool:
        """More than the tolerance allows."""
        return self.ratio > TOLERANCE


def measure(core: BareCore, targets: list[Target], workload: Workload) -> Figures:
    """Take all figures of one model; those of a target end with its name.

    Raises
    ------
    TargetError
        A kernel or a target gave other bits than the reference.
    """
    program = workload.program
    # A stream's operators keep something from push to push, which the bare core does not.
    steps = [] if program.takes_stream else run_program(core, program, workload.x)
    module = assemble(program, ARCH)
    figures: Figures = {
        "core_bytes": _core_bytes(ARCH),
        "kernel_bytes": sum(module.kernel_sizes.values()),
        "program_bytes": len(program.encode()),
        "file_bytes": len(module.data),
    }
    if steps:
        figures["cycles"] = float(sum(step.cycles.mean() for step in steps))
    visits = sum(step.visits for step in steps if step.visits is not None)
    if visits:
        walking = sum(step.cycles.mean() for step in steps if step.visits is not None)
        figures["cycles_per_node"] = float(walking / visits)
    for target in targets:
        for name, value in _on_target(target, workload).items():
            figures[f"{name}_{target.name}"] = value
    return {name: round(value, 2) for name, value in figures.items()}


def _core_bytes(arch: str) -> int:
    return len(Mpy.decode(blobs_of(arch).core()).text)


def _on_target(target: Target, workload: Workload) -> Figures:
    """The figures of one target; none where the model does not fit its heap."""
    module = assemble(fastest(workload.program, target.arch), target.arch)
    figures: Figures = {
        "code_bytes": _core_bytes(target.arch) + sum(module.kernel_sizes.values()),
        "file_bytes": len(module.data),
    }
    try:
        of_calls = _of_pushes if workload.program.takes_stream else _of_runs
        return figures | of_calls(target, module, workload)
    except DeviceError as error:
        if error.exception != "MemoryError":
            raise
        return {}


def _of_runs(target: Target, module: Module, workload: Workload) -> Figures:
    x = workload.x[:MOST_ROWS]
    run = run_module(target, module, x)
    _compare_outputs(target, workload, run.outputs, workload.program.run(x))
    figures: Figures = {"heap_import": run.heap_import, "heap_model": run.heap_model}
    if run.ticks is not None and run.unit is not None:
        figures[run.unit] = run.ticks
    return figures


def _of_pushes(target: Target, module: Module, workload: Workload) -> Figures:
    """Ticks of the pushes behind the first result: before, a stream is at its start."""
    program, pace = workload.program, pace_of(workload.program)
    pushed = push_module(target, module, workload.x.reshape(-1, program.channels))
    _compare_outputs(target, workload, pushed.outputs, Stream(program).run(workload.x).outputs)
    figures: Figures = {"heap_import": pushed.heap_import, "heap_model": pushed.heap_model}
    if pushed.ticks is not None and pushed.unit is not None:
        ticks = pushed.ticks[pace.window // pace.samples :]
        figures[pushed.unit], figures["worst"] = float(ticks.mean()), float(ticks.max())
        if pushed.unit == "cycles" and program.rate is not None:
            figures["share"] = 100 * figures["cycles"] * program.rate / pace.samples / CLOCK
    return figures


def _compare_outputs(
    target: Target, workload: Workload, found: NDArray[Any], wanted: NDArray[Any]
) -> None:
    if not np.array_equal(found, wanted):
        raise TargetError(f"{workload.title}: {target.name} differs from the reference")


def compare(
    measured: dict[str, Figures], baseline: dict[str, Figures]
) -> dict[str, dict[str, Change]]:
    """Put every figure beside its baseline."""
    return {
        title: {
            name: Change(value, baseline.get(title, {}).get(name))
            for name, value in figures.items()
        }
        for title, figures in measured.items()
    }


def report(changes: dict[str, dict[str, Change]]) -> Table:
    """A row for each model; growth below a figure that changed, red where it is too much."""
    table = _table("What models cost", WHERE, ["model"], COLUMNS)
    for title, figures in changes.items():
        table.add_row(title, *(_cell(figures.get(column.name), column) for column in COLUMNS))
    return table


def report_targets(changes: dict[str, dict[str, Change]]) -> list[Table]:
    """A row for each model on each target, and once more for each that takes a stream."""
    streams = {
        title: figures
        for title, figures in changes.items()
        if any(name.startswith("worst_") for name in figures)
    }
    tables = [_target_table("On every target", WHERE_TARGETS, TARGET_COLUMNS, changes)]
    if streams:
        tables.append(_target_table("Streams", WHERE_STREAMS, STREAM_COLUMNS, streams))
    return tables


def _target_table(
    title: str, caption: str, columns: tuple[Column, ...], changes: dict[str, dict[str, Change]]
) -> Table:
    table = _table(title, caption, ["model", "target"], columns)
    for model, figures in changes.items():
        for target in TARGETS:
            cells = [_cell(figures.get(f"{column.name}_{target}"), column) for column in columns]
            first = model if target == TARGETS[0] else ""
            table.add_row(first, target, *cells, end_section=target == TARGETS[-1])
    return table


def _table(title: str, caption: str, names: list[str], columns: tuple[Column, ...]) -> Table:
    table = Table(title=title, caption=caption, caption_justify="left")
    for name in names:
        table.add_column(name, no_wrap=True)
    for column in columns:
        table.add_column(column.title, justify="right")
    return table


def _cell(change: Change | None, column: Column) -> Text:
    if change is None:
        return Text("")
    text = Text(f"{change.now:,.{column.decimals}f}")
    if change.before is None:
        return text
    if change.ratio:
        text.append(f"\n{change.ratio:+.1%}")
        text.stylize("red" if change.worse else "green" if change.ratio < 0 else "")
    return text


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--update", action="store_true", help="make this the baseline")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--only", default="", help="models with this text in their names")
    options = parser.parse_args()
    if options.update and options.only:
        parser.error("--update takes all models: leave out --only")
    console = Console(stderr=options.json)
    try:
        measured = _measure_all(options.only, console)
    except WingbeatError as error:
        console.print(f"bench: {error}", style="red", markup=False)
        return 2
    baseline: dict[str, Figures] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    changes = compare(measured, baseline)
    if options.json:
        print(json.dumps(measured, indent=1, sort_keys=True))
    else:
        if not console.is_terminal:
            console.width = WIDTH
        console.print(report(changes))
        for table in report_targets(changes):
            console.print(table)
    if options.update:
        write_atomic(BASELINE, (json.dumps(measured, indent=1, sort_keys=True) + "\n").encode())
        console.print(f"wrote {BASELINE.name}")
        return 0
    lost = [title for title in baseline if title not in measured and options.only in title]
    lost += [
        f"{title}: {name}"
        for title, figures in measured.items()
        for name in sorted(baseline.get(title, {}).keys() - figures.keys())
    ]
    if lost:
        console.print(f"in {BASELINE.name}, but not measured any more: {', '.join(lost)}")
    worse = [
        f"{title}: {name} {change.before:,} -> {change.now:,} ({change.ratio:+.1%})"
        for title, figures in changes.items()
        for name, change in figures.items()
        if change.worse
    ]
    for line in worse:
        console.print(line, style="red", markup=False)
    if worse:
        console.print(
            f"More than {TOLERANCE:.0%} worse than {BASELINE.name}: mend it, or say why and run"
            " bench.py --update"
        )
    return 1 if worse else 0


def _measure_all(only: str, console: Console) -> dict[str, Figures]:
    measured = {}
    with BareCore() as core, ExitStack() as stack:
        targets = [stack.enter_context(open_target(name)) for name in TARGETS]
        for workload in workloads():
            if only in workload.title:
                with console.status(workload.title):
                    measured[workload.title] = measure(core, targets, workload)
    return measured


if __name__ == "__main__":
    sys.exit(main())
