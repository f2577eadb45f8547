"""The FIX adapter trades through a broker on QuickFIX, whose dictionaries find nothing wrong with what it sends."""

from __future__ import annotations

import json
import os
import random
import socket
import time
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_twisted
from fix_run import IBM
from test_fix_adapter import request_of
from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue

from txtrader.adapters.fix import FixAdapter, FixOptions
from txtrader.gateway.adapter import BrokerNotice, LinkState
from txtrader.model.execution import CommissionReport, Execution
from txtrader.model.order import CancelRejected, Order, OrderStatus, OrderType, OrderUpdate, Side, TimeInForce
from txtrader.model.symbols import parse_symbol
from txtrader.net.dial import Backoff
from txtrader.testing.sink import RecordingSink

PYTHON = Path(__file__).parents[2] / ".venv-quickfix" / "bin" / "python"
SCRIPT = Path(__file__).parent / "clients" / "quickfix_broker.py"
BEGIN = {"4.2": "FIX.4.2", "4.4": "FIX.4.4", "5.0": "FIXT.1.1"}
S = OrderStatus


def make_order(number: int, **terms) -> Order:
    order_id = f"TX-QUICK-{number:06d}"
    made = {
        "side": Side.BUY,
        "quantity": Decimal(100),
        "type": OrderType.LIMIT,
        "limit_price": Decimal("99.5"),
        **terms,
    }
    return Order(
        id=order_id,
        order_ref=order_id,
        mode="fix",
        account="A1",
        symbol="IBM",
        instrument=IBM,
        instrument_id="IBM",
        status=S.PENDING_NEW,
        submit_time=1,
        update_time=1,
        currency="USD",
        **made,
    )


@pytest.mark.quickfix
@pytest.mark.parametrize("version", ["4.2", "4.4", "5.0"])
@pytest_twisted.ensureDeferred
async def test_everything_that_is_asked_is_sound_to_quickfix(version, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ended = getProcessOutputAndValue(str(PYTHON), [str(SCRIPT), str(port), BEGIN[version]], env=os.environ)
    symbols = tmp_path / "symbols.json"
    symbols.write_text('{"IBM": {"tick": "0.01"}}')
    options = FixOptions(
        port=port,
        version=version,
        sender="GATEWAY",
        target="BROKER",
        accounts=("A1",),
        heartbeat=30,
        folder=str(tmp_path / "state"),
        symbols_file=str(symbols),
        cancels_on_disconnect=version == "5.0",
        reconnect=Backoff(minimum=0.1, maximum=0.5),
    )
    sink = RecordingSink(reactor, timeout=20.0)
    adapter = FixAdapter(options, reactor, sink, mode="fix", now_ns=time.time_ns, random=random.Random(1))

    async def until(order: Order, status: OrderStatus) -> None:
        await sink.until(OrderUpdate, lambda update: (update.order_ref, update.status) == (order.id, status))

    adapter.start()
    await sink.until_state(LinkState.CONNECTED)
    (instrument,) = await adapter.resolve(parse_symbol("IBM", "symbol"))
    adapter.subscribe(instrument)
    await sink.until(BrokerNotice, lambda notice: "no data here" in notice.message)

    changed, canceled, filled, resting = (make_order(number) for number in (1, 2, 3, 4))
    filled = make_order(3, type=OrderType.MARKET, limit_price=None, side=Side.SELLSHORT)
    adapter.submit(changed)
    await until(changed, S.NEW)
    adapter.replace(changed, request_of(changed, limit_price=Decimal("98.25"), quantity=Decimal(150)))
    await sink.until(OrderUpdate, lambda update: update.limit_price == Decimal("98.25"))
    adapter.submit(canceled)
    await until(canceled, S.NEW)
    adapter.cancel(canceled)
    await until(canceled, S.CANCELED)
    adapter.submit(filled)
    await until(filled, S.FILLED)
    execution = await sink.until(Execution)
    assert (execution.shares, execution.price, execution.side) == (Decimal(100), Decimal(99), Side.SELLSHORT)
    assert (await sink.until(CommissionReport)).commission == Decimal("1.5")
    for number, terms in enumerate(
        (
            {"type": OrderType.STOP, "limit_price": None, "stop_price": Decimal("101.5")},
            {"type": OrderType.STOP_LIMIT, "stop_price": Decimal("101.5"), "tif": TimeInForce.GTC},
            {"tif": TimeInForce.GTD, "good_till": time.time_ns() + 86_400_000_000_000},
            {"display_quantity": Decimal(10), "tif": TimeInForce.IOC},
            *(() if version == "4.2" else ({"type": OrderType.TRAILING_STOP, "trail_amount": Decimal(2)},)),
        ),
        10,
    ):
        order = make_order(number, **terms)
        adapter.submit(order)
        await until(order, S.NEW)
    adapter.submit(resting)
    await until(resting, S.NEW)
    never = make_order(99)
    adapter.restore([never])
    snapshot = await adapter.snapshot()
    named = {update.order_ref for update in snapshot.open_orders}
    assert changed.id in named and resting.id in named and never.id not in named
    assert canceled.id in {update.order_ref for update in snapshot.completed_orders}
    assert (snapshot.positions is None) == (version == "4.2")
    adapter.unsubscribe(instrument)
    adapter.cancel_all()
    await until(resting, S.CANCELED)
    await adapter.broker_time()
    await adapter.stop()
    out, err, code = await ended
    assert code == 0, err.decode() + out.decode()
    told = json.loads(out.decode().splitlines()[-1])
    assert told["rejects"] == []
    asked = {"D", "F", "G", "H", "V"} | ({"c"} if version == "4.2" else {"AF", "AN", "q", "x"})
    assert asked <= set(told["heard"])
    # Without a mass cancel each order is asked for, also the one that never came.
    assert [one.order_ref for one in sink.of(CancelRejected)] == ([never.id] if version == "4.2" else [])
