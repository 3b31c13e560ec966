"""The NumPy definition of every operator: the kernels must agree with it bit for bit.

One module per operator family. `OPERATORS` maps an opcode to the class that decodes its
parameters; `decode_operator` is the way in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from .cast import Cast
from .forest import FEATURES, FOREST_OPCODE, ForestWalk, Leaves
from .probability import Probability
from .shift import Shift
from .window_stats import WindowStats

__all__ = [
    "DTYPES",
    "OPERATORS",
    "Cast",
    "ForestWalk",
    "Leaves",
    "Operator",
    "Probability",
    "Shift",
    "WindowStats",
    "decode_operator",
]

DTYPES: dict[str, np.dtype[Any]] = {
    code: np.dtype(name)
    for code, name in {
        "b": "int8",
        "B": "uint8",
        "h": "<i2",
        "H": "<u2",
        "i": "<i4",
        "f": "<f4",
    }.items()
}
"""MicroPython array typecode of every dtype that a tensor can have."""


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

    def apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Outputs [rows, elements] from inputs [rows, elements]."""


OPERATORS: dict[int, Callable[[bytes], Operator]] = {
    WindowStats.OPCODE: WindowStats.decode,
    Probability.OPCODE: Probability.decode,
    Cast.OPCODE: Cast.decode,
    Shift.OPCODE: Shift.decode,
}


def _forest_decoder(features: str, leaves: Leaves) -> Callable[[bytes], Operator]:
    return lambda params: ForestWalk.decode(params, features, leaves)


for _number, _features in enumerate(FEATURES):
    for _leaves in Leaves:
        OPERATORS[FOREST_OPCODE + 4 * _number + _leaves] = _forest_decoder(_features, _leaves)


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
