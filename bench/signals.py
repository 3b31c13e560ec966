"""Operators on signals with inputs, of sizes for boards: what their costs are fitted on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from bench.layers import Inputs
from wingbeat.reference import DTYPES, Operator
from wingbeat.reference.affine import affine
from wingbeat.reference.autocorrelation import Autocorrelation
from wingbeat.reference.band_energies import band_energies, log_band_energies, mel_bands
from wingbeat.reference.biquads import biquads
from wingbeat.reference.detector import Detector
from wingbeat.reference.downscale import Downscale, Pixels
from wingbeat.reference.fir import Edges, fir
from wingbeat.reference.log2 import Log2
from wingbeat.reference.magnitude import Magnitude
from wingbeat.reference.matrix import matrix
from wingbeat.reference.moments import MOMENTS, Moments
from wingbeat.reference.nearest import nearest
from wingbeat.reference.normalise import Measure, Normalise
from wingbeat.reference.peak_normalize import PeakNormalize
from wingbeat.reference.percentiles import percentiles
from wingbeat.reference.power_spectrum import power_spectrum
from wingbeat.reference.remove_mean import RemoveMean
from wingbeat.reference.top_k import TopK
from wingbeat.reference.vote import Vote
from wingbeat.reference.window import Window

ROWS = 3


def signals() -> Iterator[tuple[Operator, Inputs]]:
    """Operators of every kind, with rows of each input."""
    draw = np.random.default_rng(7)
    for n in (64, 128, 256, 512, 1024, 2048):
        for channels in (1, 3):
            spectrum = power_spectrum(n, channels)
            x = _noise(draw, n * channels)
            yield spectrum, (x,)
            power = spectrum.apply(x)
            for bands in (6, 20, 40):
                weights = mel_bands(16000, n, bands)
                # Narrow bands of a short transform have no bins.
                if n >= 256 or bands < 20:
                    yield log_band_energies(weights, channels), power
                    yield band_energies(weights, channels), power
    for n in (3, 20, 100):
        yield Log2(n), (draw.integers(1, 2**31, (ROWS, n)).astype("<i4"),)
    for inputs, outputs, rows in ((9, 3, 1), (40, 13, 1), (32, 32, 4), (6, 6, 50), (200, 8, 1)):
        weights = draw.normal(0, 0.1, (outputs, inputs))
        yield matrix(weights, n_rows=rows), (_noise(draw, inputs * rows),)
    for samples, channels, order in ((16, 1, 2), (50, 3, 4), (128, 1, 8), (256, 2, 4)):
        sos = signal.butter(order, 0.2, output="sos")
        yield biquads(sos, samples, channels, keep=False), (_noise(draw, samples * channels),)
    for n_taps, samples, channels, edges, step in (
        *((9, 100, 1, Edges.KEEP, 1), (33, 160, 1, Edges.KEEP, 2), (5, 64, 3, Edges.REPEAT, 1)),
        *((21, 200, 2, Edges.INSIDE, 1), (64, 256, 1, Edges.KEEP, 8), (3, 50, 6, Edges.REPEAT, 1)),
    ):
        taps = signal.firwin(n_taps, 0.3)
        operator = fir(taps, samples, channels, edges=edges, step=step)
        yield operator, (_noise(draw, samples * channels),)
    for _ in range(16):
        n_taps, edges = int(draw.integers(2, 70)), Edges(int(draw.integers(3)))
        samples, channels = int(draw.integers(70, 300)), int(draw.integers(1, 4))
        step = int(draw.integers(1, 9)) if edges is not Edges.REPEAT else 1
        taps = signal.firwin(n_taps | (edges is Edges.REPEAT), 0.3)
        samples -= samples % step
        operator = fir(taps, samples, channels, edges=edges, step=step)
        yield operator, (_noise(draw, samples * channels),)
    for samples, channels in ((10, 1), (128, 3), (100, 2), (64, 6), (256, 1)):
        for asked in (MOMENTS, MOMENTS[:1], MOMENTS[1:]):
            yield Moments(samples, channels, asked), (_noise(draw, samples * channels),)
    for samples, channels in ((20, 1), (128, 3), (100, 2), (64, 6)):
        x = _noise(draw, samples * channels)
        yield RemoveMean(samples, channels), (x,)
        yield PeakNormalize(samples * channels, 4608), (x,)
        if channels <= 3:
            yield Magnitude(samples, channels), (x,)
        for typecode in "hb":
            columns = draw.normal(0, 1, (2, channels))
            yield affine(columns[0], columns[1], n_rows=samples, typecode=typecode), (x,)
    for n_window, n_new, width, typecode in (
        *((512, 320, 1, "h"), (256, 160, 1, "h"), (48, 1, 32, "h"), (128, 64, 6, "h")),
        *((20, 8, 3, "h"), (100, 25, 3, "h"), (7, 5, 1, "b"), (33, 1, 13, "h"), (9, 3, 2, "i")),
        *((64, 64, 4, "h"), (31, 1, 1, "h"), (500, 100, 1, "b"), (40, 1, 40, "b")),
    ):
        x = _noise(draw, n_new * width)
        yield Window(n_window, n_new, n_new, width, typecode), (x.astype(DTYPES[typecode]),)
    for n, typecode in ((2, "H"), (4, "b"), (12, "b"), (10, "H"), (30, "h")):
        scores = draw.integers(0, 128, (ROWS, n)).astype(DTYPES[typecode])
        yield Detector(n, 64 * 256, 32 * 256, 2, 3, typecode), (scores,)
        for votes in (3, 20):
            yield Vote(n, votes, typecode), (scores,)
    for n, channels, count in ((32, 1, 1), (128, 3, 5), (128, 6, 1), (500, 2, 9), (2048, 1, 3)):
        percents = np.linspace(1, 99, count)
        yield percentiles(n, percents.tolist(), channels), (_noise(draw, n * channels),)
    for n, first, last, channels in (
        *((32, 4, 16, 1), (128, 10, 64, 3), (128, 100, 127, 1), (500, 50, 60, 2)),
        *((256, 1, 9, 6), (400, 390, 399, 1), (1024, 20, 30, 1)),
    ):
        yield Autocorrelation(n, first, last, channels), (_noise(draw, n * channels),)
    for n, k in ((6, 1), (40, 1), (40, 8), (12, 30), (200, 4)):
        yield nearest(draw.normal(0, 500, (k, n))), (_noise(draw, n),)
    for n, k in ((4, 2), (10, 3), (100, 5), (1000, 5), (30, 30)):
        yield TopK(n, k), (_noise(draw, n),)
    yield from _of_pictures(draw)


def _of_pictures(draw: np.random.Generator) -> Iterator[tuple[Operator, Inputs]]:
    for high, wide, rows, columns, left in (
        *((1, 1, 16, 20, 0), (2, 2, 20, 16, 0), (3, 3, 12, 12, 0), (4, 4, 12, 16, 2)),
        *((5, 5, 10, 12, 0), (6, 6, 8, 10, 1), (8, 8, 6, 8, 0), (10, 10, 5, 6, 4), (3, 7, 6, 8, 0)),
        *((16, 16, 3, 4, 0), (1, 8, 20, 6, 0), (8, 1, 6, 40, 1), (12, 2, 4, 20, 0)),
    ):
        size = rows * high + 2, columns * wide + left + left % 2
        for kind in (
            *((Pixels.RGB565, 3, 0, 1, True), (Pixels.RGB565_SWAPPED, 3, 0, 3, False)),
            *((Pixels.BYTES, 1, 0, 1, False), (Pixels.BYTES, 3, 0, 1, True)),
            *((Pixels.BYTES, 3, 0, 3, False), (Pixels.BYTES, 2, 0, 1, False)),
        ):
            operator = Downscale(size, (1, left), (rows, columns), (high, wide), *kind)
            ((code, n),) = operator.inputs
            x = draw.integers(0, 256 if code == "B" else 65536, (ROWS, n)).astype(DTYPES[code])
            yield operator, (x,)
    for n in (1, 64, 400, 1200):
        x = draw.normal(120, 30, (ROWS, n)).clip(0, 255).astype(np.uint8)
        for measure in Measure:
            for typecode in "bh":
                yield Normalise(n, 32, 512, measure, 0, typecode), (x,)


def log_mels() -> Iterator[tuple[Operator, Operator, NDArray[np.int16]]]:
    """A spectrum and bands of it, which take more than one input, with rows for the two."""
    draw = np.random.default_rng(8)
    for n, n_bands in ((64, 6), (256, 20), (256, 40), (512, 10), (512, 40), (1024, 32)):
        for channels in (1, 2):
            weights = mel_bands(16000, n, n_bands)
            for bands in (log_band_energies(weights, channels), band_energies(weights, channels)):
                yield power_spectrum(n, channels), bands, _noise(draw, n * channels)


def _noise(draw: np.random.Generator, n: int) -> NDArray[np.int16]:
    return draw.normal(0, 3000, (ROWS, n)).astype(np.int16)
