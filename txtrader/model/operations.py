"""Every operation, declared once: front ends, client library, command line and reference docs walk this table.

Pure data, so that the client library can read it without the gateway.  `txtrader.gateway.commands` parses by it and
`txtrader.gateway.api.Gateway` has one method for each name.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["GENERAL_ERRORS", "OPERATIONS", "Argument", "Operation"]

GENERAL_ERRORS = ("invalid-argument", "unauthenticated", "forbidden", "throttled", "too-large", "internal")
"""Codes that any operation may answer."""

_BROKER = ("broker-unavailable", "not-ready")
_ORDER = (
    "not-found",
    *_BROKER,
    "reconcile-failed",
    "journal-unavailable",
    "risk-denied",
    "kill-switch",
    "broker-rejected",
    "duplicate-suspected",
    "idempotency-key-reuse",
)


class Argument(msgspec.Struct, frozen=True, kw_only=True):
    """One argument: `kind` names its parser in `txtrader.gateway.commands`, `doc` says meaning and unit."""

    name: str
    kind: str
    doc: str
    required: bool = True
    default: Any = None


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation.

    `arguments` are positional in this sequence, the optional ones last; `options` may only be named (one struct at
    the end on positional front ends).  `result` describes the answer; `errors` are the codes beside the general
    ones; `role` is the least that may call it; `reads` tells that nothing changes.
    """

    name: str
    doc: str
    result: str
    role: str
    group: str
    arguments: tuple[Argument, ...] = ()
    options: tuple[Argument, ...] = ()
    errors: tuple[str, ...] = ()
    reads: bool = False

    @property
    def parameters(self) -> tuple[Argument, ...]:
        """All arguments and options."""
        return self.arguments + self.options

    @property
    def usage(self) -> str:
        """One line: the name and its arguments, optional ones in brackets."""
        words = [a.name if a.required else f"[{a.name}]" for a in self.arguments]
        return " ".join([self.name, *words])

    @property
    def help(self) -> str:
        """The help text that every front end shows."""
        lines = [f"{self.name}({', '.join(w for w in self.usage.split()[1:])}): {self.doc}"]
        for argument in self.parameters:
            need = "" if argument.required else " (optional)"
            lines.append(f"  {argument.name}: {argument.doc}{need}")
        lines.append(f"  Result: {self.result}")
        if self.errors:
            lines.append(f"  Errors: {', '.join(self.errors)}")
        lines.append(f"  Role: {self.role}")
        return "\n".join(lines)


OPERATIONS: dict[str, Operation] = {}
"""Operation by name, in the sequence of the reference."""


def _arg(name: str, kind: str, doc: str) -> Argument:
    return Argument(name=name, kind=kind, doc=doc)


def _opt(name: str, kind: str, doc: str, default: Any = None) -> Argument:
    return Argument(name=name, kind=kind, doc=doc, required=False, default=default)


class _Group:
    """Operations that share role, group, errors and whether they only read."""

    def __init__(self, group: str, role: str, *, errors: tuple[str, ...] = (), reads: bool = False) -> None:
        self._group = group
        self._role = role
        self._errors = errors
        self._reads = reads

    def add(
        self,
        name: str,
        doc: str,
        *arguments: Argument,
        result: str,
        options: tuple[Argument, ...] = (),
        errors: tuple[str, ...] | None = None,
        reads: bool | None = None,
    ) -> None:
        OPERATIONS[name] = Operation(
            name=name,
            doc=doc,
            result=result,
            role=self._role,
            group=self._group,
            arguments=arguments,
            options=options,
            errors=self._errors if errors is None else errors,
            reads=self._reads if reads is None else reads,
        )


