"""A broker in memory, for tests of strategies and of the gateway: it does what it is told, and keeps a tape.

By itself it acknowledges orders and fills them at the quotes that it was given, so a strategy can be tried with four
lines.  Every step can also be taken by hand: withhold an answer, fill in parts, correct, bust, reject, place a
stranger's order, lose the link.  It outlives the adapters that log in to it, as a real broker does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from txtrader.model.account import AccountValue, Position
from txtrader.model.execution import CommissionReport, ExecType, Execution
from txtrader.model.instrument import Instrument
from txtrader.model.market import Bar, MarketStats, PastQuote, PastTrade, Quote, TickKind, Trade
from txtrader.model.order import CancelRejected, OrderStatus, OrderType, OrderUpdate, Side, TimeInForce
from txtrader.testing.broker_records import BrokerOrder, TapeEntry

__all__ = ["MemoryBroker"]

Fact = (
    OrderUpdate | Execution | CommissionReport | CancelRejected | Quote | Trade | MarketStats | Position | AccountValue
)
"""What the broker tells whoever is logged in."""


class MemoryBroker:
    """The broker: instruments, accounts, orders, executions, and the means to play its part by hand.

    `now_ns` is the clock for all times.  `fills_at_quotes` fills marketable orders in full at the quote's price
    whenever a quote or an order comes; without it only `fill` does.  `withheld` names the requests (submit, cancel,
    replace) that are taken and never answered until `release`; an order that `rejects` accepts is refused.
    """

    def __init__(
        self,
        instruments: Iterable[Instrument],
        *,
        now_ns: Callable[[], int],
        accounts: Iterable[str] = ("MEM1",),
        mode: str = "memory",
        fills_at_quotes: bool = True,
        commission: Decimal | None = Decimal(1),
    ) -> None:
        self.mode = mode
        self.instruments = {instrument.symbol: instrument for instrument in instruments}
        self.accounts = tuple(accounts)
        self.fills_at_quotes = fills_at_quotes
        self.commission = commission
        self.now_ns = now_ns
        self.withheld: set[str] = set()
        self.rejects: Callable[[BrokerOrder], object] | None = None
        self.orders: dict[str, BrokerOrder] = {}
        self._by_ref: dict[str, BrokerOrder] = {}
        self._working: dict[str, dict[str, BrokerOrder]] = {}  # by symbol, then permid
        self.executions: dict[str, Execution] = {}
        self.positions: dict[tuple[str, str], Decimal] = {}
        self.quotes: dict[str, Quote] = {}
        self.bars: dict[tuple[str, str], list[Bar]] = {}
        self.ticks: dict[tuple[str, TickKind], list[PastTrade | PastQuote]] = {}
        self.tape: list[TapeEntry] = []
        self.next_order_id = 1
        self._next_permid = 900_001
        self._next_exec = 1
        self._listeners: list[Callable[[Fact], None]] = []
        self._held: list[Callable[[], None]] = []

    def attach(self, listener: Callable[[Fact], None]) -> Callable[[], None]:
        """Tell `listener` every fact from now on; call what is returned to end it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # -- what clients ask

    def submit(self, order: BrokerOrder) -> None:
        """Take a new order; it is acknowledged at once unless `submit` is withheld."""
        self._enter(order)
        self._record("submit", order)
        is_refused = self.rejects is not None and self.rejects(order)
        self._answer("submit", lambda: (self.reject if is_refused else self.acknowledge)(order.permid))

    def cancel(self, permid: str | None) -> bool:
        """Take a cancel; false when there is no such order."""
        order = self.orders.get(permid or "")
        if order is None:
            return False
        self._record("cancel", order)
        self._answer("cancel", lambda: self.confirm_cancel(order.permid))
        return True

    def replace(
        self,
        permid: str,
        *,
        quantity: Decimal,
        limit_price: Decimal | None,
        stop_price: Decimal | None,
        tif: TimeInForce,
    ) -> None:
        """Take a change of terms; `quantity` is the new total."""
        order = self.orders[permid]
        self._record("replace", order, price=limit_price)

        def confirm() -> None:
            if not order.is_open or quantity <= order.filled:
                self._refuse(order, "replace", "the order can no longer be changed")
                return
            order.quantity, order.limit_price, order.stop_price, order.tif = quantity, limit_price, stop_price, tif
            order.status = OrderStatus.PARTIALLY_FILLED if order.filled else OrderStatus.NEW
            self._tell_order(order)
            self._match(order)

        self._answer("replace", confirm)

    def make_permid(self) -> str:
        """Return a permanent id that was never given before."""
        self._next_permid += 1
        return str(self._next_permid - 1)

    def find(self, order_ref: str) -> BrokerOrder:
        """Return the order that carries `order_ref` (the gateway's order id), or has it as its permanent id."""
        order = self.orders.get(order_ref) or self._by_ref.get(order_ref)
        if order is None:
            raise KeyError(f"no order {order_ref} at the broker")
        return order

    def permid_of(self, order_ref: str) -> str | None:
        """Return the permanent id of the order with a reference, None if it never arrived."""
        order = self._by_ref.get(order_ref)
        return None if order is None else order.permid

    # -- the broker's part, by hand

    def release(self) -> None:
        """Answer everything that was withheld, in its sequence, and withhold nothing from now on."""
        self.withheld.clear()
        held, self._held = self._held, []
        for answer in held:
            answer()

    def acknowledge(self, order_ref: str) -> None:
        """Say that the order works, and fill it if it is marketable."""
        order = self.find(order_ref)
        if order.is_open:
            order.status = OrderStatus.PARTIALLY_FILLED if order.filled else OrderStatus.NEW
            self._record("new", order)
            self._tell_order(order)
            self._match(order)

    def reject(self, order_ref: str, code: int | str = 201, message: str = "Order rejected") -> None:
        """Refuse the order, unless a cancel has ended it already."""
        order = self.find(order_ref)
        if order.is_open:
            order.error = (code, message)
            self._end(order, OrderStatus.REJECTED, "rejected")

    def expire(self, order_ref: str) -> None:
        """End the order at its time."""
        self._end(self.find(order_ref), OrderStatus.EXPIRED, "expired")

    def confirm_cancel(self, order_ref: str) -> None:
        """Cancel the order, or refuse when it is over already."""
        order = self.find(order_ref)
        if order.is_open:
            self._end(order, OrderStatus.CANCELED, "canceled")
        else:
            self._refuse(order, "cancel", "the order is not open")

    def fill(self, order_ref: str, shares: Decimal | int | None = None, price: Decimal | str | None = None) -> str:
        """Fill `shares` (all that remains by default) at `price` (the limit, or the quote); return the exec id."""
        order = self.find(order_ref)
        amount = order.remaining if shares is None else Decimal(shares)
        at = Decimal(price) if price is not None else self._price_for(order)
        assert amount > 0, "nothing to fill"
        assert at is not None, f"no price for {order.instrument.symbol}: give one, or a quote"
        order.filled += amount
        order.paid += amount * at
        order.last_fill_price = at
        order.status = OrderStatus.FILLED if order.remaining <= 0 else OrderStatus.PARTIALLY_FILLED
        execution = self._execution(order, f"m{self._next_exec:06d}.01", amount, at)
        self._next_exec += 1
        self._record("fill", order, price=at, exec_id=execution.exec_id, quantity=amount)
        self._move_position(order, amount * order.side.sign)
        self._tell(execution)
        self._tell_order(order)
        self._tell_commission(execution)
        return execution.exec_id

    def correct(self, exec_id: str, shares: Decimal | int, price: Decimal | str) -> str:
        """Replace an execution by one with other figures; return the new exec id."""
        return self._amend(exec_id, Decimal(shares), Decimal(price), ExecType.CORRECT, "correct")

    def bust(self, exec_id: str) -> str:
        """Take an execution back; return the exec id of the bust."""
        return self._amend(exec_id, Decimal(0), self.executions[exec_id].price, ExecType.BUST, "bust")

    def repeat(self, exec_id: str) -> None:
        """Report an execution once more, as brokers do after a reconnect."""
        self._tell(self.executions[exec_id])

    def place_external(
        self,
        symbol: str,
        side: Side,
        quantity: Decimal | int,
        *,
        limit_price: Decimal | str | None = None,
        account: str | None = None,
    ) -> BrokerOrder:
        """Enter an order that the gateway never made, as from the broker's own screen."""
        order = BrokerOrder(
            self.make_permid(), self.instruments[symbol], account or self.accounts[0], side, Decimal(quantity)
        )
        if limit_price is not None:
            order.type, order.limit_price = OrderType.LIMIT, Decimal(limit_price)
        order.broker_order_id, order.clientid = "0", 0
        self._enter(order)
        self._record("submit", order)
        self.acknowledge(order.permid)
        return order

    def quote(
        self,
        symbol: str,
        bid: Decimal | str,
        ask: Decimal | str,
        *,
        bidsize: Decimal | int = 100,
        asksize: Decimal | int = 100,
    ) -> None:
        """Set the best bid and offer, tell subscribers, and fill what is marketable now."""
        now = self.now_ns()
        made = Quote(
            symbol=symbol,
            mode=self.mode,
            bid=Decimal(bid),
            ask=Decimal(ask),
            bidsize=Decimal(bidsize),
            asksize=Decimal(asksize),
            event_time=now,
            receive_time=now,
        )
        self.quotes[symbol] = made
        self._tell(made)
        for order in self._open_in(symbol):
            self._match(order)

    def trade(self, symbol: str, price: Decimal | str, size: Decimal | int = 100) -> None:
        """Print a trade of others, and elect the stops that it reaches."""
        now = self.now_ns()
        last = Decimal(price)
        self._tell(
            Trade(symbol=symbol, mode=self.mode, last=last, size=Decimal(size), event_time=now, receive_time=now)
        )
        for order in self._open_in(symbol):
            if order.stop_price is not None:
                reached = last >= order.stop_price if order.side.sign > 0 else last <= order.stop_price
                if reached:
                    order.is_elected = True
                    self._match(order)

    # -- reports

    def order_update(self, order: BrokerOrder, *, is_snapshot: bool = False) -> OrderUpdate:
        """Say all there is to say of an order."""
        code, message = order.error if order.error is not None else (None, None)
        return OrderUpdate(
            mode=self.mode,
            order_ref=order.order_ref,
            permid=order.permid,
            broker_order_id=order.broker_order_id,
            clientid=order.clientid,
            status=order.status,
            broker_status=order.status.value,
            filled=order.filled,
            remaining=order.remaining,
            avg_fill_price=order.paid / order.filled if order.filled else None,
            last_fill_price=order.last_fill_price,
            error_code=code,
            error_message=message,
            receive_time=self.now_ns(),
            is_snapshot=is_snapshot,
            instrument=order.instrument,
            account=order.account,
            side=order.side,
            quantity=order.quantity,
            type=order.type,
            tif=order.tif,
            limit_price=order.limit_price,
            stop_price=order.stop_price,
        )

    def position(self, account: str, symbol: str) -> Position:
        """Say what an account holds."""
        instrument = self.instruments[symbol]
        return Position(
            account=account,
            mode=self.mode,
            symbol=symbol,
            quantity=self.positions.get((account, symbol), Decimal(0)),
            instrument=instrument,
            instrument_id=instrument.instrument_id,
            currency=instrument.currency,
        )

    def commission_report(self, execution: Execution) -> CommissionReport | None:
        """Say what an execution cost, if this broker charges."""
        if self.commission is None or execution.shares == 0:
            return None
        return CommissionReport(
            exec_id=execution.exec_id, mode=self.mode, commission=self.commission, currency="USD", realized=None
        )

    # -- inside

    def _enter(self, order: BrokerOrder) -> None:
        self.orders[order.permid] = order
        self._working.setdefault(order.instrument.symbol, {})[order.permid] = order
        if order.order_ref is not None:
            self._by_ref[order.order_ref] = order

    def _open_in(self, symbol: str) -> list[BrokerOrder]:
        """Return the open orders of a symbol; those that are over leave the index here."""
        working = self._working.get(symbol, {})
        for permid in [permid for permid, order in working.items() if not order.is_open]:
            del working[permid]
        return list(working.values())

    def _match(self, order: BrokerOrder) -> None:
        if not self.fills_at_quotes or order.status not in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED):
            return
        if order.stop_price is not None and not order.is_elected:
            return
        price = self._touch(order)
        if price is None:
            return
        limit = order.limit_price
        if limit is not None and (price > limit if order.side.sign > 0 else price < limit):
            return
        self.fill(order.permid, price=price)

    def _touch(self, order: BrokerOrder) -> Decimal | None:
        quote = self.quotes.get(order.instrument.symbol)
        if quote is None:
            return None
        return quote.ask if order.side.sign > 0 else quote.bid

    def _price_for(self, order: BrokerOrder) -> Decimal | None:
        return order.limit_price if order.limit_price is not None else self._touch(order)

    def _answer(self, request: str, answer: Callable[[], None]) -> None:
        if request in self.withheld:
            self._held.append(answer)
        else:
            answer()

    def _end(self, order: BrokerOrder, status: OrderStatus, kind: str) -> None:
        order.status = status
        self._record(kind, order)
        self._tell_order(order)

    def _refuse(self, order: BrokerOrder, request: str, message: str) -> None:
        self._tell(
            CancelRejected(
                mode=self.mode,
                request=request,
                code="too-late",
                message=message,
                order_ref=order.order_ref,
                permid=order.permid,
                broker_order_id=order.broker_order_id,
                clientid=order.clientid,
            )
        )

    def _execution(self, order: BrokerOrder, exec_id: str, shares: Decimal, price: Decimal, **more: Any) -> Execution:
        now = self.now_ns()
        execution = Execution(
            exec_id=exec_id,
            mode=self.mode,
            account=order.account,
            symbol=order.instrument.symbol,
            side=order.side,
            shares=shares,
            price=price,
            time=now,
            receive_time=now,
            instrument=order.instrument,
            instrument_id=order.instrument.instrument_id,
            order_ref=order.order_ref,
            permid=order.permid,
            broker_order_id=order.broker_order_id,
            clientid=order.clientid,
            exchange="MEMORY",
            cum_qty=order.filled,
            avg_price=order.paid / order.filled if order.filled else None,
            **more,
        )
        self.executions[exec_id] = execution
        return execution

    def _amend(self, exec_id: str, shares: Decimal, price: Decimal, exec_type: ExecType, kind: str) -> str:
        old = self.executions.pop(exec_id)
        order = self.orders[old.permid or ""]
        order.filled += shares - old.shares
        order.paid += shares * price - old.shares * old.price
        if order.status in (OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED):
            order.status = (
                OrderStatus.FILLED
                if order.remaining <= 0
                else OrderStatus.PARTIALLY_FILLED
                if order.filled
                else OrderStatus.NEW
            )
        stem, _, part = exec_id.rpartition(".")
        new_id = f"{stem}.{int(part) + 1:02d}"
        earlier = () if old.replaces is None else (old.replaces, *old.supersedes)
        execution = self._execution(
            order, new_id, shares, price, exec_type=exec_type, replaces=exec_id, supersedes=earlier
        )
        self._record(kind, order, price=price, exec_id=new_id, quantity=shares)
        self._move_position(order, (shares - old.shares) * order.side.sign)
        self._tell(execution)
        self._tell_order(order)
        return new_id

    def _move_position(self, order: BrokerOrder, by: Decimal) -> None:
        key = (order.account, order.instrument.symbol)
        self.positions[key] = self.positions.get(key, Decimal(0)) + by
        self._tell(self.position(*key))

    def _tell_commission(self, execution: Execution) -> None:
        report = self.commission_report(execution)
        if report is not None:
            self._tell(report)

    def _tell_order(self, order: BrokerOrder) -> None:
        self._tell(self.order_update(order))

    def _tell(self, fact: Fact) -> None:
        for listener in list(self._listeners):
            listener(fact)

    def _record(
        self,
        kind: str,
        order: BrokerOrder,
        *,
        price: Decimal | None = None,
        exec_id: str | None = None,
        quantity: Decimal | None = None,
    ) -> None:
        self.tape.append(
            TapeEntry(
                kind=kind,
                time=self.now_ns(),
                permid=order.permid,
                order_ref=order.order_ref,
                account=order.account,
                symbol=order.instrument.symbol,
                side=order.side,
                quantity=order.quantity if quantity is None else quantity,
                price=order.limit_price if price is None else price,
                exec_id=exec_id,
            )
        )
