"""Type stubs of a model's module, so that editors complete `Model` and show what it takes."""

from __future__ import annotations

from .program import Descriptor, Program

_STUB = '''\
"""The model {name} of Wingbeat, as it is on the board."""

from array import array
from typing import Any

class Model:
    """Takes {input}, gives {output}. Nothing is allocated after it is made.

    `arena` is working memory: writable, 4-byte aligned, at least {arena} bytes.
    """

    labels: tuple[str, ...]{label_names}
    scale: float
    """{scale!r}: the real value of one step of the output."""
    info: dict[str, Any]

    def __init__(self, arena: bytearray | memoryview = ..., /) -> None: ...
    def predict(self, window: array[{item}] | bytes | bytearray | memoryview, /) -> {predicted}:
        """Return {returned}. `window`: {window}."""

    def run(
        self,
        window: array[{item}] | bytes | bytearray | memoryview,
        out: array[{out_item}] | bytearray | memoryview,
        /,
    ) -> None:
        """Write the raw outputs into `out`: {out}."""
{push}'''

_PUSH = '''
    def push(
        self,
        block: array[{item}] | bytes | bytearray | memoryview,
        out: array[{out_item}] | bytearray | memoryview = ...,
        /,
    ) -> int | None:
        """Return the last result that is due in the next samples, or None.

        `block`: any number of {samples}, as array('{typecode}') or bytes. `out` takes the raw
        outputs. At most {hop} samples have one result.
        """

    def reset(self) -> None:
        """Forget the stream so far."""
'''


def stub_of(program: Program) -> str:
    """Source of ``NAME.pyi``."""
    labels = program.labels
    return _STUB.format(
        name=program.name,
        input=program.input,
        output=program.output,
        arena=program.arena,
        label_names=f'\n    """{", ".join(_plain(label) for label in labels)}"""' if labels else "",
        scale=float(program.output.scale),
        item=_item(program.input),
        out_item=_item(program.output),
        predicted="int | None" if program.takes_stream else "int",
        returned="the number of the class in `labels`"
        if labels
        else "the value in steps of `scale`",
        window=_buffer(program.input),
        out=_buffer(program.output),
        push=_push(program) if program.takes_stream else "",
    )


def _push(program: Program) -> str:
    descriptor = program.input
    return _PUSH.format(
        item=_item(descriptor),
        out_item=_item(program.output),
        samples=f"samples of {program.channels} {descriptor.dtype.name}",
        typecode=descriptor.typecode,
        hop=descriptor.n_elements // program.channels,
    )


def _item(descriptor: Descriptor) -> str:
    return "float" if descriptor.typecode == "f" else "int"


def _buffer(descriptor: Descriptor) -> str:
    return f"array('{descriptor.typecode}') of {descriptor.n_elements}, or the same as bytes"


def _plain(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', "'")
