from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wingbeat.errors import DataError, UsageError
from wingbeat.recordings import Recording, Recordings, class_order
from wingbeat.windows import cut, split_by_group, split_by_time, split_rows


def _recordings(*parts: tuple[int, str, str], dtype: type = np.int16) -> Recordings:
    items: list[Recording] = []
    for number, (samples, label, group) in enumerate(parts):
        values = 1000 * number + np.arange(2 * samples)
        items.append(Recording(values.reshape(samples, 2).astype(dtype), label, group, f"{number}"))
    return Recordings(tuple(items), ("u", "v"), None, class_order(each[1] for each in parts))


def test_cut_overlapping_windows() -> None:
    found = cut(_recordings((5, "b", "p"), (3, "a", "q")), 3, 2)
    assert found.x.shape == (3, 3, 2)
    assert found.x.dtype == np.int16
    assert found.x[1].tolist() == [[4, 5], [6, 7], [8, 9]]
    assert found.x[2].tolist() == [[1000, 1001], [1002, 1003], [1004, 1005]]
    assert found.y.tolist() == [1, 1, 0]
    assert found.y.dtype == np.int64
    assert found.groups.tolist() == ["p", "p", "q"]
    assert found.labels == ("a", "b")
    assert found.recording.tolist() == [0, 0, 1]
    assert found.skipped == 0


def test_cut_counts_short_recordings() -> None:
    found = cut(_recordings((2, "a", "p"), (4, "a", "p"), (4, "b", "p")), 4, 4)
    assert (len(found.x), found.skipped) == (2, 1)
    assert found.recording.tolist() == [1, 2]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 12), st.integers(1, 15))
def test_cut_equals_slices(lengths: list[int], length: int, hop: int) -> None:
    parts = [(samples, "ab"[index % 2], "g") for index, samples in enumerate(lengths)]
    source = _recordings((length, "a", "g"), (length, "b", "g"), *parts)
    expected = [
        item.data[start : start + length].tolist()
        for item in source.items
        for start in range(0, len(item.data) - length + 1, hop)
    ]
    assert cut(source, length, hop).x.tolist() == expected


def test_cut_without_a_long_recording() -> None:
    message = "expected recordings of at least one window (9 samples), the longest of 2 has 5."
    with pytest.raises(DataError, match=re.escape(message)):
        cut(_recordings((5, "a", "p"), (2, "b", "p")), 9, 1)


def test_cut_refuses_to_lose_a_class() -> None:
    message = "at least one window (4 samples), these have none: b."
    with pytest.raises(DataError, match=re.escape(message)):
        cut(_recordings((5, "a", "p"), (2, "b", "p")), 4, 1)


@pytest.mark.parametrize(("length", "hop"), [(0, 1), (1, 0), (-1, 1)])
def test_cut_refuses_lengths_below_one(length: int, hop: int) -> None:
    with pytest.raises(UsageError, match=f"got length {length} and hop {hop}"):
        cut(_recordings((5, "a", "p")), length, hop)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.integers(0, 2**32 - 1), st.floats(0.01, 0.99), st.integers(1, 4))
def test_groups_are_never_on_both_sides(
    groups: int, seed: int, fraction: float, classes: int
) -> None:
    owners = np.repeat(np.arange(groups), 2 * classes)
    y = np.tile(np.arange(classes), 2 * groups)
    train, test = split_by_group(owners, y, test_fraction=fraction, seed=seed)
    assert not set(owners[train]) & set(owners[test])
    assert sorted([*train, *test]) == list(range(len(y)))
    assert set(y[train]) == set(y[test]) == set(range(classes))
    again = split_by_group(owners, y, test_fraction=fraction, seed=seed)
    assert np.array_equal(train, again[0])
    assert np.array_equal(test, again[1])


def test_seeds_give_different_splits() -> None:
    owners, y = np.repeat(np.arange(20), 2), np.tile([0, 1], 20)
    tests = {tuple(split_by_group(owners, y, test_fraction=0.3, seed=seed)[1]) for seed in range(5)}
    assert len(tests) > 1
    assert {len(test) for test in tests} == {12}


