"""Encoding a forest: integer thresholds, leaves as votes or values, and blocks."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier

from wingbeat.errors import FormatError, UnsupportedModelError, UsageError
from wingbeat.forest.encode import encode_forest, integer_thresholds
from wingbeat.forest.model import Forest, Tree
from wingbeat.forest.sklearn import from_sklearn
from wingbeat.reference.forest import (
    EXIT,
    FEATURES,
    MAX_NODES,
    N_EXITS,
    SHORT_SUMS,
    ForestWalk,
    Leaves,
    float_key,
    max_features,
)

DTYPES: dict[str, Any] = {"B": np.uint8, "b": np.int8, "h": np.int16, "f": np.float32}
MORE_EXAMPLES = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


# ---- Forests

_Parts: TypeAlias = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def grow(
    rng: np.random.Generator, n_inner: int, n_features: int, typecode: str, shape: str
) -> _Parts:
    """feature, threshold, left, right, missing_left of a random tree."""
    n = 2 * n_inner + 1
    feature, left, right = (np.full(n, -1, np.int32) for _ in range(3))
    threshold = np.zeros(n)
    leaves = [0]
    for made in range(1, n, 2):
        node = leaves.pop({"left": -2, "right": -1}.get(shape, rng.integers(len(leaves)))
                          if len(leaves) > 1 else 0)  # fmt: skip
        feature[node] = rng.integers(n_features)
        threshold[node] = random_threshold(rng, typecode)
        left[node], right[node] = made, made + 1
        leaves += [made, made + 1]
    return feature, threshold, left, right, rng.random(n) < 0.5


def random_threshold(rng: np.random.Generator, typecode: str) -> float:
    if typecode == "f":
        return float(rng.choice([-0.0, 0.0, 1.5, rng.normal(), rng.normal() * 1e-3]))
    limits = np.iinfo(DTYPES[typecode])
    return float(rng.uniform(limits.min - 2, limits.max + 2))


def value_forest(
    rng: np.random.Generator,
    typecode: str,
    sizes: list[int],
    n_features: int = 5,
    n_outputs: int = 1,
    shape: str = "any",
) -> Forest:
    """Trees of a sum, with whole numbers that tell their leaves apart."""
    trees = []
    for number, size in enumerate(sizes):
        parts = grow(rng, size, n_features, typecode, shape)
        values = rng.integers(-(2**18), 2**18, (len(parts[0]), 1)).astype(np.float64)
        values[parts[0] >= 0] = 0
        trees.append(Tree(*parts, values, number % n_outputs))
    task: Any = "regress" if n_outputs == 1 else "classify"
    classes = () if n_outputs == 1 else tuple(range(n_outputs))
    link: Any = "none" if n_outputs == 1 else "softmax"
    base = np.zeros(n_outputs)
    return Forest(tuple(trees), n_features, n_outputs, task, base, 1, link, False, classes, True)


def vote_forest(
    rng: np.random.Generator,
    typecode: str,
    sizes: list[int],
    n_classes: int,
    total: int,
    most: int = 4,
    n_features: int = 5,
) -> Forest:
    """Trees of an average; each leaf has `total` rows of at most `most` classes."""
    trees = []
    for size in sizes:
        parts = grow(rng, size, n_features, typecode, "any")
        n = len(parts[0])
        counts = np.zeros((n, n_classes), np.int64)
        for leaf in np.flatnonzero(parts[0] < 0):
            chosen = rng.permutation(n_classes)[: rng.integers(1, most + 1)]
            counts[leaf, chosen] = rng.multinomial(total, np.full(len(chosen), 1 / len(chosen)))
        totals = np.where(parts[0] < 0, total, 1)
        trees.append(Tree(*parts, counts / totals[:, None], 0, counts, totals))
    base = np.zeros(n_classes)
    classes = tuple(range(n_classes))
    return Forest(
        tuple(trees),
        n_features,
        n_classes,
        "classify",
        base,
        len(trees),
        "none",
        False,
        classes,
        True,
    )


def rows_around(
    rng: np.random.Generator, forest: Forest, typecode: str, n_rows: int, nan: bool = False
) -> NDArray[Any]:
    """Rows with values at and beside thresholds, extremes, and anything."""
    values: list[list[float]] = [[] for _ in range(forest.n_features)]
    for tree in forest.trees:
        for node in np.flatnonzero(tree.feature >= 0):
            values[tree.feature[node]].append(tree.threshold[node])
    x = np.empty((n_rows, forest.n_features), DTYPES[typecode])
    for feature, found in enumerate(values):
        at = rng.choice(found or [0.0], n_rows)
        if typecode == "f":
            near = at.astype(np.float32)
            towards = rng.choice([-np.inf, np.inf], n_rows).astype(np.float32)
            near = np.where(rng.random(n_rows) < 0.6, np.nextafter(near, towards), near)
            specials = [-0.0, 0.0, np.inf, -np.inf, 1e-45, -1e-45] + ([np.nan] if nan else [])
            special = rng.choice(np.array(specials, np.float32), n_rows)
            x[:, feature] = np.where(rng.random(n_rows) < 0.3, special, near)
        else:
            limits = np.iinfo(DTYPES[typecode])
            near = np.floor(at) + rng.integers(-1, 3, n_rows)
            x[:, feature] = np.clip(near, limits.min, limits.max)
    return x


def assert_sound(operator: ForestWalk) -> None:
    """Within the limits of a block, and the same after a round trip."""
    for number, block in enumerate(operator.blocks):
        n_nodes, n_jumps = len(block.features), len(block.jumps)
        assert 1 <= n_nodes <= MAX_NODES
        assert n_jumps <= N_EXITS - operator.direct_classes
        assert all(jump > number for jump in block.jumps)
        for child in (*block.left, *block.right):
            assert 0 <= child < EXIT + N_EXITS
            assert child >= EXIT or child < n_nodes
    assert list(operator.roots) == sorted(set(operator.roots))
    params = operator.encode()
    assert len(params) % 4 == 0
    decoded = ForestWalk.decode(params, operator.features, operator.leaves)
    assert decoded.encode() == params
    assert decoded.roots == operator.roots
    assert decoded.n_nodes == operator.n_nodes


# ---- Thresholds


def float_neighbours(threshold: float) -> NDArray[np.float32]:
    up, down = np.float32(np.inf), np.float32(-np.inf)
    with np.errstate(over="ignore"):
        at = np.float32(threshold)
        found = [at, np.nextafter(at, up), np.nextafter(at, down)]
        found += [np.nextafter(found[1], up), np.nextafter(found[2], down)]
    specials = [0.0, -0.0, 1e-45, -1e-45, 3.4028235e38, -3.4028235e38, np.inf, -np.inf]
    return np.array([*found, *specials], np.float32)


@settings(max_examples=300, deadline=None)
@given(st.floats(allow_nan=False), st.floats(allow_nan=False, width=32))
@example(-3.4028235677973366e38, 0.0)
@example(-3.4028235e38 * (1 + 1e-9), 0.0)
@example(3.4028235e38 * (1 + 1e-9), 0.0)
@example(1e-46, 0.0)
@example(-1e-46, 0.0)
@example(-0.0, -0.0)
@example(np.inf, 1.0)
@example(-np.inf, 1.0)
@example(16777217.0, 16777216.0)
def test_float_thresholds_are_exact(threshold: float, other: float) -> None:
    with np.errstate(all="raise", under="ignore"):
        (key,) = integer_thresholds(np.array([threshold]), "f")
    x = np.append(float_neighbours(threshold), np.float32(other))
    assert np.array_equal(float_key(x) <= key, x.astype(np.float64) <= threshold)
    if key >= 0:
        assert np.array_equal(x.view(np.int32) <= key, x.astype(np.float64) <= threshold)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.floats(allow_nan=False),
        st.floats(-33000, 33000),
        st.floats(-300, 300),
        st.integers(-33000, 33000).map(float),
        st.integers(-33000, 33000).map(lambda n: float(np.nextafter(n, -np.inf))),
    ),
    st.sampled_from("Bbh"),
)
@example(np.inf, "h")
@example(-np.inf, "B")
def test_integer_thresholds_are_exact(threshold: float, typecode: str) -> None:
    limits = np.iinfo(DTYPES[typecode])
    x = np.arange(limits.min, limits.max + 1)
    (whole,) = integer_thresholds(np.array([threshold]), typecode)
    assert limits.min - 1 <= whole <= limits.max
    assert np.array_equal(x <= whole, x.astype(np.float64) <= threshold)


@settings(max_examples=100, deadline=None)
@given(st.floats(width=32, allow_nan=False), st.floats(width=32, allow_nan=False))
def test_float_keys_order_like_the_numbers(a: float, b: float) -> None:
    left, right = float_key(np.array([a, b], np.float32))
    if a != b:
        assert (left < right) == (a < b)


# ---- Trees


@MORE_EXAMPLES
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from("Bbhf"),
    st.lists(st.one_of(st.integers(0, 40), st.integers(100, 420)), min_size=1, max_size=4),
    st.sampled_from(["any", "left", "right"]),
    st.sampled_from([1, 1, 3]),
)
def test_sums_of_values_are_those_of_the_forest(
    seed: int, typecode: str, sizes: list[int], shape: str, n_outputs: int
) -> None:
    rng = np.random.default_rng(seed)
    forest = value_forest(rng, typecode, sizes, n_outputs=n_outputs, shape=shape)
    operator = encode_forest(forest, typecode, unit=1.0).operator
    assert operator.leaves is Leaves.VALUES
    assert_sound(operator)
    x = rows_around(rng, forest, typecode, 40)
    (sums,) = operator.apply(x)
    assert np.array_equal(sums, forest.scores(x))


@MORE_EXAMPLES
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from("Bbhf"),
    st.lists(st.one_of(st.integers(0, 30), st.integers(100, 300)), min_size=1, max_size=4),
    st.sampled_from([1, 2, 5, 16, 17, 64, 65, 300]),
    st.sampled_from([1, 4, 60, 257]),
)
def test_votes_are_those_of_the_forest(
    seed: int, typecode: str, sizes: list[int], n_classes: int, total: int
) -> None:
    """Shares that a full weight can hold without rounding come out as they are."""
    rng = np.random.default_rng(seed)
    forest = vote_forest(rng, typecode, sizes, n_classes, total, most=min(4, n_classes))
    encoding = encode_forest(forest, typecode)
    operator = encoding.operator
    assert encoding.exact_leaves == 1
    assert (operator.leaves in SHORT_SUMS) == (n_classes <= 16)
    assert_sound(operator)
    x = rows_around(rng, forest, typecode, 30)
    (sums,) = operator.apply(x)
    assert np.all(sums.sum(axis=1) == operator.full_weight * len(sizes))
    np.testing.assert_allclose(sums * encoding.scale, forest.scores(x), rtol=0, atol=1e-12)
    decoded = ForestWalk.decode(operator.encode(), operator.features, operator.leaves)
    assert np.array_equal(decoded.apply(x)[0], sums)


def test_a_leaf_with_many_classes_fills_more_than_a_block_has_exits() -> None:
    rng = np.random.default_rng(0)
    for n_classes, most in ((300, 300), (64, 64), (16, 16)):
        forest = vote_forest(rng, "h", [30, 5], n_classes, 3000, most=most)
        encoding = encode_forest(forest, "h")
        assert_sound(encoding.operator)
        x = rows_around(rng, forest, "h", 60)
        sums = encoding.operator.apply(x)[0]
        error = np.abs(sums * encoding.scale - forest.scores(x)).max()
        assert error <= (most - 1) / 2 / encoding.operator.full_weight + 1e-12


@pytest.mark.parametrize("n_inner", [127, 128, 129, 255, 256, 257, 1500])
@pytest.mark.parametrize("shape", ["any", "left", "right"])
def test_blocks_of_large_trees(n_inner: int, shape: str) -> None:
    rng = np.random.default_rng(n_inner)
    forest = value_forest(rng, "f", [n_inner], shape=shape)
    operator = encode_forest(forest, "f", unit=1.0).operator
    assert_sound(operator)
    assert operator.n_nodes == n_inner
    assert len(operator.blocks) >= -(-n_inner // MAX_NODES)
    x = rows_around(rng, forest, "f", 200)
    assert np.array_equal(operator.apply(x)[0], forest.scores(x))


@MORE_EXAMPLES
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 150), min_size=1, max_size=3))
def test_nan_follows_the_source_or_goes_right(seed: int, sizes: list[int]) -> None:
    rng = np.random.default_rng(seed)
    forest = value_forest(rng, "f", sizes)
    x = rows_around(rng, forest, "f", 60, nan=True)
    operator = encode_forest(forest, "f", missing="follow", unit=1.0).operator
    assert_sound(operator)
    assert np.array_equal(operator.apply(x)[0], forest.scores(x))
    right = encode_forest(forest, "f", missing="right", unit=1.0).operator
    # Larger than every threshold but an infinite one.
    assert np.array_equal(
        right.apply(x)[0], forest.scores(np.where(np.isnan(x), np.float32(np.inf), x))
    )
    left = sum(int(np.sum(t.missing_left[t.feature >= 0])) for t in forest.trees)
    assert operator.n_nodes == right.n_nodes + left


@pytest.mark.parametrize("typecode", ["B", "b", "h"])
def test_nodes_that_no_value_can_tell_apart_are_left_out(typecode: str) -> None:
    low, high = np.iinfo(DTYPES[typecode]).min, np.iinfo(DTYPES[typecode]).max
    leaf = -1
    for threshold, kept, goes_left in (
        (low - 0.5, 0, False),
        (-np.inf, 0, False),
        (low - 1e-9, 0, False),
        (float(low), 1, None),
        (high - 1e-9, 1, None),
        (float(high), 0, True),
        (high + 0.5, 0, True),
        (np.inf, 0, True),
    ):
        tree = Tree(
            np.array([0, leaf, leaf], np.int32),
            np.array([threshold, 0, 0]),
            np.array([1, leaf, leaf], np.int32),
            np.array([2, leaf, leaf], np.int32),
            np.zeros(3, np.bool_),
            np.array([[0.0], [11.0], [22.0]]),
        )
        forest = Forest((tree,), 1, 1, "regress", np.zeros(1), 1, "none", False, (), False)
        operator = encode_forest(forest, typecode, unit=1.0).operator
        (block,) = operator.blocks
        assert (block.left != block.right) == bool(kept), threshold
        assert len(set(block.leaves)) == 1 + kept
        x = np.arange(low, high + 1).astype(DTYPES[typecode])[:, None]
        assert np.array_equal(operator.apply(x)[0], forest.scores(x)), threshold
        if goes_left is not None:
            assert set(operator.apply(x)[0].ravel()) == {11 if goes_left else 22}


def test_pruning_reaches_subtrees() -> None:
    x, y = datasets.load_digits(return_X_y=True)
    forest = from_sklearn(RandomForestClassifier(5, random_state=0).fit(x * 100, y))
    byte = encode_forest(forest, "B").operator
    word = encode_forest(forest, "h").operator
    assert byte.n_nodes < word.n_nodes
    rows = np.random.default_rng(0).integers(0, 256, (300, 64)).astype(np.uint8)
    sums, scores = byte.apply(rows)[0], forest.scores(rows)
    np.testing.assert_allclose(sums / (byte.full_weight * 5), scores, atol=1e-12)


# ---- Leaves


def test_every_kind_of_leaf_is_reachable() -> None:
    x, y = datasets.load_digits(return_X_y=True)
    iris_x, iris_y = datasets.load_iris(return_X_y=True)
    found = {
        "pure leaves": encode_forest(
            from_sklearn(DecisionTreeClassifier(random_state=0).fit(x, y)), "B"
        ),
        "exact with a table": encode_forest(
            from_sklearn(DecisionTreeClassifier(max_leaf_nodes=4).fit(iris_x, iris_y)), "f"
        ),
        "inexact": encode_forest(
            from_sklearn(RandomForestClassifier(9, max_depth=4, random_state=0).fit(x, y)), "B"
        ),
        "values": encode_forest(
            from_sklearn(GradientBoostingClassifier(n_estimators=2).fit(iris_x, iris_y)), "f"
        ),
    }
    kinds = {name: encoding.operator.leaves for name, encoding in found.items()}
    assert kinds == {
        "pure leaves": Leaves.PAIRS,
        "exact with a table": Leaves.TABLE,
        "inexact": Leaves.WIDE,
        "values": Leaves.VALUES,
    }


def test_a_table_is_tried_where_bytes_are_too_coarse() -> None:
    """Two trees that nearly cancel each other: class 1 leads by 0.0002 of a vote on each row."""
    n, total = 40, 10000
    first = np.linspace(1100, 4900, n).astype(np.int64)
    trees = [chain(np.stack([own, total - own], axis=1)) for own in (first, total - first - 1)]
    common: Any = (1, 2, "classify", np.zeros(2), 2, "none", False, (0, 1), False)
    rows = np.arange(n)[:, None]
    encoding = encode_forest(Forest(tuple(trees), *common), "B", rows=rows)
    assert encoding.operator.leaves is Leaves.TABLE
    assert_sound(encoding.operator)
    assert (encoding.rows_checked, encoding.rows_changed) == (n, 0)
    (sums,) = encoding.operator.apply(rows.astype(np.uint8))
    assert np.array_equal(sums.argmax(axis=1), np.ones(n))


def chain(counts: NDArray[np.int64]) -> Tree:
    """Leaf i for the feature's value i."""
    n = len(counts)
    size = 2 * n - 1
    inner = np.arange(size) % 2 == 0
    inner[-1] = False
    leaf_of = np.minimum(np.arange(size) // 2, n - 1)
    shares = np.where(inner[:, None], 0, counts[leaf_of])
    totals = np.where(inner, 1, counts[leaf_of].sum(axis=1))
    return Tree(
        np.where(inner, 0, -1).astype(np.int32),
        np.where(inner, leaf_of + 0.5, 0.0),
        np.where(inner, np.arange(size) + 1, -1).astype(np.int32),
        np.where(inner, np.arange(size) + 2, -1).astype(np.int32),
        np.zeros(size, np.bool_),
        shares / totals[:, None],
        0,
        shares,
        totals,
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("typecode", ["B", "f"])
@pytest.mark.parametrize(
    "estimator",
    [RandomForestClassifier(10, max_depth=3), ExtraTreesClassifier(7, max_depth=5)],
    ids=["forest", "extra"],
)
def test_no_given_row_changes_its_class(estimator: Any, typecode: str, seed: int) -> None:
    x, y = datasets.load_digits(return_X_y=True)
    x = x.astype(DTYPES[typecode])
    estimator.set_params(random_state=seed).fit(x[::2], y[::2])
    encoding = encode_forest(from_sklearn(estimator), typecode, rows=x)
    assert (encoding.rows_checked, encoding.rows_changed) == (len(x), 0)
    (sums,) = encoding.operator.apply(x)
    assert np.array_equal(sums.argmax(axis=1), estimator.predict(x))


def test_without_rows_only_exact_leaves_are_narrow() -> None:
    x, y = datasets.load_digits(return_X_y=True)
    model = RandomForestClassifier(10, max_depth=3, random_state=0).fit(x, y)
    free = encode_forest(from_sklearn(model), "B")
    tried = encode_forest(from_sklearn(model), "B", rows=x)
    assert free.operator.leaves is Leaves.WIDE
    assert free.leaf_bits > 8
    assert tried.leaf_bits == 8 or tried.operator.leaves is not Leaves.PAIRS
    assert len(tried.operator.encode()) < len(free.operator.encode())


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.floats(-1e6, 1e6),
    st.sampled_from([1.0, 0.01, 1e4]),
)
def test_values_are_off_by_half_a_unit_for_each_tree(
    seed: int, n_trees: int, base: float, size: float
) -> None:
    rng = np.random.default_rng(seed)
    plain = value_forest(rng, "h", [3] * n_trees)
    trees = tuple(
        Tree(
            t.feature, t.threshold, t.left, t.right, t.missing_left,
            np.where(t.feature[:, None] < 0, rng.normal(0, size, (t.n_nodes, 1)), 0.0),
        )
        for t in plain.trees
    )  # fmt: skip
    forest = Forest(trees, 5, 1, "regress", np.array([base]), 1, "none", False, (), False)
    encoding = encode_forest(forest, "h")
    x = rows_around(rng, forest, "h", 50)
    (sums,) = encoding.operator.apply(x)
    error = np.abs(sums.astype(np.float64) - forest.scores(x) / encoding.scale)
    assert error.max() <= n_trees / 2 + 1e-4
    assert np.abs(sums).max() < 2**30
    largest = np.abs(base) + sum(np.abs(t.value).max() for t in trees)
    fine = encoding.scale == 2.0**-30 or largest / encoding.scale > 2**28
    assert fine, "as fine as the sums allow"


@pytest.mark.parametrize("positive_at_zero", [True, False])
def test_a_score_of_zero(positive_at_zero: bool) -> None:
    leaf = -1
    tree = Tree(
        np.array([0, leaf, leaf], np.int32),
        np.array([0.0, 0, 0]),
        np.array([1, leaf, leaf], np.int32),
        np.array([2, leaf, leaf], np.int32),
        np.zeros(3, np.bool_),
        np.array([[0.0], [0.25], [-0.25]]),
    )
    base = np.array([-0.25])
    forest = Forest((tree,), 1, 1, "classify", base, 1, "logistic", positive_at_zero, (0, 1), False)
    x = np.array([[-1], [1]], np.int16)
    (sums,) = encode_forest(forest, "h").operator.apply(x)
    assert np.array_equal(sums[:, 0] > 0, forest.predict(x))
    assert forest.predict(x).tolist() == [int(positive_at_zero), 0]


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_no_trees_leave_the_base(n_outputs: int) -> None:
    base = np.arange(1.0, n_outputs + 1)
    classes = tuple(range(n_outputs)) if n_outputs > 1 else ()
    task: Any = "classify" if classes else "regress"
    link: Any = "softmax" if classes else "none"
    forest = Forest((), 2, n_outputs, task, base, 1, link, False, classes, False)
    encoding = encode_forest(forest, "f")
    assert_sound(encoding.operator)
    (sums,) = encoding.operator.apply(np.zeros((2, 2), np.float32))
    np.testing.assert_allclose(sums * encoding.scale, [base, base])


def test_kind_of_features() -> None:
    rng = np.random.default_rng(1)
    for typecode, features in (("B", "u8"), ("b", "i8"), ("h", "i16")):
        operator = encode_forest(value_forest(rng, typecode, [9]), typecode, unit=1.0).operator
        assert (operator.features, operator.typecode) == (features, typecode)
    x, y = datasets.load_iris(return_X_y=True)
    tree = DecisionTreeClassifier(random_state=0)
    assert encode_forest(from_sklearn(tree.fit(x, y)), "f").operator.features == "f32_positive"
    assert encode_forest(from_sklearn(tree.fit(x - 3, y)), "f").operator.features == "f32"
    for threshold, features in (
        (1.5, "f32_positive"),
        (1e-45, "f32_positive"),
        (0.0, "f32_positive"),
        (-0.0, "f32_positive"),
        (-1e-60, "f32"),
        (-1e-45, "f32"),
        (-1e-3, "f32"),
        (-np.inf, "f32"),
    ):
        made = chain(np.array([[1, 0], [0, 1]]))
        made.threshold[0] = threshold
        forest = Forest((made,), 1, 2, "classify", np.zeros(2), 1, "none", False, (0, 1), False)
        operator = encode_forest(forest, "f").operator
        assert operator.features == features, threshold
        rows = float_neighbours(threshold)[:, None]
        assert np.array_equal(operator.apply(rows)[0].argmax(axis=1), forest.predict(rows))
    assert set(FEATURES) == {"u8", "i8", "i16", "f32", "f32_positive"}


# ---- What is refused


def test_float_input_for_a_model_of_integers() -> None:
    rng = np.random.default_rng(0)
    made = value_forest(rng, "h", [3])
    forest = Forest(
        made.trees, 5, 1, "regress", np.zeros(1), 1, "none", False, (), False, integer_only=True
    )
    with pytest.raises(UsageError, match="int16, int8 or uint8"):
        encode_forest(forest, "f")


@pytest.mark.parametrize("typecode", DTYPES)
def test_too_many_features(typecode: str) -> None:
    rng = np.random.default_rng(0)
    most = max_features(typecode)
    operator = encode_forest(
        value_forest(rng, typecode, [60], n_features=most), typecode, unit=1.0
    ).operator
    assert_sound(operator)
    with pytest.raises(UnsupportedModelError, match=f"at most {most}"):
        encode_forest(value_forest(rng, typecode, [60], n_features=most + 1), typecode)


def test_too_many_outputs() -> None:
    forest = Forest(
        (), 1, 0x8000, "classify", np.zeros(0x8000), 1, "softmax", False, tuple(range(0x8000)), True
    )
    with pytest.raises(UnsupportedModelError, match="at most 32767"):
        encode_forest(forest, "f")


def test_a_forest_of_more_than_256_kilobytes() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6000, 4))
    model = RandomForestRegressor(9, n_jobs=1, random_state=0).fit(x, rng.normal(size=6000))
    operator = encode_forest(from_sklearn(model), "f").operator
    with pytest.raises(FormatError, match=r"fewer trees.*max_depth"):
        operator.encode()


def test_a_unit_that_does_not_fit() -> None:
    forest = value_forest(np.random.default_rng(0), "h", [9, 9])
    with pytest.raises(UsageError, match="coarser"):
        encode_forest(forest, "h", unit=2.0**-20)
