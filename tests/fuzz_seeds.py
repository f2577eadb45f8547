"""The seeds of tests with random input: a few in every run, many in `make fuzz`."""

from __future__ import annotations

from typing import Any

import pytest

__all__ = ["seeds"]


def seeds(few: int, many: int = 200) -> Any:
    """Give a test its `seed`: numbers below `few` always, those up to `many` when fuzzing."""
    more = [pytest.param(seed, marks=pytest.mark.fuzz) for seed in range(few, many)]
    return pytest.mark.parametrize("seed", [*range(few), *more])
