"""The `.mpy` container (version 6.3) of one native module: reading, changing, writing.

The layout is MicroPython's (py/persistentcode.c); SPEC.md, "In the .mpy", repeats what is used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from .errors import FormatError

Constant: TypeAlias = "bool | int | float | str | bytes | tuple[Constant, ...] | None"

ARCHS = {
    "x86": 1,
    "x64": 2,
    "armv6": 3,
    "armv6m": 4,
    "armv7m": 5,
    "armv7em": 6,
    "armv7emsp": 7,
    "armv7emdp": 8,
    "xtensa": 9,
    "xtensawin": 10,
    "rv32imc": 11,
    "rv64imc": 12,
}

_VERSION, _SUB_VERSION = 6, 3
_KIND_NATIVE_VIPER = 2
_MAX_DEPTH = 8
_NONE, _FALSE, _TRUE, _STR, _BYTES, _INT, _FLOAT, _TUPLE = 1, 2, 3, 5, 6, 7, 8, 10


@dataclass(frozen=True)
class Mpy:
    """A native module: tables in front, machine code, relocations behind.

    Attributes
    ----------
    arch : str
        A key of `ARCHS`.
    qstrs : tuple of bytes or int
        Names as text, or the number of a static one. Slot 0 is the source file's name.
    constants : tuple
        What the module sees as `mp_native_obj_table`.
    text : bytes
        Machine code and its constants.
    tail : bytes
        What follows the text: scope flags, sizes of rodata and bss, relocations.
    """

    arch: str
    small_int_bits: int
    qstrs: tuple[bytes | int, ...]
    constants: tuple[Constant, ...]
    text: bytes
    tail: bytes

    @classmethod
    def decode(cls, data: bytes) -> Mpy:
        """Read the bytes of a `.mpy` file.

        Raises
        ------
        FormatError
            The bytes are not a native module of `.mpy` version 6.3, or are cut short.
        """
        reader = _Reader(data)
        magic, version, flags, small_int_bits = reader.take(4)
        if magic != ord("M"):
            raise FormatError("not a .mpy file: it does not start with 'M'")
        arch_number, sub_version = flags >> 2, flags & 3
        names = {number: name for name, number in ARCHS.items()}
        if (version, sub_version) != (_VERSION, _SUB_VERSION) or arch_number not in names:
            raise FormatError(
                f".mpy version {version}.{sub_version}, architecture {arch_number}: expected a"
                f" native module of version {_VERSION}.{_SUB_VERSION}; convert the model again"
            )
        n_qstrs, n_constants = reader.uint(), reader.uint()
        qstrs = tuple(reader.qstr() for _ in range(n_qstrs))
        constants = tuple(reader.constant(_MAX_DEPTH) for _ in range(n_constants))
        kind = reader.uint()
        if kind & 7 != _KIND_NATIVE_VIPER:
            raise FormatError("the .mpy holds bytecode, not a native module of Wingbeat")
        text = reader.take(kind >> 3)
        tail = data[reader.position :]
        if not tail.endswith(b"\xff"):  # the end of the relocations, and no other byte of them
            raise FormatError("the .mpy is cut short: its relocations do not end; copy it again")
        return cls(names[arch_number], small_int_bits, qstrs, constants, text, tail)

    def encode(self) -> bytes:
        """Bytes of the `.mpy` file."""
        flags = ARCHS[self.arch] << 2 | _SUB_VERSION
        return b"".join(
            [
                bytes([ord("M"), _VERSION, flags, self.small_int_bits]),
                _uint(len(self.qstrs)),
                _uint(len(self.constants)),
                *(_encode_qstr(qstr) for qstr in self.qstrs),
                *(_encode_constant(constant) for constant in self.constants),
                _uint(len(self.text) << 3 | _KIND_NATIVE_VIPER),
                self.text,
                self.tail,
            ]
        )

    def offset_of_constant(self, index: int) -> int:
        """Where the data of the `str` or `bytes` constant starts in the file."""
        data = self.constants[index]
        if not isinstance(data, (str, bytes)):
            raise TypeError("only str and bytes have their data in the file")
        before = replace(self, text=b"", tail=b"", constants=self.constants[:index])
        head = len(before.encode()) - len(_uint(_KIND_NATIVE_VIPER))
        head += len(_uint(len(self.constants))) - len(_uint(index))
        return head + 1 + len(_uint(len(data)))


def _uint(value: int) -> bytes:
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))


def _encode_qstr(qstr: bytes | int) -> bytes:
    if isinstance(qstr, int):
        return _uint(qstr << 1 | 1)
    return _uint(len(qstr) << 1) + qstr + b"\0"


def _encode_constant(value: Constant) -> bytes:
    if value is None:
        return bytes([_NONE])
    if isinstance(value, bool):
        return bytes([_TRUE if value else _FALSE])
    if isinstance(value, tuple):
        items = b"".join(_encode_constant(item) for item in value)
        return bytes([_TUPLE]) + _uint(len(value)) + items
    if isinstance(value, bytes):
        return bytes([_BYTES]) + _uint(len(value)) + value + b"\0"
    if isinstance(value, str):
        data = value.encode()
        return bytes([_STR]) + _uint(len(data)) + data + b"\0"
    kind = _INT if isinstance(value, int) else _FLOAT
    data = repr(value).encode()
    return bytes([kind]) + _uint(len(data)) + data


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, size: int) -> bytes:
        if self.position + size > len(self.data):
            raise FormatError(
                f"the .mpy is cut short: {len(self.data)} bytes, more were announced;"
                " convert or copy it again"
            )
        self.position += size
        return self.data[self.position - size : self.position]

    def uint(self) -> int:
        value = 0
        while True:
            (byte,) = self.take(1)
            value = value << 7 | byte & 0x7F
            if value >> 32:
                raise FormatError("the .mpy is damaged: a size of more than 32 bits")
            if not byte & 0x80:
                return value

    def qstr(self) -> bytes | int:
        size = self.uint()
        if size & 1:
            return size >> 1
        text = self.take(size >> 1)
        self.take(1)
        return text

    def constant(self, depth: int) -> Constant:
        (kind,) = self.take(1)
        if kind in (_NONE, _FALSE, _TRUE):
            return {_NONE: None, _FALSE: False, _TRUE: True}[kind]
        size = self.uint()
        if kind == _TUPLE:
            if depth == 0:
                raise FormatError("the .mpy is damaged: tuples within tuples within tuples")
            return tuple(self.constant(depth - 1) for _ in range(size))
        data = self.take(size)
        try:
            if kind in (_STR, _BYTES):
                self.take(1)
                return data.decode() if kind == _STR else data
            if kind == _INT:
                return int(data)
            if kind == _FLOAT:
                return float(data)
        except ValueError as error:
            raise FormatError(f"the .mpy is damaged: constant {data[:20]!r}") from error
        raise FormatError(f"the .mpy has a constant of unknown kind {kind}")
