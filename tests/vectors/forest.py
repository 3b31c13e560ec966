"""Test vectors of the forest operator: every kind of features with every kind of leaf."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vectors.case import BadCase, Case, bad_operands, make_cases, operands_of
from wingbeat.forest.encode import Missing, encode_forest
from wingbeat.forest.model import Forest, Tree
from wingbeat.reference.forest import (
    EXIT,
    FEATURES,
    N_EXITS,
    SHORT_SUMS,
    Block,
    ForestWalk,
    Leaves,
    max_features,
)

_NUMPY: dict[str, type[np.number[Any]]] = {
    "B": np.uint8,
    "b": np.int8,
    "h": np.int16,
    "f": np.float32,
}
_ROWS = 12
_CHAIN = 500

#: Denominators of the leaves' shares that one weight of 8 bits can hold, and one that it cannot.
_SMALL_TOTALS = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60)
_LARGE_TOTAL = 257


@dataclass(frozen=True)
class Shape:
    """Size of a random forest.

    Parameters
    ----------
    name : str
    n_trees, n_nodes : int
        Trees, and decision nodes of each.
    n_features, n_outputs : int
    grow : {"any", "left", "right"}
        Which leaf becomes the next node; the last two make a chain.
    most : int
        Classes in one leaf, at most.
    missing : bool
        NaN has a way of its own.
    binary : bool
        One score decides between two classes (values only).
    """

    name: str
    n_trees: int
    n_nodes: int
    n_features: int
    n_outputs: int
    grow: str = "any"
    most: int = 3
    missing: bool = False
    binary: bool = False


def cases(seed: int) -> Iterator[Case]:
    """Yield small, large and degenerate forests, each on rows around its thresholds."""
    for number, features in enumerate(FEATURES):
        for leaves in Leaves:
            rng = np.random.default_rng([seed, number, leaves])
            for shape in _shapes(features, leaves):
                operator = _operator(rng, features, leaves, shape)
                yield from make_cases(
                    f"{operator.KERNEL}, {shape.name}", operator, rows_around(rng, operator)
                )


def small_operator(features: str, leaves: Leaves, seed: int = 1) -> ForestWalk:
    """Return a forest of a few nodes, for tests that change every byte of it."""
    rng = np.random.default_rng(seed)
    return _operator(rng, features, leaves, Shape("small", 3, 4, 5, 3))


def _shapes(features: str, leaves: Leaves) -> Iterator[Shape]:
    n = 3 if leaves is not Leaves.VALUES else 2
    most = max_features(FEATURES[features])
    if features != "f32":
        yield Shape("single leaves", 4, 0, 3, n)
    if leaves is not Leaves.TABLE:
        yield Shape("one output", 3, 6, 4, 1)
    yield Shape("one node", 1, 1, 1, n)
    yield Shape("a few nodes", 5, 7, 3, n)
    yield Shape("a few features", 8, 30, 5, n)
    yield Shape("128 nodes", 2, 128, 9, n)
    yield Shape("129 nodes", 2, 129, 9, n)
    yield Shape("2000 nodes", 1, 2000, 20, n)
    yield Shape("chain to the left", 1, _CHAIN, 4, n, "left")
    yield Shape("chain to the right", 1, _CHAIN, 4, n, "right")
    yield Shape("many trees", 150, 3, 6, n)
    yield Shape("most features", 2, 60, most, n)
    yield Shape("missing values", 4, 40, 3, n, missing=True)
    if FEATURES[features] in "hf":
        yield Shape("300 features", 3, 100, 300, n)
    if leaves is Leaves.VALUES:
        yield Shape("many outputs", 60, 5, 6, 20)
        return
    yield Shape("16 classes", 3, 300, 8, 16, most=16)
    if leaves in SHORT_SUMS:
        return
    yield Shape("64 classes", 4, 80, 8, 64, most=8)
    yield Shape("65 classes", 4, 80, 8, 65, most=8)
    yield Shape("300 classes", 2, 200, 8, 300, most=4)
    yield Shape("300 classes in one leaf", 2, 6, 8, 300, most=300)


# ---- Forests


def random_forest(rng: np.random.Generator, features: str, leaves: Leaves, shape: Shape) -> Forest:
    """Return a forest whose encoding has these features and leaves."""
    trees = tuple(_tree(rng, features, shape, number, leaves) for number in range(shape.n_trees))
    common = (shape.n_features, shape.n_outputs)
    classes = tuple(range(max(shape.n_outputs, 2 if shape.binary else 1)))
    base = rng.normal(0, 1, shape.n_outputs)
    if leaves is not Leaves.VALUES:
        base, n = np.zeros(shape.n_outputs), shape.n_trees
        return Forest(trees, *common, "classify", base, n, "none", False, classes, shape.missing)
    if shape.binary or shape.n_outputs > 1:
        link: Literal["logistic", "softmax"] = "logistic" if shape.binary else "softmax"
        return Forest(trees, *common, "classify", base, 1, link, True, classes, shape.missing)
    return Forest(trees, *common, "regress", base, 1, "none", False, (), shape.missing)


def _operator(rng: np.random.Generator, features: str, leaves: Leaves, shape: Shape) -> ForestWalk:
    forest = random_forest(rng, features, leaves, shape)
    missing: Missing = "follow" if shape.missing else "right"
    operator = encode_forest(forest, FEATURES[features], missing=missing).operator
    assert (operator.features, operator.leaves) == (features, leaves), (shape, operator.KERNEL)
    return operator


def _tree(
    rng: np.random.Generator, features: str, shape: Shape, number: int, leaves: Leaves
) -> Tree:
    n = 2 * shape.n_nodes + 1
    feature, left, right = (np.full(n, -1, np.int32) for _ in range(3))
    threshold = np.zeros(n)
    open_leaves = [0]
    for made in range(1, n, 2):
        at = int(rng.integers(len(open_leaves))) if shape.grow == "any" else -1
        node = open_leaves.pop(at)
        feature[node] = rng.integers(shape.n_features)
        threshold[node] = _threshold(rng, features, shape.n_nodes > 100)
        left[node], right[node] = made, made + 1
        open_leaves += [made + 1, made] if shape.grow == "left" else [made, made + 1]
    if shape.n_nodes > 20:
        feature[0] = shape.n_features - 1
    if features == "f32" and number == 0:
        threshold[0] = -1.5
    width = 1 if leaves is Leaves.VALUES else shape.n_outputs
    counts = np.zeros((n, width), np.int64)
    total = np.ones(n, np.int64)
    value = np.zeros((n, width))
    for index in np.flatnonzero(feature < 0):
        if leaves is Leaves.VALUES:
            counts[index], total[index], scale = 1, 1, _value(rng)
        else:
            counts[index], total[index], scale = _vote(rng, shape, leaves)
        value[index] = counts[index] * scale / total[index]
    exact = leaves in SHORT_SUMS
    return Tree(
        feature,
        threshold,
        left,
        right,
        rng.random(n) < 0.5,
        value,
        number % shape.n_outputs if leaves is Leaves.VALUES else 0,
        counts if exact else None,
        total if exact else None,
    )


def _vote(
    rng: np.random.Generator, shape: Shape, leaves: Leaves
) -> tuple[NDArray[np.int64], int, float]:
    """Shares of the classes as numerators and a denominator.

    Those of wide leaves are scaled so that they do not sum to 1, which pairs cannot hold.
    """
    most = min(shape.most, shape.n_outputs)
    present = rng.permutation(shape.n_outputs)[: rng.integers(1, most + 1)]
    if rng.random() < 0.2:
        present = rng.permutation(shape.n_outputs)[:most]
    counts = np.zeros(shape.n_outputs, np.int64)
    if leaves is Leaves.WIDE:
        counts[present] = rng.integers(1, 1000, len(present))
        whole = len(present) == 1 and shape.n_nodes > 1 and rng.random() < 0.5
        return counts, int(counts.sum()), 1.0 if whole else float(rng.uniform(0.3, 0.9))
    if leaves is Leaves.TABLE:
        # At least two classes, and few different weights.
        present = present if len(present) > 1 else np.array([1, 0])
        counts[present] = rng.integers(1, 9, len(present))
        counts[present[0]] += _LARGE_TOTAL - counts.sum()
        return counts, _LARGE_TOTAL, 1.0
    total = int(rng.choice(_SMALL_TOTALS))
    chosen = present[:total]
    counts[chosen] = 1 + rng.multinomial(total - len(chosen), np.full(len(chosen), 1 / len(chosen)))
    shared = int(np.gcd.reduce(np.append(counts, total)))
    return counts // shared, total // shared, 1.0


def _value(rng: np.random.Generator) -> float:
    return float(rng.choice([-1.0, 0.0, 1.0]) * np.exp(rng.uniform(-10, 10)))


_FLOAT_THRESHOLDS = (
    *(0.0, -0.0, 1e-45, -1e-45, 1.1754944e-38, -1.1754942e-38, 1.0, -1.0, 0.1, 1 / 3),
    *(3.4028235e38, -3.4028235e38, 1e300, -1e300, np.inf, -np.inf, 16777216.5, 1e-60),
)


def _threshold(rng: np.random.Generator, features: str, inside: bool) -> float:
    """Return any threshold; inside of the dtype's range, no node can be left out."""
    kind = rng.random()
    if features == "f32_positive":
        return abs(_threshold(rng, "f32", inside))
    if features == "f32":
        if kind < 0.3:
            return float(rng.choice(_FLOAT_THRESHOLDS))
        value = rng.normal() * 10.0 ** rng.integers(-8, 9)
        return float(np.float32(value)) if kind < 0.7 else float(value)
    limits: Any = np.iinfo(_NUMPY[FEATURES[features]])
    if kind < 0.2 and not inside:
        ends = (limits.min, limits.max)
        return float(rng.choice([end + d for end in ends for d in (-1, -0.5, 0, 0.5, 1)]))
    below = int(rng.integers(limits.min, limits.max))
    return below + float(rng.choice([0.0, 0.5, 0.999]))


