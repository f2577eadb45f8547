"""Print quotes and trades from the line protocol: a socket, and nothing but the standard library.

Start `make run` in the clone, then, in the clone as well:  python3 examples/stream_quotes.py [-n 20] [SYMBOL ...]
"""

import argparse
import json
import os
import socket
from pathlib import Path


def setting(name: str) -> str:
    """Read what `make run` keeps for its clients."""
    folder = Path(os.environ.get("TXTRADER_ENVDIR", ".run/env"))
    return os.environ.get(f"TXTRADER_{name}") or (folder / f"TXTRADER_{name}").read_text().split("\n")[0]


def main() -> None:
    parser = argparse.ArgumentParser(description="Print quotes and trades as they come.")
    parser.add_argument("symbols", nargs="*", default=["IBM", "EUR/USD"])
    parser.add_argument("-n", type=int, default=20, help="end after so many events; 0: never")
    wanted = parser.parse_args()
    options = {"channels": ["quote", "trade"], "symbols": "session"}

    with socket.create_connection(("127.0.0.1", int(setting("TCP_PORT"))), timeout=30) as sock:
        lines = sock.makefile("rw", encoding="ascii", newline="\n")
        print(lines.readline(), end="")  # .connected: Demo Gateway
        lines.write(f"auth {setting('USERNAME')} {setting('PASSWORD')} {json.dumps(options)}\n")
        lines.writelines(f"add {symbol}\n" for symbol in wanted.symbols)
        lines.flush()
        count = 0
        for line in lines:
            if line.startswith("."):  # a reply: .Authorized demo, .symbol IBM added, .error not-found: ...
                print(line, end="")
                continue
            event = json.loads(line[line.index(": {") + 2 :])
            if "last" in event:
                print(f"{event['symbol']:8} {event['size']} at {event['last']}")
            else:
                print(f"{event['symbol']:8} {event['bidsize']} {event['bid']} | {event['ask']} {event['asksize']}")
            count += 1
            if count == wanted.n:
                break
        lines.write("quit\n")
        lines.flush()


if __name__ == "__main__":
    main()
