"""Pipelines that learn what is normal: a machine that hums, and one with a damaged bearing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wingbeat.errors import UsageError
from wingbeat.pipeline import AfterOptions, load_pipeline
from wingbeat.recordings import Recording, Recordings
from wingbeat.simulate import background_of, detections, simulate
from wingbeat.train_pipeline import train_pipeline

RATE = 1000


def machine(rng: np.random.Generator, seconds: float, damage: float = 0.0) -> np.ndarray:
    """Hum of a shaft at 25 Hz; `damage` adds a ringing knock 7 times a second."""
    t = np.arange(int(seconds * RATE)) / RATE
    speed, loud = 25 * rng.uniform(0.97, 1.03), rng.uniform(0.8, 1.2)
    x = sum(np.sin(2 * np.pi * speed * k * t + rng.uniform(0, 6)) / k for k in (1, 2, 3, 5))
    since = (t * 7.3) % 1 / 7.3
    knock = np.exp(-since * 80) * np.sin(2 * np.pi * 310 * since)
    x = 1500 * loud * x + 4000 * damage * knock + rng.normal(0, 150, len(t))
    return np.rint(np.stack([x, 0.6 * x + rng.normal(0, 150, len(t))], axis=1)).astype(np.int16)


def recordings(damaged: int = 6) -> Recordings:
    rng = np.random.default_rng(1)
    items = [
        Recording(machine(rng, 30), "normal", f"machine {i}", f"{i}.npy") for i in range(14)
    ] + [
        Recording(machine(rng, 20, 0.6), "worn", f"machine {i}", f"bad {i}.npy")
        for i in range(damaged)
    ]
    labels = ("normal", "worn") if damaged else ("normal",)
    return Recordings(tuple(items), ("x", "y"), float(RATE), labels)


@pytest.mark.parametrize("kind", ["mahalanobis", "centres"])
def test_damage_is_no_part_of_normal(kind: str) -> None:
    pipeline = load_pipeline("anomaly")
    pipeline = replace(pipeline, model=replace(pipeline.model, kind=kind))
    trained = train_pipeline(recordings(), pipeline, name="wear")
    report = trained.report
    assert report.labels == ("normal", "anomaly")
    assert report.recall[0] > 0.95
    assert report.recall[1] > 0.95
    program = trained.program
    assert program.labels == ("anomaly", "normal")
    assert background_of(program) == {"normal", "reject"}
    rng = np.random.default_rng(5)
    day = np.concatenate([machine(rng, 60), machine(rng, 20, 0.6), machine(rng, 60)])
    found = detections(program, simulate(program, day, RATE), background_of(program))
    assert [each.label for each in found] == ["anomaly"]
    assert 60 < found[0].start < 66
    assert 80 < found[0].end < 88
    assert trained.detections is not None
    assert trained.detections.missed == 0


def test_distance_is_the_output_and_the_threshold_its_zero() -> None:
    pipeline = replace(load_pipeline("anomaly"), after=None)
    trained = train_pipeline(recordings(), pipeline, name="wear")
    model, x = trained.model, trained.features.x[trained.test]
    stored = model.run(x.reshape(-1, *model.input.shape))
    threshold = model.meta["anomaly"]["threshold"]
    assert -model.output.zero_point * model.output.scale == threshold
    distance = model.output.dequantize(stored)
    assert np.array_equal((distance > threshold).ravel(), trained.answers == 1)
    assert trained.program.labels == ("normal", "anomaly")
    normal = distance.ravel()[trained.features.y[trained.test] == 0]
    assert 0.5 < np.median(normal) / np.sqrt(x.shape[1]) < 1.5


def test_normal_recordings_are_enough() -> None:
    trained = train_pipeline(recordings(damaged=0), load_pipeline("anomaly"), name="wear")
    assert trained.report.recall[0] > 0.95
    assert np.isnan(trained.report.recall[1])


def test_what_does_not_fit_a_distance_is_refused() -> None:
    pipeline = load_pipeline("anomaly")
    nameless = replace(pipeline, model=replace(pipeline.model, normal="good"))
    with pytest.raises(UsageError, match="recordings are of normal, worn; name the class"):
        train_pipeline(recordings(), nameless, name="wear")
    for after, said in (
        (AfterOptions(vote=3.0), "not behind a distance"),
        (AfterOptions(threshold=200.0), "anomaly, after: threshold 200"),
    ):
        with pytest.raises(UsageError, match=said):
            train_pipeline(recordings(), replace(pipeline, after=after), name="wear")
