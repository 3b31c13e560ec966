"""Where each tensor lies in the arena.

Tensors that are never alive at the same time share memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ALIGNMENT = 4


@dataclass(frozen=True)
class Lifetime:
    """A tensor's size and the operators between which it must be kept.

    Attributes
    ----------
    size : int
        Bytes.
    first, last : int
        Number of the operator that writes it first, and of the one that reads it last.
    """

    size: int
    first: int
    last: int


def plan_arena(lifetimes: Sequence[Lifetime]) -> tuple[list[int], int]:
    """Place every tensor, the largest first, each at the lowest free address.

    Returns
    -------
    places : list of int
        Byte offset of each tensor, a multiple of 4.
    size : int
        Bytes of the arena, a multiple of 4.
    """
    order = sorted(range(len(lifetimes)), key=lambda index: (-lifetimes[index].size, index))
    places: dict[int, int] = {}
    for index in order:
        mine = lifetimes[index]
        taken = sorted(
            (place, place + _aligned(lifetimes[other].size))
            for other, place in places.items()
            if lifetimes[other].first <= mine.last and mine.first <= lifetimes[other].last
        )
        address = 0
        for start, end in taken:
            if address + _aligned(mine.size) <= start:
                break
            address = max(address, end)
        places[index] = address
    size = max((places[i] + _aligned(lifetimes[i].size) for i in places), default=0)
    return [places[index] for index in range(len(lifetimes))], size


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
