"""Sources out of recorded feeds: the best prices and the trades of a LOBSTER or an ITCH file."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import ClassVar

from txtrader.errors import InvalidArgument
from txtrader.exsim.book import BUY, SELL, Book, BookOrder
from txtrader.exsim.properties import Property
from txtrader.exsim.sources.base import PriceRow, Source
from txtrader.exsim.sources.order_flow import Act, Deed, first_levels, itch_flow, lobster_flow, read_itch

__all__ = ["Itch", "Lobster"]

_CENTS = Decimal("0.0001")
_FILE = Property(name="file", kind="text", default="", is_fixed=True, meaning="below the folder of data files")
_SCALE = Property(
    name="scale",
    kind="decimal",
    default=Decimal(1),
    least=Decimal("0.000001"),
    most=1_000_000,
    is_fixed=True,
    meaning="what prices are multiplied with",
)


class _Recorded(Source):
    """Rows for what changed the best prices, or was a trade."""

    table: ClassVar[tuple[Property, ...]] = (_FILE, _SCALE)

    def row(
        self, deed: Deed | None, bid: Decimal | None, bid_size: int, offer: Decimal | None, offer_size: int
    ) -> PriceRow:
        """Return the row of the best prices after a deed, and of the deed if it was a trade."""
        scale: Decimal = self.properties["scale"]
        is_trade = deed is not None and deed.act in (Act.TRADE, Act.HIDDEN) and deed.counts
        return PriceRow(
            bid=None if bid is None else bid * scale,
            offer=None if offer is None else offer * scale,
            bid_size=Decimal(bid_size),
            offer_size=Decimal(offer_size),
            last=deed.price * scale if is_trade and deed is not None else None,
            last_size=Decimal(deed.size) if is_trade and deed is not None else None,
        )


class Lobster(_Recorded):
    """A message file and its order book file: the levels after each message are the book file's."""

    table = (
        Property(name="book_file", kind="text", default="", is_fixed=True, meaning="the order book file beside it"),
    )

    def check(self) -> None:
        self._name, self._book_name = self.properties["file"], self.properties["book_file"]
        self._text = self.files.read_text(self._name)
        self._levels = self.files.read_text(self._book_name, path="book_file")
        self.available = len(self._text.splitlines())
        if self.available != len(self._levels.splitlines()):
            raise InvalidArgument(f"{self._name} and {self._book_name} are not of one length", path="book_file")
        next(iter(self.rows()), None)

    def rows(self) -> Iterator[tuple[int, PriceRow]]:
        time = 0
        flow = zip(lobster_flow(self._text, self._name), first_levels(self._levels, self._book_name), strict=True)
        for deed, best in flow:
            time = time if deed is None else deed.time
            yield time, self.row(deed, *best)


class Itch(_Recorded):
    """One stock of an ITCH 5.0 file, its book kept as the feed says: nothing is matched."""

    table = (Property(name="stock", kind="text", default="", is_fixed=True, meaning="its symbol in the file"),)

    def check(self) -> None:
        self._name, self._stock = self.properties["file"], self.properties["stock"]
        self._data = self.files.read(self._name)
        if self._stock not in {
            message.fields["stock"] for message in read_itch(self._data, self._name) if message.type == "R"
        }:
            raise InvalidArgument(f"{self._name} has no stock {self._stock!r}", path="stock")
        self.available = sum(1 for _ in self.rows())

    def rows(self) -> Iterator[tuple[int, PriceRow]]:
        book = Book()
        orders: dict[int, BookOrder] = {}
        best = self._best(book)
        for deed in itch_flow(self._data, self._name, self._stock):
            if deed is None:
                continue
            self._apply(deed, book, orders)
            before, best = best, self._best(book)
            if best != before or (deed.act in (Act.TRADE, Act.HIDDEN) and deed.counts):
                yield deed.time, self.row(deed, *best)

    def _apply(self, deed: Deed, book: Book, orders: dict[int, BookOrder]) -> None:
        price = int(deed.price / _CENTS)
        if deed.act is Act.ADD:
            order = orders[deed.reference] = BookOrder(deed.reference, deed.sign, price, deed.size)
            book.side(deed.sign).add(order, price)
        elif deed.act is not Act.HIDDEN:
            order = orders[deed.reference]
            if deed.size < order.leaves:
                book.reduce(order, deed.size)
            else:
                book.remove(order)
                del orders[deed.reference]

    @staticmethod
    def _best(book: Book) -> tuple[Decimal | None, int, Decimal | None, int]:
        bid, offer = book.side(BUY).best, book.side(SELL).best
        return (
            None if bid is None else bid.price * _CENTS,
            0 if bid is None else bid.shown,
            None if offer is None else offer.price * _CENTS,
            0 if offer is None else offer.shown,
        )
