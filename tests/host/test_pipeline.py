"""Pipelines: what their files say, and programs that do as the features that were learned from."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.io import wavfile

from tones import TONES, tones
from wingbeat.errors import DataError, FormatError, UsageError
from wingbeat.pipeline import AfterOptions, ModelOptions, load_pipeline, parse_pipeline, presets
from wingbeat.pipeline_features import compute_features
from wingbeat.program import Program
from wingbeat.recordings import Recording, Recordings, load_recordings, load_wav
from wingbeat.simulate import background_of, detections, simulate
from wingbeat.stages import STAGES
from wingbeat.stream import Stream, pace_of
from wingbeat.train_pipeline import train_pipeline

SPEECH = Path(__file__).resolve().parents[1] / "data" / "speech"


@pytest.mark.parametrize("model", ["forest", "mlp"])
@pytest.mark.parametrize("kind", ["log_mel", "mfcc"])
def test_program_answers_as_the_features_it_was_trained_on(kind: str, model: str) -> None:
    text = TONES.format(kind=kind).replace("forest", model)
    recordings, pipeline = tones(), parse_pipeline(text, "tones")
    trained = train_pipeline(recordings, pipeline, name="tones", seed=3)
    assert trained.report.accuracy == 1.0
    assert {*trained.features.groups[trained.train]} & {*trained.features.groups[trained.test]} == (
        set()
    )
    for number, item in enumerate(recordings.items[:4]):
        rows = trained.features.recording == number
        data = item.data
        window = pace_of(trained.program).window
        if len(data) < window:
            front = (window - len(data)) // 2
            data = np.pad(data, ((front, window - len(data) - front), (0, 0)))
        results = Stream(trained.program).results(data)
        assert np.array_equal(results.decisions, trained.model.predict(trained.features.x[rows]))
        assert np.array_equal(results.ends * 32, trained.features.ends[rows])


def test_same_seed_gives_the_same_bytes() -> None:
    pipeline = parse_pipeline(TONES.format(kind="log_mel"), "tones")
    first, second = (train_pipeline(tones(), pipeline, name="t", seed=5) for _ in range(2))
    assert first.program.encode() == second.program.encode()


def test_presets_are_sound() -> None:
    assert {"anomaly", "audio", "image", "motion", "tabular", "vibration"} <= set(presets())
    for name in presets():
        pipeline = load_pipeline(name)
        if pipeline.input == "rows":
            continue
        if pipeline.input == "image":
            program, shape = replace(pipeline, size=(96, 96)).features(0)
            assert program.output.shape == (24 * 24,)
            assert shape.dims == (24, 24, 1)
            continue
        channels = {"motion": 6}.get(name, 1)
        program, shape = pipeline.features(channels)
        pace = pace_of(program)
        assert program.output.n_elements == shape.length * shape.width
        assert pace.window >= pace.hop > 0


WRONG = {
    "rate = 10\nstages = 1": "'stages' is unknown; did you mean 'stage'?",
    "": "expected rate",
    "rate = 'fast'": "rate = 'fast': expected a number above 0",
    "rate = 10": "expected a window among the stages",
    "rate = 10\nstage = 3": "expected stages as [[stage]] tables",
    "rate = 10\n[[stage]]\nkind = 'windw'": "did you mean 'window'?",
    "rate = 10\n[[stage]]\nkind = 'window'": "stage 1 (window): expected a length",
    "rate = 10\n[[stage]]\nkind = 'window'\nlength = 0": "length = 0: expected a whole number",
    "rate = 10\n[[stage]]\nkind = 'window'\nlength = 4\nseconds = 1": "give one of them",
    "rate = 10\n[[stage]]\nkind = 'window'\nlengt = 4": "did you mean 'length'?",
    "rate = 10\n[model]\nkind = 'forrest'": "no model 'forrest'",
    "rate = 10\n[[stage]]\nkind = 'window'\nlength = 63\n[[stage]]\nkind = 'log_mel'": (
        "stage 2 (log_mel)"
    ),
    "rate = 10\n[model]\ntrees = 1000000": "trees: expected at most 10000",
    "rate = 10\n[model]\nkind = 'mlp'\nhidden = [8, 1000000]": "at most 4096; got [8, 1000000]",
    "rate = 10\n[model]\nkind = 'mlp'\nepochs = 1000000": "epochs: expected 1 to 100000",
    "rate = 10\n[model]\nkind = 'net'\nepochs = 0": "epochs: expected 1 to 100000, got 0",
    "rate = 10\n[after]\nreject = ''": "after: reject = '': expected a label",
    "rate = ": "not TOML",
    "rate = " + "9" * 5000: "not TOML",
    "rate = " + "[" * 5000: "not TOML",
    "rate = inf": "rate = inf: expected a number above 0",
    "rate = 0x" + "f" * 5000: "rate = about 2^20000: expected a number above 0",
    "rate = 1\nchannels = 0x" + "f" * 5000: "channels = about 2^20000: expected a whole number",
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:60])
def test_wrong_files_are_refused_with_the_place(text: str) -> None:
    with pytest.raises((FormatError, UsageError)) as caught:
        parse_pipeline(text, "mine.toml").features(1)
    assert WRONG[text] in str(caught.value)
    assert "mine.toml" in str(caught.value)


HEADS = (
    "rate = 100",
    "rate = 100\n[[stage]]\nkind = 'window'\nlength = 64",
    "input = 'image'\nsize = [32, 32]",
)
VALUES = (
    *("nan", "-inf", "-1", "0", "1", "3", "32", "0.5", "1e9", "1000000000", "1e-300", "true"),
    *("[]", "[0]", "[1, 2]", "[2, 1]", "[nan, 1e9]", "[[1]]", "['a']", "''", "'mean'", "{}"),
)


@st.composite
def _hostile(draw: st.DrawFn) -> str:
    """A pipeline's file of stages in any order, with values of any kind."""
    lines = [draw(st.sampled_from(HEADS))]
    for kind in draw(st.lists(st.sampled_from(list(STAGES)), min_size=1, max_size=3)):
        lines.append(f"[[stage]]\nkind = '{kind}'")
        stage: Any = STAGES[kind]
        names = [each.name for each in fields(stage)]
        for name in draw(st.lists(st.sampled_from([*names, "other"]), unique=True, max_size=2)):
            lines.append(f"{name} = {draw(st.sampled_from(VALUES))}")
    for table, options in (("model", ModelOptions), ("after", AfterOptions)):
        if draw(st.integers(0, 3)) == 0:
            name = draw(st.sampled_from([each.name for each in fields(options)]))
            lines.append(f"[{table}]\n{name} = {draw(st.sampled_from(VALUES))}")
    return "\n".join(lines)


