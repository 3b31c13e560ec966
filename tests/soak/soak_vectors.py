"""All test vectors on every target. Run by `make soak`; `make test` runs a share of them."""

from __future__ import annotations

import pytest

from vectors.on_targets import run_vectors
from wingbeat.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_all_vectors(target: str) -> None:
    run_vectors(target, None)
