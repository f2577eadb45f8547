"""The blocking client for scripts: one method for each operation, made from the table that the gateway itself walks."""

from __future__ import annotations

import inspect
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from txtrader.client.calls import Invocation, is_order, make_invocation, signature_of
from txtrader.client.config import ClientConfig
from txtrader.client.transport import NoAnswer, NotSent, Transport, XmlRpcTransport, error_from_fault
from txtrader.errors import ConfigError, LinkError, NotFound, OutcomeUnknown, Throttled
from txtrader.model.operations import OPERATIONS, Operation
from txtrader.model.order import TERMINAL_STATUSES, OrderStatus

__all__ = ["API"]

_REPEATABLE_GROUPS = frozenset({"session", "cancel"})
_LONGEST_PAUSE = 15.0  # seconds between two tries
_WORDS = {status.value.lower(): status.value for status in OrderStatus}


class API:
    """A connection to a gateway for scripts: every operation is a method, `help(api.limit_order)` describes it.

        api = API("tws")                                  # where and who: from the environment, or /etc/txtrader
        api = API(host="127.0.0.1", username="alice", password="...")
        order = api.limit_order("IBM", 124.5, 100, tif="GTC")
        order = api.wait(order["id"], timeout=60)

    `server` or `mode` picks settings of the form TXTRADER_<MODE>_<KEY>; arguments beat `config` (full variable names),
    `config` beats the environment.  `account` and `route` go with each order that names none.  `timeout` is seconds for
    each try of a call.  Results have the shapes of XMLRPC: prices are floats, or Decimals with `decimals=True`.

    Errors are those of `txtrader.errors`; a refused order has its record's id in `error.order`.  Queries, cancels and
    calls that set the session are tried again when the gateway does not answer.  So are orders: one without a
    `client_order_id` gets one, and the same id never makes a second order.  An order that stays without an answer is
    `OutcomeUnknown`, whose `order["client_order_id"]` finds it: `api.query_order("client:" + id)`.

    One call goes at a time, also from several threads; for calls in parallel make several.
    """

    cmdmap: dict[str, Callable[..., Any]]

    def __init__(
        self,
        server: str | None = None,
        config: Mapping[str, Any] | None = None,
        *,
        mode: str | None = None,
        host: str | None = None,
        port: int | None = None,
        username: str | None = None,
        password: str | None = None,
        token: str | None = None,
        account: str | None = None,
        route: str | Mapping[str, Any] | None = None,
        transport: str | None = None,
        timeout: float | None = None,
        dialect: str | None = None,
        decimals: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if server is not None and mode is not None and server != mode:
            raise ConfigError(f"server {server!r} and mode {mode!r} are two names of one thing; give one", path="mode")
        settings = ClientConfig.load(
            mode=server if mode is None else mode,
            config=config,
            arguments={
                "host": host,
                "http_port": port,
                "username": username,
                "password": password if token is None else token,  # a token is valid wherever a password is
                "transport": transport,
                "client_timeout": timeout,
            },
        )
        if (dialect or "").startswith("2020") or settings.mode == "rtx":
            raise ConfigError("the 2020 dialect is not offered by this version", path="dialect")
        if dialect not in (None, "2015"):
            raise ConfigError(f"no such dialect: {dialect!r}", path="dialect")
        if (chosen := settings.get("transport")) != "xmlrpc":
            raise ConfigError(f"transport {chosen!r} is not offered by this version; use xmlrpc", path="transport")
        user, secret = settings.login()
        self.account = account
        self.route: Any = settings.get("route") if route is None else route
        self._retry_limit: int = settings.get("retry_limit")
        self._backoff: float = settings.get("get_backoff_factor")
        self._sleep = sleep
        self._lock = threading.RLock()
        self._transport: Transport = XmlRpcTransport(
            settings.host,
            settings.port("http_port"),
            user,
            secret,
            timeout=settings.get("client_timeout"),
            decimals=decimals,
            secure=settings.get("protocol") == "https",
        )
        self.cmdmap = {name: getattr(self, name) for name in (*OPERATIONS, "query_all_symbols")}

    if TYPE_CHECKING:  # the methods of the operations are made below

        def __getattr__(self, name: str) -> Callable[..., Any]: ...

    def __repr__(self) -> str:
        return f"<API {self._transport!r}>"

    def __enter__(self) -> API:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a later call opens another."""
        with self._lock:
            self._transport.close()

    def cmd(self, name: str, args: Iterable[Any] = (), options: Mapping[str, Any] | None = None) -> Any:
        """Call an operation by its name, with positional arguments in a list.  Raises NotFound for an unknown name."""
        method = self.cmdmap.get(name)
        if method is None:
            raise NotFound(f"no such operation: {name}", path="operation")
        return method(*args, **(options or {}))

    def query_all_symbols(self) -> dict[str, Any]:
        """Read the records of all symbols that the caller added: {symbol: record}."""
        found: dict[str, Any] = self.query_symbols(data=True)
        return found

    def wait(self, id: str, until: str | Iterable[str] = "Filled", timeout: float | None = 60.0) -> dict[str, Any]:
        """Wait until an order has one of the status words `until`, or has ended in another way; return its record.

        A gateway that goes away meanwhile is waited for.  Raises TimeoutError after `timeout` seconds (None: never),
        with the last word that was seen.
        """
        wanted = {_status_word(word) for word in ([until] if isinstance(until, str) else until)}
        deadline = None if timeout is None else time.monotonic() + timeout
        pause, last = 0.02, "nothing yet"
        while True:
            try:
                record: dict[str, Any] = self.query_order(id)
                last = record["status"]
                if last in wanted or last in TERMINAL_STATUSES:
                    return record
            except (LinkError, Throttled) as error:
                last, pause = error.code, max(pause, 0.5)
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"order {id} is not {' or '.join(sorted(wanted))} after {timeout:g} s: {last}")
                pause = min(pause, left)
            self._sleep(pause)
            pause = min(pause * 1.5, 0.5)

    def _call(self, operation: Operation, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        invocation = self._completed(make_invocation(operation, args, keywords))
        result = self._tried(invocation)
        if (
            is_order(operation)
            and isinstance(result, dict)
            and result.get("status") == "Error"
            and "errorMsg" in result
        ):
            raise _error_from_struct(result)
        self._remember(operation, invocation.arguments, result)
        return result

    def _completed(self, invocation: Invocation) -> Invocation:
        """Add what an order needs: the client's account and route, and the id that makes a retry safe."""
        if not is_order(invocation.operation):
            return invocation
        whole = invocation.operation.name == "submit_order"
        fields = dict(invocation.arguments["order"] if whole else invocation.arguments)
        for name, value in (("account", self.account), ("route", self.route)):
            if value is not None:
                fields.setdefault(name, value)
        if not fields.get("what_if"):
            fields.setdefault("client_order_id", secrets.token_hex(12))
        return invocation._replace(arguments={"order": fields} if whole else fields)

    def _tried(self, invocation: Invocation) -> Any:
        positional, options = invocation.positional()
        repeatable = _is_repeatable(invocation)
        may_have_left = False
        for tries in range(self._retry_limit + 1):
            pause = min(self._backoff * 2**tries, _LONGEST_PAUSE)
            try:
                with self._lock:
                    return self._transport.call(invocation.operation.name, positional, options)
            except Throttled as error:  # refused before anything was done
                if tries == self._retry_limit or (error.retry_after or 0) > _LONGEST_PAUSE:
                    raise
                pause = max(pause, error.retry_after or 0)
            except NotSent as error:
                if tries == self._retry_limit:
                    if may_have_left:
                        raise _unknown(invocation, error) from error
                    raise
            except NoAnswer as error:
                may_have_left = not invocation.operation.reads
                if tries == self._retry_limit or not repeatable:
                    if may_have_left:
                        raise _unknown(invocation, error) from error
                    raise
            self._sleep(pause)
        raise AssertionError("the last try returns or raises")

    def _remember(self, operation: Operation, arguments: Mapping[str, Any], result: Any) -> None:
        """Keep what the session was told: the gateway's HTTP session ends with the connection, this client does not."""
        if operation.name == "set_account" and result is True:
            self.account = arguments["account"]
        elif operation.name == "set_order_route":
            self.route = arguments["route"]


def _is_repeatable(invocation: Invocation) -> bool:
    """Tell whether doing it twice is doing it once."""
    operation = invocation.operation
    if is_order(operation):
        return True  # by its client_order_id; a what-if sends nothing
    return operation.reads or operation.group in _REPEATABLE_GROUPS or operation.name == "add_symbol"


def _unknown(invocation: Invocation, error: LinkError) -> OutcomeUnknown:
    name = invocation.operation.name
    if not is_order(invocation.operation):
        return OutcomeUnknown(f"{name} may have been done: {error.message}")
    fields = invocation.arguments.get("order", invocation.arguments)
    key = fields["client_order_id"]
    return OutcomeUnknown(
        f"the order may be live: {error.message}; query_order('client:{key}') tells", order={"client_order_id": key}
    )


def _error_from_struct(result: Mapping[str, Any]) -> Exception:
    """Raise what a gateway with TXTRADER_XMLRPC_ERROR_STRUCTS tells by a struct."""
    error = error_from_fault(result.get("errorCode"), str(result["errorMsg"]))
    if error.order is None and result.get("id") is not None:
        error.order = {"id": result["id"]}
    error.broker_code = result.get("errorCode")
    return error


def _status_word(word: str) -> str:
    known = _WORDS.get(word.lower())
    if known is None:
        raise ValueError(f"no status word: {word!r}; one of {', '.join(_WORDS.values())}")
    return known


def _make_method(operation: Operation) -> Callable[..., Any]:
    def method(self: API, *args: Any, **keywords: Any) -> Any:
        return self._call(operation, args, keywords)

    shown = signature_of(operation)
    me = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__name__ = operation.name
    method.__qualname__ = f"API.{operation.name}"
    method.__doc__ = operation.help
    method.__signature__ = shown.replace(parameters=[me, *shown.parameters.values()])  # type: ignore[attr-defined]
    return method


for _operation in OPERATIONS.values():
    setattr(API, _operation.name, _make_method(_operation))
