"""A small convolutional net on pictures of a camera: trained, quantized, run on this computer."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from photos import photos
from wingbeat.pipeline import parse_pipeline
from wingbeat.pipeline_features import frame_of
from wingbeat.recordings import Recording, Recordings
from wingbeat.reference.lookup import Lookup
from wingbeat.runner import run_module
from wingbeat.targets import open_target
from wingbeat.train_pipeline import train_pipeline

CAMERA = """
input = "image"
pixels = "rgb565"
size = [60, 80]
[[stage]]
kind = "grey"
[[stage]]
kind = "downscale"
size = [{side}, {side}]
{normalise}
[model]
kind = "net"
net = "picture_cnn"
epochs = 25
"""
NORMALISE = '[[stage]]\nkind = "normalise"'


@pytest.mark.parametrize(("side", "normalise", "least"), [(20, NORMALISE, 0.8), (16, "", 0.5)])
def test_a_net_on_pictures(side: int, normalise: str, least: float) -> None:
    pictures, digits, sheets = photos(900)
    items = tuple(
        Recording(picture, str(digit), f"sheet{sheet}", str(i))
        for i, (picture, digit, sheet) in enumerate(zip(pictures, digits, sheets, strict=True))
    )
    recordings = Recordings(items, (), None, tuple(str(each) for each in range(10)))
    pipeline = parse_pipeline(CAMERA.format(side=side, normalise=normalise), "camera")
    trained = train_pipeline(recordings, pipeline, name="digits", seed=1)
    assert trained.report.accuracy > least
    assert trained.quantization_loss is not None
    assert abs(trained.quantization_loss) < 0.03
    frames = np.stack([frame_of(items[i], pipeline) for i in trained.test])
    np.testing.assert_array_equal(trained.program.predict(frames), trained.answers)
    # Bytes become those of the net by a table, without a picture of int16 in between.
    assert sum(isinstance(call.operator, Lookup) for call in trained.program.calls) == 1
    assert all(tensor.typecode in "BbHi" for tensor in trained.program.tensors)
    with open_target("unix") as target:
        run = run_module(target, trained.program.assemble(target.arch), frames[:20])
    np.testing.assert_array_equal(run.outputs, trained.program.run(frames[:20]))
