"""The dense layers of the nets in tests/data/nets, as operators."""

from __future__ import annotations

import numpy as np

from nets.files import net
from wingbeat.net.model import Dense as Options
from wingbeat.net.tflite import read_tflite
from wingbeat.reference.dense import Dense, dense

LOW, HIGH = -128, 127
ACTIVATIONS = {"NONE": (LOW, HIGH), "RELU": (0, None), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1)}


def limits(activation: str, scale: float, zero_point: int) -> tuple[int, int]:
    """What an activation leaves of int8, as TFLite rounds it."""
    if activation == "NONE":
        return LOW, HIGH
    low, high = (
        end if real is None else zero_point + round(real / float(np.float32(scale)))
        for real, end in zip(ACTIVATIONS[activation], (LOW, HIGH), strict=True)
    )
    return max(low, LOW), min(high, HIGH)


def dense_layers(name: str) -> list[Dense]:
    """The dense layers of one of the nets."""
    graph = read_tflite(net(name))
    layers = []
    for node in graph.nodes:
        if node.kind != "FULLY_CONNECTED":
            continue
        x, weights, bias = (graph.tensors[number] for number in node.inputs if number is not None)
        (y,) = (graph.tensors[number] for number in node.outputs)
        assert weights.quantization is not None
        assert isinstance(node.options, Options)
        assert weights.data is not None
        assert bias.data is not None
        low, high = limits(node.options.activation, y.scale, y.zero_point)
        layers.append(
            dense(
                weights.data,
                bias.data,
                input_zero_point=x.zero_point,
                factors=x.scale * weights.quantization.scale.astype(np.float64) / y.scale,
                output_zero_point=y.zero_point,
                low=low,
                high=high,
            )
        )
    return layers
