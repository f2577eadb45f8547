"""F29 (G5; I7): a client that never reads costs bounded memory, is let go, and harms nobody else."""

from __future__ import annotations

import socket

import pytest_twisted

from txtrader.model.order import Side
from txtrader.testing.clients import ClientClosed, LineClient

KIB = 1024


def resident(pid: int) -> int:
    """Return the resident size of a process in bytes."""
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * 4096


@pytest_twisted.ensureDeferred
async def test_readers_that_never_read_are_let_go_and_the_others_miss_nothing(play):
    def script(stage):
        daemon = stage.start_daemon(QUEUE_CONFLATE=16 * KIB, QUEUE_CLOSE=64 * KIB, QUEUE_STALL="3", COMMAND_RATE=100000)
        options = {"channels": ["order", "execution"], "sequence": True}
        reader = stage.client(daemon, options)
        stuck = []
        for _ in range(20):
            client = LineClient.connect(daemon, options)
            client._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
            stuck.append(client)
        before = resident(daemon.pid)
        with LineClient.connect(daemon) as trader:
            stage.histories.append(trader.history)
            for number in range(150):
                stage.submit(Side.SELL, 1, "99.50")
                trader.call("limit_order", "IBM", "99.5", 1, client_order_id=f"k{number}")
        reader.drain()
        fills = {event.key for event in reader.events if event.type == "execution"}
        assert len(fills) == 150, "the reader who reads gets everything"
        stage.streams.append([event.data for event in reader.events if "seq" in event.data])
        grown = resident(daemon.pid) - before
        assert grown < 40 * KIB * KIB, f"{grown / KIB / KIB:.0f} MiB"
        gone = 0
        for client in stuck:
            try:
                while True:
                    line = client.read_line(10)
                    if line.startswith(".error slow-consumer"):
                        gone += 1
            except (ClientClosed, TimeoutError):
                client.close()
        assert reader.call("status") == "Up"
        reader.close()
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script)
