"""The models that are measured, and the rows that they are measured on. All of it is fixed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from scipy.io import wavfile
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.model_selection import train_test_split

from wingbeat.convert import TYPECODES, convert
from wingbeat.net.convert import convert_tflite
from wingbeat.pipeline import Pipeline, load_pipeline
from wingbeat.prefer import small_form
from wingbeat.program import Decision, Descriptor, Program, ProgramBuilder
from wingbeat.recordings import Recording, Recordings, to_int16
from wingbeat.reference import DTYPES, Cast, Operator, Probability, Shift
from wingbeat.reference.band_energies import log_band_energies, mel_bands
from wingbeat.reference.biquads import biquads
from wingbeat.reference.conv import conv2d
from wingbeat.reference.depthwise import depthwise2d
from wingbeat.reference.power_spectrum import power_spectrum
from wingbeat.stream import pace_of
from wingbeat.train import train_recordings
from wingbeat.train_pipeline import train_pipeline

MOST_ROWS = 100
"""Rows that are enough for a mean; the digits forest has all of its test rows."""

NET_ROWS = 2
"""Rows of a net, which takes as long for one as for another, but for a few clamped values."""

SIGNAL_ROWS = 5

HOPS = 2
"""Hops of a stream that are measured, behind its first result."""

NETS = Path(__file__).resolve().parents[1] / "tests" / "data" / "nets"

_WINDOW, _HOP = 128, 64
_ACCELERATION, _TURN = 16 / 32768, 2000 / 32768 * np.pi / 180  # a sensor of 16 g and 2000 deg/s
_WRIST_SCALE = (_ACCELERATION,) * 3 + (_TURN,) * 3


@dataclass(frozen=True, eq=False)
class Workload:
    """A program and its rows.

    Attributes
    ----------
    title : str
    program : Program
    x : array [rows, *input.shape]
    """

    title: str
    program: Program
    x: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Digits:
    """The digits forest that `peers` were measured with: 10 trees, depth 8, raw pixels of 0 to 16.

    Attributes
    ----------
    estimator : RandomForestClassifier
    train_x, test_x : array [rows, 64] of float64
    train_y, test_y : array [rows]
    """

    estimator: Any
    train_x: NDArray[np.float64]
    test_x: NDArray[np.float64]
    train_y: NDArray[np.int64]
    test_y: NDArray[np.int64]

    def program(self, dtype: str) -> Program:
        """The forest for features of this dtype."""
        rows = self.train_x.astype(DTYPES[TYPECODES[dtype]])
        return convert(self.estimator, name="digits", dtype=dtype, rows=rows)

    def workload(self, dtype: str) -> Workload:
        """The forest for features of this dtype, with all test rows."""
        x = self.test_x.astype(DTYPES[TYPECODES[dtype]])
        return Workload(f"digits forest, {dtype}", self.program(dtype), x)


@cache
def digits() -> Digits:
    """Train the digits forest."""
    x, y = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        x, y, test_size=0.3, random_state=1, stratify=y
    )
    estimator = RandomForestClassifier(10, max_depth=8, random_state=1).fit(train_x, train_y)
    return Digits(estimator, train_x, test_x, train_y, test_y)


def workloads() -> list[Workload]:
    """All of them, in the order of the table."""
    return [
        *(digits().workload(dtype) for dtype in ("uint8", "int8", "int16", "float32")),
        _exercises(),
        _boosting(),
        _regression(),
        *_operators(),
        *_signals(),
        *_streams(),
        *_nets(),
        *_layers(),
    ]


@cache
def _wrist() -> Recordings:
    """Raw steps of an accelerometer and a gyroscope, with exercises."""
    from seglearn.datasets import load_watch

    watch = load_watch()
    items = [
        Recording(data, watch["y_labels"][label], str(person), "seglearn watch")
        for data, label, person in zip(watch["X"], watch["y"], watch["subject"], strict=True)
    ]
    labels = tuple(str(label) for label in watch["y_labels"])
    return Recordings(tuple(items), tuple(watch["X_labels"]), 50.0, labels)


def _exercises() -> Workload:
    """Raw wrist windows to an exercise: statistics of 6 channels and a forest of 10 trees."""
    trained = train_recordings(
        _wrist(),
        name="exercises",
        window=_WINDOW,
        hop=_HOP,
        scale=_WRIST_SCALE,
    )
    rows = np.linspace(0, len(trained.test_x) - 1, MOST_ROWS).astype(int)
    return Workload("exercises, 128 x 6", trained.program, trained.test_x[rows])


def _boosting() -> Workload:
    x, y = load_breast_cancer(return_X_y=True)
    train_x, test_x, train_y, _ = train_test_split(x, y, test_size=0.3, random_state=1, stratify=y)
    estimator = HistGradientBoostingClassifier(max_iter=20, max_depth=4, random_state=1)
    program = convert(estimator.fit(train_x, train_y), name="boosting", dtype="float32")
    return Workload("breast cancer, boosting", program, test_x[:MOST_ROWS].astype(np.float32))


def _regression() -> Workload:
    x, y = load_diabetes(return_X_y=True)
    train_x, test_x, train_y, _ = train_test_split(x, y, test_size=0.3, random_state=1)
    estimator = RandomForestRegressor(10, max_depth=8, random_state=1).fit(train_x, train_y)
    program = convert(estimator, name="diabetes", dtype="float32")
    return Workload("diabetes, regression", program, test_x[:MOST_ROWS].astype(np.float32))


def _operators() -> list[Workload]:
    rng = np.random.default_rng(1)
    scores = rng.normal(0, 2, (MOST_ROWS, 10)) * 2**16
    sums = rng.integers(0, 2**20, (MOST_ROWS, 10), np.int32)
    pixels = rng.integers(0, 256, (MOST_ROWS, 64), np.uint8)
    return [
        single("probability, 10 classes", Probability(10, 16), scores.astype(np.int32)),
        single("shift, 10 to uint16", Shift(10, 4, "H"), sums),
        single("cast, 64 of uint8", Cast(64, "B"), pixels),
    ]


def _signals() -> list[Workload]:
    """The operators that issue most of the work of a stream, alone."""
    rng = np.random.default_rng(512)
    noise = rng.normal(0, 3000, (SIGNAL_ROWS, 512)).astype(np.int16)
    spectrum = power_spectrum(512)
    builder = ProgramBuilder(Descriptor("h", (512,)))
    power = builder.add(spectrum, 0)
    bands = builder.add(log_band_energies(mel_bands(16000, 512, 40)), power, power + 1)
    log_mel = builder.finish("log_mel", bands, Decision.NONE)
    section = biquads(signal.butter(2, 0.2, output="sos"), 500, keep=False)
    return [
        single("FFT and power, 512 points", spectrum, noise),
        Workload("log-mel, 512 points, 40 bands", log_mel, noise),
        single("biquad, 500 samples", section, noise[:, :500]),
    ]


def _streams() -> list[Workload]:
    """Presets in streaming use, from the first sample to two hops behind the first result."""
    motion = replace(load_pipeline("motion"), scale=_WRIST_SCALE)
    return [
        _stream("motion stream, 6 channels", "motion", motion, _wrist()),
        _stream("audio stream, preset", "audio", load_pipeline("audio"), _tones()),
        _spoken_digits(),
    ]


def _stream(title: str, name: str, pipeline: Pipeline, recordings: Recordings) -> Workload:
    program = train_pipeline(recordings, pipeline, name=name).program
    pace = pace_of(program)
    n_rows = int((pace.window + HOPS * pace.hop) // pace.samples)
    steps = to_int16(recordings.items[0].data, pipeline.scale)
    x = steps[: n_rows * pace.samples].reshape(n_rows, *program.input.shape)
    return Workload(title, program, x)


def _spoken_digits() -> Workload:
    """The program of models/, on digits of several speakers one after the other."""
    root = NETS.parents[2]
    program = Program.load(root / "models" / "spoken_digits" / "spoken_digits.wbp")
    files = sorted((root / "tests" / "data" / "speech").glob("*.wav"))
    sounds = np.concatenate([wavfile.read(file)[1] for file in files]).astype(np.int16)
    pace = pace_of(program)
    n_rows = int((pace.window + HOPS * pace.hop) // pace.samples)
    x = sounds[: n_rows * pace.samples].reshape(n_rows, *program.input.shape)
    return Workload("spoken digits stream", program, x)


def _tones() -> Recordings:
    """Sounds of two kinds at 16,000 samples a second, which are enough for a forest's cost."""
    rng = np.random.default_rng(16)
    time = np.arange(24000) / 16000
    items = []
    for number in range(24):
        label = ("low", "high")[number % 2]
        hertz = rng.uniform(200, 900) if label == "low" else rng.uniform(800, 3000)
        wave = 3000 * np.sin(2 * np.pi * hertz * time) + rng.normal(0, 2000, len(time))
        data = np.rint(wave).astype(np.int16)[:, np.newaxis]
        items.append(Recording(data, label, f"device {number % 4}", f"{number}"))
    return Recordings(tuple(items), ("sound",), 16000.0, ("high", "low"))


