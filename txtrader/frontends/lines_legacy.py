"""The exact forms of 2015, for programs of that time: option `legacy`.

Status words, Python lists and blanks are as they were; two things are not, on purpose.  An order's `id` is the
gateway's, and a quote with an unknown side is not told at all, where the original told a price of zero.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from txtrader.errors import BrokerError, KillSwitch, RiskDenied, TxTraderError
from txtrader.frontends.lines_replies import Forms
from txtrader.frontends.lines_words import Call, command_words
from txtrader.frontends.shapes import PRICE_KEYS
from txtrader.frontends.text import error_text, printable
from txtrader.frontends.words_2015 import ORDER_WORDS_2015, STATE_WORDS_2015
from txtrader.gateway.session import Session
from txtrader.model.event import StatusEvent
from txtrader.model.numbers import plain_text

__all__ = ["LegacyForms", "legacy_event_line", "legacy_record"]

_ORDER_KEYS = (
    "permid",
    "id",
    "status",
    "filled",
    "remaining",
    "avgfillprice",
    "parentid",
    "lastfillprice",
    "clientid",
    "whyheld",
)
_OPEN_ORDER_KEYS = ("symbol", "action", "quantity", "account", "price", "aux_price", "type", "warning")
_ZERO_FOR_NONE = frozenset({"avgfillprice", "lastfillprice"})


def _number(value: Decimal) -> int | float:
    """Return a Decimal as the JSON of 2015 had it: whole sizes as integers."""
    return int(value) if value == value.to_integral_value() else float(value)


def _value(key: str, value: Any) -> Any:
    if value is None:
        return 0.0 if key in _ZERO_FOR_NONE else None
    if key == "permid" and isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, Decimal):
        return float(value) if key in PRICE_KEYS else _number(value)
    return legacy_record(value)


def legacy_record(value: Any) -> Any:
    """Return builtins as 2015 showed them: its status words, `permid` as integer, floats, 0.0 for no fill price."""
    if isinstance(value, Mapping):
        shown = {key: _value(key, item) for key, item in value.items()}
        if "provenance" in shown and shown.get("status") in ORDER_WORDS_2015:  # an order record
            shown["status"] = ORDER_WORDS_2015[shown["status"]]
        return shown
    if isinstance(value, (list, tuple)):
        return [legacy_record(item) for item in value]
    return _number(value) if isinstance(value, Decimal) else value


def _json(value: Any) -> bytes:
    return json.dumps(value).encode("ascii")


def _price(value: Decimal) -> str:
    text = plain_text(value)
    return text if "." in text else f"{text}.0"


def _size(value: Decimal | None) -> str:
    return "0" if value is None else plain_text(value)


class LegacyForms(Forms):
    """Writes replies in the forms of 2015."""

    def error(self, call: Call | None, error: TxTraderError) -> bytes:
        """Write an error; a refused order is an order with the status `Error`."""
        if call is not None and call.word.kind == "order" and isinstance(error, (BrokerError, RiskDenied, KillSwitch)):
            code = error.broker_code if error.broker_code is not None else error.code
            shown: dict[str, Any] = {"status": "Error", "errorMsg": printable(error.text), "errorCode": code}
            if error.order is not None:
                shown["id"] = error.order.get("id")
            return f"{self.mode}.order: ".encode("ascii") + _json(shown)
        return f"{self.mode}.error: {error_text(error)}".encode("ascii")

    def unknown_word(self, error: TxTraderError) -> bytes:
        """Answer a word that there is not."""
        return b".what?"

    def help(self) -> bytes:
        """List the words, as a Python list."""
        return f".commands: {command_words()}".encode("ascii")

    def current_account(self, account: str) -> bytes:
        """Write the event that tells a session its current account."""
        return f"{self.mode}.current-account: {account}\n".encode("ascii")

    def _word(self, call: Call, result: Any, session: Session) -> tuple[bytes, bytes]:
        return super()._word(call, STATE_WORDS_2015.get(result, result), session)

    def _list(self, call: Call, result: Any, session: Session) -> tuple[bytes, bytes]:
        return b"", printable(f".{call.word.kind}: {list(map(str, result))}").encode("ascii")

    def _record(self, call: Call, result: Any, session: Session) -> tuple[bytes, bytes]:
        if call.word.kind == "bardata":
            result = ["OK", [_bar(row) for row in result[1:]]]
        mode = result.get("mode") if isinstance(result, dict) else None
        head = f"{mode if isinstance(mode, str) else self.mode}.{call.word.kind}: "
        return b"", head.encode("ascii") + _json(legacy_record(result))

    def _current_account(self, call: Call, result: Any, session: Session) -> tuple[bytes, bytes]:
        before, _ = super()._current_account(call, result, session)
        return before, f"{self.mode}.current-account: {'true' if result is True else 'false'}".encode("ascii")

    def _added(self, call: Call, result: Any, session: Session) -> tuple[bytes, bytes]:
        return b"", f".symbol {self._symbol(call, session)} added".encode("ascii")


def _bar(row: list[Any]) -> dict[str, Any]:
    time, open_, high, low, close, volume = row
    return {
        "date": time,
        "open": open_,
        "high": high,
        "low": low,
        "close": close,
        "volume": volume,
        "count": None,
        "WAP": None,
        "hasGaps": False,
    }


def legacy_event_line(event: StatusEvent) -> bytes:
    """Write an event, as one or two lines; nothing for one that 2015 did not have."""
    write = _EVENTS.get(event.type)
    text = None if write is None else write(event)
    return b"" if text is None else f"{text}\n".encode("ascii")


def _quote(event: StatusEvent) -> str | None:
    data = event.data
    if data["bid"] is None or data["ask"] is None:
        return None
    figures = (_price(data["bid"]), _size(data["bidsize"]), _price(data["ask"]), _size(data["asksize"]))
    return f"{event.mode}.quote.{event.symbol}:{' '.join(figures)}"


def _trade(event: StatusEvent) -> str | None:
    data = event.data
    return f"{event.mode}.trade.{event.symbol}:{_price(data['last'])} {_size(data['size'])} {_size(data['volume'])}"


def _order(event: StatusEvent) -> str:
    """Write the two lines that TWS itself sent for each change: the terms, then the status."""
    record = legacy_record(event.data)
    permid = record["permid"] or 0
    status = {key: record[key] for key in _ORDER_KEYS}
    terms = {**status, **{key: record[key] for key in _OPEN_ORDER_KEYS}}
    status["permid"] = terms["permid"] = permid
    head = printable(f"{event.mode}.{{}}.{permid}: ")
    return f"{head.format('open-order')}{json.dumps(terms)}\n{head.format('order')}{json.dumps(status)}"


def _execution(event: StatusEvent) -> str:
    return f"{event.mode}.execution.{printable(str(event.key))}: {json.dumps(legacy_record(event.data))}"


def _accounts(event: StatusEvent) -> str:
    return f"{event.mode}.accounts: {json.dumps(event.data['accounts'])}"


def _state(event: StatusEvent) -> str:
    word = str(event.data["status"])
    return f"{event.mode}.connection-status-changed: {STATE_WORDS_2015.get(word, word)}"


def _message(event: StatusEvent) -> str:
    return printable(f"{event.mode}.{event.type}: {event.data.get('message')}")


def _order_warning(event: StatusEvent) -> str:
    return printable(f"{event.mode}.warning: {event.data.get('errorMsg')}")


def _time(event: StatusEvent) -> str:
    return f"{event.mode}.time: {event.data['time']}"


_EVENTS: Mapping[str, Callable[[StatusEvent], str | None]] = {
    "quote": _quote,
    "trade": _trade,
    "order": _order,
    "execution": _execution,
    "accounts": _accounts,
    "connection-status-changed": _state,
    "error": _message,
    "warning": _message,
    "order-warning": _order_warning,
    "cancel-rejected": _order_warning,
    "time": _time,
}
