"""Instruments at CQG: our symbols to its own, contracts of this session, and symbols that roll."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.dialects.cqg.contracts import Contract, exchange_of, instrument_of
from txtrader.errors import BrokerError, BrokerUnavailable, TxTraderError
from txtrader.model.instrument import Instrument, InstrumentQuery, SecType
from txtrader.wire.cqg.schema import message_class
from txtrader.wire.cqg.words import InfoStatus, is_failure

__all__ = ["Instruments"]

_Resolution = message_class("metadata_2.SymbolResolutionRequest")
_Group = message_class("metadata_2.InstrumentGroupRequest")
_MONTHS = "FGHJKMNQUVXZ"


class Instruments:
    """Names, contracts and instruments; contract ids only for as long as the connection that gave them.

    `on_rolled` is told when a symbol that rolls goes over to another contract, `on_changed` when CQG tells anew what
    a contract is like that is watched, or that it has expired.
    """

    _log = Logger()

    def __init__(
        self,
        mode: str,
        connected: Callable[[], Any],
        timeout: float,
        on_rolled: Callable[[Instrument, Contract], None],
        on_changed: Callable[[Instrument, Contract], None] = lambda instrument, contract: None,
    ) -> None:
        self._mode = mode
        self._connected = connected
        self._timeout = timeout
        self._on_rolled = on_rolled
        self._on_changed = on_changed
        self._by_id: dict[str, Instrument] = {}
        self._read: dict[str, Contract] = {}  # what each of them was made of
        self._now: dict[str, Contract] = {}  # the contract of each name in this session
        self._watched: set[str] = set()  # names whose resolution is subscribed to in this session
        self._rolling: dict[str, Instrument] = {}  # by the symbol that people write
        self._stood_for: dict[str, str] = {}  # the contract symbol of each of them, over sessions

    def session_over(self) -> None:
        """Forget all contract ids."""
        self._now.clear()
        self._watched.clear()

    def opened(self) -> None:
        """Ask again what the symbols that roll stand for: a roll may have come while nobody listened."""
        for instrument in list(self._rolling.values()):
            self._spawn(self.contract_of(instrument), instrument.symbol)

    def _spawn(self, asked: Coroutine[Any, Any, object], symbol: str) -> None:
        ensureDeferred(asked).addErrback(self._not_found, symbol)

    def _not_found(self, failure: Failure, symbol: str) -> None:
        if not failure.check(TxTraderError):
            self._log.failure("asking what {symbol} stands for", failure=failure, symbol=symbol)
        elif not failure.check(BrokerUnavailable):
            self._log.warn("{symbol}: {reason}", symbol=symbol, reason=failure.getErrorMessage())

    def is_rolling(self, instrument: Instrument) -> bool:
        """Tell whether a symbol stands for another contract after a roll."""
        return instrument.symbol in self._rolling

    def of(self, contract: Contract) -> Instrument:
        """Return the instrument of a contract; it is made anew only when CQG tells something else of it."""
        self._now[contract.symbol] = contract
        if self._read.get(contract.symbol) is not contract:
            self._read[contract.symbol] = contract
            self._by_id[contract.symbol] = instrument_of(contract, self._mode)
        return self._by_id[contract.symbol]

    def for_order(self, instrument: Instrument) -> Instrument:
        """Return the contract that an order for `instrument` goes to: a rolling symbol's present one."""
        if not self.is_rolling(instrument):
            return instrument
        contract = self._now.get(instrument.symbol)
        if contract is None:
            raise BrokerUnavailable(f"which contract {instrument.symbol} stands for now is not known yet")
        return self.of(contract)

    def known(self, instrument: Instrument) -> Contract | None:
        """Return the contract of an instrument in this session, if it was asked for already."""
        return self._now.get(instrument.symbol if self.is_rolling(instrument) else instrument.instrument_id)

    async def contract_of(self, instrument: Instrument, *, is_watched: bool = False) -> Contract:
        """Return the contract of an instrument in this session, asking for it if need be.

        `is_watched` also has its changes told; those of a symbol that rolls are in any case.
        """
        is_rolling = self.is_rolling(instrument)
        name = instrument.symbol if is_rolling else instrument.instrument_id
        to_watch = (is_rolling or is_watched) and name not in self._watched
        found = self.known(instrument)
        if found is not None:
            if to_watch:
                self._spawn(self._ask(name, to_watch=True), name)
            return found
        found = await self._ask(name, to_watch=to_watch)
        if found is None:
            raise BrokerError(f"CQG does not know {name} any more", broker_code=int(InfoStatus.NOT_FOUND))
        if is_rolling:
            self._stands_for(name, found)
        return found

    async def resolve(self, query: InstrumentQuery) -> list[Instrument]:
        """Find what `query` means, best first; empty where CQG knows nothing of the kind."""
        self._connected()
        if query.raw_symbol is not None or query.instrument_id is not None:
            contract = await self._ask(str(query.raw_symbol or query.instrument_id))
            return [] if contract is None else [self.of(contract)]
        symbol = query.symbol or query.text
        if query.sectype in (SecType.CASH, SecType.CRYPTO):
            contract = await self._ask(f"{symbol}{query.currency or ''}", types="X")
            return self._fitting(query, [] if contract is None else [contract])
        if query.roll is not None or query.expiry is not None:
            return await self._dated(query, symbol)
        # The place and the currency of a stock say that it is one; a plain word is whatever CQG means by it.
        is_placed = query.primary_exchange is not None or query.currency is not None
        contract = await self._ask(symbol, types="S" if is_placed else "")
        if contract is None:
            return []
        if contract.short != symbol and contract.root == symbol and contract.cfi_code.startswith("F"):
            fits = self._fitting(query, [contract])
            return [await self._make_rolling(symbol, contract)] if fits else []
        return self._fitting(query, [contract])

    async def _make_rolling(self, symbol: str, contract: Contract) -> Instrument:
        if symbol not in self._rolling:
            self._rolling[symbol] = instrument_of(contract, self._mode, rolling=symbol)
            self._stood_for[symbol] = contract.symbol
        await self.contract_of(self._rolling[symbol])
        return self._rolling[symbol]

    def _stands_for(self, symbol: str, contract: Contract) -> None:
        """Take what a symbol that rolls stands for now."""
        self._now[symbol] = contract
        self.of(contract)
        has_rolled = self._stood_for.get(symbol) != contract.symbol
        self._stood_for[symbol] = contract.symbol
        instrument = self._rolling[symbol] = instrument_of(contract, self._mode, rolling=symbol)
        if has_rolled:
            self._on_rolled(instrument, contract)

    async def _dated(self, query: InstrumentQuery, symbol: str) -> list[Instrument]:
        """Find a future by its month, its last day or its place in the row of months; an option by its terms."""
        if query.right is not None and query.strike is not None:
            return await self._option(query, symbol)
        contracts = sorted(await self._months(symbol), key=lambda contract: contract.expiry or "")
        if query.roll is not None:
            contracts = contracts[query.roll : query.roll + 1]
        elif query.expiry is not None:
            wanted = query.expiry
            contracts = [one for one in contracts if wanted in (one.expiry, _month_of(one))]
        return self._fitting(query, contracts)

    async def _option(self, query: InstrumentQuery, symbol: str) -> list[Instrument]:
        day = query.expiry or ""
        month = f"{_MONTHS[int(day[4:6]) - 1]}{day[2:4]}"
        strike = f"{query.strike:f}".rstrip("0").rstrip(".") if "." in f"{query.strike:f}" else f"{query.strike:f}"
        right = (query.right or "C")[0]
        for place in (day[6:], ""):
            contract = await self._ask(f"{right}.US.{symbol}{month}{place}{strike}")
            if contract is not None:
                return self._fitting(query, [contract])
        return []

    async def _months(self, symbol: str) -> list[Contract]:
        request = _Group(instrument_group_id=f"F.US.{symbol}")
        connection = self._connected()
        try:
            reports = await connection.ask(self._timeout, instrument_group_request=request)
        except BrokerError as error:
            if error.broker_code == InfoStatus.NOT_FOUND:
                return []
            raise
        items = [item for report in reports for item in report.instrument_group_report.instruments]
        found = [connection.learn(item.contract_metadata) for item in items if item.HasField("contract_metadata")]
        for item in items:
            if not item.HasField("contract_metadata"):
                contract = await self._ask(item.id)
                if contract is not None:
                    found.append(contract)
        for contract in found:
            self._now[contract.symbol] = contract
        return found

    def _fitting(self, query: InstrumentQuery, contracts: list[Contract]) -> list[Instrument]:
        place = query.exchange if query.exchange not in (None, "SMART") else None
        rows = [self.of(contract) for contract in contracts if not contract.is_deleted]
        return [
            row
            for row in rows
            if self._is_of_kind(query, row)
            and (place is None or place in (row.exchange, exchange_of(place)))
            and (query.primary_exchange is None or query.primary_exchange == row.primary_exchange)
            and (query.currency is None or row.currency == query.currency)
        ]

    def _is_of_kind(self, query: InstrumentQuery, row: Instrument) -> bool:
        """Tell whether an instrument is of the kind asked for.

        Words without marks are written as stocks are, and mean whatever CQG calls so.  Options on futures are
        spelled like those on stocks.
        """
        kind = query.sectype
        if kind in (None, SecType.OTHER, SecType.STOCK) or row.sectype is kind:
            return True
        return kind is SecType.OPTION and row.sectype is SecType.FUTURE_OPTION

    async def _ask(self, symbol: str, *, to_watch: bool = False, types: str = "") -> Contract | None:
        """Resolve one of CQG's symbols; `to_watch` subscribes to what it stands for, `types` come first."""
        connection = self._connected()

        def news(report: Any) -> None:
            if is_failure(report.status_code):
                self._watched.discard(symbol)
            elif report.HasField("symbol_resolution_report"):
                self._news(symbol, connection, report.symbol_resolution_report)

        request = _Resolution(symbol=symbol)
        if types:
            request.preferred_types = types
        if to_watch:
            self._watched.add(symbol)
        try:
            reports = await connection.ask(
                self._timeout,
                subscribe=True if to_watch else None,
                on_news=news if to_watch else None,
                symbol_resolution_request=request,
            )
        except TxTraderError as error:
            if to_watch:
                self._watched.discard(symbol)
            if error.broker_code == InfoStatus.NOT_FOUND:
                return None
            raise
        return self._take(connection, reports[-1].symbol_resolution_report)

    def _take(self, connection: Any, report: Any) -> Contract:
        contract: Contract = connection.learn(report.contract_metadata)
        if report.deleted and not contract.is_deleted:
            contract = msgspec.structs.replace(contract, is_deleted=True)
        self._now[contract.symbol] = contract
        return contract

    def _news(self, symbol: str, connection: Any, report: Any) -> None:
        """Take an update of a name that is watched."""
        contract = self._take(connection, report)
        if symbol in self._rolling:
            self._stands_for(symbol, contract)
        else:
            self._on_changed(self.of(contract), contract)


def _month_of(contract: Contract) -> str | None:
    """Return a contract month as YYYYMM."""
    month = contract.month or ""
    if len(month) < 3 or month[0] not in _MONTHS or not month[1:].isdigit():
        return None
    year = month[1:] if len(month) == 5 else f"20{month[1:]}"
    return f"{year}{_MONTHS.index(month[0]) + 1:02d}"
