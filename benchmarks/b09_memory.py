"""B9: memory per idle subscriber, per symbol and per open order, as slopes of the resident size."""

from __future__ import annotations

import json
import os

from benchmarks.harness import Result, Target, judge
from benchmarks.probe import Probe
from benchmarks.process import Child

SUBSCRIBERS = (100, 9_000)
THINGS = 4_000


def run(rounds: int = 3, subscribers: tuple[int, int] = SUBSCRIBERS) -> list[Result]:
    """Measure in fresh processes each round; the median of the rounds counts."""
    load_before = os.getloadavg()[0]
    ours = [_subscriber_bytes("gateway_server", subscribers) for _ in range(rounds)]
    theirs = [_subscriber_bytes("bare_servers", subscribers) for _ in range(rounds)]
    results = [_result("B9 subscriber", "memory of an idle subscriber", ours, theirs, 2.0, load_before, subscribers[1])]
    for kind in ("symbol", "order"):
        pairs = [_thing_bytes(kind) for _ in range(rounds)]
        results.append(
            _result(
                f"B9 {kind}",
                f"memory of {'a symbol' if kind == 'symbol' else 'an open order'}",
                [ours for ours, _ in pairs],
                [theirs for _, theirs in pairs],
                3.0,
                load_before,
                THINGS,
            )
        )
    return results


def _result(
    id: str, title: str, ours: list[float], theirs: list[float], most: float, load_before: float, count: int
) -> Result:
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    return judge(
        id,
        title,
        ratio=ratios[len(ratios) // 2],
        spread=ratios[-1] / ratios[0],
        target=Target(at_most=most),
        unit="bytes",
        ours_are="the gateway's process",
        theirs_are="a bare Twisted connection" if "subscriber" in id else "a dict of the same fields",
        ours=ours,
        theirs=theirs,
        load_before=load_before,
        parameters={"count": count},
    )


def _subscriber_bytes(module: str, subscribers: tuple[int, int]) -> float:
    """Connect few, then many, and return what each further one costs the server."""
    kind = "lines" if module == "gateway_server" else "idle"
    with Child(module, kind, core=0) as server, Child("readers", core=1) as readers:
        opening, until = "", ""
        if module == "gateway_server":
            opening = f"auth {server.hello['user']} {server.hello['password']} {json.dumps({'channels': ['quote']})}\n"
            until = ".Authorized"
        sizes = []
        connected = 0
        for count in subscribers:
            readers.ask("connect", port=server.hello["port"], count=count - connected, opening=opening, until=until)
            connected = count
            sizes.append(float(server.ask("resident")))
        readers.ask("close")
        return (sizes[1] - sizes[0]) / (subscribers[1] - subscribers[0])


def _thing_bytes(kind: str) -> tuple[float, float]:
    """Return the bytes of one more symbol or open order in the gateway, and of a dict that says the same."""
    with Child("gateway_server", "lines", str(THINGS + 1), core=0) as server:
        probe = Probe(server, '{"channels": []}')
        _make(server, probe, kind, 1, 2)
        before = float(server.ask("resident"))
        _make(server, probe, kind, 2, THINGS)
        made = float(server.ask("resident"))
        server.ask("hold_records", kind=kind, count=THINGS - 2)
        held = float(server.ask("resident"))
        probe.close()
    return (made - before) / (THINGS - 2), (held - made) / (THINGS - 2)


def _make(server: Child, probe: Probe, kind: str, start: int, end: int) -> None:
    if kind == "symbol":
        names = [f"S{number:05d}" for number in range(start, end)]
        for name in names:
            probe.ask(f"add {name}")
        server.ask("burst", symbols=names, times=len(names))
    else:
        for _ in range(start, end):
            probe.ask("limitorder IBM 99.5 1")
