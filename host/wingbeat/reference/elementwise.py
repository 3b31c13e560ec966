"""The operators of nets that work on single elements, or only move them."""

from __future__ import annotations

from .arithmetic import Add, Mul
from .dequantize import Dequantize
from .lookup import Lookup
from .quantize import Quantize
from .rescale import Rescale
from .softmax8 import Softmax8

ELEMENTWISE = (Add, Mul, Lookup, Softmax8, Quantize, Dequantize, Rescale)
