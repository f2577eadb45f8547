"""TWS tick ingestion, socket to model, against ib_async: the same bytes from the same process."""

from __future__ import annotations

from benchmarks.harness import Result, Target, Void, compare
from benchmarks.process import Child

TICKS = 200_000
SYMBOLS = 5


def run(rounds: int = 5) -> list[Result]:
    """Let the simulated TWS write 200 000 text ticks, half prices and half sizes, as fast as they are taken."""
    with (
        Child("exsim_server", core=0) as broker,
        Child("adapter_client", core=1) as ours,
        Child("ib_async_client", core=1) as theirs,
    ):
        symbols = broker.hello["symbols"][:SYMBOLS]

        def side(child: Child, client_id: int) -> dict[str, float]:
            child.ask("connect", port=broker.hello["port"], client_id=client_id)
            child.ask("subscribe", symbols=symbols)
            child.ask("forget")
            began = broker.ask("burst", count=TICKS)
            ended = child.ask("wait")
            child.ask("close")
            if not ended["done"] or ended["ticks"] < TICKS * 0.9:
                raise Void(f"only {ended['ticks']} of {TICKS} ticks came to the model")
            return {"value": TICKS / ((ended["done"] - began["start"]) / 1e9)}

        results = compare(
            "B16",
            "TWS tick ingestion, socket to model",
            ours=lambda: side(ours, 11),
            theirs=lambda: side(theirs, 12),
            targets={"value": Target(at_least=3.0)},
            unit="ticks/s",
            ours_are="TWS adapter: pump, fast decoder, market lines, a Quote record for each tick (uvloop)",
            theirs_are="ib_async: its connection, decoder and tickers (uvloop)",
            parameters={"ticks": TICKS, "symbols": len(symbols), "version": "157 ours, 178 ib_async"},
            rounds=rounds,
            note="ticks that change nothing make no event on either side; at least nine in ten must reach the model",
        )
        broker.ask("stop")
    return results