@pytest.mark.parametrize("seed", range(8))
def test_a_rare_class_is_kept_in_train(seed: int) -> None:
    owners = np.array(["a", "b", "c", "d"] * 2)
    y = np.array([0, 0, 0, 0, 1, 1, 1, 2])
    train, test = split_by_group(owners, y, test_fraction=0.25, seed=seed)
    assert set(y[train]) == {0, 1, 2}
    assert set(y[test]) == {0, 1}


def test_values_are_split_by_group() -> None:
    train, test = split_by_group([1, 1, 2, 2], [0.1, 0.2, 0.3, 0.4], test_fraction=0.5, seed=3)
    assert {tuple(train), tuple(test)} == {(0, 1), (2, 3)}


def test_one_group_only() -> None:
    message = "expected at least two groups, to test on one that was not trained on; all rows are "
    with pytest.raises(DataError, match=re.escape(message + "of group 'ann'. Record another")):
        split_by_group(["ann"] * 3, [0, 1, 0], test_fraction=0.2, seed=0)


def test_classes_bound_to_groups() -> None:
    with pytest.raises(DataError, match="some classes come from too few groups"):
        split_by_group(["a", "b"], [0, 1], test_fraction=0.5, seed=0)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, np.nan])
def test_fraction_out_of_range(fraction: float) -> None:
    message = f"expected a share to test on between 0 and 1 (such as 0.2), got {fraction}."
    with pytest.raises(UsageError, match=re.escape(message)):
        split_by_group([0, 1], [0, 1], test_fraction=fraction, seed=0)
    with pytest.raises(UsageError, match=re.escape(message)):
        split_rows([0, 0, 1, 1], fraction, 0)


def test_groups_and_rows_must_match() -> None:
    with pytest.raises(UsageError, match="expected as many groups as rows"):
        split_by_group([0, 1, 2], [0, 1], test_fraction=0.5, seed=0)


@pytest.mark.parametrize("y", [[0] * 80 + [1] * 20, ["a"] * 80 + ["b"] * 20])
def test_rows_are_split_in_proportion(y: list[Any]) -> None:
    train, test = split_rows(y, 0.25, 5)
    assert sorted([*train, *test]) == list(range(100))
    assert [np.sum(test < 80), np.sum(test >= 80)] == [20, 5]
    again = split_rows(y, 0.25, 5)
    assert np.array_equal(test, again[1])
    assert not np.array_equal(test, split_rows(y, 0.25, 6)[1])


def test_values_are_split_by_row() -> None:
    train, test = split_rows(np.linspace(0.0, 1.0, 10), 0.3, 0)
    assert (len(train), len(test)) == (7, 3)


def test_a_class_of_one_row() -> None:
    with pytest.raises(DataError, match=re.escape("these have one: 7. Add rows")):
        split_rows([1, 1, 7], 0.3, 0)


def test_one_row() -> None:
    with pytest.raises(DataError, match="expected at least two rows to split, got 1"):
        split_rows([1], 0.3, 0)


def test_too_few_rows_for_train() -> None:
    y = [0] * 40 + [1] * 2 + [2] * 2
    with pytest.raises(DataError, match="expected every class in train"):
        split_rows(y, 0.93, 0)


def test_the_last_share_of_the_time_is_tested() -> None:
    train, test = split_by_time(np.arange(10.0), 0.3)
    assert train.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert test.tolist() == [7, 8, 9]


def test_a_split_by_time_shares_no_sample() -> None:
    """Two recordings; windows of 8 samples end every 4, so that one of the test is left out."""
    y = np.array([0, 1] * 10)
    recording = np.repeat([0, 1], 10)
    ends = np.tile(8 + 4 * np.arange(10), 2)
    train, test = split_by_time(y, 0.4, recording=recording, ends=ends, window=8)
    assert train.tolist() == [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15]
    assert test.tolist() == [7, 8, 9, 17, 18, 19]


def test_a_split_by_time_refuses_what_it_cannot_split() -> None:
    with pytest.raises(DataError, match="some come later only"):
        split_by_time(np.repeat([0, 1], 5), 0.5)
    with pytest.raises(DataError, match="too short for a split by time"):
        split_by_time(np.array([0, 0]), 0.5, recording=np.array([0, 0]), ends=[8, 9], window=8)