_SYMBOL = _arg("symbol", "symbol", "a symbol of the grammar, such as IBM, ES:202612@CME, EUR/USD or #265598")
_ID = _arg("id", "id", "a gateway order id, permid or client_order_id; prefix id:, permid: or client: decides")
_MODE = _opt("mode", "word", "which broker, when several run; the first by default")
_ACCOUNT = _opt("account", "account", "only this account")
_LIMIT_PRICE = _arg("limit_price", "price", "limit price, in the instrument's currency, a multiple of its tick")
_STOP_PRICE = _arg("stop_price", "price", "stop price, in the instrument's currency, a multiple of its tick")
_SIGNED = _arg("quantity", "signed_quantity", "units of the instrument; positive buys, negative sells")
_TAG = _arg("tag", "name", "a word of 1 to 32 characters kept with the ticket")
_REASON = _arg("reason", "text", "why, for the journal: 0 to 64 printable characters")
_SINCE = _opt("since", "time", "only from this ISO time on; midnight of the API time zone by default")

ORDER_OPTIONS: tuple[Argument, ...] = (
    _opt("account", "account", "the account; else the session's, the gateway's, or the caller's only one"),
    _opt("route", "route", "exchange or algorithm: a name, or {name: {parameter: value}}"),
    _opt("client_order_id", "client_order_id", "idempotency key: the same key again answers the same order"),
    _opt("tag", "name", "a word of 1 to 32 characters kept with the order"),
    _opt("tif", "tif", "DAY, GTC, IOC, FOK, GTD, OPG or CLS", "DAY"),
    _opt("good_till", "time", "with GTD only: when the order ends"),
    _opt("extended_hours", "boolean", "true: may fill outside regular hours", False),
    _opt("force", "boolean", "true: pass the duplicate window", False),
)
"""The options of every call that makes an order."""

# --- session and information ---------------------------------------------------------------------------------
_SESSION = _Group("session", "view")
_VIEW = _Group("session", "view", reads=True)

_SESSION.add(
    "set_account",
    "Set the session's current account.",
    _arg("account", "account", "an account of the caller"),
    result="true; false if the account is unknown or foreign",
)
_VIEW.add(
    "whoami",
    "Tell who is logged in.",
    result="{user, role, accounts, account, route, expires}",
)
_VIEW.add(
    "status",
    "Tell the gateway's state in one word.",
    _MODE,
    result="Startup, Connecting, Initializing, ReconcileFailed, Up, Stale, Disconnected or Shutdown",
)
_VIEW.add(
    "query_status",
    "Tell the state of every layer.",
    _MODE,
    result="status layers",
)
_VIEW.add(
    "version",
    "Tell the version.",
    result="{version, revision, python, modes}",
)
_VIEW.add(
    "uptime",
    "Tell since when the daemon runs.",
    result="{started, elapsed}, elapsed in seconds",
)
_VIEW.add(
    "time",
    "Tell the broker's time.",
    result="YYYY-MM-DD HH:MM:SS in the API time zone",
    errors=_BROKER,
)
_VIEW.add(
    "help",
    "Describe the operations.",
    _opt("operation", "word", "only this one"),
    result="{operation: text}",
    errors=("not-found",),
)
_VIEW.add(
    "query_capabilities",
    "Tell what the broker's adapter can do.",
    _MODE,
    result="{mode, order_types, tifs, sides, routes, periods, features, limits}",
)
_VIEW.add(
    "query_events",
    "Read a durable channel from a point on.",
    _arg("channel", "channel", "order, execution, account or status"),
    _arg("epoch", "text", "the journal's epoch, from an earlier answer; empty with seq 0 for the beginning"),
    _arg("seq", "integer", "the last seq that was seen"),
    _opt("tag", "text", "the tag of that event"),
    _opt("limit", "limit", "at most so many events, 1 to 1000", 1000),
    result="{events, head}; too old: {snapshot, as_of}",
    errors=("epoch-mismatch",),
)
_VIEW.add(
    "get_order_route",
    "Tell the session's default route.",
    result="{name: parameters or null}",
)
_SESSION.add(
    "set_order_route",
    "Set the session's default route.",
    _arg("route", "route", "a name, or {name: {parameter: value}} with exactly one name; null clears it"),
    result="{name: parameters or null}",
)
_SESSION.add(
    "set_primary_exchange",
    "Set the exchange that a plain stock symbol means in this session.",
    _arg("symbol", "symbol", "a plain stock symbol"),
    _opt("exchange", "exchange", "its primary exchange; null deletes the entry"),
    result="the session's whole map {symbol: exchange}",
)

