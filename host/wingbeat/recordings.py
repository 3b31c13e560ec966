"""Labelled data for training: tables of samples, and recordings of sensors over time.

A *table* has one sample per row. A *recording* is one stretch of a sensor signal, [time, channels],
with one label. Both carry a *group*, such as the person or the day, so that a model can be tested
on groups that it has not seen. docs/data.md shows every accepted form.
"""

from __future__ import annotations

import difflib
import importlib
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wingbeat.errors import DataError, UsageError

EXTENSIONS = (".csv", ".parquet", ".npz", ".npy", ".wav")

_GROUP_NAMES = ("group",)
_RECORDING_NAMES = ("recording", "file")
_TIME_NAMES = ("time", "timestamp")
_USUAL_LABEL_NAMES = ("class", "target", "activity", "y")
_EMPTY_CELLS = ["", "NA", "N/A", "nan", "NaN", "NAN", "null", "NULL", "None"]
_SHOWN = 10
_MOST_BEYOND = 0.01
"""Share of a .wav file's floating-point samples that may be too loud."""

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Recording:
    """One stretch of signal with one label.

    Parameters
    ----------
    data : NDArray [time, channels]
        Finite numbers, in the dtype of the source.
    label : str
        Name of the class.
    group : str
        Who or what it comes from. Recordings of one group are never split between train and test.
    source : str
        The file, relative to the data folder, and the part of it.
    """

    data: NDArray[Any]
    label: str
    group: str
    source: str


@dataclass(frozen=True, eq=False)
class Recordings:
    """Recordings that share channels.

    Parameters
    ----------
    items : tuple of Recording
        In the order of the file, or of the sorted paths of a folder.
    channels : tuple of str
        One name per column of every recording.
    rate : float or None
        Samples per second, where it is known.
    labels : tuple of str
        The classes, in the order of their index: as the file lists them, else sorted.
    """

    items: tuple[Recording, ...]
    channels: tuple[str, ...]
    rate: float | None
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Signal:
    """One long stretch of signal, as a sensor gives it.

    Attributes
    ----------
    data : NDArray [time, channels]
        Finite numbers, in the dtype of the source.
    channels : tuple of str
    rate : float or None
        Samples per second, where the file says it.
    labels : NDArray[str] [time] or None
        Of each sample, where the file has them.
    """

    data: NDArray[Any]
    channels: tuple[str, ...]
    rate: float | None
    labels: NDArray[np.str_] | None


@dataclass(frozen=True, eq=False)
class Table:
    """Samples, one per row.

    Parameters
    ----------
    x : NDArray [rows, features]
        Finite numbers, in the dtype of the source.
    y : NDArray [rows] of str or float64
        Class names, or the values to predict.
    groups : NDArray [rows] of str, or None
        Who or what each row comes from.
    features : tuple of str
        One name per column of `x`.
    labels : tuple of str
        The classes in the order of their index; empty when `y` holds values.
    """

    x: NDArray[Any]
    y: NDArray[np.str_] | NDArray[np.float64]
    groups: NDArray[np.str_] | None
    features: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class _Roles:
    """Which columns mean what. None: the usual names, if they are there.

    `labelled`: the file itself must have a label column; `series`: rows are samples over time.
    """

    label: str
    group: str | None
    recording: str | None
    features: tuple[str, ...] | None
    series: bool
    labelled: bool


@dataclass(frozen=True, eq=False)
class _Block:
    """The rows of one file: numbers [rows, features] and what the other columns say of each row."""

    name: str
    x: NDArray[Any]
    features: tuple[str, ...]
    named: bool
    y: NDArray[Any] | None
    group: NDArray[np.str_] | None
    recording: NDArray[np.str_] | None
    labels: tuple[str, ...] | None = None
    rate: float | None = None


