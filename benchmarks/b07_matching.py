"""Matching: orders and cancels of the 70/20/10 flow through the book, every event told, against other engines.

The opponents tell less: their trades only.  Volume and notional have to be the same, else the run is void.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from benchmarks.harness import Result, Target, Void, compare
from tests.exsim.exsim_flow import LeastBook, make_flow
from txtrader.exsim.book import Book, BookOrder
from txtrader.exsim.matching import Apart, Matching

OPERATIONS = 100_000

Flow = list[tuple[Any, ...]]
Totals = tuple[int, int]


class _Sink:
    """Takes every event as a record: executions with both orders, what rests, what is dropped."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def executed(self, aggressor: BookOrder, resting: BookOrder, price: int, quantity: int) -> None:
        self.events.append((aggressor.number, resting.number, price, quantity))

    def rested(self, order: BookOrder) -> None:
        self.events.append((order.number, order.price, order.leaves))

    def dropped(self, order: BookOrder, reason: Any, apart: Apart | None = None) -> None:
        self.events.append((order.number, reason))

    def lessened(self, order: BookOrder, lots: int, apart: Apart | None = None) -> None:
        self.events.append((order.number, lots))

    def asked(self, aggressor: BookOrder, resting: BookOrder, price: int, quantity: int) -> None:
        self.events.append((aggressor.number, resting.number, price))


def ours(flow: Flow) -> tuple[float, Totals]:
    sink = _Sink()
    matching = Matching(Book(), sink)
    orders: dict[int, BookOrder] = {}
    start = time.perf_counter()
    for operation in flow:
        if operation[0] == "A":
            _, number, side, price, quantity = operation
            order = orders[number] = BookOrder(number, -1 if side else 1, price, quantity)
            matching.enter(order)
        else:
            matching.cancel(orders[operation[1]])
            sink.events.append((operation[1], "canceled"))
    took = time.perf_counter() - start
    trades = [event for event in sink.events if len(event) == 4]
    return took, (sum(trade[3] for trade in trades), sum(trade[2] * trade[3] for trade in trades))


def least(flow: Flow) -> tuple[float, Totals]:
    book = LeastBook()
    start = time.perf_counter()
    for operation in flow:
        if operation[0] == "A":
            book.add(*operation[1:])
        else:
            book.cancel(operation[1])
    return time.perf_counter() - start, (book.volume, book.notional)


def lightmatchingengine(flow: Flow) -> tuple[float, Totals]:
    module = importlib.import_module("lightmatchingengine.lightmatchingengine")
    engine, buy, sell = module.LightMatchingEngine(), module.Side.BUY, module.Side.SELL
    ids: dict[int, int] = {}
    trades: list[tuple[int, Any]] = []
    start = time.perf_counter()
    for operation in flow:
        if operation[0] == "A":
            _, number, side, price, quantity = operation
            order, made = engine.add_order("X", price, quantity, sell if side else buy)
            ids[number] = order.order_id
            trades += [(order.order_id, trade) for trade in made]
        else:
            engine.cancel_order(ids[operation[1]], "X")
    took = time.perf_counter() - start
    passive = [trade for own, trade in trades if trade.order_id != own]
    return took, (sum(t.trade_qty for t in passive), sum(t.trade_qty * t.trade_price for t in passive))


def pyorderbook(flow: Flow) -> tuple[float, Totals]:
    module = importlib.import_module("pyorderbook")
    book, ids, blotters = module.Book(), {}, []
    start = time.perf_counter()
    for operation in flow:
        if operation[0] == "A":
            _, number, side, price, quantity = operation
            order = ids[number] = (module.ask if side else module.bid)("X", price, quantity)
            blotters.append(book.match(order))
        else:
            book.cancel(ids[operation[1]])
    took = time.perf_counter() - start
    trades = [trade for blotter in blotters for trade in blotter.trades]
    return took, (
        int(sum(trade.fill_quantity for trade in trades)),
        int(sum(trade.fill_quantity * trade.fill_price for trade in trades)),
    )


def bourse(flow: Flow) -> tuple[float, Totals]:
    module = importlib.import_module("bourse")
    book = module.core.OrderBook(0, 1, True)
    ids: dict[int, int] = {}
    start = time.perf_counter()
    for now, operation in enumerate(flow):
        book.set_time(now)  # orders of one price and one instant would be one to it
        if operation[0] == "A":
            _, number, side, price, quantity = operation
            ids[number] = book.place_order(not side, quantity, 0, price=price)
        else:
            book.cancel_order(ids[operation[1]])
    took = time.perf_counter() - start
    trades = book.get_trades()
    return took, (sum(trade[3] for trade in trades), sum(trade[2] * trade[3] for trade in trades))


def run(rounds: int = 5) -> list[Result]:
    """Measure each opponent on the same operations as ours, alternately."""
    results: list[Result] = []
    engines: tuple[tuple[str, Callable[[Flow], tuple[float, Totals]], Target, str], ...] = (
        ("least", least, Target(), "the least book that one would write: no events, no order types"),
        ("lightmatchingengine", lightmatchingengine, Target(at_least=2.0), "pure Python; its trades only"),
        ("pyorderbook", pyorderbook, Target(at_least=2.0), "pure Python; its trades only"),
        ("bourse", bourse, Target(at_least=0.5), "compiled (Rust); its trades only"),
    )
    for name, engine, target, what in engines:
        flow, book = make_flow(OPERATIONS)
        wanted = (book.volume, book.notional)

        def side(
            play: Callable[[Flow], tuple[float, Totals]], flow: Flow = flow, wanted: Totals = wanted
        ) -> dict[str, float]:
            took, totals = play(flow)
            if totals != wanted:
                raise Void(f"volume and notional are {totals}, not {wanted}")
            return {"value": len(flow) / took}

        label = name if name == "least" else f"{name} {version(name)}"
        results += compare(
            f"B7 {name}",
            "matching, all events told",
            ours=lambda: side(ours),
            theirs=lambda: side(engine),  # noqa: B023
            targets={"value": target},
            unit="operations/s",
            ours_are="Book and Matching with a sink that keeps every event",
            theirs_are=f"{label}: {what}",
            parameters={"operations": OPERATIONS, "seed": 7},
            rounds=rounds,
        )
    return results
