"""The operators on signals, images and decisions, as one list."""

from __future__ import annotations

from .band_energies import BandEnergies
from .log2 import Log2
from .matrix import Matrix
from .power_spectrum import PowerSpectrum

SIGNALS = (PowerSpectrum, BandEnergies, Log2, Matrix)
"""Classes of the opcodes 96 to 191."""
