"""From recordings of a wrist to one .mpy that tells seven shoulder exercises apart.

make demo, or: python examples/exercises/demo.py [--out FOLDER]
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from seglearn.datasets import load_watch
from sklearn.model_selection import GroupKFold

from wingbeat import Module
from wingbeat.errors import WingbeatError
from wingbeat.evaluate import ClassReport, evaluate_classes
from wingbeat.files import write_atomic
from wingbeat.plots import confusion_matrix
from wingbeat.recordings import Recording, Recordings
from wingbeat.reference import WindowStats
from wingbeat.reference.window_stats import STATISTICS
from wingbeat.runner import run_module
from wingbeat.targets import open_target
from wingbeat.train import ForestOptions, Trained, cut_int16, fit_forest, train_recordings
from wingbeat.windows import Windows, split_by_group

RATE = 50
WINDOW, HOP = 2 * RATE, RATE
TEST_FRACTION, SEED = 0.3, 1
INNER_FOLDS = 3
CHOICES = [
    ForestOptions(trees=10, max_depth=depth, min_samples_leaf=leaf)
    for depth in (6, 8, 10)
    for leaf in (16, 4, 1)
]

# An MPU-6050 set to +-16 g and +-2000 degrees/s: real units per step.
G_PER_STEP = 1 / 2048
RADIANS_PER_STEP = math.radians(1 / 16.4)
SCALE = [G_PER_STEP] * 3 + [RADIANS_PER_STEP] * 3

MAIN = """\
from array import array
import exercises

model = exercises.Model()
window = array("h", bytes(2 * 600))  # 100 times ax ay az wx wy wz, 50 times a second

# On a board, fill the window from the sensor here. This one was recorded.
with open("window.bin", "rb") as file:
    file.readinto(window)

