"""Window statistics: mean, spread, extremes and crossings of each channel of a window.

Everything is exact integer arithmetic, so that a board and this module give the same bits. With
``n`` samples ``x[i]`` of a channel, ``S`` their sum and ``Q`` the sum of their squares:

===============  ================================================================
mean             ``floor((2 S + n) / (2 n))``, the mean rounded to nearest, ties up
std              ``isqrt((n Q - S^2) // n^2)``, the population standard deviation
min, max         the extremes
rms              ``min(isqrt((2 Q + n) // (2 n)), 32767)``, root of the mean square
mean_crossings   number of ``i >= 1`` with ``(x[i] > mean) != (x[i-1] > mean)``
peak_to_peak     ``min(max - min, 32767)``
===============  ================================================================

``isqrt(a)`` is the largest integer whose square is at most ``a``.

References
----------
.. [1] T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for Computing the Sample Variance:
   Analysis and Recommendations", The American Statistician 37 (3), 1983: the variance from ``S``
   and ``Q``. Its loss of digits does not occur in exact integers.
.. [2] B. Kedem, "Spectral Analysis and Discrimination by Zero-Crossings", Proceedings of the
   IEEE 74 (11), 1986: crossings of the mean as a measure of frequency.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError, UsageError

#: Names of the statistics; the position is the id in a program.
STATISTICS = ("mean", "std", "min", "max", "rms", "mean_crossings", "peak_to_peak")

#: Limits of a window: samples, channels, and statistics per channel.
MAX_SAMPLES = 32767
MAX_CHANNELS = 255
MAX_STATISTICS = 255

_INT16_MAX = 32767
_HEADER = struct.Struct("<HBB")

_Int64s: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class WindowStats:
    """Statistics of each channel of a window of int16 samples.

    Parameters
    ----------
    n_samples : int
        Samples per channel, 1 to 32767.
    n_channels : int
        Interleaved channels, 1 to 255.
    statistics : tuple of str
        1 to 255 names out of `STATISTICS`, in the order of the output. A name may repeat.

    Raises
    ------
    UsageError
        If a number is out of range or a statistic is unknown.
    """

    n_samples: int
    n_channels: int
    statistics: tuple[str, ...]

    OPCODE: ClassVar[int] = 1
    KERNEL: ClassVar[str] = "window_stats"

    def __post_init__(self) -> None:
        problem = _problem(self.n_samples, self.n_channels, len(self.statistics))
        if problem is not None:
            raise UsageError(problem)
        for name in self.statistics:
            if name not in STATISTICS:
                raise UsageError(f"no statistic {name!r}: choose from {', '.join(STATISTICS)}")

    def encode(self) -> bytes:
        """Return the operator's parameters as a program holds them, a multiple of 4 bytes."""
        ids = bytes(STATISTICS.index(name) for name in self.statistics)
        header = _HEADER.pack(self.n_samples, self.n_channels, len(ids))
        return header + ids + bytes(-len(ids) % 4)

    @classmethod
    def decode(cls, params: bytes) -> WindowStats:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            If the parameters are of the wrong length or a value is out of range.
        """
        if len(params) < _HEADER.size:
            raise FormatError(
                f"window statistics need at least {_HEADER.size} bytes of parameters, "
                f"not {len(params)}"
            )
        n_samples, n_channels, n_statistics = _HEADER.unpack_from(params)
        problem = _problem(n_samples, n_channels, n_statistics)
        if problem is not None:
            raise FormatError(f"window statistics: {problem}")
        end = _HEADER.size + n_statistics
        expected = end + -n_statistics % 4
        if len(params) != expected:
            raise FormatError(
                f"window statistics: {n_statistics} statistics take {expected} bytes of "
                f"parameters, not {len(params)}"
            )
        if any(params[end:]):
            raise FormatError("window statistics: the padding of the parameters is not zero")
        ids = params[_HEADER.size : end]
        if max(ids) >= len(STATISTICS):
            raise FormatError(
                f"window statistics: unknown statistic {max(ids)}; this version knows 0 to "
                f"{len(STATISTICS) - 1}"
            )
        return cls(n_samples, n_channels, tuple(STATISTICS[i] for i in ids))

    def operand_sizes(self) -> tuple[int, ...]:
        """Return the bytes of the input and of the output."""
        item = np.dtype(np.int16).itemsize
        return tuple(item * count for _, count in self.inputs + self.outputs)

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the window."""
        return (("h", self.n_samples * self.n_channels),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the statistics."""
        return (("h", self.n_channels * len(self.statistics)),)

    @property
    def scratch(self) -> tuple[tuple[str, int], ...]:
        """None is needed."""
        return ()

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """None."""
        return ()

    def apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Compute rows of flat windows, as a program passes them.

        Parameters
        ----------
        *inputs : ndarray of int16, shape [rows, n_samples * n_channels]
            One array.

        Returns
        -------
        tuple of one ndarray of int16, shape [rows, n_channels * len(statistics)]

        Raises
        ------
        UsageError
            If there is not exactly one input, or its dtype or shape is another.
        """
        if len(inputs) != 1:
            raise UsageError(f"expected 1 input, got {len(inputs)}")
        (x,) = inputs
        if x.shape[1:] != (self.n_samples * self.n_channels,):
            raise UsageError(
                f"expected rows of {self.n_samples * self.n_channels} samples, "
                f"got shape {list(x.shape)}"
            )
        return (self.run(x.reshape(len(x), self.n_samples, self.n_channels)),)

    def output_names(self, channels: Sequence[str]) -> list[str]:
        """Name each output, such as ``"ax_mean"``, in the order of the output.

        Parameters
        ----------
        channels : sequence of str
            One name per channel.

        Raises
        ------
        UsageError
            If the number of names is not the number of channels.
        """
        if len(channels) != self.n_channels:
            raise UsageError(f"expected {self.n_channels} channel names, got {len(channels)}")
        return [f"{channel}_{name}" for channel in channels for name in self.statistics]

    def run(self, x: NDArray[np.int16]) -> NDArray[np.int16]:
        """Compute the statistics of every window.

        Parameters
        ----------
        x : ndarray of int16, shape [..., n_samples, n_channels]
            One window or any number of them.

        Returns
        -------
        ndarray of int16, shape [..., n_channels * len(statistics)]
            All statistics of the first channel, then those of the second, and so on, in the
            input's unit. mean_crossings is a count.

        Raises
        ------
        UsageError
            If `x` has another dtype or shape.
        """
        window = (self.n_samples, self.n_channels)
        if x.dtype != np.int16 or x.shape[-2:] != window:
            raise UsageError(
                f"expected int16 windows of shape [..., {window[0]}, {window[1]}], "
                f"got {x.dtype} {list(x.shape)}"
            )
        channels = _Channels(x)
        known = {name: _COMPUTE[name](channels) for name in set(self.statistics)}
        out = np.stack([known[name] for name in self.statistics], axis=-1)
        return out.reshape(*x.shape[:-2], window[1] * len(self.statistics)).astype(np.int16)


def _problem(n_samples: int, n_channels: int, n_statistics: int) -> str | None:
    for what, value, limit in (
        ("samples", n_samples, MAX_SAMPLES),
        ("channels", n_channels, MAX_CHANNELS),
        ("statistics", n_statistics, MAX_STATISTICS),
    ):
        if not 1 <= value <= limit:
            return f"a window has 1 to {limit} {what}, not {value}"
    return None


class _Channels:
    """Windows of shape [..., n, c] and what several statistics share, each int64 [..., c]."""

    def __init__(self, x: NDArray[np.int16]) -> None:
        self.x = x
        self.n = x.shape[-2]
        self._sum: _Int64s | None = None
        self._squares: _Int64s | None = None

    @property
    def sum(self) -> _Int64s:
        if self._sum is None:
            self._sum = np.asarray(self.x.sum(axis=-2, dtype=np.int64))
        return self._sum

    @property
    def squares(self) -> _Int64s:
        if self._squares is None:
            squares = np.multiply(self.x, self.x, dtype=np.int32)  # at most 2^30
            self._squares = np.asarray(squares.sum(axis=-2, dtype=np.int64))
        return self._squares


def _isqrt(a: _Int64s) -> _Int64s:
    """Return ``floor(sqrt(a))`` for ``0 <= a < 2^62``: the float root, put right by one."""
    root: _Int64s = np.sqrt(a.astype(np.float64)).astype(np.int64)
    root -= root * root > a
    root += (root + 1) ** 2 <= a
    return root


def _mean(channels: _Channels) -> _Int64s:
    mean: _Int64s = (2 * channels.sum + channels.n) // (2 * channels.n)
    return mean


def _std(channels: _Channels) -> _Int64s:
    n = channels.n
    return _isqrt((n * channels.squares - channels.sum**2) // n**2)


def _min(channels: _Channels) -> _Int64s:
    return np.asarray(channels.x.min(axis=-2), np.int64)


def _max(channels: _Channels) -> _Int64s:
    return np.asarray(channels.x.max(axis=-2), np.int64)


def _rms(channels: _Channels) -> _Int64s:
    n = channels.n
    return np.minimum(_isqrt((2 * channels.squares + n) // (2 * n)), _INT16_MAX)


def _mean_crossings(channels: _Channels) -> _Int64s:
    above = channels.x > _mean(channels).astype(np.int16)[..., np.newaxis, :]
    return np.asarray(np.count_nonzero(above[..., 1:, :] != above[..., :-1, :], axis=-2))


def _peak_to_peak(channels: _Channels) -> _Int64s:
    return np.asarray(np.minimum(_max(channels) - _min(channels), _INT16_MAX))


_COMPUTE: Mapping[str, Callable[[_Channels], _Int64s]] = {
    "mean": _mean,
    "std": _std,
    "min": _min,
    "max": _max,
    "rms": _rms,
    "mean_crossings": _mean_crossings,
    "peak_to_peak": _peak_to_peak,
}
