"""F15: more orders than the broker's message rate allows are spread out, none is refused by the broker."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest_twisted

RATE = 50


@pytest_twisted.ensureDeferred
async def test_a_burst_is_paced_below_the_brokers_limit(play):
    def script(stage):
        limited = msgspec.structs.replace(stage.endpoint.options, message_rate=RATE)
        stage.do(setattr, stage.endpoint, "options", limited)
        daemon = stage.start_daemon(TIMEOUT_ORDER="20", HEARTBEAT="10")
        clients = [stage.client(daemon, {"channels": []}) for _ in range(4)]
        clients[0].call("resolve_symbol", "IBM")

        def submit(lane: int) -> set[str]:
            return {clients[lane].call("limit_order", "IBM", "99.5", 1)["status"] for _ in range(25)}

        with ThreadPoolExecutor(4) as threads:
            assert set().union(*threads.map(submit, range(4))) == {"New"}
        clients[0].call("global_cancel")
        daemon.wait(
            lambda: all(one["status"] == "Canceled" for one in clients[0].call("query_orders").values()),
            20,
            "all are cancelled",
        )
        assert not any("Max rate of messages" in line for line in daemon.lines)
        assert daemon.terminate() == 0, daemon.tail(8)
        stage.check(daemon)

    await play(script)
