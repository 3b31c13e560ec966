"""Operator `forest`: walks decision trees and sums what their leaves give.

The parameters (SPEC.md, "Operator forest") hold blocks of up to 128 nodes. A node's child is
another node of its block, or an exit of the block: to a leaf, or by a jump to a later block.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError

FOREST_OPCODE = 16
FEATURES = {"u8": "B", "i8": "b", "i16": "h", "f32": "f", "f32_positive": "f"}
"""Typecode of each kind of features, in the order of the opcodes.

"f32_positive" is for float32 with no threshold below 0: there, a float's bits compare like an
integer's, and the walk need not turn those of negative numbers over.
"""

_NUMPY = {"B": np.uint8, "b": np.int8, "h": np.int16, "f": np.float32}

EXIT = 128
"""Child references from here on are exits: `reference - EXIT` is the exit's number."""
N_EXITS = 128
MAX_NODES = 128
PAIR_CLASSES = 16
MAX_WEIGHTS = 256
MAX_BYTE_WEIGHT = 255
"""Largest full weight whose halves pair records can hold."""
MAX_SHORT_WEIGHT = 127
"""Largest weight of any class but the last in a pair record."""
MAX_WORDS = 0x10000
MAX_OUTPUTS = 0x7FFF
_MAX_FEATURES = {"B": 256, "b": 256, "h": 0x1000, "f": 0x800}
_HEADER = struct.Struct("<6H")


class Leaves(IntEnum):
    """What a leaf adds to the sums."""

    PAIRS = 0
    """Votes for up to 16 classes, uint16 sums; weights stand in the records."""
    TABLE = 1
    """The same, finer: the records point to a table of weights."""
    WIDE = 2
    """Votes for any number of classes, int32 sums."""
    VALUES = 3
    """One int32 to output (tree number mod outputs), int32 sums."""


SHORT_SUMS = (Leaves.PAIRS, Leaves.TABLE)
"""Kinds of leaves with uint16 sums."""


@dataclass(frozen=True)
class Block:
    """Up to 128 nodes of one tree, its leaves and its jumps.

    Attributes
    ----------
    features, thresholds, left, right : tuple of int
        One entry a node. A node goes left when its feature is at most its threshold; for
        float32 the threshold is a `float_key`. Children are node numbers, always larger than
        the node's own, or `EXIT` + exit number.
    leaves : tuple of int
        uint16 vote records, or int32 values.
    jumps : tuple of int
        Blocks' numbers, each larger than this block's own. The last exits lead there.
    """

    features: tuple[int, ...]
    thresholds: tuple[int, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    leaves: tuple[int, ...]
    jumps: tuple[int, ...]


def float_key(x: NDArray[np.float32]) -> NDArray[np.int32]:
    """Integers that order like the float32 numbers they come from.

    -0.0 comes right below 0.0; a NaN orders by its sign above +inf or below -inf.
    """
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.int32)
    return bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))


