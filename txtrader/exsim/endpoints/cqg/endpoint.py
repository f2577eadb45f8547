"""The listening end of the simulated CQG server: who is connected, and whose sessions live."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.logger import Logger

from txtrader.exsim.endpoints.cqg.connection import CqgConnection
from txtrader.exsim.endpoints.cqg.fault_controls import FaultControls
from txtrader.exsim.endpoints.cqg.limits import Meters
from txtrader.exsim.endpoints.cqg.listings import ListingNames
from txtrader.exsim.endpoints.cqg.options import CqgOptions
from txtrader.exsim.endpoints.cqg.order_desk import OrderDesk, order_to_state
from txtrader.exsim.endpoints.cqg.policy_face import CqgFace
from txtrader.exsim.endpoints.cqg.user_session import UserSession
from txtrader.exsim.endpoints.listening import Listening
from txtrader.exsim.endpoints.message_faults import Faults
from txtrader.exsim.endpoints.overseer import Overseer
from txtrader.exsim.venue import Venue
from txtrader.net.outbound import Limits, OutboundPool
from txtrader.net.websocket import WebSocketListener, WebSocketPump
from txtrader.wire.cqg.words import LogoffReason, LogonCode, RestoreCode

if TYPE_CHECKING:
    from txtrader.exsim.policies.doors import Door

__all__ = ["CqgEndpoint"]

_MOST_QUEUED = 64 * 1024 * 1024  # bytes for one client: market data waits elsewhere, orders are few


class CqgEndpoint(FaultControls):
    """A simulated CQG WebAPI server: translates between clients and a venue, which alone decides.

    `reactor` listens and tells the time; orders, chains and sessions live as long as this object, whoever
    disconnects.  `start` answers the port.
    """

    _log = Logger()

    def __init__(
        self,
        venue: Venue,
        reactor: Any,
        *,
        port: int = 0,
        interface: str = "127.0.0.1",
        options: CqgOptions | None = None,
    ) -> None:
        self.venue = venue
        self.reactor = reactor
        self.options = options or CqgOptions()
        self.names = ListingNames(venue.instruments, venue.now_ns, venue.mark)
        self.pool = OutboundPool(reactor, Limits(close=_MOST_QUEUED, stall=self.options.collapse_after[3]))
        self.faults = Faults(reactor)
        self.meters = Meters(self.options.limits, venue.now_ns)
        self.connections: list[CqgConnection] = []
        self.sessions = 0
        self.made = 0  # connections so far
        self.logon_failures: deque[tuple[LogonCode, str, str]] = deque()
        self.restore_failures: deque[tuple[RestoreCode, str]] = deque()
        self.revoked: set[str] = set()
        self.most_level: int | None = None
        self.pong_delay = 0.0
        self.is_silent = False
        self.is_deaf = False
        self.overseer: Overseer | None = None
        self.policies: Door | None = None  # of the venue, while there are any
        self.face = CqgFace(self, reactor)
        self.desk = OrderDesk(self)
        if venue.memory is not None:
            venue.memory.extra_to_state = order_to_state
        self.desk.restore()
        self._by_user: dict[str, UserSession] = {}
        self._by_token: dict[str, UserSession] = {}
        self._expiries: dict[str, IDelayedCall] = {}
        self._users = 0
        listener = WebSocketListener(self._build, reactor, handshake_delay=self.options.handshake_delay)
        self.listening = Listening(reactor, listener, number=port, interface=interface, tls=self.options.tls)
        self._is_refusing = False

    # -- life

    def start(self) -> Deferred[int]:
        """Listen; answers the port number."""
        self.venue.policies.attach(self.face)
        self.venue.add_observer(self.desk)
        return maybeDeferred(self.listening.open)

    def stop(self) -> Deferred[None]:
        """Stop listening and drop everyone; the Deferred fires when the port is free."""
        self.venue.remove_observer(self.desk)
        self.venue.policies.detach(self.face)
        self.faults.clear()
        for connection in list(self.connections):
            connection.drop()
        for session in list(self._by_token.values()):
            self.end_session(session)
        return self.listening.close()

    @property
    def port(self) -> int:
        """The port number, known once started."""
        return self.listening.number

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"{'ws' if self.options.tls is None else 'wss'}://{self.listening.interface}:{self.listening.number}/"

    def _build(self, addr: IAddress | None) -> WebSocketPump | None:
        if self._is_refusing:
            return None
        connection = CqgConnection(self)
        self.connections.append(connection)
        if self.overseer is not None:
            self.overseer.connected(connection)
        return connection.pump

    # -- who is there

    @property
    def all_accounts(self) -> tuple[str, ...]:
        """The accounts that clients see, also those whose access was taken away."""
        return self.options.accounts or self.venue.accounts()

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that clients may use."""
        return tuple(account for account in self.all_accounts if account not in self.revoked)

    def series_of(self, account: str) -> str:
        """Return the number of an account's sales series."""
        return self.options.series.get(account, "1")

    def account_id(self, account: str) -> int:
        """Return the number of an account: the digits of its name, else its place."""
        digits = "".join(letter for letter in account if letter.isdigit())
        return int(digits) if digits and int(digits) < 2**31 else 1 + self.all_accounts.index(account)

    def account(self, account_id: int) -> str | None:
        """Return the account with a number that clients may see."""
        return next((account for account in self.accounts if self.account_id(account) == account_id), None)

    def session_of(self, user: str) -> UserSession | None:
        """Return the user's session, if one lives."""
        return self._by_user.get(user)

    def session_with(self, token: str) -> UserSession | None:
        """Return the session that a token restores."""
        return self._by_token.get(token)

    def new_session(self, user: str, *, can_restore: bool, can_join: bool) -> UserSession:
        """Begin a session; a former one of the same user ends, forced."""
        former = self._by_user.get(user)
        if former is not None:
            for connection in list(former.connections):
                connection.log_off(LogoffReason.FORCED, "the user has logged on elsewhere")
            self.end_session(former)
        self._users += 1
        session = UserSession(
            user,
            self._users,
            self.venue.now_ns(),
            seed=self.venue.seed,
            can_restore=can_restore,
            can_join=can_join,
        )
        self._by_user[user] = self._by_token[session.token] = session
        return session

    def end_session(self, session: UserSession | None) -> None:
        """Forget a session: its token restores nothing any more."""
        if session is None:
            return
        timer = self._expiries.pop(session.token, None)
        if timer is not None and timer.active():
            timer.cancel()
        self._by_token.pop(session.token, None)
        if self._by_user.get(session.user) is session:
            del self._by_user[session.user]

    def session_idle(self, session: UserSession) -> None:
        """A session has lost its last connection: it waits for a restore, or ends."""
        if session.token not in self._by_token:
            return
        if not session.can_restore or not self.listening.is_open:
            self.end_session(session)
            return
        old = self._expiries.pop(session.token, None)
        if old is not None and old.active():
            old.cancel()
        self._expiries[session.token] = self.reactor.callLater(self.options.token_life, self._expired, session)

    def _expired(self, session: UserSession) -> None:
        if not session.connections:
            self.end_session(session)

    def forget(self, connection: CqgConnection) -> None:
        """A connection is gone."""
        if connection in self.connections:
            self.connections.remove(connection)
            if self.overseer is not None:
                self.overseer.lost(connection)

    def lines_on(self, listing_id: int) -> int:
        """Count the market data subscriptions that clients have on one listing."""
        return sum(connection.market.has_line(listing_id) for connection in self.connections if connection.market)

    def forget_sessions(self) -> None:
        """Let all tokens be unknown from now on, as a restarted server does; connections stay."""
        for session in list(self._by_token.values()):
            self.end_session(session)
