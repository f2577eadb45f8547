"""The web site that everything over HTTP shares: twisted.web with bounds, deadlines, and checks against browsers.

twisted.web bounds neither bodies nor the time that a request may take, answers errors in HTML, and tells its
version; its line splitter is quadratic.  Here a request has limits at the length header and while it streams,
absolute deadlines, and an allowed `Host` and `Origin`; errors are small JSON documents; nothing is cached.
"""

# mypy: disallow-untyped-calls=False
# twisted.web is hardly annotated: its methods are called as they are.

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http, resource, server

from txtrader.errors import Throttled
from txtrader.net.outbound import write_eagerly

__all__ = ["HttpLimits", "Leaf", "Site", "Tree", "WebRequest", "answer", "problem"]

_SLICE = 4096  # bytes given to the splitter at once: its cost is the square of that, not of 64 KiB
_DRAIN = 1.0  # seconds in which the rest of a refused request is read and forgotten, so that the answer arrives
_LINGER = 5.0  # seconds that a client gets to read its last answer
_PHRASES = {
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    413: b"Content Too Large",
    414: b"URI Too Long",
    415: b"Unsupported Media Type",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
}


class HttpLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one request, in bytes and seconds; deadlines are absolute but for `idle`.

    `headers` runs from the first byte of a request (or the connection) to the end of its headers, `request` to the
    end of its body, `idle` between requests.
    """

    line_size: int = 8192
    header_size: int = 16384
    header_count: int = 100
    query_size: int = 2048
    body_size: int = 65536
    headers: float = 10.0
    request: float = 30.0
    idle: float = 60.0


def answer(request: WebRequest, status: int, body: bytes, content_type: str = "application/json") -> None:
    """Answer a request in one piece; nothing happens when the client has gone."""
    if request.is_gone:
        return
    request.setResponseCode(status, _PHRASES.get(status))
    headers = request.responseHeaders
    headers.setRawHeaders(b"Content-Type", [content_type.encode("ascii")])
    headers.setRawHeaders(b"Content-Length", [b"%d" % len(body)])
    request.write(body)
    request.finish()


def problem(request: WebRequest, status: int, code: str, message: str) -> None:
    """Answer an error as `application/problem+json`."""
    answer(request, status, _problem_body(status, code, message), "application/problem+json")


def _problem_body(status: int, code: str, message: str) -> bytes:
    title = _PHRASES.get(status, b"Error").decode()
    return json.dumps(
        {"type": "about:blank", "title": title, "status": status, "code": code, "detail": message}
    ).encode()


class WebRequest(server.Request):
    """One request.

    `is_gone` tells that nobody waits for the answer any more; `credential` is for who finds out who calls.
    """

    is_gone = False
    credential: Any = None
    channel: WebChannel

    def gotLength(self, length: int | None) -> None:
        """Keep the body in memory: it is bounded."""
        super().gotLength(0)

    def handleContentChunk(self, data: bytes) -> None:
        """Take a piece of the body, whatever its header said."""
        assert self.content is not None
        if self.content.tell() + len(data) > self.channel.limits.body_size:
            self.channel.refuse(413, "too-large", f"the body is over {self.channel.limits.body_size} bytes")
            return
        self.content.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Take the whole request; forms are nothing that we parse."""
        assert self.content is not None
        self.content.seek(0, 0)
        self.method, self.uri, self.clientproto = command, path, version
        self.path, _, query = path.partition(b"?")
        self.args = {}
        self.query = query
        self.process()

    def process(self) -> None:
        """Check what every request must have, then find the resource and have it answer."""
        site: Site = self.channel.site
        self.site = site
        self.setHeader(b"Date", http.datetimeToString())
        self.setHeader(b"Cache-Control", b"no-store")
        self.setHeader(b"X-Content-Type-Options", b"nosniff")
        self.prepath = []
        self.postpath = self.path[1:].split(b"/")
        try:
            if len(self.query) > self.channel.limits.query_size:
                problem(self, 414, "too-large", f"the query string is over {self.channel.limits.query_size} bytes")
            elif not site.is_host_allowed(self.requestHeaders.getRawHeaders(b"Host") or []):
                problem(self, 400, "invalid-argument", "Host: missing, or not one that this service answers to")
            elif not site.is_origin_allowed(self.requestHeaders.getRawHeaders(b"Origin") or []):
                problem(self, 403, "forbidden", "Origin: pages of this origin may not call")
            else:
                site.getResourceFor(self).render(self)
        except Exception:  # noqa: BLE001  a bug in one resource must not reach the reactor
            self.processingFailed(Failure())

    def processingFailed(self, reason: Failure) -> Failure:
        """Answer a bug: it is logged with its traceback, the client learns nothing of it."""
        self._log.failure("answering a request", failure=reason)
        if not self.startedWriting:
            problem(self, 500, "internal", "an internal error")
        else:
            self.channel.abort()
        return reason

    def connectionLost(self, reason: Failure) -> None:
        """The client has gone; its request is carried out all the same, and the answer dropped."""
        self.is_gone = True
        super().connectionLost(reason)


class _StrictChunks(http._ChunkedTransferDecoder):
    """Takes no chunk extensions: nobody needs them, and readers who differ on them can be played against each other.

    Overrides a private method of Twisted; `tests/net/test_net_web.py` notices when it is no longer called.
    """

    def _dataReceived_CHUNK_LENGTH(self) -> bool:
        head, _, _ = self._buffer.partition(b"\r\n")
        if b";" in head:
            raise http._MalformedChunkedDataError("chunk extensions are not taken")
        return bool(super()._dataReceived_CHUNK_LENGTH())


