"""Labelled pictures for training, as a camera on the board would give them.

A folder for each class, of pictures (.png, .jpg, .bmp, .pgm, .ppm) or of a camera's raw frames
(.npy); or an .npz with all of them. docs/images.md shows every accepted form.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError
from .recordings import (
    Recording,
    Recordings,
    class_names,
    classes_of,
    compiled_pattern,
    load_numpy,
    matched_text,
    member_of,
    optional_module,
)
from .reference.downscale import RGB, Downscale, Pixels

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm")
EXTENSIONS = (*PICTURES, ".npy")

_RGB565_LIMITS = (31, 63, 31)
_RGB565_SHIFTS = (11, 5, 0)


@dataclass(frozen=True)
class Camera:
    """What a camera gives: the input of a program.

    Attributes
    ----------
    typecode : str
    channels : tuple of str
        Names of the numbers of a pixel.
    pixels : Pixels
    """

    typecode: str
    channels: tuple[str, ...]
    pixels: Pixels

    def shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """Of a frame of so many rows and columns."""
        return size if len(self.channels) == 1 else (*size, len(self.channels))


CAMERAS = {
    "grey": Camera("B", ("grey",), Pixels.BYTES),
    "rgb": Camera("B", ("red", "green", "blue"), Pixels.BYTES),
    "rgb565": Camera("H", ("rgb565",), Pixels.RGB565),
    "rgb565-swapped": Camera("H", ("rgb565-swapped",), Pixels.RGB565_SWAPPED),
}
"""By their names in a pipeline's file. `swapped`: the upper byte comes first."""


def load_pictures(
    path: Path | str, *, group_pattern: str | None = None, label_pattern: str | None = None
) -> Recordings:
    """Read pictures from a folder, or from one .npz.

    Parameters
    ----------
    path : Path or str
        A folder with LABEL/picture, or LABEL/GROUP/picture: pictures of one group, such as one
        plant or one day, are never split between train and test. Or an .npz with `x`
        [pictures, rows, columns] or [pictures, rows, columns, 3], `y`, and perhaps `group` and
        `labels`.
    group_pattern, label_pattern : str, optional
        Regular expressions, searched in the path of each file below the folder (with ``/``). The
        first parenthesis is the group or the label; without one, the whole match is.

    Returns
    -------
    Recordings
        Whose `data` are uint8 [rows, columns] or [rows, columns, 3], or uint16 [rows, columns] of
        RGB565 as the camera gave it. Without a group each picture is one of its own.

    Raises
    ------
    DataError
        A file cannot be read or is no picture, has no label; there is one class only; or Pillow is
        not installed.
    UsageError
        A pattern is not a regular expression.
    """
    path = Path(path)
    find_group = compiled_pattern(group_pattern, "--group-pattern")
    find_label = compiled_pattern(label_pattern, "--label-pattern")
    if path.suffix.lower() == ".npz" and path.is_file():
        if find_group is not None or find_label is not None:
            raise DataError(
                f"{path.name}: expected a folder with --group-pattern or --label-pattern; an .npz"
                " says both in its arrays group and y"
            )
        return _from_npz(path)
    if not path.is_dir():
        raise DataError(f"{path}: expected a folder of pictures, or an .npz of them")
    items = tuple(_from_folder(path, name, find_group, find_label) for name in _names_below(path))
    labels = classes_of(str(path), [item.label for item in items], None)
    return Recordings(items, (), None, labels)


def _names_below(folder: Path) -> list[str]:
    paths = [each.relative_to(folder) for each in folder.rglob("*") if each.is_file()]
    inside = [each for each in paths if not any(part[0] == "." for part in each.parts)]
    names = sorted(each.as_posix() for each in inside if each.suffix.lower() in EXTENSIONS)
    if not names:
        others = ", ".join(sorted({each.suffix or each.name for each in inside})[:8])
        raise DataError(
            f"{folder}: expected pictures ({', '.join(EXTENSIONS)}) as LABEL/name.png, found"
            f" {f'only {others}' if others else 'no files'}"
        )
    return names


