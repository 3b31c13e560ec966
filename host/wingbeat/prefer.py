"""Small or fast: what a program can trade, and what that costs and buys.

With `size`, all layers use one kernel, `SmallConv`, if each has proven to give the same outputs by
it. Otherwise a layer uses a kernel that the module has anyway: a dense layer is a convolution of
one pixel, exactly, though slower, since convolutions are made for three pixels at a time. A pool
over a whole map is a mean. A weight is a byte in all of these.

With `speed`, convolutions have weights of two bytes on processors that multiply halves of words,
if the board's heap has room for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .assemble import Module
from .blobs import blobs_of
from .costs import count_of
from .describe import describe
from .program import Program, ProgramBuilder
from .reference import AveragePool, Conv2D, Dense, Depthwise, Mean, Operator, SmallConv
from .reference.conv import MAX_CHANNELS, Window
from .reference.conv_pairs import ConvPairs, conv_pairs
from .reference.mean import mean_of_pool
from .reference.small_conv import small_conv_of

CHOICES = ("speed", "size")

_FORMS: dict[type, str] = {
    Conv2D: "as a convolution of one pixel",
    ConvPairs: "weights of two bytes",
    Mean: "as a mean",
    SmallConv: "by a small kernel",
}

_FEWEST_WIDE = 64
"""Weights of a convolution. With fewer, packing its patches costs more than wide weights save."""

_WIDE_ARCHS = ("armv7emsp",)
"""Whose processors multiply halves of words, so that wide weights are faster."""


@dataclass(frozen=True)
class Trade:
    """One layer in its two forms, as it is and another one.

    Attributes
    ----------
    layer : int
        Number of the operator, from 0.
    what : str
    program_bytes : int
        More bytes of the program in the other form; negative if it has fewer.
    cycles : float or None
        More of what is counted in the other form: of a small one cycles, estimated from emulated
        ones of a Cortex-M0+; of a wide one instructions of its architecture. None if not known.
    """

    layer: int
    what: str
    program_bytes: int
    cycles: float | None


@dataclass(frozen=True)
class Choice:
    """A program in another form, small or wide.

    Attributes
    ----------
    program : Program
    trades : tuple of Trade
    without : tuple of str
        Kernels that the module does without.
    instead : tuple of str
        Kernels that it has instead.
    """

    program: Program
    trades: tuple[Trade, ...]
    without: tuple[str, ...]
    instead: tuple[str, ...]

    def bytes_saved(self, arch: str) -> int:
        """Bytes of the module on boards of an architecture that this form saves."""
        blobs = blobs_of(arch)
        without, instead = (
            sum(len(blobs.kernel(name).code) for name in names)
            for names in (self.without, self.instead)
        )
        return without - instead - sum(trade.program_bytes for trade in self.trades)


def small_form(program: Program) -> Choice | None:
    """The small form of a program; None if it has but one."""
    operators = [call.operator for call in program.calls]
    layers = _small_layers(operators) or _dense_as_conv(operators)
    other = {**layers, **_pools_as_means(operators)}
    return _choice(program, other, "armv6m") if other else None


def wide_form(program: Program, arch: str) -> Choice | None:
    """The program with wide weights, if those are faster on an architecture; None if not."""
    operators = [call.operator for call in program.calls]
    convolutions = [
        each for each in operators if isinstance(each, Conv2D) and each.weights.size >= _FEWEST_WIDE
    ]
    found = ((id(each), conv_pairs(each)) for each in convolutions)
    other: dict[int, Operator] = {key: wide for key, wide in found if wide is not None}
    return _choice(program, other, arch) if other and arch in _WIDE_ARCHS else None


def fastest(program: Program, arch: str) -> Program:
    """The form of a program that is the fastest on an architecture."""
    wide = wide_form(program, arch)
    return program if wide is None else wide.program


def fastest_module(program: Program, arch: str, fits: Callable[[Module], bool]) -> Module:
    """The module of a program in its fastest form, or as it is if that does not fit."""
    wide = wide_form(program, arch)
    if wide is not None:
        module = wide.program.assemble(arch)
        if fits(module):
            return module
    return program.assemble(arch)


def _choice(program: Program, other: dict[int, Operator], arch: str) -> Choice:
    """The program with other operators, by the identity of those before; counts are of `arch`."""
    operators = [call.operator for call in program.calls]
    before = {operator.KERNEL for operator in operators}
    after = {other.get(id(operator), operator).KERNEL for operator in operators}
    trades = tuple(
        _trade(program, number, other[id(operator)], arch)
        for number, operator in enumerate(operators)
        if id(operator) in other
    )
    return Choice(
        _changed(program, other),
        trades,
        tuple(sorted(before - after)),
        tuple(sorted(after - before)),
    )


def _small_layers(operators: Sequence[Operator]) -> dict[int, Operator]:
    """Small forms of all layers, if there are convolutions and each layer has one."""
    layers = [each for each in operators if isinstance(each, (Conv2D, Dense, Depthwise))]
    if all(isinstance(layer, Dense) for layer in layers):
        return {}
    found: dict[int, Operator] = {}
    for layer in layers:
        small = small_conv_of(layer)
        if small is None:
            return {}
        found[id(layer)] = small
    return found


def _dense_as_conv(operators: Sequence[Operator]) -> dict[int, Operator]:
    """Dense layers as convolutions of one pixel, if there are others and all can be one."""
    layers = [operator for operator in operators if isinstance(operator, Dense)]
    if not any(isinstance(operator, Conv2D) for operator in operators):
        return {}
    if any(layer.n_outputs > MAX_CHANNELS for layer in layers):
        return {}
    return {id(layer): _as_conv(layer) for layer in layers}


def _pools_as_means(operators: Sequence[Operator]) -> dict[int, Operator]:
    """Pools over whole maps as means, whose kernel is shorter, if all are one."""
    pools = [operator for operator in operators if isinstance(operator, AveragePool)]
    found: dict[int, Operator] = {}
    for pool in pools:
        as_mean = mean_of_pool(pool)
        if as_mean is None:
            return {}
        found[id(pool)] = as_mean
    return found


def _as_conv(dense: Dense) -> Conv2D:
    window = Window((1, 1, dense.n_inputs), (1, 1), (1, 1))
    return Conv2D(window, 0, dense.weights, dense.scale)


def _trade(program: Program, number: int, other: Operator, arch: str) -> Trade:
    call = program.calls[number]
    more = len(other.encode()) - len(call.operator.encode())
    before, after = (count_of(operator, arch) for operator in (call.operator, other))
    cycles = None if before is None or after is None else after - before
    what = f"{describe(call.operator)}: {_FORMS[type(other)]}"
    return Trade(number, what, more, cycles)


def _changed(program: Program, other: dict[int, Operator]) -> Program:
    """The program with other operators, by the identity of those before."""

    def change(operator: Operator) -> Operator:
        return other.get(id(operator), operator)

    changed = ProgramBuilder(program.input).finish_with(program, change=change)
    meta = dict(program.meta)
    # A pipeline has operators in front that are no layers.
    if len(meta.get("layers", ())) == len(program.calls):
        # Planning the arena may move calls.
        names = zip(program.calls, meta["layers"], strict=True)
        name_of = {id(change(call.operator)): name for call, name in names}
        meta["layers"] = [name_of[id(call.operator)] for call in changed.calls]
    return replace(changed, meta=meta, golden=program.golden)
