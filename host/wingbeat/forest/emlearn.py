"""Read tree ensembles that emlearn converted, from the object or from its saved CSV.

emlearn compares ``x < threshold``. With an integer dtype, and always in a CSV, both sides are
integers (thresholds cut off towards zero), so ``x <= threshold - 1`` is the same; with
``dtype="float"`` thresholds keep six decimals and ``<=`` takes the next smaller float32. Sums
are taken in float32. The classes are indexes, since emlearn drops the labels.

emlearn is never imported here: a converted model brings it along, a CSV does without.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError, UnsupportedModelError
from wingbeat.forest.model import LEAF, Forest, Tree

INTEGER_DTYPES = ("int8_t", "uint8_t", "int16_t", "uint16_t", "int32_t")
INT16 = range(-(2**15), 2**15)
MAX_CLASSES = 1024
MAJORITY_BITS = 0
FLOAT_BITS = 32
PROPORTION_TOTAL = 255


class _Node(NamedTuple):
    where: str  # names the node in messages
    feature: int
    threshold: float  # already for <=
    left: int  # a node's index, or -1 - the index of a leaf
    right: int


class _Root(NamedTuple):
    where: str
    node: int


class _Leaf(NamedTuple):
    where: str
    data: tuple[float, ...]  # a class index, a number, or proportions of 255


class _Header(NamedTuple):
    n_features: int
    n_classes: int
    leaf_bits: int

    @property
    def leaf_kind(self) -> Literal["class", "number", "proportions"]:
        if self.leaf_bits == MAJORITY_BITS:
            return "class"
        return "number" if self.leaf_bits == FLOAT_BITS else "proportions"


def from_emlearn(model: Any) -> Forest:
    """Read the trees that ``emlearn.convert(...)`` returned.

    Parameters
    ----------
    model
        emlearn's wrapper of a decision tree, random forest or extra trees.

    Returns
    -------
    Forest
        Predicts what the model's own ``predict`` does on inputs that its dtype can hold.
        ``integer_only`` unless it was converted with ``dtype="float"``.

    Raises
    ------
    UnsupportedModelError
        Not emlearn's trees, or an option that emlearn cannot run itself: another dtype, a
        ``leaf_bits`` that is too small to keep a class in each leaf.
    FormatError
        The node tables contradict each other.
    """
    kind = type(model)
    if kind.__name__ != "Wrapper" or kind.__module__ != "emlearn.trees":
        raise UnsupportedModelError(
            f"{kind.__module__}.{kind.__name__} is not a tree model of emlearn; pass what "
            "emlearn.convert() returns for a decision tree, random forest or extra trees"
        )
    leaf_bits = int(model.leaf_bits)
    allowed = range(9) if model.is_classifier else (FLOAT_BITS,)
    if leaf_bits not in allowed:
        raise UnsupportedModelError(
            f"leaf_bits={leaf_bits} does not work in emlearn itself; convert with "
            + ("leaf_bits from 0 to 8" if model.is_classifier else "leaf_bits=None")
        )
    cut = _threshold_rule(model.dtype, loadable=model.method == "loadable")
    nodes, roots, leaves = model.forest_
    header = _Header(int(model.n_features), int(model.n_classes), leaf_bits)
    return _assemble(
        header,
        [
            _Node(f"node {i}", int(feature), cut(threshold), int(left), int(right))
            for i, (feature, threshold, left, right) in enumerate(nodes)
        ],
        [_Root(f"root {i}", int(root)) for i, root in enumerate(roots)],
        [
            _Leaf(f"leaf {i}", tuple(_leaf_number(v, model) for v in np.atleast_1d(leaf).tolist()))
            for i, leaf in enumerate(leaves)
        ],
        integer_only=model.dtype != "float",
    )


def from_emlearn_csv(text: str) -> Forest:
    """Read the CSV that emlearn's ``save(format="csv")`` writes for emlearn-micropython.

    Parameters
    ----------
    text : str
        Lines ``f,features``, ``c,classes`` (0 for a regressor), ``lb,leaf bits``, ``l,leaf``,
        ``r,root`` and ``n,feature,threshold,left,right``; a child is a forward step in nodes,
        or -1 - the index of a leaf.

    Returns
    -------
    Forest
        ``integer_only``, for int16 input: what emlearn-micropython computes.

    Raises
    ------
    FormatError
        The text is cut short or damaged; the message names the line and what was expected. A
        file without checksum cannot show every damage: a digit changed into another valid one
        passes.
    """
    header, records = _split(text)
    nodes: list[_Node] = []
    roots: list[_Root] = []
    leaves: list[_Leaf] = []
    for line, kind, fields in records:
        where = f"line {line}"
        if kind == "l":
            leaves.append(_Leaf(where, _leaf_fields(fields, header, where)))
        elif kind == "r":
            roots.append(_Root(where, _integer(fields[0], "a root index", where)))
        else:
            nodes.append(_node_fields(fields, len(nodes), where))
    return _assemble(header, nodes, roots, leaves, integer_only=True)


def _threshold_rule(dtype: str, *, loadable: bool) -> Callable[[Any], float]:
    """Return what turns emlearn's ``<`` threshold into ours for ``<=``."""
    if dtype != "float" and dtype not in INTEGER_DTYPES:
        raise UnsupportedModelError(
            f"dtype={dtype!r} is not supported; convert with one of "
            f"{', '.join(map(repr, INTEGER_DTYPES))} or 'float'"
        )

    def below(threshold: Any) -> float:
        if not math.isfinite(threshold):
            raise UnsupportedModelError(
                "the model splits on missing values, which emlearn cannot run; "
                "train it on rows without NaN"
            )
        if dtype == "float":
            with np.errstate(under="ignore"):  # emlearn makes NumPy raise on denormals
                return float(np.nextafter(np.float32(f"{threshold:.6f}"), np.float32(-np.inf)))
        whole = int(threshold)
        if loadable and whole not in INT16:
            raise UnsupportedModelError(
                f"threshold {whole} does not fit emlearn's int16 nodes; "
                "scale the features before training, or convert with method='inline'"
            )
        return float(whole - 1)

    return below


