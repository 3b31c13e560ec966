"""Cast, shift and probability: references and parameters."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import floor
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vectors import cast, probability, shift
from vectors.case import operands_of
from wingbeat.errors import FormatError, UsageError
from wingbeat.reference import OPCODES
from wingbeat.reference import OPERATORS as OPERATORS_BY_OPCODE
from wingbeat.reference.cast import Cast
from wingbeat.reference.probability import MAX_SCORES, Probability
from wingbeat.reference.shift import Shift

LOW, HIGH = -(2**31), 2**31 - 1
OPERATORS: dict[ModuleType, type[Cast | Shift | Probability]] = {
    cast: Cast,
    shift: Shift,
    probability: Probability,
}
each_operator = pytest.mark.parametrize(
    ("vectors", "operator"), OPERATORS.items(), ids=[o.KERNEL for o in OPERATORS.values()]
)

#: Absolute error that the module promises, for up to 100 scores and for more.
TOLERANCE, TOLERANCE_MANY = 6e-5, 2e-4


def softmax(scores: NDArray[np.int32], bits: int) -> NDArray[np.float64]:
    """Return the softmax of each row, or of 0 and a single score, in float64."""
    real = scores.astype(np.float64) / 2.0**bits
    if real.shape[1] == 1:
        real = np.concatenate([np.zeros_like(real), real], axis=1)
    powers = np.exp(real - real.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def probabilities(scores: NDArray[Any], bits: int) -> NDArray[np.int64]:
    """Return what the reference gives for scores of shape [rows, n]."""
    (out,) = Probability(scores.shape[1], bits).apply(scores.astype(np.int32))
    assert out.dtype == np.uint16
    return out.astype(np.int64)


def largest_error(scores: NDArray[Any], bits: int) -> float:
    exact = softmax(scores.astype(np.int32), bits)
    return float(np.abs(probabilities(scores, bits) / 65535 - exact).max())


any_int32 = st.one_of(st.integers(LOW, HIGH), st.sampled_from([LOW, LOW + 1, -1, 0, 1, HIGH]))
any_bits = st.integers(0, 30)


@st.composite
def score_lists(draw: st.DrawFn) -> tuple[int, list[int]]:
    bits = draw(any_bits)
    near = st.integers(max(LOW, -(20 << bits)), min(HIGH, 20 << bits))
    return bits, draw(st.lists(st.one_of(near, any_int32), min_size=1, max_size=40))


# ---- Opcodes


def test_no_opcode_is_taken_twice() -> None:
    assert len(set(OPCODES.values())) == len(OPCODES) == len(OPERATORS_BY_OPCODE)


# ---- References


@given(st.lists(any_int32, min_size=1, max_size=20), any_bits, st.sampled_from("iH"))
def test_shift_rounds_and_saturates(values: list[int], s: int, typecode: str) -> None:
    (out,) = Shift(len(values), s, typecode).apply(np.array([values], np.int32))
    low, high = (LOW, HIGH) if typecode == "i" else (0, 65535)
    exact = [floor(Fraction(v, 2**s) + Fraction(1, 2)) for v in values]
    assert out.dtype == np.dtype(typecode)
    assert out.tolist() == [[min(max(v, low), high) for v in exact]]


@pytest.mark.parametrize("typecode", ["b", "B"])
def test_cast_keeps_every_value(typecode: str) -> None:
    x = np.arange(256).astype(np.uint8).view(typecode).reshape(4, 64)
    (out,) = Cast(64, typecode).apply(x)
    assert out.dtype == np.int16
    assert out.tolist() == x.tolist()


@given(score_lists())
def test_probability_is_near_softmax(drawn: tuple[int, list[int]]) -> None:
    bits, scores = drawn
    assert largest_error(np.array([scores]), bits) < TOLERANCE


@pytest.mark.parametrize("bits", [0, 3, 14, 15, 16, 20, 26])
def test_probability_of_one_score_is_the_logistic_function(bits: int) -> None:
    scores = np.rint(np.linspace(-20, 20, 200_001) * 2**bits)[:, np.newaxis]
    assert largest_error(scores, bits) < TOLERANCE
    out = probabilities(scores, bits)
    assert out[0].tolist() == [65535, 0]
    assert out[-1].tolist() == [0, 65535]
    assert (np.diff(out[:, 1]) >= 0).all()
    assert (np.diff(out[:, 0]) <= 0).all()


@pytest.mark.parametrize("n", [2, 3, 10, 100, 1000, MAX_SCORES])
def test_probability_error_stays_within_bounds(n: int) -> None:
    rng = np.random.default_rng(n)
    tolerance = TOLERANCE if n <= 100 else TOLERANCE_MANY
    distances = np.linspace(0, 17, 2000)
    for at_top in {1, 2, n // 2, n - 1} - {0}:
        scores = np.zeros((len(distances), n))
        scores[:, at_top:] = -distances[:, np.newaxis]
        assert largest_error(np.rint(scores * 2**20), 20) < tolerance
    for spread in (0.1, 1, 3, 8):
        scores = rng.normal(0, spread, (500, n))
        assert largest_error(np.rint(scores * 2**16), 16) < tolerance


@given(score_lists())
def test_larger_scores_get_no_smaller_probabilities(drawn: tuple[int, list[int]]) -> None:
    bits, scores = drawn
    n = len(scores)
    (out,) = probabilities(np.array([scores if n > 1 else scores * 2]), bits).tolist()
    order = sorted(range(n), key=lambda i: scores[i])
    for a, b in pairwise(order):
        assert out[a] <= out[b]
        assert scores[a] != scores[b] or out[a] == out[b]


def test_probability_falls_with_every_distance() -> None:
    """All arguments that the exponential tells apart, with neighbours in one softmax."""
    distances = np.arange((17 << 15) + 1)
    step = MAX_SCORES - 2
    starts = np.arange(0, len(distances) - step, step - 1)
    scores = -distances[starts[:, np.newaxis] + np.arange(step)]
    top = np.zeros((len(starts), 1), np.int64)
    for at_top in (scores, np.concatenate([top, scores], axis=1)):
        out = probabilities(at_top, 15)
        assert (np.diff(out) <= 0).all()
    # Large probabilities as well: two scores, at each distance.
    pairs = np.stack([np.zeros_like(distances), -distances], axis=1)
    out = probabilities(pairs, 15)
    assert (np.diff(out[:, 0]) >= 0).all()
    assert (np.diff(out[:, 1]) <= 0).all()


@given(score_lists(), any_int32)
def test_probability_depends_on_differences_only(drawn: tuple[int, list[int]], by: int) -> None:
    bits, scores = drawn
    moved = [v + by for v in scores]
    if len(scores) > 1 and min(moved) >= LOW and max(moved) <= HIGH:
        a, b = probabilities(np.array([scores, moved]), bits).tolist()
        assert a == b


# ---- Parameters


@given(st.integers(1, 65535), any_bits, st.sampled_from("iH"), st.sampled_from("bB"))
def test_parameters_survive_a_round_trip(n: int, bits: int, out: str, typecode: str) -> None:
    operators = Cast(n, typecode), Shift(n, bits, out), Probability(min(n, MAX_SCORES), bits)
    for operator in operators:
        params = operator.encode()
        assert len(params) == 4
        assert type(operator).decode(params) == operator


def test_parameters_are_laid_out_as_specified() -> None:
    assert Cast(0x1234, "b").encode() == b"\x34\x12b\0"
    assert Shift(0x1234, 9, "H").encode() == b"\x34\x12\x09H"
    assert Probability(0x0201, 16).encode() == b"\x01\x02\x10\0"


@pytest.mark.parametrize(
    ("operator", "inputs", "outputs"),
    [
        (Cast(5, "B"), (("B", 5),), (("h", 5),)),
        (Shift(5, 1, "H"), (("i", 5),), (("H", 5),)),
        (Probability(3, 1), (("i", 3),), (("H", 3),)),
        (Probability(1, 1), (("i", 1),), (("H", 2),)),
    ],
)
def test_operands_are_named(
    operator: Cast | Shift | Probability,
    inputs: tuple[tuple[str, int], ...],
    outputs: tuple[tuple[str, int], ...],
) -> None:
    assert (operator.inputs, operator.outputs, operator.scratch) == (inputs, outputs, ())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cast(0, "b"), "1 to 65535 elements, not 0"),
        (lambda: Cast(65536, "b"), "not 65536"),
        (lambda: Cast(1, "h"), "no cast from 'h': choose from b, B"),
        (lambda: Shift(0, 1, "i"), "1 to 65535 elements, not 0"),
        (lambda: Shift(1, -1, "i"), "0 to 30, not -1"),
        (lambda: Shift(1, 31, "i"), "0 to 30, not 31"),
        (lambda: Shift(1, 1, "h"), "no shift to 'h': choose from i, H"),
        (lambda: Probability(0, 1), "1 to 1024 scores, not 0"),
        (lambda: Probability(1025, 1), "not 1025"),
        (lambda: Probability(1, 31), "0 to 30 fraction bits, not 31"),
    ],
)
def test_impossible_operators_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.parametrize("operator", [Cast(4, "b"), Shift(4, 1, "i"), Probability(4, 1)])
def test_references_refuse_another_shape_or_dtype(operator: Cast | Shift | Probability) -> None:
    dtype = np.dtype(operator.inputs[0][0])
    assert operator.apply(np.zeros((0, 4), dtype))[0].shape == (0, 4)
    for wrong in (np.zeros((2, 3), dtype), np.zeros(4, dtype), np.zeros((2, 4), np.float32)):
        with pytest.raises(UsageError, match=r"of shape \[rows, 4\]"):
            operator.apply(wrong)


@given(st.binary(max_size=8), st.sampled_from(list(OPERATORS.values())))
def test_decode_accepts_or_raises_format_error(
    params: bytes, operator: type[Cast | Shift | Probability]
) -> None:
    try:
        decoded = operator.decode(params)
    except FormatError as error:
        refusal = str(error)
    else:
        assert decoded.encode() == params
        return
    assert refusal.startswith(f"{operator.KERNEL}: ")


@each_operator
def test_decode_refuses_bad_parameters(
    vectors: ModuleType, operator: type[Cast | Shift | Probability]
) -> None:
    refused = 0
    for case in vectors.bad_cases():
        try:
            decoded = operator.decode(case.params)
        except FormatError:
            refused += 1
        else:
            assert (operands_of(decoded), 1) != (case.operands, case.n_inputs)
    assert refused > 10
