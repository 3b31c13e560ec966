"""Core and kernels, compiled once for all tests here."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.harness import GCC, SOURCES, Core, Kernels, compile_objects, link


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return compile_objects(GCC, tmp_path_factory.mktemp("objects"))


@pytest.fixture(scope="session")
def kernel_program(objects: list[Path]) -> Path:
    return link(GCC, objects, [SOURCES / "kernel_main.c"], objects[0].parent / "kernels")


@pytest.fixture(scope="session")
def core_program(objects: list[Path]) -> Path:
    return link(GCC, objects, [SOURCES / "core_main.c"], objects[0].parent / "core")


@pytest.fixture
def kernels(kernel_program: Path) -> Kernels:
    return Kernels(kernel_program)


@pytest.fixture
def core(core_program: Path) -> Core:
    return Core(core_program)
