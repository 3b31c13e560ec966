"""Stages of pipelines, each a small class: its parameters, and the operators that it stands for."""

from __future__ import annotations

from collections.abc import Mapping

from .base import Shape, Stage
from .features import (
    AutocorrelationStage,
    BandEnergiesStage,
    Log2Stage,
    LogMelStage,
    MfccStage,
    PeakNormalizeStage,
    PercentilesStage,
    PowerSpectrumStage,
    StatisticsStage,
)
from .join import JoinStage
from .pictures import PICTURE_STAGES, as_features
from .signals import (
    ChannelsStage,
    DecimateStage,
    DeltaStage,
    DifferenceStage,
    FilterStage,
    FirStage,
    MagnitudeStage,
    RemoveMeanStage,
    ScaleStage,
)
from .windows import WindowStage

_CLASSES: tuple[type[Stage], ...] = (
    WindowStage,
    FilterStage,
    FirStage,
    DecimateStage,
    DifferenceStage,
    RemoveMeanStage,
    ScaleStage,
    ChannelsStage,
    MagnitudeStage,
    StatisticsStage,
    PercentilesStage,
    AutocorrelationStage,
    PowerSpectrumStage,
    BandEnergiesStage,
    LogMelStage,
    MfccStage,
    Log2Stage,
    PeakNormalizeStage,
    DeltaStage,
    JoinStage,
    *PICTURE_STAGES,
)

STAGES: Mapping[str, type[Stage]] = {each.KIND: each for each in _CLASSES}
"""Class of each kind of stage."""

__all__ = ["PICTURE_STAGES", "STAGES", "JoinStage", "Shape", "Stage", "WindowStage", "as_features"]
