"""Last look: an order that meets such a quote is a request, off the book, until the quote's owner has answered.

Refused, or after a while without an answer, it goes on as if this quote were not there.  Orders that must have their
quantity at once, and the house's, pass such quotes over.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import partial

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txtrader.errors import InvalidArgument
from txtrader.exsim.desk import Desk
from txtrader.exsim.entry import exact_ticks, to_lots
from txtrader.exsim.errors import WrongState
from txtrader.exsim.market import Market
from txtrader.exsim.orders import Order
from txtrader.exsim.records import LookRequest

__all__ = ["LastLook"]

_SECOND = 1_000_000_000


class _Request:
    """One order that waits for the answer of a quote's owner."""

    def __init__(self, facts: LookRequest, taker: Order, resting: Order, lots: int) -> None:
        self.facts = facts
        self.taker = taker
        self.resting = resting
        self.lots = lots
        self.timer: IDelayedCall | None = None


class LastLook:
    """The requests of a venue that wait for an answer, by number."""

    def __init__(self, desk: Desk, clock: IReactorTime) -> None:
        self._desk = desk
        self._clock = clock
        self._requests: dict[int, _Request] = {}
        self._last_request = 0
        desk.on_taken_out = self._taken_out

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

    def asks(self, number: int, orders: Iterable[Order]) -> bool:
        """Tell whether a request waits for the word of one of these orders' owner."""
        request = self._requests.get(number)
        return request is not None and request.resting in orders

    def answer(self, number: int, *, accept: bool, quantity: Decimal | None, price: Decimal | None) -> None:
        """Answer a request that waits; accepted, it trades (all and at the quote's price by default)."""
        request = self._requests[number]
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
        if accept and taker.price is not None and taker.sign * (ticks - taker.price) > 0:
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
        # The quote may have been matched by hand meanwhile, and the taker reduced by its group.
        lots = min(lots, resting.leaves, taker.leaves) if resting.level is not None else 0
        if lots:
            market.match(taker, resting, ticks, lots)
        if taker.is_open:
            if lots < request.lots:
                taker.refused_by = (*taker.refused_by, resting.number)
            self._desk.start(taker)

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
