"""Whatever a client sends, the simulated FIX venue answers by the rules and goes on; its books stay right."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import simplefix
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from tests.fuzz_seeds import seeds
from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.fix import FixEndpoint, FixOptions
from txtrader.exsim.endpoints.fix.trading import Trading, TradingOptions
from txtrader.model.order import OrderStatus
from txtrader.wire.fix.dictionary import dictionary

NOON = 1_764_176_400  # Wednesday 26 November 2025, 12:00 in New York
STAMP = "20251126-17:00:00"
KINDS = ["D"] * 8 + ["G"] * 4 + ["F"] * 3 + ["V"] * 3 + ["H", "q", "AF", "AN", "x", "c", "e", "g", "0", "1", "2", "3"]
KINDS += ["j", "8", "R", "a", "B", "AE", "NO"]
GOOD = {
    "D": {21: "1", 38: "100", 40: "2", 44: "325.10", 54: "1", 55: "IBM", 60: STAMP, 59: "0"},
    "G": {21: "1", 38: "100", 40: "2", 44: "325.10", 54: "1", 55: "IBM", 60: STAMP, 59: "0"},
    "F": {38: "100", 54: "1", 55: "IBM", 60: STAMP},
    "H": {54: "1", 55: "IBM"},
    "q": {530: "7", 60: STAMP},
    "AF": {584: "s", 585: "7"},
    "AN": {710: "p", 724: "0", 1: "DU1000001", 581: "1", 715: "20251126", 60: STAMP},
    "V": {262: "m", 263: "1", 264: "0", 265: "1", 267: "1", 269: "0", 146: "1", 55: "IBM"},
    "x": {320: "l", 559: "4"},
    "c": {320: "d", 321: "1", 55: "IBM"},
    "e": {324: "e", 55: "IBM", 263: "1"},
    "g": {335: "g", 263: "0"},
    "1": {112: "t"},
    "2": {7: "1", 16: "0"},
    "3": {45: "1"},
    "j": {45: "1", 372: "8", 380: "0"},
}
TEXTS = ["", "0", "1", "-1", "2", "Y", "N", "A", "P", "G E", "R", "1e5", "NaN", "inf", "99999999999999999999", "0.001"]
TEXTS += ["IBM", "SPY", "ES", "C1", "x" * 300, "\xff\xfe", "\u20ac", "20251126", STAMP, "20251399-25:61:61", "=", "|"]
INSTRUCTIONS = [{18: "G"}, {18: "6"}, {18: "E"}, {110: "50"}, {111: "0"}, {111: "10"}, {40: "P", 18: "M"}, {40: "K"}]
INSTRUCTIONS += [{40: "1"}, {40: "3", 99: "326"}, {59: "3"}, {59: "4"}, {54: "2"}, {44: "324.90"}, {44: "325.30"}, {}]


class Wild:
    """A client in memory whose messages have the right frame and numbers, and whatever else comes to mind."""

    def __init__(self, seed: int, version: str) -> None:
        self.random = Random(seed)
        self.version = version
        self.reactor = MemoryReactorClock()
        self.reactor.advance(NOON)
        self.venue = make_demo_venue(self.reactor, self.now_ns, 7, pace="slow")
        self.venue.start()
        trading = Trading(self.venue, TradingOptions(accounts={"WILD": ("DU1000001", "DU1000002")}))
        self.endpoint = FixEndpoint(trading, self.reactor, self.now_ns, options=FixOptions())
        trading.attach(self.endpoint)
        self.endpoint.start()
        self.table = dictionary(version)
        self.ids = 0
        self.number = 1
        self.heard: set[str] = set()
        self.pump: Any = None

    def now_ns(self) -> int:
        return int(self.reactor.seconds() * 1_000_000_000)

    def connect(self) -> None:
        self.transport = StringTransport()
        self.parser = simplefix.FixParser()
        self.pump = self.endpoint.build()
        self.pump.makeConnection(self.transport)
        more = {1137: "9"} if self.version == "FIXT.1.1" else {}
        self.number = 1
        self.feed(self.frame("A", {98: "0", 108: "30", 141: "Y", **more}))
        assert [message[35] for message in self.take()][:1] == ["A"]

    def frame(self, kind: str, fields: Any, number: int | None = None) -> bytes:
        message = simplefix.FixMessage()
        stamp = self.reactor.seconds()
        message.append_pair(8, self.version, header=True)
        message.append_pair(35, kind, header=True)
        message.append_pair(34, self.number if number is None else number, header=True)
        message.append_pair(49, "WILD", header=True)
        message.append_utc_timestamp(52, timestamp=stamp, precision=3, header=True)
        message.append_pair(56, "EXSIM", header=True)
        for tag, value in dict(fields).items() if isinstance(fields, dict) else fields:
            message.append_pair(tag, value.encode("utf-8", "surrogateescape"))
        if number is None:
            self.number += 1
        return bytes(message.encode())

    def feed(self, data: bytes) -> None:
        while data:
            size = self.random.choice([1, 7, 4096]) if self.random.random() < 0.05 else len(data)
            self.pump.dataReceived(data[:size])
            data = data[size:]

    def take(self) -> list[dict[int, str]]:
        self.parser.append_buffer(self.transport.value())
        self.transport.clear()
        found = []
        while (message := self.parser.get_message()) is not None:
            found.append({int(tag): value.decode("latin-1") for tag, value in reversed(message.pairs)})
            self.heard.add(found[-1][35])
        return found

    @property
    def is_over(self) -> bool:
        return bool(self.transport.disconnecting or self.transport.disconnected)

    def some_message(self) -> tuple[str, list[tuple[int, str]]]:
        random = self.random
        kind = random.choice(KINDS)
        fields = dict(GOOD.get(kind, {}))
        if kind in "DFG":
            self.ids += 1
            fields[11] = f"C{self.ids}" if random.random() < 0.97 else f"C{random.randrange(self.ids)}"
            if kind != "D":
                fields[41] = f"C{max(1, self.ids - random.randrange(1, 8))}"
            else:
                fields.update(random.choice(INSTRUCTIONS))
        pairs = list(fields.items())
        for _ in range(random.choice([0, 0, 0, 1, 1, 2, 5])):
            at = random.randrange(len(pairs) + 1)
            match random.randrange(4):
                case 0 if pairs:
                    del pairs[at - 1]
                case 1 if pairs:
                    pairs[at - 1] = (pairs[at - 1][0], self.some_value(pairs[at - 1][0]))
                case 2:
                    tag = random.choice([random.randrange(1, 1700), random.choice(sorted(self.tags_of(kind)))])
                    pairs.insert(at, (tag, self.some_value(tag)))
                case _ if pairs:
                    pairs.insert(at, random.choice(pairs))
        return kind, [(tag, value) for tag, value in pairs if tag not in (8, 9, 10, 34, 35, 49, 52, 56)]

    def tags_of(self, kind: str) -> Any:
        spec = self.table.messages.get(kind)
        return spec.tags if spec is not None else {58}

    def some_value(self, tag: int) -> str:
        field = self.table.fields.get(tag)
        if field is not None and field.values and self.random.random() < 0.7:
            return self.random.choice(sorted(field.values))
        return self.random.choice(TEXTS)

    def close(self) -> None:
        if self.pump is not None:
            self.pump.connectionLost(Failure(ConnectionLost()))
        self.endpoint.stop()
        self.venue.stop()
        self.reactor.advance(120)
        assert self.reactor.getDelayedCalls() == []


def check_books(wild: Wild) -> None:
    """Nothing is left over of what was asked, and nothing made up."""
    for order in wild.venue.live_orders():
        assert order.remaining > 0 and order.filled + order.remaining == order.quantity, order
    for fill in wild.venue.fills():
        order = wild.venue.order(fill.order_id)
        assert fill.quantity > 0 and order is not None
        assert order.filled <= order.quantity
        assert order.status is not OrderStatus.REJECTED
    for account in wild.venue.accounts():
        assert wild.venue.figures(account).net_liquidation.is_finite()


@pytest.mark.parametrize("version", ["FIX.4.2", "FIX.4.4", "FIXT.1.1"])
@seeds(2, 100)
def test_messages_with_random_fields_break_nothing(seed: int, version: str) -> None:
    """The log watch of every test fails this one if an exception was logged on the way."""
    wild = Wild(seed, version)
    wild.connect()
    sessions = 1
    for step in range(250):
        wild.feed(wild.frame(*wild.some_message()))
        wild.take()
        if step % 10 == 0:
            wild.reactor.advance(wild.random.choice([0, 0.01, 1]))
        if wild.is_over:
            wild.pump.connectionLost(Failure(ConnectionLost()))
            wild.connect()
            sessions += 1
    wild.feed(wild.frame("1", {112: "still there"}))
    assert any(message.get(112) == "still there" for message in wild.take())
    assert {"3", "8", "9", "W", "Y"} <= wild.heard, "the messages got beyond being refused"
    assert sessions < 60, "one fault in a message is no reason to end a session"
    check_books(wild)
    wild.close()


@seeds(2, 100)
def test_damaged_frames_break_nothing(seed: int) -> None:
    wild = Wild(seed, "FIX.4.4")
    wild.connect()
    for step in range(300):
        data = bytearray(wild.frame(*wild.some_message()))
        for _ in range(wild.random.randrange(4)):
            at = wild.random.randrange(len(data))
            match wild.random.randrange(3):
                case 0:
                    data[at] = wild.random.randrange(256)
                case 1:
                    data.insert(at, wild.random.choice(b"\x00\x01\xff=9"))
                case _:
                    del data[at]
        wild.feed(bytes(data))
        wild.take()
        if wild.is_over or step % 5 == 4:  # a number that was lost is asked for, and all the rest waits for it
            wild.pump.connectionLost(Failure(ConnectionLost()))
            wild.connect()
    wild.pump.connectionLost(Failure(ConnectionLost()))
    wild.connect()
    check_books(wild)
    wild.close()
