"""A bot that plays a recorded flow of orders into the book: each order of the file is an order of the venue."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from txtrader.errors import InvalidArgument
from txtrader.exsim.bots.base import Bot, round_ticks
from txtrader.exsim.orders import Order
from txtrader.exsim.playing import SPEED, Player
from txtrader.exsim.properties import Property
from txtrader.exsim.records import Changes
from txtrader.exsim.sources.order_flow import Act, Deed, all_levels, itch_flow, lobster_flow
from txtrader.model.order import TimeInForce

__all__ = ["Replay"]


class Replay(Bot):
    """Add, reduce and cancel as the file says; of a trade send the order that came and traded.

    What an order of the file trades with is up to the book: where there are others, trades differ from the file's.
    What stood in the book before a LOBSTER file began is known by its levels alone (`book_file`): one order for each.
    """

    table = (
        Property(name="file", kind="text", default="", is_fixed=True, meaning="below the folder of data files"),
        Property(
            name="format",
            kind="text",
            default="lobster",
            choices=("lobster", "itch"),
            is_fixed=True,
            meaning="what the file holds",
        ),
        Property(
            name="book_file", kind="text", default="", is_fixed=True, meaning="LOBSTER: the order book file beside it"
        ),
        Property(name="stock", kind="text", default="", is_fixed=True, meaning="ITCH: the stock's symbol in the file"),
        Property(
            name="scale",
            kind="decimal",
            default=Decimal(1),
            least=Decimal("0.000001"),
            most=1_000_000,
            is_fixed=True,
            meaning="what prices are multiplied with; then they are rounded away from the market to the tick",
        ),
        SPEED,
    )

    def check(self) -> None:
        if self.properties["format"] == "itch" and not self.properties["stock"]:
            raise InvalidArgument("of an ITCH file a stock has to be named", path="stock")
        if not hasattr(self, "player"):
            self.player: Player[Deed | None] | None = None
            self.unknown = 0  # deeds about orders that the file did not begin with
            self.trades = 0
            self._mine: dict[int, Order] = {}
            self._lumps: dict[tuple[int, int], Order] = {}

    def begin(self) -> None:
        if self.player is None or self.player.is_over:
            self.player = self._open()
            self._mine.clear()
            self._lumps.clear()
        self._put_first_levels()
        self.player.start()
        self.undo_later(self.player.stop)

    def status(self) -> dict[str, Any]:
        done = 0 if self.player is None else self.player.done
        over = self.player is not None and self.player.is_over
        return {**super().status(), "done": done, "is_over": over, "unknown": self.unknown, "trades": self.trades}

    def _open(self) -> Player[Deed | None]:
        name = self.properties["file"]
        if self.properties["format"] == "itch":
            flow: Iterator[Deed | None] = itch_flow(self.files.read(name), name, self.properties["stock"])
        else:
            flow = lobster_flow(self.files.read_text(name), name)
        return Player(
            self.venue.clock,
            _with_times(flow),
            self._play,
            speed=lambda: self.properties["speed"],
            on_end=lambda: self.venue.tape.write("bot", self.name, "over"),
            guard=lambda call: self.guarded(call),
        )

    def _put_first_levels(self) -> None:
        """Enter what stood there before the first message, worst prices first, as the first row shows it."""
        assert self.player is not None
        name = self.properties["book_file"]
        if not name or self.player.done:
            return
        rows = next(all_levels(self.files.read_text(name, path="book_file"), name), [])
        for bid, bid_size, offer, offer_size in reversed(rows):
            for sign, price, size in ((1, bid, bid_size), (-1, offer, offer_size)):
                if price is not None:
                    ticks = self._ticks(price, sign)
                    self._lumps[sign, ticks] = self.submit(sign, self.lots(Decimal(size)), ticks)

    # -- deeds

    def _play(self, deed: Deed | None) -> None:
        if deed is None or deed.act is Act.HIDDEN:
            return
        price = self._ticks(deed.price, deed.sign)
        if deed.act is Act.ADD:
            self._mine[deed.reference] = self.submit(deed.sign, self.lots(Decimal(deed.size)), price)
            self._unlump(deed, price)
            return
        order = self._mine.get(deed.reference) or self._lumps.get((deed.sign, price))
        if order is None or not order.is_open:
            self.unknown += 1
            self._mine.pop(deed.reference, None)
            return
        lots = self.lots(Decimal(deed.size))
        if deed.act is Act.TRADE:
            self.trades += 1
            assert order.price is not None
            self.submit(-deed.sign, lots, order.price, tif=TimeInForce.IOC)
        elif lots < order.leaves:
            self.venue.replace(self.owner, order.id, Changes(quantity=(order.lots - lots) * self.listing.step))
        else:
            self.cancel(order)
        if order.level is None:  # it has gone; a lump is nobody's reference
            self._mine.pop(deed.reference, None)

    def _unlump(self, deed: Deed, price: int) -> None:
        """Take the first order out of its lump: the first row is the book after the first message."""
        assert self.player is not None
        lump = self._lumps.get((deed.sign, price))
        if self.player.done != 1 or lump is None:
            return
        lots = self.lots(Decimal(deed.size))
        if lots < lump.leaves:
            self.venue.replace(self.owner, lump.id, Changes(quantity=(lump.lots - lots) * self.listing.step))
        else:
            self.cancel(lump)

    def _ticks(self, price: Decimal, sign: int) -> int:
        exact = price * self.properties["scale"] / self.listing.tick
        ticks = int(exact.to_integral_value(ROUND_FLOOR if sign > 0 else ROUND_CEILING))
        return round_ticks(self.listing, ticks, sign)


def _with_times(flow: Iterator[Deed | None]) -> Iterator[tuple[int, Deed | None]]:
    """Give what says nothing the time of what came before it."""
    time = 0
    for deed in flow:
        time = time if deed is None else deed.time
        yield time, deed
