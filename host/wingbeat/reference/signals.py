"""The operators on signals, images and decisions, as one list."""

from __future__ import annotations

from .band_energies import BandEnergies
from .biquads import Biquads
from .log2 import Log2
from .matrix import Matrix
from .power_spectrum import PowerSpectrum
from .window import Window

SIGNALS = (PowerSpectrum, BandEnergies, Log2, Matrix, Biquads, Window)
"""Classes of the opcodes 96 to 191."""
