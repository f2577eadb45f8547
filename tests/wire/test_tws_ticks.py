"""Our own decoder of frequent messages makes the very events that the API package's decoder makes."""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from txtrader.wire.tws.client import ClientSession, LoggedIn
from txtrader.wire.tws.ibapi_binding import load_binding
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.table import RESPONSES
from txtrader.wire.tws.ticks import SIZED_TYPES, GenericTick, Numbers, PriceTick, SizeTick, StringTick, TickDecoder

VERSIONS = [
    version for version in (151, 155, 156, 157, 163, 164, 176, 177, 178, 200) if version <= load_binding().max_version
]

req_ids = st.integers(min_value=1, max_value=2**31 - 2)
small = st.integers(min_value=0, max_value=9)
prices = st.decimals(min_value=-999, max_value=99999, places=4)
whole = st.integers(min_value=0, max_value=10**9).map(Decimal)
fractions = st.decimals(min_value=0, max_value=99999, places=3)
texts = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=12)
plain_texts = st.text(alphabet="ABCDEFXYZ ;.0123456789", max_size=12)
tick_types = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 37, 45, 48, 49, 66, 67, 68, 69, 88, 89])


def hot_messages(version: int) -> st.SearchStrategy[Message]:
    sizes = fractions if version >= 163 else whole
    words = texts if version >= 153 else plain_texts  # before, text is not escaped, and the package reads bytes
    made: dict[str, dict[str, Any]] = {
        "tickPrice": {"reqId": req_ids, "tickType": tick_types, "price": prices, "size": sizes, "attrMask": small},
        "tickSize": {"reqId": req_ids, "tickType": tick_types, "size": sizes},
        "tickGeneric": {"reqId": req_ids, "tickType": tick_types, "value": prices},
        "tickString": {"reqId": req_ids, "tickType": tick_types, "value": words},
        "orderStatus": {
            "orderId": req_ids, "status": st.sampled_from(["Submitted", "Filled", "Inactive"]), "filled": fractions,
            "remaining": fractions, "avgFillPrice": prices, "permId": req_ids, "parentId": small,
            "lastFillPrice": prices, "clientId": small, "whyHeld": st.sampled_from(["", "locate"]),
            "mktCapPrice": prices,
        },
        "updateMktDepth": {
            "reqId": req_ids, "position": small, "operation": small, "side": small, "price": prices, "size": sizes,
        },
        "updateMktDepthL2": {
            "reqId": req_ids, "position": small, "marketMaker": st.sampled_from(["ARCA", "NSDQ", ""]),
            "operation": small, "side": small, "price": prices, "size": sizes, "isSmartDepth": st.booleans(),
        },
        "tickOptionComputation": {
            "reqId": req_ids, "tickType": st.sampled_from([10, 11, 12, 13, 53]), "tickAttrib": small,
            **{
                name: st.none() | st.decimals(min_value=0, max_value=99, places=5)
                for name in ("impliedVol", "delta", "optPrice", "pvDividend", "gamma", "vega", "theta", "undPrice")
            },
        },
        "realtimeBar": {
            "reqId": req_ids, "time": req_ids, "open": prices, "high": prices, "low": prices, "close": prices,
            "volume": sizes, "wap": prices, "count": small,
        },
        "historicalDataUpdate": {
            "reqId": req_ids, "barCount": small, "date": st.sampled_from(["1795186800", "20261120"]), "open": prices,
            "close": prices, "high": prices, "low": prices, "wap": prices, "volume": sizes,
        },
    }  # fmt: skip
    kinds = [
        st.fixed_dictionaries(fields).map(lambda filled, name=name: Message(name, filled))  # type: ignore[misc]
        for name, fields in made.items()
    ]
    last = {
        "reqId": req_ids, "time": req_ids, "price": prices, "size": sizes, "mask": small,
        "exchange": st.sampled_from(["ARCA", ""]), "specialConditions": st.sampled_from(["", " T", "4 1"]),
    }  # fmt: skip
    bid_ask = {
        "reqId": req_ids, "time": req_ids, "bidPrice": prices, "askPrice": prices, "bidSize": sizes, "askSize": sizes,
        "mask": small,
    }  # fmt: skip
    for kind, fields in (
        (1, last),
        (2, last),
        (3, bid_ask),
        (4, {"reqId": req_ids, "time": req_ids, "midPoint": prices}),
    ):
        made_fields = {"tickType": st.just(kind), **fields}
        kinds.append(st.fixed_dictionaries(made_fields).map(lambda filled: Message("tickByTick", filled)))
    return st.one_of(kinds)


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def session_at(version: int, has_fast_decoder: bool) -> ClientSession:
    session = ClientSession(client_id=1, max_version=version, has_fast_decoder=has_fast_decoder)
    session.receive_data(frame(b"%d\x0020261120 10:00:00 EST\x00" % version))
    assert isinstance(session.next_event(), LoggedIn)
    return session


