"""What a board has after its power was cut: the old or the new model, whole, and all else."""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

from flash_board import FlashBoard
from wingbeat.convert import convert
from wingbeat.deploy import deploy
from wingbeat.errors import TransportError
from wingbeat.golden import vectors_of
from wingbeat.program import Program
from wingbeat.transport import Transport, answer_of

NOTES = b"what its owner wrote\n" * 40
SHARES = (0.0, 0.5, 1.0)
"""Shares of the last write that are done when the power goes."""

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


def spread(operations: int, count: int) -> list[int]:
    """Numbers of operations, spread evenly from the first to the last."""
    return sorted(set(np.linspace(0, operations - 1, count).astype(int).tolist()))


@dataclass
class Deploys:
    """A deploy over an old model that can be done again and again from the same state.

    Beside the old model, the board has another one, and notes of its owner.
    """

    folder: Path
    old: Program
    new: Program
    other: Program
    kind: str = "VfsLfs2"
    romfs: bool = False

    def __post_init__(self) -> None:
        self.origin = FlashBoard(self.folder / "origin", kind=self.kind, with_rom=self.romfs)
        self.origin.put_file("notes.txt", NOTES)
        deploy(self.origin, self.other, romfs=self.romfs)
        deploy(self.origin, self.old, romfs=self.romfs)
        board = self.origin.copy(self.folder / "count")
        deploy(board, self.new, romfs=self.romfs)
        self.writes = board.writes
        """Writes of flash of an uninterrupted deploy."""

    def cuts(self, count: int | None = None) -> Iterator[tuple[int, float]]:
        """Writes and shares of them: some, or all writes with each share."""
        if count is None:
            yield from ((write, share) for write in range(self.writes) for share in SHARES)
        else:
            points = spread(self.writes, count)
            yield from ((write, SHARES[at % len(SHARES)]) for at, write in enumerate(points))

    def interrupted(self, *cuts: tuple[int, float]) -> Program:
        """Cut the power of one deploy after the other; return the model that is there then.

        At last a deploy goes through. All but the first may end before their cut, since a deploy
        over an interrupted one has more or fewer writes.
        """
        board = self.origin.copy(self.folder / "board")
        for number, (write, share) in enumerate(cuts):
            board.power_cut = (write, share)
            try:
                deploy(board, self.new, romfs=self.romfs)
            except TransportError as error:
                if "power was cut" not in str(error):
                    raise
            else:
                assert number > 0, "the power was not cut"
            board = board.switched_on_again()
            found = self.whole(board)
        done = deploy(board, self.new, romfs=self.romfs)
        assert done.path == f"/rom/{self.new.name}.mpy" if self.romfs else f"{self.new.name}.mpy"
        assert self.whole(board.switched_on_again()) is self.new
        files = {"notes.txt"} if self.romfs else {"notes.txt", *self.names}
        assert set(board.files()) == files
        return found

    @property
    def names(self) -> set[str]:
        """The models' files."""
        return {f"{each.name}.mpy" for each in (self.old, self.other)}

    def whole(self, board: FlashBoard) -> Program:
        """Return which of the models is there; all else is as it was."""
        proven(board, self.other)
        assert board.get_file("notes.txt") == NOTES
        return proven(board, self.old, self.new)
