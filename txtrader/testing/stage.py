"""The stage of a fault test: simulated broker, fault proxy and a real daemon, driven by one blocking script.

The venue, its TWS endpoint and the proxy live in the test's own process, on its reactor, so that the venue can be
asked what really happened; the daemon is a child process that knows only the proxy's port.  The script runs in a
thread of its own and may block; `do` brings a call over to the reactor::

    async with Stage(reactor, folder) as stage:
        await stage.run(script)

    def script(stage):
        daemon = stage.start_daemon()
        ...
        stage.do(stage.proxy.reset_all)
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import blockingCallFromThread, deferToThread

from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.cqg import CqgEndpoint, CqgOptions
from txtrader.exsim.endpoints.fix import FixEndpoint
from txtrader.exsim.endpoints.fix.trading import Trading, TradingOptions
from txtrader.exsim.endpoints.tws import TwsEndpoint, TwsOptions
from txtrader.exsim.orders import Order
from txtrader.exsim.records import Terms
from txtrader.model.order import OrderType, Side
from txtrader.testing.clients import LineClient
from txtrader.testing.daemon import Daemon, wait_until
from txtrader.testing.evidence import JournalCopy
from txtrader.testing.frames import (
    FixSplitter,
    SplitterFactory,
    TwsClientSplitter,
    TwsServerSplitter,
    WebSocketSplitter,
    cqg_parts,
    fix_fields,
    tws_fields,
)
from txtrader.testing.history import History
from txtrader.testing.invariants import check_all
from txtrader.testing.proxy import FaultProxy
from txtrader.testing.witness import Witness

__all__ = ["Stage"]

T = TypeVar("T")

WIRES: dict[str, dict[str, str]] = {
    "tws": {"MODE": "tws"},
    "cqg": {"MODE": "cqg", "API_TLS": "0", "API_USERNAME": "trader", "API_PASSWORD": "broker-secret"},
    "fix": {
        "MODE": "fix",
        "API_TLS": "0",
        "FIX_VERSION": "5.0",
        "FIX_SENDER_COMP_ID": "GATEWAY",
        "FIX_TARGET_COMP_ID": "EXSIM",
        "FIX_ACCOUNTS": "DU1000001",
    },
}
"""What the daemon is set to for each wire."""

_TWS_ORDER_NEWS = frozenset({"3", "5", "11", "59"})  # orderStatus, openOrder, execDetails, commission report

_TWS_REQUESTS = {"new": "3", "replace": "3", "cancel": "4"}
_CQG_REQUESTS = {"new_order": "new", "modify_order": "replace", "cancel_order": "cancel"}
_FIX_REQUESTS = {"D": "new", "G": "replace", "F": "cancel"}
_SPLITTERS: dict[str, tuple[SplitterFactory, SplitterFactory]] = {
    "tws": (TwsClientSplitter, TwsServerSplitter),
    "cqg": (WebSocketSplitter, WebSocketSplitter),
    "fix": (FixSplitter, FixSplitter),
}

QUICK = {
    "HEARTBEAT": "0.5",
    "RECONNECT_MIN": "0.1",
    "RECONNECT_MAX": "0.5",
    "TIMEOUT_ORDER": "2",
    "UNKNOWN_QUIET": "0.2",
    "RECONCILE_INTERVAL": "1",
    "TIMEOUT_POSITION": "5",
    "COMMAND_RATE": "100000",  # tests look again and again
}
"""Settings that make a fault test a matter of seconds; the meaning of none of them changes with its size."""

STRANGER = "stranger"
ACCOUNT = "DU1000001"
STRANGERS_ACCOUNT = "DU1000002"


class Stage:
    """See the module.  `settings` are the daemon's, without TXTRADER_; `seed` is the venue's and the proxy's.

    `wire` is the broker's protocol: tws, cqg or fix.
    """

    def __init__(self, reactor: Any, folder: Path, *, seed: int = 1, wire: str = "tws", **settings: object) -> None:
        self.wire = wire
        self.reactor = reactor
        self.folder = folder
        self.seed = seed
        self.settings = settings
        self.histories: list[History] = []
        self.streams: list[list[dict[str, Any]]] = []
        self.daemons: list[Daemon] = []
        self._clients: list[LineClient] = []
        self.witness = Witness(lambda owner: owner != STRANGER)

    # -- set-up, on the reactor

    async def __aenter__(self) -> Stage:
        self.venue = make_demo_venue(self.reactor, time.time_ns, self.seed, pace="none", has_house=False)
        self.venue.add_observer(self.witness)
        self.venue.start()
        self.endpoint: Any
        if self.wire == "cqg":
            self.endpoint = CqgEndpoint(self.venue, self.reactor, options=CqgOptions(accounts=(ACCOUNT,)))
        elif self.wire == "fix":
            trading = Trading(self.venue, TradingOptions(accounts={"GATEWAY": (ACCOUNT,)}, shares_accounts=True))
            self.endpoint = FixEndpoint(trading, self.reactor, self.venue.now_ns)
            trading.attach(self.endpoint)
        else:
            self.endpoint = TwsEndpoint(self.venue, self.reactor, options=TwsOptions(accounts=(ACCOUNT,)))
        port = await self.endpoint.start()
        self.proxy = FaultProxy(
            self.reactor,
            "127.0.0.1",
            port,
            splitters=_SPLITTERS[self.wire],
            random=random.Random(self.seed),
        )
        await self.proxy.start()
        self.stranger = self.venue.open_session(STRANGER)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.close()
        for daemon in self.daemons:
            await deferToThread(daemon.close)
        await self.proxy.stop()
        await self.endpoint.stop()
        self.venue.stop()

    def run(self, script: Callable[[Stage], T]) -> Deferred[T]:
        """Run a blocking script in a thread."""
        return deferToThread(script, self)

    # -- for the script, in its thread

    def do(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run `call` on the reactor and wait for its result, also for that of a Deferred."""
        return blockingCallFromThread(self.reactor, maybeDeferred, call, *args, **kwargs)

    def make_daemon(self, **settings: object) -> Daemon:
        """Make a daemon that was not started; it is closed with the stage."""
        known = {
            **QUICK,
            **WIRES[self.wire],
            "API_HOST": "127.0.0.1",
            "API_PORT": self.proxy.port,
            **self.settings,
            **settings,
        }
        daemon = Daemon(self.folder, known)
        self.daemons.append(daemon)
        return daemon

    def start_daemon(self, **settings: object) -> Daemon:
        """Make a daemon, start it and wait until its gate is open."""
        daemon = self.make_daemon(**settings)
        daemon.start()
        daemon.wait_up()
        return daemon

    def client(self, daemon: Daemon, options: dict[str, Any] | None = None) -> LineClient:
        """Log in on lines; the client's history is evidence.  It is closed with the stage."""
        client = LineClient.connect(daemon, options)
        self.histories.append(client.history)
        self._clients.append(client)
        return client

    def submit(self, side: Side, quantity: int, price: str, *, symbol: str = "IBM", owner: str = STRANGER) -> Order:
        """Enter an order of a stranger at the venue."""
        terms = Terms(
            listing_id=self.listing_id(symbol),
            account=STRANGERS_ACCOUNT,
            side=side,
            quantity=Decimal(quantity),
            type=OrderType.LIMIT,
            limit_price=Decimal(price),
        )
        order: Order = self.do(self.venue.submit, owner, terms)
        return order

    def place_for(self, account: str, side: Side, quantity: int, price: str, *, symbol: str = "IBM") -> Order:
        """Enter an order in the gateway's own account that the gateway never made."""
        terms = Terms(
            listing_id=self.listing_id(symbol),
            account=account,
            side=side,
            quantity=Decimal(quantity),
            type=OrderType.LIMIT,
            limit_price=Decimal(price),
        )
        order: Order = self.do(self.venue.submit, "manual", terms)
        return order

    def is_order_news(self, frame: bytes) -> bool:
        """Tell whether a frame from the broker says something of an order or a fill."""
        if self.wire == "cqg":
            return any(
                name == "order_statuses"
                or (name == "information_reports" and part.HasField("historical_orders_report"))
                for name, part in cqg_parts(frame)
            )
        if self.wire == "fix":
            return fix_fields(frame).get(35) in ("8", "9")
        fields = tws_fields(frame)
        return bool(fields) and fields[0] in _TWS_ORDER_NEWS

    def is_order_request(self, frame: bytes, *kinds: str) -> bool:
        """Tell whether a frame to the broker asks for one of `new`, `replace`, `cancel`; TWS has one word for two."""
        if self.wire == "cqg":
            requests = [part for name, part in cqg_parts(frame) if name == "order_requests"]
            return any(kind in kinds and one.HasField(name) for one in requests for name, kind in _CQG_REQUESTS.items())
        if self.wire == "fix":
            return _FIX_REQUESTS.get(fix_fields(frame).get(35, "")) in kinds
        return tws_fields(frame)[:1] in [[_TWS_REQUESTS[kind]] for kind in kinds]

    def delay_requests(self, kind: str, seconds: float) -> None:
        """Let requests of one kind (see `is_order_request`) come to the broker late.

        Over FIX all that follows waits as well: the messages are numbered, and no link lets one overtake another.
        """
        if self.wire == "fix":
            self.do(setattr, self.proxy.upstream, "latency", seconds)
            return
        self.do(
            setattr,
            self.proxy.upstream,
            "frames",
            lambda frame: ((seconds if self.is_order_request(frame, kind) else 0.0, frame),),
        )

    def restart_broker(self) -> None:
        """Let the broker be another process: what it keeps for a session is gone, orders are not."""
        if self.wire == "cqg":
            self.do(self.endpoint.forget_sessions)
            self.do(self.endpoint.drop_connections)
        elif self.wire == "fix":
            self.do(self.endpoint.drop_connections)  # numbers outlive a session here, as at any FIX broker
        else:
            self.do(self.endpoint.restart, next_valid_id=1)

    def count_requests(self, message_id: str) -> Callable[[], int]:
        """Count the requests of one kind (their message id) that the daemon sends from now on."""
        seen: list[bytes] = []

        def tap(frame: bytes) -> None:
            if tws_fields(frame)[:1] == [message_id]:
                seen.append(frame)

        self.do(self.proxy.upstream_taps.append, tap)
        return lambda: len(seen)

    def listing_id(self, symbol: str) -> int:
        """Return the venue's id of a US stock."""
        (listing,) = [
            known
            for known in self.do(self.venue.instruments.find, symbol=symbol)
            if known.currency == "USD" and known.sectype == "STK"
        ]
        return int(listing.id)

    def wait(self, condition: Callable[[], object], timeout: float, what: str) -> None:
        """Wait for something at the venue; `condition` is asked on the reactor."""
        wait_until(lambda: self.do(condition), timeout, what)

    def check(self, daemon: Daemon, *, is_at_rest: bool = True) -> JournalCopy:
        """Evaluate the invariants; the daemon must have ended.  Returns the journal for more questions."""
        assert not daemon.is_running, "the journal of a running gateway is not to be opened"
        journal = JournalCopy(daemon.journal)
        self.do(check_all, self.witness, journal, self.histories, self.streams, is_at_rest=is_at_rest)
        return journal