@dataclass(frozen=True)
class ForestWalk:
    """A forest, ready for the kernel.

    Parameters
    ----------
    features : str
        A key of `FEATURES`.
    leaves : Leaves
        What a leaf gives.
    n_features, n_outputs : int
        Elements of the input and of the sums.
    full_weight : int
        What a leaf with one class gives to it (votes only).
    weights : tuple of int
        The table of uint16 weights (`Leaves.TABLE` only).
    roots : tuple of int
        The block where each tree starts, rising.
    blocks : tuple of Block
    """

    features: str
    leaves: Leaves
    n_features: int
    n_outputs: int
    full_weight: int
    weights: tuple[int, ...]
    roots: tuple[int, ...]
    blocks: tuple[Block, ...]

    @property
    def typecode(self) -> str:
        """Of the features: B, b, h or f."""
        return FEATURES[self.features]

    @property
    def OPCODE(self) -> int:  # noqa: N802
        """One for each dtype of the features and kind of leaf."""
        return FOREST_OPCODE + 4 * list(FEATURES).index(self.features) + self.leaves

    @property
    def KERNEL(self) -> str:  # noqa: N802
        """Name of the kernel's blob."""
        return f"forest_{self.features}_{self.leaves.name.lower()}"

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """The features."""
        return ((self.typecode, self.n_features),)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """The sums."""
        return (("H" if self.leaves in SHORT_SUMS else "i", self.n_outputs),)

    @property
    def scratch(self) -> tuple[tuple[str, int], ...]:
        """None."""
        return ()

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """None."""
        return ()

    @property
    def direct_classes(self) -> int:
        """Exits below this number are whole votes for the class of that number."""
        if self.leaves is Leaves.VALUES or self.n_outputs > N_EXITS // 2:
            return 0
        return self.n_outputs

    @property
    def n_nodes(self) -> int:
        """Decision nodes in all blocks."""
        return sum(len(block.features) for block in self.blocks)

    # ---- Bytes

    def encode(self) -> bytes:
        """Parameters as the kernel reads them.

        Raises
        ------
        FormatError
            The forest is larger than the format can hold (256 KB).
        """
        bodies = [self._encode_block(block) for block in self.blocks]
        tables = _HEADER.size + 2 * (len(self.roots) + len(self.weights))
        first_block = (tables + 3) // 4
        positions = [first_block]
        for body in bodies:
            positions.append(positions[-1] + body.size_words)
        if positions[-1] >= MAX_WORDS:
            raise FormatError(
                f"a forest of {4 * positions[-1]} bytes: at most {4 * (MAX_WORDS - 1)} fit;"
                " train with fewer trees, or limit max_depth or max_leaf_nodes"
            )
        header = _HEADER.pack(
            self.n_features,
            self.n_outputs,
            len(self.roots),
            len(self.weights),
            self.full_weight,
            positions[-1],
        )
        halfwords = [positions[root] for root in self.roots] + list(self.weights)
        table = header + struct.pack(f"<{len(halfwords)}H", *halfwords)
        table += bytes(4 * first_block - len(table))
        return table + b"".join(body.encode(positions) for body in bodies)

    def _encode_block(self, block: Block) -> _BlockBody:
        item = np.dtype(_NUMPY[self.typecode]).itemsize
        nodes = []
        for feature, threshold, left, right in zip(
            block.features, block.thresholds, block.left, block.right, strict=True
        ):
            if item == 1:
                nodes.append((threshold & 0xFF) << 24 | left << 16 | right << 8 | feature)
            else:
                nodes.append(left << 24 | right << 16 | feature * item)
        if item == 4:
            pairs = [entry for pair in zip(nodes, block.thresholds, strict=True) for entry in pair]
            data = struct.pack("<" + "Ii" * len(nodes), *pairs)
        else:
            data = struct.pack(f"<{len(nodes)}I", *nodes)
        if item == 2:
            data += struct.pack(f"<{len(nodes)}h", *block.thresholds)
            data += bytes(-len(data) % 4)
        code = "i" if self.leaves is Leaves.VALUES else "H"
        data += struct.pack(f"<{len(block.leaves)}{code}", *block.leaves)
        return _BlockBody(len(nodes), data, block.jumps)

    @classmethod
    def decode(cls, params: bytes, features: str, leaves: Leaves) -> ForestWalk:
        """Read parameters; the same checks as the kernel's.

        Raises
        ------
        FormatError
            The parameters are unsound.
        """
        return _Decoder(params, features, leaves).forest()

    # ---- Result

    def apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Sums [rows, n_outputs] of features [rows, n_features]."""
        (x,) = inputs
        keys = self._keys(x)
        trees = self._flat
        sums = np.zeros((len(x), self.n_outputs), dtype=np.int64)
        rows = np.arange(len(x))
        for number, root in enumerate(trees.roots):
            at = np.full(len(x), root, dtype=np.int64)
            active = rows
            while len(active):
                node = at[active]
                right = keys[active, trees.feature[node]] > trees.threshold[node]
                at[active] = np.where(right, trees.right[node], trees.left[node])
                active = active[at[active] >= 0]
            if self.leaves is Leaves.VALUES:
                sums[:, number % self.n_outputs] += trees.leaf[~at, 0]
            else:
                sums += trees.leaf[~at]
        dtype = np.uint16 if self.leaves in SHORT_SUMS else np.int32
        return (sums.astype(dtype),)

    def _keys(self, x: NDArray[Any]) -> NDArray[Any]:
        """What the thresholds are compared with."""
        if self.features == "f32":
            return float_key(x)
        if self.features == "f32_positive":
            return np.ascontiguousarray(x, dtype=np.float32).view(np.int32)
        return x

    def mean_visits(self, x: NDArray[Any]) -> float:
        """Decision nodes that a row visits in all trees, mean over the rows of `x`."""
        return self.mean_work(x).visits

    def mean_work(self, x: NDArray[Any]) -> Work:
        """What walking a row takes, mean over the rows of `x` [rows, n_features]."""
        keys = self._keys(x)
        trees = self._flat
        classes = self._classes
        visits = shared = entries = 0
        for root in trees.roots:
            at = np.full(len(x), root, dtype=np.int64)
            active = np.arange(len(x))
            while len(active):
                visits += len(active)
                node = at[active]
                right = keys[active, trees.feature[node]] > trees.threshold[node]
                at[active] = np.where(right, trees.right[node], trees.left[node])
                active = active[at[active] >= 0]
            reached = classes[~at]
            shared += int(np.count_nonzero(reached > 1))
            entries += int(reached[reached > 1].sum())
        return Work(visits / len(x), shared / len(x), entries / len(x))

    def worst_work(self) -> Work:
        """No row takes more: the deepest path of each tree, and its widest leaf."""
        trees = self._flat
        classes = self._classes
        visits = shared = entries = 0
        for root in trees.roots:
            deepest, widest = 0, 1
            stack = [(root, 1)]
            while stack:
                node, depth = stack.pop()
                deepest = max(deepest, depth)
                for child in (int(trees.left[node]), int(trees.right[node])):
                    if child >= 0:
                        stack.append((child, depth + 1))
                    else:
                        widest = max(widest, int(classes[~child]))
            visits += deepest
            shared += widest > 1
            entries += widest if widest > 1 else 0
        return Work(float(visits), float(shared), float(entries))

    @cached_property
    def _classes(self) -> NDArray[np.int64]:
        """Classes in each leaf; 1 for a value."""
        return np.asarray(np.maximum(1, np.count_nonzero(self._flat.leaf, axis=1)))

    @cached_property
    def _flat(self) -> _Flat:
        """All blocks in one array; children below 0 are leaves: `~child` is the leaf's row."""
        starts = np.cumsum([0] + [len(block.features) for block in self.blocks])
        leaf_rows: dict[tuple[int, int], int] = {}
        leaves: list[NDArray[np.int64]] = []

        def child(block_number: int, reference: int) -> int:
            if reference < EXIT:
                return int(starts[block_number]) + reference
            block, number = self.blocks[block_number], reference - EXIT
            first_jump = N_EXITS - len(block.jumps)
            if number >= max(self.direct_classes, first_jump):
                return int(starts[block.jumps[number - first_jump]])
            key = (-1 if number < self.direct_classes else block_number, number)
            if key not in leaf_rows:
                leaf_rows[key] = len(leaves)
                leaves.append(self._leaf(block, number))
            return ~leaf_rows[key]

        left, right = [], []
        for block_number, block in enumerate(self.blocks):
            left += [child(block_number, reference) for reference in block.left]
            right += [child(block_number, reference) for reference in block.right]
        return _Flat(
            np.concatenate([np.array(block.features, dtype=np.int64) for block in self.blocks]),
            np.concatenate([np.array(block.thresholds, dtype=np.int64) for block in self.blocks]),
            np.array(left, dtype=np.int64),
            np.array(right, dtype=np.int64),
            np.array(leaves, dtype=np.int64),
            [int(starts[root]) for root in self.roots],
        )

    def _leaf(self, block: Block, number: int) -> NDArray[np.int64]:
        if self.leaves is Leaves.VALUES:
            return np.array([block.leaves[number]], dtype=np.int64)
        votes = np.zeros(self.n_outputs, dtype=np.int64)
        if number < self.direct_classes:
            votes[number] = self.full_weight
            return votes
        record = iter(block.leaves[number - self.direct_classes :])
        if self.leaves is Leaves.WIDE:
            for entry in record:
                votes[entry & 0x7FFF] += next(record)
                if entry & 0x8000:
                    break
            return votes
        for entry in record:
            first, second, weight = entry >> 8 & 15, entry >> 12, entry & 255
            votes[first] += weight if self.leaves is Leaves.PAIRS else self.weights[weight]
            if first != second:
                votes[second] += self.full_weight - votes.sum()
                break
        return votes


