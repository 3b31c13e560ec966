"""Programs of every kind that conversion makes, for the tests that run whole programs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vectors.forest import Shape, random_forest, rows_around, small_operator
from vectors.signals import small_signal_operators
from wingbeat.convert import convert
from wingbeat.program import Decision, Descriptor, Program, ProgramBuilder
from wingbeat.reference import Cast, Operator, Probability, Shift, WindowStats
from wingbeat.reference.band_energies import log_band_energies, mel_bands
from wingbeat.reference.forest import FEATURES, ForestWalk, Leaves
from wingbeat.reference.power_spectrum import power_spectrum

_DTYPES = {"u8": "uint8", "i8": "int8", "i16": "int16", "f32": "float32", "f32_positive": "float32"}


def program_of(name: str, operator: Operator, decision: Decision = Decision.NONE) -> Program:
    """Return a program of one operator with one input."""
    ((typecode, n_elements),) = operator.inputs
    builder = ProgramBuilder(Descriptor(typecode, (n_elements,)))
    return builder.finish(name, builder.add(operator, 0), decision)


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
    operators: list[Operator] = [
        WindowStats(5, 2, ("mean", "std", "rms")),
        Cast(6, "b"),
        Shift(6, 3, "H"),
        Probability(5, 16),
    ]
    for features in FEATURES:
        for leaves in Leaves:
            operators.append(small_operator(features, leaves))
    operators += [each for each in small_signal_operators() if len(each.inputs) == 1]
    found: dict[str, Program] = {}
    for operator in operators:
        found.setdefault(operator.KERNEL, program_of("small", operator))
    found["log_mel"] = log_mel_program("log_mel", 64, 8)
    found["chain"] = small_model()
    return found


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
