"""Programs: compiled models that are the same for every board.

A program is a straight list of operator calls over one planned arena. `Program` makes its bytes
(SPEC.md, "Program"), reads them back, runs them in NumPy, and saves them as a `.wbp` file.
"""

from __future__ import annotations

import hashlib
import io
import json
import keyword
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import FormatError, UsageError
from .files import write_atomic
from .golden import Golden
from .plan import Step, aligned, plan
from .reference import DTYPES, Operator, decode_operator, persistent_operands

if TYPE_CHECKING:
    from .assemble import Module

MAGIC = b"WGNB"
FORMAT_VERSION = 1
MAX_OPERANDS = 4
_PLACE_INPUT = 0xFFFFFFFF
_COUNT_SIZE = 4
_MOST_CHANNELS = 255
_HEADER = struct.Struct("<4sHBBII6H")
_DESCRIPTOR = struct.Struct("<4Ifi")
_TENSOR = struct.Struct("<IIc3x")
_CALL = struct.Struct("<HBBII4H")
_MEMBER_PROGRAM, _MEMBER_META, _MEMBER_GOLDEN = "program.bin", "meta.json", "golden.npz"


class Decision(IntEnum):
    """What `predict` returns."""

    VALUE = 0
    """The largest element of the decision tensor, which has just one."""
    ARGMAX = 1
    """The index of the first largest element of the decision tensor."""
    NONE = 2
    """Nothing: the program has several outputs and no decision."""
    POSITIVE = 3
    """1 if the largest element of the decision tensor, which has just one, is above 0, else 0."""


@dataclass(frozen=True)
class Descriptor:
    """Input or output of a program, as a user sees it.

    Attributes
    ----------
    typecode : str
        As in Python's `array` module: b B h H i f.
    shape : tuple of int
        One to four dimensions.
    scale : float
        Real value = (stored - zero_point) * scale.
    zero_point : int
    """

    typecode: str
    shape: tuple[int, ...]
    scale: float = 1.0
    zero_point: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's dtype."""
        return DTYPES[self.typecode]

    @property
    def n_elements(self) -> int:
        """Product of the dimensions."""
        return int(np.prod(self.shape))

    def quantize(self, real: ArrayLike) -> NDArray[Any]:
        """Real values as they are stored, rounded and clipped as TFLite does.

        Parameters
        ----------
        real : array [rows, *shape], or rows of as many elements

        Returns
        -------
        array [rows, *shape] of the dtype
        """
        x = np.asarray(real, dtype=np.float32)
        x = x.reshape(len(x), *self.shape)
        if self.dtype.kind == "f":
            return x.astype(self.dtype)
        steps = (x / np.float32(self.scale)).astype(np.float64)
        steps = np.trunc(steps + np.copysign(0.5, steps)) + self.zero_point
        limits = np.iinfo(self.dtype)
        return np.asarray(np.clip(steps, limits.min, limits.max).astype(self.dtype))

    def dequantize(self, stored: ArrayLike) -> NDArray[np.float64]:
        """The real values of what is stored."""
        return np.asarray((np.asarray(stored, np.float64) - self.zero_point) * self.scale)

    def __str__(self) -> str:
        return f"{self.dtype.name}[{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True)
class Tensor:
    """Memory that operators read and write.

    Attributes
    ----------
    typecode : str
    n_elements : int
    place : int or None
        Byte offset in the arena; None for the model's input.
    """

    typecode: str
    n_elements: int
    place: int | None

    @property
    def size(self) -> int:
        """Bytes."""
        return self.n_elements * DTYPES[self.typecode].itemsize


