"""B11: CPU per tick against the number of subscribers who want it, and of those and the symbols that do not."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable

from benchmarks.harness import Result, Target, judge, slope
from benchmarks.probe import Probe
from benchmarks.process import Child

INTERESTED = (10, 100, 1_000, 9_000)
UNINTERESTED = (1, 10, 100, 1_000, 8_900)
SYMBOLS = (1, 10, 100, 1_000, 9_000)
TICKS = 2_000


def run(rounds: int = 3) -> list[Result]:
    """Measure the three slopes on log-log axes; 1 is proportional, 0 is free."""
    load_before = os.getloadavg()[0]
    results = []
    for id, title, measure, points, most in (
        ("B11 interested", "CPU per tick, by interested subscribers", _by_interested, INTERESTED, 1.05),
        ("B11 uninterested", "CPU per tick, by uninterested subscribers", _by_uninterested, UNINTERESTED, 0.05),
        ("B11 symbols", "CPU per tick, by other symbols", _by_symbols, SYMBOLS, 0.05),
    ):
        slopes = []
        first: dict[float, float] = {}
        for _ in range(rounds):
            found = measure(points)
            first = first or found
            slopes.append(slope(found))
        middle = statistics.median(slopes)
        results.append(
            judge(
                id,
                title,
                ratio=middle,
                target=Target(at_most=most),
                unit="ns of CPU per tick",
                ours_are=f"at {list(points)}",
                theirs_are="itself: the slope on log-log axes",
                ours=list(first.values()),
                load_before=load_before,
                parameters={"slopes": [round(value, 3) for value in slopes]},
            )
        )
    return results


def _per_tick(server: Child, readers: Child | None, size: int, only: int | None, ticks: int) -> float:
    """Broadcast and return the CPU of one tick (ns); readers drain and count."""
    if readers is not None:
        readers.ask("forget")
        readers.tell("expect", size=size * ticks, only=only)
        readers.answer()
    spent: float = server.ask("broadcast", symbol="IBM", times=ticks)["cpu"] / ticks
    if readers is not None:
        readers.answer()
    return spent


def _with_server(
    points: tuple[int, ...], connect: Callable[[Child, Child, Probe, int, int], int]
) -> dict[float, float]:
    """Go up the points, `connect(server, readers, probe, from, to)`; it returns how many must get the ticks."""
    found: dict[float, float] = {}
    with Child("gateway_server", "lines", "10000", core=0) as server, Child("readers", core=1) as readers:
        probe = Probe(server, '{"channels": []}')
        probe.ask("add IBM")
        size = _line_size(server)
        present = 0
        for point in points:
            wanted = connect(server, readers, probe, present, point)
            present = point
            ticks = max(20, min(TICKS, 400_000 // max(wanted, 1))) // 20 * 20
            found[point] = min(_per_tick(server, readers, size, wanted, ticks) for _ in range(3))
        readers.ask("close")
        probe.close()
    return found


def _opening(server: Child, options: dict[str, object]) -> str:
    return f"auth {server.hello['user']} {server.hello['password']} {json.dumps(options)}\n"


def _line_size(server: Child) -> int:
    probe = Probe(server, '{"channels": ["quote"]}')
    server.ask("broadcast", symbol="IBM", times=20)
    line = probe.until("memory.quote.IBM") + "\n"
    probe.close()
    return len(line.encode())


def _by_interested(points: tuple[int, ...]) -> dict[float, float]:
    def connect(server: Child, readers: Child, probe: Probe, present: int, point: int) -> int:
        opening = _opening(server, {"channels": ["quote"]})
        readers.ask("connect", port=server.hello["port"], count=point - present, opening=opening, until=".Auth")
        return point

    return _with_server(points, connect)


def _by_uninterested(points: tuple[int, ...]) -> dict[float, float]:
    """Ten want the tick; the others have their own symbols in view, of which there are none."""

    def connect(server: Child, readers: Child, probe: Probe, present: int, point: int) -> int:
        port = server.hello["port"]
        if not present:
            opening = _opening(server, {"channels": ["quote"]})
            readers.ask("connect", port=port, count=10, opening=opening, until=".Auth")
        opening = _opening(server, {"channels": ["quote"], "symbols": "session"})
        readers.ask("connect", port=port, count=point - present, opening=opening, until=".Auth")
        return 10

    return _with_server(points, connect)


def _by_symbols(points: tuple[int, ...]) -> dict[float, float]:
    """Ten want the tick; ever more other symbols are streamed to somebody."""

    def connect(server: Child, readers: Child, probe: Probe, present: int, point: int) -> int:
        if not present:
            opening = _opening(server, {"channels": ["quote"], "symbols": ["IBM"]})
            readers.ask("connect", port=server.hello["port"], count=10, opening=opening, until=".Auth")
        for number in range(present + 1, point + 1):
            probe.ask(f"add S{number:05d}")
        return 10

    return _with_server(points, connect)
