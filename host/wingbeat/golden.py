"""Golden vectors: a few inputs with their exact outputs, which a board has to repeat.

They come from the rows that a model was tested on or converted with, and travel in the program's
file. Without such rows they are made from the input's dtype: its extremes, then numbers drawn with
a fixed seed.
"""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import FormatError, UsageError

if TYPE_CHECKING:
    from .program import Program

MOST_ROWS = 16
MOST_BYTES = 8192
"""Of all inputs together, unless a single row or the first results of a stream take more."""

_FEWEST_ROWS = 2
_FEWEST_RESULTS = 3
"""Of a stream, however many rows it takes to get there."""

_SEED = 1
_DATE = (1980, 1, 1, 0, 0, 0)
_INPUTS, _OUTPUTS = "inputs.npy", "outputs.npy"


@dataclass(frozen=True, eq=False)
class Golden:
    """Inputs and the outputs of the program that they were made with.

    Attributes
    ----------
    inputs : array [rows, *input.shape]
        Of the input's dtype.
    outputs : array [rows, *output.shape]
        Of the output's dtype: raw, as `run` gives them.
    real : bool
        The inputs are rows of data, not generated.
    """

    inputs: NDArray[Any]
    outputs: NDArray[Any]
    real: bool = True

    def encode(self) -> bytes:
        """A `.npz` file; the same vectors give the same bytes."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, array in ((_INPUTS, self.inputs), (_OUTPUTS, self.outputs)):
                member = io.BytesIO()
                np.save(member, array, allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(name, _DATE), member.getvalue())
        return buffer.getvalue()

    @classmethod
    def decode(cls, data: bytes) -> Golden:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            It is something else, or damaged.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                inputs, outputs = (
                    np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
                    for name in (_INPUTS, _OUTPUTS)
                )
        except Exception as error:
            raise FormatError(
                f"the golden vectors are damaged ({error}): convert the model again"
            ) from error
        return cls(inputs, outputs)


def choose(program: Program, x: NDArray[Any]) -> Golden | None:
    """A few of the rows `x`, of as many classes as possible.

    Parameters
    ----------
    x : array [rows, *input.shape]
        Of the input's dtype. If the program takes a stream, they follow each other in it: the
        first of them are taken, up to a few results.

    Returns
    -------
    Golden or None
        None when there are no rows.
    """
    rows = np.asarray(x)
    if len(rows) == 0:
        return None
    if program.takes_stream:
        first = np.ascontiguousarray(rows[: _rows_that_fit(program)])
        return Golden(first, program.run(first))
    count = min(_rows_that_fit(program), len(rows))
    spread = np.linspace(0, len(rows) - 1, num=min(len(rows), 64 * count)).astype(int)
    candidates = np.unique(spread)
    outputs = program.run(rows[candidates])
    flat = outputs.reshape(len(candidates), -1)
    _, kinds = np.unique(flat.argmax(axis=1), return_inverse=True)
    # The first of each kind, then the second of each, and so on.
    turn = np.zeros(len(candidates), dtype=int)
    for kind in np.unique(kinds):
        turn[kinds == kind] = np.arange(np.count_nonzero(kinds == kind))
    chosen = np.sort(np.lexsort((kinds, turn))[:count])
    return Golden(np.ascontiguousarray(rows[candidates][chosen]), outputs[chosen])


def generate(program: Program, seed: int = _SEED) -> Golden:
    """Vectors that only know the input's dtype: extremes first, then drawn numbers."""
    wanted = program.input
    count = _rows_that_fit(program)
    draw = np.random.default_rng(seed)
    shape = (count, wanted.n_elements)
    special: list[float]
    if wanted.dtype.kind == "f":
        largest = float(np.finfo(np.float32).max)
        drawn = draw.normal(0, 1, shape) * 10.0 ** draw.integers(-3, 4, shape)
        special = [0.0, -0.0, -largest, largest, 1e-42]
    else:
        limits = np.iinfo(wanted.dtype)
        # Rows of small numbers too: few sensors use the whole range.
        spans = np.geomspace(2, limits.max, num=count).astype(np.int64)
        drawn = np.stack(
            [draw.integers(max(limits.min, -span), span, wanted.n_elements) for span in spans]
        )
        special = [0, limits.min, limits.max]
    x = drawn.astype(wanted.dtype)
    for row, value in zip(x[: max(1, count // 2)], special, strict=False):
        row[:] = value
    x = x.reshape(count, *wanted.shape)
    return Golden(x, program.run(x), real=False)


def vectors_of(program: Program) -> Golden:
    """The vectors in the program's file, or generated ones.

    Raises
    ------
    FormatError
        Those in the file are not of this program: it was changed, or computes otherwise now.
    """
    golden = program.golden
    if golden is None:
        return generate(program)
    try:
        expected = program.run(golden.inputs)
    except UsageError as error:
        raise FormatError(f"the golden vectors do not fit the program: {error}") from error
    same = expected.dtype == golden.outputs.dtype and np.array_equal(expected, golden.outputs)
    if not same:
        raise FormatError(
            "the program does not repeat its golden vectors on this computer: it was made by"
            " another version of Wingbeat, or its file was changed; convert the model again"
        )
    return golden


def _rows_that_fit(program: Program) -> int:
    if program.takes_stream:
        from .stream import pace_of

        pace = pace_of(program)
        return math.ceil((pace.window + (_FEWEST_RESULTS - 1) * pace.hop) / pace.samples)
    size = program.input.n_elements * program.input.dtype.itemsize
    return max(_FEWEST_ROWS, min(MOST_ROWS, MOST_BYTES // size))
