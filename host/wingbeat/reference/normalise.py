"""Normalise: a picture with its own mean and deviation, or least and largest value, taken out.

Light and exposure change from picture to picture; what is left of them is the same for all. With n
pixels x, their sum S and the sum of their squares Q, all divisions rounded down:

====================  ===============================  ======================
                      by deviation                     by range
====================  ===============================  ======================
m                     S / n                            least x
r                     2^8 (S - n m) / n                0
V                     Q - 2 m S + n m^2 - (S - n m)^2 / n
d                     isqrt(2^16 V / n)                2^8 (largest x - least x)
====================  ===============================  ======================

``f = 2^24 gain / max(d, least)`` and ``y = ((f (x - m) - f r / 2^8 + 2^15) / 2^16) + zero``,
limited to the output's dtype: gain steps for each deviation, or for the whole range.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .base import DTYPES
from .magnitude import exact_root
from .signal_operator import SignalOperator

MAX_ELEMENTS = 65535
MAX_GAIN = 32767
TYPECODES = ("b", "B", "h")

_STRUCT = struct.Struct("<HBcHHhxx")
_INT16 = np.iinfo(np.int16)


class Measure(enum.IntEnum):
    """What a picture is divided by."""

    DEVIATION = 0
    RANGE = 1


@dataclass(frozen=True)
class Normalise(SignalOperator):
    """A picture of uint8 brought to a mean and a deviation, or to a range.

    Parameters
    ----------
    n_elements : int
        1 to 65535.
    gain : int
        Steps of the output for a deviation, or for the range; 1 to 32767.
    least : int
        What a deviation or a range counts as at least, in 1/256 of a step of the input, so that the
        noise of an even picture stays small: above twice the gain, at most 65535.
    measure : Measure
    zero : int
        What the mean, or the least value, becomes; int16.
    typecode : str
        Of the output: ``"b"``, ``"B"`` or ``"h"``.
    """

    n_elements: int
    gain: int
    least: int
    measure: Measure = Measure.DEVIATION
    zero: int = 0
    typecode: str = "b"

    OPCODE: ClassVar[int] = 121
    KERNEL: ClassVar[str] = "normalise"

    def _problem(self) -> str | None:
        if not 1 <= self.n_elements <= MAX_ELEMENTS:
            return f"a picture has 1 to {MAX_ELEMENTS} elements, not {self.n_elements}"
        if not 1 <= self.gain <= MAX_GAIN:
            return f"a gain is 1 to {MAX_GAIN}, not {self.gain}"
        if not 2 * self.gain < self.least <= MAX_ELEMENTS:
            return (
                f"least is {self.least / 256:g} steps of the input: expected above"
                f" {2 * self.gain / 256:g} for a gain of {self.gain}, and below 256"
            )
        if self.measure not in Measure.__members__.values():
            return f"no measure {self.measure!r}: expected 0 or 1"
        if not _INT16.min <= self.zero <= _INT16.max:
            return f"zero is {self.zero}: expected int16"
        if self.typecode not in TYPECODES:
            return f"no output of {self.typecode!r}: choose from {', '.join(TYPECODES)}"
        return None

    def encode(self) -> bytes:
        """Return u16 n_elements, u8 measure, typecode, u16 gain, u16 least, i16 zero, 2 zeros."""
        code = self.typecode.encode()
        return _STRUCT.pack(self.n_elements, self.measure, code, self.gain, self.least, self.zero)

    @classmethod
    def _read(cls, params: bytes) -> Normalise:
        n, measure, code, gain, least, zero = _STRUCT.unpack(params)
        return cls(n, gain, least, Measure(measure), zero, code.decode("latin-1"))

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the picture."""
        return (("B", self.n_elements),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the result."""
        return ((self.typecode, self.n_elements),)

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """An output of bytes may take the input's place."""
        return () if self.typecode == "h" else ((0, 0),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        (x,) = inputs
        wide = x.astype(np.int64)
        middle, rest, spread = self._measured(wide)
        factor = (self.gain << 24) // np.maximum(spread, self.least)
        offset = (factor * rest >> 8) - (1 << 15)
        y = (factor[:, None] * (wide - middle[:, None]) - offset[:, None] >> 16) + self.zero
        dtype = DTYPES[self.typecode]
        limits = np.iinfo(dtype)
        return (np.clip(y, limits.min, limits.max).astype(dtype),)

    def _measured(
        self, wide: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """m, r and d of each row."""
        n = self.n_elements
        if self.measure is Measure.RANGE:
            least = wide.min(axis=1)
            return least, np.zeros_like(least), (wide.max(axis=1) - least) << 8
        total, squares = wide.sum(axis=1), (wide**2).sum(axis=1)
        middle, rest = total // n, total % n
        about = squares - 2 * middle * total + n * middle**2 - rest**2 // n
        return middle, (rest << 8) // n, exact_root((about << 16) // n)
