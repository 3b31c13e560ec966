"""What the operators on signals do, as counts: see `costs.terms`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .reference import DTYPES
from .reference.affine import Affine
from .reference.autocorrelation import Autocorrelation
from .reference.band_energies import BandEnergies
from .reference.biquads import Biquads
from .reference.detector import Detector
from .reference.downscale import Downscale, Pixels
from .reference.fir import Edges, Fir
from .reference.log2 import Log2
from .reference.magnitude import Magnitude
from .reference.matrix import Matrix
from .reference.moments import Moments
from .reference.nearest import Nearest
from .reference.normalise import Measure, Normalise
from .reference.peak_normalize import PeakNormalize
from .reference.percentiles import Percentiles
from .reference.power_spectrum import PowerSpectrum
from .reference.remove_mean import RemoveMean
from .reference.top_k import TopK
from .reference.vote import Vote
from .reference.window import Window


def _of_power_spectrum(operator: PowerSpectrum) -> list[float]:
    """Call, channels; samples, those of an odd power of two, of each pass; blocks."""
    channels, half = operator.n_channels, operator.n // 2
    radix = 4 if half.bit_length() % 2 else 2
    passes = blocks = 0
    size = 4 * radix
    while size <= half:
        passes, blocks = passes + 1, blocks + half // size
        size *= 4
    samples = channels * operator.n
    odd = float(samples * (radix == 2))
    return [1.0, channels, samples, odd, samples * passes, channels * blocks]


def _of_band_energies(operator: BandEnergies) -> list[float]:
    """Call, channels; bands as energies, as logarithms; weights."""
    channels, bands = operator.n_channels, operator.n_channels * len(operator.bands)
    weights = channels * sum(len(band.weights) for band in operator.bands)
    logs = bands * operator.logarithm
    return [1.0, channels, float(bands - logs), float(logs), float(weights)]


def _of_log2(operator: Log2) -> list[float]:
    return [1.0, operator.n_elements]


def _of_matrix(operator: Matrix) -> list[float]:
    """Call, rows, outputs, products."""
    outputs, inputs = operator.weights.shape
    rows = operator.n_rows
    return [1.0, rows, rows * outputs, rows * outputs * inputs]


def _of_biquads(operator: Biquads) -> list[float]:
    """Call, sections of channels, their samples."""
    passes = operator.n_channels * len(operator.sections)
    return [1.0, passes, passes * operator.n_samples]


def _of_fir(operator: Fir) -> list[float]:
    """Call; what is moved and what is kept from run to run; outputs, those of channels with all
    taps inside, and others; sums of products, fours of them and single ones.
    """
    channels, taps = operator.n_channels, len(operator.taps)
    first = {Edges.INSIDE: 0, Edges.KEEP: 1 - taps, Edges.REPEAT: -(taps // 2)}[operator.edges]
    start = first + np.arange(operator.n_outputs) * operator.step
    before = np.clip(-start, 0, taps)
    count = np.minimum(taps - before, operator.n_samples - start - before)
    inside = count == taps
    others = ~inside
    sums = [count, before[before > 0], (taps - before - count)[others]]
    fours = sum(int((each // 4).sum()) for each in sums)
    singles = sum(int((each % 4).sum()) for each in sums)
    new = min(taps - 1, operator.n_samples) * (operator.edges is Edges.KEEP)
    old = (taps - 1) * (operator.edges is Edges.KEEP) - new
    of_channels = [old, new, int(inside.sum()), int(others.sum())]
    of_channels += [sum(len(each) for each in sums), fours, singles]
    return [1.0, operator.n_outputs, *(float(channels * each) for each in of_channels)]


def _of_remove_mean(operator: RemoveMean) -> list[float]:
    channels = operator.n_channels
    return [1.0, channels, channels * operator.n_samples]


def _of_affine(operator: Affine) -> list[float]:
    rows = operator.n_rows
    return [1.0, rows, rows * len(operator.factors)]


def _of_magnitude(operator: Magnitude) -> list[float]:
    samples = operator.n_samples
    return [1.0, samples, samples * operator.n_axes]


def _of_peak_normalize(operator: PeakNormalize) -> list[float]:
    return [1.0, operator.n_elements]


def _of_window(operator: Window) -> list[float]:
    """Call; lines of 16 bytes, and pairs of bytes, that are moved or copied."""
    sample = operator.width * DTYPES[operator.typecode].itemsize
    step, kept = operator.n_new * sample, (operator.n_window - operator.n_new) * sample
    lines = pairs = 0
    for size, aligned in ((kept, step % 4 == 0 and step >= 16), (step, kept % 4 == 0)):
        lines += size // 16 if aligned else 0
        pairs += -(-(size % 16 if aligned else size) // 2)
    return [1.0, lines, pairs]


def _of_detector(operator: Detector) -> list[float]:
    return [1.0, operator.n_scores]


def _of_moments(operator: Moments) -> list[float]:
    """Call, channels, samples, results."""
    channels = operator.n_channels
    results = channels * len(operator.statistics)
    return [1.0, channels, channels * operator.n_samples, results]


def _of_vote(operator: Vote) -> list[float]:
    return [1.0, operator.n_scores, operator.n_votes]


def _of_top_k(operator: TopK) -> list[float]:
    """Call, scores; comparisons of a place with a new score, as there are with random ones."""
    n, k = operator.n_scores, operator.k
    expected = sum(min(i, k) / 2 * min(1.0, k / max(i, 1)) for i in range(n))
    return [1.0, n, expected]


def _of_nearest(operator: Nearest) -> list[float]:
    """Call with its root, centres, differences."""
    return [1.0, len(operator.centres), operator.centres.size]


def _of_percentiles(operator: Percentiles) -> list[float]:
    """Call, channels with their counters, samples, percentiles."""
    channels = operator.n_channels
    return [1.0, channels, channels * operator.n_samples, channels * len(operator.places)]


def _of_autocorrelation(operator: Autocorrelation) -> list[float]:
    """Call, channels, samples; pairs of lags, and their products."""
    n, pairs = operator.n_samples, range(operator.first, operator.last + 1, 2)
    products = sum(2 * (n - lag) for lag in pairs)
    return [1.0, *(operator.n_channels * each for each in (1.0, n, len(pairs), products))]


def _of_downscale(operator: Downscale) -> list[float]:
    """Call; of a crop, rows and bytes; then of bytes, and of RGB565.

    Bytes: lines of the output; columns that are added up alone, and four at a time, and the rows of
    these; sums of columns that are added up; outputs, and those of grey. RGB565: blocks, those that
    stay in colour; rows of blocks, words of two pixels or one in them; further sums of fields.
    """
    (rows, columns), (high, wide) = operator.out_size, operator.factors
    bytes_of_line = columns * wide * operator.channels
    outputs = rows * columns * operator.out_channels
    if operator.pixels is Pixels.BYTES and not operator.scratch:
        return [1.0, rows, rows * bytes_of_line, *[0.0] * 13]
    if operator.pixels is Pixels.BYTES:
        (row, left), n = operator.corner, operator.channels
        aligned = operator.size[1] * n % 4 == 0
        head = min(-(row * operator.size[1] + left) * n % 4, bytes_of_line)
        fours = (bytes_of_line - head) // 4 if aligned else 0
        alone = bytes_of_line - 4 * fours
        added = columns * wide * (3 if operator.grey else operator.out_channels)
        grey = outputs if operator.grey else 0
        counts = [1, alone, alone * high, fours, fours * high, added]
        outs = [outputs - grey, grey]
        return [1.0, 0.0, 0.0, *(float(rows * each) for each in counts), *outs, *[0.0] * 5]
    blocks = rows * columns
    words = wide // 2 + (wide % 2 or operator.corner[1] % 2)
    further = -(-high // (32 // (wide // 2 + 1))) - 1
    colours = blocks * (not operator.grey)
    counts = [blocks, colours, blocks * high, blocks * high * words, blocks * further]
    return [1.0, *[0.0] * 10, *map(float, counts)]


def _of_normalise(operator: Normalise) -> list[float]:
    """Call; by deviation, and pixels of it; pixels of a range, and those that become int16."""
    n, by = operator.n_elements, float(operator.measure is Measure.DEVIATION)
    return [1.0, by, by * n, (1 - by) * n, n * (operator.typecode == "h")]


SIGNAL_TERMS: Mapping[type, Callable[[Any], list[float]]] = {
    PowerSpectrum: _of_power_spectrum,
    BandEnergies: _of_band_energies,
    Log2: _of_log2,
    Matrix: _of_matrix,
    Biquads: _of_biquads,
    Fir: _of_fir,
    RemoveMean: _of_remove_mean,
    Affine: _of_affine,
    Magnitude: _of_magnitude,
    PeakNormalize: _of_peak_normalize,
    Window: _of_window,
    Downscale: _of_downscale,
    Normalise: _of_normalise,
    Detector: _of_detector,
    Moments: _of_moments,
    Vote: _of_vote,
    TopK: _of_top_k,
    Nearest: _of_nearest,
    Percentiles: _of_percentiles,
    Autocorrelation: _of_autocorrelation,
}
