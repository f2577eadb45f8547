"""One HTTP request, and the ways to answer it: in one piece, errors as small JSON documents."""

# mypy: disallow-untyped-calls=False
# twisted.web is hardly annotated: its methods are called as they are.

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from twisted.python.failure import Failure
from twisted.web import http, server

if TYPE_CHECKING:
    from txtrader.net.web import Site
    from txtrader.net.web_channel import WebChannel

__all__ = ["PHRASES", "WebRequest", "answer", "problem", "problem_body"]

PHRASES = {
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
"""The reason phrases of the statuses that we answer."""


def answer(request: WebRequest, status: int, body: bytes, content_type: str = "application/json") -> None:
    """Answer a request in one piece; nothing happens when the client has gone."""
    if request.is_gone:
        return
    request.setResponseCode(status, PHRASES.get(status))
    headers = request.responseHeaders
    headers.setRawHeaders(b"Content-Type", [content_type.encode("ascii")])
    headers.setRawHeaders(b"Content-Length", [b"%d" % len(body)])
    request.write(body)
    request.finish()


def problem(request: WebRequest, status: int, code: str, message: str) -> None:
    """Answer an error as `application/problem+json`."""
    answer(request, status, problem_body(status, code, message), "application/problem+json")


def problem_body(status: int, code: str, message: str) -> bytes:
    title = PHRASES.get(status, b"Error").decode()
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
