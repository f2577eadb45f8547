"""What wires of one kind of connection share under control: TWS, CQG, OUCH."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed

from txtrader.exsim.control.problems import ControlError
from txtrader.exsim.control.wires import Addressed, Link, Record, Watcher
from txtrader.exsim.latency import Latency

__all__ = ["PlainLink", "PlainWire"]


class PlainLink:
    """One connection; it has a pump."""

    def __init__(self, wire: Any, connection: Any) -> None:
        self._wire = wire
        self.connection = connection

    @property
    def peer(self) -> str:
        transport = self.connection.pump.transport
        if transport is None:
            return ""
        address = transport.getPeer()
        return f"{address.host}:{address.port}"

    @property
    def is_open(self) -> bool:
        return self.connection in self._wire.endpoint.connections

    why = ""  # these wires tell their clients themselves

    def admit(self) -> None:
        self.connection.pump.resume()

    def freeze(self, is_frozen: bool) -> None:
        (self.connection.pump.pause if is_frozen else self.connection.pump.resume)()

    def set_latency(self, name: str, model: Latency) -> None:
        self.connection.pump.set_latency(**{name: model})

    def close(self, how: str) -> None:
        if how == "logout":
            raise ControlError("unsupported", "this protocol has no logout that a server sends", "how")
        if how == "close":
            self.connection.close()
        elif how == "abort":
            self.connection.drop()
        else:
            self.connection.pump.transport.getHandle().shutdown(socket.SHUT_WR)

    def _check_open(self) -> None:
        if not self.is_open:
            raise ControlError("closed", "the connection is gone", "session")


class PlainWire:
    """One endpoint, which has an overseer: this."""

    endpoint: Any
    port: int

    def __init__(self, now_ns: Callable[[], int], watcher: Watcher) -> None:
        self._now_ns = now_ns
        self._watcher = watcher
        self._links: dict[Any, Any] = {}
        self._kept: list[Addressed] | None = None

    def start(self) -> Deferred[int]:
        def started(port: int) -> int:
            self.port = port
            return port

        answer: Deferred[int] = self.endpoint.start()
        return answer.addCallback(started)

    def stop(self) -> Deferred[None]:
        answer: Deferred[None] = self.endpoint.stop()
        return answer

    def pause(self, how: str | None) -> Deferred[None]:
        if how == "silent":
            self.endpoint.is_deaf = self.endpoint.is_silent = True
            return succeed(None)
        if how is None:
            self.endpoint.is_deaf = self.endpoint.is_silent = False
        answer = self.endpoint.refuse(how == "refuse")
        return answer if isinstance(answer, Deferred) else succeed(None)

    # -- what the endpoint tells

    def _link(self, connection: Any) -> Link:
        raise NotImplementedError

    def _record(self, connection: Any, message: Any, *, is_ours: bool) -> Record:
        raise NotImplementedError

    def connected(self, connection: Any) -> None:
        link = self._links[connection] = self._link(connection)
        if self._watcher.connected(link):
            connection.pump.pause()

    def logged_on(self, connection: Any) -> None:
        self._watcher.changed(self._links[connection], "up")

    def received(self, connection: Any, message: Any) -> bool:
        return self._watcher.received(self._links[connection], self._record(connection, message, is_ours=False))

    def sending(self, connection: Any, message: Any) -> bool:
        if self._kept is None:
            return False
        link = self._links[connection]
        self._kept.append(Addressed(link.who, self._record(connection, message, is_ours=True)))
        return True

    def lost(self, connection: Any) -> None:
        self._watcher.lost(self._links.pop(connection))

    def process(self, link: Link, record: Record) -> list[Addressed]:
        assert isinstance(link, PlainLink)
        kept: list[Addressed] = []
        self._kept = kept
        try:
            link.connection.process(self._native(record))
        finally:
            self._kept = None
        return kept

    def _native(self, record: Record) -> Any:
        raise NotImplementedError
