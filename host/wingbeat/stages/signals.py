"""Stages that give a signal again: filters, gains, magnitudes, differences.

Those that may stand in front of the first window go on from block to block of the stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import UsageError
from wingbeat.program import ProgramBuilder
from wingbeat.recordings import optional_module
from wingbeat.reference.affine import affine
from wingbeat.reference.biquads import biquads
from wingbeat.reference.concat import Concat
from wingbeat.reference.fir import MAX_TAPS, Edges, decimate, delta, fir
from wingbeat.reference.magnitude import MAX_AXES, Magnitude
from wingbeat.reference.matrix import matrix
from wingbeat.reference.remove_mean import RemoveMean

from .base import Shape, Stage, expect_int16, expect_window

_LOWEST = 1e-5  # of a cut-off, as a share of the samples a second
TYPES = ("lowpass", "highpass", "bandpass", "bandstop")


@dataclass(frozen=True)
class RemoveMeanStage(Stage):
    """Each channel of a window minus its mean."""

    KIND: ClassVar[str] = "remove_mean"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append the operator."""
        expect_window(before, 2)
        return to.add(RemoveMean(before.length, before.width), tensor), before


@dataclass(frozen=True)
class ScaleStage(Stage):
    """Each channel times a factor plus an offset, limited to int16.

    Parameters
    ----------
    factor, offset : float or sequence of float
        For all channels, or one for each.
    """

    factor: float | Sequence[float] = 1.0
    offset: float | Sequence[float] = 0.0

    KIND: ClassVar[str] = "scale"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append the operator."""
        expect_int16(before)
        factors = _for_each(self.factor, before.width, "factor")
        offsets = _for_each(self.offset, before.width, "offset")
        operator = affine(factors, offsets, n_rows=before.length)
        return to.add(operator, tensor), before


@dataclass(frozen=True)
class ChannelsStage(Stage):
    """Some of the channels, in another order if wanted.

    Parameters
    ----------
    take : sequence of int
        Numbers of the channels, from 0.
    """

    take: Sequence[int] = (0,)

    KIND: ClassVar[str] = "channels"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append a matrix of zeros and ones."""
        expect_int16(before)
        if not self.take or any(not 0 <= each < before.width for each in self.take):
            raise UsageError(
                f"take = {list(self.take)}: expected numbers of channels from 0 to"
                f" {before.width - 1}"
            )
        weights = np.zeros((len(self.take), before.width))
        weights[np.arange(len(self.take)), list(self.take)] = 1.0
        names = [before.names[each] for each in self.take]
        return (
            to.add(matrix(weights, n_rows=before.length), tensor),
            before.rows(before.length, names),
        )


@dataclass(frozen=True)
class MagnitudeStage(Stage):
    """Length of the vector that the two or three channels are."""

    KIND: ClassVar[str] = "magnitude"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append the operator."""
        expect_int16(before)
        if before.width > MAX_AXES:
            raise UsageError(
                f"expected 1 to {MAX_AXES} channels, got {before.width}: choose them with a stage"
                ' in front, kind = "channels", take = [0, 1, 2]'
            )
        operator = Magnitude(before.length, before.width)
        return to.add(operator, tensor), before.rows(before.length, ["magnitude"])


@dataclass(frozen=True)
class DifferenceStage(Stage):
    """Each sample minus the one before. Of a window, one sample fewer."""

    KIND: ClassVar[str] = "difference"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append a filter of two taps."""
        names = [f"difference of {name}" for name in before.names]
        return _filtered(to, tensor, before, np.array([1.0, -1.0]), names)


@dataclass(frozen=True)
class DecimateStage(Stage):
    """Every factor-th sample behind a low-pass filter of 20 factor + 1 taps.

    Parameters
    ----------
    factor : int
        2 to 51. Of a window, the samples that the filter does not reach are lost.
    """

    factor: int = 2

    KIND: ClassVar[str] = "decimate"

    @property
    def step(self) -> int:
        """Samples of a stream that go in for one that comes out."""
        return max(self.factor, 1)

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append the filter."""
        expect_int16(before)
        most = (MAX_TAPS - 1) // 20
        if not 2 <= self.factor <= most:
            raise UsageError(
                f"factor = {self.factor}: expected 2 to {most}; for more, put a second decimate"
                " behind this one"
            )
        if not before.stream:
            expect_window(before, 20 * self.factor + 1)
        edges = Edges.KEEP if before.stream else Edges.INSIDE
        operator = decimate(before.length, self.factor, before.width, edges=edges)
        after = replace(before.rows(operator.n_outputs), rate=before.rate / self.factor)
        return to.add(operator, tensor), after


@dataclass(frozen=True)
class FilterStage(Stage):
    """An IIR filter, of Butterworth's design, in sections of second order.

    On a stream it goes on from block to block. On a window it starts from 0.

    Parameters
    ----------
    type : {"lowpass", "highpass", "bandpass", "bandstop", "notch"}
    cutoff : float or [float, float]
        Hz; two for bandpass and bandstop.
    order : int
        Not for a notch.
    q : float
        Of a notch: its frequency as a multiple of its width.
    """

    cutoff: float | Sequence[float]
    type: str = "lowpass"
    order: int = 4
    q: float = 30.0

    KIND: ClassVar[str] = "filter"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append the sections."""
        if not before.stream:
            expect_window(before, 2)
        operator = biquads(
            self.sections(before.rate), before.length, before.width, keep=before.stream
        )
        return to.add(operator, tensor), before

    def sections(self, rate: float) -> NDArray[np.float64]:
        """The design [sections, 6] at so many samples a second, as scipy.signal makes it."""
        signal = optional_module("scipy.signal", "designing a filter", "scipy")
        if self.type == "notch":
            cutoff = _cutoff(self.cutoff, rate, 1)
            if not self.q > 0:
                raise UsageError(f"q = {self.q}: expected a number above 0")
            return np.asarray(signal.tf2sos(*signal.iirnotch(cutoff, self.q, rate)))
        cutoff = _cutoff_of(self.type, self.cutoff, rate, (*TYPES, "notch"))
        if not 1 <= self.order <= 16:
            raise UsageError(f"order = {self.order}: expected 1 to 16")
        return np.asarray(signal.butter(self.order, cutoff, self.type, output="sos", fs=rate))


