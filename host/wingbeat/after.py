"""After the model: from scores to detections, behind any model that gives scores.

`with_detector` and `with_vote` take a program and give one that keeps what it needs from run to run
(a program that takes a stream), whose decision is made over time; the output stays the model's.
`with_top_k` changes the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .errors import UsageError
from .program import Decision, Program, ProgramBuilder
from .reference import Operator
from .reference.activations import Quantization
from .reference.dequantize import Dequantize
from .reference.detector import FRACTION_BITS, Detector
from .reference.scores import SCORE_TYPECODES, score_range
from .reference.softmax8 import softmax
from .reference.top_k import TopK
from .reference.vote import Vote

#: Rounding of scales to float32, which must not keep a score from a threshold.
_SLACK = 1e-6
_PROBABILITY_OF_NETS = Quantization(1 / 256, -128)


@dataclass(frozen=True)
class Scores:
    """The tensor of a program that has a score for each class.

    Attributes
    ----------
    tensor : int
    typecode : str
    count : int
    quantization : pair of float and int
        Real value = (stored - zero point) * scale.
    labels : tuple of str
        Of the classes.
    """

    tensor: int
    typecode: str
    count: int
    scale: float
    zero_point: int
    labels: tuple[str, ...]


def with_detector(
    program: Program,
    *,
    threshold: float = 0.5,
    release: float | None = None,
    smoothing: int = 0,
    hold_off: int = 0,
    reject_label: str = "reject",
    background: Sequence[str] = (),
) -> Program:
    """The program with detections as its decision; see `wingbeat.reference.detector`.

    Parameters
    ----------
    program : Program
        Gives a score for each class: a forest, a boosting, or a net that ends in scores of int8,
        which become probabilities if they are none. Or one number, such as a distance: then
        there is one class, the program's second label if it has two, else ``detected``.
    threshold : float
        A class starts at this score or more: a probability, 0 to 1, or in the number's unit.
    release : float, optional
        And ends below this one; `threshold` by default.
    smoothing : int
        0 for none, up to 15: every result moves scores 2^-smoothing of the way.
    hold_off : int
        Results after a start in which no other class starts, 0 to 65535.
    reject_label : str
        What the decision is where no class is on. If it is a class of the model, that class never
        starts; else it becomes one more label.
    background : sequence of str
        Further labels of classes that never start.

    Returns
    -------
    Program
        Takes a stream; its labels are those of the classes and `reject_label`.

    Raises
    ------
    UsageError
        The program gives no scores, a label is unknown, or a number is out of range.
    """
    builder = ProgramBuilder(program.input)
    numbers = builder.append(program)
    added: list[str] = []
    scores = _probabilities(builder, _scores_of(program), numbers, added)
    release = threshold if release is None else release
    if not release <= threshold:
        raise UsageError(f"release {release} is above the threshold {threshold}: lower it")
    labels, none = _labels_with(scores.labels, reject_label)
    detector = Detector(
        scores.count,
        _steps("threshold", threshold, scores),
        _steps("release", release, scores),
        smoothing,
        hold_off,
        scores.typecode,
        scores.zero_point,
        none,
        _ignored(scores.labels, (reject_label, *background), known=labels),
    )
    facts = {"threshold": threshold, "release": release, "smoothing": smoothing}
    meta = {**program.meta, "detector": {**facts, "hold_off": hold_off}}
    return _finished(builder, program, numbers, scores, detector, labels, meta, added)


def with_vote(
    program: Program,
    n_votes: int,
    *,
    threshold: float | None = None,
    reject_label: str = "reject",
) -> Program:
    """The program with what most of its last decisions say; see `wingbeat.reference.vote`.

    Parameters
    ----------
    program : Program
        See `with_detector`.
    n_votes : int
        Decisions that are counted, 1 to 255.
    threshold : float, optional
        A result whose largest score is below it votes for `reject_label`.
    reject_label : str
        A class of the model, or one more label.

    Raises
    ------
    UsageError
        The program gives no scores, or a number is out of range.
    """
    builder = ProgramBuilder(program.input)
    numbers = builder.append(program)
    added: list[str] = []
    scores = _scores_of(program)
    if threshold is None:
        scores = replace(scores, tensor=numbers[scores.tensor])
        least, labels, none = score_range(scores.typecode)[0], scores.labels, 0
    else:
        scores = _probabilities(builder, scores, numbers, added)
        steps = _steps("threshold", threshold, scores)
        least = scores.zero_point - (-steps >> FRACTION_BITS)
        labels, none = _labels_with(scores.labels, reject_label)
    vote = Vote(scores.count, n_votes, scores.typecode, least, none)
    meta = {**program.meta, "vote": {"n_votes": n_votes, "threshold": threshold}}
    return _finished(builder, program, numbers, scores, vote, labels, meta, added)


def with_top_k(program: Program, k: int) -> Program:
    """The program with its k largest scores as its output; its decision stays as it is.

    Parameters
    ----------
    program : Program
        See `with_detector`.
    k : int
        1 to 255.

    Returns
    -------
    Program
        Its output is int32 [k, 2]: a class and its score as the model stores it, largest first.
        ``meta["top_k"]`` has the scale and the zero point of the scores.

    Raises
    ------
    UsageError
        The program gives no scores, or k is out of range.
    """
    builder = ProgramBuilder(program.input)
    numbers = builder.append(program)
    scores = _scores_of(program)
    found = builder.add(TopK(scores.count, k, scores.typecode), numbers[scores.tensor])
    stored = {"scale": scores.scale, "zero_point": scores.zero_point}
    return builder.finish(
        program.name,
        found,
        program.decision,
        numbers[program.decision_tensor],
        shape=(k, 2),
        labels=program.labels,
        meta={**program.meta, "top_k": stored},
    )


def _scores_of(program: Program) -> Scores:
    """Where the program's scores are."""
    tensor = program.output_tensor
    scale, zero_point = program.output.scale, program.output.zero_point
    for call in program.calls:
        operator = call.operator
        if isinstance(operator, Dequantize) and call.operands[1] == tensor:
            tensor, zero_point = call.operands[0], operator.zero_point
            scale = float(np.array(operator.scale, np.uint32).view(np.float32))
            break
    typecode, count = program.tensors[tensor].typecode, program.tensors[tensor].n_elements
    labels = program.labels
    one = count == 1 and program.decision in (Decision.VALUE, Decision.POSITIVE)
    if one:
        labels = (labels[1] if len(labels) == 2 else "detected",)
    elif program.decision in (Decision.ARGMAX, Decision.POSITIVE) and not labels:
        labels = tuple(map(str, range(count)))
    if typecode not in SCORE_TYPECODES or len(labels) != count:
        raise UsageError(
            f"the model gives {program.output}, with {len(program.labels)} labels: expected a"
            " score for each class, of int8, int16 or uint16; take a classifier"
        )
    return Scores(tensor, typecode, count, scale, zero_point, labels)


