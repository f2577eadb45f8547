"""Instruments over FIX: asked of the broker where it offers that, else told by a file of symbols.

    x -> y ... until all fragments are there        c -> d        a broker that refuses one is asked the other

A symbols file is a JSON object: a name, and what is known of it (`tick`, `step`, `currency`, `sectype`, `exchange`,
`expiry`, `strike`, `right`, `multiplier`, `symbol`, `security_id`, `id_source`, `fullname`).  It fills in what the
broker does not say; `*` stands for every stock that is not named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from txtrader.adapters.fix_connection import Connection
from txtrader.dialects.fix_reports import Contract, contract_of, instrument_to_wire
from txtrader.errors import BrokerError, BrokerUnavailable, ConfigError
from txtrader.model.instrument import Instrument, InstrumentQuery, SecType
from txtrader.model.numbers import parse_decimal
from txtrader.model.symbols import canonical_symbol
from txtrader.wire.fix.dictionary import dictionary
from txtrader.wire.fix.message import Message

__all__ = ["Instruments", "read_symbols"]

_KEYS = frozenset(
    "tick step currency sectype exchange expiry strike right multiplier symbol security_id id_source fullname".split()
)
_NUMBERS = ("tick", "step", "strike", "multiplier")
_ANY = "*"
_NONE_FOUND, _ACCEPTED = "2", "1"


def read_symbols(path: str | None) -> dict[str, dict[str, Any]]:
    """Read a symbols file; nothing without a path.  Raises ConfigError."""
    if path is None:
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            rows = json.load(file)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}", path="FIX_SYMBOLS") from None
    if not isinstance(rows, dict):
        raise ConfigError(f"{path} is no JSON object of symbols", path="FIX_SYMBOLS")
    return {name.upper(): _row(path, name, row) for name, row in rows.items()}


def _row(path: str, name: str, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict) or not row.keys() <= _KEYS:
        wrong = ", ".join(sorted(row.keys() - _KEYS)) if isinstance(row, dict) else "no object"
        raise ConfigError(f"{path}: {name}: {wrong}", path="FIX_SYMBOLS")
    found = dict(row)
    try:
        for key in _NUMBERS:
            if key in found:
                found[key] = parse_decimal(found[key], key)
        found["sectype"] = SecType(found.get("sectype", SecType.STOCK))
    except Exception as error:  # noqa: BLE001  whatever is wrong with a value is wrong with the file
        raise ConfigError(f"{path}: {name}: {error}", path="FIX_SYMBOLS") from None
    return found


class Instruments:
    """What instruments there are, and how each is named on the wire."""

    def __init__(
        self,
        mode: str,
        connected: Callable[[], Connection],
        *,
        version: str,
        begin_string: str,
        asks: bool,
        symbols: dict[str, dict[str, Any]],
        timeout: float,
    ) -> None:
        self._mode = mode
        self._connected = connected
        self._version = version
        self._messages = dictionary(begin_string).messages
        self._asks = asks
        self._symbols = symbols
        self._timeout = timeout
        self._by_id: dict[str, tuple[Instrument, Contract]] = {}
        self._has_list = version != "4.2"
        self._has_definition = True

    # -- naming

    def fields_of(self, instrument: Instrument, kind: str) -> list[tuple[int, str]]:
        """Return the fields that name an instrument in a message of some type, whichever process has met it."""
        known = self._by_id.get(instrument.instrument_id)
        contract = known[1] if known is not None else _contract_again(instrument)
        fields = instrument_to_wire(contract, self._version)
        has_currency = instrument.currency is not None and 15 in self._messages[kind].tags
        return [*fields, (15, str(instrument.currency))] if has_currency else fields

    def from_message(self, message: Message) -> Instrument | None:
        """Return the instrument that a report is about, None where it names none."""
        try:
            contract = contract_of(message)
        except ValueError:
            return None
        known = self._by_id.get(contract.id)
        return known[0] if known is not None else self._make(contract)[0]

    def _make(self, contract: Contract) -> tuple[Instrument, Contract]:
        """Make the record of a contract, completed by the symbols file."""
        row = self._row_of(contract)
        base, _, quote = contract.symbol.partition("/")  # a pair may be called by both its names
        is_pair = contract.sectype is SecType.CASH and bool(quote)
        currency = (quote if is_pair else contract.currency) or row.get("currency") or "USD"
        contract = msgspec.structs.replace(
            contract,
            currency=currency,
            security_id=contract.security_id or row.get("security_id"),
            id_source=contract.id_source or row.get("id_source"),
            exchange=contract.exchange or row.get("exchange"),
        )
        symbol = canonical_symbol(
            sectype=contract.sectype,
            symbol=base if is_pair else contract.symbol,
            instrument_id=contract.id,
            exchange=contract.exchange,
            currency=currency,
            expiry=contract.expiry,
            strike=contract.strike,
            right=contract.right,
        )
        instrument = Instrument(
            symbol=symbol,
            instrument_id=contract.id,
            mode=self._mode,
            sectype=contract.sectype,
            exchange=contract.exchange,
            primary_exchange=contract.exchange,
            currency=currency,
            fullname=contract.text or row.get("fullname"),
            local_symbol=contract.symbol,
            expiry=contract.expiry,
            strike=contract.strike,
            right=contract.right,
            multiplier=contract.multiplier or row.get("multiplier"),
            tick=contract.tick or row.get("tick"),
            step=contract.step or row.get("step") or Decimal(1),
        )
        return instrument, contract

    def _row_of(self, contract: Contract) -> dict[str, Any]:
        """Return what the file says of a contract: its own row, one that calls it so, or the one for all."""
        own = self._symbols.get(contract.symbol.upper())
        if own is None or (own["sectype"] is not contract.sectype and own["sectype"] is not SecType.STOCK):
            rows = self._symbols.values()
            alike = [row for row in rows if row.get("symbol") == contract.symbol and row["sectype"] is contract.sectype]
            own = alike[0] if alike else own
        return own or self._symbols.get(_ANY) or {}

    def _keep(self, contract: Contract) -> Instrument:
        made = self._make(contract)
        self._by_id[made[0].instrument_id] = made
        return made[0]

    # -- finding

    async def resolve(self, query: InstrumentQuery) -> Sequence[Instrument]:
        """Find what matches, best first; an empty list where there is nothing."""
        connection = self._connected()
        if query.instrument_id is not None:
            known = self._by_id.get(query.instrument_id)
            if known is not None:
                return [known[0]]
            query = msgspec.structs.replace(query, symbol=query.instrument_id.split(".")[0])
        name = query.raw_symbol or query.symbol or ""
        row = self._symbols.get(query.text) or self._symbols.get(name.upper())
        name = row.get("symbol", name) if row is not None else name
        found = await self._ask(connection, query, name) if self._asks else None
        if found is None and row is None and query.sectype is SecType.STOCK:
            row = self._symbols.get(_ANY)  # only where there is nobody to ask
        if not found:
            found = [] if row is None else [_contract_of_row(name, row)]
        kept = [self._keep(contract) for contract in found if _fits(contract, query)]
        return _in_sequence(kept, query)

    async def _ask(self, connection: Connection, query: InstrumentQuery, name: str) -> list[Contract] | None:
        """Ask for a list, or for one definition; a request that the broker has not is not made again.

        None where it has neither.
        """
        refusal: BrokerError | None = None
        if self._has_list:
            try:
                return await self._list(connection, query, name)
            except BrokerError as error:
                refusal, self._has_list = error, False
        if self._has_definition:
            try:
                return await self._define(connection, query, name)
            except BrokerError as error:
                refusal, self._has_definition = error, False
        if refusal is not None and not self._symbols:
            raise refusal
        return None

    def _wanted(self, query: InstrumentQuery, name: str) -> list[tuple[int, str]]:
        contract = Contract(
            symbol=name,
            sectype=query.sectype or SecType.OTHER,
            expiry=query.expiry,
            strike=query.strike,
            right=query.right,
            exchange=query.exchange,
        )
        fields = instrument_to_wire(contract, self._version)
        if self._version != "4.2" and query.expiry is not None and len(query.expiry) == 8:
            fields = [pair for pair in fields if pair[0] != 200]  # the contract month may be another one
        return [*fields, (15, query.currency)] if query.currency else fields

    async def _list(self, connection: Connection, query: InstrumentQuery, name: str) -> list[Contract]:
        key = connection.next_id("LIST")
        message = Message("x").add(320, key).add(559, "0")
        message.fields += self._wanted(query, name)
        answers = await connection.ask(key, f"the list of {name}", message, self._timeout).wait()
        group = self._messages["y"].groups[146]
        entries = [entry for answer in answers for entry in answer.entries(146, group.first, group.tags | {969})]
        try:
            return [contract_of(entry) for entry in entries]
        except ValueError as error:
            raise BrokerUnavailable(f"the list of {name} cannot be read: {error}") from None

    async def _define(self, connection: Connection, query: InstrumentQuery, name: str) -> list[Contract]:
        key = connection.next_id("DEFINE")
        message = Message("c").add(320, key).add(321, "0")
        message.fields += self._wanted(query, name)
        (answer,) = await connection.ask(key, f"the definition of {name}", message, self._timeout).wait()
        accepted = (_ACCEPTED, "2") if self._version != "4.2" else (_ACCEPTED, "2", "3")
        try:
            return [contract_of(answer)] if answer.get(323, _ACCEPTED) in accepted and answer.get(55) else []
        except ValueError as error:
            raise BrokerUnavailable(f"the definition of {name} cannot be read: {error}") from None

    def listed(self, connection: Connection, message: Message) -> bool:
        """Take an answer (y, d); tell whether it was waited for."""
        question = connection.question(message.get(320))
        if question is None:
            return False
        if message.type == "d":
            question.collect(message)
            question.finish()
            return True
        if message.get(560, "0") == "0":
            question.collect(message)
            question_is_over = message.get(893, "Y") == "Y"
        elif message.get(560) == _NONE_FOUND:
            question_is_over = True
        else:
            code = message.get(560)
            question.fail(BrokerError(message.get(58) or f"no list of instruments ({code})", broker_code=code))
            return True
        if question_is_over:
            question.finish()
        return True


def _contract_again(instrument: Instrument) -> Contract:
    """Return what names an instrument that only its record tells of; a contract month of its own is in the id."""
    month = re.search(r"\.[0-9]{8}-([0-9]{6})(\.|$)", instrument.instrument_id)
    return Contract(
        symbol=instrument.local_symbol or instrument.symbol,
        sectype=instrument.sectype,
        currency=instrument.currency,
        exchange=instrument.exchange,
        expiry=instrument.expiry,
        strike=instrument.strike,
        right=instrument.right,
        month=None if month is None else month[1],
    )


def _contract_of_row(name: str, row: dict[str, Any]) -> Contract:
    return Contract(
        symbol=row.get("symbol", name),
        sectype=row["sectype"],
        currency=row.get("currency"),
        exchange=row.get("exchange"),
        expiry=row.get("expiry"),
        strike=row.get("strike"),
        right=row.get("right"),
        multiplier=row.get("multiplier"),
        security_id=row.get("security_id"),
        id_source=row.get("id_source"),
        text=row.get("fullname"),
        tick=row.get("tick"),
        step=row.get("step"),
    )


def _fits(contract: Contract, query: InstrumentQuery) -> bool:
    """Tell whether a contract is what was asked for; what the broker does not say is no reason against it."""
    if query.sectype is not None and contract.sectype is not query.sectype:
        return False
    if query.expiry is not None and contract.expiry and not _same_time(contract.expiry, query.expiry):
        return False
    pairs = ((query.currency, contract.currency), (query.right, contract.right), (query.strike, contract.strike))
    return all(asked is None or told is None or asked == told for asked, told in pairs)


def _same_time(one: str, other: str) -> bool:
    size = min(len(one), len(other))
    return one[:size] == other[:size]


def _in_sequence(found: list[Instrument], query: InstrumentQuery) -> list[Instrument]:
    """Sort dated ones by their day; of a roll only the n-th is meant."""
    if query.expiry is None and any(one.expiry for one in found):
        found = sorted(found, key=lambda one: one.expiry or "")
    if query.roll is not None:
        return found[query.roll : query.roll + 1]
    return found
