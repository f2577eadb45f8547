"""B4, XMLRPC part: calls a second with login on, against a bare twisted.web XMLRPC resource without login."""

from __future__ import annotations

import xmlrpc.client

from benchmarks.harness import Result, Target, compare
from benchmarks.process import Child

CALLS = 4_000


def run(rounds: int = 5) -> list[Result]:
    """Measure one keep-alive connection, then sixteen."""
    results: list[Result] = []
    body = xmlrpc.client.dumps((), "status")
    with Child("gateway_server", "xmlrpc", core=0) as server, Child("bare_servers", "xmlrpc", core=0) as bare:
        login = f"{server.hello['user']}:{server.hello['password']}"
        with Child("loads", core=1) as load:

            def side(port: int, login: str, connections: int) -> dict[str, float]:
                path = "/RPC2" if login else "/"
                measured = load.ask(
                    "calls", port=port, path=path, body=body, connections=connections, count=CALLS, login=login
                )
                if "<string>Up</string>" not in measured["answer"]:
                    raise RuntimeError(measured["answer"])
                return {"value": measured["value"]}

            for connections in (1, 16):
                results += compare(
                    "B4",
                    "XMLRPC calls, logged in",
                    ours=lambda connections=connections: side(server.hello["port"], login, connections),  # type: ignore[misc]
                    theirs=lambda connections=connections: side(bare.hello["port"], "", connections),  # type: ignore[misc]
                    targets={"value": Target(at_least=0.8)},
                    unit="calls/s",
                    ours_are="gateway, status over XMLRPC with basic authentication (cached login)",
                    theirs_are="twisted.web XMLRPC resource with a constant answer, no login",
                    parameters={"connections": connections},
                    rounds=rounds,
                )
    return results
