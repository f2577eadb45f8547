"""Order entry over FIX: D, F, G, H, q and AF go to the venue, and its facts come back as reports.

Orders belong to an identity and outlive its connections: what happens while it is away waits in its store, and comes
with the resend that it asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec

from txtrader.dialects import fix as dialect
from txtrader.dialects.fix_terms import OrderTerms, terms_of
from txtrader.exsim.endpoints.fix.data import Data
from txtrader.exsim.endpoints.fix.endpoint import FixConnection, FixEndpoint
from txtrader.exsim.endpoints.fix.owners import identity_of, owner_of
from txtrader.exsim.endpoints.fix.policy_face import FixFace
from txtrader.exsim.endpoints.fix.positions import Positions
from txtrader.exsim.endpoints.fix.reports import (
    INSTRUMENT_TAGS,
    REPRICED,
    Chain,
    Event,
    cancel_reject,
    execution_report,
    instrument_of,
    order_reject,
)
from txtrader.exsim.listeners import OrderListener
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Changes, Commission, ExecKind, Fill, Listing, Reason, Refusal, Terms
from txtrader.exsim.venue import Venue
from txtrader.model.instrument import SecType
from txtrader.model.order import OrderType
from txtrader.wire.fix.dictionary import dictionary
from txtrader.wire.fix.message import Message
from txtrader.wire.fix.session import Identity

__all__ = ["Trading", "TradingOptions", "identity_of", "owner_of"]

_UNKNOWN, _TOO_LATE, _PENDING, _DUPLICATE, _OTHER = "1", "0", "3", "6", "99"
_CODES = {Reason.TOO_LATE: _TOO_LATE, Reason.UNKNOWN_ORDER: _UNKNOWN, Reason.PENDING: _PENDING}
_PENDING_KINDS = {"new": "A", "cancel": "6", "replace": "E"}


class TradingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`accounts` are those of each CompID (all of the venue by default), the first one where an order names none.

    `cancel_on_disconnect`: a client that goes takes its orders along, `cancel_grace` seconds later unless it is back
    by then; GTC orders stay where it `spares_gtc`, all where it `spares_logouts` and the client logged out in order.
    `role` is what clients may do: `all`, `orders`, `data`.  `shares_accounts`: a client is told of all orders in its
    accounts, whoever entered them, under a ClOrdID of the venue's making, and may cancel them.
    """

    accounts: dict[str, tuple[str, ...]] = {}
    cancel_on_disconnect: bool = False
    role: str = "all"
    cancel_grace: float = 0.0
    spares_gtc: bool = False
    spares_logouts: bool = False
    shares_accounts: bool = False


