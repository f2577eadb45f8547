"""The opponent of B2: a plain asyncio server on uvloop that writes the same bytes to every connection.

Run as a child.  It is what one would write by hand for speed: a list of transports and a loop, no queues, no
bounds, no conflation.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from typing import Any

import uvloop

SEND_BUFFER = 131072  # that of the gateway's sockets: both sides shall have the same


class Receiver(asyncio.Protocol):
    clients: list[Any] = []  # transports of uvloop, which are no subclasses of asyncio's

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=1 << 26)
        made = transport.get_extra_info("socket")
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self.clients.append(transport)
        transport.write(b".ready\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self.clients.remove(self._transport)


async def broadcast(lines: list[bytes]) -> dict[str, Any]:
    """Write each line to all, one line in each turn of the loop."""
    loop = asyncio.get_running_loop()
    start = time.monotonic_ns()
    cpu = time.process_time_ns()
    for line in lines:
        for transport in Receiver.clients:
            transport.write(line)
        turn: asyncio.Future[None] = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn
    return {"start": start, "cpu": time.process_time_ns() - cpu}


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0, backlog=1000)
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    while line := await orders.readline():
        message = json.loads(line)
        if message["order"] == "broadcast":
            lines = [text.encode() for text in message["lines"]] * message.get("times", 1)
            print(json.dumps(await broadcast(lines)), flush=True)
        else:
            print(json.dumps({"clients": len(Receiver.clients)}), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
