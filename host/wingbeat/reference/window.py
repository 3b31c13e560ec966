"""Window: the last samples of a stream, whenever enough new ones have come.

It keeps the last ``n_window`` samples, and is due as soon as that many are there, then after every
``hop`` more. Each run brings ``n_new`` samples; a count of those since the last time,

    ``count <- count + n_new;  if count >= n_window: due, count <- count - hop``

in 32 bits, decides. Operators behind it do not run while it is not due.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import UsageError

from .base import DTYPES
from .signal_operator import StatefulOperator

MAX_SAMPLES = 65535
MAX_ELEMENTS = 1 << 24

_STRUCT = struct.Struct("<HHHHc3x")


@dataclass(frozen=True)
class Window(StatefulOperator):
    """The last samples of a stream.

    Parameters
    ----------
    n_window : int
        Samples of the window, 1 to 65535.
    n_new : int
        Samples that each run brings, 1 to n_window.
    hop : int
        Samples from one window to the next, n_new to 65535.
    width : int
        Elements of a sample, 1 to 65535; n_window times width is at most 2^24.
    typecode : str
    """

    n_window: int
    n_new: int
    hop: int
    width: int
    typecode: str = "h"

    OPCODE: ClassVar[int] = 112
    KERNEL: ClassVar[str] = "window"

    def _problem(self) -> str | None:
        if not 1 <= self.n_window <= MAX_SAMPLES:
            return f"a window has 1 to {MAX_SAMPLES} samples, not {self.n_window}"
        if not 1 <= self.n_new <= self.n_window:
            return f"a run brings 1 to {self.n_window} samples, not {self.n_new}"
        if not self.n_new <= self.hop <= MAX_SAMPLES:
            return f"a hop is {self.n_new} to {MAX_SAMPLES} samples, not {self.hop}"
        if not 1 <= self.width <= MAX_SAMPLES or self.n_window * self.width > MAX_ELEMENTS:
            return f"{self.n_window} samples of {self.width}: at most {MAX_ELEMENTS} elements"
        if self.typecode not in DTYPES:
            return f"no window of {self.typecode!r}: choose from {', '.join(DTYPES)}"
        return None

    def encode(self) -> bytes:
        """Return u16 n_window, n_new, hop, width; typecode, 3 zeros."""
        sizes = self.n_window, self.n_new, self.hop, self.width
        return _STRUCT.pack(*sizes, self.typecode.encode())

    @classmethod
    def _read(cls, params: bytes) -> Window:
        n_window, n_new, hop, width, code = _STRUCT.unpack(params)
        return cls(n_window, n_new, hop, width, code.decode("latin-1"))

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the new samples."""
        return ((self.typecode, self.n_new * self.width),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the window."""
        return ((self.typecode, self.n_window * self.width),)

    @property
    def scratch(self) -> tuple[tuple[str, int], ...]:
        """The count."""
        return (("i", 1),)

    @property
    def persistent(self) -> tuple[int, ...]:
        """The window and the count."""
        return (1, 2)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Windows of rows that follow each other; all of them have to be due."""
        memory = [np.zeros(n, DTYPES[code]) for code, n in (*self.outputs, *self.scratch)]
        outputs, due = self.advance(memory, *inputs)
        if not due.all():
            raise UsageError("window: not every row completes a window: use Stream")
        return outputs

    def advance(
        self, memory: Sequence[NDArray[Any]], *inputs: NDArray[Any]
    ) -> tuple[tuple[NDArray[Any], ...], NDArray[np.bool_]]:
        """Windows of those rows after which one is due."""
        (x,) = inputs
        window, count = memory
        history = np.concatenate([window, x.ravel()])
        due = np.zeros(len(x), bool)
        for row in range(len(x)):
            now = _wrapped(int(count[0]) + self.n_new)
            due[row] = now >= self.n_window
            count[0] = _wrapped(now - self.hop) if due[row] else now
        step, size = x.shape[1], len(window)
        starts = (np.flatnonzero(due) + 1) * step
        windows = [history[start : start + size] for start in starts]
        window[:] = history[len(history) - size :]
        return (np.array(windows, window.dtype).reshape(len(starts), size),), due


def _wrapped(value: int) -> int:
    return (value + 2**31) % 2**32 - 2**31