@settings(max_examples=400, deadline=5000)
@given(_hostile(), st.sampled_from([0, 1, 3]))
def test_any_file_is_a_pipeline_or_an_error_with_its_place(text: str, channels: int) -> None:
    refused = ""
    try:
        program, shape = parse_pipeline(text, "mine.toml").features(channels)
    except (FormatError, UsageError) as error:
        refused = str(error)
    if refused:
        assert "mine.toml" in refused
        return
    assert program.output.n_elements == shape.n_elements
    assert Program.decode(program.encode(), "features").encode() == program.encode()


def test_unknown_pipeline_names_the_presets() -> None:
    with pytest.raises(UsageError, match="one of anomaly, audio, "):
        load_pipeline("audo")


def test_features_are_named_after_their_channels() -> None:
    recordings = tones()
    beside = replace(
        recordings,
        channels=("ax", "ay"),
        items=tuple(replace(item, data=np.tile(item.data, (1, 2))) for item in recordings.items),
    )
    pipeline = parse_pipeline(TONES.format(kind="log_mel"), "tones")
    names = compute_features(beside, pipeline).shape.names
    assert names[0] == "band 0 of ax"
    assert names[14] == "band 0 of ay"
    assert compute_features(recordings, pipeline).shape.names[0] == "band 0"


