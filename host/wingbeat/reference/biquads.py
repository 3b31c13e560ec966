"""Biquads: IIR filters as second-order sections, in fixed point.

For each section with ``H(z) = (b0 + b1/z + b2/z^2) / (1 - a1/z - a2/z^2)``, its coefficients in
steps of ``2^-f`` (f is 14, or 12 for sections that ring), for each sample ``x``:

    ``s = b0 x + s1;  y = s >> f``
    ``s1 = s mod 2^f + s2 + b1 x + a1 y``
    ``s2 = b2 x + a2 y``

in 32 bits, modulo 2^32; the result is y limited to int16, which is the input of the next section.
This is the transposed direct form II; adding the rest of s to the next sum moves the noise of
rounding away from low frequencies, where the poles of most filters would raise it [1]_.

y itself is not limited, so a section is linear but for rounding: no overflow oscillations. It is
exact modulo 2^32 as long as |y| < 2^(31 - f), which `biquads` proves for any int16 input from the
sum of the magnitudes of the section's impulse response.

References
----------
.. [1] W. E. Higgins, D. C. Munson, "Noise Reduction Strategies for Digital Filters: Error Spectrum
   Shaping Versus the Optimal Linear State-Space Formulation", IEEE Transactions on ASSP 30 (6),
   1982.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wingbeat.errors import UsageError

from .signal_operator import StatefulOperator

MAX_SAMPLES = 65535
MAX_CHANNELS = 255
MAX_SECTIONS = 32

FRACTION, COARSE_FRACTION = 14, 12
"""Fraction bits of a section's coefficients."""

LARGEST_DEVIATION = 1.0
"""Decibels by which rounding coefficients may change the response where it is above -40 dB."""

_HEAD = struct.Struct("<HBBB3x")
_SECTION = struct.Struct("<5hH")
_LOW, _HIGH = -32768, 32767
_SHORT_CUT = 8  # signals; fewer are faster one by one, in Python's integers
_FLOOR = 0.01

_Int64s: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Section:
    """One section.

    Attributes
    ----------
    b0, b1, b2, a1, a2 : int
        Coefficients, int16. The denominator is 1 - a1/z - a2/z^2.
    coarse : bool
        They count steps of 2^-12, not of 2^-14.
    """

    b0: int
    b1: int
    b2: int
    a1: int
    a2: int
    coarse: bool = False

    @property
    def fraction(self) -> int:
        """Fraction bits."""
        return COARSE_FRACTION if self.coarse else FRACTION

    @property
    def values(self) -> tuple[int, int, int, int, int]:
        """The coefficients in the order of the parameters."""
        return self.b0, self.b1, self.b2, self.a1, self.a2