# --- instruments and market data ------------------------------------------------------------------------------
_DATA = _Group("market", "view", errors=_BROKER)

_DATA.add(
    "add_symbol",
    "Stream a symbol's market data to the caller.",
    _SYMBOL,
    result="true; false if there is no such instrument",
)
_DATA.add(
    "del_symbol",
    "Stop a symbol's stream.",
    _SYMBOL,
    result="true; false if it was not added",
)
_DATA.add(
    "query_symbols",
    "List the caller's symbols.",
    _opt("data", "boolean", "true: with their records", False),
    result="[symbol], or {symbol: record}",
    reads=True,
)
_DATA.add(
    "query_symbol",
    "Read a symbol's market data.",
    _SYMBOL,
    result="symbol record, null if not added",
    reads=True,
)
_DATA.add(
    "query_symbol_data",
    "Read a symbol's data in the broker's own field names.",
    _SYMBOL,
    result="{field: value}, null if not added",
    reads=True,
)
_DATA.add(
    "query_symbol_bars",
    "Read today's one-minute bars of a symbol.",
    _SYMBOL,
    result="[[date, time, open, high, low, close, volume]]; empty unless ENABLE_SYMBOL_BARCHART",
    reads=True,
)
_DATA.add(
    "query_bars",
    "Fetch bars.",
    _SYMBOL,
    _arg("period", "period", "minutes as an integer, or 30s, 5m, 1h, D, W, M"),
    _arg("start", "bar_start", "YYYY-MM-DD HH:MM[:SS] in the API time zone, a date, ISO time, `.`, or -N periods"),
    _arg("end", "bar_end", "as start; `.` is now"),
    result="{symbol, period, timezone, bars: [{time, open, high, low, close, volume, count, wap}]}",
    reads=True,
)
_DATA.add(
    "query_ticks",
    "Fetch past trades or quotes, a page at a time.",
    _SYMBOL,
    _arg(
        "start",
        "bar_start",
        "YYYY-MM-DD HH:MM[:SS] in the API time zone, a date, ISO time, or `.`: the session's start",
    ),
    _arg("end", "bar_end", "as start; `.` is now"),
    _opt("what", "ticks", "trades, or quotes: the best bid and offer", "trades"),
    _opt("limit", "limit", "about so many, 1 to 1000: those of one instant stay together", 1000),
    result="{symbol, what, items: [{time, price, size}] or [{time, bid, bidsize, ask, asksize}], next}; `next` is the "
    "start of the next page, null at the end",
    reads=True,
)
_DATA.add(
    "resolve_symbol",
    "Find the instruments that a query may mean, best first.",
    _arg("query", "symbol", "a symbol of the grammar, or part of one"),
    _opt("sectype", "sectype", "STK, FUT, OPT, FOP, CASH, CRYPTO or IND"),
    _opt("exchange", "exchange", "the exchange"),
    _opt("currency", "currency", "three letters"),
    _opt("expiry", "expiry", "YYYYMM or YYYYMMDD"),
    _opt("strike", "price", "the strike price"),
    _opt("right", "right", "C or P"),
    _MODE,
    result="[instrument record]",
    reads=True,
)

# --- accounts, orders, executions -----------------------------------------------------------------------------
_QUERY = _Group("account", "view", reads=True)

