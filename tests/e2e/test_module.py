"""Whole modules in real MicroPython: all vectors, the device API, and damaged files."""

from __future__ import annotations

import json
import struct
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from programs import program_of, small_model
from vectors import Case, all_cases
from vectors.forest import Shape, random_forest
from wingbeat.assemble import Module
from wingbeat.convert import convert
from wingbeat.mpy import Mpy
from wingbeat.program import Call, Decision, Descriptor, Program, Tensor
from wingbeat.reference import DTYPES, Cast, Leaves
from wingbeat.romfs import romfs_image
from wingbeat.targets import TARGETS, open_target

each_target = pytest.mark.parametrize("target", TARGETS)


@dataclass(frozen=True)
class Limits:
    """Of one start: bytes of the arena that all vectors share, of one program, of all files."""

    arena: int = 60_000
    program: int = 2_000_000
    files: int = 5_000_000
    modules: int = 4


_LIMITS = {
    **dict.fromkeys(TARGETS, Limits()),
    # Its ROMFS has 256 KB.
    "rp2040": Limits(program=150_000, files=200_000, modules=4),
    "xtensa": Limits(files=3_500_000, modules=12),
    "unix": Limits(arena=400_000, program=200_000, files=1_500_000, modules=1000),
}


def execute(target: str, script: str, files: dict[str, bytes] | None = None) -> str:
    with open_target(target) as machine:
        return machine.execute(textwrap.dedent(script), files or {}, timeout=240.0).stdout


def assembled(program: Program, target: str) -> Module:
    with open_target(target) as machine:
        return program.assemble(machine.arch)


# ---- All vectors


