"""Market-data lines: ticks by type, snapshots, data types."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from txtrader.dialects.tws.words import TickType
from txtrader.exsim.endpoints.tws.option_quotes import send_option_ticks
from txtrader.exsim.endpoints.tws.service import Answer, RequestFailed, Service
from txtrader.exsim.endpoints.tws.times import SECOND
from txtrader.exsim.listeners import MarketListener
from txtrader.exsim.phases import CALLS
from txtrader.exsim.records import Indicative, Listing, Phase, Print, SessionStats, Top
from txtrader.exsim.venue import Watch
from txtrader.model.instrument import SecType
from txtrader.model.numbers import plain, plain_text
from txtrader.wire.tws.message import Message

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.tws.connection import TwsConnection

__all__ = ["Line", "Quotes"]

LIVE, FROZEN, DELAYED, DELAYED_FROZEN = 1, 2, 3, 4
_TRADE_TICKS, _ALL_TRADE_TICKS, _MARK, _SHORTABLE, _AUCTION = 233, 375, 221, 236, 225
_LEGAL_TICKS = frozenset(
    {100, 101, 104, 105, 106, 125, 165, 221, 225, 232, 233, 236, 256, 258, 292, 293, 294, 295, 318, 370, 375}
    | {411, 456, 460, 499, 506, 511, 512, 576, 577, 586, 587, 588, 595, 614, 619, 623, 646, 659}
)
_HALTS = {Phase.HALT: 1, Phase.PAUSE: 2}  # the wire has words for these alone; all the rest is not halted
_NO_PRICE = Decimal(-1)
_ZERO = Decimal(0)
_DELAYED_TICKS = {
    TickType.BID: TickType.DELAYED_BID,
    TickType.ASK: TickType.DELAYED_ASK,
    TickType.LAST: TickType.DELAYED_LAST,
    TickType.BID_SIZE: TickType.DELAYED_BID_SIZE,
    TickType.ASK_SIZE: TickType.DELAYED_ASK_SIZE,
    TickType.LAST_SIZE: TickType.DELAYED_LAST_SIZE,
    TickType.HIGH: TickType.DELAYED_HIGH,
    TickType.LOW: TickType.DELAYED_LOW,
    TickType.VOLUME: TickType.DELAYED_VOLUME,
    TickType.CLOSE: TickType.DELAYED_CLOSE,
    TickType.OPEN: TickType.DELAYED_OPEN,
    TickType.LAST_TIMESTAMP: TickType.DELAYED_LAST_TIMESTAMP,
    TickType.HALTED: TickType.DELAYED_HALTED,
}


class Line(MarketListener):
    """One market-data subscription; sends what changed since it last spoke."""

    def __init__(
        self, quotes: Quotes, req_id: int, listing: Listing, generic: frozenset[int], *, is_delayed: bool
    ) -> None:
        self.listing = listing
        self.watch: Watch | None = None
        self.is_blocked = False
        self._connection = quotes.connection
        self._venue = quotes.venue
        self._req_id = req_id
        self._generic = generic
        self._is_delayed = is_delayed
        self._has_trades = listing.sectype is not SecType.CASH
        self._bid: tuple[Decimal | None, Decimal | None] = (None, None)
        self._ask: tuple[Decimal | None, Decimal | None] = (None, None)
        self._last: Decimal | None = None
        self._last_second = 0
        self._shown: dict[TickType, Decimal] = {}
        self._model_time = 0

    # -- what the venue tells

    def top_changed(self, top: Top) -> None:
        if self.is_blocked:
            return
        with self._connection.together():
            self._bid = self._side(TickType.BID, TickType.BID_SIZE, self._bid, top.bid, top.bid_size)
            self._ask = self._side(TickType.ASK, TickType.ASK_SIZE, self._ask, top.ask, top.ask_size)
            if self.listing.right and top.time - self._model_time >= SECOND:
                self._model_time = top.time
                send_option_ticks(self._connection, self._req_id, self.listing, top)

    def printed(self, trade: Print) -> None:
        if self.is_blocked or not self._has_trades:
            return
        with self._connection.together():
            second = trade.time // SECOND
            if second != self._last_second:
                self._last_second = second
                self._string(TickType.LAST_TIMESTAMP, str(second))
            if trade.price != self._last:
                self._last = trade.price
                self._price(TickType.LAST, trade.price, trade.size)
            else:
                self._size(TickType.LAST_SIZE, trade.size)
            self._size(TickType.VOLUME, trade.volume)
            self._trade_strings(trade)
            if _MARK in self._generic:
                self._price(TickType.MARK_PRICE, self._venue.mark(self.listing.id), _ZERO)

    def stats_changed(self, stats: SessionStats) -> None:
        if self.is_blocked:
            return
        with self._connection.together():
            self._figures(stats)

    def phase_changed(self, listing_id: int, phase: Phase) -> None:
        if self.is_blocked:
            return
        with self._connection.together():
            self._generic_tick(TickType.HALTED, _HALTS.get(phase, 0))
            if phase not in CALLS and TickType.AUCTION_PRICE in self._shown:
                self.indicative_changed(self._venue.indicative(listing_id))  # it is over

    def indicative_changed(self, figures: Indicative) -> None:
        if self.is_blocked or _AUCTION not in self._generic:
            return
        with self._connection.together():
            price = _NO_PRICE if figures.price is None else figures.price
            if self._is_news(TickType.AUCTION_PRICE, price):
                self._price(TickType.AUCTION_PRICE, price, _ZERO)
            for tick, size in (
                (TickType.AUCTION_VOLUME, figures.volume),
                (TickType.AUCTION_IMBALANCE, figures.surplus),
                (TickType.REGULATORY_IMBALANCE, figures.surplus),  # the venue knows of one imbalance only
            ):
                if self._is_news(tick, size):
                    self._size(tick, size)

    # -- the first picture

    def send_all(self) -> None:
        """Send every tick that the venue knows."""
        listing_id = self.listing.id
        stats = self._venue.stats(listing_id)
        with self._connection.together():
            self._bid = self._ask = (None, None)
            self._shown.clear()
            self._model_time = 0
            self.top_changed(self._venue.top(listing_id))
            if self._has_trades and stats.last is not None:
                self._last = stats.last
                if stats.last_time is not None:
                    self._last_second = stats.last_time // SECOND
                    self._string(TickType.LAST_TIMESTAMP, str(self._last_second))
                self._price(TickType.LAST, stats.last, stats.last_size or _ZERO)
                self._size(TickType.VOLUME, stats.volume)
            self._figures(stats)
            self._generic_tick(TickType.HALTED, _HALTS.get(self._venue.phase(listing_id), 0))
            if _SHORTABLE in self._generic and self.listing.sectype is SecType.STOCK:
                self._connection.send("tickGeneric", reqId=self._req_id, tickType=46, value=Decimal(3))
            if _MARK in self._generic:
                self._price(TickType.MARK_PRICE, self._venue.mark(listing_id), _ZERO)
            if self._venue.phase(listing_id) in CALLS:
                self.indicative_changed(self._venue.indicative(listing_id))

    # -- single ticks

    def _side(
        self,
        price_tick: TickType,
        size_tick: TickType,
        former: tuple[Decimal | None, Decimal | None],
        price: Decimal | None,
        size: Decimal | None,
    ) -> tuple[Decimal | None, Decimal | None]:
        if price != former[0]:
            self._price(price_tick, _NO_PRICE if price is None else price, size or _ZERO)
        elif size != former[1]:
            self._size(size_tick, size or _ZERO)
        return (price, size)

    def _figures(self, stats: SessionStats) -> None:
        for tick, value in (
            (TickType.HIGH, stats.high),
            (TickType.LOW, stats.low),
            (TickType.CLOSE, stats.previous_close),
            (TickType.OPEN, stats.open),
        ):
            if value is not None and self._is_news(tick, value):
                self._price(tick, value, _ZERO)

    def _is_news(self, tick: TickType, value: Decimal) -> bool:
        """Tell whether a value is not the last one that was sent, and remember it."""
        if self._shown.get(tick) == value:
            return False
        self._shown[tick] = value
        return True

    def _trade_strings(self, trade: Print) -> None:
        if not self._generic:
            return
        for generic, tick in (
            (_TRADE_TICKS, TickType.RT_VOLUME),
            (_ALL_TRADE_TICKS, TickType.RT_TRADE_VOLUME),
        ):
            if generic in self._generic:
                vwap = self._venue.stats(self.listing.id).vwap or trade.price
                text = ";".join(
                    (
                        plain_text(trade.price),
                        plain_text(trade.size),
                        str(trade.time // 1_000_000),
                        plain_text(trade.volume),
                        plain_text(vwap.quantize(Decimal("0.00000001"))),
                        "true",
                    )
                )
                self._connection.send("tickString", reqId=self._req_id, tickType=int(tick), value=text)

    def _number(self, tick: TickType) -> int:
        return int(_DELAYED_TICKS.get(tick, tick)) if self._is_delayed else int(tick)

    def _price(self, tick: TickType, price: Decimal, size: Decimal) -> None:
        self._connection.send(
            "tickPrice",
            reqId=self._req_id,
            tickType=self._number(tick),
            price=price,
            size=size,
            attrMask=1 if tick in (TickType.BID, TickType.ASK) else 0,
        )

    def _size(self, tick: TickType, size: Decimal) -> None:
        self._connection.send("tickSize", reqId=self._req_id, tickType=self._number(tick), size=size)

    def _string(self, tick: TickType, text: str) -> None:
        self._connection.send("tickString", reqId=self._req_id, tickType=self._number(tick), value=text)

    def _generic_tick(self, tick: TickType, value: int) -> None:
        self._connection.send("tickGeneric", reqId=self._req_id, tickType=self._number(tick), value=Decimal(value))


class Quotes(Service):
    """One client's market-data lines."""

    def __init__(self, connection: TwsConnection) -> None:
        super().__init__(connection)
        self.lines: dict[int, Line] = {}
        self._data_type = LIVE

    @property
    def answers(self) -> Mapping[str, Answer]:
        return {
            "reqMktData": self.subscribe,
            "cancelMktData": self.unsubscribe,
            "reqMarketDataType": self.set_data_type,
        }

    def subscribe(self, message: Message) -> None:
        """Open a line, or answer a snapshot."""
        req_id = message["reqId"]
        is_snapshot = message["snapshot"] or message["regulatorySnapshot"]
        if req_id in self.lines:
            raise RequestFailed(102, "Duplicate ticker id")
        listing = self.endpoint.listings.resolve(message.fields)
        generic = _generic_ticks(message["genericTickList"])
        if is_snapshot and generic:
            raise RequestFailed(321, "Error validating request.-'bM' : cause - Snapshots take no generic ticks")
        self._check_old_client(req_id, listing)
        is_delayed = self._delayed_or_refused(req_id)
        if not is_snapshot and len(self.lines) >= self.endpoint.options.line_limit:
            raise RequestFailed(101, "Max number of tickers has been reached")
        line = Line(self, req_id, listing, generic, is_delayed=is_delayed)
        with self.connection.together():
            self.send(
                "tickReqParams",
                reqId=req_id,
                minTick=plain(listing.tick),
                bboExchange="a6" if listing.sectype is SecType.STOCK else "",
                snapshotPermissions=3,
            )
            self.send("marketDataType", reqId=req_id, marketDataType=self._shown_type(is_delayed))
            line.send_all()
        if is_snapshot:
            self.send("tickSnapshotEnd", reqId=req_id)
            return
        self.lines[req_id] = line
        line.watch = self.venue.watch(listing.id, line)

    def unsubscribe(self, message: Message) -> None:
        """Close a line."""
        line = self.lines.pop(message["reqId"], None)
        if line is None:
            raise RequestFailed(300, f"Can't find EId with tickerId:{message['reqId']}")
        _close(line)

    def set_data_type(self, message: Message) -> None:
        """Choose live, frozen or delayed data for the lines to come."""
        if message["marketDataType"] not in (LIVE, FROZEN, DELAYED, DELAYED_FROZEN):
            raise RequestFailed(321, "Error validating request.-'bQ' : cause - Invalid market data type")
        self._data_type = message["marketDataType"]

    def block(self, code: int, text: str) -> None:
        """Stop the ticks of every line and say why."""
        for req_id, line in self.lines.items():
            line.is_blocked = True
            self.connection.error(req_id, code, text)

    def unblock(self) -> None:
        """Let the lines tick again, from a whole picture."""
        for line in self.lines.values():
            line.is_blocked = False
            line.send_all()

    def close(self) -> None:
        for line in self.lines.values():
            _close(line)
        self.lines.clear()

    def _delayed_or_refused(self, req_id: int) -> bool:
        """Tell whether this client gets delayed data; raises RequestFailed where it gets none."""
        if self.endpoint.options.has_live_data:
            return False
        if self._data_type in (DELAYED, DELAYED_FROZEN):
            self.connection.error(
                req_id, 10167, "Requested market data is not subscribed. Displaying delayed market data."
            )
            return True
        raise RequestFailed(354, "Requested market data is not subscribed. Delayed market data is available.")

    def _shown_type(self, is_delayed: bool) -> int:
        # The venue never sleeps, so that frozen data is live data, under its own name.
        if is_delayed:
            return self._data_type
        return FROZEN if self._data_type == FROZEN else LIVE

    def _check_old_client(self, req_id: int, listing: Listing) -> None:
        if not self.endpoint.options.limits_old_clients or self.connection.version >= 163:
            return
        if listing.sectype in (SecType.CASH, SecType.CRYPTO):
            raise RequestFailed(10285, "Your API version does not support fractional size rules.")
        self.connection.error(req_id, 2176, "Warning: Your API version does not support fractional share sizes.")


def _generic_ticks(text: str) -> frozenset[int]:
    wanted = set()
    for word in (text or "").replace(" ", "").split(","):
        if not word or word.startswith("mdoff"):
            continue
        number = int(word) if word.isascii() and word.isdigit() and len(word) < 6 else -1
        if number not in _LEGAL_TICKS and not word.startswith("292:"):
            raise RequestFailed(321, f"Error validating request.-'bM' : cause - Incorrect generic tick list of {text}.")
        wanted.add(number)
    return frozenset(wanted)


def _close(line: Line) -> None:
    if line.watch is not None:
        line.watch.close()
        line.watch = None
