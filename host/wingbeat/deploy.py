"""Putting a model on a board so that it cannot go wrong quietly.

The model is copied under a temporary name, compared by SHA-256, imported and run on golden vectors
*on the board*, and only then takes its place. Until then the old model is untouched. An
interruption, wherever it comes, leaves the old or the new model whole; what else it leaves is
removed by the next deploy.

Where the file system can rename over a file (LittleFS), that is one step. FAT cannot: there the
old model is copied to the ``lib`` folder first, where `import` finds it too.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from .assemble import Module
from .board import PREFIX, PROBE, Facts, ask, next_step, usable_arch
from .check import HeapNeed, heap_need
from .errors import DeviceError, TargetError, TransportError
from .golden import Golden, vectors_of
from .prefer import fastest_module
from .program import Decision, Program
from .romfs import Piece, romfs_pieces
from .stream import Stream
from .transport import Progress, Transport, answer_of

TEMPORARY = f"{PREFIX}model.mpy"
"""The model until it is proven. Names of at most 8.3 letters are one entry of a FAT folder, which
is written whole or not at all."""

_GOLDEN = f"{PREFIX}model.bin"
_BEGUN, _WHOLE, _ASIDE = (f"{PREFIX}model.{end}" for end in ("old", "new", "bak"))
_COPY, _COPIED = f"{PREFIX}model.cpy", f"{PREFIX}model.txt"
_JOURNAL = f"{PREFIX}model.rom"
_ROM = "/rom/"
_SPARE_BLOCKS = 3
"""Blocks that a file system wants for itself: LittleFS copies folders on each change."""

_HEAP_TO_RUN, _HEAP_TO_WRITE_ROM = 6 * 1024, 14 * 1024
"""Bytes of heap that the scripts on the board take, beside the model."""

_FILES = """\
import os, sys
def there(name):
    try:
        os.stat(name)
        return True
    except OSError:
        return False
def drop(name):
    if name and there(name):
        os.remove(name)
def copy(source, target):
    b = bytearray(512)
    with open(source, "rb") as s, open(target, "wb") as t:
        while True:
            n = s.readinto(b)
            if not n:
                break
            t.write(memoryview(b)[:n])
def note(name, text=""):
    with open(name, "w") as f:
        f.write(text)
def text(name):
    with open(name) as f:
        return f.read()
def fat():
    try:
        os.stat("*")
    except OSError as e:
        return e.args[0] == 22
"""

# FAT renames by a second entry for the same blocks, then drops the first one. If the power goes in
# between, two names have the same blocks, and removing one of them frees what the other needs. So
# there is another copy of the model, in lib, where import finds it, before anything is renamed.
# After an interruption both names are removed, that which import takes first, and the model is made
# anew from its copy. _BEGUN has the names; _WHOLE is there when the copy is whole.
_LEFTOVERS = f"""\
{_FILES}
temporary, begun, whole = {TEMPORARY!r}, {_BEGUN!r}, {_WHOLE!r}
leftovers = {(_BEGUN, _WHOLE, TEMPORARY, _GOLDEN, PROBE, _COPY, _COPIED)!r}
found = [name for name in leftovers if there(name)]
if there(begun):
    model, backup, mine = (text(begun) or "\\n\\n").split("\\n")
    if there(whole):
        if there(temporary):
            drop(model)
            drop(temporary)
        if not there(model):
            copy(backup, temporary)
            os.rename(temporary, model)
        drop(backup)
        drop(whole)
    elif mine:
        drop(backup)
    drop(begun)
if there({_COPY!r}):
    drop(text({_COPIED!r}))
for name in leftovers:
    drop(name)
