"""The shapes of positional answers."""

from __future__ import annotations

import pytest

from txtrader.errors import TooLarge
from txtrader.frontends.shapes import positional_shape

BAR = {"time": "2026-11-20 09:30:00", "open": 1, "high": 2, "low": 1, "close": 2, "volume": 5, "count": 1, "wap": 1}


def test_bars_are_a_status_and_rows():
    assert positional_shape("query_bars", {"bars": [BAR]}) == [
        "Status: OK",
        ["2026-11-20 09:30:00", 1, 2, 1, 2, 5],
    ]


@pytest.mark.parametrize("operation", ["query_bars", "query_orders", "query_executions"])
def test_more_than_ten_thousand_rows_are_too_large(operation: str):
    def answer(count: int):
        return {"bars": [BAR] * count} if operation == "query_bars" else {key: {} for key in range(count)}

    assert len(positional_shape(operation, answer(10_000))) >= 10_000
    with pytest.raises(TooLarge):
        positional_shape(operation, answer(10_001))
