"""Files that commands read: arrays, modules and programs."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wingbeat.assemble import Module, disassemble
from wingbeat.errors import DataError, FormatError, UsageError
from wingbeat.program import Descriptor, Program, is_module_name
from wingbeat.sources import PICKLES

_EXACT_IN_FLOAT32 = 2**24


def load_file(path: Path) -> Module | Program:
    """Read a module (`.mpy`) or a program (`.wbp`), told by its first byte.

    Raises
    ------
    FormatError
        It is neither, or it is damaged.
    UsageError
        It is a folder, or a trained model that was not converted yet.
    OSError
        It cannot be read.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder: expected a .mpy or .wbp file")
    data = path.read_bytes()
    if path.suffix.lower() in (".tflite", ".skops", *PICKLES):
        raise UsageError(
            f"{path} is a trained model: expected a .mpy or .wbp file. Make one of it:"
            f" wingbeat convert {path} -o {path.with_suffix('.wbp').name}"
        )
    try:
        if data.startswith(b"M"):
            loaded: Module | Program = disassemble(data)
        elif path.suffix == ".mpy":
            raise FormatError("not a .mpy file: it does not start with 'M'; convert again")
        else:
            loaded = Program.load(path)
        program = loaded.program if isinstance(loaded, Module) else loaded
        if not is_module_name(program.name):
            raise FormatError(f"the name {program.name!r} in it is not that of a module")
    except FormatError as error:
        if str(path) in str(error):
            raise
        raise FormatError(f"{path}: {error}") from error
    return loaded


def load_array(path: Path, *, texts: bool = False) -> NDArray[Any]:
    """Read a `.npy` file of numbers, or of texts if they are allowed.

    Raises
    ------
    DataError
        It is something else, is cut short, or holds Python objects.
    OSError
        It cannot be read.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder: expected a .npy file")
    data = path.read_bytes()
    if not data.startswith(b"\x93NUMPY"):
        raise DataError(f"{path} is not a .npy file: expected one array, from numpy.save")
    try:
        array: NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError, SyntaxError) as error:
        raise DataError(
            f"{path} cannot be used: {error}. Expected an array of numbers, from numpy.save"
        ) from error
    if array.dtype.kind not in ("biufU" if texts else "biuf"):
        raise DataError(f"{path} holds {array.dtype}: expected numbers")
    return array


def as_input(x: NDArray[Any], wanted: Descriptor, source: str) -> NDArray[Any]:
    """Rows for a program's input: the same values in its dtype.

    Parameters
    ----------
    x : array [rows, *shape], or [rows, elements]
    wanted : Descriptor
        Of the program's input.
    source : str
        What `x` is called in messages.

    Raises
    ------
    DataError
        The shape differs, or a value would change.
    """
    shape = wanted.shape
    if x.ndim == 2 and x.shape[1] == wanted.n_elements:
        x = x.reshape(len(x), *shape)
    if x.shape[1:] != shape or x.ndim == 0:
        expected = ", ".join(["rows", *map(str, shape)])
        single = "; for a single row, save x[None]" if x.shape == shape else ""
        raise DataError(
            f"{source} has the shape {list(x.shape)}: the model takes [{expected}]{single}"
        )
    if x.dtype == wanted.dtype:
        return x
    if wanted.typecode == "f":
        return _as_float32(x, source)
    if x.dtype.kind == "f":
        raise DataError(
            f"{source} is {x.dtype}: the model takes {wanted.dtype}. Scale and round it as the"
            f" training data were (wingbeat.recordings.to_int16 for recordings), or save integers"
            f" with x.astype({wanted.dtype.name!r})"
        )
    limits = np.iinfo(wanted.dtype)
    if x.size and (int(x.min()) < limits.min or int(x.max()) > limits.max):
        raise DataError(
            f"{source} has values from {x.min()} to {x.max()}: the model takes {wanted.dtype},"
            f" {limits.min} to {limits.max}. Clip or scale them as the training data were"
        )
    return x.astype(wanted.dtype)


def as_samples(x: NDArray[Any], program: Program, source: str) -> NDArray[Any]:
    """A stream for a program that takes one: the same values in its dtype.

    Parameters
    ----------
    x : array [samples, channels], [samples] for one channel, or [rows, *input.shape]
    program : Program
        That takes a stream.
    source : str
        What `x` is called in messages.

    Returns
    -------
    array [samples, channels]

    Raises
    ------
    DataError
        The shape differs, or a value would change.
    """
    channels = program.channels
    if x.shape[1:] == program.input.shape or (x.ndim == 1 and channels == 1):
        x = x.reshape(-1, channels)
    if x.ndim != 2 or x.shape[1] != channels:
        raise DataError(
            f"{source} has the shape {list(x.shape)}: the model takes a stream of samples,"
            f" [samples, {channels}]"
        )
    return as_input(x, replace(program.input, shape=(channels,)), source)


def _as_float32(x: NDArray[Any], source: str) -> NDArray[Any]:
    if x.dtype.kind == "f":
        with np.errstate(over="ignore"):
            rounded = x.astype("<f4")
        if np.any(np.isinf(rounded) & np.isfinite(x)):
            raise DataError(
                f"{source} has values that are too large for float32, which the model takes"
            )
        return rounded
    if x.dtype.kind != "b" and np.any((x > _EXACT_IN_FLOAT32) | (x < -_EXACT_IN_FLOAT32)):
        raise DataError(
            f"{source} is {x.dtype} with values above 2**24, which float32 cannot hold exactly:"
            " the model takes float32; save x.astype('float32') if rounding is meant"
        )
    return x.astype("<f4")
