"""Multilayer perceptrons to programs: int8, calibrated on rows of data.

A regression has 256 results between the smallest and the largest of the rows, and 0: it is best
trained on differences from the mean.

Weights get a scale for each output, activations one for each tensor, from the ranges that the rows
produce. Features that come as float32 get a range each, which goes into the weights of the first
layer; so they need not be scaled. What rounding the weights adds to a sum on average is taken off
its bias.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wingbeat.errors import UsageError
from wingbeat.golden import choose
from wingbeat.net.convert import convert_graph
from wingbeat.net.model import Dense, Graph, Node, Quantization, Softmax, Tensor
from wingbeat.net.perceptron import FUNCTIONS, Layer, Perceptron, decide
from wingbeat.program import Program

_CLIPPED = (0.0, 1e-4, 1e-3, 5e-3, 2e-2)
"""Shares of the activations that may lie outside of the range: each is tried."""

_MOST_COMPARED = 2000
_SATURATED = {"logistic": 8.0, "tanh": 4.0}
"""Beyond these sums the results are 0 or 1, or -1 or 1, in steps of int8."""

_FIXED = {"logistic": (1 / 256, -128), "softmax": (1 / 256, -128), "tanh": (1 / 128, 0)}
"""Scale and zero point of an activation's results, as TFLite has them."""

_KINDS = {"logistic": "LOGISTIC", "softmax": "SOFTMAX", "tanh": "TANH"}
_MOST_BIAS = 1 << 28
_STEPS = 255


