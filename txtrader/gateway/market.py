"""Symbols and their data: one broker line for any number of callers, and the latest of everything.

A session's symbols end with it; those added over plain HTTP stay until `del_symbol` or a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from twisted.internet.interfaces import IReactorTime

from txtrader.errors import InvalidArgument, NotFound, Throttled
from txtrader.gateway.adapter import Adapter
from txtrader.gateway.records import instrument_record, quote_record, symbol_record, trade_record
from txtrader.gateway.session import Session
from txtrader.gateway.stream import EventStream
from txtrader.model.instrument import Instrument, InstrumentQuery, SecType
from txtrader.model.market import MarketStats, Quote, Trade
from txtrader.model.times import local_text, to_datetime

__all__ = ["Market", "MarketOptions"]

_RESOLVE_KEPT = 3600.0  # seconds: contract data changes over night, `:0` with a roll
_RESOLVE_LIMIT = 10_000  # remembered queries


class MarketOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of market data."""

    timezone: ZoneInfo
    max_symbols: int = 100
    ticker: bool = True
    high_low: bool = True
    barchart: bool = True
    symbol_barchart: bool = False


class _Line:
    """One symbol that streams: its instrument, who wants it, and what is known."""

    __slots__ = ("holders", "instrument", "quote", "stats", "trade")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.holders: dict[Session, None] = {}
        self.quote: Quote | None = None
        self.trade: Trade | None = None
        self.stats: MarketStats | None = None


