"""What a board has after its power was cut: the old or the new model, whole, and all else."""

from __future__ import annotations

import binascii
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import RandomForestClassifier

from flash_board import FlashBoard
from wingbeat.convert import convert
from wingbeat.deploy import deploy
from wingbeat.errors import TransportError
from wingbeat.golden import vectors_of
from wingbeat.onboard import models_on
from wingbeat.program import Program
from wingbeat.targets.rp2040 import Pico, new_flash
from wingbeat.transport import Transport, answer_of, open_transport

NOTES = b"what its owner wrote\n" * 40
SHARES = (0.0, 0.5, 1.0)
"""Shares of the last write that are done when the power goes."""

Cut: TypeAlias = tuple[int, float]
"""A write of flash, counted from 0, and the share of it that is done."""

_RUN_ALL = """\
import {name}
from binascii import hexlify, unhexlify
model = {name}.Model()
out = bytearray({size})
found = []
for row in {rows}:
    row = unhexlify(row)
    model.run(row, out)
    found.append((hexlify(out).decode(), model.predict(row)))
print(repr((model.info["hash"], found)))
"""


def iris(trees: int, name: str = "iris") -> Program:
    """Return a small forest with rows of data as its golden vectors."""
    x, y = load_iris(return_X_y=True)
    x = np.round(x * 10)
    forest = RandomForestClassifier(trees, max_depth=4, random_state=trees).fit(x, y)
    return convert(forest, name=name, dtype="uint8", rows=x)


def digits(trees: int) -> Program:
    """Return a larger forest: 20 trees are about 60 pages of a Pico's flash."""
    x, y = load_digits(return_X_y=True)
    forest = RandomForestClassifier(trees, max_depth=8, random_state=1).fit(x, y)
    return convert(forest, name="digits", dtype="uint8", rows=x)


def proven(transport: Transport, *candidates: Program) -> Program:
    """Return the one that a program on the board imports, after all its golden vectors.

    The candidates have one name and inputs of one shape.
    """
    golden = vectors_of(candidates[0]).inputs
    size = max(each.output.n_elements * each.output.dtype.itemsize for each in candidates)
    script = _RUN_ALL.format(
        name=candidates[0].name,
        size=size,
        rows=[binascii.hexlify(row.tobytes()).decode() for row in golden],
    )
    found, outputs = answer_of(transport.exec(script))
    (chosen,) = [each for each in candidates if each.hash == found]
    expected = [row.tobytes() for row in chosen.run(golden).reshape(len(golden), -1)]
    decisions = chosen.predict(golden).tolist()
    for (output, decision), row, right in zip(outputs, expected, decisions, strict=True):
        assert (bytes.fromhex(output)[: len(row)], decision) == (row, right)
    return chosen


@dataclass
class _Deploys:
    """A deploy over an old model that can be done again and again from the same state.

    Beside the old model, the board has another one, and notes of its owner.
    """

    folder: Path
    old: Program
    new: Program
    other: Program
    romfs: bool = False
    writes: int = 0
    """Writes of flash of an uninterrupted deploy, counted by `__post_init__`."""

    def cuts(self, count: int | None = None) -> Iterator[Cut]:
        """Writes and shares of them: so many, or all writes with each share."""
        if count is None:
            yield from ((write, share) for write in range(self.writes) for share in SHARES)
        else:
            points = np.linspace(0, self.writes - 1, count).astype(int).tolist()
            yield from ((write, SHARES[at % len(SHARES)]) for at, write in enumerate(points))

    def prepare(self, transport: Transport) -> None:
        """Put there what is there before."""
        transport.put_file("notes.txt", NOTES)
        deploy(transport, self.other, romfs=self.romfs, start=False)
        deploy(transport, self.old, romfs=self.romfs, start=False)

    def deploy(self, transport: Transport) -> None:
        """Deploy the new model."""
        deploy(transport, self.new, romfs=self.romfs, start=False)

    def whole(self, transport: Transport) -> Program:
        """Return which of the models is there; all else is as it was."""
        proven(transport, self.other)
        assert transport.get_file("notes.txt") == NOTES
        return proven(transport, self.old, self.new)

    def goes_through(self, transport: Transport) -> None:
        """Deploy once more: the new model is there, and nothing is left over."""
        self.deploy(transport)
        transport.soft_reset()
        assert self.whole(transport) is self.new
        models = {each.path for each in models_on(transport)}
        folder = "/rom/" if self.romfs else ""
        assert models == {f"{folder}{each.name}.mpy" for each in (self.new, self.other)}
        names = answer_of(transport.exec("import os\nprint(os.listdir())"))
        assert [name for name in names if name.startswith("wb-")] == []


@dataclass
class Deploys(_Deploys):
    """On MicroPython's file systems in the unix port."""

    kind: str = "VfsLfs2"

    def __post_init__(self) -> None:
        self.origin = FlashBoard(self.folder / "origin", kind=self.kind, with_rom=self.romfs)
        self.prepare(self.origin)
        board = self.origin.copy(self.folder / "count")
        self.deploy(board)
        self.writes = board.writes

    def interrupted(self, *cuts: Cut) -> Program:
        """Cut the power of one deploy after the other; return the model that is there then.

        At last a deploy goes through. All but the first may end before their cut, since a deploy
        over an interrupted one has more or fewer writes.
        """
        board = self.origin.copy(self.folder / "board")
        for number, cut in enumerate(cuts):
            board.power_cut = cut
            try:
                self.deploy(board)
            except TransportError as error:
                if "power was cut" not in str(error):
                    raise
            else:
                assert number > 0, "the power was not cut"
            board = board.switched_on_again()
            found = self.whole(board)
        self.goes_through(board)
        assert set(board.files()) <= {
            "notes.txt",
            *(f"{m.name}.mpy" for m in (self.new, self.other)),
        }
        return found


@dataclass
class PicoDeploys(_Deploys):
    """On an emulated Raspberry Pi Pico, with its own firmware and mpremote."""

    def __post_init__(self) -> None:
        self.origin, self.flash = (self.folder / f"{name}.bin" for name in ("origin", "flash"))
        new_flash(self.origin)
        with switched_on(self.origin) as pico, open_transport(pico.url) as transport:
            self.prepare(transport)
        shutil.copyfile(self.origin, self.flash)
        with switched_on(self.flash) as pico, open_transport(pico.url) as transport:
            before = pico.status().operations
            self.deploy(transport)
            self.writes = pico.status().operations - before

    def interrupted(self, cut: Cut) -> Program:
        """Cut the power of a deploy; return the model that is there then.

        At last a deploy goes through.
        """
        shutil.copyfile(self.origin, self.flash)
        with switched_on(self.flash) as pico:
            transport = open_transport(pico.url)
            pico.cut_after(*cut)
            with pytest.raises(TransportError) as caught:
                self.deploy(transport)
            assert caught.value.kind == TransportError.VANISHED
            transport.close()
            pico.wait_for_end()
        with switched_on(self.flash) as pico, open_transport(pico.url) as transport:
            found = self.whole(transport)
            self.goes_through(transport)
        return found


@contextmanager
def switched_on(flash: Path) -> Iterator[Pico]:
    """Switch a Pico on, and wait until it is on USB."""
    with Pico(flash) as pico:
        pico.wait_for_console()
        yield pico
