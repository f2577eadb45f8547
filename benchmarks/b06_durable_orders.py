"""B6: durable orders a second with 64 concurrent clients and a null broker, against SQLite's one-row commits."""

from __future__ import annotations

from benchmarks.disk import folder, one_row_commits, sync_is_real
from benchmarks.harness import Result, Target, compare
from benchmarks.probe import Probe
from benchmarks.process import Child

CLIENTS = 64
ORDERS = 6_400


def run(rounds: int = 5, clients: int = CLIENTS) -> list[Result]:
    """Measure whole orders: intent durable, sent, acknowledged, told to the client."""
    where = folder()
    note = "" if sync_is_real(where) else "a sync is nearly free here: this run says nothing about durability"
    with Child("gateway_server", "lines", core=0, environ={"BENCH_DIR": str(where)}) as server:
        opening = f'auth {server.hello["user"]} {server.hello["password"]} {{"channels": []}}\n'
        probe = Probe(server, '{"channels": []}')
        probe.ask("limitorder IBM 99.5 1")
        row = int(server.ask("bytes_per_order"))
        with Child("loads", core=1) as load:

            def ours() -> dict[str, float]:
                measured = load.ask(
                    "orders", port=server.hello["port"], opening=opening, connections=clients, count=ORDERS
                )
                return {"value": measured["value"]}

            def theirs() -> dict[str, float]:
                return {"value": one_row_commits(where / "raw.sqlite3", row, 1_000)}

            results = compare(
                "B6",
                "durable orders",
                ours=ours,
                theirs=theirs,
                targets={"value": Target(at_least=1.5)},
                unit="orders/s and rows/s",
                ours_are=f"{clients} line clients, each waits for its acknowledgement before the next order",
                theirs_are="SQLite, WAL, synchronous=FULL, one row a commit, rows of the size of an order's records",
                parameters={"clients": clients, "row_bytes": row},
                rounds=rounds,
                note=note,
            )
        probe.close()
        server.ask("stop")
    return results
