"""Changed copies of recordings, so that few of them stand for more: [augment] of a pipeline.

Copies are for training only. They are of the group of what they were made from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import UsageError
from .recordings import Recording, optional_module

_FINEST = 32
MAX_COPIES = 1000


@dataclass(frozen=True)
class AugmentOptions:
    """How copies of recordings are changed.

    Parameters
    ----------
    copies : int
        Of each recording that is trained on, beside itself.
    speed : sequence of two floats
        A copy is so many times as fast, drawn between the two: tempo and pitch together.
    gain_db : sequence of two floats
        So much louder, dB.
    noise_db : sequence of two floats, optional
        White noise is so far below the recording's standard deviation, dB; none by default.
    """

    copies: int = 4
    speed: Sequence[float] = (1.0, 1.0)
    gain_db: Sequence[float] = (0.0, 0.0)
    noise_db: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.copies <= MAX_COPIES:
            raise UsageError(f"copies = {self.copies}: expected 0 to {MAX_COPIES}")
        limits = {"speed": (0.1, 10.0), "gain_db": (-100.0, 100.0), "noise_db": (-100.0, 200.0)}
        for name, (low, high) in limits.items():
            pair = getattr(self, name)
            if pair is None:
                continue
            if len(pair) != 2 or not low <= pair[0] <= pair[1] <= high:
                raise UsageError(
                    f"{name} = {list(pair)}: expected two numbers from {low:g} to {high:g}, the"
                    " lower one first"
                )


def augmented(
    items: Iterable[Recording], options: AugmentOptions, seed: int
) -> tuple[Recording, ...]:
    """The changed copies of recordings.

    Parameters
    ----------
    items : iterable of Recording
    options : AugmentOptions
    seed : int
        The same seed gives the same copies.

    Raises
    ------
    DataError
        SciPy, which changes the speed, is not installed.
    """
    draw = np.random.default_rng(seed)
    return tuple(
        Recording(_changed(item.data, options, draw), item.label, item.group, item.source)
        for item in items
        for _ in range(options.copies)
    )


def _changed(
    data: NDArray[Any], options: AugmentOptions, draw: np.random.Generator
) -> NDArray[np.float64]:
    x = np.asarray(data, np.float64)
    low, high = options.speed
    logarithm = _between((np.log(low), np.log(high)), draw)
    ratio = Fraction(float(np.exp(-logarithm))).limit_denominator(_FINEST)
    if ratio != 1:
        signal = optional_module("scipy.signal", "changing the speed", '"wingbeat[sklearn]"')
        x = signal.resample_poly(x, ratio.numerator, ratio.denominator, axis=0, padtype="line")
    if options.noise_db is not None:
        size = x.std(axis=0) * 10 ** (-_between(options.noise_db, draw) / 20)
        x = x + draw.normal(0, 1, x.shape) * size
    return np.asarray(x * 10 ** (_between(options.gain_db, draw) / 20), np.float64)


def _between(limits: Sequence[float], draw: np.random.Generator) -> float:
    low, high = limits
    return float(draw.uniform(low, high))