_QUERY.add(
    "query_accounts",
    "List the accounts.",
    result="[account]",
    errors=_BROKER,
)
_QUERY.add(
    "query_account",
    "Read an account's figures.",
    _arg("account", "account", "an account of the caller"),
    _opt("fields", "fields", "only these keys: a list, or one string with commas"),
    result="{key: [value, currency]}",
    errors=("not-found", *_BROKER),
)
_QUERY.add(
    "query_positions",
    "Read the positions.",
    _opt("detail", "boolean", "true: position records", False),
    result="{account: {symbol: quantity}}; with detail {account: [position record]}",
    errors=_BROKER,
)
_QUERY.add(
    "query_order",
    "Read one order.",
    _ID,
    result="order record",
    errors=("not-found",),
)
_QUERY.add(
    "query_orders",
    "Read the orders: open ones, and those that ended since midnight.",
    _SINCE,
    _opt("status", "status", "only this status word"),
    _ACCOUNT,
    _opt("symbol", "symbol", "only this symbol"),
    result="{id: order record}",
    errors=("not-found", *_BROKER),
)
_QUERY.add(
    "query_tickets",
    "Read the staged tickets.",
    result="{id: order record}",
)
_QUERY.add(
    "query_execution",
    "Read one execution.",
    _arg("id", "text", "an execId"),
    result="execution record",
    errors=("not-found",),
)
_QUERY.add(
    "query_executions",
    "Read the executions since midnight.",
    _SINCE,
    _ACCOUNT,
    _opt("symbol", "symbol", "only this symbol"),
    result="{execId: execution record}",
    errors=("not-found", *_BROKER),
)
_QUERY.add(
    "query_order_executions",
    "Read the executions of one order.",
    _ID,
    result="{execId: execution record}",
    errors=("not-found",),
)
_QUERY.add(
    "query_reconciliation",
    "Read what the last reconciliation with the broker found.",
    result="{state, time, missing, external, recovered, positions: [{account, symbol, ours, broker}]}",
)

# --- trading ----------------------------------------------------------------------------------------------------
_TRADE = _Group("trade", "trade", errors=_ORDER)

_TRADE.add(
    "market_order",
    "Buy or sell at the market.",
    _SYMBOL,
    _SIGNED,
    options=ORDER_OPTIONS,
    result="order record",
)
_TRADE.add(
    "limit_order",
    "Buy or sell at a limit or better.",
    _SYMBOL,
    _LIMIT_PRICE,
    _SIGNED,
    options=ORDER_OPTIONS,
    result="order record",
)
_TRADE.add(
    "stop_order",
    "Buy or sell at the market once the stop price trades.",
    _SYMBOL,
    _STOP_PRICE,
    _SIGNED,
    options=ORDER_OPTIONS,
    result="order record",
)
_TRADE.add(
    "stoplimit_order",
    "Buy or sell at a limit once the stop price trades.",
    _SYMBOL,
    _STOP_PRICE,
    _LIMIT_PRICE,
    _SIGNED,
    options=ORDER_OPTIONS,
    result="order record",
)
_TRADE.add(
    "submit_order",
    "Make an order of any type.",
    _arg(
        "order",
        "order",
        "{symbol, side, quantity, type, limit_price, stop_price, trail_amount, trail_percent, limit_offset, tif, "
        "good_till, extended_hours, account, route, client_order_id, tag, force, display_quantity, oco_group, "
        "parent, bracket, what_if, stage}",
    ),
    result="order record; with what_if the margin and commission figures",
)
_TRADE.add(
    "modify_order",
    "Change an open order.",
    _ID,
    _arg(
        "changes",
        "changes",
        "{quantity (the new total), limit_price, stop_price, trail_amount, trail_percent, tif, good_till}",
    ),
    result="order record",
)
for _name, _doc, _prices in (
    ("stage_market_order", "Stage a market order as a ticket.", ()),
    ("stage_limit_order", "Stage a limit order as a ticket.", (_LIMIT_PRICE,)),
    ("stage_stop_order", "Stage a stop order as a ticket.", (_STOP_PRICE,)),
    ("stage_stoplimit_order", "Stage a stop-limit order as a ticket.", (_STOP_PRICE, _LIMIT_PRICE)),
):
    _TRADE.add(
        _name,
        _doc,
        _TAG,
        _SYMBOL,
        *_prices,
        _SIGNED,
        options=tuple(option for option in ORDER_OPTIONS if option.name != "tag"),
        result="ticket: order record of class ticket, status Staged",
    )
