"""Models that are on a board: finding and removing them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .board import PREFIX, ask
from .deploy import clean, drop_copies, rom_members, write_rom
from .errors import TargetError
from .mpy import ARCHS
from .transport import Transport, answer_of

_ROM = "/rom/"

# Reads the head of each .mpy file: names, then the constants up to the one that describes the
# model. Data of more than 64 bytes is skipped.
_LIST = """\
import os, sys
def number(f):
    value = 0
    while True:
        byte = f.read(1)[0]
        value = value << 7 | byte & 127
        if byte < 128:
            return value
def constant(f):
    kind = f.read(1)[0]
    if kind < 5:
        return None
    size = number(f)
    if kind == 10:
        return tuple([constant(f) for _ in range(size)])
    data = f.read(min(size, 64))
    if size > 64:
        f.seek(size - 64, 1)
    if kind < 7:
        f.read(1)
    return data if kind == 6 else data.decode()
def look(path):
    with open(path, "rb") as f:
        head = f.read(4)
        if head[:2] != b"M\\x06":
            return
        names, constants = number(f), number(f)
        if constants != 5:
            return
        for _ in range(names):
            size = number(f)
            if not size & 1:
                f.read((size >> 1) + 1)
        values = [constant(f) for _ in range(4)]
    if values[1][:4] == b"WGNB":
        print(repr((path, os.stat(path)[6], head[2] >> 2, values[2], values[3])))
for folder in {folders}:
    try:
        names = os.listdir(folder or ".")
    except OSError:
        continue
    for name in names:
        if name.endswith(".mpy") and not name.startswith({prefix!r}):
            try:
                look((folder + "/" if folder else "") + name)
            except Exception:
                pass
print(repr(None))
"""


@dataclass(frozen=True)
class OnBoard:
    """A model on a board.

    Attributes
    ----------
    path : str
    name, hash : str
        As `Model.info` has them.
    arch : str
    size : int
        Bytes of the file.
    arena : int
        Bytes that running takes.
    labels : tuple of str
    used : bool
        `import` takes this one; else there is one of that name in front of it.
    """

    path: str
    name: str
    hash: str
    arch: str
    size: int
    arena: int
    labels: tuple[str, ...]
    used: bool

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def models_on(transport: Transport) -> list[OnBoard]:
    """All models of Wingbeat where `import` looks, in that order.

    Raises
    ------
    TransportError, TargetError
        The board does not answer as MicroPython does.
    """
    facts = ask(transport)
    folders = [folder for folder in facts.path if not folder.startswith(".")]
    printed = transport.exec(_LIST.format(prefix=PREFIX, folders=list(dict.fromkeys(folders))))
    archs = {number: name for name, number in ARCHS.items()}
    found: list[OnBoard] = []
    for line in printed.strip().splitlines():
        row = answer_of(line)
        if row is None:
            continue
        path, size, arch, labels, pairs = row
        info = dict(zip(pairs[::2], pairs[1::2], strict=True))
        file = path.rpartition("/")[2]
        found.append(
            OnBoard(
                path,
                file.removesuffix(".mpy"),
                str(info.get("hash")),
                archs.get(arch, str(arch)),
                size,
                int(info.get("arena") or 0),
                tuple(labels),
                used=file not in [other.path.rpartition("/")[2] for other in found],
            )
        )
    return found


def remove(transport: Transport, name: str) -> list[str]:
    """Remove a model, wherever it is on the board; return the paths that it had.

    Raises
    ------
    TransportError, TargetError
        There is no model of that name, or the connection broke.
    """
    facts = ask(transport)
    clean(transport)
    models = models_on(transport)
    mine = [model.path for model in models if model.name == name]
    if not mine:
        others = ", ".join(dict.fromkeys(model.name for model in models)) or "none"
        raise TargetError(f"no model {name!r} on the board: it has {others}")
    in_rom = [path.removeprefix(_ROM) for path in mine if path.startswith(_ROM)]
    if in_rom:
        members = {
            path: size for path, size in rom_members(transport).items() if path not in in_rom
        }
        write_rom(transport, facts, members)
        drop_copies(transport)
    for path in mine:
        if not path.startswith(_ROM) and transport.size(path) is not None:
            transport.remove(path)
    return mine
