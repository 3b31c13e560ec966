"""device/lib: what `mpremote mip install` takes, and the types by which editors know `Model`."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from mypy import api

from power_cuts import iris, switched_on
from wingbeat.pipeline import load_pipeline
from wingbeat.program import Program
from wingbeat.stubs import stub_of
from wingbeat.targets import open_target
from wingbeat.targets.rp2040 import new_flash
from wingbeat.transport import open_transport
from wingbeat.version import __version__

LIBRARY = Path(__file__).parents[2] / "device" / "lib"
PACKAGE = LIBRARY / "package.json"
ANY_MODEL = LIBRARY / "wingbeat_model.pyi"

RIGHT = """\
from array import array
import iris
model = iris.Model()
label: str = model.labels[model.predict(array("B", [51, 35, 14, 2]))]
out = array("H", [0, 0, 0])
model.run(b"\\x33\\x23\\x0e\\x02", out)
share: float = out[0] * model.scale
also = iris.Model(bytearray(model.info["arena"]))
"""
WRONG = """\
import iris
iris.Model().predict([51, 35, 14, 2])
iris.Model().run(b"\\x33\\x23\\x0e\\x02", b"\\x00" * 6)
iris.Model(arena=bytearray(64))
iris.Model().classify
"""


def test_package_has_every_file() -> None:
    package = json.loads(PACKAGE.read_text())
    assert package["version"] == __version__
    targets, sources = zip(*package["urls"], strict=True)
    assert sorted(sources) == sorted(path.name for path in LIBRARY.iterdir() if path != PACKAGE)
    assert targets == sources


def test_mip(tmp_path: Path) -> None:
    flash = tmp_path / "flash.bin"
    new_flash(flash)
    with switched_on(flash) as pico:
        done = subprocess.run(
            [sys.executable, "-m", "mpremote", "connect", pico.url, "mip", "install", str(PACKAGE)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Installing: /lib/wingbeat_model.pyi" in done.stdout
        with open_transport(pico.url) as transport:
            names = ast.literal_eval(transport.exec("import os\nprint(os.listdir('/lib'))"))
            assert sorted(names) == sorted(
                path.name for path in LIBRARY.iterdir() if path != PACKAGE
            )
            for name in names:
                assert transport.get_file(f"/lib/{name}") == (LIBRARY / name).read_bytes()


@pytest.mark.parametrize("source", ["deploy --stub", "any model"])
def test_editors_know_model(tmp_path: Path, source: str) -> None:
    text = ANY_MODEL.read_text() if source == "any model" else stub_of(iris(3))
    (tmp_path / "iris.pyi").write_text(text)
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)
    options = ["--strict", "--cache-dir", str(tmp_path / "cache"), "--config-file", ""]
    found, said, code = api.run([*options, str(tmp_path / "right.py")])
    assert (said, code) == ("", 0), found
    found, _, code = api.run([*options, str(tmp_path / "wrong.py")])
    assert code == 1
    lines = [int(line.split(":")[1]) for line in found.splitlines() if ": error: " in line]
    assert sorted(set(lines)) == [2, 3, 4, 5]


def names_in(stub: str) -> list[str]:
    (model,) = [node for node in ast.parse(stub).body if isinstance(node, ast.ClassDef)]
    fields = [node.target for node in model.body if isinstance(node, ast.AnnAssign)]
    names = {field.id for field in fields if isinstance(field, ast.Name)}
    names |= {node.name for node in model.body if isinstance(node, ast.FunctionDef)}
    return sorted(names - {"__init__"})


def names_on_board(program: Program) -> list[str]:
    with open_target("unix") as target:
        printed = target.execute(
            f"from {program.name} import Model\n"
            "print(sorted(n for n in dir(Model) if not n.startswith('__')))",
            {f"{program.name}.mpy": program.assemble(target.arch).data},
        ).stdout
    found: list[str] = ast.literal_eval(printed)
    return found


def test_stubs_have_what_a_board_has() -> None:
    """That of any model has what streams have, too."""
    stream, _ = load_pipeline("motion").features(3)
    for program in (iris(3), stream):
        assert names_in(stub_of(program)) == names_on_board(program)
    assert names_in(ANY_MODEL.read_text()) == names_on_board(stream)
