"""The monitor against a scripted line server on a real socket."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import pytest

import txtrader.monitor
from txtrader.client import Monitor
from txtrader.errors import (
    GatewayUnavailable,
    InvalidArgument,
    LocalProtocolError,
    RemoteProtocolError,
    Unauthenticated,
)


class Run:
    """A monitor in a thread; what its callbacks were called with is in `seen`."""

    def __init__(self, port: int, *names: str, callbacks: dict[str, Any] | None = None, **options: Any) -> None:
        self.seen: Queue[tuple[str, Any]] = Queue()
        self.outcome: Any = None
        registered = dict.fromkeys(names, self.note) | (callbacks or {})
        given = {"reconnect_min": 0.01, "reconnect_max": 0.02, "random_source": random.Random(1)} | options
        self.monitor = Monitor("127.0.0.1", port, "alice", "s3cret", callbacks=registered, **given)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def note(self, label: str, data: Any) -> bool:
        self.seen.put((label, data))
        return True

    def next(self) -> tuple[str, Any]:
        return self.seen.get(timeout=10)

    def _run(self) -> None:
        try:
            self.outcome = self.monitor.run()
        except Exception as error:  # noqa: BLE001  # the test looks at it
            self.outcome = error

    def end(self) -> Any:
        self.thread.join(10)
        assert not self.thread.is_alive()
        return self.outcome


@pytest.fixture
def start(line_gateway: Any) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def make(*names: str, **options: Any) -> Run:
        runs.append(Run(line_gateway.port, *names, **options))
        return runs[-1]

    yield make
    for run in runs:
        run.monitor.stop()
        run.thread.join(10)


def event(seq: int, *, prev: int | None = None, epoch: str = "e1", channel: str = "order", **data: Any) -> str:
    record = {"id": f"TX-{seq}", **data, "epoch": epoch, "channel": channel, "seq": seq}
    record |= {"prev": seq - 1 if prev is None else prev, "tag": f"t{seq}"}
    return f"tws.{channel}.TX-{seq}: {json.dumps(record)}"


def head(seq: int, epoch: str = "e1") -> dict[str, Any]:
    return {"epoch": epoch, "seq": seq, "tag": f"t{seq}"}


def test_both_names_are_one_class() -> None:
    assert txtrader.monitor.Monitor is Monitor


def test_callbacks_get_the_text_after_the_prefix_and_the_label_as_registered(start: Any, line_gateway: Any) -> None:
    run = start("Quote", "order_data", "STATUS", "error", "*")
    client = line_gateway.accept().log_in()
    client.say('tws.quote.ES:202612@CME: {"bid":1.25}', 'tws.connection-status-changed: {"status":"Up"}')
    client.say('tws.order.TX-1: {"id":"TX-1"}', ".error not-found: no such symbol")
    seen = [run.next() for _ in range(10)]
    assert [text for label, text in seen if label == "*"][:2] == [".connected: TWS Gateway", ".Authorized tws"]
    assert [pair for pair in seen if pair[0] != "*"] == [
        ("Quote", 'ES:202612@CME: {"bid":1.25}'),
        ("STATUS", "Up"),
        ("order_data", '{"id":"TX-1"}'),
        ("error", "not-found: no such symbol"),
    ]


def test_parse_gives_records(start: Any, line_gateway: Any) -> None:
    run = start("quote", "trade", "error", "time", parse=True)
    client = line_gateway.accept().log_in()
    client.say(
        'tws.quote.IBM: {"bid":1.25,"ask":null}', "tws.trade.IBM:125.0 100 123456", ".error throttled: slow down"
    )
    client.say("tws.time: 2026-11-20 14:31:00")
    assert run.next() == ("quote", {"bid": 1.25, "ask": None})
    assert run.next() == ("trade", {"symbol": "IBM", "mode": "tws", "last": 125.0, "size": 100, "volume": 123456})
    assert run.next() == ("error", {"code": "throttled", "message": "slow down"})
    assert run.next() == ("time", "2026-11-20 14:31:00")


def test_a_false_result_ends_run_and_none_does_not(start: Any, line_gateway: Any) -> None:
    ends: list[Any] = []
    answers = {"A": None, "B": False}
    run = start(
        callbacks={
            "quote": lambda label, data: answers[data["symbol"]],
            "shutdown": lambda label, data: ends.append(data),
        },
        parse=True,
    )
    client = line_gateway.accept().log_in()
    client.say('tws.quote.A: {"symbol":"A"}', 'tws.quote.B: {"symbol":"B"}', 'tws.quote.C: {"symbol":"C"}')
    assert run.end() == "callback quote"
    assert ends == ["callback quote"]
    assert client.hear() == "quit"


def test_stop_from_another_thread_ends_it_at_once_in_every_state(start: Any, line_gateway: Any) -> None:
    listening = start("connection")
    line_gateway.accept().log_in()
    while listening.next()[1] != "CONNECTED":
        pass
    listening.monitor.stop()
    assert listening.end() == "stop"

    greeting = start("connection")
    line_gateway.accept()
    while greeting.next()[1] != "CONNECT_PENDING":
        pass
    greeting.monitor.stop()
    assert greeting.end() == "stop"

    waiting = start("connection", reconnect_min=60.0, reconnect_max=60.0)
    line_gateway.accept().close()
    while waiting.next()[1] != "FAILED":
        pass
    waiting.monitor.stop()
    assert waiting.end() == "stop"


def test_the_states_are_told(start: Any, line_gateway: Any) -> None:
    run = start("connection")
    client = line_gateway.accept().log_in()
    words = [run.next()[1] for _ in range(3)]
    client.close()
    client = line_gateway.accept().log_in()
    words += [run.next()[1] for _ in range(4)]
    run.monitor.disconnect()
    assert run.end() == "disconnect"
    words += [run.next()[1] for _ in range(3)]
    assert words == [
        *("CONNECTING", "CONNECT_PENDING", "CONNECTED", "DISCONNECTED"),
        *("CONNECTING", "CONNECT_PENDING", "CONNECTED"),
        *("DISCONNECT_PENDING", "DISCONNECTED", "SHUTDOWN"),
    ]
    assert client.hear() == "quit"


def test_it_resumes_after_the_last_event_that_it_saw(start: Any, line_gateway: Any) -> None:
    run = start("order", parse=True)
    client = line_gateway.accept().log_in(order=head(40), status=head(7))
    assert client.login["sequence"] is True
    assert "resume" not in client.login
    client.say(event(41))
    assert run.next()[1]["seq"] == 41
    client.close()
    client = line_gateway.accept().log_in(order=head(43), status=head(7))
    assert client.login["resume"] == {"order": head(41), "status": head(7)}
    client.say('.resumed order: {"from":42,"to":43}', event(42), event(43), event(43), event(44))
    assert [run.next()[1]["seq"] for _ in range(3)] == [42, 43, 44]
    assert run.monitor.positions["order"] == head(44)


def test_a_gap_is_noticed_and_asked_for(start: Any, line_gateway: Any) -> None:
    run = start("order", parse=True)
    client = line_gateway.accept().log_in(order=head(0))
    client.say(event(1), event(4), event(5))
    assert run.next()[1]["seq"] == 1
    assert client.hear() == "resume e1 order 1 t1"
    client.say('.resumed order: {"from":2,"to":5}', event(2), event(3), event(4), event(5), event(9, prev=5))
    assert [run.next()[1]["seq"] for _ in range(5)] == [2, 3, 4, 5, 9]


def test_a_snapshot_tells_the_state_as_events(start: Any, line_gateway: Any) -> None:
    run = start("order", "error")
    client = line_gateway.accept().log_in(order=head(5))
    client.say(".error epoch-mismatch: another journal")
    snapshot = {"as_of": head(9, "e2"), "orders": {"TX-8": {"id": "TX-8", "avgfillprice": 1.5}}}
    client.say(f"tws.snapshot.order: {json.dumps(snapshot)}", event(10, epoch="e2"))
    assert run.next() == ("error", "epoch-mismatch: another journal")
    assert run.next() == ("order", 'TX-8: {"id": "TX-8", "avgfillprice": 1.5}')
    assert run.next()[1].startswith("TX-10: ")
    assert run.monitor.positions["order"] == head(10, "e2")


def test_who_registers_snapshot_gets_it_whole(start: Any, line_gateway: Any) -> None:
    run = start("order", "snapshot", parse=True)
    client = line_gateway.accept().log_in()
    client.say('tws.snapshot.order: {"as_of":{"epoch":"e","seq":1,"tag":"t"},"orders":{"TX-8":{"id":"TX-8"}}}')
    assert run.next()[0] == "snapshot"
    assert run.seen.empty()


def test_added_symbols_are_added_again(start: Any, line_gateway: Any) -> None:
    run = start("connection")
    client = line_gateway.accept().log_in()
    while run.next()[1] != "CONNECTED":
        pass
    for line in ("add IBM", "add ^SPX@CBOE", "add MSFT", "del MSFT", "orders"):
        run.monitor.send(line)
    assert [client.hear() for _ in range(5)] == ["add IBM", "add ^SPX@CBOE", "add MSFT", "del MSFT", "orders"]
    client.close()
    client = line_gateway.accept().log_in()
    assert [client.hear() for _ in range(2)] == ["add IBM", "add ^SPX@CBOE"]


def test_a_command_needs_the_connection(line_gateway: Any) -> None:
    monitor = Monitor("127.0.0.1", line_gateway.port, "alice", "s3cret")
    monitor.send("add IBM")
    with pytest.raises(GatewayUnavailable):
        monitor.send("marketorder IBM 100")
    with pytest.raises(LocalProtocolError):
        monitor.send("add IBM\nmarketorder IBM 100")


def test_connect_send_and_listen_work_one_by_one(line_gateway: Any) -> None:
    seen: list[tuple[str, Any]] = []

    def note(label: str, data: Any) -> bool:
        seen.append((label, data))
        return len(seen) < 2

    script = threading.Thread(target=lambda: _answer_orders(line_gateway))
    script.start()
    monitor = Monitor("127.0.0.1", str(line_gateway.port), "alice", "s3cret", {"orders": note, "pong": note})
    monitor.connect()
    assert monitor.state == "CONNECTED"
    monitor.send("orders")
    assert monitor.listen() == "callback pong"
    script.join()
    assert seen == [("orders", '{"TX-1":{}}'), ("pong", "")]


def _answer_orders(line_gateway: Any) -> None:
    client = line_gateway.accept().log_in()
    assert client.hear() == "orders"
    client.say('tws.orders: {"TX-1":{}}', ".pong")


def test_a_refused_login_is_raised_at_once(start: Any, line_gateway: Any) -> None:
    run = start()
    client = line_gateway.accept()
    client.say(".connected: TWS Gateway")
    client.hear()
    client.say(".Authorization required!")
    assert isinstance(run.end(), Unauthenticated)
    assert run.monitor.state == "SHUTDOWN"


def test_a_wrong_option_is_raised_and_not_tried_again(start: Any, line_gateway: Any) -> None:
    run = start(options={"chanels": []})
    client = line_gateway.accept()
    client.say(".connected: TWS Gateway")
    client.hear()
    client.say(".error invalid-argument: chanels: unknown option")
    assert isinstance(run.end(), InvalidArgument)


def test_what_is_no_gateway_is_told(line_gateway: Any) -> None:
    monitor = Monitor("127.0.0.1", line_gateway.port, "alice", "s3cret")
    script = threading.Thread(target=lambda: line_gateway.accept().say("SSH-2.0-OpenSSH_9.2"))
    script.start()
    with pytest.raises(RemoteProtocolError, match="SSH"):
        monitor.connect()
    script.join()
    assert monitor.state == "FAILED"


def test_without_reconnection_the_end_of_the_connection_is_the_end(start: Any, line_gateway: Any) -> None:
    run = start(reconnect=False)
    line_gateway.accept().log_in().close()
    assert run.end() == "the gateway closed the connection"


def test_the_error_of_a_callback_is_the_programs_and_ends_run(start: Any, line_gateway: Any) -> None:
    def fail(label: str, data: Any) -> None:
        raise ConnectionResetError("not the gateway's")

    run = start(callbacks={"quote": fail})
    client = line_gateway.accept().log_in()
    client.say("tws.quote.IBM: {}")
    assert isinstance(run.end(), ConnectionResetError)
    assert client.hear() == "quit"


def test_the_silent_types_are_not_asked_for(start: Any, line_gateway: Any) -> None:
    seen: list[str] = []
    start(callbacks={"quote": None, "trade": None, "order": lambda label, data: seen.append(data)})
    login = line_gateway.accept().log_in().login
    assert login["channels"] == ["order", "execution", "account", "status", "time"]
    assert login["heartbeat"] == 10


def test_the_words_of_2015_pass_as_they_are(start: Any, line_gateway: Any) -> None:
    run = start("time", options="legacy noquotes", parse=True)
    client = line_gateway.accept().log_in()
    assert client.login == "legacy noquotes"
    client.say("tws.time: 2026-11-20 14:31:00")
    assert run.next() == ("time", "2026-11-20 14:31:00")


def test_the_options_of_2020_are_said_in_our_words(start: Any, line_gateway: Any) -> None:
    start(options={"order-notification": True, "quotes": 0, "SYMBOL_FIELDS": ["BID"], "heartbeat": 5})
    login = line_gateway.accept().log_in().login
    assert login == {"channels": ["order", "account", "status", "time"], "heartbeat": 5, "sequence": True}


def test_a_derived_class_overrides_what_it_wants(line_gateway: Any) -> None:
    class Mine(Monitor):
        def on_order(self, label: str, data: Any) -> bool:
            self.order = data
            return False

    monitor = Mine("127.0.0.1", line_gateway.port, "alice", "s3cret", parse=True)
    script = threading.Thread(target=lambda: line_gateway.accept().log_in().say(event(1, text="Buy 1 IBM (New)")))
    script.start()
    assert monitor.run() == "callback order"
    script.join()
    assert monitor.order["text"] == "Buy 1 IBM (New)"


def test_ticks_come_in_between(start: Any, line_gateway: Any) -> None:
    run = start("tick", parse=True)
    line_gateway.accept().log_in()
    run.monitor.set_tick_interval(0.01)
    assert [run.next()[1] for _ in range(3)] == [1, 2, 3]
    run.monitor.stop_ticker()


def test_a_silent_gateway_is_left(start: Any, line_gateway: Any) -> None:
    start(options={"heartbeat": 0.1})
    line_gateway.accept().log_in()
    line_gateway.accept().log_in()  # comes only because the first one was left


def test_callbacks_can_be_changed() -> None:
    monitor = Monitor("127.0.0.1", 1, "alice", "s3cret")
    monitor.set_callbacks({"Quote": None})
    monitor.delete_callback("quote")
    assert not monitor._callbacks.silenced
    with pytest.raises(TypeError):
        monitor.set_callback("quote", "print")  # type: ignore[arg-type]
