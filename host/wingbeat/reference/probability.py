"""Probability: softmax of fixed-point scores, or the logistic function of a single one.

A score ``v`` stands for the real number ``v / 2^F``; a probability is a uint16 in steps of
1/65535. A single score is the log-odds of the second of two classes: the result is the softmax
of 0 and the score. All of it is integers. With ``d = max - v``:

- ``x = min(floor(d 2^15 / 2^F), 2^19)``, that is ``d`` in units of 2^-15, cut off at 16
- ``a = x + floor(7253 x / 2^14)``, which is ``x log2(e)``
- ``b = floor((a + 2) / 4)``, ``k = floor(b / 2^13)``, ``f = b mod 2^13``: since ``exp(-x)`` is
  ``2^-b``, the integer bits ``k`` are a shift, and the fraction ``f`` goes into a polynomial
- ``p = 13927 - (1777 f >> 13)``, ``p = 62755 - (p f >> 13)``, ``p = 181675 - (p f >> 13)``,
  ``p = 262140 - (p f >> 13)``, which is ``2^-f`` in units of 1/262140
- ``e = ((2^5 p >> k) + 1) >> 1``, which is ``exp(-x)`` in units of 1/4194240
- ``t = S + floor(S / 2^16)``, where ``S`` is the sum of all ``e``
- probability ``= (floor(2^17 e / t) + 1) >> 1``

Against an exact softmax the error is below 6e-5 for up to 100 scores, and below 2e-4 for 1024,
where many tiny ``e`` are rounded alike. ``b`` never falls with
``d``, ``p`` falls with every step of ``f`` and ends above half of its start, and what follows is
monotone, so a larger score never gets a smaller probability; equal scores get equal ones. The
probabilities of a row need not add up to 65535 exactly.

References
----------
.. [1] J. S. Bridle, "Probabilistic Interpretation of Feedforward Classification Network Outputs",
   Neurocomputing, NATO ASI Series F 68, 1990: softmax.
.. [2] W. J. Cody, W. Waite, "Software Manual for the Elementary Functions", 1980: the exponential
   by reducing the range and a polynomial. The coefficients here are a minimax fit of the
   relative error to ``2^-f`` on [0, 1], exact at both ends, and then rounded.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError

from .base import BaseOperator

#: Limits of the parameters.
MAX_SCORES = 1024
MAX_FRACTION_BITS = 30

_PARAMS = struct.Struct("<HBx")
_POLYNOMIAL = (262140, 181675, 62755, 13927, 1777)


@dataclass(frozen=True)
class Probability(BaseOperator):
    """Probabilities of classes, from fixed-point scores.

    Parameters
    ----------
    n_scores : int
        1 to 1024. A single score gives two probabilities, otherwise there is one for each.
    fraction_bits : int
        0 to 30: a score's real value is ``value / 2**fraction_bits``.

    Raises
    ------
    UsageError
        If a parameter is out of range.
    """

    n_scores: int
    fraction_bits: int

    OPCODE: ClassVar[int] = 3
    KERNEL: ClassVar[str] = "probability"

    def _problem(self) -> str | None:
        return _problem(self.n_scores, self.fraction_bits)

    def encode(self) -> bytes:
        """Return the 4 bytes of parameters: u16 n_scores, u8 fraction_bits, 0."""
        return _PARAMS.pack(self.n_scores, self.fraction_bits)

    @classmethod
    def decode(cls, params: bytes) -> Probability:
        """Read what `encode` wrote.

        Raises
        ------
        FormatError
            If the parameters are of the wrong length or a value is out of range.
        """
        if len(params) != _PARAMS.size:
            raise FormatError(
                f"probability: takes {_PARAMS.size} bytes of parameters, not {len(params)}"
            )
        if params[3] != 0:
            raise FormatError("probability: the last byte of the parameters is not zero")
        n_scores, fraction_bits = _PARAMS.unpack(params)
        problem = _problem(n_scores, fraction_bits)
        if problem is not None:
            raise FormatError(f"probability: {problem}")
        return cls(n_scores, fraction_bits)

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the scores."""
        return (("i", self.n_scores),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of the probabilities."""
        return (("H", max(self.n_scores, 2)),)

    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Compute the probabilities of every row.

        Parameters
        ----------
        *inputs : one ndarray of int32, shape [rows, n_scores]
            Scores in units of ``2**-fraction_bits``.

        Returns
        -------
        tuple of one ndarray of uint16, shape [rows, max(n_scores, 2)]
            Probabilities in units of 1/65535.
        """
        (x,) = inputs
        scores = x.astype(np.int64)
        if self.n_scores == 1:
            scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
        exponentials = _exponential(scores.max(axis=1, keepdims=True) - scores, self.fraction_bits)
        whole = exponentials.sum(axis=1, keepdims=True)
        whole += whole >> 16
        return ((((exponentials << 17) // whole + 1) >> 1).astype(np.uint16),)


def _exponential(distance: NDArray[np.int64], fraction_bits: int) -> NDArray[np.int64]:
    """Return ``exp(-distance / 2**fraction_bits)`` in units of 1/4194240."""
    x = np.minimum((distance << 15) >> fraction_bits, 16 << 15)
    exponent = (x + ((x * 7253) >> 14) + 2) >> 2
    f = exponent & 0x1FFF
    value = np.zeros_like(f)
    for coefficient in reversed(_POLYNOMIAL):
        value = coefficient - ((value * f) >> 13)
    return np.asarray(((value << 5 >> (exponent >> 13)) + 1) >> 1)


def _problem(n_scores: int, fraction_bits: int) -> str | None:
    if not 1 <= n_scores <= MAX_SCORES:
        return f"there are 1 to {MAX_SCORES} scores, not {n_scores}"
    if not 0 <= fraction_bits <= MAX_FRACTION_BITS:
        return f"a score has 0 to {MAX_FRACTION_BITS} fraction bits, not {fraction_bits}"
    return None
