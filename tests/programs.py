"""Programs of every kind that conversion makes, for the tests that run whole programs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vectors import small_operators
from vectors.forest import Shape, random_forest, rows_around
from wingbeat.convert import convert
from wingbeat.program import Decision, Descriptor, Program, ProgramBuilder
from wingbeat.reference import Operator, WindowStats
from wingbeat.reference.band_energies import log_band_energies, mel_bands
from wingbeat.reference.forest import ForestWalk, Leaves
from wingbeat.reference.power_spectrum import power_spectrum

_DTYPES = {"u8": "uint8", "i8": "int8", "i16": "int16", "f32": "float32", "f32_positive": "float32"}


def program_of(name: str, operator: Operator, decision: Decision = Decision.NONE) -> Program:
    """Return a program of one operator, whose inputs are all alike: each is the program's own."""
    ((typecode, n_elements),) = set(operator.inputs)
    builder = ProgramBuilder(Descriptor(typecode, (n_elements,)))
    inputs = [0] * len(operator.inputs)
    return builder.finish(name, builder.add(operator, *inputs), decision)


@cache
def programs() -> dict[str, Program]:
    """Return programs by name, the same ones each time."""
    rng = np.random.default_rng(11)
    found = {}
    for features, dtype in _DTYPES.items():
        for leaves in Leaves:
            shape = Shape("forest", 6, 25, 8, 1 if leaves is Leaves.VALUES else 4)
            forest = random_forest(rng, features, leaves, shape)
            name = f"{features}_{leaves.name.lower()}"
            found[name] = convert(forest, name=name, dtype=dtype)
    for shape in (Shape("binary", 6, 9, 5, 1, binary=True), Shape("multi", 6, 9, 5, 3)):
        forest = random_forest(rng, "f32", Leaves.VALUES, shape)
        found[shape.name] = convert(forest, name=shape.name)
    stats = WindowStats(20, 2, ("mean", "std", "max"))
    forest = random_forest(rng, "i16", Leaves.PAIRS, Shape("", 5, 12, 6, 3))
    found["window"] = convert(forest, name="window", features=stats, input_shape=(20, 2))
    forest = random_forest(rng, "u8", Leaves.PAIRS, Shape("", 5, 40, 300, 3))
    found["widened"] = convert(forest, name="widened", dtype="uint8")
    forest = random_forest(rng, "f32", Leaves.VALUES, Shape("", 4, 12, 6, 1))
    found["scaled"] = convert(forest, name="scaled", output_scale=0.25)
    return found


def rows_of(program: Program, n_rows: int) -> NDArray[Any]:
    """Return rows of input around the thresholds, or of anything."""
    rng = np.random.default_rng(7)
    dtype, shape = program.input.dtype, program.input.shape
    operator = program.calls[0].operator
    if isinstance(operator, ForestWalk):
        return np.stack(rows_around(rng, operator))[:n_rows]
    size = n_rows * program.input.n_elements * dtype.itemsize
    return np.frombuffer(rng.bytes(size), dtype).reshape(n_rows, *shape)


@cache
def small_programs() -> dict[str, Program]:
    """Return a program of a few hundred bytes for every kernel, and one with several calls."""
    found: dict[str, Program] = {}
    for program in operator_programs():
        kernel = program.calls[0].operator.KERNEL
        if kernel not in found or len(program.encode()) < len(found[kernel].encode()):
            found[kernel] = program
    found["log_mel"] = log_mel_program("log_mel", 64, 8)
    found["chain"] = small_model()
    return found


def operator_programs() -> Iterator[Program]:
    """Yield a program of each small operator that can do with the program's input."""
    for operator in small_operators():
        if len(set(operator.inputs)) == 1:
            yield program_of("small", operator)


def log_mel_program(name: str, n: int, n_bands: int) -> Program:
    """Return a program that computes logarithms of mel energies of n samples."""
    spectrum = power_spectrum(n)
    bands = log_band_energies(mel_bands(8000, n, n_bands))
    builder = ProgramBuilder(Descriptor("h", (n,)))
    power = builder.add(spectrum, 0)
    return builder.finish(name, builder.add(bands, power, power + 1), Decision.NONE)


def small_model(name: str = "small") -> Program:
    """Return a program that computes features, sums votes and decides."""
    rng = np.random.default_rng(3)
    stats = WindowStats(4, 2, ("mean", "std"))
    forest = random_forest(rng, "i16", Leaves.WIDE, Shape("small", 2, 3, 4, 3))
    labels = ["rest", "walk", "run"]
    return convert(forest, name=name, features=stats, input_shape=(4, 2), labels=labels)
