"""The listening end of the simulated OUCH venue: who is connected, and the trading day that his session lives for."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.exsim.endpoints.delayed_pump import DelayedPump
from txtrader.exsim.endpoints.listening import Clients, Listening
from txtrader.exsim.endpoints.message_faults import Faults
from txtrader.exsim.endpoints.ouch.day_file import Day, DayFile
from txtrader.exsim.endpoints.ouch.fault_controls import FaultControls
from txtrader.exsim.endpoints.ouch.faulty_session import FaultySession
from txtrader.exsim.endpoints.ouch.members import Member, Name, Sent, user_of
from txtrader.exsim.endpoints.ouch.options import OuchOptions
from txtrader.exsim.endpoints.ouch.policy_face import OuchFace
from txtrader.exsim.endpoints.ouch.reports import Reports
from txtrader.exsim.endpoints.ouch.trading import Trading
from txtrader.exsim.endpoints.overseer import Overseer
from txtrader.exsim.policies.doors import attach
from txtrader.exsim.venue import Venue
from txtrader.net.outbound import OutboundPool
from txtrader.net.pump import Pump
from txtrader.wire.ouch.codec import Codec, OuchMessage
from txtrader.wire.soupbin import LoginRequested, Unsequenced

if TYPE_CHECKING:
    from txtrader.exsim.policies.doors import Door

__all__ = ["OuchConnection", "OuchEndpoint"]

SECOND = 1_000_000_000
_SESSIONS = 100
_BY_ITSELF = 256  # messages of a stream that surely leave with the event that made them


class OuchConnection:
    """One client."""

    def __init__(self, endpoint: OuchEndpoint) -> None:
        self.endpoint = endpoint
        self.session = FaultySession(endpoint.options.soup)
        endpoint.made += 1
        self.pump = DelayedPump(
            self.session,
            endpoint.reactor,
            on_event=self._event,
            on_lost=self._lost,
            name=f"{endpoint.options.seed}|latency|ouch|{endpoint.made}",
            latencies=endpoint.options,
            attach=partial(attach, self),
        )
        self.member: Member | None = None
        self._is_closing = self._is_planned = False
        if endpoint.is_silent:
            self.be_silent()

    @property
    def owner(self) -> str | None:
        """Whose connection it is, as the venue calls him; None before the login."""
        return None if self.member is None else self.member.owner

    def deliver(self, sent: Sent) -> None:
        """Tell the user something, past the faults."""
        if self.member is not None:
            self.member.deliver(sent)

    def flush(self) -> None:
        """Send what is new in the stream, as much as the client takes; the rest follows as he reads."""
        session = self.session
        if session.is_held:
            return
        while self.pump.is_connected and session.has_more:
            if self.pump.is_stalled:
                session.is_held = True
                self.pump.when_free().addCallback(self._go_on)
                break
            before = session.next_number
            self.pump.flush()
            if session.next_number == before:
                break  # in the middle of an event: it leaves after it
        self._close_at_end()

    def _go_on(self, _: None) -> None:
        self.session.is_held = False
        self.flush()

    def _close_at_end(self) -> None:
        """Close once the end of the session has been said."""
        if self.session.is_over and not self._is_closing:
            self._is_closing = True
            self.pump.close()

    def be_silent(self, is_silent: bool = True) -> None:
        """Say and hear nothing; False ends it."""
        self.session.mute(is_silent)
        if is_silent:
            self.pump.pause()
        else:
            self.pump.resume()
            self.flush()

    def drop(self) -> None:
        """Close without a word."""
        self.pump.abort()

    def close(self) -> None:
        """Close after what was said."""
        self.pump.close()

    def log_out(self, text: str = "") -> None:
        """End the session of this connection, with a word; the user's stream goes on."""
        if not self.session.is_over:
            self.pump.push()
            self.session.end(text)
        self.pump.close()

    def _event(self, event: Any) -> None:
        if isinstance(event, Unsequenced):
            assert self.member is not None
            overseer = self.endpoint.overseer
            if overseer is None or not overseer.received(self, event.data):
                self.endpoint.trading.received(self.member, event.data)
        elif isinstance(event, LoginRequested) and not self.session.is_over:
            self.endpoint.log_in(self, event)
        if self.session.is_over:  # refused, or logged out
            self.pump.close()
        elif self._has_to_follow() and not self._is_planned:
            self._is_planned = True
            self.endpoint.reactor.callLater(0, self._after_event)

    def _has_to_follow(self) -> bool:
        """Tell whether more is to be done than the event's own bytes: the rest of a long stream, or its end."""
        stream = self.session.stream
        return self.session.backlog > _BY_ITSELF or (stream is not None and stream.is_ended)

    def _after_event(self) -> None:
        self._is_planned = False
        self.flush()

    def _lost(self, failure: Failure) -> None:
        self.endpoint.lost(self)


