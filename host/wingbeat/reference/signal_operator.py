"""What the operators on signals have in common."""

from __future__ import annotations

import struct
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from wingbeat.errors import FormatError, UsageError

from .base import BaseOperator

_Self = TypeVar("_Self", bound="SignalOperator")


class SignalOperator(BaseOperator):
    """Base of the operators on signals: their parameters are read back to the byte."""

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
