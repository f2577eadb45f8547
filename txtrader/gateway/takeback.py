"""Taking orders back: cancels, mass cancels that survive the broker's absence, and the operator's last word."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from txtrader.errors import InvalidArgument, NotFound, OutcomeUnknown
from txtrader.gateway.blotter import Blotter, Change
from txtrader.gateway.books import AccountBooks
from txtrader.gateway.link import BrokerLink
from txtrader.gateway.lookup import find_order, find_ticket, link_of
from txtrader.gateway.market import Market
from txtrader.gateway.records import order_record
from txtrader.gateway.session import Session
from txtrader.model.instrument import InstrumentQuery
from txtrader.model.order import Order, OrderStatus, Provenance

__all__ = ["TakeBack"]

_S = OrderStatus
_CANCEL_META = "cancel-on-return"


class _Wish:
    """Cancels that wait for a broker's return."""

    def __init__(self, ids: Iterable[str] = (), *, is_global: bool = False) -> None:
        self.ids = dict.fromkeys(ids)
        self.is_global = is_global

    def to_text(self) -> str:
        return json.dumps({"ids": list(self.ids), "global": self.is_global})

    @classmethod
    def from_text(cls, text: str) -> _Wish:
        kept = json.loads(text)
        return cls(kept["ids"], is_global=kept["global"])