print(repr(found))
"""

_BEFORE = f"""\
{_FILES}
model = {{model!r}}
shadows = [name for name in {{shadows}} if there(name)]
size = os.stat(model)[6] if there(model) else None
print(repr((shadows, fat(), size, there("/rom/" + model))))
"""

_HASH = """\
import binascii
try:
    from hashlib import sha256
    h, b = sha256(), bytearray(512)
    with open({name!r}, "rb") as f:
        while True:
            n = f.readinto(b)
            if not n:
                break
            h.update(memoryview(b)[:n])
    print(repr(binascii.hexlify(h.digest()).decode()))
except ImportError:
    print(repr(""))
"""

# Every row is run twenty times, since a tick is a microsecond; an empty loop is taken off.
_PROVE = """\
import binascii, gc, sys
from time import ticks_us, ticks_diff
sys.path.insert(0, {folder!r})
sys.modules.pop({name!r}, None)
gc.collect()
before = gc.mem_alloc()
module = __import__({name!r})
gc.collect()
imported = gc.mem_alloc()
model = module.Model()
gc.collect()
made = gc.mem_alloc()
row, out = bytearray({row_size}), bytearray({out_size})
{prove}
spent = 0
with open({golden!r}, "rb") as f:
    for _ in range({rows}):
        f.readinto(row)
        spent += prove()
print(repr((imported - before, made - imported, spent)))
"""
_PROVE_ROW = """\
def prove():
    model.run(row, out)
    print(binascii.hexlify(out).decode(), {decision})
    start = ticks_us()
    model.run(row, out)
    once = ticks_diff(ticks_us(), start)
    if once > {long}:
        return once * {repeats}
    start = ticks_us()
    for _ in range({repeats}):
        model.run(row, out)
    middle = ticks_us()
    for _ in range({repeats}):
        pass
    return ticks_diff(middle, start) - ticks_diff(ticks_us(), middle)
"""
_REPEATS = 20
_LONG = 2000
"""Microseconds of a run that is not repeated."""

# Each block of a stream is pushed once: the next one goes on from it.
_PROVE_BLOCK = """\
def prove():
    start = ticks_us()
    due = model.push(row, out)
    end = ticks_us()
    print(binascii.hexlify(out).decode(), due)
    return ticks_diff(end, start)
"""

_INSTALL = f"""\
{_FILES}
temporary, begun, whole = {TEMPORARY!r}, {_BEGUN!r}, {_WHOLE!r}
model = {{model!r}}
if fat():
    backup = {_ASIDE!r}
    for folder in sys.path:
        if folder.endswith("/lib") and not folder.startswith("/rom"):
            if not there(folder):
                os.mkdir(folder)
            backup = folder + "/" + model
            break
    source = model if there(model) else "" if there(backup) else temporary
    note(begun, model + "\\n" + backup + "\\n" + source)
    if source:
        copy(source, backup)
    note(whole)
    drop(model)
os.rename(temporary, model)
if there(begun):
    drop(backup)
    drop(whole)
    drop(begun)
print(repr(os.stat(model)[6]))
"""

_ROM_FILES = """\
import os
found = []
def walk(folder):
    for entry in os.ilistdir(folder):
        path = folder + entry[0]
        if entry[1] & 0x4000:
            walk(path + "/")
        else:
            found.append((path[5:], os.stat(path)[6]))
try:
    walk("/rom/")
except OSError:
    pass
print(repr(found))
"""

_JOURNALED = f"""\
import os
found = []
try:
    with open({_JOURNAL!r}) as f:
        for name in f.read().split():
            try:
                found.append((name, os.stat(name)[6]))
            except OSError:
                pass
except OSError:
    pass
print(repr(found))
"""

# A file is copied under a temporary name: half of one is never imported.
_COPY_FROM_ROM = f"""\
{_FILES}
for name in {{names}}:
    at = name.find("/")
    while at > 0:
        try:
            os.mkdir(name[:at])
        except OSError:
            pass
        at = name.find("/", at + 1)
    note({_COPIED!r}, name)
    copy("/rom/" + name, {_COPY!r})
    os.rename({_COPY!r}, name)
    print(".", end="")
