"""A bare Cortex-M0+ that counts cycles: kernels run alone in the SRAM of an emulated RP2040.

The emulator is npm's rp2040js, at the version of ``package-lock.json``; it is installed into the
cache when it is missing. ``bare.mjs`` says which cycles it models and which it does not, and what
stops a run. No MicroPython and no core are involved: the cycles are a kernel's own.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rp2040.firmware import install_emulator

from wingbeat.blobs import Kernel, blobs_of
from wingbeat.errors import TargetError
from wingbeat.program import Program
from wingbeat.reference import DTYPES, ForestWalk, Operator
from wingbeat.targets.rp2040 import find_tool

FOLDER = Path(__file__).resolve().parent
ARCH = "armv6m"
_ROWS_PER_BATCH = 256
_LOG_TAIL = 500

Operands: TypeAlias = Sequence[tuple[str, int]]
"""Typecode and number of elements of each operand."""


@dataclass(frozen=True)
class Result:
    """What a kernel did with some rows.

    Attributes
    ----------
    cycles, instructions : array [rows]
        From the kernel's first instruction to its return.
    check_cycles : int
        Of the one call that validates the parameters.
    outputs : tuple of array [rows, elements]
    """

    cycles: NDArray[np.int64]
    instructions: NDArray[np.int64]
    check_cycles: int
    outputs: tuple[NDArray[Any], ...]


class BareCore:
    """The emulated core: one process for any number of kernels. Use it in a ``with`` statement.

    Raises
    ------
    BuildError
        The emulator cannot be installed.
    """

    def __init__(self) -> None:
        command = [find_tool("node"), str(FOLDER / "bare.mjs"), str(install_emulator())]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, operator: Operator, *inputs: NDArray[Any], offset: int = 0) -> Result:
        """Run an operator's kernel as it was built for armv6m.

        Parameters
        ----------
        *inputs : array [rows, elements], one for each input of the operator
        offset : int
            Bytes by which the inputs miss a multiple of 16.

        Raises
        ------
        TargetError
            The kernel refused its parameters, or did what would be a fault; the message has
            the address.
        BuildError
            The kernel is not built.
        """
        return self.run_kernel(
            blobs_of(ARCH).kernel(operator.KERNEL),
            operator.encode(),
            inputs,
            operator.inputs,
            operator.outputs,
            operator.scratch,
            offset=offset,
        )

    def run_kernel(
        self,
        kernel: Kernel,
        params: bytes,
        values: Sequence[NDArray[Any]],
        inputs: Operands,
        outputs: Operands,
        scratch: Operands = (),
        *,
        offset: int = 0,
    ) -> Result:
        """Run code on rows of `values`: see `run`."""
        self._load(kernel, params, inputs, outputs, scratch, offset)
        check = self._ask({"do": "check"})
        if check["status"] != 0:
            raise TargetError(f"bare core: the kernel's check answered {check['status']}")
        rows = [
            np.ascontiguousarray(value, dtype=DTYPES[typecode]).reshape(len(value), n_elements)
            for value, (typecode, n_elements) in zip(values, inputs, strict=True)
        ]
        packed = np.concatenate([row.view(np.uint8) for row in rows], axis=1)
        cycles: list[int] = []
        instructions: list[int] = []
        data = b""
        for start in range(0, len(packed), _ROWS_PER_BATCH):
            batch = packed[start : start + _ROWS_PER_BATCH]
            answer = self._ask({"do": "run", "rows": len(batch), "data": _text(batch.tobytes())})
            if answer["status"] != 0:
                raise TargetError(f"bare core: the kernel answered {answer['status']}")
            cycles += answer["cycles"]
            instructions += answer["instructions"]
            data += base64.b64decode(answer["outputs"])
        return Result(
            np.array(cycles, dtype=np.int64),
            np.array(instructions, dtype=np.int64),
            int(check["cycles"]),
            _split(np.frombuffer(data, np.uint8).reshape(len(packed), -1), outputs),
        )

    def _load(
        self,
        kernel: Kernel,
        params: bytes,
        inputs: Operands,
        outputs: Operands,
        scratch: Operands,
        offset: int,
    ) -> None:
        def sizes(operands: Operands) -> list[tuple[str, int]]:
            return [(code, count * DTYPES[code].itemsize) for code, count in operands]

        self._ask(
            {
                "do": "load",
                "code": _text(kernel.code),
                "entry": kernel.entry,
                "params": _text(params),
                "inputs": sizes(inputs),
                "outputs": sizes(outputs),
                "scratch": sizes(scratch),
                "offset": offset,
            }
        )

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            assert self._process.stderr is not None
            said = self._process.stderr.read().strip()
            raise TargetError(f"bare core: the emulator ended: {said[-_LOG_TAIL:]}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise TargetError(f"bare core: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the emulator."""
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> BareCore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Step:
    """What one operator of a program took.

    Attributes
    ----------
    operator : Operator
    cycles : array [rows]
    visits : float or None
        Decision nodes that a row visits, mean over the rows; None for other operators.
    """

    operator: Operator
    cycles: NDArray[np.int64]
    visits: float | None


def run_program(core: BareCore, program: Program, x: NDArray[Any]) -> list[Step]:
    """Run the kernels of a program one after the other.

    Every kernel gets what the one in front of it gave, and must give the same bits as the
    reference.

    Parameters
    ----------
    x : array [rows, *input.shape]
        Of the input's dtype.

    Raises
    ------
    TargetError
        A kernel gave another result, or did what would be a fault.
    """
    values: dict[int, NDArray[Any]] = {0: x.reshape(len(x), -1)}
    steps = []
    for call in program.calls:
        operator = call.operator
        n_inputs = len(operator.inputs)
        inputs = [values[index] for index in call.operands[:n_inputs]]
        result = core.run(operator, *inputs)
        for wanted, found in zip(operator.apply(*inputs), result.outputs, strict=True):
            if not np.array_equal(wanted, found):
                row = int(np.nonzero((wanted != found).any(axis=1))[0][0])
                raise TargetError(
                    f"bare core: {operator.KERNEL} differs from the reference in row {row}"
                )
        visits = operator.mean_visits(inputs[0]) if isinstance(operator, ForestWalk) else None
        steps.append(Step(operator, result.cycles, visits))
        for index, found in zip(call.operands[n_inputs:], result.outputs, strict=False):
            values[index] = found
    return steps


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _split(data: NDArray[np.uint8], outputs: Operands) -> tuple[NDArray[Any], ...]:
    parts, start = [], 0
    for typecode, count in outputs:
        end = start + count * DTYPES[typecode].itemsize
        parts.append(np.ascontiguousarray(data[:, start:end]).view(DTYPES[typecode]))
        start = end
    return tuple(parts)