@dataclass(frozen=True)
class _Given:
    """An operator whose parameters were encoded before."""

    case: Case

    @property
    def OPCODE(self) -> int:  # noqa: N802
        return self.case.operator.OPCODE

    @property
    def KERNEL(self) -> str:  # noqa: N802
        return self.case.operator.KERNEL

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        return self.case.operator.inputs

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        return self.case.operator.outputs

    @property
    def scratch(self) -> tuple[tuple[str, int], ...]:
        return self.case.operator.scratch

    @property
    def in_place(self) -> tuple[tuple[int, int], ...]:
        return self.case.operator.in_place

    def encode(self) -> bytes:
        return self.case.params

    def apply(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        return self.case.operator.apply(*inputs)


def _padded(size: int) -> int:
    return (size + 3) // 4 * 4


def _arena_of(case: Case) -> int:
    kept = {each.position: each.after for each in case.memory}
    arrays = dict(enumerate((*case.inputs, *case.outputs))) | kept
    return sum(_padded(array.nbytes) for array in arrays.values())


def _scratch_of(case: Case) -> int:
    return sum(_padded(DTYPES[code].itemsize * n) for code, n in case.operator.scratch)


@dataclass(frozen=True)
class Batch:
    """Many cases as one program, which takes all inputs from its arena.

    Attributes
    ----------
    before, after : bytes
        The arena with the inputs, and with the outputs as well.
    ends : tuple of int
        Where each case's part of the arena ends.
    """

    program: Program
    before: bytes
    after: bytes
    ends: tuple[int, ...]
    cases: tuple[Case, ...]

    def case_at(self, offset: int) -> str:
        number = next(i for i, end in enumerate(self.ends) if offset < end)
        return f"{self.cases[number].operator.KERNEL}: {self.cases[number].name}"


def _batch(name: str, cases: Sequence[Case]) -> Batch:
    # The program's own input and output are not used.
    tensors = [Tensor("B", 4, None), Tensor("B", 4, 0)]
    before, after = bytearray(4), bytearray(4)
    calls, ends = [], []
    # All cases share the memory behind the last one's for their scratch.
    behind = len(before) + sum(map(_arena_of, cases))
    for case in cases:
        first, place = len(tensors), behind
        operator = case.operator
        kinds = (*operator.inputs, *operator.outputs, *operator.scratch)
        arrays = dict(enumerate((*case.inputs, *case.outputs)))
        given = dict(enumerate(case.inputs)) | {each.position: each.before for each in case.memory}
        arrays |= {each.position: each.after for each in case.memory}
        for position, (typecode, n_elements) in enumerate(kinds):
            if position in arrays:
                tensors.append(Tensor(typecode, n_elements, len(before)))
                data = arrays[position].tobytes()
                size = _padded(len(data))
                old = given[position].tobytes() if position in given else b""
                before += old.ljust(size, b"\0")
                after += data.ljust(size, b"\0")
            else:
                tensors.append(Tensor(typecode, n_elements, place))
                place += _padded(DTYPES[typecode].itemsize * n_elements)
        calls.append(Call(_Given(case), tuple(range(first, len(tensors)))))
        ends.append(len(before))
    unused = Descriptor("B", (4,))
    arena = behind + max(map(_scratch_of, cases))
    program = Program(
        name, tuple(tensors), tuple(calls), unused, unused, 1, 1, Decision.NONE, arena
    )
    return Batch(program, bytes(before), bytes(after), tuple(ends), tuple(cases))


def _batches(cases: Sequence[Case], arena: int, program: int) -> Iterator[list[Case]]:
    """Split the cases, each batch of one kernel and within bytes of its arena and its program."""
    batch: list[Case] = []
    for case in cases:
        longer = [*batch, case]
        if batch and (
            sum(map(_arena_of, longer)) + max(map(_scratch_of, longer)) > arena
            or sum(len(each.params) for each in longer) > program
            or batch[0].operator.KERNEL != case.operator.KERNEL
        ):
            yield batch
            batch = []
        batch.append(case)
    yield batch


@cache
def _vectors() -> tuple[Case, ...]:
    # A run that is not due would end the program, which has other cases behind it.
    return tuple(case for case in all_cases(1) if case.due)


_RUN_VECTORS = """
    import gc, json, sys
    arena = bytearray({arena})
    view = memoryview(arena)
    chunk = bytearray(512)
    wrong = []
    for name in {names}:
        gc.collect()
        model = __import__(name).Model(arena)
        with open(name + ".in", "rb") as file:
            file.readinto(view)
        model.run(bytes(4), bytearray(4))
        with open(name + ".out", "rb") as file:
            at = 0
            while True:
                n = file.readinto(chunk)
                if not n:
                    break
                if view[at : at + n] != memoryview(chunk)[:n]:
                    wrong += [(name, at + i) for i in range(n) if view[at + i] != chunk[i]][:1]
                at += n
        del model, sys.modules[name]
    print(json.dumps(wrong))
"""


@each_target
def test_all_vectors(target: str) -> None:
    """Every case gives the reference's bits; on boards without those larger than their memory."""
    limits = _LIMITS[target]
    limit = limits.arena - 4
    cases = [case for case in _vectors() if _arena_of(case) + _scratch_of(case) <= limit]
    batches = {
        f"v{number}": _batch(f"v{number}", batch)
        for number, batch in enumerate(_batches(cases, limit, limits.program))
    }
    assert sum(len(batch.cases) for batch in batches.values()) > 0.99 * len(_vectors())
    files: dict[str, bytes] = {}
    names: list[str] = []
    for name, batch in batches.items():
        more = {
            f"{name}.mpy": assembled(batch.program, target).data,
            f"{name}.in": batch.before,
            f"{name}.out": batch.after,
        }
        size = sum(map(len, files.values())) + sum(map(len, more.values()))
        if size > limits.files or len(names) == limits.modules:
            _run_batches(target, names, files, batches)
            names, files = [], {}
        names.append(name)
        files |= more
    _run_batches(target, names, files, batches)


def _run_batches(
    target: str, names: list[str], files: dict[str, bytes], batches: dict[str, Batch]
) -> None:
    script = textwrap.dedent(_RUN_VECTORS).format(arena=_LIMITS[target].arena, names=names)
    wrong = json.loads(execute(target, script, files))
    assert [batches[name].case_at(at) for name, at in wrong] == []


# ---- The device API

_CHECKS = """
    import array, gc, micropython, sys
    from small import Model
    INPUT = "input: expected int16[4, 2]: array('h') of 8"
    OUTPUT = "output: expected uint16[3]: array('H') of 3"
    ARENA = "arena: expected a buffer of {arena} bytes"
    X = array.array("h", {x})
    ANSWER, SUMS = {answer}, {sums}
    def refused(kind, text, call, *args, **named):
        try:
            result = call(*args, **named)
        except Exception as error:
            if type(error) is not kind or text not in str(error):
                print("expected", kind, text, "but got", type(error), error, "for", args)
        else:
            print("expected", kind, text, "but got", result, "for", args)
    def same(found, wanted):
        if found != wanted:
            print("expected", wanted, "but got", found)
    def outputs(model, x=X):
        out = array.array("H", [0] * 3)
        same(model.run(x, out), None)
        return list(out)
"""


@cache
def _row() -> NDArray[np.int16]:
    return np.array([[100, -3], [-20, 32767], [5, -32768], [0, 9]], np.int16)


def check(target: str, script: str, more: dict[str, bytes] | None = None) -> None:
    """Run checks against `small.mpy`; they print nothing if all is well."""
    program = small_model()
    setup = textwrap.dedent(_CHECKS).format(
        arena=program.arena,
        x=_row().ravel().tolist(),
        answer=int(program.predict(_row())),
        sums=program.run(_row()).tolist(),
    )
    files = {"small.mpy": assembled(program, target).data, **(more or {})}
    assert execute(target, setup + textwrap.dedent(script), files) == ""


@each_target
def test_answers_without_allocating(target: str) -> None:
    script = """
        out = array.array("H", [0] * 3)
        arena = bytearray(ARENA_SIZE)
        answer = other = None  # a new name could make the dictionary of names grow
        for model in (Model(), Model(arena), Model(memoryview(arena))):
            predict, run = model.predict, model.run
            micropython.heap_lock()
            answer = predict(X)
            other = model.predict(X)
            run(X, out)
            model.run(X, out)
            micropython.heap_unlock()
            same((answer, other, list(out)), (ANSWER, ANSWER, SUMS))
    """
    check(target, script.replace("ARENA_SIZE", str(small_model().arena)))


@each_target
def test_takes_any_buffer(target: str) -> None:
    script = """
        model = Model()
        raw = bytes(X)
        views = [memoryview(kind) for kind in (X, raw, bytearray(raw))]
        for x in [X, raw, bytearray(raw)] + views:
            same((model.predict(x), outputs(model, x)), (ANSWER, SUMS))
        longer = bytearray(b"abcd" + raw + b"efgh")
        same(model.predict(memoryview(longer)[4:20]), ANSWER)
        items = array.array("h", [1] + list(X) + [2])
        same(model.predict(memoryview(items)[1:9]), ANSWER)
        for out in (bytearray(6), array.array("H", [0] * 3)):
            for view in (out, memoryview(out)):
                model.run(X, view)
                same(bytes(out), bytes(array.array("H", SUMS)))
        longer = bytearray(b"abcdefghijkl")
        model.run(X, memoryview(longer)[4:10])
        same(bytes(longer), b"abcd" + bytes(array.array("H", SUMS)) + b"kl")
    """
    check(target, script)


@each_target
def test_refuses_other_buffers(target: str) -> None:
    """And says what was expected."""
    script = """
        model = Model()
        out = array.array("H", [7] * 3)
        raw = bytes(X)
        odd = memoryview(bytearray(b"a" + raw))[1:]
        kinds = [array.array(code, [0] * (16 // size)) for code, size in
                 (("b", 1), ("H", 2), ("i", 4), ("I", 4), ("f", 4))]
        others = [None, 5, 5.5, [1] * 8, (1,) * 8, {}, Model, model, model.predict, print]
        for bad in kinds + others:
            refused(TypeError, INPUT, model.predict, bad)
            refused(TypeError, INPUT, model.run, bad, out)
        for bad in (b"", raw[:-1], raw[:-2], raw + b"a", raw + raw, odd, array.array("h"),
                    array.array("h", [1] * 7), array.array("h", [1] * 9), memoryview(X)[1:]):
            refused(ValueError, INPUT, model.predict, bad)
            refused(ValueError, INPUT, model.run, bad, out)
        for bad in ([0] * 3, None, "", array.array("h", [0] * 3), array.array("f", [0]), model):
            refused(TypeError, OUTPUT, model.run, X, bad)
        for bad in (bytearray(5), bytearray(7), bytearray(), array.array("H", [0] * 2),
                    memoryview(bytearray(8))[1:7]):
            refused(ValueError, OUTPUT, model.run, X, bad)
        same(list(out), [7] * 3)
        refused(TypeError, "", model.predict)
        refused(TypeError, "", model.predict, X, X)
        refused(TypeError, "", model.run, X)
        refused(TypeError, "", model.run, X, out, out)
        refused(TypeError, "", model.predict, x=X)
        refused(TypeError, "", model.run, X, out=out)
        same((model.predict(X), outputs(model)), (ANSWER, SUMS))
    """
    check(target, script)


@each_target
def test_does_not_write_where_nobody_may(target: str) -> None:
    script = """
        model = Model()
        data = bytes([7] * 6)
        writable = bytearray(12)
        for bad in (data, memoryview(data), memoryview(b"abcdefgh")[2:8], "abcdef"):
            refused(TypeError, OUTPUT, model.run, X, bad)
        same(data, bytes([7] * 6))
        arena = bytes(ARENA_SIZE)
        for bad in (arena, memoryview(arena)):
            refused(TypeError, "", Model, bad)
        same(arena, bytes(ARENA_SIZE))
    """
    check(target, script.replace("ARENA_SIZE", str(small_model().arena)))


@each_target
def test_refuses_another_self(target: str) -> None:
    script = """
        import other
        out = array.array("H", [0] * 3)
        for bad in (5, None, X, Model, "a", other.Model(), object()):
            refused(TypeError, "", Model.predict, bad, X)
            refused(TypeError, "", Model.run, bad, X, out)
        same(Model.predict(Model(), X), ANSWER)
    """
    check(target, script, {"other.mpy": assembled(small_model("other"), target).data})


@each_target
def test_arena_of_the_caller(target: str) -> None:
    script = """
        size = ARENA_SIZE
        for bad in (bytearray(size - 1), bytearray(size - 4), bytearray(),
                    memoryview(bytearray(size + 4))[1:], memoryview(bytearray(size + 4))[2:]):
            refused(ValueError, ARENA, Model, bad)
        for bad in (5, "a", [1], X.append):
            refused(TypeError, "", Model, bad)
        refused(TypeError, "", Model, bytearray(size), bytearray(size))
        refused(TypeError, "", Model, buffer=bytearray(size))
        refused(TypeError, "", Model, bytearray(size), x=1)
        for arena in (bytearray(size), bytearray(size + 100), array.array("i", [0] * size)):
            model = Model(arena)
            same((model.predict(X), outputs(model)), (ANSWER, SUMS))
        if hasattr(bytearray, "extend"):
            arena = bytearray(size)
            model = Model(arena)
            others = []
            for i in range(50):
                arena.extend(bytes(100))
                others.append(bytearray(100))
                same((model.predict(X), outputs(model)), (ANSWER, SUMS))
        arena = bytearray(size + 8)
        try:
            model = Model(arena)
            arena[size - 4 :] = b""
        except (TypeError, NotImplementedError):
            arena = None
        if arena is not None:
            refused(ValueError, ARENA, model.predict, X)
            refused(ValueError, ARENA, model.run, X, array.array("H", [0] * 3))
            arena.extend(bytes(8))
            same((model.predict(X), outputs(model)), (ANSWER, SUMS))
    """
    check(target, script.replace("ARENA_SIZE", str(small_model().arena)))


@each_target
def test_no_memory_is_an_error(target: str) -> None:
    script = """
        kept = Model()
        blocks = []
        size = 4096
        def fill():
            global size
            while size >= 16:
                try:
                    blocks.append(bytearray(size))
                except MemoryError:
                    size //= 2
        made = []
        fill()
        try:
            while True:
                made.append(Model())
        except MemoryError:
            pass
        except Exception as error:
            blocks = None
            print("expected MemoryError but got", type(error), error)
        answer = kept.predict(X)
        blocks = made = None
        gc.collect()
        same((answer, Model().predict(X)), (ANSWER, ANSWER))
    """
    check(target, script)


@each_target
def test_subclass(target: str) -> None:
    script = """
        class Named(Model):
            def __init__(self, name, *args):
                super().__init__(*args)
                self.name = name
            def word(self, x):
                return self.labels[self.predict(x)]
        class Empty(Model):
            def __init__(self):
                self.early = None
                try:
                    self.early = self.predict(X)
                except (TypeError, AttributeError):
                    pass
        named = Named("a")
        same((named.word(X), named.name, outputs(named)), (Model.labels[ANSWER], "a", SUMS))
        same(Named("b", bytearray(1000)).predict(X), ANSWER)
        same(Empty().predict(X), ANSWER)
    """
    check(target, script)


@each_target
def test_models_outlive_their_module(target: str) -> None:
    script = """
        import other, small
        first, second, third = Model(), small.Model(), other.Model()
        predict = third.predict
        del sys.modules["small"], sys.modules["other"], small, other
        for i in range(5):
            gc.collect()
            junk = [bytearray(500) for _ in range(60)]
            for block in junk:
                for at in range(0, 500, 50):
                    block[at] = 0xff
            junk = None
            for model in (first, second, third, Model(), type(third)()):
                same((model.predict(X), outputs(model)), (ANSWER, SUMS))
            same(predict(X), ANSWER)
        import other
        same(other.Model is type(third), False)
        refused(TypeError, "", other.Model.predict, third, X)
        same(other.Model().predict(X), ANSWER)
    """
    check(target, script, {"other.mpy": assembled(small_model("other"), target).data})


@each_target
def test_says_what_it_is(target: str) -> None:
    program = small_model()
    script = f"""
        import small
        step = {program.output.scale!r}
        for model in (Model, Model()):
            same(model.labels, {program.labels!r})
            same(abs(model.scale - step) < 1e-6 * step, True)
            info = model.info
            same(info["name"], "small")
            same(info["format"], 1)
            same(info["hash"], {program.hash!r})
            same(info["arena"], {program.arena})
            same(info["input"], ("int16", (4, 2), 1.0, 0))
            same(info["output"][:2], ("uint16", (3,)))
        same(Model.__name__, "Model")
        same(hasattr(small, "Model"), True)
    """
    check(target, script)


@each_target
def test_program_without_a_decision_has_no_prediction(target: str) -> None:
    module = assembled(program_of("wide", Cast(4, "b")), target)
    script = """
        import wide
        model = wide.Model()
        refused(TypeError, "this model has several outputs: use run()", model.predict, bytes(4))
        out = array.array("h", [0] * 4)
        model.run(bytes([1, 2, 255, 128]), out)
        same(list(out), [1, 2, -1, -128])
    """
    check(target, script, {"wide.mpy": module.data})


# ---- Damaged modules

_RAM_DISK = """
    import gc, json, sys, vfs
    with open("image", "rb") as file:
        image = bytearray(file.read())
    vfs.mount(vfs.VfsRom(image), "/damaged")
    sys.path.insert(0, "/damaged")
    def answer(name, again):
        if again:
            sys.modules.pop(name, None)
        try:
            __import__(name)
            sys.modules[name].Model()
            return "answered"
        except ValueError as error:
            return str(error)
        except Exception as error:
            return repr(error)
    found = {}
    def note(reason, at):
        found.setdefault(reason, []).append(at)
"""


def _damage(
    target: str,
    files: dict[str, bytes],
    script: str,
    positions: Sequence[int] = (),
    **values: object,
) -> dict[str, Any]:
    """Run a script over modules in a disk in writable memory; what it found, by reason."""
    setup = textwrap.dedent(_RAM_DISK)
    script = setup + textwrap.dedent(script).format(**values) + "\nprint(json.dumps(found))\n"
    more = {"image": romfs_image(files), "positions": json.dumps(positions).encode()}
    found: dict[str, Any] = json.loads(execute(target, script, more))
    return found


def _blob_of(module: Module) -> bytes:
    blob = Mpy.decode(module.data).constants[1]
    assert isinstance(blob, bytes)
    return blob


_REASONS = {
    "not a Wingbeat program",
    "program of another format version: convert it again",
    "program cut short",
    "program damaged: wrong checksum",
    "program damaged: bad layout",
}


@each_target
def test_every_damaged_byte_of_program_and_links_is_refused(target: str) -> None:
    module = assembled(small_model(), target)
    blob = _blob_of(module)
    script = """
        start = image.find({head})
        note(answer("small", False), -1)
        for at in range({size}):
            for mask in (1, 2, 4, 8, 16, 32, 64, 128, 255):
                image[start + at] ^= mask
                note(answer("small", False), at)
                image[start + at] ^= mask
        note(answer("small", False), -1)
    """
    found = _damage(target, {"small.mpy": module.data}, script, head=blob[:16], size=len(blob))
    assert found.pop("answered") == [-1, -1]
    assert found.keys() == _REASONS
    assert sum(map(len, found.values())) == 9 * len(blob)
    assert set(found["program of another format version: convert it again"]) == {4, 5}
    assert set(found["program damaged: wrong checksum"]) >= set(range(28, len(blob)))


@each_target
def test_every_truncation_is_refused(target: str) -> None:
    module = assembled(small_model(), target)
    whole = Mpy.decode(module.data)
    blob = _blob_of(module)
    sizes = list(range(len(blob)))
    if target != "unix":
        # Each import takes memory for good.
        sizes = [*sizes[:: len(sizes) // 12], len(blob) - 1, len(blob) - 4, len(blob) - 20]
    files = {}
    for size in sizes:
        constants = (whole.constants[0], blob[:size], *whole.constants[2:])
        files[f"cut{size}.mpy"] = replace(whole, constants=constants).encode()
    script = """
        import sys, json, gc
        found = {}
        for size in SIZES:
            try:
                __import__("cut" + str(size)).Model()
                reason = "answered"
            except ValueError as error:
                reason = str(error)
            found.setdefault(reason, []).append(size)
            del sys.modules["cut" + str(size)]
        print(json.dumps(found))
    """
    found = json.loads(execute(target, script.replace("SIZES", repr(sizes)), files))
    # An empty program lies at any address.
    reasons = {reason for reason in found if not reason.startswith("program not 4-byte aligned")}
    assert reasons <= _REASONS
    assert sum(map(len, found.values())) == len(sizes)


@each_target
def test_damaged_kernels_are_refused(target: str) -> None:
    module = assembled(small_model(), target)
    mpy, blob = Mpy.decode(module.data), _blob_of(module)
    (size,) = struct.unpack_from("<I", blob, 8)
    text = module.data.index(mpy.text)
    positions = [
        text + offset + at
        for _, _, offset, length, _ in struct.iter_unpack("<HHIII", blob[size:-4])
        for at in range(length)
    ]
    # Each import takes memory for good.
    per_start = 150
    if target != "unix":
        per_start = 14
        positions = [*positions[:: len(positions) // 12], positions[-1]]
    script = """
        start = image.find({head}) - {before}
        with open("positions") as file:
            positions = json.load(file)
        for at in positions:
            image[start + at] ^= 1 << at % 8
            note(answer("small", True), at)
            image[start + at] ^= 1 << at % 8
        note(answer("small", True), -1)
    """
    for first in range(0, len(positions), per_start):
        some = positions[first : first + per_start]
        before = module.data.index(blob[:16])
        found = _damage(
            target, {"small.mpy": module.data}, script, some, head=blob[:16], before=before
        )
        assert found == {"kernel missing or damaged": some, "answered": [-1]}


@each_target
def test_missing_kernel_is_refused(target: str) -> None:
    """A link table of another program, with a right checksum."""
    module = assembled(small_model(), target)
    whole, blob = Mpy.decode(module.data), _blob_of(module)
    other = _blob_of(assembled(program_of("other", Cast(4, "b")), target))
    (size,) = struct.unpack_from("<I", blob, 8)
    (start,) = struct.unpack_from("<I", other, 8)
    constants = (whole.constants[0], blob[:size] + other[start:], *whole.constants[2:])
    files = {"small.mpy": replace(whole, constants=constants).encode()}
    found = _damage(target, files, 'note(answer("small", False), 0)')
    assert found == {"kernel missing or damaged": [0]}


# ---- Memory


_RAM_FILES = """
    import io, sys, vfs
    class Files:
        def __init__(self, files):
            self.files = files
        def mount(self, readonly, mkfs):
            pass
        def umount(self):
            pass
        def stat(self, path):
            name = path.rsplit("/")[-1]
            if name not in self.files:
                raise OSError(2)
            return (0x8000, 0, 0, 0, 0, 0, len(self.files[name]), 0, 0, 0)
        def open(self, path, mode):
            return io.BytesIO(self.files[path.rsplit("/")[-1]])
"""


def test_program_in_romfs_takes_no_heap() -> None:
    """From another file system, an import copies the program into the heap."""
    rng = np.random.default_rng(2)
    forest = random_forest(rng, "u8", Leaves.PAIRS, Shape("large", 30, 100, 30, 3))
    program = convert(forest, name="large", dtype="uint8")
    size = len(program.encode())
    assert size > 8000
    script = textwrap.dedent(_RAM_FILES) + textwrap.dedent("""
        import gc
        with open("large.mpy", "rb") as file:
            data = file.read()
        vfs.mount(Files({"copied.mpy": data}), "/ram")
        sys.path.append("/ram")
        def cost(name):
            gc.collect()
            before = gc.mem_alloc()
            __import__(name)
            gc.collect()
            return gc.mem_alloc() - before
        def sound(name):
            return sys.modules[name].Model().predict(bytes(30))
        print(cost("large"), cost("copied"), sound("large"), sound("copied"))
    """)
    data = assembled(program, "m0").data
    in_place, copied, first, second = map(int, execute("m0", script, {"large.mpy": data}).split())
    assert first == second == program.predict(np.zeros(30, np.uint8))
    assert in_place < 8000
    assert size <= copied - in_place < size + 1500
