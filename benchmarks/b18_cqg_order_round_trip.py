"""B5 over CQG: submit to broker acknowledgement with the journal fully synced, against doing the same by hand."""

from __future__ import annotations

from benchmarks.daemon import running
from benchmarks.disk import folder, sync_is_real
from benchmarks.harness import Result, Target, compare
from benchmarks.process import Child

ORDERS = 500
ROW = 3_000


def run(rounds: int = 5) -> list[Result]:
    """One order at a time on both sides, each against a simulated CQG of its own, on the same file system."""
    where = folder()
    note = "" if sync_is_real(where) else "a sync is nearly free here: this run says nothing about durability"
    with (
        Child("cqg_frames", core=0) as broker,
        Child("cqg_frames", core=0) as other,  # a daemon that hears of the opponent's orders would slow them down
        Child("loads", core=1) as load,
        running(
            broker.hello["port"],
            core=0,
            MODE="cqg",
            API_TLS=0,
            API_USERNAME="bench",
            API_PASSWORD="broker-secret",
            API_ACCOUNT="DU1000001",
            CQG_ORDER_RATE=1000,
        ) as daemon,
    ):
        opening = f'auth {daemon.user} {daemon.password} {{"channels": []}}\n'

        def ours() -> dict[str, float]:
            measured: dict[str, float] = load.ask(
                "order_round_trips", port=daemon.tcp_port, opening=opening, count=ORDERS
            )
            return measured

        def theirs() -> dict[str, float]:
            measured: dict[str, float] = load.ask(
                "direct_cqg_round_trips",
                port=other.hello["port"],
                count=ORDERS,
                path=str(where / "raw.log"),
                size=ROW,
            )
            return measured

        return compare(
            "B18",
            "order round trip over CQG",
            ours=ours,
            theirs=theirs,
            targets={"p50": Target(at_most=1.5), "p99": Target(at_most=2.0)},
            unit="s",
            ours_are="line client, gateway daemon, journal synced before the send, simulated CQG, and back",
            theirs_are="append and fdatasync, a raw WebSocket with the frame ready, a simulated CQG alike, and back",
            parameters={"orders": ORDERS, "row_bytes": ROW},
            rounds=rounds,
            note=note,
        )
