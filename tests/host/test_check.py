"""Whether a model fits: what is said, and how near the figures are."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from typer.testing import CliRunner

from nets.files import net
from wingbeat import Program, convert
from wingbeat.boards import board_named, boards
from wingbeat.check import check, heap_need
from wingbeat.cli import app
from wingbeat.costs import costs, estimate, terms
from wingbeat.errors import UsageError
from wingbeat.net.convert import convert_tflite
from wingbeat.reference import ForestWalk
from wingbeat.runner import run_module
from wingbeat.stubs import stub_of
from wingbeat.targets.unix import UnixTarget

X, Y = load_digits(return_X_y=True)


def digits(trees: int, depth: int = 6) -> Program:
    forest = RandomForestClassifier(trees, max_depth=depth, random_state=1).fit(X, Y)
    return convert(forest, name="digits", dtype="uint8", rows=X)


@pytest.fixture(scope="module")
def small() -> Program:
    return digits(4)


def run(*args: object) -> Any:
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.mark.parametrize("trees", [1, 10])
def test_heap_is_near_and_never_too_low(trees: int) -> None:
    module = digits(trees).assemble("x64")
    with UnixTarget() as target:
        taken = run_module(target, module, X[:1].astype(np.uint8))
    need = heap_need(module)
    assert taken.heap_import <= need.by_import <= taken.heap_import + 1500
    assert taken.heap_model <= need.by_model <= taken.heap_model + 64


def test_romfs_takes_the_constants_out_of_the_heap(small: Program) -> None:
    module = small.assemble("armv6m")
    saved = heap_need(module).by_import - heap_need(module, romfs=True).by_import
    assert saved >= module.program_size


def test_every_board_has_its_limits() -> None:
    for board in boards().values():
        assert board.name == "unix" or (board.heap and board.flash and board.clock)
        assert board.name == "unix" or "heap:" in board.source


BOARDS = [name for name in boards() if name != "unix"]


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_is_checked(name: str, tmp_path: Path, small: Program) -> None:
    small.save(tmp_path / "small.wbp")
    done = run("check", tmp_path / "small.wbp", "--board", name, "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    board = board_named(name)
    assert document["fits"]
    assert document["arch"] == board.arch
    assert document["limits"]["heap"]["limit"] == board.heap
    assert document["limits"]["flash"]["limit"] == board.flash
    assert document["us_per_run"] == pytest.approx(
        document["cycles_per_run"] * 1e6 / board.clock, 1e-3
    )
    assert document["taken"] == "estimated"
    assert ("instructions" in document["estimated_from"]) == (board.arch != "armv6m")


def test_the_page_has_every_board() -> None:
    page = (Path(__file__).parents[2] / "docs" / "board.md").read_text()
    for name in BOARDS:
        board = board_named(name)
        assert board.heap is not None
        assert board.flash is not None
        sizes = f"{board.heap // 1024} KB | {board.flash // 1024} KB | {board.clock // 10**6} MHz"
        assert f"| `{name}` | {board.description} | `{board.arch}` | {sizes} |" in page


def test_terms_and_costs_agree(small: Program) -> None:
    for kernel, values in costs()["armv6m"]["kernels"].items():
        assert all(value >= 0 for value in values), kernel
    for arch in ("armv7emsp", "rv32imc", "xtensawin"):
        for kernel, factor in costs()[arch]["factors"].items():
            assert 0.2 < factor < 3, (arch, kernel)
    walk = small.calls[0].operator
    assert isinstance(walk, ForestWalk)
    counted = terms(walk, "armv6m")
    assert len(counted) == len(costs()["armv6m"]["kernels"][walk.KERNEL])


def test_worst_case_without_rows(small: Program) -> None:
    with_rows = estimate(small, "armv6m")
    without = estimate(replace(small, golden=None), "armv6m")
    assert with_rows is not None
    assert without is not None
    assert with_rows.basis == "mean of 16 rows of data"
    assert "worst case" in without.basis
    assert without.cycles > with_rows.cycles
    assert estimate(small, "x64") is None


@pytest.mark.parametrize("name", ["hello_world", "micro_speech", "ad"])
def test_time_by_operator(name: str, tmp_path: Path) -> None:
    program = convert_tflite(net(name))
    found = estimate(program, "armv6m")
    assert found is not None
    assert len(found.operators) == len(program.calls)
    assert sum(found.operators) < found.cycles
    assert found.operators[found.costliest] == max(found.operators)
    assert found.basis == "the same for every row"
    program.save(tmp_path / "net.wbp")
    document = json.loads(run("check", tmp_path / "net.wbp", "--board", "pico", "--json").stdout)
    assert [row["kernel"] for row in document["operators"]] == [
        call.operator.KERNEL for call in program.calls
    ]
    assert document["costliest"] == found.costliest
    text = " ".join(run("check", tmp_path / "net.wbp", "--board", "pico").stdout.split())
    assert f"takes most operator {found.costliest + 1}," in text


def test_a_net_that_is_too_large_is_told_so() -> None:
    board = board_named("pico")
    fix = str(check(convert_tflite(net("ad")).assemble("armv6m"), board).fix)
    assert "% of the weights; or take firmware that has a ROMFS partition" in fix


def test_worst_work_is_never_exceeded(small: Program) -> None:
    walk = small.calls[0].operator
    assert isinstance(walk, ForestWalk)
    worst = walk.worst_work()
    for row in X[:50].astype(np.uint8):
        work = walk.mean_work(row[None])
        assert work.visits <= worst.visits
        assert work.shared <= worst.shared
        assert work.entries <= worst.entries


def test_fixes(small: Program) -> None:
    module = small.assemble("armv6m")
    pico = board_named("pico")
    assert check(module, pico).fix is None
    need = heap_need(module).total
    tight = replace(pico, heap=need - 100)
    assert "% of the trees" in str(check(module, tight).fix)
    assert "--romfs" in str(check(module, replace(tight, romfs=True)).fix)
    assert "smaller window" in str(check(module, replace(pico, heap=100)).fix)
    with pytest.raises(UsageError, match="the module is for armv6m, but unix runs x64"):
        check(module, board_named("unix"))


def test_command(tmp_path: Path, small: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = tmp_path / "fits.wbp"
    small.save(fits)
    done = run("check", fits, "--board", "pico", "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["fits"], document["taken"]) == (True, "estimated")
    assert "estimated from emulated cycles" in run("check", fits, "--board", "pico").stdout
    assert run("check", fits, "--board", "zx81").exit_code == 2
    assert run("check", fits, "--board", "unix").exit_code == 2
    tiny = replace(board_named("pico"), heap=6000)
    monkeypatch.setattr(sys.modules["wingbeat.cli.check"], "board_named", lambda _: tiny)
    done = run("check", fits, "--board", "pico", "--json")
    assert done.exit_code == 1
    assert not json.loads(done.stdout)["limits"]["heap"]["fits"]
    assert "does not fit pico: the program has" in done.stderr


@pytest.mark.parametrize(
    "command", [["doctor"], ["list"], ["remove", "digits"], ["deploy", "FILE"]]
)
def test_no_such_port(tmp_path: Path, small: Program, command: list[str]) -> None:
    small.save(tmp_path / "digits.wbp")
    arguments = [str(tmp_path / "digits.wbp") if each == "FILE" else each for each in command]
    done = run(*arguments, "--port", "/dev/ttyNONE")
    assert done.exit_code == 1
    assert "there is no port /dev/ttyNONE" in done.stderr
    done = run(*arguments, "--port", "/dev/ttyNONE", "--json")
    assert "there is no port /dev/ttyNONE" in json.dumps(json.loads(done.stdout))


def test_stub_is_python(small: Program) -> None:
    text = stub_of(small)
    compile(text, "digits.pyi", "exec")
    assert "array('B') of 64" in text
    awkward = replace(small, labels=('a"b\\', *small.labels[1:]))
    compile(stub_of(awkward), "digits.pyi", "exec")


def test_operators_without_costs_are_named(
    small: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.save(tmp_path / "small.wbp")
    kernel = small.calls[0].operator.KERNEL
    for arch, board in (("armv6m", "pico"), ("armv7emsp", "pico2")):
        tables = {
            title: {name: cost for name, cost in table.items() if name != kernel}
            for title, table in costs()[arch].items()
            if isinstance(table, dict)
        }
        monkeypatch.setitem(costs(), arch, {**costs()[arch], **tables})
        arguments = ("check", tmp_path / "small.wbp", "--board", board)
        document = json.loads(run(*arguments, "--json").stdout)
        assert document["without_costs"] == [kernel]
        assert document["us_per_run"] is None
        assert document["fits"]
        assert f"not known: {kernel} was not measured for {arch}" in run(*arguments).stdout
