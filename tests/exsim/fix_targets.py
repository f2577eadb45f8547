"""FIX engines to be tested: our own session on blocking sockets, at either end, sound or with a fault.

A fault is a change of the bytes on their way in or out, or an option; nothing of the session itself is touched.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from txtrader.errors import RemoteProtocolError
from txtrader.wire.fix.message import Message
from txtrader.wire.fix.session import FixSession, Identity, LoggedOut, Profile, SessionOptions
from txtrader.wire.fix.store import MemoryStore

__all__ = ["Acceptor", "Fault", "Initiator", "Relay", "each_frame", "reframed"]

Change = Callable[[bytes], bytes]
_FRAME = re.compile(rb"8=FIX.*?\x0110=[^\x01]{1,3}\x01", re.DOTALL)


def each_frame(change: Change) -> Callable[[], Change]:
    """Return what makes a change of a stream out of one of frames; half a frame waits for its other half."""

    def begin() -> Change:
        rest = b""

        def changed(data: bytes) -> bytes:
            nonlocal rest
            data = rest + data
            ends = [found.end() for found in _FRAME.finditer(data)]
            whole = ends[-1] if ends else 0
            start = data.find(b"8=", whole)
            keep = len(data) - data.endswith(b"8") if start < 0 else start
            rest = data[keep:]
            return _FRAME.sub(lambda found: change(found[0]), data[:whole]) + data[whole:keep]

        return changed

    return begin


def _same() -> Change:
    return lambda data: data


def reframed(data: bytes) -> bytes:
    """Return a frame with its length and checksum put right."""
    head, _, rest = data.partition(b"\x019=")
    body = rest.partition(b"\x01")[2].rpartition(b"10=")[0]
    data = b"%b\x019=%d\x01%b" % (head, len(body), body)
    return data + b"10=%03d\x01" % (sum(data) % 256)


class Fault:
    """What is wrong with a target: nothing by default."""

    def __init__(
        self,
        *,
        incoming: Callable[[], Change] = _same,
        outgoing: Callable[[], Change] = _same,
        options: SessionOptions | None = None,
        has_clock: bool = True,
        has_memory: bool = True,
        shares: bool = False,
    ) -> None:
        self.incoming = incoming
        self.outgoing = outgoing
        self.options = options or SessionOptions()
        self.has_clock = has_clock
        self.has_memory = has_memory
        self.shares = shares


def drive(connection: socket.socket, session: FixSession, fault: Fault) -> None:
    """Run a session until its end."""
    incoming, outgoing = fault.incoming(), fault.outgoing()
    with connection, suppress(RemoteProtocolError, OSError):
        while not session.is_over:
            if fault.has_clock or session.next_deadline() == 0.0:
                session.handle_timeout(time.monotonic())
            connection.sendall(outgoing(session.data_to_send()))
            deadline = session.next_deadline() if fault.has_clock else None
            wait = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([connection], [], [], wait)[0]:
                continue
            data = connection.recv(65536)
            if not data:
                return
            session.receive_data(incoming(data))
            while (event := session.next_event()) is not None:
                if isinstance(event, Message) and event.type not in ("3", "j"):
                    session.refuse_type(event)
                elif isinstance(event, LoggedOut):
                    break
        connection.sendall(outgoing(session.data_to_send()))


class Acceptor:
    """Takes connections, each in a thread of its own, for the identity TESTED and its clients KIT..."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._stores: dict[Identity, MemoryStore] = {}
        self._busy: set[Identity] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        claimed: list[Identity] = []

        def identify(identity: Identity, logon: Message) -> Profile | None:
            if identity.sender != "TESTED" or not identity.target.startswith("KIT"):
                return None
            if identity in self._busy and not self._fault.shares:
                return None
            self._busy.add(identity)
            claimed.append(identity)
            store = self._stores.setdefault(identity, MemoryStore()) if self._fault.has_memory else MemoryStore()
            return Profile(self._fault.options, store)

        try:
            # The identity is free before the connection is seen to be closed.
            drive(connection.dup(), FixSession(time.time_ns, identify=identify), self._fault)
        finally:
            self._busy.difference_update(claimed)
            connection.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class Relay:
    """Stands before an acceptor and changes what that says; `tls` is what it shows its clients."""

    def __init__(self, port: int, change: Callable[[], Change] = _same, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._upstream = port
        self._change = change
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                if self._tls is not None:
                    client = self._tls.wrap_socket(client, server_side=True)
                server = socket.create_connection(("127.0.0.1", self._upstream))
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pipe, args=(client, server, _same()), daemon=True).start()
                threading.Thread(target=self._pipe, args=(server, client, self._change()), daemon=True).start()

    def _pipe(self, source: socket.socket, sink: socket.socket, change: Change) -> None:
        with source, suppress(OSError):
            try:
                while data := source.recv(65536):
                    sink.sendall(change(data))
            finally:
                sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class Initiator:
    """Connects, logs on from number 1, and does so again when that connection is over, until it is stopped."""

    def __init__(
        self, port: int, begin_string: str, *, fault: Fault | None = None, resets: bool = True, times: int = 1000
    ) -> None:
        self._port = port
        self._identity = Identity(begin_string, "TESTED", "KIT")
        self._fault = fault or Fault()
        self._options = SessionOptions(heartbeat=1, logon_timeout=1.0, resets_on_logon=resets)
        self._times = times
        self._thread = threading.Thread(target=self._come, daemon=True)
        self._thread.start()

    def _come(self) -> None:
        with suppress(OSError):  # nobody listens any more: the run is over
            for _ in range(self._times):
                connection = socket.create_connection(("127.0.0.1", self._port), timeout=10)
                session = FixSession(time.time_ns, identity=self._identity, options=self._options)
                session.start()
                drive(connection, session, self._fault)

    def join(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()
