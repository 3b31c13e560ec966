"""Stages: what each makes of samples, against NumPy and SciPy, and what each refuses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest
import scipy.signal
from numpy.typing import NDArray

from motion import motion
from wingbeat.augment import AugmentOptions
from wingbeat.errors import FormatError, UsageError, WingbeatError
from wingbeat.pipeline import AfterOptions, ModelOptions, Pipeline, parse_pipeline
from wingbeat.stages import STAGES, Shape
from wingbeat.stream import Stream, pace_of

RATE = 200
WINDOW = '[[stage]]\nkind = "window"\nlength = 128\nhop = 64\n'


def pipeline(stages: str) -> Pipeline:
    return parse_pipeline(f"rate = {RATE}\n{stages}", "mine.toml")


def rows(stages: str, x: NDArray[np.int16]) -> tuple[NDArray[np.float64], Shape]:
    """What the stages give of a stream: [results, *shape]."""
    program, shape = pipeline(stages).features(x.shape[1])
    outputs = Stream(program).results(x).outputs.reshape(-1, *shape.dims)
    assert len(shape.names) == shape.width
    assert shape.per_second == pytest.approx(RATE / float(pace_of(program).hop))
    return outputs.astype(np.float64), shape


def samples(channels: int, count: int = 1000) -> NDArray[np.int16]:
    rng = np.random.default_rng(4)
    time = np.arange(count)[:, np.newaxis] / RATE
    tones = np.sin(2 * np.pi * np.array([3, 17, 31])[:channels] * time) * 4000
    return np.rint(tones + rng.normal(0, 300, tones.shape) + 500).astype(np.int16)


def windows(x: NDArray[np.int16]) -> NDArray[np.float64]:
    starts = range(0, len(x) - 127, 64)
    return np.array([x[start : start + 128] for start in starts], np.float64)


def test_remove_mean() -> None:
    x = samples(3)
    found, _ = rows(WINDOW + '[[stage]]\nkind = "remove_mean"', x)
    cut = windows(x)
    assert np.abs(found - (cut - cut.mean(axis=1, keepdims=True))).max() <= 0.51


def test_scale() -> None:
    text = '[[stage]]\nkind = "scale"\nfactor = [0.5, 2]\noffset = 7\n' + WINDOW
    x = samples(2)
    found, _ = rows(text, x)
    assert np.abs(found - windows(x) * (0.5, 2) - 7).max() <= 0.51


def test_magnitude_of_chosen_channels() -> None:
    text = '[[stage]]\nkind = "channels"\ntake = [2, 0]\n[[stage]]\nkind = "magnitude"\n'
    x = samples(3)
    found, shape = rows(WINDOW + text, x)
    assert shape.names == ("magnitude",)
    wanted = np.floor(np.linalg.norm(windows(x)[..., [2, 0]], axis=2))
    assert np.array_equal(found[..., 0], wanted)


def test_difference_of_a_window_and_of_a_stream() -> None:
    x = samples(2)
    found, _ = rows(WINDOW + '[[stage]]\nkind = "difference"', x)
    assert np.array_equal(found, np.diff(windows(x), axis=1))
    found, _ = rows('[[stage]]\nkind = "difference"\n' + WINDOW, x)
    assert np.array_equal(found, windows(np.diff(x, axis=0, prepend=0).astype(np.int16)))


def test_decimated_stream() -> None:
    text = '[[stage]]\nkind = "decimate"\nfactor = 4\n[[stage]]\nkind = "window"\nlength = 32\n'
    x = samples(1, 4000)
    found, shape = rows(text, x)
    assert shape.rate == RATE / 4
    taps = scipy.signal.firwin(81, 1 / 4)
    filtered = scipy.signal.lfilter(taps, [1], x[:, 0].astype(float))[::4]
    assert np.abs(found[-1, :, 0] - filtered[16 * (len(found) - 1) :][:32]).max() < 3


@pytest.mark.parametrize(
    ("given", "sos"),
    [
        ("cutoff = 20", scipy.signal.butter(4, 20, fs=RATE, output="sos")),
        (
            'type = "highpass"\ncutoff = 5\norder = 2',
            scipy.signal.butter(2, 5, "highpass", fs=RATE, output="sos"),
        ),
        (
            'type = "bandpass"\ncutoff = [5, 30]\norder = 2',
            scipy.signal.butter(2, [5, 30], "bandpass", fs=RATE, output="sos"),
        ),
        (
            'type = "bandstop"\ncutoff = [5, 30]\norder = 2',
            scipy.signal.butter(2, [5, 30], "bandstop", fs=RATE, output="sos"),
        ),
        (
            'type = "notch"\ncutoff = 50\nq = 10',
            scipy.signal.tf2sos(*scipy.signal.iirnotch(50, 10, RATE)),
        ),
    ],
)
def test_filters_of_a_stream(given: str, sos: NDArray[np.float64]) -> None:
    x = samples(2, 2000)
    found, _ = rows(f'[[stage]]\nkind = "filter"\n{given}\n{WINDOW}', x)
    wanted = windows(np.rint(scipy.signal.sosfilt(sos, x, axis=0)).astype(np.int16))
    assert np.abs(found - wanted).max() < 0.02 * np.abs(wanted).max()


def test_fir_of_a_stream_and_of_a_window() -> None:
    x = samples(1)
    taps = scipy.signal.firwin(21, [10, 25], pass_zero="bandpass", fs=RATE)
    text = '[[stage]]\nkind = "fir"\ntype = "bandpass"\ncutoff = [10, 25]\ntaps = 21\n'
    found, _ = rows(text + WINDOW, x)
    wanted = scipy.signal.lfilter(taps, [1], x.astype(float), axis=0)
    assert np.abs(found - windows(np.rint(wanted).astype(np.int16))).max() < 3
    inside, shape = rows(WINDOW + text, x)
    assert shape.dims == (108, 1)
    assert np.abs(inside[0] - wanted[20:128]).max() < 3


def test_statistics_of_two_operators() -> None:
    x = samples(2)
    text = '[[stage]]\nkind = "statistics"\nnames = ["kurtosis", "std", "skewness", "max"]'
    found, shape = rows(WINDOW + text, x)
    assert shape.names[:5] == (
        *("std of channel 0", "max of channel 0", "kurtosis of channel 0"),
        *("skewness of channel 0", "std of channel 1"),
    )
    deviation = windows(x) - windows(x).mean(axis=1, keepdims=True)
    spread = deviation.std(axis=1)
    table = found.reshape(len(found), 2, 4)
    assert np.abs(table[..., 0] - spread).max() < 1.5
    assert np.array_equal(table[..., 1], windows(x).max(axis=1))
    kurtosis = (deviation**4).mean(axis=1) / spread**4
    assert np.abs(table[..., 2] / 256 - kurtosis).max() < 0.05


def test_percentiles() -> None:
    x = samples(2)
    found, shape = rows(WINDOW + '[[stage]]\nkind = "percentiles"\nof = [50, 5, 100]', x)
    assert shape.names[:2] == ("percentile 50 of channel 0", "percentile 5 of channel 0")
    wanted = np.percentile(windows(x), [50, 5, 100], axis=1).transpose(1, 2, 0)
    assert np.abs(found.reshape(wanted.shape) - wanted).max() <= 1


def test_autocorrelation() -> None:
    x = samples(2)
    text = WINDOW + '[[stage]]\nkind = "autocorrelation"\nf_min = 10\nf_max = 25'
    found, shape = rows(text, x)
    assert shape.names[:2] == ("autocorrelation of channel 0", "lag of channel 0")
    d = windows(x) - windows(x).mean(axis=1, keepdims=True)
    sums = [(d[:, : 128 - lag] * d[:, lag:]).sum(axis=1) for lag in range(8, 21)]
    r = np.stack(sums) / (d * d).sum(axis=1)
    table = found.reshape(len(found), 2, 2)
    assert np.abs(table[..., 0] / 2**15 - r.max(axis=0)).max() < 1e-3
    # The tone of 17 Hz repeats after 11.8 samples.
    assert np.abs(table[:, 1, 1] - 12).max() <= 1
    _, shape = rows(WINDOW + '[[stage]]\nkind = "autocorrelation"', x)
    assert shape.width == 4


def test_bands_of_real_accelerometers_are_those_of_each_axis() -> None:
    cut, _ = motion(128, 64)
    edges = (0.5, 3, 6, 12, 25, 50)
    text = (
        f'rate = 100\n{WINDOW}[[stage]]\nkind = "remove_mean"\n'
        f'[[stage]]\nkind = "band_energies"\nedges = {list(edges)}'
    )
    program, shape = parse_pipeline(text, "mine.toml").features(3)
    assert shape.names[0] == "0.5 to 3 Hz of channel 0"
    assert shape.width == 3 * 5
    # Two halves of a window make one window, so each is computed by itself.
    found = []
    for window in cut[::7]:
        found.append(Stream(program).results(window).outputs.ravel())
    hann = scipy.signal.get_window("hann", 128)[:, np.newaxis]
    real = cut[::7] - cut[::7].mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(real * hann, axis=1)) ** 2
    hertz = np.fft.rfftfreq(128, 1 / 100)
    inside = [(hertz >= low) & ((hertz < high) | (high == 50)) for low, high in pairwise(edges)]
    energy = np.stack([power[:, each].sum(axis=1) for each in inside], axis=2)
    error = np.abs(np.array(found).reshape(energy.shape) / 512 - np.log2(energy))
    # A band far below the loudest one of its axis has but the rounding of the transform.
    heard = energy > 1e-4 * energy.max(axis=2, keepdims=True)
    assert heard.mean() > 0.7
    assert error[heard].max() < 0.2
    assert np.median(error[heard]) < 0.01


def log_power(x: NDArray[np.int16]) -> NDArray[np.float64]:
    """Power of the windows at each frequency: [windows, frequencies, channels]."""
    hann = scipy.signal.get_window("hann", 128)[:, np.newaxis]
    return np.asarray(np.abs(np.fft.rfft(windows(x) * hann, axis=1)) ** 2)


def test_power_spectrum() -> None:
    x = samples(1)
    found, shape = rows(WINDOW + '[[stage]]\nkind = "power_spectrum"\nf_min = 2\nf_max = 20', x)
    hertz = np.fft.rfftfreq(128, 1 / RATE)
    inside = (hertz >= 2) & (hertz <= 20)
    assert shape.names[0] == "3.125 Hz"
    assert shape.width == np.count_nonzero(inside)
    power = log_power(x)[:, inside, 0]
    loud = power > 1e-3 * power.max()
    assert np.abs(found[:, 0] / 512 - np.log2(power))[loud].max() < 0.3


@pytest.mark.parametrize(
    ("way", "gain"), [("log = true", 0), ('log = false\ngain = -8\n[[stage]]\nkind = "log2"', -8)]
)
def test_band_energies(way: str, gain: int) -> None:
    x = samples(2)
    text = f'[[stage]]\nkind = "band_energies"\nedges = [0, 10, 25, 100]\n{way}'
    found, shape = rows(WINDOW + text, x)
    assert shape.names[1] == "10 to 25 Hz of channel 0"
    hertz, power = np.fft.rfftfreq(128, 1 / RATE), log_power(x)
    edges = ((0, 10), (10, 25), (25, 101))
    wanted = [power[:, (hertz >= low) & (hertz < high)].sum(axis=1) for low, high in edges]
    logs = np.log2(np.stack(wanted, axis=2))
    assert np.abs(found.reshape(logs.shape) / 512 - logs - gain).max() < 0.1


def test_deltas_beside_what_they_are_of() -> None:
    text = """
