"""The helper that builds models for the real TFLM interpreter."""

from __future__ import annotations

import numpy as np
import pytest
import tflite

import tflm
from tflm import Operation, Tensor

NONE = tflite.ActivationFunctionType.NONE


def test_operations_in_a_row() -> None:
    x = Tensor((1, 4), scales=0.5, zero_points=3, name="x")
    weights = Tensor((2, 4), scales=[0.5, 0.25], data=[[2, 0, 0, 0], [0, 0, 4, 0]])
    middle, out = (Tensor(shape, scales=0.5) for shape in ((1, 2), (2,)))
    options = {"FusedActivationFunction": NONE, "KeepNumDims": True}
    dense = Operation(
        "FULLY_CONNECTED", [x, weights, None], [middle], "FullyConnectedOptions", options
    )
    shape = Tensor((1,), "int32", data=[2])
    reshape = Operation("RESHAPE", [middle, shape], [out], "ReshapeOptions", {"NewShape": [2]})
    model = tflm.model_bytes([dense, reshape], [x], [out])
    values = np.array([[[13, 0, -7, 0]], [[3, 0, 23, 0]]], np.int8)
    answers = tflm.run_rows(model, values)
    assert [answer[0].tolist() for answer in answers] == [[10, -10], [0, 20]]
    assert tflm.run(model, values[0])[0].tolist() == [10, -10]


def test_what_tflm_refuses() -> None:
    x, y = Tensor((1, 4), scales=0.5), Tensor((1, 4), scales=0.5)
    with pytest.raises(RuntimeError):
        tflm.run(
            tflm.model_bytes([Operation("COS", [x], [y])], [x], [y]), np.zeros((1, 4), np.int8)
        )
