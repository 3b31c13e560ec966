"""The operators on signals, images and decisions, as one list."""

from __future__ import annotations

from .affine import Affine
from .autocorrelation import Autocorrelation
from .band_energies import BandEnergies
from .biquads import Biquads
from .detector import Detector
from .downscale import Downscale
from .fir import Fir
from .log2 import Log2
from .magnitude import Magnitude
from .matrix import Matrix
from .moments import Moments
from .nearest import Nearest
from .normalise import Normalise
from .peak_normalize import PeakNormalize
from .percentiles import Percentiles
from .power_spectrum import PowerSpectrum
from .remove_mean import RemoveMean
from .top_k import TopK
from .vote import Vote
from .window import Window

SIGNALS = (
    PowerSpectrum,
    BandEnergies,
    Log2,
    Matrix,
    Biquads,
    Fir,
    RemoveMean,
    Affine,
    Magnitude,
    Moments,
    PeakNormalize,
    Percentiles,
    Autocorrelation,
    Window,
    Detector,
    Vote,
    TopK,
    Nearest,
    Downscale,
    Normalise,
)
"""Classes of the opcodes 96 to 191."""