@dataclass(frozen=True)
class Biquads(StatefulOperator):
    """Sections one behind the other, on each channel.

    Parameters
    ----------
    n_samples : int
        1 to 65535.
    n_channels : int
        1 to 255, interleaved.
    sections : tuple of Section
        1 to 32.
    keep : bool
        Go on where the last run ended; else each run starts from 0.
    """

    n_samples: int
    n_channels: int
    sections: tuple[Section, ...]
    keep: bool

    OPCODE: ClassVar[int] = 100
    KERNEL: ClassVar[str] = "biquads"

    def _problem(self) -> str | None:
        if not 1 <= self.n_samples <= MAX_SAMPLES:
            return f"a window has 1 to {MAX_SAMPLES} samples, not {self.n_samples}"
        if not 1 <= self.n_channels <= MAX_CHANNELS:
            return f"there are 1 to {MAX_CHANNELS} channels, not {self.n_channels}"
        if not 1 <= len(self.sections) <= MAX_SECTIONS:
            return f"a filter has 1 to {MAX_SECTIONS} sections, not {len(self.sections)}"
        for number, section in enumerate(self.sections):
            if any(not _LOW <= value <= _HIGH for value in section.values):
                return f"section {number}: coefficients are int16, not {section.values}"
        return None

    def encode(self) -> bytes:
        """Return u16 n_samples, u8 n_channels, n_sections, keep, 3 zeros; the sections."""
        head = _HEAD.pack(self.n_samples, self.n_channels, len(self.sections), self.keep)
        return head + b"".join(
            _SECTION.pack(*section.values, section.coarse) for section in self.sections
        )

    @classmethod
    def _read(cls, params: bytes) -> Biquads:
        n_samples, n_channels, n_sections, keep = _HEAD.unpack_from(params)
        sections = []
        for number in range(n_sections):
            at = _HEAD.size + number * _SECTION.size
            b0, b1, b2, a1, a2, coarse = _SECTION.unpack_from(params, at)
            if coarse > 1:
                raise ValueError(f"section {number} has unknown steps")
            sections.append(Section(b0, b1, b2, a1, a2, bool(coarse)))
        if keep > 1:
            raise ValueError("it neither keeps its state nor drops it")
        return cls(n_samples, n_channels, tuple(sections), bool(keep))

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the window [n_samples, n_channels]."""
        return (("h", self.n_samples * self.n_channels),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the filtered window."""
        return self.inputs

    @property
    def scratch(self) -> tuple[tuple[str, int], ...]:
        """The state [n_sections, n_channels, 2]."""
        return (("i", len(self.sections) * self.n_channels * 2),)

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """The output may take the input's place."""
        return ((0, 0),)

    @property
    def persistent(self) -> tuple[int, ...]:
        """The state, if it is kept."""
        return (2,) if self.keep else ()

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Every row from a state of 0."""
        (x,) = inputs
        channels = x.reshape(-1, self.n_samples, self.n_channels).swapaxes(1, 2)
        y: _Int64s = channels.reshape(-1, self.n_samples).astype(np.int64)
        for section in self.sections:
            y, _ = _filtered(section, y, np.zeros((len(y), 2), np.int64))
        rows = y.reshape(-1, self.n_channels, self.n_samples).swapaxes(1, 2)
        return (rows.reshape(len(x), -1).astype(np.int16),)

    def advance(
        self, memory: Sequence[NDArray[Any]], *inputs: NDArray[Any]
    ) -> tuple[tuple[NDArray[Any], ...], NDArray[np.bool_]]:
        """Rows one behind the other; the state goes on."""
        (x,), (kept,) = inputs, memory
        states = kept.reshape(len(self.sections), self.n_channels, 2)
        y: _Int64s = x.reshape(-1, self.n_channels).T.astype(np.int64)
        for section, state in zip(self.sections, states, strict=True):
            y, after = _filtered(section, y, state.astype(np.int64))
            state[:] = after.astype(np.int32)
        return (y.T.reshape(len(x), -1).astype(np.int16),), np.ones(len(x), bool)

    def response(self, frequencies: ArrayLike) -> NDArray[np.complex128]:
        """Transfer function at angular frequencies, in radians a sample."""
        sos = [_real(section) for section in self.sections]
        return _response(np.array(sos), np.asarray(frequencies, np.float64))


def _filtered(section: Section, x: _Int64s, state: _Int64s) -> tuple[_Int64s, _Int64s]:
    """One section on signals [signals, samples] from states [signals, 2]."""
    if len(x) < _SHORT_CUT:
        parts = [_filtered_signal(section, *each) for each in zip(x, state, strict=True)]
        y, after = (np.array([part[i] for part in parts], np.int64) for i in (0, 1))
        return y.reshape(x.shape), after.reshape(state.shape)
    b0, b1, b2, a1, a2 = section.values
    f, mask = section.fraction, (1 << section.fraction) - 1
    s1, s2 = state[:, 0], state[:, 1]
    result = np.empty_like(x)
    for i in range(x.shape[1]):
        sample = x[:, i]
        s = (b0 * sample + s1).astype(np.int32).astype(np.int64)
        y = s >> f
        s1 = (s & mask) + s2 + b1 * sample + a1 * y
        s2 = b2 * sample + a2 * y
        result[:, i] = y
    return np.clip(result, _LOW, _HIGH), np.stack([s1, s2], axis=1)


def _filtered_signal(section: Section, x: _Int64s, state: _Int64s) -> tuple[list[int], list[int]]:
    b0, b1, b2, a1, a2 = section.values
    f, mask = section.fraction, (1 << section.fraction) - 1
    s1, s2 = state.tolist()
    result = []
    for sample in x.tolist():
        s = ((b0 * sample + s1 + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        y = s >> f
        s1 = (s & mask) + s2 + b1 * sample + a1 * y
        s2 = b2 * sample + a2 * y
        result.append(min(max(y, _LOW), _HIGH))
    return result, [s1, s2]


def biquads(sos: ArrayLike, n_samples: int, n_channels: int = 1, *, keep: bool = True) -> Biquads:
    """Return the operator for a filter that was designed in second-order sections.

    The gain is spread over the sections so that none amplifies what came in; coefficients are
    rounded so that the gains at 0 and at half of the sampling rate stay right.

    Parameters
    ----------
    sos : array of float [n_sections, 6]
        As ``scipy.signal.butter(..., output="sos")`` and its relatives return it.
    n_samples, n_channels, keep
        See `Biquads`.

    Raises
    ------
    UsageError
        It is no such array, unstable, or cannot be had in fixed point: it amplifies too much,
        rings too long, or its cut-off is too close to 0.
    """
    design = np.asarray(sos, np.float64)
    if design.ndim != 2 or design.shape[1] != 6 or not np.isfinite(design).all():
        raise UsageError(
            "biquads: expected second-order sections [n, 6], as from"
            ' scipy.signal.butter(..., output="sos")'
        )
    if not np.allclose(design[:, 3], 1):
        raise UsageError("biquads: the fourth number of each section is 1")
    spread = _spread_gain(design)
    result = Biquads(
        n_samples,
        n_channels,
        tuple(_quantized(number, row) for number, row in enumerate(spread)),
        keep,
    )
    _refuse_deviation(result, design)
    return result


def _spread_gain(design: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same filter, with each section's largest gain so far at 1 but for the last."""
    frequencies = np.linspace(0, np.pi, 2049)
    spread = design.copy()
    for number in range(len(spread) - 1):
        largest = np.abs(_response(spread[: number + 1], frequencies)).max()
        if largest > 0:
            spread[number, :3] /= largest
            spread[number + 1, :3] *= largest
    return spread


