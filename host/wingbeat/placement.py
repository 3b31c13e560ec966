"""Where tensors lie in the arena, once the order of the operators is known.

The problem is dynamic storage allocation: rectangles with a fixed extent in time get a lowest
address, and the highest end is to be small. Here a `Shape` may also be several tensors that start
at one address and take over from each other, so that its height changes with time.

References
----------
.. [1] M. D. Moffitt, "MiniMalloc: A Lightweight Memory Allocator for Hardware-Accelerated
   Machine Learning", ASPLOS 2023: canonical solutions by rising address, pruning by sections.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Memory with one lowest address.

    Attributes
    ----------
    first : int
        The step at which it is needed first.
    heights : tuple of int
        Bytes that are needed at that step and each one after it; none is 0.
    """

    first: int
    heights: tuple[int, ...]

    @property
    def end(self) -> int:
        """The step after the last one."""
        return self.first + len(self.heights)

    @property
    def top(self) -> int:
        """Most bytes."""
        return max(self.heights)

    @property
    def area(self) -> int:
        """Bytes times steps."""
        return sum(self.heights)


class Work:
    """A limit of work, counted in steps of inner loops: the same on every machine.

    Parameters
    ----------
    limit : int
    """

    def __init__(self, limit: int) -> None:
        self.left = limit

    def share(self, parts: int) -> Work:
        """One of so many parts of what is left, taken out of it."""
        share = max(self.left, 0) // parts
        self.left -= share
        return Work(share)

    def spend(self, amount: int) -> bool:
        """Whether there was that much left."""
        self.left -= amount
        return self.left >= 0


_ORDERS: tuple[Callable[[Shape], tuple[int, ...]], ...] = (
    lambda shape: (-shape.top,),
    lambda shape: (-shape.area,),
    lambda shape: (-len(shape.heights), -shape.top),
    lambda shape: (shape.first, -shape.top),
    lambda shape: (-shape.end, -shape.top),
)


def place(shapes: Sequence[Shape], most: int | None, work: Work) -> tuple[list[int], int]:
    """Give every shape an address.

    Parameters
    ----------
    shapes : sequence of Shape
    most : int or None
        Only an arena below this is of interest: no work is spent on others.
    work : Work
        What branch and bound may spend; first fit is always tried.

    Returns
    -------
    addresses : list of int
    size : int
        The highest end. At least `peak`; above it if there is no better place, or none was found.
    """
    if not shapes:
        return [], 0
    fit = _FirstFit(shapes)
    starts = [sorted(range(len(shapes)), key=lambda i: (*key(shapes[i]), i)) for key in _ORDERS]
    best, start = min(((fit.place(order), order) for order in starts), key=lambda each: each[0][1])
    least = peak(shapes)
    if most is not None and least >= most:
        return best
    if best[1] > least:
        found = _Search(shapes, least, work.share(4)).found()
        best = fit.improve(start, least, work.share(2)) if found is None else found
    while best[1] > least:
        found = _Search(shapes, best[1] - 1, work).found()
        if found is None:
            break
        best = found
    return best


def peak(shapes: Sequence[Shape]) -> int:
    """Most bytes that are needed at one step."""
    return max((sum(column) for column in _columns(shapes)), default=0)


def _columns(shapes: Sequence[Shape]) -> list[list[int]]:
    columns: list[list[int]] = [[] for _ in range(max(shape.end for shape in shapes))]
    for shape in shapes:
        for step, height in enumerate(shape.heights, shape.first):
            columns[step].append(height)
    return columns


