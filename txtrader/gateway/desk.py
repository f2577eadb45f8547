r"""The order desk: from a caller's request to an order at the broker, and what is done with it later.

    received -> key -> checks -> intent durable -> adapter -> first word of the broker -> answer
                                                        \-> no word in time: Unknown, and the caller is told so

A submit or replace that may have left is never sent again.  Cancels may be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.logger import Logger

from txtrader.errors import (
    BY_CODE,
    BrokerRejected,
    IdempotencyKeyReuse,
    InvalidArgument,
    JournalUnavailable,
    LinkError,
    NotFound,
    NotReady,
    OutcomeUnknown,
    TxTraderError,
)
from txtrader.gateway.blotter import Blotter, Change
from txtrader.gateway.blotter_rules import old_terms
from txtrader.gateway.books import AccountBooks
from txtrader.gateway.crash import crash_point
from txtrader.gateway.journal_records import KeyRecord
from txtrader.gateway.link import BrokerLink
from txtrader.gateway.lookup import find_order, find_ticket, link_of
from txtrader.gateway.market import Market
from txtrader.gateway.records import order_record
from txtrader.gateway.session import Session
from txtrader.gateway.stream import EventStream
from txtrader.gateway.tasks import spawn
from txtrader.gateway.terms import (
    CARRIED,
    REQUESTED,
    TERMS,
    check_against,
    check_route,
    check_terms,
    digest_of,
    request_of,
)
from txtrader.model.instrument import Instrument, InstrumentQuery
from txtrader.model.numbers import plain_text
from txtrader.model.order import Order, OrderRequest, OrderStatus, OrderType, Provenance, Side, TimeInForce

__all__ = ["Desk"]

_S = OrderStatus
_LATER = 3.0  # times the order timeout: how long a second caller of the same key waits for the first one's outcome
_TURN = 60.0  # seconds between looks at an order that waits for its turn to leave


class Desk:
    """All operations that make, change or take back orders."""

    _log = Logger()

    def __init__(
        self,
        *,
        links: Mapping[str, BrokerLink],
        stream: EventStream,
        blotter: Blotter,
        books: AccountBooks,
        market: Market,
        keys: dict[tuple[str, str, str], KeyRecord],
        now_ns: Callable[[], int],
        order_timeout: float,
        default_account: str | None,
        default_route: Mapping[str, Any] | None,
    ) -> None:
        self._links = links
        self._stream = stream
        self._blotter = blotter
        self._books = books
        self._market = market
        self._keys = keys
        self._now_ns = now_ns
        self._timeout = order_timeout
        self._default_account = default_account
        self._default_route = default_route
        self._in_flight: set[str] = set()  # new ones whose first outcome is not there yet
        self._changing: set[str] = set()  # tickets whose new terms are not durable yet

    # --- the legacy calls: the sign of the quantity is the side ---------------------------------------------------

    async def market_order(self, session: Session, symbol: InstrumentQuery, quantity: Any, **options: Any) -> Any:
        """Make a market order."""
        return await self._signed(session, OrderType.MARKET, symbol, quantity, options)

    async def limit_order(
        self, session: Session, symbol: InstrumentQuery, limit_price: Any, quantity: Any, **options: Any
    ) -> Any:
        """Make a limit order."""
        return await self._signed(session, OrderType.LIMIT, symbol, quantity, options, limit_price=limit_price)

    async def stop_order(
        self, session: Session, symbol: InstrumentQuery, stop_price: Any, quantity: Any, **options: Any
    ) -> Any:
        """Make a stop order."""
        return await self._signed(session, OrderType.STOP, symbol, quantity, options, stop_price=stop_price)

    async def stoplimit_order(
        self,
        session: Session,
        symbol: InstrumentQuery,
        stop_price: Any,
        limit_price: Any,
        quantity: Any,
        **options: Any,
    ) -> Any:
        """Make a stop-limit order."""
        prices = {"stop_price": stop_price, "limit_price": limit_price}
        return await self._signed(session, OrderType.STOP_LIMIT, symbol, quantity, options, **prices)

    async def stage_market_order(self, session: Session, tag: str, **terms: Any) -> Any:
        """Make a market ticket."""
        return await self.market_order(session, tag=tag, stage=True, **terms)

    async def stage_limit_order(self, session: Session, tag: str, **terms: Any) -> Any:
        """Make a limit ticket."""
        return await self.limit_order(session, tag=tag, stage=True, **terms)

    async def stage_stop_order(self, session: Session, tag: str, **terms: Any) -> Any:
        """Make a stop ticket."""
        return await self.stop_order(session, tag=tag, stage=True, **terms)

    async def stage_stoplimit_order(self, session: Session, tag: str, **terms: Any) -> Any:
        """Make a stop-limit ticket."""
        return await self.stoplimit_order(session, tag=tag, stage=True, **terms)

    async def _signed(
        self,
        session: Session,
        kind: OrderType,
        symbol: InstrumentQuery,
        quantity: Any,
        options: Mapping[str, Any],
        **prices: Any,
    ) -> Any:
        terms = {
            "symbol": symbol,
            "side": Side.BUY if quantity > 0 else Side.SELL,
            "quantity": abs(quantity),
            "type": kind,
            **prices,
            **options,
        }
        return await self.submit_order(session, terms)

    # --- submit ---------------------------------------------------------------------------------------------------

    async def submit_order(self, session: Session, order: Mapping[str, Any]) -> Any:
        """Make an order from parsed terms (the kinds of `commands`); answers its record, or what-if figures."""
        terms = {name: value for name, value in order.items() if value is not None}
        account = self.account_of(session, terms.get("account"))
        check_terms(terms)
        key = terms.get("client_order_id")
        digest = digest_of(terms, account)
        if key is not None and not terms.get("what_if"):
            known = self._keys.get((session.user.name, account, key))
            if known is not None:
                return await self._again(known, digest)
        link = self.broker_of(account)
        if not terms.get("stage"):
            link.check_up()
        instrument = link.adapter.for_order(await self._market.instrument(session, terms["symbol"], link.mode))
        if not terms.get("stage"):
            link.check_up()  # the broker was asked meanwhile
        request = self._request(session, terms, account, instrument, link)
        if request.what_if:
            return await link.adapter.what_if(self._new_order(session, request, link))
        if key is not None:  # the broker was asked meanwhile: another call may have used the key
            known = self._keys.get((session.user.name, account, key))
            if known is not None:
                return await self._again(known, digest)
        made = self._new_order(session, request, link)
        records: tuple[KeyRecord, ...] = ()
        if key is not None:
            record = KeyRecord(
                user=session.user.name, account=account, client_order_id=key, digest=digest, order_id=made.id
            )
            self._keys[session.user.name, account, key] = record
            records = (record,)
        self._blotter.put(made)
        if made.order_class == "ticket":
            return await self._keep_ticket(made, records)
        return await self._send(link, made, records)

    async def _keep_ticket(self, ticket: Order, keys: tuple[KeyRecord, ...]) -> Any:
        link = self._links[ticket.mode]
        self._in_flight.add(ticket.id)
        try:
            await link.journal_order(ticket, keys=keys, is_intent=True)
        except TxTraderError as error:
            self._undo(ticket, keys)
            link.answers.fail(f"done:{ticket.id}", error)
            raise
        finally:
            self._in_flight.discard(ticket.id)
        kept = self._blotter.orders[ticket.id]
        link.answers.fire(f"done:{ticket.id}", kept)
        return order_record(kept)

    async def _send(
        self, link: BrokerLink, order: Order, keys: tuple[KeyRecord, ...], ticket: Order | None = None
    ) -> Any:
        """Make the intent durable, send it once, and answer the broker's first word; `ticket`: what it was before."""
        self._in_flight.add(order.id)
        link.leaving[order.id] = False
        try:
            crash_point("before-journal")
            try:
                await link.journal_order(order, keys=keys, is_intent=True)
            except TxTraderError as error:
                self._undo(order, keys, ticket)
                link.answers.fail(f"done:{order.id}", error)
                link.answers.fail(f"end:{order.id}", NotFound("no such order: it was not kept", path="id"))
                raise
            crash_point("after-journal")
            answered = await self._sent(link, order.id, is_withdrawn=link.leaving.pop(order.id))
        finally:
            link.leaving.pop(order.id, None)
            self._in_flight.discard(order.id)
        link.answers.fire(f"done:{order.id}", answered)
        crash_point("before-reply")
        return self._answer(answered)

    async def _sent(self, link: BrokerLink, order_id: str, *, is_withdrawn: bool) -> Order:
        """Send an order whose intent is durable, unless it was cancelled or the gate was shut meanwhile."""
        order = self._blotter.orders[order_id]
        if is_withdrawn:
            return self._deny(link, order, "cancelled before it was sent", None)
        try:
            link.check_up()
        except LinkError as error:
            return self._deny(link, order, error.message, error.code)
        order = self._blotter.change(order, self._now_ns(), session=link.status.session)
        waiting = link.answers.add(f"new:{order_id}", self._timeout)
        has_left = link.submit(order)
        if has_left:
            self._note_sent(order_id)
        else:
            spawn(self._follow(link, order_id), self._log, "waiting for an order's turn")
        crash_point("after-send")
        try:
            return await waiting
        except OutcomeUnknown:
            return self._give_up(link, order_id) if has_left else self._blotter.orders[order_id]

    def _note_sent(self, order_id: str) -> None:
        order = self._blotter.orders[order_id]
        if order.send_time is None and order.provenance is not Provenance.LOCAL_DENY:
            self._blotter.change(order, self._now_ns(), send_time=self._now_ns())

    async def _follow(self, link: BrokerLink, order_id: str) -> None:
        """Wait until an order has had its turn; its time for an answer begins only then."""
        while (order := self._blotter.orders.get(order_id)) is not None and order.waits_to_leave:
            try:
                await link.answers.add(f"left:{order_id}", _TURN)
            except OutcomeUnknown:
                continue
        if order is None or order.status is not _S.PENDING_NEW:
            return
        try:
            await link.answers.add(f"new:{order_id}", self._timeout)
        except OutcomeUnknown:
            self._give_up(link, order_id)

    def _deny(self, link: BrokerLink, order: Order, message: str, code: str | None) -> Order:
        """Say of an order that never left that it never will."""
        denied = self._blotter.change(
            order,
            self._now_ns(),
            status=_S.REJECTED,
            provenance=Provenance.LOCAL_DENY,
            code=code,
            error_message=message,
        )
        link.publish(Change(orders=(denied,)))
        return denied

    def _give_up(self, link: BrokerLink, order_id: str) -> Order:
        """No word in time: the order may be live, and its record says so."""
        order = self._blotter.orders[order_id]
        if order.status is not _S.PENDING_NEW:
            return order
        unknown = self._blotter.change(order, self._now_ns(), status=_S.UNKNOWN)
        link.publish(Change(orders=(unknown,)))
        text = f"no answer in time for order {order_id}"
        link.remark("warning", "order-unknown", text, id=order_id, account=order.account)
        link.reconciler.plan(link.options.unknown_quiet)
        return unknown

    def _answer(self, order: Order) -> dict[str, Any]:
        """Answer the record; a refusal is an error that carries it, but for the caller's own cancel."""
        record = order_record(order)
        if order.status is _S.REJECTED and not order.filled:
            if order.provenance is Provenance.LOCAL_DENY:
                if order.code is None:
                    return record
                raise BY_CODE.get(order.code, NotReady)(order.error_message or "the order did not leave", order=record)
            raise BrokerRejected(
                order.error_message or "rejected by the broker", broker_code=order.error_code, order=record
            )
        return record

    async def _again(self, known: KeyRecord, digest: str) -> Any:
        """Answer a key that was used before: the same record, never a second order."""
        if known.digest != digest:
            raise IdempotencyKeyReuse(
                f"client_order_id is bound to order {known.order_id}, which has other parameters",
                path="client_order_id",
            )
        order = self._blotter.orders.get(known.order_id)
        if order is None:
            raise NotFound(f"order {known.order_id} is no longer kept", path="client_order_id")
        if order.id in self._in_flight:
            link = self._links[order.mode]
            try:
                order = await link.answers.add(f"done:{order.id}", self._timeout * _LATER)
            except OutcomeUnknown:
                if order.id in link.leaving:  # nothing is promised before it is durable
                    raise JournalUnavailable("the journal is slow; ask again", retry_after=self._timeout) from None
                order = self._blotter.orders[known.order_id]
        return order_record(order, duplicate=True)

    def order_of_key(self, session: Session, account: str, key: str | None) -> Order | None:
        """Return the order that the caller has made under a key."""
        known = None if key is None else self._keys.get((session.user.name, account, key))
        return None if known is None else self._blotter.orders.get(known.order_id)

    def _undo(self, order: Order, keys: tuple[KeyRecord, ...], ticket: Order | None = None) -> None:
        """The intent could not be kept: there never was an order, and the key is free."""
        for key in keys:
            self._keys.pop((key.user, key.account, key.client_order_id), None)
        if self._blotter.orders.get(order.id) is not order:
            return  # a ticket that was rejected meanwhile: that is a fact, and will be kept
        self._blotter.remove(order)
        if ticket is not None:
            self._blotter.put(ticket)

    def forget(self, order: Order) -> None:
        """Forget the key of an order that the books have forgotten."""
        if order.user is not None and order.client_order_id is not None:
            self._keys.pop((order.user, order.account, order.client_order_id), None)

    def account_of(self, session: Session, named: str | None) -> str:
        """Choose the account of an order; a foreign one is as unknown as one that does not exist."""
        user = session.user
        if named is not None:
            if not user.sees(named) or (self._books.mode_of and named not in self._books.mode_of):
                raise NotFound("no such account", path="account")
            return named
        if session.account is not None:
            return session.account
        if self._default_account is not None and user.sees(self._default_account):
            return self._default_account
        mine = [account for account in self._books.mode_of if user.sees(account)]
        if len(mine) == 1:
            return mine[0]
        if not mine and not self._books.mode_of:
            raise NotReady("the accounts are not known yet")
        raise InvalidArgument("name the account", path="account", reason="account-required")

    def broker_of(self, account: str) -> BrokerLink:
        """Return the link that an account is at.  Raises NotReady while the accounts are not known."""
        mode = self._books.mode_of.get(account)
        if mode is not None:
            return self._links[mode]
        if len(self._links) == 1:
            link = next(iter(self._links.values()))
            link.check_up()
        raise NotReady("the accounts are not known yet")

    def _request(
        self, session: Session, terms: Mapping[str, Any], account: str, instrument: Instrument, link: BrokerLink
    ) -> OrderRequest:
        """Check the terms against instrument and broker."""
        for name in ("bracket", "parent"):
            if name in terms:
                raise InvalidArgument("not offered by this version", path=name, reason="unsupported")
        capabilities = link.adapter.capabilities
        kind: OrderType = terms["type"]
        tif: TimeInForce = terms.get("tif", TimeInForce.DAY)
        for name, value, offered in (
            ("type", kind.value, capabilities.order_types),
            ("tif", tif.value, capabilities.tifs),
            ("side", terms["side"].value, capabilities.sides),
        ):
            if value not in offered:
                raise InvalidArgument(f"{link.mode} has no {value}", path=name, reason="unsupported")
        for name, feature in (
            ("oco_group", "oco"),
            ("display_quantity", "iceberg"),
            ("what_if", "what_if"),
            ("extended_hours", "extended_hours"),
        ):
            if terms.get(name) and feature not in capabilities.features:
                raise InvalidArgument(f"{link.mode} has no {feature}", path=name, reason="unsupported")
        check_against(instrument, terms)
        named = terms.get("route") or session.route or self._default_route
        route, parameters = next(iter(named.items())) if named else (None, None)
        check_route(link.mode, capabilities.routes, route, parameters, instrument.exchange)
        return OrderRequest(
            instrument=instrument,
            account=account,
            route=route,
            route_params=parameters,
            **{name: value for name, value in terms.items() if name in REQUESTED},
        )

    def _new_order(self, session: Session, request: OrderRequest, link: BrokerLink) -> Order:
        """Make the record of a new order or ticket, with the ids it will be sent under."""
        now = self._now_ns()
        broker_order_id, clientid = (None, None) if request.stage else link.adapter.reserve()
        order_id = self._stream.journal.next_order_id()
        instrument = request.instrument
        return Order(
            id=order_id,
            order_ref=order_id,
            mode=link.mode,
            account=request.account,
            symbol=instrument.symbol,
            instrument=instrument,
            instrument_id=instrument.instrument_id,
            currency=instrument.currency,
            status=_S.STAGED if request.stage else _S.PENDING_NEW,
            order_class="ticket" if request.stage else "order",
            submit_time=now,
            update_time=now,
            user=session.user.name,
            broker_order_id=broker_order_id,
            clientid=clientid,
            **{name: getattr(request, name) for name in CARRIED},
            session=link.status.session,
        )

    # --- tickets --------------------------------------------------------------------------------------------------

    async def approve_ticket(self, session: Session, id: str) -> Any:
        """Send a staged ticket as an order, under the same id."""
        ticket = find_ticket(self._blotter, session, id)
        self._check_kept(ticket)
        link = link_of(self._links, ticket)
        link.check_up()
        broker_order_id, clientid = link.adapter.reserve()
        order = self._blotter.change(
            ticket,
            self._now_ns(),
            status=_S.PENDING_NEW,
            order_class="order",
            broker_order_id=broker_order_id,
            clientid=clientid,
            session=link.status.session,
        )
        return await self._send(link, order, (), ticket)

    def _check_kept(self, ticket: Order) -> None:
        """Raise InvalidArgument while an intent about a ticket is on its way to the disk: it may yet be refused."""
        if ticket.id in self._in_flight or ticket.id in self._changing:
            raise InvalidArgument("the ticket is being changed; ask again", path="id", reason="state")

    # --- change ---------------------------------------------------------------------------------------------------

    async def modify_order(self, session: Session, id: str, changes: Mapping[str, Any]) -> Any:
        """Ask for other terms of an open order; the new ones count when the broker confirms them."""
        order = find_order(self._blotter, session, id)
        if not order.is_open:
            raise InvalidArgument(f"the order is {order.status.value}", path="id", reason="state")
        if order.status in (_S.PENDING_NEW, _S.PENDING_CANCEL, _S.PENDING_REPLACE, _S.UNKNOWN):
            raise InvalidArgument(
                f"the order is {order.status.value}: what it is now must be known first", path="id", reason="state"
            )
        terms = {name: value for name, value in changes.items() if getattr(order, name) != value}
        merged = {name: terms.get(name, getattr(order, name)) for name in TERMS}
        check_terms({name: value for name, value in merged.items() if value is not None})
        if order.instrument is None or order.origin == "external":
            # A change sends the whole order again, and of a stranger's we know only what the broker shows of it.
            raise InvalidArgument("the gateway changes only what it has made", path="id", reason="unsupported")
        link = link_of(self._links, order)
        tif: TimeInForce = merged["tif"]
        if tif.value not in link.adapter.capabilities.tifs:
            raise InvalidArgument(f"{link.mode} has no {tif.value}", path="tif", reason="unsupported")
        check_against(order.instrument, merged)
        if merged["quantity"] < order.filled:
            raise InvalidArgument(f"{plain_text(order.filled)} are filled already", path="quantity")
        if not terms:
            return order_record(order)
        if order.status is _S.STAGED:
            self._check_kept(order)
            changed = self._blotter.change(order, self._now_ns(), **terms)
            self._changing.add(order.id)
            try:
                await link.journal_order(changed, is_intent=True)
            except TxTraderError:
                if self._blotter.orders.get(order.id) is changed:
                    self._blotter.put(order)
                raise
            finally:
                self._changing.discard(order.id)
            return order_record(self._blotter.orders[order.id])
        link.check_up()
        if "replace" not in link.adapter.capabilities.features:
            raise InvalidArgument(f"{link.mode} cannot change orders", path="id", reason="unsupported")
        pending = self._blotter.begin_replace(order, terms, self._now_ns())
        try:
            await link.journal_order(pending, is_intent=True)
        except TxTraderError:
            self._take_back(link, order, pending)
            raise
        current = self._blotter.orders[order.id]
        if current.status is not _S.PENDING_REPLACE:  # it ended, or is being cancelled, while the disk was busy
            return order_record(self._take_back(link, order, pending))
        try:
            link.check_up()
        except LinkError as error:  # the link went while the disk was busy: nothing left
            current = self._blotter.end_request(current, self._now_ns())
            link.publish(Change(orders=(current,)))
            error.order = order_record(current)
            raise
        waiting = link.answers.add(f"replace:{order.id}", self._timeout)
        link.replace(current, request_of(current))
        try:
            return order_record(await waiting)
        except OutcomeUnknown:
            link.reconciler.plan(link.options.unknown_quiet)
            return order_record(self._blotter.orders[order.id])

    def _take_back(self, link: BrokerLink, order: Order, pending: Order) -> Order:
        """Undo a change that never left, keeping what has happened to the order meanwhile."""
        current = self._blotter.orders[order.id]
        if current is pending:
            self._blotter.put(order)
            return order
        if current.status is _S.PENDING_REPLACE:
            current = self._blotter.end_request(current, self._now_ns())
        elif current.pending_changes:
            current = self._blotter.change(current, self._now_ns(), **old_terms(current))
        else:
            return current
        link.publish(Change(orders=(current,)))
        return current
