"""The largest dense layers, with the kernel compiled for this machine."""

from __future__ import annotations

from device.harness import OK, Kernels
from vectors.case import operands_of
from vectors.dense import large_cases


def test_large_layers_equal_the_reference(kernels: Kernels) -> None:
    todo = list(large_cases(1))
    for case in todo:
        inputs = [array.tobytes() for array in case.inputs]
        kernels.run(case.operator.KERNEL, case.params, operands_of(case.operator), *inputs)
    for case, result in zip(todo, kernels.results(), strict=True):
        assert result.status == OK, case.name
        assert result.operands[1] == case.outputs[0].tobytes(), case.name
