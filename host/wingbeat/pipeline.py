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

    [after]
    threshold = 0.7
    hold_off = 2.0

A stage takes what the one in front of it gives; `wingbeat.stages` has the kinds with their
parameters. `load_pipeline` reads a file or one of the presets.
"""

from __future__ import annotations

import difflib
import math
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from .after import with_detector, with_vote
from .augment import AugmentOptions
from .errors import FormatError, UsageError, WingbeatError
from .pictures import CAMERAS
from .program import Decision, Descriptor, Program, ProgramBuilder
from .reference.cast import Cast
from .reference.detector import MAX_SMOOTHING
from .reference.downscale import MAX_SIDE
from .reference.vote import MAX_VOTES
from .simulate import BACKGROUND
from .stages import PICTURE_STAGES, STAGES, JoinStage, Shape, Stage, WindowStage, as_features
from .train import ForestOptions, MlpOptions, Options, Split

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TREES = ("forest", "extra-trees", "tree", "boosting")
DISTANCES = ("mahalanobis", "centres")
MODELS = (*TREES, "mlp", "net", *DISTANCES)
INPUTS = ("stream", "rows", "image")
SPLITS = ("groups", "time")
MAX_HOLD_OFF = 65535
_THRESHOLD = 0.5
_LARGEST = 1e9  # of a number in a file


@dataclass(frozen=True)
class ModelOptions:
    """What is trained on the features.

    Parameters
    ----------
    kind : {"forest", "extra-trees", "tree", "boosting", "mlp", "net", "mahalanobis", "centres"}
        The last two learn what is normal, and tell it from all else.
    trees, max_depth, min_samples_leaf : int
        Of trees.
    hidden : sequence of int
        Neurons of each layer of an mlp.
    net : str
        A name of `wingbeat.nets`, or FILE.py:FUNCTION, which takes keras and the shape of the
        features, and returns a model.
    epochs : int
        Of an mlp or a net.
    normal : str
        For mahalanobis and centres: the class to learn. What other classes there are, is tested.
    share : float
        For them: the share of normal windows of new groups that is to count as normal.
    centres : int
        Of centres.
    """

    kind: str = "forest"
    trees: int = 20
    max_depth: int | None = None
    min_samples_leaf: int = 1
    hidden: Sequence[int] = (32,)
    net: str = "small_cnn"
    epochs: int = 40
    normal: str = "normal"
    share: float = 0.99
    centres: int = 8

    def __post_init__(self) -> None:
        if self.kind not in MODELS:
            raise UsageError(f"no model {self.kind!r}: choose one of {', '.join(MODELS)}")
        if self.kind in DISTANCES:
            if not 0 < self.share <= 1:
                raise UsageError(f"share = {self.share}: expected above 0 and up to 1")
            if not 1 <= self.centres <= 255:
                raise UsageError(f"centres = {self.centres}: expected 1 to 255")
        elif self.kind != "net":
            _ = self.options  # refuses what is out of range

    @property
    def options(self) -> Options:
        """As `wingbeat.train` takes them; of trees and an mlp."""
        if self.kind == "mlp":
            return MlpOptions(tuple(self.hidden), self.epochs)
        return ForestOptions(self.trees, self.max_depth, self.min_samples_leaf, kind=self.kind)


@dataclass(frozen=True)
class AfterOptions:
    """What becomes of the model's scores from result to result; see `wingbeat.after`.

    Parameters
    ----------
    threshold : float, optional
        A class starts at this score or more, 0 to 1; 0.5 by default. With `vote`, a result below it
        votes for none. Of a distance: in deviations, the model's own by default.
    release : float, optional
        And ends below this one; `threshold` by default.
    smoothing : float
        Seconds in which a smoothed score goes about two thirds of the way to a new one, rounded to
        a power of two of the time between results; 0 for none.
    hold_off : float
        Seconds after a start in which no other class starts.
    reject : str
        Label of the result where no class is on: one of the model's own, which then never starts,
        or one more.
    background : sequence of str, optional
        Further classes that never start. By default those whose names say so: background, silence,
        noise, unknown, ...
    vote : float
        Instead of a detector: the result is what most of the results of so many seconds say.
    """

    threshold: float | None = None
    release: float | None = None
    smoothing: float = 0.0
    hold_off: float = 0.0
    reject: str = "reject"
    background: Sequence[str] | None = None
    vote: float = 0.0

    def __post_init__(self) -> None:
        for name in ("smoothing", "hold_off", "vote"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} = {getattr(self, name)}: expected seconds, 0 or more")
        for name in ("threshold", "release"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise UsageError(f"{name} = {value}: expected 0 or more")
        of_detector = ("release", "smoothing", "hold_off", "background")
        wrong = [name for name in of_detector if getattr(self, name)]
        if self.vote and wrong:
            raise UsageError(f"{', '.join(wrong)}: not with vote; leave out one or the other")

    def behind(self, program: Program, per_second: float) -> Program:
        """The program with the detector, or the vote, behind it.

        Parameters
        ----------
        per_second : float
            Results a second.

        Raises
        ------
        UsageError
            The program has no such class, or a number is out of range.
        """
        if "anomaly" in program.meta:
            return self._alarm(program, per_second)
        for name in ("threshold", "release"):
            value = getattr(self, name)
            if value is not None and value > 1:
                raise UsageError(f"{name} = {value}: expected 0 to 1")
        if self.vote:
            return self._vote(program, per_second)
        background = self.background
        if background is None:
            known = [label for label in program.labels if label.casefold() in BACKGROUND]
            background = [label for label in known if label != self.reject]
        threshold = _THRESHOLD if self.threshold is None else self.threshold
        return self._detector(program, per_second, threshold, self.reject, background)

    def _alarm(self, program: Program, per_second: float) -> Program:
        """Behind a distance, of which `threshold` is one."""
        if self.vote or self.background:
            raise UsageError("vote, background: not behind a distance; leave them out")
        known = program.meta["anomaly"]["threshold"]
        threshold = known if self.threshold is None else self.threshold
        return self._detector(program, per_second, threshold, program.labels[0], ())

    def _detector(
        self,
        program: Program,
        per_second: float,
        threshold: float,
        reject: str,
        background: Sequence[str],
    ) -> Program:
        results = self.smoothing * per_second
        held = round(self.hold_off * per_second)
        if held > MAX_HOLD_OFF:
            raise UsageError(
                f"hold_off = {self.hold_off}: expected at most {MAX_HOLD_OFF / per_second:.4g}"
                " seconds"
            )
        return with_detector(
            program,
            threshold=threshold,
            release=self.release,
            smoothing=min(max(round(math.log2(results)), 0), MAX_SMOOTHING) if results else 0,
            hold_off=held,
            reject_label=reject,
            background=background,
        )

    def _vote(self, program: Program, per_second: float) -> Program:
        votes = max(1, round(self.vote * per_second))
        if votes > MAX_VOTES:
            raise UsageError(
                f"vote = {self.vote}: expected at most {MAX_VOTES / per_second:.4g} seconds, which"
                f" are {MAX_VOTES} results"
            )
        return with_vote(program, votes, threshold=self.threshold, reject_label=self.reject)


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
    input : {"stream", "rows", "image"}
        What the program takes: a stream of samples, one row of a table at a time, or one picture.
        Rows take no stages. Only a stream has a rate.
    dtype : str
        Of a row's numbers: float32, int16, int8 or uint8.
    split : {"groups", "time"}
        What is tested: groups that were held out, or the last share of the time.
    after : AfterOptions, optional
        Without it, every result is the class of the largest score.
    augment : AugmentOptions, optional
        Changed copies of the recordings to train on.
    pixels : str
        What the camera gives: grey, rgb, rgb565 or rgb565-swapped.
    size : sequence of int, optional
        Rows and columns of what it gives; by default those of the pictures.
    """

    name: str
    rate: float
    stages: tuple[Stage, ...]
    model: ModelOptions
    channels: int | None = None
    scale: float | Sequence[float] = 1.0
    pad: bool = False
    input: str = "stream"
    dtype: str = "float32"
    split: Split = "groups"
    after: AfterOptions | None = None
    augment: AugmentOptions | None = None
    pixels: str = "grey"
    size: Sequence[int] | None = None

    def __post_init__(self) -> None:
        for key, value, known in (
            ("input", self.input, INPUTS),
            ("split", self.split, SPLITS),
            ("pixels", self.pixels, tuple(CAMERAS)),
        ):
            if value not in known:
                raise UsageError(
                    f"{self.name}: {key} = {value!r}: expected one of {', '.join(known)}"
                )
        if self.input == "rows":
            self._refuse_with_rows()
        elif self.input == "image":
            self._refuse_with_image()
        elif not self.rate > 0:
            raise UsageError(f"{self.name}: rate = {self.rate}: expected a number above 0")

    def _refuse_with_rows(self) -> None:
        if self.stages:
            raise UsageError(
                f"{self.name}: rows of a table have no stages: leave [[stage]] out, or take"
                ' input = "stream" for samples over time'
            )
        if self.model.kind not in (*TREES, "mlp"):
            raise UsageError(
                f"{self.name}: {self.model.kind} takes a stream: choose {', '.join(TREES)} or mlp"
            )

    def _refuse_with_image(self) -> None:
        for number, stage in enumerate(self.stages):
            if not isinstance(stage, PICTURE_STAGES):
                known = ", ".join(each.KIND for each in PICTURE_STAGES)
                raise UsageError(
                    f"{self._where(number)}: it is for samples over time: expected one of {known}"
                )
        if self.model.kind in DISTANCES:
            raise UsageError(
                f"{self.name}: {self.model.kind} takes a stream: choose {', '.join(TREES)}, mlp or"
                " net"
            )
        if self.split != "groups":
            raise UsageError(f'{self.name}: split = "{self.split}": pictures are split by groups')
        if self.size is not None and (
            len(self.size) != 2 or min(self.size) < 1 or max(self.size) > MAX_SIDE
        ):
            raise UsageError(
                f"{self.name}: size = {list(self.size)}: expected [ROWS, COLUMNS] of the camera, 1"
                f" to {MAX_SIDE}"
            )

    def _source(self, n_channels: int) -> tuple[Descriptor, Shape]:
        """The input, and the shape of it."""
        if self.input == "image":
            if self.size is None:
                raise UsageError(f"{self.name}: expected size = [ROWS, COLUMNS] of the camera")
            camera, size = CAMERAS[self.pixels], (self.size[0], self.size[1])
            shape = Shape((*size, len(camera.channels)), camera.channels, typecode=camera.typecode)
            return Descriptor(camera.typecode, camera.shape(size)), shape
        block = self._block()
        shape = Shape(
            (block, n_channels),
            tuple(f"channel {i}" for i in range(n_channels)),
            self.rate,
            self.rate / block,
            stream=True,
        )
        return Descriptor("h", shape.dims), shape

    def _start(self, n_channels: int) -> tuple[ProgramBuilder, int, Shape]:
        """A program of all stages, its last tensor and the shape of that.

        Raises
        ------
        UsageError
            A stage does not fit what the one in front of it gives; the message names it.
        """
        descriptor, shape = self._source(n_channels)
        builder, tensor = ProgramBuilder(descriptor), 0
        for number, stage in enumerate(self.stages):
            try:
                tensor, shape = stage.add(builder, tensor, shape)
            except WingbeatError as error:
                raise UsageError(f"{self._where(number)}: {error}") from error
        if self.input == "image":
            return builder, *as_features(builder, tensor, shape)
        if shape.typecode != "h":
            where = self._where(len(self.stages) - 1)
            raise UsageError(f"{where}: a model takes int16: put log2 behind, or take log = true")
        return builder, tensor, shape

    def _block(self) -> int:
        """Samples of an input: as many as the first window takes at a time."""
        step = 1
        for number, stage in enumerate(self.stages):
            if isinstance(stage, WindowStage):
                try:
                    return min(stage.sizes(self.rate / step)) * step
                except UsageError as error:
                    raise UsageError(f"{self._where(number)}: {error}") from error
            step *= stage.step
        raise UsageError(f"{self.name}: expected a window among the stages; add one")

    def _where(self, number: int) -> str:
        return f"{self.name}, stage {number + 1} ({self.stages[number].KIND})"

    def features(self, n_channels: int) -> tuple[Program, Shape]:
        """The stages as a program that gives features, and their shape.

        Raises
        ------
        UsageError
            A stage does not fit what the one in front of it gives; the message names it.
        """
        builder, tensor, shape = self._start(n_channels)
        return builder.finish("features", tensor, Decision.NONE), shape

    def program(self, model: Program, n_channels: int) -> Program:
        """The stages in front of a model, and what is behind it, as one program.

        Parameters
        ----------
        model : Program
            Takes what the stages give; or int16 where they give bytes.

        Raises
        ------
        UsageError
            A stage, or what is behind the model, does not fit; the message names it.
        """
        builder, tensor, shape = self._start(n_channels)
        if model.input.typecode != shape.typecode:
            tensor = builder.add(Cast(shape.n_elements, shape.typecode), tensor)
        program = builder.finish_with(model, tensor)
        if self.after is None:
            return program
        try:
            return self.after.behind(program, shape.per_second)
        except UsageError as error:
            raise UsageError(f"{self.name}, after: {error}") from error


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


