"""Closing positions: by orders of ours, or all at once by the broker where it offers that.

A position is closed by a market order over what the broker and our ledger agree on.  While they disagree, while a fill
is under way, or while another order may still take from the same position, nothing is sent: it might turn it round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from twisted.internet.defer import ensureDeferred, gatherResults

from txtrader.errors import IdempotencyKeyReuse, InvalidArgument, NotFound, NotReady, TxTraderError
from txtrader.gateway.adapter import FlatAdapter
from txtrader.gateway.blotter import Blotter
from txtrader.gateway.books import AccountBooks
from txtrader.gateway.desk import Desk
from txtrader.gateway.link import BrokerLink
from txtrader.gateway.market import Market
from txtrader.gateway.records import order_record
from txtrader.gateway.session import Session
from txtrader.gateway.takeback import TakeBack
from txtrader.model.account import Position
from txtrader.model.instrument import InstrumentQuery
from txtrader.model.order import Order, OrderStatus, OrderType, Side
from txtrader.model.times import SECOND

__all__ = ["Closing"]

_SETTLING = 10 * SECOND  # after that long the broker's positions show what its orders have done


class Closing:
    """The operations that make positions flat."""

    def __init__(
        self,
        *,
        links: Mapping[str, BrokerLink],
        blotter: Blotter,
        books: AccountBooks,
        market: Market,
        desk: Desk,
        takeback: TakeBack,
        now_ns: Callable[[], int],
    ) -> None:
        self._links = links
        self._blotter = blotter
        self._books = books
        self._market = market
        self._desk = desk
        self._takeback = takeback
        self._now_ns = now_ns
        self._under_way: set[tuple[str, str]] = set()  # (account, instrument id)

    async def close_position(
        self, session: Session, symbol: InstrumentQuery, account: str | None, **options: Any
    ) -> dict[str, Any]:
        """Close what an account holds of a symbol, by a market order."""
        account = self._desk.account_of(session, account)
        link = self._desk.broker_of(account)
        link.check_up()
        instrument = link.adapter.for_order(await self._market.instrument(session, symbol, link.mode))
        known = self._desk.order_of_key(session, account, options.get("client_order_id"))
        if known is not None:
            if known.instrument_id != instrument.instrument_id or known.type is not OrderType.MARKET:
                raise IdempotencyKeyReuse(f"it is bound to order {known.id}", path="client_order_id")
            return order_record(known, duplicate=True)
        held = [p for p in self._held(link, account) if p.instrument_id == instrument.instrument_id]
        if not held:
            raise NotFound(f"{account} holds no {instrument.symbol}", path="symbol")
        return await self._close(session, link, held[0], options)

    async def close_all(self, session: Session, account: str | None) -> list[dict[str, Any]]:
        """Close every position of an account, or of all the caller's accounts; one failure holds up no other."""
        answers: list[dict[str, Any]] = []
        for name in self._accounts(session, account):
            link = self._desk.broker_of(name)
            link.check_up()
            for position in self._held(link, name):
                try:
                    answers.append(await self._close(session, link, position, {}))
                except TxTraderError as error:
                    shown = {"code": error.code, "message": error.text}
                    answers.append({"account": name, "symbol": position.symbol, "error": shown})
        return answers

    async def go_flat(
        self, session: Session, account: str | None, symbol: InstrumentQuery | None = None
    ) -> dict[str, str]:
        """Have the broker itself cancel the open orders and close the positions: `{account: how it went}`."""
        accounts = self._accounts(session, account)
        by_mode: dict[str, list[str]] = {}
        for name in accounts:
            by_mode.setdefault(self._desk.broker_of(name).mode, []).append(name)
        for mode in by_mode:
            self._links[mode].check_connected()
            if "go_flat" not in self._links[mode].adapter.capabilities.features:
                raise InvalidArgument(f"{mode} has no such request; close_all does", reason="unsupported")
        answers: dict[str, str] = {}
        for mode, names in by_mode.items():
            adapter = cast(FlatAdapter, self._links[mode].adapter)
            if symbol is None:
                answers.update(await adapter.go_flat(names))
                continue
            instrument = adapter.for_order(await self._market.instrument(session, symbol, mode))
            for name in names:
                await self._cancelled(session, name, instrument.instrument_id)
                answers[name] = await adapter.liquidate(name, instrument)
        return answers

    # --- inside -----------------------------------------------------------------------------------------------------

    def _accounts(self, session: Session, account: str | None) -> list[str]:
        if account is not None:
            return [self._desk.account_of(session, account)]
        mine = [name for name in self._books.mode_of if session.user.sees(name)]
        if not mine:
            raise NotReady("the accounts are not known yet")
        return mine

    def _held(self, link: BrokerLink, account: str) -> list[Position]:
        if not self._books.is_known(link.mode, account):
            raise NotReady(f"the positions of {account} are not known yet")
        if link.mode in self._books.without_positions:
            # Those shown leave out what was held before we came: closing them might open others.
            raise InvalidArgument(
                f"{link.mode} tells no positions: what {account} holds is not known", reason="unsupported"
            )
        return self._books.held(link.mode, account)

    async def _close(
        self, session: Session, link: BrokerLink, position: Position, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        instrument_id = position.instrument_id
        if instrument_id is None:
            raise InvalidArgument(f"{link.mode} does not say what {position.symbol} is", path="symbol")
        key = (position.account, instrument_id)
        if key in self._under_way:
            raise InvalidArgument(f"{position.symbol} is being closed already", path="symbol", reason="state")
        side = Side.SELL if position.quantity > 0 else Side.BUY
        self._check_settled(link, position, side)
        self._under_way.add(key)
        try:
            terms = {
                **options,
                "symbol": InstrumentQuery(text=f"#{instrument_id}", instrument_id=instrument_id),
                "account": position.account,
                "side": side,
                "quantity": abs(position.quantity),
                "type": OrderType.MARKET,
            }
            answer: dict[str, Any] = await self._desk.submit_order(session, terms)
            return answer
        finally:
            self._under_way.discard(key)

    def _check_settled(self, link: BrokerLink, position: Position, side: Side) -> None:
        """Raise where a market order over the whole position might do more than close it."""
        differing = {row[0] for row in self._books.differences(link.mode, position.account)}
        mine = list(self._orders(position.account, position.instrument_id))
        if position.instrument_id in differing or any(self._has_untold_fills(order) for order in mine):
            raise NotReady(f"fills of {position.symbol} are under way; ask again")
        rivals = [order.id for order in mine if order.is_open and order.side.sign == side.sign]
        if rivals:
            raise InvalidArgument(
                f"open orders would take from the same position; cancel them first: {', '.join(rivals[:5])}",
                path="symbol",
                reason="state",
                candidates=rivals,
            )

    def _orders(self, account: str, instrument_id: str | None) -> Iterable[Order]:
        return (
            order
            for order in self._blotter.orders.values()
            if order.account == account
            and order.instrument_id == instrument_id
            and order.status is not OrderStatus.STAGED
        )

    def _has_untold_fills(self, order: Order) -> bool:
        """Tell whether the broker has just said that more was filled than the executions it has sent."""
        if self._now_ns() - (order.update_time or 0) > _SETTLING:
            return False
        return order.filled > sum(execution.shares for execution in self._blotter.executions_of(order.id))

    async def _cancelled(self, session: Session, account: str, instrument_id: str) -> None:
        """Cancel an account's open orders of one instrument, and wait until they have ended."""
        asked = [order.id for order in self._orders(account, instrument_id) if order.is_open]
        cancels = [ensureDeferred(self._takeback.cancel_order(session, order_id)) for order_id in asked]
        await gatherResults(cancels, consumeErrors=True)
        left = [order_id for order_id in asked if self._blotter.orders[order_id].is_open]
        if left:
            raise NotReady(f"these orders have not ended, so nothing was closed: {', '.join(left[:5])}")
