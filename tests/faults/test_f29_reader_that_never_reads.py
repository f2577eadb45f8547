"""F29 (G5; I7): a client that never reads costs bounded memory, is let go, and harms nobody else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest_twisted

from txtrader.model.order import Side
from txtrader.testing.clients import ClientClosed, LineClient

KIB = 1024
ORDERS = 250  # some hundred KiB of events: more than the kernel's buffers hold, which the daemon bounds
IDLE, STUCK = 940, 50  # and a few who read: a thousand subscribers in all


def resident(pid: int) -> int:
    """Return the resident size of a process in bytes."""
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * 4096


def is_let_go(client: LineClient) -> bool:
    """Read what is left; tell whether the connection was ended.  The last words are best effort."""
    try:
        while True:
            client.read_line(5)
    except ClientClosed:
        return True
    except TimeoutError:
        return False
    finally:
        client.close()


@pytest_twisted.ensureDeferred
async def test_fifty_of_a_thousand_never_read_and_the_others_miss_nothing(play):
    def script(stage):
        daemon = stage.start_daemon(QUEUE_CONFLATE=16 * KIB, QUEUE_CLOSE=256 * KIB, QUEUE_STALL="5")
        options = {"channels": ["order", "execution"], "sequence": True}
        reader = stage.client(daemon, options)
        nothing_to_see = {"channels": ["quote"], "symbols": "session"}
        idle = [LineClient.connect(daemon, nothing_to_see) for _ in range(IDLE)]
        stuck = []
        for _ in range(STUCK):
            client = LineClient(daemon.tcp_port, receive_buffer=4 * KIB)
            client.login(daemon.user, daemon.password, options)
            stuck.append(client)
        fills: set[str | None] = set()

        def all_there(event) -> bool:
            if event.type == "execution":
                fills.add(event.key)
            return len(fills) == ORDERS

        before = resident(daemon.pid)
        with ThreadPoolExecutor(1) as threads, LineClient.connect(daemon) as trader:
            reading = threads.submit(reader.wait_event, all_there, 60)
            stage.histories.append(trader.history)
            for number in range(ORDERS):
                stage.submit(Side.SELL, 1, "99.50")
                trader.call("limit_order", "IBM", "99.5", 1, client_order_id=f"k{number}")
            reading.result()  # the reader who reads gets everything
        stage.streams.append([event.data for event in reader.events if "seq" in event.data])
        grown = resident(daemon.pid) - before
        assert grown < 40 * KIB * KIB, f"{grown / KIB / KIB:.0f} MiB"
        assert sum(is_let_go(client) for client in stuck) == len(stuck)
        for client in idle:
            assert client.command("ping") == ".pong"
            client.close()
        assert reader.call("status") == "Up"
        reader.close()
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script)
