"""Windows cut from recordings, and splits of windows or rows into train and test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wingbeat.errors import DataError, UsageError
from wingbeat.recordings import Recordings, optional_module

_DRAWS = 256


@dataclass(frozen=True, eq=False)
class Windows:
    """Stretches of equal length, each with the class and the group of its recording.

    Parameters
    ----------
    x : NDArray [n, length, channels]
        In the dtype that all recordings share.
    y : NDArray[int64] [n]
        Index of the class in `labels`.
    groups : NDArray [n] of str
        Group of the recording.
    labels : tuple of str
        Names of the classes.
    recording : NDArray[int64] [n]
        Index of the recording that the window was cut from.
    skipped : int
        How many recordings were shorter than one window.
    """

    x: NDArray[Any]
    y: NDArray[np.int64]
    groups: NDArray[np.str_]
    labels: tuple[str, ...]
    recording: NDArray[np.int64]
    skipped: int


def cut(recordings: Recordings, length: int, hop: int) -> Windows:
    """Cut each recording into windows of `length` samples that start every `hop` samples.

    Windows never cross from one recording to the next. What is left at the end of a recording and
    does not fill a window is dropped.

    Raises
    ------
    DataError
        No recording of some class is as long as one window.
    UsageError
        `length` or `hop` is below 1.
    """
    if length < 1 or hop < 1:
        raise UsageError(
            f"expected a window length and a hop of at least 1 sample, got length {length} and hop "
            f"{hop}."
        )
    index = {name: number for number, name in enumerate(recordings.labels)}
    parts: list[NDArray[Any]] = []
    y: list[int] = []
    groups: list[str] = []
    origin: list[int] = []
    for number, item in enumerate(recordings.items):
        if len(item.data) < length:
            continue
        every = np.lib.stride_tricks.sliding_window_view(item.data, length, axis=0)
        part = every[::hop].transpose(0, 2, 1)
        parts.append(part)
        y += [index[item.label]] * len(part)
        groups += [item.group] * len(part)
        origin += [number] * len(part)
    longest = max(len(item.data) for item in recordings.items)
    if not parts:
        raise DataError(
            f"expected recordings of at least one window ({length} samples), the longest of "
            f"{len(recordings.items)} has {longest}. Choose a shorter window or record for longer."
        )
    lost = [name for name, number in index.items() if number not in set(y)]
    if lost:
        raise DataError(
            f"expected every class to have a recording of at least one window ({length} samples), "
            f"these have none: {', '.join(lost)}. Choose a shorter window or record those again."
        )
    return Windows(
        np.concatenate(parts),
        np.array(y, dtype=np.int64),
        np.array(groups, dtype=np.str_),
        recordings.labels,
        np.array(origin, dtype=np.int64),
        len(recordings.items) - len(set(origin)),
    )


def split_by_group(
    groups: ArrayLike, y: ArrayLike, *, test_fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split so that no group is on both sides, and every class is in train.

    Groups are drawn at random, the same for the same `seed`. Of many draws the first one wins that
    has every class on both sides, else the one that tests the most classes.

    Parameters
    ----------
    groups, y : array [n]
        Group and class (or value, if floating point) of each row.
    test_fraction : float
        Share of the groups to test on, between 0 and 1; at least one group is on either side.
    seed : int
        Any whole number from 0 to 2**32 - 1.

    Returns
    -------
    train, test : NDArray[int64]
        Sorted row numbers.

    Raises
    ------
    DataError
        There is one group only, or no draw has every class in train.
    UsageError
        `test_fraction` is not between 0 and 1.
    """
    owners, target = np.asarray(groups), np.asarray(y)
    _check_split(len(target), test_fraction)
    if owners.shape != target.shape:
        raise UsageError(f"expected as many groups as rows, got {owners.shape} and {target.shape}.")
    names = np.unique(owners)
    if len(names) < 2:
        raise DataError(
            f"expected at least two groups, to test on one that was not trained on; all rows are "
            f"of group {str(names[0])!r}. Record another person, day or device, or name a column "
            "that tells groups apart with --group (for a folder, --group-pattern). In a pipeline, "
            'split = "time" tests the end of each recording instead.'
        )
    count = min(max(round(test_fraction * len(names)), 1), len(names) - 1)
    selection = optional_module(
        "sklearn.model_selection", "splitting into train and test", "scikit-learn"
    )
    draws = selection.GroupShuffleSplit(_DRAWS, test_size=count, random_state=seed)
    classes = None if target.dtype.kind == "f" else np.unique(target)
    best: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
    most = -1
    for train, test in draws.split(target, target, owners):
        if classes is None:
            return np.sort(train), np.sort(test)
        tested = len(np.unique(target[test]))
        if tested > most and len(np.unique(target[train])) == len(classes):
            best, most = (np.sort(train), np.sort(test)), tested
            if most == len(classes):
                break
    if best is None:
        raise DataError(
            f"expected a split of {len(names)} groups, {count} to test on, with every class in "
            f"train; found none in {_DRAWS} draws, since some classes come from too few groups. "
            "Record them with more groups, or test on a smaller share."
        )
    return best


