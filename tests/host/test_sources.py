"""Files that programs and models are read from: the good, the bad and the dangerous."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator
from sklearn.datasets import load_wine
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

from wingbeat.convert import convert, read_model
from wingbeat.errors import (
    FormatError,
    ModelError,
    UnsupportedModelError,
    UsageError,
    WingbeatError,
)
from wingbeat.forest.model import Forest
from wingbeat.program import Program
from wingbeat.sources import load_source

X, Y = load_wine(return_X_y=True)
X = X.astype(np.float32)
FEW: dict[str, Any] = {"n_estimators": 3, "random_state": 1}
ESTIMATORS: list[Any] = [
    DecisionTreeClassifier(random_state=1),
    DecisionTreeRegressor(random_state=1),
    ExtraTreeClassifier(random_state=1),
    ExtraTreeRegressor(random_state=1),
    RandomForestClassifier(**FEW),
    RandomForestClassifier(n_estimators=3, random_state=np.random.RandomState(1)),
    RandomForestRegressor(**FEW),
    ExtraTreesClassifier(**FEW),
    ExtraTreesRegressor(**FEW),
    GradientBoostingClassifier(**FEW),
    GradientBoostingRegressor(**FEW, loss="huber"),
    HistGradientBoostingClassifier(max_iter=3, random_state=1),
    HistGradientBoostingRegressor(max_iter=3, random_state=1, loss="absolute_error"),
]

EMLEARN = """f,2
c,2
lb,0
l,0
l,1
r,0
n,1,7,-1,-2
"""


class OwnForest(RandomForestClassifier):  # type: ignore[misc]
    """A class that is not scikit-learn's."""


