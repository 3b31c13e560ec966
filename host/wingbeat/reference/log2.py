"""Logarithm to the base 2, in fixed point.

With ``e`` the position of the highest bit of ``v > 0`` and ``f = floor(v 2^(15 - e)) - 2^15``, the
15 bits behind it:

    ``curve = 13856 - floor(5217 f / 2^15)``
    ``log2(v) ~ e + (f + floor(floor(f (2^15 - f) / 2^15) curve / 2^15)) / 2^15``

This is the line from one power of two to the next plus a bend that is 0 at both ends; the bend's
two coefficients are those with the least largest error, 0.0009. Results are int16 in steps of
1/512 (0.0059 dB of power).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .signal_operator import SignalOperator

#: Fraction bits of a logarithm in int16.
LOG_BITS = 9
#: Fraction bits of `fixed_log2`.
FINE_BITS = 15

_C0, _C1 = 13856, 5217
_ONE = 1 << FINE_BITS
_STRUCT = struct.Struct("<Hh")
INT16 = (-32768, 32767)


@dataclass(frozen=True)
class Log2(SignalOperator):
    """Logarithm of every element.

    Parameters
    ----------
    n_elements : int
        1 to 65535.
    floor : int
        The least result, in steps of 1/512; also that of 0 and below.
    """

    n_elements: int
    floor: int = 0

    OPCODE: ClassVar[int] = 98
    KERNEL: ClassVar[str] = "log2"

    def _problem(self) -> str | None:
        if not 1 <= self.n_elements <= 65535:
            return f"a tensor has 1 to 65535 elements, not {self.n_elements}"
        if not INT16[0] <= self.floor <= INT16[1]:
            return f"the least result is an int16, not {self.floor}"
        return None

    def encode(self) -> bytes:
        """Return u16 n_elements, i16 floor."""
        return _STRUCT.pack(self.n_elements, self.floor)

    @classmethod
    def _read(cls, params: bytes) -> Log2:
        return cls(*_STRUCT.unpack(params))

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the input."""
        return (("i", self.n_elements),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the output."""
        return (("h", self.n_elements),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        (x,) = inputs
        logs = rounded_log2(fixed_log2(np.maximum(x, 1)))
        return (limited_log2(np.where(x > 0, logs, self.floor), self.floor),)


def fixed_log2(value: NDArray[Any]) -> NDArray[np.int64]:
    """log2 of values from 1 to 2^32 - 1, in steps of 2^-15."""
    wide = np.asarray(value, np.int64)
    exponent = np.frexp(wide.astype(np.float64))[1].astype(np.int64) - 1
    mantissa = np.where(exponent > 15, wide >> np.maximum(exponent - 15, 0), 0)
    mantissa = np.where(exponent > 15, mantissa, wide << np.maximum(15 - exponent, 0))
    f = mantissa - _ONE
    curve = _C0 - (_C1 * f >> FINE_BITS)
    bend = f * (_ONE - f) >> FINE_BITS
    return np.asarray((exponent << FINE_BITS) + f + (bend * curve >> FINE_BITS))


def rounded_log2(log: NDArray[np.int64]) -> NDArray[np.int64]:
    """From steps of 2^-15 to steps of 1/512, to nearest."""
    shift = FINE_BITS - LOG_BITS
    return (log + (1 << (shift - 1))) >> shift


def limited_log2(log: NDArray[np.int64], floor: int) -> NDArray[np.int16]:
    """Logarithms as int16, none below the floor."""
    return np.clip(log, floor, INT16[1]).astype(np.int16)
