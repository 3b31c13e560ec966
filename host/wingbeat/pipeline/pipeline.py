"""A pipeline: stages one behind the other, a model, and what is behind that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wingbeat.augment import AugmentOptions
from wingbeat.errors import UsageError, WingbeatError
from wingbeat.pictures import CAMERAS
from wingbeat.program import Decision, Descriptor, Program, ProgramBuilder
from wingbeat.reference.cast import MAX_ELEMENTS as MOST_FEATURES
from wingbeat.reference.cast import Cast
from wingbeat.reference.downscale import MAX_SIDE
from wingbeat.stages import PICTURE_STAGES, Shape, Stage, WindowStage, as_features
from wingbeat.train import Split

from .options import DISTANCES, TREES, AfterOptions, ModelOptions

INPUTS = ("stream", "rows", "image")
SPLITS = ("groups", "time")


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
        elif not 0 < self.rate < math.inf:
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

    def _source(self, channels: Sequence[str]) -> tuple[Descriptor, Shape]:
        """The input, and the shape of it."""
        if self.input == "image":
            if self.size is None:
                raise UsageError(f"{self.name}: expected size = [ROWS, COLUMNS] of the camera")
            camera, size = CAMERAS[self.pixels], (self.size[0], self.size[1])
            shape = Shape((*size, len(camera.channels)), camera.channels, typecode=camera.typecode)
            return Descriptor(camera.typecode, camera.shape(size)), shape
        block = self._block()
        shape = Shape(
            (block, len(channels)),
            tuple(channels),
            self.rate,
            self.rate / block,
            stream=True,
        )
        return Descriptor("h", shape.dims), shape

    def _start(self, channels: int | Sequence[str]) -> tuple[ProgramBuilder, int, Shape]:
        """A program of all stages, its last tensor and the shape of that.

        Raises
        ------
        UsageError
            A stage does not fit what the one in front of it gives; the message names it.
        """
        if isinstance(channels, int):
            channels = [f"channel {i}" for i in range(channels)]
        descriptor, shape = self._source(channels)
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

    def features(self, channels: int | Sequence[str]) -> tuple[Program, Shape]:
        """The stages as a program that gives features, and their shape.

        Parameters
        ----------
        channels : int or sequence of str
            How many, or their names.

        Raises
        ------
        UsageError
            A stage does not fit what the one in front of it gives, and the message names it; or
            there are too many features for the model.
        """
        builder, tensor, shape = self._start(channels)
        if self.model.kind != "net" and shape.n_elements > MOST_FEATURES:
            raise UsageError(
                f"{self.name}: expected at most {MOST_FEATURES} features for a model of kind"
                f" {self.model.kind}, the stages give {shape.n_elements}: add a stage that makes"
                " fewer of them, or choose shorter windows or smaller pictures"
            )
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
