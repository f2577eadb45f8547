"""F04 (G3 H01; I3 I6): the broker took the order and its answer is lost: Unknown, no error, settled by evidence."""

from __future__ import annotations

import json

import pytest
import pytest_twisted

from txtrader.model.order import Side
from txtrader.testing.clients import XmlRpcClient

WIRES = ("tws", "cqg", "fix")

ORDER = {"symbol": "IBM", "side": "BUY", "quantity": 100, "type": "Limit", "limit_price": "99.50"}


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_a_lost_answer_is_unknown_on_every_front_end_and_never_an_error(play, wire):
    def script(stage):
        daemon = stage.start_daemon(TIMEOUT_ORDER="0.5", RECONCILE_INTERVAL="3600")
        stage.do(
            setattr,
            stage.proxy.downstream,
            "frames",
            lambda frame: () if stage.is_order_news(frame) else ((0.0, frame),),
        )
        with stage.client(daemon) as lines, XmlRpcClient.connect(daemon) as xml:
            records = [
                lines.call("submit_order", {**ORDER, "client_order_id": "lines"}),
                xml.call("submit_order", {**ORDER, "client_order_id": "xml"}),
            ]
            reply = lines.command(f"limitorder IBM 99.5 100 {json.dumps({'client_order_id': 'legacy'})}")
            records.append(json.loads(reply.partition(": ")[2]))
            for record in records:
                assert record["status"] == "Unknown", record
                assert record["id"] and record["client_order_id"]
            stage.submit(Side.SELL, 100, "99.50")  # the first of them trades, and nobody here hears of it
            stage.do(stage.proxy.heal)
            stage.do(stage.proxy.reset_all)
            for record, status in zip(records, ("Filled", "New", "New"), strict=True):
                daemon.wait(
                    lambda record=record, status=status: lines.call("query_order", record["id"])["status"] == status,
                    15,
                    f"{record['client_order_id']} is {status}",
                )
        assert daemon.terminate() == 0
        stage.check(daemon)
        assert all(stage.witness.news[record["id"]] == 1 for record in records)

    await play(script, wire=wire)


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_an_order_that_never_arrived_ends_as_lost_and_only_then(play, wire):
    """The request itself is lost on the way: complete reports of a later session prove it."""

    def script(stage):
        daemon = stage.start_daemon(TIMEOUT_ORDER="0.5")
        with stage.client(daemon) as client:
            client.call("add_symbol", "IBM")
            stage.do(
                setattr,
                stage.proxy.upstream,
                "frames",
                lambda frame: () if stage.is_order_request(frame, "new") else ((0.0, frame),),
            )
            record = client.call("submit_order", {**ORDER, "client_order_id": "never-arrived"})
            assert record["status"] == "Unknown"
            daemon.wait(
                lambda: client.call("query_reconciliation")["state"] is not None, 5, "another look at the same session"
            )
            assert client.call("query_order", record["id"])["status"] == "Unknown", "no proof in the same session"
            stage.do(stage.proxy.heal)
            stage.do(stage.proxy.reset_all)
            daemon.wait(lambda: client.call("query_order", record["id"])["status"] == "Lost", 15, "proved lost")
            lost = client.call("query_order", record["id"])
            assert lost["provenance"] == "reconciled"
        assert daemon.terminate() == 0
        stage.check(daemon)
        assert stage.witness.news[record["id"]] == 0

    await play(script, wire=wire)


@pytest.mark.parametrize("wire", WIRES)
@pytest_twisted.ensureDeferred
async def test_an_operator_may_settle_what_nobody_can_prove(play, wire):
    def script(stage):
        daemon = stage.start_daemon(TIMEOUT_ORDER="0.5")
        with stage.client(daemon) as client:
            client.call("add_symbol", "IBM")
            stage.do(
                setattr,
                stage.proxy.upstream,
                "frames",
                lambda frame: () if stage.is_order_request(frame, "new") else ((0.0, frame),),
            )
            record = client.call("submit_order", {**ORDER, "client_order_id": "operator"})
            assert record["status"] == "Unknown"
            settled = client.call("resolve_order", record["id"], reason="seen at the broker that it never came")
            assert (settled["status"], settled["provenance"]) == ("Lost", "operator")
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script, wire=wire)
