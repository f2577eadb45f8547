"""Checks of new and changed orders: what a listing takes, in the words of the refusal.

Each check returns None or the `Refusal` with the reason; none changes anything.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from txtrader.exsim.book import half
from txtrader.exsim.options import PostOnly
from txtrader.exsim.records import Listing, Reason, Refusal, Terms
from txtrader.model.order import OrderType, TimeInForce

if TYPE_CHECKING:
    from txtrader.exsim.market import Market

__all__ = [
    "NEEDS_TRIGGER",
    "PEGS",
    "WOULD_TRADE",
    "check_terms",
    "exact_ticks",
    "is_too_keen",
    "just_short",
    "least_of",
    "to_lots",
    "to_ticks",
    "would_trade",
]

AUCTION_TERMS = ("", "next", "cancel_on_auction")
_FOR_AUCTIONS = (TimeInForce.OPG, TimeInForce.CLS)
PEGS = ("primary", "market", "mid")
NEEDS_TRIGGER = frozenset(
    {
        OrderType.STOP,
        OrderType.STOP_LIMIT,
        OrderType.TRAILING_STOP,
        OrderType.TRAILING_STOP_LIMIT,
        OrderType.MARKET_IF_TOUCHED,
        OrderType.LIMIT_IF_TOUCHED,
    }
)
_LARGEST = Decimal(10) ** 12
_FINEST = -12


def to_ticks(price: Decimal, listing: Listing) -> int:
    """Return a checked price in ticks."""
    return int(price / listing.tick)


def exact_ticks(price: Decimal, listing: Listing) -> int:
    """Return the price of an execution in ticks, of which it may have a half."""
    return half(int(price * 2 / listing.tick))


def to_lots(quantity: Decimal, listing: Listing) -> int:
    """Return a checked quantity in lots."""
    return int(quantity / listing.step)


WOULD_TRADE = Refusal(Reason.WOULD_TRADE, "the order is post-only and would trade at once")


def would_trade(market: Market | None, terms: Terms, listing: Listing) -> bool:
    """Tell whether a post-only order would trade on its arrival."""
    if not terms.post_only or terms.limit_price is None or market is None:
        return False
    sign, price = terms.side.sign, to_ticks(terms.limit_price, listing)
    return market.matching.would_trade(sign, price, to_lots(terms.quantity, listing), least_of(terms, listing))


def is_too_keen(market: Market | None, terms: Terms, listing: Listing) -> bool:
    """Tell whether a post-only order must be refused: it would trade, and the book does not price it short of that."""
    return market is not None and market.options.post_only is PostOnly.REJECT and would_trade(market, terms, listing)


def least_of(terms: Terms, listing: Listing) -> int:
    """Return the lots for no less than which an order trades; 0 for any."""
    if terms.all_or_none:
        return to_lots(terms.quantity, listing)
    return 0 if terms.min_quantity is None else to_lots(terms.min_quantity, listing)


def just_short(market: Market, sign: int) -> int:
    """Return the best price (ticks) at which an order of this side would not trade: one step short of the other's."""
    best = market.book.best_price(-sign)
    assert best is not None, "the other side is there"
    listing = market.listing
    price = best - sign
    grid = 1 if len(listing.increments) < 2 else int(listing.tick_at(market.price(price)) / listing.tick)
    return price // grid * grid if sign > 0 else -(-price // grid) * grid


def check_terms(terms: Terms, listing: Listing, now: int) -> Refusal | None:
    """Check everything about an order that depends on nothing but its listing and the time."""
    if not listing.is_tradeable:
        return Refusal(Reason.UNSUPPORTED, f"{listing.symbol} is not traded")
    if terms.type not in listing.order_types:
        return Refusal(Reason.UNSUPPORTED, f"{listing.symbol} takes no {terms.type} orders")
    if terms.tif is TimeInForce.GTD:
        if terms.expire_time is None:
            return Refusal(Reason.EXPIRE_TIME, "a GTD order needs the time at which it ends")
        if terms.expire_time < now:
            return Refusal(Reason.EXPIRE_TIME, "the order would have ended already")
    if terms.post_only and (terms.type is not OrderType.LIMIT or terms.tif in (TimeInForce.IOC, TimeInForce.FOK)):
        return Refusal(Reason.UNSUPPORTED, "only a limit order that may rest can be post-only")
    return (
        _check_auction(terms)
        or _check_quantity(terms, listing)
        or _check_shape(terms, listing)
        or _check_prices(terms, listing)
    )


def _check_auction(terms: Terms) -> Refusal | None:
    if terms.auction not in AUCTION_TERMS:
        return Refusal(Reason.UNSUPPORTED, f"there is no such part in auctions: {terms.auction}")
    is_for_one = terms.tif in _FOR_AUCTIONS
    if (is_for_one or terms.auction == "next") and (terms.type in NEEDS_TRIGGER or terms.post_only or terms.peg):
        return Refusal(Reason.UNSUPPORTED, "only a limit or market order can be for an auction alone")
    if terms.auction and (is_for_one or terms.tif in (TimeInForce.IOC, TimeInForce.FOK)):
        return Refusal(Reason.UNSUPPORTED, f"a {terms.tif} order takes no further part in auctions")
    return None


