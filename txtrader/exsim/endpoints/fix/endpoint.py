"""The listening end of the simulated FIX venue: who is connected, and which application answers them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Container, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.exsim.endpoints.delayed_pump import DelayedPump, LatencyOptions
from txtrader.exsim.endpoints.fix.fault_controls import FaultControls
from txtrader.exsim.endpoints.fix.owners import owner_of
from txtrader.exsim.endpoints.listening import Clients, Listening
from txtrader.exsim.endpoints.message_faults import Faults
from txtrader.exsim.endpoints.overseer import Overseer
from txtrader.exsim.policies.doors import attach
from txtrader.net.fix_store import FileStore, file_name_of
from txtrader.net.outbound import OutboundPool
from txtrader.net.pump import Pump
from txtrader.wire.fix.message import Message
from txtrader.wire.fix.session import FixSession, Identity, LoggedOn, LoggedOut, Profile, SessionOptions
from txtrader.wire.fix.store import MemoryStore, Store

if TYPE_CHECKING:
    from txtrader.exsim.policies.doors import Door
    from txtrader.exsim.policies.faces import Face
    from txtrader.exsim.policies.policy_book import PolicyBook

__all__ = ["Application", "FixConnection", "FixEndpoint", "FixOptions", "Sent"]


class FixOptions(LatencyOptions, frozen=True, kw_only=True):
    """What the endpoint does.

    `sender` is our CompID.  `versions` are the BeginStrings that are taken, all that are known by default.  `targets`
    are those that may log on, by BeginString (an empty mapping: anybody), with their password where that is checked.
    `session` is what each of them gets.  Numbers and sent messages are kept in `store_folder`, a file for each
    identity; without it they live as long as the endpoint.  `tls` is the context factory of an encrypted port.
    For latency see `LatencyOptions`.
    """

    sender: str = "EXSIM"
    versions: tuple[str, ...] = ()
    targets: Mapping[str, Mapping[str, str | None]] = {}
    session: SessionOptions = SessionOptions()
    max_connections: int = 256
    max_identities: int = 1_000
    store_folder: str | None = None
    tls: Any = None


class Application(Protocol):
    """What answers the messages of clients that are logged on."""

    def logged_on(self, connection: FixConnection) -> None:
        """Take a client that has logged on."""

    def received(self, connection: FixConnection, message: Message) -> None:
        """Take a message of the application, or a reject."""

    def lost(self, connection: FixConnection) -> None:
        """Take the end of a client that was logged on."""


class FixConnection:
    """One client."""

    def __init__(self, endpoint: FixEndpoint) -> None:
        self.endpoint = endpoint
        options = endpoint.options
        # What holds before the logon too: who sends the first message, and how late, is judged by it.
        self.session: FixSession = endpoint.make_session(
            endpoint.now_ns, identify=self._identify, options=options.session
        )
        endpoint.made += 1
        self.pump = DelayedPump(
            self.session,
            endpoint.reactor,
            on_event=self._event,
            on_lost=self._lost,
            name=f"{options.seed}|latency|{endpoint.made}",
            latencies=options,
            attach=partial(attach, self),
        )
        self.session.spoil = self._spoil
        self.spoils: deque[Callable[[bytes], bytes]] = deque()
        if endpoint.is_silent:
            self.pump.pause()
        self._holds: Identity | None = None
        self._is_known = False
        self.has_logged_out = False
        self.why = ""
        """Why the session is over, where there was a reason; nothing of it is sent to who could not log on."""

    @property
    def identity(self) -> Identity | None:
        """Who this is, None before the logon."""
        return self.session.identity

    client_id = None  # rules of this wire go by message type alone

    def send(self, message: Message) -> None:
        """Send a message of the application, through the faults; nothing happens when the client is gone."""
        overseer = self.endpoint.overseer
        if overseer is not None and overseer.sending(self.identity, message):
            return
        if self.endpoint.faults.is_quiet:
            self._send(message)
        else:
            self.endpoint.faults.pass_on(self, Sent(message))

    def deliver(self, sent: Sent) -> None:
        """Send past the rules."""
        self._send(sent.message)

    def _send(self, message: Message) -> None:
        if self.session.is_logged_on:
            self.pump.send(message)
            if self.endpoint.faults.counts_down():
                self.drop()

    def _spoil(self, data: bytes) -> bytes:
        if self.endpoint.is_silent:
            return b""  # heartbeats, too: what is not said is a gap later
        if self.spoils:
            return self.spoils.popleft()(data)
        if not self.endpoint.garbled:
            return data
        self.endpoint.garbled -= 1
        return data[:-4] + b"%03d\x01" % ((int(data[-4:-1]) + 1) % 256)

    def refuse_type(self, message: Message) -> None:
        """Answer a kind of message that is not served."""
        self.session.refuse_type(message)
        self.pump.flush()

    def log_out(self, text: str | None = None) -> None:
        """End the session in order."""
        self.session.log_out(text)
        self.pump.flush()

    def drop(self) -> None:
        """Close without a word."""
        self.pump.abort()

    def _identify(self, identity: Identity, logon: Message) -> Profile | None:
        profile = self.endpoint.claim(self, identity, logon)
        if profile is not None:
            self._holds = identity
        return profile

    def _event(self, event: Any) -> None:
        application, overseer = self.endpoint.application, self.endpoint.overseer
        if overseer is not None and isinstance(event, Message) and overseer.received(self, event):
            return
        if isinstance(event, LoggedOn):
            if overseer is not None:
                overseer.logged_on(self)
            self._is_known = True
            self.endpoint.sessions += 1
            application.logged_on(self)
        elif isinstance(event, LoggedOut):
            self.has_logged_out = True
            if event.text is not None:
                self.why = event.text
                self.endpoint.say_over(self)
            self.pump.close()
        else:
            application.received(self, event)

    def process(self, message: Message) -> None:
        """Hand the application a message as if it had just come."""
        self.endpoint.application.received(self, message)

    def _lost(self, failure: Failure) -> None:
        if self._holds is not None:
            self.endpoint.release(self, self._holds)
        self.endpoint.connections.remove(self)
        if self.endpoint.overseer is not None:
            self.endpoint.overseer.lost(self)
        if self._is_known:
            self.endpoint.application.lost(self)


class Sent:
    """What an endpoint sends, for rules that go by the name."""

    __slots__ = ("message",)

    def __init__(self, message: Message) -> None:
        self.message = message

    @property
    def name(self) -> str:
        return self.message.type


class FixEndpoint(FaultControls):
    """A FIX acceptor for any number of identities on one port; numbers and sent messages live as long as it does."""

    _log = Logger()

    def __init__(
        self,
        application: Application,
        reactor: Any,
        now_ns: Callable[[], int],
        *,
        port: int = 0,
        interface: str = "127.0.0.1",
        options: FixOptions | None = None,
    ) -> None:
        self.application = application
        self.reactor = reactor
        self.now_ns = now_ns
        self.options = options or FixOptions()
        self.pool = OutboundPool(reactor)
        self.connections: list[FixConnection] = []
        self.by_identity: dict[Identity, FixConnection] = {}
        self.sessions = 0
        self.made = 0  # connections so far
        self.faults = Faults(reactor)
        self.policies: Door | None = None  # of the venue, while there are any
        self._book: tuple[PolicyBook, Face] | None = None
        self.is_silent = False
        self.garbled = 0
        self.overseer: Overseer | None = None
        self.make_session: Callable[..., FixSession] = FixSession
        self._stores: dict[Identity, Store] = {}
        self.listening = Listening(reactor, Clients(self.build), number=port, interface=interface, tls=self.options.tls)

    def under_policies_of(self, book: PolicyBook, face: Face) -> None:
        """Let a venue's policies act on what is said here, while this endpoint is started; once, before that."""
        self._book = (book, face)

    def start(self) -> Deferred[int]:
        """Listen; answers the port number."""
        if self._book is not None:
            self._book[0].attach(self._book[1])
        return maybeDeferred(self.listening.open)

    def stop(self) -> Deferred[None]:
        """Stop listening and drop everyone; the Deferred fires when the port is free."""
        self.faults.clear()
        if self._book is not None:
            self._book[0].detach(self._book[1])
        for connection in list(self.connections):
            connection.drop()
        for store in self._stores.values():
            if isinstance(store, FileStore):
                store.close()
        return self.listening.close()

    @property
    def port(self) -> int:
        """The port number, known once started."""
        return self.listening.number

    # -- clients

    def build(self) -> Pump | None:
        """Make the protocol of a new connection."""
        if len(self.connections) >= self.options.max_connections:
            return None
        connection = FixConnection(self)
        self.connections.append(connection)
        if self.overseer is not None:
            self.overseer.connected(connection)
        return connection.pump

    def say_over(self, connection: FixConnection) -> None:
        """Log why a session is over."""
        who = connection.identity.target if connection.identity is not None else "a client"
        self._log.info("{who} is let go: {why}", who=who, why=connection.why)

    def claim(self, connection: FixConnection, identity: Identity, logon: Message) -> Profile | None:
        """Let a connection be an identity; None for an unknown one, or one that is connected."""
        options = self.options
        if identity.sender != options.sender or identity in self.by_identity:
            return None
        if options.versions and identity.begin_string not in options.versions:
            return None
        refusal: str | None = None
        if options.targets:
            known = options.targets.get(identity.begin_string, {})
            if identity.target not in known:
                return None
            password = known[identity.target]
            if password is not None and logon.get(554) != password:
                refusal = "wrong password"
        if refusal is None and self.policies is not None:
            refusal = self.policies.logon(connection, owner_of(identity))
        if identity not in self._stores and len(self._stores) >= options.max_identities:
            return None
        self.by_identity[identity] = connection
        store = self._store(identity)
        self._log.info("{target} logs on over {version}", target=identity.target, version=identity.begin_string)
        return Profile(options.session, store, refusal)

    def identities(self) -> list[Identity]:
        """Return everyone who has logged on, in the sequence of their coming."""
        return list(self._stores)

    def send(self, identity: Identity, message: Message) -> None:
        """Send a message to whoever is this identity; one that is away finds it when it is back."""
        connection = self.by_identity.get(identity)
        if connection is not None and connection.session.is_logged_on:
            connection.send(message)
            return
        if self.overseer is not None and self.overseer.sending(identity, message):
            return
        store = self._store(identity)
        FixSession(self.now_ns, identity=identity, options=self.options.session, store=store).keep(message)

    def _store(self, identity: Identity) -> Store:
        store = self._stores.get(identity)
        if store is None:
            folder = self.options.store_folder
            store = MemoryStore() if folder is None else FileStore(os.path.join(folder, file_name_of(identity)))
            self._stores[identity] = store
        return store

    def forget_numbers(self, *, but_for: Container[Identity] = ()) -> None:
        """Let the numbers of all begin again, but for some."""
        for identity, store in self._stores.items():
            if identity not in but_for:
                store.reset()

    def release(self, connection: FixConnection, identity: Identity) -> None:
        """Let an identity be free again."""
        if self.by_identity.get(identity) is connection:
            del self.by_identity[identity]
