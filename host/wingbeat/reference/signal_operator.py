"""What the operators on signals have in common: checks of parameters and of inputs."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError, UsageError

DTYPES: dict[str, np.dtype[Any]] = {
    code: np.dtype(name)
    for code, name in {"b": "i1", "B": "u1", "h": "i2", "H": "u2", "i": "i4", "f": "f4"}.items()
}
"""Dtype of each typecode that these operators use."""

_Self = TypeVar("_Self", bound="SignalOperator")


class SignalOperator(ABC):
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

    @classmethod
    @abstractmethod
    def _read(cls: type[_Self], params: bytes) -> _Self:
        """Read what `encode` wrote; any error of NumPy, struct or the class itself may come."""

    @classmethod
    def decode(cls: type[_Self], params: bytes) -> _Self:
        """Read what `encode` wrote, and nothing else.

        Raises
        ------
        FormatError
            The parameters are of the wrong length, or a value is out of range.
        """
        try:
            operator = cls._read(params)
        except (struct.error, ValueError, IndexError, UsageError) as error:
            raise FormatError(f"{cls.KERNEL}: bad parameters: {error}") from error
        if operator.encode() != params:
            raise FormatError(f"{cls.KERNEL}: bad parameters: wrong length, or padding is not 0")
        return operator

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


class StatefulOperator(SignalOperator):
    """Base of the operators that may keep something from run to run.

    What they keep is 0 at first and after a reset. A kernel trusts nothing that it finds there.
    """

    @property
    @abstractmethod
    def persistent(self) -> tuple[int, ...]:
        """Positions among the operands of what is kept; none if the operator keeps nothing."""

    @abstractmethod
    def advance(
        self, memory: Sequence[NDArray[Any]], *inputs: NDArray[Any]
    ) -> tuple[tuple[NDArray[Any], ...], NDArray[np.bool_]]:
        """Outputs of rows that follow each other in time.

        Parameters
        ----------
        memory : sequence of arrays [elements]
            What `persistent` names, in that order; it is changed.
        *inputs : arrays [rows, elements]

        Returns
        -------
        outputs : tuple of arrays [rows that are due, elements]
        due : array of bool [rows]
            Where False, nothing behind this operator runs.
        """


def padded(data: bytes) -> bytes:
    """Zeros behind it, up to a multiple of 4 bytes."""
    return data + bytes(-len(data) % 4)
