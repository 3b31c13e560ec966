"""The window statistics operator: reference and parameters."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vectors.case import operands_of
from vectors.window_stats import bad_cases, cases
from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.window_stats import STATISTICS, WindowStats


def by_definition(x: NDArray[np.int16], statistics: Sequence[str]) -> list[int]:
    """Compute one window in Python integers, straight from the definitions."""
    n = x.shape[0]
    out: list[int] = []
    for values in x.T.tolist():
        total = sum(values)
        squares = sum(v * v for v in values)
        mean = (2 * total + n) // (2 * n)
        above = [v > mean for v in values]
        known = {
            "mean": mean,
            "std": isqrt((n * squares - total * total) // n**2),
            "min": min(values),
            "max": max(values),
            "rms": min(isqrt((2 * squares + n) // (2 * n)), 32767),
            "mean_crossings": sum(a != b for a, b in zip(above[1:], above[:-1], strict=True)),
            "peak_to_peak": min(max(values) - min(values), 32767),
        }
        out += [known[name] for name in statistics]
    return out


samples = st.one_of(st.integers(-32768, 32767), st.sampled_from([-32768, -32767, -1, 0, 1, 32767]))
any_statistics = st.lists(st.sampled_from(STATISTICS), min_size=1, max_size=12).map(tuple)


@st.composite
def windows(draw: st.DrawFn) -> NDArray[np.int16]:
    n, c = draw(st.integers(1, 40)), draw(st.integers(1, 4))
    values = draw(st.lists(samples, min_size=n * c, max_size=n * c))
    return np.array(values, np.int16).reshape(n, c)


@given(windows(), any_statistics)
def test_reference_follows_the_definitions(
    x: NDArray[np.int16], statistics: tuple[str, ...]
) -> None:
    out = WindowStats(x.shape[0], x.shape[1], statistics).run(x)
    assert out.dtype == np.int16
    assert out.tolist() == by_definition(x, statistics)


@pytest.mark.parametrize("seed", [1, 2])
def test_vectors_follow_the_definitions(seed: int) -> None:
    names = set()
    for case in cases(seed):
        operator = WindowStats.decode(case.params)
        (x,), (out,) = case.inputs, case.outputs
        x = x.reshape(operator.n_samples, operator.n_channels)
        assert out.tolist() == by_definition(x, operator.statistics), case.name
        names.add(case.name)
    assert len(names) == sum(1 for _ in cases(seed))


def test_reference_runs_many_windows_at_once() -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(-32768, 32768, (4, 5, 20, 3)).astype(np.int16)
    operator = WindowStats(20, 3, STATISTICS)
    out = operator.run(x)
    assert out.shape == (4, 5, 21)
    for i in np.ndindex(4, 5):
        assert np.array_equal(out[i], operator.run(x[i]))
    assert operator.run(x[:0]).shape == (0, 5, 21)


def test_reference_applies_to_flat_rows() -> None:
    rng = np.random.default_rng(5)
    x = rng.integers(-32768, 32768, (6, 20, 3)).astype(np.int16)
    operator = WindowStats(20, 3, ("std", "rms"))
    assert operator.inputs == (("h", 60),)
    assert operator.outputs == (("h", 6),)
    assert operator.scratch == ()
    (out,) = operator.apply(x.reshape(6, 60))
    assert np.array_equal(out, operator.run(x))
    with pytest.raises(UsageError, match=r"rows of 60 samples, got shape \[6, 20, 3\]"):
        operator.apply(x)
    with pytest.raises(UsageError, match="expected 1 input, got 2"):
        operator.apply(x, x)


def test_reference_refuses_another_shape_or_dtype() -> None:
    operator = WindowStats(4, 2, ("mean",))
    with pytest.raises(UsageError, match=r"\[\.\.\., 4, 2\].*\[2, 4\]"):
        operator.run(np.zeros((2, 4), np.int16))
    with pytest.raises(UsageError, match="float32"):
        operator.run(np.zeros((4, 2), np.float32))


@given(st.integers(1, 32767), st.integers(1, 255), any_statistics)
def test_parameters_survive_a_round_trip(n: int, c: int, statistics: tuple[str, ...]) -> None:
    operator = WindowStats(n, c, statistics)
    params = operator.encode()
    assert len(params) % 4 == 0
    assert WindowStats.decode(params) == operator
    assert operator.operand_sizes() == (2 * n * c, 2 * c * len(statistics))


def test_parameters_are_laid_out_as_specified() -> None:
    operator = WindowStats(0x1234, 6, ("peak_to_peak", "mean", "std", "rms", "min"))
    assert operator.encode() == bytes.fromhex("34 12 06 05 06 00 01 04 02 00 00 00")


@pytest.mark.parametrize(
    ("n", "c", "statistics", "message"),
    [
        (0, 1, ("mean",), "1 to 32767 samples, not 0"),
        (32768, 1, ("mean",), "not 32768"),
        (1, 0, ("mean",), "1 to 255 channels, not 0"),
        (1, 256, ("mean",), "not 256"),
        (1, 1, (), "1 to 255 statistics, not 0"),
        (1, 1, ("mean",) * 256, "not 256"),
        (1, 1, ("median",), "'median': choose from mean, std"),
    ],
)
def test_impossible_operators_are_refused(
    n: int, c: int, statistics: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        WindowStats(n, c, statistics)


@given(st.binary(max_size=24))
def test_decode_accepts_or_raises_format_error(params: bytes) -> None:
    try:
        operator = WindowStats.decode(params)
    except FormatError:
        return
    assert operator.encode() == params


def test_decode_refuses_bad_parameters() -> None:
    refused = 0
    for case in bad_cases():
        try:
            operator = WindowStats.decode(case.params)
        except FormatError:
            refused += 1
        else:
            assert (operands_of(operator), 1) != (case.operands, case.n_inputs)
    assert refused > 20


def test_outputs_are_named_channel_by_channel() -> None:
    operator = WindowStats(10, 2, ("std", "min"))
    assert operator.output_names(["ax", "ay"]) == ["ax_std", "ax_min", "ay_std", "ay_min"]
    with pytest.raises(UsageError, match="expected 2 channel names, got 1"):
        operator.output_names(["ax"])