def test_recordings_have_to_fit() -> None:
    recordings, pipeline = tones(), parse_pipeline(TONES.format(kind="log_mel"), "tones")
    with pytest.raises(DataError, match="1000 samples a second"):
        compute_features(
            Recordings(recordings.items, recordings.channels, 44100.0, recordings.labels), pipeline
        )
    short = tuple(
        Recording(item.data[:50], item.label, item.group, item.source) for item in recordings.items
    )
    without_padding = parse_pipeline(TONES.format(kind="log_mel").replace("true", "false"), "tones")
    with pytest.raises(DataError, match="pad = true"):
        compute_features(
            Recordings(short, recordings.channels, 1000.0, recordings.labels), without_padding
        )


def test_recordings_in_real_units_need_a_scale() -> None:
    """Readings in g would be 0, 1 and 2."""
    items = tuple(replace(item, data=item.data / 4096) for item in tones().items)
    recordings = replace(tones(), items=items)
    pipeline = parse_pipeline(TONES.format(kind="log_mel"), "tones")
    with pytest.raises(DataError, match="rounding would lose the signal"):
        compute_features(recordings, pipeline)
    features = compute_features(recordings, replace(pipeline, scale=1 / 4096))
    assert np.array_equal(features.x, compute_features(tones(), pipeline).x)
    assert features.clipped == 0
    assert compute_features(recordings, replace(pipeline, scale=1 / 49152)).clipped > 100
    with pytest.raises(DataError, match="expected recordings within int16"):
        compute_features(recordings, replace(pipeline, scale=1 / 65536))


@pytest.mark.parametrize("dtype", ["int16", "uint8", "int32", "int64", "float32"])
def test_wav_files_become_int16(tmp_path: Path, dtype: str) -> None:
    wave = np.sin(np.arange(200) / 7) * 0.5
    given: dict[str, NDArray[Any]] = {
        "int16": (wave * 32768).astype(np.int16),
        "uint8": (wave * 128 + 128).astype(np.uint8),
        "int32": (wave * 2**31).astype(np.int32),
        "int64": (wave * 2**63).astype(np.int64),
        "float32": wave.astype(np.float32),
    }
    wavfile.write(tmp_path / "a.wav", 8000, given[dtype])
    samples, rate = load_wav(tmp_path / "a.wav")
    assert rate == 8000
    assert samples.shape == (200, 1)
    assert np.abs(samples[:, 0] - wave * 32768).max() < (300 if dtype == "uint8" else 2)


def test_folder_of_wav_files(tmp_path: Path) -> None:
    recordings = load_recordings(SPEECH, label_pattern=r"^(\d)_", group_pattern=r"_([a-z]+)_")
    assert recordings.rate == 8000
    assert len(recordings.labels) == 10
    assert {item.group for item in recordings.items} >= {"george", "lucas"}
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "bad.wav").write_bytes(b"RIFF\x04\0\0\0WAVEjunk")
    with pytest.raises(DataError, match=r"bad\.wav"):
        load_recordings(tmp_path)


def test_split_by_time_tests_the_end_of_each_recording() -> None:
    text = TONES.format(kind="log_mel").replace("pad = true", 'split = "time"')
    longer = tuple(replace(item, data=np.tile(item.data, (5, 1))) for item in tones().items)
    recordings, pipeline = replace(tones(), items=longer), parse_pipeline(text, "tones")
    trained = train_pipeline(recordings, pipeline, name="tones", seed=3)
    features, window = trained.features, pace_of(trained.program).window
    for number in np.unique(features.recording):
        ends = features.ends[trained.train][features.recording[trained.train] == number]
        tested = features.ends[trained.test][features.recording[trained.test] == number]
        assert not len(tested) or tested.min() - window >= ends.max()
    assert len(trained.test) > 5
    assert trained.program.meta["training"]["split"] == "time"


