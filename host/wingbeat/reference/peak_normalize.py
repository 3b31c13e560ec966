"""Peak normalize: how far each element of a window is above a depth below its greatest.

With ``p`` the greatest element, or `least` if that is more:

    ``y[i] = max(x[i] - p + depth, 0)``

On logarithms of energies this takes away how loud a sound is: the greatest becomes `depth`, and
all that is `depth` or more below it becomes 0. `least` keeps silence from being made loud.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .signal_operator import SignalOperator

MAX_ELEMENTS = 65535
MAX_DEPTH = 32767

_STRUCT = struct.Struct("<HHhxx")
_INT16 = (-32768, 32767)


@dataclass(frozen=True)
class PeakNormalize(SignalOperator):
    """A window relative to its greatest element.

    Parameters
    ----------
    n_elements : int
        1 to 65535.
    depth : int
        Of the greatest element, 1 to 32767.
    least : int
        A window whose elements are all below is taken as if one was so great; int16.
    """

    n_elements: int
    depth: int
    least: int = _INT16[0]

    OPCODE: ClassVar[int] = 106
    KERNEL: ClassVar[str] = "peak_normalize"

    def _problem(self) -> str | None:
        if not 1 <= self.n_elements <= MAX_ELEMENTS:
            return f"a tensor has 1 to {MAX_ELEMENTS} elements, not {self.n_elements}"
        if not 1 <= self.depth <= MAX_DEPTH:
            return f"a depth is 1 to {MAX_DEPTH}, not {self.depth}"
        if not _INT16[0] <= self.least <= _INT16[1]:
            return f"the least peak is an int16, not {self.least}"
        return None

    def encode(self) -> bytes:
        """Return u16 n_elements, depth, i16 least, 2 zeros."""
        return _STRUCT.pack(self.n_elements, self.depth, self.least)

    @classmethod
    def _read(cls, params: bytes) -> PeakNormalize:
        return cls(*_STRUCT.unpack(params))

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the window."""
        return (("h", self.n_elements),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the result."""
        return self.inputs

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """The output may take the input's place."""
        return ((0, 0),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        (x,) = inputs
        wide = x.astype(np.int32)
        peak = np.maximum(wide.max(axis=1, keepdims=True), self.least)
        return (np.maximum(wide - peak + self.depth, 0).astype(np.int16),)
