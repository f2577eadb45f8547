"""F02 (G1 G2; I1): one key is one order, whoever repeats it, wherever, whenever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import pytest_twisted

from txtrader.errors import IdempotencyKeyReuse, TxTraderError
from txtrader.testing.clients import LineClient, XmlRpcClient

WIRES = ("tws", "cqg", "fix")

ORDER = {"symbol": "IBM", "side": "BUY", "quantity": 100, "type": "Limit", "limit_price": "99.50"}


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_twenty_clients_race_one_key_over_all_front_ends(play, wire):
    def script(stage):
        daemon = stage.start_daemon(TIMEOUT_ORDER="5", HEARTBEAT="10")
        stage.do(setattr, stage.proxy.downstream, "latency", 0.5)
        clients = [(LineClient if number % 2 else XmlRpcClient).connect(daemon) for number in range(20)]
        stage.histories += [client.history for client in clients]
        with ThreadPoolExecutor(20) as threads:
            order = {**ORDER, "client_order_id": "raced"}
            records = list(threads.map(lambda client: client.call("submit_order", order), clients))
        assert len({record["id"] for record in records}) == 1
        assert sum(not record["duplicate"] for record in records) == 1, "exactly one of them is the first"
        stage.do(stage.proxy.heal)
        for client in clients:
            client.close()
        assert daemon.terminate() == 0
        stage.check(daemon)
        assert stage.witness.news[records[0]["id"]] == 1

    await play(script, wire=wire)


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_a_client_that_gave_up_asks_again_elsewhere_and_after_a_restart(play, wire):
    def script(stage):
        daemon = stage.start_daemon(TIMEOUT_ORDER="0.5", HEARTBEAT="10")
        order = {**ORDER, "client_order_id": "again"}
        with stage.client(daemon) as lines:
            lines.call("resolve_symbol", "IBM")
        stage.do(setattr, stage.proxy.downstream, "latency", 1.5)
        with stage.client(daemon) as lines:
            first = lines.call("submit_order", order)
            assert first["status"] == "Unknown"
            second = lines.call("submit_order", order)
            assert (second["id"], second["duplicate"]) == (first["id"], True)
        with XmlRpcClient.connect(daemon) as xml:
            third = xml.call("submit_order", order)
            assert (third["id"], third["duplicate"]) == (first["id"], True)
        stage.do(stage.proxy.heal)
        daemon.kill()
        daemon.start()
        daemon.wait_up()
        with stage.client(daemon) as lines:
            fourth = lines.call("submit_order", order)
            assert (fourth["id"], fourth["duplicate"]) == (first["id"], True)
            daemon.wait(lambda: lines.call("query_order", first["id"])["status"] == "New", 10, "settled by evidence")
        assert daemon.terminate() == 0
        stage.check(daemon)
        assert stage.witness.news[first["id"]] == 1

    await play(script, wire=wire)


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_other_parameters_under_the_same_key_are_refused_and_equal_numbers_are_equal(play, wire):
    def script(stage):
        daemon = stage.start_daemon()
        with stage.client(daemon) as client:
            first = client.call("submit_order", {**ORDER, "client_order_id": "k"})
            for change in ({"quantity": 101}, {"limit_price": "99.51"}, {"side": "SELL"}, {"tif": "GTC"}):
                with pytest.raises(IdempotencyKeyReuse):
                    client.call("submit_order", {**ORDER, **change, "client_order_id": "k"})
            same = client.call("submit_order", {**ORDER, "limit_price": "99.5", "tif": "DAY", "client_order_id": "k"})
            assert (same["id"], same["duplicate"]) == (first["id"], True)
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script, wire=wire)


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_a_refused_order_does_not_use_up_its_key(play, wire):
    def script(stage):
        daemon = stage.start_daemon()
        with stage.client(daemon) as client:
            with pytest.raises(TxTraderError):
                client.call("submit_order", {**ORDER, "limit_price": "99.505", "client_order_id": "k"})
            record = client.call("submit_order", {**ORDER, "client_order_id": "k"})
            assert record["duplicate"] is False
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script, wire=wire)


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_calls_without_a_key_are_separate_orders(play, wire):
    """F03: five legacy orders in a second are five orders."""

    def script(stage):
        daemon = stage.start_daemon()
        with stage.client(daemon) as client:
            ids = {client.call("limit_order", "IBM", "99.5", 10)["id"] for _ in range(5)}
        assert len(ids) == 5
        assert daemon.terminate() == 0
        stage.check(daemon)
        assert all(stage.witness.news[one] == 1 for one in ids)

    await play(script, wire=wire)
