"""Account values, positions, profit and loss: questions, and streams of what changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall

from txtrader.exsim.endpoints.tws.account_values import (
    LEDGER,
    Value,
    ledger_values,
    summary_values,
    update_values,
)
from txtrader.exsim.endpoints.tws.service import Answer, RequestFailed, Service
from txtrader.exsim.records import Holding
from txtrader.model.numbers import plain
from txtrader.wire.tws.message import Message

if TYPE_CHECKING:
    from txtrader.exsim.endpoints.tws.connection import TwsConnection

__all__ = ["Accounts"]

_SOON = 0.25  # one order makes many facts: they are told together
_REFRESH = 180.0  # TWS repeats what prices moved about every three minutes
_PNL_INTERVAL = 1.0
_MAX_SUMMARIES = 2
_CENT = Decimal("0.01")


class _Stream:
    """Something that is told again: soon after `poke`, and each `interval` seconds."""

    def __init__(self, clock: Any, tell: Callable[[], None], interval: float) -> None:
        self._clock = clock
        self._tell = tell
        self._interval = interval
        self._timer: IDelayedCall = clock.callLater(interval, self._run)
        self._is_poked = False

    def poke(self) -> None:
        """Tell soon."""
        if not self._is_poked:
            self._is_poked = True
            self._timer.reset(_SOON)

    def close(self) -> None:
        """Tell no more."""
        if self._timer.active():
            self._timer.cancel()

    def _run(self) -> None:
        self._is_poked = False
        self._timer = self._clock.callLater(self._interval, self._run)
        self._tell()


class Accounts(Service):
    """One client's view of the accounts."""

    def __init__(self, connection: TwsConnection) -> None:
        super().__init__(connection)
        self._account = ""  # the one whose updates are on
        self._updates: _Stream | None = None
        self._told: dict[tuple[str, str], str] = {}
        self._multi: dict[int, tuple[str, _Stream]] = {}
        self._summaries: dict[int, _Stream] = {}
        self._pnl: dict[int, _Stream] = {}
        self._wants_positions = False
        self._positions_multi: dict[int, tuple[tuple[str, ...], str]] = {}

    @property
    def answers(self) -> Mapping[str, Answer]:
        return {
            "reqAccountUpdates": self.updates,
            "reqAccountUpdatesMulti": self.updates_multi,
            "cancelAccountUpdatesMulti": self.cancel_updates_multi,
            "reqAccountSummary": self.summary,
            "cancelAccountSummary": self.cancel_summary,
            "reqPositions": self.positions,
            "cancelPositions": self.cancel_positions,
            "reqPositionsMulti": self.positions_multi,
            "cancelPositionsMulti": self.cancel_positions_multi,
            "reqPnL": self.pnl,
            "cancelPnL": self.cancel_pnl,
            "reqPnLSingle": self.pnl_single,
            "cancelPnLSingle": self.cancel_pnl,
        }

    # -- what the venue tells

    def holding_changed(self, holding: Holding) -> None:
        """Send a changed position to the streams that have it."""
        if holding.account not in self.endpoint.accounts:
            return
        if self._wants_positions:
            self.send("position", **self._position(holding), position=holding.quantity)
        for req_id, (accounts, model) in self._positions_multi.items():
            if holding.account in accounts:
                self.send(
                    "positionMulti", **self._position(holding), reqId=req_id, pos=holding.quantity, modelCode=model
                )
        if self._updates is not None and holding.account == self._account:
            self._send_portfolio(holding)

    def account_changed(self, account: str) -> None:
        """Have the streams of an account told soon."""
        if self._updates is not None and account == self._account:
            self._updates.poke()
        for watched, stream in self._multi.values():
            if watched == account:
                stream.poke()
        for stream in self._summaries.values():
            stream.poke()

    # -- account updates

    def updates(self, message: Message) -> None:
        """Send all values and positions of one account, then what changes; or end that."""
        if not message["subscribe"]:
            self._end_updates()
            return
        account = self._known(message["acctCode"], -1)
        if self._updates is not None and account != self._account:
            self.connection.error(-1, 2100, "API client has been unsubscribed from account data.")
        self._end_updates()
        self._account = account
        self._told.clear()
        self._send_updates()
        for holding in self.venue.holdings(account):
            if holding.quantity or holding.realized:
                self._send_portfolio(holding)
        self._send_time()
        self.send("accountDownloadEnd", accountName=account)
        self._updates = _Stream(self.endpoint.reactor, self._refresh_updates, _REFRESH)

    def _refresh_updates(self) -> None:
        with self.connection.together():
            self._send_updates()
            for holding in self.venue.holdings(self._account):
                if holding.quantity:
                    self._send_portfolio(holding)
            self._send_time()

    def _send_updates(self) -> None:
        for key, value, currency in update_values(self.venue.figures(self._account)):
            if self._told.get((key, currency)) != value:
                self._told[(key, currency)] = value
                self.send("updateAccountValue", key=key, val=value, currency=currency, accountName=self._account)

    def _send_time(self) -> None:
        self.send("updateAccountTime", timeStamp=self.endpoint.zone.clock(self.venue.now_ns()))

    def _send_portfolio(self, holding: Holding) -> None:
        listing = self.venue.instruments.get(holding.listing_id)
        assert listing is not None
        contract = {**self.endpoint.listings.contract(listing)}
        del contract["exchange"]
        self.send(
            "updatePortfolio",
            **contract,
            primaryExchange=listing.primary_exchange or listing.exchange,
            position=plain(holding.quantity),
            marketPrice=plain(holding.mark),
            marketValue=_cents(holding.market_value),
            averageCost=_fine(holding.average_cost),
            unrealizedPNL=_cents(holding.unrealized),
            realizedPNL=_cents(holding.realized),
            accountName=holding.account,
        )

    def _end_updates(self) -> None:
        if self._updates is not None:
            self._updates.close()
            self._updates = None

    def updates_multi(self, message: Message) -> None:
        """Send an account's values by request id, then what changes."""
        req_id = message["reqId"]
        account = self._known(message["account"], req_id)
        model, brief = message["modelCode"], message["ledgerAndNLV"]
        if req_id in self._multi:
            raise RequestFailed(322, "Error processing request.-'ca' : cause - Duplicate request id")
        told: dict[tuple[str, str], str] = {}

        def tell() -> None:
            figures = self.venue.figures(account)
            values: list[Value] = list(ledger_values(figures)) if brief else update_values(figures)
            if brief:
                values.append(summary_values(figures)["NetLiquidation"])
            with self.connection.together():
                for key, value, currency in values:
                    if told.get((key, currency)) != value:
                        told[(key, currency)] = value
                        self.send(
                            "accountUpdateMulti",
                            reqId=req_id,
                            account=account,
                            modelCode=model,
                            key=key,
                            value=value,
                            currency=currency,
                        )

        tell()
        self.send("accountUpdateMultiEnd", reqId=req_id)
        self._multi[req_id] = (account, _Stream(self.endpoint.reactor, tell, _REFRESH))

    def cancel_updates_multi(self, message: Message) -> None:
        """End a stream of values."""
        found = self._multi.pop(message["reqId"], None)
        if found is not None:
            found[1].close()

    # -- summary

    def summary(self, message: Message) -> None:
        """Send the wanted tags of every account, again when they change."""
        req_id = message["reqId"]
        if req_id in self._summaries:
            raise RequestFailed(322, "Error processing request.-'cN' : cause - Duplicate request id")
        if len(self._summaries) >= _MAX_SUMMARIES:
            raise RequestFailed(
                322,
                "Error processing request.-'cN' : cause - Maximum number of account summary requests exceeded",
            )
        wanted = [tag.strip() for tag in (message["tags"] or "").split(",") if tag.strip()]
        known = summary_values(self.venue.figures(self.endpoint.accounts[0]))
        for tag in wanted:
            if tag not in known and not tag.startswith(LEDGER):
                raise RequestFailed(321, f"Error validating request.-'cN' : cause - Invalid tag {tag}")
        told: dict[tuple[str, str, str], str] = {}

        def tell() -> None:
            with self.connection.together():
                for account in self.endpoint.accounts:
                    for tag, value, currency in self._summary(account, wanted):
                        if told.get((account, tag, currency)) != value:
                            told[(account, tag, currency)] = value
                            self.send(
                                "accountSummary",
                                reqId=req_id,
                                account=account,
                                tag=tag,
                                value=value,
                                currency=currency,
                            )

        tell()
        self.send("accountSummaryEnd", reqId=req_id)
        self._summaries[req_id] = _Stream(self.endpoint.reactor, tell, _REFRESH)

    def _summary(self, account: str, wanted: list[str]) -> list[Value]:
        figures = self.venue.figures(account)
        known = summary_values(figures)
        values: list[Value] = []
        for tag in wanted:
            if tag.startswith(LEDGER):
                values.extend(ledger_values(figures, tag[len(LEDGER) + 1 :] or "BASE"))
            else:
                values.append(known[tag])
        return values

    def cancel_summary(self, message: Message) -> None:
        """End a summary."""
        stream = self._summaries.pop(message["reqId"], None)
        if stream is not None:
            stream.close()

    # -- positions

    def positions(self, message: Message) -> None:
        """Send every position of every account, then each change."""
        for holding in self._held(self.endpoint.accounts):
            self.send("position", **self._position(holding), position=holding.quantity)
        self.send("positionEnd")
        self._wants_positions = True

    def cancel_positions(self, message: Message) -> None:
        """End the stream of positions."""
        self._wants_positions = False

    def positions_multi(self, message: Message) -> None:
        """Send one account's positions by request id, then each change."""
        req_id = message["reqId"]
        accounts = (self._known(message["account"], req_id),) if message["account"] else self.endpoint.accounts
        for holding in self._held(accounts):
            self.send(
                "positionMulti",
                **self._position(holding),
                reqId=req_id,
                pos=holding.quantity,
                modelCode=message["modelCode"],
            )
        self.send("positionMultiEnd", reqId=req_id)
        self._positions_multi[req_id] = (accounts, message["modelCode"])

    def cancel_positions_multi(self, message: Message) -> None:
        """End a stream of positions."""
        self._positions_multi.pop(message["reqId"], None)

    def _held(self, accounts: tuple[str, ...]) -> list[Holding]:
        return [holding for holding in self.venue.holdings() if holding.quantity and holding.account in accounts]

    def _position(self, holding: Holding) -> dict[str, Any]:
        listing = self.venue.instruments.get(holding.listing_id)
        assert listing is not None
        contract = self.endpoint.listings.contract(listing, listing.primary_exchange or listing.exchange)
        return {**contract, "account": holding.account, "avgCost": _fine(holding.average_cost)}

    # -- profit and loss

    def pnl(self, message: Message) -> None:
        """Send an account's profit each second in which it changed."""
        req_id = message["reqId"]
        account = self._known(message["account"], req_id)

        def figures() -> dict[str, Any]:
            profit = self.venue.profit(account)
            return {
                "dailyPnL": _fine(profit.daily),
                "unrealizedPnL": _fine(profit.unrealized),
                "realizedPnL": _fine(profit.realized),
            }

        self._start_pnl(req_id, "pnl", figures)

    def pnl_single(self, message: Message) -> None:
        """Send the profit of one position each second in which it changed."""
        req_id, con_id = message["reqId"], message["conId"]
        account = self._known(message["account"], req_id)
        if con_id is None or self.venue.instruments.get(con_id) is None:
            raise RequestFailed(200, "No security definition has been found for the request")

        def figures() -> dict[str, Any]:
            profit = self.venue.profit(account, con_id)
            return {
                "pos": plain(profit.quantity),
                "dailyPnL": _fine(profit.daily),
                "unrealizedPnL": _fine(profit.unrealized),
                "realizedPnL": _fine(profit.realized),
                "value": _fine(profit.market_value),
            }

        self._start_pnl(req_id, "pnlSingle", figures)

    def cancel_pnl(self, message: Message) -> None:
        """End a stream of profit."""
        stream = self._pnl.pop(message["reqId"], None)
        if stream is not None:
            stream.close()

    def _start_pnl(self, req_id: int, name: str, figures: Callable[[], dict[str, Any]]) -> None:
        if req_id in self._pnl:
            raise RequestFailed(102, "Duplicate ticker id")
        told: dict[str, Any] = {}

        def tell() -> None:
            now = figures()
            if now != told:
                told.update(now)
                self.send(name, reqId=req_id, **now)

        tell()
        self._pnl[req_id] = _Stream(self.endpoint.reactor, tell, _PNL_INTERVAL)

    # -- the inside

    def _known(self, account: str, req_id: int) -> str:
        """Return an account that clients may see, the first by default; raises RequestFailed (321)."""
        if not account:
            return self.endpoint.accounts[0]
        if account not in self.endpoint.accounts:
            raise RequestFailed(321, f"Error validating request.-'bE' : cause - Invalid account code '{account}'.")
        return account

    def close(self) -> None:
        self._end_updates()
        for _, stream in self._multi.values():
            stream.close()
        for stream in [*self._summaries.values(), *self._pnl.values()]:
            stream.close()


def _cents(value: Decimal) -> Decimal:
    return value.quantize(_CENT)


def _fine(value: Decimal) -> Decimal:
    """Round to eight places: enough for any price, and what a wire should carry."""
    return plain(value.quantize(Decimal("0.00000001")))
