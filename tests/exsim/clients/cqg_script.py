"""Trade through a simulated CQG server with the `websockets` library and bare message classes.

Arguments: address, dialect (2 or 1).  It does as simple clients do: one reply read for each request, in sequence.
Dialect 1 states no version, sends only fields of the first generation and reads only those.  Prints one JSON object
of what was seen.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import websockets

from txtrader.wire.cqg.schema import message_class

ClientMsg, ServerMsg = message_class("WebAPI_2.ClientMsg"), message_class("WebAPI_2.ServerMsg")
SEEN: dict[str, Any] = {}


class Client:
    """One connection; `size` is the longest message that came."""

    def __init__(self, socket: Any, *, is_old: bool) -> None:
        self.socket = socket
        self.is_old = is_old
        self.size = 0
        self.orders = 0

    async def send(self, message: Any) -> None:
        assert message.IsInitialized(), message
        await self.socket.send(message.SerializeToString())

    async def receive(self) -> Any:
        data = await asyncio.wait_for(self.socket.recv(), 10)
        assert isinstance(data, bytes)
        self.size = max(self.size, len(data))
        message = ServerMsg.FromString(data)
        assert message.IsInitialized()
        return message

    async def ask(self, message: Any) -> Any:
        await self.send(message)
        return await self.receive()

    async def inform(self, **request: Any) -> Any:
        message = ClientMsg()
        message.information_requests.add(id=len(request) + 10, **request)
        (report,) = (await self.ask(message)).information_reports
        return report

    def stamp(self, order: Any) -> None:
        if self.is_old:
            order.when_utc_time = 0
        else:
            order.when_utc_timestamp.GetCurrentTime()

    def order(self, contract: int, account: int, side: int, quantity: int, price: int | None) -> Any:
        self.orders += 1
        message = ClientMsg()
        order = message.order_requests.add(request_id=self.orders).new_order.order
        order.account_id, order.contract_id = account, contract
        order.cl_order_id = f"mine-{self.orders}"
        order.order_type, order.duration, order.side = (1 if price is None else 2), 1, side
        if price is not None:
            order.scaled_limit_price = price
        if self.is_old:
            order.uint32_qty, order.is_manual = quantity, False
        else:
            order.qty.significand = quantity
        self.stamp(order)
        return message

    async def steps(self, last: int) -> list[Any]:
        """Read order statuses up to one whose transaction is `last`; each has one transaction and the order."""
        found = []
        while not found or found[-1].transaction_statuses[0].status != last:
            message = await self.receive()
            if message.position_statuses or message.account_summary_statuses:
                SEEN.setdefault("positions", 0)
                SEEN["positions"] += len(message.position_statuses)
                continue
            (status,) = message.order_statuses
            assert len(status.transaction_statuses) == 1
            assert status.HasField("order")
            found.append(status)
        return found


async def trade(client: Client) -> None:
    old = client.is_old
    logon = ClientMsg(
        logon={"user_name": "walker", "password": "w", "client_app_id": "WebAPITest", "client_version": "1"}
    )
    if not old:
        logon.logon.protocol_version_major, logon.logon.protocol_version_minor = 2, 230
    result = (await client.ask(logon)).logon_result
    SEEN["logon"] = [result.result_code, len(result.base_time), bool(result.session_token)]

    accounts = (await client.inform(accounts_request={})).accounts_report.brokerages[0].sales_series[0].accounts
    SEEN["accounts"] = [one.brokerage_account_number for one in accounts]
    account = accounts[0].account_id
    report = await client.inform(symbol_resolution_request={"symbol": "EP"}, subscribe=True)
    SEEN["resolved"] = [report.status_code, report.symbol_resolution_report.contract_metadata.contract_symbol]
    metadata = report.symbol_resolution_report.contract_metadata
    contract, scale = metadata.contract_id, metadata.correct_price_scale

    data = ClientMsg()
    data.market_data_subscriptions.add(contract_id=contract, request_id=5, level=4)
    (status,) = (await client.ask(data)).market_data_subscription_statuses
    SEEN["granted"] = [status.status_code, status.request_id, status.level]
    (snapshot,) = (await client.receive()).real_time_market_data
    best = {quote.type: quote for quote in snapshot.quotes}
    ask = best[2].scaled_price
    SEEN["snapshot"] = [snapshot.is_snapshot, sorted(best)]
    SEEN["sizes"] = bool(best[2].scaled_volume if old else best[2].volume.significand)
    SEEN["day"] = bool(
        snapshot.market_values[0].scaled_total_volume if old else snapshot.market_values[0].total_volume.significand
    )
    data.market_data_subscriptions[0].level = 0
    await client.send(data)
    while not (message := await client.receive()).market_data_subscription_statuses:
        pass
    SEEN["ended"] = [one.level for one in message.market_data_subscription_statuses]

    subscription = ClientMsg()
    wanted = subscription.trade_subscriptions.add(id=7, subscribe=True, subscription_scopes=[1, 2])
    if old:
        # The first generation lists accounts unpacked, each with its own tag.
        raw = wanted.SerializeToString() + bytes((0x18, 1)) + b"\x20" + varint(account)
        wanted.ParseFromString(raw)
        assert list(wanted.account_ids) == [account]
        outer = ClientMsg().SerializeToString() + b"\x12" + varint(len(raw)) + raw
        await client.socket.send(outer)
    else:
        await client.send(subscription)
    (told,) = (await client.receive()).trade_subscription_statuses
    (done,) = (await client.receive()).trade_snapshot_completions
    SEEN["trading"] = [told.status_code, done.subscription_id, sorted(done.subscription_scopes)]

    await client.send(client.order(contract, account, 1, 2, ask + 40))
    bought = await client.steps(11)
    SEEN["bought"] = [(one.status, one.transaction_statuses[0].status) for one in bought]
    fill = bought[-1].transaction_statuses[0]
    SEEN["fill"] = fill.uint32_fill_qty if old else fill.fill_qty.significand
    SEEN["trade"] = fill.trades[0].uint32_qty if old else fill.trades[0].qty.significand
    SEEN["price"] = abs(fill.trades[0].price_correct - fill.scaled_fill_price * scale) < 1e-9
    SEEN["moment"] = bool(fill.trans_utc_time if old else fill.trans_utc_timestamp.seconds)

    await client.send(client.order(contract, account, 1, 3, ask - 400))
    resting = (await client.steps(3))[-1]
    modify = ClientMsg()
    change = modify.order_requests.add(request_id=50).modify_order
    change.order_id, change.account_id = resting.order_id, account
    change.orig_cl_order_id, change.cl_order_id = resting.order.cl_order_id, "change-1"
    if old:
        change.uint32_qty = 4
    else:
        change.qty.significand = 4
    change.scaled_limit_price = ask - 500
    client.stamp(change)
    await client.send(modify)
    modified = await client.steps(9)
    SEEN["modified"] = [(one.status, one.transaction_statuses[0].status) for one in modified]
    now = modified[-1]
    SEEN["chain"] = [now.chain_order_id == resting.chain_order_id, now.order_id != resting.order_id]
    SEEN["remaining"] = now.uint32_remaining_qty if old else now.remaining_qty.significand

    stale = ClientMsg()
    cancel = stale.order_requests.add(request_id=60).cancel_order
    cancel.order_id, cancel.account_id = resting.order_id, account
    cancel.orig_cl_order_id, cancel.cl_order_id = "change-1", "cancel-1"
    client.stamp(cancel)
    (reject,) = (await client.ask(stale)).order_request_rejects
    SEEN["stale"] = [reject.reject_code, bool(reject.text_message if old else reject.details.text)]
    cancel.order_id, cancel.cl_order_id = now.order_id, "cancel-2"
    await client.send(stale)
    SEEN["canceled"] = [(one.status, one.transaction_statuses[0].status) for one in await client.steps(6)]

    bars = ClientMsg()
    parameters = bars.time_bar_requests.add(request_id=8, request_type=1).time_bar_parameters
    parameters.contract_id, parameters.bar_unit, parameters.unit_number = contract, 8, 5
    parameters.from_utc_time = -8 * 3600_000
    await client.send(bars)
    times: list[int] = []
    volumes = 0
    while True:
        (report,) = (await client.receive()).time_bar_reports
        times += [bar.bar_utc_time for bar in report.time_bars]
        volumes += sum(bar.scaled_volume if old else bar.volume.significand for bar in report.time_bars)
        if report.is_report_complete:
            break
    SEEN["bars"] = [len(times) in (96, 97), times == sorted(times, reverse=True), volumes > 0]

    past = await client.inform(historical_orders_request={"from_date": 0})
    SEEN["past"] = len(past.historical_orders_report.order_statuses)
    refused = await client.inform(symbol_resolution_request={"symbol": "NOSUCH"})
    SEEN["unknown"] = refused.status_code

    logoff = ClientMsg()
    logoff.logoff.SetInParent()
    last = (await client.ask(logoff)).logged_off
    SEEN["last"] = [last.logoff_reason, last.HasField("text_message")]
    try:
        await asyncio.wait_for(client.socket.recv(), 5)
    except websockets.ConnectionClosed as closed:
        SEEN["closed"] = closed.rcvd.code if closed.rcvd is not None else None
    SEEN["small"] = client.size <= 4000


def varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes((*found, number))


async def main(url: str, dialect: str) -> None:
    began = time.monotonic()
    async with websockets.connect(url, compression=None, ping_interval=None) as socket:
        await trade(Client(socket, is_old=dialect == "1"))
    SEEN["quick"] = time.monotonic() - began < 20
    print(json.dumps(SEEN))


asyncio.run(main(*sys.argv[1:]))
