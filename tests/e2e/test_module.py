"""Whole modules in real MicroPython: all vectors, the device API, and damaged files."""

from __future__ import annotations

import json
import struct
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from programs import program_of, small_model
from vectors.forest import Shape, random_forest
from vectors.on_targets import LIMITS, assembled, execute, run_vectors
from wingbeat.assemble import Module
from wingbeat.convert import convert
from wingbeat.mpy import Mpy
from wingbeat.reference import Cast, Leaves
from wingbeat.romfs import romfs_image
from wingbeat.targets import TARGETS

each_target = pytest.mark.parametrize("target", TARGETS)


# ---- Vectors


@each_target
def test_vectors(target: str) -> None:
    """The reference's bits, of every kernel: all cases on unix, and a share of them elsewhere."""
    run_vectors(target, LIMITS[target].kernel)


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
