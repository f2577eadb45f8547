"""The management protocol itself, over plain sockets: one answer for each request, whatever comes."""

import json
import socket

import pytest

from txtrader.exsim import API, ExsimError
from txtrader.exsim.control.frames import MOST


class Raw:
    """A socket to the control that says what it is told."""

    def __init__(self, server, *, greets=True):
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        self._file = self._socket.makefile("rb")
        if greets:
            self.say({"id": 0, "type": "hello", "token": server.token, "version": 1})
            assert self.hear()["result"] is True

    def send(self, data):
        self._socket.sendall(data)

    def say(self, frame):
        self.send(json.dumps(frame).encode() + b"\n")

    def hear(self):
        return json.loads(self._file.readline())

    def is_closed(self):
        try:
            return self._file.readline() == b""
        except ConnectionResetError:
            return True

    def close(self):
        self._file.close()
        self._socket.close()


@pytest.fixture
def raw(exsim):
    connection = Raw(exsim)
    yield connection
    connection.close()


@pytest.mark.parametrize(
    "first",
    [
        {"id": 1, "type": "ping"},
        {"id": 1, "type": "hello"},
        {"id": 1, "type": "hello", "token": "wrong", "version": 1},
        {"id": 1, "type": "hello", "token": 7, "version": 1},
    ],
)
def test_who_does_not_know_the_token_is_sent_away(exsim, first):
    connection = Raw(exsim, greets=False)
    connection.say(first)
    assert connection.hear()["error"]["code"] == "unauthenticated"
    assert connection.is_closed()
    connection.close()


@pytest.mark.parametrize("more", [{"version": 2}, {"detach": 1}, {"colour": "red"}])
def test_a_hello_is_read_strictly(exsim, more):
    connection = Raw(exsim, greets=False)
    connection.say({"id": 1, "type": "hello", "token": exsim.token, "version": 1, **more})
    assert connection.hear()["error"]["code"] in ("unsupported", "invalid-argument")
    assert connection.is_closed()
    connection.close()


def test_a_second_hello_is_refused_and_the_server_goes_on(exsim, raw):
    raw.say({"id": 1, "type": "hello", "token": exsim.token, "version": 1})
    reply = raw.hear()
    assert (reply["id"], reply["error"]["code"]) == (1, "wrong-state")
    assert raw.is_closed()
    assert exsim.ping()["books"] == 0


def test_many_requests_in_one_segment_are_answered_in_order(raw):
    raw.send(b"".join(json.dumps({"id": n, "type": "ping"}).encode() + b"\n" for n in range(300)))
    assert [raw.hear()["id"] for _ in range(300)] == list(range(300))


def test_one_request_may_come_byte_by_byte(raw):
    for byte in b'{"id": 1, "type": "ping"}\r\n':
        raw.send(bytes([byte]))
    assert raw.hear()["result"] is True


@pytest.mark.parametrize(
    "line",
    [
        b"hello",
        b"[]",
        b"7",
        b"",
        b'{"id": 1, "id": 2, "type": "ping"}',
        b'{"id": NaN, "type": "ping"}',
        b'{"id": ' + b"1" * 50 + b', "type": "ping"}',
        b'{"type": "ping", "x": ' + b"[" * 40 + b"]" * 40 + b"}",
        b"\xff\xfe",
        b'{"type": "ping", "x": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_request_is_answered_and_ends_the_connection(raw, line):
    raw.send(line + b"\n")
    assert raw.hear()["error"]["code"] == "bad-frame"
    assert raw.is_closed()


def test_a_frame_without_end_is_refused(raw):
    raw.send(b"x" * (MOST + 2))
    assert raw.hear()["error"]["code"] == "too-large"
    assert raw.is_closed()


@pytest.mark.parametrize("kind", [None, 7, "", "no_such", "__init__", "hello "])
def test_an_unknown_type_is_answered(raw, kind):
    raw.say({"id": 5, "type": kind})
    answer = raw.hear()
    assert (answer["id"], answer["error"]["code"]) == (5, "unknown-request")
    raw.say({"id": 6, "type": "ping"})
    assert raw.hear()["result"] is True


def test_a_request_without_an_id_is_answered_without_one(raw):
    raw.say({"type": "ping"})
    assert "id" not in raw.hear()


def test_a_request_that_waits_holds_up_its_own_connection_alone(exsim, raw):
    exsim.create_engine("e1").create_endpoint("fix", protocol="fix", auto_accept=False)
    raw.say({"id": 1, "type": "accept_session", "endpoint": "fix", "session": "s", "wait": "0.2"})
    raw.say({"id": 2, "type": "ping"})
    assert exsim.ping()["sessions"] == 0
    assert raw.hear()["error"]["code"] == "timeout"
    assert raw.hear()["id"] == 2


def test_a_bug_is_told_with_an_incident_and_the_server_goes_on(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with API() as api:
        server = api.create_server(tape_folder=str(file))  # a folder that is none: writing raises what nobody expects
        with pytest.raises(ExsimError) as caught:
            server.save_tape("x")
        assert caught.value.code == "internal"
        assert caught.value.more["incident"] == "default-1"
        assert "Traceback" not in caught.value.message
        assert server.ping()["books"] == 0
