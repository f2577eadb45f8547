"""Recorded conversations of plain CQG clients: read to the last field, written back to the same bytes.

What each message says was recorded beside its bytes: a table that mixes up two fields reads and writes them back alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from txtrader.wire.cqg.schema import ClientMsg, ServerMsg
from txtrader.wire.cqg.session import ClientSession, MarketDataMsg, ServerSession, missing_fields, parts, redacted

FILES = sorted((Path(__file__).parents[1] / "golden" / "cqg").glob("*.txt"))
NOW = 1_795_000_000_000_000_000


def messages(path: Path) -> list[tuple[str, bytes]]:
    """Return direction (`>` to the server) and bytes of each message, in the sequence of the recording; `+` and no
    bytes where a further connection begins.
    """
    return [(line[0], bytes.fromhex(line[2:])) for line in path.read_text().splitlines() if line[0] in "<>+"]


def meanings(path: Path) -> list[tuple[str, bytes, str]]:
    """Return direction, bytes and meaning of each message."""
    lines = [line for line in path.read_text().splitlines() if line[0] in "<>="]
    pairs = list(zip(lines[::2], lines[1::2], strict=True))
    assert all(line[0] in "<>" and text[0] == "=" for line, text in pairs)
    return [(line[0], bytes.fromhex(line[2:]), text[2:]) for line, text in pairs]


@pytest.fixture(params=FILES, ids=[path.stem for path in FILES])
def conversation(request) -> list[tuple[str, bytes]]:
    return messages(request.param)


def file(name: str) -> Path:
    (path,) = [path for path in FILES if path.stem == name]
    return path


def walk(conversation: list[tuple[str, bytes]]) -> Iterator[tuple[str, bytes, Any, bytes]]:
    """Play a conversation to both of our sessions: direction, bytes, what one reads and what the other writes."""
    client, server = ClientSession(lambda: NOW, None), ServerSession(lambda: NOW)
    for direction, data in conversation:
        if direction == "+":
            client, server = ClientSession(lambda: NOW, None), ServerSession(lambda: NOW)
            continue
        reader, writer = (server, client) if direction == ">" else (client, server)
        writer.send((ClientMsg if direction == ">" else ServerMsg).FromString(data))
        written = writer.data_to_send()
        reader.receive_data(data)
        event = reader.next_event()
        while reader.data_to_send():
            pass  # an answer to a ping; the recording holds the one of then
        yield direction, data, event, written


def test_the_recordings_are_there():
    assert {path.stem for path in FILES} == {"plain_1", "plain_2", "restore_2"}
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


@pytest.mark.parametrize("name", ["plain_2", "restore_2"])
def test_a_client_of_today_is_written_byte_for_byte(name):
    for _, data, _, written in walk(messages(file(name))):
        assert written == data


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_message_says_what_it_said_when_it_was_recorded(path):
    recorded = meanings(path)
    walked = list(walk(messages(path)))
    assert len(recorded) == len(walked)
    for (way, data, text), (_, _, event, _) in zip(recorded, walked, strict=True):
        said = text_format.Parse(text, (ClientMsg if way == ">" else ServerMsg)())
        assert whole(event) == said
        if way == "<" or path.stem != "plain_1":  # packed by us, not by the first generation
            assert said.SerializeToString() == data


@pytest.mark.parametrize("name", ["plain_1", "plain_2"])
def test_a_conversation_holds_a_whole_day_of_trading(name):
    conversation = messages(file(name))
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


def test_a_restored_session_begins_anew_and_an_ended_one_is_refused():
    told = [(name, part) for way, _, event, _ in walk(messages(file("restore_2"))) for name, part in parts_of(event)]
    (logon,) = [part for name, part in told if name == "logon_result"]
    restored, refused = (part for name, part in told if name == "restore_or_join_session_result")
    assert {part.session_token for name, part in told if name == "restore_or_join_session"} == {logon.session_token}
    assert (logon.result_code, restored.result_code, refused.result_code) == (0, 0, 101)
    assert restored.base_time > logon.base_time
    reports = [part.symbol_resolution_report for name, part in told if name == "information_reports"]
    before, after = (one.contract_metadata.contract_id for one in reports if one.HasField("contract_metadata"))
    orders = [part for name, part in told if name == "order_statuses"]
    assert before != after
    assert [one.order.contract_id for one in orders if one.is_snapshot] == [after, after]
    assert len({one.chain_order_id for one in orders}) == 1


def test_sessions_follow_a_restore_and_its_refusal():
    client, server = ClientSession(lambda: NOW, None), ServerSession(lambda: NOW)
    states = []
    for way, data in [*messages(file("restore_2")), ("+", b"")]:
        if way == "+":
            states.append((client.is_logged_on, server.is_logged_on, client.base_time is not None))
            client, server = ClientSession(lambda: NOW, None), ServerSession(lambda: NOW)
            continue
        (client if way == ">" else server).send((ClientMsg if way == ">" else ServerMsg).FromString(data))
        (server if way == ">" else client).receive_data(data)
        assert (server if way == ">" else client).next_event() is not None
    assert states == [(True, True, True), (False, False, True), (False, False, False)]  # dropped, logged off, refused


def whole(event: Any) -> Any:
    """Return an event as the message that it came in."""
    if type(event) is not MarketDataMsg:
        return event
    message = ServerMsg()
    message.real_time_market_data.append(event)
    return message


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
    events = [event for _, _, event, _ in walk(conversation)]
    results = [event for event in events if isinstance(event, ServerMsg)]
    tokens = [event.logon_result.session_token for event in results if event.HasField("logon_result")]
    assert all(token not in redacted(event) for event in events for token in tokens if token)
