"""FIR filters: weighted sums of neighbouring samples, of which every step-th is computed.

``y[j] = (sum_k taps[k] e[j step + k] + 2^shift / 2) >> shift``, sums modulo 2^32, then limited to
int16. What e is depends on the edges:

=======  =============================================================================
inside   the input itself: there is a result only where all taps lie on it
keep     the last ``n_taps - 1`` samples of the run before, then the input
repeat   the input, with its first and last sample repeated ``n_taps // 2`` times
=======  =============================================================================

Taps run with time: the last one meets the newest sample. So they are the impulse response
backwards.

References
----------
.. [1] S. Young et al., "The HTK Book", 2006, section 5.9: delta coefficients by regression.
.. [2] A. V. Oppenheim, R. W. Schafer, "Discrete-Time Signal Processing", 2010, section 7.5: design
   by windowing.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from wingbeat.errors import UsageError

from .signal_operator import StatefulOperator, padded

MAX_SAMPLES = 65535
MAX_CHANNELS = 255
MAX_TAPS = 1024
MAX_SHIFT = 31

_HEAD = struct.Struct("<HHHHBBBx")
_INT16 = np.iinfo(np.int16)
_SUM_LIMIT = 2**31 - 1


class Edges(IntEnum):
    """What lies beyond the input's ends."""

    INSIDE = 0
    KEEP = 1
    REPEAT = 2