def load_table(
    path: Path | str,
    *,
    label: str = "label",
    group: str | None = None,
    features: Sequence[str] | None = None,
    target: Literal["classes", "values"] | None = None,
) -> Table:
    """Read a table with one sample per row.

    Parameters
    ----------
    path : Path or str
        A .csv, .parquet, .npz or .npy file.
    label : str
        Column that holds the class or the value to predict. In an .npz, ``y`` is found as well.
    group : str, optional
        Column that tells which rows belong together. Without it, ``group`` if there is one.
    features : sequence of str, optional
        Columns to learn from, in this order. Without it, all others.
    target : {"classes", "values"}, optional
        What the label column holds. Without it, values if any of its numbers has a fraction,
        classes otherwise.

    Raises
    ------
    DataError
        The file cannot be read, lacks a column, or holds something other than finite numbers in a
        feature, an empty label, or one class only.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(
            f"{path}: expected one table file ({_listed(EXTENSIONS)}), got a folder. "
            "A folder holds recordings: give a window length to train on those."
        )
    roles = _Roles(label, group, None, _names_asked(features), series=False, labelled=True)
    block = _read(path, path.name, roles)
    if not len(block.x):
        raise DataError(f"{path.name}: expected at least one row of data, got none.")
    assert block.y is not None
    if target is None:
        target = "values" if block.labels is None and _has_fractions(block.y) else "classes"
    if target == "values":
        values = _numbers(path.name, block.y, label).astype(np.float64)
        return Table(block.x, values, block.group, block.features, ())
    names = _class_names(block)
    labels = classes_of(path.name, names, block.labels)
    return Table(block.x, names, block.group, block.features, labels)


def load_recordings(
    path: Path | str,
    *,
    label: str = "label",
    group: str | None = None,
    recording: str | None = None,
    channels: Sequence[str] | None = None,
    group_pattern: str | None = None,
    label_pattern: str | None = None,
    rate: float | None = None,
    one_class: bool = False,
) -> Recordings:
    """Read recordings from a folder of files, or from one file that holds many.

    Parameters
    ----------
    path : Path or str
        A folder, or a .csv, .parquet, .npz or structured .npy file.
    label : str
        Column that holds the class. A file in a folder that has no such column takes the name of
        the first folder below `path` that it is in.
    group : str, optional
        Column that tells which recordings belong together. Without it, ``group`` if there is one;
        else each file, or each recording of a single file, is a group of its own.
    recording : str, optional
        Column that tells recordings apart. Without it, ``recording`` or ``file`` if there is one;
        else a recording ends where the label or the group changes.
    channels : sequence of str, optional
        Columns that are channels, in this order. Without it, all others but ``time`` and
        ``timestamp``.
    group_pattern, label_pattern : str, optional
        Regular expressions, searched in the path of each file below the folder (with ``/``). The
        first parenthesis is the group or the label; without one, the whole match is.
    rate : float, optional
        Samples per second. Without it, what an .npz says.
    one_class : bool
        All may be of one class, for models that learn what is normal.

    Raises
    ------
    DataError
        A file cannot be read, has no label, lacks a column, is empty, has other channels than the
        rest, or holds something other than finite numbers; or there is one class only.
    UsageError
        A pattern is not a regular expression, or does not fit the other options.
    """
    path = Path(path)
    labelled = not path.is_dir() or (label != "label" and label_pattern is None)
    asked = _names_asked(channels)
    roles = _Roles(label, group, recording, asked, series=True, labelled=labelled)
    find_group = compiled_pattern(group_pattern, "--group-pattern")
    find_label = compiled_pattern(label_pattern, "--label-pattern")
    if find_group is not None and group is not None:
        raise UsageError(
            "expected one of --group and --group-pattern, got both: drop the one that does not "
            "tell your groups apart."
        )
    if path.is_dir():
        blocks = [
            _in_folder(_read(path / name, name, roles), roles, find_group, find_label)
            for name in _files_below(path)
        ]
    elif find_group is not None or find_label is not None:
        raise UsageError(
            f"{path}: expected a folder with --group-pattern or --label-pattern, which search the "
            "paths of its files. For one file, name its columns with --group and --label."
        )
    else:
        blocks = [_read(path, path.name, roles)]
    blocks = _same_channels(blocks)
    items = tuple(item for block in blocks for item in _recordings_of(block))
    if not items:
        raise DataError(f"{path}: expected recordings, got none: the file has no rows.")
    names = [item.label for item in items]
    labels = classes_of(str(path), names, _agreed_labels(blocks), least=1 if one_class else 2)
    return Recordings(items, blocks[0].features, _agreed_rate(blocks, rate), labels)


def load_signal(
    path: Path | str, *, label: str = "label", channels: Sequence[str] | None = None
) -> Signal:
    """Read one file as one long recording, whatever happens in it.

    Parameters
    ----------
    path : Path or str
        A .wav, .csv, .parquet, .npz or .npy file.
    label : str
        Column of labels, if there is one.
    channels : sequence of str, optional
        Columns that are channels, in this order. Without it, all others but those of labels,
        groups, recordings and time.

    Raises
    ------
    DataError
        The file cannot be read, lacks a column, is empty, or holds something other than finite
        numbers.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path} is a folder: expected one recording, a file")
    roles = _Roles(label, None, None, _names_asked(channels), series=True, labelled=False)
    block = _read(path, path.name, roles)
    labels = None if block.y is None else _class_names(block)
    return Signal(block.x, block.features, block.rate, labels)


def class_order(names: Iterable[str]) -> tuple[str, ...]:
    """Distinct names in the order that gives each class its index.

    Whole numbers sort by value (``2`` before ``10``), anything else as text.
    """
    distinct = set(names)
    if all(re.fullmatch(r"-?[0-9]+", name) for name in distinct):
        return tuple(sorted(distinct, key=lambda name: (int(name), name)))
    return tuple(sorted(distinct))


