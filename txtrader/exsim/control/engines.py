"""Engines and books: a venue that begins with nothing, and instruments that a test puts into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from txtrader.errors import InvalidArgument
from txtrader.exsim.accounts import Rates
from txtrader.exsim.control.events import BookEvents, Events, OrderEvents, PhaseEvents
from txtrader.exsim.control.kinds import DECIMAL, FLAG, NAME, POSITIVE, TEXT, WHOLE, Kind, choice, is_name, maybe
from txtrader.exsim.control.problems import ControlError, not_found
from txtrader.exsim.control.requests import Property, plain, read_property
from txtrader.exsim.crowd import Crowd
from txtrader.exsim.errors import AlreadyExists
from txtrader.exsim.instruments import InstrumentMaster
from txtrader.exsim.listeners import BookListener
from txtrader.exsim.market import Watch
from txtrader.exsim.options import BOOK_OPTIONS, BookOption
from txtrader.exsim.orders import Order
from txtrader.exsim.phase_options import PHASE_OPTIONS, PhaseOption
from txtrader.exsim.records import BookSnapshot, Listing, Reason, Refusal, SelfTrade
from txtrader.exsim.registry import Registry
from txtrader.exsim.shown import OrdersWatch
from txtrader.exsim.tape import Tape
from txtrader.exsim.venue import Venue
from txtrader.model.instrument import PriceIncrement, SecType
from txtrader.model.order import TimeInForce

__all__ = [
    "BOOK_PROPERTIES",
    "ENGINES",
    "ENGINE_CLASSES",
    "ENGINE_PROPERTIES",
    "Book",
    "Engine",
    "engine_class",
    "register_engine",
]

ENGINE_CLASSES: dict[str, str] = {
    "default": "a central limit order book for each instrument",
    "quote_driven": "quotes alone rest; what else comes trades with them at once, and its rest is cancelled",
    "echo": "sends orders and definitions back as they came (FIX)",
    "reject_all": "a venue that refuses every order",
    "silent": "answers nothing",
}
"""What an engine of ours may be; those of others are in `ENGINES`."""
DEFAULT_ACCOUNT = "SIM"

_AUTO = maybe(FLAG)
ENGINE_PROPERTIES = {
    found.name: found
    for found in (
        Property("auto_accept", _AUTO, None, "accept connections; null: as the server"),
        Property("auto_receive", _AUTO, None, "process what is received; null: as the server"),
        Property("auto_match", _AUTO, None, "let orders trade as they meet; null: as the server"),
        Property(
            "stp", choice({mode.value: mode for mode in SelfTrade}), SelfTrade.NONE,
            "what happens when orders of one account would trade with each other", is_fixed=True,
        ),
        Property(
            "market_order", choice(("cancel", "to_limit")), "cancel",
            "what becomes of the rest of a market order", is_fixed=True,
        ),
        Property("cancel_on_disconnect", FLAG, False, "a client that goes takes its orders along", is_fixed=True),
        Property("account", NAME, DEFAULT_ACCOUNT, "the account of orders that name none", is_fixed=True),
    )
}  # fmt: skip

_PHASE_KINDS = {"seconds": WHOLE, "bool": FLAG, "price": maybe(DECIMAL), "band": maybe(TEXT)}


def _phase_property(option: PhaseOption) -> Property:
    kind: Kind = choice(option.choices) if option.choices else _PHASE_KINDS[option.type]
    return Property(option.name, kind, option.default, option.meaning, option.unit)


_MATCHING = [
    option for name, option in BOOK_OPTIONS.items() if name not in ("auto_match", "self_trade", "market_rests")
]
_MATCHING_KINDS = {"bool": FLAG, "decimal": DECIMAL, "rule": TEXT}


def _matching_property(option: BookOption) -> Property:
    kind: Kind = choice(option.choices) if option.choices else _MATCHING_KINDS[option.type]
    return Property(option.name, kind, plain(option.default), option.meaning)


BOOK_PROPERTIES = {
    found.name: found
    for found in (
        Property("symbol", TEXT, None, "what clients call it", is_fixed=True),
        Property("tick", POSITIVE, Decimal("0.01"), "the price step", is_fixed=True),
        Property("lot", POSITIVE, Decimal(1), "the quantity step", is_fixed=True),
        Property("min_quantity", maybe(POSITIVE), None, "the least order; null: one lot", is_fixed=True),
        Property(
            "asset_class", choice({kind.value: kind for kind in SecType}), SecType.STOCK, "what kind of thing it is",
            is_fixed=True,
        ),
        Property("currency", TEXT, "USD", "what prices are in", is_fixed=True),
        Property("exchange", TEXT, "EXSIM", "where it trades", is_fixed=True),
        Property("multiplier", POSITIVE, Decimal(1), "value of one point", is_fixed=True),
        Property("expiry", TEXT, "", "YYYYMMDD", is_fixed=True),
        Property("strike", maybe(DECIMAL), None, "of an option", is_fixed=True),
        Property("put_or_call", choice(("", "P", "C")), "", "of an option", is_fixed=True),
        Property("isin", TEXT, "", "", is_fixed=True),
        Property("name", TEXT, "", "in full", is_fixed=True),
        Property("reference", maybe(DECIMAL), None, "the reference price, the last close to clients", is_fixed=True),
        Property("auto_match", _AUTO, None, "let orders trade as they meet; null: as the engine"),
        Property(
            "watch_orders", FLAG, False,
            "make an event of each change of a shown order (kind book); level 3 of get_book is what to begin from",
        ),
        *map(_matching_property, _MATCHING),
        *map(_phase_property, PHASE_OPTIONS.values()),
    )
}  # fmt: skip


class Book:
    """One instrument of an engine."""

    def __init__(self, name: str, engine: Engine, listing: Listing, values: dict[str, Any]) -> None:
        self.name = name
        self.engine = engine
        self.listing = listing
        self.values = values
        self.watch: Watch | None = None
        self._orders_watch: OrdersWatch | None = None

    def set(self, name: str, value: Any) -> None:
        """Set a property that may change."""
        venue = self.engine.venue
        try:
            if name in PHASE_OPTIONS:
                venue.phases.set_option(self.listing.id, name, value)
            elif name == "watch_orders":
                self._watch_orders(value)
            elif name != "auto_match":
                venue.set_book_option(self.listing.id, name, value)
        except InvalidArgument as error:
            raise ControlError("invalid-argument", error.message, name) from error
        self.values[name] = value

    def _watch_orders(self, is_on: bool) -> None:
        if is_on:
            engine = self.engine
            listener = BookEvents(engine.events, engine.name, self.name)
            self._orders_watch = engine.venue.watch_orders(self.listing.id, listener)
        elif self._orders_watch is not None:
            self._orders_watch.close()

    def shown_orders(self) -> BookSnapshot:
        """Return the shown orders as they stand; their public ids last as long as somebody watches."""
        watch = self.engine.venue.watch_orders(self.listing.id, BookListener())
        watch.close()
        return watch.snapshot

    def match_by(self, default: bool) -> None:
        """Let orders trade as they meet, or not, as the nearest setting says; `default` is the server's."""
        nearest = (self.values["auto_match"], self.engine.properties["auto_match"], default)
        is_on = next(one for one in nearest if one is not None)
        self.engine.venue.set_book_option(self.listing.id, "auto_match", is_on)


