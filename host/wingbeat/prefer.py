"""Small or fast: what a program can trade, and what that costs and buys.

No form of a layer stores its weights expanded: a weight is a byte in all of them. What differs is
how many kernels a module carries. With `size`, a layer uses a kernel that the module has anyway:
a dense layer is a convolution of one pixel, exactly, though slower, since convolutions are made
for three pixels at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .blobs import blobs_of
from .costs import count_of
from .describe import describe
from .program import Program, ProgramBuilder
from .reference import Conv2D, Dense, Operator
from .reference.conv import MAX_CHANNELS, Window

CHOICES = ("speed", "size")


@dataclass(frozen=True)
class Trade:
    """One layer in its two forms.

    Attributes
    ----------
    layer : int
        Number of the operator, from 0.
    what : str
    program_bytes : int
        More bytes of the program with `size`; negative if it has fewer.
    cycles : float or None
        More cycles with `size`, estimated from emulated ones of a Cortex-M0+; None if not known.
    """

    layer: int
    what: str
    program_bytes: int
    cycles: float | None


@dataclass(frozen=True)
class Choice:
    """A program in its small form, beside the fast one.

    Attributes
    ----------
    program : Program
    trades : tuple of Trade
    kernels : tuple of str
        What the module does without.
    """

    program: Program
    trades: tuple[Trade, ...]
    kernels: tuple[str, ...]

    def bytes_saved(self, arch: str) -> int:
        """Bytes of the module on boards of an architecture that the small form saves."""
        blobs = blobs_of(arch)
        code = sum(len(blobs.kernel(name).code) for name in self.kernels)
        return code - sum(trade.program_bytes for trade in self.trades)


def small_form(program: Program) -> Choice | None:
    """The small form of a program; None if it has but one."""
    kernels = {call.operator.KERNEL for call in program.calls}
    if not {Conv2D.KERNEL, Dense.KERNEL} <= kernels:
        return None
    other: dict[int, Operator] = {
        id(call.operator): _as_conv(call.operator)
        for call in program.calls
        if isinstance(call.operator, Dense) and call.operator.n_outputs <= MAX_CHANNELS
    }
    if len(other) < sum(isinstance(call.operator, Dense) for call in program.calls):
        return None
    trades = tuple(
        _trade(program, number, other[id(call.operator)])
        for number, call in enumerate(program.calls)
        if id(call.operator) in other
    )
    return Choice(_changed(program, other), trades, (Dense.KERNEL,))


def _as_conv(dense: Dense) -> Conv2D:
    window = Window((1, 1, dense.n_inputs), (1, 1), (1, 1))
    return Conv2D(window, 0, dense.weights, dense.scale)


def _trade(program: Program, number: int, other: Operator) -> Trade:
    call = program.calls[number]
    more = len(other.encode()) - len(call.operator.encode())
    before, after = (count_of(operator, "armv6m") for operator in (call.operator, other))
    cycles = None if before is None or after is None else after - before
    what = f"{describe(call.operator)}: as a convolution of one pixel"
    return Trade(number, what, more, cycles)


def _changed(program: Program, other: dict[int, Operator]) -> Program:
    """The program with other operators, by the identity of those before."""

    def change(operator: Operator) -> Operator:
        return other.get(id(operator), operator)

    changed = ProgramBuilder(program.input).finish_with(program, change=change)
    meta = dict(program.meta)
    if "layers" in meta:
        # Planning the arena may move calls.
        names = zip(program.calls, meta["layers"], strict=True)
        name_of = {id(change(call.operator)): name for call, name in names}
        meta["layers"] = [name_of[id(call.operator)] for call in changed.calls]
    return replace(changed, meta=meta, golden=program.golden)
