"""Recorded conversations of plain CQG clients: read to the last field, written back to the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from txtrader.wire.cqg.schema import ClientMsg, ServerMsg
from txtrader.wire.cqg.session import ClientSession, MarketDataMsg, ServerSession, missing_fields, parts, redacted

FILES = sorted((Path(__file__).parents[1] / "golden" / "cqg").glob("*.txt"))
NOW = 1_795_000_000_000_000_000


def messages(path: Path) -> list[tuple[str, bytes]]:
    """Return direction (`>` to the server) and bytes of each message, in the sequence of the recording."""
    return [(line[0], bytes.fromhex(line[2:])) for line in path.read_text().splitlines() if line[0] in "<>"]


@pytest.fixture(params=FILES, ids=[path.stem for path in FILES])
def conversation(request) -> list[tuple[str, bytes]]:
    return messages(request.param)


def walk(conversation: list[tuple[str, bytes]]) -> Iterator[tuple[str, bytes, Any, bytes]]:
    """Play a conversation to both of our sessions: direction, bytes, what one reads and what the other writes."""
    client, server = ClientSession(lambda: NOW, None), ServerSession(lambda: NOW)
    for direction, data in conversation:
        reader, writer = (server, client) if direction == ">" else (client, server)
        writer.send((ClientMsg if direction == ">" else ServerMsg).FromString(data))
        written = writer.data_to_send()
        reader.receive_data(data)
        event = reader.next_event()
        while reader.data_to_send():
            pass  # an answer to a ping; the recording holds the one of then
        yield direction, data, event, written


def test_the_recordings_are_there():
    assert {path.stem for path in FILES} == {"plain_1", "plain_2"}
    assert all(path.read_text().startswith("# websockets") for path in FILES), "each says where it comes from"


def test_every_message_is_an_event_and_is_written_as_it_came(conversation):
    count = 0
    for way, data, event, written in walk(conversation):
        assert event is not None and not missing_fields(event)
        if way == ">":
            # Clients of the first generation write lists of numbers one by one, we pack them: the sense is the same.
            assert ClientMsg.FromString(written) == ClientMsg.FromString(data)
        else:
            assert written == data
        count += 1
    assert count > 30


def test_a_client_of_today_is_written_byte_for_byte():
    (path,) = [path for path in FILES if path.stem == "plain_2"]
    for _, data, _, written in walk(messages(path)):
        assert written == data


def test_a_conversation_holds_a_whole_day_of_trading(conversation):
    asked = {name for way, _, event, _ in walk(conversation) if way == ">" for name, _ in parts_of(event)}
    told = {name for way, _, event, _ in walk(conversation) if way == "<" for name, _ in parts_of(event)}
    assert asked >= {
        "logon",
        "information_requests",
        "market_data_subscriptions",
        "trade_subscriptions",
        "order_requests",
        "time_bar_requests",
        "logoff",
    }
    assert told >= {
        "logon_result",
        "information_reports",
        "market_data_subscription_statuses",
        "real_time_market_data",
        "trade_subscription_statuses",
        "trade_snapshot_completions",
        "order_statuses",
        "position_statuses",
        "order_request_rejects",
        "time_bar_reports",
        "logged_off",
    }


def parts_of(event: Any) -> list[tuple[str, Any]]:
    """Return the parts of either direction's message."""
    if type(event) is MarketDataMsg:
        return [("real_time_market_data", event)]
    if isinstance(event, ServerMsg):
        return list(parts(event))
    return [(descriptor.name, value) for descriptor, value in event.ListFields()]


def test_no_secret_shows_in_a_log(conversation):
    logons = [
        event for _, _, event, _ in walk(conversation) if isinstance(event, ClientMsg) and event.HasField("logon")
    ]
    assert logons and all("password: <redacted>" in redacted(event) or "***" in redacted(event) for event in logons)
    results = [event for _, _, event, _ in walk(conversation) if isinstance(event, ServerMsg)]
    tokens = [event.logon_result.session_token for event in results if event.HasField("logon_result")]
    assert all(token not in redacted(event) for event in results for token in tokens if token)
