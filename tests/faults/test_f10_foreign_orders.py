"""F10 (G6): orders that the gateway never made are seen, tied to no client, and may be taken back."""

from __future__ import annotations

import pytest
import pytest_twisted

from txtrader.model.order import Side
from txtrader.testing.stage import ACCOUNT

WIRES = ("tws", "cqg", "fix")


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_a_manual_order_is_adopted_shown_and_cancellable(play, wire):
    def script(stage):
        daemon = stage.start_daemon()
        with stage.client(daemon, {"channels": ["order"]}) as client:
            account = client.call("query_accounts")[0]
            manual = stage.place_for(account, Side.BUY, 70, "97.00")

            def external() -> list[dict]:
                return [one for one in client.call("query_orders").values() if one["origin"] == "external"]

            daemon.wait(external, 10, "the manual order is seen")
            (record,) = external()
            assert (record["symbol"], record["quantity"], record["price"]) == ("IBM", 70, 97)
            assert record["status"] == "New"
            assert record["client_order_id"] is None and record["user"] is None
            client.call("cancel_order", record["id"])
            daemon.wait(lambda: client.call("query_order", record["id"])["status"] == "Canceled", 10, "cancelled")
            stage.wait(lambda: not manual.is_open, 5, "and at the venue, too")
        assert daemon.terminate() == 0

    await play(script, wire=wire)


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_one_that_was_there_before_us_is_found_at_the_start(play, wire):
    def script(stage):
        stage.place_for(ACCOUNT, Side.SELL, 30, "120.00")
        daemon = stage.start_daemon()
        with stage.client(daemon) as client:
            (record,) = client.call("query_orders").values()
            assert (record["origin"], record["side"], record["quantity"]) == ("external", "SELL", 30)
            result = client.call("global_cancel")
            assert record["id"] in result["ids"]
            daemon.wait(lambda: client.call("query_order", record["id"])["status"] == "Canceled", 10, "cancelled")
        daemon.kill()
        daemon.start()
        daemon.wait_up()
        with stage.client(daemon) as client:
            assert client.call("query_order", record["id"])["status"] == "Canceled", "the same record after a restart"
        assert daemon.terminate() == 0

    await play(script, wire=wire)
