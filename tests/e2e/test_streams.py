"""Streams in real MicroPython: push and reset, without allocating, with any cuts."""

from __future__ import annotations

import json
import textwrap
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streams import blocks_of, cuts_of, samples_of, stream_programs
from wingbeat import runner
from wingbeat.program import Program
from wingbeat.stream import Stream
from wingbeat.targets import TARGETS, open_target
from wingbeat.targets.unix import UnixTarget

each_target = pytest.mark.parametrize("target", TARGETS)
each_program = pytest.mark.parametrize("name", list(stream_programs()))

_PUSH = """
    import array, json, micropython
    from {name} import Model
    lengths = {lengths}
    with open("x.bin", "rb") as file:
        x = memoryview(array.array("{typecode}", file.read()))
    arena = bytearray({arena})
    out = bytearray({output})
    blocks, at = [], 0
    for length in lengths:
        blocks.append(x[at : at + length])
        at += length
    answers, outputs = [None] * len(blocks), [bytearray(len(out)) for _ in blocks]
    for model in (Model(), Model(arena)):
        for again in range(2):
            push, number, block = model.push, 0, None
            micropython.heap_lock()
            for block in blocks:
                answers[number] = push(block) if again else push(block, outputs[number])
                number += 1
            micropython.heap_unlock()
            model.reset()
            print(json.dumps(answers))
    print(json.dumps([list(each) for each in outputs]))
"""


def execute(target: str, program: Program, script: str, x: bytes = b"") -> str:
    with open_target(target) as machine:
        files = {f"{program.name}.mpy": program.assemble(machine.arch).data, "x.bin": x}
        return machine.execute(textwrap.dedent(script), files, timeout=240.0).stdout


@each_target
@each_program
def test_pushed_blocks_give_the_results_of_numpy(target: str, name: str) -> None:
    program = stream_programs()[name]
    x = samples_of(program, 700)
    lengths = cuts_of(np.random.default_rng(len(name)), len(x), 40)
    script = textwrap.dedent(_PUSH).format(
        name=name,
        lengths=[length * program.channels for length in lengths],
        typecode=program.input.typecode,
        arena=program.arena,
        output=program.output.n_elements * program.output.dtype.itemsize,
    )
    *answers, outputs = map(
        json.loads, execute(target, program, script, x.tobytes()).split("\n")[:5]
    )
    stream, expected, last = Stream(program), [], []
    for block in blocks_of(x, lengths):
        part = stream.results(block)
        due = len(part.decisions) > 0
        expected.append(int(part.decisions[-1]) if due else None)
        size = part.outputs.dtype.itemsize * program.output.n_elements
        last.append(list(part.outputs[-1].tobytes()) if due else [0] * size)
    if name == "raw":
        expected = [None if each is None else True for each in expected]
    assert answers == [expected] * 4
    assert outputs == last


@each_target
@each_program
def test_long_streams_are_pushed_in_parts(
    target: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine is started anew for each part of a recording, and goes on where it was."""
    program = stream_programs()[name]
    x = samples_of(program, 200)
    block = 3 if target == "unix" else 12
    size = program.channels * program.input.dtype.itemsize * block
    with open_target(target) as machine:
        module = program.assemble(machine.arch)
        monkeypatch.setattr(runner, "_BYTES_PER_BATCH", 5 * size)
        pushed = runner.push_module(machine, module, x, block=block)
    results = _last_of_each_block(program, x, block)
    assert pushed.blocks.tolist() == list(results)
    assert pushed.decisions.tolist() == [decision for decision, _ in results.values()]
    np.testing.assert_array_equal(pushed.outputs, [output for _, output in results.values()])
    if pushed.ticks is not None:
        assert len(pushed.ticks) == -(-len(x) // block)
        assert pushed.ticks.min() > 0


def _last_of_each_block(
    program: Program, x: NDArray[Any], block: int
) -> dict[int, tuple[int, NDArray[Any]]]:
    stream, found = Stream(program), {}
    for number, start in enumerate(range(0, len(x), block)):
        part = stream.results(x[start : start + block])
        if len(part.decisions):
            found[number] = (int(part.decisions[-1]), part.outputs[-1])
    return found


_HUGE = """
    from octets import Model
    model, small = Model(), Model()
    block = b"wing" * 640000
    last = model.push(block)
    for _ in range(640):
        expected = small.push(memoryview(block)[:4000])
    print(last == expected, len(block))
"""


def test_a_block_may_be_of_any_length() -> None:
    """As much as a board with megabytes of memory may have recorded."""
    machine = UnixTarget(heap_size=16_000_000)
    module = stream_programs()["octets"].assemble(machine.arch)
    done = machine.execute(textwrap.dedent(_HUGE), {"octets.mpy": module.data})
    assert done.stdout == "True 2560000\n"


_CHECKS = """
    import array
    from motion import Model
    BLOCK = "block: expected int16 samples of 3 channels: array('h') or bytes, any whole number"
    OUTPUT = "output: expected int16[3]"
    def refused(kind, text, call, *args):
        try:
            result = call(*args)
        except Exception as error:
            if type(error) is not kind or text not in str(error):
                print("expected", kind, text, "but got", type(error), error, "for", args)
        else:
            print("expected", kind, text, "but got", result, "for", args)
    model = Model()
    odd = memoryview(bytearray(13))[1:]
    for wrong in (bytes(1), bytes(5), bytes(7), array.array("h", [0] * 4), odd):
        refused(ValueError, BLOCK, model.push, wrong)
    for wrong in (None, 3, array.array("i", [0] * 3), array.array("H", [0] * 3), [0, 0, 0]):
        refused(TypeError, BLOCK, model.push, wrong)
    refused(ValueError, OUTPUT, model.push, bytes(6), bytearray(5))
    refused(TypeError, OUTPUT, model.push, bytes(6), bytes(6))
    refused(TypeError, "", model.push)
    refused(TypeError, "", model.push, bytes(6), bytearray(6), 1)
    refused(TypeError, "", Model.push, 1, bytes(6))
    refused(TypeError, "", Model.reset, 1)
    window, out = bytes(48), bytearray(6)
    assert model.push(b"") is None
    assert [model.predict(window) for _ in range(4)] == [None, None] + [model.predict(window)] * 2
    loud = bytes([0, 64] * 24)
    for index in range(6):
        out[index] = 99
    model.reset()
    model.run(loud, out)
    model.run(loud, out)
    assert bytes(out) == bytes([99] * 6)
    model.run(loud, out)
    assert bytes(out) != bytes([99] * 6)
    refused(ValueError, "input: expected int16[8, 3]", model.predict, bytes(47))
    arena = bytearray(model.info["arena"])
    mine = Model(arena)
    for _ in range(10):
        mine.push(window)
    assert any(arena)
    print("done")
"""


@each_target
def test_what_users_get_wrong_is_named(target: str) -> None:
    program = stream_programs()["motion"]
    assert execute(target, program, _CHECKS) == "done\n"


@each_target
def test_damaged_streams_are_refused(target: str) -> None:
    """The header's fields of the stream under a right checksum."""
    program = stream_programs()["motion"]
    wrong = replace(program, name="wrong", stream_tensor=1)
    script = """
        from wrong import Model
        try:
            Model()
        except ValueError as error:
            print(error)
    """
    assert execute(target, wrong, script) == "program damaged: bad layout\n"