class Engine:
    """One venue under control.

    `class_name` says how it behaves: see `ENGINE_CLASSES`.  `given` are properties to begin with.  `session_of` names
    the session whose client is a participant of the venue.  A `venue` that is there already is taken as it is, with its
    instruments for books.
    """

    def __init__(
        self,
        name: str,
        class_name: str,
        *,
        clock: Any,
        now_ns: Callable[[], int],
        seed: int,
        tape: Tape,
        events: Events,
        given: Mapping[str, Any],
        session_of: Callable[[str], str | None],
        venue: Venue | None = None,
        data_folder: str | None = None,
    ) -> None:
        self.name = name
        self.class_name = class_name
        self._session_of = session_of
        values = {known.name: known.default for known in ENGINE_PROPERTIES.values()}
        for key, value in given.items():
            values[key] = read_property(ENGINE_PROPERTIES, key, value)
        self.values = values
        self.properties = {key: values[key] for key in ("auto_accept", "auto_receive", "auto_match")}
        self.venue = venue or self._make_venue(clock, now_ns, seed, tape)
        self.instruments, self.rates = self.venue.instruments, self.venue.rates
        self.crowd = Crowd(self.venue, data_folder)
        self.classes: dict[str, str] = {}  # of bots by name, and of sources by book
        self.events = events
        self.venue.add_observer(OrderEvents(events, name, self.name_of))
        if venue is None:
            self.venue.start()
        if class_name == "reject_all":
            refusal = Refusal(Reason.VENUE, "this engine refuses every order")
            self.venue.add_screen(lambda order: refusal)
        elif class_name == "quote_driven":
            self.venue.add_screen(self._keep_from_resting)
        self.books: dict[str, Book] = {}
        self.is_running = True
        self._numbers = 0
        self._screen_out: Callable[[], None] | None = None
        if venue is not None:
            self._take_books()

    def _make_venue(self, clock: Any, now_ns: Callable[[], int], seed: int, tape: Tape) -> Venue:
        """Make a venue with nothing in it."""
        values = self.values
        return Venue(
            clock,
            now_ns,
            instruments=InstrumentMaster(),
            recipes={},
            cash={values["account"]: {"USD": Decimal(10**15)}},
            rates=Rates("USD", {}),
            seed=seed,
            activity="none",
            market_rests=values["market_order"] == "to_limit",
            self_trade=values["stp"],
            has_house=False,
            has_past=False,
            opens_accounts=True,
            tape=tape,
        )

    def _take_books(self) -> None:
        """Give the listings of a venue that was there names of books; one that cannot be a name has none."""
        for listing in self.venue.instruments:
            self._numbers = max(self._numbers, listing.id, listing.rule_id)
            name = listing.local_symbol
            if not is_name(name) or name in self.books:
                continue
            values = {known.name: known.default for known in BOOK_PROPERTIES.values()}
            values |= {
                "symbol": name,
                "tick": listing.tick,
                "lot": listing.step,
                "asset_class": listing.sectype,
                "currency": listing.currency,
                "exchange": listing.primary_exchange,
                "multiplier": listing.multiplier,
                "expiry": listing.expiry,
                "strike": listing.strike,
                "put_or_call": listing.right,
                "name": listing.long_name,
            }
            self.books[name] = Book(name, self, listing, values)

    def _keep_from_resting(self, order: Order) -> Refusal | None:
        """Let what is no quote trade at once or not at all."""
        terms = order.terms
        sides = {f"{quote.name}.{side}" for quote in self.venue.quotes() for side in ("bid", "offer")}
        if terms.client_order_id in sides and order.owner in {quote.owner for quote in self.venue.quotes()}:
            return None
        if terms.post_only or terms.is_held:
            return Refusal(Reason.UNSUPPORTED, "nothing but quotes rests here")
        if terms.tif not in (TimeInForce.IOC, TimeInForce.FOK):
            order.terms = msgspec.structs.replace(terms, tif=TimeInForce.IOC, expire_time=None)
        return None

    @property
    def is_silent(self) -> bool:
        """Tell whether nothing that clients send is answered."""
        return self.class_name == "silent"

    def name_of(self, order: Order) -> str:
        """Return what an order is called: the control's own name, else its session and what its client called it."""
        name: str | None = getattr(order.extra, "name", None)
        if name is not None:
            return name
        return f"{self._session_of(order.owner) or order.owner}:{order.client_order_id}"

    # -- books

    def create_book(self, name: str, given: Mapping[str, Any]) -> Book:
        """List an instrument.  Raises ControlError."""
        if name in self.books:
            raise ControlError("already-exists", f"engine {self.name} has a book {name} already", "name")
        values = {known.name: known.default for known in BOOK_PROPERTIES.values()}
        for key, value in given.items():
            values[key] = read_property(BOOK_PROPERTIES, key, value)
        symbol = values["symbol"]
        if not symbol:
            raise ControlError("invalid-argument", "symbol is missing", "symbol")
        if any(book.listing.local_symbol == symbol for book in self.books.values()):
            raise ControlError("already-exists", f"engine {self.name} trades {symbol} already", "symbol")
        self._numbers += 1
        listing = self._listing(values)
        if values["reference"] is not None and values["reference"] % listing.tick:
            raise ControlError(
                "invalid-argument", f"reference is not a multiple of the tick {listing.tick}", "reference"
            )
        self.rates.add(listing.currency, Decimal(1))
        self.instruments.add(listing)
        book = self.books[name] = Book(name, self, listing, values)
        book.watch = self.venue.watch(listing.id, PhaseEvents(self.events, self.name, name))
        if values["reference"] is not None:
            self.venue.set_close(listing.id, values["reference"])
        try:
            for name_of_option in (*[option.name for option in _MATCHING], *PHASE_OPTIONS, "watch_orders"):
                if values[name_of_option] != BOOK_PROPERTIES[name_of_option].default:
                    book.set(name_of_option, values[name_of_option])
        except ControlError:
            self.delete_book(book)
            raise
        return book

    def _listing(self, values: Mapping[str, Any]) -> Listing:
        symbol, tick = values["symbol"], values["tick"]
        return Listing(
            id=self._numbers,
            symbol=symbol,
            sectype=values["asset_class"],
            currency=values["currency"],
            exchange=values["exchange"],
            primary_exchange=values["exchange"],
            valid_exchanges=(values["exchange"], "SMART"),
            local_symbol=symbol,
            trading_class=symbol,
            long_name=values["name"] or symbol,
            tick=tick,
            increments=(PriceIncrement(low_edge=Decimal(0), increment=tick),),
            rule_id=self._numbers,
            schedule="crypto",  # every day, around the clock
            time_zone="UTC",
            step=values["lot"],
            min_quantity=values["min_quantity"] or values["lot"],
            suggested_step=values["lot"],
            multiplier=values["multiplier"],
            expiry=values["expiry"],
            contract_month=values["expiry"][:6],
            strike=values["strike"],
            right=values["put_or_call"],
            isin=values["isin"],
        )

    def book(self, name: str) -> Book:
        """Return a book.  Raises ControlError `not-found`."""
        if name not in self.books:
            raise not_found("book", name)
        return self.books[name]

    def delete_book(self, book: Book) -> int:
        """Take an instrument out; its orders leave with cancels that nobody asked for.  Return how many."""
        doomed = [order for order in self.venue.live_orders() if order.listing is book.listing]
        for order in doomed:
            self.venue.cancel_by_venue(order.id, f"{book.listing.symbol} is no longer traded")
        if book.watch is not None:
            book.watch.close()
        book.set("watch_orders", False)
        self.instruments.remove(book.listing.id)
        self.venue.forget(book.listing.id)
        del self.books[book.name]
        return len(doomed)

    # -- life

    def set_running(self, is_running: bool) -> None:
        """Take orders, or refuse every new one as closed; cancels go through either way."""
        if is_running and self._screen_out is not None:
            self._screen_out()
            self._screen_out = None
        elif not is_running and self._screen_out is None:
            refusal = Refusal(Reason.CLOSED, "exchange closed: the engine is stopped")
            self._screen_out = self.venue.add_screen(lambda order: refusal)
        self.is_running = is_running
        self.events.note("engine", engine=self.name, what="started" if is_running else "stopped")

    def stop(self) -> None:
        """End the venue, and who acts on it."""
        self.crowd.stop()
        self.venue.stop()


ENGINES: Registry[Engine] = Registry(Engine, "txtrader.exsim.engines", "engine")


def register_engine(name: str, cls: type[Engine]) -> None:
    """Offer a class of engines under a name.  Raises AlreadyExists, and Unsupported for what is no engine."""
    if name in ENGINE_CLASSES:
        raise AlreadyExists(f"there is an engine class {name} already", path="name")
    ENGINES.register(name, cls)


def engine_class(name: str) -> type[Engine]:
    """Return the class of a name.  Raises NotFound, and PluginError."""
    return Engine if name in ENGINE_CLASSES else ENGINES.get(name)
