"""The simulated FIX venue with known clients C0 to C9, password `secret`, until it is killed; prints its port."""

from __future__ import annotations

import sys
import time

from twisted.internet import reactor

from txtrader.exsim.demo import make_demo_venue
from txtrader.exsim.endpoints.fix import FixEndpoint, FixOptions
from txtrader.exsim.endpoints.fix.trading import Trading


def main() -> None:
    venue = make_demo_venue(reactor, time.time_ns, 7, pace="none")
    trading = Trading(venue)
    # 4.2 has no password: 554 came later.
    passwords = {"FIX.4.2": None, "FIX.4.4": "secret", "FIXT.1.1": "secret"}
    targets = {name: {f"C{number}": password for number in range(10)} for name, password in passwords.items()}
    endpoint = FixEndpoint(trading, reactor, venue.now_ns, options=FixOptions(targets=targets))
    trading.attach(endpoint)
    venue.start()
    endpoint.start().addCallback(lambda port: print(port, flush=True))
    reactor.run()


if __name__ == "__main__":
    sys.exit(main())
