"""Pipelines: from raw samples to a decision, as a file says it in the field's words.

    rate = 8000

    [[stage]]
    kind = "window"
    length = 256
    hop = 160

    [[stage]]
    kind = "log_mel"
    bands = 24

    [model]
    kind = "forest"
    trees = 20

A stage takes what the one in front of it gives: frames of samples [length, channels]. `STAGES` has
the kinds with their parameters. `load_pipeline` reads a file or one of the presets.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

from .errors import FormatError, UsageError, WingbeatError
from .program import Decision, Descriptor, Program, ProgramBuilder
from .reference import Operator
from .reference.band_energies import log_band_energies, mel_bands
from .reference.matrix import dct_weights, matrix
from .reference.power_spectrum import power_spectrum
from .reference.window import Window
from .reference.window_stats import STATISTICS, WindowStats

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MODELS = ("forest", "extra-trees", "tree", "boosting", "mlp", "net")


@dataclass(frozen=True)
class Shape:
    """What lies between two stages: int16 [length, width].

    Attributes
    ----------
    length : int
        Samples or frames.
    width : int
        Numbers of each: channels, or features.
    rate : float
        How many of these a second.
    sample_rate : float
        Of the pipeline's input.
    """

    length: int
    width: int
    rate: float
    sample_rate: float


Step = tuple[Operator, Shape]


@dataclass(frozen=True)
class WindowStage:
    """The last samples, every so often.

    Parameters
    ----------
    length, hop : int, optional
        Samples, or frames of the stage in front.
    seconds, hop_seconds : float, optional
        The same in seconds. `hop` defaults to half of the length.
    """

    length: int | None = None
    hop: int | None = None
    seconds: float | None = None
    hop_seconds: float | None = None

    KIND: ClassVar[str] = "window"

    def steps(self, before: Shape) -> list[Step]:
        """The operators, with what each gives."""
        length = _count(self.length, self.seconds, before.rate, "length", "seconds")
        if length is None:
            raise UsageError("expected a length, in samples, or seconds")
        hop = _count(self.hop, self.hop_seconds, before.rate, "hop", "hop_seconds")
        hop = max(1, length // 2) if hop is None else hop
        # In front of the first stage there is a stream, of which it may take what suits it.
        n_new = before.length or min(hop, length)
        if hop < n_new:
            raise UsageError(f"a hop of {hop}: the stage in front gives {n_new} at a time")
        operator = Window(length, n_new, hop, before.width)
        return [(operator, replace(before, length=length, rate=before.rate / hop))]


@dataclass(frozen=True)
class StatisticsStage:
    """Statistics of each channel over a window.

    Parameters
    ----------
    names : sequence of str
    """

    names: Sequence[str] = STATISTICS

    KIND: ClassVar[str] = "statistics"

    def steps(self, before: Shape) -> list[Step]:
        """The operators, with what each gives."""
        operator = WindowStats(before.length, before.width, tuple(self.names))
        return [(operator, replace(before, length=1, width=operator.outputs[0][1]))]


@dataclass(frozen=True)
class LogMelStage:
    """Logarithms of the energies in mel bands of a window.

    Parameters
    ----------
    bands : int
    f_min, f_max : float, optional
        Hz; up to half of the rate.
    window : str
        Window function.
    n_fft : int, optional
        Samples of the transform: a power of two, the window's length by default.
    floor : float
        The least logarithm to the base 2.
    """

    bands: int = 40
    f_min: float = 0.0
    f_max: float | None = None
    window: str = "hann"
    n_fft: int | None = None
    floor: float = 0.0

    KIND: ClassVar[str] = "log_mel"

    def steps(self, before: Shape) -> list[Step]:
        """The operators, with what each gives."""
        n = before.length if self.n_fft is None else self.n_fft
        if n != before.length:
            raise UsageError(f"n_fft is {n}, the window has {before.length} samples: make them one")
        spectrum = power_spectrum(n, before.width, self.window)
        mel = mel_bands(before.sample_rate, n, self.bands, self.f_min, self.f_max)
        energies = log_band_energies(mel, before.width, floor=self.floor)
        after = replace(before, length=1, width=self.bands * before.width)
        return [(spectrum, after), (energies, after)]


@dataclass(frozen=True)
class MfccStage(LogMelStage):
    """Mel-frequency cepstral coefficients of a window of one channel.

    Parameters
    ----------
    coefficients : int
        The first ones of the cosine transform of the logarithms.
    """

    coefficients: int = 13

    KIND: ClassVar[str] = "mfcc"

    def steps(self, before: Shape) -> list[Step]:
        """The operators, with what each gives."""
        if before.width != 1:
            raise UsageError(f"takes one channel, got {before.width}")
        after = replace(before, length=1, width=self.coefficients)
        return [*super().steps(before), (matrix(dct_weights(self.bands, self.coefficients)), after)]


Stage = WindowStage | StatisticsStage | LogMelStage | MfccStage

STAGES: Mapping[str, type[Any]] = {
    each.KIND: each for each in (WindowStage, StatisticsStage, LogMelStage, MfccStage)
}
"""Class of each kind of stage."""


@dataclass(frozen=True)
class ModelOptions:
    """What is trained on the features.

    Parameters
    ----------
    kind : {"forest", "extra-trees", "tree", "boosting", "mlp", "net"}
    trees, max_depth, min_samples_leaf : int
        Of trees.
    hidden : sequence of int
        Neurons of each layer of an mlp.
    net : str
        A name of `wingbeat.nets`, or FILE.py:FUNCTION, which takes keras and the shape of the
        features, and returns a model.
    epochs : int
        Of an mlp or a net.
    """

    kind: str = "forest"
    trees: int = 20
    max_depth: int | None = None
    min_samples_leaf: int = 1
    hidden: Sequence[int] = (32,)
    net: str = "small_cnn"
    epochs: int = 40

    def __post_init__(self) -> None:
        if self.kind not in MODELS:
            raise UsageError(f"no model {self.kind!r}: choose one of {', '.join(MODELS)}")


@dataclass(frozen=True)
class Pipeline:
    """Stages and a model.

    Attributes
    ----------
    name : str
        Of the preset or the file.
    rate : float
        Samples a second.
    channels : int or None
        As the recordings have by default.
    scale : float or sequence of float
        Real units of a step of int16, as `wingbeat.recordings.to_int16` takes them.
    pad : bool
        Recordings too short for a result are put between zeros.
    stages : tuple of stages
    model : ModelOptions
    """

    name: str
    rate: float
    stages: tuple[Stage, ...]
    model: ModelOptions
    channels: int | None = None
    scale: float | Sequence[float] = 1.0
    pad: bool = False

    def steps(self, n_channels: int) -> tuple[int, list[Step]]:
        """The samples of an input, and the operators of all stages in their order.

        Raises
        ------
        UsageError
            A stage does not fit what the one in front of it gives; the message names it.
        """
        if not self.stages or not isinstance(self.stages[0], WindowStage):
            raise UsageError(f"{self.name}: the first stage is a window; add one")
        shape = Shape(0, n_channels, self.rate, self.rate)
        steps: list[Step] = []
        for number, stage in enumerate(self.stages, 1):
            try:
                steps += stage.steps(shape)
            except WingbeatError as error:
                where = f"{self.name}, stage {number} ({stage.KIND})"
                raise UsageError(f"{where}: {error}") from error
            shape = steps[-1][1]
        ((_, n_elements),) = steps[0][0].inputs
        return n_elements // n_channels, steps

    def features(self, n_channels: int) -> tuple[Program, Shape]:
        """The stages as a program that gives features, and their shape.

        Raises
        ------
        UsageError
            See `steps`.
        """
        block, steps = self.steps(n_channels)
        builder, tensor = _start(block, n_channels, steps)
        return builder.finish("features", tensor, Decision.NONE), steps[-1][1]

    def feature_names(self, width: int) -> tuple[str, ...]:
        """Names of the numbers of a frame of features."""
        last = next((each for each in reversed(self.stages) if each.KIND != "window"), None)
        if isinstance(last, StatisticsStage):
            names = tuple(last.names)
            return tuple(
                f"{names[i % len(names)]} of channel {i // len(names)}" for i in range(width)
            )
        if isinstance(last, MfccStage):
            return tuple(f"coefficient {i}" for i in range(width))
        if isinstance(last, LogMelStage):
            return tuple(f"band {i}" for i in range(width))
        return tuple(f"channel {i}" for i in range(width))

    def program(self, model: Program, n_channels: int) -> Program:
        """The stages in front of a model, as one program.

        Parameters
        ----------
        model : Program
            Takes int16, as many as the stages give.
        """
        block, steps = self.steps(n_channels)
        builder, tensor = _start(block, n_channels, steps)
        return builder.finish_with(model, tensor)


def _start(block: int, n_channels: int, steps: list[Step]) -> tuple[ProgramBuilder, int]:
    builder = ProgramBuilder(Descriptor("h", (block, n_channels)))
    tensor = 0
    for operator, _ in steps:
        inputs = [tensor + i for i in range(len(operator.inputs))]
        tensor = builder.add(operator, *inputs)
    return builder, tensor


# ---- Reading


def presets() -> tuple[str, ...]:
    """Names that `load_pipeline` knows."""
    folder = files("wingbeat") / "presets"
    return tuple(sorted(each.name[:-5] for each in folder.iterdir() if each.name.endswith(".toml")))


def load_pipeline(source: Path | str) -> Pipeline:
    """Read a preset by its name, or a .toml file.

    Raises
    ------
    FormatError
        The file is not TOML, or something in it is unknown or missing; the message names it and
        the nearest that is known.
    UsageError
        There is no such preset or file, or a value is out of range.
    """
    text = str(source)
    if text in presets():
        content = (files("wingbeat") / "presets" / f"{text}.toml").read_text()
        return parse_pipeline(content, text)
    path = Path(source)
    if not path.exists():
        raise UsageError(
            f"no pipeline {text!r}: expected a .toml file, or one of {', '.join(presets())}"
        )
    try:
        return parse_pipeline(path.read_text(), path.name)
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not a text file: {error}") from error


def parse_pipeline(text: str, name: str) -> Pipeline:
    """The pipeline that a TOML text describes; see `load_pipeline`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"{name}: not TOML: {error}") from error
    known = {"rate", "channels", "scale", "pad", "stage", "model"}
    _check_keys(name, document, known)
    if "rate" not in document:
        raise FormatError(f"{name}: expected rate = SAMPLES A SECOND; add it")
    rate = document["rate"]
    if not isinstance(rate, int | float) or isinstance(rate, bool) or not rate > 0:
        raise FormatError(f"{name}: rate = {rate!r}: expected a number above 0")
    listed = document.get("stage", [])
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise FormatError(f"{name}: expected stages as [[stage]] tables")
    stages = tuple(_stage(f"{name}, stage {number}", each) for number, each in enumerate(listed, 1))
    model = document.get("model", {})
    options = _made(f"{name}, model", ModelOptions, model)
    others = {key: document[key] for key in ("channels", "scale", "pad") if key in document}
    return Pipeline(name, float(rate), stages, options, **others)