def to_int16(x: ArrayLike, scale: float | Sequence[float]) -> NDArray[np.int16]:
    """Convert physical values to int16 steps: ``x / scale``, rounded half to even, saturated.

    Parameters
    ----------
    x : array [..., channels]
        Physical values. The division is done in float64.
    scale : float or sequence of float
        Physical units per step, for all channels or one for each. A sensor with a range of 16 g
        and 16 bits has ``16 / 32768``; raw sensor units have 1.

    Returns
    -------
    NDArray[int16] of the shape of `x`; what is out of range becomes -32768 or 32767.

    Raises
    ------
    DataError
        `x` holds NaN or infinity.
    UsageError
        A scale is not a positive number, or there are not as many as channels.
    """
    values = np.asarray(x, dtype=np.float64)
    steps = np.asarray(scale, dtype=np.float64)
    if not np.all(np.isfinite(steps) & (steps > 0)):
        raise UsageError(f"expected scales above 0 (units per step), got {scale}.")
    if steps.ndim > 1 or (steps.ndim == 1 and steps.shape != values.shape[-1:]):
        raise UsageError(
            f"expected one scale, or one for each of the channels, the last axis of {values.shape};"
            f" got {steps.size} scales."
        )
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise DataError(
            f"expected finite numbers to convert to int16, got {bad} that are NaN or infinite. "
            "Drop those samples or fill them in first."
        )
    return np.clip(np.rint(values / steps), -32768, 32767).astype(np.int16)


