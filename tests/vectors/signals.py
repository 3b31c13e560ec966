"""The vectors of all operators on signals."""

from __future__ import annotations

from collections.abc import Iterator

from vectors import (
    autocorrelation,
    band_energies,
    biquads,
    detector,
    downscale,
    fir,
    log2,
    matrix,
    moments,
    nearest,
    normalise,
    percentiles,
    power_spectrum,
    samples,
    top_k,
    vote,
    window,
)
from wingbeat.reference import Operator

MODULES = (
    power_spectrum,
    band_energies,
    log2,
    matrix,
    biquads,
    fir,
    samples,
    moments,
    percentiles,
    autocorrelation,
    window,
    detector,
    vote,
    top_k,
    nearest,
    downscale,
    normalise,
)


def small_signal_operators() -> Iterator[Operator]:
    """Yield operators with few parameters, every kernel of them."""
    for module in MODULES:
        yield from module.sound_operators()
