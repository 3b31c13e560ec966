"""Magnitude: the length of the vector that the axes of each sample are.

``y = min(isqrt(sum of x^2), 32767)``, with isqrt the largest integer whose square is not larger.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .signal_operator import SignalOperator

MAX_SAMPLES = 65535
MAX_AXES = 3

_STRUCT = struct.Struct("<HBx")
_INT16_MAX = 32767


@dataclass(frozen=True)
class Magnitude(SignalOperator):
    """Length of each sample's vector.

    Parameters
    ----------
    n_samples : int
        1 to 65535.
    n_axes : int
        1 to 3.
    """

    n_samples: int
    n_axes: int = 3

    OPCODE: ClassVar[int] = 104
    KERNEL: ClassVar[str] = "magnitude"

    def _problem(self) -> str | None:
        if not 1 <= self.n_samples <= MAX_SAMPLES:
            return f"a window has 1 to {MAX_SAMPLES} samples, not {self.n_samples}"
        if not 1 <= self.n_axes <= MAX_AXES:
            return f"a vector has 1 to {MAX_AXES} axes, not {self.n_axes}"
        return None

    def encode(self) -> bytes:
        """Return u16 n_samples, u8 n_axes, 0."""
        return _STRUCT.pack(self.n_samples, self.n_axes)

    @classmethod
    def _read(cls, params: bytes) -> Magnitude:
        return cls(*_STRUCT.unpack(params))

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the window [n_samples, n_axes]."""
        return (("h", self.n_samples * self.n_axes),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the lengths."""
        return (("h", self.n_samples),)

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """The output may take the input's place."""
        return ((0, 0),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        (x,) = inputs
        wide = x.reshape(len(x), self.n_samples, self.n_axes).astype(np.int64)
        return (np.minimum(exact_root((wide**2).sum(axis=2)), _INT16_MAX).astype(np.int16),)


def exact_root(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Largest integers whose squares are not larger than the values, which are below 2^50."""
    root = np.sqrt(values.astype(np.float64)).astype(np.int64)
    root -= root * root > values
    root += (root + 1) * (root + 1) <= values
    return root