class Market:
    """Subscriptions, resolution of symbols and quotes, over all brokers."""

    def __init__(
        self, *, clock: IReactorTime, now_ns: Callable[[], int], stream: EventStream, options: MarketOptions
    ) -> None:
        self._clock = clock
        self._now_ns = now_ns
        self._stream = stream
        self._options = options
        self._adapters: dict[str, Adapter] = {}
        self._lines: dict[tuple[str, str], _Line] = {}
        self._by_user: dict[str, dict[str, int]] = {}  # symbol: how many of the user's sessions have it
        self._resolved: dict[tuple[str, InstrumentQuery], tuple[float, Instrument]] = {}

    def attach(self, mode: str, adapter: Adapter) -> None:
        """Take the adapter of a mode."""
        self._adapters[mode] = adapter

    # --- resolution -----------------------------------------------------------------------------------------------

    async def instrument(self, session: Session, query: InstrumentQuery, mode: str) -> Instrument:
        """Find the one instrument that `query` means; NotFound, or InvalidArgument `ambiguous` with candidates."""
        found = await self.find(session, query, mode)
        if not found:
            raise NotFound(f"no instrument {query.text}", path="symbol")
        if len(found) > 1:
            raise InvalidArgument(
                f"{query.text} may mean {len(found)} instruments; name one by exchange, currency or #id",
                path="symbol",
                reason="ambiguous",
                candidates=[instrument_record(candidate) for candidate in found[:20]],
            )
        return found[0]

    async def find(self, session: Session, query: InstrumentQuery, mode: str) -> Sequence[Instrument]:
        """Find all instruments that `query` may mean; single answers are remembered for a while."""
        home = session.primary_exchanges.get(query.symbol or "")
        if query.sectype is SecType.STOCK and query.primary_exchange is None and home is not None:
            query = msgspec.structs.replace(query, primary_exchange=home)
        key = (mode, query)
        kept = self._resolved.get(key)
        if kept is not None and self._clock.seconds() - kept[0] < _RESOLVE_KEPT:
            return [kept[1]]
        found = await self._adapters[mode].resolve(query)
        if len(found) == 1:
            if len(self._resolved) >= _RESOLVE_LIMIT:
                self._resolved.pop(next(iter(self._resolved)))
            self._resolved[key] = (self._clock.seconds(), found[0])
        return found

    # --- subscriptions --------------------------------------------------------------------------------------------

    async def add(self, session: Session, query: InstrumentQuery, mode: str) -> Instrument:
        """Stream an instrument to a session.  Raises NotFound, InvalidArgument, Throttled (too many symbols)."""
        instrument = await self.instrument(session, query, mode)
        if not session.is_open:
            return instrument  # the caller left while the broker was asked
        symbol = instrument.symbol
        if symbol in session.symbols:
            return instrument
        mine = self._by_user.setdefault(session.user.name, {})
        if symbol not in mine and len(mine) >= self._options.max_symbols:
            raise Throttled(f"more than {self._options.max_symbols} symbols", reason="symbols", path="symbol")
        mine[symbol] = mine.get(symbol, 0) + 1
        line = self._lines.get((mode, symbol))
        if line is None:
            line = self._lines[mode, symbol] = _Line(instrument)
            self._adapters[mode].subscribe(instrument)
        line.holders[session] = None
        session.symbols.add(symbol)
        self._stream.symbol_added(session, symbol)
        return instrument

    def remove(self, session: Session, symbol: str) -> bool:
        """Stop a symbol (canonical spelling) for a session; false if it had not added it."""
        if symbol not in session.symbols:
            return False
        session.symbols.discard(symbol)
        self._stream.symbol_removed(session, symbol)
        mine = self._by_user[session.user.name]
        mine[symbol] -= 1
        if not mine[symbol]:
            del mine[symbol]
        for key in [key for key in self._lines if key[1] == symbol]:
            line = self._lines[key]
            line.holders.pop(session, None)
            if not line.holders:
                del self._lines[key]
                self._adapters[key[0]].unsubscribe(line.instrument)
        return True

    def leave(self, session: Session) -> None:
        """End all of a session's symbols."""
        for symbol in list(session.symbols):
            self.remove(session, symbol)

    def is_added(self, session: Session, symbol: str) -> bool:
        """Tell whether any session of this user has the symbol."""
        return symbol in self._by_user.get(session.user.name, ())

    def symbols(self, session: Session) -> list[str]:
        """Return the symbols of this user's sessions, in the sequence of their adding."""
        return list(self._by_user.get(session.user.name, ()))

    def counts(self) -> tuple[int, list[str]]:
        """Return how many symbols stream, and which of them are stale."""
        stale = [key[1] for key, line in self._lines.items() if line.quote is not None and line.quote.stale]
        return len(self._lines), stale

    def spelling(self, query: InstrumentQuery, session: Session) -> str:
        """Return the canonical spelling of a symbol that was resolved before, else the text as it was written."""
        for (_, known), (_, instrument) in self._resolved.items():
            if known.text == query.text:
                return instrument.symbol
        return query.text

    # --- data coming in -------------------------------------------------------------------------------------------

    def quoted(self, quote: Quote) -> None:
        """Keep a quote, and pass it on to those who want it."""
        line = self._lines.get((quote.mode, quote.symbol))
        if line is None:
            return
        line.quote = quote
        if self._options.ticker and self._stream.is_wanted("quote", quote.symbol):
            self._stream.publish_ephemeral(
                "quote", "quote", quote.mode, quote_record(quote), key=quote.symbol, symbol=quote.symbol
            )

    def traded(self, trade: Trade) -> None:
        """Keep a trade, and pass it on to those who want it."""
        line = self._lines.get((trade.mode, trade.symbol))
        if line is None:
            return
        line.trade = trade
        if self._options.ticker and self._stream.is_wanted("trade", trade.symbol):
            self._stream.publish_ephemeral(
                "trade", "trade", trade.mode, trade_record(trade), key=trade.symbol, symbol=trade.symbol
            )

    def stats_changed(self, stats: MarketStats) -> None:
        """Keep figures of the session; what a message does not say stays."""
        line = self._lines.get((stats.mode, stats.symbol))
        if line is None:
            return
        old = line.stats
        if old is None:
            line.stats = stats
            return
        said: dict[str, Any] = {
            name: value for name in stats.__struct_fields__ if (value := getattr(stats, name)) is not None
        }
        if stats.raw and old.raw:
            said["raw"] = {**old.raw, **stats.raw}
        line.stats = msgspec.structs.replace(old, **said)

    def mark_stale(self, mode: str) -> None:
        """Say of every quote of a broker that it is old: the link is gone."""
        for (owner, _), line in self._lines.items():
            if owner == mode and line.quote is not None and not line.quote.stale:
                self.quoted(msgspec.structs.replace(line.quote, stale=True))

    # --- data asked for -------------------------------------------------------------------------------------------

    def record(self, symbol: str, session: Session) -> dict[str, Any] | None:
        """Return the symbol record, None if this user has not added it."""
        for (_, known), line in self._lines.items():
            if known == symbol and self.is_added(session, symbol):
                return symbol_record(
                    line.instrument,
                    line.quote,
                    line.trade,
                    line.stats,
                    with_high_low=self._options.high_low,
                    stale=bool(line.quote and line.quote.stale),
                )
        return None

    def raw_data(self, symbol: str, session: Session) -> dict[str, str] | None:
        """Return the broker's own fields of a symbol, None if this user has not added it."""
        for (_, known), line in self._lines.items():
            if known == symbol and self.is_added(session, symbol):
                return dict(line.stats.raw) if line.stats is not None and line.stats.raw else {}
        return None


def minute_text(ns: int, zone: ZoneInfo) -> Mapping[str, str]:
    """Show an instant for the `time` event: `{time, utc, timezone}`."""
    return {
        "time": local_text(ns, zone),
        "utc": to_datetime(ns).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "timezone": str(zone),
    }