@dataclass(frozen=True)
class Call:
    """One operator with its operands: tensor numbers of inputs, outputs, scratch."""

    operator: Operator
    operands: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """A compiled model.

    Attributes
    ----------
    name : str
        A Python identifier: the module's name on the board.
    tensors : tuple of Tensor
    calls : tuple of Call
        In the order in which they run.
    input, output : Descriptor
    output_tensor, decision_tensor : int
        Tensor 0 is the input.
    decision : Decision
    arena : int
        Bytes that running takes.
    stream_tensor : int
        Of a program that takes a stream: the tensor that gathers an input, behind 4 bytes that
        count. It is the first of those that are kept from run to run, which end the arena. Else 0.
    channels : int
        Elements of one sample of the stream; 0 if the program takes none.
    labels : tuple of str
        Names of the classes; empty for regression.
    meta : mapping
        Whatever else is worth keeping (source, training, accuracy); JSON values only.
    golden : Golden, optional
        Inputs with the outputs that a board has to repeat.
    """

    name: str
    tensors: tuple[Tensor, ...]
    calls: tuple[Call, ...]
    input: Descriptor
    output: Descriptor
    output_tensor: int
    decision_tensor: int
    decision: Decision
    arena: int
    labels: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    golden: Golden | None = field(default=None, compare=False, repr=False)
    stream_tensor: int = 0
    channels: int = 0

    # ---- Bytes

    def encode(self) -> bytes:
        """The bytes that go on the board."""
        tables_end = _HEADER.size + 2 * _DESCRIPTOR.size
        tables_end += _TENSOR.size * len(self.tensors) + _CALL.size * len(self.calls)
        params = [call.operator.encode() for call in self.calls]
        calls, position = [], tables_end
        for call, data in zip(self.calls, params, strict=True):
            operands = call.operands + (0,) * (MAX_OPERANDS - len(call.operands))
            opcode, n_inputs = call.operator.OPCODE, len(call.operator.inputs)
            calls.append(
                _CALL.pack(opcode, n_inputs, len(call.operands), position, len(data), *operands)
            )
            position += len(data)
        header = _HEADER.pack(
            MAGIC,
            FORMAT_VERSION,
            self.decision,
            self.channels,
            position + 4,
            self.arena,
            len(self.tensors),
            len(self.calls),
            0,
            self.output_tensor,
            self.decision_tensor,
            self.stream_tensor,
        )
        tensors = [
            _TENSOR.pack(
                _PLACE_INPUT if tensor.place is None else tensor.place,
                tensor.size,
                tensor.typecode.encode(),
            )
            for tensor in self.tensors
        ]
        descriptors = [_encode_descriptor(self.input), _encode_descriptor(self.output)]
        body = b"".join([header, *descriptors, *tensors, *calls, *params])
        return body + struct.pack("<I", zlib.crc32(body))

    @classmethod
    def decode(
        cls,
        data: bytes,
        name: str,
        labels: Sequence[str] = (),
        meta: Mapping[str, Any] | None = None,
    ) -> Program:
        """Read the bytes of a program.

        Raises
        ------
        FormatError
            They are damaged, cut short or of another format version.
        """
        if len(data) < _HEADER.size or data[:4] != MAGIC:
            raise FormatError("not a Wingbeat program: it does not start with 'WGNB'")
        (_, version, decision, channels, size, arena, n_tensors, n_calls, *indexes) = (
            _HEADER.unpack_from(data)
        )
        _, output, decides, stream = indexes
        if version != FORMAT_VERSION:
            raise FormatError(
                f"program format {version}, this Wingbeat reads {FORMAT_VERSION};"
                " convert the model again with this version, or upgrade"
            )
        if size != len(data) or size % 4:
            raise FormatError(f"the program has {len(data)} bytes, its header says {size}")
        if zlib.crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
            raise FormatError("the program is damaged: its checksum is wrong; copy it again")
        try:
            position = _HEADER.size + 2 * _DESCRIPTOR.size
            tensors = [_decode_tensor(data, position + _TENSOR.size * i) for i in range(n_tensors)]
            position += _TENSOR.size * n_tensors
            calls = [_decode_call(data, position + _CALL.size * i) for i in range(n_calls)]
            program = cls(
                name,
                tuple(tensors),
                tuple(calls),
                _decode_descriptor(data, _HEADER.size, tensors[0].typecode),
                _decode_descriptor(data, _HEADER.size + _DESCRIPTOR.size, tensors[output].typecode),
                output,
                decides,
                Decision(decision),
                arena,
                tuple(labels),
                dict(meta or {}),
                stream_tensor=stream,
                channels=channels,
            )
            _check_operands(program)
            _check_stream(program)
        except (struct.error, IndexError, KeyError, ValueError) as error:
            raise FormatError(f"the program is inconsistent: {error}") from error
        return program

    @property
    def takes_stream(self) -> bool:
        """The program keeps something from run to run: its input is the next piece of a stream.

        Then the module offers `push` and `reset`, and `wingbeat.stream.Stream` does here.
        """
        return self.stream_tensor != 0

    @property
    def persistent_tensors(self) -> tuple[int, ...]:
        """Those that are kept from run to run, in the order in which they end the arena."""
        kept = [self.stream_tensor] if self.takes_stream else []
        for call in self.calls:
            kept += [call.operands[slot] for slot in persistent_operands(call.operator)]
        return tuple(kept)

    @property
    def rate(self) -> float | None:
        """Samples per second of the stream, where `meta` has it as ``rate``."""
        rate = self.meta.get("rate")
        return float(rate) if isinstance(rate, (int, float)) and rate > 0 else None

    @property
    def hash(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the program's bytes."""
        return hashlib.sha256(self.encode()).hexdigest()[:16]

    # ---- Files

    def save(self, path: Path | str) -> None:
        """Write a `.wbp` file: the program, its name, labels, meta and golden vectors."""
        meta = {"name": self.name, "labels": list(self.labels), "meta": dict(self.meta)}
        members = [
            (_MEMBER_PROGRAM, self.encode()),
            (_MEMBER_META, (json.dumps(meta, indent=1, sort_keys=True) + "\n").encode()),
        ]
        if self.golden is not None:
            members.append((_MEMBER_GOLDEN, self.golden.encode()))
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for member, data in members:
                # A fixed date: the same program gives the same file.
                archive.writestr(zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0)), data)
        write_atomic(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path | str) -> Program:
        """Read a `.wbp` file.

        Raises
        ------
        FormatError
            It is not a `.wbp` file, or it is damaged.
        OSError
            It cannot be read.
        """
        data = Path(path).read_bytes()
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                program = archive.read(_MEMBER_PROGRAM)
                described = json.loads(archive.read(_MEMBER_META))
                golden = (
                    Golden.decode(archive.read(_MEMBER_GOLDEN))
                    if _MEMBER_GOLDEN in archive.namelist()
                    else None
                )
            name, labels, meta = described["name"], described["labels"], described["meta"]
            if not is_module_name(name):
                raise ValueError(f"its name is {name!r}")
            if not all(isinstance(label, str) for label in labels) or not isinstance(meta, dict):
                raise ValueError("its labels or its meta are not what they should be")
        except (
            *(zipfile.BadZipFile, zlib.error, RuntimeError),  # RuntimeError: encrypted, unsupported
            *(KeyError, ValueError, TypeError, EOFError),
        ) as error:
            raise FormatError(
                f"{path} is not a Wingbeat program (.wbp), or it is damaged: {error};"
                " make it again with 'wingbeat train'"
            ) from error
        return replace(cls.decode(program, name, labels, meta), golden=golden)

    # ---- Results

    def run(self, x: ArrayLike) -> NDArray[Any]:
        """Raw outputs, as the board gives them: the NumPy reference.

        Rows of a program that takes a stream follow each other, from the stream's start. Where no
        result is due, the one before is repeated (0 before the first): `run` leaves it in place.

        Parameters
        ----------
        x : array [rows, *input.shape] or [*input.shape]
            Of the input's dtype.

        Returns
        -------
        array [rows, *output.shape] or [*output.shape]
            Of the output's dtype. Real value = (stored - zero_point) * scale.

        Raises
        ------
        UsageError
            Wrong dtype or shape.
        """
        rows, single = self._rows(x)
        if self.takes_stream:
            result = self._run_stream(rows)
        else:
            result = self._values(rows)[self.output_tensor]
        result = result.reshape(len(rows), *self.output.shape)
        return np.asarray(result[0] if single else result)

    def predict(self, x: ArrayLike) -> NDArray[np.int64]:
        """What `predict` returns on the board, for each row: class number, or value in steps.

        Raises
        ------
        UsageError
            Wrong dtype or shape, the program makes no decision, or it takes a stream.
        """
        if self.decision is Decision.NONE:
            raise UsageError("this program has several outputs and no decision: use run()")
        if self.takes_stream:
            raise UsageError("this program takes a stream: use wingbeat.stream.Stream(program)")
        rows, single = self._rows(x)
        decided = self.decide(self._values(rows)[self.decision_tensor])
        return np.asarray(decided[0] if single else decided)

    def decide(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """What `predict` makes of rows of the decision tensor [rows, elements]."""
        wide = values.astype(np.int64)
        if self.decision is Decision.ARGMAX:
            return np.asarray(wide.argmax(axis=1))
        largest = wide.max(axis=1)
        if self.decision is Decision.POSITIVE:
            return np.asarray(largest > 0, np.int64)
        return np.asarray(largest)

    def assemble(self, arch: str) -> Module:
        """The module for boards of this architecture.

        Raises
        ------
        UsageError
            There is no such architecture.
        BuildError
            Its core or a kernel is not installed.
        """
        from .assemble import assemble

        return assemble(self, arch)

    def _rows(self, x: ArrayLike) -> tuple[NDArray[Any], bool]:
        array = np.asarray(x)
        shape = self.input.shape
        single = array.shape == shape
        if not single and array.shape[1:] != shape:
            raise UsageError(
                f"input of shape {array.shape}: expected {shape}, or rows of it"
                f" ({('rows', *shape)})".replace("'", "")
            )
        if array.dtype != self.input.dtype:
            raise UsageError(
                f"input of dtype {array.dtype}: expected {self.input.dtype};"
                " convert it as the training data were"
            )
        return array.reshape(-1, self.input.n_elements), single

    def _run_stream(self, rows: NDArray[Any]) -> NDArray[Any]:
        from .stream import Stream

        results = Stream(self).run(rows)
        outputs = np.zeros((len(rows) + 1, self.output.n_elements), self.output.dtype)
        last = np.zeros(len(rows), np.int64)
        last[results.ends - 1] = np.arange(1, len(results.ends) + 1)
        outputs[1 : len(results.ends) + 1] = results.outputs.reshape(len(results.ends), -1)
        return outputs[np.maximum.accumulate(last)]

    def _values(self, rows: NDArray[Any]) -> dict[int, NDArray[Any]]:
        values: dict[int, NDArray[Any]] = {0: rows}
        for call in self.calls:
            n_inputs = len(call.operator.inputs)
            results = call.operator.apply(*(values[index] for index in call.operands[:n_inputs]))
            for index, result in zip(call.operands[n_inputs:], results, strict=False):
                values[index] = result
        return values


class ProgramBuilder:
    """Builds a program call by call, then plans its arena.

    Parameters
    ----------
    input : Descriptor
    """

    def __init__(self, input: Descriptor) -> None:
        self.input = input
        self._tensors = [(input.typecode, input.n_elements)]
        self._calls: list[Call] = []

    def add(self, operator: Operator, *inputs: int) -> int:
        """Append a call on the tensors `inputs`; the number of its first output.

        Raises
        ------
        UsageError
            A tensor is not what the operator takes.
        """
        for index, wanted in zip(inputs, operator.inputs, strict=True):
            if self._tensors[index] != wanted:
                raise UsageError(
                    f"operator {operator.KERNEL} takes {_describe(wanted)},"
                    f" but got {_describe(self._tensors[index])}"
                )
        first = len(self._tensors)
        self._tensors += [*operator.outputs, *operator.scratch]
        self._calls.append(Call(operator, (*inputs, *range(first, len(self._tensors)))))
        return first

    @property
    def last(self) -> Call | None:
        """The call that was appended last."""
        return self._calls[-1] if self._calls else None

    def replace_last(self, operator: Operator) -> int:
        """Put another operator on the same inputs in the place of the last call, as `add` does."""
        call = self._calls.pop()
        inputs = call.operands[: len(call.operator.inputs)]
        del self._tensors[min(call.operands[len(inputs) :]) :]
        return self.add(operator, *inputs)

    def finish(
        self,
        name: str,
        output: int,
        decision: Decision,
        decision_tensor: int | None = None,
        *,
        shape: tuple[int, ...] | None = None,
        scale: float = 1.0,
        zero_point: int = 0,
        labels: Sequence[str] = (),
        meta: Mapping[str, Any] | None = None,
    ) -> Program:
        """Plan the arena and make the program.

        It takes a stream if an operator keeps something from run to run. A sample of the stream
        is the last dimension of the input, or one element if the input has one dimension.

        Raises
        ------
        UsageError
            `name` is not a Python identifier.
        """
        if not is_module_name(name):
            raise UsageError(
                f"{name!r} cannot be imported as a module: use letters, digits and _, no keyword"
            )
        typecode, n_elements = self._tensors[output]
        tensors = list(self._tensors)
        stream_tensor = channels = 0
        if any(persistent_operands(call.operator) for call in self._calls):
            stream_tensor = len(tensors)
            tensors.append((self.input.typecode, self._gathering_elements()))
            channels = self.input.shape[-1] if len(self.input.shape) > 1 else 1
            if channels > _MOST_CHANNELS:
                raise UsageError(
                    f"a sample of {channels} channels: a stream has at most {_MOST_CHANNELS}"
                )
        program = Program(
            name,
            tuple(Tensor(*tensor, None if i == 0 else 0) for i, tensor in enumerate(tensors)),
            tuple(self._calls),
            self.input,
            Descriptor(typecode, shape or (n_elements,), float(np.float32(scale)), zero_point),
            output,
            output if decision_tensor is None else decision_tensor,
            decision,
            0,
            tuple(labels),
            dict(meta or {}),
            stream_tensor=stream_tensor,
            channels=channels,
        )
        return _place(program)

    def append(
        self,
        program: Program,
        tensor: int = 0,
        change: Callable[[Operator], Operator] = lambda operator: operator,
    ) -> dict[int, int]:
        """Append the calls of a program that takes `tensor`.

        Parameters
        ----------
        program : Program
        tensor : int
            What the program takes as its input.
        change : callable, optional
            Gives for each operator one with the same inputs and outputs.

        Returns
        -------
        dict
            The number here of each tensor of the program that is read or written.

        Raises
        ------
        UsageError
            The tensor, or a changed operator, is not what is taken.
        """
        numbers = {0: tensor}
        for call in program.calls:
            n_inputs, n_outputs = len(call.operator.inputs), len(call.operator.outputs)
            inputs = [numbers[index] for index in call.operands[:n_inputs]]
            first = self.add(change(call.operator), *inputs)
            for i, index in enumerate(call.operands[n_inputs : n_inputs + n_outputs]):
                numbers[index] = first + i
        return numbers

    def finish_with(
        self,
        program: Program,
        tensor: int = 0,
        change: Callable[[Operator], Operator] = lambda operator: operator,
    ) -> Program:
        """Append the calls of a program as `append` does, and finish as that program does."""
        numbers = self.append(program, tensor, change)
        return self.finish(
            program.name,
            numbers[program.output_tensor],
            program.decision,
            numbers[program.decision_tensor],
            shape=program.output.shape,
            scale=program.output.scale,
            zero_point=program.output.zero_point,
            labels=program.labels,
            meta=program.meta,
        )

    def _gathering_elements(self) -> int:
        """Elements of one input, and of the 4 bytes that count."""
        return self.input.n_elements + _COUNT_SIZE // self.input.dtype.itemsize


def is_module_name(name: object) -> bool:
    """Whether MicroPython can import a module of this name."""
    if not isinstance(name, str) or not name.isascii():
        return False
    return name.isidentifier() and not keyword.iskeyword(name)


def _describe(tensor: tuple[str, int]) -> str:
    return f"{DTYPES[tensor[0]].name}[{tensor[1]}]"


def _place(program: Program) -> Program:
    """The program with its calls in the best order and its tensors in the arena.

    Operators that keep something stay where they are, and nothing passes them. What is kept from
    run to run ends the arena, the stream's own tensor first.
    """
    persistent = program.persistent_tensors
    found = plan(
        [_step(call) for call in program.calls],
        [tensor.size for tensor in program.tensors],
        kept={program.output_tensor, program.decision_tensor} - set(persistent),
        outside={0, *persistent},
        # What is behind one of these does not run while it is not due.
        fixed=[
            number
            for number, call in enumerate(program.calls)
            if persistent_operands(call.operator)
        ],
    )
    places, arena = dict(found.places), found.size
    for index in persistent:
        places[index] = arena
        arena += aligned(program.tensors[index].size)
    tensors = (
        replace(tensor, place=places.get(index)) for index, tensor in enumerate(program.tensors)
    )
    calls = tuple(program.calls[number] for number in found.order)
    return replace(program, tensors=tuple(tensors), calls=calls, arena=arena)


def _step(call: Call) -> Step:
    operator = call.operator
    n_inputs, n_outputs = len(operator.inputs), len(operator.outputs)
    reads, rest = call.operands[:n_inputs], call.operands[n_inputs:]

    def allowed(tensor: int, output: int) -> bool:
        # A tensor that is several inputs: each of them has to allow it.
        slots = [slot for slot, index in enumerate(reads) if index == tensor]
        return all((slot, output) in operator.in_place for slot in slots)

    pairs = tuple(
        (tensor, rest[output])
        for tensor in dict.fromkeys(reads)
        for output in range(n_outputs)
        if allowed(tensor, output)
    )
    return Step(reads, rest[:n_outputs], rest[n_outputs:], pairs)


def _encode_descriptor(descriptor: Descriptor) -> bytes:
    shape = descriptor.shape + (0,) * (4 - len(descriptor.shape))
    return _DESCRIPTOR.pack(*shape, descriptor.scale, descriptor.zero_point)


def _decode_descriptor(data: bytes, position: int, typecode: str) -> Descriptor:
    *shape, scale, zero_point = _DESCRIPTOR.unpack_from(data, position)
    while shape and shape[-1] == 0:
        shape.pop()
    return Descriptor(typecode, tuple(shape), scale, zero_point)


def _decode_tensor(data: bytes, position: int) -> Tensor:
    place, size, code = _TENSOR.unpack_from(data, position)
    typecode = code.decode("ascii")
    return Tensor(
        typecode, size // DTYPES[typecode].itemsize, None if place == _PLACE_INPUT else place
    )


def _decode_call(data: bytes, position: int) -> Call:
    opcode, _, n_operands, offset, size, *operands = _CALL.unpack_from(data, position)
    if offset + size > len(data) - 4:
        raise ValueError("an operator's parameters lie outside of the program")
    return Call(decode_operator(opcode, data[offset : offset + size]), tuple(operands[:n_operands]))


def _check_stream(program: Program) -> None:
    """Refuse programs that keep something but take no stream, and the other way round."""
    keeps = any(persistent_operands(call.operator) for call in program.calls)
    sound = program.takes_stream == bool(program.channels) == keeps
    if sound and keeps:
        size = program.tensors[program.stream_tensor].size
        sound = size == program.tensors[0].size + _COUNT_SIZE
        sound &= program.tensors[0].n_elements % program.channels == 0
    if not sound:
        raise FormatError("the program is inconsistent: its stream is not what it needs")


def _check_operands(program: Program) -> None:
    """Refuse calls that read what nothing wrote, and operands of another dtype or size."""
    tensors = program.tensors
    written = {0}
    for call in program.calls:
        operator = call.operator
        wanted = [*operator.inputs, *operator.outputs, *operator.scratch]
        read = call.operands[: len(operator.inputs)]
        known = all(index < len(tensors) for index in call.operands)
        found = [(tensors[i].typecode, tensors[i].n_elements) for i in call.operands if known]
        if found != wanted or not written.issuperset(read):
            raise FormatError(
                f"the program is inconsistent: operator {operator.KERNEL} has other operands"
                " than it needs"
            )
        written.update(call.operands[len(read) :])
    shown = ((program.input, 0), (program.output, program.output_tensor))
    if not written.issuperset((program.output_tensor, program.decision_tensor)) or any(
        descriptor.n_elements != tensors[index].n_elements for descriptor, index in shown
    ):
        raise FormatError("the program is inconsistent: its input, output or decision is not there")
