"""Quotes: two-sided interest of one owner, posted and replaced in one step.

A quote's sides are orders of its owner, with limits and an end.  With `last_look` its owner is asked before they trade:
see `last_look`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from txtrader.errors import InvalidArgument, NotFound
from txtrader.exsim.amend import Amendments
from txtrader.exsim.desk import Desk
from txtrader.exsim.entry import check_terms, to_lots
from txtrader.exsim.errors import AlreadyExists
from txtrader.exsim.last_look import LastLook
from txtrader.exsim.market import Market
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Changes, Reason, Refusal, Terms
from txtrader.model.order import OrderStatus, OrderType, Side, TimeInForce

__all__ = ["QUOTE_PROPERTIES", "Quote", "Quotes"]

QUOTE_PROPERTIES = ("bid_price", "bid_quantity", "offer_price", "offer_quantity", "expire_time", "last_look")

_WITHDRAWN = Refusal(Reason.USER, "the quote was withdrawn")
_CROSSED = Refusal(Reason.PRICE, "the quote's bid is not below its offer")
_EMPTY = Refusal(Reason.QUANTITY, "the quote has neither a bid nor an offer")


class Quote:
    """One owner's quote: what is set, which counts from the next submit on, and the orders that are its live sides."""

    def __init__(self, name: str, owner: str, account: str, listing_id: int) -> None:
        self.name = name
        self.owner = owner
        self.account = account
        self.listing_id = listing_id
        self.bid_price: Decimal | None = None
        self.bid_quantity: Decimal | None = None
        self.offer_price: Decimal | None = None
        self.offer_quantity: Decimal | None = None
        self.expire_time: int | None = None
        self.last_look = False
        self.sides: dict[Side, Order] = {}

    @property
    def bid(self) -> Order | None:
        """The order that is the bid, while it is live."""
        return self._live(Side.BUY)

    @property
    def offer(self) -> Order | None:
        """The order that is the offer, while it is live."""
        return self._live(Side.SELL)

    def _live(self, side: Side) -> Order | None:
        order = self.sides.get(side)
        return order if order is not None and order.is_open else None

    def wanted(self, side: Side) -> tuple[Decimal, Decimal] | None:
        """Return price and quantity that a side is to have; None: none."""
        if side is Side.BUY:
            price, quantity = self.bid_price, self.bid_quantity
        else:
            price, quantity = self.offer_price, self.offer_quantity
        return (price, quantity) if price is not None and quantity else None


