"""From a neutral forest to the operator that boards run: thresholds, leaves and blocks as integers.

Nothing here changes a comparison: a threshold becomes the largest integer (or float32) that is
not above it, so every row takes the same path as in the source. Leaves are rounded; `Encoding`
says to how many bits, and whether that could change an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError, UnsupportedModelError, UsageError
from ..reference import DTYPES
from ..reference.forest import (
    EXIT,
    FEATURES,
    MAX_BYTE_WEIGHT,
    MAX_NODES,
    MAX_OUTPUTS,
    MAX_WEIGHTS,
    N_EXITS,
    PAIR_CLASSES,
    SHORT_SUMS,
    Block,
    ForestWalk,
    Leaves,
    float_key,
    max_features,
)
from .model import Forest, Tree

_RANGES = {"b": (-128, 127), "B": (0, 255), "h": (-(2**15), 2**15 - 1)}
_PLUS_INFINITY = 0x7F800000
_MAX_SUM = 2**30 - 1  # what predict returns stays a small int on 32-bit boards
_CANDIDATES = 12

Missing = Literal["follow", "right"]


@dataclass(frozen=True)
class Encoding:
    """An operator, and what its rounding costs.

    Attributes
    ----------
    operator : ForestWalk
    scale : float
        Real value of 1 in the operator's sums: a share of all votes, a score or a value.
    leaf_bits : int
        Bits that the leaves were rounded to.
    exact_leaves : float
        Share of the leaves that needed no rounding.
    rows_checked, rows_changed : int
        Rows that the class was compared on, and rows where rounding changed it.
    """

    operator: ForestWalk
    scale: float
    leaf_bits: int
    exact_leaves: float
    rows_checked: int = 0
    rows_changed: int = 0


def encode_forest(
    forest: Forest,
    typecode: str,
    *,
    rows: NDArray[Any] | None = None,
    missing: Missing = "right",
    unit: float | None = None,
) -> Encoding:
    """Encode `forest` for features of the dtype `typecode`.

    Parameters
    ----------
    forest : Forest
    typecode : str
        "B" uint8, "b" int8, "h" int16 or "f" float32.
    rows : array [rows, n_features], optional
        On these the class is compared with the source's; more bits are spent on the leaves
        until it is the same.
    missing : {"right", "follow"}
        "follow" sends a NaN where the source sends it, at one more node for each node where
        that is left; "right" sends it right, as what is larger than all numbers. A NaN with its
        sign bit set is below all numbers instead.
    unit : float, optional
        For sums of values: real value of 1 in the sums. By default as fine as int32 allows.

    Raises
    ------
    UsageError
        `forest` compares integers and `typecode` is "f".
    UnsupportedModelError
        More features or outputs than the format can name.
    """
    _refuse_what_does_not_fit(forest, typecode)
    trees = [_simplify(tree, forest, typecode, missing) for tree in forest.trees]
    if forest.task == "regress" or forest.link != "none":
        return _encode_values(forest, typecode, trees, unit, rows)
    return _encode_votes(forest, typecode, trees, rows)


def _refuse_what_does_not_fit(forest: Forest, typecode: str) -> None:
    if forest.integer_only and typecode == "f":
        raise UsageError(
            "this model compares integers: choose an input dtype of int16, int8 or uint8,"
            " not float32"
        )
    if forest.n_features > max_features(typecode):
        raise UnsupportedModelError(
            f"{forest.n_features} features of this dtype: at most {max_features(typecode)} can be"
            " named; use fewer features"
        )
    if forest.n_outputs > MAX_OUTPUTS:
        raise UnsupportedModelError(
            f"{forest.n_outputs} outputs: at most {MAX_OUTPUTS} are possible"
        )


# ---- Trees with integer thresholds


@dataclass
class _Node:
    feature: int
    threshold: int
    guarded: bool  # a second node in front sends NaN to the left
    left: _Node | int  # a leaf is the number of the source's node
    right: _Node | int


_Child = _Node | int


def integer_thresholds(threshold: NDArray[np.float64], typecode: str) -> NDArray[np.int64]:
    """Largest value of the dtype that is not above each threshold, as the operator compares it.

    For an integer dtype, one below the smallest value if there is none.
    """
    if typecode == "f":
        with np.errstate(over="ignore"):
            rounded = threshold.astype(np.float32)
        above = rounded.astype(np.float64) > threshold
        with np.errstate(over="ignore"):
            rounded[above] = np.nextafter(rounded[above], np.float32(-np.inf))
        # -0.0 is equal to 0.0 but orders below it.
        return float_key(rounded + np.float32(0.0)).astype(np.int64)
    low, high = _RANGES[typecode]
    return np.floor(np.clip(threshold, low - 1, high)).astype(np.int64)


def _simplify(tree: Tree, forest: Forest, typecode: str, missing: Missing) -> _Child:
    """The tree without nodes that no value of the dtype can tell apart."""
    thresholds = integer_thresholds(tree.threshold, typecode)
    follow = missing == "follow" and forest.handles_missing and typecode == "f"
    made: dict[int, _Child] = {}
    for index in range(tree.n_nodes - 1, -1, -1):
        if tree.feature[index] < 0:
            made[index] = index
            continue
        left, right = made.pop(int(tree.left[index])), made.pop(int(tree.right[index]))
        threshold = int(thresholds[index])
        if typecode != "f" and threshold >= _RANGES[typecode][1]:
            made[index] = left
        elif typecode != "f" and threshold < _RANGES[typecode][0]:
            made[index] = right
        else:
            guarded = follow and bool(tree.missing_left[index])
            made[index] = _Node(int(tree.feature[index]), threshold, guarded, left, right)
    return made[0]


# ---- Votes


def _encode_votes(
    forest: Forest, typecode: str, trees: list[_Child], rows: NDArray[Any] | None
) -> Encoding:
    votes = _Votes(forest, rows)
    best: tuple[int, Leaves, int] | None = None
    for leaves, full_weight in votes.candidates():
        changed = votes.rows_changed(full_weight)
        if best is None or changed < best[0]:
            best = changed, leaves, full_weight
        if changed == 0:
            break
    if best is None:
        raise UnsupportedModelError(f"{len(trees)} trees: too many votes for an int32")
    changed, leaves, full_weight = best
    tables = [votes.weights(tree, full_weight) for tree in forest.trees]
    weights = []
    if leaves is Leaves.TABLE:
        weights = sorted({int(w) for table in tables for row in table for w in _partial(row)})
    position = {weight: index for index, weight in enumerate(weights or range(MAX_WEIGHTS))}

    def payload(tree_number: int, leaf: int) -> tuple[int, ...]:
        row = tables[tree_number][leaf]
        classes = np.flatnonzero(row)
        if leaves in SHORT_SUMS:
            return _pair_record(row, position)
        return _wide_record(classes, row, full_weight, forest.n_outputs <= N_EXITS // 2)

    operator = _pack(forest, typecode, leaves, full_weight, weights, trees, payload)
    return Encoding(
        operator,
        1.0 / (full_weight * len(trees)),
        full_weight.bit_length(),
        votes.exact_share(full_weight),
        votes.rows_checked,
        changed,
    )


def _rising(row: NDArray[np.int64]) -> NDArray[np.intp]:
    """Classes with votes, the one with most of them last: it gets what the others leave."""
    classes = np.flatnonzero(row)
    return classes[np.argsort(row[classes], kind="stable")]


def _partial(row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Weights of all classes but the last."""
    return row[_rising(row)[:-1]]


