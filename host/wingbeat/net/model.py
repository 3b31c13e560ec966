"""The neutral graph of a neural network: what every reader makes and every step works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Quantization:
    """How stored integers stand for real numbers: real = (stored - zero_point) * scale.

    Attributes
    ----------
    scale : NDArray[float32] [1] or [channels]
    zero_point : NDArray[int64] [1] or [channels]
    axis : int
        The dimension of the channels, where there are several.
    """

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int = 0


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the graph.

    Attributes
    ----------
    name : str
        Printable, for messages.
    shape : tuple of int
        With the batch dimension, as in the file; () is a scalar.
    dtype : str
        NumPy's name where it has one, such as int8 or float32; else the file format's (int4).
    quantization : Quantization or None
    data : array or None
        The value of a constant, of this shape.
    open : bool
        Dimensions beside that of the batch are only known when the net runs.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None = None
    data: NDArray[Any] | None = None
    open: bool = False

    @property
    def n_elements(self) -> int:
        """Product of the dimensions."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def scale(self) -> float:
        """Of a tensor that is quantized as a whole; else 1."""
        return 1.0 if self.quantization is None else float(self.quantization.scale[0])

    @property
    def zero_point(self) -> int:
        """Of a tensor that is quantized as a whole; else 0."""
        return 0 if self.quantization is None else int(self.quantization.zero_point[0])


@dataclass(frozen=True)
class Convolution:
    """Options of CONV_2D, DEPTHWISE_CONV_2D and TRANSPOSE_CONV; pairs are (height, width)."""

    same: bool = False
    stride: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    activation: str = "NONE"
    padding: tuple[tuple[int, int], tuple[int, int]] | None = None
    """((top, bottom), (left, right)) instead of what `same` says."""


@dataclass(frozen=True)
class Pool:
    """Options of AVERAGE_POOL_2D and MAX_POOL_2D; pairs are (height, width)."""

    same: bool = False
    stride: tuple[int, int] = (0, 0)
    window: tuple[int, int] = (0, 0)
    activation: str = "NONE"


@dataclass(frozen=True)
class Dense:
    """Options of FULLY_CONNECTED."""

    activation: str = "NONE"
    keep_dims: bool = False
    shuffled: bool = False


@dataclass(frozen=True)
class Activation:
    """Options of ADD, SUB and MUL."""

    activation: str = "NONE"


@dataclass(frozen=True)
class Concatenation:
    """Options of CONCATENATION."""

    axis: int = 0
    activation: str = "NONE"


@dataclass(frozen=True)
class Softmax:
    """Options of SOFTMAX."""

    beta: float = 0.0


@dataclass(frozen=True)
class Leaky:
    """Options of LEAKY_RELU."""

    alpha: float = 0.0


@dataclass(frozen=True)
class Reduce:
    """Options of MEAN and REDUCE_MAX."""

    keep_dims: bool = False


@dataclass(frozen=True)
class Slice:
    """Options of STRIDED_SLICE: masks with a bit for each dimension."""

    begin: int = 0
    end: int = 0
    ellipsis: int = 0
    new_axis: int = 0
    shrink: int = 0
    offset: bool = False


@dataclass(frozen=True)
class Pack:
    """Options of PACK and UNPACK."""

    axis: int = 0


@dataclass(frozen=True)
class Gathering:
    """Options of GATHER."""

    axis: int = 0
    batch_dims: int = 0


@dataclass(frozen=True)
class Block:
    """Options of DEPTH_TO_SPACE and SPACE_TO_DEPTH."""

    size: int = 0


@dataclass(frozen=True)
class Mirror:
    """Options of MIRROR_PAD: whether the border itself is repeated (SYMMETRIC)."""

    whole: bool = False


@dataclass(frozen=True)
class Resize:
    """Options of RESIZE_NEAREST_NEIGHBOR."""

    align_corners: bool = False
    half_pixel_centers: bool = False


Options = (
    Convolution
    | Pool
    | Dense
    | Activation
    | Concatenation
    | Softmax
    | Leaky
    | Reduce
    | Slice
    | Pack
    | Gathering
    | Block
    | Mirror
    | Resize
)


@dataclass(frozen=True)
class Node:
    """An operator call of the graph.

    Attributes
    ----------
    number : int
        Its place in the file, for messages.
    kind : str
        TFLite's name, such as CONV_2D; "CUSTOM name" for one of somebody's own.
    inputs : tuple of int or None
        Tensor numbers; None for an operand that is left out.
    outputs : tuple of int
    options : Options or None
        None for kinds without any.
    """

    number: int
    kind: str
    inputs: tuple[int | None, ...]
    outputs: tuple[int, ...]
    options: Options | None = None


@dataclass(frozen=True)
class Graph:
    """A network.

    Attributes
    ----------
    tensors : mapping of int to Tensor
    nodes : tuple of Node
        In an order in which they can run.
    inputs, outputs : tuple of int
    """

    tensors: Mapping[int, Tensor]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def describe(self, node: Node) -> str:
        """Which operator this is, for a message."""
        return f"operator {node.number}, {self.name(node)}"

    def name(self, node: Node) -> str:
        """Kind and layer."""
        # Converters join the names of all layers that became one operator.
        name = self.tensors[node.outputs[0]].name.partition(";")[0]
        return f"{node.kind} ({name})"
