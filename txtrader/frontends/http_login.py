"""Basic authentication over HTTP, through the gateway's access room."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from txtrader.errors import Throttled, TxTraderError
from txtrader.frontends.base import Shared
from txtrader.frontends.http_session import Credentials
from txtrader.gateway.session import User
from txtrader.net.web import WebRequest, answer, problem

__all__ = ["Login"]

_REFUSED = b"Valid Authorization Required!"
_MAX_HEADER = 1024  # a user name and a password, encoded


class Login:
    """Finds out who calls.  A request that passes has its `credential`."""

    _log = Logger()

    def __init__(self, shared: Shared, credentials: Credentials) -> None:
        self._shared = shared
        self._credentials = credentials

    def require(self, request: WebRequest, then: Callable[[WebRequest], None]) -> None:
        """Call `then(request)` once the caller is known; answer 401 or 429 otherwise."""
        given = request.requestHeaders.getRawHeaders(b"Authorization") or []
        pair = _parse_basic(given[0]) if len(given) == 1 else None
        if pair is None:
            _refuse(request)
            return
        address = getattr(request.client, "host", "local")
        found = self._shared.gateway.access.authenticate(*pair, address)
        found.addCallbacks(self._known, self._unknown, (request, address, then), errbackArgs=(request,))
        found.addErrback(self._broken, request)

    def _known(self, user: User, request: WebRequest, address: str, then: Callable[[WebRequest], None]) -> None:
        if request.is_gone:
            return
        if request.channel.visit is not None:
            request.channel.visit.logged_in()
        request.credential = self._credentials.of(user, address)
        then(request)

    def _unknown(self, failure: Failure, request: WebRequest) -> None:
        failure.trap(TxTraderError)
        error: Any = failure.value
        if isinstance(error, Throttled):
            if error.retry_after is not None:
                request.responseHeaders.setRawHeaders(b"Retry-After", [b"%d" % max(1, round(error.retry_after))])
            problem(request, 429, error.code, error.message)
        else:
            _refuse(request)

    def _broken(self, failure: Failure, request: WebRequest) -> None:
        request.processingFailed(failure)


def _refuse(request: WebRequest) -> None:
    """Answer that a login is needed, always in the same words."""
    request.responseHeaders.setRawHeaders(b"WWW-Authenticate", [b'Basic realm="TxTrader", charset="UTF-8"'])
    answer(request, 401, _REFUSED, "text/plain")


def _parse_basic(header: bytes) -> tuple[str, str] | None:
    """Return user and password of a Basic header, None if it is none."""
    scheme, _, encoded = header.strip().partition(b" ")
    if scheme.lower() != b"basic" or len(encoded) > _MAX_HEADER:
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon and user and password else None