@dataclass(frozen=True)
class Work:
    """What a forest does for one row.

    Attributes
    ----------
    visits : float
        Decision nodes visited.
    shared : float
        Leaves reached that hold several classes.
    entries : float
        Classes in those leaves.
    """

    visits: float
    shared: float
    entries: float


@dataclass(frozen=True)
class _BlockBody:
    n_nodes: int
    data: bytes
    jumps: tuple[int, ...]

    @property
    def size_words(self) -> int:
        return (4 + len(self.data) + 2 * len(self.jumps) + 3) // 4

    def encode(self, positions: list[int]) -> bytes:
        jumps = struct.pack(f"<{len(self.jumps)}H", *(positions[jump] for jump in self.jumps))
        head = struct.pack("<BBH", self.n_nodes, N_EXITS - len(self.jumps), self.size_words)
        padding = 4 * self.size_words - len(head) - len(self.data) - len(jumps)
        return head + self.data + bytes(padding) + jumps


@dataclass(frozen=True)
class _Flat:
    feature: NDArray[np.int64]
    threshold: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    leaf: NDArray[np.int64]
    roots: list[int]


class _Decoder:
    def __init__(self, params: bytes, features: str, leaves: Leaves) -> None:
        if len(params) < _HEADER.size or len(params) % 4:
            raise FormatError(f"a forest in {len(params)} bytes: cut short")
        self.params = params
        self.features = features
        self.typecode = FEATURES[features]
        self.leaves = leaves
        self.item = np.dtype(_NUMPY[self.typecode]).itemsize

    def forest(self) -> ForestWalk:
        features, outputs, n_trees, n_weights, full, end = _HEADER.unpack_from(self.params)
        size = _HEADER.size + 2 * (n_trees + n_weights)
        _require(4 * end == len(self.params) and size <= len(self.params), "size")
        _require(features <= _MAX_FEATURES[self.typecode], "number of features")
        limit = PAIR_CLASSES if self.leaves in SHORT_SUMS else MAX_OUTPUTS
        _require(1 <= outputs <= limit, "number of outputs")
        first = (size + 3) // 4
        halfwords = struct.unpack_from(f"<{n_trees + n_weights}H", self.params, _HEADER.size)
        positions, position = [], first
        while position < len(self.params) // 4:
            positions.append(position)
            (words,) = struct.unpack_from("<H", self.params, 4 * position + 2)
            _require(words > 0, "block size")
            position += words
        _require(position == len(self.params) // 4, "last block")
        numbers = {position: number for number, position in enumerate(positions)}
        _require(all(root in numbers for root in halfwords[:n_trees]), "root")
        _require(list(halfwords[:n_trees]) == sorted(set(halfwords[:n_trees])), "order of roots")
        forest = ForestWalk(
            self.features,
            self.leaves,
            features,
            outputs,
            full,
            tuple(halfwords[n_trees:]),
            tuple(numbers[root] for root in halfwords[:n_trees]),
            tuple(self._block(position, numbers) for position in positions),
        )
        for number, block in enumerate(forest.blocks):
            _check_block(forest, number, block)
        return forest

    def _block(self, position: int, numbers: dict[int, int]) -> Block:
        n_nodes, first_jump, words = struct.unpack_from("<BBH", self.params, 4 * position)
        n_jumps = N_EXITS - first_jump
        end = 4 * (position + words) - 2 * n_jumps
        nodes_at = 4 * position + 4
        thresholds_at = nodes_at + 4 * n_nodes
        leaves_at = thresholds_at + {1: 0, 2: (n_nodes + 1) // 2 * 4, 4: 4 * n_nodes}[self.item]
        _require(0 < n_nodes <= MAX_NODES and n_jumps >= 0, "number of nodes")
        _require(leaves_at <= end, "block size")
        shift = 8 if self.item == 1 else 16
        if self.item == 4:
            both = np.frombuffer(self.params, "<u4", 2 * n_nodes, nodes_at)
            nodes, thresholds = both[::2], both[1::2].astype(np.int32)
        elif self.item == 2:
            nodes = np.frombuffer(self.params, "<u4", n_nodes, nodes_at)
            thresholds = np.frombuffer(self.params, "<i2", n_nodes, thresholds_at)
        else:
            nodes = np.frombuffer(self.params, "<u4", n_nodes, nodes_at)
            thresholds = (nodes >> 24).astype(_NUMPY[self.typecode])
        offsets = nodes & (0xFF if self.item == 1 else 0xFFFF)
        _require(bool(np.all(offsets < 0x2000) and np.all(offsets % self.item == 0)), "feature")
        leaf = "<i4" if self.leaves is Leaves.VALUES else "<u2"
        count = (end - leaves_at) // np.dtype(leaf).itemsize
        jumps = struct.unpack_from(f"<{n_jumps}H", self.params, end)
        _require(all(jump in numbers and jump > position for jump in jumps), "jump")
        return Block(
            tuple((offsets // self.item).tolist()),
            tuple(thresholds.tolist()),
            tuple((nodes >> (shift + 8) & 0xFF).tolist()),
            tuple((nodes >> shift & 0xFF).tolist()),
            tuple(np.frombuffer(self.params, leaf, count, leaves_at).tolist()),
            tuple(numbers[jump] for jump in jumps),
        )


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise FormatError(f"the forest is damaged: bad {what}; convert the model again")


def _check_block(forest: ForestWalk, number: int, block: Block) -> None:
    _require(all(feature < forest.n_features for feature in block.features), "feature")
    first_jump = N_EXITS - len(block.jumps)
    for index, references in enumerate(zip(block.left, block.right, strict=True)):
        for reference in references:
            if reference < EXIT:
                _require(index < reference < len(block.features), "child")
                continue
            exit_number = reference - EXIT
            if exit_number >= max(forest.direct_classes, first_jump):
                continue
            if exit_number >= forest.direct_classes:
                _check_leaf(forest, block, exit_number - forest.direct_classes)


def _check_leaf(forest: ForestWalk, block: Block, index: int) -> None:
    if forest.leaves is Leaves.VALUES:
        _require(index < len(block.leaves), "leaf")
        return
    record = block.leaves[index:]
    if forest.leaves is Leaves.WIDE:
        for entry in record[: len(record) // 2 * 2 : 2]:
            _require(entry & 0x7FFF < forest.n_outputs, "class")
            if entry & 0x8000:
                return
    else:
        for entry in record:
            first, second, weight = entry >> 8 & 15, entry >> 12, entry & 255
            _require(max(first, second) < forest.n_outputs, "class")
            limit = MAX_SHORT_WEIGHT + 1 if forest.leaves is Leaves.PAIRS else len(forest.weights)
            _require(weight < limit, "weight")
            if first != second:
                return
    _require(False, "leaf")


def max_features(typecode: str) -> int:
    """Most features that nodes of this dtype can name."""
    return _MAX_FEATURES[typecode]
