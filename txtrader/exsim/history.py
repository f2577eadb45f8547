"""History that agrees with the live market: the seeded path until the market woke, what really traded since.

A market is asleep until somebody looks at it.  From then on its prints and middle prices are kept as bars of five
seconds; everything older comes from the path.  Longer bars are folded from shorter ones, so that they always agree.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from txtrader.exsim.hours import SECOND, Schedule
from txtrader.exsim.market import Market
from txtrader.exsim.path import GRAINS, Piece
from txtrader.exsim.pricing import PriceSource
from txtrader.exsim.records import BidAsk, Print
from txtrader.model.market import Bar, BarPeriod
from txtrader.model.order import Side

__all__ = ["SOURCES", "BarStore", "History"]

SOURCES = ("TRADES", "MIDPOINT", "BID", "ASK")
GRAIN = 5
_KEPT_BARS = 60 * 60 * 72 // GRAIN
_TRADE_LOTS_A_COUNT = 100
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600}


class BarStore:
    """Bars of five seconds in packed columns, three days of them; a span in which nothing happened has none."""

    COLUMNS = 7  # start, open, high, low, close, volume, count

    def __init__(self, since: int) -> None:
        self.since = since - since % (GRAIN * SECOND)
        self._starts = array("q")
        self._columns = tuple(array("q") for _ in range(self.COLUMNS - 1))

    def add(self, time: int, price: int, lots: int) -> None:
        """Take in one price."""
        start = time - time % (GRAIN * SECOND)
        _, highs, lows, closes, volumes, counts = self._columns
        if self._starts and self._starts[-1] == start:
            if price > highs[-1]:
                highs[-1] = price
            if price < lows[-1]:
                lows[-1] = price
            closes[-1] = price
            volumes[-1] += lots
            counts[-1] += 1
            return
        self._starts.append(start)
        for column, value in zip(self._columns, (price, price, price, price, lots, 1), strict=True):
            column.append(value)
        if len(self._starts) > _KEPT_BARS + _KEPT_BARS // 8:
            cut = len(self._starts) - _KEPT_BARS
            for column in (self._starts, *self._columns):
                del column[:cut]
            self.since = self._starts[0]

    def between(self, start: int, end: int) -> Iterator[tuple[int, int, int, int, int, int, int]]:
        """Walk the bars with start <= time < end."""
        opens, highs, lows, closes, volumes, counts = self._columns
        for n in range(bisect_left(self._starts, start), len(self._starts)):
            at = self._starts[n]
            if at >= end:
                return
            yield at, opens[n], highs[n], lows[n], closes[n], volumes[n], counts[n]


class _Fold:
    """A longer bar in the making."""

    __slots__ = ("close", "count", "high", "low", "open", "time", "turnover", "volume")

    def __init__(self, time: int, open_: int) -> None:
        self.time = time
        self.open = self.high = self.low = self.close = open_
        self.volume = self.count = self.turnover = 0

    def take(self, high: int, low: int, close: int, volume: int, count: int) -> None:
        self.high = max(self.high, high)
        self.low = min(self.low, low)
        self.close = close
        self.volume += volume
        self.count += count
        self.turnover += volume * (high + low + close)


class History:
    """Answer questions about the past of one market.

    `market` is None while it sleeps; then everything comes from `source`.
    """

    def __init__(self, source: PriceSource, schedule: Schedule, tick: Decimal, step: Decimal, half_spread: int) -> None:
        self._source = source
        self._schedule = schedule
        self._tick = tick
        self._step = step
        self._half_spread = half_spread
        self._zone = ZoneInfo(schedule.zone)
        self._trades: BarStore | None = None
        self._middles: BarStore | None = None
        self._market: Market | None = None

    def follow(self, market: Market, now: int) -> None:
        """Keep what happens in a market that wakes now."""
        self._market = market
        self._trades = BarStore(now)
        self._middles = BarStore(now)
        market.on_print = self._trades.add
        market.on_top = self._take_top

    def _take_top(self, time: int, bid: int, bid_lots: int, ask: int, ask_lots: int) -> None:
        assert self._middles is not None
        self._middles.add(time, int((bid + ask) // 2), 0)  # a price may be at half a tick, a bar may not

    def bars(self, period: BarPeriod, start: int, end: int, now: int, *, source: str, regular: bool) -> list[Bar]:
        """Return bars with start <= time < end, none of the future; see `Venue.bars`."""
        if period.unit in _UNIT_SECONDS:
            folds = self._intraday(period.seconds, start, min(end, now), source, regular)
        else:
            folds = self._daily(period, start, end, now, source)
        return [self._bar(fold, source) for fold in folds]

    def _bar(self, fold: _Fold, source: str) -> Bar:
        shift = {"BID": -self._half_spread, "ASK": self._half_spread}.get(source, 0)
        tick = self._tick
        trades = source == "TRADES"
        wap = Decimal(fold.turnover) / (3 * fold.volume) if fold.volume else Decimal(fold.close)
        return Bar(
            time=fold.time,
            open=(fold.open + shift) * tick,
            high=(fold.high + shift) * tick,
            low=(fold.low + shift) * tick,
            close=(fold.close + shift) * tick,
            volume=fold.volume * self._step if trades else None,
            count=fold.count if trades else None,
            wap=(wap * tick).quantize(tick / 10) if trades else None,
        )

    # -- intraday

    def _intraday(self, seconds: int, start: int, end: int, source: str, regular: bool) -> Iterator[_Fold]:
        if start >= end:
            return
        grain = next(size for size in GRAINS if seconds % size == 0)
        spans = self._schedule.sessions(start, end) if regular else None
        if spans is None:
            yield from self._fold(seconds, grain, start, end, None, source)
            return
        for span in spans:
            low, high = max(start, span.start), min(end, span.end)
            yield from self._fold(seconds, grain, low, high, span.start, source)

    def _fold(self, seconds: int, grain: int, start: int, end: int, opened: int | None, source: str) -> Iterator[_Fold]:
        """Fold what lies in the window into bars that begin at round local times, the first of a session at its open.

        A bar that began before the window is not shown: its time is outside.
        """
        size = seconds * SECOND
        fold: _Fold | None = None
        began = self._bucket(start, size)
        if opened is not None:
            began = max(began, opened)
        for at, open_, high, low, close, volume, count in self._stream(grain, began, end, source):
            bucket = self._bucket(at, size)
            if opened is not None:
                bucket = max(bucket, opened)
            if bucket < start:
                continue
            if fold is None or fold.time != bucket:
                if fold is not None:
                    yield fold
                fold = _Fold(bucket, open_)
            fold.take(high, low, close, volume, count)
        if fold is not None:
            yield fold

    def _bucket(self, instant: int, size: int) -> int:
        if size <= 60 * 30 * SECOND:  # every zone's clock is round at the half hour
            return instant - instant % size
        local = datetime.fromtimestamp(instant // SECOND, self._zone)
        midnight = int(datetime(local.year, local.month, local.day, tzinfo=self._zone).timestamp()) * SECOND
        return midnight + (instant - midnight) // size * size

    def _stream(
        self, grain: int, start: int, end: int, source: str
    ) -> Iterator[tuple[int, int, int, int, int, int, int]]:
        store = self._trades if source == "TRADES" else self._middles
        woke = end if store is None else min(end, store.since)
        coarse_end = max(start, woke - woke % (grain * SECOND))
        for piece in self._pieces(start, coarse_end, woke, grain):
            count = max(1, piece.volume // _TRADE_LOTS_A_COUNT)
            yield piece.start, piece.open, piece.high, piece.low, piece.close, piece.volume, count
        if store is None or woke >= end:
            return
        if grain < GRAIN and source == "TRADES":
            yield from self._seconds(max(start, woke), end, store)
        else:
            yield from store.between(max(start, woke), end)

    def _seconds(self, start: int, end: int, store: BarStore) -> Iterator[tuple[int, int, int, int, int, int, int]]:
        """Walk the live trades one by one as far back as they are kept; what is older comes by five seconds."""
        assert self._market is not None
        prints = self._market.prints
        known_since = prints[0][0] + GRAIN * SECOND if len(prints) == prints.maxlen else store.since
        known_since -= known_since % (GRAIN * SECOND)
        if start < known_since:
            yield from store.between(start, min(end, known_since))
        for time, price, lots, _, _ in prints:
            if max(start, known_since) <= time < end:
                yield time, price, price, price, price, lots, 1

    def _pieces(self, start: int, coarse_end: int, end: int, grain: int) -> Iterator[Piece]:
        yield from self._source.pieces(start, coarse_end, grain)
        if coarse_end < end:
            finer = GRAIN if grain > GRAIN else 1
            yield from self._source.pieces(coarse_end, end, finer)

    # -- days and longer

    def _daily(self, period: BarPeriod, start: int, end: int, now: int, source: str) -> Iterator[_Fold]:
        fold: _Fold | None = None
        group: object = None
        for session in self._schedule.sessions(start - 31 * 86400 * SECOND if period.unit != "D" else start, now + 1):
            if session.start > now:
                break
            day = self._day(session.day, session.start, session.end, now, source)
            if day is None:
                continue
            key = self._group(period, session.day)
            if fold is not None and key != group:
                if start <= fold.time < end:
                    yield fold
                fold = None
            group = key
            if fold is None:
                fold = _Fold(_midnight(session.day), day.open)
            fold.take(day.high, day.low, day.close, 0, day.count)
            fold.volume += day.volume
            fold.turnover += day.turnover
        if fold is not None and start <= fold.time < end:
            yield fold

    def _group(self, period: BarPeriod, day: date) -> tuple[int, ...]:
        if period.unit == "W":
            year, week, _ = day.isocalendar()
            return year, week // period.count
        if period.unit == "M":
            return day.year, (day.month - 1) // period.count
        return (day.toordinal() // period.count,)

    def _day(self, day: date, start: int, end: int, now: int, source: str) -> _Fold | None:
        """Return the bar of one date: the recipe's where the market slept all day, else folded from what happened."""
        store = self._trades if source == "TRADES" else self._middles
        if end <= now and (store is None or store.since >= end):
            bar = self._source.day(day)
            fold = _Fold(_midnight(day), bar.open)
            fold.take(bar.high, bar.low, bar.close, bar.volume, max(1, bar.volume // _TRADE_LOTS_A_COUNT))
            return fold
        found: _Fold | None = None
        for at, open_, high, low, close, volume, count in self._stream(GRAINS[1], start, min(end, now), source):
            if found is None:
                found = _Fold(_midnight(day), open_)
            found.take(high, low, close, volume, count)
            assert at < end
        return found

    def close_of(self, start: int, end: int, day: date) -> int:
        """Return the price (ticks) at which a session closed, from what traded in it if anything did."""
        close: int | None = None
        if self._trades is not None:
            for _, _, _, _, last, _, _ in self._trades.between(max(start, end - 3600 * SECOND), end):
                close = last
        return close if close is not None else self._source.day(day).close

    def today(self, session_start: int, now: int) -> tuple[int, int, int, int] | None:
        """Return open, high, low, volume of the session that began at `session_start`, from the path; None before."""
        fold: _Fold | None = None
        for at, open_, high, low, close, volume, count in self._stream(GRAINS[1], session_start, now, "TRADES"):
            if fold is None:
                fold = _Fold(at, open_)
            fold.take(high, low, close, volume, count)
        return None if fold is None else (fold.open, fold.high, fold.low, fold.volume)

    # -- ticks

    def prints(self, listing_id: int, exchange: str, start: int, end: int, limit: int, regular: bool) -> list[Print]:
        """Return past trades: from `start` on, or the last ones before `end` where start is 0."""
        found: list[Print] = []
        for at, price, lots, sign, number in self._ticks(start, end, limit, regular):
            found.append(
                Print(
                    listing_id=listing_id,
                    price=price * self._tick,
                    size=lots * self._step,
                    aggressor=Side.BUY if sign > 0 else Side.SELL,
                    time=at,
                    number=number,
                    volume=Decimal(0),
                    exchange=exchange,
                )
            )
        return found

    def bid_asks(self, start: int, end: int, limit: int, regular: bool) -> list[BidAsk]:
        """Return past quotes around each past trade, in the same order and bounds as `prints`."""
        return [
            BidAsk(
                time=at,
                bid=(price - self._half_spread) * self._tick,
                bid_size=lots * self._step,
                ask=(price + self._half_spread) * self._tick,
                ask_size=lots * self._step,
            )
            for at, price, lots, _, _ in self._ticks(start, end, limit, regular)
        ]

    def _ticks(self, start: int, end: int, limit: int, regular: bool) -> list[tuple[int, int, int, int, int]]:
        known_since = end
        live: list[tuple[int, int, int, int, int]] = []
        if self._market is not None and self._trades is not None:
            prints = self._market.prints
            live = list(prints)
            known_since = live[0][0] if len(live) == prints.maxlen else self._trades.since
        if start:
            ticks = self._forward(start, min(end, known_since), limit, regular)
            ticks += [tick for tick in live if start <= tick[0] < end and tick[0] >= known_since]
            return ticks[:limit]
        recent = [tick for tick in live if tick[0] < end]
        if len(recent) >= limit:
            return recent[-limit:]
        return self._backward(min(end, known_since), limit - len(recent), regular) + recent

    def _forward(self, start: int, end: int, limit: int, regular: bool) -> list[tuple[int, int, int, int, int]]:
        found: list[tuple[int, int, int, int, int]] = []
        for span_start, span_end in self._spans(start, end, regular):
            for piece in self._source.pieces(span_start, span_end, 1):
                if piece.volume:
                    found.append(_tick(piece))
                    if len(found) >= limit:
                        return found
        return found

    def _backward(self, end: int, limit: int, regular: bool) -> list[tuple[int, int, int, int, int]]:
        found: list[tuple[int, int, int, int, int]] = []
        stretch = 600 * SECOND
        least = end - 8 * 86400 * SECOND
        while len(found) < limit and end > least:
            if regular and not self._schedule.sessions(end - stretch, end):
                before = self._schedule.sessions(least, end)
                if not before:
                    break
                end = before[-1].end
            start = end - stretch
            found = self._forward(start, end, 1 << 30, regular) + found
            end = start
        return found[-limit:] if limit else []

    def _spans(self, start: int, end: int, regular: bool) -> Iterable[tuple[int, int]]:
        if not regular:
            return [(start, end)] if start < end else []
        return [(max(start, span.start), min(end, span.end)) for span in self._schedule.sessions(start, end)]


def _tick(piece: Piece) -> tuple[int, int, int, int, int]:
    sign = 1 if piece.close >= piece.open else -1
    return piece.start, piece.close, max(1, piece.volume), sign, 0


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * SECOND
