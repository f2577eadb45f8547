"""B2: fan-out to N line clients, against a plain asyncio broadcast of the same bytes to the same readers."""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping
from typing import Any

from benchmarks.harness import Result, Target, Void, compare
from benchmarks.probe import quote_lines
from benchmarks.process import Child

DELIVERIES = 200_000
COUNTS = (1, 10, 100, 1_000, 9_000)


PATHS = {
    "stream": (
        "B2",
        "event stream to socket: one encoding, interest, line front end, bounded queues",
        Target(at_least=0.8),
    ),
    "adapter": ("B2 whole", "adapter to socket: the same, and each quote first becomes a record", Target(at_least=0.8)),
}


def run(counts: tuple[int, ...] = COUNTS, rounds: int = 5) -> list[Result]:
    """Measure each N; the readers reconnect between the sides, so that no more than N are connected at once."""
    results = []
    for count in counts:
        for path in PATHS:
            with Child("gateway_server", "lines", core=0) as server, Child("asyncio_broadcast", core=0) as plain:
                lines = quote_lines(server)
                results += _measure(path, count, rounds, server, plain, lines)
    return results


def _measure(path: str, count: int, rounds: int, server: Child, plain: Child, lines: list[str]) -> list[Result]:
    id, ours_are, target = PATHS[path]
    times = max(20, min(20_000, DELIVERIES // count)) // 20 * 20
    size = len(lines[0].encode())
    options = json.dumps({"channels": ["quote"]})
    opening = f"auth {server.hello['user']} {server.hello['password']} {options}\n"
    digests: set[str] = set()

    def side(child: Child, opening: str, until: str, order: Mapping[str, Any]) -> dict[str, float]:
        with Child("readers", core=1) as readers:
            readers.ask("connect", port=child.hello["port"], count=count, opening=opening, until=until)
            readers.ask("forget")
            gc.collect()
            readers.tell("expect", size=size * times)
            readers.answer()
            began = child.ask("broadcast", **order)
            done = readers.answer()
            if done["bytes"] != size * times * count:
                raise Void(f"{done['bytes']} bytes instead of {size * times * count}")
            digests.add(done["digest"])
            readers.ask("close")
        return {"value": count * times / ((done["done"] - began["start"]) / 1e9)}

    results = compare(
        id,
        "fan-out to line clients",
        ours=lambda: side(server, opening, ".Authorized", {"symbol": "IBM", "times": times, "path": path}),
        theirs=lambda: side(plain, "", ".ready", {"lines": lines, "times": times // len(lines)}),
        targets={"value": target},
        unit="deliveries/s",
        ours_are=ours_are,
        theirs_are="asyncio transport.write of ready bytes (uvloop)",
        parameters={"clients": count, "ticks": times, "bytes": size},
        rounds=rounds,
        note="same epoll readers for both sides, bytes counted on each socket; queues and symbol limits raised",
    )
    assert len(digests) == 1, "the two sides sent different bytes"
    return results
