"""The opponents of B3, B4 and B9: the least that Twisted can do on the same loop.

Run as a child: `line` is a `LineReceiver` that answers each line with given bytes, `xmlrpc` a `twisted.web` XMLRPC
resource with a method that returns a constant, `idle` a protocol that keeps nothing.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from benchmarks.reactor import reactor, run  # isort: skip - the reactor comes first

from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.basic import LineReceiver
from twisted.web import http, server, xmlrpc


class Canned(LineReceiver):
    delimiter = b"\n"
    answers: dict[bytes, bytes] = {}

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.setTcpNoDelay(True)  # type: ignore[attr-defined]

    def lineReceived(self, line: bytes) -> None:
        assert self.transport is not None
        self.transport.write(self.answers.get(line, b"?\n"))


class Channel(http.HTTPChannel):
    """As the site makes it, with TCP_NODELAY: both sides shall have the same sockets."""

    def connectionMade(self) -> None:
        super().connectionMade()  # type: ignore[no-untyped-call]
        transport: Any = self.transport
        transport.setTcpNoDelay(True)


class Trivial(xmlrpc.XMLRPC):
    answer: Any = "Up"

    def xmlrpc_status(self, *arguments: Any) -> Any:
        return self.answer


def listen(kind: str) -> dict[str, Any]:
    factory: Any
    if kind == "line":
        factory = Factory.forProtocol(Canned)
    elif kind == "xmlrpc":
        factory = server.Site(Trivial(allowNone=True))  # type: ignore[no-untyped-call]
        factory.protocol = Channel
    else:
        factory = Factory.forProtocol(Protocol)
    factory.noisy = False
    port = reactor.listenTCP(0, factory, backlog=1000, interface="127.0.0.1")
    return {"port": port.getHost().port}


def answer_with(answers: dict[str, str]) -> int:
    """Answer each line that is a key with its value."""
    Canned.answers = {line.encode(): text.encode() for line, text in answers.items()}
    return len(answers)


def resident() -> int:
    """Return the resident size in bytes, after collection."""
    import gc

    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


if __name__ == "__main__":
    run(lambda: listen(sys.argv[1]), {"answer_with": answer_with, "resident": resident})