def _probabilities(
    builder: ProgramBuilder, scores: Scores, numbers: dict[int, int], added: list[str]
) -> Scores:
    """The scores with the builder's number of their tensor, behind a softmax if int8 needs one."""
    place = numbers[scores.tensor]
    known = (scores.scale, scores.zero_point) == (
        _PROBABILITY_OF_NETS.scale,
        _PROBABILITY_OF_NETS.zero_point,
    )
    if scores.typecode != "b" or scores.count == 1 or known:
        return replace(scores, tensor=place)
    operator = softmax(1, scores.count, Quantization(scores.scale, scores.zero_point))
    added.append("softmax")
    return replace(
        scores,
        tensor=builder.add(operator, place),
        scale=_PROBABILITY_OF_NETS.scale,
        zero_point=_PROBABILITY_OF_NETS.zero_point,
    )


def _steps(name: str, value: float, scores: Scores) -> int:
    """A real score in the detector's steps: the least that is not below it."""
    _, most = score_range(scores.typecode)
    largest = (most - scores.zero_point) * scores.scale
    if not abs(value) <= largest * (1 + _SLACK):
        raise UsageError(f"{name} {value}: scores of this model go up to {largest:.4g}")
    exact = value / scores.scale * 2**FRACTION_BITS
    return int(np.ceil(exact - abs(exact) * _SLACK))


def _labels_with(labels: tuple[str, ...], reject: str) -> tuple[tuple[str, ...], int]:
    """Labels of the decisions, and the number of the one for no class."""
    if reject in labels:
        return labels, labels.index(reject)
    return (*labels, reject), len(labels)


def _ignored(
    labels: tuple[str, ...], names: Sequence[str], known: tuple[str, ...]
) -> tuple[int, ...]:
    for name in names:
        if name not in known:
            raise UsageError(f"no class {name!r}: the model knows {', '.join(labels)}")
    return tuple(number for number, label in enumerate(labels) if label in names)


def _finished(
    builder: ProgramBuilder,
    program: Program,
    numbers: dict[int, int],
    scores: Scores,
    last: Operator,
    labels: tuple[str, ...],
    meta: dict[str, Any],
    added: list[str],
) -> Program:
    """The program with the first output of `last`, on the scores, as its decision."""
    before = meta.pop("layers", None)
    decided = builder.add(last, scores.tensor)
    made = builder.finish(
        program.name,
        numbers[program.output_tensor],
        Decision.VALUE,
        decided,
        shape=program.output.shape,
        scale=program.output.scale,
        zero_point=program.output.zero_point,
        labels=labels,
        meta=meta,
    )
    if not isinstance(before, list) or len(before) != len(program.calls):
        return made
    # Planning the arena may move calls.
    names = {id(call.operator): name for call, name in zip(program.calls, before, strict=True)}
    names[id(last)] = last.KERNEL
    layers = [names.get(id(call.operator), *added) for call in made.calls]
    return replace(made, meta={**meta, "layers": layers})
