"""Deploying: every way in which it can fail, and what the board has afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flash_board import FlashBoard
from nets.files import net
from power_cuts import Deploys, digits, iris, proven
from streams import stream_programs
from wingbeat.assemble import Module
from wingbeat.board import ask, native_works, problem_of
from wingbeat.deploy import deploy, module_for
from wingbeat.errors import FormatError, TargetError, TransportError
from wingbeat.golden import generate, vectors_of
from wingbeat.net.convert import convert_tflite
from wingbeat.onboard import models_on, remove
from wingbeat.program import Decision, Program
from wingbeat.romfs import romfs_image


@pytest.fixture(scope="module")
def models() -> tuple[Program, Program]:
    return iris(3), iris(5)


@pytest.fixture
def board(tmp_path: Path) -> FlashBoard:
    return FlashBoard(tmp_path / "board")


def no_leftovers(board: FlashBoard) -> None:
    assert [name for name in board.files() if name.startswith("wb-")] == []


@pytest.mark.parametrize("kind", ["VfsLfs2", "VfsFat"])
def test_first_and_second_version(
    tmp_path: Path, models: tuple[Program, Program], kind: str
) -> None:
    board = FlashBoard(tmp_path, kind=kind)
    old, new = models
    first = deploy(board, old)
    assert (first.replaced, first.path, first.heap_saved) == (False, "iris.mpy", None)
    assert first.real
    assert first.proof.rows == len(vectors_of(old).inputs)
    assert first.proof.heap_import > 0
    assert board.started == 1
    second = deploy(board, new, start=False)
    assert second.replaced
    assert board.started == 1
    assert proven(board, old, new) is new
    no_leftovers(board)
    assert set(board.files()) == {"iris.mpy"}


@pytest.mark.parametrize("name", ["audio", "raw"])
def test_streams_are_proven_block_by_block(board: FlashBoard, name: str) -> None:
    program = stream_programs()[name]
    proof = deploy(board, program).proof
    assert proof.rows == len(vectors_of(program).inputs)
    assert set(board.files()) == {f"{name}.mpy"}
    golden = generate(program)
    golden.outputs[-1].flat[0] ^= 1
    with pytest.raises(FormatError, match="does not repeat its golden vectors"):
        deploy(board, replace(program, golden=golden))


def test_a_stream_that_decides_otherwise_on_the_board_is_refused(board: FlashBoard) -> None:
    """Outputs are the same, but push returns something else."""
    program = stream_programs()["audio"]
    module = replace(program.assemble("x64"), program=replace(program, decision=Decision.VALUE))
    with pytest.raises(TargetError, match="golden vector 5 gives other bits on the board"):
        deploy(board, module)
    assert board.files() == {}


def test_list_and_remove(board: FlashBoard, models: tuple[Program, Program]) -> None:
    old, _ = models
    deploy(board, old)
    deploy(board, iris(2, "other"))
    board.put_file("broken.mpy", b"M\x06\x0b\x1f\xff\xff")
    board.put_file("notes.txt", b"mine")
    found = {model.name: model for model in models_on(board)}
    assert set(found) == {"iris", "other"}
    assert (found["iris"].hash, found["iris"].arch) == (old.hash, "x64")
    assert (found["iris"].labels, found["iris"].arena) == (old.labels, old.arena)
    with pytest.raises(TargetError, match="no model 'rose' on the board: it has iris, other"):
        remove(board, "rose")
    assert remove(board, "iris") == ["iris.mpy"]
    assert [model.name for model in models_on(board)] == ["other"]
    assert "notes.txt" in board.files()


def steps_of_a_deploy(board: FlashBoard, new: Program, folder: Path, romfs: bool) -> int:
    other = board.copy(folder)
    deploy(other, new, romfs=romfs)
    return other.steps


@pytest.mark.parametrize("romfs", [False, True])
def test_vanishes_at_each_step(
    tmp_path: Path, models: tuple[Program, Program], romfs: bool
) -> None:
    old, new = models
    origin = FlashBoard(tmp_path / "origin", with_rom=romfs)
    deploy(origin, old, romfs=romfs)
    steps = steps_of_a_deploy(origin, new, tmp_path / "count", romfs)
    assert steps > 8
    for step in range(0, steps, 2 if romfs else 1):
        board = origin.copy(tmp_path / f"at{step}")
        board.vanish_at = step
        with pytest.raises(TransportError) as caught:
            deploy(board, new, romfs=romfs)
        assert caught.value.kind == TransportError.VANISHED
        board = board.switched_on_again()
        proven(board, old, new)
        done = deploy(board, new, romfs=romfs)
        assert proven(board, old, new) is new
        no_leftovers(board)
        assert done.path == ("/rom/iris.mpy" if romfs else "iris.mpy")
        assert ("iris.mpy" in board.files()) is not romfs


@pytest.mark.parametrize("kind", ["VfsLfs2", "VfsFat"])
@pytest.mark.parametrize("romfs", [False, True])
def test_power_cuts(
    tmp_path: Path, models: tuple[Program, Program], kind: str, romfs: bool
) -> None:
    """A handful; `make soak` has them all."""
    deploys = Deploys(tmp_path, *models, iris(2, "other"), kind=kind, romfs=romfs)
    found = [deploys.interrupted(cut) for cut in deploys.cuts(4)]
    assert found[0] is models[0]


@pytest.mark.parametrize("moved", [False, True])
def test_fat_between_its_two_entries(
    tmp_path: Path, models: tuple[Program, Program], moved: bool
) -> None:
    """The old model is in lib; the new one has its name, or not yet."""
    board = FlashBoard(tmp_path, kind="VfsFat")
    old, new = models
    board.put_file("wb-model.old", b"iris.mpy\n/flash/lib/iris.mpy\niris.mpy")
    board.put_file("wb-model.new", b"")
    board.exec("import os\nos.mkdir('lib')")
    board.put_file("lib/iris.mpy", old.assemble("x64").data)
    board.put_file("iris.mpy" if moved else "wb-model.mpy", new.assemble("x64").data)
    assert proven(board, old, new) is (new if moved else old)
    other = deploy(board, iris(2, "other"))
    assert other.cleaned[:2] == ["wb-model.old", "wb-model.new"]
    assert proven(board, old, new) is (new if moved else old)
    assert set(board.files()) == {"iris.mpy", "other.mpy"}


def test_romfs_saves_heap_and_keeps_the_others(
    tmp_path: Path, models: tuple[Program, Program]
) -> None:
    board = FlashBoard(tmp_path, with_rom=True)
    old, new = models
    first = deploy(board, old, romfs=True)
    assert first.path == "/rom/iris.mpy"
    assert first.heap_saved is not None
    assert first.heap_saved > len(old.encode()) // 2
    other = iris(2, "other")
    deploy(board, other, romfs=True)
    deploy(board, new, romfs=True)
    assert board.files() == {}
    assert proven(board, old, new) is new
    proven(board, other)
    assert {model.path for model in models_on(board)} == {"/rom/iris.mpy", "/rom/other.mpy"}
    assert remove(board, "iris") == ["/rom/iris.mpy"]
    proven(board, other)
    assert [model.name for model in models_on(board)] == ["other"]
    assert remove(board, "other") == ["/rom/other.mpy"]
    assert models_on(board) == []
    assert board.files() == {}


def test_romfs_keeps_files_of_others(tmp_path: Path, models: tuple[Program, Program]) -> None:
    board = FlashBoard(tmp_path, with_rom=True)
    image = romfs_image({"tool.py": b"answer = 42\n", "lib/deep.py": b"answer = 43\n"})
    (tmp_path / "rom.bin").write_bytes(image.ljust(16 * 4096, b"\xff"))
    deploy(board, models[0], romfs=True)
    assert board.exec("import tool, deep\nprint(tool.answer, deep.answer)") == "42 43\n"
    assert board.files() == {}


@pytest.fixture(scope="module")
def large() -> tuple[Program, Program]:
    """Models that only run from ROMFS on a board with SMALL_HEAP."""
    return digits(29), digits(30)


SMALL_HEAP = 100_000
"""Bytes: the unix port takes 64 KB of it for the content of ROMFS."""


def test_model_larger_than_the_heap(tmp_path: Path, large: tuple[Program, Program]) -> None:
    board = FlashBoard(tmp_path / "board", with_rom=True, heap=SMALL_HEAP)
    old, new = large
    with pytest.raises(TargetError, match="deploy it with --romfs, from where it takes 2720 bytes"):
        deploy(board, old)
    assert board.files() == {}
    other = iris(2, "other")
    deploy(board, other, romfs=True)
    first = deploy(board, old, romfs=True)
    assert (first.path, first.proof_in_heap, first.replaced) == ("/rom/digits.mpy", None, False)
    assert first.proof.heap_import < 4096
    assert deploy(board, new, romfs=True).replaced
    assert proven(board, old, new) is new
    proven(board, other)
    assert board.files() == {}


def test_model_larger_than_the_heap_does_not_prove_itself(
    tmp_path: Path, large: tuple[Program, Program]
) -> None:
    board = FlashBoard(tmp_path / "board", with_rom=True, heap=SMALL_HEAP)
    old, new = large
    deploy(board, old, romfs=True)
    module: Module = replace(new.assemble("x64"), program=old)
    with pytest.raises(TargetError, match=r"golden vector \d+ gives other bits"):
        deploy(board, module, romfs=True)
    assert proven(board, old, new) is old
    assert board.files() == {}


def test_model_larger_than_the_heap_is_interrupted(
    tmp_path: Path, large: tuple[Program, Program]
) -> None:
    """All but the model itself works at any time, and the next deploy goes through."""
    origin = FlashBoard(tmp_path / "origin", with_rom=True, heap=SMALL_HEAP)
    old, new = large
    other = iris(2, "other")
    deploy(origin, other, romfs=True)
    deploy(origin, old, romfs=True)
    steps = steps_of_a_deploy(origin, new, tmp_path / "count", romfs=True)
    for step in range(1, steps, 7):
        board = origin.copy(tmp_path / f"at{step}")
        board.vanish_at = step
        with pytest.raises(TransportError):
            deploy(board, new, romfs=True)
        board = board.switched_on_again()
        proven(board, other)
        deploy(board, new, romfs=True)
        assert proven(board, old, new) is new
        proven(board, other)
        assert board.files() == {}


def test_no_romfs(board: FlashBoard, models: tuple[Program, Program]) -> None:
    with pytest.raises(TargetError, match="no ROMFS partition in this firmware"):
        deploy(board, models[0], romfs=True)


def test_file_is_damaged_on_its_way(board: FlashBoard, models: tuple[Program, Program]) -> None:
    old, new = models
    deploy(board, old)
    board.damage = lambda name, data: data[:-50] + bytes(50) if name.endswith("mpy") else data
    with pytest.raises(TargetError, match="another SHA-256 than on this computer"):
        deploy(board, new)
    assert proven(board, old, new) is old
    no_leftovers(board)


def test_golden_vectors_differ(board: FlashBoard, models: tuple[Program, Program]) -> None:
    old, new = models
    deploy(board, old)
    module: Module = replace(new.assemble("x64"), program=old)
    with pytest.raises(TargetError, match=r"golden vector 0 gives other bits .* the old model"):
        deploy(board, module)
    assert proven(board, old, new) is old
    no_leftovers(board)


def test_refused_when_the_file_system_is_too_small(
    board: FlashBoard, models: tuple[Program, Program]
) -> None:
    old, new = models
    deploy(board, old)
    board.put_file("filler", bytes(board.free_space() - 8000))
    with pytest.raises(TargetError, match=r"needs \d+ bytes of the board's file system"):
        deploy(board, new)
    assert proven(board, old, new) is old
    no_leftovers(board)


def test_file_system_fills_up_in_the_middle(
    board: FlashBoard, models: tuple[Program, Program]
) -> None:
    old, new = models
    deploy(board, old)
    board.put_file("filler", bytes(board.free_space() - 6000))
    board.space = 10**6
    with pytest.raises(TargetError, match=r"file system is full .* unchanged"):
        deploy(board, new)
    assert proven(board, old, new) is old
    no_leftovers(board)


def test_refused_when_the_heap_is_too_small(
    tmp_path: Path,
) -> None:
    board = FlashBoard(tmp_path / "small", heap=20_000)
    with pytest.raises(TargetError, match=r"needs about \d+ bytes of heap"):
        deploy(board, iris(400))
    assert board.files() == {}


@pytest.mark.parametrize(
    ("mpy", "said"),
    [
        (0, "imports no .mpy files"),
        (6 | 2 << 8 | 4 << 10, "install MicroPython 1.23 or newer"),
        (7 | 0 << 8 | 4 << 10, "pip install --upgrade wingbeat"),
        (6 | 3 << 8, "loads no native code"),
        (6 | 3 << 8 | 1 << 10, "runs x86, and Wingbeat has kernels for"),
    ],
)
def test_boards_that_cannot_run_models(
    board: FlashBoard, models: tuple[Program, Program], mpy: int, said: str
) -> None:
    board.answers = [("'mpy': 2822", f"'mpy': {mpy}")]
    facts = ask(board)
    problem = problem_of(facts)
    assert problem is not None
    assert said in problem
    with pytest.raises(TargetError, match=said):
        deploy(board, models[0])
    assert board.files() == {}


def test_module_of_another_arch(board: FlashBoard, models: tuple[Program, Program]) -> None:
    with pytest.raises(TargetError, match=r"the file is for armv6m, but .* runs x64"):
        deploy(board, models[0].assemble("armv6m"))
    assert board.files() == {}


@pytest.mark.parametrize("name", ["iris.py", "iris"])
def test_hidden_by_a_source_file(
    board: FlashBoard, models: tuple[Program, Program], name: str
) -> None:
    if name == "iris":
        board.exec("import os\nos.mkdir('iris')")
    else:
        board.put_file(name, b"")
    with pytest.raises(TargetError, match=f"{name} on the board would be imported instead"):
        deploy(board, models[0])


def test_native_modules_are_tried(board: FlashBoard) -> None:
    assert native_works(board, "x64")
    assert not native_works(board, "armv6m")
    assert board.files() == {}


def test_says_where_figures_come_from(board: FlashBoard) -> None:
    facts = ask(board)
    assert facts.where == "measured"
    assert replace(facts, port="socket://127.0.0.1:1").where == "emulated"


@pytest.mark.parametrize(
    ("heap", "disk", "wide"),
    [(200_000, 1_000_000, True), (70_000, 1_000_000, False), (200_000, 100_000, False)],
)
def test_wide_weights_where_the_board_has_room(
    board: FlashBoard, heap: int, disk: int, wide: bool
) -> None:
    facts = replace(ask(board), arch="armv7emsp", heap_free=heap, heap_largest=heap, disk_free=disk)
    module = module_for(convert_tflite(net("kws")), facts)
    assert ("conv_pairs" in module.kernel_sizes) is wide
    assert module.arch == "armv7emsp"