@dataclass(frozen=True, eq=False)
class Fir(StatefulOperator):
    """A FIR filter on each channel.

    Parameters
    ----------
    n_samples : int
        1 to 65535.
    n_outputs : int
        With ``KEEP`` n_samples / step, with ``REPEAT`` n_samples, else at most
        ``(n_samples - n_taps) // step + 1``.
    step : int
        Input samples from one output to the next. 1 with ``REPEAT``.
    n_channels : int
        1 to 255, interleaved.
    taps : NDArray[int16] [n_taps]
        1 to 1024, in steps of ``2^-shift``. With ``REPEAT`` an odd number, at most n_samples.
    shift : int
        0 to 31.
    edges : Edges
    """

    n_samples: int
    n_outputs: int
    step: int
    n_channels: int
    taps: NDArray[np.int16]
    shift: int
    edges: Edges

    OPCODE: ClassVar[int] = 101
    KERNEL: ClassVar[str] = "fir"

    def _problem(self) -> str | None:
        n, n_taps = self.n_samples, len(self.taps)
        if self.taps.ndim != 1 or self.taps.dtype != np.int16 or not 1 <= n_taps <= MAX_TAPS:
            return f"expected 1 to {MAX_TAPS} taps of int16, got {self.taps.dtype} [{n_taps}]"
        if not 1 <= n <= MAX_SAMPLES or not 1 <= self.n_channels <= MAX_CHANNELS:
            return (
                f"{n} samples of {self.n_channels} channels: expected 1 to {MAX_SAMPLES} of 1 to"
                f" {MAX_CHANNELS}"
            )
        if not 1 <= self.step <= MAX_SAMPLES or not 1 <= self.n_outputs <= MAX_SAMPLES:
            return f"{self.n_outputs} outputs, a step of {self.step}: expected 1 or more"
        if not 0 <= self.shift <= MAX_SHIFT:
            return f"a shift is 0 to {MAX_SHIFT}, not {self.shift}"
        if self.edges is Edges.KEEP:
            fits = self.n_outputs * self.step == n
        elif self.edges is Edges.REPEAT:
            fits = self.n_outputs == n and self.step == 1 and n_taps % 2 == 1 and n_taps <= n
        else:
            fits = (self.n_outputs - 1) * self.step + n_taps <= n
        if not fits:
            return (
                f"{self.n_outputs} outputs every {self.step} samples of {n}, with {n_taps} taps"
                f" and edges {self.edges.name}: they do not fit"
            )
        return None

    def encode(self) -> bytes:
        """Return u16 n_samples, n_outputs, n_taps, step; u8 n_channels, edges, shift, 0; taps."""
        head = _HEAD.pack(
            self.n_samples,
            self.n_outputs,
            len(self.taps),
            self.step,
            self.n_channels,
            self.edges,
            self.shift,
        )
        return padded(head + self.taps.astype("<i2").tobytes())

    @classmethod
    def _read(cls, params: bytes) -> Fir:
        n_samples, n_outputs, n_taps, step, n_channels, edges, shift = _HEAD.unpack_from(params)
        taps = np.frombuffer(params, "<i2", n_taps, _HEAD.size).astype(np.int16)
        return cls(n_samples, n_outputs, step, n_channels, taps, shift, Edges(edges))

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of [n_samples, n_channels]."""
        return (("h", self.n_samples * self.n_channels),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of [n_outputs, n_channels]."""
        return (("h", self.n_outputs * self.n_channels),)

    @property
    def scratch(self) -> tuple[tuple[str, int], ...]:
        """With ``KEEP`` the samples of the last run."""
        if self.edges is not Edges.KEEP:
            return ()
        return (("h", max(len(self.taps) - 1, 1) * self.n_channels),)

    @property
    def persistent(self) -> tuple[int, ...]:
        """With ``KEEP`` the samples of the last run."""
        return (2,) if self.edges is Edges.KEEP else ()

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Every row for itself; with ``KEEP`` behind samples of 0."""
        (x,) = inputs
        signals = x.reshape(-1, self.n_samples, self.n_channels)
        n = len(self.taps)
        if self.edges is Edges.REPEAT:
            signals = np.pad(signals, ((0, 0), (n // 2, n // 2), (0, 0)), mode="edge")
        elif self.edges is Edges.KEEP:
            signals = np.pad(signals, ((0, 0), (n - 1, 0), (0, 0)))
        return (self._filtered(signals)[:, : self.n_outputs].reshape(len(x), -1),)

    def _filtered(self, signals: NDArray[np.int16]) -> NDArray[np.int16]:
        """Results [signals, outputs, channels] of extended signals [signals, samples, channels]."""
        windows = sliding_window_view(signals, len(self.taps), axis=1)[:, :: self.step]
        sums = windows.astype(np.int64) @ self.taps.astype(np.int64)
        rounded = (sums + ((1 << self.shift) >> 1)).astype(np.int32) >> self.shift
        return np.asarray(np.clip(rounded, _INT16.min, _INT16.max), np.int16)

    def advance(
        self, memory: Sequence[NDArray[Any]], *inputs: NDArray[Any]
    ) -> tuple[tuple[NDArray[Any], ...], NDArray[np.bool_]]:
        """Rows one behind the other."""
        (x,), (kept,) = inputs, memory
        n_kept = len(self.taps) - 1
        history = kept.reshape(-1, self.n_channels)
        signal = np.concatenate([history[:n_kept], x.reshape(-1, self.n_channels)])
        result = self._filtered(signal[np.newaxis])[0]
        if n_kept:
            history[:] = signal[len(signal) - n_kept :]
        return (result.reshape(len(x), -1),), np.ones(len(x), bool)


def fir(
    taps: ArrayLike,
    n_samples: int,
    n_channels: int = 1,
    *,
    edges: Edges = Edges.KEEP,
    step: int = 1,
) -> Fir:
    """Return the operator for real taps, with as many fraction bits as cannot overflow.

    Parameters
    ----------
    taps : array of float [n_taps]
        The impulse response, as ``scipy.signal.firwin`` returns it: the first one meets the newest
        sample.
    n_samples, n_channels, step
        See `Fir`.
    edges : Edges
        With ``INSIDE``, all outputs that fit are computed.

    Raises
    ------
    UsageError
        The taps are no numbers or too large, or they do not fit the input.
    """
    response = np.asarray(taps, np.float64)
    if response.ndim != 1 or not len(response) or not np.isfinite(response).all():
        raise UsageError("fir: expected taps [n_taps], as from scipy.signal.firwin")
    if edges is Edges.KEEP and n_samples % step:
        raise UsageError(
            f"fir: every {step}th of a stream in blocks of {n_samples} samples: the block must be"
            f" a multiple of {step}"
        )
    n_outputs = n_samples // step
    if edges is Edges.INSIDE:
        n_outputs = (n_samples - len(response)) // step + 1
    total, largest = float(np.abs(response).sum()), float(np.abs(response).max())
    for shift in range(MAX_SHIFT - 1, -1, -1):
        one = 1 << shift
        # Rounding a tap adds up to a half of a step.
        bound = (total * one + len(response) / 2) * -_INT16.min + one
        if bound < _SUM_LIMIT and largest * one < _INT16.max:
            steps = np.rint(response[::-1] * one).astype(np.int16)
            return Fir(n_samples, n_outputs, step, n_channels, steps, shift, edges)
    raise UsageError("fir: the taps are too large: scale them so that they add up to less than 1")


def low_pass_taps(cutoff: float, n_taps: int) -> NDArray[np.float64]:
    """Return the taps of a low-pass filter: a sinc under a Hamming window, of gain 1 at 0 Hz.

    They are ``scipy.signal.firwin(n_taps, cutoff)``.

    Parameters
    ----------
    cutoff : float
        As a share of half of the sampling rate, above 0 and below 1.
    n_taps : int
    """
    at = np.arange(n_taps) - (n_taps - 1) / 2
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(n_taps) / max(n_taps - 1, 1))
    taps = cutoff * np.sinc(cutoff * at) * window
    return np.asarray(taps / taps.sum())


def decimate(n_samples: int, factor: int, n_channels: int = 1, *, edges: Edges = Edges.KEEP) -> Fir:
    """Return the operator that takes every factor-th sample behind a low-pass filter.

    The filter is that of ``scipy.signal.decimate(ftype="fir")``: ``20 factor + 1`` taps, cut-off
    at the new half of the sampling rate.

    Raises
    ------
    UsageError
        The factor is below 2, or the blocks of a stream are no multiple of it.
    """
    if factor < 2:
        raise UsageError(f"decimate: a factor is 2 or more, not {factor}")
    taps = low_pass_taps(1 / factor, 20 * factor + 1)
    return fir(taps, n_samples, n_channels, edges=edges, step=factor)


def differentiate(n_samples: int, n_channels: int = 1) -> Fir:
    """Return the operator for each sample minus the one before, also of the run before."""
    return fir([1.0, -1.0], n_samples, n_channels)


def delta(n_frames: int, width: int, n_neighbours: int = 2) -> Fir:
    """Return the operator for delta coefficients of frames [n_frames, width], by regression.

    ``d[t] = sum_k k (c[t + k] - c[t - k]) / (2 sum_k k^2)``, k = 1 .. n_neighbours, where the first
    and the last frame go on beyond the ends.

    Raises
    ------
    UsageError
        There are fewer than ``2 n_neighbours + 1`` frames.
    """
    k = np.arange(n_neighbours, -n_neighbours - 1, -1)
    return fir(k / float((k**2).sum()), n_frames, width, edges=Edges.REPEAT)
