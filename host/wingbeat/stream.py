"""Streams: blocks of any length through a program, with the board's results.

`Stream.push` does what `Model.push` does on the board; `Stream.run` takes many inputs at once and
tells when each result was due. `pace_of` says how often that is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import UsageError
from .program import Decision, Program
from .reference import DTYPES, persistent_operands
from .reference.signal_operator import StatefulOperator
from .reference.window import Window


@dataclass(frozen=True, eq=False)
class Results:
    """What was due in a piece of a stream.

    Attributes
    ----------
    ends : NDArray[int64] [results]
        Inputs of the program (whole ones, from the start of the piece) that were in at each.
    outputs : array [results, *output.shape]
        Raw, as `Model.run` gives them.
    decisions : NDArray[int64] [results]
        What `Model.push` returns; all 1 if the program makes no decision.
    """

    ends: NDArray[np.int64]
    outputs: NDArray[Any]
    decisions: NDArray[np.int64]


@dataclass(frozen=True)
class Pace:
    """How often results of a stream are due, as its windows have it.

    An operator that holds back results by what it sees is not counted.

    Attributes
    ----------
    samples : int
        Of one input of the program: what a run takes.
    window : int
        Samples until the first result.
    hop : Fraction
        Samples from one result to the next; a mean where windows do not divide each other.
    shares : tuple of Fraction
        Of each operator: how often it runs for each run of the program, 0 to 1.
    """

    samples: int
    window: int
    hop: Fraction
    shares: tuple[Fraction, ...]


def pace_of(program: Program) -> Pace:
    """How often results of a program that takes a stream are due.

    Raises
    ------
    UsageError
        The program takes no stream.
    """
    _check_takes_stream(program)
    share, shares, windows = Fraction(1), [], []
    for call in program.calls:
        shares.append(share)
        if isinstance(call.operator, Window):
            windows.append(call.operator)
            share *= Fraction(call.operator.n_new, call.operator.hop)
    runs = 1
    for window in reversed(windows):
        # As many runs as it takes for this window to be due so often.
        runs = -(-(window.n_window + (runs - 1) * window.hop) // window.n_new)
    samples = program.input.n_elements // program.channels
    return Pace(samples, runs * samples, samples / share, tuple(shares))


class Stream:
    """A program and what it keeps from run to run.

    Parameters
    ----------
    program : Program

    Raises
    ------
    UsageError
        The program takes no stream.
    """

    def __init__(self, program: Program) -> None:
        _check_takes_stream(program)
        self.program = program
        self._waiting: NDArray[Any]
        self._memory: dict[int, NDArray[Any]]
        self.reset()

    def reset(self) -> None:
        """Forget everything, as at the start."""
        self._waiting = np.zeros(0, self.program.input.dtype)
        self._memory = {
            call.operands[slot]: self._zeros(call.operands[slot])
            for call in self.program.calls
            for slot in persistent_operands(call.operator)
        }

    def _zeros(self, index: int) -> NDArray[Any]:
        tensor = self.program.tensors[index]
        return np.zeros(tensor.n_elements, DTYPES[tensor.typecode])

    def push(self, block: ArrayLike) -> int | None:
        """Take the next samples of the stream.

        Parameters
        ----------
        block : array [samples, channels] or [samples * channels]
            Of the input's dtype; any number of samples.

        Returns
        -------
        int or None
            The last result that was due: what `predict` would return, or 1 if the program makes no
            decision. None if none was.

        Raises
        ------
        UsageError
            Another dtype, or samples of another number of channels.
        """
        decisions = self.results(block).decisions
        return int(decisions[-1]) if len(decisions) else None

    def results(self, block: ArrayLike) -> Results:
        """All that is due in the next samples of the stream; see `push`.

        `ends` count the inputs that the block completes.
        """
        program, array = self.program, np.asarray(block)
        channels = program.channels
        fits = array.ndim == 1 or (array.ndim == 2 and array.shape[1] == channels)
        if not fits or array.size % channels or array.dtype != program.input.dtype:
            raise UsageError(
                f"block of {array.dtype} {list(array.shape)}: expected {program.input.dtype}"
                f" [samples, {channels}], any number of samples"
            )
        samples = np.concatenate([self._waiting, array.ravel()])
        n_whole = len(samples) // program.input.n_elements
        used = n_whole * program.input.n_elements
        self._waiting = samples[used:]
        return self.run(samples[:used].reshape(n_whole, program.input.n_elements))

    def run(
        self, rows: NDArray[Any], watch: Callable[[int, Sequence[NDArray[Any]]], None] | None = None
    ) -> Results:
        """All that is due in the next whole inputs.

        Parameters
        ----------
        rows : array [inputs, ...]
            Of the input's dtype and number of elements.
        watch : callable, optional
            Is told the number of each operator that runs, and its inputs: arrays [runs, elements].
        """
        program = self.program
        alive = np.arange(len(rows))
        values: dict[int, NDArray[Any]] = {0: rows.reshape(len(rows), program.input.n_elements)}
        for number, call in enumerate(program.calls):
            if len(alive) == 0:
                break
            operator, n_inputs = call.operator, len(call.operator.inputs)
            inputs = [values[index] for index in call.operands[:n_inputs]]
            if watch is not None:
                watch(number, inputs)
            slots = persistent_operands(operator)
            if slots and isinstance(operator, StatefulOperator):
                memory = [self._memory[call.operands[slot]] for slot in slots]
                outputs, due = operator.advance(memory, *inputs)
                alive = alive[due]
                values = {index: value[due] for index, value in values.items()}
            else:
                outputs = operator.apply(*inputs)
            values.update(zip(call.operands[n_inputs:], outputs, strict=False))
        return self._results(alive, values)

    def _results(self, alive: NDArray[np.int64], values: dict[int, NDArray[Any]]) -> Results:
        program, count = self.program, len(alive)
        if count == 0:
            outputs = np.zeros((0, *program.output.shape), program.output.dtype)
            return Results(alive, outputs, np.zeros(0, np.int64))
        outputs = values[program.output_tensor].reshape(count, *program.output.shape)
        if program.decision is Decision.NONE:
            return Results(alive + 1, outputs, np.ones(count, np.int64))
        return Results(alive + 1, outputs, program.decide(values[program.decision_tensor]))


def _check_takes_stream(program: Program) -> None:
    if not program.takes_stream:
        raise UsageError(
            "this program takes one input a run, not a stream: use run(), or 'wingbeat run'"
        )