[[stage]]
kind = "mfcc"
bands = 12
coefficients = 5
[[stage]]
kind = "window"
length = 8
[[stage]]
kind = "delta"
order = 2
"""
    x = samples(2)
    found, shape = rows(WINDOW + text, x)
    assert shape.dims == (8, 30)
    assert shape.names[10] == "delta of coefficient 0 of channel 0"
    base = found[..., :10]
    padded = np.pad(base, ((0, 0), (2, 2), (0, 0)), mode="edge")
    slope = (padded[:, 3:-1] - padded[:, 1:-3] + 2 * (padded[:, 4:] - padded[:, :-4])) / 10
    assert np.abs(found[..., 10:20] - slope).max() < 1.1


def test_windows_of_frames_relative_to_their_greatest() -> None:
    mel = (
        '[[stage]]\nkind = "log_mel"\nbands = 9\n[[stage]]\nkind = "window"\nlength = 4\nhop = 2\n'
    )
    x = samples(1)
    logs, _ = rows(WINDOW + mel, x)
    found, shape = rows(WINDOW + mel + '[[stage]]\nkind = "peak_normalize"\ndepth = 6', x)
    assert shape.dims == (4, 9)
    wanted = np.maximum(logs - logs.max(axis=(1, 2), keepdims=True) + 6 * 512, 0)
    assert np.array_equal(found, wanted)
    assert found.max() == 6 * 512
    assert found.min() == 0
    softer, _ = rows(WINDOW + mel + '[[stage]]\nkind = "peak_normalize"\ndepth = 6', x // 4)
    assert np.abs(softer - found).mean() < 100
    quiet, _ = rows(WINDOW + mel + '[[stage]]\nkind = "peak_normalize"\nleast = 60', x)
    assert quiet.max() == 0


def test_branches_beside_each_other() -> None:
    text = """