def drained(session: ClientSession) -> list[Any]:
    found = []
    while (event := session.next_event()) is not None:
        found.append(event)
    return found


@settings(max_examples=60 * len(VERSIONS), deadline=None)
@given(version=st.sampled_from(VERSIONS), data=st.data())
def test_both_decoders_make_equal_events(version: int, data: st.DataObject) -> None:
    messages = data.draw(st.lists(hot_messages(version), min_size=1, max_size=8))
    raw = b"".join(frame(RESPONSES.encode(message, version)) for message in messages)
    fast, slow = session_at(version, True), session_at(version, False)
    slow.receive_data(raw)
    expected = drained(slow)
    assert slow.undecoded == 0
    cuts = sorted(data.draw(st.lists(st.integers(min_value=0, max_value=len(raw)), max_size=6)))
    found, start = [], 0
    for cut in [*cuts, len(raw)]:
        fast.receive_data(raw[start:cut])
        found += drained(fast)
        start = cut
    assert found == expected
    assert len(found) == len(messages)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_single_cut_of_a_stream_makes_equal_events(version: int) -> None:
    messages = [
        Message("tickPrice", {"reqId": 1, "tickType": 1, "price": Decimal("12.35"), "size": Decimal(5), "attrMask": 1}),
        Message("tickString", {"reqId": 1, "tickType": 45, "value": "1795186800"}),
        Message("tickSize", {"reqId": 1, "tickType": 8, "size": Decimal(900)}),
        Message("tickPrice", {"reqId": 1, "tickType": 9, "price": Decimal("12"), "size": Decimal(0), "attrMask": 0}),
        Message("tickGeneric", {"reqId": 1, "tickType": 49, "value": Decimal(0)}),
    ]
    raw = b"".join(frame(RESPONSES.encode(message, version)) for message in messages)
    slow = session_at(version, False)
    slow.receive_data(raw)
    expected = drained(slow)
    assert [type(event) for event in expected] == [PriceTick, StringTick, SizeTick, PriceTick, GenericTick]
    for cut in range(len(raw) + 1):
        fast = session_at(version, True)
        fast.receive_data(raw[:cut])
        found = drained(fast)
        fast.receive_data(raw[cut:])
        assert found + drained(fast) == expected


@pytest.mark.parametrize("tick_type", [1, 9])
def test_a_price_tick_has_a_size_only_where_it_means_one(tick_type: int) -> None:
    event = TickDecoder(157).decode(b"1\x006\x003\x00%d\x0010.5\x00700\x001\x00" % tick_type)
    assert event == PriceTick(3, tick_type, Decimal("10.5"), Decimal(700) if tick_type in SIZED_TYPES else None, 1)


@pytest.mark.parametrize(
    "price",
    [
        "",
        "nan",
        "NaN5",
        "Infinity",
        "-inf",
        "1.7976931348623157E308",
        "1_0",
        " 5",
        "\u0665",
        "5.",
        ".5",
        "1e5",
        "9" * 17,
    ],
)
def test_a_price_that_is_not_plain_is_left_to_the_package(price: str) -> None:
    assert TickDecoder(157).decode(f"1\x006\x003\x001\x00{price}\x00700\x001\x00".encode()) is None


@pytest.mark.parametrize("price", [b"nan", b"1.7976931348623157E308", b"2e308", b"2147483647", b"9223372036854775807"])
def test_a_sentinel_price_becomes_none_and_never_a_number(price: bytes) -> None:
    session = session_at(VERSIONS[-1], True)
    session.receive_data(frame(b"1\x006\x003\x001\x00" + price + b"\x00700\x001\x00"))
    (event,) = drained(session)
    assert isinstance(event, PriceTick)
    assert event.price is None


@pytest.mark.parametrize(
    "body", [b"", b"1", b"1\x00", b"1\x006\x003\x00", b"99\x001\x009\x005\x00", b"46\x006\x001\x00"]
)
def test_a_short_frame_is_left_to_the_package(body: bytes) -> None:
    assert TickDecoder(157).decode(body) is None


def test_escaped_text_is_left_to_the_package() -> None:
    assert TickDecoder(157).decode(b"46\x006\x001\x0045\x00\\u00e4\x00") is None


def test_the_table_of_numbers_stays_bounded() -> None:
    numbers = Numbers()
    for number in range(200_000):
        assert numbers[str(number)] == number
    assert len(numbers) <= 65536
