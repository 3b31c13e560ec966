"""Golden vectors: chosen from rows, made without them, kept in the program's file."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

from streams import samples_of, stream_programs
from wingbeat import Program, convert
from wingbeat.errors import FormatError
from wingbeat.golden import MOST_BYTES, MOST_ROWS, choose, generate, vectors_of
from wingbeat.stream import Stream

X, Y = load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def iris() -> Program:
    forest = RandomForestClassifier(5, random_state=1).fit(X, Y)
    return convert(forest, name="iris", rows=X)


def test_kept_in_the_file(tmp_path: Path, iris: Program) -> None:
    iris.save(tmp_path / "a.wbp")
    iris.save(tmp_path / "b.wbp")
    assert (tmp_path / "a.wbp").read_bytes() == (tmp_path / "b.wbp").read_bytes()
    loaded = Program.load(tmp_path / "a.wbp")
    assert iris.golden is not None
    golden = vectors_of(loaded)
    assert golden.real
    assert golden.inputs.tobytes() == iris.golden.inputs.tobytes()
    assert golden.outputs.tobytes() == iris.run(golden.inputs).tobytes()


def test_of_all_classes(iris: Program) -> None:
    golden = iris.golden
    assert golden is not None
    assert len(golden.inputs) == MOST_ROWS
    assert set(iris.predict(golden.inputs).tolist()) == {0, 1, 2}
    assert choose(iris, X[:0].astype("<f4")) is None
    few = choose(iris, X[:3].astype("<f4"))
    assert few is not None
    assert len(few.inputs) == 3


def test_rows_that_are_no_inputs_are_left_out() -> None:
    forest = RandomForestClassifier(3, random_state=1).fit(X, Y)
    assert convert(forest, name="iris", dtype="uint8", rows=X).golden is None
    assert convert(forest, name="iris").golden is None


@pytest.mark.parametrize("dtype", ["float32", "int16", "int8", "uint8"])
def test_generated(dtype: str) -> None:
    x = np.round(X * 10)
    program = convert(RandomForestClassifier(3, random_state=1).fit(x, Y), name="m", dtype=dtype)
    golden, again = vectors_of(program), generate(program)
    assert not golden.real
    assert golden.inputs.tobytes() == again.inputs.tobytes()
    assert golden.inputs.dtype == program.input.dtype
    assert golden.inputs.nbytes <= MOST_BYTES
    if dtype != "float32":
        limits = np.iinfo(dtype)
        assert (golden.inputs.min(), golden.inputs.max()) == (limits.min, limits.max)


def test_of_another_program(iris: Program) -> None:
    golden = iris.golden
    assert golden is not None
    wrong = replace(golden, outputs=golden.outputs + 1)
    with pytest.raises(FormatError, match="does not repeat its golden vectors"):
        vectors_of(replace(iris, golden=wrong))
    with pytest.raises(FormatError, match="do not fit the program"):
        vectors_of(replace(iris, golden=replace(golden, inputs=golden.inputs[:, :2])))


@pytest.mark.parametrize("name", list(stream_programs()))
def test_of_a_stream(name: str) -> None:
    """Rows that follow each other, until there are three results."""
    program = stream_programs()[name]
    golden = generate(program)
    assert len(Stream(program).run(golden.inputs).ends) == 3
    x = samples_of(program, 900).reshape(-1)
    size = program.input.n_elements
    rows = x[: len(x) // size * size].reshape(-1, *program.input.shape)
    chosen = choose(program, rows)
    assert chosen is not None
    assert len(chosen.inputs) == len(golden.inputs)
    np.testing.assert_array_equal(chosen.inputs, rows[: len(chosen.inputs)])
    np.testing.assert_array_equal(chosen.outputs, program.run(rows)[: len(chosen.inputs)])
    assert vectors_of(replace(program, golden=chosen)) is chosen


def test_damaged(tmp_path: Path, iris: Program) -> None:
    iris.save(tmp_path / "a.wbp")
    with (
        zipfile.ZipFile(tmp_path / "a.wbp") as source,
        zipfile.ZipFile(tmp_path / "b.wbp", "w") as copy,
    ):
        for name in source.namelist():
            copy.writestr(name, b"PK" if name == "golden.npz" else source.read(name))
    with pytest.raises(FormatError, match="golden vectors are damaged"):
        Program.load(tmp_path / "b.wbp")
