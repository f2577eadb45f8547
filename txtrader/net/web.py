"""The web site that everything over HTTP shares: twisted.web with bounds, deadlines, and checks against browsers.

twisted.web bounds neither bodies nor the time that a request may take, answers errors in HTML, and tells its
version; its line splitter is quadratic.  Here a request has limits at the length header and while it streams,
absolute deadlines, and an allowed `Host` and `Origin`; errors are small JSON documents; nothing is cached.
"""

# mypy: disallow-untyped-calls=False
# twisted.web is hardly annotated: its methods are called as they are.

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.web import resource, server

from txtrader.net.web_channel import HttpLimits, WebChannel
from txtrader.net.web_request import WebRequest, answer, problem

__all__ = ["HttpLimits", "Leaf", "Site", "Tree", "WebChannel", "WebRequest", "answer", "problem"]

_SWEEP = 0.5  # seconds between two looks at the deadlines of all connections: a timer for each would cost more


class Site(server.Site):
    """A site on a tree of resources.

    `hosts` are the names that it answers to, without port, lower case; `origins` the origins of pages that may call.
    `admit(address)` counts a new connection and returns its visit, or raises Throttled.
    """

    noisy = False
    protocol: Any = WebChannel
    _log = Logger()

    def __init__(
        self,
        root: resource.IResource,
        *,
        clock: IReactorTime,
        limits: HttpLimits | None = None,
        hosts: Iterable[str],
        origins: Iterable[str] = (),
        admit: Callable[[str], Any] | None = None,
        on_channel_lost: Callable[[WebChannel], None] = lambda channel: None,
    ) -> None:
        super().__init__(root, requestFactory=WebRequest, reactor=clock, timeout=None)
        self.clock = clock
        self.limits = limits or HttpLimits()
        self.admit = admit
        self.on_channel_lost = on_channel_lost
        self.channels: dict[WebChannel, None] = {}
        self._sweep: IDelayedCall | None = None
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    def startFactory(self) -> None:
        """Do nothing: twisted.web would begin to keep the time for an access log that we do not have."""

    def stopFactory(self) -> None:
        """Do nothing, as at the start."""

    def log(self, request: Any) -> None:
        """Write no access log: front ends log operation and outcome."""

    def buildProtocol(self, addr: IAddress | None) -> Any:
        channel = WebChannel()
        channel.factory = self
        channel.site = self
        channel.requestFactory = WebRequest
        channel.clock = self.clock
        channel.limits = self.limits
        channel.timeOut = None
        self.channels[channel] = None
        if self._sweep is None:
            self._sweep = self.clock.callLater(_SWEEP, self._look)
        return channel

    def _look(self) -> None:
        """End what has passed its deadline."""
        now = self.clock.seconds()
        for channel in list(self.channels):
            if channel.due is not None and now >= channel.due:
                try:
                    channel.too_late()
                except Exception:  # noqa: BLE001  the look at the others must go on
                    self._log.failure("ending a request that took too long")
        self._sweep = self.clock.callLater(_SWEEP, self._look) if self.channels else None

    def left(self, channel: WebChannel) -> None:
        """Forget a connection that is gone."""
        self.channels.pop(channel, None)
        if not self.channels and self._sweep is not None and self._sweep.active():
            self._sweep.cancel()
            self._sweep = None
        self.on_channel_lost(channel)

    def is_host_allowed(self, values: Sequence[bytes]) -> bool:
        """Tell whether a request names this service, exactly once."""
        if len(values) != 1:
            return False
        name = values[0].decode("latin-1").strip().lower()
        host, _, port = name.rpartition(":")
        if host and port.isdigit() and (not host.count(":") or host.endswith("]")):
            name = host
        return name in self._hosts

    def is_origin_allowed(self, values: Sequence[bytes]) -> bool:
        """Tell whether a page of this origin may call; programs send none."""
        return all(value.decode("latin-1").strip().lower() in self._origins for value in values)


class Leaf(resource.Resource):
    """A resource at the end of a path.  `methods` maps a method to what answers it; others are refused."""

    isLeaf = True

    def __init__(self, **methods: Callable[[WebRequest], None]) -> None:
        super().__init__()
        self._methods = {name.encode("ascii"): method for name, method in methods.items()}

    def render(self, request: Any) -> int:
        if request.postpath not in ([], [b""]):
            problem(request, 404, "not-found", "there is nothing at this path")
            return server.NOT_DONE_YET
        method = self._methods.get(request.method)
        if method is None and request.method == b"HEAD":
            method = self._methods.get(b"GET")
        if method is None:
            request.setHeader(b"Allow", b", ".join(self._methods))
            problem(request, 405, "invalid-argument", "this method is not taken here")
        else:
            method(request)
        return server.NOT_DONE_YET


class Tree(resource.Resource):
    """An inner part of the tree: itself answered by `own`, and what is not there in JSON."""

    def __init__(self, own: Leaf | None = None) -> None:
        super().__init__()
        self._own = own

    def getChild(self, path: bytes, request: Any) -> resource.IResource:
        if path == b"" and self._own is not None and not request.postpath:
            return self._own
        return _Missing()

    def render(self, request: Any) -> int:
        return (self._own or _Missing()).render(request)


class _Missing(Leaf):
    def render(self, request: Any) -> int:
        problem(request, 404, "not-found", "there is nothing at this path")
        return server.NOT_DONE_YET