class WebChannel(http.HTTPChannel):
    """One connection, with limits and absolute deadlines."""

    _log = Logger()

    limits: HttpLimits
    clock: IReactorTime
    site: Site

    def __init__(self) -> None:
        super().__init__()
        self.visit: Any = None
        self._head = b""
        self._deadline: IDelayedCall | None = None
        self._started: float | None = None  # when the present request began, None between two
        self._is_refused = False
        self._is_closing = False

    def connectionMade(self) -> None:
        self.MAX_LENGTH = self.limits.line_size
        self.maxHeaders = self.limits.header_count
        self.totalHeadersSize = self.limits.header_size
        super().connectionMade()
        self.setTimeout(None)  # our own deadlines are absolute
        transport: Any = self.transport
        if self.site.admit is not None:
            try:
                self.visit = self.site.admit(getattr(transport.getPeer(), "host", "local"))
            except Throttled as error:
                self.refuse(429, error.code, error.message)
                return
        self._begin()

    def _begin(self) -> None:
        """Start the clock of a request."""
        self._started = self.clock.seconds()
        self._set_deadline(self.limits.headers)

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.clock.callLater(max(0.0, seconds), self._too_late)

    def _too_late(self) -> None:
        if self._is_closing:
            self.abort()  # it does not read its last answer
        elif self._started is None:
            self.loseConnection()  # idle between two requests: nobody waits for an answer
        else:
            self.refuse(408, "invalid-argument", "the request took too long")

    def dataReceived(self, data: bytes) -> None:
        """Feed the splitter in small slices, and nothing after a refusal."""
        for start in range(0, len(data), _SLICE):
            if self._is_refused or self._is_closing:
                return
            if self._started is None and not self._handlingRequest:
                self._begin()
            super().dataReceived(data[start : start + _SLICE])

    def lineReceived(self, line: bytes) -> None:
        """Refuse folded headers, which proxies and we might read differently."""
        if line[:1] in (b" ", b"\t"):
            self.refuse(400, "invalid-argument", "a folded header or a blank before the request line")
            return
        super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """A request or header line is too long."""
        is_first = not hasattr(self, "_command")
        self.refuse(414 if is_first else 431, "too-large", f"a line is over {self.limits.line_size} bytes")

    def _maybeChooseTransferDecoder(self, header: bytes, data: bytes) -> bool:
        """Read chunks strictly."""
        is_fine = bool(super()._maybeChooseTransferDecoder(header, data))
        chosen = self._transferDecoder
        if type(chosen) is http._ChunkedTransferDecoder:
            self._transferDecoder = _StrictChunks(chosen.dataCallback, chosen.finishCallback)
        return is_fine

    def allHeadersReceived(self) -> None:
        """Refuse a body that is announced as too large, before any of it is read."""
        if self.length is not None and self.length > self.limits.body_size:
            self.requests[-1].gotLength(0)
            self.refuse(413, "too-large", f"the body is over {self.limits.body_size} bytes")
            return
        begun = self.clock.seconds() if self._started is None else self._started
        self._set_deadline(begun + self.limits.request - self.clock.seconds())
        super().allHeadersReceived()

    def allContentReceived(self) -> None:
        """The request is whole: how long its answer takes is for the gateway's own timeouts."""
        if self._is_refused:
            return
        self._set_deadline(None)
        super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        """Wait for the next request, for a while."""
        self._flush_head()
        self._started = None
        if any(self._dataBuffer):
            self._begin()  # the next one is here already, in part at least
        else:
            self._set_deadline(self.limits.idle)
        super().requestDone(request)

    # --- writing: headers and body leave in one piece, and at once where the socket takes it ---

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Any) -> None:
        pieces = [version, b" ", code, b" ", reason, b"\r\n"]
        for name, values in headers.getAllRawHeaders():
            for value in values:
                pieces += (name, b": ", value, b"\r\n")
        pieces.append(b"\r\n")
        self._head = b"".join(pieces)

    def write(self, data: bytes) -> None:
        write_eagerly(self.transport, self._head + data)
        self._head = b""

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self.write(b"".join(iovec))

    def _flush_head(self) -> None:
        if self._head:
            self.write(b"")

    # --- the end ---

    def refuse(self, status: int, code: str, message: str) -> None:
        """Answer a request that is not even read to its end, and close."""
        if self._is_refused:
            return
        self._is_refused = True
        self._set_deadline(None)
        body = _problem_body(status, code, message)
        head = (
            f"HTTP/1.1 {status} {_PHRASES[status].decode()}\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\nCache-Control: no-store\r\n"
            "X-Content-Type-Options: nosniff\r\n\r\n"
        )
        transport: Any = self.transport
        transport.write(head.encode("ascii") + body)
        if hasattr(transport, "loseWriteConnection"):
            # A close with unread bytes in the socket would reset the connection, and the answer with it.
            transport.loseWriteConnection()
            self._deadline = self.clock.callLater(_DRAIN, transport.abortConnection)
        else:
            transport.loseConnection()

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.refuse(400, "invalid-argument", "not an HTTP request")

    def loseConnection(self) -> None:
        self._flush_head()
        self._is_closing = True
        self._set_deadline(_LINGER)
        super().loseConnection()

    def abort(self) -> None:
        """Close at once."""
        transport: Any = self.transport
        transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._set_deadline(None)
        self._is_refused = True
        if self.visit is not None:
            self.visit.leave()
        super().connectionLost(reason)
        self.site.channels.pop(self, None)
        self.site.on_channel_lost(self)


class Site(server.Site):
    """A site on a tree of resources.

    `hosts` are the names that it answers to, without port, lower case; `origins` the origins of pages that may call.
    `admit(address)` counts a new connection and returns its visit, or raises Throttled.
    """

    noisy = False
    protocol: Any = WebChannel

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
        return channel

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
