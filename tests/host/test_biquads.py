"""Biquads against scipy in float64: error, stability, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from vectors.biquads import designs
from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.biquads import Biquads, Section, biquads

DESIGNS = dict(designs())
each_design = pytest.mark.parametrize("name", list(DESIGNS))

LARGEST_ERROR = {"low-pass, low": 25.0, "high-pass, low": 16.0, "high-pass, fourth order": 9.0}
"""Root mean square in steps, from noise of a standard deviation of 6000 around 3000: 0.4 % of it
for a cut-off of 0.003 of the rate, where rounding moves the poles most. Else 4."""


def noise(n: int) -> NDArray[np.int16]:
    x = np.random.default_rng(n).normal(3000, 6000, n)
    return np.clip(np.rint(x), -32768, 32767).astype(np.int16)


def rounded_sos(operator: Biquads) -> NDArray[np.float64]:
    """Return the filter that the coefficients are, once rounded."""
    rows = []
    for section in operator.sections:
        b0, b1, b2, a1, a2 = (value / 2.0**section.fraction for value in section.values)
        rows.append([b0, b1, b2, 1, -a1, -a2])
    return np.array(rows)


@each_design
def test_error_against_scipy(name: str) -> None:
    x = noise(3000)
    operator = biquads(DESIGNS[name], len(x), keep=False)
    (y,) = operator.apply(x[np.newaxis])
    error = y[0] - signal.sosfilt(DESIGNS[name], x)
    assert np.sqrt((error**2).mean()) < LARGEST_ERROR.get(name, 4.0)
    # Without the rounding of coefficients, only that of samples is left.
    error = y[0] - signal.sosfilt(rounded_sos(operator), x)
    assert np.sqrt((error**2).mean()) < 3.0


@each_design
def test_response_is_the_designs(name: str) -> None:
    frequencies = np.geomspace(1e-3, np.pi, 300)
    found = biquads(DESIGNS[name], 1).response(frequencies)
    np.testing.assert_allclose(
        found, signal.sosfreqz(rounded_sos(biquads(DESIGNS[name], 1)), frequencies)[1]
    )
    wanted = signal.sosfreqz(DESIGNS[name], frequencies)[1]
    assert np.abs(np.abs(found) - np.abs(wanted)).max() < 0.09
    ends = np.array([0, np.pi])
    exact = np.abs(signal.sosfreqz(DESIGNS[name], ends)[1])
    assert np.abs(np.abs(biquads(DESIGNS[name], 1).response(ends)) - exact).max() < 0.01


@each_design
def test_silence_stays_silent_after_noise(name: str) -> None:
    """No limit cycles but those of a few steps; poles close to the circle have larger ones."""
    x = np.concatenate([noise(500), np.zeros(20_000, np.int16)])
    (y,) = biquads(DESIGNS[name], len(x), keep=False).apply(x[np.newaxis])
    assert np.abs(y[0, -1000:]).max() <= (15 if name == "notch" else 2)


@each_design
def test_loudest_input_saturates_and_does_not_wrap(name: str) -> None:
    """The worst input of each section on its own: its impulse response's signs, backwards."""
    for row in DESIGNS[name]:
        try:
            operator = biquads(row[np.newaxis], 4000, keep=False)
        except UsageError:
            continue  # without the gain of the others it amplifies
        impulse = signal.sosfilt(rounded_sos(operator), np.r_[1.0, np.zeros(3999)])
        for sign in (1, -1):
            x = np.where(sign * impulse[::-1] >= 0, 32767, -32768).astype(np.int16)
            (y,) = operator.apply(x[np.newaxis])
            expected = np.clip(signal.sosfilt(rounded_sos(operator), x), -32768, 32767)
            assert np.abs(y[0] - expected).max() < 20


@each_design
def test_any_cuts_give_the_same(name: str) -> None:
    x = noise(600).reshape(200, 3)
    whole = biquads(DESIGNS[name], 200, 3)
    memory = [np.zeros(6 * len(whole.sections), np.int32)]
    (expected,), _ = whole.advance(memory, x.reshape(1, -1))
    rows = x.reshape(20, -1)
    part = biquads(DESIGNS[name], 10, 3)
    again = [np.zeros(6 * len(whole.sections), np.int32)]
    (first,), due = part.advance(again, rows[:7])
    (rest,), _ = part.advance(again, rows[7:])
    assert due.all()
    np.testing.assert_array_equal(np.concatenate([first, rest]).ravel(), expected[0])
    np.testing.assert_array_equal(again[0], memory[0])


def test_rows_are_the_same_many_or_one_at_a_time() -> None:
    """Many signals are filtered by NumPy, few by Python's integers."""
    x = np.random.default_rng(1).choice([-32768, 32767, 5], (20, 60)).astype(np.int16)
    operator = biquads(DESIGNS["elliptic"], 30, 2, keep=False)
    (many,) = operator.apply(x)
    for row, expected in zip(x, many, strict=True):
        (one,) = operator.apply(row[np.newaxis])
        np.testing.assert_array_equal(one[0], expected)


def test_what_users_get_wrong_is_named() -> None:
    for wrong in (np.zeros(6), np.zeros((2, 5)), np.full((1, 6), np.nan)):
        with pytest.raises(UsageError, match="second-order sections"):
            biquads(wrong, 10)
    with pytest.raises(UsageError, match="the fourth number"):
        biquads([[1, 0, 0, 2, 0, 0]], 10)
    with pytest.raises(UsageError, match="section 0 is not stable"):
        biquads([[1, 0, 0, 1, -2, 1]], 10)
    with pytest.raises(UsageError, match="too close to 0"):
        biquads(signal.butter(2, 0.0005, output="sos"), 10)
    with pytest.raises(UsageError, match=r"off by .* dB"):
        biquads(signal.butter(2, 0.0025, output="sos"), 10)
    with pytest.raises(UsageError, match="amplifies, or rings, too much"):
        biquads([[20, 0, 0, 1, 0, 0]], 10)
    with pytest.raises(UsageError, match="1 to 65535 samples"):
        biquads(DESIGNS["low-pass"], 0)
    with pytest.raises(UsageError, match="section 0: coefficients are int16"):
        Biquads(1, 1, (Section(40000, 0, 0, 0, 0),), False)
    with pytest.raises(FormatError, match="bad parameters"):
        Biquads.decode(bytes(20))