def optional_module(name: str, purpose: str, packages: str) -> Any:
    """Import a package that only some users need.

    Raises
    ------
    DataError
        It is not installed; the message has the command that installs it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != name.partition(".")[0]:
            raise
        package = name.partition(".")[0]
        raise DataError(
            f"{purpose} needs the package {package}, which is not installed here. "
            f"Install it: pip install {packages}"
        ) from error


# Reading one file


def _read(path: Path, name: str, roles: _Roles) -> _Block:
    if not path.exists():
        raise DataError(f"{path}: expected a file or a folder, found neither. Check the path.")
    extension = path.suffix.lower()
    if extension == ".csv":
        return _from_columns(name, _csv_columns(path, name, roles), roles)
    if extension == ".parquet":
        return _from_columns(name, _parquet_columns(path, name), roles)
    if extension == ".npz":
        return _from_npz(path, name, roles)
    if extension == ".npy":
        return _from_npy(path, name, roles)
    if extension == ".wav":
        return _from_wav(path, name, roles)
    raise DataError(
        f"{name}: expected a file that ends in {_listed(EXTENSIONS)}, "
        f"got {repr(extension) if extension else 'no extension'}. Convert it to one of these."
    )


def _csv_columns(path: Path, name: str, roles: _Roles) -> Columns:
    pandas = optional_module("pandas", f"reading {name}", "pandas")
    options: dict[str, Any] = {"encoding": "utf-8-sig", "skipinitialspace": True}
    try:
        header = [str(column) for column in pandas.read_csv(path, nrows=0, **options).columns]
        _check_header(name, header)
        text = {roles.label, roles.group, roles.recording, *_GROUP_NAMES, *_RECORDING_NAMES}
        as_text = [column for column in header if column.strip() in text]
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            frame = pandas.read_csv(
                path,
                index_col=False,
                dtype=dict.fromkeys(as_text, str),
                keep_default_na=False,
                na_values={column: _EMPTY_CELLS for column in header if column not in as_text},
                low_memory=False,
                **options,
            )
    except (ValueError, OSError, pandas.errors.ParserWarning) as error:
        raise DataError(
            f"{name}: expected comma-separated UTF-8 text with a header row. {_sentence(error)}"
        ) from error
    if header and header[0] == "Unnamed: 0":
        frame = frame.drop(columns=header[0])
    return _frame_columns(pandas, frame)


def _check_header(name: str, header: Sequence[str]) -> None:
    if len(header) == 1 and (found := next((mark for mark in ";\t|" if mark in header[0]), None)):
        mark = "a tab" if found == "\t" else repr(found)
        raise DataError(
            f"{name}: expected columns separated by commas, the header seems to use {mark}: "
            f"{header[0][:60]!r}. Save the table with commas."
        )
    if all(_is_number(column) for column in header) and list(header) != [
        str(index) for index in range(len(header))
    ]:
        raise DataError(
            f"{name}: expected a first row with the names of the columns, got numbers: "
            f"{_listed(header)}. Add a header row."
        )


def _parquet_columns(path: Path, name: str) -> Columns:
    pandas = optional_module("pandas", f"reading {name}", "pandas pyarrow")
    optional_module("pyarrow", f"reading {name}", "pandas pyarrow")
    try:
        frame = pandas.read_parquet(path, engine="pyarrow")
    except Exception as error:  # The reader raises whatever the file makes it stumble over.
        raise DataError(
            f"{name}: expected a Parquet file. {_sentence(error)} Write it again."
        ) from error
    return _frame_columns(pandas, frame)


def _frame_columns(pandas: Any, frame: Any) -> Columns:
    columns: dict[str, NDArray[Any]] = {}
    for position, column in enumerate(frame.columns):
        series = frame.iloc[:, position]
        if isinstance(series.dtype, np.dtype) and series.dtype.kind in "biuf":
            values = series.to_numpy()
        elif pandas.api.types.is_numeric_dtype(series.dtype):
            whole = not series.isna().any()
            values = series.to_numpy(
                dtype=series.dtype.numpy_dtype if whole else np.float64,
                na_value=None if whole else np.nan,
            )
        else:
            values = series.astype(object).where(series.notna(), None).to_numpy()
        columns[str(column).strip()] = values
    return columns


def _from_npy(path: Path, name: str, roles: _Roles) -> _Block:
    array = load_numpy(path, name)
    if not isinstance(array, np.ndarray):
        raise DataError(f"{name}: expected one array, got an .npz archive. Rename it to end so.")
    if array.dtype.names is not None:
        if array.ndim != 1:
            raise DataError(
                f"{name}: expected a structured array of one axis (rows), got {array.shape}. "
                "Save it with one axis."
            )
        return _from_columns(name, {key: array[key] for key in array.dtype.names}, roles)
    if roles.series:
        x = _signal(name, array)
        names = _numbered("channel", x.shape[1])
        _refuse_named_columns(name, names, roles)
        return _chosen(_Block(name, x, names, False, None, None, None), roles)
    if array.ndim != 2:
        raise DataError(
            f"{name}: expected a table [rows, columns], got an array of shape {array.shape}. "
            "Recordings are loaded with a window length."
        )
    count = array.shape[1]
    columns = {str(index): array[:, index] for index in range(count)}

    def positive(text: str) -> str:
        return str(count + int(text)) if re.fullmatch(r"-[0-9]+", text) else text

    label = positive(roles.label)
    if label not in columns:
        raise DataError(
            f"{name}: expected to know which column is the label; a plain .npy numbers its columns "
            f"0 to {count - 1} and has no {roles.label!r}. Give --label {count - 1} if it is the "
            "last one."
        )
    group = None if roles.group is None else positive(roles.group)
    return _from_columns(name, columns, replace(roles, label=label, group=group))


def load_wav(path: Path | str) -> tuple[NDArray[np.int16], float]:
    """Read a .wav file.

    Returns
    -------
    samples : NDArray[int16] [time, channels]
        Of other widths, the 16 bits on top; of floating point, 1 is 32768. Where the file ends
        before its header says, as of recorders that write the header first, those that it has.
    rate : float
        Samples per second.

    Raises
    ------
    DataError
        It is no .wav file, damaged, compressed or empty; it has floating-point numbers that are
        not finite, or more than 1 % of them beyond 1; scipy is not installed.
    """
    path = Path(path)
    wavfile = optional_module("scipy.io.wavfile", f"reading {path.name}", "scipy")
    try:
        with warnings.catch_warnings():
            # It warns of chunks that it skips, such as the name of the program that wrote it.
            warnings.simplefilter("ignore")
            rate, data = wavfile.read(path)
    except OSError:
        raise
    except Exception as error:  # The reader raises whatever the file makes it stumble over.
        raise DataError(
            f"{path.name}: expected a .wav file of whole or floating-point numbers."
            f" {_sentence(error)} Save it again as 16-bit PCM."
        ) from error
    if not data.size or rate <= 0:
        raise DataError(f"{path.name}: expected samples, it has none: record it again.")
    samples = data.reshape(len(data), -1)
    if samples.dtype == np.uint8:
        wide = (samples.astype(np.int16) - 128) << 8
    elif samples.dtype.kind == "f":
        _check_full_scale(path.name, samples)
        wide = np.clip(np.rint(samples * 32768.0), -32768, 32767)
    else:
        wide = samples >> 8 * samples.itemsize - 16
    return wide.astype(np.int16), float(rate)


def _check_full_scale(name: str, samples: NDArray[Any]) -> None:
    """Refuse floating-point samples that cannot be between -1 and 1."""
    bad = int(np.count_nonzero(~np.isfinite(samples)))
    if bad:
        raise DataError(
            f"{name}: expected finite samples, got {bad} that are NaN or infinite: cut them out, or"
            " record it again."
        )
    beyond = float((np.abs(samples) > 1).mean())
    if beyond > _MOST_BEYOND:
        raise DataError(
            f"{name}: expected samples from -1 to 1, as .wav files of floating point have them; of"
            f" {beyond:.0%} of these the size is more, up to {np.abs(samples).max():g}: save it as"
            " 16-bit PCM."
        )


def _from_wav(path: Path, name: str, roles: _Roles) -> _Block:
    if not roles.series:
        raise DataError(
            f"{name}: expected a table, got a recording. Recordings are loaded with --pipeline or a"
            " window length."
        )
    samples, rate = load_wav(path)
    names = _numbered("channel", samples.shape[1])
    _refuse_named_columns(name, names, roles)
    return _chosen(_Block(name, samples, names, False, None, None, None, rate=rate), roles)


def _from_npz(path: Path, name: str, roles: _Roles) -> _Block:
    archive = load_numpy(path, name)
    if isinstance(archive, np.ndarray):
        raise DataError(f"{name}: expected an .npz archive, got one array. Rename it to .npy.")
    with archive:
        keys = tuple(archive.files)
        if "x" not in keys:
            raise DataError(
                f"{name}: expected an array named 'x', found {_listed(keys) or 'nothing'}. "
                "Save it with numpy.savez(path, x=..., y=...)."
            )
        arrays = {key: member_of(archive, key, name) for key in keys}
    x = arrays.pop("x")
    optional = {
        key: tuple(_texts(name, arrays.pop(key).ravel(), key).tolist())
        for key in ("labels", "channels", "features")
        if key in arrays
    }
    rate = _rate_of(name, arrays.pop("rate")) if "rate" in arrays else None
    label = "y" if roles.label == "label" and "label" not in arrays else roles.label
    y = arrays.get(label)
    if y is None and roles.labelled:
        raise _no_label(name, label, tuple(arrays))
    group = _found(name, arrays, roles.group, _GROUP_NAMES, "group")
    recording = None
    if roles.series:
        recording = _found(name, arrays, roles.recording, _RECORDING_NAMES, "recording")
    if x.ndim == 3:
        if not roles.series:
            raise DataError(
                f"{name}: expected x as [rows, features], got {x.shape} ([recordings, time, "
                "channels]). Give a window length to train on recordings."
            )
        if recording is None:
            recording = np.arange(x.shape[0])
        y, group, recording = (
            None if each is None else _per_sample(name, key, each, x.shape)
            for key, each in ((label, y), ("group", group), ("recording", recording))
        )
        if not x.shape[1]:
            raise _empty(name)
        x = x.reshape(-1, x.shape[2])
    elif roles.series:
        x = _signal(name, x)
        if recording is not None and recording.shape != (len(x),):
            raise DataError(
                f"{name}: expected 'recording' to hold one number for each of the {len(x)} samples "
                f"of x, got shape {recording.shape}. Save one per sample."
            )
        y, group = (
            None if each is None else _per_recording(name, key, each, len(x), recording)
            for key, each in ((label, y), ("group", group))
        )
    elif x.ndim != 2:
        raise DataError(f"{name}: expected x as [rows, features], got {x.shape}. Reshape it.")
    _check_lengths(name, len(x), {label: y, "group": group})
    names = optional.get("channels", optional.get("features"))
    if names is not None and len(names) != x.shape[1]:
        raise DataError(
            f"{name}: expected {x.shape[1]} channel names, one for each, got {len(names)}: "
            f"{_listed(names)}. Save as many names as x has columns."
        )
    features = names or _numbered("channel" if roles.series else "feature", x.shape[1])
    if len(set(features)) != len(features):
        raise DataError(
            f"{name}: expected names of the columns of x, each once, got {_listed(features)}. "
            "Rename them."
        )
    block = _Block(
        name,
        _number_matrix(name, x, features),
        features,
        names is not None,
        y,
        None if group is None else _texts(name, group, "group"),
        None if recording is None else _texts(name, recording, "recording"),
        optional.get("labels"),
        rate,
    )
    return _chosen(block, roles)


def _from_columns(name: str, columns: Columns, roles: _Roles) -> _Block:
    all_names = tuple(columns)
    label = columns.get(roles.label)
    if label is None and roles.labelled:
        raise _no_label(name, roles.label, all_names)
    group = _found(name, columns, roles.group, _GROUP_NAMES, "group")
    recording = None
    if roles.series:
        recording = _found(name, columns, roles.recording, _RECORDING_NAMES, "recording")
    taken = {roles.label, roles.group or _GROUP_NAMES[0]}
    if roles.series:
        taken |= {roles.recording} if roles.recording else set(_RECORDING_NAMES)
    left = tuple(
        each
        for each in all_names
        if each not in taken and not (roles.series and each.lower() in _TIME_NAMES)
    )
    features = roles.features or left
    if not features:
        raise DataError(
            f"{name}: expected columns of numbers besides {_listed(sorted(filter(None, taken)))}, "
            f"found {_listed(all_names)}. Add the measured values."
        )
    option, kind = ("--channels", "channel") if roles.series else ("--features", "feature")
    if label is not None and roles.label in features:
        raise UsageError(
            f"expected {option} without the label column {roles.label!r}, which would give the "
            "answer away. Leave it out."
        )
    for wanted in features:
        if wanted not in columns:
            raise _not_found(name, kind, wanted, all_names, option)
    x = np.column_stack([_numbers(name, columns[each], each) for each in features])
    return _Block(
        name,
        x,
        features,
        True,
        label,
        None if group is None else _texts(name, group, roles.group or "group"),
        None if recording is None else _texts(name, recording, roles.recording or "recording"),
    )


def load_numpy(path: Path, name: str) -> Any:
    """Read a .npy or .npz file without any code of its own."""
    try:
        return np.load(path, allow_pickle=False)
    except Exception as error:  # The reader raises whatever the file makes it stumble over.
        if "Object arrays" in str(error):
            raise _object_array(name) from error
        raise DataError(
            f"{name}: expected a NumPy file, this one is damaged or something else. "
            "Save it again with numpy.save or numpy.savez."
        ) from error


def member_of(archive: Any, key: str, name: str) -> NDArray[Any]:
    """Read an array of an .npz."""
    try:
        array: NDArray[Any] = archive[key]
    except Exception as error:  # The reader raises whatever the file makes it stumble over.
        if "Object arrays" in str(error):
            raise _object_array(f"{name}, array {key!r}") from error
        raise DataError(
            f"{name}: expected a readable array {key!r}, it is damaged. Save the file again."
        ) from error
    return array


def _object_array(name: str) -> DataError:
    return DataError(
        f"{name}: expected an array of numbers or text, got Python objects, which are never loaded "
        "since that can run code. Save recordings of differing length one file each, or joined "
        "as x [total_time, channels] with a 'recording' index [total_time]."
    )


def _signal(name: str, array: NDArray[Any]) -> NDArray[Any]:
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2:
        raise DataError(
            f"{name}: expected one recording [time, channels], got an array of shape "
            f"{array.shape}. Save one file per recording, or an .npz with x and y."
        )
    return _number_matrix(name, array, _numbered("channel", array.shape[1]))


def _per_sample(name: str, key: str, each: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Repeat a value per recording for each of its samples."""
    if each.shape != shape[:1]:
        raise DataError(
            f"{name}: expected {key!r} to have one entry for each of the {shape[0]} recordings of "
            f"x {shape}, got shape {each.shape}. Save one per recording."
        )
    return np.repeat(each, shape[1])