def _nets() -> list[Workload]:
    """Nets of mlcommons/tiny, tflite-micro and one of digits, on random inputs."""
    return [
        _net("KWS, 2.66 M MAC", "kws"),
        _net("KWS, --prefer size", "kws", small=True),
        _net("AD, 264 k MAC", "ad"),
        _net("micro_speech, 336 k MAC", "micro_speech"),
        _net("MNIST, 52 k MAC", "mnist"),
    ]


def _net(title: str, name: str, *, small: bool = False) -> Workload:
    program = convert_tflite(NETS / f"{name}.tflite")
    choice = small_form(program) if small else None
    if choice is not None:
        program = choice.program
    return Workload(title, program, _random(program.input.n_elements, program.input.shape))


def _random(n: int, shape: tuple[int, ...]) -> NDArray[np.int8]:
    values = np.random.default_rng(n).integers(-128, 128, (NET_ROWS, n))
    return values.astype(np.int8).reshape(NET_ROWS, *shape)


def _layers() -> list[Workload]:
    """The layers that issue most of the products of a keyword net, alone."""
    rng = np.random.default_rng(64)
    numbers: dict[str, Any] = {
        "bias": rng.integers(-2000, 2000, 64),
        "factors": 2.0 ** rng.uniform(-9, -8, 64),
        "input_zero_point": -128,
        "output_zero_point": -128,
    }
    shape = (25, 5, 64)
    pointwise = rng.normal(0, 30, (64, 1, 1, 64)).clip(-127, 127).astype(np.int8)
    taps = rng.normal(0, 50, (3, 3, 64)).clip(-127, 127).astype(np.int8)
    operators: dict[str, Operator] = {
        "1 x 1, 64 to 64, 25 x 5": conv2d(pointwise, shape=shape, **numbers),
        "depthwise 3 x 3, 64, 25 x 5": depthwise2d(
            taps, shape=shape, padding=((1, 1), (1, 1)), **numbers
        ),
    }
    n = int(np.prod(shape))
    return [single(title, operator, _random(n, (n,))) for title, operator in operators.items()]


def single(title: str, operator: Operator, x: NDArray[Any]) -> Workload:
    """A program of one operator, and rows for it."""
    ((typecode, n_elements),) = operator.inputs
    builder = ProgramBuilder(Descriptor(typecode, (n_elements,)))
    output = builder.add(operator, 0)
    return Workload(title, builder.finish(operator.KERNEL, output, Decision.NONE), x)
