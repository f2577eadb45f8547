"""The listening end of the simulated TWS: who is connected, who hears what, and the faults on command."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger

from txtrader.exsim.endpoints.listening import Clients, Listening
from txtrader.exsim.endpoints.message_faults import Faults
from txtrader.exsim.endpoints.overseer import Overseer
from txtrader.exsim.endpoints.tws.connection import TwsConnection
from txtrader.exsim.endpoints.tws.desk_order import order_to_state
from txtrader.exsim.endpoints.tws.fault_controls import FaultControls
from txtrader.exsim.endpoints.tws.listings import Listings
from txtrader.exsim.endpoints.tws.options import TwsOptions
from txtrader.exsim.endpoints.tws.order_desk import OrderDesk
from txtrader.exsim.endpoints.tws.policy_face import TwsFace
from txtrader.exsim.endpoints.tws.times import Zone
from txtrader.exsim.venue import Venue
from txtrader.net.outbound import OutboundPool
from txtrader.net.pump import Pump

if TYPE_CHECKING:
    from txtrader.exsim.policies.doors import Door

__all__ = ["TwsEndpoint"]

FARM_NOTICES = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefil"),
)


class TwsEndpoint(FaultControls):
    """A simulated TWS: translates between API clients and a venue, which alone decides.

    `reactor` listens and tells the time (a `MemoryReactorClock` does as well); orders and ids live as long as this
    object, whoever disconnects.  `start` answers the port.
    """

    _log = Logger()

    def __init__(
        self,
        venue: Venue,
        reactor: Any,
        *,
        port: int = 0,
        interface: str = "127.0.0.1",
        options: TwsOptions | None = None,
    ) -> None:
        self.venue = venue
        self.reactor = reactor
        self.options = options or TwsOptions()
        self.zone = Zone(self.options.time_zone)
        self.listings = Listings(self)
        self.faults = Faults(reactor)
        self.pool = OutboundPool(reactor)
        self.connections: list[TwsConnection] = []
        self.by_client: dict[int, TwsConnection] = {}
        self.groups: dict[int, str] = {}
        self.bulletins: list[tuple[int, str, str]] = []
        self.sessions = 0
        self.made = 0  # connections so far
        self.policies: Door | None = None  # of the venue, while there are any
        self.face = TwsFace(self, reactor)
        self.desk = OrderDesk(self)
        if venue.memory is not None:
            venue.memory.extra_to_state = order_to_state
        self.desk.restore()
        self.is_silent = False
        self.is_deaf = False
        self.overseer: Overseer | None = None
        self.listening = Listening(reactor, Clients(self.build), number=port, interface=interface)

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
        return self.listening.close()

    @property
    def port(self) -> int:
        """The port number, known once started."""
        return self.listening.number

    # -- clients

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that clients see."""
        return self.options.accounts or self.venue.accounts()

    def build(self) -> Pump:
        """Make the protocol of a new connection."""
        connection = TwsConnection(self)
        self.connections.append(connection)
        if self.overseer is not None:
            self.overseer.connected(connection)
        return connection.pump

    def admit(self, connection: TwsConnection, client_id: int) -> bool:
        """Let a client use an id, unless another one does."""
        if client_id in self.by_client or len(self.by_client) >= self.options.max_clients:
            return False
        self.by_client[client_id] = connection
        return True

    def started(self, connection: TwsConnection) -> None:
        """Send a client what it gets unasked when it starts."""
        assert connection.client_id is not None
        self.sessions += 1
        if self.overseer is not None:
            self.overseer.logged_on(connection)
        self._log.info(
            "API client {client} at version {version}", client=connection.client_id, version=connection.version
        )
        connection.send("managedAccounts", accountsList=",".join(self.accounts))
        connection.send("nextValidId", orderId=self.desk.next_order_id(connection.client_id))
        for code, text in FARM_NOTICES:
            connection.error(-1, code, text)
        if self.options.downloads_open_orders:
            self.desk.send_open_orders(connection)

    def forget(self, connection: TwsConnection) -> None:
        """A connection is gone."""
        if connection in self.connections:
            self.connections.remove(connection)
            if self.overseer is not None:
                self.overseer.lost(connection)
        if connection.client_id is not None and self.by_client.get(connection.client_id) is connection:
            del self.by_client[connection.client_id]

    def active(self) -> Iterable[TwsConnection]:
        """List the clients that have started, by a copy."""
        return list(self.by_client.values())

    def lines_on(self, con_id: int) -> int:
        """Count the market-data lines that clients have on one contract."""
        return sum(connection.lines_on(con_id) for connection in self.by_client.values())