class _FirstFit:
    """Places shapes one by one, each at the lowest address that is free."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        self._tops = [shape.top for shape in shapes]
        # For each shape: others, and the bytes below and above their address that it cannot use.
        self._near: list[list[tuple[int, int, int]]] = [
            [
                (number, *room)
                for number, other in enumerate(shapes)
                if other is not shape and (room := _room(shape, other)) is not None
            ]
            for shape in shapes
        ]

    def place(self, order: Sequence[int]) -> tuple[list[int], int]:
        """Addresses and the highest end."""
        addresses = [-1] * len(order)
        for index in order:
            taken = sorted(
                (addresses[other] - below, addresses[other] + above)
                for other, below, above in self._near[index]
                if addresses[other] >= 0
            )
            address = 0
            for low, high in taken:
                if low >= address:
                    break
                address = max(address, high)
            addresses[index] = address
        ends = [address + top for address, top in zip(addresses, self._tops, strict=True)]
        return addresses, max(ends)

    def improve(self, order: list[int], least: int, work: Work) -> tuple[list[int], int]:
        """Move a shape that ends too high to an earlier turn, as long as there is work left."""
        best = self.place(order)
        cost = len(order) + sum(map(len, self._near))
        random = 1
        while best[1] > least and work.spend(cost):
            addresses, size = best
            high = [turn for turn, i in enumerate(order) if addresses[i] + self._tops[i] > least]
            random = random * 1103515245 + 12345 & 0x7FFFFFFF
            turn = high[(random >> 8) % len(high)]
            random = random * 1103515245 + 12345 & 0x7FFFFFFF
            other = (random >> 8) % len(order)
            moved = order[:turn] + order[turn + 1 :]
            moved.insert(other if other < turn else 0, order[turn])
            found = self.place(moved)
            if found[1] <= size:
                best, order = found, moved
        return best


def _room(mine: Shape, other: Shape) -> tuple[int, int] | None:
    """Bytes below and above the other's address that are not free for `mine`."""
    first, end = max(mine.first, other.first), min(mine.end, other.end)
    if first >= end:
        return None
    below = max(mine.heights[step - mine.first] for step in range(first, end))
    above = max(other.heights[step - other.first] for step in range(first, end))
    return below, above


class _Search:
    """Branch and bound for addresses that end at or below `capacity`.

    Shapes are placed by rising address, each on top of what lies below it at any of its steps:
    every solution can be pressed down to one that is made so.
    """

    def __init__(self, shapes: Sequence[Shape], capacity: int, work: Work) -> None:
        self._shapes = shapes
        self._capacity = capacity
        self._work = work
        columns = _columns(shapes)
        self._floor = [0] * len(columns)
        self._rest = [sum(column) for column in columns]
        self._addresses = [0] * len(shapes)
        self._tops = [shape.top for shape in shapes]

    def found(self) -> tuple[list[int], int] | None:
        """Addresses and the highest end; None if there is nothing or the work is spent."""
        order = sorted(range(len(self._shapes)), key=lambda i: (-self._shapes[i].area, i))
        if max(self._rest) > self._capacity or not self._fill(order, 0):
            return None
        ends = [a + top for a, top in zip(self._addresses, self._tops, strict=True)]
        return list(self._addresses), max(ends)

    def _fill(self, unplaced: list[int], last: int) -> bool:
        if not unplaced:
            return True
        floors = [max(self._floor[self._shapes[i].first : self._shapes[i].end]) for i in unplaced]
        work = sum(len(self._shapes[i].heights) for i in unplaced) + len(self._floor)
        if not self._work.spend(work) or self._is_too_high(unplaced, floors, last):
            return False
        # Above this one, something could have been placed below.
        limit = min(
            max(floor, last) + self._tops[i] for i, floor in zip(unplaced, floors, strict=True)
        )
        tried: set[Shape] = set()
        ranked = sorted(zip(floors, range(len(unplaced)), strict=True))
        for address, position in ranked:
            shape = self._shapes[unplaced[position]]
            if not last <= address < limit or shape in tried:
                continue
            tried.add(shape)
            if self._try(unplaced, position, address):
                return True
            if self._work.left < 0:
                return False
        return False

    def _is_too_high(self, unplaced: list[int], floors: list[int], last: int) -> bool:
        capacity = self._capacity
        if any(
            max(floor, last) + self._tops[i] > capacity
            for i, floor in zip(unplaced, floors, strict=True)
        ):
            return True
        return any(
            rest and max(floor, last) + rest > capacity
            for floor, rest in zip(self._floor, self._rest, strict=True)
        )

    def _try(self, unplaced: list[int], position: int, address: int) -> bool:
        index = unplaced[position]
        shape = self._shapes[index]
        span = slice(shape.first, shape.end)
        floor, rest = self._floor[span], self._rest[span]
        self._floor[span] = [address + height for height in shape.heights]
        self._rest[span] = [r - height for r, height in zip(rest, shape.heights, strict=True)]
        self._addresses[index] = address
        if self._fill(unplaced[:position] + unplaced[position + 1 :], address):
            return True
        self._floor[span], self._rest[span] = floor, rest
        return False