# ---- Rows


def rows_around(rng: np.random.Generator, operator: ForestWalk) -> list[NDArray[Any]]:
    """Rows of values at, below and above the thresholds, of extremes, and of anything."""
    dtype = np.dtype(_NUMPY[operator.typecode])
    seen: dict[int, list[int]] = {}
    for block in operator.blocks:
        for feature, threshold in zip(block.features, block.thresholds, strict=True):
            seen.setdefault(feature, []).append(threshold)
    rows = [np.zeros(operator.n_features, dtype), *_extreme_rows(operator.n_features, dtype)]
    for i in range(_ROWS if operator.n_nodes < 500 else _ROWS // 2):
        row = _anything(rng, operator.n_features, dtype)
        for feature, thresholds in seen.items():
            if i < 9 or rng.random() < 0.5:
                row[feature] = _near(int(rng.choice(thresholds)), (i % 3) - 1, dtype)
        rows.append(row)
    return rows


def _extreme_rows(n: int, dtype: np.dtype[Any]) -> list[NDArray[Any]]:
    if dtype != np.float32:
        limits = np.iinfo(dtype)
        return [np.full(n, limits.min, dtype), np.full(n, limits.max, dtype)]
    bits = (
        *(0x7F800000, 0xFF800000),  # infinities
        *(0x7FC00000, 0xFFC00000, 0x7F800001, 0xFFFFFFFF),  # quiet and other NaN, both signs
        *(0x80000000, 1, 0x80000001, 0x007FFFFF),  # -0.0 and denormals
    )
    return [np.full(n, value, np.uint32).view(np.float32) for value in bits]


def _anything(rng: np.random.Generator, n: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.frombuffer(rng.bytes(n * dtype.itemsize), dtype).copy()


def _near(threshold: int, step: int, dtype: np.dtype[Any]) -> Any:
    """Return the value that orders `step` values above the threshold."""
    if dtype != np.float32:
        limits = np.iinfo(dtype)
        return min(max(threshold + step, int(limits.min)), int(limits.max))
    key = np.int32(min(max(threshold + step, -(2**31)), 2**31 - 1))
    bits = key ^ ((key >> np.int32(31)) & np.int32(0x7FFFFFFF))
    return np.asarray(bits).view(np.float32)


# ---- What kernels must refuse


def bad_cases() -> Iterator[BadCase]:
    """Yield calls that the kernel must refuse."""
    for features in FEATURES:
        for leaves in Leaves:
            good = _sound(features, leaves)
            kernel, params = good.KERNEL, good.encode()
            operands = operands_of(good)
            for name, forest in _bad_forests(good):
                others = operands_of(forest)
                yield BadCase(f"{kernel}: {name}", kernel, forest.encode(), others)
            for name, wrong in _bad_params(good, params):
                yield BadCase(f"{kernel}: {name}", kernel, wrong, operands)
            for i, (others, n_inputs) in enumerate(bad_operands(operands)):
                yield BadCase(f"{kernel}: operands {i}", kernel, params, others, n_inputs)


def _sound(features: str, leaves: Leaves) -> ForestWalk:
    """Return two trees, the first with a jump and two leaf records of its own."""
    direct = 0 if leaves is Leaves.VALUES else 3
    record = {
        Leaves.PAIRS: (_pair(0, 1, 40), _pair(1, 2, 127)),
        Leaves.TABLE: (_pair(0, 1, 1), _pair(1, 2, 0)),
        Leaves.WIDE: (0, 10, 0x8002, 20),
        Leaves.VALUES: (-5, 7),
    }[leaves]
    last = EXIT + direct + (2 if leaves is Leaves.WIDE else 1)
    first = Block((0, 4), (3, 5), (1, EXIT + direct), (EXIT + N_EXITS - 1, last), record, (1,))
    second = Block((2,), (9,), (EXIT + direct,), (EXIT + direct,), record, ())
    weights = (40, 50) if leaves is Leaves.TABLE else ()
    n_outputs = 2 if leaves is Leaves.VALUES else 3
    full_weight = 0 if leaves is Leaves.VALUES else 100
    return ForestWalk(
        features, leaves, 5, n_outputs, full_weight, weights, (0, 2), (first, second, second)
    )


def sound_operators() -> Iterable[ForestWalk]:
    """Yield the forests that the bad ones are made from; every kernel must accept its own."""
    return (_sound(features, leaves) for features in FEATURES for leaves in Leaves)


def _pair(first: int, second: int, weight: int) -> int:
    return second << 12 | first << 8 | weight


def _bad_forests(good: ForestWalk) -> Iterator[tuple[str, ForestWalk]]:
    first, *others = good.blocks
    direct = good.direct_classes
    first_jump = N_EXITS - len(first.jumps)

    def with_first(**changes: Any) -> ForestWalk:
        return replace(good, blocks=(replace(first, **changes), *others))

    for name, left in (
        ("a node is its own child", (0, first.left[1])),
        ("a child past the nodes", (2, first.left[1])),
        ("a child far past the nodes", (127, first.left[1])),
        ("a child before its node", (1, 0)),
        ("the last node is its own child", (1, 1)),
        ("a leaf past the leaves", (1, EXIT + direct + len(first.leaves))),
        ("a leaf far past the leaves", (1, EXIT + first_jump - 1)),
    ):
        yield f"{name}, left", with_first(left=left)
        yield f"{name}, right", with_first(right=left)
    yield "a jump to its own block", with_first(jumps=(0,))
    jumps = (first, replace(others[0], left=(EXIT + N_EXITS - 1,), jumps=(0,)), *others[1:])
    yield "a jump backwards", replace(good, blocks=jumps)
    yield "a feature that is not there", replace(good, n_features=4)
    yield "no features", replace(good, n_features=0)
    yield (
        "an unused block with no nodes",
        replace(good, blocks=(*good.blocks, Block((), (), (), (), (0, 0, 0, 0), ()))),
    )
    yield "roots in the wrong order", replace(good, roots=(2, 0))
    yield "a root twice", replace(good, roots=(0, 0))
    nodes = (0,) * 129
    ends = (EXIT + first_jump,) * 129
    yield "129 nodes", with_first(features=nodes, thresholds=nodes, left=ends, right=ends)
    if good.leaves in SHORT_SUMS:
        yield "fewer classes", replace(good, n_outputs=2)
        for wrong in ((3, 0, 0), (0, 3, 0), (15, 15, 0), (0, 1, 128), (0, 1, 255)):
            entries = (_pair(*wrong), first.leaves[1])
            yield f"entry {wrong}", with_first(leaves=entries)
        yield "a record without an end", with_first(leaves=(first.leaves[0], _pair(1, 1, 0)))
    if good.leaves is Leaves.TABLE:
        yield "a weight that is not there", replace(good, weights=(40,))
    if good.leaves is Leaves.WIDE:
        yield "fewer classes", replace(good, n_outputs=2)
        for entry in (3, 0x7FFF, 0x8003, 0xFFFF):
            yield f"entry {entry:#x}", with_first(leaves=(entry, 1, 0x8002, 20))
        yield "a record without an end", with_first(leaves=(0, 10, 2, 20))
        odd = replace(others[-1], left=(EXIT + direct + 3,))
        yield "half a record", replace(good, blocks=(first, others[0], odd))


def _bad_params(good: ForestWalk, params: bytes) -> Iterator[tuple[str, bytes]]:
    first_block = (12 + 2 * (len(good.roots) + len(good.weights)) + 3) // 4
    block = 4 * first_block
    (words,) = struct.unpack_from("<H", params, block + 2)
    end = len(params) // 4
    for size in range(0, len(params), 4):
        yield f"cut to {size} bytes", params[:size]
        yield (
            f"cut to {size} bytes and said so",
            _with(params, 10, struct.pack("<H", size // 4))[:size],
        )
    yield "a word more", params + bytes(4)
    yield "a word more and said so", _with(params, 10, struct.pack("<H", end + 1)) + bytes(4)
    for name, at, values in (
        ("number of trees", 4, (3, 4, 100, 0xFFFF)),
        ("number of weights", 6, (len(good.weights) + 2, 100, 0xFFFF)),
        ("end", 10, (0, first_block, end - 1, end + 1, 0x7FFF, 0xFFFF)),
        ("first root", 12, (0, first_block + 1, 0xFFFF)),
        ("second root", 14, (0, first_block, first_block + 1, 0xFFFF)),
        ("words of the first block", block + 2, (0, 1, words - 1, words + 1, 0x7FFF, 0xFFFF)),
        ("jump", block + 4 * words - 2, (0, first_block, first_block + words - 1, 0xFFFF)),
        ("jump", block + 4 * words - 2, (first_block + words + 1, end)),
    ):
        for value in values:
            if struct.unpack_from("<H", params, at)[0] != value:
                yield f"{name} is {value}", _with(params, at, struct.pack("<H", value))
    for value in (0, 129, 255):
        yield f"{value} nodes", _with(params, block, bytes([value]))
    for value in (0, 129, 255):
        yield f"first jump {value}", _with(params, block + 1, bytes([value]))
    if good.typecode in "hf":
        for offset in (1, 0x1FFE, 0x2000, 0x4000, 0x8000, 0xFFFF):
            yield f"feature offset {offset:#x}", _with(params, block + 4, struct.pack("<H", offset))
    else:
        for offset in (5, 255):
            yield f"feature {offset}", _with(params, block + 4, bytes([offset]))


def _with(params: bytes, at: int, value: bytes) -> bytes:
    return params[:at] + value + params[at + len(value) :]
