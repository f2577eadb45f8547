"""F08 (G6 H06 H07; I1 I4 I5 I6): the broker is away, things happen meanwhile, and each missed fact is told once."""

from __future__ import annotations

import pytest
import pytest_twisted

from txtrader.errors import NotReady
from txtrader.model.order import Side

WIRES = ("tws", "cqg", "fix")


def order(client, key: str, **terms) -> str:
    wanted = {
        "symbol": "IBM",
        "side": "BUY",
        "quantity": 100,
        "type": "Limit",
        "limit_price": "99.00",
        "tif": "GTC",
        "client_order_id": key,
    }
    return client.call("submit_order", {**wanted, **terms})["id"]


def stream_of(client) -> list[dict]:
    return [event.data for event in client.events if isinstance(event.data, dict) and "seq" in event.data]


def status_of(client, order_id: str) -> str:
    return client.call("query_order", order_id)["status"]


OPTIONS = {"channels": ["order", "execution", "status"], "sequence": True}


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_fills_cancels_and_expiries_of_an_outage_are_each_told_once(play, wire):
    def script(stage):
        daemon = stage.start_daemon()
        with stage.client(daemon, OPTIONS) as client:
            filled = order(client, "filled", limit_price="99.50")
            partial = order(client, "partial", limit_price="99.40")
            canceled = order(client, "canceled", limit_price="99.30")
            expired = order(client, "expired", limit_price="99.20", tif="DAY")
            stage.do(stage.proxy.refuse)
            stage.do(stage.proxy.reset_all)
            daemon.wait(lambda: client.call("status") != "Up", 10, "the link is down")

            stage.submit(Side.SELL, 100, "99.50")
            stage.submit(Side.SELL, 40, "99.40")
            venue_id = stage.do(lambda: stage.witness.only(canceled).id)
            stage.do(stage.venue.cancel_by_venue, venue_id, "cancelled while nobody looked")
            stage.do(stage.venue.end_of_day)
            stage.restart_broker()
            stage.do(stage.proxy.start)

            daemon.wait(lambda: client.call("status") == "Up", 15, "reconciled")
            assert status_of(client, filled) == "Filled"
            assert status_of(client, partial) == "PartiallyFilled"
            assert status_of(client, canceled) == "Canceled"
            assert status_of(client, expired) in ("Expired", "Canceled")

            def executions() -> int:
                client.drain()
                return len({event.data["execId"] for event in client.events if event.type == "execution"})

            daemon.wait(lambda: executions() >= 2, 5, "the executions are told: answers do not wait for the stream")
            told = [event.data["execId"] for event in client.events if event.type == "execution"]
            shares = {
                event.data["execId"]: event.data["shares"] for event in client.events if event.type == "execution"
            }
            assert sorted(shares.values()) == [40, 100]
            assert all(told.count(one) <= 2 for one in told), told  # once, and once more with its commission

            def gaps() -> list[str]:
                client.drain()
                return [event.data["own_channel"] for event in client.events if event.type == "gap"]

            daemon.wait(gaps, 5, "the gaps are told")  # over FIX the executions come before them, by the resend
            assert len(gaps()) == len(set(gaps())), gaps()  # one for each channel that missed something

            # The broker's ids ran back to 1: ours must not.
            fresh = order(client, "fresh", limit_price="98.00")
            assert status_of(client, fresh) == "New"
            assert fresh not in (filled, partial, canceled, expired)
            assert status_of(client, partial) == "PartiallyFilled"
            stage.streams.append(stream_of(client))
        assert daemon.terminate() == 0
        journal = stage.check(daemon)
        ids = [one.broker_order_id for one in journal.orders.values()]
        assert len(ids) == len(set(ids)), "a broker order id was given twice"

    await play(script, wire=wire)


@pytest_twisted.ensureDeferred
async def test_orders_are_refused_until_reconciled_and_cancels_are_not(play):
    """F09: a report without its end marker is no report."""

    def script(stage):
        daemon = stage.start_daemon(TIMEOUT_POSITION="2")
        with stage.client(daemon, OPTIONS) as client:
            resting = order(client, "resting")
            stage.do(stage.endpoint.withhold, "positionEnd")
            stage.do(stage.proxy.reset_all)
            daemon.wait(lambda: client.call("status") == "Initializing", 10, "loading")
            try:
                order(client, "too-early")
                raise AssertionError("an order was taken before the books were reconciled")
            except NotReady:
                pass
            client.call("cancel_order", resting)
            daemon.wait(lambda: status_of(client, resting) == "Canceled", 10, "the cancel went through")
            stage.do(stage.endpoint.end_message_faults)
            daemon.wait(lambda: client.call("status") == "Up", 15, "reconciled at the next attempt")
            order(client, "in-time")
        assert daemon.terminate() == 0
        journal = stage.check(daemon)
        assert {one.client_order_id for one in journal.orders.values()} == {"resting", "in-time"}

    await play(script)


@pytest_twisted.ensureDeferred
async def test_1101_subscribes_again_and_1102_does_not(play):
    def script(stage):
        daemon = stage.start_daemon()
        with stage.client(daemon, OPTIONS) as client:
            client.call("add_symbol", "IBM")
            daemon.wait(lambda: stage.do(stage.endpoint.lines_on, stage.listing_id("IBM")) == 1, 5, "one line")
            requests = stage.count_requests("1")
            assert requests() == 0
            filled = order(client, "during")
            stage.do(stage.endpoint.send_notice, 1100)
            daemon.wait(lambda: client.call("status") != "Up", 5, "1100 shuts the gate")
            stage.submit(Side.SELL, 100, "99.00")
            stage.do(stage.endpoint.send_notice, 1102)
            daemon.wait(lambda: client.call("status") == "Up", 10, "1102 opens it, after another look at the books")
            assert status_of(client, filled) == "Filled"
            assert requests() == 0, "1102 keeps the data, nothing is to be subscribed again"
            stage.do(stage.endpoint.send_notice, 1100)
            daemon.wait(lambda: client.call("status") != "Up", 5, "1100 again")
            stage.do(stage.endpoint.send_notice, 1101)
            daemon.wait(lambda: client.call("status") == "Up", 10, "1101 opens it")
            daemon.wait(lambda: requests() >= 1, 5, "1101 lost the data: subscribed again")
            assert requests() == 1, "and once only"
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script)


@pytest_twisted.ensureDeferred
async def test_many_cuts_lose_nothing(play):
    """The link is cut again and again while orders fill; it is up at the end without a restart."""

    def script(stage):
        daemon = stage.start_daemon()
        with stage.client(daemon, OPTIONS) as client:
            for number in range(6):
                key = order(client, f"cut-{number}", limit_price="99.00")
                stage.do(stage.proxy.reset_all)
                stage.submit(Side.SELL, 100, "99.00")
                daemon.wait(lambda: client.call("status") == "Up", 15, "up again")
                daemon.wait(lambda key=key: status_of(client, key) == "Filled", 10, "the fill came to light")
            client.drain()
            stage.streams.append(stream_of(client))
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script)
