"""The monitor: callbacks on the gateway's events, over the line protocol, on a connection that heals itself."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from txtrader.client.callbacks import Callback, Callbacks, are_callbacks
from txtrader.client.config import ClientConfig
from txtrader.client.events import Line
from txtrader.client.link import Link, Lost, losing
from txtrader.client.monitor_options import merged_options
from txtrader.client.subscription import Positions, SubscriptionSession
from txtrader.errors import (
    GatewayUnavailable,
    LocalProtocolError,
    RequestError,
    Throttled,
    TxTraderError,
    Unauthenticated,
)

__all__ = ["Callback", "Monitor", "State"]

_log = logging.getLogger("txtrader.monitor")
_ADDS, _DELS = ("add", "add_symbol"), ("del", "del_symbol")
_SETTLED = 30.0  # seconds that a connection must have held for the next loss to be waited for from the start
_REFUSALS = 5  # of a login that was accepted before, until it counts as changed


class State(StrEnum):
    """What the callback `connection` is told."""

    INITIALIZING = "INITIALIZING"
    CONNECTING = "CONNECTING"
    CONNECT_PENDING = "CONNECT_PENDING"
    CONNECTED = "CONNECTED"
    FAILED = "FAILED"
    DISCONNECT_PENDING = "DISCONNECT_PENDING"
    DISCONNECTED = "DISCONNECTED"
    SHUTDOWN = "SHUTDOWN"


class Monitor:
    """Call functions on the gateway's events until one of them answers False.

        def on_order(label, order):
            print(order["text"])

        Monitor(callbacks={"order": on_order}, parse=True).run()

    Both constructors of the past work: `Monitor(host, port, user, password, callbacks)` and
    `Monitor(host, port, username, password, options, callbacks, log_level)`; what is not given comes from the
    environment.  A callback is `f(label, data)`: the label as it was registered, and the text after `MODE.TYPE`, or
    with `parse=True` the record.  None as a callback silences a type; a result that is false (but not None) ends `run`.

    Names: the types of events (order, execution, quote, trade, account, position, error ...), the replies to `send`
    (orders, executions, symbol, result ...), `status` (the word of the gateway's state), `order_data`, `ticket_data`,
    `execution_data` (the record alone), `snapshot`, `tick`, `connection` (a `State`), `shutdown`, and `*` for every
    line.  Case, `-` and `_` do not matter.  Or derive a class and override `on_status` and its like.

    A lost connection is made again after 1 to 15 s with jitter and resumes after the last event of each numbered
    channel; what is too old comes as a snapshot, and each record in it as an event if nobody registered `snapshot`.
    `positions` holds the last event of each channel: given to another Monitor, that one resumes there.  `run`,
    `connect` and `listen` belong to one thread; `stop`, `shutdown`, `send` and `disconnect` may be called from any.
    What was stopped stays stopped: make another.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | str | None = None,
        username: str | None = None,
        password: str | None = None,
        options: Mapping[str, Any] | str | None = None,
        callbacks: Mapping[str, Callback | None] | None = None,
        log_level: int | str | None = None,
        *,
        user: str | None = None,
        mode: str | None = None,
        config: Mapping[str, Any] | None = None,
        parse: bool = False,
        decimals: bool = False,
        reconnect: bool = True,
        reconnect_min: float = 1.0,
        reconnect_max: float = 15.0,
        timeout: float = 10.0,
        positions: Positions | None = None,
        random_source: random.Random | None = None,
    ) -> None:
        if isinstance(options, Mapping) and callbacks is None and are_callbacks(options):
            options, callbacks = None, options  # the constructor of 2015
        self._config = ClientConfig.load(
            mode=mode,
            config=config,
            arguments={
                "host": host,
                "tcp_port": None if port is None else int(port),
                "username": username if user is None else user,
                "password": password,
            },
        )
        self._options = self._config.get("options") if options is None else options
        self._reconnect = reconnect
        self._reconnect_min = reconnect_min
        self._reconnect_max = reconnect_max
        self._random = random.Random() if random_source is None else random_source
        self.positions: Positions = {} if positions is None else positions
        self._callbacks = Callbacks(
            self._overridable, lambda label: self.shutdown(f"callback {label}"), parse=parse, decimals=decimals
        )
        self.set_callbacks(callbacks or {})
        if log_level is not None:
            _log.setLevel(log_level.upper() if isinstance(log_level, str) else log_level)
        self._link = Link(timeout)
        self._session: SubscriptionSession | None = None
        self._connected_at: float | None = None
        self._has_logged_in = False
        self._symbols: dict[str, str] = {}  # symbol: the line that adds it
        self._tick_interval = 0.0
        self._next_tick = 0.0
        self._ticks = 0
        self._lock = threading.Lock()
        self._requests: deque[str | None] = deque()  # lines to send, None to take leave; guarded by the lock
        self._end: str | None = None  # why to end; set once
        self._is_listening = False
        self.state = State.INITIALIZING

    def __repr__(self) -> str:
        return f"<Monitor {self.state}>"

    # --- callbacks --------------------------------------------------------------------------------------------

    def set_callbacks(self, callbacks: Mapping[str, Callback | None]) -> None:
        """Register functions by the names of what they are called for, beside those registered before."""
        for name, function in callbacks.items():
            self.set_callback(name, function)

    def set_callback(self, name: str, function: Callback | None) -> None:
        """Register a function for one name; None silences it."""
        self._callbacks.set(name, function)

    def delete_callback(self, name: str) -> None:
        """Forget what was registered for a name; an `on_` method of that name is called again."""
        self._callbacks.delete(name)

    def on_status(self, label: str, data: Any) -> Any:
        """Be told the gateway's state; override."""

    def on_order(self, label: str, data: Any) -> Any:
        """Be told of an order; override."""

    def on_execution(self, label: str, data: Any) -> Any:
        """Be told of an execution; override."""

    def on_quote(self, label: str, data: Any) -> Any:
        """Be told of a quote; override."""

    def on_trade(self, label: str, data: Any) -> Any:
        """Be told of a trade; override."""

    def _overridable(self, name: str) -> Callback | None:
        if name in ("status", "order", "execution", "quote", "trade"):
            method: Callback = getattr(self, f"on_{name}")
            return method
        return None

    # --- what any thread may call -----------------------------------------------------------------------------

    def send(self, line: str) -> None:
        """Send a command line, such as `add IBM`; its reply comes as a line.

        `add` and `del` are remembered and said again after a reconnection, and may be sent before the first one.
        Anything else needs the connection: raises GatewayUnavailable without it, since an order that leaves some
        time later is not what was meant.
        """
        if not line.isprintable():
            raise LocalProtocolError("a command is one line of printable text")
        is_remembered = self._remember(line)
        if self.state is State.CONNECTED:
            self._request(line)
        elif not is_remembered:
            raise GatewayUnavailable(f"not connected: {self.state}")

    def disconnect(self) -> None:
        """Take leave and close; `run` and `listen` then end."""
        if self._is_listening:
            self._request(None)
        elif self._session is not None:
            self._leave()

    def shutdown(self, message: str = "shutdown") -> None:
        """End `run`, with this message to the callback `shutdown`."""
        with self._lock:
            if self._end is None:
                self._end = message
        self._link.wake()

    def stop(self) -> None:
        """End `run`."""
        self.shutdown("stop")

    def set_tick_interval(self, seconds: float) -> None:
        """Call `tick` every so many seconds while listening, with a count as its data; 0 ends that."""
        self._next_tick = time.monotonic() + seconds
        self._tick_interval = float(seconds)
        self._link.wake()

    def stop_ticker(self) -> None:
        """End the ticks."""
        self.set_tick_interval(0)

    # --- the connection ---------------------------------------------------------------------------------------

    def run(self) -> str:
        """Connect, call back, and connect again, until something ends it; return why.

        Raises Unauthenticated when the login is refused, InvalidArgument for a wrong option, and whatever a callback
        raises.
        """
        refusals = 0
        wait = self._reconnect_min
        try:
            while self._end is None:
                try:
                    self._connect()
                    refusals = 0
                    self.shutdown(self._listen())
                except Lost as lost:
                    if isinstance(lost.error, Unauthenticated):
                        refusals += 1
                    if not self._reconnect:
                        self.shutdown(lost.error.message)
                    if not self._is_curable(lost.error, refusals):
                        raise lost.error from lost.error.__cause__
                    if self._end is None:
                        _log.warning("%s; connecting again", lost.error.message)
                        if self._connected_at is not None and time.monotonic() - self._connected_at > _SETTLED:
                            wait = self._reconnect_min
                        self._pause(max(self._reconnect_min, wait * self._random.uniform(0.5, 1.0)))
                        wait = min(wait * 2, self._reconnect_max)
        finally:
            self._close()
            self._become(State.SHUTDOWN)
        reason = self._end or ""
        self._callbacks.deliver("shutdown", reason, reason)
        return reason

    def connect(self) -> None:
        """Connect and log in.  Raises GatewayUnavailable, Unauthenticated, RemoteProtocolError, ConfigError."""
        try:
            self._connect()
        except Lost as lost:
            raise lost.error from lost.error.__cause__

    def listen(self) -> str:
        """Call back on what comes until something ends it; return why.  Raises GatewayUnavailable when it is lost."""
        try:
            return self._listen()
        except Lost as lost:
            raise lost.error from lost.error.__cause__

    def _connect(self) -> None:
        if self._session is not None:
            return
        user, password = self._config.login()
        host, port = self._config.host, self._config.port("tcp_port")
        options = merged_options(self._options, self._callbacks.silenced)
        session = SubscriptionSession(user, password, options, self.positions)
        self._connected_at = None
        self._become(State.CONNECTING)
        try:
            with losing(f"no gateway at {host}:{port}"):
                self._link.dial(host, port, lambda: self._end is not None)
            self._become(State.CONNECT_PENDING)
            while True:
                self._turn(session)
                for line in self._lines(session):
                    self._callbacks.take(line)
                    if session.is_open:
                        break  # what came in one piece with the login's answer waits for `listen`
                if session.is_open:
                    break
                if self._end is not None:
                    raise Lost(GatewayUnavailable("stopped while logging in"))
        except BaseException:
            self._close(State.FAILED)
            raise
        self._session = session
        self._has_logged_in = True
        self._connected_at = time.monotonic()
        self._become(State.CONNECTED)
        for command in list(self._symbols.values()):
            session.send(command)

    def _listen(self) -> str:
        session = self._session
        if session is None:
            raise GatewayUnavailable("not connected")
        self._is_listening = True
        try:
            while True:
                for line in self._lines(session):
                    self._callbacks.take(line)
                    if self._end is not None:
                        break
                self._tick()
                if self._end is None and self._run_requests(session):
                    return "disconnect"
                if self._end is not None:
                    return self._end
                self._turn(session)
        finally:
            self._is_listening = False
            self._close()

    def _lines(self, session: SubscriptionSession) -> Iterator[Line]:
        while True:
            with losing("the connection broke"):
                line = session.next_event()
            if line is None:
                return
            yield line

    def _turn(self, session: SubscriptionSession) -> None:
        """Send what there is, wait for bytes, time or a request, and take the bytes."""
        with losing("the connection broke"):
            session.handle_timeout(now := time.monotonic())
            self._link.send(session.data_to_send())
            due = [at for at in (session.next_deadline(), self._next_tick if self._tick_interval else None) if at]
            if self._link.wait(max(0.0, min(due) - now) if due else None):
                data = self._link.receive()
                if not data:
                    raise GatewayUnavailable("the gateway closed the connection")
                session.receive_data(data)

    def _tick(self) -> None:
        now = time.monotonic()
        if self._tick_interval and now >= self._next_tick:
            self._ticks += 1
            # From now, not from when it was due: a program that was busy for long is not owed a burst of ticks.
            self._next_tick = now + self._tick_interval
            self._callbacks.deliver("tick", str(self._ticks), self._ticks)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._end is None and (left := until - time.monotonic()) > 0:
            self._link.wait(left)
        with self._lock:
            self._requests.clear()  # they were for the connection that is gone

    def _is_curable(self, error: TxTraderError, refusals: int) -> bool:
        """Tell whether trying again may help."""
        if isinstance(error, Unauthenticated):
            # A login that worked may be refused while somebody guesses passwords, or users are reloaded.
            return self._has_logged_in and refusals < _REFUSALS
        return not isinstance(error, RequestError) or isinstance(error, Throttled)

    def _request(self, line: str | None) -> None:
        with self._lock:
            self._requests.append(line)
        self._link.wake()

    def _run_requests(self, session: SubscriptionSession) -> bool:
        """Send what was asked for; tell whether leave is taken."""
        while True:
            with self._lock:
                if not self._requests:
                    return False
                line = self._requests.popleft()
            if line is None:
                self._leave()
                return True
            session.send(line)

    def _leave(self) -> None:
        self._become(State.DISCONNECT_PENDING)
        self._close()

    def _close(self, state: State = State.DISCONNECTED) -> None:
        """Close, with a word of leave where the connection stands: a polite end is no accident to the gateway."""
        session, self._session = self._session, None
        if self._link.is_open:
            if session is not None and session.is_open:
                try:
                    session.send("quit")
                    self._link.send(session.data_to_send())
                except OSError:
                    pass  # the other side may be gone already
            self._link.close()
            self._become(state)
        elif state is State.FAILED:
            self._become(state)

    def _remember(self, line: str) -> bool:
        word, _, symbol = line.partition(" ")
        if word in _ADDS:
            self._symbols[symbol.strip().upper()] = line
        elif word in _DELS:
            self._symbols.pop(symbol.strip().upper(), None)
        return word in _ADDS or word in _DELS

    def _become(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            _log.info("%s", state)
            self._callbacks.deliver("connection", str(state), str(state))
