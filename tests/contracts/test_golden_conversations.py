"""F06 (I5): recorded conversations of real TWS clients, cut at every place, always give the same messages."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from txtrader.errors import RemoteProtocolError
from txtrader.testing.frames import TwsClientSplitter, TwsServerSplitter
from txtrader.wire.tws.client import ClientSession, Undecoded
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.server import Hello, ServerSession
from txtrader.wire.tws.table import RESPONSES

FILES = sorted((Path(__file__).parents[1] / "golden" / "tws").glob("*.txt"))


def halves(path: Path) -> tuple[bytes, bytes]:
    """Return what the client sent and what the server sent."""
    sent, received = b"", b""
    for line in path.read_text().splitlines():
        if line.startswith("> "):
            sent += bytes.fromhex(line[2:])
        elif line.startswith("< "):
            received += bytes.fromhex(line[2:])
    return sent, received


@pytest.fixture(params=FILES, ids=[path.stem for path in FILES])
def conversation(request) -> tuple[bytes, bytes]:
    return halves(request.param)


def requests(stream: bytes, cuts: list[int]) -> list[object]:
    session = ServerSession()
    events: list[object] = []
    start = 0
    for end in [*sorted(cuts), len(stream)]:
        session.receive_data(stream[start:end])
        start = end
        while (event := session.next_event()) is not None:
            if isinstance(event, Hello):
                session.greet(event, "20260105 10:00:00 EST")
            events.append(event)
    assert session.leftover_fields == 0
    return events


def test_the_recordings_are_there():
    assert {path.stem for path in FILES} >= {"ib_async", "ibapi"}
    assert all(path.read_text().startswith("# ") for path in FILES), "each says where it comes from"


def test_every_request_of_a_real_client_is_read_to_its_last_field(conversation):
    sent, _ = conversation
    events = requests(sent, [])
    assert isinstance(events[0], Hello)
    assert all(isinstance(event, Message) for event in events[1:])
    names = {event.name for event in events[1:]}
    assert {"startApi", "reqMktData", "placeOrder", "cancelOrder"} <= names


def test_a_cut_at_every_place_gives_the_same_requests(conversation):
    sent, _ = conversation
    whole = requests(sent, [])
    for place in range(1, len(sent)):
        assert requests(sent, [place]) == whole, f"cut at {place}"
    assert requests(sent, list(range(1, len(sent)))) == whole


def test_every_answer_that_a_real_client_accepted_is_read_to_its_last_field(conversation):
    _, received = conversation
    frames = TwsServerSplitter().feed(received)
    version = int(frames[0][4:].split(b"\0")[0])
    for frame in frames[1:]:
        _, left_over = RESPONSES.decode(frame[4:], version)
        assert left_over == 0, frame


def test_our_client_makes_the_same_events_of_any_cut(conversation):
    _, received = conversation
    frames = TwsServerSplitter().feed(received)
    version = int(frames[0][4:].split(b"\0")[0])
    session = ClientSession(client_id=4)
    if version > session.offered[1]:
        with pytest.raises(RemoteProtocolError):  # a version that was not offered is no answer to take
            events_of(received, [])
        return
    chooser = random.Random(1)
    whole = events_of(received, [])
    assert not [event for event in whole if isinstance(event, Undecoded)]
    assert len(whole) >= len(frames)
    for _ in range(50):
        assert events_of(received, sorted(chooser.sample(range(1, len(received)), 20))) == whole
    assert events_of(received, list(range(1, len(received)))) == whole


def events_of(stream: bytes, cuts: list[int]) -> list[object]:
    session = ClientSession(client_id=4)
    events: list[object] = []
    start = 0
    for end in [*cuts, len(stream)]:
        session.receive_data(stream[start:end])
        start = end
        while (event := session.next_event()) is not None:
            events.append(event)
    return events


def test_splitters_of_the_fault_proxy_cut_them_into_whole_messages(conversation):
    for stream, splitter in zip(conversation, (TwsClientSplitter(), TwsServerSplitter()), strict=True):
        assert b"".join(splitter.feed(stream)) == stream
        assert splitter.rest() == b""
