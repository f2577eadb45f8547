"""Market data over FIX: one subscription a symbol (V), its picture (W) and the changes of it (X) as records.

Subscriptions live as long as a connection; on a new one everything is asked for again.  Data that the session repeats
after an absence (43=Y) is of the past, and left out.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from twisted.logger import Logger

from txtrader.adapters.fix_connection import Connection, code_and_text
from txtrader.adapters.fix_instruments import Instruments
from txtrader.errors import TxTraderError
from txtrader.gateway.adapter import AdapterSink, BrokerNotice
from txtrader.model.instrument import Instrument
from txtrader.model.market import MarketStats, Quote, Trade
from txtrader.wire.fix.dictionary import Group, dictionary
from txtrader.wire.fix.message import Message

__all__ = ["MarketLines"]

_BID, _OFFER, _TRADE, _OPEN, _CLOSE, _HIGH, _LOW = "0", "1", "2", "4", "5", "7", "8"
_SIDES = (_BID, _OFFER)
_FIGURES = {_OPEN: "open", _CLOSE: "close", _HIGH: "high", _LOW: "low"}
_ALL = (_BID, _OFFER, _TRADE, *_FIGURES)
_NEW, _CHANGE, _DELETE = "0", "1", "2"
_ZERO = Decimal(0)
_UNNAMED = "@"

Level = tuple[Decimal, Decimal | None]


class _Line:
    """One symbol's data: its subscription, and the levels that were told of each side."""

    __slots__ = ("id", "instrument", "is_stale", "last", "levels", "symbol")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.symbol = instrument.symbol
        self.id: str | None = None
        self.levels: dict[str, dict[str, Level]] = {_BID: {}, _OFFER: {}}
        self.is_stale = False
        self.last: tuple[Decimal, Decimal | None] | None = None

    def best(self, side: str) -> tuple[Decimal | None, Decimal | None]:
        """Return price and size of the best level; a size of 0 says that there is none."""
        levels = [level for level in self.levels[side].values() if level[1] != _ZERO]
        if not levels:
            return None, None
        return max(levels, key=_price) if side == _BID else min(levels, key=_price)


