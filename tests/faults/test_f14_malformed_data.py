"""F14 (H02 H27): sentinels, nonsense and garbage from the broker are neither published nor fatal."""

from __future__ import annotations

import pytest
import pytest_twisted

from txtrader.model.order import Side
from txtrader.testing.frames import tws_fields

ORDER = {"symbol": "IBM", "side": "BUY", "quantity": 100, "type": "Limit", "limit_price": "99.50", "tif": "GTC"}


def frame(*fields: object) -> bytes:
    body = "".join(f"{field}\0" for field in fields).encode("utf-8", "surrogatepass")
    return len(body).to_bytes(4, "big") + body


def inject(stage, *frames: bytes) -> None:
    """Send frames to the daemon as if the broker had."""

    def write() -> None:
        for one in frames:
            stage.proxy.pairs[0].client.transport.write(one)

    stage.do(write)


def line_of(stage, daemon, client) -> str:
    """Subscribe, and return the request id of the line."""
    seen: list[str] = []

    def tap(piece: bytes) -> None:
        fields = tws_fields(piece)
        if fields[:1] == ["1"]:
            seen.append(fields[2])

    stage.do(stage.proxy.upstream_taps.append, tap)
    client.call("add_symbol", "IBM")
    daemon.wait(lambda: seen, 10, "the line is asked for")
    return seen[-1]


SENTINELS = ["-1", "-1.0", "0", "", "1.7976931348623157E308", "nan", "Infinity", "-100.0", "1e400", "2147483647"]


@pytest_twisted.ensureDeferred
async def test_sentinels_are_never_published_as_prices(play):
    def script(stage):
        daemon = stage.start_daemon()
        with stage.client(daemon, {"channels": ["quote", "trade"]}) as client:
            line = line_of(stage, daemon, client)
            stage.submit(Side.BUY, 100, "99.00")
            stage.submit(Side.SELL, 100, "101.00")
            daemon.wait(lambda: client.call("query_symbol", "IBM")["ask"] == 101, 10, "a quote")
            for value in SENTINELS:
                for kind in ("1", "2", "4", "9"):
                    inject(stage, frame("1", "6", line, kind, value, "100", "0"))
            client.call("time")  # a round trip: all of it was read
            record = client.call("query_symbol", "IBM")
            for name in ("bid", "ask", "last", "close"):
                assert record[name] is None or 0 < record[name] < 10_000, (name, record)
            for event in client.events:
                for name in ("bid", "ask", "last"):
                    value = event.data.get(name)
                    assert value is None or 0 < value < 10_000, event
            assert client.call("status") == "Up"
        assert daemon.terminate() == 0

    await play(script)


NONSENSE = [
    frame("99999", "1", "2"),  # a message nobody knows
    frame("1", "6"),  # too short
    frame("3", "not a number", "Filled", "x", "y"),
    frame("5", *["x"] * 30),
    frame("11", *[""] * 40),
    frame("4", "2", "-1", "2104"),
    frame("4", "2", "-1", "77777", "an error code nobody knows \x1b[2J \u2028"),
    frame("9", "1", "-5"),  # an id below zero
    frame("61", "3", "", "", "", "", "", "", "", "", "", "", "", "", "nan", ""),
    frame(""),
    b"\0\0\0\0",  # a frame of nothing
]


@pytest_twisted.ensureDeferred
async def test_nonsense_is_survived_and_the_link_works_on(play):
    def script(stage):
        daemon = stage.start_daemon()
        with stage.client(daemon) as client:
            first = client.call("submit_order", {**ORDER, "client_order_id": "before"})
            inject(stage, *NONSENSE)
            daemon.wait(lambda: client.call("status") == "Up", 15, "still up, or up again")
            second = client.call("submit_order", {**ORDER, "client_order_id": "after"})
            assert second["status"] == "New"
            assert client.call("query_order", first["id"])["status"] == "New"
        assert daemon.terminate() == 0
        assert "Unhandled" not in "\n".join(daemon.lines)
        stage.check(daemon)

    await play(script)


WARNINGS = (399, 404, 2100, 2102, 2109, 2137, 2148, 10349, 105, 2188)


@pytest_twisted.ensureDeferred
async def test_a_warning_that_carries_an_orders_id_never_ends_the_order(play):
    """H02: each of these has ended orders in programs that took any error for the end."""

    def script(stage):
        daemon = stage.start_daemon()
        numbers: list[str] = []
        stage.do(
            stage.proxy.upstream_taps.append,
            lambda piece: numbers.append(tws_fields(piece)[1]) if tws_fields(piece)[:1] == ["3"] else None,
        )
        with stage.client(daemon, {"channels": ["order"]}) as client:
            record = client.call("submit_order", ORDER)
            for code in WARNINGS:
                inject(stage, frame("4", "2", numbers[-1], code, f"remark {code}"))
            client.wait_event(lambda event: event.type == "order-warning", 10)
            client.call("time")
            assert client.call("query_order", record["id"])["status"] == "New"
            told = [event for event in client.events if event.type == "order"]
            assert {event.data["status"] for event in told} <= {"PendingNew", "New"}
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script)


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff" + b"x" * 5000], ids=["length", "body"])
@pytest_twisted.ensureDeferred
async def test_a_frame_over_the_limit_makes_a_new_link(play, garbage):
    def script(stage):
        daemon = stage.start_daemon()
        accepted = stage.proxy.accepted
        with stage.client(daemon) as client:
            inject(stage, garbage)
            daemon.wait(lambda: stage.proxy.accepted > accepted, 10, "dialled again")
            daemon.wait(lambda: client.call("status") == "Up", 15, "up again")
            assert client.call("submit_order", ORDER)["status"] == "New"
        assert daemon.terminate() == 0
        stage.check(daemon)

    await play(script)
