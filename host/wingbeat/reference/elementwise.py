"""The operators of nets that work on single elements, or only move them."""

from __future__ import annotations

from .lookup import Lookup
from .softmax8 import Softmax8

ELEMENTWISE = (Lookup, Softmax8)