def _from_folder(
    folder: Path, name: str, find_group: re.Pattern[str] | None, find_label: re.Pattern[str] | None
) -> Recording:
    folders = Path(name).parts[:-1]
    if find_label is not None:
        label = matched_text(find_label, name, "--label-pattern")
    elif folders:
        label = folders[0]
    else:
        raise DataError(
            f"{name}: expected a label for it, found no folder. Move it to LABEL/{name}, or give"
            " --label-pattern"
        )
    if find_group is not None:
        group = matched_text(find_group, name, "--group-pattern")
    else:
        group = "/".join(folders[1:]) if len(folders) > 1 else name
    data = load_picture(folder / name, name)
    return Recording(data, label, group, name)


def load_picture(path: Path, name: str | None = None) -> NDArray[Any]:
    """Read one picture.

    Returns
    -------
    NDArray
        uint8 [rows, columns] or [rows, columns, 3]; uint16 [rows, columns] of an .npy.

    Raises
    ------
    DataError
        It is no picture, or damaged; Pillow is not installed.
    """
    name = path.name if name is None else name
    if path.suffix.lower() == ".npy":
        array = load_numpy(path, name)
        return _checked(name, array)
    image = optional_module("PIL.Image", f"reading {name}", '"wingbeat[image]"')
    turned = optional_module("PIL.ImageOps", f"reading {name}", '"wingbeat[image]"')
    try:
        with warnings.catch_warnings():
            # Pillow warns of what it skips in a file, and of large pictures.
            warnings.simplefilter("ignore")
            with image.open(path) as opened:
                picture = turned.exif_transpose(opened)
                if picture.mode in ("I", "F") or ";" in picture.mode:
                    raise DataError(
                        f"{name}: expected 8 bits a colour, got Pillow's mode {picture.mode}: save"
                        " it with 8"
                    )
                grey = picture.mode in ("1", "L", "LA")
                return np.asarray(picture.convert("L" if grey else "RGB"))
    except DataError:
        raise
    except Exception as error:  # Pillow raises whatever the file makes it stumble over.
        raise DataError(
            f"{name}: expected a picture. Reading it failed: {str(error).rstrip('.')}. Save it"
            " again, or take it out"
        ) from error


def _checked(name: str, array: Any) -> NDArray[Any]:
    if not isinstance(array, np.ndarray):
        raise DataError(f"{name}: expected one array, got an .npz archive. Rename it to end so.")
    grey = array.ndim == 2 and array.dtype in (np.uint8, np.uint16)
    if not (grey or (array.ndim == 3 and array.shape[2] == RGB and array.dtype == np.uint8)):
        raise DataError(
            f"{name}: expected uint8 [rows, columns] or [rows, columns, 3], or uint16 [rows,"
            f" columns] of RGB565, got {array.dtype} {list(array.shape)}"
        )
    if not array.size:
        raise DataError(f"{name}: expected a picture, it is empty")
    return array


def _from_npz(path: Path) -> Recordings:
    archive, name = load_numpy(path, path.name), path.name
    if isinstance(archive, np.ndarray):
        raise DataError(f"{name}: expected an .npz archive, got one array. Rename it to .npy.")
    with archive:
        arrays = {key: member_of(archive, key, name) for key in archive.files}
    for key in ("x", "y"):
        if key not in arrays:
            raise DataError(
                f"{name}: expected an array {key!r}, found {', '.join(arrays) or 'nothing'}. Save"
                " it with numpy.savez(path, x=pictures, y=labels)."
            )
    x, count = arrays["x"], len(arrays["x"]) if arrays["x"].ndim else 0
    for key in ("y", "group"):
        if key in arrays and arrays[key].shape != (count,):
            raise DataError(
                f"{name}: expected {key!r} to have one entry for each of the {count} pictures of x,"
                f" got shape {arrays[key].shape}"
            )
    listed = tuple(str(each) for each in arrays["labels"].ravel()) if "labels" in arrays else None
    named = class_names(name, arrays["y"], listed)
    groups = arrays.get("group", np.arange(count))
    items = tuple(
        Recording(_checked(name, x[i]), str(named[i]), str(groups[i]), f"{name}#{i}")
        for i in range(count)
    )
    return Recordings(items, (), None, classes_of(name, named, listed))


# ---- As a camera gives it