def _leaf_number(value: Any, model: Any) -> float:
    if model.is_classifier:
        return float(value)
    # Inline code prints leaves with six decimals; the loadable table keeps float32.
    return _to_float32(value if model.method == "loadable" else float(f"{value:.6f}"))


def _to_float32(value: float) -> float:
    with np.errstate(under="ignore"):
        return float(np.float32(value))


def _split(text: str) -> tuple[_Header, list[tuple[int, str, list[str]]]]:
    """Split into the header and the other records, each with its line number."""
    sizes = {"f": 1, "c": 1, "lb": 1, "l": 1, "r": 1, "n": 4}
    header: dict[str, int] = {}
    records = []
    last = 1
    for last, line in _lines(text):
        kind, *fields = line.split(",")
        where = f"line {last}"
        if kind not in sizes:
            raise FormatError(
                f"{where}: expected a record f, c, lb, l, r or n of an emlearn trees CSV, "
                f"got {line[:40]!r}"
            )
        if len(fields) != sizes[kind]:
            raise FormatError(
                f"{where}: expected {sizes[kind]} fields after {kind!r}, got {len(fields)}; "
                "the file is cut short or damaged: save it again from emlearn"
            )
        if kind in ("l", "r", "n"):
            records.append((last, kind, fields))
        elif kind in header:
            raise FormatError(f"{where}: expected one {kind!r} record, got a second")
        else:
            header[kind] = _integer(fields[0], f"a whole number after {kind!r}", where)
    where = f"line {last}: the file ends, but"
    for kind in ("f", "c"):
        if kind not in header:
            raise FormatError(f"{where} expected a {kind!r} record; it is cut short or damaged")
    return _checked(_Header(header["f"], header["c"], header.get("lb", 0)), where), records


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers, those of one ``[...]`` joined, blank ones left out."""
    pending, start = "", 0
    for number, piece in enumerate(text.split("\n"), 1):
        line = f"{pending} {piece}".strip()
        start = start if pending else number
        pending = line if "[" in line and "]" not in line else ""
        if line and not pending:
            yield start, line
    if pending:
        raise FormatError(f"line {start}: expected a closing ']'; the file is cut short")


def _checked(header: _Header, where: str) -> _Header:
    if not 1 <= header.n_features < 2**31:
        raise FormatError(f"{where} expected 1 or more features, got f,{header.n_features}")
    if header.leaf_bits not in (*range(9), FLOAT_BITS):
        raise FormatError(f"{where} expected leaf bits 0 to 8, or 32, got lb,{header.leaf_bits}")
    least, most = (0, 0) if header.leaf_bits == FLOAT_BITS else (1, MAX_CLASSES)
    if not least <= header.n_classes <= most:
        raise FormatError(
            f"{where} expected {least} to {most} classes with leaf bits {header.leaf_bits}, "
            f"got c,{header.n_classes}"
        )
    return header


def _integer(field: str, meaning: str, where: str) -> int:
    try:
        return int(field)
    except ValueError:
        raise FormatError(f"{where}: expected {meaning}, got {field!r}") from None


def _number(field: str, meaning: str, where: str) -> float:
    try:
        value = float(field)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError(f"{where}: expected {meaning}, a finite number, got {field!r}")
    return value


def _leaf_fields(fields: Sequence[str], header: _Header, where: str) -> tuple[float, ...]:
    field = fields[0]
    if header.leaf_kind == "number":
        number = _number(field, "a leaf's value", where)
        if abs(number) > float(np.finfo(np.float32).max):
            raise FormatError(f"{where}: expected a leaf's value that fits float32, got {field}")
        return (_to_float32(number),)
    if header.leaf_kind == "class":
        return (_integer(field, "a leaf's class", where),)
    numbers = field.removeprefix("[").removesuffix("]").split()
    return tuple(_integer(n, f"a proportion of {PROPORTION_TOTAL}", where) for n in numbers)


def _node_fields(fields: Sequence[str], index: int, where: str) -> _Node:
    feature = _integer(fields[0], "a feature index", where)
    threshold = int(_number(fields[1], "a threshold", where))
    if threshold not in INT16:
        raise FormatError(
            f"{where}: expected a threshold that fits int16, got {threshold}; "
            "scale the features before training"
        )
    children = [_integer(f, "a step to a child", where) for f in fields[2:]]
    for step in children:
        if step == 0:
            raise FormatError(f"{where}: expected a step forward to a child, got 0: a cycle")
    left, right = (index + step if step > 0 else step for step in children)
    return _Node(where, feature, float(threshold - 1), left, right)


def _assemble(
    header: _Header,
    nodes: Sequence[_Node],
    roots: Sequence[_Root],
    leaves: Sequence[_Leaf],
    *,
    integer_only: bool,
) -> Forest:
    if not roots or not nodes or not leaves:
        raise FormatError(
            f"expected at least one root, node and leaf, got {len(roots)} roots, "
            f"{len(nodes)} nodes and {len(leaves)} leaves; the model is cut short or damaged"
        )
    copier = _Copier(header, nodes, leaves)
    trees = tuple(copier.tree(root) for root in roots)
    copier.check_all_used()
    if header.leaf_kind == "proportions":
        _check_proportions(trees)
    n_outputs = copier.value.shape[1]
    classify = header.leaf_kind != "number"
    return Forest(
        trees=trees,
        n_features=header.n_features,
        n_outputs=n_outputs,
        task="classify" if classify else "regress",
        base=np.zeros(n_outputs),
        divisor=len(trees),
        link="none",
        positive_at_zero=False,
        classes=tuple(range(header.n_classes)) if classify else (),
        handles_missing=False,
        integer_only=integer_only,
        single_precision=True,
    )


class _Copier:
    """Copies trees out of emlearn's shared tables, and checks every reference on the way."""

    def __init__(self, header: _Header, nodes: Sequence[_Node], leaves: Sequence[_Leaf]) -> None:
        self.header = header
        self.nodes = nodes
        self.leaves = leaves
        self.node_used = np.zeros(len(nodes), dtype=np.bool_)
        self.leaf_used = np.zeros(len(leaves), dtype=np.bool_)
        self.total = PROPORTION_TOTAL if header.leaf_kind == "proportions" else 1
        self.counts: NDArray[np.int64] | None = None
        if header.leaf_kind == "number":
            self.value = np.array([leaf.data for leaf in leaves], dtype=np.float64)
        else:
            self.counts = np.array([self._counts(leaf) for leaf in leaves], dtype=np.int64)
            shares = self.counts.astype(np.float32) / np.float32(self.total)
            self.value = shares.astype(np.float64)

    def tree(self, root: _Root) -> Tree:
        """Copy one tree, parents before children."""
        if not 0 <= root.node < len(self.nodes):
            raise FormatError(
                f"{root.where}: expected a root from 0 to {len(self.nodes) - 1}, got {root.node}"
            )
        feature: list[int] = []
        threshold: list[float] = []
        children: tuple[list[int], list[int]] = ([], [])
        leaf_of: list[int] = []
        waiting = [(root.node, root.where, LEAF, 0)]
        while waiting:
            reference, where, parent, side = waiting.pop()
            here = len(feature)
            if parent != LEAF:
                children[side][parent] = here
            found = self._follow(reference, where)
            if isinstance(found, _Node):
                waiting.append((found.right, found.where, here, 1))
                waiting.append((found.left, found.where, here, 0))
            feature.append(found.feature if isinstance(found, _Node) else LEAF)
            threshold.append(found.threshold if isinstance(found, _Node) else 0.0)
            leaf_of.append(LEAF if isinstance(found, _Node) else found)
            children[0].append(LEAF)
            children[1].append(LEAF)
        row = np.array(leaf_of)
        is_leaf = row != LEAF
        counts = self.counts
        return Tree(
            feature=np.array(feature, dtype=np.int32),
            threshold=np.array(threshold),
            left=np.array(children[0], dtype=np.int32),
            right=np.array(children[1], dtype=np.int32),
            missing_left=np.zeros(len(row), dtype=np.bool_),
            value=np.where(is_leaf[:, None], self.value[row], 0.0),
            counts=None if counts is None else np.where(is_leaf[:, None], counts[row], 0),
            total=None if counts is None else np.where(is_leaf, self.total, 1),
        )

    def check_all_used(self) -> None:
        """Refuse nodes and leaves that nothing leads to: references were damaged."""
        tables: tuple[tuple[NDArray[np.bool_], Sequence[_Node | _Leaf]], ...] = (
            (self.node_used, self.nodes),
            (self.leaf_used, self.leaves),
        )
        for used, items in tables:
            if not used.all():
                raise FormatError(
                    f"{items[int(used.argmin())].where}: expected a parent or root that leads "
                    "here, found none; the model is cut short or damaged: save it again"
                )

    def _follow(self, reference: int, where: str) -> _Node | int:
        """Return the node, or the index of the leaf, that a reference means."""
        if reference < 0:
            return self._leaf(reference, where)
        if reference >= len(self.nodes):
            raise FormatError(
                f"{where}: expected a child among {len(self.nodes)} nodes, got node {reference}; "
                "the model is cut short or damaged"
            )
        node = self.nodes[reference]
        if self.node_used[reference]:
            raise FormatError(
                f"{where}: expected a node of its own, got {node.where}, which is used already"
            )
        self.node_used[reference] = True
        if not 0 <= node.feature < self.header.n_features:
            raise FormatError(
                f"{node.where}: expected a feature from 0 to {self.header.n_features - 1}, "
                f"got {node.feature}"
            )
        if node.left == node.right < 0:  # how emlearn writes a tree of a single leaf
            return self._leaf(node.left, node.where)
        return node

    def _leaf(self, reference: int, where: str) -> int:
        leaf = -1 - reference
        if leaf >= len(self.leaves):
            raise FormatError(
                f"{where}: expected a leaf from -1 to {-len(self.leaves)}, got {reference}; "
                "the model is cut short or damaged"
            )
        self.leaf_used[leaf] = True
        return leaf

    def _counts(self, leaf: _Leaf) -> NDArray[np.int64]:
        n = self.header.n_classes
        counts = np.zeros(n, dtype=np.int64)
        if self.header.leaf_kind == "class":
            if leaf.data[0] not in range(n):
                raise FormatError(
                    f"{leaf.where}: expected a class from 0 to {n - 1}, got {leaf.data[0]}"
                )
            counts[int(leaf.data[0])] = 1
        elif len(leaf.data) == n and all(0 <= part <= self.total for part in leaf.data):
            counts[:] = leaf.data
        else:
            raise FormatError(
                f"{leaf.where}: expected {n} proportions from 0 to {self.total}, "
                f"got {len(leaf.data)}: {list(leaf.data[:8])}"
            )
        return counts


def _check_proportions(trees: Sequence[Tree]) -> None:
    """Refuse a model that may reach no class at all, which emlearn answers with an error code."""
    if all((tree.value[tree.leaves].max(axis=1) == 0).any() for tree in trees):
        raise UnsupportedModelError(
            "every tree has a leaf whose proportions all round to 0, so some rows get no class; "
            "convert again with more leaf_bits"
        )
