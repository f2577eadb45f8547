"""Ask a simulated TWS for orders with terms of their own with two ibapi clients.  Arguments: port, client id.

The market is 299.00 to 301.00 in IBM, and AAPL gathers for an auction at 200.00.  Prints one JSON object of what was
seen.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ibapi_program import Program, contract, order, run

IBM, AAPL = contract("IBM"), contract("AAPL")
SEEN: dict[str, Any] = {}


class Trader(Program):
    """One client that hands out its own ids."""

    def __init__(self, port: int, client_id: int) -> None:
        super().__init__(port, client_id)
        self.number = self.wait("nextValidId")[0] - 1
        self.wait("managedAccounts")

    def place(self, *terms: Any, on: Any = IBM, **more: Any) -> int:
        self.number += 1
        self.client.placeOrder(self.number, on, order(*terms, **more))
        return self.number

    def stands(self, number: int) -> None:
        self.wait("orderStatus", lambda order_id, status, *a: order_id == number and status == "Submitted")

    def told(self, number: int, test: Any = lambda o: True) -> list[Any]:
        """Return what the last openOrder says of an order, once one says it right."""
        self.wait("openOrder", lambda order_id, c, o, state: order_id == number and test(o))
        said = [o for order_id, c, o, state in self.all("openOrder") if order_id == number and test(o)][-1]
        least = said.minQty if said.minQty < 2**31 - 1 else None
        return [said.orderType, said.auxPrice, said.lmtPrice, said.hidden, said.allOrNone, least]

    def refused(self, number: int) -> list[Any]:
        words = self.wait("error", lambda order_id, *a: order_id == number)
        return [number for number in words if number in (105, 201, 321, 329)] + [str(words)]

    def round_trip(self) -> None:
        before = len(self.all("currentTime"))
        self.client.reqCurrentTime()
        self.wait("currentTime", lambda *a: len(self.all("currentTime")) > before)

    def executions(self, number: int, quantity: float) -> list[float]:
        self.wait("execDetails", lambda r, c, e: e.orderId == number and float(e.cumQty) == quantity)
        return [e.price for r, c, e in self.all("execDetails") if e.orderId == number]


def peg(one: Trader, two: Trader) -> None:
    mid = one.place("BUY", 100, "PEG MID")
    one.stands(mid)
    two.place("SELL", 40, "LMT", 300.0)
    SEEN["mid"] = [one.executions(mid, 40), one.told(mid)]
    one.cancel(mid)
    relative = one.place("BUY", 100, "REL", 299.5, 0.1, hidden=True)
    one.stands(relative)
    SEEN["relative"] = one.told(relative)
    one.client.placeOrder(relative, IBM, order("BUY", 100, "REL", 299.5, 0.2, hidden=True))
    SEEN["changed"] = one.told(relative, lambda o: o.auxPrice == 0.2)
    one.client.placeOrder(relative, IBM, order("BUY", 100, "LMT", 299.5, hidden=True))
    SEEN["type"] = one.refused(relative)
    market = one.place("BUY", 100, "PEG MKT", 299.75, 1.5)
    one.stands(market)
    SEEN["market"] = one.told(market)


def hide(one: Trader, two: Trader) -> None:
    two.client.reqMktData(50, IBM, "", False, False, [])
    two.client.reqMktDepth(51, IBM, 5, False, [])
    two.wait("updateMktDepth")
    hidden = one.place("BUY", 100, "LMT", 300.5, hidden=True)
    one.stands(hidden)
    two.round_trip()
    prices = {a[2] for a in two.all("tickPrice") if a[1] == 1} | {a[4] for a in two.all("updateMktDepth")}
    SEEN["seen"] = 300.5 in prices
    two.place("SELL", 100, "LMT", 300.5)
    SEEN["hidden"] = one.executions(hidden, 100)


def choose(one: Trader, two: Trader) -> None:
    whole = one.place("BUY", 100, "LMT", 300.0, allOrNone=True)
    least = one.place("BUY", 100, "LMT", 299.9, minQty=50)
    one.stands(least)
    small = two.place("SELL", 49, "LMT", 299.9)
    two.stands(small)
    two.cancel(small)
    two.wait("orderStatus", lambda number, status, *a: number == small and status == "Cancelled")
    SEEN["whole"], SEEN["least"] = one.told(whole), one.told(least)
    two.place("SELL", 100, "LMT", 300.0)
    SEEN["all"] = one.executions(whole, 100)
    two.place("SELL", 60, "LMT", 299.9)
    SEEN["enough"] = one.executions(least, 60)


def become(one: Trader, two: Trader) -> None:
    offer = two.place("SELL", 30, "LMT", 300.5)
    two.stands(offer)
    to_limit = one.place("BUY", 100, "MTL")
    SEEN["to_limit"] = [one.executions(to_limit, 30), one.told(to_limit, lambda o: o.lmtPrice > 0)]


def be_refused(one: Trader) -> None:
    SEEN["refused"] = [
        one.refused(one.place("BUY", 100, "PEG BEST")),
        one.refused(one.place("BUY", 100, "REL", percentOffset=0.5)),
        one.refused(one.place("BUY", 100, "LMT", 200.0, hidden=True, displaySize=10)),
    ]


def gather(one: Trader) -> None:
    ticks = {"tickPrice": (35,), "tickSize": (34, 36, 61)}

    def values(ended: float) -> dict[int, float]:
        one.wait("tickSize", lambda r, kind, size: (r, kind, float(size)) == (60, 61, ended))
        return {a[1]: float(a[2]) for name, kinds in ticks.items() for a in one.all(name) if a[1] in kinds}

    one.client.reqMktData(60, AAPL, "225", False, False, [])
    first = values(-50.0)
    one.place("BUY", 70, "LMT", 200.0, on=AAPL)
    SEEN["auction"] = [first, values(20.0)]


def main() -> None:
    port, client_id = int(sys.argv[1]), int(sys.argv[2])
    one, two = Trader(port, client_id), Trader(port, client_id + 1)
    SEEN["version"] = one.client.serverVersion()
    peg(one, two)
    hide(one, two)
    choose(one, two)
    become(one, two)
    be_refused(one)
    gather(one)
    for trader in (one, two):
        trader.client.disconnect()
        trader.thread.join(5)
    SEEN["failure"] = [repr(t.failure) for t in (one, two) if t.failure is not None]
    print(json.dumps(SEEN))


run(main)
