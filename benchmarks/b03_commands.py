"""B3: line commands, pipelined and one at a time, against a bare `LineReceiver` that answers the same bytes."""

from __future__ import annotations

from benchmarks.harness import Result, Target, compare
from benchmarks.probe import Probe
from benchmarks.process import Child

COMMANDS = {"status": "status", "query": "query IBM"}
PIPELINED = 40_000
SINGLE = 5_000


def run(rounds: int = 5) -> list[Result]:
    """Measure both commands in both ways."""
    results: list[Result] = []
    with Child("gateway_server", "lines", core=0) as server, Child("bare_servers", "line", core=0) as bare:
        probe = Probe(server, "noquotes notrades notime")
        probe.ask("add IBM")
        server.ask("broadcast", symbol="IBM", times=1)
        answers = {line: probe.ask(line) + "\n" for line in COMMANDS.values()}
        bare.ask("answer_with", answers=answers)
        opening = f"auth {server.hello['user']} {server.hello['password']} noquotes notrades notime\n"
        with Child("loads", core=1) as load:
            for name, line in COMMANDS.items():

                def pipelined(child: Child, opening: str, line: str = line) -> dict[str, float]:
                    load.ask("connect", port=child.hello["port"], opening=opening, until=".Auth" if opening else "")
                    measured: dict[str, float] = load.ask("rate", lines=[line], count=PIPELINED)
                    load.ask("close")
                    return measured

                def single(child: Child, opening: str, line: str = line) -> dict[str, float]:
                    load.ask("connect", port=child.hello["port"], opening=opening, until=".Auth" if opening else "")
                    measured: dict[str, float] = load.ask("round_trips", lines=[line], count=SINGLE)
                    load.ask("close")
                    return measured

                words = {"command": line, "reply_bytes": len(answers[line])}
                results += compare(
                    "B3 rate",
                    "line commands a second, pipelined",
                    ours=lambda: pipelined(server, opening),
                    theirs=lambda: pipelined(bare, ""),
                    targets={"value": Target(at_least=0.25)},
                    unit="commands/s",
                    ours_are=f"gateway, {name}",
                    theirs_are="LineReceiver echo of the same bytes, same loop",
                    parameters=words,
                    rounds=rounds,
                )
                results += compare(
                    "B3 round trip",
                    "line commands, one at a time",
                    ours=lambda: single(server, opening),
                    theirs=lambda: single(bare, ""),
                    targets={"p50": Target(at_most=1.6), "p99": Target()},
                    unit="s",
                    ours_are=f"gateway, {name}",
                    theirs_are="LineReceiver echo of the same bytes, same loop",
                    parameters=words,
                    rounds=rounds,
                )
        probe.close()
    return results
