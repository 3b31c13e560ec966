"""Whether a flatbuffer's offsets stay inside of it, before its generated accessors follow them.

What may be there is described by fields: a mapping from a field's number in the schema to what it
is. Fields that are not described are not looked at, and must not be read afterwards.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from wingbeat.errors import FormatError

_REUSE = 8
"""Writers let tables share strings and shapes; files that share more than this are refused."""

_SMALL = 1 << 16


@dataclass(frozen=True)
class Scalar:
    """A number of so many bytes."""

    size: int


@dataclass(frozen=True)
class Vector:
    """Numbers of so many bytes each; a string is one of single bytes."""

    item: int


@dataclass(frozen=True)
class Table:
    """A table with these fields."""

    fields: Mapping[int, Field]


@dataclass(frozen=True)
class Tables:
    """A vector of tables, all with these fields."""

    fields: Mapping[int, Field]


@dataclass(frozen=True)
class Union:
    """A table whose kind the byte in the field `kind` tells; unknown kinds are not looked at."""

    kind: int
    kinds: Mapping[int, Mapping[int, Field]]


Field = Scalar | Vector | Table | Tables | Union


def check_flatbuffer(data: bytes, fields: Mapping[int, Field]) -> None:
    """Follow every offset from the root table on.

    The time is in proportion to the size of the data, also when offsets make a knot.

    Raises
    ------
    FormatError
        An offset or a length leads out of the data, or parts overlap too much.
    """
    walk = _Walk(data)
    walk.table(walk.number("<I", 0), fields)


class _Walk:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._budget = _REUSE * len(data) + _SMALL

    def number(self, kind: str, at: int) -> int:
        self._inside(at, struct.calcsize(kind))
        return int(struct.unpack_from(kind, self._data, at)[0])

    def table(self, at: int, fields: Mapping[int, Field]) -> None:
        layout = at - self.number("<i", at)
        layout_size, size = self.number("<H", layout), self.number("<H", layout + 2)
        if layout_size < 4 or layout_size % 2 or size < 4:
            raise FormatError(f"the table at byte {at} has no layout")
        self._take(layout, layout_size)
        self._take(at, size)

        def place(number: int, width: int) -> int | None:
            entry = 4 + 2 * number
            offset = self.number("<H", layout + entry) if entry < layout_size else 0
            if offset and offset + width > size:
                raise FormatError(f"field {number} lies outside of the table at byte {at}")
            return at + offset if offset else None

        for number, field in fields.items():
            found = place(number, field.size if isinstance(field, Scalar) else 4)
            if found is None or isinstance(field, Scalar):
                continue
            if isinstance(field, Union):
                kind = place(field.kind, 1)
                described = field.kinds.get(0 if kind is None else self._data[kind])
                if described is not None:
                    self.table(found + self.number("<I", found), described)
            else:
                self._field(found, field)

    def _field(self, at: int, field: Vector | Table | Tables) -> None:
        start = at + self.number("<I", at)
        if isinstance(field, Table):
            self.table(start, field.fields)
            return
        count = self.number("<I", start)
        self._take(start + 4, count * (field.item if isinstance(field, Vector) else 4))
        if isinstance(field, Tables):
            for item in range(start + 4, start + 4 + 4 * count, 4):
                self.table(item + self.number("<I", item), field.fields)

    def _inside(self, at: int, size: int) -> None:
        if at < 0 or at + size > len(self._data):
            raise FormatError(f"an offset leads to byte {at}, but there are {len(self._data)}")

    def _take(self, at: int, size: int) -> None:
        self._inside(at, size)
        self._budget -= size
        if self._budget < 0:
            raise FormatError("its parts overlap")