class TakeBack:
    """All operations that end orders.  They work at any time; no limit and no gate holds a cancel back."""

    def __init__(
        self,
        *,
        links: Mapping[str, BrokerLink],
        blotter: Blotter,
        books: AccountBooks,
        market: Market,
        now_ns: Callable[[], int],
        order_timeout: float,
    ) -> None:
        self._links = links
        self._blotter = blotter
        self._books = books
        self._market = market
        self._now_ns = now_ns
        self._timeout = order_timeout
        self._kept: dict[str, _Wish] = {}

    async def cancel_order(self, session: Session, id: str) -> Any:
        """Cancel an order; answers when the broker confirms, or the record as it stands after the timeout."""
        order = find_order(self._blotter, session, id)
        if not order.is_open:
            return order_record(order)
        if order.status is _S.STAGED:
            return self._withdraw(order, "withdrawn")
        link = link_of(self._links, order)
        if order.id not in link.leaving:
            link.check_connected()
        waiting = link.answers.add(f"end:{order.id}", self._timeout)
        self._ask_cancel(link, order)
        try:
            return order_record(await waiting)
        except OutcomeUnknown:
            link.reconciler.plan(link.options.unknown_quiet)
            return order_record(self._blotter.orders[order.id])

    def _ask_cancel(self, link: BrokerLink, order: Order) -> None:
        """Send a cancel.  It is a fact for the journal, not an intent: a cancel goes even when the disk does not."""
        if order.id in link.leaving:  # nothing has left: whoever sends it will see, and let it be
            link.leaving[order.id] = True
            return
        if order.status not in (_S.UNKNOWN, _S.PENDING_CANCEL):
            before = order.status if order.status not in (_S.PENDING_NEW, _S.PENDING_REPLACE) else order.previous_status
            order = self._blotter.change(order, self._now_ns(), status=_S.PENDING_CANCEL, previous_status=before)
            link.publish(Change(orders=(order,)))
        link.cancel(order)

    async def reject_ticket(self, session: Session, id: str, reason: str) -> Any:
        """Withdraw a ticket."""
        return self._withdraw(find_ticket(self._blotter, session, id), reason)

    def _withdraw(self, ticket: Order, reason: str) -> dict[str, Any]:
        rejected = self._blotter.change(
            ticket,
            self._now_ns(),
            status=_S.REJECTED,
            provenance=Provenance.LOCAL_DENY,
            error_message=reason or "withdrawn",
        )
        link_of(self._links, ticket).publish(Change(orders=(rejected,)))
        return order_record(rejected)

    async def global_cancel(self, session: Session) -> Any:
        """Cancel every open order in the caller's accounts, wherever it came from."""
        return self._cancel_many(session, None, None, is_global=session.user.accounts is None)

    async def cancel_all_for_account(self, session: Session, account: str) -> Any:
        """Cancel every open order of an account."""
        return self._cancel_many(session, self._own(session, account), None)

    async def cancel_all_for_symbol(self, session: Session, symbol: InstrumentQuery, account: str | None = None) -> Any:
        """Cancel every open order of a symbol."""
        spelling = self._market.spelling(symbol, session)
        return self._cancel_many(session, self._own(session, account) if account else None, spelling)

    def _cancel_many(
        self, session: Session, account: str | None, symbol: str | None, *, is_global: bool = False
    ) -> dict[str, Any]:
        chosen = [
            order
            for order in self._blotter.open_orders()
            if order.mode in self._links
            and session.user.sees(order.account)
            and (account is None or order.account == account)
            and (symbol is None or order.symbol == symbol)
        ]
        for order in chosen:
            link = self._links[order.mode]
            if order.status is _S.STAGED:
                self._withdraw(order, "withdrawn")
            elif link.is_connected or order.id in link.leaving:
                self._ask_cancel(link, order)
        for mode, link in self._links.items():
            if link.is_connected:
                if is_global:
                    link.adapter.cancel_all()
            else:
                kept = [
                    o.id for o in chosen if o.mode == mode and o.status is not _S.STAGED and o.id not in link.leaving
                ]
                self._keep_cancels(link, kept, is_global=is_global)
        return {"requested": len(chosen), "ids": [order.id for order in chosen]}

    def cancel_own(self) -> None:
        """Cancel the clients' working orders: what a stop does where it is told to."""
        for order in self._blotter.open_orders():
            link = self._links.get(order.mode)
            if link is not None and link.is_connected and order.origin == "client" and order.status is not _S.STAGED:
                self._ask_cancel(link, order)

    def _keep_cancels(self, link: BrokerLink, ids: list[str], *, is_global: bool) -> None:
        """The broker is away: the cancels wait, durably, and go as soon as it is back."""
        if not ids and not is_global:
            return
        wish = self._kept.setdefault(link.mode, _Wish())
        wish.ids.update(dict.fromkeys(ids))
        wish.is_global |= is_global
        link.cancels_on_return = partial(self._send_kept, link)
        link.tell_with_meta(
            "warning",
            {
                "severity": "warning",
                "code": "cancels-kept",
                "message": f"{len(wish.ids)} cancels wait for the broker",
                "mode": link.mode,
            },
            {f"{_CANCEL_META}|{link.mode}": wish.to_text()},
            None,
        )

    def _send_kept(self, link: BrokerLink) -> None:
        """Send the cancels that waited for the broker."""
        wish = self._kept.pop(link.mode, None)
        link.cancels_on_return = lambda: None
        if wish is None:
            return
        for order_id in wish.ids:
            order = self._blotter.orders.get(order_id)
            if order is not None and order.is_open:
                self._ask_cancel(link, order)
        if wish.is_global:
            link.adapter.cancel_all()
        done = {"severity": "warning", "code": "cancels-sent", "message": "kept cancels were sent", "mode": link.mode}
        link.tell_with_meta("warning", done, {f"{_CANCEL_META}|{link.mode}": ""}, None)

    def restore(self, meta: Mapping[str, str]) -> None:
        """Take kept cancels out of the journal's meta rows."""
        for mode, link in self._links.items():
            text = meta.get(f"{_CANCEL_META}|{mode}", "")
            if text:
                self._kept[mode] = _Wish.from_text(text)
                link.cancels_on_return = partial(self._send_kept, link)

    async def resolve_order(self, session: Session, id: str, reason: str) -> Any:
        """Declare an Unknown order lost, on the operator's word."""
        order = find_order(self._blotter, session, id)
        if order.status is not _S.UNKNOWN:
            raise InvalidArgument(f"the order is {order.status.value}, not Unknown", path="id", reason="state")
        lost = self._blotter.change(
            order, self._now_ns(), status=_S.LOST, provenance=Provenance.OPERATOR, error_message=reason or None
        )
        link_of(self._links, order).publish(Change(orders=(lost,)))
        return order_record(lost)

    def _own(self, session: Session, account: str) -> str:
        if not session.user.sees(account) or (self._books.mode_of and account not in self._books.mode_of):
            raise NotFound("no such account", path="account")
        return account
