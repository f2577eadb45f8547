"""Latency: models, lines that keep the order, and FIX clients that are far away, to the nanosecond."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from random import Random
from statistics import fmean, pstdev

import pytest
import simplefix
from exsim_venue import ACME, A, Stage
from twisted.internet.protocol import ClientFactory, Protocol

from txtrader.errors import InvalidArgument
from txtrader.exsim.endpoints.fix import FixEndpoint, FixOptions
from txtrader.exsim.endpoints.fix.trading import Trading, TradingOptions
from txtrader.exsim.latency import AT_ONCE, DelayLine, Fixed, Normal, Recorded, Spikes, Uniform, latency_of
from txtrader.model.order import Side
from txtrader.net.clock import HeapClock
from txtrader.testing.network import MemoryNetwork

# -- models


def drawn(model, count=2000, seed=1):
    draw = model.sampler(Random(seed))
    return [draw() for _ in range(count)]


def test_each_model_draws_what_it_says():
    assert set(drawn(Fixed(seconds=0.25))) == {0.25}
    uniform = drawn(Uniform(low=0.1, high=0.3))
    assert 0.1 <= min(uniform) < 0.105 and 0.295 < max(uniform) <= 0.3 and abs(fmean(uniform) - 0.2) < 0.005
    normal = drawn(Normal(mean=0.2, deviation=0.05))
    assert abs(fmean(normal) - 0.2) < 0.005 and abs(pstdev(normal) - 0.05) < 0.005
    cut = drawn(Normal(mean=0.2, deviation=0.05, low=0.18, high=0.3))
    assert min(cut) >= 0.18 and max(cut) <= 0.3 and fmean(cut) > 0.21, "nothing is heaped up at the bound"
    assert sum(value < 0.1801 for value in cut) < 20
    spiky = drawn(Spikes(base=Fixed(seconds=0.01), probability=0.1, seconds=1))
    assert set(spiky) == {0.01, 1.01} and 150 < spiky.count(1.01) < 250
    assert drawn(Recorded(series=(0.1, 0.2, 0.3)), 7) == [0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.1]
    assert drawn(Normal(mean=0.0, deviation=0.1, high=0.5)) == drawn(Normal(mean=0.0, deviation=0.1, high=0.5))


def test_models_are_made_of_plain_words():
    assert latency_of(None) is latency_of({"type": "none"}) is AT_ONCE
    assert latency_of({"type": "uniform", "low": "0.001", "high": 0.01}) == Uniform(low=0.001, high=0.01)
    assert latency_of({"type": "recorded", "series": ["0.1", 0]}) == Recorded(series=(0.1, 0.0))
    nested = {
        "type": "spikes",
        "probability": "0.5",
        "seconds": 2,
        "base": {"type": "normal", "mean": 1, "deviation": 2},
    }
    assert latency_of(nested) == Spikes(base=Normal(mean=1.0, deviation=2.0), probability=0.5, seconds=2.0)


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"type": "telepathy"},
        {"type": "fixed", "seconds": -1},
        {"type": "fixed", "seconds": "nan"},
        {"type": "fixed", "seconds": 1e9},
        {"type": "fixed", "minutes": 1},
        {"type": "uniform", "low": 2, "high": 1},
        {"type": "uniform", "low": 2},
        {"type": "normal", "mean": 1, "deviation": 0},
        {"type": "normal", "mean": 1, "deviation": 1, "low": 2},
        {"type": "recorded", "series": []},
        {"type": "spikes", "probability": 2, "seconds": 1},
    ],
)
def test_what_is_no_model_is_refused(words):
    with pytest.raises(InvalidArgument):
        latency_of(words)


# -- lines


class End:
    """A line and what comes out of it, with the times."""

    def __init__(self, model, *, seed=1, **more):
        self.clock = HeapClock()
        self.out = []
        self.line = DelayLine(self.clock, model, Random(seed), self.take, **more)

    def take(self, thing):
        self.out.append((round(self.clock.seconds(), 9), thing))


def test_what_is_sent_later_never_arrives_earlier():
    end = End(Uniform(low=0.0, high=1.0))
    for number in range(500):
        end.line.put(number)
        end.clock.advance(0.01)
    end.clock.advance(1)
    assert [thing for _, thing in end.out] == list(range(500))
    late = [time - number * 0.01 for time, number in end.out]
    assert all(-1e-6 <= value <= 1.0 + 1e-6 for value in late) and max(late) > 0.9
    assert len(end.line) == 0 and end.clock.getDelayedCalls() == []


def test_without_latency_things_arrive_inside_put_and_behind_what_is_under_way():
    end = End(AT_ONCE)
    end.line.put("a")
    assert end.out == [(0, "a")] and end.clock.getDelayedCalls() == []
    end.line.set(Fixed(seconds=2.0))
    end.line.put("b")
    end.line.set(AT_ONCE)
    end.clock.advance(0.5)
    end.line.put("c")
    assert end.out == [(0, "a")]
    end.clock.advance(1.5)
    assert end.out == [(0, "a"), (2, "b"), (2, "c")]
    end.line.put("d")
    assert end.out[-1] == (2, "d")


def test_a_wire_carries_many_at_a_time_and_a_worker_has_one():
    wire, worker = End(Fixed(seconds=1.0)), End(Fixed(seconds=1.0), is_busy=True)
    for end in (wire, worker):
        for number in range(3):
            end.line.put(number)
        for _ in range(40):
            end.clock.advance(0.125)
    assert wire.out == [(1, 0), (1, 1), (1, 2)]
    assert worker.out == [(1, 0), (2, 1), (3, 2)]
    worker.line.put("later")
    worker.clock.advance(1)
    assert worker.out[-1] == (6, "later"), "it was idle"


def test_a_line_can_be_cleared_and_used_while_it_delivers():
    end = End(Fixed(seconds=1.0))

    def take(thing):
        end.take(thing)
        if thing == "clear":
            end.line.clear()
            end.line.put("fresh")
        elif thing == "more":
            end.line.put("after")

    end.line._deliver = take
    for thing in ("more", "clear", "never"):
        end.line.put(thing)
    end.clock.advance(1)
    assert [thing for _, thing in end.out] == ["more", "clear"]
    end.clock.advance(1)
    assert end.out[2:] == [(2, "fresh")]
    end.line.put("gone")
    end.line.clear()
    assert end.clock.getDelayedCalls() == []


def test_a_receiver_that_fails_does_not_stop_the_line():
    end = End(Fixed(seconds=1.0))

    def take(thing):
        end.take(thing)
        if thing == "bad":
            raise RuntimeError("bad")

    end.line._deliver = take
    end.line.put("bad")
    end.line.put("good")
    end.clock.advance(1)
    assert [failure.type for failure in end.clock.failures] == [RuntimeError]
    assert end.out == [(1, "bad"), (1, "good")]


# -- FIX


class Far(Protocol):
    """A client that notes when what arrived."""

    def __init__(self, stage, number):
        self.stage = stage
        self.parser = simplefix.FixParser()
        self.got = []
        self.lost_at = None
        self.number = number

    def send(self, kind, *pairs):
        self.number += 1
        message = simplefix.FixMessage()
        message.append_pair(8, "FIX.4.4", header=True)
        message.append_pair(35, kind, header=True)
        message.append_pair(34, self.number, header=True)
        message.append_pair(49, "CLIENT", header=True)
        message.append_utc_timestamp(52, self.stage.now() / 1e9, precision=3, header=True)
        message.append_pair(56, "EXSIM", header=True)
        for tag, value in pairs:
            message.append_pair(tag, value)
        self.transport.write(message.encode())

    def order(self, key, quantity, price):
        stamp = "20260105-17:00:00"
        self.send("D", (1, A), (11, key), (38, quantity), (40, 2), (44, price), (54, 1), (55, "ACME"), (60, stamp))

    def dataReceived(self, data):
        self.parser.append_buffer(data)
        while (message := self.parser.get_message()) is not None:
            fields = {int(tag): value.decode() for tag, value in reversed(message.pairs)}
            self.got.append((round(self.stage.clock.seconds(), 6), fields))

    def connectionLost(self, reason):
        self.lost_at = round(self.stage.clock.seconds(), 6)

    def reports(self):
        return [(time, fields[11], fields[150]) for time, fields in self.got if fields[35] == "8"]


class Room(Stage):
    """A FIX venue on a network in memory, on a clock that runs each call at its own time."""

    def __init__(self, **options):
        super().__init__(clock=HeapClock())
        self.network = MemoryNetwork(self.clock)
        trading = Trading(self.venue, TradingOptions(accounts={"CLIENT": (A,)}))
        self.endpoint = FixEndpoint(trading, self.network, self.venue.now_ns, options=FixOptions(**options))
        trading.attach(self.endpoint)
        self.endpoint.start()

    def client(self, *, number=0, heartbeat=300):
        far = Far(self, number)
        factory = ClientFactory()
        factory.buildProtocol = lambda _: far
        self.network.connectTCP("127.0.0.1", self.endpoint.port, factory)
        self.run(0)
        far.send("A", (98, 0), (108, heartbeat))
        return far

    def run(self, seconds):
        self.clock.advance(seconds)
        assert self.clock.failures == []


def far_room(**options):
    room = Room(**options)
    far = room.client()
    return room, far


def test_orders_reach_the_book_late_and_reports_the_client_later():
    room, far = far_room(latency_in=Fixed(seconds=0.03), latency_out=Fixed(seconds=0.05))
    room.run(0.1)
    assert [(time, fields[35]) for time, fields in far.got] == [(0.08, "A")]
    far.order("a", 10, "99.50")
    room.run(0.029)
    assert room.venue.live_orders() == []
    room.run(0.001)
    (order,) = room.venue.live_orders()
    assert order.entry_time == room.start + 130_000_000
    room.run(0.049)
    assert far.reports() == []
    room.run(0.001)
    assert far.reports() == [(0.18, "a", "0")]
    report = far.got[-1][1]
    assert report[52].endswith(":00.130"), "it was sent before it was under way"


def test_latency_is_set_on_a_live_session_and_order_is_kept():
    room, far = far_room()
    room.run(0.002)
    (connection,) = room.endpoint.connections
    connection.pump.set_latency(latency_in=Fixed(seconds=0.5))
    far.order("slow", 10, "99.50")
    room.run(0.01)
    connection.pump.set_latency(latency_in=AT_ONCE, latency_out=Fixed(seconds=0.1))
    far.order("quick", 10, "99.50")
    room.run(0.4)
    assert room.venue.live_orders() == []
    room.run(0.3)
    assert [order.client_order_id for order in room.venue.live_orders()] == ["slow", "quick"]
    assert [report[1:] for report in far.reports()] == [("slow", "0"), ("quick", "0")]
    assert far.reports()[0][0] == 0.602


def test_each_message_takes_its_time_to_be_dealt_with():
    room, far = far_room(computation=Fixed(seconds=0.02))
    room.run(0.1)
    for key in "abc":
        far.order(key, 10, "99.50")
    room.run(0.1)
    assert [time for time, *_ in far.reports()] == [0.12, 0.14, 0.16]


def test_a_random_latency_is_the_same_in_every_run_and_keeps_numbers_in_order():
    def times(seed):
        room, far = far_room(
            latency_in=Uniform(low=0.001, high=0.05), latency_out=Normal(mean=0.02, deviation=0.02), seed=seed
        )
        room.run(0.2)
        for number in range(60):
            far.order(f"o{number}", 1, "99.50")
            room.run(0.003)
        room.run(0.3)
        assert [key for _, key, _ in far.reports()] == [f"o{number}" for number in range(60)]
        numbers = [int(fields[34]) for _, fields in far.got]
        assert all(after == before + 1 for before, after in pairwise(numbers))
        return [time for time, *_ in far.reports()]

    assert times(3) == times(3) != times(4)


def test_what_was_sent_before_the_end_arrives_before_it():
    room, far = far_room(latency_in=Fixed(seconds=0.1))
    room.run(0.2)
    far.order("last", 10, "99.50")
    far.transport.loseConnection()
    room.run(0.05)
    assert room.venue.live_orders() == [] and len(room.endpoint.connections) == 1
    room.run(0.1)
    assert [order.client_order_id for order in room.venue.live_orders()] == ["last"]
    assert room.endpoint.connections == [] and room.endpoint.by_identity == {}


def test_last_words_leave_before_the_connection_does():
    room, far = far_room(latency_out=Fixed(seconds=0.1))
    room.run(0.2)
    far.send("5")
    room.run(0.05)
    assert far.lost_at is None and far.got[-1][1][35] == "A"
    room.run(0.1)
    assert far.got[-1][0] == 0.3 and far.got[-1][1][35] == "5" and far.lost_at == 0.3
    assert room.endpoint.connections == []


def test_a_cut_is_at_once_and_leaves_no_timer():
    room, far = far_room(latency_in=Fixed(seconds=1.0), latency_out=Fixed(seconds=1.0), computation=Fixed(seconds=1.0))
    room.run(4)
    far.order("being dealt with", 10, "99.50")
    room.run(1.5)
    far.order("under way", 10, "99.50")
    assert room.endpoint.drop_connections() == 1
    room.run(0)
    assert far.lost_at is not None and room.endpoint.connections == []
    room.run(5)
    assert room.venue.live_orders() == []
    room.endpoint.stop()
    room.venue.stop()
    assert [call for call in room.clock.getDelayedCalls() if "DelayLine" in repr(call)] == []


def test_too_much_under_way_to_us_is_not_read_and_to_the_client_ends_it(monkeypatch):
    monkeypatch.setattr("txtrader.exsim.endpoints.delayed_pump._MOST_IN", 1000)
    monkeypatch.setattr("txtrader.exsim.endpoints.delayed_pump._MOST_OUT", 3000)
    room, far = far_room(latency_in=Fixed(seconds=1.0))
    room.run(1.1)
    for number in range(20):
        far.order(f"o{number}", 1, "99.50")
    room.run(0.1)
    (connection,) = room.endpoint.connections
    assert connection.pump.transport.is_paused and len(connection.pump.inbound) < 10
    connection.pump.pause()
    connection.pump.resume()
    assert connection.pump.transport.is_paused, "nobody else opens what is full"
    room.run(5)
    assert len(room.venue.live_orders()) == 20 and not connection.pump.transport.is_paused
    connection.pump.set_latency(latency_in=AT_ONCE, latency_out=Fixed(seconds=60.0))
    for number in range(20):
        far.order(f"p{number}", 1, "99.50")
    room.run(0.1)
    assert far.lost_at is not None and room.endpoint.connections == []


def test_a_client_that_is_faster_than_we_can_deal_with_it_waits(monkeypatch):
    monkeypatch.setattr("txtrader.exsim.endpoints.delayed_pump._MOST_EVENTS", 4)
    room, far = far_room(computation=Fixed(seconds=0.1))
    room.run(0.2)
    (connection,) = room.endpoint.connections
    pump = connection.pump
    for number in range(30):
        far.order(f"o{number}", 1, "99.50")
        if number % 10 == 9:
            room.run(0.01)
            assert len(pump.work) == 4 and pump.transport.is_paused
    room.endpoint.go_silent()
    room.run(1)
    assert pump.transport.is_paused and len(room.venue.live_orders()) == 4, "silence is not ended by having time again"
    room.endpoint.go_silent(False)
    most = 0
    for _ in range(60):
        room.run(0.1)
        most = max(most, len(pump.work))
    assert [order.client_order_id for order in room.venue.live_orders()] == [f"o{number}" for number in range(30)]
    assert most <= 4 and not pump.transport.is_paused


def test_what_an_application_asks_of_the_session_leaves_when_it_is_done():
    room, far = far_room(computation=Fixed(seconds=0.02))
    room.run(0.1)
    room.endpoint.application.received = lambda connection, message: connection.session.refuse_type(message)
    far.order("a", 10, "99.50")
    room.run(0.1)
    assert [(time, fields[35]) for time, fields in far.got][1:] == [(0.12, "j")]


def test_a_bug_while_a_late_message_is_dealt_with_ends_that_client_alone(expected_failures):
    expected_failures.append("handling what the peer sent")
    room, far = far_room(computation=Fixed(seconds=0.02))
    room.run(0.1)
    room.endpoint.application.received = lambda *_: 1 / 0
    far.order("a", 10, "99.50")
    room.run(0.1)
    assert far.lost_at == 0.12 and room.endpoint.connections == []
    del room.endpoint.application.received
    near = room.client(number=far.number)
    room.run(0.1)
    assert near.got[-1][1][35] == "A"
    assert room.venue.submit("b", room.terms(Side.BUY, 1, "99.00", account="B2", on=ACME)).quantity == Decimal(1)
