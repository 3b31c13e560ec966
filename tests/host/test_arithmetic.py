"""Sums, differences and products against the real TFLM interpreter, for all pairs of inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import tflite
from numpy.typing import NDArray

import tflm
from tflm import Operation, Tensor
from wingbeat.errors import FormatError, UsageError
from wingbeat.reference.activations import Quantization
from wingbeat.reference.arithmetic import ALWAYS, Add, Arithmetic, Mul, Side, add, mul
from wingbeat.reference.lookup import Lookup

_OPERATORS = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}
_ACTIVATIONS = {
    "none": tflite.ActivationFunctionType.NONE,
    "relu": tflite.ActivationFunctionType.RELU,
    "relu6": tflite.ActivationFunctionType.RELU6,
    "relu_n1_to_1": tflite.ActivationFunctionType.RELU_N1_TO_1,
}
_BYTES = np.arange(-128, 128, dtype=np.int8)
X, Y = (each.reshape(1, 256, 256) for each in np.meshgrid(_BYTES, _BYTES, indexing="ij"))
each_operator = pytest.mark.parametrize("operator", _OPERATORS)


def made(
    operator: str, x: Side, y: Side, output: Quantization, activation: str = "none"
) -> Add | Mul | Lookup:
    if operator == "MUL":
        return mul(x, y, output, activation)
    return add(x, y, output, activation, subtract=operator == "SUB")


def of_tflm(
    operator: str,
    sides: Sequence[Side],
    output: Quantization,
    activation: str,
    *inputs: NDArray[np.int8],
) -> NDArray[np.int8]:
    tensors = [
        Tensor(
            side.shape,
            scales=side.quantization.scale,
            zero_points=side.quantization.zero_point,
            data=None if side.constant is None else side.constant.reshape(side.shape),
        )
        for side in sides
    ]
    shape = np.broadcast_shapes(*(tuple(side.shape) for side in sides))
    out = Tensor(shape, scales=output.scale, zero_points=output.zero_point)
    call = Operation(
        operator,
        tensors,
        [out],
        _OPERATORS[operator],
        {"FusedActivationFunction": _ACTIVATIONS[activation]},
    )
    free = [each for each in tensors if each.data is None]
    return np.asarray(tflm.run(tflm.model_bytes([call], free, [out]), *inputs)[0])


def quantizations(rng: np.random.Generator, number: int) -> list[Quantization]:
    """Two inputs and an output: of all sizes, with ties, and of equal scales."""
    scales = np.exp2(rng.uniform(-8, 1, 3))
    if number % 5 == 0:
        scales = 0.05 * rng.integers(1, 20, 3)
    elif number % 5 == 1:
        scales[1], scales[2] = scales[0], 2 * scales[0]
    elif number % 5 == 2:
        scales[2] = scales[0] + scales[1]
    return [Quantization(float(scale), int(rng.integers(-128, 128))) for scale in scales]


@each_operator
def test_all_pairs_are_tflms(operator: str) -> None:
    rng = np.random.default_rng(1)
    for number in range(25):
        x, y, output = quantizations(rng, number)
        if operator == "MUL":
            factor = 127 * np.exp2(rng.uniform(-1, 2))
            output = Quantization(float(x.scale * y.scale * factor), output.zero_point)
        activation = list(_ACTIVATIONS)[number % 4]
        sides = Side(X.shape, x), Side(X.shape, y)
        expected = of_tflm(operator, sides, output, activation, X, Y)
        found = made(operator, *sides, output, activation)
        (out,) = found.apply(X.reshape(1, -1), Y.reshape(1, -1))
        assert np.array_equal(out.reshape(X.shape), expected), (sides, output, activation)


@each_operator
@pytest.mark.parametrize(
    "shapes",
    [
        ((1, 3, 4, 6), (1, 3, 4, 6)),
        ((1, 3, 4, 6), (6,)),
        ((1, 3, 4, 6), (1, 1, 1, 1)),
        ((1, 3, 4, 6), (1, 3, 4, 1)),
        ((1, 3, 4, 6), (1, 3, 1, 6)),
    ],
)
def test_broadcasting_is_tflms(operator: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    rng = np.random.default_rng(2)
    x, y, output = Quantization(0.1, 3), Quantization(0.06, -7), Quantization(0.12, 9)
    values = [rng.integers(-128, 128, shape).astype(np.int8) for shape in shapes]
    for order in (1, -1):
        for constant in (None, 0, 1):
            sides = [
                Side(shape, quantization, data if number == constant else None)
                for number, (shape, quantization, data) in enumerate(
                    zip(shapes, (x, y), values, strict=True)
                )
            ][::order]
            if constant == 0 and shapes[0] != shapes[1]:
                continue
            free = [v for n, v in enumerate(values) if n != constant][::order]
            expected = of_tflm(operator, sides, output, "none", *free)
            found = made(operator, sides[0], sides[1], output)
            (out,) = found.apply(*(each.reshape(1, -1) for each in free))
            assert np.array_equal(out.ravel(), expected.ravel()), (order, constant)
            assert isinstance(found, Lookup) == (constant == 1 and values[1].size == 1)
            if isinstance(found, Arithmetic):
                again = type(found).decode(found.encode())
                assert np.array_equal(again.apply(*(f.reshape(1, -1) for f in free))[0], out)


def test_the_short_formula_is_nearly_always_enough() -> None:
    """Of scales as nets have them; where the output's scale is far too small, it is not."""
    rng = np.random.default_rng(3)
    for _ in range(10):
        scales = np.exp2(rng.uniform(-4, -3, 2)).tolist()
        x, y = (Side((4,), Quantization(scale, 0)) for scale in scales)
        total = add(x, y, Quantization(sum(scales), 5))
        product = mul(x, y, Quantization(127 * scales[0] * scales[1], -5))
        assert isinstance(total, Add)
        assert isinstance(product, Mul)
        assert total.doubt < ALWAYS / 1000
        assert product.doubt < ALWAYS / 20
    narrow = add(x, y, Quantization(1e-4, 0))
    assert isinstance(narrow, Add)
    assert narrow.doubt == ALWAYS


def test_what_is_refused() -> None:
    q = Quantization(0.1, 0)
    for shapes, why in {
        ((2, 3), (3, 2)): "do not fit",
        ((2, 1), (1, 3)): "every dimension",
        ((3, 4, 6), (1, 4, 1)): "too many dimensions",
    }.items():
        with pytest.raises(UsageError, match=why):
            add(Side(shapes[0], q), Side(shapes[1], q), q)
    constant = Side((2,), q, np.zeros(2, np.int8))
    with pytest.raises(UsageError, match="constant"):
        mul(constant, constant, q)
    operator = add(Side((2,), q), Side((2,), q), q)
    with pytest.raises(UsageError, match="int8"):
        operator.apply(np.zeros((1, 2), np.int8), np.zeros((1, 3), np.int8))
    with pytest.raises(FormatError, match="bytes"):
        Add.decode(operator.encode()[:-1])


def test_more_elements_than_a_row_can_have() -> None:
    q = Quantization(0.1, 0)
    operator = add(Side((1, 320, 240), q), Side((1, 320, 240), q), q)
    assert isinstance(operator, Add)
    assert operator.outputs == (("b", 76800),)
    assert max(operator.counts) <= 65535
