"""What models cost: cycles, instructions, bytes and heap, compared with the committed baseline.

    python bench/bench.py [--update] [--json] [--only TEXT]

Exit code 1 if a figure is more than 2 % worse than in bench/baseline.json. bench/README.md says
how each figure is taken.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parent), str(FOLDER.parent / "ports")]

from rp2040.bare import ARCH, BareCore, run_program  # noqa: E402

from bench.workloads import MOST_ROWS, Workload, workloads  # noqa: E402
from wingbeat.assemble import assemble  # noqa: E402
from wingbeat.blobs import blobs_of  # noqa: E402
from wingbeat.errors import TargetError, WingbeatError  # noqa: E402
from wingbeat.files import write_atomic  # noqa: E402
from wingbeat.mpy import Mpy  # noqa: E402
from wingbeat.runner import Run, run_module  # noqa: E402
from wingbeat.targets import Target, open_target  # noqa: E402

BASELINE = FOLDER / "baseline.json"
TOLERANCE = 0.02
WIDTH = 150

Figures: TypeAlias = dict[str, float]
"""Figures of one model by name. Less is better, for all of them."""

WHERE = """\
cycles            emulated Cortex-M0+ (rp2040js, code and data in SRAM): the kernels alone
cycles/node       the same: cycles of the forest's kernel, for each decision node visited
instructions      emulated Cortex-M0 (QEMU) with MicroPython: one run(), without an empty call
bytes             the .mpy for armv6m: machine code of core and kernels, program, whole file
heap              taken by import and by Model(): m0 is emulated (QEMU), with the file in ROMFS;
                  unix is MicroPython on this computer, with its own .mpy for x64"""


@dataclass(frozen=True)
class Column:
    """One figure.

    Attributes
    ----------
    name : str
        Key in the baseline.
    title : str
    decimals : int
    """

    name: str
    title: str
    decimals: int = 0


COLUMNS = (
    Column("cycles", "cycles"),
    Column("cycles_per_node", "cycles/\nnode", 2),
    Column("instructions_m0", "instruc-\ntions"),
    Column("core_bytes", "core\nbytes"),
    Column("kernel_bytes", "kernel\nbytes"),
    Column("program_bytes", "program\nbytes"),
    Column("file_bytes", "file\nbytes"),
    Column("heap_import_m0", "import\nheap, m0"),
    Column("heap_model_m0", "Model()\nheap, m0"),
    Column("heap_import_unix", "import\nheap, unix"),
    Column("heap_model_unix", "Model()\nheap, unix"),
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


def measure(core: BareCore, boards: list[Target], workload: Workload) -> Figures:
    """Take all figures of one model.

    Raises
    ------
    TargetError
        A kernel or a target gave other bits than the reference.
    """
    program = workload.program
    steps = run_program(core, program, workload.x)
    module = assemble(program, ARCH)
    figures: Figures = {
        "cycles": float(sum(step.cycles.mean() for step in steps)),
        "core_bytes": len(Mpy.decode(blobs_of(ARCH).core()).text),
        "kernel_bytes": sum(module.kernel_sizes.values()),
        "program_bytes": len(program.encode()),
        "file_bytes": len(module.data),
    }
    visits = sum(step.visits for step in steps if step.visits is not None)
    if visits:
        walking = sum(step.cycles.mean() for step in steps if step.visits is not None)
        figures["cycles_per_node"] = float(walking / visits)
    for board in boards:
        run = _run(board, workload)
        figures[f"heap_import_{board.name}"] = run.heap_import
        figures[f"heap_model_{board.name}"] = run.heap_model
        if run.ticks is not None:
            figures[f"{run.unit}_{board.name}"] = run.ticks
    return {name: round(value, 2) for name, value in figures.items()}


def _run(board: Target, workload: Workload) -> Run:
    x = workload.x[:MOST_ROWS]
    run = run_module(board, assemble(workload.program, board.arch), x)
    if not np.array_equal(run.outputs, workload.program.run(x)):
        raise TargetError(f"{workload.title}: {board.name} differs from the reference")
    return run


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
    table = Table(title="What models cost", caption=WHERE, caption_justify="left")
    table.add_column("model", no_wrap=True)
    for column in COLUMNS:
        table.add_column(column.title, justify="right")
    for title, figures in changes.items():
        table.add_row(title, *(_cell(figures.get(column.name), column) for column in COLUMNS))
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
    if options.update:
        write_atomic(BASELINE, (json.dumps(measured, indent=1, sort_keys=True) + "\n").encode())
        console.print(f"wrote {BASELINE.name}")
        return 0
    lost = [title for title in baseline if title not in measured and options.only in title]
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
    boards = [open_target("m0"), open_target("unix")]
    with BareCore() as core:
        for workload in workloads():
            if only in workload.title:
                with console.status(workload.title):
                    measured[workload.title] = measure(core, boards, workload)
    return measured


if __name__ == "__main__":
    sys.exit(main())
