"""In which order operators run, and where each tensor lies in the arena.

A tensor is alive from the operator that writes it to the last one that reads it. No arena is
smaller than the *peak*: the most bytes that are alive at once. The peak depends on the order of
the operators; whether an arena of that size exists depends on where the tensors lie.

1. **Order.** States are the sets of operators that have run; what is alive depends on that set
   alone. A best-first search by the largest peak on the way finds the least one. A ready operator
   that stays within the peak so far and leaves no more alive than before is run at once: moving
   it to the front of any order raises no step of it. So chains are walked, not searched.
2. **Places.** First fit in several orders of the tensors; where none gives an arena of the peak,
   branch and bound over the tensors by rising address [1]_.
3. Where the peak's arena does not exist for that order, other orders are tried.

All of it counts its work and stops at a limit, so that the same program gets the same plan
everywhere. Sizes and addresses are bytes, rounded up to a multiple of 4.

References
----------
.. [1] M. D. Moffitt, "MiniMalloc: A Lightweight Memory Allocator for Hardware-Accelerated
   Machine Learning", ASPLOS 2023: canonical solutions, pruning by sections.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product
from typing import TypeAlias

from .placement import Shape, Work, place

ALIGNMENT = 4

_MOST_STATES = 20_000  # of the search for an order
_BEAM = 32  # states of one length that are kept when there are too many
_MOST_ORDERS = 200  # tried when the first one cannot be placed within its peak
_MOST_CHOICES = 16  # of in-place pairs, per order
_MOST_WORK = 3_000_000  # additions and comparisons of branch and bound, about a second

_Pair: TypeAlias = "tuple[int, int]"


@dataclass(frozen=True)
class Step:
    """An operator as the planner sees it. All are tensor numbers.

    Attributes
    ----------
    reads, writes : tuple of int
        Inputs and outputs.
    scratch : tuple of int
        Memory that only this operator uses.
    in_place : tuple of (int, int)
        Pairs of a tensor that is read and one that is written, which may start at the same
        address if nothing reads the first one later.
    """

    reads: tuple[int, ...]
    writes: tuple[int, ...]
    scratch: tuple[int, ...] = ()
    in_place: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Plan:
    """What `plan` found.

    Attributes
    ----------
    order : tuple of int
        Numbers of the steps, as they run.
    places : dict of int to int
        Address of each tensor, a multiple of 4.
    size : int
        Bytes of the arena, a multiple of 4.
    live : tuple of int
        Bytes that are alive at each step of `order`. `size` is at least their maximum.
    """

    order: tuple[int, ...]
    places: dict[int, int]
    size: int
    live: tuple[int, ...]

    @property
    def peak(self) -> int:
        """Most bytes that are alive at once."""
        return max(self.live, default=0)


def plan(
    steps: Sequence[Step],
    sizes: Sequence[int],
    *,
    kept: Collection[int] = (),
    outside: Collection[int] = (),
    fixed: Collection[int] = (),
) -> Plan:
    """Find an order of the steps and a place for every tensor, so that the arena is small.

    Parameters
    ----------
    steps : sequence of Step
        In an order in which they can run. Each tensor is written by one step at most; what no
        step writes is there from the start.
    sizes : sequence of int
        Bytes of each tensor.
    kept : collection of int
        Tensors that must be there at the end.
    outside : collection of int
        Tensors that are not in the arena, such as the model's input.
    fixed : collection of int
        Numbers of steps that keep their place: what is in front of one stays there, and what is
        behind it does too.
    """
    graph = _Graph(steps, [aligned(size) for size in sizes], frozenset(kept), frozenset(outside))
    graph.keep_places(fixed)
    first, work = graph.best_order(), Work(_MOST_WORK)
    best = _place_order(graph, first, None, work)
    least = graph.peak(first)
    if best.size > least:
        for order in islice(graph.orders(best.size), _MOST_ORDERS):
            found = _place_order(graph, order, best.size, work)
            best = min(best, found, key=lambda each: each.size)
            if best.size == least or work.left < 0:
                break
    return best


def aligned(size: int) -> int:
    """Bytes that a tensor takes: up to the next multiple of 4."""
    return -(-size // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True)
class _Moment:
    """What one step does to memory after a set of others."""

    alive: int  # bytes, before it
    taken: int  # bytes that it adds while it runs, without pairs
    after: int  # bytes that are alive after it
    pairs: tuple[tuple[int, tuple[_Pair, ...]], ...]  # choices: bytes saved, the largest first

    @property
    def least(self) -> int:
        return self.alive + self.taken - self.pairs[0][0]


class _Graph:
    """The steps and what they need; sets of steps are bit masks."""

    def __init__(
        self,
        steps: Sequence[Step],
        sizes: Sequence[int],
        kept: frozenset[int],
        outside: frozenset[int],
    ) -> None:
        self.steps = steps
        self.sizes = [0 if index in outside else size for index, size in enumerate(sizes)]
        self.kept = kept
        self.outside = outside
        self.readers = [0] * len(sizes)
        writer: dict[int, int] = {}
        for number, step in enumerate(steps):
            for index in step.reads:
                self.readers[index] |= 1 << number
            for index in step.writes:
                writer[index] = number
        self.needs = [
            sum(1 << before for before in {writer[i] for i in step.reads if i in writer})
            for step in steps
        ]
        used = {index for step in steps for index in (*step.reads, *step.writes)} | kept
        self.first = [index for index in sorted(used) if index not in writer]
        self.alive = sum(self.sizes[index] for index in self.first)

    def keep_places(self, fixed: Collection[int]) -> None:
        """Let steps need all in front of them, and those behind need them."""
        for number in fixed:
            self.needs[number] |= (1 << number) - 1
            for behind in range(number + 1, len(self.steps)):
                self.needs[behind] |= 1 << number

    def moment(self, done: int, alive: int, number: int) -> _Moment:
        """Run a step after the steps `done`, which left `alive` bytes."""
        step, now = self.steps[number], done | 1 << number
        dying = {i for i in step.reads if i not in self.kept and not self.readers[i] & ~now}
        dropped = [i for i in step.writes if i not in self.kept and not self.readers[i]]
        written = sum(self.sizes[index] for index in step.writes)
        freed = sum(self.sizes[index] for index in (*dying, *dropped))
        legal = [
            pair for pair in step.in_place if pair[0] in dying and not self.outside & set(pair)
        ]
        return _Moment(
            alive,
            written + sum(self.sizes[index] for index in step.scratch),
            alive + written - freed,
            self._choices(legal),
        )

    def _choices(self, legal: list[_Pair]) -> tuple[tuple[int, tuple[_Pair, ...]], ...]:
        found = []
        for count in range(len(legal) + 1):
            for pairs in combinations(legal, count):
                if len({a for a, _ in pairs}) == count == len({b for _, b in pairs}):
                    saved = sum(min(self.sizes[a], self.sizes[b]) for a, b in pairs)
                    found.append((saved, pairs))
        return tuple(sorted(found, key=lambda choice: -choice[0]))

    def ready(self, done: int) -> list[int]:
        """Steps that can run next."""
        return [
            number
            for number, needs in enumerate(self.needs)
            if not done >> number & 1 and not needs & ~done
        ]

    def moments(self, order: Sequence[int]) -> list[_Moment]:
        """What each step of an order does."""
        done, alive, found = 0, self.alive, []
        for number in order:
            found.append(self.moment(done, alive, number))
            done |= 1 << number
            alive = found[-1].after
        return found

    def peak(self, order: Sequence[int]) -> int:
        """Most bytes that are alive at once in an order, with the best pairs."""
        return max((moment.least for moment in self.moments(order)), default=0)

    # ---- Orders

    def best_order(self) -> tuple[int, ...]:
        """The order with the least peak; the given one if it is as good."""
        given = tuple(range(len(self.steps)))
        most, least = self.peak(given), self._least_of_any_step()
        state = _State(least, 0, self.alive, ())
        queue, seen, count = [(least, 0, 0, state)], {0}, 0
        while queue and least < most:
            *_, state = heapq.heappop(queue)
            state = self._run_forced(state)
            if len(state.order) == len(self.steps):
                return state.order
            count += 1
            if count > _MOST_STATES:
                return self._beam(least, most) or given
            for following in self._followers(state, most):
                if following.done not in seen:
                    seen.add(following.done)
                    entry = (following.peak, -len(following.order), len(seen), following)
                    heapq.heappush(queue, entry)
        return given

    def orders(self, below: int) -> Iterator[tuple[int, ...]]:
        """Orders with a peak below a limit."""
        stack = [_State(0, 0, self.alive, ())]
        count = 0
        while stack and count < _MOST_STATES:
            state = stack.pop()
            count += 1
            if len(state.order) == len(self.steps):
                yield state.order
            stack += reversed(self._followers(state, below))

    def _least_of_any_step(self) -> int:
        """What a step takes in any order: its own operands."""
        least = 0
        for number, step in enumerate(self.steps):
            moment = self.moment(~0, 0, number)
            read = sum(self.sizes[index] for index in set(step.reads))
            least = max(least, read + moment.taken - moment.pairs[0][0])
        return least

    def _follow(self, state: _State, number: int) -> _State:
        moment = self.moment(state.done, state.alive, number)
        return _State(
            max(state.peak, moment.least),
            state.done | 1 << number,
            moment.after,
            (*state.order, number),
        )

    def _followers(self, state: _State, most: int) -> list[_State]:
        found = [self._follow(state, number) for number in self.ready(state.done)]
        return [following for following in found if following.peak < most]

    def _run_forced(self, state: _State) -> _State:
        """Run what raises neither the peak nor what is alive."""
        while True:
            for number in self.ready(state.done):
                following = self._follow(state, number)
                if following.peak == state.peak and following.alive <= state.alive:
                    state = following
                    break
            else:
                return state

    def _beam(self, least: int, most: int) -> tuple[int, ...] | None:
        """A good order, below `most`, where the search for the best one takes too long."""
        states = [_State(least, 0, self.alive, ())]
        while states and len(states[0].order) < len(self.steps):
            found = {
                following.done: following
                for state in reversed(states)
                for following in self._followers(state, most)
            }
            ranked = sorted(found.values(), key=lambda each: (each.peak, each.alive, each.order))
            states = ranked[:_BEAM]
        return states[0].order if states else None


@dataclass(frozen=True)
class _State:
    peak: int
    done: int
    alive: int
    order: tuple[int, ...]


def _place_order(graph: _Graph, order: tuple[int, ...], below: int | None, work: Work) -> Plan:
    """The best plan of an order; `below` is the size that it has to beat."""
    moments = graph.moments(order)
    least = max((moment.least for moment in moments), default=0)
    choices = []
    for moment in moments:
        whole = moment.alive + moment.taken
        choices.append([c for c in moment.pairs if below is None or whole - c[0] < below])
    best: Plan | None = None
    for chosen in islice(product(*choices), _MOST_CHOICES):
        shapes, members = _shapes(graph, order, [pairs for _, pairs in chosen])
        addresses, size = place(shapes, None if best is None else best.size, work)
        if best is None or size < best.size:
            live = tuple(
                moment.alive + moment.taken - saved
                for moment, (saved, _) in zip(moments, chosen, strict=True)
            )
            places = {
                index: address
                for address, group in zip(addresses, members, strict=True)
                for index in group
            }
            best = Plan(order, places, size, live)
        if best.size == least or work.left < 0:
            break
    assert best is not None
    return best


def _shapes(
    graph: _Graph, order: Sequence[int], pairs: Sequence[tuple[_Pair, ...]]
) -> tuple[list[Shape], list[list[int]]]:
    """What has to be placed, and the tensors of each."""
    spans = _spans(graph, order)
    heads = {index: index for index in spans}
    for each in pairs:
        for read, written in each:
            heads[written] = heads[read]
    groups: dict[int, list[int]] = {}
    for index in spans:
        groups.setdefault(heads[index], []).append(index)
    shapes = []
    for group in groups.values():
        first = min(spans[index][0] for index in group)
        end = 1 + max(spans[index][1] for index in group)
        heights = [0] * (end - first)
        for index in group:
            for step in range(spans[index][0] - first, spans[index][1] + 1 - first):
                heights[step] = max(heights[step], graph.sizes[index])
        shapes.append(Shape(first, tuple(heights)))
    return shapes, list(groups.values())


def _spans(graph: _Graph, order: Sequence[int]) -> dict[int, tuple[int, int]]:
    """First and last step of every tensor in the arena."""
    spans = dict.fromkeys(graph.first, (0, 0))
    for position, number in enumerate(order):
        step = graph.steps[number]
        for index in (*step.reads, *step.writes, *step.scratch):
            spans[index] = (spans[index][0] if index in spans else position, position)
    for index in graph.kept:
        spans[index] = (spans[index][0], len(order))
    return {index: span for index, span in spans.items() if graph.sizes[index]}
