"""A toy strategy: hold when the fast average of the price is above the slow one, else hold nothing.

It shows how the parts go together, not how to make money.  `Monitor` brings quotes and executions in a thread of its
own; `API` sends orders; what is held is counted from executions, each once, so that it stays right when the link or the
gateway is lost and comes back.  Whatever ends it, it cancels its orders and sells what it holds.

Start `make run` in the clone, then, in the clone as well:

    .venv/bin/python examples/moving_average.py [SYMBOL] [--quantity 100] [--seconds 60]
"""

from __future__ import annotations

import argparse
import queue
import threading
import time
from collections import deque
from typing import Any

from txtrader.client import API, Monitor
from txtrader.errors import LinkError, OutcomeUnknown, RequestError

ENDED = {"Filled", "Canceled", "Rejected", "Expired", "Lost"}


class Average:
    """The mean of the last `length` numbers; None before there are so many."""

    def __init__(self, length: int) -> None:
        self._last: deque[float] = deque(maxlen=length)

    def add(self, number: float) -> float | None:
        self._last.append(number)
        return sum(self._last) / len(self._last) if len(self._last) == self._last.maxlen else None


class Strategy:
    """Decides on each quote; orders and executions are told to it."""

    def __init__(self, api: API, symbol: str, quantity: int, fast: int, slow: int) -> None:
        self.api = api
        self.symbol = symbol
        self.quantity = quantity
        self.fast, self.slow = Average(fast), Average(slow)
        self.held = 0.0
        self.cash = 0.0
        self.price = 0.0
        self.trades = 0
        self.working: str | None = None  # the order that is on its way; one at a time
        self.ours: set[str] = set()
        self.seen: set[str] = set()

    def quote(self, quote: dict[str, Any]) -> None:
        """Look at a new quote, and trade if the averages have crossed."""
        if quote["bid"] is None or quote["ask"] is None or quote["stale"]:
            return
        self.price = (quote["bid"] + quote["ask"]) / 2
        fast, slow = self.fast.add(self.price), self.slow.add(self.price)
        if fast is None or slow is None or self.working is not None:
            return
        wanted = self.quantity if fast > slow else 0
        if wanted != self.held:
            self.trade(wanted - self.held, quote["ask"] if wanted > self.held else quote["bid"])

    def trade(self, quantity: float, limit: float) -> None:
        """Take the other side's price, at once or not at all."""
        try:
            order = self.api.limit_order(self.symbol, limit, quantity, tif="IOC", tag="moving-average")
        except OutcomeUnknown as error:
            print("no answer; the order may be live:", error)
            raise
        except (RequestError, LinkError) as error:  # refused before it left, as while the gateway reconciles
            print("not now:", error)
            return
        print(order["text"])
        self.ours.add(order["id"])
        self.working = None if order["status"] in ENDED else order["id"]

    def order(self, order: dict[str, Any]) -> None:
        """Be told of an order's new state."""
        if order["id"] == self.working and order["status"] in ENDED:
            self.working = None

    def execution(self, fill: dict[str, Any]) -> None:
        """Count a fill once: it comes again with its commission."""
        if fill["orderid"] not in self.ours or fill["execId"] in self.seen:
            return
        self.seen.add(fill["execId"])
        signed = fill["shares"] if fill["action"] == "BUY" else -fill["shares"]
        self.held += signed
        self.cash -= signed * fill["price"]
        self.trades += 1
        print(f"{fill['action']} {fill['shares']} at {fill['price']}: holding {self.held:g}")

    def close(self) -> None:
        """Take everything back and sell what is held."""
        if self.working is not None:
            self.api.cancel_order(self.working)
        for id in self.ours:
            for fill in self.api.query_order_executions(id).values():
                self.execution(fill)
        if self.held:
            order = self.api.wait(self.api.market_order(self.symbol, -self.held)["id"], timeout=30)
            self.ours.add(order["id"])
            for fill in self.api.query_order_executions(order["id"]).values():
                self.execution(fill)
        print(f"{self.trades} fills, holding {self.held:g}, result {self.cash + self.held * self.price:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Follow two moving averages.")
    parser.add_argument("symbol", nargs="?", default="IBM")
    parser.add_argument("--quantity", type=int, default=100)
    parser.add_argument("--fast", type=int, default=5, help="quotes in the fast average")
    parser.add_argument("--slow", type=int, default=20, help="quotes in the slow average")
    parser.add_argument("--seconds", type=float, default=60)
    wanted = parser.parse_args()

    api = API()
    api.set_account(api.query_accounts()[0])
    if not api.add_symbol(wanted.symbol):
        raise SystemExit(f"no such instrument: {wanted.symbol}")
    symbol = api.query_symbol(wanted.symbol)["symbol"]  # as the gateway spells it
    strategy = Strategy(api, symbol, wanted.quantity, wanted.fast, wanted.slow)

    events: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()

    def put(label: str, record: dict[str, Any]) -> None:
        events.put((label, record))

    monitor = Monitor(callbacks={"quote": put, "order": put, "execution": put, "trade": None}, parse=True)
    thread = threading.Thread(target=monitor.run)
    thread.start()
    print(f"following {symbol} for {wanted.seconds:g} s; Ctrl-C ends it sooner")
    until = time.monotonic() + wanted.seconds
    try:
        while (left := until - time.monotonic()) > 0 and thread.is_alive():
            try:
                label, record = events.get(timeout=min(left, 1))
            except queue.Empty:
                continue
            if label == "order":
                strategy.order(record)
            elif label == "execution":
                strategy.execution(record)
            elif record["symbol"] == symbol:
                strategy.quote(record)
    except KeyboardInterrupt:
        print("ending")
    finally:
        monitor.stop()
        thread.join()
        strategy.close()
        api.close()


if __name__ == "__main__":
    main()