class Trading(OrderListener):
    """The application of a venue's FIX endpoint, and the venue's observer for it."""

    def __init__(self, venue: Venue, options: TradingOptions | None = None) -> None:
        self.venue = venue
        self.options = options or TradingOptions()
        self._endpoint: FixEndpoint | None = None
        self._chains: dict[int, Chain] = {}
        self._by_id: dict[tuple[str, str], int] = {}  # (owner, client order id) -> venue order id
        self._foreign: dict[tuple[str, int], Chain] = {}  # (who is told of it, venue order id)
        self._uncharged: Fill | None = None
        self._reports = 0
        self._entering: Message | None = None
        self.data = Data(venue, self.listings)
        self.positions = Positions(venue, self._accounts)
        orders: dict[str, Callable[[FixConnection, Message], None]] = {
            "D": self._new,
            "F": self._cancel,
            "G": self._replace,
            "H": self._status,
            "q": self._mass_cancel,
            "AF": self._mass_status,
            "AN": self.positions.answer,
        }
        role = self.options.role
        self._answers = {**({} if role == "orders" else self.data.answers), **({} if role == "data" else orders)}

    def attach(self, endpoint: FixEndpoint) -> None:
        """Take the endpoint that carries what is told; once, before it starts."""
        self._endpoint = endpoint
        self.venue.add_observer(self)
        for order in self.venue.live_orders():  # those that the venue remembers from before it was restarted
            if identity_of(order.owner) is not None:
                self._chain(order)
        endpoint.under_policies_of(self.venue.policies, FixFace(endpoint, self.venue))

    # -- clients

    def logged_on(self, connection: FixConnection) -> None:
        """Nothing is sent unasked; orders that were to go with the last connection stay."""
        self.venue.departures.came(self._owner(connection))

    def lost(self, connection: FixConnection) -> None:
        self.data.lost(connection)
        if connection.identity is None:
            return
        options, owner = self.options, owner_of(connection.identity)
        is_spared = options.spares_logouts and connection.has_logged_out
        if options.cancel_on_disconnect and not is_spared:
            self.venue.departures.left(owner, grace=options.cancel_grace, spares_gtc=options.spares_gtc)
        for order in self.venue.live_orders(owner=owner):
            if self._chain(order).ends_with_link:
                self.venue.cancel(owner, order.id)

    def received(self, connection: FixConnection, message: Message) -> None:
        if message.type in ("3", "j"):
            return
        answer = self._answers.get(message.type)
        if answer is None:
            connection.refuse_type(message)
        else:
            answer(connection, message)

    def _owner(self, connection: FixConnection) -> str:
        assert connection.identity is not None
        return owner_of(connection.identity)

    def _accounts(self, connection: FixConnection) -> tuple[str, ...]:
        assert connection.identity is not None
        return self.options.accounts.get(connection.identity.target) or self.venue.accounts()

    def _may_open(self, connection: FixConnection) -> bool:
        """Tell whether this client's orders may open accounts."""
        assert connection.identity is not None
        return self.venue.opens_accounts and connection.identity.target not in self.options.accounts

    def _version(self, identity: Identity) -> str:
        return dictionary(identity.begin_string).version

    # -- requests

    def _new(self, connection: FixConnection, message: Message) -> None:
        owner, identity = self._owner(connection), message[11]
        if (owner, identity) in self._by_id:
            if not message.is_set(97):
                self._refuse(connection, message, Refusal(Reason.DUPLICATE, f"ClOrdID {identity} was used before"))
            return
        try:
            terms = terms_of(message)
            if terms.to_limit and terms.limit_price is not None:
                raise dialect.Unsupported(44, "a market-to-limit order finds its limit by itself")
        except dialect.Unsupported as error:
            self._refuse(connection, message, Refusal(Reason.UNSUPPORTED, f"{error.text} (tag {error.tag})"))
            return
        accounts = self._accounts(connection)
        account = message.get(1) or accounts[0]
        if account not in accounts and not self._may_open(connection):
            self._refuse(connection, message, Refusal(Reason.UNKNOWN_ACCOUNT, f"account {account} is not yours"))
            return
        found = self.listings(message)
        if len(found) != 1:
            text = f"no instrument {message.get(55)}" if not found else f"{message.get(55)} is ambiguous"
            self._refuse(connection, message, Refusal(Reason.UNKNOWN_INSTRUMENT, text))
            return
        self._entering = message
        order = self.venue.submit(
            owner,
            Terms(
                listing_id=found[0].id,
                account=account,
                side=terms.side,
                quantity=terms.quantity,
                type=terms.type,
                limit_price=terms.limit_price,
                stop_price=terms.stop_price,
                trail_amount=terms.trail_amount,
                tif=terms.tif,
                expire_time=terms.good_till,
                auction=terms.auction,
                display_quantity=terms.display_quantity,
                display_low=terms.display_low,
                display_high=terms.display_high,
                hidden=terms.hidden,
                min_quantity=terms.min_quantity,
                all_or_none=terms.all_or_none,
                reduce_only=terms.reduce_only,
                to_limit=terms.to_limit,
                peg=terms.peg,
                peg_offset=terms.peg_offset,
                client_order_id=identity,
                self_trade_id=message.get(2362, "") or "",
                post_only=terms.post_only,
            ),
        )
        self._chain(order)  # known from now on, even where nothing was said of it yet
        self._entering = None
        self._chain(order).ends_with_link = terms.ends_with_link

    def _refuse(self, connection: FixConnection, message: Message, refusal: Refusal) -> None:
        assert connection.identity is not None
        version = self._version(connection.identity)
        connection.send(order_reject(message, refusal, self._exec_id(), version, self.venue.now_ns()))

    def listings(self, message: Message) -> list[Listing]:
        """Return the listings that a message's instrument fields mean; a plain symbol prefers the dollar stock."""
        given: dict[str, Any] = {"symbol": message.get(55, "")}
        if message.get(48) is not None and message.get(22) == "8":
            given = {"local_symbol": message[48]}
        if (word := message.get(167)) is not None and (sectype := dialect.sectype_of(word)) is not None:
            given["sectype"] = sectype
        if (currency := message.get(15)) is not None:
            given["currency"] = currency
        if (month := message.get(200)) is not None:
            day = message.get(205)
            given["expiry"] = month if day is None else f"{month[:6]}{int(day):02d}"
        if (maturity := message.get(541)) is not None:
            given["expiry"] = maturity
        if (exchange := message.get(207)) is not None:
            given["exchange"] = exchange
        if (strike := message.decimal(202)) is not None:
            given["strike"] = strike
        if (right := message.get(201)) is not None:
            given["right"] = "P" if right == "0" else "C"
        found = [listing for listing in self.venue.instruments.find(**given) if listing.is_tradeable]
        if len(found) > 1:
            stocks = [one for one in found if one.sectype is SecType.STOCK and one.currency == "USD"]
            found = stocks or found
        return found

    def _order_of(self, connection: FixConnection, identity: str | None) -> Order | None:
        number = self._by_id.get((self._owner(connection), identity or ""))
        return None if number is None else self.venue.order(number)

    def _requested(self, connection: FixConnection, message: Message, answers: str) -> Order | None:
        """Return the order that a cancel or replace means, its chain noting the request; None where it was refused."""
        original, identity = message.get(41) or "", message[11]
        assert connection.identity is not None
        order = self._order_of(connection, original)
        chain = None if order is None else self._chain_for(connection.identity, order)
        code, text = "", ""
        if order is None or chain is None:
            code, text = _UNKNOWN, f"there is no order {original}"
        elif (self._owner(connection), identity) in self._by_id:
            code, text = _DUPLICATE, f"ClOrdID {identity} was used before"
        elif chain.asked is not None:
            code, text = _PENDING, "another request is under way"
        elif chain.cl_ord_id != original:
            code, text = _UNKNOWN, f"the order is called {chain.cl_ord_id} now"
        if code or order is None or chain is None:
            self._reject(connection, message, answers, order, code, text)
            return None
        chain.asked = identity
        return order

    def _reject(
        self, connection: FixConnection, message: Message, answers: str, order: Order | None, code: str, text: str
    ) -> None:
        assert connection.identity is not None
        if self._version(connection.identity) == "4.2" and int(code) > int(_PENDING):
            code = "2"  # broker option: the word for all the rest
        original = message.get(41) or "NONE"
        connection.send(cancel_reject(message[11], original, answers, order, code, text, self.venue.now_ns()))

    def _cancel(self, connection: FixConnection, message: Message) -> None:
        order = self._requested(connection, message, "1")
        if order is not None:
            self.venue.cancel(order.owner, order.id)

    def _replace(self, connection: FixConnection, message: Message) -> None:
        order = self._requested(connection, message, "2")
        if order is None:
            return
        assert connection.identity is not None
        chain = self._chain_for(connection.identity, order)
        try:
            terms = terms_of(message)
            self._check_same(order, terms, message)
        except dialect.Unsupported as error:
            chain.asked = None
            self._reject(connection, message, "2", order, _OTHER, f"{error.text} (tag {error.tag})")
            return
        self.venue.replace(order.owner, order.id, _changes(terms, message))

    def _check_same(self, order: Order, terms: OrderTerms, message: Message) -> None:
        """Check that a replace says again what cannot be changed.  Raises Unsupported, naming what it would change."""
        found, account = self.listings(message), message.get(1)
        has_rested_as_limit = order.terms.to_limit and order.price is not None and terms.type is OrderType.LIMIT
        for tag, is_same, what in (
            (54, terms.side.sign == order.side.sign, "the side"),
            (40, terms.type is order.type or has_rested_as_limit, "the order type"),
            (40, not terms.to_limit or order.terms.to_limit, "the order type"),
            (55, any(listing.id == order.listing.id for listing in found), "the instrument"),
            (1, account is None or account == order.account, "the account"),
            (59, terms.auction == order.terms.auction, "the part that it takes in auctions"),
            (18, message.get(18) is None or terms.post_only == order.terms.post_only, "whether it is post-only"),
            (18, message.get(18) is None or terms.reduce_only == order.terms.reduce_only, "whether it only reduces"),
        ):
            if not is_same:
                raise dialect.Unsupported(tag, f"{what} cannot be changed")

    def _status(self, connection: FixConnection, message: Message) -> None:
        self._asked(connection)
        order = self._order_of(connection, message.get(11))
        if order is None:
            refusal = Refusal(Reason.UNKNOWN_ORDER, f"there is no order {message.get(11)}")
            assert connection.identity is not None
            version = self._version(connection.identity)
            report = order_reject(message, refusal, self._exec_id(), version, self.venue.now_ns())
            kinds = {150: "8" if version == "4.2" else "I", 20: "3", 103: "5"}
            report.fields = [(tag, kinds.get(tag, value)) for tag, value in report.fields]
            connection.send(report.add(790, message.get(790)))
            return
        assert connection.identity is not None
        connection.send(self._report(connection.identity, order, Event(kind="I")).add(790, message.get(790)))

    def _mass_cancel(self, connection: FixConnection, message: Message) -> None:
        kind = message[530]
        fits: Callable[[Order], bool]
        if kind == "7":
            fits = lambda order: True  # noqa: E731  the three ways stand side by side
        elif kind == "1":
            ids = {listing.id for listing in self.listings(message)}
            fits = lambda order: order.listing.id in ids  # noqa: E731
        else:
            answer = Message("r").add(11, message[11]).add(37, self._exec_id()).add(530, kind).add(531, "0")
            connection.send(self._mass_report(answer.add(532, "0"), message))
            return
        sign = {"1": 1, "2": -1}.get(message.get(54) or "", 0)
        chosen = [order for order in self._live(connection) if fits(order) and sign in (0, order.side.sign)]
        answer = Message("r").add(11, message[11]).add(37, self._exec_id()).add(530, kind).add(531, kind)
        connection.send(self._mass_report(answer.add(533, str(len(chosen))), message))
        for order in chosen:
            self.venue.cancel(order.owner, order.id)

    def _mass_report(self, answer: Message, message: Message) -> Message:
        answer.add(1369, self._exec_id() if message[8] == "FIXT.1.1" else None)
        return answer.add(60, dialect.instant_to_wire(self.venue.now_ns()))

    def _asked(self, connection: FixConnection) -> None:
        policies = connection.endpoint.policies
        if policies is not None:
            policies.asked(connection)

    def _mass_status(self, connection: FixConnection, message: Message) -> None:
        self._asked(connection)
        kind = message[585]
        orders: Iterable[Order] = self._live(connection)
        if kind == "1":
            ids = {listing.id for listing in self.listings(message)}
            orders = [order for order in orders if order.listing.id in ids]
        elif kind != "7":
            connection.refuse_type(message)
            return
        orders = list(orders)
        assert connection.identity is not None
        for place, order in enumerate(orders, 1):
            report = (
                self._report(connection.identity, order, Event(kind="I"))
                .add(584, message[584])
                .add(911, str(len(orders)))
            )
            connection.send(report.add(912, "Y" if place == len(orders) else None))
        if not orders:
            refusal = Refusal(Reason.UNKNOWN_ORDER, "there are no open orders")
            assert connection.identity is not None
            version = self._version(connection.identity)
            empty = order_reject(message, refusal, self._exec_id(), version, self.venue.now_ns())
            kinds = {150: "I", 103: "5"}
            empty.fields = [(tag, kinds.get(tag, value)) for tag, value in empty.fields]
            empty.add(11, None).add(54, None if message.get(54) else "1")
            connection.send(empty.add(584, message[584]).add(911, "0").add(912, "Y"))

    def _live(self, connection: FixConnection) -> list[Order]:
        owner = self._owner(connection)
        if not self.options.shares_accounts:
            return self.venue.live_orders(owner=owner)
        assert connection.identity is not None
        found = [order for order in self.venue.live_orders() if self._is_told(connection.identity, order)]
        for order in found:
            self._chain_for(connection.identity, order)
        return found

    def _is_told(self, reader: Identity, order: Order) -> bool:
        """Tell whether a client is told of an order: its own, or one in its accounts where those are shared."""
        if order.owner == owner_of(reader):
            return True
        accounts = self.options.accounts.get(reader.target) or self.venue.accounts()
        return self.options.shares_accounts and order.account in accounts

    # -- the venue's facts

    def _exec_id(self) -> str:
        self._reports += 1
        return f"R{self._reports}"

    def _report(self, reader: Identity, order: Order, event: Event) -> Message:
        chain = self._chain_for(reader, order)
        exec_id = event.fill.exec_id if event.fill is not None else self._exec_id()
        return execution_report(order, chain, event, exec_id, self._version(reader), self.venue.now_ns())

    def _chain_for(self, reader: Identity, order: Order) -> Chain:
        """Return an order's chain as one client knows it: of a foreign order the name is the venue's."""
        owner = owner_of(reader)
        if order.owner == owner:
            return self._chain(order)
        chain = self._foreign.get((owner, order.id))
        if chain is None:
            name = f"VENUE-{order.id}"
            chain = self._foreign[owner, order.id] = Chain(name, instrument_of(order, self._version(reader)))
            self._by_id[owner, name] = order.id
        return chain

    def _chain(self, order: Order) -> Chain:
        chain = self._chains.get(order.id)
        if chain is None:
            asked = self._entering
            identity = identity_of(order.owner)
            assert identity is not None
            fields = (
                instrument_of(order, self._version(identity))
                if asked is None
                else [(tag, value) for tag in INSTRUMENT_TAGS if (value := asked.get(tag)) is not None]
            )
            chain = self._chains[order.id] = Chain(order.client_order_id, fields)
            self._by_id[order.owner, order.client_order_id] = order.id
        return chain

    def _readers(self, order: Order) -> list[Identity]:
        """Return who is told of an order, its owner first."""
        if self._endpoint is None:
            return []
        owner = identity_of(order.owner)
        found = [] if owner is None else [owner]
        if self.options.shares_accounts:
            found += [one for one in self._endpoint.identities() if one != owner and self._is_told(one, order)]
        return found

    def _tell(self, order: Order, event: Event) -> None:
        assert self._endpoint is not None
        for reader in self._readers(order):
            self._endpoint.send(reader, self._report(reader, order, event))

    def _asking(self, order: Order) -> list[tuple[Identity, Chain]]:
        """Return who has a request about an order under way."""
        chains = [(reader, self._chain_for(reader, order)) for reader in self._readers(order)]
        return [(reader, chain) for reader, chain in chains if chain.asked is not None]

    def _answered(self, order: Order) -> None:
        """The request under way was accepted: its id is the order's name now."""
        for reader, chain in self._asking(order):
            assert chain.asked is not None
            chain.was, chain.cl_ord_id, chain.asked = chain.cl_ord_id, chain.asked, None
            self._by_id[owner_of(reader), chain.cl_ord_id] = order.id

    def order_accepted(self, order: Order) -> None:
        self._tell(order, Event(kind="0"))

    def request_pending(self, order: Order, request: str) -> None:
        identity = identity_of(order.owner)
        if identity is None or self._endpoint is None:
            return
        chain = self._chain(order)
        if chain.asked is not None:
            chain = Chain(chain.asked, chain.instrument, was=chain.cl_ord_id)
        event = Event(kind=_PENDING_KINDS[request])
        version, now = self._version(identity), self.venue.now_ns()
        self._endpoint.send(identity, execution_report(order, chain, event, self._exec_id(), version, now))

    def order_rejected(self, order: Order, refusal: Refusal) -> None:
        self._tell(order, Event(kind="8", refusal=refusal))

    def order_activated(self, order: Order) -> None:
        self._tell(order, Event(kind="L", text="triggered"))

    def order_parked(self, order: Order) -> None:
        self._tell(order, Event(kind="9"))

    def order_filled(self, order: Order, fill: Fill) -> None:
        self._uncharged = fill  # what it cost comes next, and is told with it

    def commission_charged(self, order: Order, commission: Commission) -> None:
        fill, self._uncharged = self._uncharged, None
        if fill is not None:
            kind = "G" if fill.kind is ExecKind.CORRECT else "F"
            self._tell(order, Event(kind=kind, fill=fill, commission=commission))

    def order_replaced(self, order: Order) -> None:
        self._answered(order)
        self._tell(order, Event(kind="5"))

    def order_restated(self, order: Order, reason: Refusal) -> None:
        self._tell(order, Event(kind="D", text=reason.text, restated="5"))

    def order_repriced(self, order: Order) -> None:
        self._tell(order, REPRICED)

    def order_canceled(self, order: Order, reason: Refusal) -> None:
        self._answered(order)
        self._tell(order, Event(kind="4", text=reason.text))

    def order_expired(self, order: Order) -> None:
        self._tell(order, Event(kind="C"))

    def cancel_rejected(self, order: Order, refusal: Refusal) -> None:
        self._request_refused(order, refusal, "1")

    def replace_rejected(self, order: Order, refusal: Refusal) -> None:
        self._request_refused(order, refusal, "2")

    def _request_refused(self, order: Order, refusal: Refusal, answers: str) -> None:
        assert self._endpoint is not None
        for reader, chain in self._asking(order):
            assert chain.asked is not None
            asked, chain.asked = chain.asked, None
            code = _CODES.get(refusal.reason, _OTHER)
            if self._version(reader) == "4.2" and code == _OTHER:
                code = "2"
            now = self.venue.now_ns()
            self._endpoint.send(reader, cancel_reject(asked, chain.cl_ord_id, answers, order, code, refusal.text, now))

    def fill_corrected(self, order: Order, fill: Fill) -> None:
        if fill.kind is ExecKind.BUST:
            self._tell(order, Event(kind="H", fill=fill))
        else:
            self._uncharged = fill


def _changes(terms: OrderTerms, message: Message) -> Changes:
    """Return what a replace asks for: prices, quantity and time as it says, of the rest what it names."""
    names_display = any(message.get(tag) is not None for tag in (111, 1138, 1084))
    return Changes(
        quantity=terms.quantity,
        limit_price=terms.limit_price,
        stop_price=terms.stop_price,
        trail_amount=terms.trail_amount,
        tif=terms.tif,
        expire_time=terms.good_till,
        client_order_id=message[11],
        hidden=terms.hidden if names_display else None,
        display_quantity=terms.display_quantity or Decimal(0) if names_display else None,
        display_low=terms.display_low or Decimal(0) if names_display else None,
        display_high=terms.display_high or Decimal(0) if names_display else None,
        min_quantity=message.decimal(110),
        all_or_none=None if message.get(18) is None else terms.all_or_none,
        peg=terms.peg,
        peg_offset=terms.peg_offset,
    )
