"""Instruments at CQG: our symbols to its own, contracts of this session, and symbols that roll."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from txtrader.dialects.cqg.contracts import Contract, exchange_of, instrument_of
from txtrader.errors import BrokerError, BrokerUnavailable
from txtrader.model.instrument import Instrument, InstrumentQuery, SecType
from txtrader.wire.cqg.schema import message_class
from txtrader.wire.cqg.words import InfoStatus

__all__ = ["Instruments"]

_Resolution = message_class("metadata_2.SymbolResolutionRequest")
_Group = message_class("metadata_2.InstrumentGroupRequest")
_MONTHS = "FGHJKMNQUVXZ"


class Instruments:
    """Names, contracts and instruments; contract ids only for as long as the connection that gave them."""

    def __init__(
        self,
        mode: str,
        connected: Callable[[], Any],
        timeout: float,
        on_rolled: Callable[[Instrument, Contract], None],
    ) -> None:
        self._mode = mode
        self._connected = connected
        self._timeout = timeout
        self._on_rolled = on_rolled
        self._by_id: dict[str, Instrument] = {}
        self._now: dict[str, Contract] = {}  # the contract of each name in this session
        self._rolling: dict[str, Instrument] = {}  # by the symbol that people write

    def session_over(self) -> None:
        """Forget all contract ids."""
        self._now.clear()

    def is_rolling(self, instrument: Instrument) -> bool:
        """Tell whether a symbol stands for another contract after a roll."""
        return instrument.symbol in self._rolling

    def of(self, contract: Contract) -> Instrument:
        """Return the instrument of a contract."""
        self._now[contract.symbol] = contract
        known = self._by_id.get(contract.symbol)
        if known is None:
            known = self._by_id[contract.symbol] = instrument_of(contract, self._mode)
        return known

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

    async def contract_of(self, instrument: Instrument) -> Contract:
        """Return the contract of an instrument in this session, asking for it if need be."""
        found = self.known(instrument)
        if found is not None:
            return found
        is_rolling = self.is_rolling(instrument)
        name = instrument.symbol if is_rolling else instrument.instrument_id
        found = await self._ask(name, is_rolling=is_rolling)
        if found is None:
            raise BrokerError(f"CQG does not know {name} any more", broker_code=int(InfoStatus.NOT_FOUND))
        if is_rolling:
            self._now[name] = found
        return found

    async def resolve(self, query: InstrumentQuery) -> list[Instrument]:
        """Find what `query` means, best first; empty where CQG knows nothing of the kind."""
        self._connected()
        if query.raw_symbol is not None or query.instrument_id is not None:
            contract = await self._ask(str(query.raw_symbol or query.instrument_id))
            return [] if contract is None else [self.of(contract)]
        symbol = query.symbol or query.text
        if query.sectype in (SecType.CASH, SecType.CRYPTO):
            contract = await self._ask(f"{symbol}{query.currency or ''}")
            return self._fitting(query, [] if contract is None else [contract])
        if query.roll is not None or query.expiry is not None:
            return await self._dated(query, symbol)
        contract = await self._ask(symbol)
        if contract is None:
            return []
        if contract.short != symbol and contract.root == symbol and contract.cfi_code.startswith("F"):
            return [await self._make_rolling(symbol, contract)]
        return self._fitting(query, [contract])

    async def _make_rolling(self, symbol: str, contract: Contract) -> Instrument:
        if symbol not in self._rolling:
            self._rolling[symbol] = instrument_of(contract, self._mode, rolling=symbol)
            contract = await self._ask(symbol, is_rolling=True) or contract
        self._now[symbol] = contract
        self.of(contract)
        return self._rolling[symbol]

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
            if (query.sectype is None or row.sectype is query.sectype or query.sectype is SecType.OTHER)
            and (place is None or place in (row.exchange, exchange_of(place)))
            and (query.primary_exchange is None or query.primary_exchange == row.primary_exchange)
            and (query.currency is None or row.currency == query.currency)
        ]

    async def _ask(self, symbol: str, *, is_rolling: bool = False) -> Contract | None:
        """Resolve one of CQG's symbols; a rolling one is subscribed to, for its rolls."""
        connection = self._connected()

        def news(report: Any) -> None:
            if report.HasField("symbol_resolution_report"):
                self._rolled(symbol, connection.learn(report.symbol_resolution_report.contract_metadata))

        try:
            reports = await connection.ask(
                self._timeout,
                subscribe=True if is_rolling else None,
                on_news=news if is_rolling else None,
                symbol_resolution_request=_Resolution(symbol=symbol),
            )
        except BrokerError as error:
            if error.broker_code == InfoStatus.NOT_FOUND:
                return None
            raise
        contract: Contract = connection.learn(reports[-1].symbol_resolution_report.contract_metadata)
        self._now[contract.symbol] = contract
        return contract

    def _rolled(self, symbol: str, contract: Contract) -> None:
        former = self._now.get(symbol)
        self._now[symbol] = self._now[contract.symbol] = contract
        self.of(contract)
        instrument = self._rolling.get(symbol)
        if instrument is not None and (former is None or former.symbol != contract.symbol):
            self._on_rolled(instrument, contract)


def _month_of(contract: Contract) -> str | None:
    """Return a contract month as YYYYMM."""
    month = contract.month or ""
    if len(month) < 3 or month[0] not in _MONTHS or not month[1:].isdigit():
        return None
    year = month[1:] if len(month) == 5 else f"20{month[1:]}"
    return f"{year}{_MONTHS.index(month[0]) + 1:02d}"
