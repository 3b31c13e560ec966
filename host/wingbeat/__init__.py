"""Wingbeat: TinyML for MicroPython.

>>> import wingbeat
>>> program = wingbeat.convert(estimator, name="gesture")       # doctest: +SKIP
>>> program.assemble("armv6m").save("gesture.mpy")              # doctest: +SKIP
"""

from . import errors
from .assemble import Module
from .convert import convert
from .errors import WingbeatError
from .net.convert import convert_tflite
from .net.keras import convert_keras, quantization_aware, quantize_keras
from .program import Program
from .version import __version__

__all__ = [
    "Module",
    "Program",
    "WingbeatError",
    "__version__",
    "convert",
    "convert_keras",
    "convert_tflite",
    "errors",
    "quantization_aware",
    "quantize_keras",
]
