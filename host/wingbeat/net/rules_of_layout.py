"""Rules of operators that move elements without changing them."""

from __future__ import annotations

from collections.abc import Mapping

from wingbeat.net.model import Node
from wingbeat.net.rule import Lowering, Rule, expect_size
from wingbeat.net.simplify import RESHAPES


def _reshape(net: Lowering, node: Node) -> None:
    source, result = net.source(node), node.outputs[0]
    expect_size(net.tensors[result], net.tensors[source].n_elements)
    net.alias(result, source)


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(RESHAPES, _reshape),
}
