"""Downscale against exact means and the float luma of ITU-R BT.601."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from wingbeat.errors import UsageError
from wingbeat.reference.downscale import Downscale, Pixels, largest_factor

BT601 = np.array([0.299, 0.587, 0.114])


def every_565() -> NDArray[np.uint16]:
    return np.arange(65536, dtype=np.uint16)


def as_rgb(words: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Channels [..., 3], 0 to 255."""
    channels = [(words >> 11) / 31, (words >> 5 & 63) / 63, (words & 31) / 31]
    return 255 * np.stack(channels, axis=-1)


def apply(operator: Downscale, picture: NDArray[np.generic]) -> NDArray[np.uint8]:
    (out,) = operator.apply(picture.reshape(1, -1))
    result: NDArray[np.uint8] = out.reshape(*operator.out_size, operator.out_channels)
    return result


@pytest.mark.parametrize("swapped", [False, True])
def test_grey_of_every_rgb565_is_within_0_55_of_the_float_formula(swapped: bool) -> None:
    words = every_565().reshape(256, 256)
    pixels = Pixels.RGB565_SWAPPED if swapped else Pixels.RGB565
    operator = Downscale((256, 256), (0, 0), (256, 256), (1, 1), pixels, 3, 0, 1, True)
    grey = apply(operator, words.byteswap() if swapped else words)[..., 0]
    assert np.abs(grey - as_rgb(words) @ BT601).max() < 0.55
    assert grey[0, 0] == 0
    assert grey[-1, -1] == 255


def test_colours_of_every_rgb565_are_within_0_55() -> None:
    words = every_565().reshape(256, 256)
    operator = Downscale(
        (256, 256), (0, 0), (256, 256), (1, 1), Pixels.RGB565, channels=3, out_channels=3
    )
    assert np.abs(apply(operator, words) - as_rgb(words)).max() < 0.55


def test_grey_of_rgb_is_within_0_6_of_the_float_formula() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (500, 200, 3)).astype(np.uint8)
    picture[0, :8] = [[255 * (i >> c & 1) for c in range(3)] for i in range(8)]
    operator = Downscale((500, 200), (0, 0), (500, 200), (1, 1), channels=3, grey=True)
    assert np.abs(apply(operator, picture)[..., 0] - picture @ BT601).max() < 0.6


@pytest.mark.parametrize("factors", [(2, 2), (3, 5), (5, 5), (10, 10), (16, 16), (32, 32), (32, 1)])
def test_means_are_within_a_step_of_the_float_mean(factors: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    high, wide = factors
    out_rows, out_columns = 640 // high, 640 // wide
    part = rng.integers(0, 256, (out_rows * high, out_columns * wide)).astype(np.uint8)
    part |= rng.integers(0, 2, part.shape, np.uint8) * 255
    exact = part.reshape(out_rows, high, out_columns, wide).mean(axis=(1, 3))
    picture = np.zeros((part.shape[0] + 5, part.shape[1] + 3), np.uint8)
    picture[2 : 2 + part.shape[0], 1 : 1 + part.shape[1]] = part
    operator = Downscale(picture.shape, (2, 1), (out_rows, out_columns), factors)
    error = np.abs(apply(operator, picture)[..., 0] - exact)
    assert error.max() <= (0.5 if high * wide < 256 else 1)


@pytest.mark.parametrize("factors", [(2, 2), (5, 5), (10, 10), (32, 32)])
def test_grey_means_of_rgb565_are_within_a_step(factors: tuple[int, int]) -> None:
    high, wide = factors
    words = np.random.default_rng(3).integers(0, 65536, (160, 320)).astype(np.uint16)
    out_size = 160 // high, 320 // wide
    exact = as_rgb(words) @ BT601
    exact = exact[: out_size[0] * high, : out_size[1] * wide]
    exact = exact.reshape(out_size[0], high, out_size[1], wide).mean(axis=(1, 3))
    operator = Downscale((160, 320), (0, 0), out_size, factors, Pixels.RGB565, 3, 0, 1, True)
    assert np.abs(apply(operator, words)[..., 0] - exact).max() <= 1


def test_a_crop_is_a_part_of_the_picture() -> None:
    picture = np.random.default_rng(4).integers(0, 256, (20, 30, 4)).astype(np.uint8)
    operator = Downscale((20, 30), (3, 5), (10, 12), channels=4, first=1, out_channels=2)
    np.testing.assert_array_equal(apply(operator, picture), picture[3:13, 5:17, 1:3])


def test_what_does_not_lie_in_the_picture_is_refused() -> None:
    with pytest.raises(UsageError, match="do not lie in a picture"):
        Downscale((20, 30), (1, 0), (4, 6), (5, 5))
    with pytest.raises(UsageError, match="grey takes 3 channels"):
        Downscale((20, 30), (0, 0), (4, 6), grey=True)


def test_the_largest_factor() -> None:
    assert largest_factor((120, 160), (24, 32)) == 5
    assert largest_factor((120, 160), (28, 28)) == 4
    with pytest.raises(UsageError, match="choose less"):
        largest_factor((20, 20), (24, 24))
