"""F07 (G6; I4 I5): executions doubled, reordered, corrected, busted; status before fill, fill before acknowledgement.

The broker's messages about orders are shuffled and repeated on the wire; whatever arrives in whatever sequence, the
books end the same, each execution is told once, and no status runs backwards.
"""

from __future__ import annotations

import itertools
import random
from decimal import Decimal

import pytest
import pytest_twisted

from txtrader.exsim.endpoints.message_faults import Rule
from txtrader.model.order import OrderStatus, Side, is_allowed

WIRES = ("tws", "cqg", "fix")


def shuffled(stage, chooser: random.Random, window: float = 0.15, repeats: float = 0.4):
    """Make a frame rule that spreads the messages about orders over a window, some of them twice."""

    def rule(frame: bytes):
        if not stage.is_order_news(frame):
            return ((0.0, frame),)
        passed = [(chooser.uniform(0, window), frame)]
        if chooser.random() < repeats:
            passed.append((chooser.uniform(0, 2 * window), frame))
        return passed

    return rule


class Shuffle(Rule):
    """The same for FIX, before messages get their numbers: a session puts right what is shuffled after that."""

    def __init__(self, stage, chooser: random.Random) -> None:
        super().__init__(stage.endpoint.faults, frozenset({"8"}), None, None)
        self._chooser = chooser

    def apply(self, connection, message, deliver) -> None:
        window = 0.15
        self._faults.later(self._chooser.uniform(0, window), deliver, message)
        if self._chooser.random() < 0.4:
            self._faults.later(self._chooser.uniform(0, 2 * window), deliver, message)


def shuffle(stage, chooser: random.Random) -> None:
    if stage.wire == "fix":
        stage.do(stage.endpoint.faults.add, Shuffle(stage, chooser))
    else:
        stage.do(setattr, stage.proxy.downstream, "frames", shuffled(stage, chooser))


def buy(client, key: str, price: str = "100.00") -> dict:
    return client.call(
        "submit_order",
        {
            "symbol": "IBM",
            "side": "BUY",
            "quantity": 100,
            "type": "Limit",
            "limit_price": price,
            "tif": "GTC",
            "client_order_id": key,
        },
    )


def stream_of(client) -> list[dict]:
    return [event.data for event in client.events if isinstance(event.data, dict) and "seq" in event.data]


def statuses_of(client, order_id: str) -> list[OrderStatus]:
    told = [event.data for event in client.events if event.type == "order" and event.key == order_id]
    return [OrderStatus(data["status"]) for data in told]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_every_shuffle_of_the_messages_ends_in_the_same_books(play, seed, wire):
    def script(stage):
        daemon = stage.start_daemon()
        with stage.client(daemon, {"channels": ["order", "execution"], "sequence": True}) as client:
            shuffle(stage, random.Random(seed))
            ids = []
            for number in range(6):
                for part in (30, 30, 40):
                    stage.submit(Side.SELL, part, "100.00")
                ids.append(buy(client, f"k{number}")["id"])
            daemon.wait(
                lambda: all(client.call("query_order", one)["status"] == "Filled" for one in ids), 10, "all are filled"
            )
            daemon.wait(
                lambda: all(
                    sorted(one["shares"] for one in client.call("query_order_executions", order).values())
                    == [30, 30, 40]
                    for order in ids
                ),
                10,
                "all executions are in",
            )
            records = [client.call("query_order", one) for one in ids]
            ends = {(record["status"], record["filled"], record["avgfillprice"]) for record in records}
            assert ends == {("Filled", 100, 100)}, ends
            for one in ids:
                told = statuses_of(client, one)
                assert told[-1] is OrderStatus.FILLED
                assert all(is_allowed(old, new) for old, new in itertools.pairwise(told)), told
                assert OrderStatus.NEW not in told[told.index(OrderStatus.FILLED) :], told
            stage.do(stage.proxy.heal)
            client.drain()
            stage.streams.append(stream_of(client))
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script, wire=wire, seed=seed)


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_a_correction_replaces_and_a_bust_takes_back(play, wire):
    def script(stage):
        daemon = stage.start_daemon()
        with stage.client(daemon, {"channels": ["order", "execution"], "sequence": True}) as client:
            stage.submit(Side.SELL, 100, "100.00")
            order_id = buy(client, "corrected")["id"]
            daemon.wait(lambda: client.call("query_order", order_id)["status"] == "Filled", 10, "filled")
            (exec_id,) = stage.do(lambda: list(stage.witness.only(order_id).fills))
            stage.do(stage.venue.correct, exec_id, price=Decimal("99.50"))
            daemon.wait(
                lambda: client.call("query_order", order_id)["avgfillprice"] == Decimal("99.5"), 10, "the correction"
            )
            executions = client.call("query_order_executions", order_id)
            (standing,) = [one for one in executions.values() if one["exec_type"] != "New" or len(executions) == 1]
            assert (standing["price"], standing["shares"]) == (Decimal("99.5"), 100)
            assert standing["replaces"] == exec_id or standing["exec_type"] == "Correct"
            stage.streams.append(stream_of(client))
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script, wire=wire)


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_an_execution_that_is_asked_for_again_is_no_event(play, wire):
    """H05: a query of executions repeats nothing to anybody."""

    def script(stage):
        daemon = stage.start_daemon()
        with stage.client(daemon, {"channels": ["execution"], "sequence": True}) as client:
            stage.submit(Side.SELL, 100, "100.00")
            buy(client, "asked-again")["id"]
            client.wait_event(lambda event: event.type == "execution" and event.data["commission"] is not None)
            told = len([event for event in client.events if event.type == "execution"])
            assert told in (1, 2)
            for _ in range(3):
                assert len(client.call("query_executions")) == 1
            stage.do(stage.proxy.reset_all)
            daemon.wait(lambda: client.call("status") == "Up", 10, "up again, executions loaded again")
            client.drain()
            assert len([event for event in client.events if event.type == "execution"]) == told
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script, wire=wire)


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_an_execution_of_an_order_not_on_the_books_makes_the_order(play, wire):
    """A stranger at our account: the order comes to be `external`, with its fills."""

    def script(stage):
        daemon = stage.start_daemon()
        with stage.client(daemon) as client:
            account = client.call("query_accounts")[0]
            stage.place_for(account, Side.BUY, 70, "100.00")
            stage.submit(Side.SELL, 70, "100.00")

            def known() -> bool:
                return any(one["origin"] == "external" for one in client.call("query_orders").values())

            daemon.wait(known, 10, "the stranger's order is known")
            (record,) = [one for one in client.call("query_orders").values() if one["origin"] == "external"]
            daemon.wait(lambda: client.call("query_order", record["id"])["filled"] == 70, 10, "with its fill")
        assert daemon.terminate() == 0

    await play(script, wire=wire)
