"""What all operators have in common: checks of parameters and of inputs, and what most have not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import UsageError

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


class BaseOperator(ABC):
    """Base of the operators: a frozen dataclass of parameters that `_problem` accepts.

    Raises
    ------
    UsageError
        A parameter is out of range.
    """

    OPCODE: ClassVar[int]
    KERNEL: ClassVar[str]

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem is not None:
            raise UsageError(f"{self.KERNEL}: {problem}")

    @abstractmethod
    def _problem(self) -> str | None:
        """What is wrong with the parameters."""

    @abstractmethod
    def encode(self) -> bytes:
        """Parameters as the kernel reads them; a multiple of 4 bytes."""

    @property
    @abstractmethod
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of each input."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of each output."""

    @property
    def scratch(self) -> tuple[tuple[str, int], ...]:
        """Typecode and number of elements of each scratch buffer."""
        return ()

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        """Pairs of an input and an output that may start at the same address."""
        return ()

    @abstractmethod
    def _apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Outputs [rows, elements] from inputs [rows, elements] that are what they should be."""

    def apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Outputs of every row.

        Parameters
        ----------
        *inputs : arrays [rows, elements]
            Of the dtypes and lengths that `inputs` names.

        Returns
        -------
        tuple of arrays [rows, elements]
            Of the dtypes and lengths that `outputs` names.

        Raises
        ------
        UsageError
            An input has another dtype or shape.
        """
        for x, (typecode, n_elements) in zip(inputs, self.inputs, strict=True):
            if x.dtype != DTYPES[typecode] or x.shape[1:] != (n_elements,):
                raise UsageError(
                    f"{self.KERNEL}: expected {DTYPES[typecode]} of shape [rows, {n_elements}],"
                    f" got {x.dtype} {list(x.shape)}"
                )
        return self._apply(*inputs)