drop({_COPIED!r})
print()
print(repr(len({{names}})))
"""

# The first block is erased first and written last: an image without it is not mounted.
_WRITE_ROM = """\
import vfs
d = vfs.rom_ioctl(2, 0)
o = hasattr(d, "ioctl")
size = {size}
block = d.ioctl(5, 0) if o else 4096
buffer, first = bytearray(block), bytearray(block)
piece = bytearray(512)
try:
    vfs.umount("/rom")
except OSError:
    pass
if not o:
    least = vfs.rom_ioctl(3, 0, size)
    if least > block:
        block = least
        buffer, first = bytearray(block), bytearray(block)
def write(number):
    if o:
        d.ioctl(6, number)
        d.writeblocks(number, buffer, 0)
    else:
        vfs.rom_ioctl(4, 0, number * block, buffer)
def flush(number):
    if number == 0:
        first[:] = buffer
    else:
        write(number)
        print(".", end="")
if o:
    d.ioctl(6, 0)
view = memoryview(buffer)
at, number = 0, 0
def put(data):
    global at, number
    done = 0
    while done < len(data):
        n = min(len(data) - done, block - at)
        view[at:at + n] = data[done:done + n]
        at, done = at + n, done + n
        if at == block:
            flush(number)
            at, number = 0, number + 1
for part in {pieces}:
    if isinstance(part, str):
        with open(part, "rb") as f:
            while True:
                n = f.readinto(piece)
                if not n:
                    break
                put(memoryview(piece)[:n])
    else:
        put(part)
if at:
    flush(number)
buffer[:] = first
write(0)
if not o:
    vfs.rom_ioctl(5, 0)
print()
print(repr(size))
"""

_REMOVE_ALL = """\
import os
for name in {names}:
    try:
        os.remove(name)
    except OSError:
        pass
