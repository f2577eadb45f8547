"""Accounts and positions of one login: streams of figures, and the complete set for reconciliation."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txtrader.adapters.tws_instruments import Instruments
from txtrader.errors import TxTraderError
from txtrader.gateway.adapter import AdapterSink
from txtrader.model.account import AccountValue, Position
from txtrader.model.instrument import Instrument, SecType
from txtrader.model.numbers import plain
from txtrader.net.pacing import Priority
from txtrader.twsapi.connection import Connection
from txtrader.wire.tws.message import Message

__all__ = ["Books"]

_MOST_ACCOUNTS = 50  # that TWS streams the figures of at once
_PER_CONTRACT = frozenset({SecType.FUTURE, SecType.OPTION, SecType.FUTURE_OPTION, SecType.WARRANT})


class Books:
    """Streams account figures and positions, and reads positions whole."""

    _log = Logger()

    def __init__(
        self,
        mode: str,
        sink: AdapterSink,
        now_ns: Callable[[], int],
        instruments: Instruments,
        *,
        timeout: float,
    ) -> None:
        self.accounts: tuple[str, ...] = ()
        self._mode = mode
        self._sink = sink
        self._now_ns = now_ns
        self._instruments = instruments
        self._timeout = timeout
        self._connection: Connection | None = None

    def opened(self, connection: Connection, accounts: tuple[str, ...]) -> None:
        """Ask for the figures of every account, and for the marks of the first one's positions.

        TWS streams the portfolio (marks, unrealized profit) of one account at a time only.
        """
        self._connection = connection
        self.accounts = accounts
        self._sink.accounts_changed(self._mode, accounts)
        self._post(Message("reqAccountUpdates", {"subscribe": True, "acctCode": accounts[0]}))
        for account in accounts[:_MOST_ACCOUNTS]:
            fields = {
                "reqId": connection.request_ids.take(),
                "account": account,
                "modelCode": "",
                "ledgerAndNLV": False,
            }
            self._post(Message("reqAccountUpdatesMulti", fields))

    def closed(self) -> None:
        """Note that the login is gone."""
        self._connection = None

    def _post(self, message: Message) -> None:
        assert self._connection is not None
        try:
            self._connection.post(message, Priority.ACCOUNT)
        except TxTraderError as error:
            self._log.warn("{name} was not sent: {error}", name=message.name, error=error.text)

    def account_value(self, message: Message) -> None:
        """Take one figure, of either stream."""
        fields = message.fields
        account = fields.get("accountName") or fields.get("account")
        key = fields.get("key")
        if not account or not key or fields.get("modelCode"):
            return
        self._sink.account_changed(
            AccountValue(
                account=account,
                mode=self._mode,
                key=key,
                value=str(fields.get("val") if "val" in fields else fields.get("value") or ""),
                currency=fields.get("currency") or None,
            )
        )

    def portfolio(self, message: Message) -> None:
        """Take the marks of one position."""
        fields = message.fields
        quantity = fields.get("position")
        account = fields.get("accountName")
        if not account or not isinstance(quantity, Decimal):
            return
        instrument = self._instruments.of(fields)
        self._sink.position_changed(
            Position(
                account=account,
                mode=self._mode,
                symbol=instrument.symbol,
                quantity=plain(quantity),
                instrument=instrument,
                instrument_id=instrument.instrument_id,
                currency=instrument.currency,
                avgprice=_price_of(fields.get("averageCost"), quantity, instrument),
                multiplier=instrument.multiplier,
                mark=_figure(fields.get("marketPrice")) or None,
                market_value=_figure(fields.get("marketValue")),
                unrealized=_figure(fields.get("unrealizedPNL")),
                realized=_figure(fields.get("realizedPNL")),
                update_time=self._now_ns(),
            )
        )

    def position(self, message: Message) -> Position | None:
        """Read one position report; None for one that says nothing."""
        fields = message.fields
        quantity, account = fields.get("position"), fields.get("account")
        if not account or not isinstance(quantity, Decimal):
            return None
        instrument = self._instruments.of(fields)
        return Position(
            account=account,
            mode=self._mode,
            symbol=instrument.symbol,
            quantity=plain(quantity),
            instrument=instrument,
            instrument_id=instrument.instrument_id,
            currency=instrument.currency,
            avgprice=_price_of(fields.get("avgCost"), quantity, instrument),
            multiplier=instrument.multiplier,
            update_time=self._now_ns(),
        )

    def position_news(self, message: Message) -> None:
        """Take a position that changed."""
        position = self.position(message)
        if position is not None:
            self._sink.position_changed(position)

    def read_positions(self, connection: Connection) -> Deferred[list[Position]]:
        """Read all positions; only with the end marker is the set complete.  The stream of changes goes on."""
        asked = connection.ask_shared(
            "reqPositions", answers=("position",), ends=("positionEnd",), timeout=self._timeout
        )

        def whole(messages: list[Message]) -> list[Position]:
            by_key: dict[tuple[str, str], Position] = {}
            for message in messages:
                position = self.position(message)
                if position is not None:
                    by_key[position.account, position.instrument_id or position.symbol] = position
            return list(by_key.values())

        return asked.addCallback(whole)


def _figure(value: Any) -> Decimal | None:
    return plain(value) if isinstance(value, Decimal) else None


def _price_of(cost: Any, quantity: Decimal, instrument: Instrument) -> Decimal | None:
    """Return the average price; TWS tells the cost of one contract, multiplier included."""
    if not isinstance(cost, Decimal) or not quantity:
        return None
    if instrument.sectype in _PER_CONTRACT and instrument.multiplier:
        with localcontext() as context:
            context.prec = 15
            cost = cost / instrument.multiplier
    return plain(cost)