class Quotes:
    """All quotes of a venue, by name.

    Raises errors of the house for what names nothing or comes at the wrong time; what the venue's rules refuse comes
    back as a `Refusal`.
    """

    def __init__(self, desk: Desk, amendments: Amendments, last_look: LastLook) -> None:
        self._desk = desk
        self._amendments = amendments
        self._last_look = last_look
        self._quotes: dict[str, Quote] = {}

    def create(self, name: str, owner: str, account: str, listing_id: int, properties: Mapping[str, Any]) -> Quote:
        """Make a draft; a quote of that name there is AlreadyExists."""
        if name in self._quotes:
            raise AlreadyExists(f"there is a quote {name}", path="name")
        if self._desk.market_of(listing_id) is None:
            raise NotFound(f"there is no instrument {listing_id}", path="listing_id")
        if account not in self._desk.accounts:
            raise NotFound(f"there is no account {account}", path="account")
        quote = Quote(name, owner, account, listing_id)
        for key, value in properties.items():
            _check_property(key, value)
            setattr(quote, key, value)
        self._quotes[name] = quote
        return quote

    def get(self, name: str) -> Quote:
        """Return a quote by name, or raise NotFound."""
        quote = self._quotes.get(name)
        if quote is None:
            raise NotFound(f"there is no quote {name}", path="name")
        return quote

    def all(self) -> list[Quote]:
        """Return all quotes, oldest first."""
        return list(self._quotes.values())

    def set(self, name: str, key: str, value: Any) -> tuple[Any, Any]:
        """Set a property of a quote, which counts from the next submit on; return the old and the new value."""
        quote = self.get(name)
        _check_property(key, value)
        old = getattr(quote, key)
        setattr(quote, key, value)
        return old, value

    def submit(self, name: str) -> Refusal | None:
        """Post a quote, or bring the live one to what is set, in one step; refused, it stands as it was.

        A side whose price and open quantity did not change keeps its place.
        """
        quote = self.get(name)
        answer: list[Refusal] = []
        market = self._desk.market_of(quote.listing_id)
        assert market is not None

        def process() -> None:
            refusal = self._submit(quote, market)
            if refusal is not None:
                answer.append(refusal)
                self._desk.tape.write("quote_rejected", name, str(refusal.reason))

        self._desk.tape.write("quote", name, quote.wanted(Side.BUY), quote.wanted(Side.SELL))
        self._desk.turns.run(market, process)
        return answer[0] if answer else None

    def withdraw(self, name: str) -> None:
        """Take the live sides of a quote away; one that has none is no error."""
        quote = self.get(name)
        self._desk.tape.write("quote_withdrawn", name)
        self._desk.turns.run(self._desk.market_of(quote.listing_id), partial(self._end, quote, (Side.BUY, Side.SELL)))

    def delete(self, name: str) -> None:
        """Withdraw a quote and forget it."""
        self.withdraw(name)
        del self._quotes[name]

    def answer(self, name: str, number: int, *, accept: bool, quantity: Decimal | None, price: Decimal | None) -> None:
        """Answer a request that a last-look quote has; see `LastLook.answer`."""
        if not self._last_look.asks(number, self.get(name).sides.values()):
            raise NotFound(f"quote {name} has no request {number}", path="request")
        self._last_look.answer(number, accept=accept, quantity=quantity, price=price)

    def _submit(self, quote: Quote, market: Market) -> Refusal | None:
        terms = {side: self._terms(quote, side) for side in (Side.BUY, Side.SELL)}
        refusal = self._check(quote, market, terms)
        if refusal is not None:
            return refusal
        changed = [side for side in terms if not self._is_same(quote, side, terms[side])]
        fresh = [side for side in changed if not self._is_replaced(quote, side, terms[side])]
        self._end(quote, fresh)
        desk = self._desk
        for side in changed:
            if side not in fresh:
                desk.take_out(quote.sides[side])
        for side in changed:
            wanted = terms[side]
            if wanted is None:
                continue
            if side in fresh:
                quote.sides[side] = desk.enter_now(quote.owner, wanted, (quote.account,))
            else:
                order = quote.sides[side]
                total = order.filled + wanted.quantity
                refusal = self._amendments.replace_now(order, Changes(quantity=total, limit_price=wanted.limit_price))
                if refusal is not None:  # what the first side traded has changed what the second may do
                    desk.end(order, OrderStatus.CANCELED, refusal)
        return None

    def _terms(self, quote: Quote, side: Side) -> Terms | None:
        wanted = quote.wanted(side)
        if wanted is None:
            return None
        return Terms(
            listing_id=quote.listing_id,
            account=quote.account,
            side=side,
            quantity=wanted[1],
            type=OrderType.LIMIT,
            limit_price=wanted[0],
            tif=TimeInForce.GTC if quote.expire_time is None else TimeInForce.GTD,
            expire_time=quote.expire_time,
            client_order_id=f"{quote.name}.{'bid' if side is Side.BUY else 'offer'}",
            last_look=quote.last_look,
        )

    def _check(self, quote: Quote, market: Market, terms: dict[Side, Terms | None]) -> Refusal | None:
        """Check both sides before anything is touched."""
        desk = self._desk
        bid, offer = terms[Side.BUY], terms[Side.SELL]
        if bid is None and offer is None:
            return _EMPTY
        if bid is not None and offer is not None:
            assert bid.limit_price is not None and offer.limit_price is not None
            if bid.limit_price >= offer.limit_price:
                return _CROSSED
        for side, wanted in terms.items():
            if wanted is None:
                continue
            refusal = check_terms(wanted, market.listing, desk.now_ns()) or desk.check_phase(market)
            if refusal is not None:
                return refusal
            order = quote.bid if side is Side.BUY else quote.offer
            more = to_lots(wanted.quantity, market.listing) - (order.leaves if order is not None else 0)
            if more > 0:
                refusal = desk.accounts[quote.account].check_margin(market.listing, more, side.sign)
                if refusal is not None:
                    return refusal
        return None

    @staticmethod
    def _is_same(quote: Quote, side: Side, wanted: Terms | None) -> bool:
        order = quote.bid if side is Side.BUY else quote.offer
        if order is None or wanted is None:
            return order is None and wanted is None
        return (
            order.limit_price == wanted.limit_price
            and order.remaining == wanted.quantity
            and order.terms.expire_time == wanted.expire_time
            and order.terms.last_look is wanted.last_look
        )

    @staticmethod
    def _is_replaced(quote: Quote, side: Side, wanted: Terms | None) -> bool:
        """Tell whether a side that changes is the same order afterwards."""
        order = quote.bid if side is Side.BUY else quote.offer
        return (
            order is not None
            and wanted is not None
            and order.terms.expire_time == wanted.expire_time
            and order.terms.last_look is wanted.last_look
        )

    def _end(self, quote: Quote, sides: tuple[Side, ...] | list[Side]) -> None:
        for side in sides:
            order = quote.sides.pop(side, None)
            if order is not None and order.is_open:
                self._desk.take_out(order)
                self._desk.end(order, OrderStatus.CANCELED, _WITHDRAWN)


def _check_property(key: str, value: Any) -> None:
    if key not in QUOTE_PROPERTIES:
        raise InvalidArgument(f"there is no property {key}; there are {', '.join(QUOTE_PROPERTIES)}", path=key)
    if key == "last_look":
        is_right = isinstance(value, bool)
    elif key == "expire_time":
        is_right = value is None or (isinstance(value, int) and not isinstance(value, bool))
    else:
        is_right = value is None or isinstance(value, Decimal)
    if not is_right:
        raise InvalidArgument(f"{key} cannot be {value!r}", path=key)
