"""Power spectrum: window, real FFT and squared magnitude in block floating point.

For each channel ``x[0..n-1]`` of a window of samples, with the window function ``w``:

    ``P[k] = |sum_i w[i] x[i] exp(-2j pi i k / n)|^2``    for ``k = 0 .. n/2``

is ``power[k] * 2^exponent`` but for rounding. The ``n`` real samples are taken as ``n / 2`` complex
ones, ``z[i] = x[2 i] + j x[2 i + 1]``, whose transform is made in place by decimation in time:
one pass of radix 2 or 4 that also applies the window, then passes of radix 4, then one that
separates the two halves [1]_. Numbers are pairs of int16 between the passes. A pass looks how many
bits its largest input has and shifts its 32-bit results so that none can overflow: one shift for
the whole block and pass, whose sum is the exponent [2]_.

With ``p`` the bits of the largest magnitude in front of a pass (``-2^p <= v < 2^p``), ``>>``
rounding down, and everything in 32-bit two's complement:

===========  ============================================================  ===================
pass         result of sums ``s``                                          shift ``t``
===========  ============================================================  ===================
first        ``(s + 2^t / 2) >> t``, s from ``x w``, w in steps of 2^-14   p + 1; with radix 2
                                                                           p
radix 4      ``(s + 2^t / 2) >> t``, s from ``z * twiddle`` and 2^13 z     p + 1
separation   ``(s + 2^t / 2) >> t``, the same                              p
===========  ============================================================  ===================

The window is even: ``w[i] = w[n - i]`` ("periodic", as for spectral analysis), so half of it is
stored.

References
----------
.. [1] H. V. Sorensen, D. L. Jones, M. T. Heideman, C. S. Burrus, "Real-Valued Fast Fourier
   Transform Algorithms", IEEE Transactions on ASSP 35 (6), 1987.
.. [2] A. V. Oppenheim, C. J. Weinstein, "Effects of Finite Register Length in Digital Filtering
   and the Fast Fourier Transform", Proceedings of the IEEE 60 (8), 1972: block floating point.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wingbeat.errors import FormatError, UsageError

from .base import BaseOperator

#: Lengths of the transform: powers of two.
MIN_LENGTH, MAX_LENGTH = 64, 2048
MAX_CHANNELS = 255

#: Fraction bits of the window function and of the twiddles.
WINDOW_BITS = 14
TWIDDLE_BITS = 13
_WINDOW_MAX = (1 << WINDOW_BITS) - 1

#: Coefficients of ``sum_m (-1)^m a_m cos(2 pi m i / n)`` of each window function with a name:
#: F. J. Harris, "On the Use of Windows for Harmonic Analysis with the Discrete Fourier Transform",
#: Proceedings of the IEEE 66 (1), 1978.
WINDOWS: Mapping[str, tuple[float, ...]] = {
    "rectangular": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
}

_HEAD = struct.Struct("<HBx")
_Ints: TypeAlias = NDArray[np.int32]


def window_function(name: str, length: int, n: int) -> NDArray[np.float64]:
    """Return a periodic window of `length` samples, with zeros on both sides of it.

    Parameters
    ----------
    name : str
        One of `WINDOWS`.
    length : int
        Samples of the window itself, even, 2 to `n`.
    n : int
        Length of the result, even.

    Raises
    ------
    UsageError
        The name is unknown, or a length is odd or out of range.
    """
    if name not in WINDOWS:
        raise UsageError(f"no window function {name!r}: choose from {', '.join(WINDOWS)}")
    if n % 2 or length % 2 or not 2 <= length <= n:
        raise UsageError(
            f"a window of {length} samples in a transform of {n}: both must be even, and the"
            f" window 2 to {n} samples long"
        )
    angle = 2 * np.pi * np.arange(length) / length
    terms = [(-1) ** m * a * np.cos(m * angle) for m, a in enumerate(WINDOWS[name])]
    result = np.zeros(n)
    start = (n - length) // 2
    result[start : start + length] = np.sum(terms, axis=0)
    if length < n:
        # Even about n / 2: the first sample of the window has a partner behind the last.
        result[start] /= 2
        result[start + length] = result[start]
    return result


@dataclass(frozen=True, eq=False)
class PowerSpectrum(BaseOperator):
    """Windowed real FFT and squared magnitude of each channel.

    Parameters
    ----------
    n : int
        Samples of a channel: 64, 128, 256, 512, 1024 or 2048.
    n_channels : int
        Interleaved channels, 1 to 255.
    window : NDArray[int16] [n / 2 + 1]
        The first half of the window function and its middle, in steps of 2^-14.
    twiddles : NDArray[int16] [n_twiddles(n), 2]
        Cosines and sines of the passes in steps of 2^-13: those of `twiddle_angles`.

    Raises
    ------
    UsageError
        A number or a length is out of range.
    """

    n: int
    n_channels: int
    window: NDArray[np.int16]
    twiddles: NDArray[np.int16]

    OPCODE: ClassVar[int] = 96
    KERNEL: ClassVar[str] = "power_spectrum"

    def _problem(self) -> str | None:
        problem = _problem(self.n, self.n_channels)
        if problem is not None:
            return problem
        if self.window.shape != (self.n // 2 + 1,) or self.window.dtype != np.int16:
            return (
                f"window: expected int16 [{self.n // 2 + 1}],"
                f" got {self.window.dtype} {list(self.window.shape)}"
            )
        if self.twiddles.shape != (n_twiddles(self.n), 2) or self.twiddles.dtype != np.int16:
            return (
                f"twiddles: expected int16 [{n_twiddles(self.n)}, 2],"
                f" got {self.twiddles.dtype} {list(self.twiddles.shape)}"
            )
        return None

    def encode(self) -> bytes:
        """Return u16 n, u8 n_channels, 0, the window and a 0, the twiddles."""
        window = np.append(self.window, np.int16(0)).astype("<i2")
        head = _HEAD.pack(self.n, self.n_channels)
        return head + window.tobytes() + self.twiddles.astype("<i2").tobytes()

    @classmethod
    def decode(cls, params: bytes) -> PowerSpectrum:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            If the parameters are of the wrong length or a value is out of range.
        """
        if len(params) < _HEAD.size:
            raise FormatError(f"power spectrum: {len(params)} bytes of parameters are too few")
        n, n_channels = _HEAD.unpack_from(params)
        problem = _problem(n, n_channels)
        if problem is not None:
            raise FormatError(f"power spectrum: {problem}")
        start = _HEAD.size + 2 * (n // 2 + 2)
        expected = start + 4 * n_twiddles(n)
        if len(params) != expected:
            raise FormatError(
                f"power spectrum: {n} samples take {expected} bytes of parameters,"
                f" not {len(params)}"
            )
        window = np.frombuffer(params, "<i2", n // 2 + 2, _HEAD.size).astype(np.int16)
        twiddles = np.frombuffer(params, "<i2", offset=start).astype(np.int16).reshape(-1, 2)
        if params[3] or window[-1]:
            raise FormatError("power spectrum: the padding of the parameters is not zero")
        return cls(n, n_channels, window[:-1], twiddles)

    @property
    def n_bins(self) -> int:
        """Frequencies of a channel, from 0 to half of the sampling rate."""
        return self.n // 2 + 1

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the window [n, n_channels]."""
        return (("h", self.n * self.n_channels),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of power [n_channels, n_bins] and exponents."""
        return (("i", self.n_channels * self.n_bins), ("i", self.n_channels))

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Transform every row.

        Parameters
        ----------
        *inputs : one ndarray of int16, shape [rows, n * n_channels]

        Returns
        -------
        tuple of two ndarrays
            Power, int32 [rows, n_channels * n_bins] whose bits are those of a uint32, and
            exponents, int32 [rows, n_channels]: the power is ``power * 2^exponent``.
        """
        (x,) = inputs
        channels = x.reshape(-1, self.n, self.n_channels).swapaxes(1, 2).reshape(-1, self.n)
        re, im, exponent = self._first_pass(channels.astype(np.int32))
        quarter, used = self._first_radix, 0
        while quarter < self.n // 2:
            twiddles = self.twiddles[used : used + 3 * quarter].reshape(quarter, 3, 2)
            re, im, exponent = _radix4_pass(re, im, exponent, twiddles.astype(np.int32))
            used += 3 * quarter
            quarter *= 4
        power, exponent = _separate(re, im, exponent, self.twiddles[used:].astype(np.int32))
        rows = len(x)
        return power.reshape(rows, -1), exponent.reshape(rows, -1)

    @property
    def _first_radix(self) -> int:
        return _first_radix(self.n)

    def _first_pass(self, x: _Ints) -> tuple[_Ints, _Ints, _Ints]:
        """Window and transform 2 or 4 samples each; the parts are int32 [rows, n / 2]."""
        radix = self._first_radix
        bits = _bits(x)
        shift = bits + 1 if radix == 4 else bits
        half = self.window.astype(np.int32)
        products = x * np.concatenate([half, half[-2:0:-1]])
        count = self.n // 2 // radix
        parts = products.reshape(len(x), radix, count, 2)
        z = [(parts[:, i, :, 0], parts[:, i, :, 1]) for i in range(radix)]
        a, *others = z
        rounding = _rounding(shift)
        a = (a[0] + rounding, a[1] + rounding)
        if radix == 4:
            results = _butterfly4(a, *others)
        else:
            (b,) = others
            results = [(a[0] + b[0], a[1] + b[1]), (a[0] - b[0], a[1] - b[1])]
        order = _reversed_digits(count)
        re, im = (
            np.stack([each[part] >> shift for each in results], axis=-1)[:, order]
            for part in (0, 1)
        )
        return _int16(re.reshape(len(x), -1)), _int16(im.reshape(len(x), -1)), shift - WINDOW_BITS


def power_spectrum(
    n: int, n_channels: int = 1, window: str | ArrayLike = "hann", length: int | None = None
) -> PowerSpectrum:
    """Return the operator with a window function.

    Parameters
    ----------
    n : int
        Samples of the transform: a power of two, 64 to 2048.
    n_channels : int
        Interleaved channels.
    window : str or array of float [n]
        A name of `WINDOWS`, or an even function, ``w[i] = w[n - i]``, from -1 to 1.
    length : int, optional
        Samples of a window by name; the rest of the n is 0 on both sides. By default n.

    Raises
    ------
    UsageError
        A number is out of range, or the window is not even.
    """
    problem = _problem(n, n_channels)
    if problem is not None:
        raise UsageError(problem)
    if isinstance(window, str):
        values = window_function(window, length or n, n)
    else:
        values = np.asarray(window, np.float64)
    if values.shape != (n,) or not np.allclose(values[1:], values[:0:-1]):
        raise UsageError(f"a window function has {n} values with w[i] = w[{n} - i]")
    if np.abs(values).max() > 1:
        raise UsageError("a window function has values from -1 to 1: divide it by its largest")
    steps = np.rint(values[: n // 2 + 1] * (1 << WINDOW_BITS))
    table = np.clip(steps, -_WINDOW_MAX, _WINDOW_MAX).astype(np.int16)
    angles = twiddle_angles(n)
    parts = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return PowerSpectrum(
        n, n_channels, table, np.rint(parts * (1 << TWIDDLE_BITS)).astype(np.int16)
    )


def twiddle_angles(n: int) -> NDArray[np.float64]:
    """Return the angles of all twiddles in the order of the parameters.

    For each pass of radix 4 that joins 4 transforms of ``q`` samples: ``2 pi m i / (4 q)`` for
    ``i = 0 .. q - 1`` and ``m = 1, 2, 3``, m first. Then ``2 pi k / n`` for ``k = 1 .. n / 4``.
    """
    angles = []
    quarter = _first_radix(n)
    while quarter < n // 2:
        steps = np.arange(quarter)[:, np.newaxis] * np.arange(1, 4)
        angles.append(2 * np.pi * steps.ravel() / (4 * quarter))
        quarter *= 4
    angles.append(2 * np.pi * np.arange(1, n // 4 + 1) / n)
    return np.concatenate(angles)


def n_twiddles(n: int) -> int:
    """Return the number of twiddles of a transform of n samples."""
    return n // 2 - _first_radix(n) + n // 4


def _first_radix(n: int) -> int:
    """4 if n / 2 is a power of 4, else 2."""
    return 4 if (n.bit_length() - 2) % 2 == 0 else 2


def _problem(n: int, n_channels: int) -> str | None:
    if not MIN_LENGTH <= n <= MAX_LENGTH or n & (n - 1):
        return f"a transform has {MIN_LENGTH} to {MAX_LENGTH} samples, a power of two, not {n}"
    if not 1 <= n_channels <= MAX_CHANNELS:
        return f"a window has 1 to {MAX_CHANNELS} channels, not {n_channels}"
    return None


def _bits(*parts: _Ints) -> _Ints:
    """Smallest p with -2^p <= v < 2^p for all elements of a row, of int16 size; [rows, 1]."""
    magnitude = np.max([(v ^ (v >> 31)).max(axis=1, keepdims=True) for v in parts], axis=0)
    return np.asarray(sum((magnitude >> i) > 0 for i in range(15)), np.int32)


def _rounding(shift: _Ints) -> _Ints:
    return (np.int32(1) << shift) >> 1


def _int16(x: _Ints) -> _Ints:
    return x.astype(np.int16).astype(np.int32)


def _reversed_digits(count: int) -> NDArray[np.int64]:
    """Where each place takes its sample from: the base-4 digits of the place in reverse order."""
    places = np.arange(count)
    result = np.zeros(count, np.int64)
    rest = count
    while rest > 1:
        result = 4 * result + places % 4
        places //= 4
        rest //= 4
    return result


_Complex: TypeAlias = tuple[_Ints, _Ints]


def _butterfly4(a: _Complex, b: _Complex, c: _Complex, d: _Complex) -> list[_Complex]:
    """Transform of 4 samples."""
    plus, minus = (a[0] + c[0], a[1] + c[1]), (a[0] - c[0], a[1] - c[1])
    other, turned = (b[0] + d[0], b[1] + d[1]), (b[1] - d[1], d[0] - b[0])
    return [
        (plus[0] + other[0], plus[1] + other[1]),
        (minus[0] + turned[0], minus[1] + turned[1]),
        (plus[0] - other[0], plus[1] - other[1]),
        (minus[0] - turned[0], minus[1] - turned[1]),
    ]


def _turned(re: _Ints, im: _Ints, twiddle: _Ints) -> _Complex:
    """Times cos - j sin; twiddle [..., 2]."""
    cos, sin = twiddle[..., 0], twiddle[..., 1]
    return re * cos + im * sin, im * cos - re * sin


def _radix4_pass(
    re: _Ints, im: _Ints, exponent: _Ints, twiddles: _Ints
) -> tuple[_Ints, _Ints, _Ints]:
    """Join transforms of q samples to ones of 4 q; twiddles [q, 3, 2]."""
    shift = _bits(re, im) + 1
    shape = (len(re), -1, 4, len(twiddles))
    res, ims = re.reshape(shape), im.reshape(shape)
    rounding = _rounding(shift)[:, :, np.newaxis]
    a = tuple((part[:, :, 0] << TWIDDLE_BITS) + rounding for part in (res, ims))
    turned = [_turned(res[:, :, i], ims[:, :, i], twiddles[:, i - 1]) for i in (1, 2, 3)]
    results = _butterfly4((a[0], a[1]), *turned)
    parts = [
        np.stack([each[part] for each in results], axis=2).reshape(len(re), -1) >> shift
        for part in (0, 1)
    ]
    return _int16(parts[0]), _int16(parts[1]), exponent + shift - TWIDDLE_BITS


def _separate(re: _Ints, im: _Ints, exponent: _Ints, twiddles: _Ints) -> tuple[_Ints, _Ints]:
    """Power of the real signal's spectrum [rows, n / 2 + 1] from that of the complex one."""
    shift = _bits(re, im)
    half = re.shape[1]
    rounding = _rounding(shift)
    power = np.zeros((len(re), half + 1), np.int32)
    ends = [
        (((re[:, :1] + sign * im[:, :1]) << (TWIDDLE_BITS + 1)) + rounding) >> shift
        for sign in (np.int32(1), np.int32(-1))
    ]
    power[:, :1], power[:, half:] = ends[0] ** 2, ends[1] ** 2
    low = np.arange(1, half // 2 + 1)
    high = half - low
    sums = (re[:, low] + re[:, high], im[:, low] - im[:, high])
    differences = (re[:, low] - re[:, high], im[:, low] + im[:, high])
    turned = _turned(*differences, twiddles)
    # Times -j: what the odd samples add.
    odd = (turned[1], -turned[0])
    even = tuple((part << TWIDDLE_BITS) + rounding for part in sums)
    power[:, low] = _squares((even[0] + odd[0]) >> shift, (even[1] + odd[1]) >> shift)
    power[:, high] = _squares((even[0] - odd[0]) >> shift, (even[1] - odd[1]) >> shift)
    return power, 2 * (exponent + shift - TWIDDLE_BITS - 1)


def _squares(re: _Ints, im: _Ints) -> _Ints:
    return re * re + im * im