def convert_perceptron(
    model: Perceptron,
    rows: ArrayLike | None,
    *,
    targets: ArrayLike | None = None,
    name: str = "model",
    labels: Sequence[str] | None = None,
    io: Literal["int8", "float"] = "float",
    meta: Mapping[str, Any] | None = None,
) -> Program:
    """Quantize a perceptron to int8 and convert it.

    Parameters
    ----------
    rows : array [rows, n_features]
        Features as the model takes them, such as those of training: 100 or more, of all classes.
        What is larger or smaller than all of them is clipped on the board.
    targets : array [rows] or [rows, n_outputs], optional
        The true class values, or the true values.
    name : str
        Name of the module on the board.
    labels : sequence of str, optional
        Names of the classes. Default: the model's class values.
    io : {"int8", "float"}
        Dtype of input and output on the board. "int8": all features share one scale.
    meta : mapping, optional
        Facts to keep in the program's file; JSON values.

    Returns
    -------
    Program
        `meta["quantization"]` tells what int8 changed on the rows: `rows`, `largest_difference`
        of an output; for classes `classes_changed`; with `targets` also `accuracy_before` and
        `accuracy_after`, or `error_before` and `error_after` (mean absolute errors).

    Raises
    ------
    UsageError
        The rows, targets or labels do not fit the model.
    """
    x = _checked_rows(model, rows)
    truth = None if targets is None else _checked_targets(model, targets, len(x))
    wanted = model.run(x)
    if labels is None:
        labels = tuple(str(each) for each in model.classes)
    elif isinstance(labels, str) or len(labels) != len(model.classes):
        raise UsageError(f"labels {labels!r}: expected {len(model.classes)} names, one a class")
    every = -(-len(x) // _MOST_COMPARED)
    best: Program | None = None
    least = np.inf
    for clipped in _CLIPPED:
        graph = _quantized(model, x, clipped, io)
        program = convert_graph(graph, name=name, labels=labels or None, io=io)
        found = _results(program, x[::every])
        error = float(np.square(found - wanted[::every]).mean())
        if error < least:
            best, least = program, error
    assert best is not None
    facts = {"layers": best.meta["layers"], "quantization": _report(model, best, x, wanted, truth)}
    golden = choose(best, _stored(best, x))
    return replace(best, meta={**facts, **(meta or {})}, golden=golden)


def _checked_rows(model: Perceptron, rows: ArrayLike | None) -> NDArray[np.float64]:
    if rows is None:
        raise UsageError(
            "a neural network is converted to int8: give rows of features, such as those of"
            " training, from which the ranges of its numbers are taken"
        )
    x = np.asarray(rows)
    if x.ndim != 2 or x.shape[1] != model.n_features or not len(x):
        raise UsageError(
            f"rows of shape {list(x.shape)}: expected [rows, {model.n_features}], at least one"
        )
    if x.dtype.kind not in "biuf" or not np.all(np.isfinite(x)):
        raise UsageError("rows: expected finite numbers: a neural network takes no missing values")
    return x.astype(np.float64)


def _checked_targets(model: Perceptron, targets: ArrayLike, n_rows: int) -> NDArray[Any]:
    """Class numbers [rows], or values [rows, n_outputs]."""
    given = np.asarray(targets)
    if model.task == "regress":
        if given.size != n_rows * model.n_outputs or given.dtype.kind not in "biuf":
            raise UsageError(
                f"targets of shape {list(given.shape)}: expected {n_rows} rows of"
                f" {model.n_outputs} numbers"
            )
        return given.reshape(n_rows, model.n_outputs).astype(np.float64)
    if given.shape != (n_rows,):
        raise UsageError(f"targets of shape {list(given.shape)}: expected {n_rows} class values")
    numbers = {value: number for number, value in enumerate(model.classes)}
    unknown = [value for value in given.tolist() if value not in numbers]
    if unknown:
        raise UsageError(
            f"targets: {unknown[0]!r} is no class of the model; its classes:"
            f" {', '.join(map(repr, model.classes[:10]))}"
        )
    return np.array([numbers[value] for value in given.tolist()])


def _stored(program: Program, x: NDArray[np.float64]) -> NDArray[Any]:
    """The rows as the program takes them."""
    if program.input.typecode == "f":
        return x.astype(np.float32)
    return program.input.quantize(x)


def _results(program: Program, x: NDArray[np.float64]) -> NDArray[np.float64]:
    raw = program.run(_stored(program, x)).reshape(len(x), -1).astype(np.float64)
    return (raw - program.output.zero_point) * program.output.scale


def _report(
    model: Perceptron,
    program: Program,
    x: NDArray[np.float64],
    wanted: NDArray[np.float64],
    truth: NDArray[Any] | None,
) -> dict[str, Any]:
    found = _results(program, x)
    facts: dict[str, Any] = {
        "rows": len(x),
        "largest_difference": float(np.abs(found - wanted).max()),
    }
    if model.task == "classify":
        before, after = decide(wanted), np.asarray(program.predict(_stored(program, x)))
        facts["classes_changed"] = int((before != after).sum())
        if truth is not None:
            facts["accuracy_before"] = float((before == truth).mean())
            facts["accuracy_after"] = float((after == truth).mean())
    elif truth is not None:
        facts["error_before"] = float(np.abs(wanted - truth).mean())
        facts["error_after"] = float(np.abs(found - truth).mean())
    return facts


# ---- The graph


@dataclass
class _Builder:
    """A graph that grows."""

    tensors: dict[int, Tensor] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)

    def add(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: str,
        quantization: Quantization | None = None,
        data: NDArray[Any] | None = None,
    ) -> int:
        number = len(self.tensors)
        self.tensors[number] = Tensor(name, shape, dtype, quantization, data)
        return number

    def activations(self, name: str, n_elements: int, scale: float, zero_point: int) -> int:
        return self.add(name, (1, n_elements), "int8", _quantization([scale], zero_point))

    def constant(
        self, name: str, data: NDArray[Any], quantization: Quantization | None = None
    ) -> int:
        return self.add(name, data.shape, data.dtype.name, quantization, data)

    def node(self, kind: str, inputs: tuple[int, ...], output: int, options: Any = None) -> None:
        self.nodes.append(Node(len(self.nodes), kind, inputs, (output,), options))


def _quantization(scales: ArrayLike, zero_point: int = 0) -> Quantization:
    scale = np.asarray(scales, np.float32)
    return Quantization(scale, np.full(len(scale), zero_point, np.int64))


def _quantized(
    model: Perceptron, x: NDArray[np.float64], clipped: float, io: Literal["int8", "float"]
) -> Graph:
    """The graph of the quantized perceptron.

    Parameters
    ----------
    clipped : float
        Share of the sums and activations that may lie outside of their range.
    """
    graph = _Builder()
    layers = list(model.layers)
    if io == "float":
        source, current, x = _standardized(graph, layers, x)
    else:
        low, high = _range(x, 0.0)
        source = current = graph.activations("input", model.n_features, *_affine(low, high))
    for number, layer in enumerate(layers):
        current, x = _append(graph, f"layer {number}", layer, current, x, clipped)
    return Graph(graph.tensors, tuple(graph.nodes), (source,), (current,))


