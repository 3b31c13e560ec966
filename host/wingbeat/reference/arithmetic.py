"""Sums, differences and products of int8 tensors, with TFLite Micro's bits.

TFLite's arithmetic takes several 64-bit products an element. But an int8 output has few bits, so
that a short formula nearly always gives the same: with t = x fast[0] + y fast[1] + bias in 32 bits,
the output is t's upper 12 bits. It can be wrong only where t's lower 20 bits are small; the factory
tries all 65,536 pairs of inputs, and what it finds is `doubt`: below it the output is computed as
TFLite does.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.activations import Quantization, quantized_limits
from wingbeat.reference.lookup import Lookup
from wingbeat.reference.requantize import (
    divide_by_power,
    high_product,
    multiply,
    quantize_multiplier,
)

from .base import BaseOperator

A = TypeVar("A", bound="Arithmetic")

MAX_COUNT = 65535
"""Rows and elements of a row."""
FRACTION_BITS = 20
ALWAYS = (1 << 32) - 1
"""As `doubt`: the short formula is never taken."""

_HEAD = struct.Struct("<3H2BiIIi3i3i3bb2bBB")
_LEFT_SHIFT = 20
_INT8 = np.arange(-128, 128, dtype=np.int8)
_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True, eq=False)
class Arithmetic(BaseOperator):
    """What `Add` and `Mul` have in common.

    Parameters
    ----------
    counts : tuple of 3 int
        The output is [counts[0], counts[1], counts[2]]: 1 to 65535 each, and so is the product of
        the first two.
    varies : tuple of 2 bool
        Whether y has the output's dimension 0, and 1. If not, its elements are the same along it.
    y_first : bool
        The first input is y, not x.
    zero_points : tuple of 2 int
        Of x and y.
    negative : tuple of 2 bool
        `Add`: x is subtracted, y is.
    fast : tuple of 2 int
        Factors of x and y in the short formula, int32. `Mul` has the first, and
        t = (x - its zero point) (y - its zero point) fast[0] + bias.
    bias, doubt : int
        int32, and uint32: fractions of t below doubt / 2^32 need the long formula.
    mantissa, exponent : tuple of 3 int
        Factors of x, y and the output, see `quantize_multiplier`. `Mul` has the third.
    zero_point, low, high : int
        Of the output.
    constant : NDArray[int8], optional
        y, if it is one; then y_first is false.

    Raises
    ------
    UsageError
        If a parameter is out of range.
    """

    counts: tuple[int, int, int]
    varies: tuple[bool, bool]
    y_first: bool
    zero_points: tuple[int, int]
    negative: tuple[bool, bool]
    fast: tuple[int, int]
    bias: int
    doubt: int
    mantissa: tuple[int, int, int]
    exponent: tuple[int, int, int]
    zero_point: int
    low: int
    high: int
    constant: NDArray[np.int8] | None = None

    OPCODE: ClassVar[int]
    KERNEL: ClassVar[str]
    MAX_EXPONENT: ClassVar[int]

    def _problem(self) -> str | None:
        outer = self.counts[0] * self.counts[1]
        if not (min(self.counts) >= 1 and outer <= MAX_COUNT and self.counts[2] <= MAX_COUNT):
            return f"a tensor of {self.counts}: expected 1 to {MAX_COUNT} rows and elements in each"
        if not -128 <= self.low <= self.high <= 127:
            return f"the output's limits are {self.low} to {self.high}"
        if min(self.mantissa) < 0:
            return "a mantissa is negative"
        if not -31 <= min(self.exponent) <= max(self.exponent) <= self.MAX_EXPONENT:
            return f"an exponent is not within -31 to {self.MAX_EXPONENT}"
        if self.constant is not None and self.y_first:
            return "a constant is the first input"
        if self.constant is not None and len(self.constant) != self._sizes[1]:
            return f"the constant has {len(self.constant)} elements, not {self._sizes[1]}"
        return None

    @property
    def _y_shape(self) -> tuple[int, int, int]:
        n, m, inner = self.counts
        return (n if self.varies[0] else 1, m if self.varies[1] else 1, inner)

    @property
    def _sizes(self) -> tuple[int, int]:
        """Elements of x and y."""
        return math.prod(self.counts), math.prod(self._y_shape)

    def encode(self) -> bytes:
        """56 bytes, and the constant, filled up to a multiple of 4: see SPEC.md."""
        constant = b"" if self.constant is None else self.constant.tobytes()
        head = _HEAD.pack(
            *self.counts,
            self.varies[0] + 2 * self.varies[1],
            self.y_first,
            self.bias,
            self.doubt,
            self.high - self.low,
            self.low,
            *self._short_words(),
            *self.mantissa,
            *self.exponent,
            self.zero_point,
            *self._long_bytes(),
            self.constant is not None,
        )
        return head + constant + bytes(-len(constant) % 4)

    @classmethod
    def decode(cls: type[A], params: bytes) -> A:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            If the parameters are of the wrong length or a value is out of range.
        """
        if len(params) < _HEAD.size:
            raise FormatError(f"{cls.KERNEL}: {len(params)} bytes of parameters are too few")
        values = _HEAD.unpack_from(params)
        counts, (bits, y_first, bias, doubt, rest, low) = values[:3], values[3:9]
        varies = bool(bits & 1), bool(bits & 2)
        constant, padded = None, 0
        if values[-1]:
            size = counts[2] * (counts[0] if varies[0] else 1) * (counts[1] if varies[1] else 1)
            constant = np.frombuffer(params, np.int8, offset=_HEAD.size)[:size]
            padded = (size + 3) & ~3
        if len(params) != _HEAD.size + padded:
            raise FormatError(f"{cls.KERNEL}: {len(params)} bytes of parameters do not fit")
        try:
            return cls(
                counts,
                varies,
                bool(y_first & 1),
                **cls._of_words(values[9:12], values[19:22]),
                bias=bias,
                doubt=doubt,
                mantissa=values[12:15],
                exponent=values[15:18],
                zero_point=values[18],
                low=low,
                high=low + rest,
                constant=constant,
            )
        except UsageError as error:
            raise FormatError(str(error)) from error

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of each input; a constant is none."""
        x, y = (("b", size) for size in self._sizes)
        if self.constant is not None:
            return (x,)
        return (y, x) if self.y_first else (x, y)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the output."""
        return (("b", math.prod(self.counts)),)

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """The output may take the place of an input of its size."""
        return tuple((i, 0) for i, each in enumerate(self.inputs) if each == self.outputs[0])

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Compute every row.

        Parameters
        ----------
        *inputs : one or two ndarrays of int8, shape [rows, elements]

        Returns
        -------
        tuple of one ndarray of int8, shape [rows, elements]
        """
        out = self.compute(*self._sides(*inputs))
        return (out.reshape(len(inputs[0]), -1).astype(np.int8),)

    def _sides(self, *inputs: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """x [rows, *counts], and y as NumPy spreads it over x."""
        x, *others = reversed(inputs) if self.y_first else inputs
        y = others[0] if self.constant is None else self.constant
        x, y = x.reshape(-1, *self.counts), y.reshape(-1, *self._y_shape)
        return x.astype(np.int64), y.astype(np.int64)

    def mean_work(self, *inputs: NDArray[Any]) -> tuple[float, float]:
        """Elements of a row that the limits cut, and that need the long formula; means.

        Parameters
        ----------
        *inputs : as `apply` takes them
        """
        x, y = self._sides(*inputs)
        t = _wrapped(self._short(x, y) + self.bias)
        doubtful = self._doubtful(t)
        value = t >> FRACTION_BITS
        limited = ~doubtful & ((value < 0) | (value > self.high - self.low))
        return float(limited.sum() / len(x)), float(doubtful.sum() / len(x))

    def _doubtful(self, t: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.asarray((t << (32 - FRACTION_BITS)) & ALWAYS < self.doubt)

    def compute(self, x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
        """The output's elements from those of both inputs."""
        t = _wrapped(self._short(x, y) + self.bias)
        quick = np.clip((t >> FRACTION_BITS) + self.low, self.low, self.high)
        return np.where(self._doubtful(t), self.exact(x, y), quick)

    def exact(self, x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
        """The same by TFLite's formula."""
        values = self._long(x - self.zero_points[0], y - self.zero_points[1]) + self.zero_point
        return np.clip(values, self.low, self.high)

    def _short(self, x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
        """t without its bias, before it wraps to 32 bits."""
        raise NotImplementedError

    def _long(self, x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
        """TFLite's formula up to the zero point."""
        raise NotImplementedError

    def _short_words(self) -> tuple[int, int, int]:
        """What the parameters have behind the limits."""
        raise NotImplementedError

    def _long_bytes(self) -> tuple[int, int, int]:
        """What the parameters have behind the output's zero point."""
        raise NotImplementedError

    @classmethod
    def _of_words(cls, words: tuple[int, ...], numbers: tuple[int, ...]) -> dict[str, Any]:
        """The fields that both were made of."""
        raise NotImplementedError


class Add(Arithmetic):
    """Sums and differences. Source: TFLite's ``integer_ops/add.h``."""

    OPCODE: ClassVar[int] = 48
    KERNEL: ClassVar[str] = "add"
    MAX_EXPONENT: ClassVar[int] = 0

    def _short_words(self) -> tuple[int, int, int]:
        return 0, *self.fast

    def _long_bytes(self) -> tuple[int, int, int]:
        return *self.zero_points, self.negative[0] + 2 * self.negative[1]

    @classmethod
    def _of_words(cls, words: tuple[int, ...], numbers: tuple[int, ...]) -> dict[str, Any]:
        negative = bool(numbers[2] & 1), bool(numbers[2] & 2)
        return {"fast": words[1:], "zero_points": numbers[:2], "negative": negative}

    def _short(self, x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
        return x * self.fast[0] + y * self.fast[1]

    def _long(self, x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
        total = np.zeros((), np.int64)
        for i, side in enumerate((x, y)):
            product = high_product(side << _LEFT_SHIFT, self.mantissa[i])
            scaled = divide_by_power(product, -self.exponent[i])
            total = total - scaled if self.negative[i] else total + scaled
        return divide_by_power(high_product(total, self.mantissa[2]), -self.exponent[2])


class Mul(Arithmetic):
    """Products. Source: TFLite's ``integer_ops/mul.h``."""

    OPCODE: ClassVar[int] = 49
    KERNEL: ClassVar[str] = "mul"
    MAX_EXPONENT: ClassVar[int] = 30

    def _short_words(self) -> tuple[int, int, int]:
        return -self.zero_points[1], self.fast[0], -self.zero_points[0]

    def _long_bytes(self) -> tuple[int, int, int]:
        return 0, 0, 0

    @classmethod
    def _of_words(cls, words: tuple[int, ...], numbers: tuple[int, ...]) -> dict[str, Any]:
        zero_points = (-words[2], -words[0])
        return {"fast": (words[1], 0), "zero_points": zero_points, "negative": (False, False)}

    def _short(self, x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
        product = (x - self.zero_points[0]) * (y - self.zero_points[1])
        return product * self.fast[0]

    def _long(self, x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
        return multiply(_wrapped(x * y), self.mantissa[2], self.exponent[2])


# ---- From TFLite's parameters


@dataclass(frozen=True, eq=False)
class Side:
    """An input of an addition, subtraction or product.

    Parameters
    ----------
    shape : sequence of int
    quantization : Quantization
    constant : NDArray[int8], optional
        Its elements, if they are constant.
    """

    shape: Sequence[int]
    quantization: Quantization
    constant: NDArray[np.int8] | None = None


def add(
    first: Side,
    second: Side,
    output: Quantization,
    activation: str = "none",
    *,
    subtract: bool = False,
) -> Add | Lookup:
    """TFLite's ADD or SUB of int8 tensors; NumPy's rules of broadcasting.

    Parameters
    ----------
    first, second : Side
        Not both constant.
    output : Quantization
    activation : str
        See `quantized_limits`.
    subtract : bool
        first - second.

    Returns
    -------
    Add or Lookup
        Its inputs are those of `first` and `second` that are not constant, in this order. With a
        constant whose elements are all the same it is a look-up.

    Raises
    ------
    UsageError
        The shapes do not fit each other, or are too many dimensions.
    """
    order = _Order.of(Add.KERNEL, first, second)
    negative = (subtract and order.swapped, subtract and not order.swapped)
    scales = [side.quantization.scale for side in (order.x, order.y)]
    twice_largest = 2 * max(scales)
    factors = [scale / twice_largest for scale in scales]
    factors.append(twice_largest / ((1 << _LEFT_SHIFT) * output.scale))
    slopes = [
        (-1 if minus else 1) * scale / output.scale
        for scale, minus in zip(scales, negative, strict=True)
    ]
    return _make(Add, order, output, activation, negative, factors, slopes)


def mul(first: Side, second: Side, output: Quantization, activation: str = "none") -> Mul | Lookup:
    """TFLite's MUL of int8 tensors: see `add`."""
    order = _Order.of(Mul.KERNEL, first, second)
    factor = order.x.quantization.scale * order.y.quantization.scale / output.scale
    return _make(Mul, order, output, activation, (False, False), [0, 0, factor], [factor])


@dataclass(frozen=True, eq=False)
class _Order:
    """Both sides, the one of the output's size first.

    Parameters
    ----------
    counts, varies
        As in `Arithmetic`.
    swapped : bool
        x is the second side.
    """

    x: Side
    y: Side
    swapped: bool
    counts: tuple[int, int, int]
    varies: tuple[bool, bool]

    @classmethod
    def of(cls, name: str, first: Side, second: Side) -> _Order:
        """Raises UsageError if the shapes do not fit each other."""
        swapped = math.prod(first.shape) < math.prod(second.shape)
        if first.constant is not None or second.constant is not None:
            swapped = first.constant is not None
        x, y = (second, first) if swapped else (first, second)
        if x.constant is not None:
            raise UsageError(f"{name}: both inputs are constant")
        return cls(x, y, swapped, *_dimensions(name, x.shape, y.shape))


def _make(
    kind: type[A],
    order: _Order,
    output: Quantization,
    activation: str,
    negative: tuple[bool, bool],
    factors: Sequence[float],
    slopes: Sequence[float],
) -> A | Lookup:
    low, high = quantized_limits(activation, output)
    pairs = [quantize_multiplier(factor) for factor in factors]
    constant = order.y.constant
    if constant is not None:
        constant = np.asarray(constant, np.int8).ravel()
    probe = kind(
        (1, 1, 1),
        (True, True),
        order.swapped and constant is None,
        (order.x.quantization.zero_point, order.y.quantization.zero_point),
        negative,
        (0, 0),
        0,
        ALWAYS,
        (pairs[0][0], pairs[1][0], pairs[2][0]),
        (pairs[0][1], pairs[1][1], pairs[2][1]),
        output.zero_point,
        low,
        high,
    )
    if constant is not None and np.all(constant == constant[0]):
        table = probe.exact(_INT8.astype(np.int64), constant[:1].astype(np.int64))
        return Lookup(np.roll(table, 128).astype(np.int8), math.prod(order.counts))
    fast, bias, doubt = _short_formula(probe, slopes)
    return replace(
        probe,
        counts=order.counts,
        varies=order.varies,
        fast=fast,
        bias=bias,
        doubt=doubt,
        constant=constant,
    )


def _short_formula(probe: Arithmetic, slopes: Sequence[float]) -> tuple[tuple[int, int], int, int]:
    """The short formula's factors, its bias, and the fractions that it is not sure of.

    Factors beside the nearest ones are tried too: where outputs are exactly between two integers,
    the rounding away from zero asks for larger ones.
    """
    x, y = np.meshgrid(_INT8.astype(np.int64), _INT8.astype(np.int64), indexing="ij")
    nearest = [round(slope * (1 << FRACTION_BITS)) for slope in slopes]
    best = ((0, 0), 0, ALWAYS)
    exact = probe.exact(x, y) - probe.low
    for changes in itertools.product((0, 1, -1), repeat=len(slopes)):
        factors = [each + change for each, change in zip(nearest, changes, strict=True)]
        if not all(_INT32.min <= each <= _INT32.max for each in factors):
            continue
        fast = (factors[0], factors[1] if len(factors) > 1 else 0)
        t = replace(probe, fast=fast)._short(x, y)
        bias, doubt = _doubt_of(t, exact, probe.high - probe.low)
        if doubt < best[2]:
            best = (fast, bias, doubt)
        if doubt == 0:
            break
    return best


def _doubt_of(t: NDArray[np.int64], exact: NDArray[np.int64], largest: int) -> tuple[int, int]:
    """The bias that makes the least doubt, and the doubt."""
    one = 1 << FRACTION_BITS
    # The bias that lets no output be too small, but those at the lower limit ...
    bias = int((exact * one - t)[exact > 0].max(initial=-1 - int(t.max())))
    t = t + bias
    # ... then those that are too large lie above the step between two outputs by so much.
    doubt = int((t - (exact + 1) * one)[exact < largest].max(initial=-1)) + 1
    fits = _INT32.min <= t.min() and t.max() <= _INT32.max and abs(bias) <= _INT32.max
    return (bias, doubt << (32 - FRACTION_BITS)) if fits and doubt < one else (0, ALWAYS)


def _dimensions(
    name: str, x: Sequence[int], y: Sequence[int]
) -> tuple[tuple[int, int, int], tuple[bool, bool]]:
    """x as three dimensions, and which of the first two y has."""
    rank = max(len(x), len(y))
    x, y = ((1,) * (rank - len(shape)) + tuple(shape) for shape in (x, y))
    if not all(count in (1, of) for count, of in zip(y, x, strict=True)):
        raise UsageError(
            f"{name}: shapes {list(x)} and {list(y)} do not fit: one of them must have every"
            " dimension of the output; repeat the other's elements before"
        )
    merged: list[tuple[int, bool]] = []
    for count, of in zip(y, x, strict=True):
        if of != 1:
            had = merged.pop() if merged and merged[-1][1] == (count != 1) else (1, count != 1)
            merged.append((had[0] * of, had[1]))
    if not merged or not merged[-1][1]:
        merged.append((1, True))
    if merged[-1][0] > MAX_COUNT:
        total = merged.pop()[0]
        rows = next((n for n in range(2, MAX_COUNT + 1) if _divides(n, total)), 1)
        merged += [(rows, True), (total // rows, True)]
    merged = [(1, True)] * (3 - len(merged)) + merged
    if len(merged) > 3:
        raise UsageError(f"{name}: shapes {list(x)} and {list(y)} differ in too many dimensions")
    (n, first), (m, second), (inner, _) = merged
    return (n, m, inner), (first, second)


def _divides(n: int, count: int) -> bool:
    return count % n == 0 and count // n <= MAX_COUNT


def _wrapped(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Modulo 2^32, signed."""
    return values.astype(np.uint32).astype(np.int32).astype(np.int64)
