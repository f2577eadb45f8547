"""Quotes: two-sided interest of one owner, posted and replaced in one step, and asked before it trades if it wants.

A quote's sides are orders of its owner, with limits and an end.  With `last_look` an order that meets one becomes a
*request*: it waits, off the book, until the owner accepts or refuses or the time is over.  Refused, it goes on as if
this quote were not there.  Orders that must have their quantity at once, and the house's, pass such quotes over.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txtrader.errors import InvalidArgument, NotFound
from txtrader.exsim.amend import Amendments
from txtrader.exsim.desk import Desk
from txtrader.exsim.entry import check_terms, exact_ticks, to_lots
from txtrader.exsim.errors import AlreadyExists, WrongState
from txtrader.exsim.market import Market
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Changes, LookRequest, Reason, Refusal, Terms
from txtrader.model.order import OrderStatus, OrderType, Side, TimeInForce

__all__ = ["QUOTE_PROPERTIES", "Quote", "Quotes"]

QUOTE_PROPERTIES = ("bid_price", "bid_quantity", "offer_price", "offer_quantity", "expire_time", "last_look")

_SECOND = 1_000_000_000
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


class _Request:
    """One order that waits for the answer of a quote's owner."""

    def __init__(self, facts: LookRequest, taker: Order, resting: Order, lots: int) -> None:
        self.facts = facts
        self.taker = taker
        self.resting = resting
        self.lots = lots
        self.timer: IDelayedCall | None = None


class Quotes:
    """All quotes of a venue, by name, and the requests that wait for their owners.

    Raises errors of the house for what names nothing or comes at the wrong time; what the venue's rules refuse comes
    back as a `Refusal`.
    """

    def __init__(self, desk: Desk, amendments: Amendments, clock: IReactorTime) -> None:
        self._desk = desk
        self._amendments = amendments
        self._clock = clock
        self._quotes: dict[str, Quote] = {}
        self._requests: dict[int, _Request] = {}
        self._last_request = 0
        desk.on_taken_out = self._taken_out

    # -- quotes

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

    # -- last look

    def asked(self, taker: Order, resting: Order, price: int, lots: int) -> None:
        """Take in that an order has met a last-look quote: it waits, and the quote's owner is asked."""
        desk = self._desk
        market = desk.market_of(resting.listing.id)
        assert market is not None
        self._last_request += 1
        timeout = market.options.last_look_timeout
        facts = LookRequest(
            number=self._last_request,
            quote_order_id=resting.id,
            listing_id=resting.listing.id,
            side=taker.side,
            price=market.price(price),
            quantity=market.size(lots),
            expire_time=desk.now_ns() + int(timeout * _SECOND),
        )
        taker.held = "answer"
        resting.promised += lots
        request = self._requests[facts.number] = _Request(facts, taker, resting, lots)
        request.timer = self._clock.callLater(float(timeout), self._time_is_over, facts.number)
        desk.tape.write("look", facts.number, taker.id, resting.id, price, lots)
        desk.tell("look_requested", resting, facts)

    def requests(self) -> list[LookRequest]:
        """Return the requests that wait for an answer, oldest first."""
        return [request.facts for request in self._requests.values()]

    def answer(self, name: str, number: int, *, accept: bool, quantity: Decimal | None, price: Decimal | None) -> None:
        """Answer a request of a quote; accepted, it trades (all and at the quote's price by default)."""
        quote = self.get(name)
        request = self._requests.get(number)
        if request is None or request.resting not in quote.sides.values():
            raise NotFound(f"quote {name} has no request {number}", path="request")
        taker, listing = request.taker, request.resting.listing
        market = self._desk.market_of(listing.id)
        assert market is not None
        if accept and (refusal := self._desk.check_phase(market)) is not None:
            raise WrongState(refusal.text)
        if self._desk.turns.is_busy:
            raise WrongState("a message is being processed")
        lots, ticks = request.lots, request.resting.price
        if quantity is not None:
            if not quantity.is_finite() or quantity <= 0 or quantity % listing.step or quantity > lots * listing.step:
                raise InvalidArgument(f"{quantity} is not a part of {request.facts.quantity}", path="quantity")
            lots = to_lots(quantity, listing)
        if price is not None:
            if not price.is_finite() or price % listing.tick:
                raise InvalidArgument(f"{price} is not a multiple of {listing.tick}", path="price")
            ticks = exact_ticks(price, listing)
        assert ticks is not None
        if taker.price is not None and taker.sign * (ticks - taker.price) > 0:
            raise InvalidArgument(f"the taker's limit is {taker.limit_price}", path="price")
        self._desk.tape.write("look_answer", number, accept, lots, ticks)
        self._desk.turns.run(market, partial(self._answer, request, market, lots if accept else 0, ticks))

    def _time_is_over(self, number: int) -> None:
        request = self._requests[number]
        request.timer = None
        market = self._desk.market_of(request.resting.listing.id)
        assert market is not None
        self._desk.turns.run(market, partial(self._give_up, number, market))

    def _give_up(self, number: int, market: Market) -> None:
        request = self._requests.get(number)  # an answer may have come in the same moment
        if request is not None:
            self._desk.tape.write("look_timeout", number)
            self._answer(request, market, 0, 0)

    def _answer(self, request: _Request, market: Market, lots: int, ticks: int) -> None:
        """Let a request trade some lots, none if it is refused, and the taker's order go on with the rest."""
        if request.facts.number not in self._requests:
            return
        self._close(request)
        taker, resting = request.taker, request.resting
        lots = min(lots, resting.leaves) if resting.level is not None else 0  # somebody may have matched it by hand
        if lots:
            market.match(taker, resting, ticks, lots)
        if taker.is_open:
            if lots < request.lots:
                taker.refused_by = (*taker.refused_by, resting.number)
            taker.held = ""
            self._desk.work(market, taker)

    def _close(self, request: _Request) -> None:
        del self._requests[request.facts.number]
        request.resting.promised -= request.lots
        if request.timer is not None:
            request.timer.cancel()
            request.timer = None

    def _taken_out(self, order: Order) -> None:
        """Take in that a quote's side, or an order that waits for an answer, is taken out of the market."""
        for request in list(self._requests.values()):
            if request.taker is order:
                self._close(request)
                order.held = ""
                self._desk.tell("look_withdrawn", request.resting, request.facts)
            elif request.resting is order:
                market = self._desk.market_of(order.listing.id)
                assert market is not None
                self._desk.turns.then(market, partial(self._answer, request, market, 0, 0))

    def stop(self) -> None:
        """Leave no timer behind."""
        for request in self._requests.values():
            if request.timer is not None:
                request.timer.cancel()
                request.timer = None


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
