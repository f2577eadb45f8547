"""What may be asked of the venue about a book's matching: its options, matching by hand, and quotes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from txtrader.exsim.last_look import LastLook
from txtrader.exsim.matchmaking import Matchmaking
from txtrader.exsim.options import BookOptions, changed
from txtrader.exsim.public import PublicData
from txtrader.exsim.quotes import Quote, Quotes
from txtrader.exsim.records import LookRequest, Refusal

__all__ = ["BookControls"]


class BookControls(PublicData):
    """The part of the venue that decides how its books match.  An unknown listing is a KeyError everywhere."""

    _matchmaking: Matchmaking
    _quotes: Quotes
    _last_look: LastLook

    # -- matching

    def book_options(self, listing_id: int) -> BookOptions:
        """Return the options of a book."""
        return self._market(listing_id).options

    def set_book_option(self, listing_id: int, name: str, value: Any) -> tuple[Any, Any]:
        """Change one option of a book (`options.BOOK_OPTIONS`); return the old and the new value.

        Raises InvalidArgument.  Where `auto_match` is switched on again, what crosses meanwhile trades; in a book that
        does not trade now that is WrongState.
        """
        market = self._market(listing_id)
        old = market.options
        new = changed(old, {name: value})
        if new != old:
            self._matchmaking.set_options(market, new)
        return getattr(old, name), getattr(new, name)

    def match_orders(
        self,
        order_a: int,
        order_b: int,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        *,
        force: bool = False,
    ) -> tuple[str, str]:
        """Execute two live orders of opposite sides against each other; return the execution ids of a and b.

        Their places in the queue do not matter.  By default the smaller open quantity trades, at the price of the
        order that was in the book first.  A limit is never violated, and a book that does not trade left alone, unless
        `force`.  Raises NotFound, InvalidArgument, and WrongState for orders that are done, wait, are of one side or
        of two books.
        """
        return self._matchmaking.match(order_a, order_b, quantity, price, force=force)

    # -- quotes

    def create_quote(self, name: str, owner: str, listing_id: int, account: str, **properties: Any) -> Quote:
        """Make a quote, a draft until it is submitted; `properties` are `quotes.QUOTE_PROPERTIES`."""
        return self._quotes.create(name, owner, account, listing_id, properties)

    def quote(self, name: str) -> Quote:
        """Return a quote; NotFound if there is none of that name."""
        return self._quotes.get(name)

    def quotes(self) -> list[Quote]:
        """List all quotes, oldest first."""
        return self._quotes.all()

    def set_quote_property(self, name: str, key: str, value: Any) -> tuple[Any, Any]:
        """Set what counts from the next submit on; return the old and the new value."""
        return self._quotes.set(name, key, value)

    def submit_quote(self, name: str) -> Refusal | None:
        """Post a quote, or replace the live one in one step; `Quote.bid` and `offer` are then the orders."""
        return self._quotes.submit(name)

    def withdraw_quote(self, name: str) -> None:
        """Take a quote's orders away; it can be submitted again."""
        self._quotes.withdraw(name)

    def delete_quote(self, name: str) -> None:
        """Withdraw a quote and forget its name."""
        self._quotes.delete(name)

    def quote_requests(self) -> list[LookRequest]:
        """List the orders that wait for the owner of a last-look quote."""
        return self._last_look.requests()

    def answer_quote_request(
        self,
        name: str,
        request: int,
        accept: bool,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
    ) -> None:
        """Accept or refuse what has met a last-look quote; a price must respect the taker's limit."""
        self._quotes.answer(name, request, accept=accept, quantity=quantity, price=price)
