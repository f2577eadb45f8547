"""B1: tick to client through the gateway, against the same ticks straight to a client on ib_async."""

from __future__ import annotations

import json
from collections.abc import Callable

from benchmarks.daemon import running
from benchmarks.harness import Result, Target, Void, compare, percentile
from benchmarks.process import Child

RATE = 1_000
TICKS = 4_000


def run(rounds: int = 5) -> list[Result]:
    """Measure with one symbol and with all the stocks that the demonstration venue lists (at most 100)."""
    results: list[Result] = []
    with (
        Child("exsim_server", core=0) as broker,
        Child("loads", core=1) as reader,
        Child("ib_async_client", core=1) as direct,
        running(broker.hello["port"], core=0) as daemon,
    ):
        login = f"auth {daemon.user} {daemon.password} {json.dumps({'channels': ['quote'], 'symbols': 'session'})}"
        for symbols in (broker.hello["symbols"][:1], broker.hello["symbols"][:100]):

            def through_gateway(symbols: list[str] = symbols) -> dict[str, float]:
                reader.ask("connect", port=daemon.tcp_port, opening=login + "\n", until=".Authorized")
                for symbol in symbols:
                    answer = reader.ask("ask_for", line=f"add {symbol}$USD", start=".symbol")
                    if "added" not in answer:
                        raise RuntimeError(answer)
                reader.tell("watch", count=TICKS)
                reader.answer()
                made = broker.ask("stream", symbols=symbols, rate=RATE, count=TICKS)
                seen = reader.answer()
                reader.ask("close")
                return _latencies(made, {key.replace("$USD", ""): when for key, when in seen.items()})

            def straight(symbols: list[str] = symbols) -> dict[str, float]:
                direct.ask("connect", port=broker.hello["port"], client_id=22)
                direct.ask("subscribe", symbols=symbols)
                direct.ask("forget")
                made = broker.ask("stream", symbols=symbols, rate=RATE, count=TICKS)
                seen = direct.ask("seen")
                direct.ask("close")
                return _latencies(made, seen)

            results += _compare(through_gateway, straight, len(symbols), rounds)
    return results


def _compare(
    ours: Callable[[], dict[str, float]], theirs: Callable[[], dict[str, float]], symbols: int, rounds: int
) -> list[Result]:
    return compare(
        "B1",
        "tick to client",
        ours=ours,
        theirs=theirs,
        targets={"p50": Target(at_most=1.5), "p99": Target(at_most=2.0)},
        unit="s",
        ours_are="simulated TWS, gateway daemon, line client",
        theirs_are="the same simulated TWS, a client on ib_async, MaxRequests = 0",
        parameters={"ticks_per_second": RATE, "ticks": TICKS, "symbols": symbols},
        rounds=rounds,
        note="from the scheduled moment of the tick to its bid in the client, one monotonic clock",
    )


def _latencies(made: dict[str, int], seen: dict[str, int]) -> dict[str, float]:
    """Join the moments by symbol and price; a tick that never came makes the run void."""
    missing = [key for key in made if key not in seen]
    if missing:
        raise Void(f"{len(missing)} of {len(made)} ticks did not arrive: {missing[:3]}")
    times = [(seen[key] - when) / 1e9 for key, when in made.items()]
    return {"p50": percentile(times, 0.5), "p99": percentile(times, 0.99)}
