"""What is made of a stream's results: detections, scores, lines of characters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from programs import small_model
from streams import samples_of, stream_programs
from wingbeat.errors import DataError, UsageError
from wingbeat.program import Decision
from wingbeat.simulate import (
    Event,
    Simulation,
    background_of,
    check_rate,
    detections,
    drawn,
    names_of,
    same_results,
    score,
    simulate,
    truth_of,
)
from wingbeat.stream import Stream, pace_of

MOTION = stream_programs()["motion"]  # rest, walk, run


def played(*decisions: int) -> Simulation:
    """One result a second."""
    count = len(decisions)
    outputs = np.zeros((count, 3), np.int16)
    return Simulation(8.0, float(count), np.arange(1.0, count + 1), np.array(decisions), outputs)


@pytest.mark.parametrize("name", list(stream_programs()))
def test_results_of_a_long_recording_are_those_of_the_stream(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wingbeat.simulate._ELEMENTS_AT_ONCE", 100)
    program = stream_programs()[name]
    x = samples_of(program, 1001)
    done: list[int] = []
    found = simulate(program, x, 50.0, done.append)
    expected = Stream(program).results(x)
    np.testing.assert_array_equal(found.outputs, expected.outputs)
    np.testing.assert_array_equal(found.decisions, expected.decisions)
    np.testing.assert_allclose(found.times, expected.ends * pace_of(program).samples / 50)
    assert done[-1] == len(x)
    assert found.duration == len(x) / 50


def test_a_recording_without_samples_has_no_results() -> None:
    found = simulate(MOTION, np.zeros((0, 3), np.int16), 50.0)
    assert len(found.times) == len(found.decisions) == 0
    assert found.outputs.shape == (0, 3)
    assert detections(MOTION, found) == ()
    assert drawn(MOTION, found, 10) == []


def test_detections_are_results_in_a_row() -> None:
    found = detections(MOTION, played(0, 1, 1, 0, 2, 2, 2, 1), {"rest"})
    assert found == (
        Event(2.0, 3.0, "walk"),
        Event(5.0, 7.0, "run"),
        Event(8.0, 8.0, "walk"),
    )


def test_a_number_of_no_class_is_a_rejection() -> None:
    assert names_of(MOTION, np.array([1, 3, -1])) == ["walk", "reject", "reject"]
    assert detections(MOTION, played(3, 2, 3), background_of(MOTION)) == (Event(2.0, 2.0, "run"),)


def test_what_is_background() -> None:
    assert background_of(MOTION) == {"rest", "reject"}
    assert background_of(MOTION, ["walk"]) == {"walk", "reject"}
    positive = replace(MOTION, decision=Decision.POSITIVE, labels=())
    assert "0" in background_of(positive)
    assert detections(positive, played(0, 1, 1), background_of(positive)) == (Event(2, 3, "1"),)
    with pytest.raises(UsageError, match="no class 'swim': the program knows rest, walk, run"):
        background_of(MOTION, ["swim"])
    with pytest.raises(UsageError, match="values, not classes"):
        detections(replace(MOTION, decision=Decision.VALUE, labels=()), played(1))


def test_score() -> None:
    truth = [Event(10, 12, "walk"), Event(20, 22, "run"), Event(30, 31, "walk")]
    found = [
        Event(9, 9.5, "walk"),  # before it
        Event(11, 11, "run"),  # another class
        Event(11.5, 12, "walk"),
        Event(12.5, 13, "walk"),  # again
        Event(22.5, 23, "run"),  # within the tolerance
        Event(33, 33, "walk"),  # too late
    ]
    result = score(found, truth, 1.0)
    assert (result.events, result.hits, result.missed) == (3, 2, 1)
    assert (result.false, result.repeated) == (3, 1)
    assert result.latencies == (1.5, 2.5)


def test_events_that_overlap_are_found_one_by_one() -> None:
    truth = [Event(1, 9, "a"), Event(2, 9, "a")]
    result = score([Event(3, 3, "a"), Event(5, 5, "a"), Event(6, 6, "a")], truth, 0.0)
    assert (result.hits, result.repeated, result.false) == (2, 1, 0)
    assert result.latencies == (2, 3)


def test_truth_of_labels() -> None:
    labels = ["rest"] * 4 + ["walk"] * 6 + ["run"] * 2
    assert truth_of(labels, 2.0, {"rest"}) == (Event(2, 5, "walk"), Event(5, 6, "run"))


def test_classes_as_characters() -> None:
    lines = drawn(MOTION, played(0, 0, 0, 1, 1, 1, 2, 1), 4)
    assert [name for name, _ in lines] == ["rest", "walk", "run"]
    # Seconds 1; 2, 3; 4, 5; and the last three.
    assert [line for _, line in lines] == ["##  ", "  #+", "   ."]


def test_values_as_heights() -> None:
    program = replace(MOTION, decision=Decision.VALUE, labels=())
    ((name, line),) = drawn(program, played(*range(16)), 9)
    assert name == "value"
    assert (line[0], line[-1]) == ("▁", "█")
    assert sorted(line) == list(line)


def test_rates_have_to_agree() -> None:
    program = replace(MOTION, meta={"rate": 50.0})
    assert check_rate(program, None, None) == 50.0
    assert check_rate(MOTION, 100.0, None) == 100.0
    assert check_rate(MOTION, None, 25.0) == 25.0
    with pytest.raises(DataError, match=r"give --rate"):
        check_rate(MOTION, None, None)
    with pytest.raises(DataError, match="recording has 100 samples per second, the program 50"):
        check_rate(program, 100.0, None)
    with pytest.raises(DataError, match="--rate has 100 samples per second, the program 50"):
        check_rate(program, None, 100.0)


def test_programs_that_take_no_stream_are_refused() -> None:
    with pytest.raises(UsageError, match="one input a run, not a stream"):
        simulate(small_model(), np.zeros((4, 2), np.int16), 1.0)


def test_same_results_counts_what_differs() -> None:
    from wingbeat.runner import Pushed

    x = samples_of(MOTION, 400)
    expected = simulate(MOTION, x, 10.0)
    ends = Stream(MOTION).results(x).ends
    count = len(ends)
    decisions, outputs = expected.decisions, expected.outputs
    same = Pushed(ends - 1, outputs, decisions, 0, 0, None, None)
    assert same_results(MOTION, same, expected) == count
    late = replace(same, blocks=ends)
    assert same_results(MOTION, late, expected) == 0
    wrong = outputs.copy()
    wrong[3, 0] += 1
    assert same_results(MOTION, replace(same, outputs=wrong), expected) == count - 1
    other = decisions.copy()
    other[5:7] += 1
    assert same_results(MOTION, replace(same, decisions=other), expected) == count - 2
    fewer = replace(same, blocks=ends[:-1] - 1, outputs=outputs[:-1], decisions=decisions[:-1])
    assert same_results(MOTION, fewer, expected) == count - 1
