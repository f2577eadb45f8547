"""Historical bars and ticks, head stamps, histograms, trading schedules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from txtrader.dialects.tws.times import time_from_wire, time_to_wire
from txtrader.exsim.endpoints.tws.history_words import (
    BAR_SIZES,
    NO_DATA,
    Duration,
    bar_source,
    read_end,
    window_of,
)
from txtrader.exsim.endpoints.tws.live_bars import LiveBars
from txtrader.exsim.endpoints.tws.service import Answer, RequestFailed, Service
from txtrader.exsim.endpoints.tws.tick_history import middles, past_quotes, past_trades
from txtrader.exsim.endpoints.tws.times import SECOND, moment
from txtrader.exsim.records import Listing
from txtrader.model.instrument import SecType
from txtrader.model.market import Bar, BarPeriod
from txtrader.wire.tws.message import Message

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.tws.connection import TwsConnection

__all__ = ["History"]

_ZERO = Decimal(0)
_UNKNOWN = Decimal(-1)
_DAY_NS = 86400 * SECOND
_END_SINCE = 196
_HISTOGRAM_UNITS = {"second": "S", "minute": "S", "hour": "S", "day": "D", "week": "W", "month": "M", "year": "Y"}
_HISTOGRAM_SECONDS = {"second": 1, "minute": 60, "hour": 3600}


class History(Service):
    """One client's questions about the past."""

    def __init__(self, connection: TwsConnection) -> None:
        super().__init__(connection)
        self._live: dict[int, LiveBars] = {}

    @property
    def answers(self) -> Mapping[str, Answer]:
        return {
            "reqHistoricalData": self.bars,
            "cancelHistoricalData": self.cancel_bars,
            "reqHeadTimeStamp": self.head,
            "cancelHeadTimeStamp": self.ignore,
            "reqHistogramData": self.histogram,
            "cancelHistogramData": self.ignore,
            "reqHistoricalTicks": self.ticks,
        }

    # -- bars

    def bars(self, message: Message) -> None:
        """Answer bars, or a schedule; with keepUpToDate go on with the bar in the making."""
        fields = message.fields
        req_id = fields["reqId"]
        listing = self.endpoint.listings.resolve(fields)
        source = bar_source(fields["whatToShow"])
        duration = Duration(fields["durationStr"])
        now = self.venue.now_ns()
        end = min(read_end(fields["endDateTime"], now, self.endpoint.zone), now)
        if source == "SCHEDULE":
            self._send_schedule(req_id, listing, end, duration, regular=fields["useRTH"])
            return
        period = BAR_SIZES.get(fields["barSizeSetting"])
        if period is None:
            raise RequestFailed(
                321, f"Error validating request.-'bH' : cause - Invalid bar size: {fields['barSizeSetting']}"
            )
        if source == "TRADES" and listing.sectype is SecType.CASH:
            raise RequestFailed(162, f"{NO_DATA}{listing.symbol}@{listing.exchange} Trades")
        keeps = fields["keepUpToDate"]
        if keeps and fields["endDateTime"]:
            raise RequestFailed(321, "Error validating request.-'bH' : cause - keepUpToDate takes no end time")
        if keeps and period.seconds < 5:
            raise RequestFailed(321, "Error validating request.-'bH' : cause - keepUpToDate needs bars of 5 seconds")
        start = window_of(self.venue, listing, end, duration, period, regular=fields["useRTH"])
        bars = self.read_bars(listing, period, start, end, source, regular=fields["useRTH"])
        if not bars and not keeps:
            raise RequestFailed(162, f"{NO_DATA}{listing.symbol}@{listing.exchange} {fields['whatToShow'].title()}")
        first, last = (self.endpoint.zone.stamp(time, self.connection.version) for time in (start, end))
        written = [self.write_bar(bar, period, fields["formatDate"], source) for bar in bars]
        self.send("historicalData", reqId=req_id, start=first, end=last, bars=written)
        if self.connection.version >= _END_SINCE:
            self.send("historicalDataEnd", reqId=req_id, start=first, end=last)
        if keeps:
            if req_id in self._live:
                self._live.pop(req_id).close()
            self._live[req_id] = LiveBars(
                self, req_id, listing, period, source, fields["formatDate"], regular=fields["useRTH"]
            )

    def cancel_bars(self, message: Message) -> None:
        """End the updates."""
        live = self._live.pop(message["reqId"], None)
        if live is None:
            raise RequestFailed(366, f"No historical data query found for ticker id:{message['reqId']}")
        live.close()

    def read_bars(
        self, listing: Listing, period: BarPeriod, start: int, end: int, source: str, *, regular: bool
    ) -> list[Bar]:
        """Ask the venue; bars of bid and offer together are made of both."""
        if source != "BID_ASK":
            return self.venue.bars(listing.id, period, start, end, source=source, regular=regular)
        bids = self.venue.bars(listing.id, period, start, end, source="BID", regular=regular)
        asks = self.venue.bars(listing.id, period, start, end, source="ASK", regular=regular)
        # TWS: open and close are averages of bid and offer, low the lowest bid, high the highest offer.
        return [
            Bar(
                time=bid.time,
                open=(bid.open + bid.close) / 2,
                high=ask.high,
                low=bid.low,
                close=(ask.open + ask.close) / 2,
            )
            for bid, ask in zip(bids, asks, strict=True)
        ]

    def write_bar(self, bar: Bar, period: BarPeriod, format_date: int | None, source: str) -> dict[str, Any]:
        """Write one bar; those not of trades have no volume, which is -1."""
        if period.unit in "DWM":
            date = moment(bar.time).strftime("%Y%m%d")
        elif format_date == 2:
            date = str(bar.time // SECOND)
        else:
            date = self.endpoint.zone.stamp(bar.time, self.connection.version)
        trades = source == "TRADES"
        return {
            "date": date,
            "open": bar.open,
            "high": bar.high,
            "low": bar.low,
            "close": bar.close,
            "volume": (bar.volume if bar.volume is not None else _ZERO) if trades else _UNKNOWN,
            "wap": (bar.wap if bar.wap is not None else bar.close) if trades else _UNKNOWN,
            "barCount": (bar.count or 0) if trades else -1,
        }

    def _send_schedule(self, req_id: int, listing: Listing, end: int, duration: Duration, *, regular: bool) -> None:
        zone = ZoneInfo(listing.time_zone)
        start = window_of(self.venue, listing, end, duration, BarPeriod(1, "D"), regular=regular)
        sessions = [
            {
                "startDateTime": moment(times.start, zone).strftime("%Y%m%d-%H:%M:%S"),
                "endDateTime": moment(times.end, zone).strftime("%Y%m%d-%H:%M:%S"),
                "refDate": times.date,
            }
            for times in self.venue.sessions(listing.id, start, end + _DAY_NS, regular=regular)
            if times.start <= end
        ]
        self.send(
            "historicalSchedule",
            reqId=req_id,
            startDateTime=sessions[0]["startDateTime"] if sessions else "",
            endDateTime=sessions[-1]["endDateTime"] if sessions else "",
            timeZone=listing.time_zone,
            sessions=sessions,
        )

    # -- the rest

    def ignore(self, message: Message) -> None:
        """Take the cancel of a request that was answered at once."""

    def head(self, message: Message) -> None:
        """Answer when the data begins."""
        listing = self.endpoint.listings.resolve(message.fields)
        bar_source(message["whatToShow"])
        time = self.venue.head_time(listing.id)
        text = str(time // SECOND) if message["formatDate"] == 2 else time_to_wire(time)
        self.send("headTimestamp", reqId=message["reqId"], headTimestamp=text)

    def histogram(self, message: Message) -> None:
        """Answer how much traded at which price."""
        listing = self.endpoint.listings.resolve(message.fields)
        duration = _histogram_duration(message["timePeriod"])
        now = self.venue.now_ns()
        period = BarPeriod(1, "m") if duration.seconds <= 7 * 86400 else BarPeriod(30, "m")
        start = window_of(self.venue, listing, now, duration, period, regular=message["useRTH"])
        sizes: dict[Decimal, Decimal] = defaultdict(Decimal)
        for bar in self.venue.bars(listing.id, period, start, now, regular=message["useRTH"]):
            sizes[bar.close] += bar.volume or _ZERO
        items = [{"price": price, "size": size} for price, size in sorted(sizes.items())]
        self.send("histogramData", reqId=message["reqId"], items=items)

    def ticks(self, message: Message) -> None:
        """Answer past trades, quotes or middles: from a start, or up to an end."""
        fields = message.fields
        req_id, kind = fields["reqId"], fields["whatToShow"]
        count = fields["numberOfTicks"] or 0
        listing = self.endpoint.listings.resolve(fields)
        if bool(fields["startDateTime"]) == bool(fields["endDateTime"]):
            raise RequestFailed(
                10187, "Failed to request historical ticks:Either start time or end time must be specified, not both"
            )
        if not 0 < count <= self.endpoint.options.historical_limit:
            raise RequestFailed(10187, "Failed to request historical ticks:Invalid number of ticks")
        now, zone, regular = self.venue.now_ns(), self.endpoint.zone, fields["useRth"]
        end = min(read_end(fields["endDateTime"], now, zone), now)
        start = time_from_wire(fields["startDateTime"], zone.info) if fields["startDateTime"] else None
        if fields["startDateTime"] and start is None:
            raise RequestFailed(10187, "Failed to request historical ticks:The start time is invalid")
        since, until = (0, end) if start is None else (start, now)
        if kind == "TRADES":
            trades = past_trades(self.venue, listing, since, until, count, regular=regular)
            self.send("historicalTicksLast", reqId=req_id, ticks=trades, done=True)
        elif kind == "BID_ASK":
            quotes = past_quotes(self.venue, listing, since, until, count, regular=regular)
            self.send("historicalTicksBidAsk", reqId=req_id, ticks=quotes, done=True)
        elif kind == "MIDPOINT":
            quotes = past_quotes(self.venue, listing, since, until, count, regular=regular)
            self.send("historicalTicks", reqId=req_id, ticks=middles(quotes), done=True)
        else:
            raise RequestFailed(321, f"Error validating request.-'cY' : cause - Invalid what to show: {kind}")

    def close(self) -> None:
        for live in self._live.values():
            live.close()
        self._live.clear()


def _histogram_duration(text: str) -> Duration:
    words = (text or "").split()
    unit = words[1].rstrip("s") if len(words) == 2 else ""
    if unit not in _HISTOGRAM_UNITS or not (words[0].isascii() and words[0].isdigit() and len(words[0]) < 5):
        raise RequestFailed(321, f"Error validating request.-'cP' : cause - Invalid time period: {text}")
    return Duration(f"{int(words[0]) * _HISTOGRAM_SECONDS.get(unit, 1)} {_HISTOGRAM_UNITS[unit]}")
