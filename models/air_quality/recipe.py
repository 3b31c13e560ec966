"""Carbon monoxide in a street from five cheap gas sensors, temperature and humidity.

    python models/air_quality/recipe.py [AirQualityUCI.csv]

Takes UCI's file, its zip, or downloads it.
"""

from __future__ import annotations

import csv
import io
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from models.streams import StreamRecipe, data_file, download, main  # noqa: E402
from wingbeat import Program, convert  # noqa: E402
from wingbeat.golden import choose  # noqa: E402
from wingbeat.program import Decision, Descriptor, ProgramBuilder  # noqa: E402
from wingbeat.reference.matrix import matrix  # noqa: E402
from wingbeat.reference.window import Window  # noqa: E402
from wingbeat.stream import Stream  # noqa: E402

FILE = "AirQualityUCI.csv"
URL = "https://archive.ics.uci.edu/static/public/360/air+quality.zip"
SENSORS = ("PT08.S1(CO)", "PT08.S2(NMHC)", "PT08.S3(NOx)", "PT08.S4(NO2)", "PT08.S5(O3)")
COLUMNS = {**dict.fromkeys(SENSORS, 1.0), "T": 0.1, "RH": 0.1}
"""What is read, and the real units of a step of int16: the decimals of UCI's file."""

CHANNELS = len(COLUMNS) + 1
"""Those, and the pressure of water vapour."""

TRUTH = "CO(GT)"
HOURS = 9357
MISSING = -200
TRAIN_SHARE = 0.7
HISTORY = (1, 2, 4, 6)
"""Hours that a prediction may look at; one is chosen."""

CO_STEP = 0.001
"""mg/m3 of a step of the result."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Readings:
    """A year of hours.

    Attributes
    ----------
    x : NDArray[int16] [hours, 8]
        In the steps of `COLUMNS`, and vapour pressure in 0.1 Pa; 0 where `complete` is False.
    y : NDArray[float64] [hours]
        mg/m3 of CO by the reference analyser; NaN where it has none.
    complete : NDArray[bool] [hours]
        No sensor is missing.
    """

    x: NDArray[np.int16]
    y: Floats
    complete: NDArray[np.bool_]


def read(path: Path) -> Readings:
    """The file as UCI has it (; and decimal commas), its zip, or one with commas and points.

    Numbers are rounded to the decimals of UCI's file.
    """
    content = path.read_bytes()
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = archive.read(FILE)
    text = content.decode()
    if ";" in text.partition("\n")[0]:
        text = text.replace(",", ".").replace(";", ",")
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["Date"]]
    if len(rows) != HOURS:
        raise SystemExit(f"{path}: expected {HOURS} hours of {FILE}, got {len(rows)}")
    table = np.array([[float(row[name]) for name in (*COLUMNS, TRUTH)] for row in rows])
    complete = np.all(table[:, :-1] != MISSING, axis=1)
    # A half goes up, as in UCI's file. The small number is for halves that float32 cut off.
    steps = np.floor(table[:, :-1] / list(COLUMNS.values()) + 0.5 + 1e-6)
    steps = np.column_stack([steps, vapour(steps[:, -2] / 10, steps[:, -1] / 10)])
    x = np.where(complete[:, np.newaxis], steps, 0).astype(np.int16)
    return Readings(x, np.where(table[:, -1] == MISSING, np.nan, table[:, -1]), complete)


def vapour(temperature: Floats, humidity: Floats) -> Floats:
    """Pressure of water vapour in 0.1 Pa, from degrees Celsius and percent, by Magnus' formula.

    The data set's AH is the same within about 1 %. A board can compute this.
    """
    return np.rint(humidity * 61.12 * np.exp(17.62 * temperature / (243.12 + temperature)))


@cache
def data() -> Readings:
    """The readings, of a file that is there already or of UCI's."""
    return read(data_file(FILE) or download(URL, FILE))


