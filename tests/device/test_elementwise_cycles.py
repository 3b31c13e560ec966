"""Element-wise and moving operators on a bare emulated Cortex-M0+: right bits, within budget."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from rp2040.bare import ARCH, BareCore

from vectors.elementwise import MODULES
from wingbeat.blobs import blobs_of
from wingbeat.reference import DTYPES, Operator
from wingbeat.reference.activations import Quantization, relu_table
from wingbeat.reference.argmax import argmax
from wingbeat.reference.arithmetic import Side, add, mul
from wingbeat.reference.concat import concat
from wingbeat.reference.dequantize import dequantize
from wingbeat.reference.gather import resize_nearest, split, transpose
from wingbeat.reference.lookup import Lookup
from wingbeat.reference.pad import pad
from wingbeat.reference.quantize import quantize
from wingbeat.reference.rescale import rescale
from wingbeat.reference.softmax8 import softmax

_N = 1000
_X, _Y = Quantization(0.1, 3), Quantization(0.07, -5)
_SIDES = Side((_N,), _X), Side((_N,), _Y)
_MAP = (25, 5, 64)
_LARGEST = 3000  # elements of a case that is tried here

#: Operator, and cycles that an element of its output may take, the call included.
BUDGETS: dict[str, tuple[Operator, float]] = {
    "lookup": (Lookup(relu_table(_X, _Y), _N), 6.8),
    "sum": (add(*_SIDES, Quantization(0.13, 4)), 21),
    "product": (mul(*_SIDES, Quantization(0.6, 4)), 26),
    "softmax of 12 classes": (softmax(1, 12, Quantization(0.14469251, 14)), 200),
    "quantize": (quantize(_N, _X), 80),
    "dequantize": (dequantize(_N, _X), 70),
    "rescale": (rescale(_N, 0.001, 3, _X), 60),
    "argmax of 10 classes": (argmax((10,), 0), 300),
    "pad": (pad(_MAP, ((1, 1), (1, 1), (0, 0)), 0), 4.3),
    "concat": (concat([(125, 32), (125, 32)], 1), 4.8),
    "transpose in runs of 64": (transpose(_MAP, (1, 0, 2)), 3.4),
    "transpose of bytes": (transpose((100, 64), (1, 0)), 15.5),
    "split": (split(_MAP, 2, [32, 32])[0], 4.6),
    "doubled map": (resize_nearest((8, 8, 16), (16, 16)), 9.7),
}

#: Bytes of code.
SIZES = {
    "add": 848,
    "argmax": 252,
    "concat": 428,
    "dequantize": 212,
    "gather": 688,
    "lookup": 244,
    "mul": 796,
    "pad": 428,
    "quantize": 332,
    "rescale": 260,
    "softmax8": 556,
}


@pytest.fixture(scope="module")
def core() -> Iterator[BareCore]:
    with BareCore() as running:
        yield running


def _inputs(operator: Operator) -> list[NDArray[np.generic]]:
    rng = np.random.default_rng(1)
    made: list[NDArray[np.generic]] = []
    for code, count in operator.inputs:
        if code == "f":
            made.append((rng.normal(size=(2, count)) * 6).astype(np.float32))
        else:
            limits = np.iinfo(DTYPES[code])
            x = rng.integers(limits.min, limits.max, (2, count), endpoint=True)
            made.append(x.astype(DTYPES[code]))
    return made


@pytest.mark.parametrize("name", BUDGETS)
def test_cycles(core: BareCore, name: str) -> None:
    operator, budget = BUDGETS[name]
    result = core.run(operator, *_inputs(operator))
    assert result.cycles.max() <= budget * operator.outputs[0][1]


@pytest.mark.parametrize("kernel", SIZES)
def test_bytes_of_code(kernel: str) -> None:
    assert len(blobs_of(ARCH).kernel(kernel).code) <= SIZES[kernel]


@pytest.mark.parametrize("module", MODULES, ids=[each.__name__ for each in MODULES])
def test_vectors(core: BareCore, module: ModuleType) -> None:
    """The vectors, with inputs that are aligned to their items only."""
    for case in module.cases(4):
        if sum(len(each) for each in (*case.inputs, *case.outputs)) > _LARGEST:
            continue
        rows = [x[np.newaxis] for x in case.inputs]
        item = DTYPES[case.operator.inputs[0][0]].itemsize
        result = core.run(case.operator, *rows, offset=item)
        for wanted, found in zip(case.outputs, result.outputs, strict=True):
            assert found.tobytes() == wanted.tobytes(), case.name