def _stage(where: str, table: Mapping[str, Any]) -> Stage:
    kind = str(table.get("kind", ""))
    if kind not in STAGES:
        near = difflib.get_close_matches(kind, STAGES, 1)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        raise FormatError(f"{where}: kind = {kind!r}: expected one of {', '.join(STAGES)}{guess}")
    given = {key: value for key, value in table.items() if key != "kind"}
    made: Stage = _made(where, STAGES[kind], given)
    return made


def _made(where: str, kind: type[Any], table: Any) -> Any:
    if not isinstance(table, dict):
        raise FormatError(f"{where}: expected a table, got {table!r}")
    _check_keys(where, table, {each.name for each in fields(kind)})
    try:
        return kind(**table)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _check_keys(where: str, table: Mapping[str, Any], known: set[str]) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            guess = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
            raise FormatError(f"{where}: {key!r} is unknown; {guess}")


def _count(
    samples: int | None, seconds: float | None, rate: float, name: str, other: str
) -> int | None:
    if samples is not None and seconds is not None:
        raise UsageError(f"{name} and {other}: give one of them")
    if seconds is not None:
        if not isinstance(seconds, int | float) or not seconds > 0:
            raise UsageError(f"{other} = {seconds!r}: expected a number above 0")
        return max(1, round(seconds * rate))
    if samples is not None and (not isinstance(samples, int) or samples < 1):
        raise UsageError(f"{name} = {samples!r}: expected a whole number above 0")
    return samples
