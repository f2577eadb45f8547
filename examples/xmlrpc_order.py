"""Buy ten shares and sell them again over XMLRPC: ten lines of the standard library.

Start `make run` in the clone, then, in the clone as well:  python3 examples/xmlrpc_order.py
"""

import os
import time
from pathlib import Path
from typing import Any
from xmlrpc.client import ServerProxy

folder = Path(os.environ.get("TXTRADER_ENVDIR", ".run/env"))  # where `make run` keeps user, password and ports
user, word, port = ((folder / f"TXTRADER_{name}").read_text().strip() for name in ("USERNAME", "PASSWORD", "HTTP_PORT"))
tx: Any = ServerProxy(f"http://{user}:{word}@127.0.0.1:{port}/", allow_none=True)
options = {"account": tx.query_accounts()[0]}
for quantity in (10, -10):
    order = tx.market_order("IBM", quantity, options)
    while order["status"] in ("PendingNew", "New", "PartiallyFilled"):
        time.sleep(0.1)
        order = tx.query_order(order["id"])
    print(order["text"], "at", order["avgfillprice"])
