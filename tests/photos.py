"""Photographs of written digits as a camera would take them: moved, in another light, in a folder.

    python tests/photos.py FOLDER [COUNT]

writes FOLDER/DIGIT/SHEET/NUMBER.png, 60 x 80 pixels of colour. The digits are those of
scikit-learn, which real people wrote; those that follow each other there are one sheet.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.datasets import load_digits

SIZE = 60, 80
_SIDE, _ENLARGED = 8, 48
_PER_SHEET = 60
_LEVELS = 16.0  # of scikit-learn's digits


def photos(count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Pictures [count, rows, columns, 3], the digits, and the sheets that they stand on."""
    rng = np.random.default_rng(1)
    digits = load_digits()
    pictures = np.empty((count, *SIZE, 3), np.uint8)
    for number, ink in enumerate(digits.images[:count] / _LEVELS):
        mark = ndimage.zoom(ink, _ENLARGED // _SIDE, order=1)
        page = np.zeros(SIZE)
        top, left = (int((side - _ENLARGED) / 2 + rng.integers(-3, 4)) for side in SIZE)
        page[top : top + _ENLARGED, left : left + _ENLARGED] = mark
        left_light, right_light = rng.uniform(0.8, 1.0, 2)
        light = rng.uniform(0.4, 1.0) * np.linspace(left_light, right_light, SIZE[1])
        paper, pen = np.array([250, 240, 220]), np.array([30, 30, 120])
        colours = paper + (pen - paper) * page[..., None]
        noisy = colours * light[:, None] + rng.normal(0, 4, colours.shape)
        pictures[number] = np.clip(noisy, 0, 255).astype(np.uint8)
    return pictures, digits.target[:count], np.arange(count) // _PER_SHEET


def write(folder: Path, count: int) -> None:
    """Write the first photographs as DIGIT/SHEET/NUMBER.png; takes Pillow."""
    from PIL import Image

    for number, (picture, digit, sheet) in enumerate(zip(*photos(count), strict=True)):
        place = folder / str(digit) / f"sheet{sheet}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{number}.png")


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1797)
