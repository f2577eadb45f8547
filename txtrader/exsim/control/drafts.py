"""Orders of the control: drafts whose properties are set one by one, then sent as if a client had."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from txtrader.exsim.control.engines import Book
from txtrader.exsim.control.kinds import DECIMAL, FLAG, INSTANT, NAME, POSITIVE, TEXT, WHOLE, choice, maybe
from txtrader.exsim.control.problems import ControlError
from txtrader.exsim.control.requests import Property, read_property
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Changes, Terms
from txtrader.model.order import OrderType, Side, TimeInForce

__all__ = ["ORDER_PROPERTIES", "ORDER_TYPES", "SIDES", "TIFS", "Draft", "order_shown", "word"]


def word(text: str) -> str:
    """Return a name of the model as the control spells it: `StopLimit` is `stop_limit`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() and place else letter.lower()
                   for place, letter in enumerate(text))  # fmt: skip


SIDES = {"buy": Side.BUY, "sell": Side.SELL, "sell_short": Side.SELLSHORT}
ORDER_TYPES = {word(kind.value): kind for kind in OrderType}
TIFS = {**{tif.value.lower(): tif for tif in TimeInForce}, "atc": TimeInForce.CLS}

_NUMBER = maybe(DECIMAL)
_AMOUNT = maybe(POSITIVE)
ORDER_PROPERTIES = {
    found.name: found
    for found in (
        Property("side", choice(SIDES), None, "", is_fixed=True),
        Property("type", choice(ORDER_TYPES), OrderType.LIMIT, "", is_fixed=True),
        Property("tif", choice(TIFS), TimeInForce.DAY, "time in force", is_fixed=True),
        Property("quantity", _AMOUNT, None, "the total, executions included"),
        Property("price", _NUMBER, None, "the limit"),
        Property("stop_price", _NUMBER, None, "what elects it"),
        Property("trail", _AMOUNT, None, "distance of a trailing stop", "price"),
        Property("trail_percent", _AMOUNT, None, "the same in percent", "%"),
        Property("limit_offset", _NUMBER, None, "of a trailing stop limit: limit at election, from the stop", "price"),
        Property("expire", maybe(INSTANT), None, "when a gtd order ends", "ns UTC", is_fixed=True),
        Property("display_quantity", _AMOUNT, None, "what an iceberg shows"),
        Property("post_only", FLAG, False, "refused where it would trade at once", is_fixed=True),
        Property("hidden", FLAG, False, "never shown, and behind all that is"),
        Property("min_quantity", _AMOUNT, None, "trades for no less at once"),
        Property("all_or_none", FLAG, False, "trades for no less than all"),
        Property("display_low", _AMOUNT, None, "slices are drawn from here ...", is_fixed=True),
        Property("display_high", _AMOUNT, None, "... to here", is_fixed=True),
        Property("reduce_only", FLAG, False, "cut to what closes the account's position", is_fixed=True),
        Property("to_limit", FLAG, False, "of a market order: its rest is a limit at its price", is_fixed=True),
        Property("peg", choice(("", "primary", "market", "mid")), "", "what its price follows"),
        Property("peg_offset", DECIMAL, Decimal(0), "from there", "price"),
        Property("auction", choice(("", "next", "cancel_on_auction")), "", "its part in auctions", is_fixed=True),
        Property("group", TEXT, "", "one-cancels-other: the orders of one owner in it", is_fixed=True),
        Property(
            "group_type", WHOLE, 1, "1 cancels the others, 2 and 3 reduce them by share, 4 by as much", is_fixed=True
        ),
        Property("account", maybe(NAME), None, "null: the engine's", is_fixed=True),
        Property("stp_id", TEXT, "", "the key of self-trade prevention", is_fixed=True),
        Property("client_order_id", TEXT, "", "what its owner calls it", is_fixed=True),
        Property("owner", NAME, "control", "the participant who enters it", is_fixed=True),
    )
}
LIVE = {"price": "limit_price", "trail": "trail_amount"} | {
    name: name
    for name in ("stop_price", "quantity", "trail_percent", "limit_offset", "display_quantity", "hidden",
                 "min_quantity", "all_or_none", "peg", "peg_offset")
}  # fmt: skip
"""What can be changed of a live order: a replace, by the rules of priority."""
_MAY_GO = ("display_quantity", "min_quantity")


