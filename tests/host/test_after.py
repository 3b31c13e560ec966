"""Detections behind models of every kind: what `run` gives, looked at in real units."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nets.files import net
from wingbeat.after import with_detector, with_top_k, with_vote
from wingbeat.convert import convert
from wingbeat.errors import UsageError
from wingbeat.net.convert import convert_tflite
from wingbeat.program import Decision, Program, ProgramBuilder
from wingbeat.stream import Stream

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


def perceptron() -> Any:
    return make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=60, random_state=1))


@cache
def models() -> dict[str, tuple[Program, NDArray[Any]]]:
    """Programs that give scores, with rows."""
    digits, numbers = load_digits(return_X_y=True)
    cancer, sick = load_breast_cancer(return_X_y=True)
    forest = RandomForestClassifier(7, max_depth=5, random_state=1).fit(digits, numbers)
    boosting = HistGradientBoostingClassifier(max_iter=5).fit(cancer, sick)
    speech = convert_tflite(net("micro_speech"), labels=["silence", "unknown", "yes", "no"])
    noise = np.random.default_rng(1).integers(-128, 128, (40, *speech.input.shape))
    digits, cancer = digits[::20].astype(np.float32), cancer[::8].astype(np.float32)
    return {
        "forest": (convert(forest, name="m"), digits),
        "boosting": (convert(boosting, name="m"), cancer),
        "perceptron": (
            convert(perceptron().fit(digits, numbers[::20]), name="m", rows=digits),
            digits,
        ),
        "micro_speech": (speech, noise.astype(np.int8)),
    }


def decisions(program: Program, x: NDArray[Any]) -> NDArray[np.int64]:
    return Stream(program).run(x.reshape(len(x), -1)).decisions


@pytest.mark.parametrize("name", ["forest", "boosting", "perceptron", "micro_speech"])
def test_thresholds_are_probabilities(name: str) -> None:
    program, x = models()[name]
    p = program.output.dequantize(program.run(x)).reshape(len(x), -1)
    best = p.max(axis=1)
    # Also a threshold that some row just reaches.
    for threshold in (0.4, float(np.median(best)), 0.9):
        detecting = with_detector(program, threshold=threshold)
        assert detecting.labels == (*program.labels, "reject")
        expected = np.where(best >= threshold * (1 - 1e-6), p.argmax(axis=1), p.shape[1])
        found = decisions(detecting, x)
        # A class that is on stays on while it is above, even if another one is larger.
        changed = found != expected
        held = np.array(
            [
                each < p.shape[1] and p[i, each] >= threshold * (1 - 1e-6)
                for i, each in enumerate(found)
            ]
        )
        assert not (changed & ~held).any()
        np.testing.assert_array_equal(found == p.shape[1], expected == p.shape[1])
        results = Stream(detecting).run(x.reshape(len(x), -1))
        np.testing.assert_array_equal(results.outputs, program.run(x))


def test_smoothing_is_that_of_probabilities() -> None:
    program, x = models()["forest"]
    p = program.output.dequantize(program.run(x))
    detecting = with_detector(program, threshold=0.3, smoothing=2)
    level, expected = np.zeros(p.shape[1]), []
    for row in p:
        level += (row - level) / 4
        expected.append(level.max() >= 0.3)
    found = decisions(detecting, x) < p.shape[1]
    # A detection lasts while its own class is above, which is at most as long.
    assert (np.array(expected) == found).mean() > 0.9
    assert found.any()
    assert not found.all()


def test_logits_become_probabilities() -> None:
    program = convert_tflite(net("micro_speech"))
    logits = next(call.operands[0] for call in program.calls if call.operator.KERNEL == "softmax8")
    builder = ProgramBuilder(program.input)
    numbers = builder.append(program)
    bare = builder.finish("m", numbers[logits], Decision.ARGMAX, scale=0.1, zero_point=14)
    detecting = with_detector(bare, threshold=0.9)
    assert [call.operator.KERNEL for call in detecting.calls[-2:]] == ["softmax8", "detector"]


def test_two_classes_with_one_output() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    x = x.astype(np.float32)
    program = convert(perceptron().fit(x, y), name="m", rows=x, labels=["ill", "well"])
    detecting = with_detector(program, threshold=0.75, reject_label="?")
    assert detecting.labels == ("well", "?")
    p = program.output.dequantize(program.run(x))[:, 0]
    np.testing.assert_array_equal(decisions(detecting, x), p < 0.75)


def test_a_class_of_the_model_can_mean_nothing() -> None:
    program, x = models()["micro_speech"]
    detecting = with_detector(
        program, threshold=0.0, reject_label="silence", background=["unknown"], hold_off=3
    )
    assert detecting.labels == program.labels
    found = decisions(detecting, x)
    assert set(found) <= {0, 2, 3}
    assert detecting.meta["detector"]["hold_off"] == 3
    assert detecting.meta["layers"][-1] == "detector"
    assert len(detecting.meta["layers"]) == len(detecting.calls)
    again = Program.decode(detecting.encode(), "m", detecting.labels)
    np.testing.assert_array_equal(decisions(again, x), found)


@pytest.mark.parametrize("name", ["forest", "micro_speech"])
def test_vote(name: str) -> None:
    program, x = models()[name]
    p = program.output.dequantize(program.run(x)).reshape(len(x), -1)
    for threshold in (None, 0.5):
        voting = with_vote(program, 5, threshold=threshold)
        best = p.max(axis=1) >= (threshold or 0)
        decided = np.where(best, p.argmax(axis=1), len(program.labels))
        expected = []
        for row in range(len(x)):
            last = decided[max(0, row - 4) : row + 1][::-1].tolist()
            expected.append(max(last, key=last.count))
        np.testing.assert_array_equal(decisions(voting, x), expected)
        assert voting.labels == (*program.labels, *(["reject"] if threshold else []))
    assert with_vote(program, 3, threshold=0.9, reject_label=program.labels[0]).labels == (
        program.labels
    )


def test_top_k() -> None:
    program, x = models()["forest"]
    found = with_top_k(program, 3)
    pairs = found.run(x)
    assert pairs.shape == (len(x), 3, 2)
    p = program.run(x).astype(int)
    np.testing.assert_array_equal(pairs[:, :, 1], -np.sort(-p, axis=1)[:, :3])
    np.testing.assert_array_equal(np.take_along_axis(p, pairs[:, :, 0], 1), pairs[:, :, 1])
    np.testing.assert_array_equal(found.predict(x), program.predict(x))
    with pytest.raises(UsageError, match="k is 1 to 10, not 11"):
        with_top_k(program, 11)


def test_what_users_get_wrong_is_named() -> None:
    program, _ = models()["forest"]
    for wrong, text in (
        ({"threshold": 0.5, "release": 0.6}, "release 0.6 is above the threshold 0.5"),
        ({"threshold": 1000.0}, "scores of this model go up to"),
        ({"smoothing": 16}, "smoothing is 0 to 15"),
        ({"hold_off": 70000}, "0 to 65535 runs"),
        ({"background": ["11"]}, "no class '11': the model knows 0, 1"),
    ):
        with pytest.raises(UsageError, match=text):
            with_detector(program, **wrong)
    with pytest.raises(UsageError, match="a score for each class"):
        with_detector(convert_tflite(net("ad")))
    regression = RandomForestRegressor(3, max_depth=3).fit(*load_diabetes(return_X_y=True))
    with pytest.raises(UsageError, match="take a classifier"):
        with_detector(convert(regression, name="m"))