def common_size(recordings: Recordings) -> tuple[int, int]:
    """Rows and columns that all pictures have.

    Raises
    ------
    DataError
        They differ.
    """
    sizes = {each.data.shape[:2]: each.source for each in reversed(recordings.items)}
    if len(sizes) > 1:
        shown = ", ".join(f"{h} x {w} ({name})" for (h, w), name in list(sizes.items())[:4])
        raise DataError(
            f"the pictures are of several sizes: {shown}. Say in the pipeline's file what the"
            " camera gives: size = [ROWS, COLUMNS]; pictures are cut to its shape, then resized"
        )
    ((rows, columns),) = sizes
    return rows, columns


def as_frame(picture: NDArray[Any], kind: str, size: tuple[int, int], name: str) -> NDArray[Any]:
    """A picture as a camera would have given it.

    A picture of another size is cut to the same shape around its middle, then resized by the means
    of areas.

    Parameters
    ----------
    picture : array
        As `load_picture` gives it.
    kind : str
        Of `CAMERAS`. RGB565 of a file is taken as it is.
    size : tuple of int
        Rows, columns.
    name : str
        For messages.

    Returns
    -------
    array [rows, columns] or [rows, columns, 3]

    Raises
    ------
    DataError
        RGB565 for a camera that gives something else, or of another size.
    """
    raw = picture.dtype == np.uint16
    if raw and not kind.startswith("rgb565"):
        raise DataError(
            f"{name}: expected pictures for a camera that gives {kind}, got uint16, which is"
            ' RGB565: write pixels = "rgb565" or "rgb565-swapped" in the pipeline\'s file'
        )
    if picture.shape[:2] != size:
        if raw:
            raise DataError(
                f"{name}: expected {size[0]} rows and {size[1]} columns, got"
                f" {picture.shape[0]} and {picture.shape[1]}: make size that of the frames"
            )
        picture = _resized(picture, size, name)
    if raw:
        return picture
    if kind == "grey":
        return _grey(picture)
    colours = np.broadcast_to(picture[..., None], (*size, RGB)) if picture.ndim == 2 else picture
    if kind == "rgb":
        return np.ascontiguousarray(colours)
    words = _rgb565(colours)
    return words.byteswap() if kind == "rgb565-swapped" else words


def as_colours(frame: NDArray[Any], kind: str) -> NDArray[np.uint8]:
    """A frame as RGB [rows, columns, 3], to look at."""
    if frame.dtype == np.uint16:
        size = (frame.shape[0], frame.shape[1])
        pixels = CAMERAS[kind].pixels
        (out,) = Downscale(
            size, (0, 0), size, (1, 1), pixels, channels=RGB, out_channels=RGB
        ).apply(frame.reshape(1, -1))
        return np.asarray(out.reshape(*size, RGB), np.uint8)
    colours = np.repeat(frame[..., None], RGB, axis=2) if frame.ndim == 2 else frame
    return np.asarray(colours, np.uint8)


def _resized(picture: NDArray[Any], size: tuple[int, int], name: str) -> NDArray[Any]:
    image = optional_module("PIL.Image", f"resizing {name}", '"wingbeat[image]"')
    (high, wide), (rows, columns) = picture.shape[:2], size
    scale = min(high / rows, wide / columns)
    across, down = columns * scale, rows * scale
    left, top = (wide - across) / 2, (high - down) / 2
    box = (left, top, left + across, top + down)
    whole = image.fromarray(picture)
    return np.asarray(whole.resize((columns, rows), image.Resampling.BOX, box))


def _grey(picture: NDArray[Any]) -> NDArray[Any]:
    if picture.ndim == 2:
        return picture
    size = (picture.shape[0], picture.shape[1])
    (out,) = Downscale(size, (0, 0), size, channels=RGB, grey=True).apply(picture.reshape(1, -1))
    return np.asarray(out.reshape(size))


def _rgb565(colours: NDArray[Any]) -> NDArray[np.uint16]:
    words = np.zeros(colours.shape[:2], np.uint16)
    for channel, (limit, shift) in enumerate(zip(_RGB565_LIMITS, _RGB565_SHIFTS, strict=True)):
        steps = (colours[..., channel].astype(np.uint32) * limit + 127) // 255
        words |= (steps << shift).astype(np.uint16)
    return words