def _quantized(number: int, row: NDArray[np.float64]) -> Section:
    a1, a2 = row[4:].tolist()
    if not (abs(a2) < 1 and abs(a1) < 1 + a2):
        raise UsageError(f"biquads: section {number} is not stable")
    for fraction in (FRACTION, COARSE_FRACTION):
        section = _rounded(row, fraction)
        stable = abs(section.a2) < 1 << fraction
        stable &= abs(section.a1) < (1 << fraction) - section.a2
        if not stable:
            raise UsageError(
                f"biquads: section {number} is not stable once its coefficients are rounded: its"
                " cut-off is too close to 0; decimate the signal first"
            )
        fits = all(_LOW <= value <= _HIGH for value in section.values)
        if fits and _sum_of_impulse_response(section) * -_LOW < 1 << (31 - fraction):
            return section
    raise UsageError(
        f"biquads: section {number} can exceed 32 bits: it amplifies, or rings, too much; take a"
        " lower order, less ripple or a wider band"
    )


def _rounded(row: NDArray[np.float64], fraction: int) -> Section:
    """Coefficients as integers, with the gains at z = 1 and z = -1 kept."""
    b0, b1, b2, _, a1, a2 = row.tolist()
    one = 1 << fraction
    q1, q2 = round(a1 * one), round(a2 * one)
    plus = (b0 + b1 + b2) / (1 + a1 + a2) * (one + q1 + q2)
    minus = (b0 - b1 + b2) / (1 - a1 + a2) * (one - q1 + q2)
    total, alternating = round(plus), round(minus)
    if (total - alternating) % 2:
        # The one that is larger loses less by a step.
        if abs(alternating) > abs(total):
            alternating += 1 if minus > alternating else -1
        else:
            total += 1 if plus > total else -1
    outer = (total + alternating) // 2
    skew = round((b0 - b2) * one)
    if (outer - skew) % 2:
        skew += 1 if (b0 - b2) * one > skew else -1
    first = (outer + skew) // 2
    middle = (total - alternating) // 2
    return Section(first, middle, outer - first, -q1, -q2, fraction == COARSE_FRACTION)


def _sum_of_impulse_response(section: Section) -> float:
    """Largest output for inputs within -1 to 1: the sum of |h|."""
    b0, b1, b2, a1, a2 = (value / (1 << section.fraction) for value in section.values)
    poles = np.roots([1, -a1, -a2])
    radius = float(np.abs(poles).max())
    # Until it has decayed to 1e-9, times two for double poles.
    length = 64 if radius < 0.5 else int(min(2 * np.log(1e-9) / np.log(radius) + 64, 200_000))
    total, s1, s2, x = 0.0, 0.0, 0.0, 1.0
    for _ in range(length):
        y = b0 * x + s1
        s1, s2, x = s2 + b1 * x + a1 * y, b2 * x + a2 * y, 0.0
        total += abs(y)
    return total


def _real(section: Section) -> list[float]:
    one = float(1 << section.fraction)
    b0, b1, b2, a1, a2 = section.values
    return [b0 / one, b1 / one, b2 / one, 1.0, -a1 / one, -a2 / one]


def _response(sos: NDArray[np.float64], frequencies: NDArray[np.float64]) -> NDArray[np.complex128]:
    back = np.exp(-1j * frequencies)
    result: NDArray[np.complex128] = np.ones_like(back)
    for b0, b1, b2, a0, a1, a2 in sos:
        result *= (b0 + (b1 + b2 * back) * back) / (a0 + (a1 + a2 * back) * back)
    return result


def _refuse_deviation(operator: Biquads, design: NDArray[np.float64]) -> None:
    frequencies = np.concatenate([np.geomspace(1e-4, 0.1, 500), np.linspace(0.1, np.pi, 1000)])
    wanted = np.abs(_response(design, frequencies))
    found = np.abs(operator.response(frequencies))
    heard = wanted > _FLOOR * wanted.max()
    ratio = np.maximum(found[heard], 1e-9) / wanted[heard]
    deviation = float(np.abs(20 * np.log10(ratio)).max())
    if deviation > LARGEST_DEVIATION:
        raise UsageError(
            f"biquads: with coefficients of 16 bits the filter is off by {deviation:.1f} dB: its"
            " cut-off is too close to 0 for this rate; decimate the signal first"
        )