@dataclass(frozen=True)
class FirStage(Stage):
    """An FIR filter, a sinc under a Hamming window: all frequencies are late by the same time.

    Of a window, taps - 1 samples fewer come out.

    Parameters
    ----------
    type : {"lowpass", "highpass", "bandpass", "bandstop"}
    cutoff : float or [float, float]
        Hz; two for bandpass and bandstop.
    taps : int
        Odd for highpass and bandstop.
    """

    cutoff: float | Sequence[float]
    type: str = "lowpass"
    taps: int = 31

    KIND: ClassVar[str] = "fir"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append the filter."""
        signal = optional_module("scipy.signal", "designing a filter", "scipy")
        cutoff = _cutoff_of(self.type, self.cutoff, before.rate, TYPES)
        if not 1 <= self.taps <= MAX_TAPS:
            raise UsageError(f"taps = {self.taps}: expected 1 to {MAX_TAPS}")
        if self.taps % 2 == 0 and self.type in ("highpass", "bandstop"):
            raise UsageError(f"taps = {self.taps}: a {self.type} needs an odd number")
        taps = signal.firwin(self.taps, cutoff, pass_zero=self.type, fs=before.rate)
        return _filtered(to, tensor, before, np.asarray(taps), before.names)


@dataclass(frozen=True)
class DeltaStage(Stage):
    """Change of each number over frames, by regression over its neighbours.

    Parameters
    ----------
    neighbours : int
        On each side.
    order : int
        1 (deltas), or 2 (deltas, and deltas of those).
    join : bool
        Put them behind the numbers themselves, in each frame.
    """

    neighbours: int = 2
    order: int = 1
    join: bool = True

    KIND: ClassVar[str] = "delta"

    def add(self, to: ProgramBuilder, tensor: int, before: Shape) -> tuple[int, Shape]:
        """Append one filter for each order, and put all beside each other."""
        if self.neighbours < 1 or self.order not in (1, 2):
            raise UsageError(
                f"neighbours = {self.neighbours}, order = {self.order}: expected 1 or more, and 1"
                " or 2"
            )
        expect_window(before, 2 * self.neighbours + 1)
        parts, names = [tensor], [list(before.names)]
        for _ in range(self.order):
            slope = delta(before.length, before.width, self.neighbours)
            parts.append(to.add(slope, parts[-1]))
            names.append([f"delta of {name}" for name in names[-1]])
        if not self.join:
            parts, names = parts[1:], names[1:]
        if len(parts) > 1:
            beside = Concat(before.length, (before.width,) * len(parts), "h")
            parts = [to.add(beside, *parts)]
        return parts[0], before.rows(before.length, [each for part in names for each in part])


def _filtered(
    to: ProgramBuilder,
    tensor: int,
    before: Shape,
    taps: NDArray[np.float64],
    names: Sequence[str],
) -> tuple[int, Shape]:
    if not before.stream:
        expect_window(before, len(taps))
    expect_int16(before)
    edges = Edges.KEEP if before.stream else Edges.INSIDE
    operator = fir(taps, before.length, before.width, edges=edges)
    return to.add(operator, tensor), before.rows(operator.n_outputs, names)


def _for_each(value: float | Sequence[float], width: int, name: str) -> NDArray[np.float64]:
    values = np.asarray(value, np.float64)
    if values.ndim == 0:
        return np.full(width, float(values))
    if values.shape != (width,):
        raise UsageError(f"{name}: expected one number, or {width} of them, got {len(values)}")
    return values


def _cutoff_of(kind: str, value: Any, rate: float, types: Sequence[str]) -> Any:
    if kind not in types:
        raise UsageError(f"type = {kind!r}: expected one of {', '.join(types)}")
    return _cutoff(value, rate, 2 if kind.startswith("band") else 1)


def _cutoff(value: float | Sequence[float], rate: float, count: int) -> Any:
    if not rate:
        raise UsageError("expected a signal over time: filters need rate at the top of the file")
    values = np.atleast_1d(np.asarray(value, np.float64))
    if len(values) != count or not (np.diff(values) > 0).all():
        wanted = "one frequency" if count == 1 else "two frequencies, the lower one first"
        raise UsageError(f"cutoff = {value}: expected {wanted}, in Hz")
    least = rate * _LOWEST
    if not (values[0] >= least and values[-1] < rate / 2):
        raise UsageError(
            f"cutoff = {value}: expected Hz from {least:g} and below {rate / 2:g}, half of the"
            " samples a second; decimate the signal first for lower ones"
        )
    return float(values[0]) if count == 1 else values.tolist()
