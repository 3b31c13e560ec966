"""Rules of operators that move elements without changing them."""

from __future__ import annotations

from collections.abc import Mapping

from wingbeat.errors import FormatError
from wingbeat.net.model import Node
from wingbeat.net.rule import Lowering, Rule, expect_size
from wingbeat.net.simplify import RESHAPES


def _reshape(net: Lowering, node: Node) -> None:
    source, result = net.tensors[net.source(node)], net.tensors[node.outputs[0]]
    expect_size(result, source.n_elements)
    if source.dtype != result.dtype:
        raise FormatError(f"it makes {result.dtype} of {source.dtype}")
    net.alias(node.outputs[0], net.source(node))


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(RESHAPES, _reshape),
}