print(model.labels[model.predict(window)])
"""

console = Console(highlight=False)


def load() -> Recordings:
    """140 recordings of a smartwatch: 10 people, both arms, 7 exercises.

    The data are in g and rad/s: lengths of the acceleration scatter about 1, and rotations reach 29
    (1660 degrees/s; as degrees/s, a full turn of the wrist would take 12 s at its fastest).
    """
    data = load_watch()
    labels = tuple(str(name) for name in data["y_labels"])
    items = tuple(
        Recording(samples, labels[int(y)], f"person {int(person):02d}", f"series {number}")
        for number, (samples, y, person) in enumerate(
            zip(data["X"], data["y"], data["subject"], strict=True)
        )
    )
    return Recordings(items, tuple(data["X_labels"]), float(RATE), labels)


def check_units(recordings: Recordings) -> None:
    samples = np.concatenate([item.data for item in recordings.items])
    gravity = float(np.median(np.linalg.norm(samples[:, :3], axis=1)))
    fastest = float(np.abs(samples[:, 3:]).max())
    console.print(
        f"  recorded in g (median length {gravity:.2f}) and rad/s (fastest {fastest:.0f})\n"
        "  now int16 as an MPU-6050 gives: 2048 steps per g, 16.4 per degree/s"
    )
    if not 0.9 < gravity < 1.2:
        raise SystemExit("expected accelerations in g: has the data set changed?")


def choose(
    x: NDArray[Any],
    y: NDArray[Any],
    people: NDArray[Any],
    tried: Callable[[], None] = lambda: None,
) -> ForestOptions:
    """The best of CHOICES, on people that each forest was not trained on; the first of equals."""
    folds = list(GroupKFold(INNER_FOLDS).split(x, y, people))

    def right(options: ForestOptions) -> int:
        forests = [fit_forest(x[a], y[a], options=options, seed=SEED) for a, _ in folds]
        tried()
        return sum(
            int(np.sum(forest.predict(x[b]) == y[b]))
            for forest, (_, b) in zip(forests, folds, strict=True)
        )

    return max(CHOICES, key=right)


def cross_validate(windows: Windows, x: NDArray[Any], progress: Progress) -> ClassReport:
    """Each person in turn is left out, of the choice of options too."""
    n_people = len(np.unique(windows.groups))
    predicted = np.zeros_like(windows.y)
    task = progress.add_task("leaving out each person in turn", total=n_people)
    for train, test in GroupKFold(n_people).split(x, windows.y, windows.groups):
        options = choose(x[train], windows.y[train], windows.groups[train])
        estimator = fit_forest(x[train], windows.y[train], options=options, seed=SEED)
        predicted[test] = estimator.predict(x[test])
        progress.advance(task)
    return evaluate_classes(windows.y, predicted, windows.labels, windows.groups)


def check_board(trained: Trained, module: Module, progress: Progress) -> bool:
    """Run every test window on MicroPython, twice, and compare with the laptop."""
    program, x = trained.program, trained.test_x
    task = progress.add_task("running every test window on MicroPython", total=2 * len(x))
    with open_target("unix") as target:
        classes = run_module(
            target, module, x, predict=True, progress=lambda n: progress.update(task, completed=n)
        )
        votes = run_module(
            target, module, x, progress=lambda n: progress.update(task, completed=len(x) + n)
        )
    features = window_statistics().run(x).astype(np.float32)
    identical = (classes.outputs == program.predict(x)) & np.all(
        votes.outputs == program.run(x), axis=1
    )
    like_sklearn = classes.outputs == trained.estimator.predict(features)
    console.print(
        f"  [bold]identical: {identical.sum()}/{len(x)}[/bold] (board against laptop, class and"
        " votes)\n"
        f"  same class as scikit-learn: {like_sklearn.sum()}/{len(x)}\n"
        f"  accuracy on the board: {np.mean(classes.outputs == trained.test_y):.3f}\n"
        f"  heap: import {votes.heap_import} bytes, Model() {votes.heap_model} bytes, "
        "predict() and run() none"
    )
    return bool(identical.all() and like_sklearn.all())


def show_sizes(modules: list[Module]) -> None:
    table = Table("bytes of exercises.mpy")
    for module in modules:
        table.add_column(module.arch, justify="right")
    rows = {"core": [module.core_size for module in modules]}
    for name in modules[0].kernel_sizes:
        rows[f"kernel {name}"] = [module.kernel_sizes[name] for module in modules]
    rows["program"] = [module.program_size for module in modules]
    rows["constants (labels, texts)"] = [module.constants_size for module in modules]
    for part, sizes in rows.items():
        table.add_row(part, *map(str, sizes))
    table.add_section()
    table.add_row("file", *(str(len(module.data)) for module in modules))
    console.print(table)


def write_files(out: Path, trained: Trained, x64: Module, pico: Module, row: int) -> None:
    (out / "pico").mkdir(parents=True, exist_ok=True)
    x64.save(out / "exercises.mpy")
    pico.save(out / "pico" / "exercises.mpy")
    trained.program.save(out / "exercises.wbp")
    write_atomic(out / "main.py", MAIN.encode())
    write_atomic(out / "window.bin", trained.test_x[row].tobytes())
    assert isinstance(trained.report, ClassReport)
    confusion_matrix(trained.report, out / "confusion.png", "Exercises of people not trained on")


def run_main(out: Path) -> str:
    """What main.py prints on MicroPython, from the files as they were written."""
    names = ("exercises.mpy", "window.bin")
    files = {name: (out / name).read_bytes() for name in names}
    with open_target("unix") as target:
        return target.execute((out / "main.py").read_text(), files).stdout.strip()


def window_statistics() -> WindowStats:
    return WindowStats(WINDOW, len(SCALE), STATISTICS)


def demo(out: Path) -> bool:
    console.rule("1. recordings", align="left")
    recordings = load()
    check_units(recordings)
    windows, clipped = cut_int16(recordings, WINDOW, HOP, SCALE)
    people = np.unique(windows.groups)
    console.print(
        f"  {len(recordings.items)} recordings at {RATE} Hz: {len(recordings.channels)} channels, "
        f"{len(people)} people, {len(recordings.labels)} exercises\n"
        f"  ({' '.join(recordings.labels)})\n"
        f"  {len(windows.x)} windows of {WINDOW} samples, one every {HOP}; "
        f"{clipped} samples clipped"
    )

    console.rule("2. training", align="left")
    x = window_statistics().run(windows.x)
    train, test = split_by_group(windows.groups, windows.y, test_fraction=TEST_FRACTION, seed=SEED)
    with progress_bars() as progress:
        task = progress.add_task("choosing options", total=len(CHOICES))
        options = choose(
            x[train], windows.y[train], windows.groups[train], lambda: progress.advance(task)
        )
    trained = train_recordings(
        recordings,
        name="exercises",
        window=WINDOW,
        hop=HOP,
        scale=SCALE,
        options=options,
        test_fraction=TEST_FRACTION,
        seed=SEED,
    )
    report, program = trained.report, trained.program
    assert isinstance(report, ClassReport)
    if set(report.groups) != set(windows.groups[test]):
        raise SystemExit("the options were not chosen on the people that were trained on")
    console.print(
        f"  statistics of each channel, computed on the board:\n"
        f"  {' '.join(STATISTICS)}\n"
        f"  random forest: {options.trees} trees, depth {options.max_depth}, at least "
        f"{options.min_samples_leaf} windows in a leaf\n"
        f"  (best of {len(CHOICES)} by cross-validation among the people trained on)\n"
        f"  trained on {trained.train_rows} windows of {len(people) - len(report.groups)} people\n"
        f"  tested on {report.n} windows of {', '.join(report.groups)}"
    )
    low, high = report.interval
    console.print(
        f"  [bold]accuracy on these unseen people: {report.accuracy:.3f}[/bold]\n"
        f"  (95 %: {low:.3f} to {high:.3f}, {report.interval_method})"
    )
    recalls = report.table()
    recalls.caption = None
    console.print(recalls)
    with progress_bars() as progress:
        overall = cross_validate(windows, x, progress)
    low, high = overall.interval
    console.print(
        f"  {len(report.groups)} people are few. Each of the {len(people)} left out in turn, "
        "choice of options included:\n"
        f"  [bold]accuracy on unseen people: {overall.accuracy:.3f}[/bold]\n"
        f"  (95 %: {low:.3f} to {high:.3f}, {overall.interval_method})\n"
        f"  mean over people {overall.group_accuracy.mean():.3f}, from "
        f"{overall.group_accuracy.min():.3f} to {overall.group_accuracy.max():.3f}"
    )

    console.rule("3. one file", align="left")
    x64, pico = program.assemble("x64"), program.assemble("armv6m")
    show_sizes([x64, pico])

    console.rule("4. MicroPython against the laptop", align="left")
    with progress_bars() as progress:
        good = check_board(trained, x64, progress)

    console.rule("5. yours", align="left")
    answers = program.predict(trained.test_x)
    row = int(np.flatnonzero(answers == trained.test_y)[0])
    write_files(out, trained, x64, pico, row)
    printed, wanted = run_main(out), program.labels[int(answers[row])]
    for name, what in (
        ("exercises.mpy", "for MicroPython on this computer (x64)"),
        ("pico/exercises.mpy", "the same for a Raspberry Pi Pico (armv6m)"),
        ("exercises.wbp", "the program, for every board"),
        ("main.py", f"uses it; on MicroPython it just printed [bold]{printed}[/bold]"),
        ("window.bin", f"a recorded window of {wanted}, by {person_of(trained, row)}"),
        ("confusion.png", "what was taken for what"),
    ):
        console.print(f"  {shown(out / name)}: {what}", soft_wrap=True)
    console.print(
        "  to a Pico with MicroPython: mpremote cp "
        + " ".join(shown(out / name) for name in ("pico/exercises.mpy", "main.py", "window.bin"))
        + " :",
        soft_wrap=True,
    )
    return good and printed == wanted


def progress_bars() -> Progress:
    return Progress(
        TextColumn("  {task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def person_of(trained: Trained, row: int) -> str:
    assert trained.test_groups is not None
    return str(trained.test_groups[row])


def shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def main() -> int:
    parser = argparse.ArgumentParser(description="Train, convert and check a model of exercises.")
    folder = Path(__file__).resolve().parents[2] / "build" / "demo"
    parser.add_argument("--out", type=Path, default=folder, help="folder for the results")
    out = parser.parse_args().out.resolve()
    try:
        good = demo(out)
    except (WingbeatError, OSError) as error:
        console.print(f"[red]{type(error).__name__}[/red]: {error}", soft_wrap=True)
        return 1
    if not good:
        console.print("[red]The board and the laptop do not agree: see above.[/red]")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
