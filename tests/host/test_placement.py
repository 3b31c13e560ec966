"""Places of tensors: against brute force, and the limit of work."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import permutations

import pytest

from wingbeat.placement import Shape, Work, peak, place

_ENOUGH = 10**7


def random_shapes(draw: random.Random, count: int, *, steps: int = 6) -> list[Shape]:
    found = []
    for _ in range(count):
        first = draw.randrange(steps)
        length = draw.randint(1, min(4, steps - first))
        if draw.random() < 0.3:
            heights = tuple(4 * draw.randint(1, 4) for _ in range(length))
        else:
            heights = (4 * draw.randint(1, 4),) * length
        found.append(Shape(first, heights))
    return found


def overlap(one: Shape, address: int, other: Shape, its: int) -> bool:
    return any(
        address < its + other.heights[step - other.first]
        and its < address + one.heights[step - one.first]
        for step in range(max(one.first, other.first), min(one.end, other.end))
    )


def smallest(shapes: Sequence[Shape]) -> int:
    best = sum(shape.top for shape in shapes)
    for order in permutations(shapes):
        placed: list[tuple[Shape, int]] = []
        for shape in order:
            address = 0
            while any(overlap(shape, address, *each) for each in placed):
                address += 4
            placed.append((shape, address))
        best = min(best, max(address + shape.top for shape, address in placed))
    return best


@pytest.mark.parametrize("seed", range(60))
def test_no_place_is_better(seed: int) -> None:
    draw = random.Random(seed)
    shapes = random_shapes(draw, draw.randint(1, 6))
    addresses, size = place(shapes, None, Work(_ENOUGH))
    assert size == smallest(shapes)
    for i, shape in enumerate(shapes):
        assert addresses[i] + shape.top <= size
        assert not any(overlap(shape, addresses[i], shapes[j], addresses[j]) for j in range(i))


def test_nothing() -> None:
    assert place([], None, Work(0)) == ([], 0)


def test_without_work_first_fit_is_left() -> None:
    shapes = random_shapes(random.Random(5), 40, steps=20)
    lazy, busy = place(shapes, None, Work(0)), place(shapes, None, Work(_ENOUGH))
    assert peak(shapes) <= busy[1] <= lazy[1] < sum(shape.top for shape in shapes)
    assert place(shapes, None, Work(_ENOUGH)) == busy


def test_what_is_above_is_not_searched() -> None:
    shapes = random_shapes(random.Random(5), 40, steps=20)
    work = Work(_ENOUGH)
    place(shapes, peak(shapes), work)
    assert work.left == _ENOUGH


def test_a_shape_may_grow_under_another() -> None:
    # The first one is low at step 1, where the second one lies on it, and high at step 2.
    grows, second = Shape(0, (8, 8, 40)), Shape(0, (32, 32))
    addresses, size = place([grows, second], None, Work(_ENOUGH))
    assert size == 40
    assert addresses == [0, 8]
