"""A login that TWS refuses is not hammered."""

from __future__ import annotations

import random
import struct
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from txtrader.adapters.tws import TwsAdapter, TwsOptions
from txtrader.gateway.adapter import LinkState, LinkStatus
from txtrader.net.dial import Backoff
from txtrader.testing.sink import RecordingSink
from txtrader.wire.tws.message import Message
from txtrader.wire.tws.table import RESPONSES

VERSION = 157


class Transport(StringTransport):
    def abortConnection(self) -> None:
        self.loseConnection()


def framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def refuse(reactor: Any, number: int) -> None:
    """Accept connection `number`, agree on a version, and say that the client id is in use."""
    pump = reactor.tcpClients[number][2].buildProtocol(None)
    pump.makeConnection(Transport())
    pump.dataReceived(framed(b"%d\x0020261120 10:00:00 EST\x00" % VERSION))
    error = Message("error", {"reqId": -1, "errorCode": 326, "errorString": "client id is in use"})
    pump.dataReceived(framed(RESPONSES.encode(error, VERSION)))
    pump.connectionLost(Failure(ConnectionDone()))


def test_at_most_five_refused_logins_in_five_minutes_always_with_the_same_id() -> None:
    reactor = MemoryReactorClock()
    sink = RecordingSink(reactor)
    options = TwsOptions(client_id=4, max_version=VERSION, reconnect=Backoff(minimum=0.1, maximum=1.0))
    adapter = TwsAdapter(options, reactor, sink, mode="tws", now_ns=lambda: 0, random=random.Random(1))
    adapter.start()
    at: list[float] = []
    while reactor.seconds() < 1_000:
        while len(at) < len(reactor.tcpClients):
            at.append(reactor.seconds())
            refuse(reactor, len(at) - 1)
        reactor.advance(0.5)
    assert len(at) >= 12  # it goes on trying
    assert all(at[index + 5] - at[index] >= 299 for index in range(len(at) - 5))
    last = sink.of(LinkStatus)[-1]
    assert last.state is LinkState.DISCONNECTED
    assert last.login == "refused: client id 4 is in use"
    assert last.next_attempt is not None
    adapter.stop()
    assert reactor.getDelayedCalls() == []