def _is_sane(value: Decimal) -> bool:
    if not value.is_finite() or abs(value) >= _LARGEST:
        return False
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= _FINEST


def _check_quantity(terms: Terms, listing: Listing) -> Refusal | None:
    quantity = terms.quantity
    if not _is_sane(quantity) or quantity <= 0:
        return Refusal(Reason.QUANTITY, "the quantity must be above zero")
    if quantity % listing.step:
        return Refusal(Reason.QUANTITY, f"the quantity {quantity} is not a multiple of {listing.step}")
    if quantity < listing.min_quantity:
        return Refusal(Reason.QUANTITY, f"the quantity {quantity} is below the least, {listing.min_quantity}")
    shown = terms.display_quantity
    if shown is not None and (not _is_sane(shown) or shown <= 0 or shown % listing.step):
        return Refusal(Reason.QUANTITY, f"the shown quantity {shown} is not a multiple of {listing.step} above zero")
    return None


def _check_shape(terms: Terms, listing: Listing) -> Refusal | None:
    """Check what is special about an order, and whether it goes together."""
    is_choosy = terms.all_or_none or terms.min_quantity is not None
    bounds = terms.display_low, terms.display_high
    shows_part = terms.display_quantity is not None or bounds != (None, None)
    if shows_part and (terms.hidden or is_choosy):
        return Refusal(Reason.UNSUPPORTED, "an order that shows a part is neither hidden nor has it a least quantity")
    least = terms.min_quantity
    if least is not None and (not _is_lots(least, listing) or least > terms.quantity):
        return Refusal(Reason.QUANTITY, f"the least quantity {least} is not a multiple of {listing.step} up to all")
    if bounds != (None, None):
        low, high = bounds
        if low is None or high is None or low > high or not (_is_lots(low, listing) and _is_lots(high, listing)):
            return Refusal(Reason.QUANTITY, f"slices are not drawn from {low} to {high} in steps of {listing.step}")
    if terms.to_limit and terms.type is not OrderType.MARKET:
        return Refusal(Reason.UNSUPPORTED, "only a market order becomes a limit order")
    return _check_peg(terms, listing) if terms.peg else None


def _check_peg(terms: Terms, listing: Listing) -> Refusal | None:
    if terms.peg not in PEGS:
        return Refusal(Reason.UNSUPPORTED, f"nothing is pegged to {terms.peg}: there are {', '.join(PEGS)}")
    if terms.type is not OrderType.LIMIT or terms.tif in (TimeInForce.IOC, TimeInForce.FOK) or terms.post_only:
        return Refusal(Reason.UNSUPPORTED, "only a limit order that may rest, and trade, can be pegged")
    if not _is_sane(terms.peg_offset) or terms.peg_offset % listing.tick:
        return Refusal(Reason.PRICE_TICK, f"the offset {terms.peg_offset} is not a multiple of {listing.tick}")
    return None


def _is_lots(quantity: Decimal, listing: Listing) -> bool:
    return _is_sane(quantity) and quantity > 0 and quantity % listing.step == 0


def _check_prices(terms: Terms, listing: Listing) -> Refusal | None:
    kind = terms.type
    needs_limit = kind.needs_limit or (kind is OrderType.TRAILING_STOP_LIMIT and terms.limit_offset is None)
    may_have_limit = bool(terms.peg) or terms.to_limit
    if terms.limit_price is not None if may_have_limit else needs_limit:
        refusal = _check_price("limit", terms.limit_price, listing)
        if refusal is not None:
            return refusal
    if kind.needs_stop or (kind.is_trailing and terms.stop_price is not None):
        refusal = _check_price("stop", terms.stop_price, listing)
        if refusal is not None:
            return refusal
    if kind.is_trailing:
        amount, percent = terms.trail_amount, terms.trail_percent
        if (amount is None) == (percent is None):
            return Refusal(Reason.PRICE, "a trailing order needs an amount or a percentage to trail by")
        trail = amount if amount is not None else percent
        assert trail is not None
        if not _is_sane(trail) or trail <= 0:
            return Refusal(Reason.PRICE, f"cannot trail by {trail}")
        offset = terms.limit_offset
        if offset is not None and (not _is_sane(offset) or offset % listing.tick):
            return Refusal(Reason.PRICE_TICK, f"the offset {offset} is not a multiple of {listing.tick}")
    return None


def _check_price(name: str, price: Decimal | None, listing: Listing) -> Refusal | None:
    if price is None or not _is_sane(price):
        return Refusal(Reason.PRICE, f"the {name} price is missing")
    if price <= 0 and not listing.allows_negative_prices:
        return Refusal(Reason.PRICE, f"the {name} price {price} is not above zero")
    tick = listing.tick_at(price)
    if price % tick:
        return Refusal(Reason.PRICE_TICK, f"the {name} price {price} is not a multiple of the tick {tick}")
    return None
