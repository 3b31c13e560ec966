"""What an operator is, in a few words."""

from __future__ import annotations

from collections.abc import Sequence

from .reference import Conv2D, ConvPairs, Dense, Depthwise, Operator, SmallConv, WindowStats


def describe(operator: Operator) -> str:
    """Sizes of an operator, and of a layer of a net its kernel and strides, for one line."""
    if isinstance(operator, (Conv2D, ConvPairs, SmallConv)):
        window = operator.window
        return _layer(
            window.shape,
            (*window.out_shape, len(operator.weights)),
            window.kernel,
            window.stride,
            window.dilation,
        )
    if isinstance(operator, Depthwise):
        axes = (operator.rows, operator.columns)
        return _layer(
            (*(axis.size for axis in axes), operator.channels // operator.multiplier),
            (*(axis.out for axis in axes), operator.channels),
            [axis.kernel for axis in axes],
            [axis.stride for axis in axes],
            [axis.dilation for axis in axes],
        )
    if isinstance(operator, Dense):
        return f"{operator.n_inputs} -> {operator.n_outputs}"
    if isinstance(operator, WindowStats):
        return f"{operator.n_samples} x {operator.n_channels}, {len(operator.statistics)} of each"
    inputs, outputs = (sum(n for _, n in each) for each in (operator.inputs, operator.outputs))
    return f"{inputs} -> {outputs}"


def _layer(
    source: Sequence[int],
    result: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> str:
    text = f"{_by(source)} -> {_by(result)}, kernel {_by(kernel)}"
    for name, values in (("stride", stride), ("dilation", dilation)):
        if any(value != 1 for value in values):
            text += f", {name} {_by(values) if len(set(values)) > 1 else values[0]}"
    return text


def _by(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))