class MarketLines:
    """All subscriptions of the gateway, on whatever connection there is."""

    _log = Logger()

    def __init__(
        self,
        mode: str,
        sink: AdapterSink,
        now_ns: Callable[[], int],
        instruments: Instruments,
        *,
        begin_string: str,
    ) -> None:
        self._mode = mode
        self._sink = sink
        self._now_ns = now_ns
        self._instruments = instruments
        messages = dictionary(begin_string).messages
        self._groups: dict[str, Group] = {kind: messages[kind].groups[268] for kind in ("W", "X")}
        self._lines: dict[str, _Line] = {}
        self._by_id: dict[str, _Line] = {}
        self._connection: Connection | None = None

    # -- what is wanted

    def subscribe(self, instrument: Instrument) -> None:
        """Stream an instrument, also after each reconnect."""
        if instrument.symbol not in self._lines:
            line = self._lines[instrument.symbol] = _Line(instrument)
            self._ask(line)

    def unsubscribe(self, instrument: Instrument) -> None:
        """Stop the stream."""
        line = self._lines.pop(instrument.symbol, None)
        if line is None or line.id is None:
            return
        del self._by_id[line.id]
        self._send(line, "2")

    def opened(self, connection: Connection) -> None:
        """Ask for everything on a new connection."""
        self._connection = connection
        self._by_id.clear()
        for line in self._lines.values():
            self._ask(line)

    def closed(self) -> None:
        """The link is gone: what was told is no longer fresh."""
        self._connection = None
        self._by_id.clear()
        for line in self._lines.values():
            line.id = None
        self.suspect()

    def suspect(self) -> None:
        """Mark all quotes as stale."""
        for line in self._lines.values():
            if not line.is_stale and any(line.levels.values()):
                line.is_stale = True
                self._quote(line, is_stale=True)

    def _ask(self, line: _Line) -> None:
        if self._connection is None:
            return
        line.id = self._connection.next_id(f"DATA-{self._now_ns()}")
        for levels in line.levels.values():
            levels.clear()
        self._by_id[line.id] = line
        self._send(line, "1")

    def _send(self, line: _Line, kind: str) -> None:
        if self._connection is None:
            return
        message = Message("V").add(262, line.id).add(263, kind).add(264, "1").add(265, "1")
        message.add(267, str(len(_ALL)))
        for entry in _ALL:
            message.add(269, entry)
        message.add(146, "1")
        message.fields += self._instruments.fields_of(line.instrument, "V")
        try:
            self._connection.send(message)
        except TxTraderError as error:
            self._log.warn("a request for market data was not sent: {error}", error=error.text)

    # -- what comes

    def received(self, message: Message) -> None:
        """Take a picture (W), changes (X) or a refusal (Y)."""
        line = self._by_id.get(message.get(262) or "")
        if line is None or message.is_set(43):
            return
        if message.type == "Y":
            text = message.get(58) or "the broker refuses"
            self.refused(line, message.get(281) or "none", text)
            return
        group = self._groups[message.type]
        is_picture = message.type == "W"
        if is_picture:
            for levels in line.levels.values():
                levels.clear()
        has_sides = is_picture
        figures: dict[str, Decimal] = {}
        try:
            for entry in message.entries(268, group.first, group.tags):
                has_sides |= self._entry(line, entry, figures, is_picture=is_picture)
        except (InvalidOperation, ValueError) as error:
            self._log.warn("market data of {symbol} cannot be read: {error}", symbol=line.symbol, error=error)
        if has_sides:
            line.is_stale = False
            self._quote(line)
        if figures:
            told: dict[str, Any] = dict(figures)
            self._sink.stats_changed(MarketStats(symbol=line.symbol, mode=self._mode, **told))

    def _entry(self, line: _Line, entry: Message, figures: dict[str, Decimal], *, is_picture: bool) -> bool:
        """Take one entry; tell whether it was about a side of the book."""
        action, kind, key = entry.get(279, _NEW), entry.get(269), entry.get(278)
        if kind is None:  # a change or an end may be named by its id alone
            kind = next((side for side in _SIDES if key in line.levels[side]), None)
        price, size = entry.decimal(270), entry.decimal(271)
        if kind in _SIDES:
            self._level(line.levels[kind], action or _NEW, key, price, size)
            return True
        if kind == _TRADE and price is not None and action != _DELETE:
            self._traded(line, price, size, is_picture=is_picture)
        elif kind in _FIGURES and price is not None and action != _DELETE:
            figures[_FIGURES[kind]] = price
        return False

    def _level(
        self, levels: dict[str, Level], action: str, key: str | None, price: Decimal | None, size: Decimal | None
    ) -> None:
        """Take a level in; one without an id goes by its price, as all do of a picture before 5.0."""
        by_price = "" if price is None else f"{_UNNAMED}{price.normalize()}"
        key = key or by_price
        if key not in levels and action != _NEW:
            # The picture told it without the id that it has from now on.  We ask for the best level: of one alone it
            # is clear which it is, even where an end names no price, or a change another one.
            unnamed = [name for name in levels if name.startswith(_UNNAMED)]
            if by_price in levels:
                levels[key] = levels.pop(by_price)
            elif len(unnamed) == 1 and (price is None or action == _CHANGE):
                levels[key] = levels.pop(unnamed[0])
        if action == _DELETE:
            levels.pop(key, None)
            return
        old = levels.get(key)
        if price is None and old is not None:
            price = old[0]
        if price is not None:
            levels[key] = (price, size if size is not None or old is None else old[1])

    def _traded(self, line: _Line, price: Decimal, size: Decimal | None, *, is_picture: bool) -> None:
        if is_picture and line.last == (price, size):
            return  # the last trade from before a gap, told again
        line.last = (price, size)
        self._sink.traded(
            Trade(symbol=line.symbol, mode=self._mode, last=price, size=size, receive_time=self._now_ns())
        )

    def _quote(self, line: _Line, *, is_stale: bool = False) -> None:
        bid, bidsize = line.best(_BID)
        ask, asksize = line.best(_OFFER)
        self._sink.quoted(
            Quote(
                symbol=line.symbol,
                mode=self._mode,
                bid=bid,
                bidsize=bidsize,
                ask=ask,
                asksize=asksize,
                receive_time=self._now_ns(),
                stale=is_stale,
            )
        )

    def rejected(self, sent: Message, reject: Message) -> bool:
        """Take the reject (3, j) of a message of ours; tell whether it was a request for data."""
        line = self._by_id.get(sent.get(262) or "") if sent.type == "V" else None
        if line is not None:
            self.refused(line, *code_and_text(reject))
        return sent.type == "V"

    def refused(self, line: _Line, code: str, text: str) -> None:
        """Say that there is no data for a symbol."""
        self._sink.noticed(
            BrokerNotice(
                mode=self._mode,
                severity="error",
                message=f"no market data for {line.symbol}: {text}",
                broker_code=code,
                symbol=line.symbol,
            )
        )


def _price(level: Level) -> Decimal:
    return level[0]
