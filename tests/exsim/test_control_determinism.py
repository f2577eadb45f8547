"""The same seed gives the same bytes: two runs on a virtual clock, every endpoint, whatever PYTHONHASHSEED is."""

import hashlib
import os
import random
import socket
import struct
from unittest.mock import patch

import pytest
from test_control_brokers import CqgClient, TwsClient
from test_control_crowd import enter

from txtrader.exsim import API
from txtrader.wire.cqg.schema import ServerMsg
from txtrader.wire.fix.framing import encode

STAMP = "20260105-15:00:00"


class FixTape:
    """A FIX client whose bytes are always the same, and that keeps what it gets."""

    def __init__(self, port, version):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._version = version
        self._number = 0
        self._mark = 0
        self.heard = b""

    def send(self, kind, *pairs):
        self._number += 1
        head = [(35, kind), (34, str(self._number)), (49, "CLIENT"), (52, STAMP), (56, "EXSIM")]
        self._socket.sendall(encode(self._version, head + [(tag, str(value)) for tag, value in pairs]))

    def until(self, *kinds):
        """Read until a message of each of these kinds has come since the last time."""
        wanted = [b"\x0135=%b\x01" % kind.encode() for kind in kinds]
        while not all(word in self.heard[self._mark :] for word in wanted) or not self.heard.endswith(b"\x01"):
            data = self._socket.recv(65536)
            assert data, "the venue has closed"
            self.heard += data
        self._mark = len(self.heard)

    def end(self):
        """Log out: what was told before has come then."""
        self.send("5")
        self.until("5")

    def close(self):
        self._socket.close()


class TwsTape(TwsClient):
    """A TWS client that keeps what it gets."""

    heard = b""

    def end(self):
        self.send("reqCurrentTime")
        self.next("currentTime")

    def _take(self, count):
        data = super()._take(count)
        self.heard += data
        return data


class CqgTape(CqgClient):
    """A CQG client that keeps what it gets."""

    heard = b""

    def end(self):
        self.send(logoff={})
        self.next("logged_off")

    def next(self, name):
        while True:
            data = self._socket.recv(timeout=10)
            self.heard += struct.pack(">I", len(data)) + data
            message = ServerMsg.FromString(data)
            if any(field.name == name for field, _ in message.ListFields()):
                return message


class OuchTape:
    """An OUCH 4.2 client that keeps what it gets."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.heard = b""
        self._send(b"L" + b"user  " + b"secret    " + b" " * 10 + b"1".rjust(20))

    def _send(self, packet):
        self._socket.sendall(struct.pack(">H", len(packet)) + packet)

    def enter(self, token, price):
        self._send(b"U" + enter(token, price))

    def until(self, kind, letter=b""):
        """Read packets until one of a kind (and message type) has come."""
        while True:
            data = b""
            while len(data) < 2 or len(data) < 2 + struct.unpack(">H", data[:2])[0]:
                more = self._socket.recv(1 if len(data) < 2 else 2 + struct.unpack(">H", data[:2])[0] - len(data))
                assert more, "the venue has closed"
                data += more
            if data[2:3] != b"H":  # heartbeats live by the clock that the test moves
                self.heard += data
            if data[2:3] == kind and data[3:].startswith(letter):
                return

    def end(self):
        """What was told has come already: nothing more trades."""

    def close(self):
        self._socket.close()


def run(seed, hash_seed):
    """Trade over every endpoint; return what each client heard, and the tape's digest."""
    heard = {}
    with patch.dict(os.environ, {"PYTHONHASHSEED": hash_seed}), API() as api:
        server = api.create_server(seed=seed, clock="virtual", start="spawn")
        engine = server.create_engine("e1", stp="oldest")
        book = engine.create_book("IBM", symbol="IBM", tick="0.01")
        draw = random.Random(seed)
        for n in range(60):
            book.create_order(
                f"o{n}",
                side=draw.choice(["buy", "sell"]),
                price=f"{draw.randrange(990, 1011) / 100:.2f}",
                quantity=draw.randrange(1, 50),
                account=f"A{draw.randrange(3)}",
            ).submit()
        for protocol, version in (("fix42", "FIX.4.2"), ("fix44", "FIX.4.4"), ("fix50", "FIXT.1.1")):
            client = FixTape(engine.create_endpoint(protocol, protocol=protocol).port, version)
            more = [(1137, 9)] if version == "FIXT.1.1" else []
            client.send("A", (98, 0), (108, 30), *more)
            client.until("A")
            client.send("V", (262, "m"), (263, 1), (264, 0), (267, 2), (269, 0), (269, 1), (146, 1), (55, "IBM"))
            client.until("W")
            client.send(
                "D", (11, "c1"), (21, 1), (55, "IBM"), (54, 1), (60, STAMP), (38, 7), (40, 2), (44, "10.50"), (59, 0)
            )
            client.until("8", "X")
            heard[protocol] = client
        server.advance_time(31)
        for client in heard.values():
            client.until("0")
        tws = heard["tws"] = TwsTape(engine.create_endpoint("tws", protocol="tws").port)
        tws.buy(tws.start(), 3, "10.50")
        tws.next("commissionReport", "commissionAndFeesReport")
        cqg = heard["cqg"] = CqgTape(engine.create_endpoint("cqg", protocol="cqg").port)
        cqg.logon()
        cqg.send(information_requests=[{"id": 7, "symbol_resolution_request": {"symbol": "IBM"}}])
        cqg.next("information_reports")
        ouch = heard["ouch"] = OuchTape(engine.create_endpoint("ouch", protocol="ouch42").port)
        ouch.enter("T1", 105000)
        ouch.until(b"S", b"E")
        digest = server.get_tape()["digest"]
        for client in heard.values():
            client.end()
            client.close()
    return {name: hashlib.sha256(client.heard).hexdigest() for name, client in heard.items()} | {"tape": digest}


@pytest.fixture(scope="module")
def first():
    return run(7, "0")


def test_two_runs_of_one_seed_are_the_same_bytes_on_every_endpoint(first):
    assert run(7, "12345") == first


def test_another_seed_is_another_run(first):
    assert run(8, "0")["tape"] != first["tape"]
