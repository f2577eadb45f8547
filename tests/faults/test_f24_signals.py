"""F24 (G7): SIGTERM ends in order within five seconds, a second one at once; SIGKILL harms nothing."""

from __future__ import annotations

import signal
import time

import pytest_twisted

from txtrader.testing.clients import ClientClosed, LineClient
from txtrader.testing.frames import tws_fields

ORDER = {"symbol": "IBM", "side": "BUY", "quantity": 100, "type": "Limit", "limit_price": "99.50", "tif": "GTC"}


@pytest_twisted.ensureDeferred
async def test_sigterm_tells_the_clients_and_ends_with_zero(play):
    def script(stage):
        daemon = stage.start_daemon()
        client = stage.client(daemon, {"channels": ["order", "status"], "sequence": True})
        record = client.call("submit_order", ORDER)
        start = time.monotonic()
        daemon.signal(signal.SIGTERM)
        last = client.wait_event(
            lambda event: event.type == "connection-status-changed" and event.data["status"] == "Shutdown", 5
        )
        assert last.data["seq"] > 0
        try:
            while True:
                client.read_line(5)
        except ClientClosed:
            pass
        assert daemon.wait_end(5) == 0
        assert time.monotonic() - start < 5
        assert not daemon.ports_file.exists()
        daemon.start()
        daemon.wait_up()
        with stage.client(daemon) as client:
            assert client.call("query_order", record["id"])["status"] == "New", "the order went on working"
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script)


@pytest_twisted.ensureDeferred
async def test_sigterm_waits_a_moment_for_an_acknowledgement_that_is_due(play):
    def script(stage):
        daemon = stage.start_daemon(TIMEOUT_ORDER="5")
        client = stage.client(daemon)
        stage.do(
            setattr,
            stage.proxy.downstream,
            "frames",
            lambda frame: ((0.7 if tws_fields(frame)[:1] in (["3"], ["5"]) else 0.0, frame),),
        )
        client.send_line('@1 submit_order {"symbol":"IBM","side":"BUY","quantity":1,"type":"Limit","limit_price":99}')
        stage.wait(lambda: sum(stage.witness.news.values()) == 1, 5, "the order is at the venue")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait_end(6) == 0
        journal = stage.check(daemon, is_at_rest=False)
        (order,) = journal.orders.values()
        assert order.status.value == "New", "the acknowledgement was waited for"
        client.close()

    await play(script)


@pytest_twisted.ensureDeferred
async def test_a_second_sigterm_ends_at_once(play):
    def script(stage):
        daemon = stage.start_daemon(TIMEOUT_ORDER="10")
        client = stage.client(daemon)
        client.call("resolve_symbol", "IBM")
        stage.do(setattr, stage.proxy.downstream, "is_swallowing", True)
        client.send_line('@1 submit_order {"symbol":"IBM","side":"BUY","quantity":1,"type":"Limit","limit_price":99}')
        stage.wait(lambda: sum(stage.witness.news.values()) == 1, 5, "the order is at the venue")
        start = time.monotonic()
        daemon.signal(signal.SIGTERM)
        daemon.signal(signal.SIGTERM)
        daemon.wait_end(2)
        assert time.monotonic() - start < 2
        client.close()
        stage.check(daemon, is_at_rest=False)

    await play(script)


@pytest_twisted.ensureDeferred
async def test_a_client_that_does_not_read_does_not_hold_up_the_end(play):
    def script(stage):
        daemon = stage.start_daemon()
        stuck = LineClient(daemon.tcp_port, receive_buffer=4096)
        stuck.login(daemon.user, daemon.password, {"channels": ["order"]})
        with stage.client(daemon, {"channels": []}) as client:
            for number in range(150):
                client.call("limit_order", "IBM", "99.5", 1, client_order_id=f"k{number}")
        start = time.monotonic()
        assert daemon.terminate() == 0, daemon.tail(8)
        assert time.monotonic() - start < 5
        stuck.close()
        stage.check(daemon)

    await play(script)
