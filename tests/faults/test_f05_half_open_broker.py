"""F05 (G3 G6; I6 I8): a broker that is there and silent is noticed within two heartbeats, and nothing trades then."""

from __future__ import annotations

import signal
import time

import pytest
import pytest_twisted

from txtrader.errors import BrokerUnavailable, LinkError
from txtrader.model.order import Side
from txtrader.testing.daemon import wait_until

ORDER = {"symbol": "IBM", "side": "BUY", "quantity": 100, "type": "Limit", "limit_price": "90.00"}
HEARTBEAT = 0.5

WIRES = ("tws", "cqg", "fix")


def wait_status(client, word: str, timeout: float) -> float:
    """Wait for a status event or state; return the seconds it took."""
    start = time.monotonic()
    wait_until(lambda: client.call("status") == word, timeout, f"status {word}")
    return time.monotonic() - start


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_silence_is_noticed_within_two_heartbeats_and_shuts_the_gate(play, wire):
    def script(stage):
        daemon = stage.start_daemon(HEARTBEAT=HEARTBEAT)
        with stage.client(daemon) as client:
            client.call("add_symbol", "IBM")
            stage.do(stage.proxy.stall)
            start = time.monotonic()
            wait_until(lambda: client.call("status") != "Up", 2 * HEARTBEAT + 1, "the silence is noticed")
            noticed = time.monotonic() - start
            assert noticed <= 2 * HEARTBEAT + 0.5, f"it took {noticed:.2f} s"
            with pytest.raises(LinkError):
                client.call("submit_order", {**ORDER, "client_order_id": "while-silent"})
            stage.do(stage.proxy.heal)
            stage.do(stage.proxy.reset_all)
            wait_status(client, "Up", 10)
            assert client.call("submit_order", {**ORDER, "client_order_id": "after"})["status"] == "New"
        assert daemon.terminate() == 0
        journal = stage.check(daemon)
        assert all(order.client_order_id != "while-silent" for order in journal.orders.values())

    await play(script, wire=wire)


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_quotes_are_marked_stale_while_the_broker_is_silent(play, wire):
    def script(stage):
        daemon = stage.start_daemon(HEARTBEAT=HEARTBEAT)
        with stage.client(daemon) as client:
            client.call("add_symbol", "IBM")
            stage.submit(Side.BUY, 100, "99.00")
            stage.submit(Side.SELL, 100, "101.00")
            daemon.wait(lambda: client.call("query_symbol", "IBM")["ask"] == 101, 10, "a quote")
            assert client.call("query_symbol", "IBM")["stale"] is False
            stage.do(stage.proxy.stall)
            daemon.wait(lambda: client.call("query_symbol", "IBM")["stale"] is True, 5, "the quote is stale")
            stage.do(stage.proxy.heal)
            stage.do(stage.proxy.reset_all)
            daemon.wait(lambda: client.call("query_symbol", "IBM")["stale"] is False, 10, "the quote is fresh again")

    await play(script, wire=wire)


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_an_order_in_flight_when_the_link_stalls_is_unknown_and_then_settled(play, wire):
    def script(stage):
        daemon = stage.start_daemon(HEARTBEAT=HEARTBEAT, TIMEOUT_ORDER="0.5")
        with stage.client(daemon) as client:
            client.call("add_symbol", "IBM")
            stage.do(setattr, stage.proxy.downstream, "is_swallowing", True)
            record = client.call("submit_order", {**ORDER, "client_order_id": "in-flight"})
            assert record["status"] == "Unknown", record
            assert record["id"] and record["client_order_id"] == "in-flight"
            stage.do(stage.proxy.heal)
            stage.do(stage.proxy.reset_all)
            daemon.wait(
                lambda: client.call("query_order", record["id"])["status"] == "New", 10, "the order is found working"
            )
        assert daemon.terminate() == 0
        stage.check(daemon)
        assert stage.do(lambda: stage.witness.news[record["id"]]) == 1

    await play(script, wire=wire)


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_a_broker_that_is_stopped_and_goes_on_is_survived(play, wire):
    """The daemon itself is stopped for a while (F22): on resume the broker is not trusted before it answers."""

    def script(stage):
        daemon = stage.start_daemon(HEARTBEAT=HEARTBEAT)
        with stage.client(daemon) as client:
            daemon.signal(signal.SIGSTOP)
            before = stage.proxy.accepted
            stage.do(stage.proxy.reset_all)
            daemon.signal(signal.SIGCONT)
            stage.wait(lambda: stage.proxy.accepted > before, 10, "the loss is noticed")
            wait_status(client, "Up", 10)
            record = client.call("submit_order", {**ORDER, "client_order_id": "resumed"})
            assert record["status"] == "New"
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script, wire=wire)


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_reconnects_back_off_and_do_not_storm(play, wire):
    def script(stage):
        daemon = stage.start_daemon(RECONNECT_MIN="0.2", RECONNECT_MAX="1")
        before = stage.proxy.accepted
        stage.do(setattr, stage.proxy, "is_hanging", True)
        stage.do(stage.proxy.reset_all)
        with stage.client(daemon) as client:
            with pytest.raises(BrokerUnavailable):
                client.call("submit_order", ORDER)
            stage.do(stage.proxy.refuse)
            stage.do(setattr, stage.proxy, "is_hanging", False)
            stage.do(stage.proxy.start)
            stage.do(stage.proxy.reset_all)
            wait_status(client, "Up", 20)
        assert stage.proxy.accepted - before < 12

    await play(script, wire=wire)