def _pair_record(row: NDArray[np.int64], position: dict[int, int]) -> tuple[int, ...]:
    classes = _rising(row)
    if len(classes) == 1:
        return (-int(classes[0]) - 1,)
    following = [*classes[:-2], classes[-1]]
    return tuple(
        int(second) << 12 | int(first) << 8 | position[int(row[first])]
        for first, second in zip(classes[:-1], following, strict=True)
    )


def _wide_record(
    classes: NDArray[np.intp], row: NDArray[np.int64], full_weight: int, direct: bool
) -> tuple[int, ...]:
    if direct and len(classes) == 1 and row[classes[0]] == full_weight:
        return (-int(classes[0]) - 1,)
    record: list[int] = []
    for index, number in enumerate(classes):
        last = 0x8000 if index == len(classes) - 1 else 0
        record += [int(number) | last, int(row[number])]
    return tuple(record)


class _Votes:
    """Rounding of the leaves' class shares, and what it does to the classes of some rows."""

    def __init__(self, forest: Forest, rows: NDArray[Any] | None) -> None:
        self.forest = forest
        self.shares = [tree.value for tree in forest.trees]
        leaves = [tree.leaves for tree in forest.trees]
        kept = [shares[at] for shares, at in zip(self.shares, leaves, strict=True)]
        self.sums_to_one = all(np.allclose(rows.sum(axis=1), 1.0, atol=1e-9) for rows in kept)
        self.impure = np.concatenate(kept)
        self.impure = self.impure[self.impure.max(axis=1) < 1.0]
        self.totals = self._totals()
        self.n_leaves = sum(map(len, kept))
        self.expected: NDArray[np.int64] | None = None
        self.rows_checked = 0 if rows is None else len(rows)
        if rows is not None and len(rows):
            x = np.asarray(rows, dtype=np.float32)
            self.expected = np.asarray(forest.predict(x), dtype=np.int64)
            self.leaf_of_row = [tree.apply(x) for tree in forest.trees]

    def _totals(self) -> NDArray[np.int64] | None:
        if any(tree.total is None for tree in self.forest.trees):
            return None
        totals = [np.asarray(tree.total)[tree.leaves] for tree in self.forest.trees]
        return np.concatenate(totals)

    def candidates(self) -> list[tuple[Leaves, int]]:
        """Kinds of leaves and full weights to try, the cheapest first."""
        n_trees = len(self.forest.trees)
        found: list[tuple[Leaves, int]] = []
        narrow = 0xFFFF // n_trees
        if self.forest.n_outputs <= PAIR_CLASSES and self.sums_to_one:
            limit = min(MAX_BYTE_WEIGHT, narrow)
            found += [(Leaves.PAIRS, weight) for weight in self._best_weights(limit)]
            found += [
                (Leaves.TABLE, weight)
                for weight in self._best_weights(narrow)
                if self._n_weights(weight) <= MAX_WEIGHTS
            ]
        if self.expected is None:
            # Nothing to try them on: only what rounds nothing is safe with few bits.
            found = [(kind, weight) for kind, weight in found if self.exact_share(weight) == 1.0]
        wide = min(0xFFFF, _MAX_SUM // n_trees)
        return found + [(Leaves.WIDE, weight) for weight in self._best_weights(wide)]

    def _best_weights(self, limit: int) -> list[int]:
        """Full weights up to `limit`: those that leave most shares exact, then the largest."""
        weights = np.arange(limit, max(limit // 2, 1) - 1, -1)
        if self.totals is not None:
            totals, counts = np.unique(self.totals, return_counts=True)
            exact = (weights[:, None] % totals[None, :] == 0) @ counts
            weights = weights[np.argsort(-exact, kind="stable")]
        return [int(weight) for weight in weights[:_CANDIDATES] if weight >= 1]

    def _n_weights(self, full_weight: int) -> int:
        rounded = np.rint(self.impure * full_weight).astype(np.int64)
        return len(np.unique(rounded)) if len(rounded) else 0

    def weights(self, tree: Tree, full_weight: int) -> NDArray[np.int64]:
        """Integer weights [n_nodes, n_outputs]; each row of shares sums to `full_weight`."""
        if tree.counts is not None and tree.total is not None:
            total = tree.total[:, None]
            rounded = (2 * tree.counts * full_weight + total) // (2 * total)
        else:
            rounded = np.rint(tree.value * full_weight).astype(np.int64)
        if self.sums_to_one:
            largest = rounded.argmax(axis=1)
            at = np.arange(len(rounded))
            rounded[at, largest] += full_weight - rounded.sum(axis=1)
        return np.asarray(rounded, dtype=np.int64)

    def exact_share(self, full_weight: int) -> float:
        """Share of the leaves that `full_weight` holds without rounding."""
        if self.totals is None:
            products = self.impure * full_weight
            rounded = np.any(np.abs(products - np.rint(products)) > 1e-6, axis=1)
            return 1.0 - float(rounded.sum()) / self.n_leaves
        return float(np.mean(full_weight % self.totals == 0))

    def rows_changed(self, full_weight: int) -> int:
        """Rows whose class is another one with these weights."""
        if self.expected is None:
            return 0
        sums = np.zeros((len(self.expected), self.forest.n_outputs), dtype=np.int64)
        for tree, leaf in zip(self.forest.trees, self.leaf_of_row, strict=True):
            sums += self.weights(tree, full_weight)[leaf]
        return int(np.sum(sums.argmax(axis=1) != self.expected))


# ---- Values


def _encode_values(
    forest: Forest,
    typecode: str,
    trees: list[_Child],
    unit: float | None,
    rows: NDArray[Any] | None,
) -> Encoding:
    values = _leaf_values(forest)
    n_trees = max(len(values), forest.n_outputs)
    largest = np.zeros(forest.n_outputs)
    for number in range(n_trees):
        table = values[number] if number < len(values) else np.zeros(1)
        largest[number % forest.n_outputs] += np.abs(table).max()
    largest += np.abs(forest.base)
    room = (_MAX_SUM - n_trees) / max(float(largest.max()), 2.0**-30)
    if unit is None:
        bits = min(int(np.floor(np.log2(room))), 30)
        unit = 2.0**-bits
    elif 1 / unit > room:
        raise UsageError(
            f"an output step this fine does not fit into 31 bits: sums reach {largest.max():g};"
            " choose a coarser output scale"
        )
    while len(values) < n_trees:
        trees = [*trees, 0]
        values.append(np.zeros(1))
    for number in range(forest.n_outputs):
        values[number] = values[number] + forest.base[number]
    tables = [np.rint(table / unit).astype(np.int64) for table in values]
    if forest.is_binary_score and forest.positive_at_zero:
        tables[0] += 1

    def payload(tree_number: int, leaf: int) -> tuple[int, ...]:
        return (int(tables[tree_number][leaf]),)

    operator = _pack(forest, typecode, Leaves.VALUES, 0, [], trees, payload)
    if rows is None or forest.task == "regress":
        return Encoding(operator, unit, 32, 0.0)
    sums = operator.apply(np.asarray(rows).astype(DTYPES[typecode]))[0]
    decided = sums[:, 0] > 0 if forest.is_binary_score else sums.argmax(axis=1)
    changed = int(np.sum(decided != forest.predict(np.asarray(rows, dtype=np.float32))))
    return Encoding(operator, unit, 32, 0.0, len(rows), changed)


def _leaf_values(forest: Forest) -> list[NDArray[np.float64]]:
    """Per tree, what each node's leaf adds to its one output."""
    tables = []
    for number, tree in enumerate(forest.trees):
        if tree.value.shape[1] != 1 or tree.output != number % forest.n_outputs:
            raise ModelError("trees of a sum must give one value each, to the outputs in turn")
        tables.append(tree.value[:, 0] / forest.divisor)
    return tables


# ---- Blocks


class _Packer:
    """Cuts trees into blocks and writes them.

    A leaf's payload is its record; a single negative number stands for a whole vote: exit
    `-payload - 1`.
    """

    def __init__(self, leaves: Leaves, direct: int) -> None:
        self.direct = direct
        self.slots_of_value = 1 if leaves is Leaves.VALUES else 0
        self.blocks: list[Block] = []

    def slots(self, payload: tuple[int, ...]) -> int:
        if self.slots_of_value:
            return 1
        return 0 if payload[0] < 0 else len(payload)

    def pack(self, root: _Child, payloads: dict[int, tuple[int, ...]]) -> int:
        """Append the blocks of one tree; the number of the first."""
        if isinstance(root, int):
            root = _Node(0, 0, False, root, root)
        cuts = self._cut(root, payloads)
        first = len(self.blocks)
        order = [root]
        number_of: dict[int, int] = {}
        drafts: list[tuple[_Node, list[_Node]]] = []
        while order:
            node = order.pop()
            number_of[id(node)] = first + len(drafts)
            jumps = _targets(node, cuts)
            drafts.append((node, jumps))
            order += reversed(jumps)
        for node, jumps in drafts:
            numbers = [number_of[id(target)] for target in jumps]
            self.blocks.append(self._emit(node, cuts, payloads, jumps, numbers))
        return first

    def _cut(self, root: _Node, payloads: dict[int, tuple[int, ...]]) -> set[int]:
        """Nodes (by id) that start a block, found from the leaves up."""
        cuts: set[int] = set()
        nodes = _preorder(root)
        sizes: dict[int, tuple[int, int, int]] = {}
        for node in reversed(nodes):
            sizes[id(node)] = self._fit(node, cuts, sizes, payloads)
        return cuts

    def _fit(
        self,
        node: _Node,
        cuts: set[int],
        sizes: dict[int, tuple[int, int, int]],
        payloads: dict[int, tuple[int, ...]],
    ) -> tuple[int, int, int]:
        """Nodes, slots and largest record of the part of the block below `node`."""

        def size(child: _Child) -> tuple[int, int, int]:
            if isinstance(child, int):
                slots = self.slots(payloads[child])
                return 0, slots, slots
            return (0, 1, 0) if id(child) in cuts else sizes[id(child)]

        while True:
            left, right = size(node.left), size(node.right)
            n_nodes = 1 + node.guarded + left[0] + right[0]
            slots, largest = left[1] + right[1], max(left[2], right[2])
            # Exits name where a record starts: the largest comes last and may reach beyond.
            if n_nodes <= MAX_NODES and slots - max(largest - 1, 0) <= N_EXITS - self.direct:
                return n_nodes, slots, largest
            side = "left" if left[:2] >= right[:2] else "right"
            child = getattr(node, side)
            if isinstance(child, int):
                child = _Node(0, 0, False, child, child)
                sizes[id(child)] = (1, 0, 0)
                setattr(node, side, child)
            cuts.add(id(child))

    def _emit(
        self,
        root: _Node,
        cuts: set[int],
        payloads: dict[int, tuple[int, ...]],
        jumps: list[_Node],
        jump_numbers: list[int],
    ) -> Block:
        nodes = _preorder(root, cuts)
        starts: dict[int, int] = {}
        count = 0
        for node in nodes:
            starts[id(node)] = count
            count += 1 + node.guarded
        records = self._records(nodes, payloads)
        jump_at = {id(node): index for index, node in enumerate(jumps)}

        def reference(child: _Child) -> int:
            if isinstance(child, int):
                payload = payloads[child]
                if not self.slots_of_value and payload[0] < 0:
                    return EXIT - payload[0] - 1
                return EXIT + self.direct + records[payload]
            if id(child) in jump_at:
                return EXIT + N_EXITS - len(jumps) + jump_at[id(child)]
            return starts[id(child)]

        columns: list[list[int]] = [[], [], [], []]
        for node in nodes:
            left, right = reference(node.left), reference(node.right)
            if node.guarded:
                row = node.feature, _PLUS_INFINITY, starts[id(node)] + 1, left
                for column, value in zip(columns, row, strict=True):
                    column.append(value)
            row = node.feature, node.threshold, left, right
            for column, value in zip(columns, row, strict=True):
                column.append(value)
        leaves = tuple(entry for record in records for entry in record)
        features, thresholds, lefts, rights = map(tuple, columns)
        return Block(features, thresholds, lefts, rights, leaves, tuple(jump_numbers))

    def _records(
        self, nodes: list[_Node], payloads: dict[int, tuple[int, ...]]
    ) -> dict[tuple[int, ...], int]:
        """Where each distinct record of the block starts; the largest comes last."""
        distinct: dict[tuple[int, ...], int] = {}
        for node in nodes:
            for child in (node.left, node.right):
                if isinstance(child, int) and self.slots(payloads[child]):
                    distinct[payloads[child]] = 0
        position = 0
        for record in sorted(distinct, key=len):
            distinct[record] = position
            position += len(record)
        return {record: distinct[record] for record in sorted(distinct, key=distinct.__getitem__)}


def _preorder(root: _Node, cuts: set[int] | None = None) -> list[_Node]:
    """Nodes below `root`, parents first; without what `cuts` start, if given."""
    nodes, stack = [], [root]
    while stack:
        node = stack.pop()
        nodes.append(node)
        for child in (node.right, node.left):
            if isinstance(child, _Node) and (cuts is None or id(child) not in cuts):
                stack.append(child)
    return nodes


def _targets(root: _Node, cuts: set[int]) -> list[_Node]:
    """Roots of the blocks that the block of `root` jumps to."""
    return [
        child
        for node in _preorder(root, cuts)
        for child in (node.left, node.right)
        if isinstance(child, _Node) and id(child) in cuts
    ]


def _pack(
    forest: Forest,
    typecode: str,
    leaves: Leaves,
    full_weight: int,
    weights: list[int],
    trees: list[_Child],
    payload: Any,
) -> ForestWalk:
    kind = _kind_of_features(typecode, trees)
    empty = ForestWalk(kind, leaves, forest.n_features, forest.n_outputs, full_weight, (), (), ())
    packer = _Packer(leaves, empty.direct_classes)
    roots = []
    for number, root in enumerate(trees):
        payloads = {leaf: payload(number, leaf) for leaf in _leaves_below(root)}
        roots.append(packer.pack(root, payloads))
    return ForestWalk(
        kind,
        leaves,
        forest.n_features,
        forest.n_outputs,
        full_weight,
        tuple(weights),
        tuple(roots),
        tuple(packer.blocks),
    )


def _kind_of_features(typecode: str, trees: list[_Child]) -> str:
    if typecode != "f":
        return next(kind for kind, code in FEATURES.items() if code == typecode)
    nodes = (node for root in trees if isinstance(root, _Node) for node in _preorder(root))
    return "f32_positive" if all(node.threshold >= 0 for node in nodes) else "f32"


def _leaves_below(root: _Child) -> list[int]:
    if isinstance(root, int):
        return [root]
    return [
        child
        for node in _preorder(root)
        for child in (node.left, node.right)
        if isinstance(child, int)
    ]
