"""The live view: quotes, orders, positions and the last events on one screen, or as lines where there is no screen."""

from __future__ import annotations

import contextlib
import queue
import select
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from txtrader.client.events import Line
from txtrader.client.monitor import Monitor
from txtrader.client.output import to_text
from txtrader.model.order import TERMINAL_STATUSES

__all__ = ["Picture", "watch"]

_FRAMES = 5  # a second: more than an eye can read
_LOG = 200  # events that are kept
_ENDED = 20  # ended orders that stay in sight
_NO_MARKET = frozenset({"quote", "trade", "time"})

Make = Callable[[dict[str, Callable[[str, Any], Any]]], Monitor]


class Picture:
    """What the screen shows; `take` one line after another."""

    def __init__(self) -> None:
        self.status = "?"
        self.connection = "CONNECTING"
        self.mode = ""
        self.time = ""
        self.quotes: dict[str, dict[str, Any]] = {}
        self.moves: dict[str, int] = {}  # symbol: +1 after a rise of the last price, -1 after a fall
        self.orders: dict[str, dict[str, Any]] = {}
        self.positions: dict[tuple[str, str], dict[str, Any]] = {}
        self._said: dict[str, str] = {}  # order id: what was last said of it
        self.log: deque[tuple[str, str, str]] = deque(maxlen=_LOG)

    def take(self, line: Line) -> str | None:
        """Take a line in; return it in words for the log, None when it is not worth one."""
        data = line.payload(decimals=True)
        if line.is_reply:
            return self._take_reply(line, data)
        words: str | None = None
        if line.type in ("quote", "trade") and isinstance(data, dict):
            self._take_market(str(line.key or data.get("symbol")), data)
        elif line.type == "symbol" and isinstance(data, dict):
            self._take_market(str(data.get("symbol")), data)
        elif line.type in ("order", "ticket") and isinstance(data, dict):
            words = self._take_order(data)
        elif line.type == "orders" and isinstance(data, dict):
            for record in data.values():
                self._take_order(record)
        elif line.type == "execution" and isinstance(data, dict):
            words = _execution_words(data)
        elif line.type == "position" and isinstance(data, dict):
            self.positions[str(data.get("account")), str(data.get("symbol"))] = data
        elif line.type == "connection-status-changed" and isinstance(data, dict):
            self.status = str(data.get("status"))
            words = " ".join(to_text(data.get(name)) for name in ("status", "reason") if data.get(name))
        elif line.type == "time":
            self.time = str(data.get("time")) if isinstance(data, dict) else str(data)
        elif line.type in ("error", "warning") and isinstance(data, dict):
            words = " ".join(to_text(data.get(name)) for name in ("broker_code", "symbol", "message") if data.get(name))
        elif line.type not in ("account", "accounts", "current-account", "symbols"):
            words = line.after_prefix
        return None if words is None else self._log(line.type, words)

    def _take_reply(self, line: Line, data: Any) -> str | None:
        if line.type == "status":
            self.status = line.text
        elif line.type == "Authorized":
            self.mode = line.text
        elif line.type == "result" and line.key == "query_positions" and isinstance(data, dict):
            self._take_positions(data)
        elif line.type == "error":
            return self._log("error", line.after_prefix)
        return None

    def _take_market(self, symbol: str, data: Mapping[str, Any]) -> None:
        known = self.quotes.setdefault(symbol, {})
        before, last = known.get("last"), data.get("last")
        if before is not None and last is not None and before != last:
            self.moves[symbol] = 1 if last > before else -1
        known.update({name: value for name, value in data.items() if value is not None or name in ("bid", "ask")})

    def _take_order(self, data: dict[str, Any]) -> str | None:
        """Take an order in; return what there is to say of it, None when nobody would see a difference."""
        id = str(data.get("id"))
        known = self.orders.get(id)
        if known is None or str(data.get("update_time") or "") >= str(known.get("update_time") or ""):
            self.orders.pop(id, None)  # the one that changed last stands last
            self.orders[id] = data
        ended = [key for key, order in self.orders.items() if order.get("status") in TERMINAL_STATUSES]
        for key in ended[:-_ENDED]:
            del self.orders[key]
            self._said.pop(key, None)
        told = (data.get("text") or id, data.get("errorMsg") or data.get("warning"))
        words = " ".join(str(part) for part in told if part)
        is_news = words != self._said.get(id)
        self._said[id] = words
        return words if is_news else None

    def _take_positions(self, data: Mapping[str, Any]) -> None:
        self.positions = {
            (account, str(record.get("symbol"))): record for account, records in data.items() for record in records
        }

    def _log(self, type: str, words: str) -> str:
        self.log.append((time.strftime("%H:%M:%S"), type, words))
        return f"{type}: {words}"


