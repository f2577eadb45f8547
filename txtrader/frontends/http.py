"""The HTTP listener: XMLRPC at `/` and `/RPC2`, health words at `/livez` and `/readyz`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.errors import TxTraderError
from txtrader.frontends.base import Shared
from txtrader.frontends.http_login import Login
from txtrader.frontends.http_session import Credentials
from txtrader.frontends.jsontext import encode
from txtrader.frontends.xmlrpc import XmlRpcResource
from txtrader.gateway.commands import bind
from txtrader.net.listen import listen
from txtrader.net.web import HttpLimits, Leaf, Site, Tree, WebChannel, WebRequest, answer, problem

__all__ = ["HttpFrontend"]

_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


class HttpFrontend:
    """Listens for HTTP."""

    name = "http"
    _log = Logger()

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._credentials = Credentials(shared)
        self._login = Login(shared, self._credentials)
        self._port: IListeningPort | None = None
        self._ending: Deferred[None] | None = None
        settings = shared.settings
        calls = XmlRpcResource(shared, self._login)
        root = Tree(own=calls)
        root.putChild(b"RPC2", calls)
        root.putChild(b"livez", Leaf(GET=lambda request: self._health(request, "alive", True)))
        root.putChild(b"readyz", Leaf(GET=self._ready))
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.site = Site(
            root,
            clock=shared.reactor,
            limits=HttpLimits(idle=settings.http_idle),
            hosts=settings.allowed_hosts or (*_LOCAL_NAMES, host),
            origins=settings.allowed_origins or (),
            admit=shared.door.enter,
            on_channel_lost=self._channel_lost,
        )

    def start(self) -> Deferred[int]:
        """Listen; fires with the port."""
        settings = self._shared.settings

        def listening(port: IListeningPort) -> int:
            self._port = port
            number: int = getattr(port.getHost(), "port", 0)
            self._log.info("http: listening on {host} port {port}", host=settings.host, port=number)
            return number

        return listen(self._shared.reactor, settings.host, settings.http_port or 0, self.site).addCallback(listening)

    def stop(self) -> Deferred[None]:
        """Listen no more and close every connection; fires when all are gone."""
        waiting: list[Deferred[Any]] = []
        port, self._port = self._port, None
        if port is not None:
            waiting.append(port.stopListening() or succeed(None))
        if self.site.channels:
            self._ending = Deferred()
            waiting.append(self._ending)
            for channel in list(self.site.channels):
                channel.loseConnection()
        self._credentials.close()
        return DeferredList(waiting).addCallback(lambda results: None)

    def end_users(self, names: frozenset[str]) -> None:
        """End the sessions of users who are no more, or may less than before."""
        self._credentials.end_users(names)

    def _channel_lost(self, channel: WebChannel) -> None:
        self._credentials.forget_connection(channel)
        if not self.site.channels and self._ending is not None:
            ending, self._ending = self._ending, None
            ending.callback(None)

    # --- health -----------------------------------------------------------------------------------------------------

    def _ready(self, request: WebRequest) -> None:
        layers = self._shared.gateway.queries.layers()
        word, is_open = str(layers["status"]), bool(layers["gate"]["open"])
        self._health(request, word if is_open or word != "Up" else "Shut", is_open)

    def _health(self, request: WebRequest, word: str, is_well: bool) -> None:
        """Answer one word, or to a caller with a login the layers of `query_status`."""
        status = 200 if is_well else 503
        if request.requestHeaders.hasHeader(b"Authorization"):
            self._login.require(request, lambda known: self._layers(known, status))
        else:
            answer(request, status, word.encode("ascii") + b"\n", "text/plain")

    def _layers(self, request: WebRequest, status: int) -> None:
        def failed(failure: Failure) -> None:
            failure.trap(TxTraderError)
            error: Any = failure.value
            problem(request, error.http, error.code, error.text)

        work = self._shared.gateway.execute(request.credential.session, bind("query_status"))
        work.addCallback(lambda layers: answer(request, status, encode(layers)))
        work.addErrback(failed)
        work.addErrback(request.processingFailed)