print(repr(0))
"""


@dataclass(frozen=True)
class Proof:
    """What a model did on the board.

    Attributes
    ----------
    heap_import, heap_model : int
        Bytes of heap that the import and `Model()` took.
    us : float
        Mean time of one `run` over the golden vectors, in microseconds.
    rows : int
        Golden vectors; all were the same in every bit.
    """

    heap_import: int
    heap_model: int
    us: float
    rows: int


@dataclass(frozen=True)
class Deployed:
    """What a deploy did.

    Attributes
    ----------
    facts : Facts
        The board before.
    module : Module
    path : str
        Where the model is on the board.
    sha256 : str
        Of its file, as computed by the board.
    real : bool
        The golden vectors are rows of data, not generated.
    proof : Proof
        From where the model is now.
    proof_in_heap : Proof or None
        With `--romfs`: from the file system, before.
    cleaned : list of str
        Leftovers of an interrupted deploy that were removed.
    replaced : bool
        There was a model of that name.
    """

    facts: Facts
    module: Module
    path: str
    sha256: str
    real: bool
    proof: Proof
    proof_in_heap: Proof | None
    cleaned: list[str]
    replaced: bool

    @property
    def heap_saved(self) -> int | None:
        """Bytes of heap that ROMFS saves; None without it."""
        before = self.proof_in_heap
        return None if before is None else before.heap_import - self.proof.heap_import

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        program = self.module.program
        return {
            "port": self.facts.port,
            "board": self.facts.machine,
            "version": self.facts.version,
            "arch": self.module.arch,
            "name": program.name,
            "hash": program.hash,
            "path": self.path,
            "bytes": len(self.module.data),
            "sha256": self.sha256,
            "replaced": self.replaced,
            "golden": {"rows": self.proof.rows, "real": self.real, "identical": True},
            "taken": self.facts.where,
            "heap_import": self.proof.heap_import,
            "heap_model": self.proof.heap_model,
            "heap_saved": self.heap_saved,
            "us_per_run": self.proof.us,
            "cleaned": self.cleaned,
        }


Steps = Callable[[str], None]


def deploy(
    transport: Transport,
    model: Program | Module,
    *,
    romfs: bool = False,
    start: bool = True,
    tell: Steps | None = None,
    progress: Progress | None = None,
) -> Deployed:
    """Put a model on a board, prove it there, and let it take the old one's place.

    Parameters
    ----------
    model : Program or Module
        A program is assembled for what the board says it runs.
    romfs : bool
        Put it into the board's ROMFS partition, where its program is used in place.
    start : bool
        Start the board afterwards, so that main.py runs.
    tell : callable, optional
        Is told each step in words.
    progress : callable, optional
        Is told how many bytes are on the board.

    Raises
    ------
    TransportError
        The connection broke. The board has the old or the new model, whole.
    TargetError
        The board refused, or the model did not prove itself. The old model is in place, and
        temporary files are removed.
    """
    say = tell or (lambda _: None)
    say("asking the board")
    facts = ask(transport)
    module = module_for(model, facts)
    job = _Job(transport, facts, module, vectors_of(module.program), say)
    try:
        cleaned = job.clean()
        job.refuse_early(romfs)
        job.copy(progress)
        before = None
        if job.too_large_for_heap:
            proof = job.prove_in_rom()
        else:
            proof = job.prove("", TEMPORARY)
            say("putting it in place")
            job.install()
            if romfs:
                before, proof = proof, job.move_to_rom()
        job.forget_golden()
    except DeviceError as error:
        job.tidy()
        raise TargetError(_story(job, next_step(error))) from error
    except TransportError:
        raise
    except TargetError:
        job.tidy()
        raise
    if start:
        transport.start()
    path = _ROM + job.file if romfs else job.file
    return Deployed(
        facts, module, path, job.sha256, job.golden.real, proof, before, cleaned, job.replaced
    )


def _story(job: _Job, what: str) -> str:
    return (
        f"{job.module.program.name} could not be deployed: {what}. What was on the board is"
        " unchanged"
    )


def module_for(model: Program | Module, facts: Facts) -> Module:
    """The module that a board gets: of a program, the fastest form that it has room for.

    Raises
    ------
    TargetError
        The module is for another architecture, or the board loads no native code.
    """
    arch = usable_arch(facts)
    if isinstance(model, Program):
        return fastest_module(model, arch, lambda module: _has_room(facts, module))
    if model.arch not in (arch, facts.arch):
        raise TargetError(
            f"the file is for {model.arch}, but {facts.machine} runs {facts.arch}: deploy the .wbp"
            " that it was made from, or convert it again with --arch"
            f" {arch}"
        )
    return model


def _has_room(facts: Facts, module: Module) -> bool:
    """For a module and the script that proves it in the heap, and for two files."""
    return _fits(facts, heap_need(module)) and 2 * len(module.data) <= facts.disk_free


def _fits(facts: Facts, need: HeapNeed) -> bool:
    """The heap has room for a model and the script that proves it."""
    return need.total + _HEAP_TO_RUN <= facts.heap_free and need.largest <= facts.heap_largest


class _Job:
    """One deploy: the names of its files, and its steps in their order."""

    def __init__(
        self, transport: Transport, facts: Facts, module: Module, golden: Golden, say: Steps
    ) -> None:
        self.transport = transport
        self.facts = facts
        self.module = module
        self.golden = golden
        self.say = say
        name = module.program.name
        self.file = f"{name}.mpy"
        self.replaced = False
        self.too_large_for_heap = False
        """It can only run from ROMFS, so it is proven there."""
        self.sha256 = hashlib.sha256(module.data).hexdigest()

    def clean(self) -> list[str]:
        """Remove what an interrupted deploy left."""
        return clean(self.transport)

    def refuse_early(self, romfs: bool) -> None:
        """Refuse before anything is copied."""
        facts, name = self.facts, self.module.program.name
        script = _BEFORE.format(model=self.file, shadows=[f"{name}.py", name])
        shadows, fat, old_size, old_in_rom = answer_of(self.transport.exec(script))
        self.replaced = old_in_rom or old_size is not None
        if shadows:
            raise TargetError(
                f"{shadows[0]} on the board would be imported instead of {self.file}: remove it, or"
                " give the model another name"
            )
        block = max(1, facts.disk_block)
        size = len(self.module.data)
        files = [size, self.golden.inputs.nbytes]
        if fat:
            files.append(old_size or size)
        need = sum(-(-size // block) * block for size in files) + _SPARE_BLOCKS * block
        free = self.transport.free_space()
        if need > free:
            raise TargetError(
                f"{self.file} needs {need} bytes of the board's file system while it is put there,"
                f" {free} are free: remove files (wingbeat list, wingbeat remove), or make the"
                " model smaller"
            )
        if romfs and facts.rom_size == 0:
            raise TargetError(
                f"{facts.machine} has no ROMFS partition in this firmware: deploy without --romfs,"
                " or install firmware that has one"
            )
        heap, from_rom = heap_need(self.module), heap_need(self.module, romfs=True)
        free_for_rom = facts.heap_free >= _HEAP_TO_WRITE_ROM
        if _fits(self.facts, heap) and (free_for_rom or not romfs):
            return
        if romfs and free_for_rom and _fits(self.facts, from_rom):
            self.too_large_for_heap = True
            return
        better = "make the model smaller, or free heap in boot.py"
        if romfs and not free_for_rom:
            raise TargetError(
                f"writing ROMFS takes {_HEAP_TO_WRITE_ROM} bytes of heap, {facts.heap_free} are"
                " free: free heap in boot.py"
            )
        lacking = from_rom if romfs else heap
        if not romfs and free_for_rom and size < facts.rom_size and _fits(self.facts, from_rom):
            better = (
                f"deploy it with --romfs, from where it takes {from_rom.total} bytes; or {better}"
            )
        raise TargetError(
            f"{self.file} needs about {lacking.total} bytes of heap, and {lacking.largest} of them"
            f" in one piece; {facts.heap_free} are free, {facts.heap_largest} in one piece:"
            f" {better}"
        )

    def copy(self, progress: Progress | None) -> None:
        """Copy under a temporary name, and compare the hash."""
        self.say(f"copying {len(self.module.data)} bytes")
        self.transport.put_file(TEMPORARY, self.module.data, progress)
        self.transport.put_file(_GOLDEN, self.golden.inputs.tobytes())
        self.say("comparing SHA-256 on the board")
        self.compare_hash(TEMPORARY)

    def compare_hash(self, name: str) -> None:
        """Compare a file on the board with the module."""
        found = answer_of(self.transport.exec(_HASH.format(name=name)))
        if not found:
            found = hashlib.sha256(self.transport.get_file(name)).hexdigest()
        if found != self.sha256:
            raise TargetError(
                f"{name} on the board has another SHA-256 than on this computer ({found[:16]}, not"
                f" {self.sha256[:16]}): the transfer or the board's flash damaged it; try again"
            )

    def prove(self, folder: str, file: str) -> Proof:
        """Import the file in a fresh interpreter, run all vectors, compare every bit."""
        self.say(f"running {len(self.golden.inputs)} golden vectors on the board")
        self.transport.soft_reset()
        program, rows = self.module.program, len(self.golden.inputs)
        repeats, prove = _REPEATS, _PROVE_ROW
        if program.takes_stream:
            repeats, prove = 1, _PROVE_BLOCK
        decides = program.decision is not Decision.NONE
        prove = prove.format(
            repeats=repeats, long=_LONG, decision="model.predict(row)" if decides else 0
        )
        printed = self.transport.exec(
            _PROVE.format(
                folder=folder,
                name=file.removesuffix(".mpy"),
                row_size=program.input.n_elements * program.input.dtype.itemsize,
                out_size=program.output.n_elements * program.output.dtype.itemsize,
                golden=_GOLDEN,
                rows=rows,
                prove=prove,
            )
        )
        heap_import, heap_model, spent = answer_of(printed)
        lines = [line.split() for line in printed.strip().splitlines()[:-1]]
        expected = self.golden.outputs.reshape(rows, -1)
        decisions = _decisions(program, self.golden.inputs)
        if len(lines) != rows:
            raise TargetError(f"the board answered {len(lines)} of {rows} golden vectors")
        for number, (line, output, decision) in enumerate(
            zip(lines, expected, decisions, strict=True)
        ):
            if line != [binascii.hexlify(output.tobytes()).decode(), str(decision)]:
                raise TargetError(
                    f"golden vector {number} gives other bits on the board than on this computer;"
                    f" the old model stays. Please report it with the output of 'wingbeat doctor'"
                    f" (got {' '.join(line)[:60]})"
                )
        return Proof(heap_import, heap_model, max(0.0, spent / (rows * repeats)), rows)

    def install(self) -> None:
        """Let the proven file take its place."""
        size = answer_of(self.transport.exec(_INSTALL.format(model=self.file)))
        if size != len(self.module.data):
            raise TargetError(f"{self.file} has {size} bytes after its move; deploy it again")

    def move_to_rom(self) -> Proof:
        """Put the file that is in place into ROMFS too, prove it there, drop the first one."""
        others = rom_members(self.transport)
        others.pop(self.file, None)
        members = {**others, self.file: len(self.module.data)}
        write_rom(self.transport, self.facts, members, placed=self.file, say=self.say)
        self.compare_hash(_ROM + self.file)
        proof = self.prove("/rom", self.file)
        drop_copies(self.transport)
        return proof

    def prove_in_rom(self) -> Proof:
        """Put the file that was copied into ROMFS and prove it there; else put ROMFS back.

        A model of that name in ROMFS is copied to the file system first, where it stays until the
        new one is proven. If the heap is too small for it there, then an interruption leaves no
        model that runs until the next deploy.
        """
        before = rom_members(self.transport)
        after = {**before, self.file: len(self.module.data)}
        aside = [self.file] if self.file in before else []
        write_rom(
            *(self.transport, self.facts, after),
            sources={self.file: TEMPORARY},
            aside=aside,
            say=self.say,
        )
        try:
            self.compare_hash(_ROM + self.file)
            proof = self.prove("/rom", self.file)
        except TransportError:
            raise
        except TargetError:
            self.say("putting ROMFS back as it was")
            self.transport.soft_reset()
            write_rom(self.transport, self.facts, before, say=self.say)
            drop_copies(self.transport)
            raise
        drop_copies(self.transport)
        self.transport.exec(_REMOVE_ALL.format(names=[self.file, TEMPORARY]))
        return proof

    def forget_golden(self) -> None:
        """Remove the vectors from the board."""
        self.transport.remove(_GOLDEN)

    def tidy(self) -> None:
        """After a failure: remove temporary files if the board still answers."""
        with suppress(TargetError):
            self.transport.soft_reset()
            self.transport.exec(_LEFTOVERS)


def _decisions(program: Program, inputs: NDArray[Any]) -> list[int | None]:
    """What the board prints for each row of golden vectors beside the outputs."""
    if program.takes_stream:
        results = Stream(program).run(inputs)
        found: list[int | None] = [None] * len(inputs)
        for end, decision in zip(results.ends, results.decisions, strict=True):
            found[end - 1] = program.decision is Decision.NONE or int(decision)
        return found
    if program.decision is Decision.NONE:
        return [0] * len(inputs)
    return [int(decision) for decision in program.predict(inputs)]


def clean(transport: Transport) -> list[str]:
    """Undo what an interrupted deploy left, and return the names of its files."""
    found: list[str] = answer_of(transport.exec(_LEFTOVERS))
    return found


# ---- ROMFS


def rom_members(transport: Transport) -> dict[str, int]:
    """Files that belong into ROMFS with their sizes: those there, and copies of them."""
    found = dict(answer_of(transport.exec(_JOURNALED)))
    found.update(answer_of(transport.exec(_ROM_FILES)))
    return found


def write_rom(
    transport: Transport,
    facts: Facts,
    members: dict[str, int],
    *,
    placed: str | None = None,
    sources: Mapping[str, str] | None = None,
    aside: Sequence[str] = (),
    say: Steps | None = None,
) -> None:
    """Make ROMFS hold exactly `members`, and mount it.

    Every member is in the file system while ROMFS is written, so that all of them can be imported
    if it is interrupted. A journal on the board has their names.

    Parameters
    ----------
    members : dict of str to int
        Size of each file by its path. It is in ROMFS or in the file system; if it is in both,
        that of the file system counts, as it does for `import`.
    placed : str, optional
        The one that is in the file system only until it is in ROMFS.
    sources : mapping of str to str, optional
        Names in the file system of members that have another name there.
    aside : sequence of str
        What is in ROMFS and is replaced: it is copied to the file system too.

    Raises
    ------
    TargetError
        They do not fit into ROMFS, or their copies into the file system.
    """
    tell = say or (lambda _: None)
    named = dict(sources or {})
    here = {name: transport.size(named.get(name, name)) for name in members}
    members = {name: here[name] or size for name, size in members.items()}
    pieces, size = romfs_pieces(members)
    if size > facts.rom_size:
        raise TargetError(
            f"the models need {size} bytes of ROMFS, it has {facts.rom_size}: remove one (wingbeat"
            " list, wingbeat remove), or deploy without --romfs"
        )
    missing = [name for name, found in here.items() if found is None]
    missing += [name for name in aside if transport.size(name) is None]
    block = max(1, facts.disk_block)
    copied = sum(-(-found // block) * block for found in _rom_sizes(transport, missing))
    need = copied + _SPARE_BLOCKS * block
    free = transport.free_space()
    if need > free:
        raise TargetError(
            f"the {len(missing)} files in ROMFS need {need} bytes of the file system while ROMFS is"
            f" written, {free} are free: remove files from it"
        )
    journaled = [*(name for name, _ in answer_of(transport.exec(_JOURNALED))), *missing]
    if placed is not None and placed not in journaled:
        journaled.append(placed)
    transport.put_file(_JOURNAL, "\n".join(journaled).encode())
    if missing:
        tell("copying the other files of ROMFS aside")
        transport.exec(_COPY_FROM_ROM.format(names=repr(missing)))
    tell(f"writing {size} bytes of ROMFS")
    sourced = [named.get(piece, piece) if isinstance(piece, str) else piece for piece in pieces]
    transport.soft_reset()
    transport.exec(_WRITE_ROM.format(size=size, pieces=_shown(sourced)))
    transport.soft_reset()
    found = dict(answer_of(transport.exec(_ROM_FILES)))
    if found != members:
        raise TargetError(
            "ROMFS does not show the files that were written to it; they are all in the board's"
            " file system, and are imported from there. Deploy without --romfs"
        )


def _rom_sizes(transport: Transport, names: Sequence[str]) -> list[int]:
    found = dict(answer_of(transport.exec(_ROM_FILES)))
    return [found[name] for name in names]


def _shown(pieces: list[Piece]) -> str:
    return "(" + "".join(f"{piece!r}," for piece in pieces) + ")"


def drop_copies(transport: Transport) -> None:
    """ROMFS is proven: remove the copies in the file system, and the journal last."""
    names = [name for name, _ in answer_of(transport.exec(_JOURNALED))]
    transport.exec(_REMOVE_ALL.format(names=[*names, _JOURNAL]))
