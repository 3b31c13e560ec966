"""The rule of TRANSPOSE_CONV: a convolution, whose pixels are then sorted.

Output pixel ``o`` takes input pixel ``i`` with the weight ``o + padding - i * stride``. So outputs
of one phase, ``(o + padding) % stride``, take the same weights: a convolution computes all phases
side by side, as channels, and a gather puts them where they belong. Nothing is multiplied that
TFLite would not multiply, but where a phase has a weight less than another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError
from wingbeat.net.model import Convolution, Node
from wingbeat.net.rule import Lowering, Rule, image, options_of
from wingbeat.net.rules_of_sums import bias_of, scaled, weights_of
from wingbeat.reference.conv import conv2d
from wingbeat.reference.gather import gather

_INPUT = 2


@dataclass(frozen=True)
class _Axis:
    """Rows or columns.

    Attributes
    ----------
    inputs, outputs, kernel, stride : int
    same : bool
        The padding.
    """

    inputs: int
    outputs: int
    kernel: int
    stride: int
    same: bool

    @property
    def before(self) -> int:
        """Padding in front. Source: TFLite's ``ComputePaddingHeightWidth``, of the output."""
        room = self.outputs + self.stride - (1 if self.same else self.kernel)
        total = (room // self.stride - 1) * self.stride + self.kernel - self.outputs
        return max(total, 0) // 2

    @property
    def taps(self) -> int:
        """Weights of a phase."""
        return -(-self.kernel // self.stride)

    @property
    def steps(self) -> NDArray[np.int64]:
        """Where each output is computed, from the first."""
        steps = (np.arange(self.outputs) + self.before) // self.stride
        return np.asarray(steps - self.before // self.stride)

    @property
    def phases(self) -> NDArray[np.int64]:
        """The phase of each output."""
        return np.asarray((np.arange(self.outputs) + self.before) % self.stride)

    @property
    def count(self) -> int:
        """Outputs of a phase."""
        return int(self.steps[-1]) + 1

    @property
    def padding(self) -> tuple[int, int]:
        """Of the convolution."""
        front = self.taps - 1 - self.before // self.stride
        return front, self.count - self.inputs - front + self.taps - 1


def _transpose_conv(net: Lowering, node: Node) -> None:
    weights, source = weights_of(net, node, 1, dimensions=4), image(net, node, _INPUT)
    result, options = net.output(node), options_of(node, Convolution)
    channels, height, width, inputs = weights.shape
    if len(result.shape) != 4 or min(result.shape) < 1 or min(options.stride) < 1:
        raise FormatError(f"an output of {list(result.shape)} with strides {options.stride}")
    if result.shape[0] != 1 or result.shape[3] != channels or source.shape[3] != inputs:
        raise FormatError(
            f"weights {list(weights.shape)} from {list(source.shape)} to {list(result.shape)}"
        )
    rows, columns = (
        _Axis(source.shape[i], result.shape[i], kernel, stride, options.same)
        for i, kernel, stride in ((1, height, options.stride[0]), (2, width, options.stride[1]))
    )
    n_phases = rows.stride * columns.stride
    numbers = scaled(net, node, channels, options.activation, source=_INPUT)
    numbers["factors"] = np.tile(numbers["factors"], n_phases)
    operator = conv2d(
        _phased(weights, rows, columns),
        np.tile(bias_of(net, node, 3, channels), n_phases),
        shape=(rows.inputs, columns.inputs, inputs),
        padding=(rows.padding, columns.padding),
        **numbers,
    )
    if n_phases == 1:
        net.emit(node, operator, net.source(node, _INPUT), node.outputs[0])
        return
    shape = (1, rows.count, columns.count, n_phases * channels)
    between = net.between(shape, result)
    net.emit(node, operator, net.source(node, _INPUT), between)
    step = n_phases * channels
    first = rows.steps * columns.count * step + rows.phases * columns.stride * channels
    second = columns.steps * step + columns.phases * channels
    places = np.add.outer(np.add.outer(first, second), np.arange(channels))
    net.emit(node, gather(math.prod(shape), places), between, node.outputs[0])


def _phased(weights: NDArray[np.int8], rows: _Axis, columns: _Axis) -> NDArray[np.int8]:
    """Weights [phases of rows * phases of columns * channels, taps, taps, inputs]."""
    channels, height, width, inputs = weights.shape
    wide = np.zeros(
        (channels, rows.taps * rows.stride, columns.taps * columns.stride, inputs), np.int8
    )
    wide[:, :height, :width] = weights
    cut = wide.reshape(channels, rows.taps, rows.stride, columns.taps, columns.stride, inputs)
    turned = cut[:, ::-1, :, ::-1].transpose(2, 4, 0, 1, 3, 5)
    return np.ascontiguousarray(turned).reshape(-1, rows.taps, columns.taps, inputs)


RULES: Mapping[str, Rule] = {"TRANSPOSE_CONV": _transpose_conv}
