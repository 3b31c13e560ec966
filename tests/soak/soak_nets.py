"""Random nets by the ten thousand, and some on every target. Run by `make soak`."""

from __future__ import annotations

import pytest

from device.harness import GCC, SOURCES, Core, compile_objects, link
from nets.compare import compare, compare_in_kernels
from nets.generate import KINDS
from wingbeat.runner import run_module
from wingbeat.targets import TARGETS, open_target

ROUNDS = 20
NETS_OF_A_KIND = 40
FIRST = 1000 * len(KINDS)
"""Of the seeds, which `make test` does not use."""

ON_TARGETS = range(FIRST, FIRST + 3 * len(KINDS))


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Core:
    folder = tmp_path_factory.mktemp("objects")
    objects = compile_objects(GCC, folder)
    return Core(link(GCC, objects, [SOURCES / "core_main.c"], folder / "core"))


@pytest.mark.parametrize("number", range(ROUNDS))
def test_random_nets(core: Core, number: int) -> None:
    count = NETS_OF_A_KIND * len(KINDS)
    start = FIRST + number * count
    assert len(compare_in_kernels(core, range(start, start + count))) == count


@pytest.mark.parametrize("target", TARGETS)
def test_random_nets_on_targets(target: str) -> None:
    with open_target(target) as machine:
        for seed in ON_TARGETS:
            net = compare(seed)
            found = run_module(machine, net.program.assemble(machine.arch), net.rows)
            assert found.outputs.tobytes() == net.expected.tobytes(), net
