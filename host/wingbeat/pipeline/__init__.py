"""Pipelines: from raw samples to a decision, as a file says it in the field's words.

    rate = 8000

    [[stage]]
    kind = "window"
    length = 256
    hop = 160

    [[stage]]
    kind = "log_mel"
    bands = 24

    [model]
    kind = "forest"
    trees = 20

    [after]
    threshold = 0.7
    hold_off = 2.0

A stage takes what the one in front of it gives; `wingbeat.stages` has the kinds with their
parameters. `load_pipeline` reads a file or one of the presets.
"""

from __future__ import annotations

from .options import DISTANCES, MODELS, TREES, AfterOptions, ModelOptions
from .pipeline import INPUTS, SPLITS, Pipeline
from .reading import load_pipeline, parse_pipeline, presets

__all__ = [
    "DISTANCES",
    "INPUTS",
    "MODELS",
    "SPLITS",
    "TREES",
    "AfterOptions",
    "ModelOptions",
    "Pipeline",
    "load_pipeline",
    "parse_pipeline",
    "presets",
]
