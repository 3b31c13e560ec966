"""The int8 softmax against the real TFLM interpreter."""

from __future__ import annotations

import numpy as np
import pytest

import tflm
from tflm import Operation, Tensor
from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.activations import Quantization
from wingbeat.reference.softmax8 import MAX_DEPTH, Softmax8, softmax

SCALES = (0.001, 0.01, 0.05, 0.091731921, 0.12829754, 0.14469251, 0.25, 1.0, 3.0, 100.0)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("beta", [1.0, 0.5, 2.3])
def test_softmax_is_tflms(scale: float, beta: float) -> None:
    rng = np.random.default_rng(7)
    for rows, depth in ((1, 1), (1, 2), (2, 4), (3, 12), (2, 256), (1, 511)):
        shape = (rows, depth)
        x = Tensor(shape, scales=scale, zero_points=int(rng.integers(-128, 128)))
        y = Tensor(shape, scales=1 / 256, zero_points=-128)
        call = Operation("SOFTMAX", [x], [y], "SoftmaxOptions", {"Beta": beta})
        values = rng.integers(-128, 128, (20, *shape)) >> rng.integers(0, 6, (20, 1, 1))
        values[0], values[1, 0, 0] = 5, 127
        values = values.astype(np.int8)
        answers = tflm.run_rows(tflm.model_bytes([call], [x], [y]), values)
        operator = softmax(rows, depth, Quantization(scale, 0), beta)
        (found,) = operator.apply(values.reshape(20, -1))
        expected = np.stack([answer[0].ravel() for answer in answers])
        assert np.array_equal(found, expected), (rows, depth)


def test_the_table_is_as_long_as_it_must_be() -> None:
    assert len(softmax(1, 4, Quantization(1e-4, 0)).table) == 256
    short = softmax(1, 4, Quantization(0.14469251, 0))
    assert len(short.table) < 100
    assert len(short.encode()) == 8 + 4 * len(short.table)


def test_more_than_511_equal_elements_which_end_tflm() -> None:
    (out,) = softmax(1, MAX_DEPTH, Quantization(0.1, 0)).apply(np.zeros((1, MAX_DEPTH), np.int8))
    assert set(out.ravel().tolist()) == {-128}


def test_what_is_refused() -> None:
    with pytest.raises(UsageError, match="too small"):
        softmax(1, 4, Quantization(1e-9, 0))
    with pytest.raises(UsageError, match="4095"):
        softmax(1, MAX_DEPTH + 1, Quantization(0.1, 0))
    operator = softmax(1, 4, Quantization(0.1, 0))
    with pytest.raises(UsageError, match="int8"):
        operator.apply(np.zeros((1, 5), np.int8))
    with pytest.raises(FormatError, match="entries"):
        Softmax8.decode(operator.encode()[:-4])