def split_rows(
    y: ArrayLike, test_fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows at random, each class in proportion. For rows that have no groups.

    Parameters
    ----------
    y : array [n]
        Class of each row; floating-point values are split without regard to them.
    test_fraction : float
        Share of the rows to test on, between 0 and 1.
    seed : int
        Any whole number from 0 to 2**32 - 1.

    Returns
    -------
    train, test : NDArray[int64]
        Sorted row numbers.

    Raises
    ------
    DataError
        A class has one row only, or there are too few rows.
    UsageError
        `test_fraction` is not between 0 and 1.
    """
    target = np.asarray(y)
    _check_split(len(target), test_fraction)
    values = target.dtype.kind == "f"
    classes, counts = np.unique(target, return_counts=True)
    if not values and counts.min() < 2:
        rare = ", ".join(str(name) for name in classes[counts < 2])
        raise DataError(
            "expected at least two rows of every class, one to train and one to test on; these "
            f"have one: {rare}. Add rows of them or drop them."
        )
    least = 1 if values else len(classes)
    count = min(max(round(test_fraction * len(target)), least), len(target) - least)
    selection = optional_module(
        "sklearn.model_selection", "splitting into train and test", "scikit-learn"
    )
    if values:
        split = selection.ShuffleSplit(1, test_size=count, random_state=seed)
    else:
        split = selection.StratifiedShuffleSplit(1, test_size=count, random_state=seed)
    train, test = next(split.split(np.zeros(len(target)), target))
    if not values and len(np.unique(target[train])) < len(classes):
        raise DataError(
            f"expected every class in train, but {len(train)} rows do not hold all "
            f"{len(classes)} classes in proportion. Test on a smaller share or add rows."
        )
    return np.sort(train), np.sort(test)


def split_by_time(
    y: ArrayLike,
    test_fraction: float,
    *,
    recording: ArrayLike | None = None,
    ends: ArrayLike | None = None,
    window: int = 0,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split so that the last share of the time is tested, in each recording.

    Parameters
    ----------
    y : array [n]
        Class (or value, if floating point) of each row, in the order of time.
    test_fraction : float
        Share of the rows to test on, between 0 and 1.
    recording, ends : array [n], optional
        The recording of each row, and the sample at which it ends. Rows of the test that share a
        sample with the training are left out.
    window : int
        Samples that a row reaches back.

    Returns
    -------
    train, test : NDArray[int64]
        Sorted row numbers.

    Raises
    ------
    DataError
        A class is in no row to train on, or nothing is left to test on.
    UsageError
        `test_fraction` is not between 0 and 1.
    """
    target = np.asarray(y)
    _check_split(len(target), test_fraction)
    owners = np.zeros(len(target)) if recording is None else np.asarray(recording)
    last = np.arange(len(target)) if ends is None else np.asarray(ends)
    train, test = [], []
    for owner in np.unique(owners):
        rows = np.flatnonzero(owners == owner)
        cut = len(rows) - max(round(test_fraction * len(rows)), 1)
        train += rows[:cut].tolist()
        seen = last[rows[cut - 1]] if cut else -1
        test += [row for row in rows[cut:].tolist() if cut and last[row] - window >= seen]
    classes = np.unique(target)
    if target.dtype.kind != "f" and len(np.unique(target[train])) < len(classes):
        raise DataError(
            "expected every class in the first part of the time, which is trained on; some come"
            " later only. Record each class early and late, or split by groups."
        )
    if not train or not test:
        raise DataError(
            "expected rows to train on and later ones to test on: the recordings are too short for"
            " a split by time. Record for longer, choose shorter windows, or split by groups."
        )
    return np.array(train, np.int64), np.array(test, np.int64)


def _check_split(rows: int, test_fraction: float) -> None:
    if not 0 < test_fraction < 1:
        raise UsageError(
            f"expected a share to test on between 0 and 1 (such as 0.2), got {test_fraction}."
        )
    if rows < 2:
        raise DataError(f"expected at least two rows to split, got {rows}. Add data.")
