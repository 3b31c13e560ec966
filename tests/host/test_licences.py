"""docs/licences.md names everything that the build takes in."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from build import ROOT
from fetch import fetch, read_pin, read_pins

from wingbeat.targets.firmware import PORTS, debian_packages

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
NAMES = set(re.findall(r"`([\w.-]+)`", PAGE))


def pins() -> list[str]:
    files = [PORTS / "micropython.toml", *PORTS.glob("*/sources.toml")]
    return [pin.package for path in sorted(files) for pin in read_pins(path)]


def python_packages() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    wanted = [package for group in groups for package in group]
    lines = (ROOT / "requirements-dev.txt").read_text().splitlines()
    wanted += [line for line in lines if line and not line.startswith("#")]
    return [re.split(r"[^\w.-]", name)[0] for name in wanted]


def npm_packages() -> list[str]:
    lock = json.loads((PORTS / "rp2040" / "package-lock.json").read_text())
    return [Path(name).name for name in lock["packages"] if name]


def debian() -> list[str]:
    return list(debian_packages().values())


@pytest.mark.parametrize("kind", [pins, debian, python_packages, npm_packages])
def test_everything_is_listed(kind: Callable[[], list[str]]) -> None:
    wanted = set(kind())
    assert wanted
    assert wanted <= NAMES, f"add to docs/licences.md: {', '.join(sorted(wanted - NAMES))}"


def test_the_notice_is_that_of_the_source() -> None:
    notice = (fetch(read_pin()) / "LICENSE").read_text(encoding="utf-8")
    terms = notice[: notice.index("THE SOFTWARE.\n") + len("THE SOFTWARE.\n")]
    assert terms in PAGE
