"""Planning the arena: nothing that is alive at the same time shares memory."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from wingbeat.plan import ALIGNMENT, Lifetime, plan_arena


@st.composite
def lifetimes(draw: st.DrawFn) -> list[Lifetime]:
    found = []
    for _ in range(draw(st.integers(0, 25))):
        first = draw(st.integers(0, 12))
        last = draw(st.integers(first, 13))
        size = draw(st.one_of(st.integers(1, 9), st.integers(1, 5000)))
        found.append(Lifetime(size, first, last))
    return found


def aligned(size: int) -> int:
    return (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


def peak(items: list[Lifetime]) -> int:
    """Most bytes that are alive at once: no plan can do with less."""
    return max(
        sum(aligned(item.size) for item in items if item.first <= step <= item.last)
        for step in range(14)
    )


@settings(max_examples=300, deadline=None)
@given(lifetimes())
def test_plans(items: list[Lifetime]) -> None:
    places, arena = plan_arena(items)
    assert len(places) == len(items)
    assert arena % ALIGNMENT == 0
    assert arena >= peak(items)
    assert arena <= sum(aligned(item.size) for item in items)
    for i, (place, item) in enumerate(zip(places, items, strict=True)):
        assert place >= 0
        assert place % ALIGNMENT == 0
        assert place + item.size <= arena
        for other_place, other in zip(places[:i], items[:i], strict=True):
            if item.first <= other.last and other.first <= item.last:
                assert place + item.size <= other_place or other_place + other.size <= place
    assert plan_arena(items) == (places, arena)


def test_nothing() -> None:
    assert plan_arena([]) == ([], 0)


def test_a_chain_takes_its_two_largest_neighbours() -> None:
    chain = [Lifetime(size, step, step + 1) for step, size in enumerate([100, 40, 60, 8])]
    assert plan_arena(chain)[1] == 140


def test_memory_is_used_again() -> None:
    (first, second, third), arena = plan_arena(
        [Lifetime(100, 0, 1), Lifetime(100, 2, 3), Lifetime(10, 0, 3)]
    )
    assert first == second
    assert arena == 112
    assert third == 100


def test_a_gap_between_two_is_filled() -> None:
    items = [Lifetime(100, 0, 9), Lifetime(80, 0, 2), Lifetime(60, 0, 9), Lifetime(70, 4, 6)]
    places, arena = plan_arena(items)
    assert arena == 240
    assert places[3] == places[1]