class Touch:
    """Runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def fitted(model: Any) -> Any:
    return model.fit(X, Y.astype(float) if "Regressor" in type(model).__name__ else Y)


@pytest.fixture(scope="module")
def forest() -> Any:
    return fitted(RandomForestClassifier(n_estimators=3, max_depth=4, random_state=1))


def same_answers(model: Any, source: Any) -> bool:
    assert isinstance(source, Forest)
    return bool(np.array_equal(source.predict(X), read_model(model).predict(X)))


@pytest.mark.parametrize("model", ESTIMATORS, ids=lambda model: type(model).__name__)
def test_skops_of_every_estimator(model: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    skops.io.dump(fitted(model), path)
    assert same_answers(model, load_source(path))


@pytest.mark.parametrize(
    ("name", "load"),
    [
        ("m.pkl", lambda model, path: path.write_bytes(pickle.dumps(model))),
        ("m.pickle", lambda model, path: path.write_bytes(pickle.dumps(model, protocol=0))),
        ("m.joblib", joblib.dump),
        ("packed.joblib", lambda model, path: joblib.dump(model, path, compress=3)),
        ("no_ending", lambda model, path: path.write_bytes(pickle.dumps(model))),
    ],
)
def test_pickle_is_loaded_only_when_trusted(
    forest: Any, tmp_path: Path, name: str, load: Any
) -> None:
    path = tmp_path / name
    load(forest, path)
    with pytest.raises(UsageError, match=r"runs any code.*--trust-pickle.*skops\.io\.dump"):
        load_source(path)
    assert same_answers(forest, load_source(path, trust_pickle=True))


def test_refused_pickle_runs_nothing(tmp_path: Path) -> None:
    path, trace = tmp_path / "evil.skops", tmp_path / "trace"
    path.write_bytes(pickle.dumps(Touch(trace)))
    with pytest.raises(UsageError):
        load_source(path)
    assert not trace.exists()


def test_program_emlearn_and_skops_are_told_by_content(forest: Any, tmp_path: Path) -> None:
    program = convert(forest, name="wine")
    wrong_names = [tmp_path / name for name in ("a.skops", "b.wbp", "c.txt")]
    program.save(wrong_names[0])
    skops.io.dump(forest, wrong_names[1])
    wrong_names[2].write_text(EMLEARN)
    loaded = load_source(wrong_names[0])
    assert isinstance(loaded, Program)
    assert loaded.hash == program.hash
    assert same_answers(forest, load_source(wrong_names[1]))
    emlearn = load_source(wrong_names[2])
    assert isinstance(emlearn, Forest)
    assert emlearn.predict(np.array([[0, 6], [0, 7]])).tolist() == [0, 1]


def test_skops_with_an_own_class_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.skops"
    skops.io.dump(OwnForest(n_estimators=1).fit(X, Y), path)
    with pytest.raises(ModelError, match=r"OwnForest.*Save the plain estimator"):
        load_source(path)


@pytest.mark.parametrize("what", ["left", "feature"])
def test_skops_whose_tree_points_outside_is_refused(forest: Any, tmp_path: Path, what: str) -> None:
    path = tmp_path / "bent.skops"
    path.write_bytes(_bent(skops.io.dumps(forest), what))
    with pytest.raises(FormatError, match="refers to a node or a feature"):
        load_source(path)


def _bent(data: bytes, what: str) -> bytes:
    """The same file with one reference in the nodes of each tree far too large."""
    out = io.BytesIO()
    field = {"left": "left_child", "feature": "feature"}[what]
    bent = 0
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(out, "w") as target:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith(".npy"):
                array = np.load(io.BytesIO(content))
                if array.dtype.names and field in array.dtype.names:
                    array[field][0] = 1_000_000
                    buffer = io.BytesIO()
                    np.save(buffer, array)
                    content = buffer.getvalue()
                    bent += 1
            target.writestr(name, content)
    assert bent == 3
    return out.getvalue()


def test_skops_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "numbers.skops"
    skops.io.dump({"a": [1, 2]}, path)
    with pytest.raises(UnsupportedModelError, match=r"numbers\.skops.*cannot be converted"):
        load_source(path)
    skops.io.dump(RandomForestClassifier(), path)
    with pytest.raises(ModelError, match=r"numbers\.skops.*not fitted"):
        load_source(path)


@pytest.mark.parametrize(("saved", "fits"), [("0.24.2", False), ("1.2.2", False), ("same", True)])
def test_other_version_of_sklearn(
    forest: Any, tmp_path: Path, saved: str, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sklearn
    import sklearn.base

    path = tmp_path / "old.joblib"
    here = sklearn.__version__
    version = f"{'.'.join(here.split('.')[:2])}.99" if saved == "same" else saved
    with monkeypatch.context() as patch:
        patch.setattr(sklearn.base, "__version__", version)
        path.write_bytes(pickle.dumps(forest))
    if fits:
        assert same_answers(forest, load_source(path, trust_pickle=True))
        return
    with pytest.raises(ModelError, match=rf"saved by scikit-learn {version}, here is {here}"):
        load_source(path, trust_pickle=True)


def test_pickle_that_needs_an_absent_module(tmp_path: Path) -> None:
    path = tmp_path / "needs.pkl"
    path.write_bytes(b"cno_such_module_here\nModel\n.")
    with pytest.raises(ModelError, match="needs the module no_such_module_here"):
        load_source(path, trust_pickle=True)


def test_estimator_without_its_parts(forest: Any, tmp_path: Path) -> None:
    path = tmp_path / "bare.pkl"
    bare = pickle.loads(pickle.dumps(forest))
    del bare.n_features_in_
    path.write_bytes(pickle.dumps(bare))
    with pytest.raises(ModelError, match=r"bare\.pkl: this RandomForestClassifier lacks"):
        load_source(path, trust_pickle=True)


def _zip(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("_", "."), text)
    return buffer.getvalue()


def _npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("empty.wbp", b"", "is empty: expected a Wingbeat program"),
        ("noise.wbp", b"\x07\xf0noise", r"does not start as a \.wbp file"),
        ("noise.skops", b"\x07\xf0noise", r"does not start as a \.skops file"),
        ("noise.bin", b"\x07\xf0noise", "not a model that Wingbeat knows"),
        ("model.mpy", b"M\x06\x13\x1f", "an assembled module already"),
        ("arrays.npz", _npz(), "holds arrays, not a model"),
        ("other.zip", _zip(hello_txt="hello"), "not a model that Wingbeat knows"),
        ("other.wbp", _zip(hello_txt="hello"), "not a Wingbeat program"),
        ("bad.skops", _zip(schema_json="{"), r"bad\.skops cannot be loaded.*scikit-learn \d"),
        ("bad.skops", _zip(schema_json=json.dumps({"protocol": 99})), "cannot be loaded"),
        ("bad.wbp", _zip(program_bin="x", meta_json="{}"), "bad.wbp"),
        ("bad.pkl", b"\x80\x04\x95no", "cannot be loaded"),
        ("bad.joblib", gzip.compress(b"no pickle", mtime=0), "cannot be loaded"),
        ("table.csv", b"a,b,label\n1,2,x\n", "wingbeat train"),
        ("short.csv", EMLEARN[:20].encode(), r"short\.csv: .*cut short"),
        ("latin.csv", b"f,2\n\xff\xfe", "is not text"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(FormatError, match=message):
        load_source(path, trust_pickle=True)


def test_no_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_source(tmp_path / "none.wbp")
    with pytest.raises(UsageError, match="is a folder"):
        load_source(tmp_path)


@pytest.mark.parametrize("kind", ["wbp", "skops", "csv"])
def test_damage_is_refused_or_harmless(forest: Any, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"model.{kind}"
    if kind == "wbp":
        convert(forest, name="wine").save(path)
    elif kind == "skops":
        skops.io.dump(forest, path)
    else:
        path.write_text(EMLEARN)
    whole, draw = path.read_bytes(), random.Random(1)
    messages = []
    for number in range(200):
        damaged = bytearray(whole[: draw.randrange(len(whole))] if number % 2 else whole)
        if damaged:
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        path.write_bytes(damaged)
        try:
            load_source(path)
        except WingbeatError as error:
            messages.append(str(error))
    assert messages
    assert all(path.name in message for message in messages)


def test_estimators_are_all_that_are_supported() -> None:
    from wingbeat.forest.sklearn import READERS

    assert all(isinstance(model, BaseEstimator) for model in ESTIMATORS)
    kinds = {
        type(m).__name__.removesuffix("Classifier").removesuffix("Regressor") for m in ESTIMATORS
    }
    assert kinds == set(READERS)
