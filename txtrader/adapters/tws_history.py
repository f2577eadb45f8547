"""Bars and ticks from TWS: any window, cut to what one question may span, paced, merged, each bar once.

TWS answers a question that ends at an instant and spans a duration; how long it may be depends on the bar size.  A
window is asked for from its end backwards; pieces overlap where TWS counts trading days, and are merged by time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, tzinfo
from decimal import Decimal
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from txtrader.dialects import tws as dialect
from txtrader.errors import BrokerError, InvalidArgument, Throttled, TooLarge
from txtrader.gateway.tasks import returns_deferred
from txtrader.model.instrument import Instrument, SecType
from txtrader.model.market import Bar, BarPeriod, BarQuery, PastQuote, PastTrade, TickKind, TickPage, TickQuery, page_of
from txtrader.model.numbers import plain
from txtrader.net.pending import all_of
from txtrader.twsapi.codes import Codes
from txtrader.twsapi.connection import Connection
from txtrader.twsapi.pacing import HistoryPacer
from txtrader.wire.tws.message import Message

__all__ = ["PERIODS", "History", "pieces_of"]

SECOND = 1_000_000_000
DAY = 86_400
_MOST_PIECES = 500
_HISTORY_ERROR = 162
_PACING_PAUSE = 15.0  # seconds
_PACING_TRIES = 3
_MOST_TICKS = 1_000  # of one question

PERIODS: dict[BarPeriod, str] = {
    **{BarPeriod(count, "s"): f"{count} secs" for count in (1, 5, 10, 15, 30)},
    BarPeriod(1, "m"): "1 min",
    **{BarPeriod(count, "m"): f"{count} mins" for count in (2, 3, 5, 10, 15, 20, 30)},
    BarPeriod(1, "h"): "1 hour",
    **{BarPeriod(count, "h"): f"{count} hours" for count in (2, 3, 4, 8)},
    BarPeriod(1, "D"): "1 day",
    BarPeriod(1, "W"): "1 week",
    BarPeriod(1, "M"): "1 month",
}
"""Every bar size that TWS has."""

# The longest span of one question, in seconds, for bars up to so many seconds.
_SPANS: tuple[tuple[int, int], ...] = (
    (1, 1_800),
    (5, 3_600),
    (15, 14_400),
    (30, 28_800),
    (60, DAY),
    (120, 2 * DAY),
    (1_200, 7 * DAY),
    (28_800, 30 * DAY),
    (2**40, 365 * DAY),
)

_BY_SESSION = frozenset({SecType.STOCK, SecType.OPTION, SecType.INDEX, SecType.FUND, SecType.WARRANT})
_MIDPOINT = frozenset({SecType.CASH, SecType.CFD, SecType.COMMODITY, SecType.BOND})


def pieces_of(period: BarPeriod, start: int, end: int) -> list[tuple[int, str]]:
    """Cut the window start <= time < end (seconds UTC) to questions: (end second, duration), earliest first.

    Raises TooLarge for a window of more than 500 questions.
    """
    span = next(span for longest, span in _SPANS if period.seconds <= longest)
    if end <= start:
        return []
    if (end - start) / span > _MOST_PIECES:
        raise TooLarge(f"the window takes more than {_MOST_PIECES} questions of {period} bars", path="start")
    found: list[tuple[int, str]] = []
    upper = end
    while upper > start:
        lower = max(start, upper - span)
        found.append((upper, _duration(max(upper - lower, period.seconds, 30))))
        upper = lower
    found.reverse()
    return found


def _duration(seconds: int) -> str:
    """Say a span in the units of TWS, rounded up; seconds only go up to a day."""
    if seconds <= DAY:
        return f"{seconds} S"
    days = -(-seconds // DAY)
    return f"{days} D" if days < 365 else f"{-(-days // 365)} Y"


def _what_to_show(instrument: Instrument) -> str:
    if instrument.sectype in _MIDPOINT:
        return "MIDPOINT"
    return "AGGTRADES" if instrument.sectype is SecType.CRYPTO else "TRADES"


def bar_from_wire(message: Message, zone: tzinfo = UTC) -> Bar | None:
    """Read one bar; None where its time or a price is missing.  -1 for volume, average or count means none."""
    fields = message.fields
    time = dialect.bar_time_from_wire(str(fields.get("date") or ""), zone)
    prices = [fields.get(name) for name in ("open", "high", "low", "close")]
    if time is None or any(not isinstance(price, Decimal) for price in prices):
        return None
    made = [plain(price) for price in prices if isinstance(price, Decimal)]
    count = fields.get("barCount")
    return Bar(
        time=time,
        open=made[0],
        high=made[1],
        low=made[2],
        close=made[3],
        volume=_known(fields.get("volume")),
        count=count if isinstance(count, int) and count >= 0 else None,
        wap=_known(fields.get("wap")),
    )


def _known(value: Any) -> Decimal | None:
    return plain(value) if isinstance(value, Decimal) and value >= 0 else None


class History:
    """Asks for bars, within the rules of TWS."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, connected: Callable[[], Connection], codes: Codes, timeout: float) -> None:
        self._connected = connected
        self._codes = codes
        self._timeout = timeout
        self._pacer = HistoryPacer(clock)

    @returns_deferred
    async def bars(self, query: BarQuery) -> list[Bar]:
        """Fetch the bars of a window in ascending time; "no data" is an empty list.

        Fails with InvalidArgument (a bar size that TWS does not have), TooLarge, Throttled, BrokerRejected,
        BrokerUnavailable.
        """
        if query.period not in PERIODS:
            raise InvalidArgument(
                f"TWS has no bars of {query.period}; it has {', '.join(str(period) for period in PERIODS)}",
                path="period",
                reason="unsupported",
            )
        start, end = query.start // SECOND, -(-query.end // SECOND)
        if query.period.unit in "DWM":
            # These bars carry dates: ask to the end of the last day, or its bar is not there.
            end = -(-end // DAY) * DAY
        asked = [
            self._piece(query.instrument, query.period, until, duration)
            for until, duration in pieces_of(query.period, start, end)
        ]
        answers: list[list[Message]] = await all_of(asked)
        by_time: dict[int, Bar] = {}
        for message in (message for answer in answers for message in answer):
            bar = bar_from_wire(message)
            if bar is not None and query.start <= bar.time < query.end:
                by_time[bar.time] = bar
        return [by_time[time] for time in sorted(by_time)]

    def closed(self) -> None:
        """Fail what waits for its turn: the link is gone."""
        self._pacer.stop()

    @returns_deferred
    async def ticks(self, query: TickQuery) -> TickPage:
        """Fetch a page of past trades or quotes; TWS tells their time to the second."""
        found: list[PastTrade | PastQuote] = []
        since = query.start // SECOND
        end = -(-query.end // SECOND)
        rest: int | None = None
        while since < end:
            rows = await self._some_ticks(query.instrument, query.kind, since)
            is_full = len(rows) >= _MOST_TICKS
            last = rows[-1].time if rows else 0
            if is_full and rows[0].time < last:
                # TWS may have cut the last second short: it is asked for again, from its start.
                rows = [row for row in rows if row.time < last]
                since = last // SECOND
            else:
                since = last // SECOND + 1
            found += [row for row in rows if query.start <= row.time < query.end]
            if not is_full:
                break
            if len(found) >= query.limit:
                rest = since * SECOND if since < end else None
                break
        return page_of(found, query, rest)

    @returns_deferred
    async def _some_ticks(self, instrument: Instrument, kind: TickKind, since: int) -> list[PastTrade | PastQuote]:
        """Ask for the ticks from a second (UTC) on, as many as TWS gives."""
        is_trades = kind is TickKind.TRADES
        fields = {
            **dialect.contract_for_request(instrument),
            "startDateTime": dialect.time_to_wire(since * SECOND),
            "endDateTime": "",
            "numberOfTicks": _MOST_TICKS,
            "whatToShow": "TRADES" if is_trades else "BID_ASK",
            "useRth": False,
            "ignoreSize": False,
        }
        name = "historicalTicksLast" if is_trades else "historicalTicksBidAsk"
        identity = (instrument.instrument_id, since, kind)
        contract = (instrument.instrument_id, instrument.exchange, kind)
        answers = await self._paced("reqHistoricalTicks", fields, name, None, identity, contract, is_small=True)
        rows = [row for answer in answers for row in answer.fields.get("ticks") or ()]
        return [tick for row in rows if (tick := _tick_from_wire(row, is_trades=is_trades)) is not None]

    @returns_deferred
    async def _piece(self, instrument: Instrument, period: BarPeriod, until: int, duration: str) -> list[Message]:
        """Ask for the bars of one piece."""
        shows = _what_to_show(instrument)
        fields = {
            **dialect.contract_for_request(instrument),
            "endDateTime": dialect.time_to_wire(until * SECOND),
            "durationStr": duration,
            "barSizeSetting": PERIODS[period],
            "whatToShow": shows,
            "useRTH": instrument.sectype in _BY_SESSION,
            "formatDate": 2,
            "keepUpToDate": False,
        }
        identity = (instrument.instrument_id, until, duration, period, shows)
        contract = (instrument.instrument_id, instrument.exchange, shows)
        return await self._paced(
            "reqHistoricalData",
            fields,
            "historicalDataEnd",
            "cancelHistoricalData",
            identity,
            contract,
            is_small=period.seconds <= 30,
        )

    @returns_deferred
    async def _paced(
        self,
        name: str,
        fields: dict[str, Any],
        end: str,
        cancel: str | None,
        identity: Hashable,
        contract: Hashable,
        *,
        is_small: bool,
    ) -> list[Message]:
        """Ask a question when its turn comes, and again where TWS complains of the pace; "no data" is no message."""
        for _ in range(_PACING_TRIES):
            await self._pacer.turn(identity, contract, is_small=is_small)
            try:
                return await self._connected().ask(name, fields, ends=(end,), timeout=self._timeout, cancel=cancel)
            except BrokerError as error:
                if error.broker_code != _HISTORY_ERROR:
                    raise
                if self._codes.says_no_data(error.message):
                    return []
                if not self._codes.says_pacing(error.message):
                    raise
                self._pacer.pause(_PACING_PAUSE)
            finally:
                self._pacer.ended()
        raise Throttled("TWS paces history questions", retry_after=_PACING_PAUSE, broker_code=_HISTORY_ERROR)


def _tick_from_wire(row: Mapping[str, Any], *, is_trades: bool) -> PastTrade | PastQuote | None:
    """Read one past tick; None where its time or price is missing.  A side without a size is no side."""
    time = row.get("time")
    if not isinstance(time, int):
        return None
    if is_trades:
        price = row.get("price")
        if not isinstance(price, Decimal):
            return None
        return PastTrade(time=time * SECOND, price=plain(price), size=_known(row.get("size")))
    bidsize, asksize = _known(row.get("sizeBid")), _known(row.get("sizeAsk"))
    bid, ask = row.get("priceBid"), row.get("priceAsk")
    return PastQuote(
        time=time * SECOND,
        bid=plain(bid) if isinstance(bid, Decimal) and bidsize else None,
        bidsize=bidsize or None,
        ask=plain(ask) if isinstance(ask, Decimal) and asksize else None,
        asksize=asksize or None,
    )