def watch(make: Make, symbols: tuple[str, ...], *, is_plain: bool) -> None:
    """Show until q, Ctrl-C or SIGTERM; raises what ends the monitor with an error."""
    lines: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
    picture = Picture()

    def on_connection(label: str, state: str) -> None:
        picture.connection = state
        if state == "CONNECTED":  # what stands now; what changes comes by itself
            for command in ("status", "query_positions true", "orders"):
                monitor.send(command)

    monitor = make({"*": lambda label, line: lines.put(line), "connection": on_connection})
    for symbol in symbols:
        monitor.send(f"add {symbol}")
    failure: list[BaseException] = []

    def run() -> None:
        try:
            monitor.run()
        except BaseException as error:  # noqa: BLE001  # carried over to the thread that waits, whatever it is
            failure.append(error)
        finally:
            lines.put(None)

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    thread = threading.Thread(target=run, name="monitor")
    thread.start()
    try:
        (_print_lines if is_plain else _draw)(picture, lines)
    except KeyboardInterrupt:
        pass  # Ctrl-C and SIGTERM are ways to end it
    finally:
        monitor.stop()
        thread.join()
        signal.signal(signal.SIGTERM, before)
    if failure:
        raise failure[0]


def _print_lines(picture: Picture, lines: queue.SimpleQueue[Line | None]) -> None:
    while (line := lines.get()) is not None:
        words = picture.take(line)
        if line.type in ("quote", "trade") and not line.is_reply:
            words = f"{line.type}: {line.key} " + _market_words(line.payload(decimals=True))
        if words is not None:
            print(time.strftime("%H:%M:%S"), words, flush=True)


def _draw(picture: Picture, lines: queue.SimpleQueue[Line | None]) -> None:
    from rich.live import Live

    from txtrader.client.watch_screen import screen_of

    with _single_keys() as is_quit, Live(screen_of(picture, 80), auto_refresh=False, screen=True) as live:
        while True:
            until = time.monotonic() + 1 / _FRAMES
            while (left := until - time.monotonic()) > 0:
                try:
                    line = lines.get(timeout=left)
                except queue.Empty:
                    break
                if line is None:
                    return
                picture.take(line)
            live.update(screen_of(picture, live.console.width), refresh=True)
            if is_quit():
                return


@contextlib.contextmanager
def _single_keys() -> Iterator[Callable[[], bool]]:
    """Let the terminal hand over single keys; yields a function that tells whether q was pressed."""
    if not sys.stdin.isatty():
        yield lambda: False
        return
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield lambda: bool(select.select([descriptor], [], [], 0)[0]) and sys.stdin.read(1) in ("q", "Q", "\x04", "")
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _market_words(data: Any) -> str:
    if not isinstance(data, dict):
        return str(data)
    names = ("bid", "bidsize", "ask", "asksize", "last", "size", "volume")
    return " ".join(f"{name} {to_text(data[name])}" for name in names if data.get(name) is not None)


def _execution_words(data: Mapping[str, Any]) -> str:
    shares: Any = data.get("shares")
    price: Any = data.get("price")
    words = f"{data.get('action')} {to_text(shares)} {data.get('symbol')} at {to_text(price)}"
    commission = data.get("commission")
    return f"{words}, commission {to_text(commission)}" if isinstance(commission, (Decimal, int, float)) else words
