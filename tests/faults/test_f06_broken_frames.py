"""F06 (I5): resets in mid-message, ends in mid-frame, one byte at a time: a partial frame is never parsed."""

from __future__ import annotations

import pytest
import pytest_twisted

from txtrader.model.order import Side

ORDER = {"symbol": "IBM", "side": "BUY", "quantity": 100, "type": "Limit", "limit_price": "99.50", "tif": "GTC"}


@pytest_twisted.ensureDeferred
async def test_one_byte_at_a_time_in_both_directions_changes_nothing(play):
    def script(stage):
        daemon = stage.make_daemon(HEARTBEAT="10")
        stage.do(setattr, stage.proxy.upstream, "slice_size", 1)
        stage.do(setattr, stage.proxy.downstream, "slice_size", 1)
        daemon.start()
        daemon.wait_up(60)
        with stage.client(daemon) as client:
            stage.submit(Side.SELL, 100, "99.50")
            record = client.call("submit_order", {**ORDER, "client_order_id": "sliced"})
            daemon.wait(lambda: client.call("query_order", record["id"])["status"] == "Filled", 10, "filled")
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script)


@pytest.mark.parametrize("is_reset", [False, True], ids=["end", "reset"])
@pytest_twisted.ensureDeferred
async def test_a_link_that_ends_in_mid_frame_is_made_again_and_the_part_is_thrown_away(play, is_reset):
    def script(stage):
        daemon = stage.start_daemon()
        with stage.client(daemon) as client:
            for extra in (1, 5, 37):
                pair = stage.do(lambda: stage.proxy.pairs[0])
                stage.do(setattr, stage.proxy.downstream, "is_limit_reset", is_reset)
                stage.do(setattr, stage.proxy.downstream, "byte_limit", pair.down.passed_bytes + extra)
                accepted = stage.proxy.accepted
                stage.wait(lambda pair=pair: pair.is_over, 10, "the link broke in mid-frame")
                stage.do(setattr, stage.proxy.downstream, "byte_limit", None)
                daemon.wait(lambda accepted=accepted: stage.proxy.accepted > accepted, 10, "dialled again")
                daemon.wait(lambda: client.call("status") == "Up", 15, "up again")
            record = client.call("submit_order", {**ORDER, "client_order_id": "after"})
            assert record["status"] == "New"
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script)