class OuchEndpoint(FaultControls):
    """Order entry for any number of users on one port, in one version.

    What a user is told is a stream that lives for the trading day, over all his connections.  Orders belong to the
    user (`ouch|USER`) and outlive his connection.
    """

    _log = Logger()

    def __init__(
        self,
        venue: Venue,
        reactor: Any,
        *,
        port: int = 0,
        interface: str = "127.0.0.1",
        options: OuchOptions | None = None,
    ) -> None:
        self.venue = venue
        self.reactor = reactor
        self.options = options or OuchOptions()
        self.users = {user.upper(): settings for user, settings in self.options.users.items()}
        self.codec = Codec(self.options.version)
        self.pool = OutboundPool(reactor)
        self.connections: list[OuchConnection] = []
        self.members: dict[str, Member] = {}
        self.sessions = 0
        self.made = 0  # connections so far
        self.faults = Faults(reactor)
        self.policies: Door | None = None  # of the venue, while there are any
        self.face = OuchFace(self, reactor)
        self.is_silent = False
        self.overseer: Overseer | None = None
        self.is_open = False
        self.session_name = ""
        self.reports = Reports(self)
        self.trading = Trading(self, self.reports)
        self._zone = ZoneInfo(self.options.time_zone)
        self._days = 0
        self._first_second = 0
        self._roll_timer: IDelayedCall | None = None
        self._day_file: DayFile | None = None
        self.listening = Listening(reactor, Clients(self.build), number=port, interface=interface)

    # -- life

    def start(self) -> Deferred[int]:
        """Listen, and begin the day if so told; answers the port number."""
        return maybeDeferred(self._start)

    def _start(self) -> int:
        if self.options.day_file is not None:
            self._day_file = DayFile(self.options.day_file)
        self.venue.policies.attach(self.face)
        number = self.listening.open()
        self._first_second = self.venue.now_ns() // SECOND
        self._name_session()
        self._resume()
        self.venue.add_observer(self.reports)
        self.trading.restore(self._member_of)
        if self.options.opens_day:
            self.start_day()
            self._plan_roll()
        return number

    def stop(self) -> Deferred[None]:
        """Stop listening and drop everyone; the Deferred fires when the port is free."""
        self.faults.clear()
        self.venue.policies.detach(self.face)
        for member in self.members.values():
            member.leave()  # what that does to his orders he is told
        self.venue.remove_observer(self.reports)
        if self._day_file is not None:
            self._day_file.close()
        if self._roll_timer is not None and self._roll_timer.active():
            self._roll_timer.cancel()
        for connection in list(self.connections):
            connection.drop()
        return self.listening.close()

    @property
    def port(self) -> int:
        """The port number, known once started."""
        return self.listening.number

    # -- the trading day

    def start_day(self) -> None:
        """Begin the day: everybody is told, and orders are taken; nothing happens where one runs."""
        if self.is_open:
            return
        self.is_open = True
        for member in self.members.values():
            if member.stream.is_ended:
                member.begin_day(self.session_name)
        self._keep_day()
        for member in self.members.values():
            self._say_event(member, "S")

    def end_day(self) -> None:
        """End the day: open orders are canceled, everybody is told, and his session is over for good."""
        if not self.is_open:
            return
        self.is_open = False
        for member in self.members.values():
            self.trading.cancel_all(member, "E")
        self._days += 1
        self._name_session()
        for member in self.members.values():
            self._say_event(member, "E")
            member.stream.end()
            if member.connection is not None:
                member.connection.flush()
        if self._day_file is not None:
            self._day_file.end()

    # -- the day's file

    def _resume(self) -> None:
        """Take up the day that the file has, if it goes on: its session, what each user was told, and his names."""
        file = self._day_file
        if file is None:
            return
        day = file.day
        if day is None or (day.date, day.version) != (self._date(), self.options.version):
            return
        self.session_name, self._first_second, self._days = day.session, day.first_second, day.number
        for user in sorted({*file.names, *file.told}):
            member = self.members[user] = Member(self, user)
            for name in file.names.get(user, ()):
                member.remember(name)
            for message in file.told.get(user, ()):
                member.stream.append(message)
            member.disabled |= file.disabled.get(user, set())
        self.is_open = True

    def _keep_day(self) -> None:
        if self._day_file is None:
            return
        day = Day(
            session=self.session_name,
            version=self.options.version,
            date=self._date(),
            first_second=self._first_second,
            number=self._days,
        )
        names = {member.user: member.used_names() for member in self.members.values()}
        self._day_file.begin(day, names, {member.user: member.disabled for member in self.members.values()})

    def _date(self) -> str:
        return datetime.fromtimestamp(self.venue.now_ns() // SECOND, self._zone).strftime("%Y%m%d")

    def keep_name(self, user: str, name: Name) -> None:
        """Keep that a user has used a name, where the day is kept."""
        if self._day_file is not None:
            self._day_file.use(user, name)

    def keep_switch(self, user: str, firm: str, is_disabled: bool) -> None:
        """Keep that a firm's order entry was switched, where the day is kept."""
        if self._day_file is not None:
            self._day_file.switch(user, firm, is_disabled)

    def keep_told(self, user: str, message: bytes) -> None:
        """Keep what a user is told, where the day is kept."""
        if self._day_file is not None:
            self._day_file.tell(user, message)

    def forget_streams(self) -> None:
        """Let everybody's numbers begin at 1, in a session of another name, as after a crash; orders and names stay."""
        self._days += 1
        self._name_session()
        self._keep_day()
        for member in self.members.values():
            member.begin_stream(self.session_name)
            if self.is_open:
                self._say_event(member, "S")

    def _say_event(self, member: Member, event: str) -> None:
        member.say(OuchMessage("SystemEvent", {"timestamp": self.since_midnight(), "event": event}))

    def _name_session(self) -> None:
        """Name the session of the day that comes: no two days, and no two runs, have the same."""
        self.session_name = f"{self._first_second & 0xFFFFFFFF:08X}{self._days % _SESSIONS:02d}"

    def since_midnight(self, now: int | None = None) -> int:
        """Return nanoseconds since midnight of the exchange's clock."""
        now = self.venue.now_ns() if now is None else now
        local = datetime.fromtimestamp(now // SECOND, self._zone)
        return (local.hour * 3600 + local.minute * 60 + local.second) * SECOND + now % SECOND

    def next_midnight(self) -> int:
        """Return the instant (ns UTC) at which the exchange's day is over."""
        local = datetime.fromtimestamp(self.venue.now_ns() // SECOND, self._zone)
        return int(datetime.combine(local.date() + timedelta(days=1), time(0), self._zone).timestamp()) * SECOND

    def _plan_roll(self) -> None:
        wait = (self.next_midnight() - self.venue.now_ns()) / SECOND
        self._roll_timer = self.reactor.callLater(max(0.0, wait), self._roll)

    def _roll(self) -> None:
        self.end_day()
        self.start_day()
        self._plan_roll()

    # -- clients

    def build(self) -> Pump | None:
        """Make the protocol of a new connection."""
        if len(self.connections) >= self.options.max_connections:
            return None
        connection = OuchConnection(self)
        self.connections.append(connection)
        if self.overseer is not None:
            self.overseer.connected(connection)
        return connection.pump

    def log_in(self, connection: OuchConnection, login: LoginRequested) -> None:
        """Let a connection be a user, or refuse it."""
        session = connection.session
        user = login.user.upper()
        member = self._member(user, login.password)
        if member is None:
            self._log.info("a login as {user} is refused", user=user)
            session.refuse("A")
            return
        former = member.connection
        if former is not None and not self.options.replaces_login:
            session.refuse("S")
            return
        refusal = None if self.policies is None else self.policies.logon(connection, member.owner)
        if refusal is not None:
            self.face.reject(connection, refusal)
            return
        if not session.admit(member.stream):
            return
        connection.member = member
        member.connection = connection
        self.sessions += 1
        if self.overseer is not None:
            self.overseer.logged_on(connection)
        self._log.info("{user} logs in over OUCH {version}", user=user, version=self.options.version)
        if former is not None:
            former.drop()
        if member.presence is None:
            member.presence = self.venue.open_session(
                member.owner, cancel_on_disconnect=self.options.cancel_on_disconnect
            )

    def _member(self, user: str, password: str) -> Member | None:
        """Return a user whose password is right, None for anybody else."""
        settings = self.users.get(user)
        if self.users and (settings is None or not _is_right(settings.password, password)):
            return None
        return self._known(user)

    def _known(self, user: str) -> Member | None:
        """Return a user, who is new maybe; None where there are too many."""
        member = self.members.get(user)
        if member is None and user and len(self.members) < self.options.max_users:
            member = self.members[user] = Member(self, user)
            if self.is_open:
                self._say_event(member, "S")
        return member

    def _member_of(self, owner: str) -> Member | None:
        """Return the user behind a participant's name, None for one of another wire."""
        user = user_of(owner)
        return None if user is None else self._known(user)

    def lost(self, connection: OuchConnection) -> None:
        """Take the end of a connection."""
        self.connections.remove(connection)
        if self.overseer is not None:
            self.overseer.lost(connection)
        member = connection.member
        if member is not None and member.connection is connection:
            member.connection = None
            member.leave()


def _is_right(wanted: str | None, given: str) -> bool:
    return wanted is None or wanted.upper() == given.upper()