_TRADE.add(
    "approve_ticket",
    "Send a staged ticket as an order.",
    _ID,
    result="order record, same id",
)

_CLOSE_OPTIONS = tuple(
    option for option in ORDER_OPTIONS if option.name in ("route", "client_order_id", "tag", "force")
)
_TRADE.add(
    "close_position",
    "Close what an account holds of a symbol, by a market order; refused while it could do more than that.",
    _SYMBOL,
    _opt("account", "account", "the account; else as for an order"),
    options=_CLOSE_OPTIONS,
    result="order record",
)
_TRADE.add(
    "close_all",
    "Close every position by market orders.",
    _ACCOUNT,
    result="[order record], or {account, symbol, error: {code, message}} where one could not be closed",
)

# --- taking back ------------------------------------------------------------------------------------------------
_CANCEL = _Group("cancel", "trade", errors=("not-found", *_BROKER))

_CANCEL.add(
    "cancel_order",
    "Cancel an order, whoever made it.",
    _ID,
    result="order record when the cancel is confirmed, or as it stands after TIMEOUT_ORDER; an ended order as it is",
)
_CANCEL.add(
    "global_cancel",
    "Cancel every open order in the caller's accounts, external and Unknown ones too.",
    result="{requested, ids}",
)
_CANCEL.add(
    "cancel_all_for_account",
    "Cancel every open order of one account.",
    _arg("account", "account", "an account of the caller"),
    result="{requested, ids}",
)
_CANCEL.add(
    "cancel_all_for_symbol",
    "Cancel every open order of one symbol.",
    _SYMBOL,
    _ACCOUNT,
    result="{requested, ids}",
)
_CANCEL.add(
    "go_flat",
    "Have the broker itself cancel every open order and close every position, where it has such a request.",
    _ACCOUNT,
    _opt("symbol", "symbol", "only this symbol: its orders are cancelled first, then its position is closed"),
    result="{account: done, timed-out, failed, unknown, or (with a symbol) asked}",
)
_CANCEL.add(
    "reject_ticket",
    "Withdraw a staged ticket.",
    _ID,
    _opt("reason", "text", "why, for the journal: 0 to 64 printable characters", ""),
    result="order record, Rejected",
)

# --- operator's ---------------------------------------------------------------------------------------------------
_ADMIN = _Group("admin", "admin")

_ADMIN.add(
    "accept_positions",
    "Take the broker's positions of an account as they are, and open trading again.",
    _arg("account", "account", "the account"),
    _REASON,
    result="the reconciliation report",
    errors=("not-found", *_BROKER),
)
_ADMIN.add(
    "resolve_order",
    "Declare an Unknown order lost, on the operator's word.",
    _ID,
    _REASON,
    result="order record, Lost, provenance operator",
    errors=("not-found", "journal-unavailable"),
)
_ADMIN.add(
    "gateway_logon",
    "Log on to the broker, where it has such a logon.",
    _arg("username", "text", "the broker's user"),
    _arg("password", "secret", "the broker's password"),
    _MODE,
    result="true",
)
_ADMIN.add(
    "gateway_logoff",
    "Log off from the broker, where it has such a logon.",
    _MODE,
    result="true",
)
_ADMIN.add(
    "shutdown",
    "Stop the daemon in order.",
    _opt("message", "text", "why, for the log: 0 to 64 printable characters", ""),
    result="true",
)
