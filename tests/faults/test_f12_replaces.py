"""F12 (G3; I3 I4): a replace that is lost, or answered after the fill: the new price is never assumed."""

from __future__ import annotations

import pytest
import pytest_twisted

from txtrader.model.order import Side

WIRES = ("tws", "cqg", "fix")

ORDER = {"symbol": "IBM", "side": "BUY", "quantity": 100, "type": "Limit", "limit_price": "99.50", "tif": "GTC"}


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_a_lost_replace_is_pending_and_ends_as_the_broker_has_it(play, wire):
    def script(stage):
        daemon = stage.start_daemon(TIMEOUT_ORDER="0.5")
        with stage.client(daemon) as client:
            record = client.call("submit_order", ORDER)
            stage.do(
                setattr,
                stage.proxy.upstream,
                "frames",
                lambda frame: () if stage.is_order_request(frame, "replace") else ((0.0, frame),),
            )
            pending = client.call("modify_order", record["id"], {"limit_price": "99.00"})
            # Still open, or asked about meanwhile and found unchanged; the new price is assumed in neither case.
            assert pending["status"] in ("PendingReplace", "Unknown", "New"), pending
            assert pending["status"] != "New" or str(pending["price"]) == "99.5"
            stage.do(stage.proxy.heal)
            stage.do(stage.proxy.reset_all)
            daemon.wait(lambda: client.call("query_order", record["id"])["status"] == "New", 15, "settled")
            assert str(client.call("query_order", record["id"])["price"]) == "99.5", "the price that the broker has"
        assert daemon.terminate() == 0
        stage.check(daemon)
        assert stage.witness.only(record["id"]).history == ["accepted"], "it was not sent again"

    await play(script, wire=wire)


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_a_fill_at_the_old_price_while_the_replace_is_under_way_counts(play, wire):
    def script(stage):
        daemon = stage.start_daemon(TIMEOUT_ORDER="2", HEARTBEAT="10")
        with stage.client(daemon) as client:
            record = client.call("submit_order", ORDER)
            stage.delay_requests("replace", 0.5)
            client.send_line(f'@m modify_order {record["id"]} {{"limit_price": "99.00"}}')
            client.drain()
            stage.submit(Side.SELL, 100, "99.50")
            daemon.wait(lambda: client.call("query_order", record["id"])["status"] == "Filled", 10, "filled")
            filled = client.call("query_order", record["id"])
            assert (str(filled["avgfillprice"]), filled["filled"]) == ("99.5", 100)
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script, wire=wire)