def _per_recording(
    name: str, key: str, each: NDArray[Any], samples: int, recording: NDArray[Any] | None
) -> NDArray[Any]:
    """Look a value per recording up for each sample; a value per sample stays."""
    if each.shape == (samples,) or each.ndim != 1:
        return each
    if recording is None:
        raise DataError(
            f"{name}: x of {samples} samples has {len(each)} entries of {key!r}; expected one per "
            "sample, or an array 'recording' [total_time] that tells which entry a sample has."
        )
    if recording.dtype.kind not in "iu" or ((recording < 0) | (recording >= len(each))).any():
        raise DataError(
            f"{name}: expected 'recording' to hold indexes into the {len(each)} entries of "
            f"{key!r}, from 0 to {len(each) - 1}. Number the recordings from 0."
        )
    looked_up: NDArray[Any] = each[recording]
    return looked_up


def _check_lengths(name: str, rows: int, arrays: Mapping[str, NDArray[Any] | None]) -> None:
    for key, array in arrays.items():
        if array is not None and array.shape != (rows,):
            raise DataError(
                f"{name}: expected {key!r} to have one entry for each of the {rows} rows of x, got "
                f"shape {array.shape}. Save both with the same first axis."
            )


def _rate_of(name: str, array: NDArray[Any]) -> float:
    if array.size != 1 or array.dtype.kind not in "iuf" or not 0 < float(array.item()) < np.inf:
        raise DataError(f"{name}: expected 'rate' to be samples per second above 0, got {array}.")
    return float(array.item())