def test_a_perceptron_hears_a_faint_channel_beside_a_loud_one() -> None:
    """Each feature keeps a range of its own: in one for all, the faint one would be 0."""
    rng = np.random.default_rng(1)
    items = []
    for number in range(24):
        loud = rng.normal(0, rng.uniform(4000, 8000), 600)
        faint = rng.normal(0, (6, 18)[number % 2], 600)
        x = np.stack([loud, faint], axis=1).astype(np.int16)
        items.append(Recording(x, ("calm", "shaky")[number % 2], f"g{number // 2}", str(number)))
    recordings = Recordings(tuple(items), ("loud", "faint"), 50.0, ("calm", "shaky"))
    text = """
        rate = 50
        [[stage]]
        kind = "window"
        length = 100
        [[stage]]
        kind = "statistics"
        [model]
        kind = "mlp"
        hidden = [8]
        epochs = 200
    """
    trained = train_pipeline(recordings, parse_pipeline(text, "faint"), name="faint")
    assert trained.report.accuracy > 0.97
    assert trained.quantization_loss is not None
    assert abs(trained.quantization_loss) < 0.01


AFTER = """
[after]
threshold = 0.6
release = 0.4
smoothing = 0.25
hold_off = 1.0
background = ["low"]
"""


def test_detections_behind_the_model() -> None:
    """Long low sounds with high ones in between: starts of these only, a second apart or more."""
    pipeline = parse_pipeline(TONES.format(kind="log_mel") + AFTER, "tones")
    trained = train_pipeline(tones(), pipeline, name="tones", seed=3, test_fraction=0.5)
    program, plain = trained.program, replace(pipeline, after=None).program(trained.model, 1)
    assert program.labels == ("high", "low", "reject")
    low, high = ([i.data for i in tones(9).items if i.label == each] for each in ("low", "high"))
    day = np.concatenate([*low, *high[:3], *low, *high[3:6], *low])
    played, without = (simulate(each, day, 1000.0) for each in (program, plain))
    assert np.array_equal(played.outputs, without.outputs)
    scores = without.outputs.astype(float) * program.output.scale
    smooth, current, left, wanted = np.zeros(2), 2, 0, []
    for row in scores:  # 7.8125 results a second: 0.25 s are 2 of them, 1 s is 8
        smooth += (row - smooth) / 2
        held, left = left > 0, max(left - 1, 0)
        if current != 0 or smooth[0] < 0.4:
            current = 2
            if not held and smooth[0] >= 0.6 and smooth[0] > smooth[1]:
                current, left = 0, 8
        wanted.append(current)
    assert np.mean(played.decisions == wanted) > 0.98
    found = detections(program, played, background_of(program))
    assert {each.label for each in found} == {"high"}
    assert all(b.start - a.start > 1.0 for a, b in pairwise(found))
    assert trained.detections is not None
    assert trained.detections.hits + trained.detections.missed == trained.detections.events > 0
    assert program.meta["training"]["detections"]["seconds"] == trained.heard > 0


@pytest.mark.parametrize("threshold", [None, 0.9])
def test_a_vote_behind_the_model(threshold: float | None) -> None:
    text = TONES.format(kind="log_mel") + "[after]\nvote = 0.4"  # 3 results
    text += "" if threshold is None else f"\nthreshold = {threshold}"
    pipeline = parse_pipeline(text, "tones")
    trained = train_pipeline(tones(), pipeline, name="tones", seed=3)
    program, plain = trained.program, replace(pipeline, after=None).program(trained.model, 1)
    assert program.labels == ("high", "low", "reject")[: 2 if threshold is None else 3]
    assert background_of(program) == {"reject"}
    day = np.concatenate([item.data for item in tones(9).items])
    played, without = (simulate(each, day, 1000.0) for each in (program, plain))
    scores = without.outputs * program.output.scale
    votes = np.where(scores.max(axis=1) < (threshold or 0) - 1e-6, 2, scores.argmax(axis=1))
    assert (np.count_nonzero(votes == 2) > 3) == (threshold is not None)
    for i in range(2, len(votes)):
        last = votes[i - 2 : i + 1].tolist()
        wanted = max(last, key=lambda each: (last.count(each), last[::-1].index(each) * -1))
        assert played.decisions[i] == wanted


