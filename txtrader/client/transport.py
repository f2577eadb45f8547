"""How a call travels: XMLRPC over one kept HTTP connection, with deadlines, limits, and no guess about what was sent.

    -> POST /RPC2, Basic login, <methodCall>NAME(positional ..., {options})</methodCall>
    <- <methodResponse>value, or a fault: number and `CODE: message [order=ID]`

A failure says whether the request can have reached the gateway (`NoAnswer`) or cannot (`NotSent`): only the caller
knows what may be repeated.  Numbers: a `<double>` becomes a float, or the Decimal of its very digits.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import selectors
import socket
import ssl
import time
import xmlrpc.client
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, Protocol
from xml.parsers import expat

from txtrader.errors import (
    BY_CODE,
    GatewayUnavailable,
    InternalError,
    InvalidArgument,
    LocalProtocolError,
    NotFound,
    RemoteProtocolError,
    Throttled,
    TooLarge,
    TxTraderError,
    Unauthenticated,
)

__all__ = ["NoAnswer", "NotSent", "Transport", "XmlRpcTransport", "error_from_fault"]

MAX_ANSWER = 256 * 1024 * 1024
"""Bytes of one answer: ten thousand records are far below; more is no gateway."""

MAX_DEPTH = 64  # of elements in an answer; a record in a map in a page needs under twenty
MAX_CALL = 64 * 1024  # what the gateway takes; it closes on more, and that would look like a lost connection
_CHUNK = 256 * 1024
_FAULT = re.compile(
    r"(?P<code>[a-z][a-z0-9-]*): (?:(?P<path>[a-z_][a-z0-9_.]*): )?(?P<message>.*?)"
    r"(?: \(candidates: (?P<candidates>[^)]*)\))?(?: \[incident=(?P<incident>[^\]\s]+)\])?"
    r"(?: \[order=(?P<order>[^\]\s]+)\])?(?: ?retry after (?P<after>[0-9]+(?:\.[0-9]+)?) s)?",
    re.ASCII | re.DOTALL,
)
# Faults that the XMLRPC layer itself raises, in JSON-RPC's numbers.
_BY_NUMBER: dict[int, type[TxTraderError]] = {-32700: LocalProtocolError, -32600: LocalProtocolError, -32601: NotFound}
# What a proxy or the HTTP layer answers before XMLRPC has a word.
_BY_STATUS: dict[int, type[TxTraderError]] = {401: Unauthenticated, 404: NotFound, 413: TooLarge, 429: Throttled}


class NotSent(GatewayUnavailable):
    """The gateway cannot have seen the request: no connection was made."""


class NoAnswer(GatewayUnavailable):
    """The request may have reached the gateway, and its answer did not come."""


class Transport(Protocol):
    """What `API` needs of the way that its calls take."""

    def call(self, name: str, positional: Sequence[Any], options: Mapping[str, Any]) -> Any:
        """Call an operation.  Raises what the gateway answered, NotSent, NoAnswer, RemoteProtocolError."""

    def close(self) -> None:
        """Close the connection; the next call opens another."""


class XmlRpcTransport:
    """One kept connection to POST /RPC2; not for two threads at once."""

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        password: str,
        *,
        timeout: float,
        decimals: bool = False,
        secure: bool = False,
    ) -> None:
        self._host = host
        self._port = port
        self._timeout = timeout
        self._decimals = decimals
        self._tls = ssl.create_default_context() if secure else None
        if ":" in user:
            raise InvalidArgument("a colon cannot stand in a user's name", path="username")
        login = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
        self._headers = {"Content-Type": "text/xml; charset=utf-8", "Authorization": f"Basic {login}"}
        self._connection: http.client.HTTPConnection | None = None

    def __repr__(self) -> str:
        return f"<XmlRpcTransport {self._host}:{self._port}>"

    def call(self, name: str, positional: Sequence[Any], options: Mapping[str, Any]) -> Any:
        """Call an operation; one deadline covers connecting, sending and the whole answer."""
        parameters = (*positional, dict(options)) if options else tuple(positional)
        body = xmlrpc.client.dumps(parameters, name, encoding="utf-8", allow_none=True).encode("utf-8")
        if len(body) > MAX_CALL:
            raise TooLarge(f"a call of {len(body)} bytes; the gateway takes {MAX_CALL}")
        deadline = time.monotonic() + self._timeout
        connection = self._connected()
        try:
            connection.request("POST", "/RPC2", body, self._headers)
            response = connection.getresponse()
            with response:  # ends it for the connection, which stays open
                content = _read(response, connection.sock, deadline)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NoAnswer(f"no answer from {self._host}:{self._port}: {_words(error)}") from error
        except TooLarge:
            self.close()
            raise
        if response.will_close:
            self.close()
        return self._result(response, content)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is not None and not _is_idle(self._connection.sock):
            self.close()  # the gateway closed it while we were silent, so nothing of ours can be on the way
        if self._connection is None:
            made = (
                http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
                if self._tls is None
                else http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._tls)
            )
            try:
                made.connect()
            except OSError as error:
                made.close()
                raise NotSent(f"no gateway at {self._host}:{self._port}: {_words(error)}") from error
            made.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection = made
        self._connection.sock.settimeout(self._timeout)
        return self._connection

    def _result(self, response: http.client.HTTPResponse, content: bytes) -> Any:
        if "xml" not in (response.getheader("Content-Type") or "") or response.status == 401:
            _refuse(response, content)
        try:
            return parse_answer(content, self._decimals)
        except xmlrpc.client.Fault as fault:
            raise error_from_fault(fault.faultCode, str(fault.faultString)) from None


def parse_answer(content: bytes, decimals: bool = False) -> Any:
    """Read a methodResponse.  Raises xmlrpc.client.Fault, and RemoteProtocolError when it is none."""
    target = _Unmarshaller(Decimal if decimals else float)
    parser = expat.ParserCreate("UTF-8")
    parser.buffer_text = True
    parser.StartElementHandler = target.open_element
    parser.EndElementHandler = target.close_element
    parser.CharacterDataHandler = target.data
    parser.StartDoctypeDeclHandler = _no_doctype
    try:
        parser.Parse(content, True)
        values = target.close()
    except (
        expat.ExpatError,
        xmlrpc.client.ResponseError,
        ValueError,
        TypeError,
        LookupError,
        InvalidOperation,
    ) as error:
        raise RemoteProtocolError(f"not an XMLRPC answer: {_words(error)}") from error
    if len(values) != 1:
        raise RemoteProtocolError(f"an XMLRPC answer has one value, not {len(values)}")
    return values[0]


def error_from_fault(number: Any, text: str) -> TxTraderError:
    """Turn a fault back into the error that it was; the number decides where the text has no code.

    The text is `CODE: [path: ]message [(candidates: A, B)] [[incident=ID]] [[order=ID]] [retry after N s]`.
    """
    match = _FAULT.fullmatch(text)
    if match is None or match["code"] not in BY_CODE:
        return _BY_NUMBER.get(number, InternalError)(text)
    return BY_CODE[match["code"]](
        match["message"],
        path=match["path"],
        candidates=match["candidates"].split(", ") if match["candidates"] else None,
        incident=match["incident"],
        order=None if match["order"] is None else {"id": match["order"]},
        retry_after=None if match["after"] is None else float(match["after"]),
    )


class _Unmarshaller(xmlrpc.client.Unmarshaller):
    """The standard library's, with exact numbers and a bound on depth."""

    dispatch = dict(xmlrpc.client.Unmarshaller.dispatch)

    def __init__(self, number: Callable[[str], Any]) -> None:
        super().__init__(use_datetime=False, use_builtin_types=True)
        self._encoding = ""  # expat hands over text, nothing is left to decode
        self._number = number
        self._depth = 0

    def open_element(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError("nested too deeply")
        self.start(tag, attributes)

    def close_element(self, tag: str) -> None:
        self._depth -= 1
        self.end(tag)

    def end_double(self, data: str) -> None:
        self.append(self._number(data.strip()))
        self._value = False

    dispatch["double"] = end_double  # type: ignore[assignment]  # the table is of the base's methods


def _no_doctype(*_: Any) -> NoReturn:
    raise ValueError("a DOCTYPE has no place here")


def _read(response: http.client.HTTPResponse, sock: socket.socket | None, deadline: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        if sock is not None and sock.fileno() >= 0:  # http.client hands the socket over when the answer ends the link
            sock.settimeout(left)
        part = response.read(_CHUNK) if response.length is None else response.read1(_CHUNK)
        if not part:
            if response.length:
                raise http.client.IncompleteRead(b"", response.length)
            return b"".join(parts)
        size += len(part)
        if size > MAX_ANSWER:
            raise TooLarge(f"the answer is longer than {MAX_ANSWER} bytes")
        parts.append(part)


def _refuse(response: http.client.HTTPResponse, content: bytes) -> NoReturn:
    code, words = _problem_of(response, content)
    shown = "".join(c if c.isprintable() else " " for c in words).strip() or response.reason
    error = BY_CODE.get(code) or _BY_STATUS.get(response.status)
    if error is None:
        if response.status == 503:
            raise GatewayUnavailable(f"HTTP 503: {shown}")
        raise RemoteProtocolError(f"not a gateway: HTTP {response.status}, {shown}")
    after = response.getheader("Retry-After") or ""
    raise error(shown, retry_after=float(after) if after.isdecimal() else None)


def _problem_of(response: http.client.HTTPResponse, content: bytes) -> tuple[str, str]:
    """Return code and words of an `application/problem+json`, else the beginning of the text."""
    if "json" in (response.getheader("Content-Type") or ""):
        try:
            problem = json.loads(content)
            return str(problem["code"]), str(problem["detail"])
        except (ValueError, LookupError, TypeError, RecursionError):
            pass  # not what a gateway answers: shown as it is
    return "", content[:200].decode("utf-8", "replace")


def _is_idle(sock: socket.socket | None) -> bool:
    """Tell whether a kept connection is open with nothing to read: an end or unasked bytes make it useless."""
    if sock is None or sock.fileno() < 0:
        return False
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return not selector.select(0)


def _words(error: BaseException) -> str:
    """Say in words what went wrong on a socket."""
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return str(error) or type(error).__name__
