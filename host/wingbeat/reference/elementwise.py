"""The operators of nets that work on single elements, or only move them."""

from __future__ import annotations

from .argmax import Argmax
from .arithmetic import Add, Mul
from .concat import Concat
from .dequantize import Dequantize
from .gather import Gather
from .lookup import Lookup
from .pad import Pad
from .quantize import Quantize
from .rescale import Rescale
from .softmax8 import Softmax8
from .standardize import Standardize

ELEMENTWISE = (
    Add,
    Mul,
    Lookup,
    Softmax8,
    Quantize,
    Dequantize,
    Argmax,
    Pad,
    Concat,
    Gather,
    Rescale,
    Standardize,
)
