"""Tick-by-tick data and five-second bars."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall

from txtrader.exsim.endpoints.tws.history_words import bar_source
from txtrader.exsim.endpoints.tws.service import Answer, RequestFailed, Service
from txtrader.exsim.endpoints.tws.tick_history import middles, past_quotes, past_trades
from txtrader.exsim.endpoints.tws.times import SECOND
from txtrader.exsim.listeners import MarketListener
from txtrader.exsim.records import Listing, Print, Top
from txtrader.exsim.venue import Watch
from txtrader.model.instrument import SecType
from txtrader.model.market import BarPeriod
from txtrader.wire.tws.message import Message

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.tws.connection import TwsConnection

__all__ = ["RealTime"]

_KINDS = {"Last": 1, "AllLast": 2, "BidAsk": 3, "MidPoint": 4}
_MAX_PAST = 1000
_BAR = BarPeriod(5, "s")
_BAR_NS = 5 * SECOND
_ZERO = Decimal(0)


class _TickByTick(MarketListener):
    def __init__(self, connection: TwsConnection, req_id: int, kind: int, *, ignores_size: bool) -> None:
        self.watch: Watch | None = None
        self._connection = connection
        self._req_id = req_id
        self._kind = kind
        self._ignores_size = ignores_size
        self._former: tuple[Decimal | None, ...] = ()

    def printed(self, trade: Print) -> None:
        if self._kind <= 2:
            self._connection.send(
                "tickByTick",
                reqId=self._req_id,
                tickType=self._kind,
                time=trade.time // SECOND,
                price=trade.price,
                size=trade.size,
                mask=0,
                exchange=trade.exchange,
                specialConditions="",
            )

    def top_changed(self, top: Top) -> None:
        if self._kind <= 2 or top.bid is None or top.ask is None:
            return
        if self._kind == 4:
            middle = (top.bid + top.ask) / 2
            if self._former != (middle,):
                self._former = (middle,)
                self._connection.send(
                    "tickByTick", reqId=self._req_id, tickType=4, time=top.time // SECOND, midPoint=middle
                )
            return
        shown = (top.bid, top.ask) if self._ignores_size else (top.bid, top.ask, top.bid_size, top.ask_size)
        if shown != self._former:
            self._former = shown
            self._connection.send(
                "tickByTick",
                reqId=self._req_id,
                tickType=3,
                time=top.time // SECOND,
                bidPrice=top.bid,
                askPrice=top.ask,
                bidSize=top.bid_size or _ZERO,
                askSize=top.ask_size or _ZERO,
                mask=0,
            )


class _Bars:
    """Five-second bars, told when each is over."""

    def __init__(self, service: RealTime, req_id: int, listing: Listing, source: str, *, regular: bool) -> None:
        self._service = service
        self._req_id = req_id
        self._listing = listing
        self._source = source
        self._regular = regular
        self._timer: IDelayedCall | None = None
        self._start = 0
        self._schedule()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        now = self._service.venue.now_ns()
        self._start = now - now % _BAR_NS
        wait = (self._start + _BAR_NS - now) / SECOND
        self._timer = self._service.endpoint.reactor.callLater(wait, self._tell)

    def _tell(self) -> None:
        venue = self._service.venue
        start = self._start
        self._schedule()
        bars = venue.bars(self._listing.id, _BAR, start, start + _BAR_NS, source=self._source, regular=self._regular)
        if bars:
            bar = bars[0]
            prices = (bar.open, bar.high, bar.low, bar.close)
            volume, count, wap = bar.volume, bar.count, bar.wap
        else:
            # Nothing traded: a bar without volume at the last price, as TWS sends it.
            prices = (venue.mark(self._listing.id),) * 4
            volume, count, wap = _ZERO, 0, None
        has_volume = self._source == "TRADES"
        self._service.send(
            "realtimeBar",
            reqId=self._req_id,
            time=start // SECOND,
            open=prices[0],
            high=prices[1],
            low=prices[2],
            close=prices[3],
            volume=(volume if volume is not None else _ZERO) if has_volume else Decimal(-1),
            wap=(wap if wap is not None else prices[3]) if has_volume else Decimal(-1),
            count=(count or 0) if has_volume else -1,
        )


class RealTime(Service):
    """One client's tick-by-tick requests and real-time bars."""

    def __init__(self, connection: TwsConnection) -> None:
        super().__init__(connection)
        self._ticks: dict[int, _TickByTick] = {}
        self._bars: dict[int, _Bars] = {}

    @property
    def answers(self) -> Mapping[str, Answer]:
        return {
            "reqTickByTickData": self.subscribe_ticks,
            "cancelTickByTickData": self.unsubscribe_ticks,
            "reqRealTimeBars": self.subscribe_bars,
            "cancelRealTimeBars": self.unsubscribe_bars,
        }

    def subscribe_ticks(self, message: Message) -> None:
        """Send some past ticks if asked for, then each new one."""
        req_id, wanted = message["reqId"], message["numberOfTicks"] or 0
        if req_id in self._ticks:
            raise RequestFailed(102, "Duplicate ticker id")
        kind = _KINDS.get(message["tickType"])
        if kind is None or not 0 <= wanted <= _MAX_PAST:
            raise RequestFailed(321, "Error validating request.-'cX' : cause - Invalid tick type or number of ticks")
        listing = self.endpoint.listings.resolve(message.fields)
        if (kind <= 2 and listing.sectype is SecType.CASH) or (kind > 2 and listing.sectype is SecType.INDEX):
            raise RequestFailed(
                10189, f"Failed to request tick-by-tick data:No market data permissions for {message['tickType']}"
            )
        if wanted:
            self._send_past(req_id, listing, kind, wanted)
        line = _TickByTick(self.connection, req_id, kind, ignores_size=message["ignoreSize"])
        self._ticks[req_id] = line
        line.watch = self.venue.watch(listing.id, line)
        line.top_changed(self.venue.top(listing.id))

    def _send_past(self, req_id: int, listing: Listing, kind: int, wanted: int) -> None:
        now = self.venue.now_ns()
        if kind <= 2:
            ticks = past_trades(self.venue, listing, 0, now, wanted, regular=False)
            self.send("historicalTicksLast", reqId=req_id, ticks=ticks, done=True)
            return
        quotes = past_quotes(self.venue, listing, 0, now, wanted, regular=False)
        if kind == 3:
            self.send("historicalTicksBidAsk", reqId=req_id, ticks=quotes, done=True)
        else:
            self.send("historicalTicks", reqId=req_id, ticks=middles(quotes), done=True)

    def unsubscribe_ticks(self, message: Message) -> None:
        """End a tick-by-tick request."""
        line = self._ticks.pop(message["reqId"], None)
        if line is None:
            raise RequestFailed(300, f"Can't find EId with tickerId:{message['reqId']}")
        if line.watch is not None:
            line.watch.close()

    def subscribe_bars(self, message: Message) -> None:
        """Send a bar every five seconds."""
        req_id = message["reqId"]
        if req_id in self._bars:
            raise RequestFailed(102, "Duplicate ticker id")
        if message["barSize"] not in (None, 5):
            raise RequestFailed(321, "Error validating request.-'ct' : cause - Only bars of five seconds are offered")
        source = bar_source(message["whatToShow"])
        if source not in ("TRADES", "MIDPOINT", "BID", "ASK"):
            raise RequestFailed(321, "Error validating request.-'ct' : cause - Invalid what to show")
        listing = self.endpoint.listings.resolve(message.fields)
        self._bars[req_id] = _Bars(self, req_id, listing, source, regular=message["useRTH"])

    def unsubscribe_bars(self, message: Message) -> None:
        """End a request for bars."""
        bars = self._bars.pop(message["reqId"], None)
        if bars is None:
            raise RequestFailed(300, f"Can't find EId with tickerId:{message['reqId']}")
        bars.stop()

    def close(self) -> None:
        for line in self._ticks.values():
            if line.watch is not None:
                line.watch.close()
        for bars in self._bars.values():
            bars.stop()
        self._ticks.clear()
        self._bars.clear()
