"""One book's feed: what a source says becomes the book's reference price, and quotes and trades of the house."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import msgspec
from twisted.logger import Logger

from txtrader.errors import InvalidArgument
from txtrader.exsim.bots.base import round_ticks
from txtrader.exsim.market import Market
from txtrader.exsim.orders import HouseOrder
from txtrader.exsim.playing import Player
from txtrader.exsim.records import Listing
from txtrader.exsim.sources.base import OutsideSource, PriceRow, Source
from txtrader.exsim.venue import Venue

__all__ = ["Feed"]

_UNSET = msgspec.UNSET


class Feed:
    """The feed of one book.

    `set_price` is a row by hand, whatever the mode.  With a source in the mode `maker`, or a quote by hand, the house
    that the book may have leaves it, and quotes stand there in its name; `detach` brings it back.
    """

    _log = Logger()

    def __init__(self, venue: Venue, listing: Listing, default_size: Decimal = Decimal(100)) -> None:
        self.venue = venue
        self.listing = listing
        self.source: Source | None = None
        self.name = ""
        self.fault = ""
        self.crossed = 0  # rows whose bid was not below the offer: no quotes stood then
        self._rows = 0
        self._size = default_size
        self._player: Player[PriceRow] | None = None
        self._is_pushed = False
        self._wanted: dict[int, tuple[Decimal, Decimal] | None] = {1: None, -1: None}
        self._quotes: dict[int, HouseOrder | None] = {1: None, -1: None}

    # -- a source

    def attach(self, name: str, source: Source) -> None:
        """Take in a source, which stands still at first; one that was there goes."""
        self.detach()
        self.source, self.name = source, name
        self._rows, self.crossed, self.fault = 0, 0, ""
        self.venue.tape.write("source", self.listing.id, name, "attach")
        if source.properties["mode"] == "maker":
            self.venue.set_house(self.listing.id, False)
        if not isinstance(source, OutsideSource):
            self._player = Player(
                self.venue.clock,
                source.rows(),
                self._take,
                speed=lambda: source.properties["speed"],
                on_end=lambda: self._note("over"),
                guard=self._guarded,
            )

    def detach(self) -> None:
        """Let the source go, and the quotes with it; the price goes back to the book's own path."""
        self.stop()
        if self.source is not None:
            source, self.source, self._player = self.source, None, None
            self._note("detach")
            self._guarded(source.close)()
        self._wanted = {1: None, -1: None}
        self.venue.in_turn(self.listing.id, self._quote)
        self.venue.steer(self.listing.id, None)
        self.venue.set_house(self.listing.id, True)

    @property
    def is_running(self) -> bool:
        """Tell whether rows come by themselves."""
        return self._is_pushed or (self._player is not None and self._player.is_running)

    def start(self) -> None:
        """Let rows come, from where it stands; nothing happens if they do already."""
        if self.source is None or self.is_running:
            return
        self.fault = ""
        self._note("start")
        if isinstance(self.source, OutsideSource):
            self._is_pushed = True
            source = self.source
            self._guarded(lambda: source.start(self._pushed))()
        elif self._player is not None:
            self._player.start()

    def stop(self) -> None:
        """Let no more rows come; what the last one said stays."""
        if not self.is_running:
            return
        self._note("stop")
        self._is_pushed = False
        if self._player is not None:
            self._player.stop()
        if isinstance(self.source, OutsideSource):
            self._guarded(self.source.stop)()

    def step(self, rows: int) -> int:
        """Take so many rows now; return how many there were.  What a bad row says is raised."""
        if self._player is None:
            return 0
        try:
            return self._player.step(rows)
        except Exception as error:
            self._fail(error)
            raise

    def status(self) -> dict[str, Any]:
        """Say how it stands, as plain values."""
        return {
            "listing_id": self.listing.id,
            "source": self.name if self.source is not None else None,
            "is_running": self.is_running,
            "is_over": self._player is not None and self._player.is_over,
            "available": None if self.source is None else self.source.available,
            "done": self._rows,
            "crossed": self.crossed,
            "fault": self.fault,
        }

    # -- a price by hand

    def set_price(self, row: PriceRow) -> None:
        """Take a row by hand: its quotes stand in the book, its trade is printed, its reference holds.

        InvalidArgument for a bid that is not below the offer, or a price that there cannot be.
        """
        for name in ("bid", "offer", "last", "reference"):
            price = getattr(row, name)
            if not isinstance(price, Decimal):
                continue
            if not price.is_finite() or (price <= 0 and not self.listing.allows_negative_prices):
                raise InvalidArgument(f"{price} is not a price of {self.listing.symbol}", path=name)
            if name != "reference" and price % self.listing.tick_at(price):
                raise InvalidArgument(f"{price} is not a multiple of {self.listing.tick_at(price)}", path=name)
        both = [
            (known[0] if (known := self._wanted[sign]) is not None else None) if given is _UNSET else given
            for sign, given in ((1, row.bid), (-1, row.offer))
        ]
        if both[0] is not None and both[1] is not None and both[0] >= both[1]:
            raise InvalidArgument(f"the bid {both[0]} is not below the offer {both[1]}", path="bid")
        if row.bid is not _UNSET or row.offer is not _UNSET:
            self.venue.set_house(self.listing.id, False)
        if row.worth is None and both[0] is not None and both[1] is not None:
            row = msgspec.structs.replace(row, reference=(both[0] + both[1]) / 2)
        self._apply(row, quotes=True)

    # -- rows

    def _pushed(self, row: PriceRow) -> None:
        if self.is_running:
            self._guarded(lambda: self._take(row))()

    def _take(self, row: PriceRow) -> None:
        assert self.source is not None
        self._rows += 1
        self._apply(row, quotes=self.source.properties["mode"] == "maker")

    def _apply(self, row: PriceRow, *, quotes: bool) -> None:
        worth = row.worth
        if worth is not None:
            self.venue.steer(self.listing.id, worth)
        if not quotes:
            return
        size = self._usual_size()
        for sign, price, quantity in ((1, row.bid, row.bid_size), (-1, row.offer, row.offer_size)):
            if price is None:
                self._wanted[sign] = None
            elif isinstance(price, Decimal):
                self._wanted[sign] = (price, size if quantity is None else quantity)
        self.venue.in_turn(self.listing.id, lambda market: self._show(market, row.last, row.last_size))

    def _show(self, market: Market, last: Decimal | None, last_size: Decimal | None) -> None:
        if last is not None:
            self._print(market, last, last_size)
        if self.listing.is_tradeable:
            self._quote(market)

    def _print(self, market: Market, price: Decimal, size: Decimal | None) -> None:
        ticks = round(price / self.listing.tick)
        if not self.listing.is_tradeable:
            market.publish_value(ticks)
            return
        lots = self._lots(self._usual_size() if size is None else size)
        if lots:
            best = market.book.best_bid
            market.report(ticks, lots, -1 if best is not None and ticks <= best else 1)

    def _quote(self, market: Market) -> None:
        """Bring the house's two quotes to what is wanted; one that is right keeps its place."""
        bid, offer = self._wanted[1], self._wanted[-1]
        wanted = {1: self._as_ticks(1, bid), -1: self._as_ticks(-1, offer)}
        if wanted[1] is not None and wanted[-1] is not None and wanted[1][0] >= wanted[-1][0]:
            self.crossed += 1
            wanted = {1: None, -1: None}
        for sign, quote in self._quotes.items():
            if quote is not None and (quote.level is None or (quote.price, quote.leaves) != wanted[sign]):
                if quote.level is not None:
                    market.cancel_house(quote)
                self._quotes[sign] = None
        for sign, known in wanted.items():
            if known is not None and known[1] and self._quotes[sign] is None:
                self._quotes[sign] = market.enter_house(sign, *known)

    def _as_ticks(self, sign: int, quote: tuple[Decimal, Decimal] | None) -> tuple[int, int] | None:
        if quote is None:
            return None
        rounding = ROUND_FLOOR if sign > 0 else ROUND_CEILING
        ticks = int((quote[0] / self.listing.tick).to_integral_value(rounding))
        return round_ticks(self.listing, ticks, sign), self._lots(quote[1])

    def _usual_size(self) -> Decimal:
        """Return the quantity of what comes without one."""
        if self.source is None:
            return self._size
        size: Decimal = self.source.properties["size"]
        return size

    def _lots(self, quantity: Decimal) -> int:
        return int(quantity / self.listing.step)

    # -- faults and notes

    def _note(self, what: str) -> None:
        self.venue.tape.write("source", self.listing.id, self.name, what)

    def _guarded(self, call: Callable[[], None]) -> Callable[[], None]:
        """Wrap a call of the source's: its exception stops the feed, and nothing else."""

        def run() -> None:
            try:
                call()
            except Exception as error:  # noqa: BLE001
                # A source may be somebody else's code, or read a broken file: the venue goes on.
                self._fail(error)

        return run

    def _fail(self, error: Exception) -> None:
        self.fault = f"{type(error).__name__}: {error}"
        self._log.failure("The source {name} failed, and stops", name=self.name)
        self.venue.tape.write("source_fault", self.listing.id, self.name, self.fault)
        self._is_pushed = False
        if self._player is not None:
            self._player.stop()