# From files to recordings


def _files_below(folder: Path) -> list[str]:
    inside = sorted(
        each.relative_to(folder).as_posix()
        for each in folder.rglob("*")
        if each.is_file() and not any(part[0] == "." for part in each.relative_to(folder).parts)
    )
    known = [name for name in inside if Path(name).suffix.lower() in EXTENSIONS]
    if not known:
        others = sorted({Path(name).suffix or name for name in inside})
        found = f"only {_listed(others)}" if others else "no files"
        raise DataError(
            f"{folder}: expected files that end in {_listed(EXTENSIONS)} in this folder or below, "
            f"found {found}. Put recordings there as LABEL/name.npy; pictures are "
            "for --pipeline image."
        )
    return known


def _in_folder(
    block: _Block,
    roles: _Roles,
    find_group: re.Pattern[str] | None,
    find_label: re.Pattern[str] | None,
) -> _Block:
    name, rows = block.name, len(block.x)
    if not rows:
        raise _empty(name)
    y, group = block.y, block.group
    if find_label is not None:
        y = np.full(rows, matched_text(find_label, name, "--label-pattern"))
    elif y is None:
        folders = Path(name).parts[:-1]
        if not folders:
            raise DataError(
                f"{name}: expected a label for it, found no column {roles.label!r} and no folder. "
                f"Move it to LABEL/{name}, name its column with --label, or give --label-pattern."
            )
        y = np.full(rows, folders[0])
    if find_group is not None:
        group = np.full(rows, matched_text(find_group, name, "--group-pattern"))
    elif group is None:
        group = np.full(rows, name)
    return replace(block, y=y, group=group)


def _recordings_of(block: _Block) -> list[Recording]:
    if not len(block.x):
        return []
    labels = _class_names(block)
    rows = np.arange(len(labels))
    part = _codes(block.recording, rows)
    owner = _codes(block.group, rows)
    pair = _codes(owner * (int(part.max()) + 1) + part, rows)
    if block.recording is not None:
        rows = np.argsort(pair, kind="stable")
    label = _codes(labels, rows)
    changed = (np.diff(pair[rows]) != 0) | (np.diff(label[rows]) != 0)
    edges = [0, *(np.flatnonzero(changed) + 1).tolist(), len(rows)]
    found: list[Recording] = []
    seen: dict[int, int] = {}
    for number, (start, stop) in enumerate(pairwise(edges)):
        first = int(rows[start])
        again = seen[int(pair[first])] = seen.get(int(pair[first]), 0) + 1
        own = str(number) if block.recording is None else str(block.recording[first])
        source = block.name if len(edges) == 2 else f"{block.name}#{own}"
        if block.recording is not None and again > 1:
            source += f".{again}"
        contiguous = int(rows[stop - 1]) - first == stop - start - 1
        data = block.x[first : first + stop - start] if contiguous else block.x[rows[start:stop]]
        group = own if block.group is None else str(block.group[first])
        found.append(Recording(data, str(labels[first]), group, source))
    return found


