"""What a pipeline trains on its features, and what it makes of the scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wingbeat.after import with_detector, with_vote
from wingbeat.errors import UsageError
from wingbeat.program import Program
from wingbeat.reference.detector import MAX_SMOOTHING
from wingbeat.reference.vote import MAX_VOTES
from wingbeat.simulate import BACKGROUND
from wingbeat.train import ForestOptions, MlpOptions, Options, check_epochs

TREES = ("forest", "extra-trees", "tree", "boosting")
DISTANCES = ("mahalanobis", "centres")
MODELS = (*TREES, "mlp", "net", *DISTANCES)
MAX_HOLD_OFF = 65535
_THRESHOLD = 0.5


@dataclass(frozen=True)
class ModelOptions:
    """What is trained on the features.

    Parameters
    ----------
    kind : {"forest", "extra-trees", "tree", "boosting", "mlp", "net", "mahalanobis", "centres"}
        The last two learn what is normal, and tell it from all else.
    trees, max_depth, min_samples_leaf : int
        Of trees.
    hidden : sequence of int
        Neurons of each layer of an mlp.
    net : str
        A name of `wingbeat.nets`, or FILE.py:FUNCTION, which takes keras and the shape of the
        features, and returns a model.
    epochs : int
        Of an mlp or a net.
    normal : str
        For mahalanobis and centres: the class to learn. What other classes there are, is tested.
    share : float
        For them: the share of normal windows of new groups that is to count as normal.
    centres : int
        Of centres.
    """

    kind: str = "forest"
    trees: int = 20
    max_depth: int | None = None
    min_samples_leaf: int = 1
    hidden: Sequence[int] = (32,)
    net: str = "small_cnn"
    epochs: int = 40
    normal: str = "normal"
    share: float = 0.99
    centres: int = 8

    def __post_init__(self) -> None:
        if self.kind not in MODELS:
            raise UsageError(f"no model {self.kind!r}: choose one of {', '.join(MODELS)}")
        if self.kind in DISTANCES:
            if not 0 < self.share <= 1:
                raise UsageError(f"share = {self.share}: expected above 0 and up to 1")
            if not 1 <= self.centres <= 255:
                raise UsageError(f"centres = {self.centres}: expected 1 to 255")
        elif self.kind == "net":
            check_epochs(self.epochs)
        else:
            _ = self.options  # refuses what is out of range

    @property
    def options(self) -> Options:
        """As `wingbeat.train` takes them; of trees and an mlp."""
        if self.kind == "mlp":
            return MlpOptions(tuple(self.hidden), self.epochs)
        return ForestOptions(self.trees, self.max_depth, self.min_samples_leaf, kind=self.kind)


@dataclass(frozen=True)
class AfterOptions:
    """What becomes of the model's scores from result to result; see `wingbeat.after`.

    Parameters
    ----------
    threshold : float, optional
        A class starts at this score or more, 0 to 1; 0.5 by default. With `vote`, a result below it
        votes for none. Of a distance: in deviations, the model's own by default.
    release : float, optional
        And ends below this one; `threshold` by default.
    smoothing : float
        Seconds in which a smoothed score goes about two thirds of the way to a new one, rounded to
        a power of two of the time between results; 0 for none.
    hold_off : float
        Seconds after a start in which no other class starts.
    reject : str
        Label of the result where no class is on: one of the model's own, which then never starts,
        or one more.
    background : sequence of str, optional
        Further classes that never start. By default those whose names say so: background, silence,
        noise, unknown, ...
    vote : float
        Instead of a detector: the result is what most of the results of so many seconds say.
    """

    threshold: float | None = None
    release: float | None = None
    smoothing: float = 0.0
    hold_off: float = 0.0
    reject: str = "reject"
    background: Sequence[str] | None = None
    vote: float = 0.0

    def __post_init__(self) -> None:
        for name in ("smoothing", "hold_off", "vote"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} = {getattr(self, name)}: expected seconds, 0 or more")
        for name in ("threshold", "release"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise UsageError(f"{name} = {value}: expected 0 or more")
        of_detector = ("release", "smoothing", "hold_off", "background")
        if not self.reject:
            raise UsageError("reject = '': expected a label")
        wrong = [name for name in of_detector if getattr(self, name)]
        if self.vote and wrong:
            raise UsageError(f"{', '.join(wrong)}: not with vote; leave out one or the other")

    def behind(self, program: Program, per_second: float) -> Program:
        """The program with the detector, or the vote, behind it.

        Parameters
        ----------
        per_second : float
            Results a second.

        Raises
        ------
        UsageError
            The program has no such class, or a number is out of range.
        """
        if "anomaly" in program.meta:
            return self._alarm(program, per_second)
        for name in ("threshold", "release"):
            value = getattr(self, name)
            if value is not None and value > 1:
                raise UsageError(f"{name} = {value}: expected 0 to 1")
        if self.vote:
            return self._vote(program, per_second)
        background = self.background
        if background is None:
            known = [label for label in program.labels if label.casefold() in BACKGROUND]
            background = [label for label in known if label != self.reject]
        if set(program.labels) <= {self.reject, *background}:
            raise UsageError(
                f"no class of {', '.join(program.labels)} could start: expected one that is neither"
                " reject nor background"
            )
        threshold = _THRESHOLD if self.threshold is None else self.threshold
        return self._detector(program, per_second, threshold, self.reject, background)

    def _alarm(self, program: Program, per_second: float) -> Program:
        """Behind a distance, of which `threshold` is one."""
        if self.vote or self.background:
            raise UsageError("vote, background: not behind a distance; leave them out")
        known = program.meta["anomaly"]["threshold"]
        threshold = known if self.threshold is None else self.threshold
        return self._detector(program, per_second, threshold, program.labels[0], ())

    def _detector(
        self,
        program: Program,
        per_second: float,
        threshold: float,
        reject: str,
        background: Sequence[str],
    ) -> Program:
        results = self.smoothing * per_second
        steps = max(round(math.log2(results)), 0) if results else 0
        if steps > MAX_SMOOTHING:
            raise UsageError(
                f"smoothing = {self.smoothing}: expected at most"
                f" {2**MAX_SMOOTHING / per_second:.4g} seconds"
            )
        held = round(self.hold_off * per_second)
        if held > MAX_HOLD_OFF:
            raise UsageError(
                f"hold_off = {self.hold_off}: expected at most {MAX_HOLD_OFF / per_second:.4g}"
                " seconds"
            )
        return with_detector(
            program,
            threshold=threshold,
            release=self.release,
            smoothing=steps,
            hold_off=held,
            reject_label=reject,
            background=background,
        )

    def _vote(self, program: Program, per_second: float) -> Program:
        votes = max(1, round(self.vote * per_second))
        if votes > MAX_VOTES:
            raise UsageError(
                f"vote = {self.vote}: expected at most {MAX_VOTES / per_second:.4g} seconds, which"
                f" are {MAX_VOTES} results"
            )
        return with_vote(program, votes, threshold=self.threshold, reject_label=self.reject)
