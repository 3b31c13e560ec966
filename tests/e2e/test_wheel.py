"""`make wheel`: in a clean environment it does what the tree does, with the same bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fetch import cache_folder
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from wingbeat import Program, convert
from wingbeat.blobs import archs

ROOT = Path(__file__).parents[2]
BLOBS = ROOT / "host" / "wingbeat" / "_blobs"
FOLDERS = ("device", "host", "ports")
FILES = ("LICENSE", "Makefile", "README.md", "docs/licences.md", "pyproject.toml")


def run(*command: str | Path, folder: Path, variables: Mapping[str, str] = os.environ) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def copy_of_tree(folder: Path, *, blobs: bool) -> Path:
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", *([] if blobs else ["_blobs"]))
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    (folder / "docs").mkdir()
    for name in FILES:
        shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = copy_of_tree(tmp_path_factory.mktemp("tree"), blobs=True)
    # As the last version left it: nothing of it may get into the wheel.
    stale = tree / "build" / "lib" / "wingbeat" / "_blobs" / "z80" / "core.mpy"
    stale.parent.mkdir(parents=True)
    stale.touch()
    # Set up and built: `make test` has done that.
    run("make", "-o", "build", "wheel", f"VENV={sys.prefix}", folder=tree)
    (made,) = (tree / "dist").iterdir()
    return made


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    x, y = load_iris(return_X_y=True)
    tree = DecisionTreeClassifier(max_depth=3, random_state=1).fit(x, y)
    made = convert(tree, name="iris", dtype="float32", rows=x.astype(np.float32))
    path = tmp_path_factory.mktemp("program") / "iris.wbp"
    made.save(path)
    return path


def test_content(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    there = {name for name in packed if name.startswith("wingbeat/_blobs/")}
    built = [BLOBS / "index.json", *(path for arch in archs() for path in (BLOBS / arch).iterdir())]
    assert there == {f"wingbeat/_blobs/{path.relative_to(BLOBS).as_posix()}" for path in built}
    assert {"wingbeat/boards.toml", "wingbeat/costs.toml", "wingbeat/py.typed"} <= packed
    licences = {name.partition("/licenses/")[2] for name in packed if "/licenses/" in name}
    assert licences == {"LICENSE", "docs/licences.md"}
    sources = {path.relative_to(ROOT / "host").as_posix() for path in (ROOT / "host").rglob("*.py")}
    assert sources == {name for name in packed if name.endswith(".py")}


def test_installed_wheel_converts_as_the_tree_does(
    wheel: Path, program: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    run(sys.executable, "-m", "venv", home, folder=tmp_path)
    # No compiler, and nothing of this tree or of the environment of the tests.
    kept = ("PIP_", "SSL_", "HTTP", "http", "REQUESTS_", "NO_PROXY", "no_proxy", "HOME", "XDG_")
    clean = {name: value for name, value in os.environ.items() if name.startswith(kept)}
    clean["PATH"] = str(home / "bin")
    here = partial(run, folder=tmp_path, variables=clean)
    pinned = ("--only-binary", ":all:", "-c", ROOT / "requirements-dev.txt")
    here("pip", "install", "--quiet", "--disable-pip-version-check", *pinned, wheel)
    assert here("python", "-c", "print(__import__('wingbeat').__file__)").startswith(str(home))
    loaded = Program.load(program)
    for arch in archs():
        made = tmp_path / f"{arch}.mpy"
        here("wingbeat", "convert", program, "-o", made, "--arch", arch, "--name", "iris")
        assert made.read_bytes() == loaded.assemble(arch).data, arch


def test_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    # The tree's build was another one: in another folder, with another cache, at another time.
    tree = copy_of_tree(tmp_path / "some" / "other place", blobs=False)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "downloads").symlink_to(cache_folder() / "downloads")
    variables = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "WINGBEAT_CACHE": str(cache),
        "PYTHONPATH": str(tree / "host"),
        "PYTHONHASHSEED": "7",
        "TZ": "Asia/Kolkata",
        "LC_ALL": "C",
    }
    run(sys.executable, tree / "ports" / "build.py", folder=tmp_path, variables=variables)
    other = tree / "host" / "wingbeat" / "_blobs"
    paths = sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
    assert paths == sorted(path.relative_to(BLOBS) for path in BLOBS.rglob("*") if path.is_file())
    for path in paths:
        if path.suffix != ".stamp":
            assert (other / path).read_bytes() == (BLOBS / path).read_bytes(), path
