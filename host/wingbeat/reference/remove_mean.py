"""Remove mean: each channel of a window minus its mean.

``y[i] = x[i] - floor((2 S + n) / (2 n))`` with S the sum of the n samples of the channel, limited
to int16.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .signal_operator import SignalOperator

MAX_SAMPLES = 32767
MAX_CHANNELS = 255

_STRUCT = struct.Struct("<HBx")
_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True)
class RemoveMean(SignalOperator):
    """Each channel without its mean.

    Parameters
    ----------
    n_samples : int
        1 to 32767.
    n_channels : int
        1 to 255, interleaved.
    """

    n_samples: int
    n_channels: int = 1

    OPCODE: ClassVar[int] = 102
    KERNEL: ClassVar[str] = "remove_mean"

    def _problem(self) -> str | None:
        if not 1 <= self.n_samples <= MAX_SAMPLES:
            return f"a window has 1 to {MAX_SAMPLES} samples, not {self.n_samples}"
        if not 1 <= self.n_channels <= MAX_CHANNELS:
            return f"there are 1 to {MAX_CHANNELS} channels, not {self.n_channels}"
        return None

    def encode(self) -> bytes:
        """Return u16 n_samples, u8 n_channels, 0."""
        return _STRUCT.pack(self.n_samples, self.n_channels)

    @classmethod
    def _read(cls, params: bytes) -> RemoveMean:
        return cls(*_STRUCT.unpack(params))

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the window [n_samples, n_channels]."""
        return (("h", self.n_samples * self.n_channels),)

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
        n = self.n_samples
        wide = x.reshape(-1, n, self.n_channels).astype(np.int64)
        mean = (2 * wide.sum(axis=1, keepdims=True) + n) // (2 * n)
        result = np.clip(wide - mean, _INT16.min, _INT16.max).astype(np.int16)
        return (result.reshape(len(x), -1),)
