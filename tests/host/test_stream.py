"""Streams in NumPy: any cuts give the same results, and those of windows cut by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from programs import small_model
from streams import blocks_of, cuts_of, samples_of, stream_programs
from wingbeat.errors import FormatError, UsageError
from wingbeat.program import Decision, Descriptor, Program, ProgramBuilder
from wingbeat.reference import Cast, WindowStats, persistent_operands
from wingbeat.reference.window import Window
from wingbeat.stream import Stream, pace_of
from wingbeat.stubs import stub_of

each_program = pytest.mark.parametrize("name", list(stream_programs()))


@each_program
def test_any_cuts_give_the_same_results(name: str) -> None:
    program = stream_programs()[name]
    x = samples_of(program, 1500)
    whole = Stream(program).results(x)
    assert len(whole.decisions) > 10
    rng = np.random.default_rng(1)
    for longest in (1, 3, 17, 60, 200):
        stream, decisions, outputs, pushed, completed = Stream(program), [], [], [], 0
        other = Stream(program)
        for block in blocks_of(x, cuts_of(rng, len(x), longest)):
            part = stream.results(block)
            decisions += part.decisions.tolist()
            outputs += list(part.outputs)
            last = other.push(block.ravel())
            assert last == (part.decisions[-1] if len(part.decisions) else None)
            pushed.append(last)
            completed += len(part.ends)
        assert decisions == whole.decisions.tolist()
        np.testing.assert_array_equal(outputs, whole.outputs)
        assert completed == len(whole.ends)


@each_program
def test_reset_starts_anew(name: str) -> None:
    program = stream_programs()[name]
    x = samples_of(program, 300)
    stream = Stream(program)
    first = stream.results(x)
    stream.push(x[:1])
    stream.reset()
    again = stream.results(x)
    np.testing.assert_array_equal(first.outputs, again.outputs)
    np.testing.assert_array_equal(first.ends, again.ends)


def test_results_are_those_of_windows_cut_by_hand() -> None:
    """Motion: windows of 20 samples every 8, the first after 24, which is 3 blocks."""
    program = stream_programs()["motion"]
    x = samples_of(program, 200)
    results = Stream(program).results(x)
    assert results.ends.tolist() == list(range(3, 26))
    window, *rest = program.calls
    assert isinstance(window.operator, Window)
    windows = np.stack([x[end * 8 - 20 : end * 8].ravel() for end in results.ends])
    values: NDArray[Any] = windows
    for call in rest:
        (values,) = call.operator.apply(values)
    np.testing.assert_array_equal(results.outputs, values)
    np.testing.assert_array_equal(results.decisions, values.argmax(axis=1))


@pytest.mark.parametrize(
    ("n_window", "n_new", "hop"), [(5, 1, 1), (8, 4, 4), (6, 3, 9), (4, 4, 12)]
)
def test_windows_start_as_soon_as_they_are_full(n_window: int, n_new: int, hop: int) -> None:
    builder = ProgramBuilder(Descriptor("h", (n_new,)))
    program = builder.finish("w", builder.add(Window(n_window, n_new, hop, 1), 0), Decision.NONE)
    x = np.arange(100, dtype=np.int16)
    outputs = Stream(program).results(x).outputs
    # The first end that is a whole number of inputs, then one each hop.
    first = -(-n_window // n_new) * n_new
    ends = np.arange(first, len(x) // n_new * n_new + 1, hop)
    np.testing.assert_array_equal(outputs, sliding_window_view(x, n_window)[ends - n_window])


@each_program
def test_run_repeats_the_last_result(name: str) -> None:
    program = stream_programs()[name]
    x = samples_of(program, 20 * program.input.n_elements // program.channels)
    rows = x.reshape(20, *program.input.shape)
    outputs = program.run(rows)
    results = Stream(program).run(rows)
    assert 0 < len(results.ends) < 20
    last = np.zeros(program.output.shape, program.output.dtype)
    for number in range(20):
        if number + 1 in results.ends:
            last = results.outputs[list(results.ends).index(number + 1)]
        np.testing.assert_array_equal(outputs[number], last)


@each_program
def test_programs_survive_their_bytes(name: str) -> None:
    program = stream_programs()[name]
    again = Program.decode(program.encode(), name)
    assert again.encode() == program.encode()
    assert again.takes_stream
    assert again.channels == program.channels


@each_program
def test_what_is_kept_ends_the_arena_and_shares_nothing(name: str) -> None:
    program = stream_programs()[name]
    start = program.tensors[program.stream_tensor].place
    assert start is not None
    kept = {program.stream_tensor}
    for call in program.calls:
        kept.update(call.operands[slot] for slot in persistent_operands(call.operator))
    spans = []
    for index, tensor in enumerate(program.tensors[1:], 1):
        assert tensor.place is not None
        assert (tensor.place >= start) == (index in kept)
        if index in kept:
            spans.append((tensor.place, tensor.place + -(-tensor.size // 4) * 4))
    spans.sort()
    assert spans[0][0] == start
    assert spans[-1][1] == program.arena
    assert all(end == following for (_, end), (following, _) in pairwise(spans))


@each_program
def test_the_pace_is_what_comes(name: str) -> None:
    program = stream_programs()[name]
    pace = pace_of(program)
    assert pace.samples * program.channels == program.input.n_elements
    ends = Stream(program).results(samples_of(program, 900)).ends * pace.samples
    assert ends[0] == pace.window
    assert set(np.diff(ends)) == {pace.hop}


@pytest.mark.parametrize("sizes", [(3, 2, 5, 2, 1, 2), (7, 3, 4, 3, 2, 7), (5, 1, 3, 4, 3, 3)])
def test_the_pace_of_windows_that_do_not_divide_each_other(sizes: tuple[int, ...]) -> None:
    window, new, hop, outer, outer_new, outer_hop = sizes
    builder = ProgramBuilder(Descriptor("h", (new,)))
    inner = builder.add(Window(window, new, hop, 1), 0)
    stats = builder.add(WindowStats(window, 1, ("mean", "min", "max")[:outer_new]), inner)
    last = builder.add(Window(outer, outer_new, outer_hop, 1), stats)
    program = builder.finish("two", last, Decision.NONE)
    pace = pace_of(program)
    ends = Stream(program).results(np.arange(6000, dtype=np.int16)).ends * new
    assert ends[0] == pace.window
    assert float(pace.hop) == pytest.approx((ends[-1] - ends[0]) / (len(ends) - 1), rel=0.01)
    assert pace.shares[0] == 1
    assert float(pace.shares[-1]) == pytest.approx(new / hop)


def test_what_users_get_wrong_is_named() -> None:
    motion = stream_programs()["motion"]
    with pytest.raises(UsageError, match="takes one input a run, not a stream: use run"):
        Stream(small_model())
    with pytest.raises(UsageError, match=r"takes a stream: use wingbeat\.stream.Stream"):
        motion.predict(np.zeros((1, 8, 3), np.int16))
    stream = Stream(motion)
    for wrong in (
        np.zeros((4, 2), np.int16),
        np.zeros(4, np.int16),
        np.zeros((4, 3), np.int32),
        np.zeros((1, 4, 3), np.int16),
    ):
        with pytest.raises(UsageError, match=r"expected int16 \[samples, 3\], any number"):
            stream.push(wrong)
    assert stream.push(np.zeros((0, 3), np.int16)) is None
    builder = ProgramBuilder(Descriptor("b", (2, 300)))
    window = builder.add(Window(2, 2, 2, 300, "b"), 0)
    with pytest.raises(UsageError, match="300 channels: a stream has at most 255"):
        builder.finish("wide", window, Decision.NONE)
    for bad in ({"n_new": 0}, {"n_new": 6}, {"hop": 1}, {"width": 0}, {"typecode": "d"}):
        with pytest.raises(UsageError, match="window: "):
            replace(Window(5, 2, 2, 1), **bad)
    with pytest.raises(UsageError, match="not every row completes a window"):
        Window(5, 2, 2, 1).apply(np.zeros((3, 2), np.int16))


def test_stubs_have_push_and_reset() -> None:
    text = stub_of(stream_programs()["motion"])
    compile(text, "motion.pyi", "exec")
    assert "def push(" in text
    assert "def reset(self)" in text
    assert "any number of samples of 3 int16" in text
    assert "At most 8 samples have one result" in text
    assert "def push(" not in stub_of(small_model())


def test_inconsistent_streams_are_refused() -> None:
    motion = stream_programs()["motion"]
    for wrong in (
        replace(motion, channels=0),
        replace(motion, stream_tensor=0),
        replace(motion, stream_tensor=1),
        replace(motion, channels=5),
    ):
        with pytest.raises(FormatError, match="its stream is not what it needs"):
            Program.decode(wrong.encode(), "motion")
    builder = ProgramBuilder(Descriptor("b", (6,)))
    still = builder.finish("still", builder.add(Cast(6, "b"), 0), Decision.NONE)
    with pytest.raises(FormatError, match="its stream is not what it needs"):
        Program.decode(replace(still, stream_tensor=1, channels=1).encode(), "still")
