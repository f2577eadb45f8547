"""The contract of sessions that are given whole messages: what `test_wire_session_contract.py` says of bytes.

Cutting is the transport's business (`tests/net/test_websocket.py`); here messages come in groups of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import wire_cases
from hypothesis import given, settings
from hypothesis import strategies as st

from txtrader.errors import LocalProtocolError, RemoteProtocolError

CASES = {case.name: case for case in wire_cases.MESSAGE_CASES}


def cases(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())(test)


def pull(case, session) -> list[Any]:
    """Take the events that are there, answering what the protocol wants answered."""
    events = []
    while (event := session.next_event()) is not None:
        case.react(session, event)
        events.append(event)
    return events


def sent_by(session) -> list[bytes]:
    return list(iter(session.data_to_send, b""))


def begun(case, messages: Sequence[bytes] = ()) -> Any:
    """Return a session that has had its opening messages, with nothing left to send."""
    session = case.make()
    case.begin(session)
    for message in messages:
        session.receive_data(message)
    pull(case, session)
    sent_by(session)
    return session


def run(case, messages: Sequence[bytes], stops: set[int]) -> tuple[list[Any], list[bytes], str | None]:
    """Feed messages, pulling events after those at `stops` and at the end; return events, answers, violation."""
    session = case.make()
    case.begin(session)
    sent_by(session)
    events: list[Any] = []
    try:
        for place, message in enumerate(messages):
            session.receive_data(message)
            if place in stops or place == len(messages) - 1:  # what is pulled after the end cannot be answered
                while (event := session.next_event()) is not None:
                    case.react(session, event)
                    events.append(event)
        session.receive_eof()
        while (event := session.next_event()) is not None:
            case.react(session, event)
            events.append(event)
    except RemoteProtocolError as error:
        return events, sent_by(session), str(error)
    return events, sent_by(session), None


@cases
def test_any_grouping_gives_the_same_events_and_answers(case):
    whole = run(case, case.messages, set())
    events, answers, violation = whole
    assert violation is None
    assert len(events) == len(case.messages) - case.silent
    assert answers, "a ping is answered"

    @settings(max_examples=60, deadline=None)
    @given(st.sets(st.integers(0, len(case.messages))))
    def check(stops: set[int]) -> None:
        assert run(case, case.messages, stops) == whole

    check()


@cases
def test_events_before_a_violation_are_delivered_and_nothing_after_it(case):
    messages = [*case.messages, case.garbage, case.messages[-1]]
    whole = run(case, messages, set())
    assert whole[2] is not None
    assert whole[0] == run(case, case.messages, set())[0]
    for stop in range(len(messages)):
        assert run(case, messages, {stop}) == whole
    session = case.make()
    case.begin(session)
    for message in messages:
        session.receive_data(message)
    with pytest.raises(RemoteProtocolError):
        pull(case, session)
    session.receive_data(case.messages[-1])
    try:
        assert session.next_event() is None
    except RemoteProtocolError:
        pass  # saying it again is as good


@cases
def test_half_a_message_is_never_half_an_event(case):
    for size in range(1, len(case.messages[1])):
        events, _, violation = run(case, [case.messages[0], case.messages[1][:-size]], set())
        whole = run(case, case.messages[:2], set())[0]
        assert violation is not None or events != whole


@cases
def test_what_is_sent_is_handed_out_once(case):
    session = begun(case, case.opening)
    session.send(case.sendable)
    assert session.data_to_send() == case.sendable.SerializeToString()
    assert session.data_to_send() == b""


@cases
def test_what_must_not_be_sent_raises_and_leaves_nothing_behind(case):
    session = begun(case, case.opening)
    with pytest.raises(LocalProtocolError):
        session.send(case.unsendable)
    assert session.data_to_send() == b""


@cases
def test_time_is_told_and_silence_is_a_violation(case):
    session = begun(case, case.opening)
    session.handle_timeout(100.0)
    for ping in (1, 2):
        deadline = session.next_deadline()
        assert deadline is not None and deadline > 100.0
        session.handle_timeout(deadline - 0.001)
        assert session.data_to_send() == b""
        session.handle_timeout(deadline)
        assert session.data_to_send() and session.unanswered_pings == ping
    with pytest.raises(RemoteProtocolError):
        session.handle_timeout(session.next_deadline())
