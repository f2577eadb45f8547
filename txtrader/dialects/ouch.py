"""OUCH words and ours: what an order message of either version asks for, and why one is refused.

Both versions become one record, so that nobody behind this has to know which of them a client speaks.  Prices are
`Decimal` here, ten-thousandths on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

import msgspec

from txtrader.model.order import Side, TimeInForce
from txtrader.wire.ouch.codec import OuchMessage

__all__ = [
    "LARGEST",
    "MARKET_PRICES",
    "REJECTIONS",
    "SIDES",
    "OrderTerms",
    "Unsupported",
    "may_become",
    "price_from_wire",
    "price_to_wire",
    "replacement_of",
    "terms_of",
]

LARGEST = 999_999
"""The largest size of an order."""

SIDES = {"B": Side.BUY, "S": Side.SELL, "T": Side.SELLSHORT, "E": Side.SELLSHORT}
MARKET_PRICES = {"4.2": (0x7FFFFFFF,), "5.0": (2_000_000_000, 0x7FFFFFFF)}
_HIGHEST = 1_999_999_900
_MARKET_HOURS, _SYSTEM_HOURS = 99_998, 99_999
_DAY = 86_400
_CAPACITIES = ("A", "P", "R", "O")
_SALES = ("S", "T", "E")
_AUCTIONS = {"O": TimeInForce.OPG, "C": TimeInForce.CLS}

# what the display letters of 4.2 ask for; the retail kinds and imbalance-only are in `_HANDLING`
_DISPLAYS: dict[str, tuple[str, ...]] = {
    "Y": (),
    "A": (),
    "": (),
    "N": ("hidden",),
    "P": ("post_only",),
    "L": ("post_only",),
    "M": ("peg", "hidden"),
    "W": ("peg", "hidden", "post_only"),
    "m": ("peg", "hidden"),
    "n": ("hidden",),
}
_HANDLING = {"I": "imbalance_only", "O": "retail", "T": "retail", "Q": "retail", "B": "retail", "D": "retail"}
_PEGS = {"P": "market", "M": "mid", "m": "mid", "R": "primary", "Q": "market_maker"}

REJECTIONS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "symbol": ("S", 23),
        "halted": ("H", 7),
        "closed": ("C", 2),
        "price": ("X", 29),
        "quantity": ("Z", 19),
        "min_quantity": ("N", 13),
        "display": ("D", 3),
        "max_floor": ("D", 4),
        "peg": ("D", 17),
        "firm": ("L", 12),
        "hours": ("M", 15),
        "tif": ("O", 15),
        "cross": ("R", 20),
        "side": ("O", 9),
        "iso": ("O", 8),
        "routing": ("O", 22),
        "retail": ("O", 26),
        "aiq": ("O", 64),
        "test": ("T", 24),
        "risk": ("O", 31),
        "pending": ("O", 11),
        "other": ("O", 15),
    }
)
"""Why an order is refused: our word, the letter of 4.2 (those of its risk controls differ by edition), 5.0's number."""


class Unsupported(Exception):
    """A message asks for something that has no word of ours, or that nobody takes; `word` is one of REJECTIONS."""

    def __init__(self, word: str, text: str) -> None:
        super().__init__(text)
        self.word = word
        self.text = text


class OrderTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What an EnterOrder or ReplaceOrder asks for.

    `price` None is the market.  GTD lives `seconds`, or to the end of system hours where that is None.
    `display_quantity` None shows all; `display_range` is by how much refreshed slices may differ.  `features` names
    what is asked for beyond a plain order, so that a venue can refuse what it does not offer: `post_only`, `hidden`,
    `min_quantity`, `display_quantity`, `random_reserves`, `peg`, `discretion`, `cross`, `routing`, `retail`,
    `imbalance_only`.
    """

    side: Side
    quantity: int
    price: Decimal | None
    tif: TimeInForce
    seconds: int | None = None
    post_only: bool = False
    hidden: bool = False
    min_quantity: int = 0
    display_quantity: int | None = None
    display_range: int = 0
    peg: str = ""
    peg_offset: Decimal = Decimal(0)
    self_trade_group: int | None = None
    features: tuple[str, ...] = ()


def price_from_wire(price: int) -> Decimal:
    """Read ten-thousandths."""
    return Decimal(price).scaleb(-4)


def price_to_wire(price: Decimal) -> int:
    """Write ten-thousandths; raises ValueError for a price that has more decimals than the wire."""
    scaled = price.scaleb(4)
    if scaled != int(scaled):
        raise ValueError(f"{price} has more than four decimals")
    return int(scaled)


def may_become(side: str, other: str) -> bool:
    """Tell whether an order may change from one side to another: the kinds of selling among each other."""
    return side == other or (side in _SALES and other in _SALES)


def terms_of(message: OuchMessage, version: str) -> OrderTerms:
    """Read an EnterOrder.  Raises Unsupported."""
    if message["capacity"] not in _CAPACITIES:
        raise Unsupported("other", f"capacity {message['capacity']!r}")
    if message["cross"] not in ("", "N", "O", "C", "H", "S", "R", "E", "A"):
        raise Unsupported("cross", f"cross type {message['cross']!r}")
    return _terms(message, version, message["side"], message["cross"])


def replacement_of(message: OuchMessage, version: str, side: str, cross: str) -> OrderTerms:
    """Read a ReplaceOrder of an order of this side and cross type.  Raises Unsupported.

    Its quantity is the chain's total.
    """
    side = message.tag("side", side)
    return _terms(message, version, side, cross)


def _terms(message: OuchMessage, version: str, side: str, cross: str) -> OrderTerms:
    if side not in SIDES:
        raise Unsupported("side", f"side {side!r}")
    quantity = message["shares" if version == "4.2" else "quantity"]
    if not 0 < quantity <= LARGEST:
        raise Unsupported("quantity", f"a size of {quantity}")
    if message["iso"] not in ("Y", "N", ""):
        raise Unsupported("iso", f"sweep {message['iso']!r}")
    given = _of_42(message) if version == "4.2" else _of_50(message)
    features = given.features
    tif = given.tif
    if cross not in ("", "N"):
        features = (*features, "cross")
        tif = _AUCTIONS.get(cross, tif)
    price = _price(message["price"], version)
    if price is None and tif is not TimeInForce.IOC and tif not in _AUCTIONS.values() and not given.peg:
        raise Unsupported("price", "an order at the market that may rest")
    if tif is TimeInForce.IOC and given.min_quantity >= quantity:
        # "Everything at once" is written so; a minimum for the immediate execution that is less needs another rule.
        tif = TimeInForce.FOK
        features = tuple(name for name in features if name != "min_quantity")
    return msgspec.structs.replace(
        given, side=SIDES[side], quantity=quantity, price=price, tif=tif, features=tuple(dict.fromkeys(features))
    )


def _price(price: int, version: str) -> Decimal | None:
    if price in MARKET_PRICES[version]:
        return None
    if not 0 < price <= _HIGHEST:
        raise Unsupported("price", f"a price of {price} ten-thousandths")
    return price_from_wire(price)


def _draft(**given: object) -> OrderTerms:
    return OrderTerms(side=Side.BUY, quantity=0, price=None, **given)  # type: ignore[arg-type]


def _of_42(message: OuchMessage) -> OrderTerms:
    """Read what 4.2 says by letters and seconds."""
    tif, seconds = TimeInForce.GTD, None
    word = message["tif"]
    if word == 0:
        tif = TimeInForce.IOC
    elif word == _MARKET_HOURS:
        tif = TimeInForce.DAY
    elif word < _MARKET_HOURS:
        seconds = word
    elif word != _SYSTEM_HOURS:
        raise Unsupported("tif", f"{word} seconds to live")
    letter = message["display"]
    if letter in _DISPLAYS:
        features = _DISPLAYS[letter]
    elif letter in _HANDLING:
        features = (_HANDLING[letter],)
    else:
        raise Unsupported("display", f"display {letter!r}")
    least = message["min_qty"]
    return _draft(
        tif=tif,
        seconds=seconds,
        post_only="post_only" in features,
        hidden="hidden" in features,
        peg="mid" if "peg" in features else "",
        min_quantity=least,
        features=features + (("min_quantity",) if least else ()),
    )


def _of_50(message: OuchMessage) -> OrderTerms:
    """Read what 5.0 says by letters and tags."""
    tif, seconds = TimeInForce.GTD, None
    word = message["tif"]
    if word in ("0", "3"):
        tif = TimeInForce.DAY if word == "0" else TimeInForce.IOC
    elif word == "6":
        seconds = message.tag("expire_time", 0)
        if not 0 < seconds < _DAY:
            raise Unsupported("tif", f"a life of {seconds} seconds")
    elif word != "5":
        raise Unsupported("tif", f"time in force {word!r}")
    if message["display"] not in ("Y", "N", "A", ""):
        raise Unsupported("display", f"display {message['display']!r}")
    features: list[str] = []
    tag = message.tag
    hidden, post_only = message["display"] == "N", tag("post_only") == "P"
    kind = tag("price_type", "L")
    if kind not in ("", "L", *_PEGS):
        raise Unsupported("peg", f"price type {kind!r}")
    peg = _PEGS.get(kind, "")
    least, shown, spread = tag("min_qty", 0), tag("max_floor", 0), tag("random_reserves", 0)
    features += [
        name
        for name, is_asked in (
            ("hidden", hidden),
            ("post_only", post_only),
            ("peg", bool(peg)),
            ("market_maker_peg", peg == "market_maker"),
            ("min_quantity", bool(least)),
            ("display_quantity", bool(shown)),
            ("random_reserves", bool(spread)),
            ("discretion", bool(tag("discretion_price") or tag("discretion_type"))),
            ("routing", bool(tag("route"))),
        )
        if is_asked
    ]
    if handling := tag("handle_inst", ""):
        if handling not in _HANDLING:
            raise Unsupported("other", f"handling {handling!r}")
        features.append(_HANDLING[handling])
    return _draft(
        tif=tif,
        seconds=seconds,
        post_only=post_only,
        hidden=hidden,
        min_quantity=least,
        display_quantity=shown or None,
        display_range=spread,
        peg=peg,
        peg_offset=price_from_wire(tag("peg_offset", 0)),
        self_trade_group=tag("aiq_group_id"),
        features=tuple(features),
    )
