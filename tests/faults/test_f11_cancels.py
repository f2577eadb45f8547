"""F11 (H03; I3 I4): a cancel crosses a fill, is repeated, hits nothing, or is asked for while the broker is away."""

from __future__ import annotations

import pytest
import pytest_twisted

from txtrader.errors import NotFound
from txtrader.model.order import Side

WIRES = ("tws", "cqg", "fix")

ORDER = {"symbol": "IBM", "side": "BUY", "quantity": 100, "type": "Limit", "limit_price": "99.50", "tif": "GTC"}


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_a_fill_that_crosses_the_cancel_wins(play, wire):
    def script(stage):
        daemon = stage.start_daemon(HEARTBEAT="10")
        with stage.client(daemon, {"channels": ["order", "execution"]}) as client:
            record = client.call("submit_order", {**ORDER, "client_order_id": "crossed"})
            # The cancel is on its way, slowly; meanwhile the order trades.
            stage.delay_requests("cancel", 0.5)
            client.send_line(f"cancel {record['id']}")
            client.drain()
            stage.submit(Side.SELL, 100, "99.50")
            daemon.wait(lambda: client.call("query_order", record["id"])["status"] == "Filled", 10, "filled")
            rejected = client.wait_event(lambda event: event.type == "cancel-rejected", 10)
            assert rejected.key == record["id"]
            assert client.call("query_order", record["id"])["status"] == "Filled"
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script, wire=wire)


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_a_cancel_may_be_repeated_and_of_the_unknown_there_is_nothing_to_cancel(play, wire):
    def script(stage):
        daemon = stage.start_daemon()
        with stage.client(daemon) as client:
            record = client.call("submit_order", ORDER)
            assert client.call("cancel_order", record["id"])["status"] == "Canceled"
            assert client.call("cancel_order", record["id"])["status"] == "Canceled"
            assert client.call("cancel_order", f"permid:{record['permid']}")["status"] == "Canceled"
            with pytest.raises(NotFound):
                client.call("cancel_order", "TX-AAAA-000001")
            with pytest.raises(NotFound):
                client.call("cancel_order", "1")  # H04: a TWS order id is none of ours
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script, wire=wire)


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_a_global_cancel_while_the_broker_is_away_runs_when_it_is_back(play, wire):
    def script(stage):
        daemon = stage.start_daemon(TIMEOUT_ORDER="0.5")
        with stage.client(daemon) as client:
            known = client.call("submit_order", {**ORDER, "client_order_id": "known"})
            stage.do(setattr, stage.proxy.downstream, "is_swallowing", True)
            unknown = client.call("submit_order", {**ORDER, "client_order_id": "unknown"})
            assert unknown["status"] == "Unknown"
            stage.do(stage.proxy.refuse)
            stage.do(stage.proxy.reset_all)
            daemon.wait(lambda: client.call("status") != "Up", 10, "away")
            result = client.call("global_cancel")
            assert set(result["ids"]) >= {known["id"], unknown["id"]}
            stage.do(stage.proxy.heal)
            stage.do(stage.proxy.start)
            for record in (known, unknown):
                daemon.wait(
                    lambda record=record: client.call("query_order", record["id"])["status"] == "Canceled",
                    15,
                    f"{record['client_order_id']} is cancelled",
                )
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script, wire=wire)
