"""Without TensorFlow, the message says what to install."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from wingbeat import convert_keras, quantization_aware
from wingbeat.errors import DataError


def test_tensorflow_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("tensorflow", "tf_keras"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DataError, match=r"pip install wingbeat\[keras\]"):
        convert_keras(0, np.zeros((9, 2)))
    with pytest.raises(DataError, match=r"pip install wingbeat\[qat\]"):
        quantization_aware(0)
