"""A FIX client for tests that shares no code with ours: a blocking socket and the codec of `simplefix`."""

from __future__ import annotations

import socket
import time
from typing import Any

import simplefix

__all__ = ["FixClient"]

_HEADER = (43, 97, 122)


class FixClient:
    """One connection; `number` is that of the next message.  What comes is {tag: text}, of a group its first entry."""

    def __init__(
        self, port: int, *, version: str = "FIX.4.4", sender: str = "CLIENT", target: str = "EXSIM", number: int = 1
    ) -> None:
        self.version, self.sender, self.target, self.number = version, sender, target, number
        self.expected = 1
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._parser = simplefix.FixParser()

    def send(self, kind: str, *pairs: tuple[int, Any], number: int | None = None) -> None:
        message = simplefix.FixMessage()
        message.append_pair(8, self.version, header=True)
        message.append_pair(35, kind, header=True)
        message.append_pair(34, self.number if number is None else number, header=True)
        message.append_pair(49, self.sender, header=True)
        message.append_utc_timestamp(52, precision=3, header=True)
        message.append_pair(56, self.target, header=True)
        for tag, value in sorted(pairs, key=lambda pair: pair[0] not in _HEADER):
            message.append_pair(tag, value)
        self._socket.sendall(message.encode())
        if number is None:
            self.number += 1

    def next(self, *kinds: str) -> dict[int, str]:
        """Return the next message of these kinds (heartbeats are passed over), answering no TestRequest."""
        while (found := self.next_of_all())[35] == "0":
            pass
        assert not kinds or found[35] in kinds, found
        return found

    def next_of_all(self) -> dict[int, str]:
        """Return the next message, a heartbeat as well."""
        while True:
            message = self._parser.get_message()
            if message is None:
                data = self._socket.recv(65536)
                assert data, "the venue has closed"
                self._parser.append_buffer(data)
                continue
            self.last = message
            return {int(tag): value.decode() for tag, value in reversed(message.pairs)}

    def is_quiet(self, seconds: float = 0.1) -> bool:
        """Tell whether nothing comes for a while."""
        assert self._parser.get_message() is None
        self._socket.settimeout(seconds)
        try:
            return not self._socket.recv(1)
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(5)

    def log_on(self, *more: tuple[int, Any], heartbeat: int = 30) -> dict[int, str]:
        if self.version == "FIXT.1.1":
            more = (*more, (1137, "9"))
        self.send("A", (98, 0), (108, heartbeat), *more)
        return self.next("A")

    def order(self, key: str, side: int, quantity: int, price: str | None = None, **more: Any) -> None:
        stamp = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())
        fields = {11: key, 21: 1, 38: quantity, 40: 1 if price is None else 2, 54: side, 55: "IBM", 60: stamp}
        if price is not None:
            fields[44] = price
        self.send("D", *{**fields, **{int(tag[1:]): value for tag, value in more.items()}}.items())

    def change(self, kind: str, key: str, original: str, side: int, quantity: int, price: str | None = None) -> None:
        """Send a cancel (F) or a replace (G)."""
        stamp = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())
        fields = [(11, key), (38, quantity), (41, original), (54, side), (55, "IBM"), (60, stamp)]
        if kind == "G":
            fields += [(21, 1), (40, 2), (44, price)]
        self.send(kind, *fields)

    def close(self) -> None:
        self._socket.close()
