"""The wire session contract: any cut of the bytes gives the same events, ends are clean, buffers are bounded.

Every session of `txtrader/wire` that is given bytes runs this very file; a new protocol adds a `Case`.  One that is
given whole messages has no bytes to cut: it adds a `MessageCase` and runs `test_message_session_contract.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import wire_cases
from hypothesis import given, settings
from hypothesis import strategies as st

from txtrader.errors import LocalProtocolError, RemoteProtocolError

CASES = {case.name: case for case in wire_cases.CASES}


def cases(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())(test)


def pull(case, session) -> list[Any]:
    """Take the events that are there, answering what the protocol wants answered."""
    events = []
    while (event := session.next_event()) is not None:
        case.react(session, event)
        events.append(event)
    return events


def run(case, stream: bytes, cuts: list[int]) -> tuple[list[Any], bytes, str | None]:
    """Feed a stream cut at the given places; return events, bytes to send, and the violation if there was one."""
    session = case.make()
    events: list[Any] = []
    sent = b""
    start = 0
    try:
        for end in [*sorted(cuts), len(stream)]:
            session.receive_data(stream[start:end])
            start = end
            while (event := session.next_event()) is not None:
                case.react(session, event)
                events.append(event)
            sent += session.data_to_send()
        session.receive_eof()
        events += pull(case, session)
    except RemoteProtocolError as error:
        return events, sent + session.data_to_send(), str(error)
    return events, sent + session.data_to_send(), None


@cases
def test_the_whole_stream_at_once_gives_the_expected_events(case):
    events, _, violation = run(case, case.stream, [])
    assert violation is None
    assert len(events) == case.events


@cases
def test_one_byte_at_a_time_gives_the_same(case):
    whole = run(case, case.stream, [])
    assert run(case, case.stream, list(range(1, len(case.stream)))) == whole


@cases
def test_a_cut_at_every_single_place_gives_the_same(case):
    stream = case.stream[:2000]
    whole = run(case, stream, [])
    for place in range(1, len(stream)):
        assert run(case, stream, [place]) == whole, f"cut at {place}"


@cases
def test_any_cuts_give_the_same(case):
    whole = run(case, case.stream, [])

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.integers(0, len(case.stream)), max_size=12))
    def check(cuts: list[int]) -> None:
        assert run(case, case.stream, cuts) == whole

    check()


@cases
def test_events_before_a_violation_are_delivered_however_the_bytes_are_cut(case):
    stream = case.stream + case.garbage
    events, _, violation = run(case, stream, [])
    assert violation is not None
    assert len(events) == case.events
    for place in {1, len(case.stream) - 1, len(case.stream), len(case.stream) + 1, len(stream) - 1}:
        again, _, found = run(case, stream, [place])
        assert (again, found) == (events, violation), f"cut at {place}"


@cases
def test_an_end_in_mid_message_delivers_no_part_of_it(case):
    for size in range(1, min(len(case.last), 40)):
        events, _, violation = run(case, case.stream[: -len(case.last)] + case.last[:-size], [])
        assert len(events) == case.events - 1, f"{size} bytes short"
        assert violation is None


@cases
def test_a_message_that_never_ends_is_a_violation_and_is_not_kept(case):
    session = case.make()
    session.receive_data(case.opening)
    pull(case, session)
    fed = 0
    with pytest.raises(RemoteProtocolError):
        while fed <= case.bound + 2 * len(case.endless):
            session.receive_data(case.endless)
            fed += len(case.endless)
            pull(case, session)


@cases
def test_nothing_comes_after_a_violation(case):
    session = case.make()
    session.receive_data(case.stream + case.garbage)
    with pytest.raises(RemoteProtocolError):
        pull(case, session)
    session.receive_data(case.last)
    try:
        assert session.next_event() is None
    except RemoteProtocolError:
        pass  # saying it again is as good


@cases
def test_what_is_sent_is_handed_out_once(case):
    session = case.make()
    session.receive_data(case.opening)
    pull(case, session)
    session.data_to_send()
    session.send(case.sendable)
    assert session.data_to_send()
    assert session.data_to_send() == b""


@cases
def test_what_must_not_be_sent_raises_and_leaves_nothing_behind(case):
    session = case.make()
    session.receive_data(case.opening)
    pull(case, session)
    session.data_to_send()
    with pytest.raises(LocalProtocolError):
        session.send(case.unsendable)
    assert session.data_to_send() == b""


@cases
def test_time_is_told_and_never_asked(case):
    session = case.make()
    session.handle_timeout(100.0)
    deadline = session.next_deadline()
    if deadline is not None:
        assert deadline > 100.0
        session.handle_timeout(deadline - 0.001)
        with pytest.raises(RemoteProtocolError):
            session.handle_timeout(deadline + 0.001)
