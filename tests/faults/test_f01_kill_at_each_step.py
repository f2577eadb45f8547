"""F01 (G1 G2 G3; I1 I2 I3 I4 I6): kill -9 at any point of a submit loses nothing and doubles nothing.

A run is one life of the gateway: it is told at which pass of which point it shall die, gets a few orders, dies, and
is started again on the same journal.  The next life has to find out what became of the orders of the last.
"""

from __future__ import annotations

import random

import pytest
import pytest_twisted

from txtrader.errors import TxTraderError
from txtrader.model.order import Side
from txtrader.testing.clients import LineClient
from txtrader.testing.daemon import DaemonFailed

POINTS = ("before-journal", "after-journal", "after-send", "after-broker-ack", "after-execution", "before-reply")
KILLED = -9


class Lives:
    """Many lives of one gateway on one stage."""

    def __init__(self, stage, seed: int) -> None:
        self.stage = stage
        self.random = random.Random(seed)
        self.daemon = stage.make_daemon()
        self.keys: list[str] = []
        self.deaths = 0

    def orders(self) -> list[dict]:
        """Choose one to three orders, some of which trade at once."""
        made = []
        for _ in range(self.random.randint(1, 3)):
            self.keys.append(f"key-{len(self.keys)}")
            side = self.random.choice((Side.BUY, Side.SELL))
            trades = self.random.random() < 0.6
            if trades:  # somebody to trade with
                against = Side.SELL if side is Side.BUY else Side.BUY
                self.stage.submit(against, self.random.choice((40, 100)), "100.00")
            price = "100.00" if trades else "90.00" if side is Side.BUY else "110.00"
            made.append(
                {
                    "symbol": "IBM",
                    "side": side.value,
                    "quantity": 100,
                    "type": "Limit",
                    "limit_price": price,
                    "client_order_id": self.keys[-1],
                }
            )
        return made

    def live(self, crash_at: str) -> None:
        """Start, settle what the last life left, take orders, and die on the way."""
        orders = self.orders()
        try:
            self.daemon.start(CRASH_AT=crash_at)
            self.daemon.wait_up()
            with self.client() as client:
                for order in orders:
                    client.call("submit_order", order)
        except (DaemonFailed, TxTraderError, OSError):
            pass  # it died under our hands: that is the plan
        if self.daemon.is_running:  # the pass that it was to die at did not come
            self.daemon.kill()
        assert self.daemon.wait_end() == KILLED, self.daemon.tail()
        self.deaths += 1
        self.stage.check(self.daemon, is_at_rest=False)

    def last(self) -> None:
        """A life without a crash: everything is settled, the keys answer, and the end is orderly."""
        self.daemon.start()
        self.daemon.wait_up()
        with self.client() as client:
            self.settle(client)
            known = client.call("query_orders", since="2000-01-01T00:00:00Z")
            for record in known.values():
                if record["client_order_id"] is None:
                    continue
                again = client.call("query_order", f"client:{record['client_order_id']}")
                assert again["id"] == record["id"]
        assert self.daemon.terminate() == 0, self.daemon.tail()
        self.stage.check(self.daemon)

    def settle(self, client: LineClient) -> None:
        def nothing_unknown() -> bool:
            known = client.call("query_orders", since="2000-01-01T00:00:00Z")
            return all(record["status"] not in ("Unknown", "PendingNew") for record in known.values())

        self.daemon.wait(nothing_unknown, 15, "no order is unknown any more")

    def client(self) -> LineClient:
        return self.stage.client(self.daemon)


def lives(seed: int, count: int):
    def script(stage) -> None:
        chooser = random.Random(seed)
        run = Lives(stage, seed)
        points = [POINTS[number % len(POINTS)] for number in range(count)]
        chooser.shuffle(points)
        for point in points:
            run.live(f"{point}:{chooser.randint(1, 2)}")
        run.last()
        assert run.deaths == count

    return script


@pytest.mark.parametrize("wire", ["tws", "cqg", "fix"])
@pytest_twisted.ensureDeferred
async def test_twelve_deaths_lose_and_double_nothing(play, wire):
    await play(lives(seed=1, count=12), seed=1, wire=wire)


@pytest.mark.soak
@pytest.mark.parametrize("wire", ["tws", "cqg", "fix"])
@pytest.mark.parametrize("seed", range(100, 110))
@pytest_twisted.ensureDeferred
async def test_two_hundred_deaths_lose_and_double_nothing(play, seed, wire):
    await play(lives(seed=seed, count=20), seed=seed, wire=wire)
