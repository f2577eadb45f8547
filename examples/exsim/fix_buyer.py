"""The program under test in these examples: it buys over FIX 4.2, by `pip install simplefix`."""

from __future__ import annotations

import socket
import time

import simplefix


class Buyer:
    """Logs on to a FIX venue and sends limit orders to buy."""

    def __init__(self, port: int, venue: str = "SIM") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._parser = simplefix.FixParser()
        self._venue = venue
        self._number = 0
        self._send("A", {98: 0, 108: 30})
        assert self._next("A") is not None

    def _send(self, kind: str, fields: dict[int, object]) -> None:
        self._number += 1
        message = simplefix.FixMessage()
        for tag, value in {8: "FIX.4.2", 35: kind, 34: self._number, 49: "BUYER", 56: self._venue}.items():
            message.append_pair(tag, value, header=True)
        message.append_utc_timestamp(52, header=True)
        for tag, value in fields.items():
            message.append_pair(tag, value)
        self._socket.sendall(message.encode())

    def _next(self, *kinds: str) -> dict[int, str]:
        while True:
            message = self._parser.get_message()
            if message is None:
                data = self._socket.recv(4096)
                if not data:
                    raise ConnectionError("the venue has closed")
                self._parser.append_buffer(data)
                continue
            found = {int(tag): value.decode() for tag, value in message.pairs}
            if found[35] in kinds:
                return found

    def buy(self, key: str, symbol: str, quantity: int, price: str) -> str:
        """Send an order; return what became of it at once: `filled`, `rests` or the reason of a refusal."""
        stamp = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())
        self._send("D", {11: key, 21: 1, 55: symbol, 54: 1, 60: stamp, 38: quantity, 40: 2, 44: price})
        first = self._next("8")
        if first[39] == "8":
            return first.get(58, "refused")
        return "rests"

    def wait_for_fill(self) -> tuple[int, str]:
        """Return quantity and price of the next execution."""
        while (report := self._next("8"))[39] not in ("1", "2"):
            pass
        return int(report[32]), report[31]

    def close(self) -> None:
        self._socket.close()
