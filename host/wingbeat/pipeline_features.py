"""What the stages of a pipeline make of recordings: the features that its model learns from.

They are those of the program's own operators, so that the board computes the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError
from .pictures import as_frame, common_size
from .pipeline import Pipeline
from .recordings import Recording, Recordings
from .stages import Shape
from .stream import Stream, pace_of
from .train import int16_steps


@dataclass(frozen=True, eq=False)
class Features:
    """What the stages make of recordings.

    Attributes
    ----------
    x : NDArray[int16] [rows, features]
        Of pictures, int8 or uint8.
    y : NDArray[int64] [rows]
        Class numbers.
    groups : NDArray [rows] of str
    recording : NDArray[int64] [rows]
        Number of the recording that a row is from.
    ends : NDArray[int64] [rows]
        Sample of the recording at which the row was due, padding included; of a picture 0.
    shape : Shape
        Of a row, without its batch.
    skipped : int
        Recordings too short for a row.
    clipped : int
        Samples beyond int16 at the pipeline's scale.
    """

    x: NDArray[Any]
    y: NDArray[np.int64]
    groups: NDArray[np.str_]
    recording: NDArray[np.int64]
    ends: NDArray[np.int64]
    shape: Shape
    skipped: int
    clipped: int


def compute_features(
    recordings: Recordings, pipeline: Pipeline, progress: Callable[[int], None] | None = None
) -> Features:
    """Play recordings through the stages of a pipeline.

    Parameters
    ----------
    recordings : Recordings
    pipeline : Pipeline
    progress : callable, optional
        Is told the number of recordings done.

    Raises
    ------
    DataError
        No recording of some class gives a row, their number of channels or rate is another than the
        pipeline's, or next to nothing is left of the signal at its scale.
    UsageError
        A stage does not fit.
    """
    if pipeline.input == "image":
        return _features_of_pictures(recordings, fitted(pipeline, recordings), progress)
    n_channels = check_recordings(recordings, pipeline)
    # The only channel of a microphone needs no name beside each band.
    program, shape = pipeline.features(recordings.channels if n_channels > 1 else 1)
    window = pace_of(program).window
    index = {label: number for number, label in enumerate(recordings.labels)}
    parts: list[NDArray[np.int16]] = []
    owners: list[NDArray[np.int64]] = []
    ends: list[NDArray[np.int64]] = []
    steps, clipped = int16_steps(recordings, pipeline.scale)
    for number, samples in enumerate(steps):
        results = Stream(program).results(padded(samples, pipeline, window))
        parts.append(results.outputs.reshape(len(results.ends), program.output.n_elements))
        owners.append(np.full(len(results.ends), number, np.int64))
        ends.append(results.ends * (program.input.n_elements // n_channels))
        if progress is not None:
            progress(number + 1)
    owner = np.concatenate(owners)
    y = classes_of(recordings)
    groups = np.array([item.group for item in recordings.items], np.str_)
    skipped = len(recordings.items) - len(np.unique(owner))
    lost = [label for label, i in index.items() if i in y and i not in y[owner]]
    if lost:
        raise DataError(
            f"expected recordings of at least one window ({window} samples) of every class, there"
            f" are none of {', '.join(lost)}: record for longer, choose shorter windows, or add"
            " pad = true to the pipeline"
        )
    return Features(
        np.concatenate(parts).astype(np.int16),
        y[owner],
        groups[owner],
        owner,
        np.concatenate(ends),
        shape,
        skipped,
        clipped,
    )


def fitted(pipeline: Pipeline, recordings: Recordings) -> Pipeline:
    """The pipeline with the size of the pictures, where it does not say what the camera gives.

    Raises
    ------
    DataError
        The pictures are of several sizes.
    """
    if pipeline.input != "image" or pipeline.size is not None:
        return pipeline
    return replace(pipeline, size=common_size(recordings))


def _features_of_pictures(
    recordings: Recordings, pipeline: Pipeline, progress: Callable[[int], None] | None
) -> Features:
    program, shape = pipeline.features(0)
    index = {label: number for number, label in enumerate(recordings.labels)}
    count = len(recordings.items)
    x = np.empty((count, shape.n_elements), program.output.dtype)
    for number, item in enumerate(recordings.items):
        x[number] = program.run(frame_of(item, pipeline)).reshape(-1)
        if progress is not None:
            progress(number + 1)
    return Features(
        x,
        np.array([index[item.label] for item in recordings.items], np.int64),
        np.array([item.group for item in recordings.items], np.str_),
        np.arange(count),
        np.zeros(count, np.int64),
        shape,
        0,
        0,
    )


def frame_of(item: Recording, pipeline: Pipeline) -> NDArray[Any]:
    """A picture as the camera of a pipeline would have given it; see `as_frame`."""
    assert pipeline.size is not None
    size = pipeline.size[0], pipeline.size[1]
    return as_frame(item.data, pipeline.pixels, size, item.source)


def check_recordings(recordings: Recordings, pipeline: Pipeline) -> int:
    """The number of channels; 0 of pictures.

    Raises
    ------
    DataError
        The recordings have another number of channels, or another rate, than the pipeline.
    """
    if pipeline.input == "image":
        return 0
    n_channels = len(recordings.channels)
    if pipeline.channels is not None and pipeline.channels != n_channels:
        raise DataError(
            f"expected recordings of {pipeline.channels} channels for {pipeline.name}, these have"
            f" {n_channels} ({', '.join(recordings.channels)}): choose with --channels"
        )
    if recordings.rate is not None and abs(recordings.rate / pipeline.rate - 1) > 0.01:
        raise DataError(
            f"expected {pipeline.rate:g} samples a second for {pipeline.name}, the recordings have"
            f" {recordings.rate:g}: say so with --rate {recordings.rate:g}, or in the pipeline's"
            " file, or resample the recordings"
        )
    return n_channels


def padded(steps: NDArray[np.int16], pipeline: Pipeline, window: int) -> NDArray[np.int16]:
    """Between zeros, where the pipeline pads what is too short."""
    missing = window - len(steps)
    if pipeline.pad and missing > 0:
        front = missing // 2
        steps = np.pad(steps, ((front, missing - front), (0, 0)))
    return steps


def classes_of(recordings: Recordings) -> NDArray[np.int64]:
    """Class number of each recording."""
    index = {label: number for number, label in enumerate(recordings.labels)}
    return np.array([index[item.label] for item in recordings.items], np.int64)
