"""An ibapi client with its own threads that keeps what it is told, for the scripts beside it."""

from __future__ import annotations

import inspect
import logging
import os
import sys
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.order import Order
from ibapi.wrapper import EWrapper

__all__ = ["HAS_CANCEL_OBJECT", "Program", "contract", "order", "run"]

logging.getLogger().setLevel(logging.CRITICAL)  # its own INFO level formats every message
HAS_CANCEL_OBJECT = len(inspect.signature(EClient.cancelOrder).parameters) > 2


class Wrapper(EWrapper):
    """Keeps every callback's arguments under its name."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self.condition = threading.Condition()

    def note(self, name: str, *arguments: Any) -> None:
        with self.condition:
            self.calls[name].append(arguments)
            self.condition.notify_all()


def _record(name: str) -> Any:
    def call(self: Wrapper, *arguments: Any, **named: Any) -> None:
        self.note(name, *arguments, *named.values())

    return call


for _name, _method in inspect.getmembers(EWrapper, inspect.isfunction):
    if not _name.startswith("_") and not _name.endswith("ProtoBuf"):
        setattr(Wrapper, _name, _record(_name))


class Program:
    def __init__(self, port: int, client_id: int) -> None:
        self.wrapper = Wrapper()
        self.client = EClient(self.wrapper)
        self.failure: BaseException | None = None
        self.client.connect("127.0.0.1", port, client_id)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        try:
            self.client.run()
        except BaseException as e:  # noqa: BLE001
            # Its decoder's exceptions end its loop: they are what this script looks for.
            self.failure = e

    def wait(self, name: str, test: Any = lambda *arguments: True, seconds: float = 10.0) -> tuple[Any, ...]:
        calls = self.wrapper.calls
        deadline = time.monotonic() + seconds
        with self.wrapper.condition:
            while True:
                for arguments in calls[name]:
                    if test(*arguments):
                        return arguments
                if self.failure is not None:
                    raise self.failure
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"{name} did not come; errors: {calls['error']}")
                self.wrapper.condition.wait(min(left, 0.2))

    def cancel(self, number: int) -> None:
        if HAS_CANCEL_OBJECT:
            from ibapi.order_cancel import OrderCancel

            self.client.cancelOrder(number, OrderCancel())
        else:
            self.client.cancelOrder(number)

    def all(self, name: str) -> list[tuple[Any, ...]]:
        return self.wrapper.calls[name]


def contract(symbol: str, kind: str = "STK", exchange: str = "SMART", **more: Any) -> Contract:
    made = Contract()
    made.symbol, made.secType, made.exchange, made.currency = symbol, kind, exchange, "USD"
    for name, value in more.items():
        setattr(made, name, value)
    return made


def order(action: str, quantity: int, kind: str, price: float = 0.0, stop: float = 0.0, **more: Any) -> Order:
    made = Order()
    made.action, made.totalQuantity, made.orderType = action, quantity, kind
    made.lmtPrice, made.auxPrice = price, stop
    made.eTradeOnly = made.firmQuoteOnly = False
    made.account = "DU1000001"
    for name, value in more.items():
        setattr(made, name, value)
    return made


def run(main: Callable[[], None]) -> None:
    """Run a script; its clients' threads would keep the process alive: say what happened and go."""
    try:
        main()
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
