"""From a program to a module: core, kernels and program in one `.mpy`, without a compiler.

SPEC.md, "In the .mpy", says where each part lies.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

from .blobs import blobs_of
from .errors import FormatError
from .files import write_atomic
from .mpy import Constant, Mpy
from .program import FORMAT_VERSION, Descriptor, Program
from .stream import pace_of

_LINK = struct.Struct("<HHIII")
_TEXTS, _PROGRAM = 0, 1
_ALIGNMENT = 16
_KERNEL_ALIGNMENT = 16

_TEXTS_OF_REASONS = (
    "program not 4-byte aligned: copy the file to the file system instead of ROMFS",
    "program cut short",
    "not a Wingbeat program",
    "program of another format version: convert it again",
    "program damaged: wrong checksum",
    "program damaged: bad layout",
    "kernel missing or damaged",
    "program damaged: bad operator",
    "{input}",
    "{output}",
    "arena: expected a buffer of {arena} bytes, writable, 4-byte aligned",
    "self: expected a Model",
    "this model has several outputs: use run()",
    "no {arena} bytes of heap in one piece for this model: free some, or give Model() a buffer",
)
_TEXT_OF_BLOCK = (
    "block: expected {dtype} samples of {channels} channels: array('{typecode}') or bytes, any"
    " whole number of samples, at an address that {item} divides"
)


@dataclass(frozen=True)
class Module:
    """An assembled module.

    Attributes
    ----------
    program : Program
    arch : str
    data : bytes
        The `.mpy` file.
    core_size, program_size, constants_size : int
        Bytes of the file: the core with the file's tables, the program with its link table,
        and labels, info and texts.
    kernel_sizes : dict of str to int
        Bytes of each kernel.
    """

    program: Program
    arch: str
    data: bytes
    core_size: int
    kernel_sizes: dict[str, int]
    program_size: int
    constants_size: int

    def save(self, path: Path | str) -> None:
        """Write the `.mpy` file."""
        write_atomic(path, self.data)


def assemble(program: Program, arch: str) -> Module:
    """Put `program` and the kernels that it calls into the core of `arch`.

    Raises
    ------
    UsageError
        There is no such architecture.
    BuildError
        Its core or a kernel is not installed.
    """
    blobs = blobs_of(arch)
    core = Mpy.decode(blobs.core(program.takes_stream))
    text = bytearray(core.text)
    links = b""
    sizes = {}
    for opcode, name in sorted({(c.operator.OPCODE, c.operator.KERNEL) for c in program.calls}):
        kernel = blobs.kernel(name)
        text += bytes(-len(text) % _KERNEL_ALIGNMENT)
        offset, size, crc = len(text), len(kernel.code), zlib.crc32(kernel.code)
        links += _LINK.pack(opcode, kernel.entry, offset, size, crc)
        text += kernel.code
        sizes[name] = len(kernel.code)
    links += struct.pack("<I", zlib.crc32(links))
    data = program.encode()
    constants = _constants(program, data + links)
    qstrs = (f"{program.name}.py".encode(), *core.qstrs[1:])
    module = replace(core, qstrs=qstrs, constants=constants, text=bytes(text))
    return _described(program, _align_program(module), sizes)


def disassemble(data: bytes) -> Module:
    """Read an assembled module back.

    Raises
    ------
    FormatError
        It is not a module of Wingbeat, or it is damaged.
    """
    module = Mpy.decode(data)
    try:
        _, blob, labels, info, _ = module.constants
        name = Path(bytes(module.qstrs[0]).decode()).stem
        if not isinstance(blob, bytes) or not isinstance(labels, tuple):
            raise TypeError
    except (ValueError, TypeError, IndexError) as error:
        raise FormatError("a native module, but not one that Wingbeat assembled") from error
    size = struct.unpack_from("<I", blob, 8)[0] if len(blob) >= 12 else 0
    program = Program.decode(blob[:size], name, [str(label) for label in labels], _meta_of(info))
    names = {call.operator.OPCODE: call.operator.KERNEL for call in program.calls}
    sizes = {}
    for link in _decode_links(blob[size:]):
        opcode, _, offset, length, crc = link
        if zlib.crc32(module.text[offset : offset + length]) != crc or opcode not in names:
            raise FormatError("a kernel in the module is damaged: convert the model again")
        sizes[names[opcode]] = length
    return _described(program, module, sizes)


def _decode_links(data: bytes) -> list[tuple[int, int, int, int, int]]:
    if len(data) < 4 or (len(data) - 4) % _LINK.size:
        raise FormatError("the module's link table is cut short: convert the model again")
    if zlib.crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
        raise FormatError("the module's link table is damaged: convert the model again")
    return list(_LINK.iter_unpack(data[:-4]))


def _described(program: Program, module: Mpy, kernel_sizes: dict[str, int]) -> Module:
    data = module.encode()
    blob = module.constants[_PROGRAM]
    assert isinstance(blob, bytes)
    names = len(replace(module, constants=(), text=b"", tail=b"").encode())
    constants = len(data) - names - len(module.text) - len(module.tail) - len(blob)
    core = len(data) - sum(kernel_sizes.values()) - len(blob) - constants
    return Module(program, module.arch, data, core, kernel_sizes, len(blob), constants)


def _constants(program: Program, blob: bytes) -> tuple[Constant, ...]:
    texts = [
        text.format(
            input=f"input: {_expectation(program.input)}",
            output=f"output: {_expectation(program.output)}",
            arena=program.arena,
        )
        for text in _TEXTS_OF_REASONS
    ]
    if program.takes_stream:
        texts.append(
            _TEXT_OF_BLOCK.format(
                dtype=program.input.dtype.name,
                channels=program.channels,
                typecode=program.input.typecode,
                item=program.input.dtype.itemsize,
            )
        )
    return (
        b"".join(text.encode() + b"\0" for text in texts),
        blob,
        program.labels,
        _info(program),
        float(program.output.scale),
    )


def _expectation(descriptor: Descriptor) -> str:
    n_elements, item = descriptor.n_elements, descriptor.dtype.itemsize
    expected = f"expected {descriptor}: array('{descriptor.typecode}') of {n_elements}"
    if item == 1:
        return f"{expected}, or as many bytes"
    return f"{expected}, or {n_elements * item} bytes at an address that {item} divides"


def _info(program: Program) -> tuple[Constant, ...]:
    """Keys and values in turn; the core makes a dict of them."""

    def described(descriptor: Descriptor) -> tuple[Constant, ...]:
        scale, zero_point = float(descriptor.scale), descriptor.zero_point
        return (descriptor.dtype.name, descriptor.shape, scale, zero_point)

    return (
        *("name", program.name),
        *("format", FORMAT_VERSION),
        *("hash", program.hash),
        *("arena", program.arena),
        *("input", described(program.input)),
        *("output", described(program.output)),
        *(_stream_info(program) if program.takes_stream else ()),
    )


def _stream_info(program: Program) -> tuple[Constant, ...]:
    pace = pace_of(program)
    hop = float(pace.hop) if pace.hop.denominator > 1 else int(pace.hop)
    rate = ("rate", program.rate) if program.rate is not None else ()
    return ("window", pace.window, "hop", hop, *rate)


def _meta_of(info: Constant) -> dict[str, float]:
    """What the board's `info` has of a program's meta."""
    items = info if isinstance(info, tuple) else ()
    rate = dict(zip(items[::2], items[1::2], strict=False)).get("rate")
    return {"rate": rate} if isinstance(rate, float) else {}


def _align_program(module: Mpy) -> Mpy:
    """Lengthen the texts until the program starts at a multiple of 16 in the file."""
    texts = module.constants[_TEXTS]
    assert isinstance(texts, bytes)
    for padding in range(2 * _ALIGNMENT):
        padded = (texts + bytes(padding), *module.constants[1:])
        module = replace(module, constants=padded)
        if module.offset_of_constant(_PROGRAM) % _ALIGNMENT == 0:
            return module
    raise AssertionError("longer texts move the program by one byte at a time")
