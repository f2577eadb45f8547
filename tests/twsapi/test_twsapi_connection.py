"""One connection, spoken to in bytes: login, questions, heartbeat, loss."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from txtrader.errors import BrokerRejected, BrokerUnavailable, ConfigError, NotReady
from txtrader.twsapi.codes import CodeClass, Codes
from txtrader.twsapi.connection import Connection, LoginInfo, Timing, printable
from txtrader.twsapi.ids import OrderIds, RequestIds
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.table import REQUESTS, RESPONSES

VERSION = 157


class Transport(StringTransport):
    def abortConnection(self) -> None:
        self.aborted = True
        self.loseConnection()


class Owner:
    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def logged_in(self, connection: Connection, info: LoginInfo) -> None:
        self.told.append(("logged in", info.accounts))

    def fell_silent(self, connection: Connection) -> None:
        self.told.append(("silent",))

    def lost(self, connection: Connection, failure: Failure) -> None:
        self.told.append(("lost", connection.refusal))

    def received(self, connection: Connection, message: Message) -> None:
        self.told.append(("received", message.name))

    def reported(self, connection: Connection, code: int, text: str, number: int, kind: CodeClass | None) -> None:
        self.told.append(("reported", code, number, kind))


class Talk:
    """A connection and the other end of its wire."""

    def __init__(self, **options: Any) -> None:
        self.clock, self.owner, self.transport = Clock(), Owner(), Transport()
        self.order_ids = OrderIds()
        self.connection = Connection(
            self.clock,
            self.owner,
            client_id=3,
            codes=Codes.load(),
            order_ids=self.order_ids,
            timing=Timing(handshake=5.0, heartbeat=10.0, question=30.0),
            max_version=VERSION,
            **options,
        )
        self.connection.pump.makeConnection(self.transport)

    def say(self, name: str, **fields: Any) -> None:
        body = RESPONSES.encode(Message(name, fields), VERSION)
        self.connection.pump.dataReceived(struct.pack(">I", len(body)) + body)

    def agree(self) -> None:
        body = b"%d\x0020261120 10:00:00 EST\x00" % VERSION
        self.connection.pump.dataReceived(struct.pack(">I", len(body)) + body)

    def log_in(self, next_id: int = 1, accounts: str = "DU1,DU2") -> None:
        self.agree()
        self.say("nextValidId", orderId=next_id)
        self.say("managedAccounts", accountsList=accounts)
        self.transport.clear()
        self.owner.told.clear()

    def heard(self) -> list[Message]:
        data, found = self.transport.value(), []
        self.transport.clear()
        while data:
            (length,) = struct.unpack_from(">I", data)
            found.append(REQUESTS.decode(data[4 : 4 + length], VERSION)[0])
            data = data[4 + length :]
        return found

    def lose(self) -> None:
        self.connection.pump.connectionLost(Failure(ConnectionDone()))


def outcome(waiting: Deferred[Any]) -> list[Any]:
    found: list[Any] = []
    waiting.addCallbacks(found.append, lambda failure: found.append(failure.value))
    return found


def test_ready_is_both_the_next_id_and_accounts_that_are_not_empty() -> None:
    talk = Talk()
    talk.agree()
    talk.say("managedAccounts", accountsList="")
    talk.say("nextValidId", orderId=7)
    assert not talk.connection.is_ready
    talk.say("managedAccounts", accountsList="DU1, DU2,")
    assert ("logged in", ("DU1", "DU2")) in talk.owner.told
    assert talk.order_ids.take() == 7


def test_a_login_that_does_not_come_ends_at_its_deadline() -> None:
    talk = Talk()
    talk.agree()
    talk.clock.advance(5.1)
    assert talk.transport.aborted
    talk.lose()
    ((_, refusal),) = [fact for fact in talk.owner.told if fact[0] == "lost"]
    assert "did not log us in" in refusal
    assert talk.clock.getDelayedCalls() == []


def test_a_refused_client_id_is_the_reason_of_the_loss() -> None:
    talk = Talk()
    talk.agree()
    talk.say("error", reqId=-1, errorCode=326, errorString="Unable to connect as the client id is already in use")
    talk.lose()
    assert ("lost", "client id 3 is in use") in talk.owner.told


def test_two_questions_at_once_get_each_their_answer() -> None:
    talk = Talk()
    talk.log_in()
    first = outcome(talk.connection.ask("reqContractDetails", {"symbol": "A"}, ends=("contractDetailsEnd",)))
    second = outcome(talk.connection.ask("reqContractDetails", {"symbol": "B"}, ends=("contractDetailsEnd",)))
    one, two = (message["reqId"] for message in talk.heard())
    talk.say("contractDetails", reqId=two, symbol="B", conId=2)
    talk.say("contractDetails", reqId=one, symbol="A", conId=1)
    talk.say("contractDetailsEnd", reqId=two)
    assert [message["symbol"] for message in second[0]] == ["B"]
    assert first == []
    talk.say("contractDetailsEnd", reqId=one)
    assert [message["symbol"] for message in first[0]] == ["A"]


def test_callers_of_a_question_without_an_id_share_one_exchange() -> None:
    talk = Talk()
    talk.log_in()
    waiting = [
        outcome(talk.connection.ask_shared("reqPositions", answers=("position",), ends=("positionEnd",)))
        for _ in range(3)
    ]
    assert [message.name for message in talk.heard()] == ["reqPositions"]
    talk.say("position", account="DU1", conId=1, symbol="A", secType="STK")
    assert waiting == [[], [], []]
    talk.say("positionEnd")
    assert [len(found[0]) for found in waiting] == [1, 1, 1]
    assert ("received", "position") not in talk.owner.told
    talk.say("position", account="DU1", conId=1, symbol="A", secType="STK")
    assert ("received", "position") in talk.owner.told  # afterwards it is news


def test_a_failure_carries_the_code_and_words_of_tws_and_a_warning_ends_nothing() -> None:
    talk = Talk()
    talk.log_in()
    found = outcome(talk.connection.ask("reqContractDetails", {"symbol": "A"}, ends=("contractDetailsEnd",)))
    (asked,) = talk.heard()
    talk.say("error", reqId=asked["reqId"], errorCode=2107, errorString="a farm sleeps")
    assert found == []
    talk.say("error", reqId=asked["reqId"], errorCode=200, errorString="No security\ndefinition")
    (error,) = found
    assert isinstance(error, BrokerRejected)
    assert (error.broker_code, error.message) == (200, "No security definition")


def test_a_question_ends_at_its_deadline_and_is_taken_back() -> None:
    talk = Talk()
    talk.log_in()
    found = outcome(
        talk.connection.ask(
            "reqHistoricalData", {"conId": 1}, ends=("historicalDataEnd",), timeout=4.0, cancel="cancelHistoricalData"
        )
    )
    (asked,) = talk.heard()
    talk.clock.advance(4.1)
    assert isinstance(found[0], BrokerUnavailable)
    assert talk.heard() == [Message("cancelHistoricalData", {"reqId": asked["reqId"]})]


def test_a_caller_who_leaves_takes_the_question_back() -> None:
    talk = Talk()
    talk.log_in()
    waiting = talk.connection.ask("reqHistoricalData", {"conId": 1}, ends=("x",), cancel="cancelHistoricalData")
    waiting.addErrback(lambda failure: None)
    talk.heard()
    waiting.cancel()
    assert [message.name for message in talk.heard()] == ["cancelHistoricalData"]


def test_the_loss_fails_every_question_and_leaves_nothing_ticking() -> None:
    talk = Talk()
    talk.log_in()
    found = [
        outcome(talk.connection.ask("reqContractDetails", {}, ends=("contractDetailsEnd",))),
        outcome(talk.connection.ask_shared("reqPositions", answers=("position",), ends=("positionEnd",))),
    ]
    talk.say("position", account="DU1", conId=1, symbol="A", secType="STK")
    talk.lose()
    assert all(isinstance(result[0], BrokerUnavailable) for result in found)
    assert ("received", "position") in talk.owner.told  # what had come is not lost with the question
    assert talk.clock.getDelayedCalls() == []
    with pytest.raises(BrokerUnavailable):
        talk.connection.ask("reqContractDetails", {}, ends=())


def test_silence_is_noticed_within_two_heartbeats() -> None:
    talk = Talk()
    talk.log_in()
    talk.clock.advance(10.0)
    assert [message.name for message in talk.heard()] == ["reqCurrentTime"]
    talk.say("currentTime", time=5)
    talk.clock.advance(10.0)
    assert ("silent",) not in talk.owner.told
    talk.clock.advance(10.0)
    assert ("silent",) in talk.owner.told
    assert talk.transport.aborted


def test_any_traffic_is_a_sign_of_life() -> None:
    talk = Talk()
    talk.log_in()
    for _ in range(10):
        talk.clock.advance(9.0)
        talk.say("updateAccountTime", timeStamp="10:00")
    assert ("silent",) not in talk.owner.told


def test_a_bad_frame_is_counted_and_the_link_stays() -> None:
    talk = Talk()
    talk.log_in()
    talk.connection.pump.dataReceived(struct.pack(">I", 9) + b"9\x001\x00oops\x00")
    talk.say("currentTime", time=5)
    assert ("received", "currentTime") in talk.owner.told
    assert talk.connection.session.undecoded == 1


def test_words_of_tws_become_one_printable_line() -> None:
    assert printable("a\nb\x1b[2Jc\x00") == "a b [2Jc"


# --- ids ---


def test_order_ids_only_rise_whoever_says_what() -> None:
    ids = OrderIds()
    with pytest.raises(NotReady):
        ids.take()
    ids.seen(40)
    ids.offered(1)
    assert ids.take() == 41
    ids.seen(2**31 - 1)  # unset
    ids.seen(10)
    ids.offered(30)
    assert ids.take() == 42


def test_request_ids_stay_clear_of_order_ids() -> None:
    requests = RequestIds()
    assert requests.owns(requests.take())
    assert not requests.owns(5)
    requests.stay_clear_of(2**30 + 5)
    number = requests.take()
    assert number < 2**30
    assert not requests.owns(2**30 + 5)


# --- codes ---


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (399, CodeClass.WARNING), (2137, CodeClass.WARNING), (2104, CodeClass.INFORMATION), (110, CodeClass.ORDER),
        (135, CodeClass.NOT_CANCELLED), (136, CodeClass.ORDER), (202, CodeClass.CANCEL), (1100, CodeClass.CONNECTION),
        (10147, CodeClass.NOT_CANCELLED), (502, CodeClass.REQUEST), (10225, CodeClass.RESUBSCRIBE), (98765, None),
    ],
)  # fmt: skip
def test_a_single_code_beats_a_range(code: int, kind: CodeClass | None) -> None:
    assert Codes.load().classify(code) is kind


def test_the_operators_table_replaces_ours(tmp_path: Any) -> None:
    path = tmp_path / "codes.toml"
    path.write_text('[classes]\n"399" = "order"\n')
    codes = Codes.load(str(path))
    assert codes.classify(399) is CodeClass.ORDER
    assert codes.classify(1100) is None


@pytest.mark.parametrize("text", ["", "[classes]\n'x' = 'order'\n", "[classes]\n'1' = 'nonsense'\n", "not toml"])
def test_a_table_that_cannot_be_read_names_its_setting(tmp_path: Any, text: str) -> None:
    path = tmp_path / "codes.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Codes.load(str(path))
    assert caught.value.path == "TXTRADER_TWS_CODES_FILE"


def test_no_data_and_pacing_are_told_apart_by_their_words() -> None:
    codes = Codes.load()
    assert codes.says_no_data("Historical Market Data Service error message:HMDS query returned no data: X")
    assert codes.says_pacing("Historical data request pacing violation")
    assert not codes.says_no_data("No market data permissions")
