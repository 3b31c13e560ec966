"""The NumPy definition of every operator: the kernels must agree with it bit for bit.

One module per operator family. `OPERATORS` maps an opcode to the class that decodes its
parameters; `decode_operator` is the way in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from numpy.typing import NDArray

from ..errors import FormatError
from .base import DTYPES
from .cast import Cast
from .conv import Conv2D
from .conv_pairs import ConvPairs
from .dense import Dense
from .depthwise import Depthwise, Depthwise3x3
from .elementwise import ELEMENTWISE
from .forest import FEATURES, FOREST_OPCODE, ForestWalk, Leaves
from .lookup import Lookup
from .mean import Mean
from .pool import AveragePool, MaxPool
from .probability import Probability
from .shift import Shift
from .signal_operator import StatefulOperator
from .signals import SIGNALS
from .small_conv import SmallConv
from .window_stats import WindowStats

__all__ = [
    "DTYPES",
    "OPCODES",
    "OPERATORS",
    "AveragePool",
    "Cast",
    "Conv2D",
    "ConvPairs",
    "Dense",
    "Depthwise",
    "Depthwise3x3",
    "ForestWalk",
    "Leaves",
    "Lookup",
    "MaxPool",
    "Mean",
    "Operator",
    "Probability",
    "Shift",
    "SmallConv",
    "WindowStats",
    "decode_operator",
    "persistent_operands",
]


class Operator(Protocol):
    """What an operator's class offers."""

    @property
    def OPCODE(self) -> int: ...  # noqa: N802
    @property
    def KERNEL(self) -> str: ...  # noqa: N802

    def encode(self) -> bytes:
        """Parameters as the kernel reads them; a multiple of 4 bytes."""

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of each input."""

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of each output."""

    @property
    def scratch(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of each scratch buffer."""

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """Pairs of an input and an output that may start at the same address."""

    def apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Outputs [rows, elements] from inputs [rows, elements]."""


_CLASSES = (
    WindowStats,
    Probability,
    Cast,
    Shift,
    Conv2D,
    ConvPairs,
    Depthwise,
    Depthwise3x3,
    SmallConv,
    Dense,
    AveragePool,
    MaxPool,
    Mean,
    *ELEMENTWISE,
    *SIGNALS,
)
_FORESTS = {
    f"forest_{features}_{leaves.name.lower()}": (
        FOREST_OPCODE + 4 * number + leaves,
        partial(ForestWalk.decode, features=features, leaves=leaves),
    )
    for number, features in enumerate(FEATURES)
    for leaves in Leaves
}

OPCODES: dict[str, int] = {
    **{each.KERNEL: each.OPCODE for each in _CLASSES},
    **{kernel: opcode for kernel, (opcode, _) in _FORESTS.items()},
}
"""Opcode of every kernel, by its name in device/kernels/kernels.toml."""

OPERATORS: dict[int, Callable[[bytes], Operator]] = {
    **{each.OPCODE: each.decode for each in _CLASSES},
    **dict(_FORESTS.values()),
}
"""What reads the parameters of an opcode."""


def decode_operator(opcode: int, params: bytes) -> Operator:
    """The operator with this opcode and these parameters.

    Raises
    ------
    FormatError
        The opcode is unknown or the parameters are unsound.
    """
    if opcode not in OPERATORS:
        raise FormatError(
            f"operator {opcode} is unknown: the file comes from a newer Wingbeat; upgrade"
        )
    return OPERATORS[opcode](params)


def persistent_operands(operator: Operator) -> tuple[int, ...]:
    """Positions among the operands of what an operator keeps from run to run, 0 at first."""
    return operator.persistent if isinstance(operator, StatefulOperator) else ()
