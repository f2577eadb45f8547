"""A client of the simulated CQG server for tests: message classes and a wire session over a real socket, no more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.task import Clock

from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.cqg import CqgEndpoint, CqgOptions
from txtrader.net.websocket import client_pump
from txtrader.wire.cqg.schema import ClientMsg
from txtrader.wire.cqg.session import ClientSession, MarketDataMsg, parts

__all__ = ["NOON", "SECOND", "Client", "World"]

SECOND = 1_000_000_000
NOON = int(datetime(2026, 11, 18, 18, tzinfo=UTC).timestamp()) * SECOND
"""A Wednesday, in the regular hours of everything that is listed."""

_LATE = 5.0


class Client:
    """One client; `got` is what came and was not taken yet, as (name, part) in the sequence of the session."""

    def __init__(self, world: World, *, ping_every: float | None = None, tls: Any = None) -> None:
        self.world = world
        self.session = ClientSession(world.now, ping_every)
        self.got: list[tuple[str, Any]] = []
        self.sizes: list[int] = []
        self.lost: list[Any] = []
        self.is_open = False
        self.token = ""
        self._wakers: list[Deferred[None]] = []
        self._numbers = 0
        self._tls = tls
        self.pump = client_pump(
            self.session,
            reactor,
            url=f"{'ws' if tls is None else 'wss'}://localhost:{world.endpoint.port}/",
            on_event=self._take,
            on_lost=self._end,
            on_open=self._open,
        )

    # -- life

    async def connect(self) -> Client:
        """Connect, up to the end of the WebSocket handshake."""
        endpoint: Any = TCP4ClientEndpoint(reactor, "127.0.0.1", self.world.endpoint.port)
        if self._tls is not None:
            endpoint = wrapClientTLS(self._tls, endpoint)
        await connectProtocol(endpoint, self.pump.protocol)
        await self.until(lambda: self.is_open or bool(self.lost))
        return self

    async def logon(self, user: str = "trader", password: str = "secret", **more: Any) -> Any:
        """Log on; return the result."""
        given: dict[str, Any] = {
            "user_name": user,
            "password": password,
            "client_app_id": "WebAPITest",
            "client_version": "test 1",
            "protocol_version_major": 2,
            "protocol_version_minor": 230,
            **more,
        }
        self.send("logon", **{name: value for name, value in given.items() if value is not None})
        result = await self.next("logon_result")
        self.token = result.session_token
        return result

    async def restore(self, token: str, **more: Any) -> Any:
        """Restore or join a session; return the result."""
        given = {"client_app_id": "WebAPITest", "protocol_version_major": 2, "protocol_version_minor": 230}
        self.send("restore_or_join_session", session_token=token, **{**given, **more})
        result = await self.next("restore_or_join_session_result")
        self.token = token
        return result

    def close(self) -> None:
        self.pump.abort()

    # -- out

    def send(self, name: str, **fields: Any) -> None:
        """Send one part; a message among the fields is given as the message, a nested one as a dict."""
        message = ClientMsg()
        part = getattr(message, name)
        part = part.add() if hasattr(part, "add") else part
        part.SetInParent()
        _fill(part, fields)
        self.pump.send(message)

    def number(self) -> int:
        """Return the next request number."""
        self._numbers += 1
        return self._numbers

    async def ask(self, kind: str, *, subscribe: bool | None = None, number: int | None = None, **fields: Any) -> Any:
        """Ask one piece of information; return its report, that of the first message."""
        number = self.number() if number is None else number
        given: dict[str, Any] = {"id": number, kind: fields}
        if subscribe is not None:
            given["subscribe"] = subscribe
        self.send("information_requests", **given)
        return await self.next("information_reports", lambda report: report.id == number)

    async def resolve(self, symbol: str) -> Any:
        """Return the metadata of a symbol."""
        report = await self.ask("symbol_resolution_request", symbol=symbol)
        assert report.status_code == 0, report
        return report.symbol_resolution_report.contract_metadata

    # -- in

    async def next(self, name: str, fits: Callable[[Any], bool] = lambda part: True) -> Any:
        """Take the next part of a name, waiting for it; what came before it stays."""
        await self.until(lambda: self._find(name, fits) is not None)
        place = self._find(name, fits)
        assert place is not None
        return self.got.pop(place)[1]

    def all(self, name: str) -> list[Any]:
        """Take all parts of a name that are there."""
        found = [part for kind, part in self.got if kind == name]
        self.got = [(kind, part) for kind, part in self.got if kind != name]
        return found

    async def settled(self) -> Client:
        """Wait until everything that was sent before is answered: the server answers in sequence."""
        number = 4_000_000_000
        self.send("information_requests", id=number, subscribe=False)
        await self.next("information_reports", lambda report: report.id == number)
        return self

    async def gone(self) -> Any:
        """Wait for the end of the connection; return why."""
        await self.until(lambda: bool(self.lost))
        return self.lost[0]

    async def until(self, fits: Callable[[], bool]) -> None:
        """Wait until something is true, looked at when anything happens here."""
        is_late: list[bool] = []

        def give_up() -> None:
            is_late.append(True)
            self._wake()

        timer = reactor.callLater(_LATE, give_up)
        while not fits():
            assert not is_late, (self.got, self.lost)
            waker: Deferred[None] = Deferred()
            self._wakers.append(waker)
            await waker
        if timer.active():
            timer.cancel()

    def _find(self, name: str, fits: Callable[[Any], bool]) -> int | None:
        return next((n for n, (kind, part) in enumerate(self.got) if kind == name and fits(part)), None)

    def _take(self, message: Any) -> None:
        assert message.IsInitialized()
        self.sizes.append(message.ByteSize())
        if type(message) is MarketDataMsg:
            self.got.append(("real_time_market_data", message))
        else:
            self.got.extend(parts(message))
        self._wake()

    def _open(self) -> None:
        self.is_open = True
        self._wake()

    def _end(self, failure: Any) -> None:
        self.lost.append(failure)
        self._wake()

    def _wake(self) -> None:
        wakers, self._wakers = self._wakers, []
        for waker in wakers:
            waker.callback(None)


class World:
    """The demonstration venue on a clock of the test's own, its CQG endpoint on a real port, and clients."""

    def __init__(self, *, at: int = NOON, venue: dict[str, Any] | None = None, **options: Any) -> None:
        self.clock = Clock()
        self._start = at
        self.venue = make_demo_venue(self.clock, self.now, 1, **{"pace": "none", "has_house": False, **(venue or {})})
        self.endpoint = CqgEndpoint(self.venue, reactor, options=CqgOptions(**options))
        self.clients: list[Client] = []

    def now(self) -> int:
        return self._start + round(self.clock.seconds() * SECOND)

    async def __aenter__(self) -> World:
        self.venue.start()
        await self.endpoint.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        for client in self.clients:
            client.close()
        await self.endpoint.stop()
        for client in self.clients:
            if client.is_open:
                await client.gone()
        self.venue.stop()

    async def connect(self, **options: Any) -> Client:
        """Make a client that is connected."""
        client = Client(self, **options)
        self.clients.append(client)
        return await client.connect()

    async def client(self, user: str = "trader", **logon: Any) -> Client:
        """Make a client that is logged on."""
        client = await self.connect()
        result = await client.logon(user, **logon)
        assert result.result_code == 0, result
        return client


def _fill(message: Any, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        if isinstance(value, dict):
            part = getattr(message, name)
            part.SetInParent()
            _fill(part, value)
        elif isinstance(value, list | tuple):
            target = getattr(message, name)
            for one in value:
                if isinstance(one, dict):
                    _fill(target.add(), one)
                else:
                    target.append(one)
        elif hasattr(value, "DESCRIPTOR"):
            getattr(message, name).CopyFrom(value)
        else:
            setattr(message, name, value)
