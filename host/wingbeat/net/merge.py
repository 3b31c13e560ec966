"""Two steps that one operator can do at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from wingbeat.errors import UsageError
from wingbeat.net.model import Tensor
from wingbeat.net.rule import Step
from wingbeat.reference import Operator
from wingbeat.reference.gather import Gather, gather
from wingbeat.reference.lookup import Lookup


def merge(
    steps: Sequence[Step], tensors: Mapping[int, Tensor], kept: Collection[int]
) -> list[Step]:
    """The steps, where look-ups in a row are one look-up, and gathers in a row one gather.

    Parameters
    ----------
    steps : sequence of Step
        In the order in which they run; their operands are the places of tensors.
    tensors : mapping of int to Tensor
    kept : collection of int
        Tensors that are needed in the end.
    """
    uses: dict[int, int] = dict.fromkeys(kept, 1)
    for step in steps:
        for operand in step.inputs:
            uses[operand] = uses.get(operand, 0) + 1
    merged: list[Step] = []
    makers: dict[int, int] = {}
    for step in steps:
        before = makers.get(step.inputs[0]) if len(step.inputs) == 1 else None
        if before is not None and uses[step.inputs[0]] == 1:
            first = merged[before]
            both = _both(first.operator, step.operator, tensors[step.outputs[0]].shape)
            if both is not None:
                step = replace(step, operator=both, inputs=first.inputs)
                del merged[before]
                makers = {
                    output: at - (at > before) for output, at in makers.items() if at != before
                }
        makers.update((output, len(merged)) for output in step.outputs)
        merged.append(step)
    return merged


def _both(first: Operator, second: Operator, shape: tuple[int, ...]) -> Operator | None:
    """One operator for two, or None."""
    if isinstance(first, Lookup) and isinstance(second, Lookup):
        table = second.table[first.table.view(np.uint8)]
        return Lookup(table, first.n_elements, first.typecode)
    if isinstance(first, Gather) and isinstance(second, Gather):
        try:
            places = first.positions()[second.positions()]
            return gather(first.n_inputs, places.reshape(shape))
        except UsageError:
            return None
    return None
