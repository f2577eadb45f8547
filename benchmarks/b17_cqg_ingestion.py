"""CQG market data, socket to record, against the bare protobuf runtime on the same bytes."""

from __future__ import annotations

from benchmarks.harness import Result, Target, Void, compare
from benchmarks.process import Child

MESSAGES = 100_000
QUOTES = 2


def run(rounds: int = 5) -> list[Result]:
    """Let a server write frames of market data as fast as they are taken; the opponents read no socket at all."""
    results: list[Result] = []
    with Child("cqg_ingestion", core=1) as child, Child("cqg_frames", core=0) as server:

        def ours() -> dict[str, float]:
            child.ask("connect", port=server.hello["port"])
            began = server.ask("burst", count=MESSAGES, quotes=QUOTES)
            ended = child.ask("wait", messages=MESSAGES, quotes=QUOTES)
            child.ask("close")
            if not ended["done"]:
                raise Void(f"only {ended['records']} records came")
            return {"value": MESSAGES / ((ended["done"] - began["start"]) / 1e9)}

        def theirs(reads: bool) -> dict[str, float]:
            took = child.ask("bare", count=MESSAGES, quotes=QUOTES, reads=reads)["seconds"]
            return {"value": MESSAGES / took}

        for name, reads, what in (
            ("B17", False, "protobuf alone: ServerMsg.FromString in a loop, nothing read of the result"),
            ("B17 read", True, "protobuf, then reading type, price, size and time of each quote as Python values"),
        ):
            results += compare(
                name,
                "CQG market data, socket to record",
                ours=ours,
                theirs=lambda reads=reads: theirs(reads),  # type: ignore[misc]  # the loop's value, bound now
                targets={"value": Target(at_least=0.5)},
                unit="messages/s",
                ours_are="CQG adapter: WebSocket, session, market lines, a Quote or Trade record for each (uvloop)",
                theirs_are=what,
                parameters={"messages": MESSAGES, "quotes": QUOTES},
                rounds=rounds,
                note="the opponents start from bytes in memory; ours from a socket",
            )
        server.ask("stop")
    return results
