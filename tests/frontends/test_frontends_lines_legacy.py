"""Option `legacy`: the forms of 2015, byte for byte where the surface gives them."""

from __future__ import annotations

import ast
import json
import re
from decimal import Decimal
from typing import Any

import pytest
import pytest_twisted
from frontend_room import USERS, open_room

from txtrader.frontends.lines_legacy import LegacyForms, legacy_event_line, legacy_record
from txtrader.frontends.lines_replies import Forms
from txtrader.frontends.lines_words import command_words, parse_call
from txtrader.frontends.words_2015 import ORDER_WORDS_2015, STATE_WORDS_2015
from txtrader.gateway.session import Session
from txtrader.model.event import StatusEvent
from txtrader.model.order import OrderStatus

SESSION = Session(USERS["alice"][1], frontend="test", peer="-")
FORMS = LegacyForms("tws", lambda symbol, session: symbol.text)


def line_of(type: str, channel: str, data: dict[str, Any], **more: Any) -> str:
    return legacy_event_line(StatusEvent(type, channel, "tws", data, **more)).decode()


def quote(**figures: str | None) -> dict[str, Any]:
    return {name: None if figure is None else Decimal(figure) for name, figure in figures.items()}


def test_market_data_is_words_and_no_blank_after_the_colon():
    data = quote(bid="124.99", bidsize="3", ask="125.01", asksize="5")
    assert line_of("quote", "quote", data, symbol="IBM", key="IBM") == "tws.quote.IBM:124.99 3 125.01 5\n"
    data = quote(last="125", size="100", volume="123456")
    assert line_of("trade", "trade", data, symbol="IBM", key="IBM") == "tws.trade.IBM:125.0 100 123456\n"
    assert line_of("time", "time", {"time": "2026-11-20 14:31:00", "utc": "x"}) == "tws.time: 2026-11-20 14:31:00\n"


def test_an_unknown_price_is_never_told_as_zero():
    data = quote(bid=None, bidsize=None, ask="125.01", asksize="5")
    assert line_of("quote", "quote", data, symbol="IBM", key="IBM") == ""


def test_every_status_has_its_word_of_2015():
    assert set(ORDER_WORDS_2015) == {status.value for status in OrderStatus}
    assert STATE_WORDS_2015["Stale"] == "Disconnected" and STATE_WORDS_2015["ReconcileFailed"] == "Initializing"


@pytest.mark.parametrize("word", ["Unknown", "Lost"])
def test_an_unknown_order_is_never_disguised(word: str):
    assert ORDER_WORDS_2015[word] == word


def test_the_states_and_messages_have_their_forms():
    assert line_of("accounts", "account", {"accounts": ["DU1"]}) == 'tws.accounts: ["DU1"]\n'
    data = {"status": "ReconcileFailed", "previous": "Up"}
    assert line_of("connection-status-changed", "status", data) == "tws.connection-status-changed: Initializing\n"
    assert line_of("error", "status", {"message": "no such\nthing"}) == "tws.error: no such\\nthing\n"
    assert line_of("warning", "status", {"message": "careful"}) == "tws.warning: careful\n"
    assert line_of("gap", "status", {"since": "x"}) == ""


def test_a_record_shows_as_in_2015():
    record = {"id": "TX-1", "provenance": "broker", "status": "PartiallyFilled", "permid": "900002"}
    shown = legacy_record({**record, "avgfillprice": None, "price": Decimal("125"), "filled": Decimal(0)})
    assert shown == {
        "id": "TX-1",
        "provenance": "broker",
        "status": "Submitted",
        "permid": 900002,
        "avgfillprice": 0.0,
        "price": 125.0,
        "filled": 0,
    }
    assert isinstance(shown["price"], float) and isinstance(shown["filled"], int)


@pytest_twisted.ensureDeferred
async def test_a_session_of_2015(tmp_path):
    async with open_room(tmp_path) as room:
        room.broker.quote("IBM", "124.99", "125.01", bidsize=3, asksize=5)
        client = await room.log_in("legacy")
        client.send("accounts", "setaccount DU1", "nonsense", "help", "status", "add IBM", "add NOSUCH")
        assert await client.line() == ".accounts: ['DU1', 'DU2']"
        assert await client.line() == "memory.current-account: DU1"
        assert await client.line() == "memory.current-account: true"
        assert await client.line() == ".what?"
        assert ast.literal_eval(await client.starting(".commands: ")) == command_words()
        assert await client.line() == ".status: Up"
        replies = {await client.starting(".symbol "), await client.starting(".symbol ")}
        assert replies == {"IBM added", "NOSUCH added"}
        assert await client.starting("memory.quote.IBM:") == "124.99 3 125.01 5"
        client.send("limitorder IBM 125 100")
        order = json.loads(await client.starting("memory.order: "))
        assert order["status"] == "Submitted" and isinstance(order["permid"], int) and order["avgfillprice"] == 0.0
        permid = order["permid"]
        terms = json.loads(await client.starting(f"memory.open-order.{permid}: "))
        assert list(terms) == [
            *("permid", "id", "status", "filled", "remaining", "avgfillprice", "parentid", "lastfillprice"),
            *(
                "clientid",
                "whyheld",
                "symbol",
                "action",
                "quantity",
                "account",
                "price",
                "aux_price",
                "type",
                "warning",
            ),
        ]
        status = json.loads(await client.starting(f"memory.order.{permid}: "))
        assert list(status) == list(terms)[:10] and status["id"] == order["id"]
        client.send("marketorder IBM 0", "limitorder IBM 125.5x 1")
        assert (await client.starting("memory.error: ")).startswith("invalid-argument: quantity: zero")
        assert (await client.starting("memory.error: ")).startswith("invalid-argument: limit_price: not a decimal")
        room.broker.rejects = lambda order: True
        client.send("limitorder IBM 125 1")
        line = await client.line(lambda line: '"Error"' in line and line.startswith("memory.order: "))
        refused = json.loads(line.removeprefix("memory.order: "))
        assert refused["status"] == "Error" and "errorMsg" in refused and "errorCode" in refused
        room.broker.rejects = None
        client.send("marketorder IBM 10", "getbars IBM 1 . .")
        head = await client.starting("memory.execution.")
        assert re.match(r"\S+: \{\"execId\"", head)
        assert (await client.starting("memory.bardata: ")).startswith('["OK"')


def test_bars_have_the_records_of_2015():
    call = parse_call("getbars", "IBM 1 . .")
    bar = {"time": "2026-11-20 09:30:00", "volume": Decimal(1000)}
    prices = {name: Decimal("124.5") for name in ("open", "high", "low", "close")}
    _, reply = FORMS.reply(call, {"bars": [{**bar, **prices}]}, SESSION)
    (word, (shown,)) = json.loads(reply.removeprefix(b"tws.bardata: "))
    assert word == "OK" and list(shown) == [
        *("date", "open", "high", "low", "close", "volume", "count", "WAP", "hasGaps"),
    ]
    _, today = Forms("tws", lambda symbol, session: symbol.text).reply(call, {"bars": [{**bar, **prices}]}, SESSION)
    assert today == b'tws.bardata: ["Status: OK",["2026-11-20 09:30:00",124.5,124.5,124.5,124.5,1000]]'
