"""Instruments at TWS: found by question, remembered by contract id."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from twisted.logger import Logger

from txtrader.dialects import tws as dialect
from txtrader.errors import BrokerError, TxTraderError
from txtrader.model.instrument import Instrument, InstrumentQuery
from txtrader.twsapi.connection import Connection
from txtrader.wire.tws.message import Message

__all__ = ["Instruments"]

_NO_SUCH_CONTRACT = 200
_MOST_REFINED = 20  # candidates whose price steps are asked for; an ambiguous name shows no more anyway
_MOST_FOUND = 50
_RULE_TIMEOUT = 5.0  # seconds: the plain tick is good enough to go on with
_SAME_EXCHANGE = {"ISLAND": "NASDAQ"}  # TWS's older name beside the newer


class Instruments:
    """What is known of contracts, and the questions for more."""

    _log = Logger()

    def __init__(
        self, mode: str, connected: Callable[[], Connection], timeout: float, today: Callable[[], str]
    ) -> None:
        self._mode = mode
        self._connected = connected
        self._timeout = timeout
        self._today = today
        self._by_id: dict[str, Instrument] = {}
        self._rules: dict[int, Sequence[Mapping[str, Any]]] = {}

    def learn(self, instrument: Instrument) -> None:
        """Remember an instrument, unless more is known of it already."""
        known = self._by_id.get(instrument.instrument_id)
        if known is None or (known.tick is None and instrument.tick is not None):
            self._by_id[instrument.instrument_id] = instrument

    def of(self, contract: Mapping[str, Any]) -> Instrument:
        """Return the record of a contract as reports carry it: the one that is known, else what the report says."""
        known = self._by_id.get(str(contract.get("conId") or 0))
        if known is not None:
            return known
        made = dialect.instrument_from_contract(contract, self._mode)
        if contract.get("conId"):
            self._by_id[made.instrument_id] = made
        return made

    async def resolve(self, query: InstrumentQuery) -> list[Instrument]:
        """Find what `query` means, best first; empty where TWS knows nothing of the kind."""
        connection = self._connected()
        # Without a kind the question is open: all kinds are asked, and at last the names of companies.
        is_open = query.sectype is None and query.symbol is not None
        found: dict[int, Message] = {}
        for question in dialect.questions_for(query):
            for details in await self._details(connection, question):
                number = details.fields.get("conId")
                if isinstance(number, int) and number > 0:
                    found.setdefault(number, details)
            if found and not is_open:
                break
            if len(found) >= _MOST_FOUND:
                break
        if is_open and not found:
            for details in await self._by_name(connection, query.symbol or ""):
                found.setdefault(details.fields["conId"], details)
        rows = self._of_home_exchange(query, list(found.values())[:_MOST_FOUND])
        rows = self._of_roll(query, rows)
        instruments = [await self._refined(connection, row) for row in rows[:_MOST_REFINED]]
        instruments += [dialect.instrument_from_details(row.fields, self._mode) for row in rows[_MOST_REFINED:]]
        instruments = _told_apart(instruments)
        for instrument in instruments:
            self._by_id[instrument.instrument_id] = instrument
        return instruments

    async def _details(self, connection: Connection, contract: Mapping[str, Any]) -> list[Message]:
        try:
            return await connection.ask(
                "reqContractDetails", contract, ends=("contractDetailsEnd",), timeout=self._timeout
            )
        except BrokerError as error:
            if error.broker_code == _NO_SUCH_CONTRACT:
                return []
            raise

    async def _by_name(self, connection: Connection, text: str) -> list[Message]:
        """Find contracts by a part of their symbol or of a company's name."""
        samples = await connection.ask(
            "reqMatchingSymbols", {"pattern": text}, ends=("symbolSamples",), timeout=self._timeout
        )
        rows = [
            row for sample in samples for row in sample.fields.get("contractDescriptions") or () if row.get("conId")
        ]
        found: list[Message] = []
        for row in rows[:_MOST_REFINED]:
            found += [
                details
                for details in await self._details(connection, {"conId": row["conId"]})
                if details.fields.get("conId")
            ]
        return found

    def _of_home_exchange(self, query: InstrumentQuery, rows: list[Message]) -> list[Message]:
        """Keep those listed where the question says."""
        home = query.primary_exchange
        if home is None:
            return rows
        home = _SAME_EXCHANGE.get(home, home)
        return [
            row
            for row in rows
            if home
            in (_SAME_EXCHANGE.get(place, place) for place in (_text(row, "primaryExchange"), _text(row, "exchange")))
        ]

    def _of_roll(self, query: InstrumentQuery, rows: list[Message]) -> list[Message]:
        """Keep the n-th contract by its last day, for `:0`, `:1` ...; those whose last day is over do not count."""
        if query.roll is None:
            return rows
        days = sorted({day for row in rows if (day := _text(row, "lastTradeDateOrContractMonth")[:8]) >= self._today()})
        if query.roll >= len(days):
            return []
        return [row for row in rows if _text(row, "lastTradeDateOrContractMonth")[:8] == days[query.roll]]

    async def _refined(self, connection: Connection, details: Message) -> Instrument:
        """Add the price steps of the contract's exchange; without them the plain tick stands."""
        instrument = dialect.instrument_from_details(details.fields, self._mode)
        rule = dialect.market_rule_of(details.fields)
        if rule is None:
            return instrument
        if rule not in self._rules:
            # The answer carries the rule's id instead of a request id: one question for each rule at a time.
            try:
                answers = await connection.ask_shared(
                    "reqMarketRule",
                    {"marketRuleId": rule},
                    answers=(),
                    ends=("marketRule",),
                    timeout=_RULE_TIMEOUT,
                    share_as=f"marketRule {rule}",
                    is_mine=lambda message: message.fields.get("marketRuleId") == rule,
                )
            except TxTraderError as error:
                self._log.warn("price steps of rule {rule} are not known: {error}", rule=rule, error=error.text)
                return instrument
            self._rules[rule] = answers[-1].fields.get("priceIncrements") or ()
        return dialect.with_increments(instrument, self._rules[rule])


def _text(message: Message, name: str) -> str:
    return str(message.fields.get(name) or "")


def _told_apart(instruments: list[Instrument]) -> list[Instrument]:
    """Name those by id whose spelling several share: a candidate must be nameable."""
    spellings = [instrument.symbol for instrument in instruments]
    return [
        msgspec.structs.replace(instrument, symbol=f"#{instrument.instrument_id}")
        if spellings.count(instrument.symbol) > 1
        else instrument
        for instrument in instruments
    ]
