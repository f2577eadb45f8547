"""Positions over FIX (4.4 and later): AN is answered by AO with the number of reports, then AP for each position."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from txtrader.dialects import fix as dialect
from txtrader.dialects.fix_reports import instrument_to_wire
from txtrader.exsim.endpoints.fix.endpoint import FixConnection
from txtrader.exsim.endpoints.fix.instruments import contract_of
from txtrader.exsim.instruments import unlisted
from txtrader.exsim.records import Holding
from txtrader.exsim.venue import Venue
from txtrader.wire.fix.dictionary import dictionary
from txtrader.wire.fix.message import Message

__all__ = ["Positions"]

_VALID, _NONE_FOUND, _NOT_AUTHORISED, _UNSUPPORTED = "0", "2", "3", "4"
_COMPLETED, _REJECTED = "0", "2"
_HELD = "0"  # positions, where 1 would be trades, 2 exercises, 3 assignments


class Positions:
    """Answers requests for positions; `accounts` are those that a client may ask about."""

    def __init__(self, venue: Venue, accounts: Callable[[FixConnection], tuple[str, ...]]) -> None:
        self._venue = venue
        self._accounts = accounts
        self._reports = 0

    def answer(self, connection: FixConnection, message: Message) -> None:
        """Answer a request (AN)."""
        account = message.get(1) or message.get(448) or ""
        if account not in self._accounts(connection):
            self._refuse(connection, message, account, _NOT_AUTHORISED, f"account {account} is not yours")
            return
        if message.get(724) != _HELD:
            self._refuse(connection, message, account, _UNSUPPORTED, "only positions are told")
            return
        held = [one for one in self._venue.holdings(account) if one.quantity]
        head = self._head("AO", message, account).add(727, str(len(held)))
        connection.send(head.add(728, _VALID if held else _NONE_FOUND).add(729, _COMPLETED))
        for holding in held:
            connection.send(self._report(message, holding, len(held)))

    def _refuse(self, connection: FixConnection, message: Message, account: str, result: str, text: str) -> None:
        head = self._head("AO", message, account or "NONE").add(727, "0")
        connection.send(head.add(728, result).add(729, _REJECTED).add(58, text))

    def _head(self, kind: str, request: Message, account: str) -> Message:
        self._reports += 1
        message = Message(kind).add(721, f"P{self._reports}").add(710, request[710])
        message.add(453, "1").add(448, account).add(447, "D").add(452, "38")
        return message.add(1, account).add(581, "1")

    def _report(self, request: Message, holding: Holding, total: int) -> Message:
        venue = self._venue
        listing = venue.instruments.get(holding.listing_id) or unlisted(holding.listing_id)
        today = datetime.fromtimestamp(venue.now_ns() // dialect.SECOND, UTC)
        message = self._head("AP", request, holding.account).add(727, str(total)).add(728, _VALID)
        message.add(715, today.strftime("%Y%m%d"))
        message.fields += instrument_to_wire(contract_of(listing), dictionary(request[8]).version)
        long, short = max(holding.quantity, Decimal(0)), max(-holding.quantity, Decimal(0))
        message.add(15, holding.currency).add(730, _number(holding.mark)).add(731, "2")
        message.add(734, _number(venue.stats(holding.listing_id).previous_close))
        message.add(702, "1").add(703, "TOT").add(704, _number(long)).add(705, _number(short))
        return message.add(706, "0")


_number = dialect.number_to_wire
