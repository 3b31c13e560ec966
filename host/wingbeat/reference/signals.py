"""The operators on signals, images and decisions, as one list."""

from __future__ import annotations

from .power_spectrum import PowerSpectrum

SIGNALS = (PowerSpectrum,)
"""Classes of the opcodes 96 to 191."""