def stretches(readings: Readings) -> list[slice]:
    """Hours without a gap."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], readings.complete, [0]])))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def windows(readings: Readings, hours: int) -> tuple[NDArray[np.int16], Floats, NDArray[np.int64]]:
    """Flat windows of the last hours, the CO of the last one, and its number."""
    ends = [
        end
        for piece in stretches(readings)
        for end in range(piece.start + hours - 1, piece.stop)
        if np.isfinite(readings.y[end])
    ]
    x = np.stack([readings.x[end - hours + 1 : end + 1].ravel() for end in ends])
    return x, readings.y[ends], np.array(ends)


def boundary(readings: Readings) -> int:
    """The hour from which on all is for the test."""
    known = np.flatnonzero(readings.complete & np.isfinite(readings.y))
    return int(known[int(TRAIN_SHARE * len(known))])


def score(wanted: Floats, found: Floats) -> tuple[float, float]:
    """R2 and mean absolute error."""
    rest = np.square(wanted - found).sum() / np.square(wanted - wanted.mean()).sum()
    return float(1 - rest), float(np.abs(wanted - found).mean())


def choose_hours(readings: Readings) -> tuple[int, dict[int, float]]:
    """The history with the best R2 on later weeks of the months that are trained on."""
    end, found = boundary(readings), {}
    for hours in HISTORY:
        x, y, at = windows(readings, hours)
        scores = []
        for share in (0.4, 0.6, 0.8):
            train, test = at < share * end, (at >= share * end) & (at < (share + 0.2) * end)
            model = LinearRegression().fit(x[train], y[train])
            scores.append(score(y[test], model.predict(x[test]))[0])
        found[hours] = float(np.mean(scores))
    return max(found, key=lambda hours: found[hours]), found


def program_of(model: LinearRegression, hours: int) -> Program:
    """A window over the hours, and one row of weights."""
    builder = ProgramBuilder(Descriptor("h", (1, CHANNELS)))
    window = builder.add(Window(hours, 1, 1, CHANNELS), 0)
    weights = matrix(model.coef_.reshape(1, -1), [model.intercept_], scale=1 / CO_STEP)
    value = builder.add(weights, window)
    return builder.finish(
        "air_quality", value, Decision.VALUE, scale=CO_STEP, meta={"rate": 1 / 3600}
    )


def predictions(program: Program, readings: Readings) -> Floats:
    """CO [hours] as a board that is reset after each gap tells it; NaN before it can."""
    found = np.full(len(readings.y), np.nan)
    for piece in stretches(readings):
        results = Stream(program).results(readings.x[piece])
        found[piece.start + results.ends - 1] = results.decisions * program.output.scale
    return found


def tested(program: Program, readings: Readings) -> tuple[Floats, Floats]:
    """The true CO of the hours of the test, and the program's."""
    found = predictions(program, readings)
    known = np.isfinite(found) & np.isfinite(readings.y)
    known &= np.arange(len(found)) >= boundary(readings)
    return readings.y[known], found[known]


def _others(x: NDArray[Any], y: Floats, train: NDArray[np.bool_]) -> dict[str, Any]:
    """What else was tried on the same windows."""
    test = ~train
    perceptron = make_pipeline(
        StandardScaler(),
        MLPRegressor(hidden_layer_sizes=(8,), alpha=10, max_iter=300, random_state=1),
    ).fit(x[train], y[train])
    trees = ExtraTreesRegressor(20, min_samples_leaf=5, random_state=1).fit(x[train], y[train])
    facts: dict[str, Any] = {}
    makers: dict[str, Callable[[], Program]] = {
        "perceptron": lambda: convert(perceptron, rows=x[train].astype(np.float32)),
        "trees": lambda: convert(trees, dtype="int16"),
    }
    for name, make in makers.items():
        program = make()
        rows = x[test].astype(program.input.dtype)
        r2, error = score(y[test], program.output.dequantize(program.run(rows)).ravel())
        size = len(program.encode())
        facts |= {f"{name}_r2": r2, f"{name}_error": error, f"{name}_bytes": size}
    return facts


def make() -> Program:
    """Train and test."""
    readings = data()
    hours, tried = choose_hours(readings)
    end = boundary(readings)
    x, y, at = windows(readings, hours)
    train = at < end
    model = LinearRegression().fit(x[train], y[train])
    program = program_of(model, hours)
    wanted, found = tested(program, readings)
    r2, error = score(wanted, found)
    float_r2, float_error = score(y[~train], model.predict(x[~train]))
    now, y_now, at_now = windows(readings, 1)
    before = at_now < end
    alone = LinearRegression().fit(now[before], y_now[before])
    now_r2, now_error = score(y_now[~before], alone.predict(now[~before]))
    figures = {
        "hours": hours,
        "train_rows": int(train.sum()),
        "test_rows": len(wanted),
        "r2": r2,
        "error": error,
        "mean_co": float(wanted.mean()),
        "float_r2": float_r2,
        "float_error": float_error,
        "now_r2": now_r2,
        "now_error": now_error,
        "history": ", ".join(f"{n} h {share:.3f}" for n, share in tried.items()),
        **_others(x, y, train),
    }
    program = replace(program, meta={**program.meta, "figures": figures})
    return replace(program, golden=choose(program, piece()[:, np.newaxis]))


def piece() -> NDArray[np.int16]:
    """The longest stretch of the hours that are tested on."""
    readings = data()
    tested_on = [each for each in stretches(readings) if each.start >= boundary(readings)]
    return readings.x[max(tested_on, key=lambda each: each.stop - each.start)]


RECIPE = StreamRecipe("air_quality", make, piece, (FILE,))

if __name__ == "__main__":
    main(RECIPE)