[[stage]]
kind = "join"
[[stage.branch]]
kind = "statistics"
[[stage.branch]]
kind = "band_energies"
edges = [1, 10, 60]
[[stage.branch]]
stage = [{kind = "magnitude"}, {kind = "remove_mean"}, {kind = "statistics", names = ["rms"]}]
[[stage.branch]]
kind = "log_mel"
bands = 6
"""
    x = samples(3)
    found, shape = rows(WINDOW + text, x)
    parts = [
        '[[stage]]\nkind = "statistics"',
        '[[stage]]\nkind = "band_energies"\nedges = [1, 10, 60]',
        '[[stage]]\nkind = "magnitude"\n[[stage]]\nkind = "remove_mean"\n'
        '[[stage]]\nkind = "statistics"\nnames = ["rms"]',
        '[[stage]]\nkind = "log_mel"\nbands = 6',
    ]
    alone = [rows(WINDOW + part, x) for part in parts]
    assert np.array_equal(found, np.concatenate([each for each, _ in alone], axis=2))
    assert shape.names == tuple(name for _, part in alone for name in part.names)


WRONG = {
    '[[stage]]\nkind = "remove_mean"\n' + WINDOW: "1 (remove_mean): expected a window",
    WINDOW + '[[stage]]\nkind = "scale"\nfactor = [1, 2, 3]': "expected one number, or 2 of them",
    WINDOW + '[[stage]]\nkind = "scale"\nfactor = "x"': "expected a number or a list, each a num",
    WINDOW + '[[stage]]\nkind = "channels"\ntake = [2]': "expected numbers of channels from 0 to 1",
    WINDOW + '[[stage]]\nkind = "decimate"\nfactor = 8': "at least 161 samples",
    WINDOW + '[[stage]]\nkind = "filter"': "expected cutoff = ...; add it",
    WINDOW + '[[stage]]\nkind = "filter"\ncutoff = 100': "below 100, half of the samples",
    WINDOW + '[[stage]]\nkind = "filter"\ncutoff = 10\ntype = "low"': "expected one of lowpass",
    WINDOW + '[[stage]]\nkind = "filter"\ncutoff = 10\norder = 20': "order = 20",
    WINDOW + '[[stage]]\nkind = "filter"\ncutoff = [9, 8]\ntype = "bandpass"': "lower one first",
    WINDOW + '[[stage]]\nkind = "filter"\ncutoff = 0.01': "cut-off is too close to 0",
    WINDOW + '[[stage]]\nkind = "fir"\ncutoff = 9\ntaps = 8\ntype = "highpass"': "odd number",
    WINDOW + '[[stage]]\nkind = "statistics"\nnames = ["median of all"]': "expected some of mean",
    WINDOW + '[[stage]]\nkind = "statistics"\nnames = "mean"': "expected a list, each a text",
    WINDOW + '[[stage]]\nkind = "percentiles"\nof = [101]': "0 to 100",
    WINDOW + '[[stage]]\nkind = "autocorrelation"\nf_min = 1.5': "expected 1.575 Hz",
    WINDOW + '[[stage]]\nkind = "autocorrelation"\nf_min = 9\nf_max = 8': "lower one first",
    WINDOW + '[[stage]]\nkind = "power_spectrum"\nf_min = 90.1\nf_max = 90.2': "lies between",
    WINDOW + '[[stage]]\nkind = "power_spectrum"\nf_max = 101': "up to 100 Hz",
    WINDOW + '[[stage]]\nkind = "band_energies"\nedges = [5, 4]': "rising",
    WINDOW + '[[stage]]\nkind = "band_energies"\nedges = [5, 6]': "between 5 and 6 Hz",
    WINDOW + '[[stage]]\nkind = "band_energies"\nedges = [5, 9]\nlog = false': "put log2 behind",
    WINDOW + '[[stage]]\nkind = "log2"': "expected int32",
    WINDOW + '[[stage]]\nkind = "mfcc"\ncoefficients = 41': "expected 1 to 40",
    WINDOW + '[[stage]]\nkind = "log_mel"\nbands = 4.5': "bands = 4.5: expected a whole number",
    WINDOW + '[[stage]]\nkind = "statistics"\n[[stage]]\nkind = "delta"': "at least 5 samples",
    WINDOW + '[[stage]]\nkind = "peak_normalize"\ndepth = 0': "a depth is 1 to 32767, not 0",
    '[[stage]]\nkind = "peak_normalize"\n' + WINDOW: "expected a window",
    WINDOW + WINDOW: "windows in front overlap",
    WINDOW + '[[stage]]\nkind = "join"\nbranch = 3': "[[stage.branch]]",
    WINDOW + '[[stage]]\nkind = "join"\n[[stage.branch]]\nkind = "statistics"': "two or more",
    WINDOW + '[[stage]]\nkind = "join"\n[[stage.branch]]\nkind = "difference"\n'
    '[[stage.branch]]\nkind = "statistics"': "branch 1 gives 127 frames, branch 2 1",
    WINDOW + '[[stage]]\nkind = "join"\n[[stage.branch]]\nkind = "statistics"\n'
    '[[stage.branch]]\nkind = "window"\nlength = 128': "in front of the join",
    WINDOW + '[[stage]]\nkind = "join"\n[[stage.branch]]\nkind = "statistics"\n'
    '[[stage.branch]]\nkind = "log_mell"': "branch 2: kind = 'log_mell'",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_does_not_fit_is_refused_with_the_place(text: str) -> None:
    with pytest.raises((FormatError, UsageError)) as caught:
        pipeline(text).features(2)
    assert WRONG[text] in str(caught.value)
    assert "mine.toml, stage " in str(caught.value)


def test_every_stage_documents_its_parameters() -> None:
    for kind, stage in STAGES.items():
        text = " ".join(each.__doc__ or "" for each in stage.__mro__[:-1])
        for each in fields(stage):  # type: ignore[arg-type]
            assert each.name in text, (kind, each.name)


VALUES = (
    *("0", "-1", "1", "2", "3", "64", "1000000", "1" + 30 * "0", "0.5", "-0.5", "nan", "inf"),
    *("-inf", "1e300", "1e-300", '""', '"x"', '"notch"', '"bandpass"', "true", "false", "[]"),
    *("[0]", "[nan, inf]", "[1, 2]", "[2, 1]", "[1e300, 3]", '["mean"]', "[[1]]", "{}", "[{}]"),
)
REQUIRED = {
    "crop": "size = [9, 9]",
    "filter": "cutoff = 20",
    "fir": "cutoff = 20",
    "band_energies": "edges = [5, 20]",
}


def _documents() -> Iterator[str]:
    """Every parameter of every stage with every value, in three places; and what is at the top."""
    for kind, stage in STAGES.items():
        for each in fields(stage):  # type: ignore[arg-type]
            for value in VALUES:
                required = REQUIRED.get(kind, "")
                others = "" if required.startswith(each.name) else required
                text = f'[[stage]]\nkind = "{kind}"\n{others}\n{each.name} = {value}\n'
                yield f"rate = 200\n{text}{WINDOW}"
                yield f"rate = 200\n{WINDOW}{text}"
                yield f'input = "image"\npixels = "rgb565"\nsize = [60, 80]\n{text}'
                yield f'rate = 200\n{WINDOW}[[stage]]\nkind = "log_mel"\nbands = 8\n{WINDOW}{text}'
    for key in ("rate", "channels", "scale", "pad", "input", "split", "stage", "model", "after"):
        for value in VALUES:
            yield f"{key} = {value}\n" + (f"rate = 200\n{WINDOW}" if key != "stage" else "")
    for value in VALUES:
        yield f'input = "image"\nsize = {value}\n'
    tables = {"model": ModelOptions, "after": AfterOptions, "augment": AugmentOptions}
    for table, options in tables.items():
        for each in fields(options):
            for value in VALUES:
                yield f"rate = 200\n{WINDOW}[{table}]\n{each.name} = {value}\n"


def test_no_file_makes_anything_but_an_error_for_people() -> None:
    wrong: list[tuple[str, Exception]] = []
    for text in _documents():
        try:
            parse_pipeline(text, "mine.toml").features(2)
        except WingbeatError as error:
            if "mine.toml" not in str(error):
                wrong.append((text, error))
        except Exception as error:
            wrong.append((text, error))
    assert wrong == []
