"""One HTTP connection: twisted.web's parser with bounds, absolute deadlines and strict framing."""

# mypy: disallow-untyped-calls=False
# twisted.web is hardly annotated: its methods are called as they are.

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http

from txtrader.errors import Throttled
from txtrader.net.eager import write_eagerly
from txtrader.net.web_request import PHRASES, problem_body

if TYPE_CHECKING:
    from txtrader.net.web import Site

__all__ = ["HttpLimits", "WebChannel"]

_SLICE = 4096  # bytes given to the splitter at once: its cost is the square of that, not of 64 KiB
_MOST_DIGITS = 18  # of a length; Python refuses to read a number of some thousand digits
_DRAIN = 1.0  # seconds in which the rest of a refused request is read and forgotten, so that the answer arrives
_LINGER = 5.0  # seconds that a client gets to read its last answer


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
        self.due: float | None = None
        """The clock second at which the site calls `too_late`."""
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
        self.due = None if seconds is None else self.clock.seconds() + seconds

    def too_late(self) -> None:
        """Be told that the deadline has passed."""
        if self._is_closing or self._is_refused:
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
        """Read no endless length, and chunks strictly."""
        if header == b"Content-Length" and len(data) > _MOST_DIGITS and data.isdigit():
            self.refuse(413, "too-large", f"the body is over {self.limits.body_size} bytes")
            return False
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
        self.clearLineBuffer()  # what came with it must not be taken for the rest of a request
        self._set_deadline(None)
        body = problem_body(status, code, message)
        head = (
            f"HTTP/1.1 {status} {PHRASES[status].decode()}\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\nCache-Control: no-store\r\n"
            "X-Content-Type-Options: nosniff\r\n\r\n"
        )
        transport: Any = self.transport
        transport.write(head.encode("ascii") + body)
        if hasattr(transport, "loseWriteConnection"):
            # A close with unread bytes in the socket would reset the connection, and the answer with it.
            transport.loseWriteConnection()
            self._set_deadline(_DRAIN)
        else:
            transport.loseConnection()
            self._set_deadline(_LINGER)

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
        self.site.left(self)
