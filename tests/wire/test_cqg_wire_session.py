"""Both ends of a CQG session, joined in memory: sequence, pings, the end."""

from __future__ import annotations

import pytest

from txtrader.errors import LocalProtocolError, RemoteProtocolError
from txtrader.wire.cqg.schema import ClientMsg, ServerMsg
from txtrader.wire.cqg.session import ClientSession, ServerSession

NOW = 1_739_686_812_000_000_000  # 2025-02-16T06:20:12Z
BASE = "2025-02-16T06:20:12"


class Pair:
    def __init__(self, client_pings=None, server_pings=None):
        self.now = NOW
        self.client = ClientSession(lambda: self.now, client_pings)
        self.server = ServerSession(lambda: self.now, server_pings)

    def carry(self):
        """Carry all messages both ways; return what each end heard."""
        heard = {"client": [], "server": []}
        moved = True
        while moved:
            moved = False
            for name, one, other in (("server", self.client, self.server), ("client", self.server, self.client)):
                while data := one.data_to_send():
                    moved = True
                    other.receive_data(data)
                while (event := other.next_event()) is not None:
                    heard[name].append(event)
        return heard

    def log_on(self, code=0):
        self.client.send(logon())
        self.carry()
        self.server.send(result(code))
        return self.carry()


def logon():
    message = ClientMsg()
    message.logon.user_name, message.logon.password, message.logon.client_version = "u", "p", "1"
    return message


def result(code=0):
    message = ServerMsg()
    answer = message.logon_result
    answer.result_code, answer.base_time, answer.server_time = code, BASE, 0
    answer.protocol_version_major, answer.protocol_version_minor = 2, 230
    return message


def subscription():
    message = ClientMsg()
    message.market_data_subscriptions.add(contract_id=1, level=3)
    return message


def test_nothing_leaves_before_the_logon_is_answered():
    pair = Pair()
    with pytest.raises(LocalProtocolError, match="not logged on"):
        pair.client.send(subscription())
    pair.client.send(logon())
    with pytest.raises(LocalProtocolError):
        pair.client.send(subscription())
    pair.carry()
    pair.server.send(result())
    pair.carry()
    assert pair.client.base_time.text == BASE
    pair.client.send(subscription())
    assert len(pair.carry()["server"]) == 1


@pytest.mark.parametrize(
    "first, words",
    [
        (subscription(), "first message"),
        (ClientMsg(), "empty"),
    ],
)
def test_a_server_refuses_what_is_not_a_logon_first(first, words):
    pair = Pair()
    pair.server.receive_data(first.SerializePartialToString())
    with pytest.raises(RemoteProtocolError, match=words):
        pair.server.next_event()


def test_a_second_logon_and_an_empty_message_are_refused_by_both_ends():
    pair = Pair()
    pair.log_on()
    with pytest.raises(LocalProtocolError, match="second"):
        pair.client.send(logon())
    with pytest.raises(LocalProtocolError, match="empty"):
        pair.client.send(ClientMsg())
    pair.server.receive_data(logon().SerializeToString())
    with pytest.raises(RemoteProtocolError, match="second"):
        pair.server.next_event()


def test_a_failed_logon_is_no_logon():
    pair = Pair()
    (answer,) = pair.log_on(101)["client"]
    assert answer.logon_result.result_code == 101
    assert not pair.client.is_logged_on and not pair.server.is_logged_on


def test_bytes_that_are_no_message_end_it_after_what_came_before():
    pair = Pair()
    pair.log_on()
    pair.server.receive_data(subscription().SerializeToString())
    pair.server.receive_data(b"\xff\xff\xff")
    assert pair.server.next_event() is not None
    with pytest.raises(RemoteProtocolError, match="no ClientMsg"):
        pair.server.next_event()


def test_required_fields_are_demanded_of_what_is_sent_and_not_of_what_comes():
    pair = Pair()
    pair.log_on()
    wrong = ClientMsg()
    wrong.market_data_subscriptions.add(contract_id=1)
    with pytest.raises(LocalProtocolError, match="level"):
        pair.client.send(wrong)
    pair.server.receive_data(wrong.SerializePartialToString())
    assert pair.server.next_event() == wrong


def test_pings_are_answered_at_once_with_token_and_time_copied():
    pair = Pair()
    pair.log_on()
    ping = ServerMsg()
    ping.ping.token, ping.ping.ping_utc_time = "t1", 1234
    pair.client.receive_data(ping.SerializeToString())
    pair.now += 5_000_000_000
    assert pair.client.next_event() is None
    answer = ClientMsg.FromString(pair.client.data_to_send())
    assert (answer.pong.token, answer.pong.ping_utc_time, answer.pong.pong_utc_time) == ("t1", 1234, 5000)


def test_two_pings_without_answer_end_the_session_and_an_answer_begins_anew():
    pair = Pair(client_pings=30.0)
    pair.log_on()
    assert pair.client.next_deadline() is not None
    pair.client.handle_timeout(100.0)
    assert (pair.client.next_deadline(), pair.client.data_to_send()) == (130.0, b"")
    pair.client.handle_timeout(130.0)
    pair.carry()  # answered
    assert pair.client.unanswered_pings == 0
    pair.client.handle_timeout(160.0)
    pair.client.handle_timeout(190.0)
    pair.client.handle_timeout(200.0)
    assert pair.client.unanswered_pings == 2
    with pytest.raises(RemoteProtocolError, match="2 pings"):
        pair.client.handle_timeout(220.0)


def test_a_result_that_nobody_asked_for_is_a_breach():
    pair = Pair()
    pair.log_on()
    pair.client.receive_data(result().SerializeToString())
    with pytest.raises(RemoteProtocolError, match="not asked for"):
        pair.client.next_event()


def test_after_the_end_nothing_is_pinged_or_sent():
    pair = Pair(client_pings=30.0)
    pair.log_on()
    goodbye = ServerMsg()
    goodbye.logged_off.logoff_reason = 3
    pair.server.send(goodbye)
    pair.carry()
    assert pair.client.next_deadline() is None
    with pytest.raises(LocalProtocolError):
        pair.client.send(subscription())
    pair.client.receive_eof()
