"""All operations that only read, and the session's own settings."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from txtrader.errors import EpochMismatch, InvalidArgument, NotFound, NotReady
from txtrader.gateway.adapter import Adapter
from txtrader.gateway.blotter import Blotter
from txtrader.gateway.books import AccountBooks
from txtrader.gateway.history import History
from txtrader.gateway.link import BrokerLink
from txtrader.gateway.lookup import find_order
from txtrader.gateway.market import Market
from txtrader.gateway.records import execution_record, instrument_record, order_record, position_record
from txtrader.gateway.session import Session, User
from txtrader.gateway.stream import EventStream
from txtrader.model.account import Position
from txtrader.model.instrument import InstrumentQuery
from txtrader.model.market import BarPeriod, TickKind
from txtrader.model.operations import OPERATIONS
from txtrader.model.order import Order, OrderStatus
from txtrader.model.times import SECOND, iso, local_text, midnight
from txtrader.version import __date__, __version__

__all__ = ["Queries"]


class Queries:
    """The reading half of the gateway."""

    def __init__(
        self,
        *,
        links: Mapping[str, BrokerLink],
        stream: EventStream,
        blotter: Blotter,
        books: AccountBooks,
        market: Market,
        history: History,
        now_ns: Callable[[], int],
        timezone: ZoneInfo,
        started: int,
    ) -> None:
        self._links = links
        self._stream = stream
        self._blotter = blotter
        self._books = books
        self._market = market
        self._history = history
        self._now_ns = now_ns
        self._zone = timezone
        self._started = started

    # --- which broker, which account ------------------------------------------------------------------------------

    def _mode(self, mode: str | None) -> str:
        """Choose the broker: the one named, else the first."""
        if mode is None:
            return next(iter(self._links))
        if mode not in self._links:
            raise InvalidArgument(f"must be one of {', '.join(self._links)}", path="mode")
        return mode

    def _adapter(self, mode: str | None) -> Adapter:
        return self._links[self._mode(mode)].adapter

    def _own(self, session: Session, account: str) -> str:
        """Check that an account is the caller's; a foreign one is as unknown as one that does not exist."""
        if not session.user.sees(account) or account not in self._books.mode_of:
            raise NotFound("no such account", path="account")
        return account

    def _accounts(self, user: User) -> list[str]:
        return [account for account in self._books.mode_of if user.sees(account)]

    def _known_accounts(self, user: User) -> list[str]:
        """Return the caller's accounts; books that were never complete are not empty, they are not ready."""
        if not self._books.mode_of:
            raise NotReady("the broker has not told its accounts yet")
        return self._accounts(user)

    # --- session --------------------------------------------------------------------------------------------------

    async def set_account(self, session: Session, account: str) -> bool:
        """Set the current account of the session."""
        if account not in self._known_accounts(session.user):
            return False
        session.account = account
        return True

    async def whoami(self, session: Session) -> dict[str, Any]:
        """Tell who is logged in."""
        user = session.user
        return {
            "user": user.name,
            "role": user.role,
            "accounts": self._accounts(user),
            "account": session.account,
            "route": session.route,
            "expires": None if user.expires is None else iso(user.expires),
        }

    async def get_order_route(self, session: Session) -> dict[str, Any]:
        """Tell the session's default route."""
        return session.route or {}

    async def set_order_route(self, session: Session, route: dict[str, Any] | None) -> dict[str, Any]:
        """Set the session's default route."""
        session.route = route
        return route or {}

    async def set_primary_exchange(
        self, session: Session, symbol: InstrumentQuery, exchange: str | None
    ) -> dict[str, str]:
        """Set the exchange that a plain stock symbol means in this session."""
        name = symbol.symbol
        if name is None or name != symbol.text:
            raise InvalidArgument("must be a plain stock symbol", path="symbol")
        if exchange is None:
            session.primary_exchanges.pop(name, None)
        else:
            session.primary_exchanges[name] = exchange
        return dict(session.primary_exchanges)

    # --- state ----------------------------------------------------------------------------------------------------

    def word(self, mode: str | None = None) -> str:
        """Return the status word of a broker, or of all: Up only if all are, else the first other word."""
        words = [self._links[self._mode(mode)].word] if mode else [link.word for link in self._links.values()]
        return next((word for word in words if word != "Up"), "Up")

    async def status(self, session: Session, mode: str | None) -> str:
        """Tell the status word."""
        return self.word(mode)

    async def query_status(self, session: Session, mode: str | None) -> dict[str, Any]:
        """Tell the state of every layer."""
        return self.layers(mode)

    def layers(self, mode: str | None = None) -> dict[str, Any]:
        """Return the status layers."""
        chosen = {self._mode(mode): self._links[self._mode(mode)]} if mode else dict(self._links)
        first = next(iter(chosen.values()))
        count, stale = self._market.counts()
        unknown = sum(1 for order in self._blotter.open_orders() if order.status is OrderStatus.UNKNOWN)
        journal = self._stream.journal
        word = self.word(mode)
        return {
            "status": word,
            "since": iso(max(link.since for link in chosen.values())),
            "trading_state": "ACTIVE",
            "switches": [],
            "process": {"started": iso(self._started), "version": __version__, "modes": list(self._links)},
            "links": {name: _link_layer(link) for name, link in chosen.items()},
            "gate": {
                "open": word == "Up" and journal.is_available,
                "reason": "the journal cannot be written"
                if not journal.is_available
                else next((link.reason for link in chosen.values() if not link.is_up), None),
            },
            "reconciliation": {
                "state": first.reconciler.report["state"],
                "time": first.reconciler.report["time"],
            },
            "subscriptions": {"count": count, "stale": stale},
            "unknown_orders": unknown,
            "journal": {
                "state": "ok" if journal.is_available else "unavailable",
                "epoch": journal.epoch,
                "seqs": {channel: head.seq for channel, head in self._stream.heads.items()},
            },
            "maintenance": None,
        }

    async def version(self, session: Session) -> dict[str, Any]:
        """Tell the version."""
        return {
            "version": __version__,
            "revision": __date__,
            "python": platform.python_version(),
            "modes": list(self._links),
        }

    async def uptime(self, session: Session) -> dict[str, Any]:
        """Tell since when the daemon runs."""
        return {
            "started": local_text(self._started, self._zone),
            "elapsed": (self._now_ns() - self._started) // SECOND,
        }

    async def time(self, session: Session) -> str:
        """Tell the broker's time."""
        return local_text(await self._adapter(None).broker_time(), self._zone)

    async def help(self, session: Session, operation: str | None) -> dict[str, str]:
        """Describe the operations."""
        if operation is None:
            return {name: known.help for name, known in OPERATIONS.items()}
        if operation not in OPERATIONS:
            raise NotFound("no such operation", path="operation")
        return {operation: OPERATIONS[operation].help}

    async def query_capabilities(self, session: Session, mode: str | None) -> dict[str, Any]:
        """Tell what the broker's adapter can do."""
        shown: dict[str, Any] = msgspec.to_builtins(self._adapter(mode).capabilities)
        return shown

    async def query_events(
        self, session: Session, channel: str, epoch: str, seq: int, tag: str | None, limit: int
    ) -> dict[str, Any]:
        """Read a durable channel from a point on; too old a point answers the state instead."""
        head = self._stream.heads[channel]
        is_beginning = seq == 0 and epoch in ("", head.epoch)
        if not is_beginning:
            if epoch != head.epoch or seq > head.seq:
                raise EpochMismatch(f"{channel} is at {head.epoch}:{head.seq}", path="epoch")
        elif head.seq == 0:
            return {"events": [], "head": head.to_dict()}
        events = await self._stream.journal.read_events(channel, max(seq - 1, 0), limit + 1)
        if seq:
            if not events or events[0].seq != seq:
                return {"snapshot": self.state(channel, session.user), "as_of": head.to_dict()}
            if tag is not None and events[0].tag != tag:
                raise EpochMismatch(f"{channel}:{seq} has another tag", path="tag")
            events = events[1:]
        elif events and events[0].seq != 1:
            return {"snapshot": self.state(channel, session.user), "as_of": head.to_dict()}
        shown = [
            {
                "type": event.type,
                "mode": event.mode,
                "key": event.key,
                "epoch": event.epoch,
                "channel": event.channel,
                "seq": event.seq,
                "tag": event.tag,
                "data": event.data,
            }
            for event in events[:limit]
            if session.user.sees(event.account)
        ]
        return {"events": shown, "head": self._stream.heads[channel].to_dict()}

    async def query_reconciliation(self, session: Session) -> dict[str, Any]:
        """Tell what the last reconciliation found, of the caller's accounts."""
        reconcilers = [link.reconciler for link in self._links.values()]
        failed = [each for each in reconcilers if each.report["state"] == "failed"]
        return (failed or reconcilers)[0].report_for(session.user.sees)

    # --- instruments and market data --------------------------------------------------------------------------------

    async def add_symbol(self, session: Session, symbol: InstrumentQuery) -> bool:
        """Stream a symbol to the caller."""
        try:
            await self._market.add(session, symbol, self._mode(None))
        except NotFound:
            return False
        return True

    async def del_symbol(self, session: Session, symbol: InstrumentQuery) -> bool:
        """Stop a symbol's stream."""
        return self._market.remove(session, self._market.spelling(symbol, session))

    async def query_symbols(self, session: Session, data: bool) -> Any:
        """List the caller's symbols."""
        symbols = self._market.symbols(session)
        return {symbol: self._market.record(symbol, session) for symbol in symbols} if data else symbols

    async def query_symbol(self, session: Session, symbol: InstrumentQuery) -> dict[str, Any] | None:
        """Read a symbol's data."""
        return self._market.record(self._market.spelling(symbol, session), session)

    async def query_symbol_data(self, session: Session, symbol: InstrumentQuery) -> dict[str, str] | None:
        """Read a symbol's data in the broker's words."""
        return self._market.raw_data(self._market.spelling(symbol, session), session)

    async def query_symbol_bars(self, session: Session, symbol: InstrumentQuery) -> list[list[Any]]:
        """Read today's minutes."""
        return await self._history.todays_bars(session, symbol, self._mode(None))

    async def query_bars(
        self, session: Session, symbol: InstrumentQuery, period: BarPeriod, start: str, end: str
    ) -> dict[str, Any]:
        """Fetch bars."""
        return await self._history.bars(session, symbol, self._mode(None), period, start, end)

    async def query_ticks(
        self, session: Session, symbol: InstrumentQuery, start: str, end: str, what: TickKind | str, limit: int
    ) -> dict[str, Any]:
        """Fetch a page of past trades or quotes."""
        return await self._history.ticks(session, symbol, self._mode(None), TickKind(what), start, end, limit)

    async def resolve_symbol(
        self, session: Session, query: InstrumentQuery, mode: str | None, **parts: Any
    ) -> list[dict[str, Any]]:
        """Find instruments."""
        given = {name: value for name, value in parts.items() if value is not None}
        asked = msgspec.structs.replace(query, **given) if given else query
        found = await self._market.find(session, asked, self._mode(mode))
        if not found and "sectype" not in given and query.symbol == query.text:
            # A plain name is a stock where one is meant to be traded; a search means anything of that name.
            asked = msgspec.structs.replace(asked, sectype=None)
            found = await self._market.find(session, asked, self._mode(mode))
        return [instrument_record(each) for each in found]

    # --- accounts, orders, executions -------------------------------------------------------------------------------

    async def query_accounts(self, session: Session) -> list[str]:
        """List the caller's accounts."""
        return self._known_accounts(session.user)

    async def query_account(self, session: Session, account: str, fields: Iterable[str] | None) -> dict[str, Any]:
        """Read an account's figures."""
        self._known_accounts(session.user)
        return self._books.figures(self._own(session, account), fields)

    async def query_positions(self, session: Session, detail: bool) -> dict[str, Any]:
        """Read the positions of every account of the caller."""
        shown: dict[str, Any] = {}
        for account in self._known_accounts(session.user):
            mode = self._books.mode_of[account]
            if not self._books.is_known(mode, account):
                raise NotReady(f"the positions of {account} are not known yet")
            records = [self._position(position) for position in self._books.held(mode, account)]
            if detail:
                shown[account] = records
            else:
                totals: dict[str, Any] = {}
                for record in records:
                    totals[record["symbol"]] = totals.get(record["symbol"], 0) + record["quantity"]
                shown[account] = totals
        return shown

    def _position(self, position: Position) -> dict[str, Any]:
        return {**position_record(position), "stale": not self._links[position.mode].is_connected}

    async def query_order(self, session: Session, id: str) -> dict[str, Any]:
        """Read one order."""
        return order_record(find_order(self._blotter, session, id))

    async def query_orders(
        self,
        session: Session,
        since: int | None,
        status: OrderStatus | None,
        account: str | None,
        symbol: InstrumentQuery | None,
    ) -> dict[str, Any]:
        """Read the open orders, and those that ended since midnight or `since`."""
        if account is not None:
            self._own(session, account)
        first = midnight(self._now_ns(), self._zone) if since is None else since
        spelling = None if symbol is None else self._market.spelling(symbol, session)

        def wanted(order: Order) -> bool:
            return (
                order.order_class == "order"
                and session.user.sees(order.account)
                and (order.is_open or order.update_time >= first)
                and (status is None or order.status is status)
                and (account is None or order.account == account)
                and (spelling is None or order.symbol == spelling)
            )

        return {order.id: order_record(order) for order in self._blotter.orders.values() if wanted(order)}

    async def query_tickets(self, session: Session) -> dict[str, Any]:
        """Read the staged tickets."""
        return {
            order.id: order_record(order)
            for order in self._blotter.open_orders()
            if order.order_class == "ticket" and session.user.sees(order.account)
        }

    async def query_execution(self, session: Session, id: str) -> dict[str, Any]:
        """Read one execution."""
        execution = self._blotter.executions.get(id)
        if execution is None or not session.user.sees(execution.account):
            raise NotFound("no such execution", path="id")
        return execution_record(execution)

    async def query_executions(
        self, session: Session, since: int | None, account: str | None, symbol: InstrumentQuery | None
    ) -> dict[str, Any]:
        """Read the executions that count, since midnight or `since`."""
        if account is not None:
            self._own(session, account)
        first = midnight(self._now_ns(), self._zone) if since is None else since
        spelling = None if symbol is None else self._market.spelling(symbol, session)
        return {
            execution.exec_id: execution_record(execution)
            for execution in self._blotter.executions.values()
            if session.user.sees(execution.account)
            and execution.time >= first
            and not self._blotter.is_superseded(execution.exec_id)
            and (account is None or execution.account == account)
            and (spelling is None or execution.symbol == spelling)
        }

    async def query_order_executions(self, session: Session, id: str) -> dict[str, Any]:
        """Read the executions of one order."""
        order = find_order(self._blotter, session, id)
        return {e.exec_id: execution_record(e) for e in self._blotter.executions_of(order.id)}

    # --- snapshots for the stream -----------------------------------------------------------------------------------

    def state(self, channel: str, user: User) -> dict[str, Any]:
        """Return the whole state of a durable channel, as one user may see it."""
        if channel == "order":
            orders = self._blotter.orders.values()
            return {"orders": {order.id: order_record(order) for order in orders if user.sees(order.account)}}
        if channel == "execution":
            executions = self._blotter.executions.values()
            return {"executions": {e.exec_id: execution_record(e) for e in executions if user.sees(e.account)}}
        if channel == "account":
            accounts = self._accounts(user)
            return {
                "accounts": {account: self._books.figures(account, None) for account in accounts},
                "positions": {
                    account: [self._position(p) for p in self._books.held(self._books.mode_of[account], account)]
                    for account in accounts
                },
            }
        return {"status": self.layers()}


def _link_layer(link: BrokerLink) -> dict[str, Any]:
    status = link.status
    return {
        "state": link.word,
        "since": iso(link.since),
        "reason": link.reason,
        "attempts": status.attempts,
        "next_attempt": None if status.next_attempt is None else iso(status.next_attempt),
        "login": status.login,
        "farms": [dict(farm) for farm in status.farms],
    }
