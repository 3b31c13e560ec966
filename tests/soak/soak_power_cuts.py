"""Power cuts all over a deploy. Run by `make soak`; `make test` has a handful."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from power_cuts import Deploys, PicoDeploys, digits, iris

BOARDS = [(kind, romfs) for kind in ("VfsLfs2", "VfsFat") for romfs in (False, True)]
PAIRS = 60
"""Deploys whose power is cut, and cut again while the next deploy tidies up."""

LEAST = 50
"""Cut points."""


@pytest.fixture(params=BOARDS, ids=lambda board: f"{board[0]}{'-romfs' * board[1]}")
def deploys(request: pytest.FixtureRequest, tmp_path: Path) -> Deploys:
    kind, romfs = request.param
    return Deploys(tmp_path, iris(9), iris(10), iris(2, "other"), kind=kind, romfs=romfs)


@pytest.fixture(params=[False, True], ids=["files", "romfs"])
def pico(request: pytest.FixtureRequest, tmp_path: Path) -> PicoDeploys:
    return PicoDeploys(tmp_path, digits(19), digits(20), iris(2, "other"), romfs=request.param)


def tell(
    capsys: pytest.CaptureFixture[str], deploys: Deploys | PicoDeploys, found: Counter[bool]
) -> None:
    board = deploys.kind if isinstance(deploys, Deploys) else "emulated Pico"
    with capsys.disabled():
        print(
            f"\n{board}{' and ROMFS' * deploys.romfs}, {deploys.writes} writes of flash:"
            f" {found.total()} cuts, {found[False]} times the old model, {found[True]} times the"
            " new one, never neither"
        )


def test_every_write(deploys: Deploys, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploys.writes >= LEAST
    found = Counter(deploys.interrupted(cut) is deploys.new for cut in deploys.cuts())
    tell(capsys, deploys, found)
    assert found[False] > 0
    assert found[True] > 0


def test_emulated_pico(pico: PicoDeploys, capsys: pytest.CaptureFixture[str]) -> None:
    assert pico.writes >= LEAST
    found = Counter(pico.interrupted(cut) is pico.new for cut in pico.cuts(LEAST))
    tell(capsys, pico, found)
    assert found[False] > 0
    assert found[True] > 0


def test_cut_again_while_it_is_tidied_up(
    deploys: Deploys, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    found: Counter[bool] = Counter()
    for _ in range(PAIRS):
        first = int(rng.integers(deploys.writes // 2, deploys.writes))
        second = int(rng.integers(0, deploys.writes // 2))
        shares = rng.choice([0.0, 0.25, 0.5, 0.75, 1.0], 2).tolist()
        last = deploys.interrupted((first, shares[0]), (second, shares[1]))
        found[last is deploys.new] += 1
    tell(capsys, deploys, found)
