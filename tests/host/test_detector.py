"""The detector, on streams whose detections can be told by eye."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wingbeat.errors import FormatError, UsageError
from wingbeat.reference import DTYPES
from wingbeat.reference.detector import Detector


def detector(n_scores: int, on: int, off: int, *others: Any, **named: Any) -> Detector:
    return Detector(n_scores, 256 * on, 256 * off, *others, **named)


def detect(operator: Detector, scores: list[list[int]]) -> list[int]:
    (out,) = operator.apply(np.array(scores, DTYPES[operator.typecode]))
    return [int(value) for value in out[:, 0]]


def test_below_the_threshold_there_is_nothing() -> None:
    scores = [[10, 20], [100, 20], [20, 99], [20, 120], [120, 120]]
    assert detect(detector(2, 100, 100), scores) == [2, 0, 2, 1, 1]


def test_hysteresis_keeps_a_class_on() -> None:
    scores = [[100], [60], [50], [49], [99], [100]]
    assert detect(detector(1, 100, 50), scores) == [0, 0, 0, 1, 1, 0]


def test_at_most_one_start_within_the_hold_off() -> None:
    on, pause = [100, 0], [0, 0]
    scores = [on, pause, on, on, pause, on, pause]
    assert detect(detector(2, 100, 100, hold_off=2), scores) == [0, 2, 2, 0, 2, 2, 2]


@pytest.mark.parametrize("smoothing", [1, 3, 5])
def test_smoothing_is_exponential(smoothing: int) -> None:
    x = np.random.default_rng(1).integers(-20000, 20000, (300, 2)).astype(np.int16)
    memory = [np.zeros(4, np.int32)]
    operator = Detector(2, 0, 0, smoothing)
    level = np.zeros(2)
    for row in x:
        operator.advance(memory, row[np.newaxis])
        level += (row - level) / 2**smoothing
        # Rounding down loses up to a step of 1/256 a run, 2^smoothing of them in all.
        assert np.abs(memory[0][:2] / 256 - level).max() < 2**smoothing / 256 + 1e-6


def test_one_run_does_not_make_a_smoothed_detection() -> None:
    scores = [[0]] * 3 + [[1000]] + [[0]] * 3 + [[1000]] * 6
    found = detect(detector(1, 500, 500, 2), scores)
    assert found[:7] == [1] * 7
    assert found[-1] == 0


def test_a_class_of_the_model_can_mean_nothing() -> None:
    silence, yes, unknown = [90, 5, 5], [5, 90, 5], [5, 5, 90]
    operator = detector(3, 50, 50, 0, 3, none=0, ignored=(0, 2))
    # Neither is a start, so neither holds off what follows.
    assert detect(operator, [silence, unknown, yes, silence, yes]) == [0, 0, 1, 0, 0]


def test_smoothing_starts_from_what_means_0() -> None:
    # int8 of a softmax: -128 is a probability of 0.
    operator = Detector(1, 128 * 256, 128 * 256, 2, typecode="b", zero=-128)
    assert detect(operator, [[-128], [127], [127], [127]]) == [1, 1, 1, 0]
    operator = Detector(1, 40000 * 256, 40000 * 256, typecode="H")
    assert detect(operator, [[0], [39999], [40000], [65535]]) == [1, 1, 0, 0]


def test_what_users_get_wrong_is_named() -> None:
    for wrong, text in (
        ((0, 1, 1), "1 to 255 scores"),
        ((2, 2**31, 1), "'on' is an int32"),
        ((2, 1, 1, 16), "smoothing is 0 to 15"),
        ((2, 1, 1, 0, -1), "0 to 65535 runs"),
        ((2, 1, 1, 0, 0, "i"), "no scores of 'i'"),
        ((2, 1, 1, 0, 0, "b", 128), "means 0 is -128 to 127, not 128"),
        ((2, 1, 1, 0, 0, "b", 0, 3), "no class is 0 to 2, not 3"),
        ((2, 1, 1, 0, 0, "b", 0, 2, (1, 0)), "classes of 0 to 1 in order"),
        ((2, 1, 1, 0, 0, "b", 0, 2, (2,)), "classes of 0 to 1 in order"),
    ):
        with pytest.raises(UsageError, match=text):
            Detector(*wrong)
    with pytest.raises(FormatError, match="detector: bad parameters"):
        Detector.decode(bytes(4))
