"""A CQG client for the simulator endpoint contract, made of message classes and a wire session alone."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

from endpoint_harness import Told
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory

from txtrader.exsim.endpoints.cqg import CqgEndpoint
from txtrader.model.order import Side
from txtrader.net.websocket import client_pump
from txtrader.wire.cqg.schema import ClientMsg
from txtrader.wire.cqg.session import ClientSession, MarketDataMsg, parts
from txtrader.wire.cqg.values import PriceScale, decimal_of, put_decimal, put_timestamp
from txtrader.wire.cqg.words import OrderStatus, Scope, TransactionStatus

__all__ = ["CqgHarness"]

_OPEN = {OrderStatus.IN_TRANSIT, OrderStatus.WORKING, OrderStatus.IN_CANCEL, OrderStatus.IN_MODIFY}


class CqgHarness:
    """One client of one simulated CQG server."""

    can_mass_cancel = True
    cancels_on_disconnect = False
    has_market_data = True
    is_silent = False

    def __init__(self, reactor: Any, endpoint: CqgEndpoint, symbol: str) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        self._symbol = symbol
        self._number = 0
        self._waiting: list[tuple[Any, Deferred[Any]]] = []
        self._parts: list[tuple[str, Any]] = []
        self._order_ids: dict[str, str] = {}
        self._chains: dict[str, str] = {}
        self.told: list[Told] = []

    # -- the session

    async def log_in(self) -> None:
        self._parts.clear()
        self._lost: Deferred[None] = Deferred()
        self._opened: Deferred[None] = Deferred()
        self._pump = client_pump(
            ClientSession(time.time_ns, None),
            self._reactor,
            url=f"ws://127.0.0.1:{self._endpoint.port}/",
            on_event=self._hear,
            on_lost=lambda failure: self._lost.callback(None),
            on_open=lambda: self._opened.callback(None),
        )
        endpoint = TCP4ClientEndpoint(self._reactor, "127.0.0.1", self._endpoint.port)
        await endpoint.connect(Factory.forProtocol(lambda: self._pump.protocol))
        await self._opened
        message = ClientMsg()
        message.logon.user_name, message.logon.password, message.logon.client_version = "c", "c", "1"
        message.logon.protocol_version_major, message.logon.protocol_version_minor = 2, 230
        self._pump.send(message)
        await self._part("logon_result")
        message = ClientMsg()
        message.information_requests.add(id=self._next()).symbol_resolution_request.symbol = self._symbol
        message.information_requests.add(id=self._next()).accounts_request.SetInParent()
        self._pump.send(message)
        symbol = await self._part("information_reports", lambda part: part.HasField("symbol_resolution_report"))
        self._contract = symbol.symbol_resolution_report.contract_metadata
        accounts = await self._part("information_reports", lambda part: part.HasField("accounts_report"))
        self._account = accounts.accounts_report.brokerages[0].sales_series[0].accounts[0].account_id
        self._scale = PriceScale(self._contract.correct_price_scale)
        message = ClientMsg()
        message.trade_subscriptions.add(id=self._next(), subscription_scopes=[int(Scope.ORDERS)], subscribe=True)
        self._pump.send(message)
        await self._part("trade_snapshot_completions")

    async def subscribe(self) -> None:
        message = ClientMsg()
        message.market_data_subscriptions.add(contract_id=self._contract.contract_id, request_id=self._next(), level=3)
        self._pump.send(message)
        await self._part("real_time_market_data", lambda data: data.is_snapshot and len(data.quotes) > 0)

    async def log_out(self) -> None:
        self._pump.close()
        await self._lost

    # -- orders

    def place(self, name: str, side: Side, quantity: int, price: str) -> None:
        message, request = self._request()
        order = request.new_order.order
        order.account_id, order.contract_id, order.cl_order_id = self._account, self._contract.contract_id, name
        order.order_type, order.duration, order.side = 2, 2, 1 if side.sign > 0 else 2
        put_timestamp(order.when_utc_timestamp, time.time_ns())
        try:
            order.scaled_limit_price = self._scale.scaled(Decimal(price))
            put_decimal(order.qty, Decimal(quantity))
        except ValueError:
            # This wire cannot say a price between the steps: the order is bad by its quantity instead.
            order.scaled_limit_price = self._scale.scaled(Decimal("99.00"))
            put_decimal(order.qty, Decimal("0.5"))
        self._pump.send(message)

    def replace(self, name: str, quantity: int, price: str) -> None:
        message, request = self._request()
        modify = request.modify_order
        self._name(modify, name)
        put_decimal(modify.qty, Decimal(quantity))
        modify.scaled_limit_price = self._scale.scaled(Decimal(price))
        self._pump.send(message)

    def cancel(self, name: str) -> None:
        message, request = self._request()
        self._name(request.cancel_order, name)
        self._pump.send(message)

    def mass_cancel(self) -> None:
        message, request = self._request()
        put_timestamp(request.cancel_all_orders.when_utc_timestamp, time.time_ns())
        request.cancel_all_orders.account_order_filters.add(account_id=self._account)
        self._pump.send(message)

    async def status_of(self, name: str) -> str | None:
        if name not in self._chains:
            return None
        message = ClientMsg()
        number = self._next()
        request = message.information_requests.add(id=number).order_status_request
        request.chain_order_id, request.account_id = self._chains[name], self._account
        self._pump.send(message)
        report = await self._part("information_reports", lambda part: part.id == number)
        status = report.order_status_report.order_status.status
        # An order that never came to work is not there for anybody.
        return OrderStatus(status).name if status in _OPEN else None

    def until(self, what: str, name: str = "", *, since: int = 0, price: Decimal | None = None) -> Deferred[Told]:
        def fits(told: Any) -> bool:
            return (
                isinstance(told, Told) and told.what == what and told.name in (name, "") and price in (None, told.price)
            )

        return self._wait(self.told, fits, since)

    # -- inside

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _request(self) -> tuple[Any, Any]:
        message = ClientMsg()
        return message, message.order_requests.add(request_id=self._next(), is_automated=True)

    def _name(self, action: Any, name: str) -> None:
        action.order_id = self._order_ids.get(name, "999999")
        action.account_id = self._account
        action.orig_cl_order_id = name
        action.cl_order_id = f"{name}.{self._next()}"
        put_timestamp(action.when_utc_timestamp, time.time_ns())

    def _part(self, name: str, fits: Any = lambda part: True) -> Deferred[Any]:
        def wanted(item: Any) -> bool:
            return isinstance(item, tuple) and item[0] == name and bool(fits(item[1]))

        return self._wait(self._parts, wanted, 0).addCallback(lambda item: item[1])

    def _wait(self, items: list[Any], fits: Any, since: int) -> Deferred[Any]:
        waiting: Deferred[Any] = Deferred()
        for item in items[since:]:
            if fits(item):
                waiting.callback(item)
                return waiting
        self._waiting.append((fits, waiting))
        return waiting.addTimeout(10, self._reactor)

    def _add(self, items: list[Any], item: Any) -> None:
        items.append(item)
        for entry in list(self._waiting):
            fits, waiting = entry
            if not waiting.called and fits(item):
                self._waiting.remove(entry)
                waiting.callback(item)

    def _hear(self, message: Any) -> None:
        if isinstance(message, MarketDataMsg):
            self._add(self._parts, ("real_time_market_data", message))
            return
        for name, part in parts(message):
            if name == "order_statuses":
                self._status(part)
            elif name == "order_request_rejects":
                self._add(self.told, Told("cancel-rejected"))
            self._add(self._parts, (name, part))

    def _status(self, status: Any) -> None:
        name = status.order.cl_order_id.partition(".")[0]
        self._order_ids[name], self._chains[name] = status.order_id, status.chain_order_id
        if status.is_snapshot:
            return
        price = self._scale.price(status.order.scaled_limit_price)
        for told in status.transaction_statuses:
            if told.status in (TransactionStatus.ACK_PLACE, TransactionStatus.ACK_MODIFY):
                self._add(self.told, Told("accepted", name, decimal_of(status.order.qty), price))
            elif told.status == TransactionStatus.FILL and not told.HasField("fill_commission"):
                paid = self._scale.price(told.scaled_fill_price)
                self._add(self.told, Told("filled", name, decimal_of(told.fill_qty), paid))
            elif told.status == TransactionStatus.ACK_CANCEL:
                self._add(self.told, Told("canceled", name))
            elif told.status == TransactionStatus.REJECT_CANCEL:
                self._add(self.told, Told("cancel-rejected", name))
            elif told.status == TransactionStatus.REJECTED:
                self._add(self.told, Told("rejected", name))
