"""The web site: limits while headers and bodies stream, absolute deadlines, smuggling, pipelining, bugs."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from txtrader.errors import Throttled
from txtrader.net.web import HttpLimits, Leaf, Site, Tree, WebRequest, answer


class Echo(Leaf):
    """Answers the body that it got; keeps those at `/later` waiting."""

    def __init__(self) -> None:
        super().__init__(POST=self._post, GET=lambda request: answer(request, 200, b"got", "text/plain"))
        self.bodies: list[bytes] = []
        self.waiting: list[WebRequest] = []

    def _post(self, request: WebRequest) -> None:
        assert request.content is not None
        body = request.content.read()
        self.bodies.append(body)
        if body == b"later":
            self.waiting.append(request)
        elif body == b"bug":
            raise ValueError("a bug with a secret in it")
        else:
            answer(request, 200, body, "text/plain")


class Socket(StringTransport):
    """Closes one direction as TCP does: what the peer sends afterwards still arrives."""

    is_half_closed = False

    def loseWriteConnection(self) -> None:
        self.is_half_closed = True


class Line:
    """A site on a hand-driven clock, and one connection to it."""

    def __init__(self, **options) -> None:
        self.clock = Clock()
        self.echo = Echo()
        self.site = Site(Tree(own=self.echo), clock=self.clock, hosts=["localhost"], **options)
        self.channel = self.site.buildProtocol(None)
        self.transport = Socket()
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> bytes:
        self.channel.dataReceived(data)
        return self.take()

    def take(self) -> bytes:
        data = self.transport.value()
        self.transport.clear()
        return data

    @property
    def is_closed(self) -> bool:
        return self.transport.is_half_closed or self.transport.disconnecting or self.transport.disconnected


def post(body: bytes, *headers: bytes, path: bytes = b"/") -> bytes:
    lines = [b"POST " + path + b" HTTP/1.1", b"Host: localhost", b"Content-Length: %d" % len(body), *headers, b"", b""]
    return b"\r\n".join(lines) + body


def status(reply: bytes) -> int:
    return int(reply.split(b" ", 2)[1])


def test_a_request_is_answered_and_the_connection_kept():
    line = Line()
    for _ in range(3):
        reply = line.send(post(b"hello"))
        assert status(reply) == 200 and reply.endswith(b"\r\n\r\nhello")
    assert not line.is_closed


def test_any_cut_gives_the_same_answer():
    whole = post(b"hello world")
    for cut in range(1, len(whole)):
        line = Line()
        line.channel.dataReceived(whole[:cut])
        assert line.send(whole[cut:]).endswith(b"hello world"), cut


def test_pipelined_requests_are_answered_in_sequence():
    line = Line()
    line.send(post(b"later") + post(b"second") + post(b"third"))
    assert line.take() == b"" and line.echo.bodies == [b"later"]
    line.clock.advance(29)  # the second waits for the first, and its own time has not begun
    answer(line.echo.waiting[0], 200, b"first", "text/plain")
    replies = line.take()
    assert [body in replies for body in (b"first", b"second", b"third")] == [True] * 3
    assert replies.index(b"first") < replies.index(b"second") < replies.index(b"third")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (post(b"x" * 65537), 413),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (
            b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"8000\r\n" + b"x" * 0x8000 + b"\r\n8001\r\n" + b"x" * 0x8001 + b"\r\n",
            413,
        ),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"GET /" + b"a" * 20000, 414),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: %s\r\n" % (b"a" * 5000) * 4 + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 101 + b"\r\n", 400),
        (b"\r\n" * 1000, 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n folded\r\n\r\n", 400),
        (b" GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n", 400),
        (b"\0\1\2\r\n\r\n", 400),
        (b"GET /\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\nabc\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        (post(b"abc", b"Content-Length: 3"), 400),
        (post(b"abc", b"Transfer-Encoding: chunked"), 400),
        (post(b"abc", b"Transfer-Encoding: gzip"), 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: +3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3, 3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\na\r\n0\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
    ],
    ids=range(30),
)  # fmt: skip
def test_what_is_too_much_or_ambiguous_is_refused_and_never_reaches_the_resource(data: bytes, code: int):
    line = Line()
    reply = line.send(data)
    assert status(reply) == code, reply
    assert b"<html" not in reply and b"application/problem+json" in reply
    if b"Host: localhost\r\n" in data and data.count(b"Host: localhost\r\n") == 1:
        assert line.is_closed
    assert reply.count(b"HTTP/1.1 ") == 1
    assert line.echo.bodies == []
    assert line.channel.limits.body_size == 65536


def test_bare_line_feeds_are_no_line_ends():
    line = Line()
    assert line.send(b"GET / HTTP/1.1\nHost: localhost\n\n") == b""
    line.clock.advance(10.1)
    assert status(line.take()) == 408


def test_nothing_after_a_refusal_is_read():
    line = Line()
    line.send(b"GET / HTTP/1.1\r\nno colon\r\n\r\n" + post(b"smuggled"))
    line.send(post(b"smuggled"))
    assert line.echo.bodies == []


def test_slow_headers_meet_an_absolute_deadline():
    line = Line()
    for byte in b"GET / HTTP/1.1\r\n":
        line.send(bytes([byte]))
        line.clock.advance(0.6)
    line.clock.advance(0.5)
    reply = line.take()
    assert status(reply) == 408
    assert line.is_closed


def test_a_slow_body_meets_an_absolute_deadline():
    line = Line()
    line.send(post(b"x" * 100)[:-100])
    for _ in range(29):
        line.clock.advance(1)
        assert line.send(b"x") == b""
    line.clock.advance(1.1)
    assert status(line.take()) == 408


def test_a_connection_that_says_nothing_is_closed():
    line = Line()
    line.clock.advance(10.1)
    assert status(line.take()) == 408
    assert line.is_closed


def test_an_idle_connection_is_closed_after_the_idle_time_and_not_before():
    line = Line(limits=HttpLimits(idle=60))
    line.send(post(b"one"))
    line.clock.advance(59)
    assert line.send(post(b"two")).endswith(b"two")
    line.clock.advance(61)
    assert line.take() == b"" and line.is_closed
    line.clock.advance(6)
    assert line.transport.disconnected


def test_a_long_answer_has_all_the_time_it_needs():
    line = Line()
    line.send(post(b"later"))
    line.clock.advance(3600)
    answer(line.echo.waiting[0], 200, b"at last", "text/plain")
    assert line.take().endswith(b"at last")


def test_an_answer_for_a_client_who_has_gone_is_dropped():
    line = Line()
    line.send(post(b"later"))
    line.channel.connectionLost(Failure(ConnectionDone()))
    answer(line.echo.waiting[0], 200, b"to nobody", "text/plain")
    assert line.take() == b"" and line.clock.getDelayedCalls() == []
    assert line.site.channels == {}


def test_a_bug_is_a_500_that_tells_nothing(expected_failures: list[str]):
    expected_failures.append("answering a request")
    line = Line()
    reply = line.send(post(b"bug"))
    assert status(reply) == 500 and b"secret" not in reply and b"Traceback" not in reply
    assert line.send(post(b"alive")).endswith(b"alive")


def test_a_house_that_is_full_says_so():
    def admit(address: str) -> object:
        raise Throttled("too many clients")

    line = Line(admit=admit)
    reply = line.take()
    assert status(reply) == 429 and b"too many clients" in reply
    assert line.is_closed


def test_a_chunked_body_within_the_limit_is_read():
    line = Line()
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert line.send(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").endswith(b"abcde")


def test_expectations_are_met_only_for_bodies_that_are_taken():
    line = Line()
    assert line.send(post(b"abc", b"Expect: 100-continue")[:-3]) == b"HTTP/1.1 100 Continue\r\n\r\n"
    reply = Line().send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\nExpect: 100-continue\r\n\r\n")
    assert status(reply) == 413


def test_http_1_0_is_answered_and_closed():
    line = Line()
    reply = line.send(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert status(reply) == 200 and reply.endswith(b"got")
    assert line.is_closed


def test_floods_cost_little_more_than_their_length():
    for flood in (b"\r\n" * 32768, b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 16384, b"\n" * 65536, b"x" * 65536):
        line = Line()
        start = time.process_time()
        line.channel.dataReceived(flood)
        assert time.process_time() - start < 0.05


METHODS = st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"CONNECT", b"PRI", b"", b"\0"])
TARGETS = st.sampled_from(
    [b"/", b"*", b"//", b"", b"/%zz", b"/\xff", b"http://x/", b"/RPC2/..", b"/?" + b"a" * 2100, b"/" + b"a" * 9000]
)
VERSIONS = st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/11", b"", b"\0", b"HTTP/1.1 x"])
NAMES = st.sampled_from(
    [
        *(b"Host", b"Content-Length", b"Transfer-Encoding", b"Cookie", b"Expect", b"Connection", b"Upgrade", b"Origin"),
        *(b"Authorization", b"", b" ", b"\0", b"\xff"),
    ]
)
VALUES = st.one_of(
    st.sampled_from([b"localhost", b"3", b"0", b"-1", b"9" * 18, b"9" * 5000, "\u0663".encode(), b"chunked", b"gzip"])
    | st.sampled_from([b"100-continue", b"close", b"websocket", b"a=b; c=\xff; =;;", b"[", b"[::1]:x", b":80", b""]),
    st.binary(max_size=20),
)
BODIES = st.sampled_from(
    [
        *(b"", b"abc", b"3\r\nabc\r\n0\r\n\r\n", b"-3\r\nabc", b"F" * 20 + b"\r\n", b"3;x\r\nabc\r\n", b"\r\n" * 20),
        *(b"3\r\nabcdef", b"0\r\nX: y\r\n\r\n", b"3\r\nabc\r\n0\r\n" + b"a" * 20000),
    ]
)
HEADERS = st.lists(st.tuples(NAMES, st.sampled_from([b": ", b":", b" : ", b""]), VALUES).map(b"".join), max_size=5)


@st.composite
def nearly_requests(draw) -> bytes:
    """Draw what looks like HTTP, and mostly is not."""
    first = draw(st.one_of(st.tuples(METHODS, TARGETS, VERSIONS).map(b" ".join), st.binary(max_size=30)))
    own = draw(st.sampled_from([[], [b"Host: localhost"]]))
    end = draw(st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n"]))
    return end.join([first, *own, *draw(HEADERS), b"", b""]) + draw(BODIES)


@settings(max_examples=400, deadline=None)
@given(st.lists(nearly_requests(), min_size=1, max_size=3).map(b"".join), st.data())
def test_nothing_that_a_stranger_sends_is_more_than_refused(data: bytes, cuts: st.DataObject):
    """Neither an exception (it would be a traceback in the log) nor a connection that is kept for ever."""
    line = Line()
    cut = cuts.draw(st.integers(0, len(data)))
    line.channel.dataReceived(data[:cut])
    line.channel.dataReceived(data[cut:])
    for waiting in line.echo.waiting:
        answer(waiting, 200, b"", "text/plain")
    line.clock.advance(31)
    line.clock.advance(61)
    assert line.is_closed
    line.channel.connectionLost(Failure(ConnectionDone()))
    assert line.clock.getDelayedCalls() == [] and line.site.channels == {}


def test_hosts_are_compared_without_port_and_case():
    site = Site(Tree(), clock=Clock(), hosts=["localhost", "127.0.0.1", "[::1]"])
    for good in (b"localhost", b"LocalHost:1", b"127.0.0.1:50080", b"[::1]", b"[::1]:50080"):
        assert site.is_host_allowed([good]), good
    for bad in (b"", b"evil", b"localhost.evil", b"localhost:80:80", b"::1", b"[::1", b"localhost:x", b"a@localhost"):
        assert not site.is_host_allowed([bad]), bad
    assert not site.is_host_allowed([]) and not site.is_host_allowed([b"localhost", b"localhost"])