def _standardized(
    graph: _Builder, layers: list[Layer], x: NDArray[np.float64]
) -> tuple[int, int, NDArray[np.float64]]:
    """Each feature's range as int8; the first layer takes that."""
    low, high = x.min(axis=0), x.max(axis=0)
    centre = (low + high) / 2
    step = (high - low) / _STEPS
    # A feature that was the same in all rows tells nothing: it counts as that value.
    known = step > np.abs(centre) * 2.0**-20
    n = x.shape[1]
    source = graph.add("input", (1, n), "float32")
    result = graph.activations("features", n, 1.0, 0)
    steps = np.where(known, step, np.inf)
    constants = graph.constant("centre", centre), graph.constant("step", steps)
    graph.node("STANDARDIZE", (source, *constants), result)
    first = layers[0]
    inside = np.where(known, step, 0.0)
    layers[0] = replace(
        first,
        weights=inside[:, np.newaxis] * first.weights,
        bias=first.bias + centre @ first.weights,
    )
    return source, result, (x - centre) / steps


def _append(
    graph: _Builder,
    name: str,
    layer: Layer,
    source: int,
    x: NDArray[np.float64],
    clipped: float,
) -> tuple[int, NDArray[np.float64]]:
    """A layer; the tensor of its results, and what the float model has there."""
    sums = x @ layer.weights + layer.bias
    results = FUNCTIONS[layer.function](sums)
    n = layer.weights.shape[1]
    fused = layer.function in ("identity", "relu")
    low, high = _range(results if fused else sums, clipped)
    end = _SATURATED.get(layer.function, np.inf)
    target = graph.activations(name, n, *_affine(max(low, -end), min(high, end)))
    scale = graph.tensors[source].scale
    weights, bias, scales = _rounded(layer, x.mean(axis=0), scale)
    constants = (
        graph.constant(f"{name} weights", weights, _quantization(scales)),
        graph.constant(f"{name} bias", bias, _quantization(scales * scale)),
    )
    activation = "RELU" if layer.function == "relu" else "NONE"
    graph.node("FULLY_CONNECTED", (source, *constants), target, Dense(activation))
    if fused:
        return target, results
    output = graph.activations(f"{name} {layer.function}", n, *_FIXED[layer.function])
    options = Softmax(1.0) if layer.function == "softmax" else None
    graph.node(_KINDS[layer.function], (target,), output, options)
    return output, results


def _rounded(
    layer: Layer, mean: NDArray[np.float64], input_scale: float
) -> tuple[NDArray[np.int8], NDArray[np.int32], NDArray[np.float64]]:
    """Weights [outputs, inputs], bias, and scales of the weights.

    Parameters
    ----------
    mean : array [inputs]
        Of the layer's inputs.
    """
    largest = np.abs(layer.weights).max(axis=0) / 127
    # So that no bias needs more than 29 bits, and none is divided by 0.
    least = np.abs(layer.bias) / (input_scale * _MOST_BIAS)
    scales = np.maximum(np.maximum(largest, least), np.finfo(np.float32).tiny * 2.0**40)
    scales = scales.astype(np.float32).astype(np.float64)
    weights = np.clip(np.rint(layer.weights / scales), -127, 127)
    added = mean @ (weights * scales - layer.weights)
    bias = np.rint((layer.bias - added) / (scales * input_scale))
    limited = np.clip(bias, -2 * _MOST_BIAS, 2 * _MOST_BIAS)
    return weights.T.astype(np.int8), limited.astype(np.int32), scales


def _range(values: NDArray[np.float64], clipped: float) -> tuple[float, float]:
    low, high = np.quantile(values, [clipped / 2, 1 - clipped / 2])
    return float(low), float(high)


def _affine(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point of int8 for a range, to which 0 is added."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / _STEPS)) if high > low else 1.0
    return scale, round(min(max(-128 - low / scale, -128), 127))