def _codes(values: NDArray[Any] | None, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number distinct values in the order in which they first come."""
    if values is None:
        return np.zeros(len(rows), np.int64)
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def _same_channels(blocks: Sequence[_Block]) -> list[_Block]:
    """Give every block the channels of the first named one, in its order."""
    model = next((block for block in blocks if block.named), blocks[0])
    found: list[_Block] = []
    for block in blocks:
        if len(block.features) != len(model.features):
            raise DataError(
                f"{block.name}: expected {len(model.features)} channels as in {model.name}, "
                f"got {len(block.features)}. Choose the shared ones with --channels, or take the "
                "file out."
            )
        if block.named and block.features != model.features:
            if set(block.features) != set(model.features):
                raise DataError(
                    f"{block.name}: expected the channels of {model.name}, "
                    f"{_listed(model.features)}; got {_listed(block.features)}. Rename them, or "
                    "choose the shared ones with --channels."
                )
            order = [block.features.index(each) for each in model.features]
            block = replace(block, x=block.x[:, order])
        found.append(replace(block, features=model.features))
    return found


def _agreed_rate(blocks: Sequence[_Block], asked: float | None) -> float | None:
    if asked is not None:
        if not 0 < asked < np.inf:
            raise UsageError(f"expected a rate in samples per second above 0, got {asked}.")
        return float(asked)
    rates = {block.rate: block.name for block in blocks if block.rate is not None}
    if len(rates) > 1:
        shown = _listed([f"{rate:g} ({name})" for rate, name in rates.items()])
        raise DataError(
            f"expected one sampling rate, got {shown} samples per second. Resample the recordings "
            "to one rate."
        )
    return next(iter(rates), None)


def _agreed_labels(blocks: Sequence[_Block]) -> tuple[str, ...] | None:
    first = blocks[0].labels
    return first if all(block.labels == first for block in blocks) else None


def _class_names(block: _Block) -> NDArray[np.str_]:
    assert block.y is not None
    return class_names(block.name, block.y, block.labels)


def class_names(name: str, y: NDArray[Any], labels: Sequence[str] | None) -> NDArray[np.str_]:
    """Labels as text; whole numbers are looked up in the file's `labels`, where it has them.

    Raises
    ------
    DataError
        A label is empty, or a number is not one of the classes.
    """
    names = _texts(name, y, "label")
    if labels is None or y.dtype.kind not in "iu":
        return names
    count = len(labels)
    bad = (y < 0) | (y >= count)
    if bad.any():
        raise DataError(
            f"{name}: expected labels from 0 to {count - 1}, since 'labels' names {count} "
            f"classes; got {_listed(np.unique(y[bad]).tolist())}. Name every class."
        )
    found: NDArray[np.str_] = np.array(labels)[y]
    return found


def classes_of(
    name: str, names: Iterable[str], listed: tuple[str, ...] | None, least: int = 2
) -> tuple[str, ...]:
    """The classes in the order of their index: as listed, else sorted."""
    present = set(np.asarray(list(names), dtype=np.str_).tolist())
    if len(present) < least:
        raise DataError(
            f"{name}: expected at least two classes, every label is {next(iter(present))!r}. "
            "Record a second class (such as 'nothing'), or name another column with --label."
        )
    if listed is not None and present <= set(listed):
        return tuple(each for each in listed if each in present)
    return class_order(present)


# Cells


def _numbers(name: str, column: NDArray[Any], title: str) -> NDArray[Any]:
    """Check that a column holds finite numbers; text that reads as a number becomes float64."""
    if column.dtype.kind == "b":
        return column.astype(np.uint8)
    if column.dtype.kind in "OUS":
        missing = np.array([each is None or each == "" for each in column.tolist()], dtype=bool)
        wrong = ~missing & np.array([not _is_number(each) for each in column.tolist()], dtype=bool)
        if wrong.any():
            example = column[int(np.argmax(wrong))]
            raise DataError(
                f"{name}: expected numbers in column {title!r}, got text such as "
                f"{str(example)!r} in {_rows(wrong)}. Correct those cells, or choose the columns "
                "to use with --features (for recordings, --channels)."
            )
        column = np.array([float(each) if each else np.nan for each in column.tolist()])
    elif column.dtype.kind not in "iuf":
        raise DataError(
            f"{name}: expected numbers in column {title!r}, got {column.dtype}. Convert it, or "
            "leave it out with --features (for recordings, --channels)."
        )
    bad = ~np.isfinite(column)
    if bad.any():
        raise DataError(
            f"{name}: expected a finite number in every cell of column {title!r}, got empty, NaN "
            f"or infinite cells in {_rows(bad)}. Drop those rows or fill them in."
        )
    return column


def _number_matrix(name: str, x: NDArray[Any], titles: Sequence[str]) -> NDArray[Any]:
    if not x.shape[1]:
        raise DataError(f"{name}: expected at least one channel or feature, x is {x.shape}.")
    if x.dtype.kind in "iu" or (x.dtype.kind == "f" and np.isfinite(x).all()):
        return x
    return np.column_stack(
        [_numbers(name, x[:, index], title) for index, title in enumerate(titles)]
    )


def _texts(name: str, column: NDArray[Any], title: str) -> NDArray[np.str_]:
    """Cells of a label, group or recording column as text; 3.0 reads as 3."""
    cells = [_text(each) for each in column.tolist()]
    empty = np.array([not each for each in cells], dtype=bool)
    if empty.any():
        raise DataError(
            f"{name}: expected a {title} in every row, got empty cells in {_rows(empty)}. "
            "Fill them in or drop those rows."
        )
    return np.array(cells, dtype=np.str_)


def _text(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace").strip()
    if isinstance(cell, float):
        if np.isnan(cell):
            return ""
        return str(int(cell)) if cell.is_integer() else repr(cell)
    return str(cell).strip()


def _is_number(cell: object) -> bool:
    if cell is None:
        return False
    try:
        float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _has_fractions(y: NDArray[Any]) -> bool:
    if y.dtype.kind in "OUS":
        if not all(_is_number(each) for each in y.tolist()):
            return False
        y = np.array([float(each) for each in y.tolist()])
    return y.dtype.kind == "f" and bool(np.any(np.isfinite(y) & (y != np.floor(y))))


# Names and messages


def _names_asked(names: Sequence[str] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    asked = tuple(names)
    if not asked or len(set(asked)) != len(asked):
        raise UsageError(f"expected column names, each once, got {_listed(asked) or 'none'}.")
    return asked


def _chosen(block: _Block, roles: _Roles) -> _Block:
    if roles.features is None:
        return block
    for wanted in roles.features:
        if wanted not in block.features:
            option, kind = ("--channels", "channel") if roles.series else ("--features", "feature")
            raise _not_found(block.name, kind, wanted, block.features, option)
    order = [block.features.index(each) for each in roles.features]
    return replace(block, x=block.x[:, order], features=roles.features)


def _found(
    name: str, columns: Columns, asked: str | None, usual: Sequence[str], role: str
) -> NDArray[Any] | None:
    if asked is None:
        return next((columns[each] for each in usual if each in columns), None)
    if asked not in columns:
        raise _not_found(name, role, asked, tuple(columns), f"--{role}")
    return columns[asked]


def _refuse_named_columns(name: str, columns: Sequence[str], roles: _Roles) -> None:
    if roles.labelled:
        raise _no_label(name, roles.label, columns)
    for asked, role in ((roles.group, "group"), (roles.recording, "recording")):
        if asked is not None:
            raise _not_found(name, role, asked, columns, "--group-pattern")


def _no_label(name: str, label: str, columns: Sequence[str]) -> DataError:
    return _not_found(name, "label", label, columns, "--label", _USUAL_LABEL_NAMES)


def _not_found(
    name: str,
    role: str,
    wanted: str,
    columns: Sequence[str],
    option: str,
    usual: Sequence[str] = (),
) -> DataError:
    lower = {each.lower(): each for each in columns}
    close = difflib.get_close_matches(wanted.lower(), lower, n=1)
    guess = lower[close[0]] if close else next((lower[each] for each in usual if each in lower), "")
    hint = f" Did you mean {guess!r}?" if guess else ""
    remedy = f"Name the right one with {option}."
    if any(_is_number(each) for each in columns) and not guess:
        remedy = f"The first row must hold the names of the columns; then use {option}."
    return DataError(
        f"{name}: expected a {role} column {wanted!r}, found {_listed(columns)}.{hint} {remedy}"
    )


def _empty(name: str) -> DataError:
    return DataError(
        f"{name}: expected a recording with at least one sample, it is empty. "
        "Record it again or take the file out."
    )


def compiled_pattern(pattern: str | None, option: str) -> re.Pattern[str] | None:
    """A regular expression that a user gave with an option."""
    if pattern is None:
        return None
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UsageError(
            f"expected a regular expression for {option}, got {pattern!r}: {error}. "
            r"Example: 'person(\d+)' finds 7 in walk/person7_2.csv."
        ) from error


def matched_text(pattern: re.Pattern[str], name: str, option: str) -> str:
    """What a pattern finds in a path; its first parenthesis, if it has one."""
    match = pattern.search(name)
    text = match and match.group(1 if pattern.groups else 0)
    if not text:
        raise DataError(
            f"{name}: expected {option} {pattern.pattern!r} to find something in every path, it "
            "finds nothing here. Rename the file or widen the pattern."
        )
    return text


def _numbered(stem: str, count: int) -> tuple[str, ...]:
    return tuple(f"{stem}_{index}" for index in range(count))


def _rows(mask: NDArray[np.bool_]) -> str:
    """Row numbers, the first data row being 1."""
    rows = (np.flatnonzero(mask) + 1).tolist()
    return ("row " if len(rows) == 1 else "rows ") + _listed(rows)


def _listed(things: Sequence[object]) -> str:
    shown = ", ".join(str(each) for each in things[:_SHOWN])
    return f"{shown} and {len(things) - _SHOWN} more" if len(things) > _SHOWN else shown


def _sentence(error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f"Reading it failed: {text}."
