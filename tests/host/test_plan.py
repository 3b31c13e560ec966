"""Planning: the order of operators and the arena, against brute force and known nets."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, permutations

import pytest

from wingbeat.plan import ALIGNMENT, Plan, Step, aligned, plan


@dataclass
class Net:
    """Steps and sizes; tensor 0 is there from the start, the last one written is kept."""

    sizes: list[int]
    steps: list[Step] = field(default_factory=list)

    def add(
        self, size: int, *reads: int, scratch: int = 0, in_place: bool = False, outputs: int = 1
    ) -> int:
        """Append a step; the number of its first output."""
        first = len(self.sizes)
        writes = tuple(range(first, first + outputs))
        self.sizes += [size] * outputs
        taken: tuple[int, ...] = ()
        if scratch:
            taken = (len(self.sizes),)
            self.sizes.append(scratch)
        pairs = tuple((r, w) for r in dict.fromkeys(reads) for w in writes) if in_place else ()
        self.steps.append(Step(reads, writes, taken, pairs))
        return first

    @property
    def kept(self) -> int:
        return self.steps[-1].writes[-1]

    def plan(self, *, outside: Sequence[int] = ()) -> Plan:
        return plan(self.steps, self.sizes, kept={self.kept}, outside=set(outside))


def chain(*sizes: int, in_place: bool = False) -> Net:
    net = Net([sizes[0]])
    for number, size in enumerate(sizes[1:]):
        net.add(size, number, in_place=in_place)
    return net


# ---- What holds for every plan


def random_net(draw: random.Random, n_steps: int, largest: int) -> Net:
    net = Net([draw.randint(1, largest)])
    tensors = [0]
    for _ in range(n_steps):
        recent = tensors[-6:]
        reads = draw.sample(recent, min(len(recent), draw.choice([1, 1, 1, 2])))
        first = net.add(
            draw.randint(1, largest),
            *reads,
            scratch=draw.choice([0, 0, 0, 0, largest // 3]),
            in_place=draw.random() < 0.3,
            outputs=draw.choice([1, 1, 1, 2]) if len(reads) == 1 else 1,
        )
        tensors += net.steps[-1].writes
        assert first == net.steps[-1].writes[0]
    return net


def spans_of(net: Net, order: Sequence[int], outside: Sequence[int]) -> dict[int, tuple[int, int]]:
    """First and last position at which each tensor needs memory."""
    written = {i for step in net.steps for i in (*step.writes, *step.scratch)}
    found: dict[int, tuple[int, int]] = {}
    for index in range(len(net.sizes)):
        uses = [
            position
            for position, number in enumerate(order)
            for step in [net.steps[number]]
            if index in (*step.reads, *step.writes, *step.scratch)
        ]
        if index in outside or not uses:
            continue
        first = min(uses) if index in written else 0
        found[index] = (first, len(order) if index == net.kept else max(uses))
    return found


def assert_sound(net: Net, found: Plan, outside: Sequence[int] = ()) -> None:
    assert sorted(found.order) == list(range(len(net.steps)))
    seen = {0}
    for number in found.order:
        assert seen.issuperset(net.steps[number].reads)
        seen.update(net.steps[number].writes)
    spans = spans_of(net, found.order, outside)
    assert set(found.places) == set(spans)
    allowed = {
        pair
        for position, number in enumerate(found.order)
        for pair in net.steps[number].in_place
        if pair[0] in spans and spans[pair[0]][1] == position
    }
    for index, place in found.places.items():
        assert place >= 0
        assert place % ALIGNMENT == 0
        assert place + net.sizes[index] <= found.size
    for one, other in combinations(spans, 2):
        if spans[one][0] <= spans[other][1] and spans[other][0] <= spans[one][1]:
            apart = (
                found.places[one] + aligned(net.sizes[one]) <= found.places[other]
                or found.places[other] + aligned(net.sizes[other]) <= found.places[one]
            )
            same = found.places[one] == found.places[other]
            assert apart or (same and ((one, other) in allowed or (other, one) in allowed))
    assert found.size >= found.peak
    assert found.size % ALIGNMENT == 0


@pytest.mark.parametrize("seed", range(40))
def test_plans_are_sound_and_repeatable(seed: int) -> None:
    draw = random.Random(seed)
    net = random_net(draw, draw.choice([1, 3, 8, 20]), draw.choice([9, 5000]))
    outside = [0] if seed % 2 else []
    found = net.plan(outside=outside)
    assert_sound(net, found, outside)
    assert net.plan(outside=outside) == found


# ---- Brute force


def orders_of(net: Net) -> Iterator[tuple[int, ...]]:
    writer = {index: number for number, step in enumerate(net.steps) for index in step.writes}
    for order in permutations(range(len(net.steps))):
        position = {number: i for i, number in enumerate(order)}
        if all(
            position[writer[index]] < position[number]
            for number, step in enumerate(net.steps)
            for index in step.reads
            if index in writer
        ):
            yield order


def smallest_arena(net: Net, outside: Sequence[int]) -> int:
    """Every order, every choice of pairs, first fit in every order of the tensors."""
    best = 1 << 30
    for order in orders_of(net):
        spans = spans_of(net, order, outside)
        legal = [
            pair
            for position, number in enumerate(order)
            for pair in net.steps[number].in_place
            if pair[0] in spans and pair[0] != net.kept and spans[pair[0]][1] == position
        ]
        for count in range(len(legal) + 1):
            for pairs in combinations(legal, count):
                if len({a for a, _ in pairs}) == count == len({b for _, b in pairs}):
                    best = min(best, smallest_placement(net, spans, pairs, best))
    return best


def smallest_placement(
    net: Net, spans: dict[int, tuple[int, int]], pairs: Sequence[tuple[int, int]], most: int
) -> int:
    head = {index: index for index in spans}
    for read, written in sorted(pairs, key=lambda pair: spans[pair[0]][1]):
        head[written] = head[read]
    groups = [[i for i in spans if head[i] == each] for each in dict.fromkeys(head.values())]
    size = {index: aligned(net.sizes[index]) for index in spans}
    for permutation in permutations(groups):
        places: dict[int, int] = {}
        end = 0
        for group in permutation:
            free = next(
                address
                for address in sorted({0, *(places[i] + size[i] for i in places)})
                if all(
                    spans[i][0] > spans[j][1]
                    or spans[j][0] > spans[i][1]
                    or address + size[i] <= places[j]
                    or places[j] + size[j] <= address
                    for i in group
                    for j in places
                )
            )
            places.update(dict.fromkeys(group, free))
            end = max(end, *(free + size[i] for i in group))
            if end >= most:
                break
        else:
            most = end
    return most


@pytest.mark.parametrize("largest", [12, 40, 4000])
def test_no_arena_is_smaller(largest: int) -> None:
    draw = random.Random(largest)
    compared = 0
    while compared < 40:
        net = random_net(draw, draw.choice([2, 3, 4, 4]), largest)
        if len(net.sizes) > 8:
            continue
        outside = [0] if draw.random() < 0.5 else []
        found = net.plan(outside=outside)
        assert_sound(net, found, outside)
        assert found.size == smallest_arena(net, outside)
        compared += 1


# ---- Order


def test_another_order_needs_less() -> None:
    # Two branches with a large middle and a small end: one after the other, not in parallel.
    net = Net([100])
    wide = [net.add(1000, 0) for _ in range(3)]
    ends = [net.add(10, each) for each in wide]
    both = net.add(20, ends[0], ends[1])
    net.add(20, both, ends[2])
    found = net.plan()
    assert found.order != tuple(range(len(net.steps)))
    assert found.size == found.peak == 1000 + 12 + 100 + 12
    assert_sound(net, found)


@pytest.mark.parametrize("seed", range(12))
def test_nothing_passes_a_step_that_is_fixed(seed: int) -> None:
    draw = random.Random(seed)
    net = random_net(draw, 9, 5000)
    fixed = sorted(draw.sample(range(9), draw.choice([1, 2])))
    found = plan(net.steps, net.sizes, kept={net.kept}, fixed=fixed)
    assert_sound(net, found)
    for number in fixed:
        assert found.order[number] == number
        assert set(found.order[:number]) == set(range(number))
    assert found.size >= net.plan().size


def test_between_steps_that_are_fixed_the_best_order_is_taken() -> None:
    net = Net([100])
    start = net.add(100, 0)
    wide = [net.add(1000, start) for _ in range(3)]
    ends = [net.add(10, each) for each in wide]
    net.add(20, *ends)
    most = 3000 + 100
    free = plan(net.steps, net.sizes, kept={net.kept}, outside={0})
    assert free.size < most
    assert plan(net.steps, net.sizes, kept={net.kept}, outside={0}, fixed=[0, 7]) == free
    # The ends are computed behind the third wide one, so all three are there at once.
    apart = plan(net.steps, net.sizes, kept={net.kept}, outside={0}, fixed=[3])
    assert apart.size == most


def test_the_given_order_stays_where_it_is_as_good() -> None:
    net = Net([100])
    left, right = net.add(40, 0), net.add(40, 0)
    net.add(8, left, right)
    assert net.plan().order == (0, 1, 2)


def test_many_branches_are_searched_within_a_limit() -> None:
    draw = random.Random(3)
    net = Net([64])
    ends = []
    for _ in range(24):
        inner = net.add(draw.randint(100, 4000), 0)
        ends.append(net.add(draw.randint(4, 300), inner))
    while len(ends) > 1:
        ends.append(net.add(8, ends.pop(0), ends.pop(0)))
    found = net.plan()
    given = Net(net.sizes, net.steps)
    assert_sound(given, found)
    assert found.size < sum(aligned(size) for size in net.sizes) / 10


# ---- Places


def greedy_by_size(net: Net) -> int:
    """The arena when the largest tensor is placed first, each as low as it can be."""
    spans = spans_of(net, range(len(net.steps)), [])
    places: dict[int, int] = {}
    for index in sorted(spans, key=lambda index: (-net.sizes[index], index)):
        address = 0
        for other in sorted(places, key=lambda other: places[other]):
            if spans[other][0] <= spans[index][1] and spans[index][0] <= spans[other][1]:
                if address + net.sizes[index] <= places[other]:
                    break
                address = max(address, places[other] + net.sizes[other])
        places[index] = address
    return max(places[index] + net.sizes[index] for index in places)


def test_greedy_is_not_enough() -> None:
    net = chain(27648, 18432, 18432, 27648, 27648)
    assert greedy_by_size(net) == 64512
    found = net.plan()
    assert found.size == found.peak == 55296
    assert_sound(net, found)


def inverted_bottleneck(net: Net, draw: random.Random, x: int, side: int, channels: int) -> int:
    wide = side * side * channels * draw.choice([3, 6])
    y = net.add(wide, x, scratch=8 * channels)
    y = net.add(wide, y, scratch=600, in_place=True)
    y = net.add(side * side * channels, y, scratch=8 * channels, in_place=True)
    return net.add(side * side * channels, y, x, in_place=True)


def residual(net: Net, draw: random.Random, x: int, side: int, channels: int) -> int:
    size = side * side * channels
    y = net.add(size, net.add(size, x, scratch=72 * channels), scratch=72 * channels)
    return net.add(size, y, x, in_place=True)


def branches(net: Net, draw: random.Random, x: int, side: int, channels: int) -> int:
    size = side * side * channels // 2
    ends = []
    for _ in range(2):
        y = x
        for _ in range(draw.randint(1, 3)):
            y = net.add(size, y, scratch=draw.choice([0, 400]))
        ends.append(y)
    return net.add(2 * size, *ends)


@pytest.mark.parametrize("seed", range(40))
def test_nets_with_branches_reach_their_peak(seed: int) -> None:
    draw = random.Random(seed)
    side, channels = draw.choice([16, 24, 32]), draw.choice([8, 16])
    net = Net([4 * side * side])
    x = net.add(side * side * channels, 0, scratch=216)
    for _ in range(draw.randint(2, 7)):
        block = draw.choice([inverted_bottleneck, residual, branches])
        x = block(net, draw, x, side, channels)
        if draw.random() < 0.3 and side > 4:
            side, channels = side // 2, 2 * channels
            x = net.add(side * side * channels, x, scratch=8 * channels)
    net.add(10, net.add(channels, x))
    found = net.plan(outside=[0])
    assert_sound(net, found, [0])
    assert found.size == found.peak


# ---- In place


def test_in_place_takes_the_memory_of_what_dies() -> None:
    assert chain(100, 100, 100, in_place=True).plan().size == 100
    assert chain(100, 100, 100).plan().size == 200


def test_in_place_keeps_what_is_read_again() -> None:
    net = Net([100])
    first = net.add(100, 0, in_place=True)
    net.add(100, first, 0, in_place=True)
    found = net.plan()
    assert found.size == 200
    assert found.places[first] != found.places[0]
    assert_sound(net, found)


def test_in_place_of_another_size() -> None:
    net = chain(40, 160, 40, in_place=True)
    found = net.plan()
    assert found.size == 160
    assert len(set(found.places.values())) == 1


def test_scratch_is_counted_and_shared() -> None:
    net = Net([40])
    first = net.add(40, 0, scratch=64)
    net.add(40, first, scratch=60)
    found = net.plan()
    assert found.size == 40 + 40 + 64
    assert_sound(net, found)


def test_what_lies_outside_takes_nothing() -> None:
    net = chain(1000, 40, 60)
    assert net.plan(outside=[0]).size == 100
    assert 0 not in net.plan(outside=[0]).places


def test_nothing() -> None:
    assert plan([], []) == Plan((), {}, 0, ())


# ---- The nets of the issue, with their input in the arena


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (chain(490, *[8000] * 9, 64, 12, 12), 16000),
        (chain(640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640), 768),
        (chain(784, 1352, 432, 72, 18, 10, 10), 2136),
        (chain(1960, 4000, 4, 4), 5960),
    ],
    ids=["kws", "ad", "mnist", "micro_speech"],
)
def test_known_nets(net: Net, expected: int) -> None:
    found = net.plan()
    assert found.size == found.peak == expected
