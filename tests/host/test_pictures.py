"""Pictures: what files may hold, what a camera makes of them, and pipelines for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from photos import photos, write
from wingbeat.errors import DataError, FormatError, UsageError
from wingbeat.pictures import CAMERAS, as_colours, as_frame, load_picture, load_pictures
from wingbeat.pipeline import Pipeline, load_pipeline, parse_pipeline
from wingbeat.pipeline_features import compute_features, fitted, frame_of
from wingbeat.program import Program
from wingbeat.recordings import Recording, Recordings
from wingbeat.reference.downscale import Downscale
from wingbeat.stream import Stream
from wingbeat.train_pipeline import train_pipeline

CAMERA = """
input = "image"
pixels = "{pixels}"
size = [60, 80]
[[stage]]
kind = "grey"
[[stage]]
kind = "downscale"
size = [12, 12]
[[stage]]
kind = "normalise"
[model]
kind = "{model}"
trees = 10
hidden = [16]
epochs = 150
"""


@pytest.fixture(scope="module")
def digits() -> Recordings:
    pictures, numbers, sheets = photos(400)
    items = tuple(
        Recording(picture, str(digit), f"sheet{sheet}", f"{i}")
        for i, (picture, digit, sheet) in enumerate(zip(pictures, numbers, sheets, strict=True))
    )
    return Recordings(items, (), None, tuple(str(each) for each in range(10)))


# ---- Files


@pytest.mark.parametrize("extension", ["png", "bmp", "ppm", "jpg"])
def test_pictures_are_read(tmp_path: Path, extension: str) -> None:
    picture = photos(1)[0][0]
    Image.fromarray(picture).save(tmp_path / f"a.{extension}", quality=100)
    found = load_picture(tmp_path / f"a.{extension}").astype(int)
    assert found.shape == (60, 80, 3)
    assert np.abs(found - picture).mean() <= (4 if extension == "jpg" else 0)


@pytest.mark.parametrize(("mode", "shape"), [("L", (5, 7)), ("1", (5, 7)), ("P", (5, 7, 3))])
def test_grey_and_palettes_are_read(tmp_path: Path, mode: str, shape: tuple[int, ...]) -> None:
    Image.new(mode, (7, 5), 1).save(tmp_path / "a.png")
    found = load_picture(tmp_path / "a.png")
    assert found.dtype == np.uint8
    assert found.shape == shape


def test_a_picture_is_turned_as_its_file_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = 6  # lies on its side
    Image.fromarray(np.zeros((4, 8, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    assert load_picture(tmp_path / "a.jpg").shape == (8, 4, 3)


def test_a_folder_below_the_label_is_the_group(tmp_path: Path) -> None:
    write(tmp_path, 130)
    found = load_pictures(tmp_path)
    assert found.labels == tuple(str(each) for each in range(10))
    assert {each.group for each in found.items} == {"sheet0", "sheet1", "sheet2"}
    by_pattern = load_pictures(tmp_path, group_pattern=r"sheet(\d)")
    assert {each.group for each in by_pattern.items} == {"0", "1", "2"}


def test_arrays_are_read(tmp_path: Path) -> None:
    x = np.arange(2 * 4 * 6, dtype=np.uint8).reshape(2, 4, 6)
    for label, picture in zip("ab", x, strict=True):
        (tmp_path / label).mkdir()
        np.save(tmp_path / label / "x.npy", picture)
    assert [each.label for each in load_pictures(tmp_path).items] == ["a", "b"]
    np.savez(tmp_path / "all.npz", x=x, y=[1, 0], labels=["no", "yes"], group=["p", "q"])
    found = load_pictures(tmp_path / "all.npz")
    assert [(each.label, each.group) for each in found.items] == [("yes", "p"), ("no", "q")]
    np.testing.assert_array_equal(found.items[1].data, x[1])


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    for data in (b"", b"\x89PNG\r\n\x1a\n", whole[:50], whole[:-20], b"hello" * 100):
        with pytest.raises(DataError, match=r"bad\.png: expected a picture"):
            load_picture(_write(tmp_path / "bad.png", data))
    Image.new("I;16", (4, 4)).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match="8 bits a colour"):
        load_picture(tmp_path / "deep.png")
    for array in (np.zeros((4, 4)), np.zeros((2, 4, 4), np.uint8), np.zeros((0, 4), np.uint8)):
        np.save(tmp_path / "bad.npy", array)
        with pytest.raises(DataError, match=r"bad\.npy: expected"):
            load_picture(tmp_path / "bad.npy")
    with pytest.raises(DataError, match=r"bad\.npy: expected a label"):
        load_pictures(tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="found no files"):
        load_pictures(tmp_path / "none")
    np.savez(tmp_path / "bad.npz", x=np.zeros((2, 4, 4), np.uint8))
    with pytest.raises(DataError, match="expected an array 'y'"):
        load_pictures(tmp_path / "bad.npz")
    np.savez(tmp_path / "bad.npz", x=np.zeros((2, 4, 4), np.uint8), y=[1])
    with pytest.raises(DataError, match="one entry for each of the 2 pictures"):
        load_pictures(tmp_path / "bad.npz")


# ---- Cameras


@pytest.mark.parametrize("kind", CAMERAS)
def test_a_camera_gives_nearly_the_picture(kind: str) -> None:
    picture = photos(1)[0][0]
    frame = as_frame(picture, kind, (60, 80), "a")
    assert frame.shape == CAMERAS[kind].shape((60, 80))
    colours = as_colours(frame, kind).astype(int)
    if kind == "grey":
        picture = np.repeat((picture @ [0.299, 0.587, 0.114])[..., None], 3, axis=2)
    assert np.abs(colours - picture).max() <= 5


def test_a_picture_of_another_size_is_cut_and_resized() -> None:
    picture = np.zeros((80, 200), np.uint8)
    picture[:, 60:140] = 200
    np.testing.assert_array_equal(as_frame(picture, "grey", (40, 40), "a"), np.full((40, 40), 200))


def test_frames_of_rgb565_are_taken_as_they_are() -> None:
    words = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert as_frame(words, "rgb565-swapped", (3, 4), "a") is words
    with pytest.raises(DataError, match="expected 4 rows and 4 columns, got 3 and 4"):
        as_frame(words, "rgb565", (4, 4), "a")
    with pytest.raises(DataError, match='write pixels = "rgb565"'):
        as_frame(words, "grey", (3, 4), "a")


# ---- Pipelines


def _answers_as_its_features(recordings: Recordings, pipeline: Pipeline) -> float:
    trained = train_pipeline(recordings, pipeline, name="d", seed=2)
    frames = np.stack([frame_of(recordings.items[i], pipeline) for i in trained.test])
    np.testing.assert_array_equal(trained.program.predict(frames), trained.answers)
    groups = trained.features.groups
    assert not {*groups[trained.train]} & {*groups[trained.test]}
    assert trained.program.golden is not None
    assert trained.program.golden.real
    return trained.report.accuracy


@pytest.mark.parametrize("model", ["forest", "mlp"])
@pytest.mark.parametrize("pixels", CAMERAS)
def test_a_program_answers_as_its_features(digits: Recordings, pixels: str, model: str) -> None:
    pipeline = parse_pipeline(CAMERA.format(pixels=pixels, model=model), "camera")
    assert _answers_as_its_features(digits, pipeline) > 0.75


def test_the_preset_takes_the_size_of_the_pictures(digits: Recordings) -> None:
    pipeline = load_pipeline("image")
    assert fitted(pipeline, digits).size == (60, 80)
    trained = train_pipeline(digits, pipeline, name="d", seed=2)
    assert trained.program.input.shape == (60, 80)
    assert trained.report.accuracy > 0.85
    odd = Recording(np.zeros((9, 9), np.uint8), "0", "x", "odd.png")
    with pytest.raises(DataError, match=r"several sizes: .*odd\.png"):
        fitted(pipeline, Recordings((*digits.items, odd), (), None, digits.labels))


def test_light_and_exposure_cost_nothing(digits: Recordings) -> None:
    """What normalise is for: the same digits, half as bright."""
    pipeline = parse_pipeline(CAMERA.format(pixels="grey", model="mlp"), "camera")
    trained = train_pipeline(digits, pipeline, name="d", seed=2)
    frames = np.stack([frame_of(digits.items[i], pipeline) for i in trained.test])
    dark = trained.program.predict((frames // 2 + 3).astype(np.uint8))
    truth = trained.features.y[trained.test]
    assert (dark == truth).mean() > trained.report.accuracy - 0.03


def _program(stages: str, pixels: str = "rgb565") -> tuple[Program, tuple[int, ...]]:
    head = f'input = "image"\nsize = [60, 80]\npixels = "{pixels}"\n'
    program, shape = parse_pipeline(head + stages, "p").features(0)
    return program, shape.dims


def _stage(kind: str, more: str = "") -> str:
    return f'[[stage]]\nkind = "{kind}"\n{more}\n'


SMALLER = _stage("downscale", "size = [14, 14]")


@pytest.mark.parametrize(
    ("stages", "operators", "dims"),
    [
        (SMALLER, 1, (14, 14, 3)),
        (_stage("grey") + SMALLER, 1, (14, 14, 1)),
        (SMALLER + _stage("grey"), 1, (14, 14, 1)),
        (_stage("crop", "size = [40, 40]") + _stage("grey"), 1, (40, 40, 1)),
        (_stage("crop", "size = [32, 32]\ncorner = [0, 8]") + _stage("downscale", "factor = 2")
         + _stage("grey"), 1, (16, 16, 1)),
        (_stage("normalise"), 2, (60, 80, 3)),
        ("", 1, (60, 80, 3)),
    ],
)  # fmt: skip
def test_stages_that_follow_each_other_are_one_operator(
    stages: str, operators: int, dims: tuple[int, ...]
) -> None:
    program, found = _program(stages)
    assert len(program.calls) == operators
    assert found == dims
    assert isinstance(program.calls[0].operator, Downscale)


def test_joined_stages_see_the_same_place() -> None:
    crop = _stage("crop", "size = [32, 48]\ncorner = [5, 9]")
    one, _ = _program(crop + _stage("downscale", "factor = 4"), "rgb")
    frame = photos(1)[0][0]
    part: NDArray[np.uint8] = frame[5:37, 9:57].reshape(8, 4, 12, 4, 3)
    exact = part.mean(axis=(1, 3))
    assert np.abs(one.run(frame).reshape(8, 12, 3) - exact).max() <= 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('rate = 3\n', "rate: not for an image"),
        (_stage("window", "length = 3"), "stage 1 .window.: it is for samples over time"),
        (_stage("crop", "size = [61, 8]"), "stage 1 .crop.: a picture of .60, 80. has no .61, 8."),
        (_stage("crop", "size = [6]"), "expected .ROWS, COLUMNS."),
        (_stage("crop", "size = [6, 6]\ncorner = [-1, 0]"), "corner = .-1, 0."),
        (_stage("crop", "size = [6, 6]\ncorner = [55, 0]"), "do not lie in a picture"),
        (_stage("downscale"), "give one of them"),
        (_stage("downscale", "size = [6, 6]\nfactor = 2"), "give one of them"),
        (_stage("downscale", "factor = 0"), "factor = 0: expected 1 to 60"),
        (_stage("downscale", "size = [1, 1]"), "more than 32 times"),
        (_stage("normalise", 'by = "light"'), "expected one of deviation, range"),
        (_stage("normalise", "gain = 1000"), "expected above 7.8"),
        (_stage("normalise") * 2, "normalise it last"),
        ('pixels = "yuv"', "pixels = 'yuv': expected one of grey"),
        ("size = [3]", "expected .ROWS, COLUMNS. of the camera"),
        ("size = [3, 2048]", "of the camera, 1 to 2047"),
        ('[model]\nkind = "centres"', "centres takes a stream: choose forest"),
        ('split = "time"', "pictures are split by groups"),
        ('size = [256, 256]\npixels = "grey"', "at most 65535 features .* the stages give 65536"),
    ],
)  # fmt: skip
def test_wrong_files_are_refused(text: str, message: str) -> None:
    head = "" if text.startswith("size") else "size = [60, 80]\n"
    with pytest.raises((UsageError, FormatError), match=message):
        parse_pipeline(f'input = "image"\n{head}{text}', "p").features(0)


def test_stages_of_pictures_are_not_for_streams() -> None:
    text = 'rate = 10\n[[stage]]\nkind = "window"\nlength = 8\n' + _stage("grey")
    with pytest.raises(UsageError, match='write input = "image" instead of a rate'):
        parse_pipeline(text, "p").features(3)


def test_a_program_for_pictures_is_no_stream(digits: Recordings) -> None:
    program, _ = _program(SMALLER)
    with pytest.raises(UsageError, match="one input a run, not a stream"):
        Stream(program)


def test_features_have_the_order_of_the_pictures(digits: Recordings) -> None:
    pipeline = parse_pipeline(CAMERA.format(pixels="grey", model="forest"), "camera")
    features = compute_features(digits, pipeline)
    assert features.x.dtype == np.int8
    assert features.shape.dims == (12, 12, 1)
    assert [digits.labels[each] for each in features.y] == [each.label for each in digits.items]
