"""The special shapes of positional front ends (lines, XMLRPC), made from the neutral answers of the gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from txtrader.errors import TooLarge

__all__ = ["PRICE_KEYS", "positional_shape"]

PRICE_KEYS = frozenset(
    {
        "ask",
        "avgfillprice",
        "avgprice",
        "aux_price",
        "bid",
        "close",
        "commission",
        "commission_max",
        "commission_min",
        "equity_with_loan",
        "high",
        "init_margin",
        "last",
        "lastfillprice",
        "limit_offset",
        "limit_price",
        "low",
        "maint_margin",
        "mark",
        "market_value",
        "open",
        "previous_price",
        "price",
        "realized",
        "stop_price",
        "strike",
        "tick",
        "trail_amount",
        "trail_percent",
        "unrealized",
        "vwap",
        "wap",
    }
)
"""Keys whose decimals are prices or money: where numbers have types they are floating, even when whole."""


_MAX_ROWS = 10_000


def _version(result: dict[str, Any]) -> str:
    return str(result["version"])


def _uptime(result: dict[str, Any]) -> str:
    seconds = int(result["elapsed"])
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"started {result['started']} (elapsed {hours}:{minute:02d}:{second:02d})"


def _bars(result: dict[str, Any]) -> list[Any]:
    if len(result["bars"]) > _MAX_ROWS:
        raise TooLarge(f"the answer has more than {_MAX_ROWS} bars: narrow it by start and end")
    names = ("time", "open", "high", "low", "close", "volume")
    return ["Status: OK", *([bar[name] for name in names] for bar in result["bars"])]


_LISTS = frozenset({"query_orders", "query_tickets", "query_executions", "query_order_executions"})

_SHAPES: dict[str, Callable[[dict[str, Any]], Any]] = {"version": _version, "uptime": _uptime, "query_bars": _bars}


def positional_shape(operation: str, result: Any) -> Any:
    """Return the answer of an operation as positional front ends show it; most show what the gateway gave.

    Raises TooLarge: these front ends have no pages.
    """
    if operation in _LISTS and len(result) > _MAX_ROWS:
        raise TooLarge(f"the answer has more than {_MAX_ROWS} rows: narrow it by since, account or symbol")
    shape = _SHAPES.get(operation)
    return result if shape is None or not isinstance(result, dict) else shape(result)
