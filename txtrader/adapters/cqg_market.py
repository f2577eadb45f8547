"""Market data from CQG: one shared subscription a contract, quotes and trades as records.

The hot path is `take`: one RealTimeMarketData to the sink in one pass, scaled integers through a cache of prices.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.adapters.cqg_instruments import Instruments
from txtrader.dialects.cqg.contracts import Contract
from txtrader.errors import TxTraderError
from txtrader.gateway.adapter import AdapterSink, BrokerNotice
from txtrader.model.instrument import Instrument
from txtrader.model.market import MarketStats, Quote, Trade
from txtrader.model.numbers import plain_text
from txtrader.wire.cqg.schema import ClientMsg
from txtrader.wire.cqg.values import PriceScale, decimal_of, timestamp_ns
from txtrader.wire.cqg.words import Indicator, Level, MarketStatus, QuoteType, is_failure, word_of

__all__ = ["MarketLines"]

_TRADE, _BID, _ASK, _SETTLEMENT = (
    int(QuoteType.TRADE),
    int(QuoteType.BESTBID),
    int(QuoteType.BESTASK),
    int(QuoteType.SETTLEMENT),
)
_OPEN, _HIGH, _LOW = int(Indicator.OPEN), int(Indicator.HIGH), int(Indicator.LOW)
_NOT_NOW = frozenset({int(Indicator.PAST), int(Indicator.FALL_BACK_TO_TRADE_OR_SETTLEMENT), int(Indicator.DELETION)})
_TOTAL_VOLUME = 21  # MarketValues.total_volume, as cleared_fields names it
_RAW_PRICES = ("scaled_settlement", "scaled_close_price", "scaled_exchange_close_price", "scaled_indicative_open")
_MOST_SIZES = 4096
_MILLISECOND = 1_000_000
_ZERO = Decimal(0)


class Line:
    """One contract's data: what was told last, and the subscription that it comes by."""

    __slots__ = (
        "ask",
        "asksize",
        "bid",
        "bidsize",
        "contract_id",
        "has_last",
        "instrument",
        "is_disconnected",
        "is_stale",
        "last",
        "scale",
        "symbol",
        "volume",
    )

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.symbol = instrument.symbol
        self.contract_id: int | None = None
        self.scale: PriceScale | None = None
        self.bid: Decimal | None = None
        self.bidsize: Decimal | None = None
        self.ask: Decimal | None = None
        self.asksize: Decimal | None = None
        self.volume: Decimal | None = None
        self.last: tuple[Any, ...] | None = None  # the trade that was told last out of a snapshot
        self.has_last = False  # of this contract, since the link is there
        self.is_stale = False
        self.is_disconnected = False