_KEYS: Mapping[str, tuple[str, ...]] = {
    "stream": ("rate", "channels", "scale", "pad", "stage", "after", "augment"),
    "rows": ("dtype",),
    "image": ("pixels", "size", "stage"),
}
"""What a pipeline's file may say for each kind of input."""

_INPUTS = {"stream": "a stream", "rows": "rows of a table", "image": "an image"}


def parse_pipeline(text: str, name: str) -> Pipeline:
    """The pipeline that a TOML text describes; see `load_pipeline`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"{name}: not TOML: {error}") from error
    _check_keys(name, document, {"input", "split", "model", *sum(_KEYS.values(), ())})
    source = str(document.get("input", "stream"))
    known = _KEYS.get(source, ())
    wrong = [key for key in document if key not in ("input", "split", "model", *known)]
    if source in _KEYS and wrong:
        raise FormatError(f"{name}: {', '.join(wrong)}: not for {_INPUTS[source]}; leave it out")
    of_time = source not in ("rows", "image")
    if of_time and "rate" not in document:
        raise FormatError(f"{name}: expected rate = SAMPLES A SECOND; add it")
    rate = document.get("rate", 0.0)
    if not isinstance(rate, int | float) or isinstance(rate, bool) or not (not of_time or rate > 0):
        raise FormatError(f"{name}: rate = {rate!r}: expected a number above 0")
    listed = document.get("stage", [])
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise FormatError(f"{name}: expected stages as [[stage]] tables")
    stages = tuple(_stage(f"{name}, stage {number}", each) for number, each in enumerate(listed, 1))
    model = document.get("model", {})
    options = _made(f"{name}, model", ModelOptions, model)
    keys = ("channels", "scale", "pad", "input", "dtype", "split", "pixels", "size")
    others = {key: document[key] for key in keys if key in document}
    hints = {**get_type_hints(Pipeline), "split": str}
    for key, value in others.items():
        if not _fits(value, hints[key]):
            raise FormatError(f"{name}: {key} = {value!r}: expected {_told(hints[key])}")
    if "after" in document:
        others["after"] = _made(f"{name}, after", AfterOptions, document["after"])
    if "augment" in document:
        others["augment"] = _made(f"{name}, augment", AugmentOptions, document["augment"])
    return Pipeline(name, float(rate), stages, options, **others)


def _stage(where: str, table: Any) -> Stage:
    if not isinstance(table, dict):
        raise FormatError(f"{where}: expected a table, got {table!r}")
    kind = str(table.get("kind", ""))
    if kind not in STAGES:
        near = difflib.get_close_matches(kind, STAGES, 1)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        raise FormatError(f"{where}: kind = {kind!r}: expected one of {', '.join(STAGES)}{guess}")
    where = f"{where} ({kind})"
    given = {key: value for key, value in table.items() if key != "kind"}
    if STAGES[kind] is JoinStage:
        _check_keys(where, given, {"branch"})
        return JoinStage(_branches(where, given.get("branch", [])))
    made: Stage = _made(where, STAGES[kind], given)
    return made


def _branches(where: str, listed: Any) -> tuple[tuple[Stage, ...], ...]:
    """A branch is one stage, or a table with a list of stages."""
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise FormatError(f"{where}: expected branches as [[stage.branch]] tables")
    branches = []
    for number, table in enumerate(listed, 1):
        place = f"{where}, branch {number}"
        if "stage" in table:
            _check_keys(place, table, {"stage"})
            if not isinstance(table["stage"], list) or not table["stage"]:
                raise FormatError(f"{place}: expected stage = [{{kind = ...}}, ...]")
            branches.append(tuple(_stage(place, each) for each in table["stage"]))
        else:
            branches.append((_stage(place, table),))
    return tuple(branches)


def _made(where: str, kind: type[Any], table: Any) -> Any:
    if not isinstance(table, dict):
        raise FormatError(f"{where}: expected a table, got {table!r}")
    _check_keys(where, table, {each.name for each in fields(kind)})
    hints = get_type_hints(kind)
    for each in fields(kind):
        if each.name not in table:
            if each.default is MISSING:
                raise FormatError(f"{where}: expected {each.name} = ...; add it")
        elif not _fits(table[each.name], hints[each.name]):
            raise FormatError(
                f"{where}: {each.name} = {table[each.name]!r}: expected {_told(hints[each.name])}"
            )
    try:
        return kind(**table)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value of a TOML file is of a parameter's type."""
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(value, each) for each in get_args(hint))
    if get_origin(hint) is Sequence:
        return isinstance(value, list) and all(_fits(each, get_args(hint)[0]) for each in value)
    if isinstance(value, bool):
        return hint is bool
    if isinstance(value, int | float) and not abs(value) <= _LARGEST:
        return False
    return isinstance(value, (int, float) if hint is float else hint)


def _told(hint: Any) -> str:
    """The same in words."""
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_told(each) for each in get_args(hint) if each is not type(None))
    if get_origin(hint) is Sequence:
        return f"a list, each {_told(get_args(hint)[0])}"
    return _WORDS[hint]


def _check_keys(where: str, table: Mapping[str, Any], known: set[str]) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            guess = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
            raise FormatError(f"{where}: {key!r} is unknown; {guess}")