@pytest.mark.parametrize("model", ["mlp", "boosting", "tree", "forest"])
def test_every_kind_of_model_may_have_something_behind_it(model: str) -> None:
    text = (
        TONES.format(kind="log_mel").replace('"forest"', f'"{model}"') + "[after]\nhold_off = 0.2"
    )
    trained = train_pipeline(tones(), parse_pipeline(text, "tones"), name="tones", seed=3)
    assert trained.program.labels == ("high", "low", "reject")
    for number, label in enumerate(("high", "low")):
        sound = np.concatenate([item.data for item in tones(9).items if item.label == label])
        decisions = simulate(trained.program, sound, 1000.0).decisions
        right, wrong = (np.count_nonzero(decisions == each) for each in (number, 1 - number))
        assert right > 0.4 * len(decisions)
        assert right > 2 * wrong


AFTER_WRONG = {
    "threshold = 'x'": "after: threshold = 'x': expected a number",
    "hold_of = 1": "did you mean 'hold_off'?",
    "hold_off = -1": "after: hold_off = -1: expected seconds, 0 or more",
    "hold_off = 1e5": "after: hold_off = 100000.0: expected at most",
    "threshold = 0.5\nrelease = 0.6": "after: release 0.6 is above the threshold 0.5",
    "threshold = 1.5": "after: threshold = 1.5: expected 0 to 1",
    "vote = 1\nhold_off = 2": "after: hold_off: not with vote",
    "vote = 100": "after: vote = 100: expected at most 32.64 seconds, which are 255 results",
    "smoothing = 1e5": "after: smoothing = 100000.0: expected at most 4194 seconds",
    "background = ['wind']": "after: no class 'wind'",
    "background = ['high', 'low']": "after: no class of high, low could start",
}


@pytest.mark.parametrize("text", AFTER_WRONG)
def test_wrong_ends_are_refused_with_the_place(text: str) -> None:
    whole = TONES.format(kind="log_mel") + "[after]\n" + text
    with pytest.raises((FormatError, UsageError)) as caught:
        train_pipeline(tones(), parse_pipeline(whole, "mine.toml"), name="tones")
    assert "mine.toml, " in str(caught.value)
    assert AFTER_WRONG[text] in str(caught.value)


def test_copies_that_are_too_loud_or_too_short_are_refused() -> None:
    for option, message in (
        ("gain_db = [100, 100]", "augment: of the copies: expected recordings within int16"),
        ("speed = [10, 10]", "augment: of the copies: expected recordings of at least one window"),
    ):
        unpadded = TONES.format(kind="log_mel").replace("pad = true", "")
        whole = f"{unpadded}[augment]\n{option}"
        with pytest.raises(DataError, match=message):
            train_pipeline(tones(), parse_pipeline(whole, "tones"), name="tones")


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_out_of_range_are_refused(seed: int) -> None:
    pipeline = parse_pipeline(TONES.format(kind="log_mel"), "tones")
    with pytest.raises(UsageError, match="seed: expected a whole number from 0"):
        train_pipeline(tones(), pipeline, name="tones", seed=seed)


@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan")])
def test_a_rate_of_the_command_line_is_a_number_above_0(rate: float) -> None:
    with pytest.raises(UsageError, match=r"audio: rate = .*: expected a number above 0"):
        replace(load_pipeline("audio"), rate=rate)