class MarketLines:
    """All subscriptions of the gateway, on whatever connection there is."""

    _log = Logger()

    def __init__(self, mode: str, sink: AdapterSink, now_ns: Callable[[], int], instruments: Instruments) -> None:
        self._mode = mode
        self._sink = sink
        self._now_ns = now_ns
        self._instruments = instruments
        self._lines: dict[str, Line] = {}
        self._by_contract: dict[int, list[Line]] = {}
        self._connection: Any = None
        self._base_ns = 0
        self._quoted = sink.quoted
        self._sizes: dict[int, Decimal] = {}

    @property
    def is_disconnected(self) -> bool:
        """Whether CQG has lost the source of any of the data."""
        return any(line.is_disconnected for line in self._lines.values())

    # -- what is wanted

    def subscribe(self, instrument: Instrument) -> None:
        """Stream an instrument, also after each reconnect."""
        if instrument.symbol not in self._lines:
            line = self._lines[instrument.symbol] = Line(instrument)
            self._ask(line)

    def unsubscribe(self, instrument: Instrument) -> None:
        """Stop the stream."""
        line = self._lines.pop(instrument.symbol, None)
        if line is not None:
            self._leave(line)

    def opened(self, connection: Any) -> None:
        """Ask for everything on a new connection: neither contract ids nor subscriptions outlive one."""
        self._connection = connection
        self._base_ns = connection.base_time.ns(0)
        self._by_contract.clear()
        for line in self._lines.values():
            line.contract_id = None
            line.has_last = line.is_disconnected = False
            self._ask(line)

    def closed(self) -> None:
        """The link is gone: what was told is no longer fresh."""
        self._connection = None
        self._by_contract.clear()
        for line in self._lines.values():
            line.contract_id = None
        self.suspect()

    def suspect(self) -> None:
        """Mark all quotes as stale."""
        for line in self._lines.values():
            self._mark_stale(line)

    def rolled(self, instrument: Instrument, contract: Contract) -> None:
        """Go over to the contract, or the contract id, that a symbol stands for now."""
        line = self._lines.get(instrument.symbol)
        if line is None or self._connection is None or line.contract_id == contract.contract_id:
            return
        self._leave(line)
        line.bid = line.bidsize = line.ask = line.asksize = line.volume = line.last = None
        line.has_last = line.is_disconnected = False
        self._begin(line, contract)

    def _ask(self, line: Line) -> None:
        if self._connection is None:
            return
        connection = self._connection

        def failed(failure: Failure) -> None:
            if connection is not self._connection:
                return  # the link went meanwhile; the next one asks again
            error = failure.value
            text = error.text if isinstance(error, TxTraderError) else failure.getErrorMessage()
            if not isinstance(error, TxTraderError):
                self._log.failure("subscribing to {symbol}", failure=failure, symbol=line.symbol)
            self._tell(line, "error", f"no market data for {line.symbol}: {text}")

        ensureDeferred(self._find(line, connection)).addErrback(failed)

    async def _find(self, line: Line, connection: Any) -> None:
        contract = await self._instruments.contract_of(line.instrument, is_watched=True)
        if connection is self._connection and self._lines.get(line.symbol) is line and line.contract_id is None:
            self._begin(line, contract)

    def _begin(self, line: Line, contract: Contract) -> None:
        line.contract_id = contract.contract_id
        line.scale = PriceScale(contract.scale)
        sharing = self._by_contract.setdefault(contract.contract_id, [])
        sharing.append(line)
        # A second symbol of the same contract asks again: the new snapshot serves both.
        self._post(contract.contract_id, Level.TRADES_BBA_VOLUMES)

    def _leave(self, line: Line) -> None:
        number, line.contract_id = line.contract_id, None
        if number is None:
            return
        sharing = self._by_contract.get(number, [])
        if line in sharing:
            sharing.remove(line)
        if not sharing:
            self._by_contract.pop(number, None)
            self._post(number, Level.NONE)

    def _post(self, contract_id: int, level: Level) -> None:
        if self._connection is None:
            return
        message = ClientMsg()
        message.market_data_subscriptions.add(
            contract_id=contract_id, request_id=self._connection.next_number(), level=int(level)
        )
        try:
            self._connection.post(message)
        except TxTraderError as error:
            self._log.warn("a market data subscription was not sent: {error}", error=error.text)

    # -- what comes

    def status(self, part: Any) -> None:
        """Take the state of a subscription."""
        lines = self._by_contract.get(part.contract_id, ())
        code = part.status_code
        for line in list(lines):
            line.is_disconnected = code == MarketStatus.DISCONNECTED
            if code == MarketStatus.DISCONNECTED:
                self._mark_stale(line)
            elif is_failure(code):
                line.contract_id = None
                self._by_contract.pop(part.contract_id, None)
                self._mark_stale(line)
                text = part.details.text or word_of(MarketStatus, code)
                self._tell(line, "error", f"no market data for {line.symbol}: {text}", code)
            elif part.level not in (Level.TRADES_BBA_VOLUMES, Level.NONE):
                self._tell(
                    line, "warning", f"market data for {line.symbol} comes at {word_of(Level, part.level)}", code
                )

    def take(self, data: Any) -> None:
        """Take market data of one contract."""
        lines = self._by_contract.get(data.contract_id)
        if lines:
            is_snapshot = data.is_snapshot
            if is_snapshot or data.HasField("correct_price_scale"):
                for line in lines:
                    self._renew(line, data, is_snapshot)
            for line in lines:
                self._apply(line, data, is_snapshot)

    def _apply(self, line: Line, data: Any, is_snapshot: bool) -> None:
        """Take the quotes of one message in one pass; this is where a busy session spends its time."""
        scale = line.scale
        assert scale is not None
        prices, sizes = scale.cache, self._sizes
        has_sides = is_snapshot
        time: int | None = None
        for quote in data.quotes:
            if quote.HasField("quote_utc_time"):
                time = self._base_ns + quote.quote_utc_time * _MILLISECOND
            scaled = quote.scaled_price
            price = prices.get(scaled)
            if price is None:
                price = scale.price(scaled)
            size: Decimal | None = None
            if quote.HasField("volume"):
                volume = quote.volume
                size = sizes.get(volume.significand)
                if size is None or volume.exponent:
                    size = decimal_of(volume) if volume.exponent else self._size(volume.significand)
            kind = quote.type
            if kind == _BID:
                has_sides = True
                line.bid, line.bidsize = (price, size) if size != 0 else (None, None)
            elif kind == _ASK:
                has_sides = True
                line.ask, line.asksize = (price, size) if size != 0 else (None, None)
            elif kind == _TRADE:
                if not is_snapshot:
                    self._traded(line, quote, price, size, time)
            elif kind == _SETTLEMENT:
                self._settled(line, quote, price, data, is_snapshot)
        if has_sides:
            line.is_stale = False
            self._quoted(
                Quote(
                    symbol=line.symbol,
                    mode=self._mode,
                    bid=line.bid,
                    bidsize=line.bidsize,
                    ask=line.ask,
                    asksize=line.asksize,
                    event_time=time,
                    receive_time=self._now_ns(),
                )
            )
        if data.market_values:
            self._values(line, data.market_values, scale)

    def _renew(self, line: Line, data: Any, is_snapshot: bool) -> None:
        if data.HasField("correct_price_scale"):
            scale = PriceScale(data.correct_price_scale)
            if scale != line.scale:
                line.scale = scale
        if is_snapshot:
            # It holds all there is of the day: what it does not say is no more.
            line.bid = line.bidsize = line.ask = line.asksize = line.volume = None

    def _size(self, number: int) -> Decimal:
        if len(self._sizes) >= _MOST_SIZES:
            self._sizes.clear()
        size = self._sizes[number] = Decimal(number)
        return size

    def _traded(self, line: Line, quote: Any, price: Decimal, size: Decimal | None, time: int | None) -> None:
        indicators = quote.indicators
        if indicators and not _NOT_NOW.isdisjoint(indicators):
            return
        if size is not None:
            line.volume = (line.volume or _ZERO) + size
        self._sink.traded(
            Trade(
                symbol=line.symbol,
                mode=self._mode,
                last=price,
                size=size,
                volume=line.volume,
                event_time=time,
                receive_time=self._now_ns(),
            )
        )
        if indicators:
            first = price if _OPEN in indicators else None
            high = price if _HIGH in indicators else None
            low = price if _LOW in indicators else None
            if first is not None or high is not None or low is not None:
                self._sink.stats_changed(
                    MarketStats(symbol=line.symbol, mode=self._mode, open=first, high=high, low=low)
                )

    def _settled(self, line: Line, quote: Any, price: Decimal, data: Any, is_snapshot: bool) -> None:
        """Take a settlement: yesterday's is the close of the record, today's one of the broker's own figures."""
        is_past = Indicator.PAST in quote.indicators
        if is_snapshot and not is_past:
            # The last one there was; whose day it is of is said, if at all, by the values beside it.
            is_past = not any(day.HasField("scaled_yesterday_settlement") for day in data.market_values)
        self._sink.stats_changed(
            MarketStats(
                symbol=line.symbol,
                mode=self._mode,
                close=price if is_past else None,
                raw=None if is_past else {"settlement": plain_text(price)},
            )
        )

    def _values(self, line: Line, values: Any, scale: PriceScale) -> None:
        for day in values:
            if day.day_index != 0:
                continue
            if day.HasField("total_volume"):
                line.volume = decimal_of(day.total_volume)
            elif _TOTAL_VOLUME in day.cleared_fields:
                line.volume = None
            self._sink.stats_changed(
                MarketStats(
                    symbol=line.symbol,
                    mode=self._mode,
                    open=_price(day, "scaled_open_price", scale),
                    high=_price(day, "scaled_high_price", scale),
                    low=_price(day, "scaled_low_price", scale),
                    close=_price(day, "scaled_yesterday_settlement", scale),
                    volume=line.volume,
                    raw=_raw(day, scale),
                )
            )
            if not line.has_last:
                self._last(line, day, scale)

    def _last(self, line: Line, day: Any, scale: PriceScale) -> None:
        """Tell the trade that the session stood at before we came, once: it is the last price, not a fresh trade.

        After a gap it is told again only if it is another one.
        """
        price = _price(day, "scaled_last_trade_price", scale)
        if price is None:
            return
        line.has_last = True
        time = timestamp_ns(day.last_trade_utc_timestamp) if day.HasField("last_trade_utc_timestamp") else None
        last = (price, time, line.volume)
        if last == line.last:
            return
        line.last = last
        self._sink.traded(
            Trade(
                symbol=line.symbol,
                mode=self._mode,
                last=price,
                size=decimal_of(day.last_trade_volume) if day.HasField("last_trade_volume") else None,
                volume=line.volume,
                event_time=time,
                receive_time=self._now_ns(),
            )
        )

    def _mark_stale(self, line: Line) -> None:
        if line.is_stale or (line.bid is None and line.ask is None):
            return
        line.is_stale = True
        self._sink.quoted(
            Quote(
                symbol=line.symbol,
                mode=self._mode,
                bid=line.bid,
                bidsize=line.bidsize,
                ask=line.ask,
                asksize=line.asksize,
                receive_time=self._now_ns(),
                stale=True,
            )
        )

    def _tell(self, line: Line, severity: str, text: str, code: int | None = None) -> None:
        self._sink.noticed(
            BrokerNotice(mode=self._mode, severity=severity, message=text, broker_code=code, symbol=line.symbol)
        )


def _raw(day: Any, scale: PriceScale) -> dict[str, str] | None:
    """Return the figures of a day that the record has no room for, in CQG's words."""
    found = {
        name.removeprefix("scaled_"): plain_text(scale.price(getattr(day, name)))
        for name in _RAW_PRICES
        if day.HasField(name)
    }
    if day.HasField("open_interest"):
        found["open_interest"] = plain_text(decimal_of(day.open_interest))
    if day.HasField("tick_volume"):
        found["tick_volume"] = str(day.tick_volume)
    return found or None


def _price(message: Any, name: str, scale: PriceScale) -> Decimal | None:
    return scale.price(getattr(message, name)) if message.HasField(name) else None
