"""Small forms of layers: the same outputs for every sum, or no such form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vectors.conv import make_conv
from vectors.depthwise import random_layer, wide
from wingbeat.reference.conv import Conv2D
from wingbeat.reference.dense import dense
from wingbeat.reference.depthwise import Depthwise
from wingbeat.reference.small_conv import SmallConv, small_conv_of
from wingbeat.reference.small_scale import make_small_scale

RANGE = np.array([-128, 127])


def all_sums(layer: Conv2D | Depthwise) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest sum of each channel."""
    weights = layer.weights.astype(np.int64)
    axes = 1 if isinstance(layer, Conv2D) else (0, 1)
    ends = weights[..., np.newaxis] * RANGE
    return ends.min(axis=-1).sum(axis=axes), ends.max(axis=-1).sum(axis=axes)


@pytest.mark.parametrize("seed", range(8))
def test_small_scales_agree_on_every_sum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers: list[Conv2D | Depthwise] = [
        make_conv(rng, (3, 3, 4), (2, 2), 5, factors=2.0 ** rng.uniform(-9, -6, 5)),
        random_layer(rng, (4, 4, 3), (3, 3), activation="NONE").operator(),
        random_layer(rng, (4, 4, 3), (3, 3)).operator(),
    ]
    found = 0
    for layer in layers:
        sums = all_sums(layer)
        small = make_small_scale(layer.scale, sums)
        if small is None:
            continue
        found += 1
        every = np.arange(sums[0].min(), sums[1].max() + 1)[:, np.newaxis]
        there = (every >= sums[0]) & (every <= sums[1])
        assert np.array_equal(small.apply(every)[there], layer.scale.apply(every)[there])
    assert found


def test_layers_have_the_same_outputs() -> None:
    rng = np.random.default_rng(2)
    kernel = dense(
        rng.integers(-60, 60, (7, 30)).astype(np.int8),
        rng.integers(-900, 900, 7),
        input_zero_point=-5,
        factors=np.full(7, 0.004),
        output_zero_point=3,
    )
    for layer in (
        kernel,
        make_conv(rng, (6, 5, 3), (3, 2), 6, (2, 1), same=True, factors=np.full(6, 0.003)),
        random_layer(rng, (7, 5, 4), (3, 3), activation="NONE").operator(),
    ):
        small = small_conv_of(layer)
        assert small is not None
        x = rng.integers(-128, 128, (50, layer.inputs[0][1])).astype(np.int8)
        assert np.array_equal(small.apply(x)[0], layer.apply(x)[0])
        assert np.array_equal(SmallConv.decode(small.encode()).apply(x)[0], layer.apply(x)[0])


def test_layers_without_a_small_form() -> None:
    rng = np.random.default_rng(3)
    factors = np.full(4, 0.004)
    usual = make_conv(rng, (5, 5, 2), (2, 2), 4, factors=factors)
    assert small_conv_of(usual) is not None
    heavy = np.full((4, 1, 1, 65), 127, np.int8)
    for other in (
        make_conv(rng, (5, 5, 2), (2, 2), 4, dilation=(2, 1), factors=factors),
        make_conv(rng, (5, 5, 2), (2, 2), 4, factors=factors, low=0),
        make_conv(rng, (5, 5, 2), (2, 2), 4, factors=[0.004, 0.004, 0.004, 0.0]),
        make_conv(rng, (5, 5, 2), (2, 2), 4, factors=[0.4, 0.004, 0.004, 0.0001]),
        make_conv(rng, (5, 5, 2), (2, 2), 4, factors=[0.9] * 4),
        make_conv(rng, (5, 5, 2), (2, 2), 4, factors=factors, bias=[1 << 18, 0, 0, 0]),
        make_conv(rng, (1, 4, 65), (1, 1), 4, weights=heavy, factors=factors),
        random_layer(rng, (5, 5, 2), (3, 3), multiplier=2).operator(),
    ):
        assert small_conv_of(other) is None


def test_a_depthwise_layer_by_its_wide_scale() -> None:
    rng = np.random.default_rng(4)
    layer = random_layer(rng, (6, 6, 3), (3, 3), activation="NONE")
    layer = replace(layer, bias=np.zeros(3, np.int32))
    small = small_conv_of(wide(layer))
    assert small is not None
    x = layer.inputs(rng, 20)
    assert np.array_equal(small.apply(x)[0], layer.operator().apply(x)[0])
