"""The server role: negotiation, framing however the bytes are cut, and what is wrong on the client's side."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.wire.tws.framing import MAX_FRAME, FrameBuffer, frame
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.server import Hello, ServerSession, UnknownRequest, UnreadableRequest
from txtrader.wire.tws.table import REQUESTS, RESPONSES

NOW = "20260105 10:00:00 EST"


def hello(versions: bytes) -> bytes:
    return b"API\0" + frame(versions)


def request(name: str, version: int = 178, **fields: Any) -> bytes:
    return frame(REQUESTS.encode(Message(name, fields), version))


def converse(session: ServerSession, pieces: list[bytes]) -> list[Any]:
    events: list[Any] = []
    for piece in pieces:
        session.receive_data(piece)
        while (event := session.next_event()) is not None:
            events.append(event)
            if isinstance(event, Hello):
                session.greet(event, NOW)
    return events


@pytest.mark.parametrize(
    ("versions", "cap", "agreed"),
    [
        (b"v100..157", 178, 157),
        (b"v157..178", 178, 178),
        (b"v157..178", 200, 178),
        (b"v100..225", 178, 178),
        (b"v100..225", 200, 200),
        (b"v100..151", 178, 151),
        (b"v157", 178, 157),
        (b"v100..158", 178, 157),
        (b"v100..225", 158, 157),
        (b"v100..178 +PACEAPI", 178, 178),
    ],
)
def test_the_version_is_the_lower_maximum_and_never_158(versions: bytes, cap: int, agreed: int) -> None:
    session = ServerSession(max_version=cap)
    converse(session, [hello(versions)])
    assert session.version == agreed
    assert session.data_to_send() == frame(f"{agreed}\0{NOW}\0".encode())


@pytest.mark.parametrize("versions", [b"v100..150", b"v179..225", b"v158..158", b"v200..100"])
def test_ranges_that_do_not_meet_end_without_an_answer(versions: bytes) -> None:
    session = ServerSession()
    with pytest.raises(RemoteProtocolError):
        converse(session, [hello(versions)])
    assert session.data_to_send() == b""
    assert session.next_event() is None


@pytest.mark.parametrize(
    "opening",
    [b"63\0", b"\0", b"APIX", b"GET / HTTP/1.1\r\n", hello(b""), hello(b"v"), hello(b"vx..y"), hello(b"v100..178\n")],
)
def test_who_does_not_shake_hands_is_dropped(opening: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        converse(ServerSession(), [opening])


def test_a_wrong_first_byte_is_seen_at_once() -> None:
    with pytest.raises(RemoteProtocolError):
        converse(ServerSession(), [b"6"])


def test_a_greeting_has_a_small_bound() -> None:
    with pytest.raises(RemoteProtocolError):
        converse(ServerSession(), [b"API\0" + (1025).to_bytes(4, "big")])


def test_frames_are_bounded() -> None:
    session = ServerSession()
    converse(session, [hello(b"v100..178")])
    with pytest.raises(RemoteProtocolError):
        converse(session, [(MAX_FRAME + 1).to_bytes(4, "big")])
    with pytest.raises(LocalProtocolError):
        frame(bytes(MAX_FRAME + 1))
    assert len(frame(bytes(MAX_FRAME))) == MAX_FRAME + 4


CONVERSATION = (
    hello(b"v100..178 +PACEAPI")
    + request("startApi", clientId=7, optionalCapabilities="")
    + request("reqCurrentTime")
    + frame(b"4711\0")
    + frame(b"1\0" + b"11\0" + b"9\0" + b"x\0")
    + frame(b"not terminated")
    + frame(b"")
    + request("reqContractDetails", reqId=3, symbol="Zürich")
)
EVENTS = [
    Hello(100, 178, "+PACEAPI", 178),
    Message("startApi", {"clientId": 7, "optionalCapabilities": ""}),
    Message("reqCurrentTime", {}),
    UnknownRequest("4711"),
    UnreadableRequest("reqMktData", 9, "reqMktData.conId: not an integer"),
    UnreadableRequest("", -1, "the last field has no end"),
    UnreadableRequest("", -1, "the last field has no end"),
]


@given(st.lists(st.integers(0, len(CONVERSATION)), max_size=12))
def test_any_cut_of_the_bytes_gives_the_same_events(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(CONVERSATION)]
    pieces = [CONVERSATION[a:b] for a, b in pairwise(edges)]
    events = converse(ServerSession(), pieces)
    assert events[:-1] == EVENTS
    assert events[-1].get("symbol") == "Zürich"


def test_bytes_one_at_a_time_give_the_same_events() -> None:
    events = converse(ServerSession(), [bytes([byte]) for byte in CONVERSATION])
    assert events[:-1] == EVENTS


def test_fields_left_over_are_counted() -> None:
    session = ServerSession()
    converse(session, [hello(b"v178"), frame(b"49\x001\x00surplus\x00")])
    assert session.leftover_fields == 1


def test_nothing_is_sent_before_the_handshake() -> None:
    session = ServerSession()
    with pytest.raises(LocalProtocolError):
        session.send(Message("currentTime", {"time": 1}))
    with pytest.raises(LocalProtocolError):
        session.greet(Hello(100, 178, "", 178), NOW)


def test_responses_are_framed_at_the_agreed_version() -> None:
    session = ServerSession()
    converse(session, [hello(b"v100..157")])
    session.data_to_send()
    session.send(Message("currentTime", {"time": 1}))
    session.send(Message("managedAccounts", {"accountsList": "DU1,DU2"}))
    expected = [Message("currentTime", {"time": 1}), Message("managedAccounts", {"accountsList": "DU1,DU2"})]
    buffer = FrameBuffer()
    buffer.feed(session.data_to_send())
    assert [RESPONSES.decode(buffer.next_frame() or b"", 157)[0] for _ in expected] == expected
    assert session.data_to_send() == b""


def test_a_silent_client_is_dropped_after_the_handshake_timeout() -> None:
    session = ServerSession(handshake_timeout=30.0)
    session.handle_timeout(100.0)
    assert session.next_deadline() == 130.0
    session.handle_timeout(129.9)
    with pytest.raises(RemoteProtocolError):
        session.handle_timeout(130.0)


def test_a_client_that_shook_hands_has_no_deadline() -> None:
    session = ServerSession(handshake_timeout=30.0)
    session.handle_timeout(100.0)
    converse(session, [hello(b"v100..178")])
    assert session.next_deadline() is None
    session.handle_timeout(1000.0)


def test_reading_costs_the_same_per_frame_however_many_come_at_once() -> None:
    one = request("reqCurrentTime")

    def seconds_per_frame(count: int) -> float:
        session = ServerSession()
        converse(session, [hello(b"v178")])
        began = time.perf_counter()
        assert len(converse(session, [one * count])) == count
        return (time.perf_counter() - began) / count

    small = min(seconds_per_frame(2000) for _ in range(3))
    large = min(seconds_per_frame(40000) for _ in range(2))
    assert large < small * 5
