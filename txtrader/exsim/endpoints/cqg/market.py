"""Market data of the simulated CQG server: subscriptions at a level, snapshots, then quotes as they change."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from txtrader.exsim.endpoints.cqg.service import Answer, Service
from txtrader.exsim.listeners import MarketListener
from txtrader.exsim.market import Watch
from txtrader.exsim.records import DepthRow, Listing, Phase, Print, RowChange, SessionStats, Top
from txtrader.wire.cqg.schema import ServerMsg
from txtrader.wire.cqg.values import PriceScale, put_decimal, put_timestamp
from txtrader.wire.cqg.words import Indicator, Level, MarketStatus, QuoteType, SalesCondition

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.cqg.connection import CqgConnection

__all__ = ["MarketData"]

_DEPTH_ROWS = 10
_ZERO = Decimal(0)
_DAY = 86_400_000_000_000
_WITH_BEST = (Level.TRADES_BBA, Level.TRADES_BBA_VOLUMES, Level.TRADES_BBA_DOM, Level.TRADES_BBA_DETAILED_DOM)
_WITH_SIZES = (Level.TRADES_BBA_VOLUMES, Level.TRADES_BBA_DOM, Level.TRADES_BBA_DETAILED_DOM)
_WITH_TRADES = (Level.TRADES, *_WITH_BEST)


class _Line(MarketListener):
    """One contract's data for one client."""

    def __init__(self, service: MarketData, listing: Listing, contract_id: int, level: int) -> None:
        self._service = service
        self._listing = listing
        self._contract_id = contract_id
        self._scale = PriceScale(listing.tick)
        self.listing_id = listing.id
        self.level = level
        self.is_blocked = False
        self._shown: dict[QuoteType, tuple[Decimal | None, Decimal | None]] = {}
        self._extremes: tuple[Decimal | None, Decimal | None, Decimal | None] = (None, None, None)
        self._watch: Watch | None = None

    def start(self) -> None:
        """Send the snapshot, then listen."""
        depth = _DEPTH_ROWS if self.level == Level.TRADES_BBA_DOM else 0
        self.send_snapshot()
        self._watch = self._service.venue.watch(self._listing.id, self, depth=depth)

    def stop(self) -> None:
        """Listen no more."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def send_snapshot(self) -> None:
        """Send the last quote of each type and the day's values."""
        venue, listing_id = self._service.venue, self._listing.id
        message, data = self._message()
        data.is_snapshot = True
        data.correct_price_scale = float(self._listing.tick)
        stats, top = venue.stats(listing_id), venue.top(listing_id)
        now = venue.now_ns()
        data.quotes_trade_date = self._ms(now // _DAY * _DAY)
        self._shown.clear()
        if self.level in _WITH_TRADES and stats.last is not None:
            self._put(data, QuoteType.TRADE, stats.last, stats.last_size, stats.last_time or now)
        if self.level in _WITH_BEST:
            self._put_side(data, QuoteType.BESTBID, top.bid, top.bid_size, top.time)
            self._put_side(data, QuoteType.BESTASK, top.ask, top.ask_size, top.time)
        if self.level == Level.TRADES_BBA_DOM:
            bids, asks = venue.depth(listing_id, _DEPTH_ROWS)
            for kind, rows in ((QuoteType.BID, bids), (QuoteType.ASK, asks)):
                for row in rows:
                    self._put(data, kind, row.price, row.size, now)
        self._put(data, QuoteType.SETTLEMENT, stats.previous_close, None, now)
        self._extremes = (stats.open, stats.high, stats.low)
        values = data.market_values.add(day_index=0, trade_date=self._ms(now // _DAY * _DAY))
        for name, price in (
            ("scaled_open_price", stats.open),
            ("scaled_high_price", stats.high),
            ("scaled_low_price", stats.low),
            ("scaled_last_price_no_settlement", stats.last),
            ("scaled_yesterday_settlement", stats.previous_close),
            ("scaled_last_trade_price", stats.last),
        ):
            if price is not None:
                setattr(values, name, self._scale.scaled(price))
        put_decimal(values.total_volume, stats.volume)
        values.total_volume.SetInParent()
        values.tick_volume = stats.trades
        if stats.last_size is not None:
            put_decimal(values.last_trade_volume, stats.last_size)
        if stats.last_time is not None:
            put_timestamp(values.last_trade_utc_timestamp, stats.last_time)
        self._service.connection.send(message)

    # -- what the venue tells

    def top_changed(self, top: Top) -> None:
        if self.is_blocked or self.level not in _WITH_BEST:
            return
        message, data = self._message()
        self._put_side(data, QuoteType.BESTBID, top.bid, top.bid_size, top.time)
        self._put_side(data, QuoteType.BESTASK, top.ask, top.ask_size, top.time)
        if data.quotes:
            self._service.connection.send(message)

    def printed(self, trade: Print) -> None:
        if self.is_blocked or self.level not in _WITH_TRADES:
            return
        message, data = self._message()
        quote = self._put(data, QuoteType.TRADE, trade.price, trade.size, trade.time)
        quote.sales_condition = int(
            SalesCondition.BUY_SIDE_AGGRESSOR if trade.aggressor.sign > 0 else SalesCondition.SELL_SIDE_AGGRESSOR
        )
        first, high, low = self._extremes
        quote.indicators.append(int(Indicator.LAST))
        if first is None:
            first = trade.price
            quote.indicators.append(int(Indicator.OPEN))
        if high is None or trade.price > high:
            high = trade.price
            quote.indicators.append(int(Indicator.HIGH))
        if low is None or trade.price < low:
            low = trade.price
            quote.indicators.append(int(Indicator.LOW))
        self._extremes = (first, high, low)
        self._service.connection.send(message)

    def stats_changed(self, stats: SessionStats) -> None:
        if (stats.open, stats.high, stats.low) == self._extremes or self.is_blocked:
            return
        if stats.open is None:
            self.send_snapshot()  # a new trading day

    def phase_changed(self, listing_id: int, phase: Phase) -> None:
        """Nothing: market states come only to those who include them."""

    def depth_changed(self, listing_id: int, changes: tuple[RowChange, ...]) -> None:
        if self.is_blocked or self._watch is None:
            return  # the first call, inside `watch`, repeats the snapshot
        levels: dict[tuple[QuoteType, Decimal], DepthRow | None] = {}
        for change in changes:
            kind = QuoteType.BID if change.side.sign > 0 else QuoteType.ASK
            levels[kind, change.row.price] = None if change.operation == "delete" else change.row
        message, data = self._message()
        now = self._service.venue.now_ns()
        for (kind, price), row in levels.items():
            self._put(data, kind, price, _ZERO if row is None else row.size, now)
        if data.quotes:
            self._service.connection.send(message)

    # -- single quotes

    def _message(self) -> tuple[Any, Any]:
        message = ServerMsg()
        return message, message.real_time_market_data.add(contract_id=self._contract_id)

    def _ms(self, ns: int) -> int:
        return self._service.user_session.base_time.milliseconds(ns)

    def _put(self, data: Any, kind: QuoteType, price: Decimal, size: Decimal | None, time: int) -> Any:
        moment = self._ms(time)
        quote = data.quotes.add(type=int(kind), scaled_price=self._scale.scaled(price))
        if _time_in_force(data) != moment:
            quote.quote_utc_time = moment
        if size is not None:
            put_decimal(quote.volume, size)
            quote.volume.SetInParent()
        return quote

    def _put_side(self, data: Any, kind: QuoteType, price: Decimal | None, size: Decimal | None, time: int) -> None:
        shown = (price, size if self.level in _WITH_SIZES else None)
        former = self._shown.get(kind)
        if former == shown or (former is None and price is None):
            return
        self._shown[kind] = shown
        if price is not None:
            self._put(data, kind, price, shown[1], time)
        elif former is not None and former[0] is not None:
            self._put(data, kind, former[0], _ZERO, time)  # volume zero: that side is gone


def _time_in_force(data: Any) -> int | None:
    """Return the time of the quote before the last: one that says none has that of the one before it."""
    for quote in reversed(list(data.quotes)[:-1]):
        if quote.HasField("quote_utc_time"):
            return int(quote.quote_utc_time)
    return None


class MarketData(Service):
    """One client's market data subscriptions."""

    def __init__(self, connection: CqgConnection) -> None:
        super().__init__(connection)
        self._lines: dict[int, _Line] = {}

    @property
    def answers(self) -> Mapping[str, Answer]:
        return {"market_data_subscriptions": self.subscribe}

    def subscribe(self, request: Any) -> None:
        """Begin, change or end a subscription."""
        listing = self.user_session.listing(request.contract_id)
        old = self._lines.pop(request.contract_id, None)
        if old is not None:
            old.stop()
        level = int(request.level)
        limit = self.endpoint.meters.most("lines")
        if listing is None and self.user_session.any_listing(request.contract_id) is not None:
            self._answer(request, MarketStatus.DELETED, 0, "the contract has expired")
        elif listing is None:
            self._answer(request, MarketStatus.INVALID_PARAMS, 0, "no such contract in this session")
        elif level == Level.NONE:
            self._answer(request, MarketStatus.SUCCESS, 0)
        elif level not in Level.__members__.values():
            self._answer(request, MarketStatus.INVALID_PARAMS, 0, "no such level")
        elif limit is not None and len(self._lines) >= limit:
            self._answer(request, MarketStatus.SUBSCRIPTION_LIMIT_VIOLATION, 0, "too many subscriptions")
        else:
            granted = int(Level.TRADES_BBA_DOM) if level == Level.TRADES_BBA_DETAILED_DOM else level
            if self.endpoint.most_level is not None and granted in _WITH_TRADES:
                granted = min(granted, self.endpoint.most_level)
            line = _Line(self, listing, request.contract_id, granted)
            self._lines[request.contract_id] = line
            self._answer(request, MarketStatus.SUCCESS, granted)
            line.start()

    def has_line(self, listing_id: int) -> int:
        """Count the subscriptions on a listing."""
        return sum(line.listing_id == listing_id for line in self._lines.values())

    def interrupt(self, is_lost: bool) -> None:
        """Report all subscriptions as disconnected, or as back."""
        for number, line in self._lines.items():
            line.is_blocked = is_lost
            message = ServerMsg()
            code = MarketStatus.DISCONNECTED if is_lost else MarketStatus.SUCCESS
            message.market_data_subscription_statuses.add(contract_id=number, status_code=int(code), level=line.level)
            self.connection.send(message)
            if not is_lost:
                line.send_snapshot()

    def repeat_snapshots(self) -> None:
        """Send all snapshots again."""
        for line in self._lines.values():
            line.send_snapshot()

    def close(self) -> None:
        for line in self._lines.values():
            line.stop()
        self._lines.clear()

    def _answer(self, request: Any, code: MarketStatus, level: int, text: str = "") -> None:
        message = ServerMsg()
        status = message.market_data_subscription_statuses.add(
            contract_id=request.contract_id, status_code=int(code), level=level
        )
        if request.HasField("request_id"):
            status.request_id = request.request_id
        if text:
            status.details.text = text
        self.connection.send(message)