class Draft:
    """An order of the control.  `number` is the venue's, once it was sent."""

    def __init__(self, name: str, book: Book, given: Mapping[str, Any]) -> None:
        self.name = name
        self.book = book
        self.values: dict[str, Any] = {known.name: known.default for known in ORDER_PROPERTIES.values()}
        self.given: dict[str, Any] = {}
        self.number: int | None = None
        for key, value in given.items():
            self.set(key, value)

    def set(self, key: str, value: Any) -> Any:
        """Set a property; return the value as it was read.  Raises ControlError."""
        read = read_property(ORDER_PROPERTIES, key, value)
        self.values[key] = read
        self.given[key] = value
        return read

    def terms(self) -> Terms:
        """Return what is asked of the venue.  Raises ControlError."""
        values = self.values
        for name in ("side", "quantity"):
            if values[name] is None:
                raise ControlError("invalid-argument", f"{name} is not set", name)
        return Terms(
            listing_id=self.book.listing.id,
            account=values["account"] or self.book.engine.values["account"],
            side=values["side"],
            quantity=values["quantity"],
            type=values["type"],
            limit_price=values["price"],
            stop_price=values["stop_price"],
            trail_amount=values["trail"],
            trail_percent=values["trail_percent"],
            limit_offset=values["limit_offset"],
            tif=values["tif"],
            expire_time=values["expire"],
            display_quantity=values["display_quantity"],
            client_order_id=values["client_order_id"] or self.name,
            self_trade_id=values["stp_id"],
            post_only=values["post_only"],
            hidden=values["hidden"],
            min_quantity=values["min_quantity"],
            all_or_none=values["all_or_none"],
            display_low=values["display_low"],
            display_high=values["display_high"],
            reduce_only=values["reduce_only"],
            to_limit=values["to_limit"],
            peg=values["peg"],
            peg_offset=values["peg_offset"],
            auction=values["auction"],
            oca_group=values["group"],
            oca_type=values["group_type"] if values["group"] else 0,
            extra=self,
        )

    def changes(self, given: Mapping[str, Any]) -> Changes:
        """Return what a replace asks for; null takes away what an order may be without.  Raises ControlError."""
        wanted: dict[str, Any] = {
            LIVE[key]: Decimal(0) if value is None and key in _MAY_GO else value for key, value in given.items()
        }
        is_uncapped = "price" in given and given["price"] is None and bool(given.get("peg", self.values["peg"]))
        for key in given:
            if wanted[LIVE[key]] is None and not (key == "price" and is_uncapped):
                raise ControlError("invalid-argument", f"a live order keeps its {key}", "value")
        return Changes(**wanted, uncap=is_uncapped, extra=self)


def order_shown(order: Order, name: str, ahead: tuple[Decimal, int] | None) -> dict[str, Any]:
    """Show an order with its place in the queue."""
    end = order.end
    return {
        "order": name,
        "order_id": order.id,
        "owner": order.owner,
        "account": order.account,
        "client_order_id": order.client_order_id,
        "symbol": order.listing.local_symbol,
        "side": next(key for key, side in SIDES.items() if side.sign == order.sign),
        "type": word(order.type.value),
        "tif": order.tif.value.lower(),
        "status": order.status.name.lower(),
        "held": order.held or None,
        "quantity": order.quantity,
        "cumulative": order.filled,
        "leaves": order.remaining,
        "average_price": order.average_price,
        "price": order.limit_price,
        "stop_price": order.stop_price,
        "display_quantity": order.terms.display_quantity,
        "quantity_ahead": None if ahead is None else ahead[0],
        "orders_ahead": None if ahead is None else ahead[1],
        "reason": None if end is None else str(end.reason),
        "text": None if end is None else end.text,
    }


ShowOrder = Callable[[Order], dict[str, Any]]
